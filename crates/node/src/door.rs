//! The door of the pages: whose node this is, and signing in at hosts of accounts.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use p2pds_agent::{Agents, AgentsDeps, Seal, Us};
use p2pds_directory::Directory;
use p2pds_host::Host;
use p2pds_host::keys::{DIRECTORY, Fresh, Purpose, derived_alone};
use p2pds_net::Client;
use p2pds_store::Store;
use p2pds_web::{Door, DoorConfig, DoorDeps, VisitorAddress};
use p2pds_xrpc::{Net, PeerAddress, counted_address};

use crate::config::Config;
use crate::words::now_micros;

/// The door on what the engine is made of. `fresh`: whether a missing `node.key` may be made when it is first wanted.
#[must_use]
pub fn open(
    config: &Config,
    dir: &Path,
    store: &Arc<dyn Store>,
    net: Client,
    directory: Arc<Directory>,
    host: Option<Host>,
    fresh: Fresh,
) -> Door {
    let public_url = public_url(config);
    let clock: Arc<dyn Fn() -> i64 + Send + Sync> = Arc::new(now_micros);
    let agents = Agents::new(AgentsDeps {
        net,
        directory,
        store: Arc::clone(store),
        clock: Arc::clone(&clock),
        seal: seal(dir, host, fresh),
        us: Us::of(public_url.as_deref(), config.http.port),
    });
    let hostname = config.http.hostname.as_ref().map(|name| name.to_ascii_lowercase());
    let config = DoorConfig { hostname, public_url, port: config.http.port };
    Door::new(DoorDeps { store: Arc::clone(store), agents, clock, config })
}

/// The address under which browsers reach this node from elsewhere, if there is one.
#[must_use]
pub fn public_url(config: &Config) -> Option<String> {
    if let Some(url) = &config.http.public_url {
        return Some(url.as_str().trim_end_matches('/').to_owned());
    }
    let name = config.http.hostname.as_ref().filter(|_| !config.hosting.dev_mode)?;
    Some(format!("https://{}", name.to_ascii_lowercase()))
}

/// What seals the sessions at hosts: a key of its own, derived from the node's.
fn seal(dir: &Path, host: Option<Host>, fresh: Fresh) -> Seal {
    let dir = dir.join(DIRECTORY);
    Seal::from(move || match &host {
        Some(host) => Ok(host.keys().derived(Purpose::AgentSessions)),
        None => derived_alone(&dir, Purpose::AgentSessions, fresh).map_err(|error| error.to_string()),
    })
}

/// The same routes, with the address of whoever asks: of a proxy on this machine or of the settings, what it says.
pub fn addressed(routes: Router, trusted: Vec<Net>) -> Router {
    let trusted = Arc::new(trusted);
    routes.layer(middleware::from_fn(move |mut request: Request, next: Next| {
        let peer = request.extensions().get::<PeerAddress>();
        let address = VisitorAddress(counted_address(peer, request.headers(), &trusted));
        request.extensions_mut().insert(address);
        next.run(request)
    }))
}
