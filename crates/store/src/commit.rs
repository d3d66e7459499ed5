//! Commits rebuilt from their stored fields.

use p2pds_ipld::Cid;
use p2pds_repo::commit::Commit;
use p2pds_syntax::{Did, Tid};

use crate::{Head, StoreResult};

/// The commit that a stored head stands for.
#[must_use]
pub fn commit_of(did: &Did, head: &Head) -> Commit {
    Commit { did: did.clone(), rev: head.rev, data: head.data, sig: head.sig, raw: head.raw.clone() }
}

/// CID of the usual commit with these fields.
///
/// # Errors
/// None today; a commit of a later version may need more than these fields.
pub fn commit_cid(did: &Did, rev: Tid, data: &Cid, sig: &[u8; 64]) -> StoreResult<Cid> {
    Ok(Commit { did: did.clone(), rev, data: *data, sig: *sig, raw: None }.cid())
}
