//! Who is worked on next, and why: facts in, a list out.
//!
//! Nothing here reads a clock, a store or a random source, so the same facts give the same list. The node's workers
//! gather the facts (what each account needs, what failed, what runs) and carry the list out.
//!
//! Three things keep many accounts on one host from becoming an attack on it: a run is moved by a share of its interval
//! that depends on the account ([`Rule::jitter`]), only so many accounts of one host are worked on at a time
//! ([`Rule::per_host`]), and two starts on one host are a pause apart ([`Rule::spacing`]).

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use p2pds_syntax::ErrorKind;
use serde::{Deserialize, Serialize};

use crate::error::ArchiveError;

/// How a kind of work is scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Time from one run for an account to its next.
    pub every: Duration,
    /// Accounts worked on at a time.
    pub parallel: usize,
    /// Accounts of one host worked on at a time.
    pub per_host: usize,
    /// Least time between two starts on one host.
    pub spacing: Duration,
    /// A run comes earlier or later by up to this many percent of `every`, always the same for the same run.
    pub jitter: u8,
}

impl Default for Rule {
    /// Hourly, one account at a time, spread by a tenth.
    fn default() -> Self {
        Self {
            every: Duration::from_secs(3_600),
            parallel: 1,
            per_host: 1,
            spacing: Duration::from_millis(200),
            jitter: 10,
        }
    }
}

/// What an account (or another thing) needs of a kind of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// By the rule's interval since it was last done; `None`: never done.
    Every(Option<i64>),
    /// At this time (microseconds since 1970), for a reason in plain words.
    At(i64, String),
}

impl Need {
    /// By the rule's interval since `last` (microseconds since 1970).
    #[must_use]
    pub fn every(last: Option<i64>) -> Self {
        Self::Every(last)
    }

    /// At this time, for this reason.
    pub fn at(at: i64, why: impl Into<String>) -> Self {
        Self::At(at, why.into())
    }

    fn last(&self) -> Option<i64> {
        match self {
            Self::Every(last) => *last,
            Self::At(..) => None,
        }
    }
}

/// Whose fault a failure is: that decides how long to leave it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Ours (disk, store, a shutdown): soon again. 1 to 15 minutes.
    Ours,
    /// The host does not answer, or not as it should. 5 minutes to a day.
    Host,
    /// The answer is no, and will be no again (deleted, no host named, a limit of this node). An hour to a day.
    Refused,
}

impl Level {
    /// The first pause and the longest.
    fn pauses(self) -> (Duration, Duration) {
        const MINUTE: u64 = 60;
        let (first, longest) = match self {
            Self::Ours => (MINUTE, 15 * MINUTE),
            Self::Host => (5 * MINUTE, 24 * 60 * MINUTE),
            Self::Refused => (60 * MINUTE, 24 * 60 * MINUTE),
        };
        (Duration::from_secs(first), Duration::from_secs(longest))
    }

    /// The level of a failure of the archive.
    #[must_use]
    pub fn of(error: &ArchiveError) -> Self {
        match error {
            ArchiveError::NoHost { .. } | ArchiveError::Rejected { .. } => Self::Refused,
            ArchiveError::Host { .. } | ArchiveError::Identity { .. } => match error.kind() {
                ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::Invalid => Self::Refused,
                _ => Self::Host,
            },
            ArchiveError::Quota { .. } => Self::Refused,
            _ => Self::Ours,
        }
    }
}

/// Failures in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setback {
    /// How many.
    pub failures: u32,
    /// Whose fault the last one is.
    pub level: Level,
    /// When it was, microseconds since 1970.
    pub at: i64,
    /// Not before this time, if the host said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

impl Setback {
    /// One more failure after `before`.
    #[must_use]
    pub fn after(before: Option<Self>, level: Level, at: i64, until: Option<i64>) -> Self {
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        Self { failures, level, at, until }
    }

    /// When the next try is due for the thing of this name.
    #[must_use]
    pub fn next(&self, name: &str) -> i64 {
        let (first, longest) = self.level.pauses();
        let doubled = 1_u32.checked_shl(self.failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let pause = first.saturating_mul(doubled).min(longest);
        // Up to a quarter less, so that what failed together is not tried again together.
        let less = share(pause, 25, chance(name, self.at));
        let at = self.at.saturating_add(micros(pause)).saturating_sub(less);
        at.max(self.until.unwrap_or(i64::MIN))
    }
}

/// One thing that may be worked on.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Its name: the DID of an account, or a word.
    pub name: String,
    /// Where its data comes from; what shares a host is kept apart.
    pub host: Option<String>,
    /// Higher goes first.
    pub priority: i32,
    /// What it needs.
    pub need: Need,
    /// Failures that no success has followed.
    pub setback: Option<Setback>,
    /// Somebody asked for it: its interval and its failures do not count.
    pub asked: bool,
}

/// Why something is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Somebody asked for it.
    Asked,
    /// It was never done.
    First,
    /// Its interval is over.
    Interval,
    /// Another try after so many failures.
    Again(u32),
    /// In the words of its need.
    Said(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("asked for"),
            Self::First => f.write_str("for the first time"),
            Self::Interval => f.write_str("by schedule"),
            Self::Again(1) => f.write_str("again after a failure"),
            Self::Again(n) => write!(f, "again after {n} failures"),
            Self::Said(words) => f.write_str(words),
        }
    }
}

impl Subject {
    /// When it is due by `rule`, and why.
    #[must_use]
    pub fn due(&self, rule: &Rule) -> (i64, Why) {
        if self.asked {
            return (i64::MIN, Why::Asked);
        }
        // A success since then, by whatever way, takes a setback back.
        let setback = self.setback.filter(|setback| self.need.last().is_none_or(|last| last < setback.at));
        if let Some(setback) = setback {
            return (setback.next(&self.name), Why::Again(setback.failures));
        }
        match &self.need {
            Need::Every(None) => (i64::MIN, Why::First),
            Need::Every(Some(last)) => {
                let moved =
                    share(rule.every, u64::from(rule.jitter).saturating_mul(2), chance(&self.name, *last));
                let back = share(rule.every, u64::from(rule.jitter), u64::MAX);
                let at = last.saturating_add(micros(rule.every)).saturating_add(moved).saturating_sub(back);
                (at, Why::Interval)
            }
            Need::At(at, why) => (*at, Why::Said(why.clone())),
        }
    }
}

/// What runs now, and what started when on which host.
#[derive(Debug, Clone, Default)]
pub struct Busy {
    running: HashMap<String, Option<String>>,
    started: HashMap<String, i64>,
}

impl Busy {
    /// Notes that work for `subject` began.
    pub fn begin(&mut self, subject: &Subject, now: i64) {
        self.running.insert(subject.name.clone(), subject.host.clone());
        if let Some(host) = &subject.host {
            self.started.insert(host.clone(), now);
        }
    }

    /// Notes that work for `name` ended.
    pub fn end(&mut self, name: &str) {
        self.running.remove(name);
    }

    /// How many run.
    #[must_use]
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether nothing runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Forgets starts that cannot matter any more.
    pub fn forget(&mut self, rule: &Rule, now: i64) {
        let pause = micros(rule.spacing);
        self.started.retain(|_, at| now.saturating_sub(*at) < pause);
    }

    fn on(&self, host: &str) -> usize {
        self.running.values().filter(|other| other.as_deref() == Some(host)).count()
    }
}

/// One start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Index of the subject.
    pub index: usize,
    /// When it was due, microseconds since 1970; [`i64::MIN`] for at once.
    pub at: i64,
    /// Why.
    pub why: Why,
}

/// What to do now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be started now, in this order.
    pub start: Vec<Turn>,
    /// How many are due and have to wait for a free place or for their host.
    pub waiting: usize,
    /// When the next thing can be started if nothing ends before; `None` when nothing is in sight.
    pub next: Option<i64>,
}

/// What of `subjects` to start at `now`, the most urgent first: by priority, then by how long it is due, then by name.
#[must_use]
pub fn plan(rule: &Rule, subjects: &[Subject], busy: &Busy, now: i64) -> Plan {
    let mut plan = Plan::default();
    let mut due: Vec<Turn> = Vec::new();
    for (index, subject) in subjects.iter().enumerate() {
        if busy.running.contains_key(&subject.name) {
            continue;
        }
        let (at, why) = subject.due(rule);
        if at <= now {
            due.push(Turn { index, at, why });
        } else {
            plan.wait_until(at);
        }
    }
    let key =
        |turn: &Turn| subjects.get(turn.index).map(|s| (std::cmp::Reverse(s.priority), turn.at, &s.name));
    due.sort_by(|a, b| key(a).cmp(&key(b)));
    let mut busy = busy.clone();
    for turn in due {
        let Some(subject) = subjects.get(turn.index) else { continue };
        match busy.room_for(rule, subject, now) {
            Room::Now => {
                busy.begin(subject, now);
                plan.start.push(turn);
            }
            Room::At(at) => {
                plan.waiting = plan.waiting.saturating_add(1);
                plan.wait_until(at);
            }
            Room::WhenOneEnds => plan.waiting = plan.waiting.saturating_add(1),
        }
    }
    plan
}

impl Plan {
    fn wait_until(&mut self, at: i64) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

enum Room {
    Now,
    At(i64),
    WhenOneEnds,
}

impl Busy {
    fn room_for(&self, rule: &Rule, subject: &Subject, now: i64) -> Room {
        if self.len() >= rule.parallel.max(1) {
            return Room::WhenOneEnds;
        }
        let Some(host) = &subject.host else { return Room::Now };
        if self.on(host) >= rule.per_host.max(1) {
            return Room::WhenOneEnds;
        }
        // A start in the future is one before the clock was set back: it keeps nobody waiting.
        match self.started.get(host).filter(|&&at| at <= now) {
            Some(at) if at.saturating_add(micros(rule.spacing)) > now => {
                Room::At(at.saturating_add(micros(rule.spacing)))
            }
            _ => Room::Now,
        }
    }
}

/// The name under which hosts are told apart: scheme and path do not matter.
#[must_use]
pub fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest).to_ascii_lowercase()
}

/// A number that looks random and is always the same for the same name and time (FNV-1a, then mixed).
fn chance(name: &str, at: i64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.bytes().chain(at.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// `percent` of `whole` in microseconds, times `chance` of all of it.
fn share(whole: Duration, percent: u64, chance: u64) -> i64 {
    let most = whole.as_micros().saturating_mul(u128::from(percent)).checked_div(100).unwrap_or(0);
    let part = most.saturating_mul(u128::from(chance)).checked_div(u128::from(u64::MAX)).unwrap_or(0);
    i64::try_from(part).unwrap_or(i64::MAX)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "schedule/tests.rs"]
mod tests;
