//! What is not believed: named, counted, shown with the account.

use std::sync::Arc;

use serde_json::json;

use super::followed::Slot;
use super::prove::Refusal;
use super::service::Service;
use crate::error::ArchiveResult;

/// Beginning of the kinds of findings that are refusals of events.
pub(crate) const REFUSED: &str = "refused-";

impl Service {
    /// Reports an event that is not believed. What is stored stays as it is.
    pub(super) async fn refuse_event(
        self: &Arc<Self>,
        slot: &Slot,
        refusal: &Refusal,
        source: &str,
    ) -> ArchiveResult<()> {
        metrics::counter!("p2pds_live_refused_total", "why" => refusal.word).increment(1);
        tracing::warn!(
            event = "live.refused", did = %slot.did, source, why = refusal.word, "{}", refusal.words
        );
        let archive = self.archive();
        let kind = format!("{REFUSED}{}", refusal.word);
        archive.find_fault(&slot.did, &kind, source, &refusal.words).await?;
        // A contradiction is kept with its bytes; everything else is one line that counts.
        let words = if refusal.proof.is_some() { &refusal.words } else { refusal.rule };
        let detail = json!({"source": source, "words": words});
        archive.keep_evidence(&slot.did, &kind, detail, refusal.proof.clone()).await?;
        Ok(())
    }
}
