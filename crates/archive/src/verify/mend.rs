//! Mending: blobs and single records are fetched again, the index is computed again, and when that does not do, the whole
//! repo is fetched, proved and flipped in.

use p2pds_directory::plc_rows;
use p2pds_ipld::Cid;
use p2pds_ipld::car::{CarLimits, SectionCid, SliceReader};
use p2pds_repo::bucket::BucketBuilder;
use p2pds_store::{
    Account, BlobFilter, BlobState, BucketChange, BucketRow, RecordRow, RecordsQuery, Repo, Unit,
};
use p2pds_syntax::RecordPath;

use crate::archive::Inner;
use crate::error::{ArchiveError, ArchiveResult};
use crate::host::Host;
use crate::identity::keys_of;
use crate::progress::{Phase, Progress};
use crate::report::{Check, CheckName, CheckResult};
use crate::stage::blobs_of;
use crate::update::Subject;
use crate::words::plural;

/// Blocks asked for in one request.
const BLOCKS: usize = 50;
/// More damaged records than this are fetched with the whole repo.
const SINGLY: usize = 500;

impl Inner {
    /// Mends what can be mended. The answer says what stood in the way; the second look says what is still damaged.
    pub(super) async fn mend(
        &self,
        account: &Account,
        checks: &[Check],
        progress: &Progress,
    ) -> ArchiveResult<Vec<String>> {
        let damaged = |name: CheckName| {
            checks.iter().find(|check| check.name == name && check.result == CheckResult::Damaged)
        };
        let mut trouble = Vec::new();
        let mut whole = damaged(CheckName::CommitRoot).is_some_and(|check| check.damaged != ["index root"]);
        if damaged(CheckName::Tree).is_some() || damaged(CheckName::CommitRoot).is_some() {
            // The records may be fine and only the index wrong: that needs nobody.
            whole = whole || !self.rebuild_index(account, progress).await?;
        }
        let identity = match self.directory().refresh(&account.did).await {
            Ok(identity) => Some(identity),
            Err(error) => {
                trouble.push(error.to_string());
                None
            }
        };
        if damaged(CheckName::PlcLog).is_some()
            && let Some(log) = identity.as_ref().and_then(|identity| identity.plc.as_deref())
        {
            let unit =
                Unit::PutPlcLog { did: account.did.clone(), ops: plc_rows(log), fetched_at: self.now() };
            trouble.extend(self.store().apply(unit).await.err().map(|error| error.to_string()));
        }
        let host = identity.as_ref().and_then(|identity| identity.pds.clone());
        let (Some(identity), Some(host)) = (identity, host) else { return Ok(trouble) };
        if let Some(check) = damaged(CheckName::Records)
            && !whole
        {
            whole = !self.mend_records(account, &host, check, progress).await?;
        }
        if whole {
            let subject = Subject {
                did: &account.did,
                host: &host,
                keys: keys_of(&identity),
                status: account.status,
                whole: true,
            };
            trouble.extend(self.update_repo(&subject, progress).await.err().map(|error| error.to_string()));
        }
        if damaged(CheckName::Records).is_some() {
            trouble.extend(self.fetch_listed_anew(account, &host, progress).await?);
        }
        if let Some(check) = damaged(CheckName::Blobs) {
            match self.mend_blobs(account, &host, check, progress).await {
                Ok(more) => trouble.extend(more),
                Err(error) => trouble.push(error.to_string()),
            }
        }
        Ok(trouble)
    }

    /// Fetches the blobs that mended records brought back into the list.
    async fn fetch_listed_anew(
        &self,
        account: &Account,
        host: &str,
        progress: &Progress,
    ) -> ArchiveResult<Vec<String>> {
        let mut rows = self.store().blobs(&account.did, BlobFilter::Missing, None, SINGLY).await?;
        rows.retain(|row| matches!(row.state, BlobState::Missing { tries: 0, .. }));
        self.fetch_again(account, host, &rows, progress).await
    }

    async fn mend_blobs(
        &self,
        account: &Account,
        host: &str,
        check: &Check,
        progress: &Progress,
    ) -> ArchiveResult<Vec<String>> {
        let mut rows = Vec::new();
        for cid in check.damaged.iter().filter_map(|cid| cid.parse::<Cid>().ok()) {
            let Some(row) = self.store().blob(&account.did, &cid).await? else { continue };
            // A line that names a blob of no record, and of which nothing is there, is damage of the list itself.
            let phantom = self.store().blob_referers(&account.did, &cid).await?.is_empty()
                && self.blobs().size(&account.did, &cid).await?.is_none();
            let unit = Unit::DropBlob { did: account.did.clone(), cid };
            if !phantom || self.store().apply(unit).await.is_err() {
                rows.push(row);
            }
        }
        self.fetch_again(account, host, &rows, progress).await
    }

    /// Fetches single records. `false`: that did not do, fetch the whole repo.
    async fn mend_records(
        &self,
        account: &Account,
        host: &str,
        check: &Check,
        progress: &Progress,
    ) -> ArchiveResult<bool> {
        let Some(repo) = self.store().live_repo(&account.did).await? else { return Ok(false) };
        let paths: Vec<RecordPath> =
            check.damaged.iter().filter_map(|path| RecordPath::parse(path).ok()).collect();
        if paths.len() != check.damaged.len() || paths.len() > SINGLY {
            return Ok(false);
        }
        let words = format!("fetching {} again", plural(paths.len() as u64, "record", "records"));
        progress.note(Phase::Repair, words);
        let host = Host { net: self.net(), url: host, did: &account.did };
        for paths in paths.chunks(BLOCKS) {
            let mut rows = Vec::new();
            for path in paths {
                rows.extend(self.store().record(repo.id, path).await?);
            }
            if !self.mend_rows(&repo, &host, &rows).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn mend_rows(&self, repo: &Repo, host: &Host<'_>, rows: &[RecordRow]) -> ArchiveResult<bool> {
        const MAX: u64 = 64 << 20;
        let cids: Vec<String> = rows.iter().map(|row| row.cid.to_string()).collect();
        let Ok(answer) = host.blocks(&cids).await else { return Ok(false) };
        let Ok(bytes) = answer.bytes(MAX).await else { return Ok(false) };
        let Ok(reader) = SliceReader::new(&bytes, CarLimits::DEFAULT) else { return Ok(false) };
        let mut blocks = Vec::new();
        for section in reader {
            match section {
                Ok(section) => {
                    if let SectionCid::Plain(cid) = section.cid
                        && cid.matches(section.bytes)
                    {
                        blocks.push((cid, section.bytes));
                    }
                }
                Err(_) => return Ok(false),
            }
        }
        let mut all = true;
        for row in rows {
            let Some((_, body)) = blocks.iter().find(|(cid, _)| *cid == row.cid) else {
                all = false;
                continue;
            };
            let unit = Unit::RepairRecord {
                did: repo.did.clone(),
                repo: repo.id,
                key: row.key.clone(),
                cid: row.cid,
                body: body.to_vec(),
                blobs: blobs_of(body).0,
            };
            self.store().apply(unit).await?;
        }
        Ok(all)
    }

    /// Computes the index from the records, if they build the signed root. `false`: they do not.
    async fn rebuild_index(&self, account: &Account, progress: &Progress) -> ArchiveResult<bool> {
        let Some(repo) = self.store().live_repo(&account.did).await? else { return Ok(false) };
        let Some(head) = &repo.head else { return Ok(false) };
        let mut fresh = Vec::new();
        let built = {
            let mut builder = BucketBuilder::new(|bucket| fresh.push(bucket));
            let mut query = RecordsQuery::all(repo.id).keys_only();
            loop {
                let Ok(page) = self.store().records(query.clone()).await else { return Ok(false) };
                let Some(last) = page.last() else { break };
                query = query.after(&last.key);
                for row in &page {
                    if builder.push(row.key.as_bytes(), &row.cid).is_err() {
                        return Ok(false);
                    }
                }
            }
            builder.finish()
        };
        if built.root != head.data {
            return Ok(false);
        }
        progress.note(Phase::Repair, "computing the index from the records again");
        let stored = self.store().buckets(repo.id, false).await.unwrap_or_default();
        let known: std::collections::HashSet<Vec<u8>> =
            fresh.iter().map(|bucket| bucket.lo.clone()).collect();
        let gone =
            stored.into_iter().map(|row| row.lo).filter(|lo| !known.contains(lo)).map(BucketChange::Delete);
        let put = fresh.into_iter().map(|bucket| BucketChange::Put(BucketRow::new(bucket, head.rev)));
        let changes: Vec<BucketChange> = gone.chain(put).collect();
        for changes in changes.chunks(200) {
            let unit = Unit::PutBuckets {
                did: account.did.clone(),
                repo: repo.id,
                rev: head.rev,
                changes: changes.to_vec(),
            };
            if let Err(error) = self.store().apply(unit).await {
                return if error.kind() == p2pds_syntax::ErrorKind::Unavailable {
                    Err(ArchiveError::Store(error))
                } else {
                    Ok(false)
                };
            }
        }
        Ok(true)
    }
}
