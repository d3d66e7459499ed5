//! The events that the other server still had: kept under their numbers, so that subscribers go on as if nothing had been.

use p2pds_ipld::cbor::{Limits, Value, decode, encode, write_int, write_map, write_text};
use p2pds_store::foreign::ForeignEvent;
use p2pds_store::{EventKind, Jump, NewEvent, Unit};
use p2pds_syntax::Did;

use super::{Taking, micros};
use crate::error::RecoveryResult;

/// Events kept at most: each is one durable write, in their order.
const MOST: u64 = 20_000;
/// Read from the source at a time.
const PAGE: usize = 500;
/// Put into one unit at most.
const TOGETHER: usize = 200;
/// An event has 2,000,000 bytes of blocks at most, and little beside them.
const EVENT: Limits = Limits { max_len: 4 << 20, ..Limits::STRICT };

/// Takes the newest events, and says how many.
pub(super) async fn take(taking: &Taking<'_>, last: u64) -> RecoveryResult<u64> {
    let store = taking.host.store();
    let here = u64::try_from(store.last_seq().await?).unwrap_or(0);
    let window = i64::try_from(taking.host.config().event_window.as_micros()).unwrap_or(i64::MAX);
    let oldest = taking.host.now().saturating_sub(window);
    let mut after = last.saturating_sub(MOST).max(here);
    let mut taken = 0_u64;
    loop {
        let page = taking.read(move |from| from.events(after, PAGE)).await?;
        let Some(end) = page.last().map(|event| event.seq) else { return Ok(taken) };
        let kept = page.iter().filter(|event| micros(&event.at).is_some_and(|at| at >= oldest));
        let news: Vec<(u64, NewEvent)> =
            kept.filter_map(|event| Some((event.seq, new_event(event)?))).collect();
        // Of one account at a time, and one after the other: the numbers are given in the order of arrival.
        for run in news.chunk_by(|(_, a), (_, b)| a.did == b.did) {
            for part in run.chunks(TOGETHER) {
                taken = taken.saturating_add(part.len() as u64);
                apply(taking, part).await?;
            }
        }
        after = end;
    }
}

async fn apply(taking: &Taking<'_>, part: &[(u64, NewEvent)]) -> RecoveryResult<()> {
    let Some((_, first)) = part.first() else { return Ok(()) };
    let did = first.did.clone();
    let mut units = Vec::new();
    for (seq, event) in part {
        let before = i64::try_from(*seq).unwrap_or(i64::MAX).saturating_sub(1);
        units.push(Unit::JumpSeq(Jump::To(before)));
        units.push(Unit::Emit(event.clone()));
    }
    taking.host.store().apply(Unit::Batch { did, units }).await?;
    Ok(())
}

/// The event as a frame in two parts, its number between them; `None` for one that is not sent any more, or is no event
/// that this version knows.
fn new_event(event: &ForeignEvent) -> Option<NewEvent> {
    if event.invalidated {
        return None;
    }
    let (kind, word) = match event.kind.as_str() {
        "append" => (EventKind::Commit, "#commit"),
        "sync" => (EventKind::Sync, "#sync"),
        "identity" => (EventKind::Identity, "#identity"),
        "account" => (EventKind::Account, "#account"),
        _ => return None,
    };
    let Value::Map(mut fields) = decode(&event.body, &EVENT).ok()? else { return None };
    fields.retain(|(name, _)| name != "seq" && name != "time");
    fields.push(("seq".to_owned(), Value::Int(0)));
    fields.push(("time".to_owned(), Value::Text(event.at.clone())));
    let Value::Map(fields) = Value::map(fields) else { return None };
    let place = fields.iter().position(|(name, _)| name == "seq")?;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    write_map(&mut before, 2);
    write_text(&mut before, "t");
    write_text(&mut before, word);
    write_text(&mut before, "op");
    write_int(&mut before, 1);
    write_map(&mut before, fields.len());
    for (at, (name, value)) in fields.iter().enumerate() {
        let out = if at <= place { &mut before } else { &mut after };
        write_text(out, name);
        if at != place {
            out.extend(encode(value));
        }
    }
    Some(NewEvent { did: Did::parse(&event.did).ok()?, kind, at: micros(&event.at)?, before, after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_that_of_its_fields_with_number_and_time() {
        let body = encode(&Value::map([
            ("did", Value::Text("did:web:a.example".to_owned())),
            ("active", Value::Bool(true)),
        ]));
        let event = ForeignEvent {
            seq: 70_000,
            did: "did:web:a.example".to_owned(),
            kind: "account".to_owned(),
            body,
            invalidated: false,
            at: "2026-11-21T10:00:00.000Z".to_owned(),
        };
        let frame = new_event(&event).unwrap().frame(70_000);
        let head = encode(&Value::map([("op", Value::Int(1)), ("t", Value::Text("#account".to_owned()))]));
        let rest = encode(&Value::map([
            ("seq", Value::Int(70_000)),
            ("did", Value::Text("did:web:a.example".to_owned())),
            ("time", Value::Text("2026-11-21T10:00:00.000Z".to_owned())),
            ("active", Value::Bool(true)),
        ]));
        assert_eq!(frame, [head, rest].concat());
        assert_eq!(new_event(&ForeignEvent { invalidated: true, ..event.clone() }), None);
        assert_eq!(new_event(&ForeignEvent { kind: "rebase".to_owned(), ..event.clone() }), None);
        assert_eq!(new_event(&ForeignEvent { body: vec![0xff], ..event }), None);
    }
}
