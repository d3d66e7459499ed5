//! The life of a node: wire, listen, say so, run, stop in order.

pub mod engine;
pub mod health;
pub mod jobs;
pub mod lock;
pub mod notify;
pub mod plc_stream;
pub mod scrub;
pub mod structure;
pub mod supervise;
pub mod watchdog;
pub mod workers;

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use p2pds_archive::live::Live;
use p2pds_host::Host;
use p2pds_xrpc::meter::Hits;
use tokio::net::TcpListener;

use crate::alerts::{self, heartbeat};
use crate::cli::VERSION;
use crate::cli::context::Context;
use crate::http::{self, Door};
use crate::metrics::{self, door::router as metrics_page, sample::Sampler};
use crate::node::engine::Engine;
use crate::node::health::Health;
use crate::node::lock::Lock;
use crate::node::supervise::{Stop, Supervisor};
use crate::operator::{Failure, server, socket};
use crate::{hosting, serving, words};

/// Runs a node on the data directory whose lock is handed in, until it is told to stop.
///
/// # Errors
/// A part of it cannot start or has failed. What is stored is in order then too.
pub async fn run(context: &Context, lock: Lock) -> anyhow::Result<()> {
    let config = &context.loaded.config;
    // Signals count from here on, so that a stop during the start is orderly too.
    let signals = supervise::signals()?;
    metrics::start();
    serving::raise_file_limit();
    let listener = listen(config.http.bind, config.http.port).await?;
    // A host says its port in development, so it must be known before the host is made.
    let mut bound_config = config.clone();
    bound_config.http.port = listener.local_addr()?.port();
    let engine = Arc::new(Engine::open(&bound_config).await?);
    if let Some(host) = &engine.host {
        let there = host.ensure_single_user().await;
        there.map_err(|error| Failure::new(error.kind().as_str(), error.to_string()))?;
    }
    let metrics_listener = match config.metrics.port {
        Some(port) => Some(listen(config.metrics.bind, port).await?),
        None => None,
    };
    let address = listener.local_addr()?;
    let bound = socket::bind(&engine.dir)?;
    for warning in &context.loaded.warnings {
        tracing::warn!(event = "node.setting", "{warning}");
    }
    if !context.global.quiet {
        banner(context, &engine, address).await?;
    }
    tracing::info!(event = "node.started", %address, dir = %engine.dir.display(), version = VERSION, "started");

    let mut supervisor = Supervisor::default();
    let door = Arc::new(Door {
        health: Arc::new(Health::new(Arc::clone(&engine.store))),
        hostname: config.http.hostname.as_ref().map(|name| name.to_ascii_lowercase()),
        mirror_hostname: config.serving.mirror_hostname.as_ref().map(|name| name.to_ascii_lowercase()),
        handle_domains: engine.host.as_ref().map(|host| host.config().handle_domains.clone()),
        address,
    });
    let public = serving::door(&engine)?;
    supervisor.spawn("streams", streams(Arc::clone(&public), supervisor.stop_handle()));
    let pages = crate::pages::router(&engine, context.loaded.resolved.clone());
    let pages = crate::door::addressed(pages, config.serving.trusted_proxies.clone());
    let routes = http::router(door, public, pages);
    supervisor.spawn(
        "http",
        http::serve(
            listener,
            routes,
            config.serving.trusted_proxies.clone(),
            engine.hits.clone(),
            supervisor.stop_handle(),
        ),
    );
    supervisor.spawn("serving-index", serving::index(Arc::clone(&engine), supervisor.stop_handle()));
    let sampler = Arc::new(Sampler::new(Arc::clone(&engine.store), engine.dir.clone()));
    if let Some(listener) = metrics_listener {
        let page = metrics_page(Arc::clone(&sampler));
        supervisor.spawn(
            "metrics",
            http::serve(listener, page, Vec::new(), Hits::default(), supervisor.stop_handle()),
        );
    }
    supervisor.spawn("metrics-tidy", metrics::door::tidy(supervisor.stop_handle()));
    let operator =
        server::serve(bound, Arc::clone(&engine), sampler, Some(address), supervisor.stop_handle());
    supervisor.spawn("operator", operator);
    supervisor.spawn("resume", resume(Arc::clone(&engine), supervisor.stop_handle()));
    supervisor.spawn("structure", structure::run(Arc::clone(&engine), supervisor.stop_handle()));
    supervisor.spawn("watchdog", watchdog::run(Arc::clone(&engine.store), supervisor.stop_handle()));
    supervisor.spawn(alerts::NAME, alerts::run(Arc::clone(&engine), supervisor.stop_handle()));
    if config.alerts.heartbeat_url.is_some() {
        supervisor.spawn(heartbeat::NAME, heartbeat::run(Arc::clone(&engine), supervisor.stop_handle()));
    }
    supervisor.spawn(scrub::NAME, scrub::run(Arc::clone(&engine), supervisor.stop_handle()));
    // Before the jobs look at what is due: what is followed live is not fetched as well.
    let live = Live::new(engine.archive.clone(), engine::live_config(config));
    live.begin().await.map_err(Failure::from)?;
    supervisor.spawn("live", follow(live, supervisor.stop_handle()));
    for job in jobs::all(&engine) {
        supervisor.spawn(job.name(), workers::run(job, Arc::clone(&engine), supervisor.stop_handle()));
    }
    if let Some(host) = &engine.host {
        for job in p2pds_host::jobs::all(host) {
            supervisor.spawn(job.name(), host_job(job, host.clone(), supervisor.stop_handle()));
        }
    }
    if let (Some(host), Some(oauth)) = (&engine.host, &engine.oauth) {
        let jobs: [Arc<dyn p2pds_host::jobs::Job>; 2] = [
            Arc::new(p2pds_host::oauth::Tidy(oauth.clone())),
            Arc::new(p2pds_host::oauth::WithdrawnKeys(oauth.clone())),
        ];
        for job in jobs {
            supervisor.spawn(job.name(), host_job(job, host.clone(), supervisor.stop_handle()));
        }
    }
    if config.watch.plc_stream {
        supervisor.spawn(plc_stream::NAME, plc_stream::run(Arc::clone(&engine), supervisor.stop_handle()));
    }
    notify::tell("READY=1");
    let result = supervisor.run(signals).await;
    notify::tell("STOPPING=1");
    engine.close().await?;
    tracing::info!(event = "node.stopped", "stopped");
    drop(lock);
    result
}

/// One kind of the host's background work.
async fn host_job(job: Arc<dyn p2pds_host::jobs::Job>, host: Host, mut stop: Stop) -> anyhow::Result<()> {
    p2pds_host::jobs::run(job, host, async move { stop.wait().await }).await;
    Ok(())
}

/// Follows the accounts as they change.
/// Ends the streams of events when told to stop.
async fn streams(door: Arc<p2pds_xrpc::Xrpc>, mut stop: Stop) -> anyhow::Result<()> {
    stop.wait().await;
    door.close_streams().await;
    Ok(())
}

async fn follow(live: Live, mut stop: Stop) -> anyhow::Result<()> {
    live.run(stop.wait()).await.map_err(Failure::from)?;
    Ok(())
}

/// Finishes what an earlier process left half done, beside everything else.
async fn resume(engine: Arc<Engine>, mut stop: Stop) -> anyhow::Result<()> {
    tokio::select! {
        () = stop.wait() => return Ok(()),
        result = engine.resume() => if let Err(error) = result {
            tracing::warn!(event = "node.resume", "what an earlier process left could not be finished now: {error:#}");
        },
    }
    stop.wait().await;
    Ok(())
}

async fn listen(bind: IpAddr, port: u16) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(bind, port);
    TcpListener::bind(address).await.map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another program has this port (`ss -ltnp` names it): choose another with --port"
            }
            std::io::ErrorKind::PermissionDenied => {
                "ports below 1024 need privileges: choose another with --port"
            }
            _ => "check --bind: the address must be one of this machine's",
        };
        Failure::new("unavailable", format!("cannot listen on {address}: {error}")).hint(hint).into()
    })
}

/// A few lines for whoever started it: what it is, where it listens, what to type next.
async fn banner(context: &Context, engine: &Engine, address: SocketAddr) -> anyhow::Result<()> {
    let stats = engine.store.stats().await?;
    let program = context.program();
    let accounts = match stats.accounts {
        0 => "no accounts yet".to_owned(),
        n => words::plural(n, "account", "accounts"),
    };
    let what = match &engine.host {
        None => format!("p2pds {VERSION} keeps verified copies of AT Protocol accounts and gives them back."),
        Some(host) => format!("p2pds {VERSION} hosts AT Protocol accounts at {}.", host.config().public_url),
    };
    let claim = match engine.door.claim_address(false).await? {
        Some(address) => {
            format!("\n  Claim      {address}\n             opens once, for whoever is to own this node")
        }
        None => String::new(),
    };
    let next = match &engine.host {
        None => format!(
            "{program} archive add HANDLE-OR-DID   keep a copy of an account\n\
             \x20            {program} archive list                what is kept, and how fresh it is"
        ),
        Some(host) => hosting::next(&engine.store, host, &program).await?,
    };
    let text = format!(
        "{what}\n\
         \x20 Listening  http://{address}\n\
         \x20 Data       {} ({accounts}){claim}\n\
         \x20 Next       {next}\n\
         \x20            {program} --help                      everything else; Ctrl-C here stops the node",
        engine.dir.display()
    );
    // A node whose output nobody reads is a node all the same.
    let _ = writeln!(std::io::stdout(), "{text}");
    Ok(())
}
