//! One loopback server: PLC directory and host in one, each answer as the test has set it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures::StreamExt as _;
use p2pds_ipld::cbor::{Limits, decode};
use p2pds_ipld::json::to_json;
use p2pds_ipld::{Cid, car};
use serde_json::{Value, json};

use super::person::{Person, State};

/// How `getRepo` behaves.
#[derive(Debug, Clone, Default)]
pub enum Getting {
    /// As it should: everything, or what is new.
    #[default]
    Honest,
    /// Ignores `since`.
    AlwaysWhole,
    /// Sends these bytes, whatever is asked for.
    Bytes(Vec<u8>),
    /// Sends these bytes and breaks off without an end.
    CutOff(Vec<u8>),
    /// Never stops sending blocks.
    Endless,
}

/// How one blob is served.
#[derive(Debug, Clone)]
pub enum Blob {
    Good(Vec<u8>),
    /// An XRPC error with this name.
    Error(u16, &'static str),
}

/// One account on this host.
#[derive(Debug, Clone, Default)]
pub struct Served {
    pub history: Vec<State>,
    pub blobs: BTreeMap<String, Blob>,
    pub getting: Getting,
    /// Every method answers with this error.
    pub refusal: Option<&'static str>,
    /// `getRepoStatus` when `refusal` is set.
    pub status: Option<&'static str>,
    /// `getLatestCommit` answers this instead of the truth.
    pub latest: Option<(String, String)>,
}

/// What a host answers to a call: status and JSON, by the JSON that was sent.
pub type Scripted = Arc<dyn Fn(Value) -> (u16, Value) + Send + Sync>;

#[derive(Default)]
struct Inner {
    scripted: HashMap<String, Scripted>,
    logs: HashMap<String, Vec<u8>>,
    accounts: HashMap<String, Served>,
    hits: HashMap<String, u64>,
    down: bool,
}

/// The server; it ends with the test's runtime.
#[derive(Clone)]
pub struct Fake {
    pub url: String,
    inner: Arc<Mutex<Inner>>,
}

impl Fake {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let fake = Self { url, inner: Arc::default() };
        let app = Router::new()
            .route("/xrpc/{nsid}", get(xrpc).post(procedure))
            .route("/{did}/log/audit", get(audit))
            .with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        fake
    }

    /// Serves the person's identity log and this state as their newest.
    pub fn publish(&self, person: &Person, state: &State) {
        self.identity(person);
        let mut inner = self.inner.lock().unwrap();
        let served = inner.accounts.entry(person.did.to_string()).or_default();
        served.history.push(state.clone());
        for (cid, bytes) in &person.blobs {
            served.blobs.entry(cid.to_string()).or_insert_with(|| Blob::Good(bytes.clone()));
        }
    }

    /// Serves the person's identity log.
    pub fn identity(&self, person: &Person) {
        self.inner.lock().unwrap().logs.insert(person.did.to_string(), person.audit());
    }

    /// The state that is served as the newest.
    pub fn newest(&self, person: &Person) -> State {
        self.inner.lock().unwrap().accounts[person.did.as_str()].history.last().unwrap().clone()
    }

    /// Changes how an account is served.
    pub fn script(&self, person: &Person, change: impl FnOnce(&mut Served)) {
        change(self.inner.lock().unwrap().accounts.entry(person.did.to_string()).or_default());
    }

    /// Answers a method so, whoever calls it and how.
    pub fn answer(&self, nsid: &str, how: impl Fn(Value) -> (u16, Value) + Send + Sync + 'static) {
        self.inner.lock().unwrap().scripted.insert(nsid.to_owned(), Arc::new(how));
    }

    /// Answers everything with 503.
    pub fn set_down(&self, down: bool) {
        self.inner.lock().unwrap().down = down;
    }

    /// How often a method was called.
    pub fn hits(&self, nsid: &str) -> u64 {
        self.inner.lock().unwrap().hits.get(nsid).copied().unwrap_or_default()
    }
}

async fn audit(Shared(fake): Shared<Fake>, Path(did): Path<String>) -> Response {
    let inner = fake.inner.lock().unwrap();
    match inner.logs.get(&did) {
        _ if inner.down => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(log) => ([(header::CONTENT_TYPE, "application/json")], log.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Only what a test scripts.
async fn procedure(Shared(fake): Shared<Fake>, Path(nsid): Path<String>, body: Bytes) -> Response {
    let scripted = {
        let mut inner = fake.inner.lock().unwrap();
        *inner.hits.entry(nsid.clone()).or_default() += 1;
        inner.scripted.get(&nsid).cloned()
    };
    match scripted {
        Some(scripted) => said(scripted(serde_json::from_slice(&body).unwrap_or(Value::Null))),
        None => fail(501, "MethodNotImplemented"),
    }
}

fn said((status, body): (u16, Value)) -> Response {
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

async fn xrpc(Shared(fake): Shared<Fake>, Path(nsid): Path<String>, RawQuery(query): RawQuery) -> Response {
    let params: Vec<(String, String)> = query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.replace("%3A", ":")))
        .collect();
    let param = |name: &str| params.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
    let mut inner = fake.inner.lock().unwrap();
    *inner.hits.entry(nsid.clone()).or_default() += 1;
    if inner.down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if let Some(scripted) = inner.scripted.get(&nsid).cloned() {
        drop(inner);
        return said(scripted(Value::Null));
    }
    let method = nsid.rsplit('.').next().unwrap_or_default();
    if method == "describeServer" {
        return axum::Json(json!({"did": "did:web:localhost", "availableUserDomains": [".host.test"]}))
            .into_response();
    }
    if method == "listRepos" {
        let known = inner.accounts.iter().filter(|(_, served)| served.refusal.is_none());
        let repos: Vec<Value> = known.map(|(did, _)| json!({"did": did, "active": true})).collect();
        return json_ok(json!({"repos": repos}));
    }
    let Some(did) = param("did").or_else(|| param("repo")) else { return fail(400, "InvalidRequest") };
    let Some(served) = inner.accounts.get(&did) else { return fail(400, "RepoNotFound") };
    if let Some(refusal) = served.refusal {
        return match (method, served.status) {
            ("getRepoStatus", Some(status)) => {
                axum::Json(json!({"did": did, "active": false, "status": status})).into_response()
            }
            _ => fail(400, refusal),
        };
    }
    answer(served, method, &did, &params)
}

fn answer(served: &Served, method: &str, did: &str, params: &[(String, String)]) -> Response {
    let param = |name: &str| params.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let Some(newest) = served.history.last() else { return fail(400, "RepoNotFound") };
    match method {
        "getRepoStatus" => json_ok(json!({"did": did, "active": true, "rev": newest.rev.to_string()})),
        "describeRepo" => {
            json_ok(json!({"did": did, "collections": ["app.bsky.feed.post"], "handleIsCorrect": true}))
        }
        "getLatestCommit" => {
            let (cid, rev) =
                served.latest.clone().unwrap_or((newest.head.to_string(), newest.rev.to_string()));
            json_ok(json!({"cid": cid, "rev": rev}))
        }
        "listBlobs" => json_ok(json!({"cids": served.blobs.keys().collect::<Vec<_>>()})),
        "getBlob" => match param("cid").and_then(|cid| served.blobs.get(cid)) {
            Some(Blob::Good(bytes)) => bytes.clone().into_response(),
            Some(Blob::Error(status, name)) => fail(*status, name),
            None => fail(400, "BlobNotFound"),
        },
        "getBlocks" => {
            let mut out = Vec::new();
            car::write_header(&mut out, &[]);
            let wanted = params
                .iter()
                .filter(|(name, _)| name == "cids")
                .filter_map(|(_, cid)| cid.parse::<Cid>().ok());
            for cid in wanted {
                for state in &served.history {
                    if let Some(bytes) = state.blocks.get(&cid) {
                        car::write_section(&mut out, &cid, bytes);
                        break;
                    }
                }
            }
            out.into_response()
        }
        "getRepo" => get_repo(served, newest, param("since")),
        "listRecords" => list_records(newest, did, params),
        _ => fail(501, "MethodNotImplemented"),
    }
}

/// Records of a collection by key, the smallest first.
fn list_records(newest: &State, did: &str, params: &[(String, String)]) -> Response {
    let param = |name: &str| params.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let beyond =
        format!("{}/{}", param("collection").unwrap_or_default(), param("cursor").unwrap_or_default());
    let limit = param("limit").and_then(|limit| limit.parse().ok()).unwrap_or(50);
    let collection = format!("{}/", param("collection").unwrap_or_default());
    let page: Vec<(&String, &Vec<u8>)> = newest
        .records
        .iter()
        .filter(|(path, _)| path.starts_with(&collection) && **path > beyond)
        .take(limit)
        .collect();
    let cursor =
        page.last().filter(|_| page.len() == limit).map(|(path, _)| path[collection.len()..].to_owned());
    let records: Vec<Value> = page
        .iter()
        .map(|(path, bytes)| {
            let value = decode(bytes, &Limits::RECORD).unwrap();
            json!({"uri": format!("at://{did}/{path}"), "cid": Cid::of_cbor(bytes).to_string(), "value": to_json(&value)})
        })
        .collect();
    json_ok(json!({"records": records, "cursor": cursor}))
}

fn get_repo(served: &Served, newest: &State, since: Option<&str>) -> Response {
    match &served.getting {
        Getting::Honest => {
            let before =
                since.and_then(|since| served.history.iter().find(|state| state.rev.to_string() == since));
            newest.car(before).into_response()
        }
        Getting::AlwaysWhole => newest.car(None).into_response(),
        Getting::Bytes(bytes) => bytes.clone().into_response(),
        Getting::CutOff(bytes) => {
            let pieces: Vec<Result<Bytes, std::io::Error>> =
                vec![Ok(bytes.clone().into()), Err(std::io::Error::other("cut off"))];
            Body::from_stream(futures::stream::iter(pieces)).into_response()
        }
        Getting::Endless => {
            let mut start = Vec::new();
            car::write_header(&mut start, &[newest.head]);
            car::write_section(&mut start, &newest.head, &newest.blocks[&newest.head]);
            let block = vec![7_u8; 60_000];
            let mut section = Vec::new();
            car::write_section(&mut section, &Cid::of_raw(&block), &block);
            let section = Bytes::from(section);
            let stream = futures::stream::once(async { Ok::<_, std::io::Error>(Bytes::from(start)) })
                .chain(futures::stream::repeat_with(move || Ok(section.clone())));
            Body::from_stream(stream).into_response()
        }
    }
}

fn json_ok(value: Value) -> Response {
    axum::Json(value).into_response()
}

fn fail(status: u16, error: &str) -> Response {
    (StatusCode::from_u16(status).unwrap(), axum::Json(json!({"error": error, "message": error})))
        .into_response()
}
