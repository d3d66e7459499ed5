//! Reading who owns the node.

use async_trait::async_trait;
use p2pds_store::StoreResult;
use p2pds_store::hosting::{AgentSessionRow, ClaimRow, OwnerRow, OwnerStore, WebSessionRow};
use p2pds_syntax::Did;

use crate::SqliteStore;
use crate::read::hosting::owner;

#[async_trait]
impl OwnerStore for SqliteStore {
    async fn claim(&self) -> StoreResult<Option<ClaimRow>> {
        self.read("read the claim", owner::claim).await
    }

    async fn owner(&self) -> StoreResult<Option<OwnerRow>> {
        self.read("read the owner", owner::owner).await
    }

    async fn web_session(&self, token: [u8; 32], now: i64) -> StoreResult<Option<WebSessionRow>> {
        self.read("read a session of the pages", move |c| owner::web_session(c, token, now)).await
    }

    async fn web_sessions(&self, now: i64, limit: usize) -> StoreResult<Vec<WebSessionRow>> {
        self.read("list sessions of the pages", move |c| owner::web_sessions(c, now, limit)).await
    }

    async fn agent_session(&self, did: &Did) -> StoreResult<Option<AgentSessionRow>> {
        let did = did.clone();
        self.read("read a session at a host", move |c| owner::agent_session(c, &did)).await
    }

    async fn agent_sessions(&self, limit: usize) -> StoreResult<Vec<AgentSessionRow>> {
        self.read("list sessions at hosts", move |c| owner::agent_sessions(c, limit)).await
    }

    async fn own_keys(&self, did: &Did) -> StoreResult<Vec<String>> {
        let did = did.clone();
        self.read("list the owner's keys", move |c| owner::own_keys(c, &did)).await
    }
}
