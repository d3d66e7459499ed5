//! From frames to bytes, keys in canonical order.

use p2pds_ipld::Cid;
use p2pds_ipld::cbor::{
    write_array, write_bool, write_bytes, write_int, write_link, write_map, write_null, write_text,
    write_uint,
};
use p2pds_repo::event::{Action, EventOp};
use p2pds_syntax::Tid;

use super::{Account, Commit, Failure, Frame, Identity, Info, Legacy, Sync, Unknown};

pub(super) fn frame(frame: &Frame<'_>) -> Vec<u8> {
    match frame {
        Frame::Commit(frame) => commit(frame),
        Frame::Sync(frame) => sync(frame),
        Frame::Identity(frame) => identity(frame),
        Frame::Account(frame) => account(frame),
        Frame::Info(frame) => info(frame),
        Frame::Error(frame) => failure(frame),
        Frame::Unknown(frame) => unknown(frame),
    }
}

fn header(out: &mut Vec<u8>, op: i64, kind: Option<&str>) {
    write_map(out, 1_usize.saturating_add(usize::from(kind.is_some())));
    if let Some(kind) = kind {
        text(out, "t", kind);
    }
    write_text(out, "op");
    write_int(out, op);
}

fn begin(kind: &str, capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(capacity);
    header(&mut out, 1, Some(kind));
    out
}

fn commit(frame: &Commit<'_>) -> Vec<u8> {
    let event = &frame.event;
    let room = event.blocks.len().saturating_add(event.ops.len().saturating_mul(160)).saturating_add(400);
    let mut out = begin("#commit", room);
    write_map(&mut out, 11_usize.saturating_add(usize::from(event.prev_data.is_some())));
    write_text(&mut out, "ops");
    write_array(&mut out, event.ops.len());
    for op in &event.ops {
        self::op(&mut out, op);
    }
    rev(&mut out, "rev", event.rev);
    number(&mut out, frame.seq);
    text(&mut out, "repo", event.repo.as_str());
    text(&mut out, "time", frame.time);
    write_text(&mut out, "blobs");
    write_array(&mut out, 0);
    match event.since {
        Some(since) => rev(&mut out, "since", since),
        None => null(&mut out, "since"),
    }
    bytes(&mut out, "blocks", event.blocks);
    link(&mut out, "commit", &event.commit);
    boolean(&mut out, "rebase", frame.legacy == Some(Legacy::Rebase));
    boolean(&mut out, "tooBig", frame.legacy == Some(Legacy::TooBig));
    if let Some(prev) = &event.prev_data {
        link(&mut out, "prevData", prev);
    }
    out
}

fn op(out: &mut Vec<u8>, op: &EventOp) {
    write_map(out, 3_usize.saturating_add(usize::from(op.prev.is_some())));
    match &op.cid {
        Some(cid) => link(out, "cid", cid),
        None => null(out, "cid"),
    }
    text(out, "path", op.path.as_str());
    if let Some(prev) = &op.prev {
        link(out, "prev", prev);
    }
    let action = match op.action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Delete => "delete",
    };
    text(out, "action", action);
}

fn sync(frame: &Sync<'_>) -> Vec<u8> {
    let mut out = begin("#sync", frame.blocks.len().saturating_add(200));
    write_map(&mut out, 5);
    text(&mut out, "did", frame.did.as_str());
    rev(&mut out, "rev", frame.rev);
    number(&mut out, frame.seq);
    text(&mut out, "time", frame.time);
    bytes(&mut out, "blocks", frame.blocks);
    out
}

fn identity(frame: &Identity<'_>) -> Vec<u8> {
    let mut out = begin("#identity", 256);
    write_map(&mut out, 3_usize.saturating_add(usize::from(frame.handle.is_some())));
    text(&mut out, "did", frame.did.as_str());
    number(&mut out, frame.seq);
    text(&mut out, "time", frame.time);
    if let Some(handle) = frame.handle {
        text(&mut out, "handle", handle);
    }
    out
}

fn account(frame: &Account<'_>) -> Vec<u8> {
    let mut out = begin("#account", 256);
    write_map(&mut out, 4_usize.saturating_add(usize::from(frame.status.is_some())));
    text(&mut out, "did", frame.did.as_str());
    number(&mut out, frame.seq);
    text(&mut out, "time", frame.time);
    boolean(&mut out, "active", frame.active);
    if let Some(status) = frame.status {
        text(&mut out, "status", status);
    }
    out
}

fn info(frame: &Info<'_>) -> Vec<u8> {
    let mut out = begin("#info", 128);
    words(&mut out, "name", frame.name, frame.message);
    out
}

fn failure(frame: &Failure<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    header(&mut out, -1, None);
    words(&mut out, "error", frame.error, frame.message);
    out
}

fn unknown(frame: &Unknown<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    header(&mut out, frame.op, frame.kind);
    write_map(&mut out, usize::from(frame.seq.is_some()));
    if let Some(seq) = frame.seq {
        number(&mut out, seq);
    }
    out
}

/// `name` and `error` are both shorter than `message`.
fn words(out: &mut Vec<u8>, name: &str, word: &str, message: Option<&str>) {
    write_map(out, 1_usize.saturating_add(usize::from(message.is_some())));
    text(out, name, word);
    if let Some(message) = message {
        text(out, "message", message);
    }
}

fn text(out: &mut Vec<u8>, key: &str, value: &str) {
    write_text(out, key);
    write_text(out, value);
}

fn rev(out: &mut Vec<u8>, key: &str, rev: Tid) {
    write_text(out, key);
    write_text(out, &rev.to_string());
}

fn number(out: &mut Vec<u8>, seq: u64) {
    write_text(out, "seq");
    write_uint(out, seq);
}

fn bytes(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    write_text(out, key);
    write_bytes(out, value);
}

fn link(out: &mut Vec<u8>, key: &str, cid: &Cid) {
    write_text(out, key);
    write_link(out, cid);
}

fn boolean(out: &mut Vec<u8>, key: &str, value: bool) {
    write_text(out, key);
    write_bool(out, value);
}

fn null(out: &mut Vec<u8>, key: &str) {
    write_text(out, key);
    write_null(out);
}
