//! One byte is flipped in each stored record and blob of an archive. None of them is given out while it is so, `verify
//! --read-data` finds each, and all are mended from the source. `P2PDS_FLIPPED_BYTES` is how many (1,000).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt as _;
use p2pds_blobs::Blobs;
use p2pds_ipld::Cid;
use p2pds_reading::{Reading, Viewer};
use p2pds_store::{AccountPatch, Serve, Store, Unit};
use p2pds_store_sqlite::{FILE_NAME, Options, SqliteStore};
use p2pds_syntax::{Did, ErrorKind, RecordPath};
use p2pds_testkit::exported::Exported;
use p2pds_testkit::madeup::{Content, MadeUp, State};
use p2pds_testkit::need;
use p2pds_testkit::oracle::bulk_key;
use p2pds_testkit::program::Program;
use p2pds_testkit::random::Random;
use p2pds_testkit::source::Source;
use rusqlite::Connection;

/// Images among the posts: one in ten.
fn content(count: usize) -> Content {
    let mut content = Content::posts("flip", count - count / 10);
    for n in 0..count / 10 {
        content.put_image(&bulk_key("image", n), n as u64, 300 + n);
    }
    content
}

/// Flips a bit of one byte in the stored form of every record. Answers how many.
fn flip_records(data: &Path, random: &mut Random) -> usize {
    let mut conn = Connection::open(data.join(FILE_NAME)).unwrap();
    let transaction = conn.transaction().unwrap();
    let rows: Vec<(i64, i64, String, Vec<u8>)> = transaction
        .prepare("SELECT repo, coll, rkey, body FROM record")
        .unwrap()
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for (repo, coll, rkey, mut body) in rows.iter().cloned() {
        let at = usize::try_from(random.below(body.len() as u64)).unwrap();
        body[at] ^= 1 << random.below(8);
        transaction
            .execute(
                "UPDATE record SET body = ?4 WHERE repo = ?1 AND coll = ?2 AND rkey = ?3",
                (repo, coll, rkey, body),
            )
            .unwrap();
    }
    transaction.commit().unwrap();
    rows.len()
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn flip_blobs(data: &Path, random: &mut Random) -> usize {
    let mut blobs = Vec::new();
    files(&data.join("blobs"), &mut blobs);
    for path in &blobs {
        let mut bytes = fs::read(path).unwrap();
        let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        bytes[at] ^= 1 << random.below(8);
        fs::write(path, bytes).unwrap();
    }
    blobs.len()
}

/// What the one door gives out of an account.
#[derive(Debug, Default, PartialEq, Eq)]
struct Given {
    records: usize,
    blobs: usize,
    whole: bool,
}

/// Asks the door for everything, on every path. Whatever it gives out is right.
async fn given(data: &Path, did: &Did, state: &State) -> Given {
    let store: Arc<dyn Store> =
        Arc::new(SqliteStore::open(data, Options { ballast: 0, ..Options::default() }).unwrap());
    let patch = AccountPatch {
        serve: Some(Serve::Public),
        serve_basis: Some(Some("a test".into())),
        ..AccountPatch::default()
    };
    store.apply(Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) }).await.unwrap();
    let door = Reading::new(Arc::clone(&store), Blobs::open(&data.join("blobs")).unwrap());
    let mut given = Given::default();
    for (path, bytes) in &state.records {
        let path = RecordPath::parse(path).unwrap();
        match door.record(Viewer::Public, did, &path).await {
            Ok(row) => {
                assert!(row.body.as_ref() == Some(bytes), "{path}: other bytes are given out");
                given.records += 1;
            }
            Err(refusal) => assert_eq!(refusal.kind(), ErrorKind::Corrupt, "{path}: {refusal}"),
        }
    }
    // By CID each block costs a look into its bucket: a sample.
    for bytes in state.records.values().step_by(state.records.len() / 50 + 1) {
        if let Ok(block) = door.block(Viewer::Public, did, &Cid::of_cbor(bytes)).await {
            assert!(block == *bytes, "other bytes are given out by CID");
        }
    }
    for (cid, bytes) in &state.blobs {
        match door.blob(Viewer::Public, did, &cid.parse().unwrap()).await {
            Ok(blob) => {
                assert_eq!(blob.row.size, bytes.len() as u64);
                given.blobs += 1;
            }
            Err(refusal) => assert_eq!(refusal.kind(), ErrorKind::Corrupt, "{cid}: {refusal}"),
        }
    }
    given.whole = match door.view(Viewer::Public, did).await {
        Ok(seen) => match door.car(Viewer::Public, seen, None).await {
            Ok(mut car) => loop {
                match car.next().await {
                    Some(Ok(_)) => {}
                    Some(Err(_)) => break false,
                    None => break true,
                }
            },
            Err(_) => false,
        },
        Err(_) => false,
    };
    store.close().await.unwrap();
    given
}

#[test]
fn every_flipped_byte_is_found_and_mended_and_none_is_given_out() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let count = usize::try_from(need::count("P2PDS_FLIPPED_BYTES", 1_000)).unwrap();
    let source = Source::start().unwrap();
    let account = MadeUp::new(1, &source.url);
    let state = account.sign(0, &content(count));
    source.serve(&account, &state);
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let program = Program::new(&data).unwrap().with_env(source.environment());
    program.ok(&["archive", "add", &account.did]).unwrap();
    let did: Did = account.did.parse().unwrap();
    let all = Given { records: state.records.len(), blobs: state.blobs.len(), whole: true };
    assert_eq!(runtime.block_on(given(&data, &did, &state)), all);

    let mut random = Random::from_environment();
    let records = flip_records(&data, &mut random);
    let blobs = flip_blobs(&data, &mut random);
    assert_eq!((records, blobs), (all.records, all.blobs));
    // A few bits of a compressed frame mean nothing: such records are as good as before.
    let out = runtime.block_on(given(&data, &did, &state));
    assert_eq!((out.blobs, out.whole), (0, false));
    assert!(out.records * 20 < records, "{} of {records} are still readable", out.records);

    let report = program.run(&["verify", &account.did, "--read-data", "--no-repair", "--json"]).unwrap();
    let report = report.expect(3).unwrap().json().unwrap();
    // Numbers have commas in them from a thousand on.
    let text = report.to_string().replace(',', "");
    let damaged = records - out.records;
    assert!(text.contains(&format!("{damaged} of ")), "{damaged} damaged records: {text:.2000}");
    assert!(text.contains(&format!("{blobs} blobs are lost or damaged")), "{blobs} blobs: {text:.2000}");

    let mended = program.run(&["verify", &account.did, "--read-data"]).unwrap().expect(3).unwrap();
    assert!(!mended.stderr.contains("panicked"), "{mended}");
    program
        .ok(&["verify", &account.did, "--read-data", "--no-repair"])
        .unwrap_or_else(|e| panic!("{e}\n{mended}"));
    assert_eq!(runtime.block_on(given(&data, &did, &state)), all);
    let out = dir.path().join("out");
    program.ok(&["export", &account.did, "--out", out.to_str().unwrap()]).unwrap();
    Exported::read(&out).unwrap().compare(&state.truth()).unwrap();
    println!(
        "{damaged} records and {blobs} blobs with a flipped byte: all found, all mended, none given out"
    );
}
