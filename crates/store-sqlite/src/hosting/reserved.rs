//! Reading promised keys.

use async_trait::async_trait;
use p2pds_store::StoreResult;
use p2pds_store::hosting::{ReservedKey, ReservedStore};
use p2pds_syntax::Did;

use crate::SqliteStore;
use crate::read::hosting::reserved;

#[async_trait]
impl ReservedStore for SqliteStore {
    async fn reserved_key(&self, did_key: &str) -> StoreResult<Option<ReservedKey>> {
        let did_key = did_key.to_owned();
        self.read("read a promised key", move |c| reserved::by_key(c, &did_key)).await
    }

    async fn reserved_key_for(&self, did: &Did) -> StoreResult<Option<ReservedKey>> {
        let did = did.clone();
        self.read("read a promised key", move |c| reserved::by_did(c, &did)).await
    }
}
