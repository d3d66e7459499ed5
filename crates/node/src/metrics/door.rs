//! The metrics page over HTTP: on the operator socket always, over TCP on an address of its own when configured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::sample::Sampler;
use crate::node::supervise::Stop;

/// The content type of the format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How often recorded samples are moved into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// `/metrics` alone.
pub fn router(sampler: Arc<Sampler>) -> Router {
    Router::new().route("/metrics", get(page)).with_state(sampler)
}

/// The page, with what follows from the store sampled anew.
pub async fn page(State(sampler): State<Arc<Sampler>>) -> Response {
    sampler.sample().await;
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], super::render()).into_response()
}

/// Keeps the recorder tidy until the node stops.
///
/// # Errors
/// None.
pub async fn tidy(mut stop: Stop) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            () = stop.wait() => return Ok(()),
            _ = ticks.tick() => super::upkeep(),
        }
    }
}

/// Counts a request at the public door by its route, method and status.
pub async fn count(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    // A method is a word that the client chooses.
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "OPTIONS" | "PUT" | "DELETE") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let began = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    metrics::histogram!("p2pds_http_request_seconds", "route" => route.clone())
        .record(began.elapsed().as_secs_f64());
    metrics::counter!("p2pds_http_requests_total", "method" => method, "route" => route, "status" => status)
        .increment(1);
    response
}
