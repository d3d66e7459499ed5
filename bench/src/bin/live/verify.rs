//! What a follower holds at the end, against what is true.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use p2pds_store::view::block_on;
use p2pds_store::{RecordsQuery, Store};
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_syntax::Did;
use p2pds_testkit::stream::Host;

/// Records held in a node's store, and how many of them, or of the truth's, have no counterpart.
pub fn store(data: &Path, host: &Host, accounts: usize) -> (f64, f64) {
    let store: Arc<dyn Store> =
        Arc::new(SqliteStore::open(data, Options::default()).expect("the store opens"));
    let outcome = compare(host, accounts, |did| {
        let did = Did::parse(did).expect("a DID");
        let repo = block_on(store.live_repo(&did)).expect("the store reads").expect("a live repo");
        let query = RecordsQuery { max_rows: 10_000, ..RecordsQuery::all(repo.id).keys_only() };
        let rows = block_on(store.records(query)).expect("the store reads");
        rows.into_iter().map(|row| (row.key.to_string(), row.cid.to_string())).collect()
    });
    block_on(store.close()).expect("closed");
    outcome
}

pub fn compare(host: &Host, accounts: usize, held: impl Fn(&str) -> HashMap<String, String>) -> (f64, f64) {
    let (mut records, mut differences) = (0, 0);
    for n in 0..accounts {
        let held = held(&host.did(n));
        let truth = host.truth(n).records;
        records += held.len();
        let same = truth.iter().filter(|(path, cid)| held.get(*path) == Some(&cid.to_string())).count();
        differences += held.len().max(truth.len()) - same;
    }
    (records as f64, differences as f64)
}
