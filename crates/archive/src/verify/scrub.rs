//! The deep check: everything that is stored is read and checked once a round, a little at a time.
//!
//! A round goes through the accounts by DID. Of each it reads the records bucket by bucket (each body is hashed, each
//! bucket is computed from its records and compared with the stored one), then the spine, the signature and the log,
//! then every blob. A step is a few milliseconds of that; between steps the caller pauses ([`Pace`]) and keeps the
//! [`Scrub`], which is all that is needed to go on after a restart. An account in which damage shows is verified as a
//! whole and mended at once, by the same code as `p2pds verify`.
//!
//! Commits may arrive meanwhile: what does not fit is looked at again before it counts as damage.

mod pace;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use p2pds_ipld::Cid;
use p2pds_repo::bucket::{Bucket, rebuild};
use p2pds_store::view::refresh;
use p2pds_store::{Account, BlobFilter, BucketRow, RecordsQuery, Repo, Store};
use p2pds_syntax::{Did, ErrorKind, RecordPath};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::damage_or;
use super::tree::{blobs_listed, same};
use crate::archive::{Archive, Inner};
use crate::error::ArchiveResult;
use crate::fetch::blocking;
use crate::progress::Progress;
use crate::quota::used;
use crate::report::{CheckResult, VerifyOptions};

pub use pace::{Pace, Paced};

/// Buckets checked in one step: about 2,000 records.
const BUCKETS: usize = 8;
/// Blobs looked up at a time.
const BLOBS: usize = 16;
/// A step ends after the first piece that passes this time.
const STEP: Duration = Duration::from_millis(20);
/// Looks at one place while commits keep changing it; then it waits for the next round.
const LOOKS: u32 = 5;

/// Where a round stands. Kept by the caller, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scrub {
    /// Number of the round.
    pub round: u64,
    /// When it began, microseconds since 1970.
    pub began_at: i64,
    /// When it ended; `None` while it runs.
    pub ended_at: Option<i64>,
    /// Accounts there were when it began.
    pub accounts: u64,
    /// Accounts done.
    pub accounts_done: u64,
    /// Bytes there were when it began.
    pub total_bytes: u64,
    /// Bytes read.
    pub done_bytes: u64,
    /// Records read.
    pub records: u64,
    /// Blobs read.
    pub blobs: u64,
    /// Accounts in which damage was found.
    pub damaged: u64,
    /// Those of them in which all of it was mended.
    pub mended: u64,
    /// Time spent working, in microseconds.
    pub busy_us: u64,
    /// The last account that is done.
    pub after: Option<Did>,
    /// The account at work.
    pub place: Option<Place>,
}

/// Where in an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The account.
    pub did: Did,
    /// The next thing to look at.
    pub part: Part,
    /// Something did not fit.
    pub damage: bool,
}

/// A part of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "kebab-case")]
pub enum Part {
    /// The buckets from this first key on.
    Records {
        /// First key; empty for the beginning.
        from: String,
    },
    /// The blobs after this one.
    Blobs {
        /// CID; `None` for the beginning.
        after: Option<String>,
    },
}

/// What one step did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// Bytes read.
    pub bytes: u64,
    /// Time it took.
    pub took: Duration,
    /// The account that was finished, and whether it is in order.
    pub account: Option<(Did, bool)>,
    /// The round is over.
    pub ended: bool,
}

impl Scrub {
    /// How much of the round is done, in thousandths.
    #[must_use]
    pub fn permille(&self) -> u64 {
        if self.ended_at.is_some() {
            return 1_000;
        }
        let part = u128::from(self.done_bytes).saturating_mul(1_000);
        u64::try_from(part.checked_div(self.total_bytes.into()).unwrap_or(0)).unwrap_or(999).min(999)
    }
}

impl Archive {
    /// Begins the round after `before`.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn scrub_begin(&self, before: Option<&Scrub>) -> ArchiveResult<Scrub> {
        let accounts = self.inner().all_accounts().await?;
        Ok(Scrub {
            round: before.map_or(0, |before| before.round).saturating_add(1),
            began_at: self.now(),
            accounts: u64::try_from(accounts.len()).unwrap_or(u64::MAX),
            total_bytes: accounts.iter().map(used).fold(0, u64::saturating_add),
            ..Scrub::default()
        })
    }

    /// Goes on with a round for some milliseconds. An account in which damage shows is verified as a whole and mended
    /// within the step; its findings say what is left.
    ///
    /// # Errors
    /// The store does not answer at all. Damage is no error.
    pub async fn scrub_step(&self, scrub: &mut Scrub) -> ArchiveResult<Step> {
        let begun = Instant::now();
        let mut step = Step::default();
        while begun.elapsed() < STEP && step.account.is_none() && !step.ended {
            self.scrub_piece(scrub, &mut step).await?;
        }
        step.took = begun.elapsed();
        scrub.busy_us =
            scrub.busy_us.saturating_add(u64::try_from(step.took.as_micros()).unwrap_or(u64::MAX));
        Ok(step)
    }

    async fn scrub_piece(&self, scrub: &mut Scrub, step: &mut Step) -> ArchiveResult<()> {
        let inner = self.inner();
        let Some(place) = scrub.place.clone() else {
            match inner.store().accounts(scrub.after.as_ref(), 1).await?.into_iter().next() {
                None => {
                    scrub.ended_at = Some(inner.now());
                    step.ended = true;
                }
                Some(account) => {
                    let part = Part::Records { from: String::new() };
                    scrub.place = Some(Place { did: account.did, part, damage: false });
                }
            }
            return Ok(());
        };
        // An account that is being removed, or has nothing yet, has nothing to check.
        let holds = |account: &Account| account.rev.is_some() || account.blobs_held > 0;
        let account = inner.store().account(&place.did).await?.filter(holds);
        let Some(account) = account else {
            scrub.leave(&place.did);
            return Ok(());
        };
        let read = match &place.part {
            Part::Records { from } => inner.scrub_records(&account, from).await?,
            Part::Blobs { after } => inner.scrub_blobs(&account, after.as_deref()).await?,
        };
        scrub.records = scrub.records.saturating_add(read.records);
        scrub.blobs = scrub.blobs.saturating_add(read.blobs);
        scrub.done_bytes = scrub.done_bytes.saturating_add(read.bytes);
        step.bytes = step.bytes.saturating_add(read.bytes);
        let damage = place.damage || read.damage;
        match read.next {
            Some(part) => scrub.place = Some(Place { part, damage, ..place }),
            None => {
                let ok = self.scrub_end(&account, damage, scrub).await?;
                scrub.leave(&place.did);
                step.account = Some((place.did, ok));
            }
        }
        Ok(())
    }

    /// Ends an account: notes that all is well, or has it verified and mended.
    async fn scrub_end(&self, account: &Account, damage: bool, scrub: &mut Scrub) -> ArchiveResult<bool> {
        if !damage {
            self.inner().note_verified(&account.did, &[], true).await?;
            return Ok(true);
        }
        let options = VerifyOptions { read_data: true, repair: true };
        let report = self.verify(&account.did, options, &Progress::none()).await?;
        if report.found_damage {
            scrub.damaged = scrub.damaged.saturating_add(1);
            scrub.mended = scrub.mended.saturating_add(u64::from(report.ok));
        }
        Ok(report.ok)
    }
}

impl Scrub {
    fn leave(&mut self, did: &Did) {
        self.accounts_done = self.accounts_done.saturating_add(1);
        self.after = Some(did.clone());
        self.place = None;
    }
}

/// What one piece of an account gave.
#[derive(Debug, Default)]
struct Read {
    records: u64,
    blobs: u64,
    bytes: u64,
    damage: bool,
    /// Where it goes on; `None`: the account is done.
    next: Option<Part>,
}

impl Inner {
    /// The next buckets of the live repo, and after the last one the spine, the signature and the log.
    async fn scrub_records(&self, account: &Account, from: &str) -> ArchiveResult<Read> {
        let blobs = || Some(Part::Blobs { after: None });
        for look in 1..=LOOKS {
            let repo = match damage_or(self.store().live_repo(&account.did).await)? {
                Ok(Some(repo)) => repo,
                // Kept as it came, if at all: there are no records to check one by one.
                Ok(None) => {
                    return Ok(Read { damage: account.rev.is_some(), next: blobs(), ..Read::default() });
                }
                Err(_) => return Ok(Read { damage: true, next: blobs(), ..Read::default() }),
            };
            let (store, runtime, of, lo) =
                (Arc::clone(self.store()), Handle::current(), repo.clone(), from.as_bytes().to_vec());
            let (mut read, next) = blocking(move || read_buckets(&store, &runtime, &of, &lo)).await?;
            read.next = match next {
                Some(next) => Some(Part::Records { from: next }),
                None => {
                    read.damage |= !self.top_is_good(&repo).await?;
                    blobs()
                }
            };
            let now = damage_or(self.store().live_repo(&account.did).await)?.ok().flatten();
            let moved = now.is_none_or(|now| (now.id, now.rev) != (repo.id, repo.rev));
            if !read.damage || !moved {
                return Ok(read);
            }
            tracing::debug!(event = "scrub.moved", did = %account.did, look, "the repo changed while it was read; looking again");
        }
        // It changes all the time: the parts are checked as they arrive, and the next round looks again.
        Ok(Read { next: blobs(), ..Read::default() })
    }

    /// Spine, signature, key and log.
    async fn top_is_good(&self, repo: &Repo) -> ArchiveResult<bool> {
        let Some(head) = &repo.head else { return Ok(false) };
        if let Err(error) = refresh(&**self.store(), repo).await
            && error.kind() == ErrorKind::Corrupt
        {
            return Ok(false);
        }
        let log = self.stored_log(&repo.did).await?;
        let index = self.read_index(repo, head).await?;
        let commit = self.check_commit(repo, head, &log, &index).await?;
        let log = super::check_log(&repo.did, &log);
        Ok(commit.result != CheckResult::Damaged && log.result != CheckResult::Damaged)
    }

    async fn scrub_blobs(&self, account: &Account, after: Option<&str>) -> ArchiveResult<Read> {
        let begun = Instant::now();
        let after: Option<Cid> = after.and_then(|cid| cid.parse().ok());
        let page = self.store().blobs(&account.did, BlobFilter::Held, after.as_ref(), BLOBS).await?;
        let mut read = Read::default();
        for row in &page {
            match self.check_blob(account, row, true).await? {
                Ok(bytes) => read.bytes = read.bytes.saturating_add(bytes),
                Err(_) => read.damage = true,
            }
            read.blobs = read.blobs.saturating_add(1);
            read.next = Some(Part::Blobs { after: Some(row.cid.to_string()) });
            if begun.elapsed() > STEP {
                return Ok(read);
            }
        }
        Ok(read)
    }
}

/// Checks some buckets of a repo from the one at `lo` on, and says which is next.
fn read_buckets(
    store: &Arc<dyn Store>,
    runtime: &Handle,
    repo: &Repo,
    lo: &[u8],
) -> ArchiveResult<(Read, Option<String>)> {
    let mut read = Read::default();
    let page = runtime.block_on(store.bucket_page(repo.id, lo, BUCKETS.saturating_add(1)));
    let Ok(rows) = damage_or(page)? else { return Ok((Read { damage: true, ..read }, None)) };
    // What lies before the first bucket that is there would be read by nobody.
    read.damage = rows.first().is_none_or(|row| row.lo != lo);
    let next = rows.get(BUCKETS).map(|row| String::from_utf8_lossy(&row.lo).into_owned());
    let mut listed = HashSet::new();
    let his = rows.iter().skip(1).map(|row| Some(row.lo.clone())).chain(std::iter::once(None));
    for (row, hi) in rows.iter().zip(his).take(BUCKETS) {
        read_bucket(store, runtime, repo, row, hi, &mut read, &mut listed)?;
    }
    Ok((read, next))
}

fn read_bucket(
    store: &Arc<dyn Store>,
    runtime: &Handle,
    repo: &Repo,
    row: &BucketRow,
    hi: Option<Vec<u8>>,
    read: &mut Read,
    listed: &mut HashSet<Cid>,
) -> ArchiveResult<()> {
    let mut keys: Vec<(RecordPath, Cid)> = Vec::new();
    let mut query = RecordsQuery { from: row.lo.clone(), until: hi, ..RecordsQuery::all(repo.id) };
    loop {
        let Ok(page) = damage_or(runtime.block_on(store.records(query.clone())))? else {
            read.damage = true;
            return Ok(());
        };
        let Some(last) = page.last() else { break };
        query = query.after(&last.key);
        for record in page {
            read.records = read.records.saturating_add(1);
            read.damage |= record.damaged;
            if let Some(body) = &record.body {
                read.bytes = read.bytes.saturating_add(u64::try_from(body.len()).unwrap_or(0));
                read.damage |= !blobs_listed(store, runtime, repo, body, listed)?;
            }
            keys.push((record.key, record.cid));
        }
    }
    let keys: Vec<(&[u8], Cid)> = keys.iter().map(|(key, cid)| (key.as_bytes(), *cid)).collect();
    let good = |bucket: &Bucket| row.dirty || same(row, bucket);
    read.damage |= !rebuild(&row.lo, &keys).is_ok_and(|bucket| good(&bucket));
    Ok(())
}
