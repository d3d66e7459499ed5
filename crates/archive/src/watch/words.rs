//! What is said about an operation that nobody announced: what changed, who did it, until when it can be undone, how.

use p2pds_identity::plc::{Log, Step, Undo};
use p2pds_store::Finding;
use p2pds_syntax::Did;

use super::{TOMBSTONE, UNEXPECTED};
use crate::archive::Inner;
use crate::error::ArchiveResult;
use crate::identity::is_known_host_key;
use crate::words::when;

/// `71 hours`, `40 minutes`; rounded down, so that nobody relies on a minute that is not there.
fn left(micros: i64) -> String {
    let minutes = micros / 60_000_000;
    match minutes {
        120.. => format!("{} hours", minutes / 60),
        2..=119 => format!("{minutes} minutes"),
        _ => "a minute".to_owned(),
    }
}

/// Who may hold a key, as far as the log tells.
fn holder(log: &Log, step: &Step, key: &str) -> &'static str {
    if is_known_host_key(key) {
        return "known: a key that a large host gives its accounts";
    }
    let earlier = log.entries().len().min(step.index);
    let signed =
        (0..earlier).filter_map(|index| log.step(index)).any(|s| s.signer.is_some_and(|s| s.key == key));
    if signed {
        "known: it signed earlier operations"
    } else {
        "not seen before: perhaps the owner's recovery key"
    }
}

fn key_list(log: &Log, step: &Step, way: &Undo) -> String {
    let each = way.keys.iter().map(|(place, key)| {
        format!("rotation key {} {key} ({})", place.saturating_add(1), holder(log, step, key))
    });
    each.collect::<Vec<_>>().join(", or ")
}

/// How it can be undone, and until when.
fn undoing(log: &Log, step: &Step, now: i64) -> String {
    let ways = log.ways_to_undo(step.index);
    if ways.is_empty() {
        return "It was signed with the key of highest authority, so no other key can undo it: if it was not the owner, \
                whoever holds that key controls the account now. Tell the host and the people who follow the account, and \
                keep this archive: it is what a new account can be restored from."
            .to_owned();
    }
    let Some(way) = ways.iter().find(|way| way.is_open(now)) else {
        let last = ways.iter().map(|way| way.until).max().unwrap_or(0);
        return format!(
            "The 72 hours in which a key of higher authority could undo it ended at {}. If it was not the owner, ask the \
             host for help, and keep this archive.",
            when(last)
        );
    };
    let beyond = if way.voids_from < step.index {
        format!(
            " (that also undoes what came before it, from operation {} on)",
            way.voids_from.saturating_add(1)
        )
    } else {
        String::new()
    };
    format!(
        "Until {} ({} left) it can be undone{beyond} by {}. If it was not the owner: with one of these keys sign an \
         operation whose `prev` is {}, with the rotation keys, signing key, handle and host that shall hold, and POST it to \
         the directory within that time; `p2pds plc log` shows what they were before.",
        when(way.until),
        left(way.until.saturating_sub(now)),
        key_list(log, step, way),
        way.from
    )
}

/// About an operation that nobody announced.
pub(super) fn unexpected(log: &Log, step: &Step, now: i64) -> String {
    let changes: Vec<String> = step.differences.iter().map(ToString::to_string).collect();
    let changed = if changes.is_empty() { "nothing that shows".to_owned() } else { changes.join("; ") };
    let by = step.signer.as_ref().map_or_else(String::new, |signer| {
        format!(
            " It was signed by rotation key {} of {}, {} ({}).",
            signer.position.saturating_add(1),
            signer.of,
            signer.key,
            holder(log, step, &signer.key)
        )
    });
    let undid = match step.undid.as_slice() {
        [] => String::new(),
        [one] => format!(" It made operation {} void.", one.saturating_add(1)),
        many => format!(" It made {} operations void.", many.len()),
    };
    format!(
        "operation {} of {} was not announced: {changed}.{by}{undid} {} If it was the owner: `p2pds plc ack {} {} --reason TEXT` \
         ends this alarm.",
        step.index.saturating_add(1),
        when(step.at),
        undoing(log, step, now),
        log.did(),
        step.cid
    )
}

/// About an identity that was given up.
pub(super) fn tombstone(log: &Log, index: usize, at: i64, now: i64) -> String {
    let way = log.step(index).map(|step| undoing(log, &step, now)).unwrap_or_default();
    format!(
        "the identity was given up at {}: nothing of it is served any more, and what is stored is kept as retention says. {way}",
        when(at)
    )
}

/// Brings the countdown in the details of findings up to this moment, for who reads them.
pub(crate) async fn refresh_details(inner: &Inner, did: &Did, findings: &mut [Finding]) -> ArchiveResult<()> {
    if !findings.iter().any(|finding| finding.kind == UNEXPECTED || finding.kind == TOMBSTONE) {
        return Ok(());
    }
    // A damaged log is another finding's business.
    let Ok(Some(log)) = inner.stored_plc_log(did).await else { return Ok(()) };
    let now = inner.now();
    for finding in findings {
        let place = log.entries().iter().position(|entry| entry.cid.to_string() == finding.subject);
        let Some(step) = place.and_then(|index| log.step(index)) else { continue };
        match finding.kind.as_str() {
            UNEXPECTED => finding.detail = unexpected(&log, &step, now),
            TOMBSTONE => finding.detail = tombstone(&log, step.index, step.at, now),
            _ => {}
        }
    }
    Ok(())
}
