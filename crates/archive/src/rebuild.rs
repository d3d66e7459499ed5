//! Accounts that lost rows when a damaged database file was mended: everything of them is read and proved again, and
//! what is lacking is fetched from their source.

use p2pds_store::{Account, Finding};
use serde_json::json;

use crate::archive::Archive;
use crate::error::ArchiveResult;
use crate::progress::{Phase, Progress};
use crate::report::{CheckResult, VerifyOptions};

/// Kind of the findings that say so; the store writes them.
pub(crate) const STORE_DAMAGED: &str = "store-damaged";
/// Kind of the evidence that names what may stay lost: nothing is wrong any more, and it must not be forgotten.
pub(crate) const STORE_LOST: &str = "store-lost";

/// What no source can give back, by the table that held it.
const IRRETRIEVABLE: [&str; 5] = ["account", "commit_log", "evidence", "past", "repo"];

impl Archive {
    /// Rebuilds the accounts that a damaged database file cost rows, and says what could not be done.
    ///
    /// # Errors
    /// The accounts cannot be listed.
    pub async fn rebuild_damaged(&self, progress: &Progress) -> ArchiveResult<Vec<String>> {
        let mut left = Vec::new();
        for account in self.inner().all_archived().await?.into_iter().filter(|account| !account.purging) {
            let mut found = self.inner().store().findings(&account.did, 1_000).await?;
            found.retain(|finding| finding.kind == STORE_DAMAGED);
            if found.is_empty() {
                continue;
            }
            if let Err(error) = self.rebuild(&account, &found, progress, &mut left).await {
                left.push(format!("{} could not be rebuilt: {error}", account.did));
            }
        }
        Ok(left)
    }

    async fn rebuild(
        &self,
        account: &Account,
        found: &[Finding],
        progress: &Progress,
        left: &mut Vec<String>,
    ) -> ArchiveResult<()> {
        let (did, inner) = (&account.did, self.inner());
        progress
            .about(did)
            .warn(Phase::Repair, "the database lost rows of this account; everything is proved again");
        // The log, the head and the blobs from the source; then every stored byte against the head.
        let synced = self.sync(did, progress).await;
        let report = self.verify(did, VerifyOptions { read_data: true, repair: true }, progress).await?;
        if !report.ok {
            let damaged = report.checks.iter().filter(|check| check.result == CheckResult::Damaged);
            let words: Vec<&str> = damaged.map(|check| check.detail.as_str()).collect();
            left.push(format!("{did} is not whole again yet: {}", words.join("; ")));
            return Ok(());
        }
        if let Err(error) = synced {
            left.push(format!("{did} is whole, and could not be brought up to date: {error}"));
            return Ok(());
        }
        for finding in found.iter().filter(|finding| IRRETRIEVABLE.contains(&finding.subject.as_str())) {
            let detail = json!({"table": finding.subject, "words": finding.detail});
            inner.keep_evidence(did, STORE_LOST, detail, None).await?;
        }
        inner.resolve_faults(did, STORE_DAMAGED, None).await
    }
}
