//! A host over a real store in a temporary directory, without a network, on a clock that tests set.
#![allow(dead_code, reason = "every test uses a part of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use p2pds_blobs::Blobs;
use p2pds_crypto::{PublicKey, Signer as _};
use p2pds_directory::{Directory, DirectoryConfig};
use p2pds_host::keys::Keys;
use p2pds_host::{Host, HostConfig, HostDeps};
use p2pds_ipld::cbor::Value;
use p2pds_net::{Client, NetConfig};
use p2pds_reading::Reading;
use p2pds_store::{Account, Login, Origin, Store, Unit};
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_syntax::{Did, Nsid, Rkey};
use tempfile::TempDir;

/// When the clock of a new host stands.
pub const START: i64 = 1_760_000_000_000_000;

/// A host and what it stands on.
pub struct Node {
    pub host: Host,
    pub store: Arc<dyn Store>,
    pub clock: Arc<AtomicI64>,
    pub dir: TempDir,
}

impl Node {
    /// A host without accounts. Its clock moves a microsecond each time it is asked.
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir.path(), Options::default()).unwrap());
        Self::over(dir, store)
    }

    /// A host over a store.
    pub fn over(dir: TempDir, store: Arc<dyn Store>) -> Self {
        Self::with(dir, store, config())
    }

    /// A host without accounts that asks this PLC directory, and for one account anew so often.
    pub fn beside(plc_url: &str, refresh_pause: Duration) -> Self {
        let dir = TempDir::new().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir.path(), Options::default()).unwrap());
        let directory =
            DirectoryConfig { plc_url: plc_url.to_owned(), refresh_pause, ..DirectoryConfig::default() };
        Self::asking(dir, store, config(), directory, Keys::in_memory().unwrap(), alone())
    }

    /// A host over a store, with these settings, whose requests go out so.
    pub fn reaching(dir: TempDir, store: Arc<dyn Store>, config: HostConfig, net: NetConfig) -> Self {
        Self::asking(dir, store, config, DirectoryConfig::default(), Keys::in_memory().unwrap(), net)
    }

    /// A host over a store, with these settings.
    pub fn with(dir: TempDir, store: Arc<dyn Store>, config: HostConfig) -> Self {
        Self::with_keys(dir, store, config, Keys::in_memory().unwrap())
    }

    /// A host over a store, with these settings and keys.
    pub fn with_keys(dir: TempDir, store: Arc<dyn Store>, config: HostConfig, keys: Keys) -> Self {
        let directory = DirectoryConfig { plc_url: config.plc_url.clone(), ..DirectoryConfig::default() };
        Self::asking(dir, store, config, directory, keys, alone())
    }

    fn asking(
        dir: TempDir,
        store: Arc<dyn Store>,
        config: HostConfig,
        directory: DirectoryConfig,
        keys: Keys,
        net: NetConfig,
    ) -> Self {
        let blobs = Blobs::open(&dir.path().join("blobs")).unwrap();
        let net = Client::new(net).unwrap();
        let directory = Directory::new(net.clone(), Arc::clone(&store), directory);
        let clock = Arc::new(AtomicI64::new(START));
        let time = Arc::clone(&clock);
        let deps = HostDeps {
            store: Arc::clone(&store),
            blobs: blobs.clone(),
            net,
            directory: Arc::new(directory),
            reading: Reading::new(Arc::clone(&store), blobs),
            clock: Arc::new(move || time.fetch_add(1, Ordering::Relaxed)),
            keys: Arc::new(keys),
        };
        Self { host: Host::new(deps, config), store, clock, dir }
    }

    /// Makes a hosted account with an empty repo; its signing key.
    pub async fn account(&self, did: &Did) -> PublicKey {
        let key = self.host.keys().new_signing_key().unwrap();
        let opened = self.host.open_repo(did, &key).unwrap();
        let login = Login {
            did: did.clone(),
            email: String::new(),
            email_confirmed_at: None,
            password: String::new(),
            created_at: self.host.now(),
            deactivated_at: None,
            delete_after: None,
            takedown: None,
            invites_disabled: false,
            invited_by: None,
            signing_key: self.host.keys().wrap(&key, did).unwrap(),
            signing_did_key: key.public_key().to_did_key(),
        };
        let units = vec![
            Unit::AddAccount(Box::new(Account::new(did.clone(), Origin::Network, self.host.now()))),
            Unit::PutLogin(Box::new(login)),
            opened.repo,
            opened.commit,
        ];
        self.store.apply(Unit::Batch { did: did.clone(), units }).await.unwrap();
        key.public_key()
    }
}

/// Requests reach this machine.
fn alone() -> NetConfig {
    NetConfig { allow_loopback: true, ..NetConfig::default() }
}

/// Settings of a host in development.
pub fn config() -> HostConfig {
    HostConfig {
        hostname: "pds.test".to_owned(),
        public_url: "http://pds.test".to_owned(),
        service_did: Did::parse("did:web:pds.test").unwrap(),
        dev_mode: true,
        handle_domains: vec![".pds.test".to_owned()],
        recovery_key: None,
        plc_url: "http://127.0.0.1:1".to_owned(),
        invite_required: false,
        blob_limit: 5 << 20,
        blobs: p2pds_host::blobs::BlobsConfig::default(),
        import_limit: 1 << 30,
        fetch_limit: 512 << 10,
        imports: true,
        spool: std::env::temp_dir(),
        event_window: Duration::from_secs(86_400),
        firehose: Default::default(),
        relay: Default::default(),
        single_user: None,
        accounts: Default::default(),
    }
}

/// A DID of its own for each number.
pub fn did(number: u32) -> Did {
    Did::parse(&format!("did:web:user{number}.example")).unwrap()
}

/// A post.
pub fn post(text: &str) -> Value {
    Value::map([
        ("text", Value::Text(text.to_owned())),
        ("createdAt", Value::Text("2026-01-01T00:00:00.000Z".to_owned())),
    ])
}

pub fn nsid(text: &str) -> Nsid {
    Nsid::parse(text).unwrap()
}

pub fn rkey(text: &str) -> Rkey {
    Rkey::parse(text).unwrap()
}
