//! The port's suite on SQLite: in a throw-away store and in a durable one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Arc, Mutex};

use p2pds_store::{Store, conformance};
use p2pds_store_sqlite::{Options, SqliteStore};

#[test]
fn throw_away_store() {
    conformance::run(|| {
        Arc::new(SqliteStore::open(":memory:", Options::default()).unwrap()) as Arc<dyn Store>
    });
}

#[test]
fn durable_store_with_small_caches_and_one_reader() {
    let dirs = Mutex::new(Vec::new());
    conformance::run(|| {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            readers: 1,
            writer_cache: 256 << 10,
            reader_cache: 256 << 10,
            wal_fold: 1 << 20,
            ballast: 1 << 16,
            ..Options::default()
        };
        let store = SqliteStore::open(dir.path(), options).unwrap();
        dirs.lock().unwrap().push(dir);
        Arc::new(store) as Arc<dyn Store>
    });
}
