//! What is done to a unit before it waits for the writer: checks by itself, and compression.
//!
//! This runs on the submitting thread, about 1.2 µs for a small record, so that the writer only
//! writes.

use p2pds_ipld::Cid;
use p2pds_store::{BlobRef, BucketUpdate, Head, HostingUnit, RepoId, Seen, StoreResult, Unit};
use p2pds_syntax::{Did, RecordPath, Tid};

use crate::body::pack;

/// A block ready to be stored.
#[derive(Debug)]
pub(crate) struct Packed {
    /// CID of the block.
    pub(crate) cid: Cid,
    /// Form byte and block; `None` when the source has lost it.
    pub(crate) bytes: Option<Vec<u8>>,
    /// Size of the block.
    pub(crate) size: usize,
    /// Blobs that it names.
    pub(crate) blobs: Vec<BlobRef>,
}

impl Packed {
    fn new(cid: Cid, body: Option<Vec<u8>>, blobs: Vec<BlobRef>) -> StoreResult<Self> {
        let size = body.as_ref().map_or(0, Vec::len);
        let bytes = body.as_deref().map(pack).transpose()?;
        Ok(Self { cid, bytes, size, blobs })
    }
}

/// A change with its new version packed.
#[derive(Debug)]
pub(crate) struct PackedChange {
    pub(crate) key: RecordPath,
    pub(crate) old: Option<Cid>,
    pub(crate) new: Option<Packed>,
}

/// A commit with its bodies packed.
#[derive(Debug)]
pub(crate) struct PackedCommit {
    pub(crate) did: Did,
    pub(crate) expect: Tid,
    pub(crate) head: Box<Head>,
    pub(crate) changes: Vec<PackedChange>,
    pub(crate) buckets: BucketUpdate,
    pub(crate) seen: Seen,
}

/// A unit as the writer takes it.
#[derive(Debug)]
pub(crate) enum Prepared {
    /// `Unit::StageRecords`.
    Stage { did: Did, repo: RepoId, rows: Vec<(RecordPath, Packed)> },
    /// `Unit::ApplyCommit`.
    Commit(PackedCommit),
    /// `Unit::RepairRecord`.
    Repair { did: Did, repo: RepoId, key: RecordPath, packed: Packed },
    /// `Unit::Batch`, and whether all of it frees space.
    Batch { units: Vec<Prepared>, frees: bool },
    /// Everything else, as it came.
    Plain(Unit),
}

/// Rows from which on a unit is large.
const LARGE: usize = 100;

impl Prepared {
    /// Whether this is a piece of work on a whole repo, account or history: it takes milliseconds, and nobody waits for
    /// this piece alone.
    pub(crate) fn is_large(&self) -> bool {
        match self {
            Self::Stage { rows, .. } => rows.len() >= LARGE,
            Self::Plain(Unit::Hosting(unit)) => {
                matches!(&**unit, HostingUnit::Links(links) if links.put.len() >= LARGE)
            }
            Self::Plain(unit) => matches!(
                unit,
                Unit::StageBuckets { .. }
                    | Unit::DropRepo { .. }
                    | Unit::Prune { .. }
                    | Unit::PruneEvents { .. }
                    | Unit::EraseEvents { .. }
                    | Unit::PurgeChunk { .. }
            ),
            Self::Commit(_) | Self::Repair { .. } | Self::Batch { .. } => false,
        }
    }

    /// Whether the unit frees space; see [`Unit::frees`].
    pub(crate) fn frees(&self) -> bool {
        match self {
            Self::Plain(unit) => unit.frees(),
            Self::Batch { frees, .. } => *frees,
            Self::Stage { .. } | Self::Commit(_) | Self::Repair { .. } => false,
        }
    }
}

/// Checks and packs a unit.
pub(crate) fn prepare(unit: Unit) -> StoreResult<Prepared> {
    unit.check()?;
    pack_unit(unit)
}

fn pack_unit(unit: Unit) -> StoreResult<Prepared> {
    let frees = unit.frees();
    Ok(match unit {
        Unit::Batch { units, .. } => {
            Prepared::Batch { units: units.into_iter().map(pack_unit).collect::<StoreResult<_>>()?, frees }
        }
        Unit::StageRecords { did, repo, rows } => {
            let rows = rows
                .into_iter()
                .map(|row| Ok((row.key, Packed::new(row.cid, row.body, row.blobs)?)))
                .collect::<StoreResult<_>>()?;
            Prepared::Stage { did, repo, rows }
        }
        Unit::ApplyCommit { did, expect, head, changes, buckets, seen } => {
            let changes = changes
                .into_iter()
                .map(|change| {
                    let new = change.new.map(|v| Packed::new(v.cid, v.body, v.blobs)).transpose()?;
                    Ok(PackedChange { key: change.key, old: change.old, new })
                })
                .collect::<StoreResult<_>>()?;
            Prepared::Commit(PackedCommit { did, expect, head, changes, buckets, seen })
        }
        Unit::RepairRecord { did, repo, key, cid, body, blobs } => {
            Prepared::Repair { did, repo, key, packed: Packed::new(cid, Some(body), blobs)? }
        }
        other => Prepared::Plain(other),
    })
}
