//! From what is asked for to what changes: the records that stand there now, swaps, duplicates, blobs.

use std::collections::HashSet;

use p2pds_ipld::Cid;
use p2pds_repo::mst::Op;
use p2pds_store::BlobState;
use p2pds_syntax::{ErrorKind, RecordPath};

use super::hot::{Hot, view_error};
use super::prepare::{Aim, Block, Prepared};
use super::{MAX_WRITES, Swap, WriteResult};
use crate::{Host, HostError, HostResult};

/// One record that changes.
pub(super) struct Changed<'p> {
    pub(super) path: RecordPath,
    pub(super) old: Option<Cid>,
    pub(super) new: Option<&'p Block>,
}

/// What a write comes to.
pub(super) struct Resolved<'p> {
    /// The tree's operations, in the order of `changes`.
    pub(super) ops: Vec<Op>,
    pub(super) changes: Vec<Changed<'p>>,
    pub(super) results: Vec<WriteResult>,
}

impl Host {
    /// Looks at what stands at the keys, and says what has to change.
    pub(super) async fn resolve<'p>(
        &self,
        hot: &mut Hot,
        prepared: &'p [Prepared],
        replace_duplicates: bool,
    ) -> HostResult<Resolved<'p>> {
        let duplicates = if replace_duplicates { self.duplicates(hot, prepared).await? } else { Vec::new() };
        let keys: Vec<&[u8]> = prepared
            .iter()
            .map(|write| write.path.as_bytes())
            .chain(duplicates.iter().map(RecordPath::as_bytes))
            .collect();
        hot.warm_up(self.store(), &keys).await?;
        let mut changes: Vec<Changed<'p>> = Vec::with_capacity(keys.len());
        // Links may be older than an import; only what still stands there is removed.
        for path in duplicates {
            if let Some(old) = hot.warm.get(&hot.spine, path.as_bytes()) {
                changes.push(Changed { path, old: Some(old), new: None });
            }
        }
        let mut results = Vec::with_capacity(prepared.len());
        for write in prepared {
            let old = hot.warm.get(&hot.spine, write.path.as_bytes());
            let change = decide(hot, write, old)?;
            let block = write.block.as_ref();
            results.push(WriteResult {
                path: write.path.clone(),
                cid: block.map(|block| block.cid),
                status: block.and_then(|block| block.status),
            });
            changes.extend(change);
        }
        if changes.len() > MAX_WRITES {
            return Err(HostError::invalid(format!(
                "Too many writes. Max: {MAX_WRITES}; with the duplicates that they replace there are {}",
                changes.len()
            )));
        }
        self.check_blobs(hot, &changes).await?;
        let ops = changes.iter().filter_map(op).collect();
        Ok(Resolved { ops, changes, results })
    }

    /// Checks that the blobs of new records are here and are what the records say. With the commit that names them the
    /// store holds them for good.
    async fn check_blobs(&self, hot: &Hot, changes: &[Changed<'_>]) -> HostResult<()> {
        let mut seen: HashSet<Cid> = HashSet::new();
        for blob in changes.iter().filter_map(|change| change.new).flat_map(|block| &block.blobs) {
            if !seen.insert(blob.cid) {
                continue;
            }
            let row = self.store().blob(hot.did(), &blob.cid).await?;
            let not_here = || {
                HostError::named(
                    "BlobNotFound",
                    format!("Could not find blob: {}; upload it to this account first", blob.cid),
                )
            };
            let row = row.ok_or_else(not_here)?;
            let temporary = match row.state {
                BlobState::Temporary { .. } => true,
                BlobState::Held => false,
                _ => return Err(not_here()),
            };
            // The type is what the first record said, or the upload; a later record may say it otherwise.
            if temporary && row.mime != blob.mime {
                let message = format!(
                    "Referenced Mimetype does not match stored blob. Expected: {}, Got: {}",
                    row.mime, blob.mime
                );
                return Err(HostError::named("InvalidMimeType", message));
            }
            if row.size != blob.size {
                let message = format!(
                    "Referenced Size does not match stored blob. Expected: {}, Got: {}",
                    row.size, blob.size
                );
                return Err(HostError::named("InvalidSize", message));
            }
        }
        Ok(())
    }
}

/// What has to change for one write; `None` when it stands there already.
fn decide<'p>(hot: &Hot, write: &'p Prepared, old: Option<Cid>) -> HostResult<Option<Changed<'p>>> {
    let uri = || format!("at://{}/{}", hot.did(), write.path);
    let new = write.block.as_ref();
    match (write.aim, old) {
        (Aim::Create, Some(_)) => {
            return Err(HostError::named(
                "RecordAlreadyExists",
                format!(
                    "Record already exists: {}; use another record key, or putRecord to replace it",
                    uri()
                ),
            ));
        }
        (Aim::Update, None) => {
            return Err(HostError::named(
                "RecordNotFound",
                format!("Could not locate record: {}; create it, or use putRecord", uri()),
            ));
        }
        // As the reference does: nothing to delete is no commit, whatever the swaps say.
        (Aim::Delete { missing_ok: true, .. }, None) => return Ok(None),
        (Aim::Delete { missing_ok: false, .. }, None) => {
            return Err(HostError::named(
                "RecordNotFound",
                format!("Could not locate record: {}; it is gone already", uri()),
            ));
        }
        _ => {}
    }
    let unchanged = matches!((old, new), (Some(old), Some(new)) if old == new.cid);
    match write.aim {
        // Likewise: a record that stands there as it is to be needs no swap.
        Aim::Put(_) | Aim::Update if unchanged => return Ok(None),
        Aim::Put(swap) => check_swap(swap, old)?,
        Aim::Delete { swap, .. } => check_swap(swap, old)?,
        Aim::Create | Aim::Update => {}
    }
    Ok(Some(Changed { path: write.path.clone(), old, new }))
}

fn check_swap(swap: Swap, old: Option<Cid>) -> HostResult<()> {
    let fits = match swap {
        Swap::Any => true,
        Swap::Absent => old.is_none(),
        Swap::Is(cid) => old == Some(cid),
    };
    if fits {
        return Ok(());
    }
    let found = old.map_or_else(|| "null".to_owned(), |cid| cid.to_string());
    Err(HostError::named("InvalidSwap", format!("Record was at {found}; read it again and repeat")))
}

fn op(change: &Changed<'_>) -> Option<Op> {
    let key = change.path.as_bytes();
    match (change.old, change.new) {
        (None, Some(new)) => Some(Op::create(key, new.cid)),
        (Some(old), Some(new)) => Some(Op::update(key, old, new.cid)),
        (Some(old), None) => Some(Op::delete(key, old)),
        (None, None) => None,
    }
}

/// Why a write that fits what is stored cannot be planned.
pub(super) fn plan_error(hot: &Hot, error: p2pds_store::view::ViewError) -> HostError {
    use p2pds_repo::bucket::PlanError;
    use p2pds_store::view::ViewError;
    match error {
        ViewError::Plan(error @ PlanError::TooWide { .. }) => HostError::new(
            ErrorKind::Invalid,
            "InvalidRequest",
            format!("{error}; use other record keys, best leave them out"),
        ),
        error => view_error(hot.did(), error),
    }
}
