//! The PLC mirror: validated logs go into the store, and no answer makes a
//! stored log shorter or different. What a directory says that contradicts the
//! mirror is kept as evidence and shown as a finding.

use std::str::FromStr;
use std::sync::Arc;

use p2pds_identity::plc::{self, Log, LogChange, LogEntry, Operation};
use p2pds_ipld::Cid;
use p2pds_store::{Evidence, Finding, PlcRow, Store, StoreError, Unit};
use p2pds_syntax::{Datetime, Did};
use serde_json::json;
use tracing::{debug, warn};

use crate::error::DirectoryError;

/// The largest contradicting log that is kept as evidence, in bytes.
const MAX_EVIDENCE: usize = 256 * 1024;

/// A directory contradicts what it, or another one, said before.
pub(crate) const FORK: &str = "plc-fork";
/// A directory has fewer operations than it had.
pub(crate) const SHORTER: &str = "plc-log-shorter";
/// A further directory has operations that the one asked first has not.
pub(crate) const LONGER: &str = "plc-log-longer";
/// How far a copy of a directory may lag behind it, in microseconds: an hour.
const MIRROR_LAG_MICROS: i64 = 3_600_000_000;
/// A directory's log is missing or breaks the rules although a valid one was seen before.
pub(crate) const BROKEN: &str = "plc-log-broken";
/// A recovery made operations void that had counted. Evidence only: it is legitimate, and worth knowing.
pub(crate) const NULLIFIED: &str = "plc-nullified";

/// The stored log of a DID; `None` when there is none.
pub(crate) async fn stored(store: &dyn Store, did: &Did) -> Result<Option<Log>, DirectoryError> {
    let rows = store.plc_log(did).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let damaged = |what: String| {
        DirectoryError::Store(StoreError::Damaged(format!("the mirrored PLC log of {did}: {what}")))
    };
    log_of_rows(did, &rows).map(Some).map_err(damaged)
}

/// Compares a fetched log with the stored one and stores it if it continues it.
/// Gives back the log to go by, and whether that is the stored one instead.
pub(crate) async fn reconcile(
    store: &dyn Store,
    asked: &str,
    new: Log,
    now_micros: i64,
) -> Result<(Arc<Log>, bool), DirectoryError> {
    let did = new.did().clone();
    let old = match stored(store, &did).await {
        // A damaged mirror is replaced by a log that was validated from the DID up.
        Err(DirectoryError::Store(StoreError::Damaged(what))) => {
            warn!(event = "plc.mirror-damaged", %did, what, "the stored PLC log is damaged; it is fetched anew");
            None
        }
        other => other?,
    };
    let Some(old) = old else {
        put(store, &new, now_micros).await?;
        return Ok((Arc::new(new), false));
    };
    match plc::compare(&old, &new) {
        LogChange::Same => {
            put(store, &new, now_micros).await?;
            resolve_findings(store, &did, asked).await?;
            Ok((Arc::new(new), false))
        }
        LogChange::Extended(_) => {
            note_nullified(store, asked, &old, &new, now_micros).await?;
            put(store, &new, now_micros).await?;
            resolve_findings(store, &did, asked).await?;
            Ok((Arc::new(new), false))
        }
        LogChange::Shorter => {
            let detail = format!(
                "{asked} lists {} operations for this account, {} were seen before; the longer log is kept",
                new.entries().len(),
                old.entries().len()
            );
            finding(store, &did, SHORTER, asked, detail, now_micros).await?;
            Ok((Arc::new(old), true))
        }
        LogChange::Forked { at } => {
            note_fork(store, asked, &old, &new, at, now_micros).await?;
            Ok((Arc::new(old), true))
        }
    }
}

/// Compares the answer of a further directory with the stored log. Operations that either has had for less than the
/// slack are no disagreement: copies lag.
pub(crate) async fn disagreement(
    store: &dyn Store,
    asked: &str,
    known: &Log,
    other: &Log,
    now_micros: i64,
) -> Result<(), DirectoryError> {
    let settled = |log: &Log, from: usize| {
        let first = log.entries().get(from);
        first.is_some_and(|e| e.created_at.unix_micros() < now_micros.saturating_sub(MIRROR_LAG_MICROS))
    };
    let (have, has) = (known.entries().len(), other.entries().len());
    match plc::compare(known, other) {
        LogChange::Forked { at } => note_fork(store, asked, known, other, at, now_micros).await,
        LogChange::Shorter if settled(known, has) => {
            let detail = format!(
                "{asked} lists {has} operations for this account, {have} are known and valid: it has lost some, or \
                 withholds them; the longer log is kept"
            );
            finding(store, known.did(), SHORTER, asked, detail, now_micros).await
        }
        LogChange::Extended(more) if settled(other, have) => {
            let detail = format!(
                "{asked} lists {more} valid operations more than the directory that is asked first gave: that one \
                 withholds them, or has lost them. They are not taken over: compare with a third directory, and ask the \
                 owner"
            );
            let proof = Some(plc::write_audit(other.entries())).filter(|bytes| bytes.len() <= MAX_EVIDENCE);
            let known_already = store.findings(known.did(), 1000).await?;
            if !known_already.iter().any(|f| f.kind == LONGER && f.subject == asked) {
                let facts = json!({"source": asked, "more": more, "offered": other.head().to_string()});
                evidence(store, known.did(), LONGER, facts.to_string(), proof, now_micros).await?;
            }
            finding(store, known.did(), LONGER, asked, detail, now_micros).await
        }
        LogChange::Same | LogChange::Shorter | LogChange::Extended(_) => {
            resolve_findings(store, known.did(), asked).await
        }
    }
}

/// Records that `asked` has no usable log for an account whose log is known.
pub(crate) async fn broken(
    store: &dyn Store,
    did: &Did,
    asked: &str,
    why: &str,
    now_micros: i64,
) -> Result<(), DirectoryError> {
    let detail = format!("{asked} gave no usable log for this account ({why}); the one seen before is kept");
    finding(store, did, BROKEN, asked, detail, now_micros).await
}

async fn put(store: &dyn Store, log: &Log, fetched_at: i64) -> Result<(), DirectoryError> {
    let ops = plc_rows(log);
    let did = log.did().clone();
    tolerate(store.apply(Unit::PutPlcLog { did, ops, fetched_at }).await.map(|_| ()))
}

async fn note_nullified(
    store: &dyn Store,
    asked: &str,
    old: &Log,
    new: &Log,
    at: i64,
) -> Result<(), DirectoryError> {
    let void: Vec<String> = new.nullified_since(old).map(|entry| entry.cid.to_string()).collect();
    if void.is_empty() {
        return Ok(());
    }
    let detail = json!({
        "source": asked,
        "nullified": void,
        "by": new.head().to_string(),
        "meaning": "a recovery key made these operations void; if the owner did not do that, the account was taken over",
    });
    evidence(store, new.did(), NULLIFIED, detail.to_string(), None, at).await
}

async fn note_fork(
    store: &dyn Store,
    asked: &str,
    old: &Log,
    new: &Log,
    index: usize,
    now: i64,
) -> Result<(), DirectoryError> {
    let head = |log: &Log| log.head().to_string();
    let detail = format!(
        "{asked} tells another history of this account than was seen before, from operation {} on \
         (its last operation is {}, the one kept is {}); the history kept goes on to count",
        index.saturating_add(1),
        head(new),
        head(old)
    );
    let known = store.findings(old.did(), 1000).await?;
    if known.iter().any(|f| f.kind == FORK && f.detail == detail) {
        return finding(store, old.did(), FORK, asked, detail, now).await;
    }
    let proof = Some(plc::write_audit(new.entries())).filter(|bytes| bytes.len() <= MAX_EVIDENCE);
    let facts = json!({"source": asked, "at": index, "kept": head(old), "offered": head(new)});
    evidence(store, old.did(), FORK, facts.to_string(), proof, now).await?;
    finding(store, old.did(), FORK, asked, detail, now).await
}

async fn evidence(
    store: &dyn Store,
    did: &Did,
    kind: &str,
    detail: String,
    data: Option<Vec<u8>>,
    at: i64,
) -> Result<(), DirectoryError> {
    let row = Evidence {
        id: 0,
        times: 1,
        last_at: None,
        did: did.clone(),
        at,
        kind: kind.to_owned(),
        detail,
        data,
    };
    tolerate(store.apply(Unit::AddEvidence(row)).await.map(|_| ()))
}

async fn finding(
    store: &dyn Store,
    did: &Did,
    kind: &str,
    subject: &str,
    detail: String,
    now: i64,
) -> Result<(), DirectoryError> {
    warn!(event = "plc.contradiction", %did, kind, detail, "a directory contradicts what was known");
    let row = Finding {
        did: did.clone(),
        kind: kind.to_owned(),
        subject: subject.to_owned(),
        detail,
        first_at: now,
        last_at: now,
    };
    tolerate(store.apply(Unit::PutFinding(row)).await.map(|_| ()))
}

/// The source is in order again.
async fn resolve_findings(store: &dyn Store, did: &Did, asked: &str) -> Result<(), DirectoryError> {
    let open = tolerate(store.findings(did, 1000).await)?;
    for kind in [SHORTER, LONGER, BROKEN, FORK] {
        if open.iter().any(|f| f.kind == kind && f.subject == asked) {
            let unit = Unit::ResolveFindings {
                did: did.clone(),
                kind: kind.to_owned(),
                subject: Some(asked.to_owned()),
            };
            tolerate(store.apply(unit).await.map(|_| ()))?;
        }
    }
    Ok(())
}

/// Notes about a DID that is not an account here, or one that is being purged, go nowhere; neither does a log
/// that the store refuses beside the one it has.
fn tolerate<T: Default>(outcome: Result<T, StoreError>) -> Result<T, DirectoryError> {
    match outcome {
        Ok(value) => Ok(value),
        Err(e @ (StoreError::UnknownAccount(_) | StoreError::Purging(_) | StoreError::Mismatch { .. })) => {
            debug!(event = "plc.not-stored", error = %e, "a PLC log or a note about it was not stored");
            Ok(T::default())
        }
        Err(e) => Err(e.into()),
    }
}

/// The entries of a log as the store keeps them.
#[must_use]
pub fn plc_rows(log: &Log) -> Vec<PlcRow> {
    let row = |entry: &LogEntry| PlcRow {
        operation: entry.operation.to_json().to_string().into_bytes(),
        cid: entry.cid.to_string(),
        nullified: entry.nullified,
        created_at: entry.created_at.as_str().to_owned(),
    };
    log.entries().iter().map(row).collect()
}

/// Reads a stored log and validates it from its first operation.
///
/// # Errors
/// What is wrong, in plain words.
pub fn log_of_rows(did: &Did, rows: &[PlcRow]) -> Result<Log, String> {
    let entries: Result<Vec<LogEntry>, String> = rows.iter().map(|row| entry(did, row)).collect();
    plc::validate_log(did, &entries?).map_err(|error| error.to_string())
}

fn entry(did: &Did, row: &PlcRow) -> Result<LogEntry, String> {
    let json: serde_json::Value = serde_json::from_slice(&row.operation).map_err(|e| e.to_string())?;
    Ok(LogEntry {
        did: did.clone(),
        operation: Operation::from_json(&json).map_err(|e| e.to_string())?,
        cid: Cid::from_str(&row.cid).map_err(|e| e.to_string())?,
        nullified: row.nullified,
        created_at: Datetime::parse(&row.created_at).map_err(|e| e.to_string())?,
    })
}
