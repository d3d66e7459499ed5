//! The tree of a stored repo: its spine from the bucket rows, the records of one bucket.

use p2pds_ipld::Cid;
use p2pds_repo::bucket::{Bucket, Spine, rebuild};
use p2pds_repo::commit::Commit;
use p2pds_store::{Head, RecordRow, RecordsQuery, Repo};
use p2pds_syntax::Did;

use crate::Reading;
use crate::refusal::Refusal;

/// Rows of a bucket read at a time.
const ROWS: usize = 1_000;
/// Bytes of bodies read at a time.
const BYTES: usize = 4 << 20;

/// The commit block of a head.
pub(crate) fn commit_block(did: &Did, head: &Head) -> Vec<u8> {
    let commit =
        Commit { did: did.clone(), rev: head.rev, data: head.data, sig: head.sig, raw: head.raw.clone() };
    commit.encode()
}

impl Reading {
    /// The spine of a repo. It leads to the head's root, or the refusal says what is damaged.
    /// `prefixes` are needed only to look for a CID.
    pub(crate) async fn spine(&self, repo: &Repo, head: &Head, prefixes: bool) -> Result<Spine, Refusal> {
        let rows = self.store.buckets(repo.id, prefixes).await?;
        let mut buckets: Vec<Bucket> = rows.into_iter().map(Bucket::from).collect();
        for at in 0..buckets.len() {
            let Some((lo, true)) = buckets.get(at).map(|bucket| (bucket.lo.clone(), bucket.dirty)) else {
                continue;
            };
            let until = buckets.get(at.saturating_add(1)).map(|next| next.lo.clone());
            let keys: Vec<(Vec<u8>, Cid)> = self.keys(repo, &lo, until).await?;
            let fresh = rebuild(&lo, &keys).map_err(|error| self.damaged(repo, error.to_string()))?;
            if let Some(slot) = buckets.get_mut(at) {
                *slot = fresh;
            }
        }
        let spine = Spine::from_buckets(buckets).map_err(|error| self.damaged(repo, error.to_string()))?;
        if spine.root() != head.data {
            return Err(self
                .moved_or(
                    repo,
                    head,
                    format!("the index leads to {}, the commit names {}", spine.root(), head.data),
                )
                .await);
        }
        Ok(spine)
    }

    fn damaged(&self, repo: &Repo, what: String) -> Refusal {
        Refusal::Damaged { did: repo.did.clone(), what }
    }

    /// A contradiction is damage, unless the head has moved meanwhile.
    pub(crate) async fn moved_or(&self, repo: &Repo, head: &Head, what: String) -> Refusal {
        match self.store.live_repo(&repo.did).await {
            Ok(Some(now)) if now.id == repo.id && now.head.as_ref() == Some(head) => self.damaged(repo, what),
            Ok(_) => Refusal::Moved(repo.did.clone()),
            Err(error) => error.into(),
        }
    }

    /// All rows of one bucket, its first key included.
    pub(crate) async fn rows(
        &self,
        repo: &Repo,
        lo: &[u8],
        until: Option<Vec<u8>>,
        bodies: bool,
    ) -> Result<Vec<RecordRow>, Refusal> {
        let mut all: Vec<RecordRow> = Vec::new();
        let mut query = RecordsQuery {
            from: lo.to_vec(),
            until,
            max_rows: ROWS,
            max_bytes: BYTES,
            bodies,
            ..RecordsQuery::all(repo.id)
        };
        loop {
            let page = self.store.records(query.clone()).await?;
            let Some(last) = page.last() else { return Ok(all) };
            query = query.after(&last.key);
            all.extend(page);
        }
    }

    /// Keys and CIDs of one bucket.
    async fn keys(
        &self,
        repo: &Repo,
        lo: &[u8],
        until: Option<Vec<u8>>,
    ) -> Result<Vec<(Vec<u8>, Cid)>, Refusal> {
        let rows = self.rows(repo, lo, until, false).await?;
        Ok(rows.into_iter().map(|row| (row.key.as_bytes().to_vec(), row.cid)).collect())
    }
}
