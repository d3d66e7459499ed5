//! A copy of the whole database while it is in use.

use std::path::Path;

use async_trait::async_trait;

use crate::StoreResult;

/// A copy that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopiedDatabase {
    /// Size of the copy in bytes.
    pub bytes: u64,
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
}
