//! Reading used service tokens.

use async_trait::async_trait;
use p2pds_store::StoreResult;
use p2pds_store::hosting::{SpentStore, SpentToken};

use crate::SqliteStore;
use crate::read::hosting::spent;

#[async_trait]
impl SpentStore for SqliteStore {
    async fn spent_tokens(&self, now: i64, limit: u32) -> StoreResult<Vec<SpentToken>> {
        self.read("read used tokens", move |c| spent::after(c, now, limit)).await
    }
}
