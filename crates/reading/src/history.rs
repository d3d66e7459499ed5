//! States of before, for the operator alone. What was superseded is never served to anybody else: it may have been
//! taken back.

use std::sync::Arc;

use p2pds_store::{CommitRow, RecordRow, RecordsQuery, Repo, Role, Store};
use p2pds_syntax::{Did, RecordPath, Tid};

use crate::Reading;
use crate::gate::Viewer;
use crate::refusal::Refusal;

/// One account as it was at a head that this archive has seen.
#[derive(Clone)]
pub struct Past {
    store: Arc<dyn Store>,
    repo: Repo,
    row: CommitRow,
}

impl std::fmt::Debug for Past {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Past")
            .field("did", &self.repo.did)
            .field("rev", &self.row.head.rev)
            .finish_non_exhaustive()
    }
}

impl Reading {
    /// Heads that were seen, from the newest to the oldest, beginning before `before`.
    ///
    /// # Errors
    /// [`Refusal`]; anybody but the operator is refused.
    pub async fn heads(
        &self,
        viewer: Viewer,
        did: &Did,
        before: Option<Tid>,
        limit: usize,
    ) -> Result<Vec<CommitRow>, Refusal> {
        self.only_operator(viewer, did).await?;
        Ok(self.store.history(did, before, limit).await?)
    }

    /// The account as it was at a head that [`Reading::heads`] gave.
    ///
    /// # Errors
    /// [`Refusal::Pruned`] when its rows are gone, [`Refusal::Folding`] while they are being put in order.
    pub async fn past(&self, viewer: Viewer, did: &Did, row: &CommitRow) -> Result<Past, Refusal> {
        let horizon = self.only_operator(viewer, did).await?;
        let pruned = || Refusal::Pruned { did: did.clone(), rev: row.head.rev };
        let repos = self.store.repos(Some(did)).await?;
        let of_line = |repo: &&Repo| repo.line == row.line;
        let mut kept = repos.iter().filter(of_line);
        let repo = kept.find(|repo| matches!(repo.role, Role::Archived | Role::Hosted | Role::Evidence));
        let repo = repo.ok_or_else(pruned)?.clone();
        if repo.role != Role::Evidence && horizon.is_some_and(|horizon| row.head.rev < horizon) {
            return Err(pruned());
        }
        let folding = repos.iter().filter(of_line).any(|repo| repo.role == Role::Replaced);
        if folding && repo.rev != row.head.rev {
            return Err(Refusal::Folding(did.clone()));
        }
        Ok(Past { store: Arc::clone(&self.store), repo, row: row.clone() })
    }

    /// The account's horizon, if this viewer may know.
    async fn only_operator(&self, viewer: Viewer, did: &Did) -> Result<Option<Tid>, Refusal> {
        let account = self.account(viewer, did).await?;
        if viewer != Viewer::Operator {
            return Err(Refusal::NotServed(did.clone()));
        }
        Ok(account.horizon)
    }
}

impl Past {
    /// The head.
    #[must_use]
    pub fn row(&self) -> &CommitRow {
        &self.row
    }

    /// Whose it is.
    #[must_use]
    pub fn did(&self) -> &Did {
        &self.repo.did
    }

    /// One record as it was; `None` when there was none. Damaged rows have no body and say so.
    ///
    /// # Errors
    /// The store's.
    pub async fn record(&self, path: &RecordPath) -> Result<Option<RecordRow>, Refusal> {
        let mut until = path.as_bytes().to_vec();
        until.push(0);
        let query = RecordsQuery {
            from: path.as_bytes().to_vec(),
            until: Some(until),
            max_rows: 1,
            at: Some(self.row.head.rev),
            ..RecordsQuery::all(self.repo.id)
        };
        Ok(self.store.records(query).await?.pop())
    }

    /// Records between two keys in tree order, the upper one left out, at most `limit` of them. Damaged rows have no body
    /// and say so.
    ///
    /// # Errors
    /// The store's.
    pub async fn between(
        &self,
        from: Vec<u8>,
        until: Vec<u8>,
        limit: usize,
        bodies: bool,
    ) -> Result<Vec<RecordRow>, Refusal> {
        let query = RecordsQuery {
            from,
            until: Some(until),
            max_rows: limit,
            bodies,
            at: Some(self.row.head.rev),
            ..RecordsQuery::all(self.repo.id)
        };
        Ok(self.store.records(query).await?)
    }

    /// A page of records in tree order after a key; an empty one is the end. Damaged rows have no body and say so.
    ///
    /// # Errors
    /// The store's.
    pub async fn records(&self, after: Option<&RecordPath>, bodies: bool) -> Result<Vec<RecordRow>, Refusal> {
        let mut query =
            RecordsQuery { at: Some(self.row.head.rev), bodies, ..RecordsQuery::all(self.repo.id) };
        if let Some(after) = after {
            query = query.after(after);
        }
        Ok(self.store.records(query).await?)
    }
}
