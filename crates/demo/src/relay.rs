//! A stream as relays have it: the events of both hosts in one, with numbers of its own.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use p2pds_host::Host;
use p2pds_host::firehose::Opening;
use p2pds_replica::frame::{self, Failure, Frame};
use serde_json::json;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

use crate::socket::{self, Socket};

/// Events that are kept for those who come back.
const KEEP: usize = 20_000;

/// The stream.
#[derive(Default)]
pub(crate) struct Relay {
    kept: Mutex<VecDeque<(u64, Bytes)>>,
    /// Number of the newest event.
    newest: watch::Sender<u64>,
}

impl Relay {
    /// Takes over what a host says, from its first event on, until it is dropped.
    pub(crate) async fn listen(self: Arc<Self>, host: Host) {
        let opened = host.subscribe(Some(0), "the demo's relay".to_owned(), "p2pds demo".to_owned()).await;
        let (Ok(Opening::Here(mut stream)) | Ok(Opening::Outdated(mut stream))) = opened else { return };
        while let Ok(page) = stream.next().await {
            for (_, event) in page.frames {
                self.take(&event);
            }
        }
    }

    fn take(&self, event: &[u8]) {
        let Ok(Some(split)) = frame::decode(event).map(|frame| frame.split()) else { return };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = kept.back().map_or(1, |(seq, _)| seq.saturating_add(1));
        kept.push_back((seq, split.with(seq).into()));
        if kept.len() > KEEP {
            kept.pop_front();
        }
        drop(kept);
        self.newest.send_replace(seq);
    }

    /// What comes after this number.
    fn after(&self, seq: u64) -> Vec<(u64, Bytes)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let from = kept.partition_point(|(number, _)| *number <= seq);
        kept.iter().skip(from).cloned().collect()
    }
}

/// The routes of a relay.
pub(crate) fn router(relay: Arc<Relay>) -> Router {
    Router::new()
        .route("/xrpc/com.atproto.sync.subscribeRepos", get(subscribe))
        .route("/xrpc/com.atproto.sync.requestCrawl", post(|| async { Json(json!({})) }))
        .route("/xrpc/_health", get(|| async { Json(json!({ "version": env!("CARGO_PKG_VERSION") })) }))
        .with_state(relay)
}

/// Where a listener begins.
#[derive(serde::Deserialize)]
struct Asked {
    cursor: Option<u64>,
}

async fn subscribe(
    State(relay): State<Arc<Relay>>,
    Query(asked): Query<Asked>,
    request: Request,
) -> Response {
    if !socket::wanted(request.headers()) {
        return (axum::http::StatusCode::UPGRADE_REQUIRED, "ask for this stream by WebSocket\n")
            .into_response();
    }
    socket::open(request, move |socket| tell(relay, socket, asked.cursor))
}

async fn tell(relay: Arc<Relay>, mut socket: Socket, cursor: Option<u64>) {
    let mut news = relay.newest.subscribe();
    let newest = *news.borrow_and_update();
    let mut at = cursor.unwrap_or(newest);
    if at > newest {
        let message = Some("there is no event with that number yet");
        let words = Frame::Error(Failure { error: "FutureCursor", message }).encode();
        socket.send(Message::binary(words)).await;
        return socket.close("FutureCursor").await;
    }
    loop {
        for (seq, event) in relay.after(at) {
            if !socket.send(Message::Binary(event)).await {
                return;
            }
            at = seq;
        }
        tokio::select! {
            () = socket.gone() => return,
            changed = news.changed() => if changed.is_err() { return },
        }
    }
}
