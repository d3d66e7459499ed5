//! Deleting an account, so that no byte of it is left.
//!
//! One batch makes it unreachable and tells the network; what is stored is erased after that, piece by piece, and all
//! files of the node are searched for it. Cut off anywhere, it goes on from there. An account that this node has archived
//! and that never was active here goes back to the archive instead, and nothing of it is erased (`moving.rs`).

use std::time::Duration;

use async_trait::async_trait;
use p2pds_store::{Applied, LoginPatch, Unit};
use p2pds_syntax::Did;

use super::audit::{Act, By};
use super::tokens::TokenPurpose;
use crate::error::{HostError, HostResult};
use crate::events::{self, Said};
use crate::host::Host;
use crate::jobs::Job;
use crate::reason::Reason;

/// How a deletion's reason begins in the list of purges, so that it is told from those of archived accounts.
const BASIS: &str = "hosted account deleted by ";
/// Accounts of one round.
const ROUND: usize = 50;
/// How often it is looked whether a deletion is due.
const EVERY: Duration = Duration::from_secs(60);

/// What became of an account that was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone, and its data is being erased.
    Erased,
    /// It had not moved here yet: it is an archived account again, with all that was stored.
    GivenBack,
    /// It moved here out of the archive a moment ago: it is switched off, and deleted when its owner could not take it back
    /// any more.
    Deferred,
    /// Its owner came back, or set another time, while its deletion was about to begin: nothing was done.
    NotDue,
}

impl Host {
    /// Sends the token that a deletion needs.
    ///
    /// # Errors
    /// The account has no address; the store.
    pub async fn request_account_delete(&self, did: &Did) -> HostResult<()> {
        let login = self.own_login(did).await?;
        self.send_email_token(&login, TokenPurpose::DeleteAccount).await
    }

    /// Deletes an account at its owner's wish. It is gone for everybody when this answers; its data is erased after. One
    /// that moved here out of the archive is only switched off before 72 hours are over, and deleted then.
    ///
    /// # Errors
    /// Wrong password or DID; `InvalidToken`, `ExpiredToken`; the store.
    pub async fn delete_account(
        &self,
        did: &Did,
        password: &str,
        token: &str,
        address: &str,
    ) -> HostResult<()> {
        if password.encode_utf16().count() > crate::passwords::LONGEST {
            return Err(HostError::unauthenticated(
                "AuthenticationRequired",
                "Password too long. Consider resetting your password.",
            )
            .because(Reason::PasswordWrong));
        }
        let login = self.store().login(did).await?;
        let login = login.ok_or_else(|| HostError::invalid("account not found").because(Reason::NotHere))?;
        self.is_own_password(&login, password, address).await?;
        let take = self.check_email_token(did, TokenPurpose::DeleteAccount, token).await?;
        let by = By::Owner;
        let audit =
            self.audit_unit(Act { by: &by, what: "deleteAccount", did: Some(did), subject: "", detail: "" });
        self.delete(did, &by, vec![take, audit]).await.map(|_| ())
    }

    /// Deletes an account without asking its owner.
    ///
    /// # Errors
    /// No such account; the store.
    pub async fn admin_delete_account(&self, by: &By, did: &Did) -> HostResult<Deleted> {
        let audit =
            self.audit_unit(Act { by, what: "deleteAccount", did: Some(did), subject: "", detail: "" });
        self.delete(did, by, vec![audit]).await
    }

    async fn delete(&self, did: &Did, by: &By, mut units: Vec<Unit>) -> HostResult<Deleted> {
        let lock = self.account_lock(did).await?;
        let held = lock.hold().await;
        let login = self.store().login(did).await?;
        let login = login
            .ok_or_else(|| HostError::invalid(format!("Account not found: {did} is not hosted here")))?;
        if *by == By::Node && login.delete_after.is_none_or(|at| at > self.now()) {
            return Ok(Deleted::NotDue);
        }
        if let Some(moving) = self.moving(did).await? {
            let detail = "it had not moved here yet: it is an archived account again, and nothing was erased";
            units.push(self.audit_unit(Act { by, what: "giveBack", did: Some(did), subject: "", detail }));
            self.give_back(&login, &moving, units).await?;
            drop(held);
            self.forget_account(did).await;
            self.sessions_ended(did);
            self.changed_hands(did);
            tracing::warn!(event = "host.account-given-back", %did, by = by.as_str(), "an account was not moved here after all; it is an archived one again, and nothing of it was erased");
            return Ok(Deleted::GivenBack);
        }
        let now = self.now();
        // Whoever got hold of the identity could have the archived copy erased before its owner takes it back.
        let until = if *by == By::Owner { self.recovery_ends(did).await? } else { None };
        if let Some(until) = until.filter(|until| *until > now) {
            units.push(self.end_sessions(did, None));
            let patch = LoginPatch {
                deactivated_at: Some(Some(login.deactivated_at.unwrap_or(now))),
                delete_after: Some(Some(until)),
                ..LoginPatch::default()
            };
            let units = self.status_units(login, patch, units)?;
            self.store().apply(Unit::Batch { did: did.clone(), units }).await.map_err(Self::token_taken)?;
            drop(held);
            self.sessions_ended(did);
            tracing::warn!(event = "host.delete-waits", %did, "an account that moved here out of the archive less than 72 hours ago is to be deleted: it is switched off, and deleted when they are over");
            return Ok(Deleted::Deferred);
        }
        // One that was brought here and never activated is still another server's: the network never heard of it here.
        let heard_of = login.deactivated_at != Some(login.created_at);
        if heard_of {
            units.push(events::account(did, Said::Deleted, now)?);
        }
        units.push(self.end_sessions(did, None));
        units.push(Unit::DropLogin { did: did.clone() });
        let basis = format!("{BASIS}{}", by.as_str());
        units.push(Unit::PurgeBegin { did: did.clone(), basis, at: now });
        self.store().apply(Unit::Batch { did: did.clone(), units }).await.map_err(Self::token_taken)?;
        drop(held);
        self.sessions_ended(did);
        tracing::info!(event = "host.account-deleted", %did, by = by.as_str(), "an account was deleted; its data is being erased");
        self.accounts().erase.notify_one();
        Ok(Deleted::Erased)
    }

    /// Erases what is stored of an account whose deletion began.
    ///
    /// # Errors
    /// The store or the disk; asked again, it goes on.
    pub async fn erase(&self, did: &Did) -> HostResult<()> {
        let _one = self.accounts().erasing.lock().await;
        if !self.to_erase().await?.contains(did) {
            return Ok(());
        }
        self.chunks(|| Unit::EraseEvents { did: did.clone() }).await?;
        self.blobs().delete_account(did).await.map_err(|error| {
            tracing::error!(event = "host.erase", %did, %error, "blobs of a deleted account cannot be erased now");
            HostError::upstream("blobs of a deleted account cannot be erased now")
        })?;
        self.chunks(|| Unit::PurgeChunk { did: did.clone() }).await?;
        let found = self.store().erase_traces(did).await?;
        if found.left > 0 {
            tracing::warn!(event = "host.erase-traces", %did, report = %found, "traces of a deleted account are left");
        }
        let report = found.to_string();
        self.store().apply(Unit::PurgeEnd { did: did.clone(), at: self.now(), report }).await?;
        tracing::info!(event = "host.account-erased", %did, rows = found.rows, "a deleted account was erased");
        Ok(())
    }

    async fn chunks(&self, unit: impl Fn() -> Unit) -> HostResult<()> {
        loop {
            match self.store().apply(unit()).await? {
                Applied::Chunk { done: false, .. } => {}
                _ => return Ok(()),
            }
        }
    }

    /// Deletions that are not finished.
    async fn to_erase(&self) -> HostResult<Vec<Did>> {
        let purges = self.store().purges(1_000).await?;
        let open = purges.into_iter().filter(|row| row.ended_at.is_none() && row.basis.starts_with(BASIS));
        Ok(open.map(|row| row.did).collect())
    }
}

/// Deletes accounts whose time has come, and erases what was deleted.
#[derive(Debug, Clone, Copy)]
pub struct EraseJob;

#[async_trait]
impl Job for EraseJob {
    fn name(&self) -> &'static str {
        "erase-accounts"
    }

    async fn round(&self, host: &Host) -> HostResult<Duration> {
        // What is wrong with one account keeps no other from its deletion; it is tried again with the next round.
        for did in host.store().logins_to_delete(host.now(), ROUND).await? {
            let by = By::Node;
            let detail = "its owner deactivated it and set this time for its deletion";
            let audit =
                host.audit_unit(Act { by: &by, what: "deleteAccount", did: Some(&did), subject: "", detail });
            tracing::warn!(event = "host.account-due", %did, "a deactivated account is deleted now: the time that was set for that has come");
            if let Err(error) = host.delete(&did, &by, vec![audit]).await {
                tracing::error!(event = "host.delete-failed", %did, %error, "an account whose time has come cannot be deleted now; it is tried again");
            }
        }
        for did in host.to_erase().await? {
            if let Err(error) = host.erase(&did).await {
                tracing::error!(event = "host.erase-failed", %did, %error, "a deleted account cannot be erased now; it is tried again");
            }
        }
        host.forget_moved_in().await?;
        Ok(EVERY)
    }

    async fn wanted(&self, host: &Host) {
        host.accounts().erase.notified().await;
    }
}
