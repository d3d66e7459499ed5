//! Who looks at a page, and whether a request may do what it asks.
//!
//! A fresh node belongs to nobody. It prints an address with a one-time code ([`Door::claim_address`]); whoever opens it
//! and presses the button is the claimant, and the first account that signs in from there is the owner. Nobody owns a
//! node without that code, not even from this machine: a reverse proxy and every page in a browser are this machine too.
//!
//! `place.rs`: under which name a request came, and from which page. `guard.rs`: what is looked at before every page.
//! `code.rs`: the code. `declared.rs`: what the document about this node as a client says. `limits.rs`: how often strangers
//! may try. The pages themselves are `pages/claim.rs`,
//! `pages/sign_in.rs` and `pages/sessions.rs`.

mod code;
mod declared;
mod guard;
mod leaving;
mod limits;
mod place;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use data_encoding::BASE64URL_NOPAD;
use p2pds_agent::Agents;
use p2pds_store::hosting::{ClaimRow, DropSessions, OwnerApplied, OwnerUnit, WebSessionRow};
use p2pds_store::{Applied, HostingUnit, Store, StoreError, Unit};
use p2pds_syntax::Did;
use sha2::{Digest as _, Sha256};

use declared::Declared;
pub(crate) use guard::{Seen, guard};
pub(crate) use leaving::{Leaving, Purpose, own_path};
use limits::Limits;
pub(crate) use limits::Try;
use place::Names;
pub use place::VisitorAddress;

/// How long a session lasts that is not used, microseconds.
const LASTS: i64 = 30 * 86_400 * 1_000_000;
/// The same, seconds: what browsers are told.
const LASTS_SECONDS: i64 = 30 * 86_400;
/// A use is noted when the last one was so long ago, microseconds.
const NOTED_EVERY: i64 = 60 * 1_000_000;

/// What the door stands on.
pub struct DoorDeps {
    /// Where owner and sessions are kept.
    pub store: Arc<dyn Store>,
    /// Signing in at hosts.
    pub agents: Agents,
    /// The time, microseconds since 1970.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Settings.
    pub config: DoorConfig,
}

/// Settings of the door.
#[derive(Debug, Clone, Default)]
pub struct DoorConfig {
    /// The public name of the node, lower case.
    pub hostname: Option<String>,
    /// Its public address, `https://node.example`.
    pub public_url: Option<String>,
    /// The port that it listens on.
    pub port: u16,
}

/// The door of the pages. Cheap to clone.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    deps: DoorDeps,
    names: Names,
    limits: Limits,
    leaving: leaving::Leavers,
    declared: Declared,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("config", &self.0.deps.config).finish_non_exhaustive()
    }
}

/// As whom somebody looks at the pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A stranger.
    Nobody,
    /// Whoever typed in the one-time code, before anybody signed in.
    Claimant,
    /// The owner of the node.
    Owner(Did),
}

/// Who looks, and the token that his forms carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// As whom.
    pub who: Who,
    /// The handle to call him by, when he signed in.
    pub name: Option<String>,
    /// The token of his forms; empty for strangers on pages without forms for them.
    pub csrf: String,
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    /// As the guard saw it; where it did not look, nobody is anybody.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let stranger = || Self { who: Who::Nobody, name: None, csrf: String::new() };
        Ok(parts.extensions.get::<Arc<Seen>>().map_or_else(stranger, |seen| seen.visitor()))
    }
}

impl Door {
    /// A door on these parts.
    #[must_use]
    pub fn new(deps: DoorDeps) -> Self {
        let names = Names::of(&deps.config);
        Self(Arc::new(Inner {
            deps,
            names,
            limits: Limits::default(),
            leaving: leaving::Leavers::default(),
            declared: Declared::default(),
        }))
    }

    /// Signing in at hosts.
    #[must_use]
    pub fn agents(&self) -> &Agents {
        &self.0.deps.agents
    }

    /// The port that the node listens on.
    pub(crate) fn port(&self) -> u16 {
        self.config().port
    }

    /// Whether a code waits to be used.
    pub(crate) async fn may_be_claimed(&self) -> Result<bool, StoreError> {
        Ok(self.store().claim().await?.is_some())
    }

    fn config(&self) -> &DoorConfig {
        &self.0.deps.config
    }

    fn store(&self) -> &Arc<dyn Store> {
        &self.0.deps.store
    }

    pub(crate) fn now(&self) -> i64 {
        (self.0.deps.clock)()
    }

    /// The owner of the node.
    ///
    /// # Errors
    /// The store fails.
    pub async fn owner(&self) -> Result<Option<Did>, StoreError> {
        Ok(self.store().owner().await?.map(|owner| owner.did))
    }

    /// A new address to claim the node with, which makes the one before worthless. `None` when the node has an owner:
    /// only `again` makes one then, and taking that ends the rights of the owner and all sessions.
    ///
    /// # Errors
    /// The store fails, or there is no entropy.
    pub async fn claim_address(&self, again: bool) -> Result<Option<String>, StoreError> {
        let config = self.config();
        let base = config.public_url.clone().unwrap_or_else(|| format!("http://127.0.0.1:{}", config.port));
        claim_address(self.store().as_ref(), &base, again, self.now()).await
    }

    /// Takes a code: whether it was the one. The session begins with that, and every other ends.
    pub(crate) async fn take(&self, code: &str, session: WebSessionRow) -> Result<bool, StoreError> {
        let Some(code) = code::digest(code) else { return Ok(false) };
        self.owner_unit(OwnerUnit::TakeClaim { code, session }).await
    }

    /// Begins a session of an account that proved who it is; `false` if the node is somebody else's.
    pub(crate) async fn sign_in(
        &self,
        from: Option<[u8; 32]>,
        session: WebSessionRow,
    ) -> Result<bool, StoreError> {
        self.owner_unit(OwnerUnit::SignIn { from, session }).await
    }

    /// Ends sessions.
    pub(crate) async fn sign_out(&self, which: DropSessions) -> Result<(), StoreError> {
        self.owner_unit(OwnerUnit::DropSessions(which)).await.map(drop)
    }

    /// Sessions that go on, the last used first.
    pub(crate) async fn sessions(&self) -> Result<Vec<WebSessionRow>, StoreError> {
        self.store().web_sessions(self.now(), 1_000).await
    }

    /// What an account is called here.
    pub(crate) async fn name_of(&self, did: &Did) -> String {
        let known = self.store().identity(did).await.ok().flatten().and_then(|row| row.handle);
        known.unwrap_or_else(|| did.to_string())
    }

    /// Collections that the owner may put a record back into: those of his account, of those whose host let this node in,
    /// and of those whose host is being asked to. What else is archived here is nobody's business. Read at most once in a
    /// minute, for everybody may ask.
    pub(crate) async fn collections(&self) -> Vec<String> {
        let now = self.now();
        if let Some(collections) = self.0.declared.read(now) {
            return collections;
        }
        let asked = self.0.declared.asked_for(now);
        let mut accounts = asked.clone();
        accounts.extend(self.owner().await.ok().flatten());
        let sessions = self.store().agent_sessions(1_000).await.unwrap_or_default();
        accounts.extend(sessions.into_iter().map(|session| session.did));
        accounts.sort_unstable();
        accounts.dedup();
        let rows = self.store().lexicons(&accounts).await.unwrap_or_default();
        // A document of more is read by nobody.
        let collections: Vec<String> = rows.into_iter().map(|row| row.collection).take(1_000).collect();
        self.0.declared.keep(now, &asked, collections.clone());
        collections
    }

    /// The host of an account is asked for a right: the document that it reads about this node names its collections.
    pub(crate) fn declare(&self, did: &Did) {
        self.0.declared.ask_for(did.clone(), self.now());
    }

    pub(crate) fn leavers(&self) -> &leaving::Leavers {
        &self.0.leaving
    }

    /// How often strangers may try what, and how often one was turned away.
    #[must_use]
    pub fn limits(&self) -> Vec<crate::node_side::LimitNote> {
        self.0.limits.notes()
    }

    /// Whether one more try may be made from an address; it is counted.
    pub(crate) fn may_try(&self, what: Try, address: IpAddr) -> Result<(), u64> {
        self.0.limits.take(what, address, self.now())
    }

    async fn owner_unit(&self, unit: OwnerUnit) -> Result<bool, StoreError> {
        owner_unit(self.store().as_ref(), unit).await
    }
}

async fn owner_unit(store: &dyn Store, unit: OwnerUnit) -> Result<bool, StoreError> {
    let applied = store.apply(Unit::Hosting(Box::new(HostingUnit::Owner(unit)))).await?;
    Ok(applied == Applied::Owner(OwnerApplied::Yes))
}

/// [`Door::claim_address`] for a command that finds no node running.
///
/// # Errors
/// The store fails, or there is no entropy.
pub async fn claim_address(
    store: &dyn Store,
    base: &str,
    again: bool,
    now: i64,
) -> Result<Option<String>, StoreError> {
    if !again && store.owner().await?.is_some() {
        return Ok(None);
    }
    let code = code::new().map_err(no_entropy)?;
    let Some(digest) = code::digest(&code) else {
        return Err(no_entropy("a code that was made is none".to_owned()));
    };
    owner_unit(store, OwnerUnit::PutClaim(ClaimRow { code: digest, again, created_at: now })).await?;
    Ok(Some(format!("{}/claim?code={code}", base.trim_end_matches('/'))))
}

fn no_entropy(cause: String) -> StoreError {
    StoreError::Backend { doing: "get random numbers from the system", cause }
}

/// A cookie that nobody can guess.
pub(crate) fn new_cookie() -> Result<String, StoreError> {
    let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|error| no_entropy(error.to_string()))?;
    Ok(BASE64URL_NOPAD.encode(bytes.as_slice()))
}

/// What is stored of a cookie.
pub(crate) fn digest(cookie: &str) -> [u8; 32] {
    Sha256::digest(cookie.as_bytes()).into()
}

/// Something that follows from a cookie and does not lead back to it.
fn derived(purpose: &str, cookie: &str) -> [u8; 32] {
    Sha256::digest([purpose.as_bytes(), b"\0", cookie.as_bytes()].concat()).into()
}
