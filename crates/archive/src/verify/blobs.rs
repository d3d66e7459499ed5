//! Blobs: what should be here is, in full length, and if wished hashes to its name.

use p2pds_blobs::Check as FileCheck;
use p2pds_ipld::Cid;
use p2pds_store::{Account, BlobFilter, BlobRow};

use crate::archive::Inner;
use crate::error::ArchiveResult;
use crate::progress::{Phase, Progress, Unit as Counted};
use crate::report::{Check, CheckName, CheckResult, VerifyReport};
use crate::words::{plural, size};

/// Rows read at a time.
const PAGE: usize = 500;

impl Inner {
    pub(super) async fn check_blobs(
        &self,
        account: &Account,
        read_data: bool,
        progress: &Progress,
    ) -> ArchiveResult<Check> {
        let name = CheckName::Blobs;
        let doing = if read_data { "hashing" } else { "looking for" };
        let words = format!("{doing} {}", plural(account.blobs_held, "blob", "blobs"));
        let counter = progress.begin(Phase::Verify, Counted::Blobs, Some(account.blobs_held), words);
        let (mut good, mut bytes, mut damaged, mut bad) = (0_u64, 0_u64, Vec::new(), 0_u64);
        let mut after: Option<Cid> = None;
        loop {
            let page = self.store().blobs(&account.did, BlobFilter::Held, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.cid);
            for row in &page {
                match self.check_blob(account, row, read_data).await? {
                    Ok(length) => {
                        good = good.saturating_add(1);
                        bytes = bytes.saturating_add(length);
                    }
                    Err(_) => {
                        bad = bad.saturating_add(1);
                        if damaged.len() < VerifyReport::MAX_LISTED {
                            damaged.push(row.cid.to_string());
                        }
                    }
                }
                counter.add(1);
            }
        }
        let how = if read_data { "hash to their CIDs" } else { "are there in full length (not hashed)" };
        let mut detail = format!("{} ({}) {how}", plural(good, "blob", "blobs"), size(bytes));
        counter.finish(detail.clone());
        let absent = account.blobs_missing;
        if absent > 0 {
            detail = format!(
                "{detail}; {} not here, see `p2pds archive show`",
                plural(absent, "blob is", "blobs are")
            );
        }
        if bad > 0 {
            let words = format!("{} lost or damaged; {detail}", plural(bad, "blob is", "blobs are"));
            return Ok(Check::damaged(name, words, damaged));
        }
        let result = if absent > 0 { CheckResult::Incomplete } else { CheckResult::Ok };
        Ok(Check { result, ..Check::ok(name, detail) })
    }

    /// The length of a blob that is in order, or what is wrong with it.
    pub(super) async fn check_blob(
        &self,
        account: &Account,
        row: &BlobRow,
        read_data: bool,
    ) -> ArchiveResult<Result<u64, String>> {
        let did = &account.did;
        if read_data {
            return Ok(match self.blobs().verify(did, &row.cid).await? {
                FileCheck::Good { size } => Ok(size),
                FileCheck::Missing => Err("its file is gone".to_owned()),
                FileCheck::Damaged { actual, .. } => Err(format!("its bytes hash to {actual}")),
            });
        }
        Ok(match self.blobs().size(did, &row.cid).await? {
            Some(length) if length == row.size => Ok(length),
            Some(length) => Err(format!("its file has {length} bytes instead of {}", row.size)),
            None => Err("its file is gone".to_owned()),
        })
    }
}
