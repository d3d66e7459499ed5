//! Every revision that was seen, newest first, with what lies between them.

use p2pds_reading::Viewer;
use p2pds_store::{Account, CommitRow, Keep, Repo, Role};
use p2pds_syntax::{Did, Tid};

use crate::archive::Archive;
use crate::error::ArchiveResult;
use crate::progress::{Phase, Progress, Unit as Counted};
use crate::report::{Counts, HistoryReport, Kept, Revision};
use crate::show::from_refusal;

/// Which part of a history is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HistoryQuery {
    /// Revisions older than this one; from the newest on without.
    pub before: Option<Tid>,
    /// Most revisions; 50 when 0, 1,000 at most.
    pub limit: usize,
    /// Prove each of them that can be rebuilt.
    pub prove: bool,
    /// Only this revision.
    pub only: Option<Tid>,
    /// Leave out the counts that would have to be computed, each with a walk over two states.
    pub quick: bool,
}

/// Revisions on a page when nothing else is asked for.
const PAGE: usize = 50;
/// Most revisions on a page.
const MOST: usize = 1_000;
/// Changes of a revision that were not counted when it came are counted for repos up to this size.
const COUNTED_UP_TO: u64 = 200_000;
/// So many of them for one page: each costs a walk over two states.
const COUNTED_PER_PAGE: usize = 10;
/// Heads of other lines that are passed over in the search for the one before.
const PASSED_OVER: usize = 1_000;

/// What tells whether a state is still there.
struct Shelf {
    account: Account,
    live: Option<Repo>,
    repos: Vec<Repo>,
}

impl Shelf {
    fn kept(&self, row: &CommitRow) -> Kept {
        let live = self.live.as_ref().filter(|repo| repo.line == row.line);
        match live {
            Some(repo) if repo.rev == row.head.rev => Kept::Current,
            Some(_) if self.account.horizon.is_some_and(|horizon| row.head.rev < horizon) => Kept::Pruned,
            Some(_) => Kept::Whole,
            None if self.repos.iter().any(|r| r.line == row.line && r.role == Role::Evidence) => Kept::Left,
            None => Kept::Pruned,
        }
    }
}

impl Archive {
    /// A page of the history.
    ///
    /// # Errors
    /// [`ArchiveError`](crate::ArchiveError): not archived, never seen, store failures. A failed proof is no error: it is
    /// in the answer.
    pub async fn history(
        &self,
        did: &Did,
        query: HistoryQuery,
        progress: &Progress,
    ) -> ArchiveResult<HistoryReport> {
        let shelf = Shelf {
            account: self.inner().account(did).await?,
            live: self.store().live_repo(did).await?,
            repos: self.store().repos(Some(did)).await?,
        };
        let limit = if query.limit == 0 { PAGE } else { query.limit.min(MOST) };
        let rows = match query.only {
            Some(rev) => vec![self.at(did, super::At::Rev(rev)).await?.0],
            None => {
                let door = self.door();
                door.heads(Viewer::Operator, did, query.before, limit.saturating_add(1))
                    .await
                    .map_err(from_refusal)?
            }
        };
        let next = rows.get(limit).and_then(|_| rows.get(limit.saturating_sub(1)));
        let next = next.map(|row| row.head.rev.to_string());
        let mut report = HistoryReport {
            did: did.clone(),
            handle: shelf.account.handle.clone(),
            keep: shelf.account.keep.as_str().to_owned(),
            window: self.config().undo_window.as_secs(),
            revisions: Vec::new(),
            next,
            proved: 0,
            failed: 0,
        };
        let total = u64::try_from(rows.len().min(limit)).ok();
        let counter =
            query.prove.then(|| progress.begin(Phase::Verify, Counted::Rows, total, "proving revisions"));
        let mut to_count = if query.quick { 0 } else { COUNTED_PER_PAGE };
        for (at, row) in rows.iter().take(limit).enumerate() {
            let mut revision =
                self.revision(did, row, rows.get(at.saturating_add(1)..), &shelf, &mut to_count).await?;
            if query.prove && revision.kept != Kept::Pruned {
                let proof = self.prove(&self.past(did, row).await?).await?;
                report.proved = report.proved.saturating_add(1);
                report.failed = report.failed.saturating_add(u64::from(!proof.ok));
                revision.proof = Some(proof);
            }
            if let Some(counter) = &counter {
                counter.add(1);
            }
            report.revisions.push(revision);
        }
        if let Some(counter) = counter {
            counter.finish(String::new());
        }
        Ok(report)
    }

    async fn revision(
        &self,
        did: &Did,
        row: &CommitRow,
        older: Option<&[CommitRow]>,
        shelf: &Shelf,
        to_count: &mut usize,
    ) -> ArchiveResult<Revision> {
        let before = match older.unwrap_or_default().iter().find(|older| older.line == row.line) {
            Some(before) => Some(before.clone()),
            None => self.one_before(did, row).await?,
        };
        let kept = shelf.kept(row);
        let mut counts =
            row.counts.map(|c| Counts { created: c.created, updated: c.updated, deleted: c.deleted });
        if let (None, Some(before)) = (counts, &before)
            && kept != Kept::Pruned
            && shelf.kept(before) != Kept::Pruned
            && *to_count > 0
            && shelf.account.records <= COUNTED_UP_TO
        {
            *to_count = to_count.saturating_sub(1);
            counts =
                Some(self.count_between(&self.past(did, before).await?, &self.past(did, row).await?).await?);
        }
        let follows = before.as_ref().is_some_and(|before| row.since == Some(before.head.rev));
        Ok(Revision {
            rev: row.head.rev.to_string(),
            at: i64::try_from(row.head.rev.micros()).unwrap_or(i64::MAX),
            seen_at: row.seen_at,
            commit: row.head.commit.to_string(),
            root: row.head.data.to_string(),
            key: row.head.key.clone(),
            line: row.line,
            gap: gap(row, before.as_ref(), follows, shelf),
            before: before.map(|before| before.head.rev.to_string()),
            follows,
            counts,
            kept,
            proof: None,
        })
    }

    /// The head of the same line that was seen before this one.
    async fn one_before(&self, did: &Did, row: &CommitRow) -> ArchiveResult<Option<CommitRow>> {
        let mut edge = row.head.rev;
        let mut passed = 0_usize;
        while passed < PASSED_OVER {
            let page = self.store().history(did, Some(edge), 100).await?;
            let Some(last) = page.last() else { return Ok(None) };
            edge = last.head.rev;
            passed = passed.saturating_add(page.len());
            if let Some(found) = page.into_iter().find(|older| older.line == row.line) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// What may be missing before a revision, in plain words.
fn gap(row: &CommitRow, before: Option<&CommitRow>, follows: bool, shelf: &Shelf) -> Option<String> {
    if follows {
        return None;
    }
    match (before, row.since) {
        (Some(before), Some(since)) => Some(format!(
            "it follows revision {since}, which was not seen; the one seen before is {}",
            before.head.rev
        )),
        (Some(before), None) => Some(format!(
            "revisions between {} and this one may not have been seen; only what changed from the one to the other is known",
            before.head.rev
        )),
        (None, _) if shelf.account.horizon == Some(row.head.rev) && shelf.account.keep == Keep::Window => {
            Some("what was seen before was forgotten after the undo window".to_owned())
        }
        (None, _) if row.line > 0 => {
            Some("an operator accepted this head though it is older than the one before".to_owned())
        }
        (None, _) => Some("nothing before it was seen".to_owned()),
    }
}
