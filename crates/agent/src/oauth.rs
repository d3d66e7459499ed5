//! Signing in at any host of AT Protocol, and the sessions that come of it.
//!
//! [`Agents::begin`] finds the account's authorization server, pushes a request to it and says where to send the person;
//! [`Agents::finish`] takes the answer and changes it into tokens. Whom the server names is believed only if that account's
//! own identity leads to the same server. Tokens and the key that they are bound to are sealed in the store;
//! [`Agents::agent`] opens them. Renewals of one session happen one at a time.
//!
//! `us.rs`: who we are; `server.rs`: who they are; `dpop.rs`: proofs and nonces; `pending.rs`: what is under way.
//!
//! Spec: <https://atproto.com/specs/oauth>.

mod dpop;
mod error;
mod pending;
mod server;
mod stored;
mod us;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use p2pds_crypto::pkce;
use p2pds_directory::Directory;
use p2pds_net::Client;
use p2pds_store::hosting::{AgentSessionRow, OwnerUnit};
use p2pds_store::{HostingUnit, Store, Unit};
use p2pds_syntax::{AtIdentifier, Did};
use url::form_urlencoded::Serializer;

use crate::Secret;
use crate::seal::Seal;
use crate::session::{Agent, ended_by_token};
use dpop::{Form, Nonces};
use pending::{Flow, Pending};
use server::Server;

pub(crate) use dpop::{header_name, proof};
pub use error::SignInError;
pub(crate) use stored::Held;
pub use us::{CALLBACK_PATH, METADATA_PATH, Need, PUBLISHED, Us};

/// The time, microseconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What [`Agents`] stand on.
pub struct AgentsDeps {
    /// The outbound client.
    pub net: Client,
    /// Who accounts are.
    pub directory: Arc<Directory>,
    /// Where sessions are kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Clock,
    /// What seals them.
    pub seal: Seal,
    /// Who this node is to servers.
    pub us: Us,
}

/// The sessions of this node at hosts of accounts. Cheap to clone.
#[derive(Clone)]
pub struct Agents(Arc<Inner>);

pub(crate) struct Inner {
    deps: AgentsDeps,
    nonces: Nonces,
    pending: Pending,
    locks: Mutex<HashMap<Did, Arc<tokio::sync::Mutex<()>>>>,
}

impl std::fmt::Debug for Agents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agents").field("us", &self.0.deps.us).finish_non_exhaustive()
    }
}

/// A sign-in that somebody wants to begin.
#[derive(Debug, Clone)]
pub struct Begin<'a> {
    /// Handle, DID or address of a host, as typed.
    pub who: &'a str,
    /// What for.
    pub need: Need,
    /// SHA-256 of what the browser holds, and must show again at the end.
    pub browser: [u8; 32],
    /// The port of this machine that the browser asks; `None` when it asks a public address.
    pub local: Option<u16>,
}

/// A sign-in that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Where to send the person.
    pub url: String,
    /// The server that asks for the password there.
    pub server: String,
    /// The account, unless an address was typed.
    pub did: Option<Did>,
}

/// What a server sent the person back with.
#[derive(Debug, Clone, Default)]
pub struct Callback<'a> {
    /// What the request was begun with.
    pub state: Option<&'a str>,
    /// Who answers.
    pub iss: Option<&'a str>,
    /// The code, if it went well.
    pub code: Option<&'a str>,
    /// The error, if it did not.
    pub error: Option<&'a str>,
    /// More about it.
    pub error_description: Option<&'a str>,
}

/// Somebody who proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The account.
    pub did: Did,
    /// Its handle, if it holds both ways.
    pub handle: Option<String>,
    /// Its host.
    pub host: String,
    /// What was granted; empty with a password.
    pub scope: String,
}

/// Somebody who proved who they are, with the session that came of it.
#[derive(Debug)]
#[must_use = "the session is kept or discarded"]
pub struct Proved {
    /// Who it is.
    pub who: SignedIn,
    held: Held,
}

impl Agents {
    /// Sessions on these parts.
    #[must_use]
    pub fn new(deps: AgentsDeps) -> Self {
        Self(Arc::new(Inner {
            deps,
            nonces: Nonces::default(),
            pending: Pending::default(),
            locks: Mutex::default(),
        }))
    }

    /// Who this node is to servers.
    #[must_use]
    pub fn us(&self) -> &Us {
        &self.0.deps.us
    }

    pub(crate) fn net(&self) -> &Client {
        &self.0.deps.net
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.deps.clock
    }

    pub(crate) fn nonces(&self) -> &Nonces {
        &self.0.nonces
    }

    fn now(&self) -> i64 {
        (self.0.deps.clock)()
    }

    /// Begins a sign-in.
    ///
    /// # Errors
    /// The account or its server cannot be found, does not keep the rules, or refuses.
    pub async fn begin(&self, ask: &Begin<'_>) -> Result<Begun, SignInError> {
        let (server, expect, hint) = self.server_of(ask.who).await?;
        // Who only shows who he is asks for nothing else; a right more is asked for with those that are there.
        let granted = match &expect {
            Some(did) if ask.need != Need::SignIn => self.granted(did, &server).await?,
            _ => String::new(),
        };
        let scope = us::merged(&granted, &ask.need.scopes());
        let us = self.us();
        let (client_id, redirect_uri) = (us.client_id(ask.local, &scope)?, us.callback(ask.local)?);
        let (key, state, verifier) = (dpop::new_key()?, dpop::random()?, dpop::random()?);
        let challenge = pkce::challenge_s256(&verifier);
        let mut fields = vec![
            ("client_id", client_id.as_str()),
            ("response_type", "code"),
            ("redirect_uri", &redirect_uri),
            ("scope", &scope),
            ("state", &state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if let Some(hint) = &hint {
            fields.push(("login_hint", hint));
        }
        let doing = "the request to sign in";
        let answer = self.form(&server.issuer, &key).post(doing, &server.par, &fields).await?;
        let request_uri = answer.get("request_uri").and_then(serde_json::Value::as_str);
        let request_uri = request_uri.filter(|uri| (1..=500).contains(&uri.len())).ok_or_else(|| {
            let what = "it has no request_uri".to_owned();
            SignInError::Answer { server: server.issuer.clone(), doing, what }
        })?;
        let query = Serializer::new(String::new())
            .append_pair("client_id", &client_id)
            .append_pair("request_uri", request_uri)
            .finish();
        let joint = if server.authorize.contains('?') { '&' } else { '?' };
        let url = format!("{}{joint}{query}", server.authorize);
        let begun = Begun { url, server: server.issuer.clone(), did: expect.clone() };
        let flow = Flow {
            server,
            expect,
            key,
            verifier: Secret::new(&verifier),
            client_id,
            redirect_uri,
            scope,
            browser: ask.browser,
            begun_at: self.now(),
        };
        self.0.pending.begin(&state, flow)?;
        Ok(begun)
    }

    /// Ends a sign-in with the server's answer. What is done with the session is the caller's to say:
    /// [`Agents::keep`] or [`Agents::discard`].
    ///
    /// # Errors
    /// The answer is not that of the server that was asked, not for this browser, or not for the account's owner; or it
    /// is a refusal. Nothing is changed then.
    pub async fn finish(&self, back: &Callback<'_>, browser: [u8; 32]) -> Result<Proved, SignInError> {
        let state = back.state.ok_or(SignInError::UnknownState)?;
        let flow = self.0.pending.take(state, browser, self.now())?;
        let issuer = &flow.server.issuer;
        // Before anything of the answer is used: who is it from? (RFC 9207)
        let iss = back.iss.unwrap_or_default();
        if iss != issuer {
            let got = if iss.is_empty() { "nobody".to_owned() } else { error::plain(iss, 100) };
            return Err(SignInError::Issuer { wanted: issuer.clone(), got });
        }
        match (back.error, back.code) {
            (Some("access_denied"), _) => Err(SignInError::Declined { server: issuer.clone() }),
            (Some(error), _) => Err(SignInError::Refused {
                server: issuer.clone(),
                doing: "to sign in",
                error: error::plain(error, 100),
                message: error::plain(back.error_description.unwrap_or_default(), 300),
            }),
            (None, Some(code)) => self.redeem(&flow, code).await,
            (None, None) => {
                let what = "neither a code nor an error".to_owned();
                Err(SignInError::Answer { server: issuer.clone(), doing: "the sign-in", what })
            }
        }
    }

    async fn redeem(&self, flow: &Flow, code: &str) -> Result<Proved, SignInError> {
        let issuer = &flow.server.issuer;
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", flow.client_id.as_str()),
            ("redirect_uri", &flow.redirect_uri),
            ("code", code),
            ("code_verifier", flow.verifier.expose()),
        ];
        let form = self.form(issuer, &flow.key);
        let answer = form.post("the code", &flow.server.token, &fields).await?;
        let mut held = Held::read(issuer, &answer, self.now())?;
        held.token_endpoint.clone_from(&flow.server.token);
        held.revocation_endpoint.clone_from(&flow.server.revoke);
        held.client_id.clone_from(&flow.client_id);
        held.set_key(&flow.key);
        match self.checked(flow, &held).await {
            Ok(who) => Ok(Proved { who, held }),
            Err(error) => {
                // Whoever it is for: it is not wanted here.
                self.end_at_server(&held).await;
                Err(error)
            }
        }
    }

    /// Whether the account is who was named, and the server is the one that may vouch for it.
    async fn checked(&self, flow: &Flow, held: &Held) -> Result<SignedIn, SignInError> {
        let server = flow.server.issuer.clone();
        let did = held.did.clone();
        if let Some(wanted) = flow.expect.as_ref().filter(|wanted| **wanted != did) {
            return Err(SignInError::Subject { server, wanted: wanted.clone(), got: did });
        }
        if !us::covers(&held.scope, "atproto") {
            let what = "\"atproto\" was not granted".to_owned();
            return Err(SignInError::Answer { server, doing: "the code", what });
        }
        if !us::covers(&flow.scope, &held.scope) {
            let what = "it granted more than was asked for".to_owned();
            return Err(SignInError::Answer { server, doing: "the code", what });
        }
        let identity = match self.0.deps.directory.refresh(&did).await {
            Ok(identity) => identity,
            Err(_) => self.0.deps.directory.resolve(&AtIdentifier::Did(did.clone())).await?,
        };
        let host = identity.pds.clone().ok_or_else(|| SignInError::NoHost { did: did.clone() })?;
        let at = server::issuer_of(self.net(), &host).await?;
        if at != server {
            return Err(SignInError::NotItsAccount { server, did, at });
        }
        let handle = identity.handle.verified().map(ToString::to_string);
        Ok(SignedIn { did, handle, host, scope: held.scope.clone() })
    }

    /// Ends the session that a sign-in brought: whoever it was only had to show who they are.
    pub async fn discard(&self, proved: Proved) {
        self.end_at_server(&proved.held).await;
    }

    /// Keeps the session that a sign-in brought, in place of the one before; if that one may do more, the new one ends
    /// instead. A session with a password does not replace one by OAuth.
    ///
    /// # Errors
    /// The store fails.
    pub async fn keep(&self, proved: Proved) -> Result<(), SignInError> {
        let Proved { who, held } = proved;
        let lock = self.lock(&who.did);
        let _alone = lock.lock().await;
        let before = match self.stored(&who.did).await {
            Ok(before) => before,
            // One that cannot be opened any more is replaced.
            Err(SignInError::Seal(_)) => None,
            Err(error) => return Err(error),
        };
        if let Some((row, old)) = before {
            let more = us::covers(&row.scope, &held.scope) && row.scope != held.scope;
            if row.host == who.host && old.is_oauth() && (more || !held.is_oauth()) {
                self.end_at_server(&held).await;
                return Ok(());
            }
            self.end_at_server(&old).await;
        }
        self.put(&who.did, &who.host, 0, &held, self.now()).await?;
        Ok(())
    }

    /// Signs in with an app password, for hosts without OAuth. The password itself is kept nowhere.
    ///
    /// # Errors
    /// The account cannot be found, or its host does not take the password.
    pub async fn sign_in_with_password(&self, who: &str, password: &Secret) -> Result<Proved, SignInError> {
        let (did, handle, host) = self.account(who).await?;
        let agent = Agent::login(self.net().clone(), &host, &did, password).await?;
        let held = agent.password_tokens();
        Ok(Proved { who: SignedIn { did, handle, host, scope: String::new() }, held })
    }

    /// What this node may do for an account: the scopes that were granted, or `None` without a session. A password may
    /// do everything, and is an empty text.
    ///
    /// # Errors
    /// The store fails.
    pub async fn scope(&self, did: &Did) -> Result<Option<String>, SignInError> {
        Ok(self.0.deps.store.agent_session(did).await?.map(|row| row.scope))
    }

    /// The accounts with a session here.
    ///
    /// # Errors
    /// The store fails.
    pub async fn sessions(&self) -> Result<Vec<AgentSessionRow>, SignInError> {
        Ok(self.0.deps.store.agent_sessions(1_000).await?)
    }

    /// Whether a session is there that is good for this.
    ///
    /// # Errors
    /// The store fails.
    pub async fn may(&self, did: &Did, need: &Need) -> Result<bool, SignInError> {
        Ok(match self.0.deps.store.agent_session(did).await? {
            None => false,
            // App passwords write records; identities they do not change.
            Some(row) if row.kind == stored::PASSWORD => *need != Need::Identity,
            Some(row) => us::covers(&row.scope, &need.scopes().join(" ")),
        })
    }

    /// The session at the host of an account, to act with; `None` without one.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn agent(&self, did: &Did) -> Result<Option<Agent>, SignInError> {
        Ok(self.stored(did).await?.map(|(row, held)| Agent::of_stored(self.clone(), row, held)))
    }

    /// Ends the session at the host of an account, there and here.
    ///
    /// # Errors
    /// The store fails. That the host cannot be reached is none: it forgets the session in time.
    pub async fn sign_out(&self, did: &Did) -> Result<(), SignInError> {
        let lock = self.lock(did);
        let _alone = lock.lock().await;
        if let Ok(Some((_, held))) = self.stored(did).await {
            self.end_at_server(&held).await;
        }
        self.apply(OwnerUnit::DropAgent { did: did.clone() }).await
    }

    /// The account that somebody means, without a look at its server.
    ///
    /// # Errors
    /// It cannot be found.
    pub async fn did_of(&self, who: &str) -> Result<Did, SignInError> {
        Ok(self.account(who).await?.0)
    }

    /// The document about this client; `None` without a public address. `collections` as in [`Us::metadata`].
    #[must_use]
    pub fn metadata(&self, collections: &[String]) -> Option<serde_json::Value> {
        self.us().metadata(collections)
    }

    /// Server, account if one was named, and what to show in the form there.
    async fn server_of(&self, who: &str) -> Result<(Server, Option<Did>, Option<String>), SignInError> {
        let typed = who.trim();
        if let Some(address) = address(typed) {
            return Ok((server::at_address(self.net(), &address).await?, None, None));
        }
        let (did, handle, host) = self.account(typed).await?;
        let server = server::of_host(self.net(), &host).await?;
        let hint = handle.unwrap_or_else(|| did.to_string());
        Ok((server, Some(did), Some(hint)))
    }

    /// DID, handle and host of an account.
    async fn account(&self, who: &str) -> Result<(Did, Option<String>, String), SignInError> {
        let typed = who.trim().trim_start_matches("at://").trim_start_matches('@').trim_end_matches('/');
        let id = AtIdentifier::parse(typed)
            .map_err(|source| SignInError::NotAnAccount { typed: error::plain(typed, 100), source })?;
        let identity = self.0.deps.directory.resolve(&id).await?;
        let did = identity.did.clone();
        let host = identity.pds.clone().ok_or_else(|| SignInError::NoHost { did: did.clone() })?;
        Ok((did, identity.handle.verified().map(ToString::to_string), host))
    }

    /// What the session that is there was granted, if it is of this server.
    async fn granted(&self, did: &Did, server: &Server) -> Result<String, SignInError> {
        Ok(match self.stored(did).await {
            Ok(Some((row, held))) if held.issuer == server.issuer => row.scope,
            Ok(_) | Err(SignInError::Seal(_)) => String::new(),
            Err(error) => return Err(error),
        })
    }

    fn form<'a>(&'a self, server: &'a str, key: &'a p2pds_crypto::PrivateKey) -> Form<'a> {
        Form { net: self.net(), nonces: &self.0.nonces, clock: self.clock(), server, key }
    }

    /// Tells a server that a session is over. That it does not hear it changes nothing here.
    async fn end_at_server(&self, held: &Held) {
        let Some(key) = held.key() else {
            if let Some(refresh) = &held.refresh {
                ended_by_token(self.net(), &held.issuer, refresh).await;
            }
            return;
        };
        let (Some(endpoint), Some(token)) = (&held.revocation_endpoint, held.refresh.as_ref()) else {
            return;
        };
        let fields = [("token", token.expose()), ("client_id", held.client_id.as_str())];
        let told = self.form(&held.issuer, &key).post("to end a session", endpoint, &fields).await;
        if let Err(error) = told {
            tracing::info!(event = "agent.revoke", server = %held.issuer, %error, "a session was not ended at its server");
        }
    }

    fn lock(&self, did: &Did) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(locks.entry(did.clone()).or_default())
    }

    async fn apply(&self, unit: OwnerUnit) -> Result<(), SignInError> {
        self.0.deps.store.apply(Unit::Hosting(Box::new(HostingUnit::Owner(unit)))).await?;
        Ok(())
    }
}

/// The address that somebody typed, in its one form, if it is one.
fn address(typed: &str) -> Option<String> {
    (typed.starts_with("https://") || typed.starts_with("http://")).then(|| server::origin(typed))?
}
