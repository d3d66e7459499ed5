//! A copy of the whole database while it is in use.

use std::path::Path;

use async_trait::async_trait;
use p2pds_ipld::Cid;
use p2pds_syntax::Did;

use crate::StoreResult;

/// A copy that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopiedDatabase {
    /// Size of the copy in bytes.
    pub bytes: u64,
}

/// A blob whose bytes belong to a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedBlob {
    /// Its account.
    pub did: Did,
    /// Its CID.
    pub cid: Cid,
    /// Its size in bytes.
    pub size: u64,
}

/// Copying.
#[async_trait]
pub trait CopyStore: Send + Sync + 'static {
    /// Copies the database to a new file: one state, later than this call, with all that was durable then. Writing
    /// and reading go on meanwhile. The file is whole and durable when this returns.
    ///
    /// # Errors
    /// The file exists already, or cannot be written; [`crate::StoreError::Closed`] when the store closes meanwhile.
    async fn copy_database(&self, to: &Path) -> StoreResult<CopiedDatabase>;
    /// Blobs that are here as a copy says, withheld and temporary ones too, by account and CID, beginning after
    /// `after`.
    ///
    /// # Errors
    /// The copy cannot be read.
    async fn copied_blobs(
        &self,
        copy: &Path,
        after: Option<&CopiedBlob>,
        limit: usize,
    ) -> StoreResult<Vec<CopiedBlob>>;
}
