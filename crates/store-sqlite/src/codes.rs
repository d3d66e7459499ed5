//! How the model's types are written in columns.

use p2pds_ipld::{Cid, Codec};
use p2pds_store::{AccountStatus, EventKind, Keep, Kind, Origin, Role, Serve, StoreError, VerifiedState};
use p2pds_syntax::Tid;

/// A CID in a column: 32 digest bytes for the usual codec of that column, else all 36.
pub(crate) struct CidBytes {
    bytes: [u8; 36],
    from: usize,
}

impl CidBytes {
    /// The column's bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(self.from..).unwrap_or_default()
    }
}

impl rusqlite::ToSql for CidBytes {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(self.as_slice().into())
    }
}

/// A record's, node's or commit's CID for a column.
pub(crate) fn cid(cid: &Cid) -> CidBytes {
    let usual = matches!(cid.codec(), Codec::DagCbor);
    CidBytes { bytes: cid.to_bytes(), from: if usual { 4 } else { 0 } }
}

/// A blob's CID for a column.
pub(crate) fn blob_cid(cid: &Cid) -> CidBytes {
    let usual = matches!(cid.codec(), Codec::Raw);
    CidBytes { bytes: cid.to_bytes(), from: if usual { 4 } else { 0 } }
}

fn read(bytes: &[u8], usual: Codec) -> Result<Cid, StoreError> {
    if let Ok(digest) = <[u8; 32]>::try_from(bytes) {
        return Ok(Cid::new(usual, digest));
    }
    Cid::from_bytes(bytes).map_err(|e| StoreError::Damaged(format!("a stored CID: {e}")))
}

/// Reads what [`cid`] wrote.
pub(crate) fn read_cid(bytes: &[u8]) -> Result<Cid, StoreError> {
    read(bytes, Codec::DagCbor)
}

/// Reads what [`blob_cid`] wrote.
pub(crate) fn read_blob_cid(bytes: &[u8]) -> Result<Cid, StoreError> {
    read(bytes, Codec::Raw)
}

/// A rev for a column; its order is kept because TIDs leave the top bit free.
pub(crate) fn tid(rev: Tid) -> i64 {
    i64::try_from(rev.as_u64()).unwrap_or(i64::MAX)
}

/// Reads what [`tid`] wrote.
pub(crate) fn read_tid(value: i64) -> Result<Tid, StoreError> {
    u64::try_from(value)
        .ok()
        .and_then(|v| Tid::from_u64(v).ok())
        .ok_or_else(|| StoreError::Damaged(format!("a stored rev ({value})")))
}

/// A counter for a column.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Reads what [`int`] wrote.
pub(crate) fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Whose rows in `past` are those of one line of an account's history: the account itself for
/// line 0, a number that no account has for the others.
pub(crate) fn past_owner(account: i64, line: i64) -> i64 {
    if line == 0 { account } else { past_owners(account).0.saturating_add(line) }
}

/// The numbers of all lines of an account but the first: from the one, up to the other.
pub(crate) fn past_owners(account: i64) -> (i64, i64) {
    const LINES: i64 = 1 << 24;
    let first = account.saturating_mul(LINES).saturating_neg();
    (first, first.saturating_add(LINES - 1))
}

/// A length as a counter.
pub(crate) fn len(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

macro_rules! code {
    ($write:ident, $read:ident, $type:ty, $what:literal, [$($variant:ident),+ $(,)?]) => {
        #[doc = concat!("The number of ", $what, " in a column.")]
        pub(crate) fn $write(value: $type) -> i64 {
            const ALL: &[$type] = &[$(<$type>::$variant),+];
            ALL.iter().position(|v| *v == value).and_then(|p| i64::try_from(p).ok()).unwrap_or(-1)
        }
        #[doc = concat!("Reads ", $what, " from a column.")]
        pub(crate) fn $read(value: i64) -> Result<$type, StoreError> {
            const ALL: &[$type] = &[$(<$type>::$variant),+];
            usize::try_from(value)
                .ok()
                .and_then(|p| ALL.get(p).copied())
                .ok_or_else(|| StoreError::Damaged(format!(concat!($what, " with number {}"), value)))
        }
    };
}

code!(kind, read_kind, Kind, "a kind of repo", [Mst, Space]);
code!(role, read_role, Role, "a role of a repo", [Hosted, Archived, Staging, Replaced, Evidence]);
code!(origin, read_origin, Origin, "an origin", [Network, File]);
code!(verified, read_verified, VerifiedState, "a proof state", [Nothing, Verified, Unverified, Verbatim]);
code!(keep, read_keep, Keep, "a retention", [Window, All]);
code!(event_kind, read_event_kind, EventKind, "a kind of event", [Commit, Sync, Identity, Account]);
code!(serve, read_serve, Serve, "an audience", [Nobody, Peers, Public]);
code!(
    status,
    read_status,
    AccountStatus,
    "an account status",
    [Active, Deactivated, Takendown, Suspended, Deleted, Desynchronized, Throttled, Unreachable]
);
