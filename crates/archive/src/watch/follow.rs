//! Following the directory's export, so that an operation of an archived account is known within seconds.
//!
//! The stream where there is one; pages by sequence number to catch up after a gap; pages by time where the directory
//! knows no sequence numbers. Whatever is missed on the way, the refresh of each account finds later, so nothing here
//! has to be perfect: gaps that are too long to be read are skipped.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use p2pds_directory::export::{Ended, Exported, Page, Place, Stream, read};
use p2pds_net::NetError;
use p2pds_store::Unit;
use p2pds_syntax::{Did, DidMethod};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::archive::{Archive, Inner};
use crate::error::ArchiveResult;

/// The setting that holds the place in the export.
const PLACE: &str = "plc.export";
/// The condition raised when the directory cannot be followed.
const CONDITION: &str = "plc-directory";
/// Failures in a row after which that is said.
const SAID_AFTER: u32 = 10;
/// Operations of archived accounts that wait to be seen in a fetched log.
const MOST_WANTED: usize = 10_000;

/// How the directory is followed. [`Default`] is right for the public one.
#[derive(Debug, Clone)]
pub struct Following {
    /// The job that is woken for an account: it calls [`Archive::watch`].
    pub job: &'static str,
    /// Time between two pages where there is no stream. Default 1 min.
    pub page_every: Duration,
    /// Pause after the first failure; doubled with each further one, and jittered. Default 2 s.
    pub first_pause: Duration,
    /// Longest such pause. Default 5 min.
    pub longest_pause: Duration,
    /// Pages read to catch up; what lies further back is left to the refresh of each account. Default 300.
    pub catch_up_pages: u32,
    /// How often the place is stored. Default 10 s.
    pub store_every: Duration,
    /// How often the list of archived accounts is read. Default 30 s.
    pub accounts_every: Duration,
    /// Pause before an account whose operation is not in its log yet is looked at again; doubled each time. Default 1 min.
    pub again_after: Duration,
    /// How often it is looked at in all. Default 8.
    pub tries: u32,
    /// A directory without a stream is asked for one again after this time. Default 1 h.
    pub offer_every: Duration,
    /// All accounts are looked at, because the export is read from a place other than where it was left, at most once
    /// in this time; a look that is due sooner waits. Default 5 min.
    pub look_every: Duration,
}

impl Default for Following {
    fn default() -> Self {
        Self {
            job: "plc",
            page_every: Duration::from_secs(60),
            first_pause: Duration::from_secs(2),
            longest_pause: Duration::from_secs(300),
            catch_up_pages: 300,
            store_every: Duration::from_secs(10),
            accounts_every: Duration::from_secs(30),
            again_after: Duration::from_secs(60),
            tries: 8,
            offer_every: Duration::from_secs(3_600),
            look_every: Duration::from_secs(300),
        }
    }
}

/// The stored place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    origin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<String>,
}

/// An operation that was announced by the export and is not in the stored log yet.
struct Wanted {
    cid: String,
    again: Instant,
    pause: Duration,
    tries: u32,
}

struct Follower<'a> {
    inner: &'a Inner,
    how: &'a Following,
    origin: String,
    place: Kept,
    stored: Kept,
    store_at: Instant,
    archived: HashSet<Did>,
    accounts_at: Option<Instant>,
    wanted: HashMap<Did, Wanted>,
    failures: u32,
    /// The export is read from a place other than where it was left: every account is to be looked at once.
    unseen: bool,
    looked: Option<Instant>,
}

impl Archive {
    /// Follows the directory's export until dropped. May be killed and run again anywhere.
    ///
    /// # Errors
    /// Store failures.
    pub async fn follow_directory(&self, how: &Following) -> ArchiveResult<()> {
        let inner = self.inner();
        let origin = inner.directory().config().plc_url.trim_end_matches('/').to_owned();
        let kept: Option<Kept> =
            inner.store().setting(PLACE).await?.and_then(|text| serde_json::from_str(&text).ok());
        // A place in another directory's export means nothing in this one's.
        let place = kept.filter(|kept| kept.origin == origin);
        let place = place.unwrap_or_else(|| Kept { origin: origin.clone(), ..Kept::default() });
        let mut follower = Follower {
            inner,
            how,
            origin,
            stored: place.clone(),
            place,
            store_at: Instant::now(),
            archived: HashSet::new(),
            accounts_at: None,
            wanted: HashMap::new(),
            failures: 0,
            unseen: false,
            looked: None,
        };
        follower.run().await
    }
}

impl Follower<'_> {
    async fn run(&mut self) -> ArchiveResult<()> {
        loop {
            self.read_accounts().await?;
            match self.stream().await? {
                Ended::NotOffered => self.pages_for_a_while().await?,
                Ended::Outdated | Ended::TooSlow => self.catch_up().await?,
                Ended::Future => {
                    tracing::warn!(
                        event = "plc.set-back",
                        directory = self.origin,
                        "the directory has not come as far as was read before; every account is looked at anew"
                    );
                    self.place.seq = None;
                }
                Ended::Closed(_) | Ended::Net(_) => {}
            }
            self.keep_place(true).await?;
        }
    }

    /// Reads the stream until it ends.
    async fn stream(&mut self) -> ArchiveResult<Ended> {
        let opened = Stream::open(self.inner.net(), &self.origin, self.place.seq).await;
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(Ended::NotOffered) => return Ok(Ended::NotOffered),
            Err(ended) => {
                self.failed(&ended.to_string()).await?;
                return Ok(ended);
            }
        };
        tracing::info!(event = "plc.stream-open", directory = self.origin, after = ?self.place.seq, "following the directory's stream");
        self.state("stream");
        // Looked at before the stream was open, an account could have an operation that neither the look nor the
        // stream shows.
        self.unseen |= self.place.seq.is_none();
        let mut ticks = tokio::time::interval(
            self.how.store_every.min(self.how.again_after).min(self.how.accounts_every),
        );
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let opened = Instant::now();
        let mut any = false;
        loop {
            tokio::select! {
                message = stream.next() => match message {
                    Ok(message) => {
                        if !any {
                            any = true;
                            self.recovered();
                        }
                        if let Some(operation) = read(&message) {
                            self.take(&operation);
                        }
                    }
                    Err(ended) => {
                        tracing::info!(event = "plc.stream-ended", directory = self.origin, reason = %ended, "the directory's stream has ended");
                        // Whatever the reason, it may come again and again, and after one message each time.
                        self.failed(&ended.to_string()).await?;
                        return Ok(ended);
                    }
                },
                _ = ticks.tick() => {
                    // A quiet directory is in order too.
                    if opened.elapsed() >= self.how.longest_pause {
                        self.recovered();
                    }
                    self.tend().await?;
                }
            }
        }
    }

    /// Reads pages from the place on until there are no more, up to a limit.
    async fn catch_up(&mut self) -> ArchiveResult<()> {
        let Some(mut seq) = self.place.seq else { return Ok(()) };
        self.state("pages");
        for _ in 0..self.how.catch_up_pages {
            let page = match Page::fetch(self.inner.net(), &self.origin, &Place::Seq(seq)).await {
                Ok(page) => page,
                Err(error) => {
                    self.failed(&error.to_string()).await?;
                    return Ok(());
                }
            };
            for operation in page.operations() {
                self.take(&operation);
            }
            // A page that leads nowhere is the last one, whatever it holds.
            let next = self.place.seq.filter(|next| *next > seq);
            self.tend().await?;
            match next {
                Some(next) if page.full => seq = next,
                _ => return Ok(()),
            }
        }
        tracing::info!(
            event = "plc.skipped",
            directory = self.origin,
            "more of the directory's operations were missed than are read again; every account is looked at instead"
        );
        self.place.seq = None;
        Ok(())
    }

    /// Pages by time, for directories without a stream, until it is time to ask for one again.
    async fn pages_for_a_while(&mut self) -> ArchiveResult<()> {
        let until = after(Instant::now(), self.how.offer_every);
        while Instant::now() < until {
            let time = self.place.time.clone().unwrap_or_else(|| self.just_now());
            match Page::fetch(self.inner.net(), &self.origin, &Place::Time(time.clone())).await {
                Ok(page) => {
                    self.recovered();
                    self.state("pages");
                    self.unseen |= self.place.time.is_none();
                    self.place.time = Some(time);
                    for operation in page.operations() {
                        self.take(&operation);
                        self.place.time = Some(operation.created_at.into_owned());
                    }
                    self.tend().await?;
                    if page.full {
                        continue;
                    }
                }
                Err(NetError::Status { status: 400 | 404 | 405 | 410 | 501, .. }) => {
                    // No export either: each account is refreshed, which has to do.
                    self.state("refresh-only");
                }
                Err(error) => self.failed(&error.to_string()).await?,
            }
            tokio::time::sleep(self.how.page_every).await;
            self.tend().await?;
        }
        Ok(())
    }

    /// The cheap filter: nearly every operation is of somebody else.
    fn take(&mut self, operation: &Exported<'_>) {
        if let Some(seq) = operation.seq {
            self.place.seq = Some(seq);
        }
        let did = Did::parse(&operation.did).ok().filter(|did| self.archived.contains(did));
        let relevant = if did.is_some() { "yes" } else { "no" };
        metrics::counter!("p2pds_plc_stream_events_total", "relevant" => relevant).increment(1);
        let Some(did) = did else { return };
        if let Some(wanted) = self.wanted.get_mut(&did) {
            // Asked for already: however many come, the directory is asked at its pace.
            wanted.cid = operation.cid.chars().take(100).collect();
            return;
        }
        if self.wanted.len() >= MOST_WANTED {
            return;
        }
        tracing::info!(event = "plc.announced-by-stream", %did, "the directory has an operation of an archived account");
        self.inner.wakes.account(self.how.job, &did);
        let again = after(Instant::now(), self.how.again_after);
        let cid = operation.cid.chars().take(100).collect();
        self.wanted.insert(did, Wanted { cid, again, pause: self.how.again_after, tries: 1 });
    }

    /// Everything that is done now and then.
    async fn tend(&mut self) -> ArchiveResult<()> {
        self.read_accounts().await?;
        self.keep_place(false).await?;
        self.look_at_all();
        let now = Instant::now();
        let due: Vec<Did> = self
            .wanted
            .iter()
            .filter(|(_, wanted)| wanted.again <= now)
            .map(|(did, _)| did.clone())
            .collect();
        for did in due {
            let rows = self.inner.store().plc_log(&did).await?;
            let Some(wanted) = self.wanted.get_mut(&did) else { continue };
            let there = rows.iter().any(|row| row.cid == wanted.cid);
            if there || wanted.tries >= self.how.tries || !self.archived.contains(&did) {
                self.wanted.remove(&did);
                continue;
            }
            wanted.tries = wanted.tries.saturating_add(1);
            wanted.pause = wanted.pause.saturating_mul(2);
            wanted.again = after(now, wanted.pause);
            self.inner.wakes.account(self.how.job, &did);
        }
        Ok(())
    }

    async fn read_accounts(&mut self) -> ArchiveResult<()> {
        if self.accounts_at.is_some_and(|at| at.elapsed() < self.how.accounts_every) {
            return Ok(());
        }
        let accounts = self.inner.all_archived().await?;
        let watched = accounts.into_iter().filter(|account| !account.purging);
        self.archived =
            watched.map(|account| account.did).filter(|did| did.method() == DidMethod::Plc).collect();
        self.accounts_at = Some(Instant::now());
        Ok(())
    }

    async fn keep_place(&mut self, now: bool) -> ArchiveResult<()> {
        // What came before this place has not been looked for: a start from it would never hear of that.
        if self.unseen {
            return Ok(());
        }
        if self.place == self.stored || !(now || self.store_at.elapsed() >= self.how.store_every) {
            return Ok(());
        }
        let value = serde_json::to_string(&self.place).ok();
        self.inner.store().apply(Unit::PutSetting { name: PLACE.to_owned(), value }).await?;
        self.stored = self.place.clone();
        self.store_at = Instant::now();
        Ok(())
    }

    /// Every account is looked at, where that is wanted and was not done just now.
    fn look_at_all(&mut self) {
        if !self.unseen || self.looked.is_some_and(|at| at.elapsed() < self.how.look_every) {
            return;
        }
        self.unseen = false;
        self.looked = Some(Instant::now());
        for did in &self.archived {
            self.inner.wakes.account(self.how.job, did);
        }
    }

    /// The time a minute ago, as directories write it.
    fn just_now(&self) -> String {
        let micros = self.inner.now().saturating_sub(60_000_000);
        p2pds_syntax::Datetime::from_unix_micros(micros).map(|time| time.to_string()).unwrap_or_default()
    }

    /// Waits after a failure, longer each time.
    async fn failed(&mut self, why: &str) -> ArchiveResult<()> {
        self.failures = self.failures.saturating_add(1);
        self.state("waiting");
        tracing::info!(
            event = "plc.stream-failed",
            directory = self.origin,
            failures = self.failures,
            why,
            "the directory cannot be followed now; it is tried again"
        );
        if self.failures == SAID_AFTER {
            self.inner.conditions().raise(
                CONDITION,
                &self.origin,
                format!("the PLC directory {} cannot be followed ({why}): operations of archived accounts are noticed when each is refreshed (watch.plc_refresh), not at once; check the network, or set network.plc_url to another directory", self.origin),
            );
        }
        self.keep_place(true).await?;
        let doubled = self
            .how
            .first_pause
            .saturating_mul(2_u32.saturating_pow(self.failures.saturating_sub(1).min(20)));
        let pause = doubled.min(self.how.longest_pause);
        tokio::time::sleep(jittered(pause)).await;
        self.tend().await
    }

    fn recovered(&mut self) {
        self.failures = 0;
        self.inner.conditions().clear(CONDITION, &self.origin);
    }

    fn state(&self, now: &str) {
        for state in ["stream", "pages", "refresh-only", "waiting"] {
            let on = if state == now { 1.0 } else { 0.0 };
            metrics::gauge!("p2pds_plc_stream_state", "state" => state).set(on);
        }
    }
}

fn after(now: Instant, pause: Duration) -> Instant {
    now.checked_add(pause).unwrap_or(now)
}

/// Between three and five quarters of it, so that nodes that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0_u8];
    // Without entropy the middle will do.
    let part = if getrandom::fill(&mut byte).is_ok() { u32::from(byte[0]) } else { 128 };
    pause.saturating_mul(part.saturating_add(384)).checked_div(512).unwrap_or(pause)
}
