//! The account's status at its host: in force at once, confirmed at the host when somebody else said it.

use std::sync::Arc;

use p2pds_replica::follow::Status;
use p2pds_store::AccountStatus;
use serde_json::json;

use super::followed::Slot;
use super::plan::Source;
use super::service::Service;
use crate::error::ArchiveResult;
use crate::host::{Host, status_of, status_words, withheld};

impl Service {
    /// An `#account` event. A relay's word is confirmed; when the host is silent, only a withdrawal is believed, because
    /// that errs on the safe side.
    pub(super) async fn hear_status(
        self: &Arc<Self>,
        slot: &Slot,
        status: Status,
        confirm: bool,
        source: &Source,
    ) -> ArchiveResult<()> {
        if confirm {
            if self.ask_status(slot).await? {
                return Ok(());
            }
            if !status.withdrawn() {
                return Ok(());
            }
        }
        self.set_status(slot, stored(status), source.url()).await
    }

    /// Asks the host for the status. `false`: it does not say.
    pub(super) async fn ask_status(self: &Arc<Self>, slot: &Slot) -> ArchiveResult<bool> {
        let url = Arc::clone(&slot.lock().host);
        let host = Host { net: self.archive().net(), url: &url, did: &slot.did };
        let status = match host.status().await {
            Ok(answer) => status_of(&answer),
            Err(error) => match withheld(&error, true) {
                Some(status) => status,
                None => return Ok(false),
            },
        };
        self.set_status(slot, status, &url).await?;
        Ok(true)
    }

    /// Stores a status when it is another one.
    pub(super) async fn set_status(
        self: &Arc<Self>,
        slot: &Slot,
        status: AccountStatus,
        source: &str,
    ) -> ArchiveResult<()> {
        let archive = self.archive();
        let Some(account) = archive.store().account(&slot.did).await? else { return Ok(()) };
        {
            let mut inner = slot.lock();
            if let Some(state) = &mut inner.state {
                state.set_status(super::apply::heard(status));
            }
        }
        if account.status == status {
            return Ok(());
        }
        archive.set_status(&slot.did, status).await?;
        let words = status_words(status, source);
        tracing::info!(event = "live.status", did = %slot.did, status = status.as_str(), "{words}");
        metrics::counter!("p2pds_live_status_changes_total", "status" => status.as_str()).increment(1);
        if status == AccountStatus::Active {
            // Commits were passed over meanwhile.
            slot.lock().ask_at = self.now();
        } else {
            let detail = json!({"host": source, "status": status.as_str(), "words": words});
            archive.keep_evidence(&slot.did, "status", detail, None).await?;
            // The usual reason is that the account has moved: then its identity names another host.
            slot.lock().look_up_at(self.now());
        }
        Ok(())
    }
}

fn stored(status: Status) -> AccountStatus {
    // No reason said: it is not served, and that is all that is known.
    AccountStatus::from_word(status.as_str()).unwrap_or(AccountStatus::Deactivated)
}
