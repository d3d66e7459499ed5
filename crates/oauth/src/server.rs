//! The authorization server: what its parts share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt as _, stream};
use p2pds_net::Client as Net;
use p2pds_store::hosting::{HostingUnit, OAuthApplied, OAuthUnit};
use p2pds_store::{Applied, CHUNK_ROWS, Store, Unit};
use p2pds_syntax::Did;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::client::{Clients, NO_KEYS};
use crate::error::OAuthError;
use crate::nonce::{MOST_REMEMBERED, Nonces, Used};
use crate::port::AccountPort;

pub(crate) const MICROS: i64 = 1_000_000;
/// How long a pushed request waits for its person, and how long he may look at one page of it, microseconds.
pub const REQUEST_LASTS: i64 = 5 * 60 * MICROS;
/// How long a request lasts in all, however often it is looked at, microseconds.
pub const REQUEST_LASTS_AT_MOST: i64 = 3_600 * MICROS;
/// How long a code is good, microseconds (RFC 6749 4.1.2 recommends ten minutes at most).
pub const CODE_LASTS: i64 = 60 * MICROS;
/// How long an access token is good, seconds.
pub const ACCESS_SECONDS: u64 = 15 * 60;
/// How long a PKCE challenge may not be used again, microseconds.
pub const CHALLENGE_LASTS: i64 = 24 * 3_600 * MICROS;
/// The longest that a session of a public client lasts, microseconds.
pub const PUBLIC_LASTS: i64 = 14 * 24 * 3_600 * MICROS;
/// The longest that a session of a confidential client lasts, microseconds.
pub const CONFIDENTIAL_LASTS: i64 = 2 * 365 * 24 * 3_600 * MICROS;
/// How long a refresh token of a confidential client is good, microseconds.
pub const CONFIDENTIAL_REFRESH: i64 = 90 * 24 * 3_600 * MICROS;
/// Most requests that wait to be granted: the oldest that nobody has opened make room for new ones.
pub const MOST_REQUESTS: u64 = 100_000;

/// Where the time is read: microseconds since 1970. Tests hand in their own.
pub trait Clock: Send + Sync + 'static {
    /// Microseconds since 1970.
    fn now_micros(&self) -> i64;
}

impl<F: Fn() -> i64 + Send + Sync + 'static> Clock for F {
    fn now_micros(&self) -> i64 {
        self()
    }
}

/// What the server stands on.
pub struct OAuthDeps {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The outbound client, for clients' documents.
    pub net: Net,
    /// The accounts.
    pub accounts: Arc<dyn AccountPort>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What access tokens are signed with.
    pub token_key: Zeroizing<Vec<u8>>,
    /// What nonces are made from: new at each start.
    pub nonce_secret: [u8; 32],
}

/// How it is set up.
#[derive(Debug, Clone)]
pub struct OAuthConfig {
    /// The host's public URL, without a slash at its end.
    pub issuer: String,
    /// The host's own DID, for which access tokens are.
    pub service_did: Did,
    /// Whether documents of clients may stand on this machine. For development and tests.
    pub dev_mode: bool,
}

/// The authorization server. Cheap to clone.
#[derive(Clone)]
pub struct OAuth(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) accounts: Arc<dyn AccountPort>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) token_key: Zeroizing<Vec<u8>>,
    pub(crate) config: OAuthConfig,
    pub(crate) clients: Clients,
    pub(crate) nonces: Nonces,
    /// Proofs that were used.
    pub(crate) proofs: Used,
    /// Assertions and request objects that were used.
    pub(crate) statements: Used,
    /// Most requests that wait.
    pub(crate) most_requests: AtomicU64,
}

impl std::fmt::Debug for OAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OAuth").field("issuer", &self.0.config.issuer).finish_non_exhaustive()
    }
}

impl OAuth {
    /// A server on these parts.
    #[must_use]
    pub fn new(deps: OAuthDeps, config: OAuthConfig) -> Self {
        let clients = Clients::new(deps.net, config.dev_mode);
        Self(Arc::new(Inner {
            store: deps.store,
            accounts: deps.accounts,
            clock: deps.clock,
            token_key: deps.token_key,
            clients,
            nonces: Nonces::new(deps.nonce_secret),
            proofs: Used::new(MOST_REMEMBERED),
            statements: Used::new(MOST_REMEMBERED),
            most_requests: AtomicU64::new(MOST_REQUESTS),
            config,
        }))
    }

    /// Lets fewer requests wait than [`MOST_REQUESTS`]. For tests.
    pub fn set_most_requests(&self, most: u64) {
        self.0.most_requests.store(most, Ordering::Relaxed);
    }

    /// The address by which this server is known.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.config.issuer
    }

    /// The nonce that goes out with every answer now.
    #[must_use]
    pub fn nonce(&self) -> String {
        self.0.nonces.current(self.seconds())
    }

    pub(crate) fn now(&self) -> i64 {
        self.0.clock.now_micros()
    }

    pub(crate) fn seconds(&self) -> u64 {
        u64::try_from(self.now().div_euclid(MICROS)).unwrap_or(0)
    }

    pub(crate) async fn apply(&self, unit: OAuthUnit) -> Result<OAuthApplied, OAuthError> {
        match self.0.store.apply(Unit::Hosting(Box::new(HostingUnit::OAuth(unit)))).await? {
            Applied::OAuth(applied) => Ok(applied),
            _ => Err(OAuthError::Unavailable("the store answered something else".to_owned())),
        }
    }

    /// `/.well-known/oauth-authorization-server` (RFC 8414).
    #[must_use]
    pub fn metadata(&self) -> Value {
        let issuer = self.issuer();
        json!({
            "issuer": issuer,
            "scopes_supported": ["atproto", "transition:email", "transition:generic", "transition:chat.bsky"],
            "subject_types_supported": ["public"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "ui_locales_supported": ["en", "de"],
            "display_values_supported": ["page", "popup", "touch"],
            "prompt_values_supported": ["none", "login", "consent", "select_account", "create"],
            "request_object_signing_alg_values_supported": ALGORITHMS,
            "authorization_response_iss_parameter_supported": true,
            "request_object_encryption_alg_values_supported": [],
            "request_object_encryption_enc_values_supported": [],
            "request_parameter_supported": true,
            "request_uri_parameter_supported": true,
            "require_request_uri_registration": true,
            "jwks_uri": format!("{issuer}/oauth/jwks"),
            "authorization_endpoint": format!("{issuer}/oauth/authorize"),
            "token_endpoint": format!("{issuer}/oauth/token"),
            "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "revocation_endpoint": format!("{issuer}/oauth/revoke"),
            "pushed_authorization_request_endpoint": format!("{issuer}/oauth/par"),
            "require_pushed_authorization_requests": true,
            "dpop_signing_alg_values_supported": ALGORITHMS,
            "protected_resources": [issuer],
            "client_id_metadata_document_supported": true,
        })
    }

    /// `/.well-known/oauth-protected-resource` (RFC 9728).
    #[must_use]
    pub fn resource_metadata(&self) -> Value {
        json!({
            "resource": self.issuer(),
            "authorization_servers": [self.issuer()],
            "scopes_supported": [],
            "bearer_methods_supported": ["header"],
            "resource_documentation": "https://atproto.com",
        })
    }

    /// `/oauth/jwks`: empty, for access tokens are this host's own business.
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({ "keys": [] })
    }

    /// Forgets all that is over, in small units between which others have their turn. For a job that runs now and then;
    /// may be stopped anywhere.
    ///
    /// # Errors
    /// The store.
    pub async fn forget(&self) -> Result<(), OAuthError> {
        let now = self.now();
        let unit = OAuthUnit::ForgetOAuth {
            at: now,
            unseen: now.saturating_sub(BROWSER_KEPT),
            empty: now.saturating_sub(EMPTY_KEPT),
        };
        // It ends: what is over at this moment does not become more.
        while let OAuthApplied::Gone(gone) = self.apply(unit.clone()).await? {
            if gone < CHUNK_ROWS as u64 {
                break;
            }
        }
        Ok(())
    }

    /// Looks whether clients still publish the keys that their sessions began with, and ends the sessions of those that
    /// they do not. For a job that runs now and then; may be stopped anywhere. It takes as long as clients take to answer.
    ///
    /// # Errors
    /// The store.
    pub async fn look_for_keys(&self) -> Result<(), OAuthError> {
        let mut after = String::new();
        loop {
            let page = self.0.store.oauth_keyed_clients(&after, 100).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(last);
            let mut asked = stream::iter(page)
                .map(|id| async move {
                    // One that cannot be asked now is asked next time.
                    let _ = self.client(&id).await;
                })
                .buffer_unordered(ASKED_AT_ONCE);
            while asked.next().await.is_some() {}
        }
    }

    /// A client. When its document was fetched just now, sessions that began with keys which it no longer has end; with
    /// the last of its keys all of them.
    pub(crate) async fn client(&self, id: &str) -> Result<Arc<crate::client::Client>, OAuthError> {
        let got = self.0.clients.get(id, self.now()).await;
        if let Err(OAuthError::ClientKeys(NO_KEYS)) = &got {
            self.drop_keys(id, Vec::new()).await?;
        }
        let (client, fetched) = got?;
        if fetched {
            self.drop_keys(id, client.keys.iter().map(p2pds_crypto::jwk::Jwk::thumbprint).collect()).await?;
        }
        Ok(client)
    }

    /// Ends the sessions of a client that began with other keys than these.
    async fn drop_keys(&self, id: &str, keep: Vec<String>) -> Result<(), OAuthError> {
        if let OAuthApplied::Gone(1..) =
            self.apply(OAuthUnit::DropKeys { client: id.to_owned(), keep }).await?
        {
            tracing::info!(
                event = "oauth.keys-gone",
                client = id,
                "a client withdrew a key: its sessions were ended"
            );
        }
        Ok(())
    }
}

/// How long a browser is remembered that does not come back, microseconds.
const BROWSER_KEPT: i64 = 90 * 24 * 3_600 * MICROS;
/// The same for one in which nobody is signed in: anybody can make one.
const EMPTY_KEPT: i64 = 3_600 * MICROS;
/// Clients that are asked for their keys at a time: one that does not answer takes its ten seconds.
const ASKED_AT_ONCE: usize = 8;
/// Algorithms of everything that clients sign.
const ALGORITHMS: [&str; 2] = ["ES256", "ES256K"];
