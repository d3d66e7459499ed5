//! Acting for an account: tokens with every request, renewed when they end.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use p2pds_crypto::PrivateKey;
use p2pds_net::{Client, GetOptions, HeaderName, HeaderValue, NetError, Response};
use p2pds_store::hosting::AgentSessionRow;
use p2pds_syntax::Did;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::AgentError;
use crate::oauth::{Agents, Held, SignInError, header_name, proof};
use crate::secret::Secret;

/// Most bytes of a JSON answer.
const MAX_ANSWER: u64 = 4 << 20;
/// A blob may be large and the line slow.
const UPLOAD_DEADLINE: Duration = Duration::from_secs(600);
/// A token that ends so soon is renewed before it is used, microseconds.
const SOON: i64 = 10_000_000;

/// A session of one account at its host, by OAuth or with an app password.
pub struct Agent {
    net: Client,
    host: String,
    did: Did,
    way: Way,
    kept: Option<Kept>,
}

/// What is shown to the host.
enum Way {
    /// Tokens that are good for whoever has them.
    Password { access: Secret, refresh: Secret },
    /// Tokens that are bound to a key.
    OAuth { held: Box<Held>, key: PrivateKey },
}

/// Where the session is kept, so that what is renewed is kept too.
struct Kept {
    agents: Agents,
    version: u32,
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

/// A body and its type.
type Body<'a> = (&'a str, Bytes);

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
        session.of(host, did)?;
        let way = Way::Password { access: session.access_jwt, refresh: session.refresh_jwt };
        Ok(Self { net, host: host.to_owned(), did: did.clone(), way, kept: None })
    }

    /// A session out of the store.
    pub(crate) fn of_stored(agents: Agents, row: AgentSessionRow, held: Held) -> Self {
        let net = agents.net().clone();
        let kept = Some(Kept { agents, version: row.version });
        Self { net, host: row.host, did: row.did, way: Way::of(held), kept }
    }

    /// The tokens of a session with a password, to be kept.
    pub(crate) fn password_tokens(self) -> Held {
        match self.way {
            Way::Password { access, refresh } => Held::of_password(&self.did, &self.host, &access, &refresh),
            Way::OAuth { held, .. } => *held,
        }
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
        if let Some(kept) = &mut self.kept {
            let (row, held) = kept.agents.renewed(&self.did, kept.version).await.map_err(|error| {
                let host = self.host.clone();
                match error {
                    SignInError::Refused { error, message, .. } => {
                        AgentError::Expired { host, message: format!("{error} {message}").trim().to_owned() }
                    }
                    SignInError::Password(error) => error,
                    error => AgentError::Session(Box::new(error)),
                }
            })?;
            kept.version = row.version;
            self.way = Way::of(held);
            return Ok(());
        }
        if let Way::Password { refresh, .. } = &self.way {
            let (access, refresh) = renewed_by_token(&self.net, &self.host, &self.did, refresh).await?;
            self.way = Way::Password { access, refresh };
        }
        Ok(())
    }

    pub(crate) fn net(&self) -> &Client {
        &self.net
    }

    /// Calls a query with the session.
    ///
    /// # Errors
    /// [`AgentError::Host`] with the host's refusal, [`AgentError::Expired`].
    pub async fn get(&mut self, nsid: &str, params: &[(&str, &str)]) -> Result<Value, AgentError> {
        self.call(nsid, params, None).await.map_err(|error| error.during(&format!("asking for {nsid}")))
    }

    /// Calls a procedure with the session.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&mut self, nsid: &str, body: &Value) -> Result<Value, AgentError> {
        self.posted(nsid, body).await.map_err(|error| error.during(&format!("calling {nsid}")))
    }

    /// Calls a procedure with a body of any type.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn upload(&mut self, nsid: &str, kind: &str, body: Bytes) -> Result<Value, AgentError> {
        self.uploaded(nsid, kind, body).await.map_err(|error| error.during(&format!("calling {nsid}")))
    }

    pub(crate) async fn posted(&mut self, nsid: &str, body: &Value) -> Result<Value, NetOrAgent> {
        let body = Bytes::from(body.to_string());
        self.call(nsid, &[], Some(("application/json", body))).await
    }

    pub(crate) async fn uploaded(
        &mut self,
        nsid: &str,
        kind: &str,
        body: Bytes,
    ) -> Result<Value, NetOrAgent> {
        self.call(nsid, &[], Some((kind, body))).await
    }

    /// One call. The session is renewed once if the host says that it has expired, and a proof is made anew once if the
    /// host wants another nonce in it.
    async fn call(
        &mut self,
        nsid: &str,
        params: &[(&str, &str)],
        body: Option<Body<'_>>,
    ) -> Result<Value, NetOrAgent> {
        let url = Client::xrpc_url(&self.host, nsid, params)?;
        let (mut renewed, mut proved) = (false, false);
        if self.ends_soon() {
            renewed = true;
            self.renew().await?;
        }
        loop {
            let options = self.options(&url, body.as_ref())?;
            let answer = match &body {
                None => self.net.get(&url, &options).await?,
                Some((kind, bytes)) => self.net.post(&url, kind, bytes.clone(), &options).await?,
            };
            let other_nonce = self.keep_nonce(&url, &answer);
            if answer.status().is_success() {
                return read(answer).await;
            }
            if other_nonce && !proved && wants_nonce(&answer) {
                proved = true;
                continue;
            }
            let error = match answer.xrpc().await {
                Ok(answer) => return read(answer).await,
                Err(error) => error,
            };
            if renewed || !self.is_expired(&error) {
                return Err(error.into());
            }
            renewed = true;
            self.renew().await?;
        }
    }

    /// Options that carry the tokens; no redirect ever sees them.
    fn options(&self, url: &str, body: Option<&Body<'_>>) -> Result<GetOptions, AgentError> {
        let mut options = GetOptions::json(MAX_ANSWER).no_redirects();
        if body.is_some_and(|(kind, _)| *kind != "application/json") {
            options.deadline = UPLOAD_DEADLINE;
        }
        let name = HeaderName::from_static("authorization");
        match (&self.way, &self.kept) {
            (Way::Password { access, .. }, _) => Ok(options.header(name, self.header("Bearer", access)?)),
            (Way::OAuth { held, key }, Some(kept)) => {
                // Each proof is good for one request.
                options.retries = 0;
                let htm = if body.is_some() { "POST" } else { "GET" };
                let nonce = kept.agents.nonces().of(url);
                let token = held.access.expose();
                let proof = proof(key, kept.agents.clock(), htm, url, nonce.as_deref(), Some(token))
                    .map_err(|error| AgentError::Session(Box::new(error)))?;
                let access = self.header("DPoP", &held.access)?;
                Ok(options.header(name, access).header(header_name(), proof))
            }
            (Way::OAuth { .. }, None) => Err(self.unfit("its session is not kept")),
        }
    }

    fn header(&self, scheme: &str, token: &Secret) -> Result<HeaderValue, AgentError> {
        let mut value = HeaderValue::try_from(format!("{scheme} {}", token.expose()))
            .map_err(|_| self.unfit("its token is no header value"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn unfit(&self, what: &str) -> AgentError {
        AgentError::Answer { host: self.host.clone(), doing: "the login", what: what.to_owned() }
    }

    fn keep_nonce(&self, url: &str, answer: &Response) -> bool {
        match (&self.way, &self.kept) {
            (Way::OAuth { .. }, Some(kept)) => kept.agents.nonces().keep(url, answer),
            _ => false,
        }
    }

    fn ends_soon(&self) -> bool {
        match (&self.way, &self.kept) {
            (Way::OAuth { held, .. }, Some(kept)) => {
                held.ends_at != 0 && held.ends_at.saturating_sub(SOON) < (kept.agents.clock())()
            }
            _ => false,
        }
    }

    fn is_expired(&self, error: &NetError) -> bool {
        match (&self.way, error) {
            (Way::Password { .. }, error) => error.xrpc_error() == Some("ExpiredToken"),
            (Way::OAuth { .. }, NetError::Xrpc { status: 401, error, .. }) => error == "invalid_token",
            _ => false,
        }
    }
}

impl Way {
    fn of(held: Held) -> Self {
        match held.key() {
            Some(key) => Self::OAuth { held: Box::new(held), key },
            None => {
                let refresh = held.refresh.unwrap_or_else(|| Secret::new(""));
                Self::Password { access: held.access, refresh }
            }
        }
    }
}

impl Session {
    /// Whether it is this account's.
    fn of(&self, host: &str, did: &Did) -> Result<(), AgentError> {
        if self.did == did.as_str() {
            return Ok(());
        }
        Err(AgentError::OtherAccount { host: host.to_owned(), got: self.did.clone(), wanted: did.clone() })
    }
}

/// New tokens for a session with a password: access and refresh.
pub(crate) async fn renewed_by_token(
    net: &Client,
    host: &str,
    did: &Did,
    refresh: &Secret,
) -> Result<(Secret, Secret), AgentError> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", refresh.expose())).map_err(|_| {
        let what = "its token is no header value".to_owned();
        AgentError::Answer { host: host.to_owned(), doing: "the login", what }
    })?;
    value.set_sensitive(true);
    let options =
        GetOptions::json(MAX_ANSWER).no_redirects().header(HeaderName::from_static("authorization"), value);
    let nsid = "com.atproto.server.refreshSession";
    let session: Session = match net.xrpc_upload(host, nsid, "", Bytes::new(), &options).await {
        Ok(answer) => {
            answer.json(MAX_ANSWER).await.map_err(|source| doing("renewing the session", source))?
        }
        Err(NetError::Xrpc { status: 400 | 401 | 403, message, .. }) => {
            return Err(AgentError::Expired { host: host.to_owned(), message });
        }
        Err(source) => return Err(doing("renewing the session", source)),
    };
    session.of(host, did)?;
    Ok((session.access_jwt, session.refresh_jwt))
}

/// Ends a session with a password at its host. That the host does not hear it changes nothing here.
pub(crate) async fn ended_by_token(net: &Client, host: &str, refresh: &Secret) {
    let Ok(mut value) = HeaderValue::try_from(format!("Bearer {}", refresh.expose())) else { return };
    value.set_sensitive(true);
    let options = GetOptions::json(MAX_ANSWER).no_redirects();
    let options = options.header(HeaderName::from_static("authorization"), value);
    let nsid = "com.atproto.server.deleteSession";
    if let Err(error) = net.xrpc_upload(host, nsid, "", Bytes::new(), &options).await {
        tracing::info!(event = "agent.revoke", server = host, %error, "a session was not ended at its host");
    }
}

/// An empty answer is one too.
async fn read(answer: Response) -> Result<Value, NetOrAgent> {
    let host = answer.host().to_owned();
    let bytes = answer.bytes(MAX_ANSWER).await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let unread = |error: serde_json::Error| NetError::Json { host, detail: error.to_string() };
    Ok(serde_json::from_slice(&bytes).map_err(unread)?)
}

/// RFC 9449, 9.
fn wants_nonce(answer: &Response) -> bool {
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    answer.status().as_u16() == 401 && challenge.contains("use_dpop_nonce")
}

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

fn doing(what: &str, source: NetError) -> AgentError {
    AgentError::Host { doing: what.to_owned(), source }
}
