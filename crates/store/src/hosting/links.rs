//! Marks of subjects: which records of a repo are about the same thing, so that a newer one can take the place of an
//! older one.

use async_trait::async_trait;
use p2pds_syntax::{Did, RecordPath};

use crate::{CHUNK_ROWS, RepoId, StoreError, StoreResult};

/// The mark of one record's subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// The record.
    pub path: RecordPath,
    /// Its subject, hashed by the caller.
    pub target: [u8; 16],
}

/// A change of the marks of one repo, which may be a staged one; they go with the repo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinksUnit {
    /// The account.
    pub did: Did,
    /// The repo.
    pub repo: RepoId,
    /// Records with their marks from now on; at most [`CHUNK_ROWS`] with `gone`.
    pub put: Vec<LinkRow>,
    /// Records that have none any more.
    pub gone: Vec<RecordPath>,
}

impl LinksUnit {
    /// Checks the unit by itself.
    ///
    /// # Errors
    /// [`StoreError::InvalidUnit`] when it is too large.
    pub fn check(&self) -> StoreResult<()> {
        let rows = self.put.len().saturating_add(self.gone.len());
        if rows > CHUNK_ROWS {
            return Err(StoreError::InvalidUnit(format!("{rows} marks, at most {CHUNK_ROWS}")));
        }
        Ok(())
    }
}

/// Reading marks.
#[async_trait]
pub trait LinkStore: Send + Sync + 'static {
    /// Records of a collection with this mark, in the order of their keys. They may be gone from the repo, or say
    /// something else by now: look there.
    async fn linked(
        &self,
        repo: RepoId,
        collection: &str,
        target: [u8; 16],
        limit: usize,
    ) -> StoreResult<Vec<RecordPath>>;
}
