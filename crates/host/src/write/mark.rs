//! Marks of the records that were here before the account was hosted here.

use p2pds_store::hosting::{LinkRow, LinksUnit};
use p2pds_store::{CHUNK_ROWS, HostingUnit, RecordsQuery, RepoId, Unit};
use p2pds_syntax::{Did, ErrorKind};

use super::backlinks::link_of_block;
use crate::{Host, HostError, HostResult};

/// The collections whose records have a subject that counts.
const COLLECTIONS: [&str; 4] =
    ["app.bsky.feed.like", "app.bsky.feed.repost", "app.bsky.graph.block", "app.bsky.graph.follow"];

impl Host {
    /// Marks the follows, likes, reposts and blocks of a repo that came from elsewhere, so that new ones take the place
    /// of the same here too. Done twice, it is done once. Nobody may write to the repo meanwhile.
    ///
    /// # Errors
    /// The store's.
    pub async fn mark_links(&self, did: &Did) -> HostResult<u64> {
        let marked = self.mark_links_held(did).await?;
        self.forget_account(did).await;
        Ok(marked)
    }

    /// The same for whoever holds the account.
    pub(crate) async fn mark_links_held(&self, did: &Did) -> HostResult<u64> {
        let repo = self.store().live_repo(did).await?.ok_or_else(|| {
            HostError::new(ErrorKind::NotFound, "RepoNotFound", format!("{did} has no repo here"))
        })?;
        let mut marked = 0_u64;
        for collection in COLLECTIONS {
            marked = marked.saturating_add(self.mark_collection(did, repo.id, collection).await?);
        }
        Ok(marked)
    }

    async fn mark_collection(&self, did: &Did, repo: RepoId, collection: &str) -> HostResult<u64> {
        let mut query = RecordsQuery {
            from: format!("{collection}/").into_bytes(),
            // The character after the slash.
            until: Some(format!("{collection}0").into_bytes()),
            max_rows: CHUNK_ROWS,
            ..RecordsQuery::all(repo)
        };
        let mut marked = 0_u64;
        loop {
            let page = self.store().records(query.clone()).await?;
            let Some(last) = page.last().map(|row| row.key.clone()) else { return Ok(marked) };
            let put: Vec<LinkRow> =
                page.iter().filter_map(|row| link_of_block(&row.key, row.body.as_deref()?)).collect();
            if !put.is_empty() {
                marked = marked.saturating_add(put.len() as u64);
                let unit = LinksUnit { did: did.clone(), repo, put, gone: Vec::new() };
                self.store().apply(Unit::Hosting(Box::new(HostingUnit::Links(unit)))).await?;
            }
            query = query.after(&last);
        }
    }
}
