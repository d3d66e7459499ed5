//! What the archive remembers of an account: every head it has seen, and the state at each that was not pruned.
//!
//! A state is rebuilt from rows: those of the current repo and those that were superseded, each with the revisions
//! between which it lived. That this gives what was signed is not believed but proved, by building the tree from the
//! records alone and comparing it with the root in the commit of that time (`prove.rs`). Revisions that were never seen
//! leave gaps: between two heads that were seen, only what changed from the one to the other is known.

mod accept;
mod asof;
mod browse;
mod diff;
mod list;
mod prove;
mod put_back;
mod record;
mod retain;

use p2pds_reading::{Past, Reading, Refusal, Viewer};
use p2pds_store::CommitRow;
use p2pds_syntax::Did;

pub use asof::At;
pub use browse::{Browse, Browsed, Glance};
pub use list::HistoryQuery;
pub use retain::{Retained, Withdrawal};

use crate::archive::Archive;
use crate::error::ArchiveResult;
use crate::progress::Progress;
use crate::show::from_refusal;

impl Archive {
    /// The only door to stored bytes, as the operator goes through it.
    pub(crate) fn door(&self) -> Reading {
        Reading::new(self.store().clone(), self.blobs().clone())
    }

    /// The state at a head that was seen. What an earlier fetch left half folded is finished first.
    pub(crate) async fn past(&self, did: &Did, row: &CommitRow) -> ArchiveResult<Past> {
        let door = self.door();
        match door.past(Viewer::Operator, did, row).await {
            // Of accounts hosted here the host folds away what was replaced.
            Err(Refusal::Folding(_)) if !self.inner().account(did).await?.hosted => {
                let _guard = self.inner().locks().enter(did).await;
                self.inner().tidy(did, &Progress::none()).await?;
                door.past(Viewer::Operator, did, row).await.map_err(from_refusal)
            }
            other => other.map_err(from_refusal),
        }
    }
}
