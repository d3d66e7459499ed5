//! Sums of blobs.

use async_trait::async_trait;
use p2pds_store::StoreResult;
use p2pds_store::hosting::{BlobTotals, BlobsStore};
use p2pds_syntax::Did;

use crate::SqliteStore;
use crate::read::blobs;

#[async_trait]
impl BlobsStore for SqliteStore {
    async fn blob_totals(&self, did: &Did) -> StoreResult<BlobTotals> {
        let did = did.clone();
        self.read("sum blobs", move |c| blobs::totals(c, &did)).await
    }
}
