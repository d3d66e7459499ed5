//! *Owns*: giving an archived account back: the export directory and its manifest, the text on how to restore, the
//! promotion that makes this node its host, the drill that proves both from the archive alone; and taking over the
//! accounts of another server.
//! *Speaks*: the `reading` door for bytes, files, [`p2pds_archive::Progress`] and serializable reports; units to the store
//! through the host.
//! *Knows nothing about*: HTTP, SQL, command lines.
//! *Start reading at*: [`Recovery`], then `export.rs`, `promote.rs` and `drill.rs`; [`restore_text`] is what people will
//! read in an emergency.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

mod backup;
mod drill;
mod error;
mod export;
mod folder;
mod manifest;
mod names;
mod offline;
mod pds;
mod promote;
mod report;
mod restore_text;
mod stranger;
mod taken;

use std::path::Path;
use std::sync::Arc;

use p2pds_archive::Archive;
use p2pds_store::{Store, StoreResult};

pub use backup::{
    BackupOptions, BackupReport, Opening, Passphrase, RESTORED, RestoreOptions, RestoreReport, Sealing,
    after_restore, before_all, is_half_restored, is_restored, restore,
};
pub use error::{RecoveryError, RecoveryResult};
pub use export::ExportOptions;
pub use manifest::{
    FORMAT, MANIFEST, Manifest, ManifestBlob, ManifestCollection, ManifestFile, ManifestHead, MissingBlob,
    Readable, SUMS,
};
pub use names::{collection_dir, rkey_file};
pub use pds::{PdsAccount, PdsOutcome, PdsReport};
pub use promote::{
    Choice, Keeper, NoKey, OldHost, Plan, PromoteOptions, Promoted, Registry, Remark, RotationKey,
};
pub use report::{DrillReport, DrillStep, ExportReport};
pub use restore_text::{RestoreFacts, restore_text};
pub use stranger::{Inspection, inspect};

/// Opens a new, empty store in a directory: drills work on one of their own.
pub type ScratchStore = Arc<dyn Fn(&Path) -> StoreResult<Arc<dyn Store>> + Send + Sync>;

/// Exports, drills and promotions of what an archive holds. Cheap to clone.
#[derive(Clone)]
pub struct Recovery {
    archive: Archive,
    scratch: Option<ScratchStore>,
}

impl std::fmt::Debug for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovery").field("archive", &self.archive).finish_non_exhaustive()
    }
}

impl Recovery {
    /// For this archive.
    #[must_use]
    pub fn new(archive: Archive) -> Self {
        Self { archive, scratch: None }
    }

    /// The same with stores for drills: a drill then promotes the account into a host of its own.
    #[must_use]
    pub fn with_scratch(self, scratch: ScratchStore) -> Self {
        Self { scratch: Some(scratch), ..self }
    }

    pub(crate) fn archive(&self) -> &Archive {
        &self.archive
    }
}
