//! What the operator asks of the node's upkeep: workers, limits, capacity, alerts.

use p2pds_archive::Progress;
use p2pds_recovery::{BackupOptions, Sealing};
use p2pds_store::{AccountPatch, AlertRow, Unit};
use serde::{Deserialize, Serialize};

use crate::alerts::{self, Teller, Told};
use crate::node::engine::Engine;
use crate::node::workers::{Notes, RETRY, pause_setting};
use crate::node::{jobs, scrub};
use crate::operator::answer::{Answer, WorkerLine};
use crate::operator::{Command, Failure};
use crate::words;

/// A worker that was paused or resumed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerSwitch {
    /// Its name.
    pub name: String,
    /// Stopped, or running.
    pub paused: bool,
}

/// The order of an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PriorityLine {
    /// DID.
    pub did: String,
    /// Handle, when one is known.
    pub handle: Option<String>,
    /// Higher goes first.
    pub priority: i32,
}

/// The limit of an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QuotaLine {
    /// DID.
    pub did: String,
    /// Handle, when one is known.
    pub handle: Option<String>,
    /// Its own limit in bytes.
    pub quota: Option<u64>,
    /// The limit that counts: its own, or that of every account.
    pub limit: Option<u64>,
    /// Bytes stored of it.
    pub used: u64,
    /// Why nothing more is stored, if so.
    pub full: Option<String>,
}

/// An alert.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AlertLine {
    /// Unique name.
    pub id: String,
    /// Stable word.
    pub kind: String,
    /// DID of the account it concerns.
    pub did: Option<String>,
    /// Its handle, when one is known.
    pub handle: Option<String>,
    /// What it is about.
    pub subject: String,
    /// In plain words.
    pub detail: String,
    /// Since when, microseconds since 1970.
    pub opened_at: i64,
    /// When it was over, microseconds since 1970.
    pub closed_at: Option<i64>,
    /// Whether the webhook took it.
    pub told: bool,
    /// Whether it was mailed.
    #[serde(default)]
    pub mailed: bool,
}

/// Stops or resumes a worker, now and after restarts.
pub(crate) async fn pause_worker(engine: &Engine, name: &str, paused: bool) -> Result<WorkerSwitch, Failure> {
    let mut known: Vec<&str> = jobs::all(engine).iter().map(|job| job.name()).collect();
    known.extend([scrub::NAME, "live"]);
    if !known.contains(&name) {
        let near = words::nearest(name, known.iter().copied());
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", known.join(", ")),
        };
        return Err(Failure::new("notfound", format!("there is no worker `{name}`")).hint(hint));
    }
    let value = paused.then(|| words::now_micros().to_string());
    engine.store.apply(Unit::PutSetting { name: pause_setting(name), value }).await?;
    engine.archive.wakes().job(name);
    tracing::info!(event = "worker.paused", worker = name, paused, "the operator switched a worker");
    Ok(WorkerSwitch { name: name.to_owned(), paused })
}

/// Sets the order of an account.
pub(super) async fn prioritize(
    engine: &Engine,
    account: &str,
    priority: i32,
) -> Result<PriorityLine, Failure> {
    let did = engine.archive.find(account).await?;
    let patch = AccountPatch { priority: Some(priority), ..AccountPatch::default() };
    engine.store.apply(Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) }).await?;
    for job in jobs::all(engine) {
        engine.archive.wakes().job(job.name());
    }
    let handle = engine.store.account(&did).await?.and_then(|account| account.handle);
    Ok(PriorityLine { did: did.to_string(), handle, priority })
}

/// Sets the limit of an account.
pub(super) async fn limit(engine: &Engine, account: &str, quota: Option<u64>) -> Result<QuotaLine, Failure> {
    let did = engine.archive.find(account).await?;
    engine.archive.set_quota(&did, quota).await?;
    let Some(account) = engine.store.account(&did).await? else {
        return Err(Failure::new("conflict", format!("{did} is being removed")));
    };
    let (limit, full) = engine.archive.quota_of(&account);
    Ok(QuotaLine {
        did: did.to_string(),
        quota: account.quota,
        limit,
        used: account.record_bytes.saturating_add(account.blob_bytes),
        full: full.map(|full| full.to_string()),
        handle: account.handle,
    })
}

/// The workers, with what they wait for.
pub(crate) async fn workers(engine: &Engine) -> Result<Vec<WorkerLine>, Failure> {
    let mut lines = Vec::new();
    for row in engine.store.workers().await? {
        if row.name.starts_with(RETRY) {
            continue;
        }
        let notes: Notes = serde_json::from_str(&row.notes).unwrap_or_default();
        let round: Option<scrub::Notes> =
            (row.name == scrub::NAME).then(|| serde_json::from_str(&row.notes).ok()).flatten();
        let paused = engine.store.setting(&pause_setting(&row.name)).await?.is_some();
        lines.push(WorkerLine {
            paused,
            waiting: notes.waiting,
            retrying: notes.retrying,
            reason: notes.reason,
            ends_at: round.as_ref().and_then(|round| round.ends_at),
            scrub: round.as_ref().map(|round| round.scrub.clone()),
            permille: round.as_ref().filter(|_| row.total > 0).map(|round| round.scrub.permille()),
            name: row.name,
            state: row.state,
            done: row.done,
            total: row.total,
            last_error: row.last_error,
            next_run: row.next_run,
            updated_at: row.updated_at,
        });
    }
    Ok(lines)
}

/// Alerts that last, or all that are remembered.
pub(crate) async fn alerts(engine: &Engine, history: bool) -> Result<Vec<AlertLine>, Failure> {
    // Whoever looks wants the newest: a running node looks again at once.
    engine.archive.wakes().job(alerts::NAME);
    let mut lines = Vec::new();
    for row in engine.store.alerts(!history, alerts::MOST).await? {
        let handle = match &row.did {
            Some(did) => engine.store.account(did).await?.and_then(|account| account.handle),
            None => None,
        };
        lines.push(alert(row, handle));
    }
    Ok(lines)
}

fn alert(row: AlertRow, handle: Option<String>) -> AlertLine {
    AlertLine {
        id: row.id,
        kind: row.kind,
        did: row.did.map(|did| did.to_string()),
        handle,
        subject: row.subject,
        detail: row.detail,
        opened_at: row.opened_at,
        closed_at: row.closed_at,
        told: row.told,
        mailed: row.mailed,
    }
}

/// Sends a test.
pub(super) async fn test_alert(engine: &Engine) -> Vec<Told> {
    Teller::new(engine).test().await
}

/// Writes the whole node out.
///
/// # Errors
/// What the backup met.
pub async fn backup(engine: &Engine, command: Command, progress: &Progress) -> Result<Answer, Failure> {
    let Command::Backup { out, encrypt_to, passphrase, keys, plain_keys } = command else {
        return Err(Failure::new("bug", "this is no backup"));
    };
    let sealing = match (passphrase, encrypt_to.is_empty()) {
        (Some(passphrase), _) => Sealing::Passphrase(passphrase),
        (None, false) => Sealing::Recipients(encrypt_to),
        (None, true) => Sealing::No,
    };
    let options = BackupOptions { sealing, keys, plain_keys };
    let report = engine.recovery.backup(&out, &options, crate::words::now_micros(), progress).await?;
    Ok(Answer::BackedUp(Box::new(report)))
}
