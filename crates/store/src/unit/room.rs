//! Which units are tried on a full disk.

use super::{BucketUpdate, Unit};
use crate::EventKind;

impl Unit {
    /// Whether the unit frees space, or must be known even then (an account's status decides
    /// whether it is served), so that it is tried on a full disk as well.
    #[must_use]
    pub fn frees(&self) -> bool {
        match self {
            Self::Batch { units, .. } => {
                // The commit without changes over a repo that goes back to the archive, and the note of that, come with the
                // end of its login, so once. Alone they do not count: a host that sends one such commit after the other
                // would use up what is reserved.
                let given_up = units.iter().any(|unit| matches!(unit, Self::DropLogin { .. }));
                units.iter().all(|unit| unit.frees() || (given_up && unit.is_small()))
            }
            Self::Hosting(unit) => unit.frees(),
            // Subscribers must hear it.
            Self::Emit(event) => matches!(event.kind, EventKind::Account | EventKind::Identity),
            _ => self.frees_alone(),
        }
    }

    /// Whether it is a commit without changes, or a row.
    fn is_small(&self) -> bool {
        match self {
            Self::PutWorker(_) => true,
            Self::ApplyCommit { changes, buckets: BucketUpdate::Planned(buckets), .. } => {
                changes.is_empty() && buckets.is_empty()
            }
            _ => false,
        }
    }

    fn frees_alone(&self) -> bool {
        matches!(
            self,
            Self::PatchAccount { .. }
                | Self::SetRole { .. }
                | Self::PatchLogin { .. }
                | Self::DropLogin { .. }
                | Self::PruneEvents { .. }
                | Self::EraseEvents { .. }
                | Self::DropRepo { .. }
                | Self::Prune { .. }
                | Self::DropBlob { .. }
                | Self::DropWorker { .. }
                | Self::ResolveFindings { .. }
                | Self::PurgeBegin { .. }
                | Self::PurgeChunk { .. }
                | Self::PurgeEnd { .. }
        )
    }
}
