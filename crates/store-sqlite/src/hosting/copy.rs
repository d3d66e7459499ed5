//! Copying the database.

use std::path::Path;

use async_trait::async_trait;
use p2pds_store::{CopiedBlob, CopiedDatabase, CopyStore, StoreResult};

use crate::SqliteStore;
use crate::fault::file;
use crate::queue::Chore;

#[async_trait]
impl CopyStore for SqliteStore {
    async fn copy_database(&self, to: &Path) -> StoreResult<CopiedDatabase> {
        let done = self.chore(Chore::Copy(to.to_owned())).await;
        let to = to.to_owned();
        // Flushing may take long; the writer has better things to do.
        let flushed = tokio::task::spawn_blocking(move || {
            done?;
            let copy = std::fs::File::open(&to).map_err(file("read the copy"))?;
            copy.sync_all().map_err(file("flush the copy"))?;
            Ok(copy.metadata().map_err(file("read the copy"))?.len())
        });
        let bytes = flushed.await.map_err(|e| p2pds_store::StoreError::Bug(e.to_string()))??;
        Ok(CopiedDatabase { bytes })
    }

    async fn copied_blobs(
        &self,
        copy: &Path,
        after: Option<&CopiedBlob>,
        limit: usize,
    ) -> StoreResult<Vec<CopiedBlob>> {
        let (copy, after) = (copy.to_owned(), after.cloned());
        let read = move || crate::copy::blobs(&copy, after.as_ref(), limit);
        let found = tokio::task::spawn_blocking(read).await;
        found
            .map_err(|e| p2pds_store::StoreError::Bug(e.to_string()))?
            .map_err(|fault| fault.into_store("read the copy"))
    }
}
