//! Gathering what the faults are derived from.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use p2pds_archive::{Condition, schedule};
use p2pds_store::{AccountStatus, AfterFinding, Finding, MOVING_IN, Origin};
use p2pds_syntax::Did;

use super::MOST;
use super::book::key_of;
use super::derive::{self, AccountFacts, Facts, Fault, Key, Limits};
use crate::node::engine::Engine;
use crate::words::now_micros;

/// Accounts are read, and quotas counted, this often.
const ACCOUNTS_EVERY: Duration = Duration::from_secs(60);
/// Rows read at a time.
const PAGE: usize = 500;
/// Findings looked at; past that, what is wrong is wrong enough.
const MOST_FINDINGS: usize = 20_000;
/// A clock that moves by more than this against the time that really passed has jumped.
const JUMP: i64 = 60;
/// For so long a jump counts as a fault.
const JUMP_LASTS: Duration = Duration::from_secs(3_600);
/// Workers whose failures are told by another fault.
const TOLD_OTHERWISE: &[&str] = &["sync", "blobs", "verify"];

pub(super) struct Gatherer {
    engine: Arc<Engine>,
    limits: Limits,
    accounts: Vec<AccountFacts>,
    read_at: Option<Instant>,
    clock: Clock,
    /// Conditions that somebody has spoken of since the start.
    spoken: HashSet<Key>,
    started: Instant,
}

/// Which alerts nothing is known of yet.
pub(super) type Unknown = Box<dyn Fn(&Key) -> bool + Send>;

/// Kinds that are conditions: they are in memory only.
pub(super) const CONDITIONS_SETTLE: Duration = Duration::from_secs(600);

impl Gatherer {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        let config = &engine.config.alerts;
        let limits = Limits { disk_low: config.disk_low.0, unreachable_after: config.unreachable_after };
        Self {
            limits,
            accounts: Vec::new(),
            read_at: None,
            clock: Clock::new(),
            spoken: HashSet::new(),
            started: Instant::now(),
            engine,
        }
    }

    /// What is wrong now, and of which alerts nothing is known yet.
    pub(super) async fn faults(&mut self, now: i64) -> anyhow::Result<(Vec<Fault>, Unknown)> {
        if self.read_at.is_none_or(|at| at.elapsed() >= ACCOUNTS_EVERY) {
            self.engine.archive.recount().await?;
            self.accounts = self.read_accounts().await?;
            self.read_at = Some(Instant::now());
        }
        let store = &self.engine.store;
        let stats = store.stats().await?;
        let mut conditions = self.engine.archive.conditions().all();
        conditions.extend(self.relays().await?);
        self.spoken.extend(conditions.iter().map(|condition| Key {
            kind: condition.kind.clone(),
            did: None,
            subject: condition.subject.clone(),
        }));
        let workers = store.workers().await?;
        let moving = workers
            .iter()
            .filter(|row| row.name.split_once(':').is_some_and(|(what, _)| what == MOVING_IN))
            .filter_map(|row| Some((row.did.clone()?, row.updated_at)))
            .collect();
        let failing = workers
            .into_iter()
            .filter(|row| !row.name.contains(':') && !TOLD_OTHERWISE.contains(&row.name.as_str()))
            .filter_map(|row| Some((row.name, row.last_error?)))
            .collect();
        let facts = Facts {
            now,
            findings: self.read_findings().await?,
            accounts: self.accounts.clone(),
            conditions,
            disk_free: p2pds_blobs::space(&self.engine.dir).ok().map(|space| space.free),
            disk_full: stats.disk_full,
            stopped: stats.stopped,
            wal_bytes: stats.wal_bytes,
            clock_jump: self.clock.look(now_micros()),
            failing,
            moving,
            reports: {
                let waiting = store.report_counts().await?;
                (waiting.open, waiting.oldest)
            },
            open: store.alerts(true, MOST).await?.iter().map(key_of).collect(),
        };
        let faults = derive::faults(&facts, &self.limits);
        Ok((faults, self.unknown()))
    }

    /// Whether relays follow the accounts that are hosted here, as far as they were asked.
    async fn relays(&self) -> anyhow::Result<Vec<Condition>> {
        let Some(host) = &self.engine.host else { return Ok(Vec::new()) };
        let relays = host.relays().await?.into_iter();
        let looked_at = relays.filter(|relay| relay.notes.checked_at.is_some());
        let detail = |why: String| {
            format!(
                "the relay {why}; what is posted here is not seen elsewhere. `p2pds doctor` looks at what relays need"
            )
        };
        Ok(looked_at
            .map(|relay| Condition {
                kind: "relay-lost".to_owned(),
                subject: relay.relay,
                detail: relay.notes.lost_at.and(relay.last_error).map(detail),
            })
            .collect())
    }

    /// Whoever raises a condition says within minutes of the start whether it holds; until then its alert stays.
    fn unknown(&self) -> Unknown {
        if self.started.elapsed() >= CONDITIONS_SETTLE {
            return Box::new(|_| false);
        }
        let spoken = self.spoken.clone();
        Box::new(move |key| {
            !DERIVED.contains(&key.kind.as_str()) && key.did.is_none() && !spoken.contains(key)
        })
    }

    async fn read_accounts(&self) -> anyhow::Result<Vec<AccountFacts>> {
        let mut all = Vec::new();
        let mut after: Option<Did> = None;
        loop {
            let page = self.engine.store.accounts(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after = Some(last.did.clone());
            all.extend(page.into_iter().filter(|account| !account.purging).map(|account| AccountFacts {
                name: account.handle.clone().unwrap_or_else(|| account.did.to_string()),
                host: account.pds.as_deref().map(schedule::host_of),
                // Of accounts hosted here it is the operator's or the owner's own doing.
                status: if account.hosted { AccountStatus::Active } else { account.status },
                followed: account.origin == Origin::Network && !account.paused && !account.hosted,
                current_at: account.last_sync_at.unwrap_or(account.added_at),
                error: account.last_sync_error,
                did: account.did,
            }));
        }
    }

    async fn read_findings(&self) -> anyhow::Result<Vec<Finding>> {
        let mut all: Vec<Finding> = Vec::new();
        let mut after: Option<AfterFinding> = None;
        while all.len() < MOST_FINDINGS {
            let page = self.engine.store.all_findings(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(AfterFinding {
                did: last.did.clone(),
                kind: last.kind.clone(),
                subject: last.subject.clone(),
            });
            all.extend(page);
        }
        Ok(all)
    }
}

/// Faults of the node that are derived from what can be read at any time.
const DERIVED: &[&str] = &[
    "sync-failing",
    "store-stopped",
    "disk-full",
    "disk-low",
    "wal-large",
    "clock",
    "worker-failing",
    "report",
];

/// The machine's clock beside the time that really passes.
struct Clock {
    wall: i64,
    real: Instant,
    jumped: Option<(Instant, i64)>,
}

impl Clock {
    fn new() -> Self {
        Self { wall: now_micros(), real: Instant::now(), jumped: None }
    }

    /// The last jump, in seconds, while it is not long ago.
    fn look(&mut self, wall: i64) -> Option<i64> {
        let passed = i64::try_from(self.real.elapsed().as_micros()).unwrap_or(i64::MAX);
        let off = wall.saturating_sub(self.wall).saturating_sub(passed) / 1_000_000;
        (self.wall, self.real) = (wall, Instant::now());
        if off.abs() > JUMP {
            self.jumped = Some((self.real, off));
        }
        self.jumped.filter(|(at, _)| at.elapsed() < JUMP_LASTS).map(|(_, off)| off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_of_the_clock_is_seen_both_ways() {
        let mut clock = Clock::new();
        let start = clock.wall;
        assert_eq!(clock.look(start + 5_000_000), None, "a few seconds are a slow machine");
        let back = clock.look(start - 86_400_000_000).unwrap();
        assert!((-86_410..=-86_390).contains(&back), "{back}");
        assert_eq!(clock.look(start - 86_400_000_000), Some(back), "it stays known for a while");
        assert!(clock.look(start).unwrap() > 86_000);
    }
}
