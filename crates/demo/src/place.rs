//! One host of the demo: a store of its own, the host on it, its public door on a port that stays the same.

mod pages;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use p2pds_blobs::Blobs;
use p2pds_directory::{Directory, DirectoryConfig};
use p2pds_host::keys::Keys;
use p2pds_host::{Host, HostConfig, HostDeps};
use p2pds_net::{Client, NetConfig};
use p2pds_oauth::OAuth;
use p2pds_reading::Reading;
use p2pds_store::Store;
use p2pds_store_sqlite::{Options, SqliteStore, Synchronous};
use p2pds_syntax::Did;
use p2pds_web::{VisitorAddress, Web};
use p2pds_xrpc::{PeerAddress, Xrpc, XrpcConfig};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::DemoError;
use crate::words::now_micros;

/// What a host of the demo needs to know of the network around it.
#[derive(Debug, Clone)]
pub(crate) struct Around {
    /// Origin of the directory.
    pub(crate) plc_url: String,
    /// The name server.
    pub(crate) names: SocketAddr,
}

/// A host.
pub(crate) struct Place {
    /// `north`, say.
    pub(crate) name: &'static str,
    /// Where it is reached.
    pub(crate) url: String,
    /// Its accounts.
    pub(crate) host: Host,
    store: Arc<dyn Store>,
    reading: Reading,
    oauth: OAuth,
    pages: Web,
    port: u16,
    /// Its open door.
    door: Mutex<Option<Open>>,
    there: AtomicBool,
}

/// An open door, and how it is shut.
struct Open {
    xrpc: Arc<Xrpc>,
    shut: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Place {
    /// Opens a host in a directory. Its door is open from then on.
    pub(crate) async fn open(name: &'static str, dir: &Path, around: &Around) -> Result<Self, DemoError> {
        let bind = DemoError::machine("open a port for one of its hosts");
        let listener = TcpListener::bind(at(0)).await.map_err(bind)?;
        let port = listener.local_addr().map_err(DemoError::machine("learn a port"))?.port();
        let store = {
            let dir = dir.to_owned();
            // Nothing in it is worth a flush: it is gone when the demo ends.
            let options = Options { ballast: 0, synchronous: Synchronous::Off, ..Options::default() };
            let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&dir, options)).await;
            opened.map_err(DemoError::part("open a store"))??
        };
        let store: Arc<dyn Store> = Arc::new(store);
        let blobs = Blobs::open(&dir.join("blobs")).map_err(DemoError::part("open a directory of blobs"))?;
        let net = NetConfig { nameservers: vec![around.names], ..NetConfig::development() };
        let net = Client::new(net).map_err(DemoError::part("set up its client"))?;
        let directory = DirectoryConfig { plc_url: around.plc_url.clone(), ..DirectoryConfig::default() };
        let directory = Directory::new(net.clone(), Arc::clone(&store), directory);
        let reading = Reading::new(Arc::clone(&store), blobs.clone());
        let keys = Arc::new(Keys::in_memory().map_err(DemoError::part("make keys"))?);
        let directory = Arc::new(directory);
        let deps = || HostDeps {
            store: Arc::clone(&store),
            blobs: blobs.clone(),
            net: net.clone(),
            directory: Arc::clone(&directory),
            reading: reading.clone(),
            clock: Arc::new(now_micros),
            keys: Arc::clone(&keys),
        };
        let hostname = format!("{name}.localhost");
        let url = format!("http://{hostname}:{port}");
        let host = Host::new(deps(), config(name, hostname, &url, dir, around)?);
        let oauth = host.authorization_server()?;
        let pages = pages::pages(name, dir, port, &deps(), &host, &oauth)?;
        let (door, there) = (Mutex::default(), AtomicBool::new(true));
        let place = Self { name, url, host, store, reading, oauth, pages, port, door, there };
        place.serve(listener);
        Ok(place)
    }

    fn serve(&self, listener: TcpListener) {
        let config = XrpcConfig { archive_only: false, rate_limits: false, ..XrpcConfig::default() };
        let xrpc = Xrpc::new(self.reading.clone(), config);
        let xrpc = Arc::new(xrpc.with_host(Some(self.host.clone())).with_oauth(Some(self.oauth.clone())));
        let (shut, mut told) = watch::channel(false);
        // Whoever calls is on this machine.
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let routes = p2pds_web::router(self.pages.clone())
            .merge(p2pds_xrpc::router(Arc::clone(&xrpc)))
            .layer(Extension(PeerAddress(address)))
            .layer(Extension(VisitorAddress(address)));
        let ended = async move {
            let _ = told.wait_for(|shut| *shut).await;
        };
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, routes).with_graceful_shutdown(ended).await;
        });
        *self.door() = Some(Open { xrpc, shut, task });
    }

    fn door(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it answers.
    pub(crate) fn is_there(&self) -> bool {
        self.there.load(Ordering::Relaxed)
    }

    /// Goes away, as a host does whose machine is gone: nobody reaches it, and nothing is written there.
    pub(crate) async fn leave(&self) {
        self.there.store(false, Ordering::Relaxed);
        let open = self.door().take();
        if let Some(open) = open {
            open.shut.send_replace(true);
            open.xrpc.close_streams().await;
            // Whoever keeps a connection open is cut off.
            let patience = Duration::from_millis(500);
            let mut task = open.task;
            if tokio::time::timeout(patience, &mut task).await.is_err() {
                task.abort();
            }
        }
    }

    /// Comes back.
    pub(crate) async fn come_back(&self) -> std::io::Result<()> {
        if !self.is_there() {
            self.serve(TcpListener::bind(at(self.port)).await?);
            self.there.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Ends it for good.
    pub(crate) async fn close(&self) {
        self.leave().await;
        if let Err(error) = self.store.close().await {
            tracing::debug!(event = "demo.close", name = self.name, %error, "a store of the demo did not close");
        }
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn config(
    name: &str,
    hostname: String,
    url: &str,
    dir: &Path,
    around: &Around,
) -> Result<HostConfig, DemoError> {
    let accounts = p2pds_host::accounts::AccountsConfig {
        service_name: Some(format!("{name} (demo)")),
        ..Default::default()
    };
    Ok(HostConfig {
        service_did: Did::parse(&format!("did:web:{hostname}")).map_err(DemoError::part("name a host"))?,
        hostname,
        public_url: url.to_owned(),
        dev_mode: true,
        handle_domains: vec![format!(".{name}.test")],
        recovery_key: None,
        plc_url: around.plc_url.clone(),
        invite_required: false,
        blob_limit: 5 << 20,
        blobs: Default::default(),
        import_limit: 1 << 30,
        fetch_limit: 512 << 10,
        imports: true,
        spool: dir.join("spool"),
        event_window: Duration::from_secs(7 * 24 * 3_600),
        firehose: Default::default(),
        relay: Default::default(),
        single_user: None,
        accounts,
    })
}
