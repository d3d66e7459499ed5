//! Pictures and videos: what records name and is not here, fetched, hashed, kept.
//!
//! The rows say what is missing, so this worker takes no input and may be killed anywhere: a file is durable before its
//! row says so, and a file without a row is found and hashed instead of fetched again.

mod budget;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use p2pds_blobs::{BlobError, Check, PutOptions, Quota};
use p2pds_ipld::Cid;
use p2pds_net::NetError;
use p2pds_store::{Account, BlobFilter, BlobRow, BlobState, Unit};
use p2pds_syntax::{Did, ErrorKind};

use crate::archive::Inner;
use crate::error::{ArchiveError, ArchiveResult};
use crate::host::{Host, withheld};
use crate::progress::{Counter, Phase, Progress, Unit as Counted};
use crate::words::{plural, size};
use budget::Budget;

/// Rows read at a time.
const PAGE: usize = 200;
/// Failures in a row, whatever the blob, after which the host counts as out of reach.
const GIVE_UP_AFTER: u64 = 20;

/// Which of the missing blobs to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// None of them: somebody else sees to them.
    Nothing,
    /// Those whose next try is due.
    Due,
    /// All missing ones, whatever their next try: somebody asked for it.
    Missing,
    /// Those too that the source said it does not have.
    GoneToo,
}

/// What one run brought.
#[derive(Debug, Clone, Default)]
pub(crate) struct Brought {
    /// Blobs that are here now and were not.
    pub(crate) fetched: u64,
    /// Bytes of them.
    pub(crate) bytes: u64,
    /// What kept the rest away, one line each.
    pub(crate) notes: Vec<String>,
}

/// What all fetches of one run share.
struct Run<'a> {
    inner: &'a Inner,
    did: &'a Did,
    host: &'a str,
    quota: Arc<Budget>,
    counter: Counter,
    fetched: AtomicU64,
    bytes: AtomicU64,
    failures: AtomicU64,
    stop: AtomicBool,
    why: std::sync::Mutex<Vec<String>>,
}

/// What became of one blob.
enum Fate {
    Held(u64),
    /// Not there, and it is not worth asking again soon.
    Gone(String),
    /// Try again later.
    Later(String, Option<i64>),
    /// Try again later, and leave the host alone for now.
    Stop(String, Option<i64>),
    /// It does not fit into a quota: nothing was asked, and it waits until there is room.
    NoRoom(String),
}

impl Inner {
    /// Fetches what is missing for one account.
    pub(crate) async fn fetch_blobs(
        &self,
        did: &Did,
        host: &str,
        which: Which,
        progress: &Progress,
    ) -> ArchiveResult<Brought> {
        let Some(account) = self.store().account(did).await? else {
            return Err(ArchiveError::NotArchived(did.to_string()));
        };
        let total = self.count_wanted(did, which).await?;
        if total == 0 {
            return Ok(Brought::default());
        }
        let words = format!("fetching {}", plural(total, "blob", "blobs"));
        let run = self.run(&account, host, progress.begin(Phase::Blobs, Counted::Blobs, Some(total), words));
        for filter in filters(which, self.now()) {
            self.fetch_filtered(&run, filter).await?;
        }
        let brought = Brought {
            fetched: run.fetched.load(Ordering::Relaxed),
            bytes: run.bytes.load(Ordering::Relaxed),
            notes: run.why.into_inner().unwrap_or_default(),
        };
        run.counter.finish(format!(
            "{} of {} fetched ({})",
            brought.fetched,
            plural(total, "blob", "blobs"),
            size(brought.bytes)
        ));
        Ok(brought)
    }

    fn run<'a>(&'a self, account: &'a Account, host: &'a str, counter: Counter) -> Run<'a> {
        Run {
            inner: self,
            did: &account.did,
            host,
            quota: Arc::new(Budget::of(self, account)),
            counter,
            fetched: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            why: std::sync::Mutex::new(Vec::new()),
        }
    }

    /// Fetches blobs again whose stored files are damaged. Their rows change only when good bytes are there: until then
    /// every check goes on finding the damage.
    pub(crate) async fn fetch_again(
        &self,
        account: &Account,
        host: &str,
        rows: &[BlobRow],
        progress: &Progress,
    ) -> ArchiveResult<Vec<String>> {
        let total = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let words = format!("fetching {} again", plural(total, "blob", "blobs"));
        let run = self.run(account, host, progress.begin(Phase::Repair, Counted::Blobs, Some(total), words));
        let mut trouble: Vec<String> = Vec::new();
        for row in rows {
            match run.fetch(row).await? {
                Fate::Held(size) => run.record(row, Fate::Held(size)).await?,
                Fate::Gone(why) | Fate::Later(why, _) | Fate::NoRoom(why) => trouble.push(why),
                Fate::Stop(why, _) => {
                    trouble.push(why);
                    break;
                }
            }
            run.counter.add(1);
        }
        trouble.dedup();
        run.counter.finish(String::new());
        Ok(trouble)
    }

    async fn fetch_filtered(&self, run: &Run<'_>, filter: BlobFilter) -> ArchiveResult<()> {
        let mut after: Option<Cid> = None;
        while !run.stop.load(Ordering::Relaxed) {
            let page = self.store().blobs(run.did, filter, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.cid);
            let full = page.len() >= PAGE;
            let width = self.config().blob_concurrency.max(1);
            // Boxed and collected first: a closure in the stream would keep the whole from being `Send`.
            let tasks: Vec<_> = page.iter().map(|row| run.one(row).boxed()).collect();
            let mut results = futures::stream::iter(tasks).buffer_unordered(width);
            while let Some(result) = results.next().await {
                result?;
            }
            if !full {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn count_wanted(&self, did: &Did, which: Which) -> ArchiveResult<u64> {
        let mut total = 0_u64;
        for filter in filters(which, self.now()) {
            let mut after: Option<Cid> = None;
            loop {
                let page = self.store().blobs(did, filter, after.as_ref(), 1_000).await?;
                total = total.saturating_add(u64::try_from(page.len()).unwrap_or(0));
                match page.last() {
                    Some(last) if page.len() == 1_000 => after = Some(last.cid),
                    _ => break,
                }
            }
        }
        Ok(total)
    }
}

fn filters(which: Which, now: i64) -> Vec<BlobFilter> {
    match which {
        Which::Nothing => Vec::new(),
        Which::Due => vec![BlobFilter::Due(now)],
        Which::Missing => vec![BlobFilter::Missing],
        Which::GoneToo => vec![BlobFilter::Missing, BlobFilter::Gone],
    }
}

impl Run<'_> {
    /// One blob: from the disk if it lies there already, else from the host.
    async fn one(&self, row: &BlobRow) -> ArchiveResult<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let fate = match self.inner.blobs().verify(self.did, &row.cid).await? {
            Check::Good { size } => Fate::Held(size),
            // What a record claims is not known to be true, but it is all that is known.
            Check::Missing | Check::Damaged { .. } => match self.room_for(row.size) {
                Ok(_) => match self.quota.fits(row.size.max(1)) {
                    Ok(()) => self.fetch(row).await?,
                    Err(reason) => Fate::NoRoom(reason),
                },
                Err(full @ ArchiveError::NoRoom { .. }) => {
                    Fate::Stop(full.to_string(), Some(self.inner.now()))
                }
                Err(error) => return Err(error),
            },
        };
        self.record(row, fate).await?;
        self.counter.add(1);
        Ok(())
    }

    fn room_for(&self, claimed: u64) -> ArchiveResult<u64> {
        self.inner.need_room("the next blob", claimed.min(self.inner.config().max_blob_bytes))
    }

    /// Tries the host, a few times with growing pauses when a transfer breaks off.
    async fn fetch(&self, row: &BlobRow) -> ArchiveResult<Fate> {
        let tries = self.inner.config().blob_tries_per_run.max(1);
        let mut pause = Duration::from_millis(250);
        let mut attempt = 1_u32;
        loop {
            let fate = match self.transfer(&row.cid).await {
                Ok(size) => return Ok(Fate::Held(size)),
                Err(Trouble::Net(error)) => self.judge(&error),
                Err(Trouble::Disk(error)) => self.judge_disk(error)?,
            };
            let again = matches!(&fate, Fate::Later(_, None)) && attempt < tries;
            if !again || self.stop.load(Ordering::Relaxed) {
                return Ok(fate);
            }
            attempt = attempt.saturating_add(1);
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(4);
        }
    }

    async fn transfer(&self, cid: &Cid) -> Result<u64, Trouble> {
        let config = self.inner.config();
        let host = Host { net: self.inner.net(), url: self.host, did: self.did };
        let mut response = host.blob(&cid.to_string(), config).await?;
        let quota: Arc<dyn Quota> = Arc::clone(&self.quota) as Arc<dyn Quota>;
        let options = PutOptions { expect: Some(*cid), max_bytes: config.max_blob_bytes, quota: Some(quota) };
        let mut upload = self.inner.blobs().put(self.did, options).await?;
        while let Some(chunk) = response.chunk().await? {
            upload.write(chunk).await?;
        }
        Ok(upload.finish().await?.size)
    }

    /// What a refusal of the host means for this blob.
    fn judge(&self, error: &NetError) -> Fate {
        if let Some(status) = withheld(error, true) {
            return Fate::Stop(crate::host::status_words(status, self.host), None);
        }
        match error {
            NetError::RateLimited { until_ms, .. } => {
                let until = i64::try_from(until_ms.saturating_mul(1_000)).unwrap_or(i64::MAX);
                Fate::Stop(error.to_string(), Some(until))
            }
            NetError::TooLarge { .. } => Fate::Gone(format!("not fetched: {error}")),
            _ if is_absent(error) => {
                Fate::Gone(format!("{} says that it does not have this blob (any more)", self.host))
            }
            _ if is_taken_down(error) => Fate::Gone(format!("{} has taken this blob down", self.host)),
            _ => Fate::Later(error.to_string(), None),
        }
    }

    /// What a failure on our side means: wrong bytes are the host's fault, a full disk ends the run.
    fn judge_disk(&self, error: BlobError) -> ArchiveResult<Fate> {
        match error {
            BlobError::WrongHash { actual, .. } => Ok(Fate::Later(
                format!(
                    "{} sends other bytes for it (their hash is {actual}); they were thrown away",
                    self.host
                ),
                None,
            )),
            BlobError::TooLarge { limit } => {
                Ok(Fate::Gone(format!("not fetched: it is larger than {}", size(limit))))
            }
            BlobError::Quota { reason } => Ok(Fate::NoRoom(reason)),
            BlobError::DiskFull { .. } => Ok(Fate::Stop(error.to_string(), Some(self.inner.now()))),
            other => Err(other.into()),
        }
    }

    /// Writes down what became of it.
    async fn record(&self, row: &BlobRow, fate: Fate) -> ArchiveResult<()> {
        let (state, true_size) = match fate {
            Fate::Held(size) => {
                self.fetched.fetch_add(1, Ordering::Relaxed);
                self.bytes.fetch_add(size, Ordering::Relaxed);
                self.failures.store(0, Ordering::Relaxed);
                (BlobState::Held, Some(size))
            }
            Fate::Gone(reason) => {
                self.failures.store(0, Ordering::Relaxed);
                (BlobState::Gone { reason: Some(reason) }, None)
            }
            Fate::Later(why, next) => {
                let many = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1) >= GIVE_UP_AFTER;
                if many {
                    self.halt(format!("blobs: {} failures in a row, the last: {why}", GIVE_UP_AFTER));
                }
                (self.missing(row, why, next), None)
            }
            Fate::Stop(why, next) => {
                self.halt(format!("blobs: {why}"));
                (self.missing(row, why, next), None)
            }
            Fate::NoRoom(why) => {
                self.note_once(format!("blobs: {why}"));
                (self.waiting(row, why), None)
            }
        };
        let unit = Unit::PutBlob { did: self.did.clone(), cid: row.cid, size: true_size, mime: None, state };
        self.inner.store().apply(unit).await?;
        Ok(())
    }

    fn halt(&self, why: String) {
        if !self.stop.swap(true, Ordering::Relaxed)
            && let Ok(mut notes) = self.why.lock()
        {
            notes.push(why);
        }
    }

    fn note_once(&self, why: String) {
        if let Ok(mut notes) = self.why.lock()
            && notes.is_empty()
        {
            notes.push(why);
        }
    }

    /// Missing for want of room: no try is counted, and it is looked at again in an hour.
    fn waiting(&self, row: &BlobRow, why: String) -> BlobState {
        const PAUSE: i64 = 3_600_000_000;
        let tries = match &row.state {
            BlobState::Missing { tries, .. } => *tries,
            _ => 0,
        };
        let next_try = self.inner.now().saturating_add(PAUSE);
        BlobState::Missing { tries: tries.max(1), last_error: Some(why), next_try }
    }

    fn missing(&self, row: &BlobRow, why: String, next: Option<i64>) -> BlobState {
        let before = match &row.state {
            BlobState::Missing { tries, .. } => *tries,
            _ => 0,
        };
        let tries = before.saturating_add(1);
        let config = self.inner.config();
        let pause = backoff(config.blob_retry_base, config.blob_retry_cap, before);
        let later = self.inner.now().saturating_add(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX));
        let next_try = next.unwrap_or(later).max(self.inner.now());
        BlobState::Missing { tries, last_error: Some(why), next_try }
    }
}

/// The pause before the next try: doubled with each try before.
fn backoff(base: Duration, cap: Duration, tries_before: u32) -> Duration {
    base.saturating_mul(1_u32.checked_shl(tries_before).unwrap_or(u32::MAX)).min(cap)
}

/// Whether the host says that there is no such blob. The reference says it in words only.
fn is_absent(error: &NetError) -> bool {
    match error {
        NetError::Xrpc { error, .. } if error == "BlobNotFound" => true,
        NetError::Xrpc { status: 400 | 404, message, .. } if says_absent(message) => true,
        _ => error.kind() == ErrorKind::NotFound && !matches!(error, NetError::NoSuchHost { .. }),
    }
}

fn says_absent(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("blob not found") || message.contains("not find blob")
}

fn is_taken_down(error: &NetError) -> bool {
    matches!(error, NetError::Xrpc { error, .. } if error.contains("Takedown") || error.contains("Takendown"))
}

/// Why one transfer failed.
enum Trouble {
    Net(NetError),
    Disk(BlobError),
}

impl From<NetError> for Trouble {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}

impl From<BlobError> for Trouble {
    fn from(error: BlobError) -> Self {
        Self::Disk(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_day() {
        let (base, cap) = (Duration::from_secs(60), Duration::from_secs(86_400));
        assert_eq!(backoff(base, cap, 0), Duration::from_secs(60));
        assert_eq!(backoff(base, cap, 3), Duration::from_secs(480));
        assert_eq!(backoff(base, cap, 40), cap);
    }

    #[test]
    fn absent_and_broken_are_not_the_same() {
        let xrpc = |status, error: &str, message: &str| NetError::Xrpc {
            host: "h".into(),
            status,
            error: error.into(),
            message: message.into(),
        };
        assert!(is_absent(&xrpc(400, "BlobNotFound", "")));
        assert!(is_absent(&xrpc(400, "InvalidRequest", "Blob not found")));
        assert!(is_absent(&xrpc(404, "Unknown", "the answer is not an XRPC error")));
        assert!(!is_absent(&xrpc(500, "InternalServerError", "")));
        assert!(!is_absent(&NetError::NoSuchHost { host: "h".into() }), "a dead host may come back");
        assert!(is_taken_down(&xrpc(400, "BlobTakedown", "")));
    }
}
