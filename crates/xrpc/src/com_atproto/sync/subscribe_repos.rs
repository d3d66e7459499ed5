//! `com.atproto.sync.subscribeRepos`: what happens to the accounts of this host, from a cursor on, as it happens.
//!
//! Without a cursor a stream begins with the next event, with 0 at the oldest one that is kept, else right behind the event
//! of that number. Errors of the stream are its last frame, as other hosts send them; what is no WebSocket request gets
//! an ordinary answer.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use p2pds_host::Host;
use p2pds_host::firehose::{Opening, Subscription};

use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::firehose::{First, Seats, Times, open, run};

/// Integers of the protocol stay exact in JavaScript.
const MOST: u64 = (1 << 53) - 1;
/// Longest name of a consumer that is remembered.
const AGENT: usize = 100;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked, mut request: Request) -> Response {
    let Some(host) = door.host.clone() else {
        return XrpcError::not_implemented("this node hosts no accounts, and has no events").into_response();
    };
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let opened = match open(request.version(), request.headers(), upgrade) {
        Ok(opened) => opened,
        Err(response) => return response,
    };
    let seat = match Seats::take(&door.seats, asked.from) {
        Ok(seat) => seat,
        Err(error) => return error.into_response(),
    };
    let first = match first(&host, &asked).await {
        Ok(first) => first,
        Err(error) => return error.into_response(),
    };
    let max_buffer = host.config().firehose.max_buffer;
    let (from, agent) = (asked.from, agent(&asked.headers));
    // Not the supervisor's: it ends with its connection, and `Seats::close` waits for it.
    tokio::spawn(async move {
        let upgraded = match opened.upgrade.await {
            Ok(upgraded) => TokioIo::new(upgraded),
            Err(error) => {
                tracing::debug!(event = "firehose.upgrade", %error, "a connection ended before it became a stream");
                return;
            }
        };
        tracing::debug!(event = "firehose.opened", %from, agent, "a consumer listens");
        let why = run(upgraded, first, seat, max_buffer, Times::default()).await;
        metrics::counter!("p2pds_firehose_closed_total", "reason" => why).increment(1);
        if why == "ConsumerTooSlow" {
            tracing::info!(event = "firehose.too-slow", %from, agent, "a consumer did not read and was sent away");
        } else {
            tracing::debug!(event = "firehose.closed", %from, agent, why, "a consumer is gone");
        }
    });
    opened.response
}

/// Where the stream begins.
async fn first(host: &Host, asked: &Asked) -> Result<First<Subscription>, XrpcError> {
    let cursor = match cursor(asked) {
        Ok(cursor) => cursor,
        Err(message) => return Ok(First::Refused { error: "InvalidRequest", message }),
    };
    let opening = host.subscribe(cursor, asked.from.to_string(), agent(&asked.headers)).await?;
    Ok(match opening {
        Opening::Here(place) => First::Event(place),
        Opening::Outdated(place) => First::Outdated(place),
        Opening::Future => {
            First::Refused { error: "FutureCursor", message: "Cursor in the future.".to_owned() }
        }
    })
}

fn cursor(asked: &Asked) -> Result<Option<u64>, String> {
    let Some(text) = asked.params.get("cursor") else { return Ok(None) };
    match text.parse::<u64>() {
        Ok(cursor) if cursor <= MOST && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Some(cursor)),
        _ => Err(format!(
            "cursor must be a number from 0 to {MOST}: the `seq` of the last event that was read, or 0 for the oldest one"
        )),
    }
}

/// What a consumer calls itself.
fn agent(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    agent.chars().filter(|c| !c.is_control()).take(AGENT).collect()
}
