//! Frames: whole ones come back as they were, broken ones are named, nothing is allocated on a lie.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod support;

use p2pds_ipld::Cid;
use p2pds_ipld::cbor::{self, Value};
use p2pds_replica::frame::{Failure, Info, Kind, Legacy, MAX_FRAME, MAX_SEQ, Peek, Unknown};
use p2pds_replica::{Frame, FrameError, decode, peek};
use p2pds_syntax::ErrorKind;
use support::{Author, account, identity};

fn commit() -> (Author, Vec<u8>) {
    let mut author = Author::new(0);
    author.commit(&[("a", Some("1")), ("b", Some("1"))]);
    let event = author.commit(&[("a", Some("2")), ("b", None), ("c", Some("1"))]);
    (author, event.bytes())
}

fn all() -> Vec<(Kind, Vec<u8>)> {
    let (author, bytes) = commit();
    let sync = Author::new(0).post().sync();
    let info = Frame::Info(Info { name: "OutdatedCursor", message: Some("old") }).encode();
    let error = Frame::Error(Failure { error: "FutureCursor", message: None }).encode();
    let unknown = Frame::Unknown(Unknown { op: 1, kind: Some("#novelty"), seq: Some(7) }).encode();
    let more = Frame::Unknown(Unknown { op: 2, kind: None, seq: None }).encode();
    vec![
        (Kind::Commit, bytes),
        (Kind::Sync, sync),
        (Kind::Identity, identity(&author.did)),
        (Kind::Account, account(&author.did, false, Some("deactivated"))),
        (Kind::Account, account(&author.did, true, None)),
        (Kind::Info, info),
        (Kind::Error, error),
        (Kind::Unknown, unknown),
        (Kind::Unknown, more),
    ]
}

/// Header and payload of a frame as values.
fn opened(bytes: &[u8]) -> (Value, Value) {
    let split = (1..bytes.len())
        .find(|at| cbor::validate(&bytes[..*at], &cbor::Limits::STRICT).is_ok())
        .expect("a header");
    let read = |part| cbor::decode(part, &cbor::Limits::RECORD).unwrap();
    (read(&bytes[..split]), read(&bytes[split..]))
}

fn closed(header: &Value, payload: &Value) -> Vec<u8> {
    [cbor::encode(header), cbor::encode(payload)].concat()
}

/// The commit with one field of its payload replaced, or taken out.
fn with(field: &str, value: Option<Value>) -> Vec<u8> {
    let (header, payload) = opened(&commit().1);
    let Value::Map(mut fields) = payload else { panic!("a map") };
    fields.retain(|(name, _)| name != field);
    fields.extend(value.map(|value| (field.to_owned(), value)));
    closed(&header, &Value::map(fields))
}

fn fault(bytes: &[u8]) -> (&'static str, String) {
    match decode(bytes) {
        Err(FrameError::Event { field, why, .. }) => (field, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn frames_come_back_as_they_were() {
    for (kind, bytes) in all() {
        let frame = decode(&bytes).unwrap();
        assert_eq!(frame.encode(), bytes, "{kind:?}");
        let split = frame.split();
        assert_eq!(split.is_some(), frame.seq().is_some(), "{kind:?}");
        if let (Some(split), Some(seq)) = (split, frame.seq()) {
            assert_eq!(split.with(seq), bytes, "{kind:?}");
        }
        let seen = peek(&bytes).unwrap();
        assert_eq!((seen.kind, seen.seq), (kind, frame.seq()));
        assert_eq!(seen.did, frame.did().map(|did| did.as_str()));
        if !matches!(kind, Kind::Unknown) || frame.seq().is_some() {
            opened(&bytes);
        }
    }
    let (_, bytes) = commit();
    let Frame::Commit(frame) = decode(&bytes).unwrap() else { panic!("a commit") };
    assert_eq!((frame.seq, frame.event.ops.len(), frame.legacy), (2, 3, None));
    assert!(frame.event.prev_data.is_some() && frame.event.since.is_some());
    assert_eq!(frame.time, support::TIME);
}

#[test]
fn the_order_of_keys_and_unknown_fields_do_not_matter() {
    let (_, bytes) = commit();
    let (header, payload) = opened(&bytes);
    let Value::Map(mut fields) = payload else { panic!("a map") };
    fields.reverse();
    let mut out = cbor::encode(&Value::map([("op", Value::Int(1))]));
    out.clear();
    cbor::write_map(&mut out, 3);
    for (key, value) in [("op", Value::Int(1)), ("extra", Value::Null), ("t", Value::Text("#commit".into()))]
    {
        cbor::write_text(&mut out, key);
        out.extend(cbor::encode(&value));
    }
    cbor::write_map(&mut out, fields.len() + 1);
    cbor::write_text(&mut out, "novelty");
    out.extend(cbor::encode(&header));
    for (key, value) in &fields {
        cbor::write_text(&mut out, key);
        out.extend(cbor::encode(value));
    }
    assert_eq!(decode(&out).unwrap().encode(), bytes);
    assert_eq!(peek(&out).unwrap().seq, Some(2));
}

#[test]
fn an_event_that_breaks_its_schema_is_named_and_does_not_end_the_stream() {
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let long = "x".repeat(3000);
    for (field, value) in [
        ("repo", None),
        ("repo", text("no did")),
        ("repo", Some(Value::Int(1))),
        ("rev", None),
        ("rev", text("tomorrow")),
        ("since", text("yesterday")),
        ("seq", None),
        ("seq", Some(Value::Int(-1))),
        ("seq", Some(Value::Int(i64::try_from(MAX_SEQ).unwrap() + 1))),
        ("seq", text("1")),
        ("time", text(&long)),
        ("commit", None),
        ("commit", Some(Value::Null)),
        ("blocks", None),
        ("blocks", Some(Value::Bytes(vec![0; 2_000_001]))),
        ("ops", None),
        ("ops", Some(Value::Array(vec![Value::Map(Vec::new()); 201]))),
        ("ops", Some(Value::Array(vec![Value::Map(Vec::new())]))),
        ("prevData", Some(Value::Bool(true))),
        ("tooBig", Some(Value::Null)),
    ] {
        let bytes = with(field, value.clone());
        assert_eq!(fault(&bytes).0, field, "{value:?}");
        let error = decode(&bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.seq().is_some(), field != "seq", "{error}");
        assert_eq!(error.did().is_some(), field != "repo", "{error}");
    }
    let op = |path: &str, action: &str| {
        let cid = Value::Link(Cid::of_cbor(b"x"));
        let path = Value::Text(path.to_owned());
        let entries = [("cid", cid), ("path", path), ("action", Value::Text(action.to_owned()))];
        with("ops", Some(Value::Array(vec![Value::map(entries)])))
    };
    decode(&op("app.bsky.feed.post/a", "create")).unwrap();
    assert_eq!(fault(&op("app.bsky.feed.post", "create")).0, "ops");
    assert_eq!(fault(&op("../../etc/passwd", "create")).0, "ops");
    assert_eq!(fault(&op("app.bsky.feed.post/a", "destroy")).0, "ops");
}

#[test]
fn what_is_no_frame_is_refused() {
    let (_, good) = commit();
    for cut in 0..good.len() {
        assert!(matches!(decode(&good[..cut]), Err(FrameError::Malformed(_))), "cut at {cut}");
    }
    let longer = [good.as_slice(), &[0]].concat();
    assert!(matches!(decode(&longer), Err(FrameError::Malformed(_))));
    assert!(matches!(decode(&vec![0; MAX_FRAME + 1]), Err(FrameError::TooLong(_))));
    assert!(matches!(peek(&vec![0; MAX_FRAME + 1]), Err(FrameError::TooLong(_))));
    let twice = |bytes: &[u8]| {
        let mut out = cbor::encode(&Value::map([("op", Value::Int(1)), ("t", Value::Text("#info".into()))]));
        out.extend_from_slice(bytes);
        out
    };
    // {"name": "a", "name": "b"}
    assert_eq!(fault(&twice(b"\xa2\x64name\x61a\x64name\x61b")).0, "name");
    for payload in [
        &b"\xa1\x64name"[..],
        b"\x80",
        b"\xf6",
        b"\xbf\xff",
        // A float in a field that nobody knows.
        b"\xa2\x64name\x61a\x61x\xfb\x00\x00\x00\x00\x00\x00\x00\x00",
    ] {
        assert!(matches!(decode(&twice(payload)), Err(FrameError::Malformed(_))), "{payload:?}");
    }
    // No operation at all.
    assert!(matches!(decode(b"\xa1\x61t\x65#info\xa0"), Err(FrameError::Malformed(_))));
}

#[test]
fn every_flipped_bit_is_read_or_named_and_peek_agrees() {
    let (_, good) = commit();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            if let Ok(frame) = decode(&bytes) {
                let Peek { seq, did, kind } = peek(&bytes).unwrap();
                assert_eq!(seq, frame.seq(), "byte {at}");
                if !matches!(kind, Kind::Unknown) {
                    assert_eq!(did, frame.did().map(|did| did.as_str()), "byte {at}");
                }
            }
        }
    }
}

#[test]
fn lengths_that_lie_allocate_nothing() {
    let header = cbor::encode(&Value::map([("op", Value::Int(1)), ("t", Value::Text("#commit".into()))]));
    for lie in [
        // Maps, arrays, bytes and texts of 2^31 and more.
        &b"\xba\x80\x00\x00\x00"[..],
        b"\xbb\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xa1\x63ops\x9a\x80\x00\x00\x00",
        b"\xa1\x66blocks\x5a\x80\x00\x00\x00",
        b"\xa1\x64repo\x7a\x80\x00\x00\x00",
        b"\xa1\x63ops\x99\xff\xff",
    ] {
        let bytes = [header.as_slice(), lie].concat();
        let info = allocation_counter::measure(|| {
            decode(&bytes).unwrap_err();
            peek(&bytes).unwrap_err();
        });
        assert!(info.bytes_max < 4096, "{lie:?}: {} bytes", info.bytes_max);
    }
    // 200 operations at most are read, however many are there.
    let many = [header.as_slice(), b"\xa1\x63ops\x99\xff\xff", &[0xa0; 65_535]].concat();
    let info = allocation_counter::measure(|| assert_eq!(fault(&many).0, "ops"));
    assert!(info.bytes_max < 4096, "{} bytes", info.bytes_max);
}

#[test]
fn old_hosts_flags_are_seen() {
    for (field, legacy) in [("tooBig", Legacy::TooBig), ("rebase", Legacy::Rebase)] {
        let bytes = with(field, Some(Value::Bool(true)));
        let Frame::Commit(frame) = decode(&bytes).unwrap() else { panic!("a commit") };
        assert_eq!(frame.legacy, Some(legacy));
    }
    // Absent is null is false.
    for field in ["tooBig", "rebase", "since", "prevData", "time", "blobs"] {
        decode(&with(field, None)).unwrap();
    }
}
