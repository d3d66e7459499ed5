//! The host: what its parts share.

use std::sync::{Arc, OnceLock};

use p2pds_blobs::Blobs;
use p2pds_directory::Directory;
use p2pds_net::Client;
use p2pds_reading::Reading;
use p2pds_store::Store;

use crate::accounts::Accounts;
use crate::blobs::HostBlobs;
use crate::clock::Clock;
use crate::config::HostConfig;
use crate::firehose::Firehose;
use crate::handles::Claims;
use crate::keys::Keys;
use crate::lexicons::Lexicons;
use crate::moving::ArchiveSide;
use crate::relay::Outbound;
use crate::service_auth::ServiceAuth;
use crate::write::Writes;

/// What the host stands on.
pub struct HostDeps {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The blobs.
    pub blobs: Blobs,
    /// The outbound client.
    pub net: Client,
    /// Identities.
    pub directory: Arc<Directory>,
    /// The door to stored bytes.
    pub reading: Reading,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The keys that sign and wrap.
    pub keys: Arc<Keys>,
}

/// The hosted accounts of this node. Cheap to clone.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

/// What all clones share.
struct Inner {
    deps: HostDeps,
    config: HostConfig,
    accounts: Accounts,
    blobs: HostBlobs,
    firehose: Firehose,
    outbound: Outbound,
    lexicons: Lexicons,
    writes: Writes,
    service_auth: ServiceAuth,
    handle_claims: Claims,
    archive: OnceLock<Arc<dyn ArchiveSide>>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("hostname", &self.0.config.hostname).finish_non_exhaustive()
    }
}

impl Host {
    /// A host on these parts.
    #[must_use]
    pub fn new(deps: HostDeps, config: HostConfig) -> Self {
        Self(Arc::new(Inner {
            deps,
            config,
            accounts: Accounts::default(),
            blobs: HostBlobs::default(),
            firehose: Firehose::default(),
            outbound: Outbound::default(),
            lexicons: Lexicons::default(),
            writes: Writes::default(),
            service_auth: ServiceAuth::default(),
            handle_claims: Claims::default(),
            archive: OnceLock::new(),
        }))
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &HostConfig {
        &self.0.config
    }

    pub(crate) fn host_blobs(&self) -> &HostBlobs {
        &self.0.blobs
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    pub(crate) fn service_auth(&self) -> &ServiceAuth {
        &self.0.service_auth
    }

    pub(crate) fn handle_claims(&self) -> &Claims {
        &self.0.handle_claims
    }

    pub(crate) fn archive_side(&self) -> &OnceLock<Arc<dyn ArchiveSide>> {
        &self.0.archive
    }

    pub(crate) fn writes(&self) -> &Writes {
        &self.0.writes
    }

    pub(crate) fn outbound(&self) -> &Outbound {
        &self.0.outbound
    }

    pub(crate) fn firehose(&self) -> &Firehose {
        &self.0.firehose
    }

    /// The schemas of records.
    #[must_use]
    pub fn lexicons(&self) -> &Lexicons {
        &self.0.lexicons
    }

    /// The store, for work on a thread of its own.
    pub(crate) fn store_handle(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0.deps.store)
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        self.0.deps.store.as_ref()
    }

    /// The blobs.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.0.deps.blobs
    }

    /// The outbound client.
    #[must_use]
    pub fn net(&self) -> &Client {
        &self.0.deps.net
    }

    /// Identities.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.0.deps.directory
    }

    /// The door to stored bytes.
    #[must_use]
    pub fn reading(&self) -> &Reading {
        &self.0.deps.reading
    }

    /// The keys that sign and wrap.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.0.deps.keys
    }

    /// The time, microseconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.0.deps.clock.now_micros()
    }
}
