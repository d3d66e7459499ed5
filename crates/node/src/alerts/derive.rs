//! What is wrong, made of facts: pure, so that each rule is a test.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use p2pds_archive::{Condition, QUOTA_FINDING};
use p2pds_store::{AccountStatus, Finding};
use p2pds_syntax::Did;

use crate::words;

/// Findings that are properties of an account rather than faults: they are shown with it, and nobody is woken.
const QUIET: &[&str] = &["odd-record", "record-missing", "earlier-key"];
/// Findings of which each subject is a fault of its own.
const SINGLY: &[&str] = &["plc-unexpected", "plc-tombstone", "web-changed"];
/// Faults that cannot wait until tomorrow: nothing more is archived, or an identity is being taken.
const URGENT: &[&str] = &["disk-full", "store-stopped", "plc-unexpected", "plc-tombstone"];
/// Faults that usually mend themselves within minutes: they are told when they last.
const PASSING: &[&str] = &["desynchronized", "live-source", "omitted"];
/// Faults of one kind that are told one by one; the rest is one more.
const MOST_OF_A_KIND: usize = 100;
/// A log of changes that is larger than this is not folded into the database as it should be.
const LARGE_WAL: u64 = 1 << 30;

/// Whether a fault of this kind cannot wait until tomorrow.
pub(crate) fn is_urgent(kind: &str) -> bool {
    URGENT.contains(&kind)
}

/// What identifies a fault: while it lasts, this does not change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) kind: String,
    pub(super) did: Option<Did>,
    pub(super) subject: String,
}

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) key: Key,
    pub(super) detail: String,
}

impl Fault {
    /// Whether it has to last for a while before it is told.
    pub(super) fn is_passing(&self) -> bool {
        PASSING.contains(&self.key.kind.as_str())
    }
}

/// What is known of an account.
#[derive(Debug, Clone)]
pub(super) struct AccountFacts {
    pub(super) did: Did,
    pub(super) name: String,
    pub(super) host: Option<String>,
    pub(super) status: AccountStatus,
    /// It is fetched by schedule.
    pub(super) followed: bool,
    /// When it was last found current, or added.
    pub(super) current_at: i64,
    pub(super) error: Option<String>,
}

/// What is known of the node.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) now: i64,
    pub(super) findings: Vec<Finding>,
    pub(super) accounts: Vec<AccountFacts>,
    pub(super) conditions: Vec<Condition>,
    pub(super) disk_free: Option<u64>,
    pub(super) disk_full: bool,
    pub(super) stopped: Option<String>,
    pub(super) wal_bytes: u64,
    /// By how much the clock has jumped, in seconds.
    pub(super) clock_jump: Option<i64>,
    /// Workers whose last run failed, and why.
    pub(super) failing: Vec<(String, String)>,
    /// Reports that wait for the operator, and since when the oldest.
    pub(super) reports: (u64, Option<i64>),
    /// Archived accounts that are being moved here, and since when.
    pub(super) moving: Vec<(Did, i64)>,
    /// Faults that are open now: what is near a limit stays as it is.
    pub(super) open: Vec<Key>,
}

/// Limits that the operator set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) disk_low: u64,
    pub(super) unreachable_after: Duration,
}

/// Everything that is wrong, at most [`MOST_OF_A_KIND`] and one of each kind.
pub(super) fn faults(facts: &Facts, limits: &Limits) -> Vec<Fault> {
    let mut all = of_findings(facts);
    all.extend(of_accounts(facts, limits));
    all.extend(facts.moving.iter().map(|(did, since)| of_move(did, *since)));
    all.extend(of_node(facts, limits));
    for condition in &facts.conditions {
        if let Some(detail) = &condition.detail {
            all.push(fault(&condition.kind, None, &condition.subject, detail.clone()));
        }
    }
    bounded(all)
}

fn fault(kind: &str, did: Option<&Did>, subject: &str, detail: impl Into<String>) -> Fault {
    let key = Key { kind: kind.to_owned(), did: did.cloned(), subject: subject.to_owned() };
    Fault { key, detail: detail.into() }
}

/// Whoever runs the account's old host could begin this to be rid of the copy: a person should know.
fn of_move(did: &Did, since: i64) -> Fault {
    let detail = format!(
        "somebody is moving this account here since {}: its owner, or whoever runs its old server. Until that is done, \
         after 7 days at the latest, nothing of it is archived; what is here stays. If it is not the owner, `p2pds \
         account delete {did}` makes it an archived account again",
        words::when(since)
    );
    fault("moving-in", Some(did), "", detail)
}

/// One for each account and kind, or for each subject where each is news of its own.
fn of_findings(facts: &Facts) -> Vec<Fault> {
    let mut groups: BTreeMap<Key, (String, u64)> = BTreeMap::new();
    // An account that may not grow is out of step by that.
    let full: HashSet<&Did> =
        facts.findings.iter().filter(|f| f.kind == QUOTA_FINDING).map(|f| &f.did).collect();
    let follows = |finding: &Finding| finding.kind == "desynchronized" && full.contains(&finding.did);
    for finding in facts.findings.iter().filter(|f| !QUIET.contains(&f.kind.as_str()) && !follows(f)) {
        let subject =
            if SINGLY.contains(&finding.kind.as_str()) { finding.subject.clone() } else { String::new() };
        let key = Key { kind: finding.kind.clone(), did: Some(finding.did.clone()), subject };
        let entry = groups.entry(key).or_insert_with(|| {
            let what = if finding.subject.is_empty() { "" } else { ": " };
            (format!("{}{what}{}", finding.subject, finding.detail), 0)
        });
        entry.1 = entry.1.saturating_add(1);
    }
    groups
        .into_iter()
        .map(|(key, (detail, count))| match count {
            1 => Fault { key, detail },
            _ => {
                let more = words::plural(count.saturating_sub(1), "more", "more");
                Fault { key, detail: format!("{detail} (and {more}: `p2pds archive show` lists them)") }
            }
        })
        .collect()
}

/// States that the host has put an account in, and syncs that fail, by host: a host that is down is one fault, however
/// many accounts it has.
fn of_accounts(facts: &Facts, limits: &Limits) -> Vec<Fault> {
    let mut all = Vec::new();
    let patience = i64::try_from(limits.unreachable_after.as_micros()).unwrap_or(i64::MAX);
    let mut hosts: BTreeMap<&str, (u64, i64, &str)> = BTreeMap::new();
    // What becomes of a deleted account is a finding of its own.
    let told: HashSet<&Did> =
        facts.findings.iter().filter(|f| f.kind == "withdrawn").map(|f| &f.did).collect();
    for account in &facts.accounts {
        let withheld = matches!(
            account.status,
            AccountStatus::Deactivated
                | AccountStatus::Takendown
                | AccountStatus::Suspended
                | AccountStatus::Deleted
        );
        if withheld && told.contains(&account.did) {
            continue;
        }
        if withheld {
            let detail = format!(
                "{} is {} at its host; what is archived stays, and nothing new can be fetched",
                account.name,
                account.status.as_str()
            );
            all.push(fault("account-status", Some(&account.did), account.status.as_str(), detail));
            continue;
        }
        let late = facts.now.saturating_sub(account.current_at) > patience;
        let Some(error) = account.error.as_deref().filter(|_| late && account.followed) else { continue };
        let since = account.current_at;
        match account.host.as_deref() {
            Some(host) => {
                let entry = hosts.entry(host).or_insert((0, since, error));
                *entry = (entry.0.saturating_add(1), entry.1.min(since), entry.2);
            }
            None => {
                let detail =
                    format!("{} was not current since {}: {error}", account.name, words::when(since));
                all.push(fault("sync-failing", Some(&account.did), "", detail));
            }
        }
    }
    all.extend(hosts.into_iter().map(|(host, (count, since, error))| {
        let who = words::plural(count, "account there was", "accounts there were");
        let detail = format!(
            "{who} not current since {}: {error}. What is archived stays; `p2pds archive list` shows who is concerned",
            words::when(since)
        );
        fault("sync-failing", None, host, detail)
    }));
    all
}

fn of_node(facts: &Facts, limits: &Limits) -> Vec<Fault> {
    let mut all = Vec::new();
    let open = |kind: &str| facts.open.iter().any(|key| key.kind == kind);
    if let Some(reason) = &facts.stopped {
        let detail =
            format!("the store has stopped writing: {reason}. Mend the cause, then restart the node");
        all.push(fault("store-stopped", None, "", detail));
    }
    if facts.disk_full {
        let detail =
            "the disk is full: nothing new can be stored. Free some space; the node goes on by itself";
        all.push(fault("disk-full", None, "", detail));
    }
    if let Some(free) = facts.disk_free {
        // A tenth more is wanted to call it over, so that it does not come and go.
        let least = if open("disk-low") {
            limits.disk_low.saturating_add(limits.disk_low / 10)
        } else {
            limits.disk_low
        };
        if free < least {
            let detail = format!(
                "{} are free on the disk, less than {} (alerts.disk_low). Free some space, or set quotas: `p2pds \
                 capacity` says what grows",
                words::size(free),
                words::size(limits.disk_low)
            );
            all.push(fault("disk-low", None, "", detail));
        }
    }
    let most = if open("wal-large") { LARGE_WAL / 2 } else { LARGE_WAL };
    if facts.wal_bytes > most {
        let detail = format!(
            "the database's log of changes has grown to {} and is not folded in: a reader holds it, or the disk is too \
             slow. If it goes on growing, restart the node",
            words::size(facts.wal_bytes)
        );
        all.push(fault("wal-large", None, "", detail));
    }
    if let Some(jump) = facts.clock_jump {
        let detail = format!(
            "this machine's clock jumped by {} {}: revisions and signatures carry times. Check its time service \
             (`timedatectl`)",
            words::duration(Duration::from_secs(jump.unsigned_abs())),
            if jump < 0 { "back" } else { "ahead" }
        );
        all.push(fault("clock", None, "", detail));
    }
    if let (count @ 1.., Some(oldest)) = facts.reports {
        let detail = format!(
            "{}; the oldest since {}. `p2pds admin reports` and the page Reports show what people wrote",
            words::plural(count, "report waits", "reports wait"),
            words::when(oldest)
        );
        all.push(fault("report", None, "", detail));
    }
    for (worker, why) in &facts.failing {
        all.push(fault("worker-failing", None, worker, format!("the worker `{worker}` fails: {why}")));
    }
    all
}

/// What many accounts have in common is not told a thousand times.
fn bounded(mut all: Vec<Fault>) -> Vec<Fault> {
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all.dedup_by(|b, a| a.key == b.key);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    all.retain(|fault| {
        let count = kinds.entry(fault.key.kind.clone()).or_default();
        *count = count.saturating_add(1);
        *count <= MOST_OF_A_KIND
    });
    for (kind, count) in kinds {
        if count > MOST_OF_A_KIND {
            let more = count.saturating_sub(MOST_OF_A_KIND);
            let detail = format!("the same is wrong with {more} more; `p2pds archive list` shows them");
            all.push(fault(&kind, None, "and more", detail));
        }
    }
    all
}

#[cfg(test)]
#[path = "derive/tests.rs"]
mod tests;
