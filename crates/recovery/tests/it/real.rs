//! Real repos: imported, checked, exported, read back; what comes out holds the same commit and the same records.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::PathBuf;

use p2pds_archive::{Outcome, Progress, VerifyOptions};
use p2pds_ipld::Cid;
use p2pds_recovery::{ExportOptions, Recovery, inspect};
use p2pds_repo::car_in::{ReadOptions, read_slice};

use crate::fake::Node;

/// CID and bytes of each record by its path.
type Records = BTreeMap<Vec<u8>, (Cid, Option<Vec<u8>>)>;

/// Commit and records of a CAR file in memory.
fn read(car: &[u8]) -> Option<(Cid, Records)> {
    let mut records = BTreeMap::new();
    let mut sink = |key: &[u8], cid: &Cid, body: Option<&[u8]>| {
        records.insert(key.to_vec(), (*cid, body.map(<[u8]>::to_vec)));
        ControlFlow::Continue(())
    };
    let summary = read_slice(car, ReadOptions::DEFAULT, &mut sink).ok()?;
    Some((summary.cid, records))
}

#[tokio::test(flavor = "multi_thread")]
async fn real_repos_come_out_as_they_went_in() {
    let Some(shared) = std::env::var_os("P2PDS_SHARED").map(PathBuf::from) else {
        assert!(std::env::var_os("P2PDS_REQUIRE_SHARED").is_none(), "P2PDS_SHARED is not set");
        eprintln!("SKIPPED: set P2PDS_SHARED to the directory with vectors/cars");
        return;
    };
    let mut tried = BTreeSet::new();
    for entry in std::fs::read_dir(shared.join("vectors/cars")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".car") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let node = Node::new("http://localhost:1");
        let outcome = node.archive.import(&path, None, &Progress::none()).await;
        let Some((commit, records)) = read(&bytes) else {
            // A slice of a repo, or an older format: refused in words, and nothing of it is kept.
            let error = outcome.unwrap_err();
            eprintln!("{name}: {error}");
            assert!(node.archive.list().await.unwrap().is_empty(), "{name}");
            continue;
        };
        let report = outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(report.summary.outcome, Outcome::Stored, "{name}");
        assert_eq!(report.summary.records, records.len() as u64, "{name}");
        let did = report.summary.did.clone();
        let options = VerifyOptions { read_data: true, repair: false };
        let check = node.archive.verify(&did, options, &Progress::none()).await.unwrap();
        assert!(check.ok, "{name}: {check}");
        let out = node.dir.path().join("out");
        // Ten thousand small files are slow to remove again; the other repos show that they are right.
        let options = ExportOptions { readable: name != "midsize.car", html: false };
        let recovery = Recovery::new(node.archive.clone());
        recovery.export_with(&did, &out, options, &Progress::none()).await.unwrap();
        let again = read(&std::fs::read(out.join("repo.car")).unwrap()).unwrap();
        assert_eq!(again, (commit, records), "{name}");
        let found = inspect(&out).unwrap();
        assert!(found.ok(), "{name}: {:?}", found.steps);
        tried.insert(name);
    }
    assert!(tried.contains("midsize.car"), "only {tried:?} were read");
}
