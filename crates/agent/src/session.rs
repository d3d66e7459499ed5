//! Logging in and staying logged in.

use std::fmt;

use p2pds_net::{Client, GetOptions, HeaderName, HeaderValue, NetError};
use p2pds_syntax::Did;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::AgentError;
use crate::secret::Secret;

/// Most bytes of a JSON answer.
const MAX_ANSWER: u64 = 4 << 20;

/// A session of one account at its host.
pub struct Agent {
    net: Client,
    host: String,
    did: Did,
    access: Secret,
    refresh: Secret,
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("host", &self.host).field("did", &self.did).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    did: String,
    access_jwt: Secret,
    refresh_jwt: Secret,
}

impl Agent {
    /// Opens a session for an account at its host (`https://pds.example`) with an app password.
    ///
    /// # Errors
    /// [`AgentError::Login`] when the host says no, [`AgentError::OtherAccount`] when it means somebody else.
    pub async fn login(net: Client, host: &str, did: &Did, password: &Secret) -> Result<Self, AgentError> {
        let body = json!({"identifier": did.as_str(), "password": password.expose()});
        let options = GetOptions::json(MAX_ANSWER).no_redirects();
        let answer = net.xrpc_post(host, "com.atproto.server.createSession", &body, &options).await;
        let session: Session = match answer {
            Ok(answer) => answer.json(MAX_ANSWER).await.map_err(|source| doing("logging in", source))?,
            Err(NetError::Xrpc { status: 400 | 401 | 403, message, .. }) => {
                return Err(AgentError::Login { host: host.to_owned(), account: did.to_string(), message });
            }
            Err(source) => return Err(doing("logging in", source)),
        };
        if session.did != did.as_str() {
            return Err(AgentError::OtherAccount {
                host: host.to_owned(),
                got: session.did,
                wanted: did.clone(),
            });
        }
        let (access, refresh) = (session.access_jwt, session.refresh_jwt);
        Ok(Self { net, host: host.to_owned(), did: did.clone(), access, refresh })
    }

    /// The account.
    #[must_use]
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// Its host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Renews the session: the host's access tokens live for minutes.
    ///
    /// # Errors
    /// [`AgentError::Expired`] when the host does not want to.
    pub async fn renew(&mut self) -> Result<(), AgentError> {
        let options = self.options(&self.refresh)?;
        let nsid = "com.atproto.server.refreshSession";
        let answer = self.net.xrpc_upload(&self.host, nsid, "", bytes::Bytes::new(), &options).await;
        let session: Session = match answer {
            Ok(answer) => {
                answer.json(MAX_ANSWER).await.map_err(|source| doing("renewing the session", source))?
            }
            Err(NetError::Xrpc { status: 400 | 401 | 403, message, .. }) => {
                return Err(AgentError::Expired { host: self.host.clone(), message });
            }
            Err(source) => return Err(doing("renewing the session", source)),
        };
        if session.did != self.did.as_str() {
            let (host, wanted) = (self.host.clone(), self.did.clone());
            return Err(AgentError::OtherAccount { host, got: session.did, wanted });
        }
        (self.access, self.refresh) = (session.access_jwt, session.refresh_jwt);
        Ok(())
    }

    pub(crate) fn net(&self) -> &Client {
        &self.net
    }

    /// Options that carry a token; no redirect ever sees it.
    fn options(&self, token: &Secret) -> Result<GetOptions, AgentError> {
        let mut value =
            HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| AgentError::Answer {
                host: self.host.clone(),
                doing: "the login",
                what: "its token is no header value".to_owned(),
            })?;
        value.set_sensitive(true);
        let name = HeaderName::from_static("authorization");
        Ok(GetOptions::json(MAX_ANSWER).no_redirects().header(name, value))
    }

    /// Posts JSON with the session, which is renewed once if the host says that it has expired.
    pub(crate) async fn post(&mut self, nsid: &str, body: &Value) -> Result<Value, NetOrAgent> {
        let mut renewed = false;
        loop {
            let options = self.options(&self.access)?;
            match self.net.xrpc_post(&self.host, nsid, body, &options).await {
                Err(error) if !renewed && is_expired(&error) => self.renew().await?,
                Err(error) => return Err(error.into()),
                Ok(answer) => return Ok(answer.json(MAX_ANSWER).await?),
            }
            renewed = true;
        }
    }

    /// As [`Agent::post`] with bytes of any type.
    pub(crate) async fn upload(
        &mut self,
        nsid: &str,
        content_type: &str,
        body: bytes::Bytes,
    ) -> Result<Value, NetOrAgent> {
        let mut renewed = false;
        loop {
            let options = GetOptions { deadline: UPLOAD_DEADLINE, ..self.options(&self.access)? };
            match self.net.xrpc_upload(&self.host, nsid, content_type, body.clone(), &options).await {
                Err(error) if !renewed && is_expired(&error) => self.renew().await?,
                Err(error) => return Err(error.into()),
                Ok(answer) => return Ok(answer.json(MAX_ANSWER).await?),
            }
            renewed = true;
        }
    }
}

/// A blob may be large and the line slow.
const UPLOAD_DEADLINE: std::time::Duration = std::time::Duration::from_secs(600);

/// A failed request, before it is said what it was for.
pub(crate) enum NetOrAgent {
    Net(NetError),
    Agent(AgentError),
}

impl From<NetError> for NetOrAgent {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}

impl From<AgentError> for NetOrAgent {
    fn from(error: AgentError) -> Self {
        Self::Agent(error)
    }
}

impl NetOrAgent {
    pub(crate) fn during(self, what: &str) -> AgentError {
        match self {
            Self::Net(source) => doing(what, source),
            Self::Agent(error) => error,
        }
    }
}

fn is_expired(error: &NetError) -> bool {
    error.xrpc_error() == Some("ExpiredToken")
}

fn doing(what: &str, source: NetError) -> AgentError {
    AgentError::Host { doing: what.to_owned(), source }
}
