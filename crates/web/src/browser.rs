//! The browser of somebody whose account is hosted here: a random cookie, and the accounts that signed in with it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use p2pds_oauth::{Account, DeviceId, OAuth, OAuthError, SignedIn};
use p2pds_syntax::Did;

use crate::ask::Refused;
use crate::door::{Seen, Try};
use crate::node_side::Trouble;
use crate::web::Web;

/// The browser that asks, as a request showed it.
#[derive(Debug, Clone)]
pub struct Browser {
    seen: Option<Arc<Seen>>,
    cookie: Option<String>,
    agent: String,
}

impl FromRequestParts<Web> for Browser {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Web) -> Result<Self, Self::Rejection> {
        let seen = parts.extensions.get::<Arc<Seen>>().cloned();
        let cookie = seen.as_ref().and_then(|seen| seen.device_cookie(&parts.headers)).map(str::to_owned);
        let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self { seen, cookie, agent: agent.unwrap_or_default().to_owned() })
    }
}

/// Nothing can be signed in to on a node that hosts nobody.
fn oauth(web: &Web) -> Result<&OAuth, Refused> {
    web.oauth().ok_or(Refused::NotFound)
}

impl From<OAuthError> for Trouble {
    fn from(error: OAuthError) -> Self {
        Self::said(error.to_string(), None)
    }
}

impl From<OAuthError> for Refused {
    fn from(error: OAuthError) -> Self {
        Self::Trouble(error.into())
    }
}

impl From<p2pds_host::HostError> for Refused {
    fn from(error: p2pds_host::HostError) -> Self {
        Self::Trouble(error.into())
    }
}

impl Browser {
    /// Where it asks from.
    #[must_use]
    pub fn address(&self) -> String {
        self.seen.as_ref().map(|seen| seen.address.to_string()).unwrap_or_default()
    }

    /// Counts one more try from there.
    ///
    /// # Errors
    /// It is one too many.
    pub(crate) fn may_try(&self, web: &Web, what: Try) -> Result<(), Refused> {
        match &self.seen {
            Some(seen) => web.door().may_try(what, seen.address).map_err(Refused::Wait),
            None => Ok(()),
        }
    }

    /// The browser, when it was here before.
    ///
    /// # Errors
    /// Nobody is hosted here; the store.
    pub async fn known(&self, web: &Web) -> Result<Option<DeviceId>, Refused> {
        match &self.cookie {
            Some(cookie) => Ok(oauth(web)?.device(cookie, &self.address()).await?),
            None => Ok(None),
        }
    }

    /// The browser that brings a request of an application; a new one is remembered when the request waits for somebody.
    ///
    /// # Errors
    /// Nobody is hosted here; the store; too many new ones from there. Within: why the request is not good, for people.
    pub(crate) async fn with_request(
        &self,
        web: &Web,
        client: &str,
        uri: &str,
    ) -> Result<Result<(DeviceId, Option<HeaderValue>), OAuthError>, Refused> {
        if let Some(device) = self.known(web).await? {
            return Ok(Ok((device, None)));
        }
        if let Err(error) = oauth(web)?.is_waiting(client, uri).await {
            return Ok(Err(error));
        }
        self.may_try(web, Try::Browser)?;
        self.device(web).await.map(Ok)
    }

    /// The browser of somebody who proved who he is, or who brings a request; a new one gets a cookie, to be set with
    /// [`keep`].
    ///
    /// # Errors
    /// Nobody is hosted here; the store.
    pub async fn device(&self, web: &Web) -> Result<(DeviceId, Option<HeaderValue>), Refused> {
        if let Some(device) = self.known(web).await? {
            return Ok((device, None));
        }
        let (device, cookie) = oauth(web)?.new_device(&self.agent, &self.address()).await?;
        Ok((device, self.set(&cookie)))
    }

    fn set(&self, cookie: &str) -> Option<HeaderValue> {
        self.seen.as_ref()?.set_device_cookie(cookie)
    }

    /// The cookie of somebody who has just signed in.
    #[must_use]
    pub fn signed_in(&self, signed_in: &SignedIn) -> Option<HeaderValue> {
        self.set(&signed_in.cookie)
    }

    /// Who is signed in in it.
    ///
    /// # Errors
    /// Nobody is hosted here; the store.
    pub async fn accounts(&self, web: &Web) -> Result<Vec<Account>, Refused> {
        match self.known(web).await? {
            Some(device) => Ok(oauth(web)?.device_accounts(&device).await?),
            None => Ok(Vec::new()),
        }
    }

    /// The account of a page, if it is signed in in this browser.
    ///
    /// # Errors
    /// It is not: the way to sign in.
    pub async fn account(&self, web: &Web, did: &str) -> Result<(Did, Account), Refused> {
        let found = self.accounts(web).await?.into_iter().find(|account| account.did.as_str() == did);
        match found {
            Some(account) => Ok((account.did.clone(), account)),
            None => Err(Refused::SignIn(format!("/account/{}", crate::parts::segment(did)))),
        }
    }
}

/// A response that also sets a cookie.
#[must_use]
pub fn keep(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
