//! Connections: the stream, and the questions that a follower asks beside it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result};
use p2pds_replica::frame::{Failure, Frame, Info};
use serde_json::{Value, json};

use super::behaviour::When;
use super::lie::{Act, acts};
use super::world::World;
use super::{Shared, wire};
use crate::answer::{Response, fail, ok_json, unescape};

/// Events that are written with one call.
const BATCH: usize = 64;

/// Answers the requests of one connection: whoever asks for thousands of accounts would run out of ports otherwise.
pub(super) fn answer(stream: &TcpStream, shared: &Arc<Shared>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while answer_one(&mut reader, stream, shared)? {}
    Ok(())
}

/// Reads one request and answers it; whether another one may follow.
fn answer_one(reader: &mut BufReader<&TcpStream>, stream: &TcpStream, shared: &Arc<Shared>) -> Result<bool> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(false);
    }
    let (mut key, mut last) = (None, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("sec-websocket-key") {
            key = Some(value.trim().to_owned());
        }
        last |= name.eq_ignore_ascii_case("connection") && value.trim().eq_ignore_ascii_case("close");
    }
    if shared.ended() {
        return Ok(false);
    }
    let target = first.split(' ').nth(1).context("no target")?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let params: BTreeMap<String, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), unescape(value)))
        .collect();
    let path = unescape(path);
    *shared.asked.lock().expect("not poisoned").entry(path.clone()).or_default() += 1;
    if path == "/xrpc/com.atproto.sync.subscribeRepos"
        && let Some(key) = key
    {
        subscribe(stream, shared, &key, params.get("cursor"))?;
        return Ok(false);
    }
    let (status, mime, body) = if shared.closed.load(Ordering::Relaxed) {
        fail(503, "Unavailable")
    } else {
        respond(&shared.world.lock().expect("not poisoned"), shared.visible(), &path, &params)
    };
    let mut out = stream;
    write!(
        out,
        "HTTP/1.1 {status} X\r\nContent-Type: {mime}\r\nContent-Length: {}\r\nConnection: {}\r\n\r\n",
        body.len(),
        if last { "close" } else { "keep-alive" }
    )?;
    out.write_all(&body)?;
    Ok(!last)
}

/// Where a subscriber begins, as the protocol says it.
enum Begin {
    At(u64),
    Outdated(u64),
    Future,
    Nonsense,
}

fn begin(cursor: Option<&String>, oldest: u64, last: u64) -> Begin {
    let Some(text) = cursor else { return Begin::At(last + 1) };
    match text.parse::<u64>() {
        Err(_) => Begin::Nonsense,
        Ok(cursor) if cursor > last => Begin::Future,
        Ok(0) => Begin::At(oldest),
        Ok(cursor) if cursor + 1 < oldest => Begin::Outdated(oldest),
        Ok(cursor) => Begin::At(cursor + 1),
    }
}

fn subscribe(stream: &TcpStream, shared: &Arc<Shared>, key: &str, cursor: Option<&String>) -> Result<()> {
    let mut out = stream;
    if shared.closed.load(Ordering::Relaxed) {
        return Ok(write!(out, "HTTP/1.1 503 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?);
    }
    let begin = begin(cursor, shared.oldest.load(Ordering::Relaxed), shared.visible());
    if matches!(begin, Begin::Nonsense) {
        return Ok(write!(out, "HTTP/1.1 400 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?);
    }
    out.write_all(wire::accept(key).as_bytes())?;
    let line = Arc::new(Mutex::new(stream.try_clone()?));
    let (ear, mouth) = (stream.try_clone()?, Arc::clone(&line));
    std::thread::spawn(move || wire::listen(ear, &mouth));
    shared.lines.lock().expect("not poisoned").push(stream.try_clone()?);
    let sent = match begin {
        Begin::Future => {
            let frame =
                Frame::Error(Failure { error: "FutureCursor", message: Some("Cursor in the future.") });
            say(&line, &[wire::binary(&frame.encode()), wire::close(1008, "FutureCursor")].concat())
        }
        Begin::Outdated(oldest) => {
            let frame = Frame::Info(Info { name: "OutdatedCursor", message: None });
            say(&line, &wire::binary(&frame.encode())).and_then(|()| stream_from(&line, shared, oldest))
        }
        Begin::At(seq) => stream_from(&line, shared, seq),
        Begin::Nonsense => Ok(()),
    };
    let _ = stream.shutdown(Shutdown::Both);
    sent
}

fn say(line: &Mutex<TcpStream>, bytes: &[u8]) -> Result<()> {
    Ok(line.lock().expect("not poisoned").write_all(bytes)?)
}

/// Everything from an event on, as it becomes visible, until the subscriber is gone.
fn stream_from(line: &Mutex<TcpStream>, shared: &Shared, first: u64) -> Result<()> {
    let mut next = first;
    loop {
        let Some((events, honest)) = shared.wait(next, BATCH) else { return Ok(()) };
        if honest {
            let framed: Vec<u8> = events.iter().flat_map(|event| event.iter().copied()).collect();
            say(line, &framed)?;
        } else {
            for (at, event) in events.iter().enumerate() {
                if !perform(line, shared, next + at as u64, event)? {
                    return Ok(());
                }
            }
        }
        next += events.len() as u64;
    }
}

/// Sends one event as the script wants it; `false` ends the connection.
fn perform(line: &Mutex<TcpStream>, shared: &Shared, seq: u64, event: &Arc<[u8]>) -> Result<bool> {
    if shared.swapped.lock().expect("not poisoned").remove(&seq) {
        return Ok(true);
    }
    let payload = unframed(event);
    let Some(what) = shared.misbehaves(seq, payload) else {
        say(line, event)?;
        return Ok(true);
    };
    let acts = {
        let world = shared.world.lock().expect("not poisoned");
        let frame = p2pds_replica::peek(payload).expect("our own frame");
        let n = frame.did.and_then(|did| world.place(did)).unwrap_or(0);
        let other = &world.citizens[(n + 1) % world.citizens.len()].did;
        acts(&what, payload, world.citizens[n].made.signer(), other)
    };
    for act in acts {
        match act {
            Act::Send(bytes) => say(line, &bytes)?,
            Act::Drip(bytes, rate) => {
                // Ten pieces a second, or one byte as often as the rate allows.
                let piece = usize::try_from(rate / 10).unwrap_or(usize::MAX).max(1);
                for part in bytes.chunks(piece) {
                    say(line, part)?;
                    shared.pause(Duration::from_secs_f64(piece as f64 / rate.max(1) as f64));
                }
            }
            Act::Forever(bytes, pause) => loop {
                say(line, &bytes)?;
                if pause > 0 {
                    shared.pause(Duration::from_millis(pause));
                }
            },
            Act::Wait(ms) => shared.pause(Duration::from_millis(ms)),
            Act::Hang => {
                while !shared.ended() {
                    shared.pause(Duration::from_secs(1));
                }
            }
            Act::Swap => {
                if let Some((next, _)) = shared.wait(seq + 1, 1) {
                    shared.swapped.lock().expect("not poisoned").insert(seq + 1);
                    say(line, &next[0])?;
                }
            }
            Act::End => return Ok(false),
        }
    }
    Ok(true)
}

/// The payload of a message of ours.
pub(super) fn unframed(event: &[u8]) -> &[u8] {
    match event[1] {
        126 => &event[4..],
        127 => &event[10..],
        _ => &event[2..],
    }
}

/// Whether a rule applies.
pub(super) fn applies(when: When, seq: u64, account: impl FnOnce() -> Option<usize>) -> bool {
    match when {
        When::Always => true,
        When::Seq(at) => seq == at,
        When::From(at) => seq >= at,
        When::Every(n) => seq.is_multiple_of(n.max(1)),
        When::Account(n) => account() == Some(n),
        When::PerMille(share) => {
            let mixed = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            mixed % 1000 < u64::from(share)
        }
    }
}

fn respond(
    world: &MutexGuard<'_, World>,
    visible: u64,
    path: &str,
    params: &BTreeMap<String, String>,
) -> Response {
    let Some(nsid) = path.strip_prefix("/xrpc/") else {
        let (did, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        return match (world.find(did), rest) {
            (Some(citizen), "") => {
                let mut document = citizen.made.document();
                if !world.handles {
                    document["alsoKnownAs"] = json!([]);
                }
                ok_json(&document)
            }
            (Some(citizen), "log/audit") => (200, "application/json", citizen.made.plc_log.clone()),
            _ => fail(404, "NotFound"),
        };
    };
    match nsid {
        "_health" => return ok_json(&json!({"version": "made up"})),
        "com.atproto.server.describeServer" => {
            return ok_json(&json!({"did": "did:web:localhost", "availableUserDomains": [".test"]}));
        }
        "com.atproto.sync.listRepos" => return list_repos(world, visible, params),
        _ => {}
    }
    let did = params.get("did").or_else(|| params.get("repo"));
    let Some(did) = did else { return fail(400, "InvalidRequest") };
    let Some(citizen) = world.find(did) else { return fail(400, "RepoNotFound") };
    let (rev, commit, newest) = citizen.head_at(visible);
    let active = citizen.status.is_none();
    match nsid {
        "com.atproto.sync.getRepoStatus" => {
            let mut status = json!({"did": did, "active": active});
            match &citizen.status {
                Some(word) => status["status"] = json!(word),
                None => status["rev"] = json!(rev),
            }
            ok_json(&status)
        }
        "com.atproto.repo.describeRepo" => ok_json(&json!({
            "handle": citizen.made.handle, "did": did, "didDoc": citizen.made.document(),
            "collections": ["app.bsky.feed.post"], "handleIsCorrect": true,
        })),
        _ if !active => fail(400, "RepoDeactivated"),
        // What comes after the visible events cannot be taken out of the repository again.
        "com.atproto.sync.getRepo" if !newest => fail(503, "Unavailable"),
        "com.atproto.sync.getRepo" => (200, "application/vnd.ipld.car", citizen.car()),
        "com.atproto.sync.getLatestCommit" => ok_json(&json!({"cid": commit.to_string(), "rev": rev})),
        "com.atproto.sync.listBlobs" => ok_json(&json!({"cids": []})),
        "com.atproto.sync.getBlob" => fail(400, "BlobNotFound"),
        _ => fail(501, "MethodNotImplemented"),
    }
}

fn list_repos(world: &World, visible: u64, params: &BTreeMap<String, String>) -> Response {
    let from: usize = params.get("cursor").and_then(|text| text.parse().ok()).unwrap_or(0);
    let limit = params.get("limit").and_then(|text| text.parse().ok()).unwrap_or(500).clamp(1, 1000);
    let page: Vec<Value> = world
        .citizens
        .iter()
        .skip(from)
        .take(limit)
        .map(|citizen| {
            let (rev, head, _) = citizen.head_at(visible);
            let active = citizen.status.is_none();
            let mut item =
                json!({"did": citizen.did, "head": head.to_string(), "rev": rev, "active": active});
            if let Some(status) = &citizen.status {
                item["status"] = json!(status);
            }
            item
        })
        .collect();
    let mut answer = json!({"repos": page});
    if from + limit < world.citizens.len() {
        answer["cursor"] = json!((from + limit).to_string());
    }
    ok_json(&answer)
}
