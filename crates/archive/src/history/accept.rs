//! Accepting a head that is older than the stored one, because a host restored an old backup and its owner goes on from
//! there. Never by itself: an operator says so, with a reason that is kept.

use p2pds_store::{AccountPatch, AccountStatus};
use p2pds_syntax::Did;
use tokio::time::Instant;

use crate::add::host_of;
use crate::archive::Archive;
use crate::error::{ArchiveError, ArchiveResult};
use crate::fetch_blobs::Which;
use crate::host::Host;
use crate::identity::{identity_error, keys_of};
use crate::progress::Progress;
use crate::report::{Outcome, Summary};
use crate::take::{Terms, Took};
use crate::update::{Subject, Updated};

impl Archive {
    /// Fetches the repo whole from the account's host and takes it although it is not newer than what is stored. The
    /// signature is checked as ever. What was stored stays beside it as a line of history that was left, as long as
    /// history is kept.
    ///
    /// # Errors
    /// [`ArchiveError::NothingToAccept`] when the host's head would be taken, or refused, anyway; and as for a sync.
    pub async fn accept_head(&self, did: &Did, reason: &str, progress: &Progress) -> ArchiveResult<Summary> {
        let begun = Instant::now();
        let progress = progress.about(did);
        let reason = reason.trim();
        if reason.is_empty() {
            return Err(ArchiveError::NoReason);
        }
        let inner = self.inner();
        let _guard = inner.locks().enter(did).await;
        inner.archived(did).await?;
        let before = inner.store().live_repo(did).await?.ok_or_else(|| ArchiveError::NothingToAccept {
            did: did.clone(),
            why: "nothing of it is stored yet; an ordinary sync takes what its host has".to_owned(),
        })?;
        let identity =
            inner.directory().refresh(did).await.map_err(|error| identity_error(did.as_str(), &error))?;
        let url = host_of(&identity)?;
        let subject = Subject {
            did,
            host: &url,
            keys: keys_of(&identity),
            status: AccountStatus::Active,
            whole: false,
        };
        let host = Host { net: inner.net(), url: &url, did };
        let fetched = inner
            .fetch_repo(&host, &progress)
            .await?
            .map_err(|source| ArchiveError::Host { doing: format!("asking {url} for the repo"), source })?;
        let terms = Terms { accept: Some(reason.to_owned()), ..Terms::network(&subject) };
        let took = inner.take(&fetched.path, &terms, &progress).await;
        inner.spool().clear(did)?;
        let Took { outcome, notes } = took?;
        if outcome == Outcome::Current {
            let why = format!("{url} has the stored revision {}", before.rev);
            return Err(ArchiveError::NothingToAccept { did: did.clone(), why });
        }
        let patch = AccountPatch {
            last_attempt_at: Some(Some(self.now())),
            last_sync_at: Some(Some(self.now())),
            last_sync_error: Some(None),
            ..AccountPatch::default()
        };
        inner.patch(did, patch).await?;
        let brought = inner.fetch_blobs(did, &url, Which::GoneToo, &progress).await?;
        let updated = Updated { outcome, fetched_bytes: fetched.bytes, notes };
        let mut summary = inner.summary(did, updated, brought, begun).await?;
        // A host that went on after its backup is ahead again: that is an ordinary sync.
        summary.accepted_older =
            inner.store().live_repo(did).await?.is_some_and(|after| after.rev <= before.rev);
        Ok(summary)
    }
}
