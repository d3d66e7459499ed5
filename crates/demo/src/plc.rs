//! The PLC directory of the demo: it takes what the rules of did:plc allow, and gives it out as the real one does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use p2pds_identity::plc::{Log, LogEntry, Operation, validate_log, write_audit};
use p2pds_syntax::{Datetime, Did};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

use crate::socket::{self, Socket};
use crate::words::now_micros;

/// Most operations of one page of the export.
const PAGE: usize = 1_000;
/// Largest operation that is read.
const MAX_OPERATION: usize = 16 << 10;

/// All identities of the demo.
#[derive(Default)]
pub(crate) struct Directory {
    state: Mutex<Logs>,
    /// How many operations there are.
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Logs {
    by_did: BTreeMap<Did, Log>,
    /// Every operation in the order of its arrival; the number of the first is 1.
    export: Vec<Value>,
    /// When the last one came, so that no two come at once.
    last: i64,
}

impl Directory {
    fn logs(&self) -> MutexGuard<'_, Logs> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The DID whose identity names this handle; the first that came when there are several.
    pub(crate) fn did_of(&self, handle: &str) -> Option<String> {
        let logs = self.logs();
        let names =
            |log: &Log| log.data().and_then(|data| data.handle()).is_some_and(|own| own.as_str() == handle);
        let mut all: Vec<&Log> = logs.by_did.values().filter(|log| names(log)).collect();
        all.sort_by_key(|log| log.entries().first().map(|entry| entry.created_at.unix_micros()));
        all.first().map(|log| log.did().to_string())
    }

    /// Takes an operation if the rules allow it.
    fn take(&self, did: &Did, operation: &Value) -> Result<(), String> {
        let operation = Operation::from_json(operation).map_err(|error| error.to_string())?;
        let mut logs = self.logs();
        let at = now_micros().max(logs.last.saturating_add(1_000));
        let created_at = Datetime::from_unix_micros(at).ok_or("the clock of this machine is wrong")?;
        let log = match logs.by_did.get(did) {
            Some(log) => log.append(operation, created_at.clone()),
            None => {
                let cid = operation.cid();
                let entry = LogEntry {
                    did: did.clone(),
                    operation,
                    cid,
                    nullified: false,
                    created_at: created_at.clone(),
                };
                validate_log(did, &[entry])
            }
        };
        let log = log.map_err(|error| error.to_string())?;
        let (seq, last) = (logs.export.len().saturating_add(1), log.entries().last().cloned());
        if let Some(entry) = last {
            logs.export.push(json!({
                "seq": seq, "type": "sequenced_op", "did": did.as_str(), "operation": entry.operation.to_json(),
                "cid": entry.cid.to_string(), "nullified": false, "createdAt": created_at.as_str(),
            }));
        }
        logs.by_did.insert(did.clone(), log);
        logs.last = at;
        drop(logs);
        self.count.send_replace(seq);
        Ok(())
    }

    /// What was taken after this number.
    fn after(&self, seq: usize) -> Vec<Value> {
        self.logs().export.iter().skip(seq).take(PAGE).cloned().collect()
    }
}

/// The routes of a directory.
pub(crate) fn router(directory: Arc<Directory>) -> Router {
    Router::new()
        .route("/_health", get(|| async { Json(json!({ "version": env!("CARGO_PKG_VERSION") })) }))
        .route("/export", get(export))
        .route("/export/stream", get(stream))
        .route("/{did}", get(document).post(submit))
        .route("/{did}/data", get(data))
        .route("/{did}/log", get(log))
        .route("/{did}/log/last", get(last))
        .route("/{did}/log/audit", get(audit))
        .with_state(directory)
}

fn says(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

/// An answer from the log of one account.
fn of(directory: &Directory, did: &str, read: impl FnOnce(&Log) -> Option<Response>) -> Response {
    let Ok(did) = Did::parse(did) else { return says(StatusCode::BAD_REQUEST, "not a DID") };
    match directory.logs().by_did.get(&did) {
        None => says(StatusCode::NOT_FOUND, &format!("DID not registered: {did}")),
        Some(log) => {
            read(log).unwrap_or_else(|| says(StatusCode::GONE, &format!("DID not available: {did}")))
        }
    }
}

async fn document(State(directory): State<Arc<Directory>>, Path(did): Path<String>) -> Response {
    of(&directory, &did, |log| {
        let mut response = Json(log.document()?.to_json()).into_response();
        let kind = header::HeaderValue::from_static("application/did+ld+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        Some(response)
    })
}

async fn data(State(directory): State<Arc<Directory>>, Path(did): Path<String>) -> Response {
    of(&directory, &did, |log| {
        let data = log.data()?;
        Some(
            Json(json!({
                "did": log.did().as_str(), "rotationKeys": data.rotation_keys,
                "verificationMethods": data.verification_methods, "alsoKnownAs": data.also_known_as,
                "services": data.services,
            }))
            .into_response(),
        )
    })
}

async fn log(State(directory): State<Arc<Directory>>, Path(did): Path<String>) -> Response {
    of(&directory, &did, |log| {
        let all: Vec<Value> = log.canonical().map(|entry| entry.operation.to_json()).collect();
        Some(Json(all).into_response())
    })
}

async fn last(State(directory): State<Arc<Directory>>, Path(did): Path<String>) -> Response {
    of(&directory, &did, |log| {
        log.canonical().next_back().map(|entry| Json(entry.operation.to_json()).into_response())
    })
}

async fn audit(State(directory): State<Arc<Directory>>, Path(did): Path<String>) -> Response {
    of(&directory, &did, |log| {
        let fields = [(header::CONTENT_TYPE, "application/json")];
        Some((fields, write_audit(log.entries())).into_response())
    })
}

async fn submit(
    State(directory): State<Arc<Directory>>,
    Path(did): Path<String>,
    request: Request,
) -> Response {
    let Ok(did) = Did::parse(&did) else { return says(StatusCode::BAD_REQUEST, "not a DID") };
    let body = axum::body::to_bytes(request.into_body(), MAX_OPERATION).await;
    let Some(operation) = body.ok().and_then(|body| serde_json::from_slice::<Value>(&body).ok()) else {
        return says(StatusCode::BAD_REQUEST, "an operation is JSON of a few kilobytes");
    };
    match directory.take(&did, &operation) {
        Ok(()) => StatusCode::OK.into_response(),
        Err(why) => says(StatusCode::BAD_REQUEST, &why),
    }
}

/// Where a reader of the export begins.
#[derive(serde::Deserialize)]
struct Asked {
    /// A number, or a time.
    after: Option<String>,
    cursor: Option<usize>,
}

async fn export(State(directory): State<Arc<Directory>>, Query(asked): Query<Asked>) -> Response {
    let after = asked.after.unwrap_or_default();
    let page: Vec<Value> = match after.parse::<usize>() {
        Ok(seq) => directory.after(seq),
        Err(_) => {
            let logs = directory.logs();
            let later = |entry: &&Value| {
                entry.get("createdAt").and_then(Value::as_str).is_some_and(|at| at > after.as_str())
            };
            logs.export.iter().filter(later).take(PAGE).cloned().collect()
        }
    };
    let lines: Vec<String> = page.iter().map(Value::to_string).collect();
    ([(header::CONTENT_TYPE, "application/jsonlines")], lines.join("\n")).into_response()
}

async fn stream(
    State(directory): State<Arc<Directory>>,
    Query(asked): Query<Asked>,
    request: Request,
) -> Response {
    socket::open(request, move |socket| tell(directory, socket, asked.cursor))
}

async fn tell(directory: Arc<Directory>, mut socket: Socket, cursor: Option<usize>) {
    let mut news = directory.count.subscribe();
    let newest = *news.borrow_and_update();
    let mut at = cursor.unwrap_or(newest);
    if at > newest {
        return socket.close("FutureCursor").await;
    }
    loop {
        for operation in directory.after(at) {
            if !socket.send(Message::text(operation.to_string())).await {
                return;
            }
            at = at.saturating_add(1);
        }
        tokio::select! {
            () = socket.gone() => return,
            changed = news.changed() => if changed.is_err() { return },
        }
    }
}

#[cfg(test)]
mod tests {
    use p2pds_crypto::{Curve, PrivateKey, Signer as _};
    use p2pds_identity::plc::{Data, Unsigned};

    use super::*;

    fn data(key: &PrivateKey, handle: &str) -> Data {
        let mut data = Data::default();
        data.put_rotation_key_first(&key.public_key());
        data.set_signing_key(&key.public_key());
        data.also_known_as.push(format!("at://{handle}"));
        data.set_pds("http://north.localhost:1");
        data
    }

    #[test]
    fn only_what_the_rules_allow_is_taken() {
        let directory = Directory::default();
        let key = PrivateKey::from_entropy(Curve::K256, [1; 32]);
        let other = PrivateKey::from_entropy(Curve::K256, [2; 32]);
        let first = Unsigned::genesis(data(&key, "alice.north.test")).sign(&key).unwrap();
        let did = first.created_did().unwrap();
        let wrong = Did::parse("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
        assert!(directory.take(&wrong, &first.to_json()).is_err());
        directory.take(&did, &first.to_json()).unwrap();
        assert_eq!(directory.did_of("alice.north.test"), Some(did.to_string()));
        let next = |signer: &PrivateKey| {
            let log = directory.logs().by_did[&did].clone();
            let change = |data: &mut Data| data.set_handle(&"anna.north.test".parse().unwrap());
            log.update(change).unwrap().sign(signer).unwrap()
        };
        assert!(directory.take(&did, &next(&other).to_json()).is_err());
        let renamed = next(&key);
        directory.take(&did, &renamed.to_json()).unwrap();
        assert!(directory.take(&did, &renamed.to_json()).is_err());
        assert_eq!(directory.did_of("alice.north.test"), None);
        assert_eq!(directory.did_of("anna.north.test"), Some(did.to_string()));
        assert_eq!((directory.after(0).len(), directory.after(1).len()), (2, 1));
    }
}
