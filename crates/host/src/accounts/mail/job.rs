//! Sending what is queued.

use std::time::Duration;

use async_trait::async_trait;
use p2pds_store::hosting::{AccountsUnit, HostingUnit, MailRow};
use p2pds_store::{Finding, StoreError, Unit};

use super::KEPT;
use super::smtp::NotSent;
use crate::error::HostResult;
use crate::host::Host;
use crate::jobs::Job;

/// Mails of one round.
const ROUND: usize = 20;
/// The first pause after a try that failed; it doubles.
const FIRST_PAUSE: i64 = 10_000_000;
/// The longest such pause.
const LONGEST_PAUSE: i64 = 30 * 60 * 1_000_000;
/// Kind of the finding that says that somebody did not get a mail.
const UNDELIVERED: &str = "mail-undelivered";
/// How long a mail server may take to acknowledge what it has already got when the node stops: else the mail would come
/// twice.
const GRACE: Duration = Duration::from_secs(5);

/// Sends queued mail.
#[derive(Debug, Clone, Copy)]
pub struct MailJob;

#[async_trait]
impl Job for MailJob {
    fn name(&self) -> &'static str {
        "mail"
    }

    async fn round(&self, host: &Host) -> HostResult<Duration> {
        host.answer_forgotten().await?;
        let due = host.store().mail_due(host.now(), ROUND).await?;
        let full = due.len() == ROUND;
        for row in due {
            host.carry(&row).await?;
        }
        if full {
            return Ok(Duration::ZERO);
        }
        let next = host.store().next_mail_at().await?;
        let wait =
            next.map_or(3_600_000_000, |at| at.saturating_sub(host.now()).clamp(1_000_000, 3_600_000_000));
        Ok(Duration::from_micros(u64::try_from(wait).unwrap_or(0)))
    }

    fn grace(&self) -> Duration {
        GRACE
    }

    async fn wanted(&self, host: &Host) {
        host.accounts().mail.notified().await;
    }
}

impl Host {
    /// Sends a waiting mail now, whatever its turn; `None` when there is no such mail.
    ///
    /// # Errors
    /// The store. The inner error is the mail server's.
    pub async fn mail_send_now(&self, id: i64) -> HostResult<Option<Result<(), NotSent>>> {
        let Some(row) = self.store().mail(id).await? else { return Ok(None) };
        let sent = match self.open_mail(&row.sealed) {
            Some(words) => self.send_queued(&row, &words).await,
            None => Err(NotSent { why: "it was sealed with another node.key".to_owned(), for_good: true }),
        };
        if sent.is_ok() {
            let unit = HostingUnit::Accounts(AccountsUnit::DropMail { id });
            self.store().apply(Unit::Hosting(Box::new(unit))).await?;
        }
        Ok(Some(sent))
    }

    /// Sends one mail, or notes why not.
    async fn carry(&self, row: &MailRow) -> HostResult<()> {
        let now = self.now();
        let done = |unit| Unit::Hosting(Box::new(HostingUnit::Accounts(unit)));
        if self.mail_server(&row.kind).is_none() || row.given_up_at.is_some() {
            // The operator had his time to read it.
            if now >= row.created_at.saturating_add(KEPT) {
                self.store().apply(done(AccountsUnit::DropMail { id: row.id })).await?;
            }
            return Ok(());
        }
        let tried = if now >= row.expires_at {
            Err((row.last_error.clone().unwrap_or_else(|| "it came too late to be of use".to_owned()), true))
        } else {
            match self.open_mail(&row.sealed) {
                None => Err(("it was sealed with another node.key".to_owned(), true)),
                Some(words) => self.send_queued(row, &words).await.map_err(|not| (not.why, not.for_good)),
            }
        };
        metrics::counter!("p2pds_host_mails_total", "outcome" => if tried.is_ok() { "sent" } else { "failed" })
            .increment(1);
        let Err((why, for_good)) = tried else {
            tracing::info!(event = "host.mail-sent", id = row.id, kind = %row.kind, "mail was sent");
            self.store().apply(done(AccountsUnit::DropMail { id: row.id })).await?;
            if let Some(did) = row.did.clone() {
                // The address works. An account that is gone meanwhile has no findings.
                let (kind, subject) = (UNDELIVERED.to_owned(), None);
                let _ = self.store().apply(Unit::ResolveFindings { did, kind, subject }).await;
            }
            return Ok(());
        };
        let pause =
            FIRST_PAUSE.saturating_mul(1_i64.checked_shl(row.tries.min(12)).unwrap_or(1)).min(LONGEST_PAUSE);
        let unit = AccountsUnit::MailTried {
            id: row.id,
            next_at: now.saturating_add(pause),
            error: why.clone(),
            given_up_at: for_good.then_some(now),
        };
        self.store().apply(done(unit)).await?;
        if for_good {
            self.given_up(row, &why, now).await?;
        } else {
            tracing::warn!(event = "host.mail-failed", id = row.id, kind = %row.kind, %why, "mail was not sent; it is tried again");
        }
        Ok(())
    }

    async fn given_up(&self, row: &MailRow, why: &str, now: i64) -> HostResult<()> {
        tracing::error!(event = "host.mail-given-up", id = row.id, kind = %row.kind, %why, "mail was given up; `p2pds mail list` shows it");
        let Some(did) = row.did.clone() else { return Ok(()) };
        let finding = Finding {
            did,
            kind: UNDELIVERED.to_owned(),
            subject: row.kind.clone(),
            detail: format!("mail {} ({}) could not be sent: {why}", row.id, row.kind),
            first_at: now,
            last_at: now,
        };
        match self.store().apply(Unit::PutFinding(finding)).await {
            // The account was deleted meanwhile, and its mail with it.
            Err(StoreError::UnknownAccount(_) | StoreError::Purging(_)) => Ok(()),
            done => Ok(done.map(|_| ())?),
        }
    }
}
