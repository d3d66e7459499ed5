//! Whose node this is: the code that claims it, its owner, who is signed in to its pages, and the node's own sessions
//! at hosts of others. Codes and cookies by their digests only; tokens of others sealed by whoever keeps them here.

use async_trait::async_trait;
use p2pds_syntax::Did;

use crate::StoreResult;

/// The code that makes whoever has it the claimant of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimRow {
    /// SHA-256 of the code.
    pub code: [u8; 32],
    /// Whether it also ends the rights of the owner that the node has.
    pub again: bool,
    /// When it was made, microseconds since 1970.
    pub created_at: i64,
}

/// The owner of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerRow {
    /// Their account.
    pub did: Did,
    /// Since when, microseconds since 1970.
    pub since: i64,
}

/// Somebody who is signed in to the pages of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSessionRow {
    /// SHA-256 of the cookie.
    pub token: [u8; 32],
    /// The owner; `None`: whoever claimed the node and has not signed in yet.
    pub did: Option<Did>,
    /// When it began, microseconds since 1970.
    pub created_at: i64,
    /// When it was last used, to about a minute.
    pub used_at: i64,
    /// When it ends if it is not used before.
    pub ends_at: i64,
    /// Address that it was last used from.
    pub address: String,
    /// Browser that it began in, as that calls itself.
    pub agent: String,
}

/// A session of this node at the host of an account.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentSessionRow {
    /// The account.
    pub did: Did,
    /// Counts up with each change; whoever changes it says which it read.
    pub version: u32,
    /// `oauth` or `password`.
    pub kind: String,
    /// Its host, `https://pds.example`.
    pub host: String,
    /// What was granted, as the host wrote it; empty for passwords.
    pub scope: String,
    /// Tokens and keys, sealed.
    pub sealed: Vec<u8>,
    /// When it began, microseconds since 1970.
    pub created_at: i64,
    /// When it was last renewed.
    pub updated_at: i64,
}

impl std::fmt::Debug for AgentSessionRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentSessionRow")
            .field("did", &self.did)
            .field("version", &self.version)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// Changes of who owns the node and who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerUnit {
    /// Puts a code in place of the one before.
    PutClaim(ClaimRow),
    /// Takes a code: it is gone, all sessions end, the owner too if the code was made for that, and the claimant's
    /// session begins. Answers [`OwnerApplied::Yes`], or `No` when it is not the code (nothing happens then).
    TakeClaim {
        /// SHA-256 of the code.
        code: [u8; 32],
        /// The claimant's session.
        session: WebSessionRow,
    },
    /// Begins a session of the account in it: the node's owner, or, if `from` is the session of a claimant and there is
    /// no owner, whoever it is becomes the owner. The session `from` ends. Answers [`OwnerApplied::Yes`], or `No` when the
    /// account is neither (nothing happens then).
    SignIn {
        /// SHA-256 of the cookie before.
        from: Option<[u8; 32]>,
        /// The new session; its `did` is set.
        session: WebSessionRow,
    },
    /// Notes that a session was used.
    TouchSession {
        /// Which.
        token: [u8; 32],
        /// When.
        at: i64,
        /// When it ends from now on.
        ends_at: i64,
        /// From where.
        address: String,
    },
    /// Ends sessions.
    DropSessions(DropSessions),
    /// Stores a session at a host, in place of the one with the version before (`row.version - 1`; 0: of none). Answers
    /// [`OwnerApplied::Yes`], or `No` when another stands there.
    PutAgent(AgentSessionRow),
    /// Forgets the session at the host of an account.
    DropAgent {
        /// The account.
        did: Did,
    },
    /// Notes that a rotation key is the owner's.
    PutOwnKey {
        /// The account.
        did: Did,
        /// The public half, as did:key.
        key: String,
        /// When that was said, microseconds since 1970.
        at: i64,
    },
    /// Takes that back.
    DropOwnKey {
        /// The account.
        did: Did,
        /// The public half, as did:key.
        key: String,
    },
}

/// Which sessions end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropSessions {
    /// This one.
    One([u8; 32]),
    /// All but this one.
    AllBut([u8; 32]),
    /// All.
    All,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerApplied {
    /// It was done.
    Yes,
    /// It was not, and nothing changed.
    No,
}

impl OwnerUnit {
    /// The account whose queue it waits in.
    #[must_use]
    pub fn did(&self) -> Option<&Did> {
        match self {
            Self::PutAgent(row) => Some(&row.did),
            Self::DropAgent { did } | Self::PutOwnKey { did, .. } | Self::DropOwnKey { did, .. } => Some(did),
            _ => None,
        }
    }

    /// Whether it is tried on a full disk: all of it is small, and whoever has to look after a full disk has to get in.
    #[must_use]
    pub fn frees(&self) -> bool {
        true
    }
}

/// Reading who owns the node.
#[async_trait]
pub trait OwnerStore: Send + Sync + 'static {
    /// The code that claims the node.
    async fn claim(&self) -> StoreResult<Option<ClaimRow>>;
    /// The owner.
    async fn owner(&self) -> StoreResult<Option<OwnerRow>>;
    /// The session with this cookie, if it has not ended at `now`.
    async fn web_session(&self, token: [u8; 32], now: i64) -> StoreResult<Option<WebSessionRow>>;
    /// All that have not ended, the last used first.
    async fn web_sessions(&self, now: i64, limit: usize) -> StoreResult<Vec<WebSessionRow>>;
    /// The session at the host of an account.
    async fn agent_session(&self, did: &Did) -> StoreResult<Option<AgentSessionRow>>;
    /// All of them by account.
    async fn agent_sessions(&self, limit: usize) -> StoreResult<Vec<AgentSessionRow>>;
    /// The rotation keys of an account that its owner said are his, in order.
    async fn own_keys(&self, did: &Did) -> StoreResult<Vec<String>>;
}
