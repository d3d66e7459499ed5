//! Listing hosted accounts.

use async_trait::async_trait;
use p2pds_store::StoreResult;
use p2pds_store::hosting::{HostedHead, ListingStore};
use p2pds_syntax::Did;

use crate::SqliteStore;
use crate::read::hosting::listing;

#[async_trait]
impl ListingStore for SqliteStore {
    async fn hosted_heads(
        &self,
        after: Option<&Did>,
        collection: Option<&str>,
        limit: usize,
    ) -> StoreResult<Vec<HostedHead>> {
        let (after, collection) = (after.cloned(), collection.map(|name| format!("{name}/")));
        self.read("list hosted accounts", move |c| {
            listing::heads(c, after.as_ref(), collection.as_deref(), limit)
        })
        .await
    }
}
