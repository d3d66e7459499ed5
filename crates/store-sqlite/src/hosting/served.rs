//! Reading what is served.

use async_trait::async_trait;
use p2pds_store::hosting::{Newest, ServedStore};
use p2pds_store::{Account, RecordRow, Repo, StoreResult};
use p2pds_syntax::{Did, RecordPath};

use crate::SqliteStore;
use crate::read::{account, records, repo};

#[async_trait]
impl ServedStore for SqliteStore {
    async fn served(&self, did: &Did) -> StoreResult<Option<(Account, Option<Repo>)>> {
        let did = did.clone();
        self.read("read an account and its head", move |c| {
            let Some(account) = account::load(c, &did)? else { return Ok(None) };
            Ok(Some((account, repo::live(c, &did)?)))
        })
        .await
    }

    async fn served_record(
        &self,
        did: &Did,
        key: &RecordPath,
    ) -> StoreResult<Option<(Account, Option<Repo>, Option<RecordRow>)>> {
        let (did, key) = (did.clone(), key.clone());
        self.read("read a record", move |c| {
            let Some(account) = account::load(c, &did)? else { return Ok(None) };
            let live = repo::live(c, &did)?;
            let row = match &live {
                Some(live) => records::one(c, live.id, &key)?,
                None => None,
            };
            Ok(Some((account, live, row)))
        })
        .await
    }

    async fn newest(&self, query: Newest) -> StoreResult<Option<Vec<RecordRow>>> {
        self.read("read the newest records", move |c| records::newest(c, &query)).await
    }
}
