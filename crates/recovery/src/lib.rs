//! *Owns*: giving an archived account back: the export directory and its manifest, the text on how to restore, and the
//! drill that proves an export from the archive alone.
//! *Speaks*: the `reading` door for bytes, files, [`p2pds_archive::Progress`] and serializable reports.
//! *Knows nothing about*: the network, SQL, command lines.
//! *Start reading at*: [`Recovery`], then `export.rs`, `stranger.rs` and `drill.rs`; [`restore_text`] is what people will
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

mod drill;
mod error;
mod export;
mod folder;
mod manifest;
mod names;
mod pds;
mod promote;
mod report;
mod restore_text;
mod stranger;

use p2pds_archive::Archive;

pub use error::{RecoveryError, RecoveryResult};
pub use export::ExportOptions;
pub use manifest::{
    FORMAT, MANIFEST, Manifest, ManifestBlob, ManifestCollection, ManifestFile, ManifestHead, MissingBlob,
    Readable, SUMS,
};
pub use names::{collection_dir, rkey_file};
pub use pds::{PdsAccount, PdsOutcome, PdsReport};
pub use promote::{Keeper, NoKey, OldHost, Plan, PromoteOptions, Promoted, Registry, RotationKey};
pub use report::{DrillReport, DrillStep, ExportReport};
pub use restore_text::{RestoreFacts, restore_text};
pub use stranger::{Inspection, inspect};

/// Exports and drills of what an archive holds. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recovery {
    archive: Archive,
}

impl Recovery {
    /// For this archive.
    #[must_use]
    pub fn new(archive: Archive) -> Self {
        Self { archive }
    }

    pub(crate) fn archive(&self) -> &Archive {
        &self.archive
    }
}
