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
    let mut out = Out { bytes: Vec::with_capacity(room(frame)), before: None, cut: false };
    write(&mut out, frame);
    out.bytes
}

/// The bytes before the number and those after it; `None` for a frame that has no number.
pub(super) fn split(frame: &Frame<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    // The number comes early: what is large comes after it.
    let mut out = Out { bytes: Vec::with_capacity(256), before: None, cut: true };
    write(&mut out, frame);
    out.before.map(|before| (before, out.bytes))
}

/// Where a frame goes.
struct Out {
    bytes: Vec<u8>,
    /// What came before the number, when the frame is cut there.
    before: Option<Vec<u8>>,
    cut: bool,
}

fn write(out: &mut Out, frame: &Frame<'_>) {
    match frame {
        Frame::Commit(frame) => commit(out, frame),
        Frame::Sync(frame) => sync(out, frame),
        Frame::Identity(frame) => identity(out, frame),
        Frame::Account(frame) => account(out, frame),
        Frame::Info(frame) => info(out, frame),
        Frame::Error(frame) => failure(out, frame),
        Frame::Unknown(frame) => unknown(out, frame),
    }
}

/// About how long a frame will be.
fn room(frame: &Frame<'_>) -> usize {
    match frame {
        Frame::Commit(frame) => commit_room(frame),
        Frame::Sync(frame) => frame.blocks.len().saturating_add(200),
        _ => 256,
    }
}

fn commit_room(frame: &Commit<'_>) -> usize {
    let event = &frame.event;
    event.blocks.len().saturating_add(event.ops.len().saturating_mul(160)).saturating_add(400)
}

fn header(out: &mut Vec<u8>, op: i64, kind: Option<&str>) {
    write_map(out, 1_usize.saturating_add(usize::from(kind.is_some())));
    if let Some(kind) = kind {
        text(out, "t", kind);
    }
    write_text(out, "op");
    write_int(out, op);
}

fn begin<'o>(out: &'o mut Out, kind: &str) -> &'o mut Vec<u8> {
    header(&mut out.bytes, 1, Some(kind));
    &mut out.bytes
}

fn commit(out: &mut Out, frame: &Commit<'_>) {
    let event = &frame.event;
    write_map(begin(out, "#commit"), 11_usize.saturating_add(usize::from(event.prev_data.is_some())));
    let ahead = &mut out.bytes;
    write_text(ahead, "ops");
    write_array(ahead, event.ops.len());
    for op in &event.ops {
        self::op(ahead, op);
    }
    rev(ahead, "rev", event.rev);
    let out = number(out, frame.seq, commit_room(frame));
    text(out, "repo", event.repo.as_str());
    text(out, "time", frame.time);
    write_text(out, "blobs");
    write_array(out, 0);
    match event.since {
        Some(since) => rev(out, "since", since),
        None => null(out, "since"),
    }
    bytes(out, "blocks", event.blocks);
    link(out, "commit", &event.commit);
    boolean(out, "rebase", frame.legacy == Some(Legacy::Rebase));
    boolean(out, "tooBig", frame.legacy == Some(Legacy::TooBig));
    if let Some(prev) = &event.prev_data {
        link(out, "prevData", prev);
    }
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

fn sync(out: &mut Out, frame: &Sync<'_>) {
    let ahead = begin(out, "#sync");
    write_map(ahead, 5);
    text(ahead, "did", frame.did.as_str());
    rev(ahead, "rev", frame.rev);
    let out = number(out, frame.seq, frame.blocks.len().saturating_add(64));
    text(out, "time", frame.time);
    bytes(out, "blocks", frame.blocks);
}

fn identity(out: &mut Out, frame: &Identity<'_>) {
    let ahead = begin(out, "#identity");
    write_map(ahead, 3_usize.saturating_add(usize::from(frame.handle.is_some())));
    text(ahead, "did", frame.did.as_str());
    let out = number(out, frame.seq, 128);
    text(out, "time", frame.time);
    if let Some(handle) = frame.handle {
        text(out, "handle", handle);
    }
}

fn account(out: &mut Out, frame: &Account<'_>) {
    let ahead = begin(out, "#account");
    write_map(ahead, 4_usize.saturating_add(usize::from(frame.status.is_some())));
    text(ahead, "did", frame.did.as_str());
    let out = number(out, frame.seq, 128);
    text(out, "time", frame.time);
    boolean(out, "active", frame.active);
    if let Some(status) = frame.status {
        text(out, "status", status);
    }
}

fn info(out: &mut Out, frame: &Info<'_>) {
    words(begin(out, "#info"), "name", frame.name, frame.message);
}

fn failure(out: &mut Out, frame: &Failure<'_>) {
    header(&mut out.bytes, -1, None);
    words(&mut out.bytes, "error", frame.error, frame.message);
}

fn unknown(out: &mut Out, frame: &Unknown<'_>) {
    header(&mut out.bytes, frame.op, frame.kind);
    write_map(&mut out.bytes, usize::from(frame.seq.is_some()));
    if let Some(seq) = frame.seq {
        number(out, seq, 0);
    }
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

/// The number, or the cut in its place; `room` is what comes after it.
fn number(out: &mut Out, seq: u64, room: usize) -> &mut Vec<u8> {
    write_text(&mut out.bytes, "seq");
    if out.cut {
        out.before = Some(std::mem::replace(&mut out.bytes, Vec::with_capacity(room)));
    } else {
        write_uint(&mut out.bytes, seq);
    }
    &mut out.bytes
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
