//! A PLC directory on loopback: logs, the export in pages and as a stream, and what it does wrong, as data.
//!
//! It speaks the format of the specification of December 2025 (`sequenced_op`, cursors, close reasons), or, as older
//! directories do, gives no stream and no sequence numbers. It checks nothing: what a test publishes is what it says.

mod lie;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

pub use lie::{ExportLie, export_lies};

use crate::stream::wire;

/// Operations of one page.
const PAGE: usize = 1_000;

/// The server; it ends when dropped.
pub struct Directory {
    /// `http://localhost:PORT`.
    pub url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    logs: Mutex<BTreeMap<String, Vec<Value>>>,
    /// Every operation in the order of its arrival; the sequence number of the first is 1.
    export: Mutex<Vec<Value>>,
    changed: Condvar,
    /// No stream and no sequence numbers, as before 2026.
    old: AtomicBool,
    /// The stream goes back to this sequence number and no further.
    oldest: AtomicU64,
    lie: Mutex<Option<ExportLie>>,
    /// How often a lie was told.
    told: AtomicU64,
    asked: Mutex<BTreeMap<String, u64>>,
    lines: Mutex<Vec<TcpStream>>,
    stop: AtomicBool,
}

impl Directory {
    /// Listens on a free port.
    ///
    /// # Errors
    /// No port.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://localhost:{}", listener.local_addr()?.port());
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.stop.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&serving)) else { continue };
                std::thread::spawn(move || drop(answer(&stream, &shared)));
            }
        });
        Ok(Self { url, shared })
    }

    /// The same without a stream and without sequence numbers.
    #[must_use]
    pub fn of_old(self) -> Self {
        self.shared.old.store(true, Ordering::SeqCst);
        self
    }

    /// Sets the audit log of an account, JSON as a directory serves it; what is new in it goes into the export.
    pub fn publish(&self, audit: &[u8]) {
        let entries: Vec<Value> = serde_json::from_slice(audit).expect("an audit log");
        let did = entries[0]["did"].as_str().expect("a DID").to_owned();
        let before = self.shared.logs.lock().expect("not poisoned").insert(did, entries.clone());
        let known = |entry: &Value| before.iter().flatten().any(|old| old["cid"] == entry["cid"]);
        let new: Vec<Value> = entries.into_iter().filter(|entry| !known(entry)).collect();
        self.send(new);
    }

    /// Puts operations into the export that are in no log: `count` of this account.
    pub fn make_up(&self, did: &str, count: usize) {
        let forged = |n: usize| {
            json!({"did": did, "operation": {"type": "plc_operation"}, "cid": format!("bafyreiforged{n}"),
                "nullified": false, "createdAt": "2026-01-01T00:00:00.000Z"})
        };
        self.send((0..count).map(forged).collect());
    }

    fn send(&self, new: Vec<Value>) {
        self.shared.export.lock().expect("not poisoned").extend(new);
        self.shared.changed.notify_all();
    }

    /// Forgets the whole export, as a directory that was set up anew.
    pub fn set_back(&self) {
        self.shared.export.lock().expect("not poisoned").clear();
        self.hang_up();
    }

    /// The stream goes back to this sequence number and no further.
    pub fn keep_from(&self, seq: u64) {
        self.shared.oldest.store(seq, Ordering::SeqCst);
    }

    /// What the export does wrong from now on.
    pub fn lie(&self, lie: Option<ExportLie>) {
        *self.shared.lie.lock().expect("not poisoned") = lie;
        self.hang_up();
    }

    /// Ends all streams.
    pub fn hang_up(&self) {
        for line in self.shared.lines.lock().expect("not poisoned").drain(..) {
            let _ = line.shutdown(Shutdown::Both);
        }
        self.shared.changed.notify_all();
    }

    /// How often a lie was told.
    #[must_use]
    pub fn told(&self) -> u64 {
        self.shared.told.load(Ordering::SeqCst)
    }

    /// How often a path was asked for.
    #[must_use]
    pub fn asked(&self, path: &str) -> u64 {
        self.shared.asked.lock().expect("not poisoned").get(path).copied().unwrap_or(0)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.hang_up();
        // Wakes the listener, which then sees that it should end.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

impl Shared {
    fn count(&self, path: &str) {
        *self.asked.lock().expect("not poisoned").entry(path.to_owned()).or_default() += 1;
    }

    /// The lie to be told now, counted if it is one about this.
    fn lie(&self, in_pages: bool) -> Option<ExportLie> {
        let lie = self.lie.lock().expect("not poisoned").clone();
        if lie.as_ref().is_some_and(|lie| lie.is_of_pages() == in_pages) {
            self.told.fetch_add(1, Ordering::SeqCst);
        }
        lie
    }

    /// An operation as the export gives it.
    fn exported(&self, at: usize, entry: &Value) -> Value {
        if self.old.load(Ordering::SeqCst) {
            return entry.clone();
        }
        json!({"seq": at + 1, "type": "sequenced_op", "did": entry["did"], "operation": entry["operation"],
            "cid": entry["cid"], "createdAt": entry["createdAt"]})
    }
}

fn answer(stream: &TcpStream, shared: &Arc<Shared>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().context("no request")??;
    let mut key = None;
    for line in lines.by_ref() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("sec-websocket-key")
        {
            key = Some(value.trim().to_owned());
        }
    }
    let target = first.split(' ').nth(1).context("no target")?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.replace("%3A", ":");
    // A stream counts when it is known where it begins, so that what comes after it was counted is in it.
    let streams = path == "/export/stream" && key.is_some() && !shared.old.load(Ordering::SeqCst);
    if !streams {
        shared.count(&path);
    }
    let value = |name: &str| {
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
    };
    match (path.as_str(), key) {
        ("/export/stream", Some(key)) if !shared.old.load(Ordering::SeqCst) => {
            follow(stream, shared, &key, value("cursor").and_then(|text| text.parse().ok()))
        }
        ("/export", _) => {
            let lie = shared.lie(true);
            if let Some(lie) = &lie
                && lie.on_page(stream)?
            {
                return Ok(());
            }
            let lines = page(shared, &value("after").unwrap_or_default());
            respond(stream, 200, "application/jsonlines", lines.join("\n").as_bytes())
        }
        _ => {
            let log = path.strip_suffix("/log/audit").map(|did| did.trim_start_matches('/').to_owned());
            let logs = shared.logs.lock().expect("not poisoned");
            match log.and_then(|did| logs.get(&did)) {
                Some(entries) => {
                    let body = serde_json::to_vec(entries)?;
                    drop(logs);
                    respond(stream, 200, "application/json", &body)
                }
                None => respond(stream, 404, "application/json", b"{\"message\":\"not registered\"}"),
            }
        }
    }
}

fn respond(mut out: &TcpStream, status: u16, mime: &str, body: &[u8]) -> Result<()> {
    let length = body.len();
    write!(
        out,
        "HTTP/1.1 {status} X\r\nContent-Type: {mime}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    Ok(out.write_all(body)?)
}

/// By sequence number, or by time as ever.
fn page(shared: &Shared, after: &str) -> Vec<String> {
    let export = shared.export.lock().expect("not poisoned");
    let seq = after.parse::<usize>().ok().filter(|_| !shared.old.load(Ordering::SeqCst));
    let all = export.iter().enumerate();
    match seq {
        Some(seq) => {
            all.skip(seq).take(PAGE).map(|(at, entry)| shared.exported(at, entry).to_string()).collect()
        }
        None => all
            .filter(|(_, entry)| entry["createdAt"].as_str().is_some_and(|at| at > after))
            .take(PAGE)
            .map(|(_, entry)| entry.to_string())
            .collect(),
    }
}

fn follow(stream: &TcpStream, shared: &Arc<Shared>, key: &str, cursor: Option<usize>) -> Result<()> {
    let mut out = stream;
    shared.lines.lock().expect("not poisoned").push(stream.try_clone()?);
    let lie = shared.lie(false);
    if let Some(lie) = &lie
        && lie.before_upgrade(stream)?
    {
        return Ok(());
    }
    // Whoever sees the stream open may rely on it for everything that comes from now on.
    let newest = shared.export.lock().expect("not poisoned").len();
    out.write_all(wire::accept(key).as_bytes())?;
    if let Some(lie) = &lie
        && lie.on_stream(stream)?
    {
        return Ok(());
    }
    shared.count("/export/stream");
    let mut at = cursor.unwrap_or(newest);
    if at > newest {
        return goodbye(stream, "FutureCursor");
    }
    if cursor.is_some() && at < newest && (at as u64 + 1) < shared.oldest.load(Ordering::SeqCst) {
        return goodbye(stream, "OutdatedCursor");
    }
    while !shared.stop.load(Ordering::SeqCst) {
        let mut export = shared.export.lock().expect("not poisoned");
        if export.len() <= at {
            // Set back, or nothing new.
            at = at.min(export.len());
            let (woken, _) =
                shared.changed.wait_timeout(export, Duration::from_millis(100)).expect("not poisoned");
            export = woken;
        }
        let new: Vec<String> = export
            .iter()
            .enumerate()
            .skip(at)
            .map(|(at, entry)| shared.exported(at, entry).to_string())
            .collect();
        at += new.len();
        drop(export);
        let mut messages = Vec::new();
        for text in new {
            messages.extend(wire::head(wire::FIN | wire::TEXT, text.len() as u64));
            messages.extend(text.as_bytes());
        }
        out.write_all(&messages)?;
    }
    Ok(())
}

/// Ends a stream with a reason, and waits until the other side has gone.
fn goodbye(mut stream: &TcpStream, reason: &str) -> Result<()> {
    stream.write_all(&wire::close(1000, reason))?;
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
    Ok(())
}
