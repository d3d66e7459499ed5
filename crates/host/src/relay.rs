//! Towards relays: asking them to read this host, looking whether they do, and not sending them more than they take.
//!
//! A relay is asked after the first event, and then no more often than every twenty minutes, while there are new events.
//! Whether it follows is what it says itself (`getHostStatus`), and, when it says nothing, whether anybody reads the
//! stream up to its end. What bulk writers may send is in [`pace`].

mod check;
mod job;
pub mod pace;

use std::time::Duration;

use p2pds_store::{Unit, WorkerRow};
use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OnceCell};

pub use check::Follows;
pub(crate) use job::Relays;
use pace::{Pace, PaceConfig, Verdict};

use crate::{Host, HostError, HostResult};

/// Least time between two requests to one relay.
pub const ASK_EVERY: Duration = Duration::from_secs(20 * 60);
/// How long a bulk write is held before it is refused.
const HOLD: i64 = 2_000_000;
/// Name under which the counts of bulk writes are kept.
const PACE: &str = "relay-pace";
/// Names under which what is known of relays is kept begin so.
const RELAY: &str = "relay:";

/// Settings.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// Origins of the relays.
    pub relays: Vec<String>,
    /// What bulk writers may send them.
    pub pace: PaceConfig,
    /// How often it is looked at whether they follow.
    pub check_every: Duration,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self { relays: Vec::new(), pace: PaceConfig::default(), check_every: Duration::from_secs(600) }
    }
}

/// What the host keeps in mind for relays.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    pace: OnceCell<Mutex<Pace>>,
    /// One looks at relays at a time, because what is known of them is read, changed and written.
    relays: Mutex<()>,
}

/// What is known of one relay, as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RelayNotes {
    /// When it was asked to follow last, microseconds since 1970.
    pub asked_at: Option<i64>,
    /// The newest event then.
    pub asked_seq: i64,
    /// How often it has refused since it last agreed.
    pub failures: u32,
    /// How it refused.
    pub refusal: Option<String>,
    /// When it was looked at last.
    pub looked_at: Option<i64>,
    /// When it was last noted what it has to read.
    pub checked_at: Option<i64>,
    /// The newest event then: what must have been read when it is looked at the next time.
    pub checked_seq: i64,
    /// What has to be read by now.
    pub due_seq: i64,
    /// The newest event when it first said that it had read nothing.
    pub came_seq: Option<i64>,
    /// The last event that it has read, as it says.
    pub seq: Option<i64>,
    /// Its own word for this host: `active`, `throttled`, `banned`.
    pub status: Option<String>,
    /// Since when it does not follow.
    pub lost_at: Option<i64>,
    /// Why.
    pub lost: Option<String>,
    /// Why it could not be told when it was looked at last.
    pub unclear: Option<String>,
}

/// One relay, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayState {
    /// Its origin.
    pub relay: String,
    /// What is known.
    pub notes: RelayNotes,
    /// In a sentence.
    pub state: String,
    /// What went wrong last.
    pub last_error: Option<String>,
}

impl Host {
    /// Lets an account send one event, holding it for a moment if it writes in bulk. To be asked before a write, and never
    /// after one.
    ///
    /// # Errors
    /// `RateLimitExceeded`, with the time at which to try again.
    pub async fn may_send(&self, did: &Did) -> HostResult<()> {
        if self.config().relay.relays.is_empty() {
            return Ok(());
        }
        let begun = self.now();
        loop {
            let now = self.now();
            let wait = match self.pace().await?.lock().await.ask(did, now) {
                Verdict::Go => return Ok(()),
                Verdict::After(wait) => wait,
            };
            if now.saturating_sub(begun).saturating_add(wait) > HOLD {
                metrics::counter!("p2pds_firehose_bulk_refused_total").increment(1);
                let seconds = u64::try_from(wait.saturating_add(999_999) / 1_000_000).unwrap_or(1).max(1);
                return Err(HostError::limited(
                    seconds,
                    format!(
                        "Rate Limit Exceeded: many writes in a short time are sent on no faster than relays accept them; \
                         try again in {seconds} s, or put up to 200 writes into one applyWrites"
                    ),
                ));
            }
            tokio::time::sleep(Duration::from_micros(u64::try_from(wait).unwrap_or(0))).await;
        }
    }

    async fn pace(&self) -> HostResult<&Mutex<Pace>> {
        self.outbound()
            .pace
            .get_or_try_init(|| async {
                let mut pace = Pace::new(self.config().relay.pace);
                if let Some(row) = self.store().worker(PACE).await? {
                    let seconds: Vec<(i64, u32)> = serde_json::from_str(&row.notes).unwrap_or_default();
                    let times = seconds.into_iter().flat_map(|(second, count)| {
                        (0..count).map(move |_| second.saturating_mul(1_000_000))
                    });
                    pace.remember(times);
                }
                Ok(Mutex::new(pace))
            })
            .await
    }

    /// Keeps the counts of bulk writes for the next start.
    async fn note_pace(&self) -> HostResult<()> {
        let Some(pace) = self.outbound().pace.get() else { return Ok(()) };
        let now = self.now();
        let (counts, notes) = {
            let pace = pace.lock().await;
            (pace.counts(now), serde_json::to_string(&pace.remembered()).unwrap_or_default())
        };
        let [_, hour, day] = counts;
        if self.store().worker(PACE).await?.is_some_and(|row| row.notes == notes) {
            return Ok(());
        }
        let row = WorkerRow {
            name: PACE.to_owned(),
            did: None,
            state: format!("{hour} events of bulk writers in the last hour, {day} in the last day"),
            done: day.into(),
            total: self.config().relay.pace.per_day.into(),
            notes,
            last_error: None,
            next_run: None,
            updated_at: now,
        };
        self.store().apply(Unit::PutWorker(row)).await?;
        Ok(())
    }

    /// The relays of the settings, and what is known of them.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn relays(&self) -> HostResult<Vec<RelayState>> {
        let mut all = Vec::new();
        for relay in &self.config().relay.relays {
            let row = self.store().worker(&format!("{RELAY}{relay}")).await?;
            let (notes, state, last_error) = match row {
                Some(row) => {
                    (serde_json::from_str(&row.notes).unwrap_or_default(), row.state, row.last_error)
                }
                None => (RelayNotes::default(), "was not asked yet: there was no event".to_owned(), None),
            };
            all.push(RelayState { relay: relay.clone(), notes, state, last_error });
        }
        Ok(all)
    }
}
