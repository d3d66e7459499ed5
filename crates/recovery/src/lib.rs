//! *Owns*: giving an archived account back: the export directory and its manifest, the text on how to restore, and the
//! drill that proves an export from the archive alone.
//! *Speaks*: the `reading` door for bytes, files, [`p2pds_archive::Progress`] and serializable reports.
//! *Knows nothing about*: the network, SQL, command lines.
//! *Start reading at*: `export.rs`, then `drill.rs`; [`restore_text`] is what people will read in an emergency.

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

mod manifest;
mod names;
mod report;
mod restore_text;

pub use manifest::{
    FORMAT, MANIFEST, Manifest, ManifestBlob, ManifestCollection, ManifestFile, ManifestHead, MissingBlob,
    Readable, SUMS,
};
pub use names::{collection_dir, rkey_file};
pub use report::{DrillReport, DrillStep, ExportReport};
pub use restore_text::{RestoreFacts, restore_text};
