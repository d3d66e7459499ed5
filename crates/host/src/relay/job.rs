//! The job that asks relays to follow, and looks whether they do.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use p2pds_net::{GetOptions, NetError};
use p2pds_store::{Unit, WorkerRow};
use p2pds_syntax::Datetime;
use serde::Deserialize;
use serde_json::json;

use super::check::{Answer, Follows, judge};
use super::{ASK_EVERY, RELAY, RelayNotes, RelayState};
use crate::jobs::Job;
use crate::{Host, HostResult};

/// The first pause after a relay refused; it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(60);
/// The longest such pause.
const LONGEST: Duration = Duration::from_secs(6 * 3_600);
/// A relay that was asked need not have begun before that.
const BEGINS_WITHIN: Duration = Duration::from_secs(60);
/// How soon one is looked at again that does not follow, or of which that is unclear.
const SOON: Duration = Duration::from_secs(60);
/// How often the counts of bulk writes are kept.
const NOTE_EVERY: Duration = Duration::from_secs(10);
/// Largest answer of a relay.
const MAX_ANSWER: u64 = 64 * 1024;

/// The job.
#[derive(Debug, Default)]
pub(crate) struct Relays {
    /// The newest event that all relays were told of.
    told: AtomicI64,
    /// Before then no relay may be asked again.
    free_at: AtomicI64,
}

#[async_trait]
impl Job for Relays {
    fn name(&self) -> &'static str {
        "relays"
    }

    async fn round(&self, host: &Host) -> HostResult<Duration> {
        host.note_pace().await?;
        let (mut following, mut told, mut free_at) = (0_u32, i64::MAX, i64::MAX);
        for relay in &host.config().relay.relays {
            let (notes, follows) = one(host, relay, false).await?;
            following = following.saturating_add(u32::from(follows));
            told = told.min(notes.asked_seq);
            free_at = free_at.min(next_ask(&notes));
        }
        self.told.store(told, Ordering::Relaxed);
        self.free_at.store(free_at, Ordering::Relaxed);
        let all = u32::try_from(host.config().relay.relays.len()).unwrap_or(u32::MAX);
        metrics::gauge!("p2pds_relays").set(all);
        metrics::gauge!("p2pds_relays_following").set(following);
        Ok(NOTE_EVERY)
    }

    async fn wanted(&self, host: &Host) {
        if host.config().relay.relays.is_empty() {
            return std::future::pending().await;
        }
        let wait = self.free_at.load(Ordering::Relaxed).saturating_sub(host.now()).max(0);
        tokio::time::sleep(Duration::from_micros(u64::try_from(wait).unwrap_or(0))).await;
        host.store().tail().wait_past(self.told.load(Ordering::Relaxed)).await;
    }
}

/// When a relay may be asked again.
fn next_ask(notes: &RelayNotes) -> i64 {
    let Some(asked) = notes.asked_at else { return 0 };
    let pause = match notes.failures {
        0 => ASK_EVERY,
        n => FIRST.saturating_mul(1_u32.checked_shl(n.saturating_sub(1)).unwrap_or(u32::MAX)).min(LONGEST),
    };
    asked.saturating_add(micros(pause))
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// When it is looked at again whether a relay follows.
fn next_check(notes: &RelayNotes, every: Duration) -> i64 {
    let Some(looked) = notes.looked_at else { return 0 };
    looked.saturating_add(micros(if notes.follows() { every } else { every.min(SOON) }))
}

/// One relay: asks it if that is due, looks after it if that is due, or if it is to be `at_once`.
async fn one(host: &Host, relay: &str, at_once: bool) -> HostResult<(RelayNotes, bool)> {
    let _alone = host.outbound().relays.lock().await;
    let name = format!("{RELAY}{relay}");
    let row = host.store().worker(&name).await?;
    let mut notes: RelayNotes =
        row.as_ref().and_then(|row| serde_json::from_str(&row.notes).ok()).unwrap_or_default();
    let (now, newest) = (host.now(), host.store().tail().last());
    let ask = newest > notes.asked_seq && now >= next_ask(&notes);
    let due = at_once || now >= next_check(&notes, host.config().relay.check_every);
    let check = newest > 0 && due;
    if !ask && !check {
        let follows = notes.follows();
        return Ok((notes, follows));
    }
    if ask {
        request_crawl(host, relay, &mut notes, newest).await;
    }
    let mut state = row.map_or_else(|| "was asked to follow".to_owned(), |row| row.state);
    if check {
        state = look(host, relay, &mut notes, newest).await;
    }
    let lost = notes.lost.as_ref().map(|why| match notes.lost_at.and_then(Datetime::from_unix_micros) {
        Some(since) => format!("does not follow since {since}: {why}"),
        None => format!("does not follow: {why}"),
    });
    let row = WorkerRow {
        name,
        did: None,
        state,
        done: u64::try_from(notes.seq.unwrap_or(0)).unwrap_or(0),
        total: u64::try_from(newest).unwrap_or(0),
        notes: serde_json::to_string(&notes).unwrap_or_default(),
        last_error: lost.or_else(|| notes.refusal.clone()),
        next_run: Some(next_ask(&notes).max(now)),
        updated_at: now,
    };
    host.store().apply(Unit::PutWorker(row)).await?;
    let follows = notes.follows();
    Ok((notes, follows))
}

impl RelayNotes {
    /// Whether it followed when it was looked at last.
    fn follows(&self) -> bool {
        self.looked_at.is_some() && self.lost_at.is_none() && self.unclear.is_none()
    }
}

/// Looks whether a relay follows; the answer in words.
async fn look(host: &Host, relay: &str, notes: &mut RelayNotes, newest: i64) -> String {
    let answer = status(host, relay).await;
    let now = host.now();
    notes.looked_at = Some(now);
    // Who is looked at again before that still owes what it owed then: relays say how far they are every few seconds, and
    // one that catches up after a fault gets as long as any other.
    let pause = micros(host.config().relay.check_every);
    if notes.checked_at.is_none_or(|at| now >= at.saturating_add(pause)) {
        (notes.checked_at, notes.due_seq, notes.checked_seq) = (Some(now), notes.checked_seq, newest);
    }
    let reads = host.consumers().iter().any(|who| who.at() >= notes.due_seq.max(1));
    // One that has read something and is asked again does not begin anew.
    let begins = notes.seq.is_none_or(|seq| seq < 0) || notes.lost_at.is_some();
    let asked = notes.asked_at.filter(|_| notes.failures == 0 && begins);
    let lately = asked.is_some_and(|at| now < at.saturating_add(micros(BEGINS_WITHIN)));
    if let Answer::Known { seq, .. } = &answer {
        notes.came_seq = seq.filter(|seq| *seq < 0).map(|_| notes.came_seq.unwrap_or(newest));
    }
    let verdict = judge(notes, &answer, newest, reads, lately);
    if let Answer::Known { status, seq } = answer {
        (notes.status, notes.seq) = (status, seq);
    }
    notes.unclear = None;
    match verdict {
        Follows::Yes => {
            (notes.lost_at, notes.lost) = (None, None);
            match notes.seq {
                Some(..0) => "follows; nothing has happened since it came".to_owned(),
                seq => format!("follows, up to event {} of {newest}", seq.unwrap_or(newest)),
            }
        }
        Follows::Unclear(why) => {
            notes.unclear = Some(why.clone());
            why
        }
        Follows::No(why) => {
            if notes.lost_at.is_none() {
                notes.lost_at = Some(now);
                tracing::warn!(event = "relay.lost", relay, why, "a relay does not follow this host");
            }
            notes.lost = Some(why.clone());
            format!("does not follow: {why}")
        }
    }
}

/// Asks a relay to follow.
async fn request_crawl(host: &Host, relay: &str, notes: &mut RelayNotes, newest: i64) {
    let body = json!({ "hostname": host.relay_hostname() });
    let options = GetOptions::json(MAX_ANSWER).no_redirects();
    let asked = host.net().xrpc_post(relay, "com.atproto.sync.requestCrawl", &body, &options).await;
    notes.asked_at = Some(host.now());
    match asked {
        Ok(_) => {
            (notes.asked_seq, notes.failures, notes.refusal) = (newest, 0, None);
            tracing::info!(
                event = "relay.asked",
                relay,
                seq = newest,
                "a relay was asked to follow this host"
            );
        }
        Err(error) => {
            notes.failures = notes.failures.saturating_add(1);
            tracing::warn!(event = "relay.refused", relay, %error, "a relay was asked to follow this host and does not");
            notes.refusal = Some(format!("it was asked to follow and answered: {error}"));
        }
    }
}

#[derive(Debug, Deserialize)]
struct HostStatus {
    seq: Option<i64>,
    status: Option<String>,
}

async fn status(host: &Host, relay: &str) -> Answer {
    let options = GetOptions::json(MAX_ANSWER).no_redirects();
    let name = host.relay_hostname();
    let query = [("hostname", name.as_str())];
    let answer =
        host.net().xrpc_json::<HostStatus>(relay, "com.atproto.sync.getHostStatus", &query, &options).await;
    match answer {
        Ok(HostStatus { seq, status }) => Answer::Known { status, seq },
        Err(error) if error.xrpc_error() == Some("HostNotFound") => Answer::Unknown,
        Err(NetError::Status { status: 404 | 405 | 501, .. }) => Answer::Silent,
        Err(error) => Answer::Failed(error.to_string()),
    }
}

impl Host {
    /// Looks at once whether the relays follow, and says what is known of them then.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn look_at_relays(&self) -> HostResult<Vec<RelayState>> {
        for relay in &self.config().relay.relays {
            one(self, relay, true).await?;
        }
        self.relays().await
    }

    /// The name under which relays know this host: with its port, in development.
    fn relay_hostname(&self) -> String {
        let url = &self.config().public_url;
        url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).trim_end_matches('/').to_owned()
    }
}
