//! Reading marks of subjects.

use async_trait::async_trait;
use p2pds_store::hosting::LinkStore;
use p2pds_store::{RepoId, StoreResult};
use p2pds_syntax::RecordPath;

use crate::SqliteStore;
use crate::read::hosting::links;

#[async_trait]
impl LinkStore for SqliteStore {
    async fn linked(
        &self,
        repo: RepoId,
        collection: &str,
        target: [u8; 16],
        limit: usize,
    ) -> StoreResult<Vec<RecordPath>> {
        let collection = collection.to_owned();
        self.read("read marks", move |c| links::linked(c, repo, &collection, target, limit)).await
    }
}
