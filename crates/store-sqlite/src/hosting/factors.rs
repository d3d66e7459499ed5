//! Reading factors.

use async_trait::async_trait;
use p2pds_store::StoreResult;
use p2pds_store::hosting::{FactorRow, FactorsStore, PasskeyRow};
use p2pds_syntax::Did;

use crate::SqliteStore;
use crate::read::hosting::factors;

#[async_trait]
impl FactorsStore for SqliteStore {
    async fn factor(&self, did: &Did) -> StoreResult<Option<FactorRow>> {
        let did = did.clone();
        self.read("read factors", move |c| factors::one(c, &did)).await
    }

    async fn passkeys(&self, did: &Did) -> StoreResult<Vec<PasskeyRow>> {
        let did = did.clone();
        self.read("list passkeys", move |c| factors::passkeys(c, &did)).await
    }

    async fn passkey(&self, id: &[u8]) -> StoreResult<Option<PasskeyRow>> {
        let id = id.to_vec();
        self.read("read a passkey", move |c| factors::passkey(c, &id)).await
    }

    async fn backup_codes(&self, did: &Did) -> StoreResult<u32> {
        let did = did.clone();
        self.read("count backup codes", move |c| factors::backup_codes(c, &did)).await
    }
}
