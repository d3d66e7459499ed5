//! Taking over the accounts of a stopped reference PDS: `p2pds import-pds`.
//!
//! The source is read and never changed. Order: the sequence first, so that nothing said here has a number that
//! subscribers saw already; then one account after the other; then the invites. Each repo goes through the same
//! verification as one from the network, each blob is hashed. An account is hosted here from one unit on; until the
//! last of its parts is here a row of the store says so, and the same command goes on where it was. One account that
//! cannot be taken over is named and keeps none of the others.

mod account;
mod blobs;
mod check;
mod events;
mod report;

use std::path::PathBuf;
use std::sync::Arc;

use p2pds_archive::{Phase, Progress, Unit as Counted};
use p2pds_host::Host;
use p2pds_store::foreign::{ForeignAccount, ForeignInvite, ForeignPds};
use p2pds_store::hosting::{AccountsUnit, InviteRow};
use p2pds_store::{HostingUnit, Jump, Unit};
use p2pds_syntax::{Datetime, Did};

pub use report::{PdsAccount, PdsOutcome, PdsReport};

use crate::Recovery;
use crate::error::{RecoveryError, RecoveryResult};
use crate::folder::{blocking, remove_dir};

/// Name of the row that says that an account is not here completely yet.
const WORKER: &str = "import-pds";

/// One taking over.
pub(crate) struct Taking<'a> {
    pub(crate) recovery: &'a Recovery,
    pub(crate) host: &'a Host,
    pub(crate) from: Arc<dyn ForeignPds>,
    pub(crate) progress: Progress,
    /// Where repos lie while they are read.
    pub(crate) spool: PathBuf,
}

impl Recovery {
    /// Takes over the accounts of another server, or with `dry_run` says what that would do: everything is read and
    /// verified then, and nothing is stored.
    ///
    /// # Errors
    /// What keeps all accounts from being taken over: the source cannot be read, this node's disk is full. Accounts that
    /// cannot be taken over are lines of the report.
    pub async fn import_pds(
        &self,
        host: &Host,
        from: Arc<dyn ForeignPds>,
        dry_run: bool,
        progress: &Progress,
    ) -> RecoveryResult<PdsReport> {
        let begun = tokio::time::Instant::now();
        let spool = self.archive().data_dir().join("spool").join(WORKER);
        let dir = spool.clone();
        blocking(move || {
            remove_dir(&dir)?;
            std::fs::create_dir_all(&dir).map_err(RecoveryError::io("create", &dir))
        })
        .await?;
        let taking = Taking { recovery: self, host, from, progress: progress.clone(), spool: spool.clone() };
        let outcome = taking.run(dry_run).await;
        blocking(move || remove_dir(&spool)).await?;
        let mut report = outcome?;
        report.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(report)
    }
}

impl Taking<'_> {
    async fn run(&self, dry_run: bool) -> RecoveryResult<PdsReport> {
        let about = self.from.about();
        let accounts = self.read(|from| from.accounts()).await?;
        let mut report = PdsReport::new(about.dir.display().to_string(), dry_run, about.notes);
        report.last_seq = self.read(|from| from.last_seq()).await?;
        self.check_seq(&mut report).await?;
        if !dry_run {
            report.events = self.take_events(report.last_seq).await?;
        }
        let total = accounts.len() as u64;
        let counter = self.progress.begin(
            if dry_run { Phase::Verify } else { Phase::Store },
            Counted::Steps,
            Some(total),
            "accounts of the other server",
        );
        for account in &accounts {
            let line =
                if dry_run { self.check_account(account).await? } else { self.take_account(account).await? };
            report.accounts.push(line);
            counter.add(1);
        }
        counter.finish("accounts of the other server");
        report.invites = self.take_invites(dry_run).await?;
        if !dry_run {
            tracing::info!(
                event = "recovery.pds-imported",
                accounts = report.accounts.len(),
                failed = report.failed(),
                seq = report.last_seq,
                "the accounts of another server were taken over"
            );
        }
        Ok(report)
    }

    /// Reads from the source on a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        what: impl FnOnce(&dyn ForeignPds) -> p2pds_store::StoreResult<T> + Send + 'static,
    ) -> RecoveryResult<T> {
        let from = Arc::clone(&self.from);
        blocking(move || Ok(what(&*from)?)).await
    }

    /// Numbers that were given here already cannot be given again.
    async fn check_seq(&self, report: &mut PdsReport) -> RecoveryResult<()> {
        let here = self.host.store().last_seq().await?;
        let there = i64::try_from(report.last_seq).unwrap_or(i64::MAX);
        if here > there && there > 0 {
            report.notes.push(format!(
                "this node has given event numbers up to {here} already, the other server had come to {there}: subscribers \
                 go on after {here}. That is fine unless both had subscribers under one name"
            ));
        }
        Ok(())
    }

    async fn take_invites(&self, dry_run: bool) -> RecoveryResult<u64> {
        let invites = self.read(|from| from.invites()).await?;
        let mut rows = Vec::new();
        for invite in invites {
            if self.host.store().invite(&invite.code).await?.is_none() {
                rows.push(invite_row(invite));
            }
        }
        let count = rows.len() as u64;
        if !dry_run {
            for rows in rows.chunks(p2pds_store::CHUNK_ROWS) {
                let unit = AccountsUnit::PutInvites { rows: rows.to_vec(), most: None };
                self.host.store().apply(Unit::Hosting(Box::new(HostingUnit::Accounts(unit)))).await?;
            }
        }
        Ok(count)
    }

    /// The events that subscribers may come back for, under their old numbers; new ones go on after the last.
    async fn take_events(&self, last: u64) -> RecoveryResult<u64> {
        let taken = events::take(self, last).await?;
        let to = i64::try_from(last).unwrap_or(i64::MAX);
        self.host.store().apply(Unit::JumpSeq(Jump::To(to))).await?;
        Ok(taken)
    }
}

fn invite_row(invite: ForeignInvite) -> InviteRow {
    let used = invite
        .uses
        .iter()
        .filter_map(|(by, at)| Some((Did::parse(by).ok()?, micros(at).unwrap_or(0))))
        .collect();
    InviteRow {
        code: invite.code,
        uses: invite.available,
        disabled: invite.disabled,
        for_account: invite.for_account,
        created_by: invite.created_by,
        created_at: micros(&invite.created_at).unwrap_or(0),
        used,
        forgotten: 0,
    }
}

/// A time of the source, microseconds since 1970.
pub(crate) fn micros(text: &str) -> Option<i64> {
    Datetime::parse(text).ok().map(|at| at.unix_micros())
}

/// The line of an account before anything is known of it.
fn line_of(account: &ForeignAccount) -> PdsAccount {
    PdsAccount { did: account.did.clone(), handle: account.handle.clone(), ..PdsAccount::default() }
}
