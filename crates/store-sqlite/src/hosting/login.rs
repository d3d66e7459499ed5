//! Reading logins.

use async_trait::async_trait;
use p2pds_store::{BlobRow, Login, LoginStore, StoreResult};
use p2pds_syntax::Did;

use crate::SqliteStore;
use crate::read::hosting::login;

#[async_trait]
impl LoginStore for SqliteStore {
    async fn login(&self, did: &Did) -> StoreResult<Option<Login>> {
        let did = did.clone();
        self.read("read a login", move |c| login::one(c, &did)).await
    }

    async fn login_by_email(&self, email: &str) -> StoreResult<Option<Login>> {
        let email = email.to_owned();
        self.read("read a login", move |c| login::by_email(c, &email)).await
    }

    async fn login_by_handle(&self, handle: &str) -> StoreResult<Option<Login>> {
        let handle = handle.to_owned();
        self.read("read a login", move |c| login::by_handle(c, &handle)).await
    }

    async fn logins(&self, after: Option<&Did>, limit: usize) -> StoreResult<Vec<Login>> {
        let after = after.cloned();
        self.read("list logins", move |c| login::page(c, after.as_ref(), limit)).await
    }

    async fn logins_to_delete(&self, now: i64, limit: usize) -> StoreResult<Vec<Did>> {
        self.read("list logins", move |c| login::to_delete(c, now, limit)).await
    }

    async fn temporary_blobs(&self, before: i64, limit: usize) -> StoreResult<Vec<(Did, BlobRow)>> {
        self.read("list blobs", move |c| login::temporary(c, before, limit)).await
    }
}
