//! A source for made-up accounts: one loopback server that is their PLC directory and their PDS.
//!
//! It answers what `p2pds archive add` and `sync` ask, from states that a test sets, and nothing more.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use p2pds_ipld::{Cid, car};
use serde_json::{Value, json};

use crate::answer::{Response, fail, ok_json, unescape};
use crate::dns;
use crate::hostile::{Act, Offered, Rule};
use crate::madeup::{MadeUp, State};

/// The server with its name server; it ends when dropped.
pub struct Source {
    /// `http://localhost:PORT`: PLC directory and PDS.
    pub url: String,
    names: dns::Server,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    accounts: Mutex<BTreeMap<String, Served>>,
    stop: AtomicBool,
}

/// What a hostile host does when it is asked for the repo.
#[derive(Debug, Clone)]
pub enum Trick {
    /// Sends these bytes instead.
    Bytes(Vec<u8>),
    /// Sends the repo up to there, says that it is longer, and hangs up.
    CutAt(usize),
    /// Sends the whole repo and then blocks of noise without end.
    Endless,
}

struct Served {
    trick: Option<Trick>,
    rules: Vec<(Rule, u64)>,
    offered: Option<Offered>,
    handle: String,
    document: Value,
    log: Vec<u8>,
    /// All states so far, the current one last.
    states: Vec<State>,
}

impl Served {
    /// The whole repo, or what is new since a rev that was served before.
    fn car(&self, since: Option<&String>) -> Option<Vec<u8>> {
        let now = self.states.last()?;
        let old = since.and_then(|rev| self.states.iter().find(|state| state.rev == *rev));
        Some(old.map_or_else(|| now.car.clone(), |old| now.car_since(old)))
    }
}

impl Source {
    /// Listens on a free port.
    ///
    /// # Errors
    /// No port.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://localhost:{}", listener.local_addr()?.port());
        let source = Self { url, names: dns::Server::start()?, shared: Arc::default() };
        let shared = Arc::clone(&source.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stop.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&shared)) else { continue };
                std::thread::spawn(move || drop(answer(&stream, &shared)));
            }
        });
        Ok(source)
    }

    /// Serves an account in a state, in place of the one before; `getRepo` knows what is new since that.
    pub fn serve(&self, account: &MadeUp, state: &State) {
        self.names.set_txt(&format!("_atproto.{}", account.handle), &[&format!("did={}", account.did)]);
        let mut accounts = self.shared.accounts.lock().expect("not poisoned");
        let served = accounts.entry(account.did.clone()).or_insert_with(|| Served {
            trick: None,
            rules: Vec::new(),
            offered: None,
            handle: account.handle.clone(),
            document: account.document(),
            log: account.plc_log.clone(),
            states: Vec::new(),
        });
        served.states.push(state.clone());
    }

    /// Lets the host play a trick whenever it is asked for an account's repo; `None` makes it honest again.
    pub fn play(&self, account: &MadeUp, trick: Option<Trick>) {
        let mut accounts = self.shared.accounts.lock().expect("not poisoned");
        if let Some(served) = accounts.get_mut(&account.did) {
            served.trick = trick;
        }
    }

    /// Lets the host answer about an account by rules, and claim to have another repo than the true one.
    pub fn script(&self, account: &MadeUp, rules: &[Rule], offered: Option<Offered>) {
        let mut accounts = self.shared.accounts.lock().expect("not poisoned");
        if let Some(served) = accounts.get_mut(&account.did) {
            served.rules = rules.iter().map(|rule| (rule.clone(), 0)).collect();
            served.offered = offered;
        }
    }

    /// Gives out another log of operations from now on.
    pub fn set_log(&self, account: &MadeUp, log: Vec<u8>) {
        let mut accounts = self.shared.accounts.lock().expect("not poisoned");
        if let Some(served) = accounts.get_mut(&account.did) {
            served.log = log;
        }
    }

    /// The name server.
    #[must_use]
    pub fn names(&self) -> &dns::Server {
        &self.names
    }

    /// The settings by which `p2pds` finds this source.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        vec![
            ("P2PDS_PLC_URL".to_owned(), self.url.clone()),
            ("P2PDS_NAMESERVERS".to_owned(), self.names.addr().to_string()),
            ("P2PDS_DEV_ALLOW_LOOPBACK".to_owned(), "true".to_owned()),
        ]
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the listener, which then sees that it should end.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

/// Reads one request and answers it: `Connection: close`, so that nothing outlives a test.
fn answer(stream: &TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().context("no request")??;
    for line in lines.by_ref() {
        if line?.is_empty() {
            break;
        }
    }
    let target = first.split(' ').nth(1).context("no target")?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut out = stream;
    let (status, mime, body) = {
        let mut accounts = shared.accounts.lock().expect("not poisoned");
        let trick = trick(&accounts, path, query);
        let honest = respond(&accounts, &unescape(path), query);
        let act = act(&mut accounts, &unescape(path), query);
        drop(accounts);
        if let Some(act) = act {
            return Ok(act.perform(stream, honest.1, &honest.2)?);
        }
        match trick {
            None => honest,
            Some(Trick::Bytes(bytes)) => (200, "application/vnd.ipld.car", bytes),
            Some(Trick::CutAt(at)) => {
                let (whole, part) = (honest.2.len(), &honest.2[..at.min(honest.2.len())]);
                write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {whole}\r\nConnection: close\r\n\r\n")?;
                return Ok(out.write_all(part)?);
            }
            Some(Trick::Endless) => return endless(out, &honest.2),
        }
    };
    write!(
        out,
        "HTTP/1.1 {status} X\r\nContent-Type: {mime}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    out.write_all(&body)?;
    Ok(out.flush()?)
}

/// What a rule says of this request.
fn act(accounts: &mut BTreeMap<String, Served>, path: &str, query: &str) -> Option<Act> {
    let named = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        matches!(name, "did" | "repo").then(|| unescape(value))
    };
    let did = match path.strip_prefix("/xrpc/") {
        Some(_) => query.split('&').find_map(named)?,
        None => path.get(1..)?.split('/').next()?.to_owned(),
    };
    let rules = &mut accounts.get_mut(&did)?.rules;
    let (rule, used) = rules
        .iter_mut()
        .find(|(rule, used)| rule.on.is(path, query) && rule.times.is_none_or(|most| *used < most))?;
    *used += 1;
    Some(match &rule.act {
        Act::Redirect(to) => Act::Redirect(to.replace("SELF", &did)),
        act => act.clone(),
    })
}

/// The trick that this request asks for.
fn trick(accounts: &BTreeMap<String, Served>, path: &str, query: &str) -> Option<Trick> {
    let did = path.ends_with("sync.getRepo").then_some(query)?;
    let did = did.split('&').find_map(|pair| pair.strip_prefix("did="))?;
    accounts.get(&unescape(did))?.trick.clone()
}

/// A repo that never ends: blocks that nothing links to follow until the other side has enough.
fn endless(mut out: &TcpStream, repo: &[u8]) -> Result<()> {
    write!(out, "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.ipld.car\r\nConnection: close\r\n\r\n")?;
    out.write_all(repo)?;
    for number in 0_u64.. {
        let noise = number.to_le_bytes().repeat(1_000);
        let mut section = Vec::new();
        car::write_section(&mut section, &Cid::of_raw(&noise), &noise);
        out.write_all(&section)?;
    }
    Ok(())
}

fn respond(accounts: &BTreeMap<String, Served>, path: &str, query: &str) -> Response {
    let Some(nsid) = path.strip_prefix("/xrpc/") else {
        let (did, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        return match (accounts.get(did), rest) {
            (Some(served), "") => ok_json(&served.document),
            (Some(served), "log/audit") => (200, "application/json", served.log.clone()),
            _ => fail(404, "NotFound"),
        };
    };
    let params: BTreeMap<String, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), unescape(value)))
        .collect();
    if nsid == "com.atproto.server.describeServer" {
        return ok_json(&json!({"did": "did:web:localhost", "availableUserDomains": [".test"]}));
    }
    let Some(did) = params.get("did").or_else(|| params.get("repo")) else {
        return fail(400, "InvalidRequest");
    };
    let Some(served) = accounts.get(did) else { return fail(400, "RepoNotFound") };
    let Some(state) = served.states.last() else { return fail(400, "RepoNotFound") };
    match nsid {
        "com.atproto.sync.getRepo" if served.offered.is_some() => {
            let car = served.offered.as_ref().map(|offered| offered.car.clone());
            (200, "application/vnd.ipld.car", car.unwrap_or_default())
        }
        "com.atproto.sync.getLatestCommit" if served.offered.is_some() => {
            let offered = served.offered.as_ref().map(|offered| (&offered.commit, &offered.rev));
            let (cid, rev) = offered.unwrap_or((&state.commit, &state.rev));
            ok_json(&json!({"cid": cid, "rev": rev}))
        }
        "com.atproto.sync.getRepo" => {
            (200, "application/vnd.ipld.car", served.car(params.get("since")).unwrap_or_default())
        }
        "com.atproto.sync.getLatestCommit" => ok_json(&json!({"cid": state.commit, "rev": state.rev})),
        "com.atproto.sync.getRepoStatus" => ok_json(&json!({"did": did, "active": true, "rev": state.rev})),
        "com.atproto.sync.listBlobs" => {
            let after = params.get("cursor").cloned().unwrap_or_default();
            let cids: Vec<&String> = state.blobs.keys().filter(|cid| **cid > after).collect();
            ok_json(&json!({"cids": cids}))
        }
        "com.atproto.sync.getBlob" => match params.get("cid").and_then(|cid| state.blobs.get(cid)) {
            Some(bytes) => (200, "image/png", bytes.clone()),
            None => fail(400, "BlobNotFound"),
        },
        "com.atproto.repo.describeRepo" => ok_json(&json!({
            "handle": served.handle, "did": did, "didDoc": served.document,
            "collections": ["app.bsky.feed.post"], "handleIsCorrect": true,
        })),
        _ => fail(501, "MethodNotImplemented"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{escape, request};
    use crate::madeup::Content;

    #[test]
    fn an_account_is_served() {
        let source = Source::start().unwrap();
        let account = MadeUp::new(3, &source.url);
        let mut content = Content::posts("served", 3);
        content.put_image("3kaaaaaaaaaaa", 1, 300);
        let state = account.sign(0, &content);
        source.serve(&account, &state);
        let get = |path: &str| request("GET", &format!("{}{path}", source.url), &[], None).unwrap();
        assert_eq!(get(&format!("/{}", escape(&account.did))).json().unwrap()["id"], account.did.as_str());
        let repo = get(&format!("/xrpc/com.atproto.sync.getRepo?did={}", account.did));
        assert_eq!(repo.body, state.car);
        content.put("3kbbbbbbbbbbb", &serde_json::json!({"$type": "app.bsky.feed.post", "text": "new"}));
        let newer = account.sign(1, &content);
        source.serve(&account, &newer);
        let diff = get(&format!("/xrpc/com.atproto.sync.getRepo?did={}&since={}", account.did, state.rev));
        let (root, blocks) = crate::oracle::car_blocks(&diff.body).unwrap();
        assert_eq!(root, newer.commit);
        assert!(
            blocks.len() < newer.blocks.len() && blocks.keys().all(|cid| !state.blocks.contains_key(cid))
        );
        let (cid, bytes) = state.blobs.iter().next().unwrap();
        let blob = get(&format!("/xrpc/com.atproto.sync.getBlob?did={}&cid={cid}", account.did));
        assert_eq!(&blob.body, bytes);
        assert_eq!(get("/xrpc/com.atproto.sync.getRepo?did=did:plc:x").status, 400);
    }
}
