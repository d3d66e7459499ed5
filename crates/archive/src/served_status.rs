//! The status of accounts that are served and that no stream brings word of: polled, paused, imported from a file, or
//! live following is off.
//!
//! Nobody tells of them, so their hosts are asked: what its owner has withdrawn is not to be served on for as long
//! as an operator's pause lasts.

use p2pds_store::AccountStatus;
use p2pds_syntax::{AtIdentifier, Did};
use serde_json::json;

use crate::archive::Archive;
use crate::error::ArchiveResult;
use crate::host::{Host, status_of, status_words, withheld};

impl Archive {
    /// Asks an account's host for its status and stores it, and nothing else. A host that does not answer, or says
    /// nothing of the account, changes nothing: an archive answers when the origin is down.
    ///
    /// # Errors
    /// [`crate::ArchiveError::NotArchived`], store failures.
    pub async fn ask_status(&self, did: &Did) -> ArchiveResult<()> {
        let inner = self.inner();
        let account = inner.archived(did).await?;
        // The host that the identity names now: the one before calls an account that has moved deactivated.
        let named =
            inner.resolve(&AtIdentifier::Did(did.clone())).await.ok().and_then(|identity| identity.pds);
        let Some(url) = named.or(account.pds) else { return Ok(()) };
        let host = Host { net: inner.net(), url: &url, did };
        let status = match host.status().await {
            Ok(answer) => status_of(&answer),
            Err(error) => match withheld(&error, true) {
                Some(status) => status,
                None => return Ok(()),
            },
        };
        if status == account.status {
            return Ok(());
        }
        let _guard = self.hold(did).await;
        inner.set_status(did, status).await?;
        let words = status_words(status, &url);
        tracing::info!(event = "live.status", %did, status = status.as_str(), "{words}");
        if status != AccountStatus::Active {
            let detail = json!({"host": url, "status": status.as_str(), "words": words});
            inner.keep_evidence(did, "status", detail, None).await?;
        }
        Ok(())
    }
}
