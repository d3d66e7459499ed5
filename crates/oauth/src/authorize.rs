//! What happens while a person looks at the pages: the request is opened, somebody signs in, and agrees or not.
//!
//! ```text
//! begin ─┬─ Show: the page asks      ── sign_in ──┐
//!        │                            ── accept ──┼─> Redirect with a code
//!        │                            ── refuse ──┼─> Redirect with access_denied
//!        └─ Redirect at once: nothing to ask, or nothing may be asked
//! ```
//!
//! Errors before the client and its address are known are shown to the person; after that they are the client's
//! (RFC 6749 4.1.2.1).

use p2pds_store::hosting::{
    OAuthApplied, OAuthConsentRow, OAuthDeviceAccountRow, OAuthRequestRow, OAuthUnit,
};
use p2pds_syntax::{Did, Nsid};
use std::sync::Arc;

use crate::browser::{DeviceId, SignedIn};
use crate::client::Client;
use crate::error::OAuthError;
use crate::port::{Account, AccountStatus, LogIn, LoginRefused, Prove};
use crate::request::{Mode, Parameters, Prompt, new_code, request_id};
use crate::scope::{PermissionSet, Scopes};
use crate::server::{CODE_LASTS, MICROS, OAuth, REQUEST_LASTS, REQUEST_LASTS_AT_MOST};

/// After this a password is asked for again, microseconds.
const PASSWORD_FRESH: i64 = 7 * 24 * 3_600 * MICROS;
/// The same for those who did not want to stay signed in.
const PASSING_FRESH: i64 = 15 * 60 * MICROS;

/// What becomes of a request that a browser brings.
#[derive(Debug, Clone)]
pub enum Begun {
    /// The person is to be asked.
    Show(Box<Authorization>),
    /// Nothing is to be asked.
    Redirect(Redirect),
}

/// A request that is to be granted.
#[derive(Debug, Clone)]
pub struct Authorization {
    /// What the browser brought; forms bring it again.
    pub request_uri: String,
    /// Who asks.
    pub client: Arc<Client>,
    /// For what.
    pub scopes: Scopes,
    /// The permission sets that are included.
    pub sets: Vec<(Nsid, PermissionSet)>,
    /// All that was asked.
    pub parameters: Parameters,
    /// Who is signed in in this browser.
    pub accounts: Vec<DeviceAccount>,
    /// The one that is probably meant.
    pub selected: Option<Did>,
    /// Handle or DID to begin with, when it is nobody who is signed in.
    pub hint: Option<String>,
    pub(crate) id: [u8; 32],
    pub(crate) created_at: i64,
}

/// An account that is signed in in a browser, as this request sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAccount {
    /// It.
    pub account: Account,
    /// Whether its password must be shown first.
    pub login_required: bool,
    /// Whether its owner must be asked.
    pub consent_required: bool,
}

/// Where the browser goes, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// How.
    pub mode: Mode,
    /// The client's address.
    pub uri: String,
    /// What it gets.
    pub params: Vec<(String, String)>,
}

impl Redirect {
    /// The address to send the browser to; for [`Mode::FormPost`] the address that its form goes to.
    #[must_use]
    pub fn location(&self) -> String {
        let encoded = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(self.params.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .finish();
        match self.mode {
            Mode::FormPost => self.uri.clone(),
            Mode::Fragment => format!("{}#{encoded}", self.uri),
            Mode::Query if self.uri.contains('?') => format!("{}&{encoded}", self.uri),
            Mode::Query => format!("{}?{encoded}", self.uri),
        }
    }

    /// One of the values, for tests and logs.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl OAuth {
    /// `GET /oauth/authorize`: a browser brings a request that was pushed. It is this browser's from now on.
    ///
    /// # Errors
    /// What is shown to the person, because nobody may be sent anywhere: the request is unknown, over, another client's or
    /// another browser's.
    pub async fn begin(
        &self,
        client_id: &str,
        request_uri: &str,
        device: &DeviceId,
    ) -> Result<Begun, OAuthError> {
        let row = self.waiting(client_id, request_uri).await?;
        let (id, now) = (row.id, self.now());
        let open = OAuthUnit::OpenRequest {
            id,
            device: device.as_str().to_owned(),
            at: now,
            expires_at: now
                .saturating_add(REQUEST_LASTS)
                .min(row.created_at.saturating_add(REQUEST_LASTS_AT_MOST)),
        };
        if self.apply(open).await? != OAuthApplied::Yes {
            return Err(OAuthError::RequestDevice);
        }
        let parameters = parameters(&row)?;
        let client = self.client(client_id).await?;
        let asked = self.asked(row, request_uri, client, parameters, device).await;
        match asked {
            Ok(authorization) => self.decide(authorization, device).await,
            Err((error, parameters)) => {
                self.apply(OAuthUnit::DropRequest { id }).await?;
                Ok(Begun::Redirect(self.answer(&parameters, Err(&error))))
            }
        }
    }

    /// Whether a request waits that a browser brings. For a browser that is not known yet: one is made when there is
    /// something to remember it for.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn is_waiting(&self, client_id: &str, request_uri: &str) -> Result<(), OAuthError> {
        let row = self.waiting(client_id, request_uri).await?;
        // Another one has it.
        if row.device.is_some() { Err(OAuthError::RequestDevice) } else { Ok(()) }
    }

    async fn waiting(&self, client_id: &str, request_uri: &str) -> Result<OAuthRequestRow, OAuthError> {
        let id = request_id(request_uri).ok_or(OAuthError::NotPushed)?;
        let row = self.0.store.oauth_request(id).await?.ok_or(OAuthError::RequestOver)?;
        if row.client != client_id {
            // It is known to somebody whom it is not for.
            self.apply(OAuthUnit::DropRequest { id }).await?;
            return Err(OAuthError::RequestClient);
        }
        if row.expires_at <= self.now() || row.code.is_some() {
            return Err(OAuthError::RequestOver);
        }
        Ok(row)
    }

    async fn asked(
        &self,
        row: OAuthRequestRow,
        request_uri: &str,
        client: Arc<Client>,
        parameters: Parameters,
        device: &DeviceId,
    ) -> Result<Authorization, (OAuthError, Parameters)> {
        let found = async {
            let scopes = Scopes::parse(&parameters.scope)?;
            let sets = self.sets(&scopes).await?;
            let mut accounts = Vec::new();
            for signed_in in self.0.store.oauth_device_accounts(device.as_str()).await? {
                let account = self.account(&signed_in.did).await?;
                let Some(account) = account else { continue };
                accounts.push(DeviceAccount {
                    login_required: self.login_required(&signed_in, &parameters, row.created_at),
                    consent_required: self
                        .consent_required(&client, &parameters, &scopes, &account.did)
                        .await?,
                    account,
                });
            }
            Ok((scopes, sets, accounts))
        };
        let (scopes, sets, accounts) = match found.await {
            Ok(found) => found,
            Err(error) => return Err((error, parameters)),
        };
        let is_hint = |found: &DeviceAccount| {
            parameters.login_hint.as_deref().is_some_and(|hint| {
                found.account.did.as_str() == hint || found.account.handle.eq_ignore_ascii_case(hint)
            })
        };
        let selected = match parameters.prompt {
            Some(Prompt::SelectAccount | Prompt::Create | Prompt::None) => None,
            _ => accounts.iter().find(|found| is_hint(found)).map(|found| found.account.did.clone()),
        };
        let hint = parameters.login_hint.clone().filter(|_| !accounts.iter().any(is_hint));
        Ok(Authorization {
            request_uri: request_uri.to_owned(),
            client,
            scopes,
            sets,
            accounts,
            selected,
            hint,
            id: row.id,
            created_at: row.created_at,
            parameters,
        })
    }

    /// What needs no asking, and what may not be asked.
    async fn decide(&self, asked: Authorization, device: &DeviceId) -> Result<Begun, OAuthError> {
        let active = asked.accounts.iter().filter(|found| found.account.is_active());
        let meant: Vec<&DeviceAccount> = match &asked.parameters.login_hint {
            None => active.collect(),
            Some(hint) => active
                .filter(|found| {
                    found.account.did.as_str() == hint || found.account.handle.eq_ignore_ascii_case(hint)
                })
                .collect(),
        };
        let silent = asked.parameters.prompt == Some(Prompt::None);
        let refused = match meant.as_slice() {
            [] => OAuthError::LoginRequired,
            [one] if one.login_required => OAuthError::LoginRequired,
            [one] if one.consent_required => OAuthError::ConsentRequired,
            [one]
                if silent || (asked.parameters.prompt.is_none() && asked.parameters.login_hint.is_some()) =>
            {
                let did = one.account.did.clone();
                let scopes = asked.scopes.clone();
                return self.accept(&asked, device, &did, &scopes).await.map(Begun::Redirect);
            }
            [_] => OAuthError::ConsentRequired,
            _ => OAuthError::AccountSelectionRequired,
        };
        if silent {
            self.apply(OAuthUnit::DropRequest { id: asked.id }).await?;
            return Ok(Begun::Redirect(self.answer(&asked.parameters, Err(&refused))));
        }
        Ok(Begun::Show(Box::new(asked)))
    }

    fn login_required(&self, row: &OAuthDeviceAccountRow, parameters: &Parameters, since: i64) -> bool {
        let age = self.now().saturating_sub(row.signed_in_at);
        let fresh = if row.remembered { PASSWORD_FRESH } else { PASSING_FRESH };
        let wanted = parameters
            .max_age
            .map_or(i64::MAX, |seconds| i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(MICROS));
        // Who signs in for this very request has done what was asked.
        let again = parameters.prompt == Some(Prompt::Login) && row.signed_in_at < since;
        again || age > fresh || (age > wanted && row.signed_in_at < since)
    }

    async fn consent_required(
        &self,
        client: &Client,
        parameters: &Parameters,
        scopes: &Scopes,
        did: &Did,
    ) -> Result<bool, OAuthError> {
        // Whoever proves nothing could be anybody.
        if !client.confidential || parameters.prompt == Some(Prompt::Consent) {
            return Ok(true);
        }
        let consent = self.0.store.oauth_consent(did, &client.id).await?;
        Ok(!consent.is_some_and(|consent| scopes.subset_of(&consent.scope)))
    }

    pub(crate) async fn account(&self, did: &Did) -> Result<Option<Account>, OAuthError> {
        self.0.accounts.account(did).await.map_err(OAuthError::Unavailable)
    }

    /// Somebody signs in on the page of a request. The browser gets a new cookie with it.
    ///
    /// # Errors
    /// Why not.
    pub async fn sign_in(
        &self,
        device: &DeviceId,
        ask: LogIn,
        remember: bool,
    ) -> Result<SignedIn, LoginRefused> {
        let account = self.log_in(ask).await?;
        self.proved(device, account, remember).await
    }

    /// The same without a browser, which [`Self::signed_in`] is told of afterwards: one that is not known yet is made for
    /// somebody who proved who he is.
    ///
    /// # Errors
    /// Why not.
    pub async fn log_in(&self, ask: LogIn) -> Result<Account, LoginRefused> {
        self.0.accounts.log_in(ask).await.and_then(let_in)
    }

    /// The second step of that, when it asked for another factor.
    ///
    /// # Errors
    /// Why not.
    pub async fn prove(
        &self,
        device: &DeviceId,
        ask: Prove,
        remember: bool,
    ) -> Result<SignedIn, LoginRefused> {
        let account = self.log_in_further(ask).await?;
        self.proved(device, account, remember).await
    }

    /// The second step of [`Self::log_in`].
    ///
    /// # Errors
    /// Why not.
    pub async fn log_in_further(&self, ask: Prove) -> Result<Account, LoginRefused> {
        self.0.accounts.prove(ask).await.and_then(let_in)
    }

    /// What a page gives the browser so that somebody signs in with a passkey alone.
    #[must_use]
    pub fn passkey_question(&self) -> Option<serde_json::Value> {
        self.0.accounts.passkey_question()
    }

    /// Somebody signs in with a passkey alone, without a name or a password.
    ///
    /// # Errors
    /// Why not.
    pub async fn sign_in_with_passkey(
        &self,
        device: &DeviceId,
        json: &str,
        remember: bool,
    ) -> Result<SignedIn, LoginRefused> {
        let account = self.0.accounts.passkey(json).await.and_then(let_in)?;
        self.proved(device, account, remember).await
    }

    async fn proved(
        &self,
        device: &DeviceId,
        account: Account,
        remember: bool,
    ) -> Result<SignedIn, LoginRefused> {
        self.signed_in(device, account, remember)
            .await
            .map_err(|error| LoginRefused::Unavailable(error.to_string()))
    }

    /// The person agrees: with all that was asked for, or with a part of it, `atproto` always among it.
    ///
    /// # Errors
    /// He is not signed in in this browser, or not freshly enough; the account is not active; more than was asked for; the
    /// request is over.
    pub async fn accept(
        &self,
        asked: &Authorization,
        device: &DeviceId,
        did: &Did,
        granted: &Scopes,
    ) -> Result<Redirect, OAuthError> {
        let scope = asked.scopes.common(granted);
        if !scope.is_atproto() {
            return Err(OAuthError::ScopeAtproto);
        }
        let rows = self.0.store.oauth_device_accounts(device.as_str()).await?;
        let row = rows.into_iter().find(|row| row.did == *did).ok_or(OAuthError::LoginRequired)?;
        if self.login_required(&row, &asked.parameters, asked.created_at) {
            return Err(OAuthError::LoginRequired);
        }
        if !self.account(did).await?.is_some_and(|account| account.is_active()) {
            return Err(OAuthError::AccountInactive);
        }
        let (code, kept) = new_code()?;
        let now = self.now();
        let consent = OAuthConsentRow {
            did: did.clone(),
            client: asked.client.id.clone(),
            scope: scope.to_string(),
            at: now,
        };
        let unit = OAuthUnit::GrantRequest {
            id: asked.id,
            device: device.as_str().to_owned(),
            did: did.clone(),
            scope: scope.to_string(),
            code: kept,
            at: now,
            expires_at: now.saturating_add(CODE_LASTS),
            consent: Some(consent),
        };
        if self.apply(unit).await? != OAuthApplied::Yes {
            return Err(OAuthError::RequestOver);
        }
        metrics::counter!("p2pds_oauth_grants_total").increment(1);
        Ok(self.answer(&asked.parameters, Ok(&code)))
    }

    /// The person does not agree.
    ///
    /// # Errors
    /// The store.
    pub async fn refuse(&self, asked: &Authorization) -> Result<Redirect, OAuthError> {
        self.apply(OAuthUnit::DropRequest { id: asked.id }).await?;
        Ok(self.answer(&asked.parameters, Err(&OAuthError::AccessDenied)))
    }

    /// What the client gets (RFC 6749 4.1.2, RFC 9207).
    fn answer(&self, parameters: &Parameters, outcome: Result<&str, &OAuthError>) -> Redirect {
        let mut params = vec![("iss".to_owned(), self.issuer().to_owned())];
        if let Some(state) = &parameters.state {
            params.push(("state".to_owned(), state.clone()));
        }
        match outcome {
            Ok(code) => params.push(("code".to_owned(), code.to_owned())),
            Err(error) => {
                params.push(("error".to_owned(), error.error().to_owned()));
                params.push(("error_description".to_owned(), error.to_string()));
            }
        }
        Redirect { mode: parameters.response_mode, uri: parameters.redirect_uri.clone(), params }
    }
}

fn let_in(account: Account) -> Result<Account, LoginRefused> {
    if account.status == AccountStatus::Takendown { Err(LoginRefused::Takendown) } else { Ok(account) }
}

/// What was stored of a request.
pub(crate) fn parameters(row: &OAuthRequestRow) -> Result<Parameters, OAuthError> {
    serde_json::from_str(&row.parameters)
        .map_err(|_| OAuthError::Unavailable("a stored request cannot be read".to_owned()))
}
