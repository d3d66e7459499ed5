//! Accepting connections, with named limits and an orderly end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::node::supervise::Stop;

/// Connections open at a time; more wait in the system's queue.
pub const MAX_CONNECTIONS: usize = 512;
/// Time for a client to send the head of a request.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest head of a request.
pub const MAX_HEAD: usize = 16 * 1024;

/// Serves until told to stop, then lets open requests finish.
///
/// # Errors
/// None at present; accept errors are logged and retried.
pub async fn serve(listener: TcpListener, router: Router, mut stop: Stop) -> anyhow::Result<()> {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let slot = tokio::select! {
            biased;
            () = stop.wait() => break,
            slot = Arc::clone(&slots).acquire_owned() => slot?,
        };
        let stream = tokio::select! {
            biased;
            () = stop.wait() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(event = "http.accept", %error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let connection = one(stream, router.clone(), stop.clone());
        connections.spawn(async move {
            connection.await;
            drop(slot);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn one(stream: TcpStream, router: Router, mut stop: Stop) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(event = "http.connection", %error, "a connection ended badly");
    }
}
