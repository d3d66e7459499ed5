//! The operator socket as a node serves it: JSON lines over HTTP/1.1 on a Unix socket.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Json, Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::serve::Listener;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio::net::unix::SocketAddr;

use crate::metrics::{door as metrics_door, sample::Sampler};
use crate::node::engine::Engine;
use crate::node::supervise::Stop;
use crate::operator::socket::{Bound, trusted};
use crate::operator::{Command, Event, Failure, handler};

/// What a node says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the running binary.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Where it listens; `None` for a command at work, which does not.
    #[serde(default)]
    pub address: Option<std::net::SocketAddr>,
}

/// Which account's CAR is wanted.
#[derive(Debug, Serialize, Deserialize)]
pub struct CarQuery {
    /// Handle or DID.
    pub account: String,
}

/// Serves the socket until told to stop; `address` is where the process listens, if it does.
///
/// # Errors
/// None at present.
pub async fn serve(
    bound: Bound,
    engine: Arc<Engine>,
    sampler: Arc<Sampler>,
    address: Option<std::net::SocketAddr>,
    mut stop: Stop,
) -> anyhow::Result<()> {
    let Bound { listener, guard } = bound;
    let app = router(engine, address).merge(metrics_door::router(sampler));
    axum::serve(OwnersOnly(listener), app).with_graceful_shutdown(async move { stop.wait().await }).await?;
    drop(guard);
    Ok(())
}

fn router(engine: Arc<Engine>, address: Option<std::net::SocketAddr>) -> Router {
    Router::new()
        .route("/v1/hello", get(async move || hello(address)))
        .route("/v1/run", post(run))
        .route("/v1/car", get(car))
        .with_state(engine)
}

fn hello(address: Option<std::net::SocketAddr>) -> axum::Json<Hello> {
    axum::Json(Hello { version: crate::cli::VERSION.to_owned(), pid: std::process::id(), address })
}

async fn run(State(engine): State<Arc<Engine>>, Json(command): Json<Command>) -> Response {
    tracing::info!(event = "operator.command", ?command, "the operator asks");
    let lines = handler::events(engine, command).map(|event| Ok::<_, std::convert::Infallible>(line(&event)));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

async fn car(State(engine): State<Arc<Engine>>, Query(query): Query<CarQuery>) -> Response {
    match handler::car(engine, &query.account).await {
        Ok(stream) => {
            ([(header::CONTENT_TYPE, "application/vnd.ipld.car")], Body::from_stream(stream)).into_response()
        }
        Err(failure) => (axum::http::StatusCode::CONFLICT, axum::Json(failure)).into_response(),
    }
}

fn line(event: &Event) -> Bytes {
    let mut line = serde_json::to_vec(event).unwrap_or_else(|error| {
        let failure = Failure::new("bug", format!("an answer could not be written as JSON: {error}"));
        serde_json::json!({ "event": "error", "failure": failure }).to_string().into_bytes()
    });
    line.push(b'\n');
    line.into()
}

/// Accepts connections of the node's own user and of root, whatever the file modes say.
struct OwnersOnly(tokio::net::UnixListener);

impl Listener for OwnersOnly {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.0).await;
            match stream.peer_cred() {
                Ok(peer) if trusted(peer.uid()) => return (stream, address),
                Ok(peer) => tracing::warn!(
                    event = "operator.refused",
                    uid = peer.uid(),
                    "refused an operator of another user"
                ),
                Err(error) => {
                    tracing::warn!(event = "operator.refused", %error, "refused an operator that the system does not name")
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}
