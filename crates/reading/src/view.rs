//! One state of one account, as a reader may see it.

use std::sync::Arc;

use p2pds_ipld::Cid;
use p2pds_repo::bucket::{self, RunNodes, Spine};
use p2pds_repo::mst::Proof;
use p2pds_store::{Account, Head, RecordRow, RecordsQuery, Repo, view};
use p2pds_syntax::{Did, RecordPath};

use crate::Reading;
use crate::gate::{Viewer, may_read};
use crate::intent::Intent;
use crate::refusal::Refusal;
use crate::tree::commit_block;

/// Records that come from the disk before they are asked for: about those of the first piece of a CAR.
const FIRST_ROWS: usize = 250;

/// An account that this viewer may read, its head, and the top of its tree.
#[derive(Debug, Clone)]
pub struct View {
    /// The account.
    pub account: Account,
    /// Its live repo.
    pub repo: Repo,
    /// The head.
    pub head: Head,
    /// The top of its tree; it leads to the head's root.
    pub spine: Arc<Spine>,
}

/// What stands at a key, and the blocks that prove it.
#[derive(Debug, Clone)]
pub struct Proved {
    /// The commit block.
    pub commit: (Cid, Vec<u8>),
    /// The nodes from the root to the key, or to the gap where it would be.
    pub nodes: Vec<(Cid, Vec<u8>)>,
    /// The record; `None` when there is none.
    pub record: Option<(Cid, Vec<u8>)>,
}

impl Reading {
    /// An account that this viewer may read, as it is now.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn account(&self, viewer: Viewer, did: &Did) -> Result<Account, Refusal> {
        let account = self.store.account(did).await?.ok_or_else(|| Refusal::NoAccount(did.clone()))?;
        self.judge(viewer, &account).await?;
        Ok(account)
    }

    /// The head of an account that this viewer may read, without a look at its tree.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn head(&self, viewer: Viewer, did: &Did) -> Result<(Account, Head), Refusal> {
        let (account, repo) = self.live(viewer, did).await?;
        let head = repo.head.ok_or_else(|| Refusal::Nothing(did.clone()))?;
        Ok((account, head))
    }

    /// An account that this viewer may read, and its live repo, in one look.
    async fn live(&self, viewer: Viewer, did: &Did) -> Result<(Account, Repo), Refusal> {
        let found = self.store.served(did).await?;
        let (account, repo) = found.ok_or_else(|| Refusal::NoAccount(did.clone()))?;
        self.judge(viewer, &account).await?;
        Ok((account, repo.ok_or_else(|| Refusal::Nothing(did.clone()))?))
    }

    /// One record of an account that this viewer may read, without a look at the tree.
    ///
    /// # Errors
    /// [`Refusal`]; damaged bytes are never given out.
    pub async fn current_record(
        &self,
        viewer: Viewer,
        did: &Did,
        path: &RecordPath,
    ) -> Result<(Account, Head, RecordRow), Refusal> {
        let found = self.store.served_record(did, path).await?;
        let (account, repo, row) = found.ok_or_else(|| Refusal::NoAccount(did.clone()))?;
        self.judge(viewer, &account).await?;
        let head = repo.and_then(|repo| repo.head).ok_or_else(|| Refusal::Nothing(did.clone()))?;
        let row = row.ok_or_else(|| Refusal::NoRecord { did: did.clone(), path: path.clone() })?;
        self.not_blocked(viewer, &row.cid).await?;
        if row.damaged {
            return Err(Refusal::Damaged { did: did.clone(), what: format!("record {path}") });
        }
        Ok((account, head, row))
    }

    /// Whether this viewer may read an account, by what is stored of it and what its owner declared.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) async fn judge(&self, viewer: Viewer, account: &Account) -> Result<(), Refusal> {
        may_read(viewer, account, Intent::Unsaid)?;
        // Only the public is kept out by a declaration; for the others it need not be read.
        if viewer == Viewer::Public && !account.hosted {
            may_read(viewer, account, self.declared(account).await?)?;
        }
        Ok(())
    }

    /// The present state of an account.
    ///
    /// # Errors
    /// [`Refusal`]; a head that moved meanwhile is read again a few times.
    pub async fn view(&self, viewer: Viewer, did: &Did) -> Result<View, Refusal> {
        self.view_and(viewer, did, false).await
    }

    /// The same for somebody who is then sent all of it: the first records come from the disk while the top of the tree
    /// does.
    ///
    /// # Errors
    /// [`Refusal`]; a head that moved meanwhile is read again a few times.
    pub async fn view_to_send(&self, viewer: Viewer, did: &Did) -> Result<View, Refusal> {
        self.view_and(viewer, did, true).await
    }

    async fn view_and(&self, viewer: Viewer, did: &Did, first: bool) -> Result<View, Refusal> {
        let mut tries = 0_u8;
        loop {
            match self.view_once(viewer, did, first).await {
                Err(Refusal::Moved(_)) if tries < 3 => tries = tries.saturating_add(1),
                outcome => return outcome,
            }
        }
    }

    async fn view_once(&self, viewer: Viewer, did: &Did, first: bool) -> Result<View, Refusal> {
        let (account, repo) = self.live(viewer, did).await?;
        let head = repo.head.clone().ok_or_else(|| Refusal::Nothing(did.clone()))?;
        let spine = match self.shared.spines.get(repo.id, head.rev) {
            Some(spine) if spine.root() == head.data => spine,
            _ => {
                let top = self.spine(&repo, &head, false);
                let spine = if first { futures::join!(top, self.fetch_first(&repo)).0 } else { top.await };
                let spine = Arc::new(spine?);
                self.shared.spines.put(repo.id, head.rev, &spine);
                spine
            }
        };
        Ok(View { account, repo, head, spine })
    }

    /// Has the first records come from the disk. Whoever needs them reads them again, and says what is wrong with them.
    async fn fetch_first(&self, repo: &Repo) {
        let query = RecordsQuery { max_rows: FIRST_ROWS, ..RecordsQuery::all(repo.id) };
        let _ = self.store.record_page(query).await;
    }

    /// What stands at a key with its proof, or the proof that nothing does.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn proof(&self, viewer: Viewer, seen: &View, path: &RecordPath) -> Result<Proved, Refusal> {
        let Proof { value, nodes } = match self.proof_of(seen, path.as_bytes()).await {
            Ok(proof) => proof,
            Err(error) => return Err(self.moved_or(&seen.repo, &seen.head, error.to_string()).await),
        };
        let commit = (seen.head.commit, self.commit_of(seen)?);
        let list = self.block_list().await?;
        let blocked = |cid: &Cid| viewer != Viewer::Operator && list.contains_key(cid);
        let refused =
            nodes.iter().map(|(cid, _)| cid).chain([&commit.0]).chain(&value).find(|cid| blocked(cid));
        if let Some(cid) = refused {
            return Err(Refusal::Blocked(*cid));
        }
        let record = match value {
            None => None,
            Some(cid) => {
                let row = self.row_at(seen, path).await?;
                let body = row.filter(|row| row.cid == cid && !row.damaged).and_then(|row| row.body);
                let gone = || Refusal::Damaged { did: seen.repo.did.clone(), what: format!("record {path}") };
                Some((cid, body.ok_or_else(gone)?))
            }
        };
        Ok(Proved { commit, nodes, record })
    }

    /// The nodes on the way to a key; runs that were computed lately are not computed again.
    async fn proof_of(&self, seen: &View, key: &[u8]) -> Result<Proof, view::ViewError> {
        let mut runs = Vec::with_capacity(1);
        for index in seen.spine.touched([key]) {
            let Some(root) = seen.spine.buckets().get(index).and_then(|bucket| bucket.layer_root) else {
                continue;
            };
            let run = match self.shared.runs.get(root) {
                Some(run) => run,
                None => {
                    let run = view::run_nodes(self.store.as_ref(), &seen.repo, &seen.spine, index).await?;
                    self.shared.runs.put(root, run)
                }
            };
            runs.push(run);
        }
        let runs: Vec<&RunNodes> = runs.iter().map(Arc::as_ref).collect();
        Ok(bucket::proof_in(&seen.spine, &runs, key)?)
    }

    /// The commit block of a view; damaged fields give a refusal, not other bytes.
    pub(crate) fn commit_of(&self, seen: &View) -> Result<Vec<u8>, Refusal> {
        let bytes = commit_block(&seen.repo.did, &seen.head);
        if !seen.head.commit.matches(&bytes) {
            let what = format!("the commit block {}", seen.head.commit);
            return Err(Refusal::Damaged { did: seen.repo.did.clone(), what });
        }
        Ok(bytes)
    }

    /// The row at a key in the state that is seen.
    pub(crate) async fn row_at(&self, seen: &View, path: &RecordPath) -> Result<Option<RecordRow>, Refusal> {
        let query = RecordsQuery {
            from: path.as_bytes().to_vec(),
            max_rows: 1,
            at: Some(seen.head.rev),
            ..RecordsQuery::all(seen.repo.id)
        };
        let row = self.store.records(query).await?.into_iter().next();
        Ok(row.filter(|row| row.key == *path))
    }

    /// One block of the current repo by its CID: the commit, a tree node or a record. Costs one look through the
    /// repo's prefixes (0.2 ms at 200,000 records) and the keys of one bucket for each hit.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn block(&self, viewer: Viewer, did: &Did, cid: &Cid) -> Result<Vec<u8>, Refusal> {
        let seen = self.view(viewer, did).await?;
        self.served_block(viewer, &seen, cid).await
    }

    /// As [`Reading::block`], in a view that was opened before.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn served_block(&self, viewer: Viewer, seen: &View, cid: &Cid) -> Result<Vec<u8>, Refusal> {
        self.not_blocked(viewer, cid).await?;
        self.block_in(seen, cid).await
    }

    /// One record of a view that was opened before.
    ///
    /// # Errors
    /// [`Refusal`]; damaged bytes are never given out.
    pub async fn served_record(
        &self,
        viewer: Viewer,
        seen: &View,
        path: &RecordPath,
    ) -> Result<RecordRow, Refusal> {
        let none = || Refusal::NoRecord { did: seen.repo.did.clone(), path: path.clone() };
        let row = self.row_at(seen, path).await?.ok_or_else(none)?;
        self.not_blocked(viewer, &row.cid).await?;
        if row.damaged {
            return Err(Refusal::Damaged { did: seen.repo.did.clone(), what: format!("record {path}") });
        }
        Ok(row)
    }

    pub(crate) async fn block_in(&self, seen: &View, cid: &Cid) -> Result<Vec<u8>, Refusal> {
        if seen.head.commit == *cid {
            return self.commit_of(seen);
        }
        let none = || Refusal::NoBlock { did: seen.repo.did.clone(), cid: *cid };
        let damaged = |what: String| Refusal::Damaged { did: seen.repo.did.clone(), what };
        if let Some(node) = seen.spine.node(cid) {
            return Ok(node.to_vec());
        }
        if *cid == p2pds_repo::mst::empty_root() && seen.spine.root() == *cid {
            return Ok(p2pds_repo::mst::EMPTY_NODE.to_vec());
        }
        for lo in self.store.bucket_candidates(seen.repo.id, cid.prefix4()).await? {
            let Some((lo, until)) = seen.spine.range(seen.spine.bucket_of(&lo)) else { continue };
            let rows = self.rows_at(seen, lo, until, false).await?;
            if let Some(row) = rows.iter().find(|row| row.cid == *cid) {
                let row = self.row_at(seen, &row.key).await?.ok_or_else(none)?;
                if row.damaged {
                    return Err(damaged(format!("record {}", row.key)));
                }
                return row.body.filter(|_| row.cid == *cid).ok_or_else(none);
            }
            let keys: Vec<(&[u8], Cid)> = rows.iter().map(|row| (row.key.as_bytes(), row.cid)).collect();
            let nodes = p2pds_repo::bucket::nodes_of(lo, &keys);
            let nodes = nodes.map_err(|error| damaged(error.to_string()))?;
            if let Some((_, bytes)) = nodes.into_iter().find(|(node, _)| node == cid) {
                return Ok(bytes);
            }
        }
        Err(none())
    }

    /// Rows from `lo` up to `until` in the state that is seen.
    pub(crate) async fn rows_at(
        &self,
        seen: &View,
        lo: &[u8],
        until: Option<&[u8]>,
        bodies: bool,
    ) -> Result<Vec<RecordRow>, Refusal> {
        let (max_rows, max_bytes) = (2_000, 4 << 20);
        let mut query = RecordsQuery {
            from: lo.to_vec(),
            until: until.map(<[u8]>::to_vec),
            max_rows,
            max_bytes,
            bodies,
            at: Some(seen.head.rev),
            ..RecordsQuery::all(seen.repo.id)
        };
        let mut all: Vec<RecordRow> = Vec::new();
        loop {
            let page = self.store.records(query.clone()).await?;
            let bytes: usize = page.iter().map(|row| row.body.as_ref().map_or(0, Vec::len)).sum();
            let full = page.len() >= max_rows || bytes >= max_bytes;
            if let Some(last) = page.last() {
                query = query.after(&last.key);
            }
            all.extend(page);
            if !full {
                return Ok(all);
            }
        }
    }
}
