//! Erasing an account: what would go, what went, and the search for what should be gone.
//!
//! Rows go before files, so that nothing names a file that is not there. Killed anywhere, it is finished by
//! [`Archive::resume`](crate::Archive::resume) or by running the command again.

use std::path::PathBuf;

use p2pds_blobs::account_dir_name;
use p2pds_store::{Account, Applied, Origin, TraceReport, Unit};
use p2pds_syntax::Did;

use crate::archive::Archive;
use crate::error::{ArchiveError, ArchiveResult};
use crate::progress::{Phase, Progress, Unit as Counted};
use crate::report::{RemoveReport, Traces};

/// Where the reports of drills lie in the data directory; they name records and blobs of the account.
pub(crate) const DRILLS: &str = "drills";
/// Where copies lie in the data directory that were written out to be taken away.
const COPIES: &str = "copies";

impl Archive {
    /// Erases an account, or with `dry_run` says what that would erase.
    ///
    /// # Errors
    /// [`ArchiveError::NotArchived`]; a store or disk failure, after which the same command goes on.
    pub async fn remove(&self, did: &Did, dry_run: bool, progress: &Progress) -> ArchiveResult<RemoveReport> {
        let _guard = self.inner().locks().enter(did).await;
        let account = match self.account_even_purging(did).await {
            Err(ArchiveError::NotArchived(_)) if self.inner().unfinished_purges().await?.contains(did) => {
                // Its rows are gone; only the search for traces was cut off.
                Account::new(did.clone(), Origin::File, self.now())
            }
            account => account?,
        };
        if account.hosted {
            return Err(ArchiveError::HostedHere(did.clone()));
        }
        let mut report = self.preview(&account)?;
        if dry_run {
            return Ok(report);
        }
        report.dry_run = false;
        self.purge(did, "removed by the operator", &mut report, &progress.about(did)).await?;
        Ok(report)
    }

    fn preview(&self, account: &Account) -> ArchiveResult<RemoveReport> {
        let did = &account.did;
        let (drills, copies) = (self.drill_dir(did), self.copy_dir(did));
        Ok(RemoveReport {
            did: did.clone(),
            handle: account.handle.clone(),
            dry_run: true,
            records: account.records,
            car_bytes: account.car_bytes.max(account.record_bytes),
            blobs: account.blobs_held,
            blob_bytes: account.blob_bytes,
            files: self.inner().spool().files_of(did)?,
            also: [
                Some("the stored PLC log, DID document, findings and evidence".to_owned()),
                drills.exists().then(|| format!("{DRILLS}/{}: reports of drills", account_dir_name(did))),
                copies
                    .exists()
                    .then(|| format!("{COPIES}/{}: a copy to be taken away", account_dir_name(did))),
            ]
            .into_iter()
            .flatten()
            .collect(),
            rows_deleted: 0,
            traces: None,
            outside: vec![
                "exports that you wrote to other directories".to_owned(),
                "backups and snapshots of this machine, and what the disk itself keeps of deleted blocks"
                    .to_owned(),
                "the account at its host: nothing changes there".to_owned(),
            ],
        })
    }

    /// The report of a purge that an earlier process began.
    pub(crate) fn purge_report(&self, account: &Account) -> ArchiveResult<RemoveReport> {
        Ok(RemoveReport { dry_run: false, ..self.preview(account)? })
    }

    /// All of it, from wherever an earlier run stopped.
    pub(crate) async fn purge(
        &self,
        did: &Did,
        basis: &str,
        report: &mut RemoveReport,
        progress: &Progress,
    ) -> ArchiveResult<()> {
        let inner = self.inner();
        if let Err(ArchiveError::NotArchived(_)) = self.account_even_purging(did).await {
            return self.finish_purge(did, Some(report), progress).await;
        }
        let counter = progress.begin(Phase::Remove, Counted::Rows, None, "erasing");
        let begin = Unit::PurgeBegin { did: did.clone(), basis: basis.to_owned(), at: inner.now() };
        inner.store().apply(begin).await?;
        inner.blobs().delete_account(did).await?;
        inner.spool().erase(did)?;
        erase_dir(&self.drill_dir(did))?;
        erase_dir(&self.copy_dir(did))?;
        loop {
            match inner.store().apply(Unit::PurgeChunk { did: did.clone() }).await? {
                Applied::Chunk { rows, done } => {
                    report.rows_deleted = report.rows_deleted.saturating_add(rows);
                    counter.add(rows);
                    if done {
                        break;
                    }
                }
                other => return Err(ArchiveError::Bug(format!("a purge step answered {other:?}"))),
            }
        }
        self.finish_purge(did, Some(report), progress).await?;
        counter.finish("erased");
        Ok(())
    }

    /// The rows are gone: searches for traces and closes the purge. The caller holds the account.
    pub(crate) async fn finish_purge(
        &self,
        did: &Did,
        report: Option<&mut RemoveReport>,
        progress: &Progress,
    ) -> ArchiveResult<()> {
        let inner = self.inner();
        progress.note(Phase::Remove, "searching this node's files for what was erased");
        let found = inner.store().erase_traces(did).await?;
        let traces = note(&found);
        let words = serde_json::to_string(&traces).unwrap_or_default();
        inner.store().apply(Unit::PurgeEnd { did: did.clone(), at: inner.now(), report: words }).await?;
        if let Some(report) = report {
            report.outside.extend(found.outside);
            report.traces = Some(traces);
        }
        Ok(())
    }

    /// Where drills of this account put their reports.
    #[must_use]
    pub fn drill_dir(&self, did: &Did) -> PathBuf {
        self.inner().spool().data_dir().join(DRILLS).join(account_dir_name(did))
    }

    /// Where a copy of this account is written that somebody wants to take away. It is erased with the account.
    #[must_use]
    pub fn copy_dir(&self, did: &Did) -> PathBuf {
        self.inner().spool().data_dir().join(COPIES).join(account_dir_name(did))
    }

    /// The account, being purged or not.
    pub(crate) async fn account_even_purging(&self, did: &Did) -> ArchiveResult<Account> {
        if let Some(account) = self.inner().store().account(did).await? {
            return Ok(account);
        }
        self.inner()
            .all_accounts()
            .await?
            .into_iter()
            .find(|account| account.did == *did)
            .ok_or_else(|| ArchiveError::NotArchived(did.to_string()))
    }
}

fn note(traces: &TraceReport) -> Traces {
    Traces {
        rows: traces.rows,
        searched_bytes: traces.searched_bytes,
        found_in: traces.found_in.clone(),
        rewritten: traces.vacuumed,
        scheduled: traces.scheduled.clone(),
        left: traces.left,
    }
}

/// Removes a directory with all that is in it; that it is not there is fine.
fn erase_dir(dir: &std::path::Path) -> ArchiveResult<()> {
    match std::fs::remove_dir_all(dir) {
        Ok(()) => crate::spool::sync_parent(dir),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ArchiveError::io("remove", dir)(error)),
    }
}
