//! The account as it is stored: identity facts, freshness, counters, switches.

use p2pds_syntax::{Did, Tid};

/// The account's state at its host, as last heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AccountStatus {
    /// Usable.
    #[default]
    Active,
    /// Switched off by its owner.
    Deactivated,
    /// Taken down by its host.
    Takendown,
    /// Suspended by its host.
    Suspended,
    /// Deleted at its host.
    Deleted,
    /// The host says that it has lost the repo or is out of step.
    Desynchronized,
    /// The host throttles the account.
    Throttled,
    /// The host does not know the account or cannot be reached.
    Unreachable,
}

impl AccountStatus {
    /// All states, in the order of their stored numbers.
    pub const ALL: [Self; 8] = [
        Self::Active,
        Self::Deactivated,
        Self::Takendown,
        Self::Suspended,
        Self::Deleted,
        Self::Desynchronized,
        Self::Throttled,
        Self::Unreachable,
    ];

    /// The protocol's word (`com.atproto.sync.getRepoStatus`), or ours for `unreachable`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deactivated => "deactivated",
            Self::Takendown => "takendown",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
            Self::Desynchronized => "desynchronized",
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
        }
    }

    /// The inverse of [`as_str`](Self::as_str); `None` for a word that is not known.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

/// Where an archived account's data comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Origin {
    /// Fetched from its host.
    #[default]
    Network,
    /// Imported from a file.
    File,
}

/// How far the stored head has been proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum VerifiedState {
    /// Nothing is stored yet.
    #[default]
    Nothing,
    /// Signature by a key that the DID's log names, tree and records proved.
    Verified,
    /// Tree and records are consistent, but no PLC log or document vouches for the key.
    Unverified,
    /// Signature valid, tree or shape not reproducible: kept verbatim as a file, not served.
    Verbatim,
}

/// To whom the account's data is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Serve {
    /// To nobody but the operator.
    #[default]
    Nobody,
    /// To peers that the operator chose.
    Peers,
    /// To everybody.
    Public,
}

/// How much of an account's history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Keep {
    /// The current state, and for a while what it replaced.
    #[default]
    Window,
    /// Every revision that was seen.
    All,
}

impl Keep {
    /// The operator's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::All => "all",
        }
    }
}

/// One stored account. Times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its DID.
    pub did: Did,
    /// The handle that resolved both ways last, as text.
    pub handle: Option<String>,
    /// The host's URL as last seen in the DID document.
    pub pds: Option<String>,
    /// State at the host.
    pub status: AccountStatus,
    /// Where its data comes from.
    pub origin: Origin,
    /// How far the stored head is proved.
    pub verified: VerifiedState,
    /// To whom it is served.
    pub serve: Serve,
    /// The recorded reason for serving (invariant 13).
    pub serve_basis: Option<String>,
    /// When it was added.
    pub added_at: i64,
    /// When the last successful sync ended.
    pub last_sync_at: Option<i64>,
    /// When a sync was last tried.
    pub last_attempt_at: Option<i64>,
    /// Why the last try failed, in plain words; `None` after a success.
    pub last_sync_error: Option<String>,
    /// When `verify` last ended.
    pub last_verified_at: Option<i64>,
    /// Whether it found everything in order.
    pub last_verify_ok: Option<bool>,
    /// Rev of the live head; kept by the store.
    pub rev: Option<Tid>,
    /// Records in the live repo; kept by the store.
    pub records: u64,
    /// Bytes of the live repo's record bodies before compression; kept by the store.
    pub record_bytes: u64,
    /// Size of the last CAR fetched or imported, as the caller reported it.
    pub car_bytes: u64,
    /// Blobs held; kept by the store.
    pub blobs_held: u64,
    /// Blobs referenced and missing; kept by the store.
    pub blobs_missing: u64,
    /// Bytes of the blobs held; kept by the store.
    pub blob_bytes: u64,
    /// Set when the operator paused syncing.
    pub paused: bool,
    /// Limit on stored bytes for this account; `None` for the node's default.
    pub quota: Option<u64>,
    /// Set while a purge runs; only purge units are accepted then.
    pub purging: bool,
    /// Order of work among accounts: 0 is normal, higher comes sooner, lower later.
    pub priority: i32,
    /// How much of its history is kept.
    pub keep: Keep,
    /// Why its data is kept after it was deleted at its source.
    pub keep_basis: Option<String>,
    /// Since when it is deleted at its source; kept by the store, see [`AccountPatch::status_at`].
    pub withdrawn_at: Option<i64>,
    /// States before this rev were pruned; kept by the store.
    pub horizon: Option<Tid>,
    /// Whether it is hosted here, that is, has a [`crate::Login`]; kept by the store.
    pub hosted: bool,
}

impl Account {
    /// A new account with nothing stored yet.
    #[must_use]
    pub fn new(did: Did, origin: Origin, added_at: i64) -> Self {
        Self {
            did,
            handle: None,
            pds: None,
            status: AccountStatus::Active,
            origin,
            verified: VerifiedState::Nothing,
            serve: Serve::Nobody,
            serve_basis: None,
            added_at,
            last_sync_at: None,
            last_attempt_at: None,
            last_sync_error: None,
            last_verified_at: None,
            last_verify_ok: None,
            rev: None,
            records: 0,
            record_bytes: 0,
            car_bytes: 0,
            blobs_held: 0,
            blobs_missing: 0,
            blob_bytes: 0,
            paused: false,
            quota: None,
            purging: false,
            priority: 0,
            keep: Keep::Window,
            keep_basis: None,
            withdrawn_at: None,
            horizon: None,
            hosted: false,
        }
    }
}

/// A partial update of an account: only what is `Some` changes. In the doubled options
/// `Some(None)` clears the value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountPatch {
    /// New handle.
    pub handle: Option<Option<String>>,
    /// New host.
    pub pds: Option<Option<String>>,
    /// New status.
    pub status: Option<AccountStatus>,
    /// When the status was heard. With it an account that is deleted gets its `withdrawn_at`,
    /// unless it has one; any other status clears that.
    pub status_at: Option<i64>,
    /// New origin.
    pub origin: Option<Origin>,
    /// New proof state.
    pub verified: Option<VerifiedState>,
    /// New audience.
    pub serve: Option<Serve>,
    /// New basis for serving.
    pub serve_basis: Option<Option<String>>,
    /// End of a successful sync.
    pub last_sync_at: Option<Option<i64>>,
    /// Last try.
    pub last_attempt_at: Option<Option<i64>>,
    /// Last sync error.
    pub last_sync_error: Option<Option<String>>,
    /// End of the last verification.
    pub last_verified_at: Option<Option<i64>>,
    /// Its outcome.
    pub last_verify_ok: Option<Option<bool>>,
    /// Size of the last CAR.
    pub car_bytes: Option<u64>,
    /// Pause switch.
    pub paused: Option<bool>,
    /// Quota in bytes.
    pub quota: Option<Option<u64>>,
    /// New place in the order of work.
    pub priority: Option<i32>,
    /// New retention of history.
    pub keep: Option<Keep>,
    /// New basis for keeping.
    pub keep_basis: Option<Option<String>>,
}

impl AccountPatch {
    /// Applies the patch to `account` (the model's and the adapters' one definition of it).
    pub fn apply(self, account: &mut Account) {
        fn set<T>(to: &mut T, from: Option<T>) {
            if let Some(value) = from {
                *to = value;
            }
        }
        set(&mut account.handle, self.handle);
        set(&mut account.pds, self.pds);
        set(&mut account.status, self.status);
        set(&mut account.origin, self.origin);
        set(&mut account.verified, self.verified);
        set(&mut account.serve, self.serve);
        set(&mut account.serve_basis, self.serve_basis);
        set(&mut account.last_sync_at, self.last_sync_at);
        set(&mut account.last_attempt_at, self.last_attempt_at);
        set(&mut account.last_sync_error, self.last_sync_error);
        set(&mut account.last_verified_at, self.last_verified_at);
        set(&mut account.last_verify_ok, self.last_verify_ok);
        set(&mut account.car_bytes, self.car_bytes);
        set(&mut account.paused, self.paused);
        set(&mut account.quota, self.quota);
        set(&mut account.priority, self.priority);
        set(&mut account.keep, self.keep);
        set(&mut account.keep_basis, self.keep_basis);
        account.withdrawn_at = match account.status {
            AccountStatus::Deleted => account.withdrawn_at.or(self.status_at),
            _ => None,
        };
    }
}
