//! Accepting connections, with named limits and an orderly end.
//!
//! Nobody waits for a place: a caller with too many connections is turned away at once, and when all places are taken
//! the connection that has been idle for longest makes room, or else one whose request is still arriving. So thousands
//! of connections that say nothing keep nobody out who has a question.

mod patient;
mod places;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use p2pds_xrpc::meter::Hits;
use p2pds_xrpc::{Net, PeerAddress};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::node::supervise::Stop;
use patient::Patient;
use places::{Place, Places};

/// Time for a client to send the head of a request.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// What runs on this machine, unless it says otherwise.
const OWN: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
/// Largest head of a request.
pub const MAX_HEAD: usize = 16 * 1024;

/// How many connections there may be, by the names of the limits.
pub const CONNECTIONS: [(&str, usize); 2] =
    [(places::OF_ALL, places::MAX_CONNECTIONS), (places::OF_ONE, places::MAX_OF_ONE)];

/// Serves until told to stop, then lets open requests finish. `proxies` may have as many connections as there are;
/// `hits` counts who was turned away.
///
/// # Errors
/// None at present; accept errors are logged and retried.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    proxies: Vec<Net>,
    hits: Hits,
    mut stop: Stop,
) -> anyhow::Result<()> {
    let places = Arc::new(Places::default());
    let mut connections = JoinSet::new();
    loop {
        let (stream, address) = tokio::select! {
            biased;
            () = stop.wait() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => (stream, address.ip().to_canonical()),
                Err(error) => {
                    tracing::warn!(event = "http.accept", %error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        // What runs on this machine is the operator's own: a proxy, a relay, a measurement.
        let proxy = OWN.contains(&address) || proxies.iter().any(|net| net.contains(address));
        let place = match Places::take(&places, address, proxy) {
            Ok(place) => place,
            Err(limit) => {
                metrics::counter!("p2pds_http_turned_away_total").increment(1);
                hits.count(limit);
                continue;
            }
        };
        connections.spawn(one(stream, address, router.clone(), place, stop.clone()));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn one(stream: TcpStream, address: IpAddr, router: Router, place: Place, mut stop: Stop) {
    // Answers are flushed as they are made; there is nothing to wait for.
    let _ = stream.set_nodelay(true);
    let routes = TowerToHyperService::new(router);
    let activity = place.activity();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (routes, busy, activity) = (routes.clone(), activity.begin(), activity.clone());
        async move {
            let mut request: Request =
                request.map(|body| Body::new(places::Arriving::new(Body::new(body), &activity)));
            request.extensions_mut().insert(PeerAddress(address));
            let response: Response = routes.call(request).await?;
            // Busy until the last byte of the answer is handed over.
            Ok::<_, Infallible>(response.map(|body| places::Holding::new(body, busy)))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(Patient::new(stream)), service)
        // A stream of events leaves its place here and has a seat of its own.
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = place.wanted() => return,
        () = stop.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(event = "http.connection", %error, "a connection ended badly");
    }
}
