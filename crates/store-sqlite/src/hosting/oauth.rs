//! Reading what the authorization server keeps.

use async_trait::async_trait;
use p2pds_store::StoreResult;
use p2pds_store::hosting::{
    OAuthConsentRow, OAuthDeviceAccountRow, OAuthDeviceRow, OAuthRequestRow, OAuthSessionRow, OAuthStore,
};
use p2pds_syntax::Did;

use crate::SqliteStore;
use crate::read::hosting::oauth;

#[async_trait]
impl OAuthStore for SqliteStore {
    async fn oauth_request(&self, id: [u8; 32]) -> StoreResult<Option<OAuthRequestRow>> {
        self.read("read a request", move |c| oauth::request(c, id)).await
    }

    async fn oauth_request_by_code(&self, code: [u8; 32]) -> StoreResult<Option<OAuthRequestRow>> {
        self.read("read a request", move |c| oauth::request_by_code(c, code)).await
    }

    async fn oauth_requests(&self, at: i64) -> StoreResult<u64> {
        self.read("count requests", move |c| oauth::requests(c, at)).await
    }

    async fn oauth_session(&self, id: &str) -> StoreResult<Option<OAuthSessionRow>> {
        let id = id.to_owned();
        self.read("read a session", move |c| oauth::session(c, &id)).await
    }

    async fn oauth_sessions(&self, did: &Did, limit: usize) -> StoreResult<Vec<OAuthSessionRow>> {
        let did = did.clone();
        self.read("list sessions", move |c| oauth::sessions(c, &did, limit)).await
    }

    async fn oauth_keyed_clients(&self, after: &str, limit: usize) -> StoreResult<Vec<String>> {
        let after = after.to_owned();
        self.read("list clients", move |c| oauth::keyed_clients(c, &after, limit)).await
    }

    async fn oauth_device(&self, token: [u8; 32]) -> StoreResult<Option<OAuthDeviceRow>> {
        self.read("read a browser", move |c| oauth::device(c, token)).await
    }

    async fn oauth_device_accounts(&self, device: &str) -> StoreResult<Vec<OAuthDeviceAccountRow>> {
        let device = device.to_owned();
        self.read("list who is signed in", move |c| oauth::device_accounts(c, &device)).await
    }

    async fn oauth_devices(&self, did: &Did) -> StoreResult<Vec<(OAuthDeviceRow, OAuthDeviceAccountRow)>> {
        let did = did.clone();
        self.read("list browsers", move |c| oauth::devices(c, &did)).await
    }

    async fn oauth_consent(&self, did: &Did, client: &str) -> StoreResult<Option<OAuthConsentRow>> {
        let (did, client) = (did.clone(), client.to_owned());
        self.read("read a consent", move |c| oauth::consent(c, &did, &client)).await
    }
}
