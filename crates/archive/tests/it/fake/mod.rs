//! A scripted network in one process: a PLC directory and any number of hosts, on loopback, that do what a test says.

#![allow(dead_code, reason = "every test file uses a part of it")]

pub mod past;
pub mod person;
pub mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use p2pds_archive::{Archive, ArchiveConfig, ArchiveDeps, Clock, Progress};
use p2pds_blobs::Blobs;
use p2pds_directory::{Directory, DirectoryConfig};
use p2pds_net::{Client, NetConfig};
use p2pds_store::Store;
use p2pds_store_sqlite::{Options, SqliteStore};
use tempfile::TempDir;

#[allow(unused_imports, reason = "every test file uses a part of it")]
pub use person::{Person, State};
#[allow(unused_imports, reason = "every test file uses a part of it")]
pub use server::{Blob, Fake, Getting};

/// Microseconds since 1970 at which all tests begin: 2026-11-21.
pub const NOW: u64 = 1_795_000_000_000_000;

/// A clock that a test moves.
#[derive(Debug)]
pub struct TestClock(pub AtomicU64);

impl Clock for TestClock {
    fn now_micros(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A node: store, blobs, archive, over a directory that can be opened again.
pub struct Node {
    pub dir: TempDir,
    pub store: Arc<dyn Store>,
    pub archive: Archive,
    pub clock: Arc<TestClock>,
    plc_url: String,
    config: ArchiveConfig,
}

impl Node {
    pub fn new(plc_url: &str) -> Self {
        Self::with(plc_url, test_config())
    }

    pub fn with(plc_url: &str, config: ArchiveConfig) -> Self {
        Self::open(tempfile::tempdir().unwrap(), plc_url, config)
    }

    fn open(dir: TempDir, plc_url: &str, config: ArchiveConfig) -> Self {
        let options = Options { ballast: 0, ..Options::default() };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir.path(), options).unwrap());
        let clock = Arc::new(TestClock(AtomicU64::new(NOW)));
        let net = NetConfig {
            backoff_base: Duration::from_millis(1),
            backoff_cap: Duration::from_millis(5),
            rate_window: Duration::from_secs(5),
            ..NetConfig::development()
        };
        let net = Client::new(net).unwrap();
        let directory = DirectoryConfig {
            plc_url: plc_url.to_owned(),
            refresh_pause: Duration::ZERO,
            fresh_for: Duration::ZERO,
            failure_pause: Duration::ZERO,
            max_failure_pause: Duration::ZERO,
            ..DirectoryConfig::default()
        };
        let directory = Directory::new(net.clone(), Arc::clone(&store), directory);
        let archive = Archive::new(
            ArchiveDeps {
                store: Arc::clone(&store),
                blobs: Blobs::open(&dir.path().join("blobs")).unwrap(),
                net,
                directory: Arc::new(directory),
                data_dir: dir.path().to_owned(),
                clock: Arc::clone(&clock) as Arc<dyn Clock>,
            },
            config.clone(),
        );
        Self { dir, store, archive, clock, plc_url: plc_url.to_owned(), config }
    }

    /// Closes everything and opens it again, as after a restart.
    pub async fn reopen(self) -> Self {
        let Self { dir, store, archive, plc_url, config, .. } = self;
        drop(archive);
        store.close().await.unwrap();
        drop(store);
        Self::open(dir, &plc_url, config)
    }

    /// Closes the store, lets `edit` change the database, and opens it again.
    pub async fn with_database(self, edit: impl FnOnce(&rusqlite::Connection)) -> Self {
        let Self { dir, store, archive, plc_url, config, .. } = self;
        drop(archive);
        store.close().await.unwrap();
        drop(store);
        let path = dir.path().join(p2pds_store_sqlite::FILE_NAME);
        let database = rusqlite::Connection::open(path).unwrap();
        edit(&database);
        drop(database);
        Self::open(dir, &plc_url, config)
    }

    /// Moves the clock on.
    pub fn pass(&self, hours: u64) {
        self.clock.0.fetch_add(hours * 3_600_000_000, std::sync::atomic::Ordering::Relaxed);
    }

    pub async fn add(&self, person: &Person) -> p2pds_archive::Summary {
        self.archive.add(person.did.as_str(), &Progress::none()).await.unwrap()
    }

    pub async fn sync(&self, person: &Person) -> p2pds_archive::Summary {
        self.archive.sync(&person.did, &Progress::none()).await.unwrap()
    }

    /// Path to bytes of all that is stored of an account, read page by page.
    pub async fn contents(&self, person: &Person) -> std::collections::BTreeMap<String, Vec<u8>> {
        let repo = self.store.live_repo(&person.did).await.unwrap().unwrap();
        let mut query = p2pds_store::RecordsQuery::all(repo.id);
        let mut all = std::collections::BTreeMap::new();
        loop {
            let page = self.store.records(query.clone()).await.unwrap();
            let Some(last) = page.last() else { return all };
            query = query.after(&last.key);
            all.extend(page.iter().map(|row| (row.key.to_string(), row.body.clone().unwrap())));
        }
    }

    pub async fn head(&self, person: &Person) -> Option<p2pds_store::Head> {
        self.store.live_repo(&person.did).await.unwrap().and_then(|repo| repo.head)
    }
}

pub fn test_config() -> ArchiveConfig {
    ArchiveConfig {
        keep_free: 1 << 20,
        blob_tries_per_run: 1,
        repo_deadline: Duration::from_secs(30),
        blob_deadline: Duration::from_secs(30),
        ..ArchiveConfig::default()
    }
}

/// Flips a bit in the middle of a stored record body.
pub fn flip_body(database: &rusqlite::Connection, rkey: &str) {
    let mut body: Vec<u8> =
        database.query_row("SELECT body FROM record WHERE rkey = ?1", [rkey], |row| row.get(0)).unwrap();
    let middle = body.len() / 2;
    body[middle] ^= 1;
    let changed = database
        .execute("UPDATE record SET body = ?1 WHERE rkey = ?2", rusqlite::params![body, rkey])
        .unwrap();
    assert_eq!(changed, 1);
}
