//! The writer: signed commits one after the other into a store, several in flight, each acknowledged on standard
//! output once the store says that it is durable.
//!
//! What the account holds at step n follows from n alone, so that any state found later can be compared.

use std::collections::VecDeque;
use std::path::Path;

use p2pds_ipld::Cid;
use p2pds_store::{
    Account, Applied, BucketRow, BucketUpdate, Change, Head, Kind, Origin, RecordsQuery, Role, Store, Unit,
    Version,
};
use p2pds_store_sqlite::{Options, SqliteStore, Synchronous};
use p2pds_syntax::{Did, RecordPath, Tid};
use p2pds_testkit::madeup::{Content, MadeUp, State};
use p2pds_testkit::oracle::{bulk_key, post_record};

/// Names the data directory to the writer's process.
pub const DATA: &str = "P2PDS_TEST_WRITER_DATA";
/// `full`, or `normal` to show that the test can fail.
pub const SYNCHRONOUS: &str = "P2PDS_TEST_WRITER_SYNCHRONOUS";

/// Posts that the account holds at most.
const WINDOW: u64 = 120;
/// Commits submitted and not yet acknowledged.
const IN_FLIGHT: usize = 8;

/// What the account holds at a step.
fn content(step: u64) -> Content {
    let mut content = Content::default();
    for n in step.saturating_sub(WINDOW)..=step {
        let text = if n + 5 > step { format!("new {n}") } else { format!("settled {n}") };
        content.put(&bulk_key("writer", usize::try_from(n).unwrap()), &post_record(&text));
    }
    content
}

fn account() -> MadeUp {
    MadeUp::new(77, "http://localhost:1")
}

fn head(account: &MadeUp, state: &State) -> Box<Head> {
    Box::new(Head {
        rev: Tid::parse(&state.rev).unwrap(),
        data: state.data.parse().unwrap(),
        commit: state.commit.parse().unwrap(),
        sig: state.signature,
        key: account.signing_key(),
        raw: None,
    })
}

/// The commit from one step to the next.
fn commit(account: &MadeUp, step: u64) -> Unit {
    let (old, new) = (content(step - 1), content(step));
    let cid = |bytes: &Vec<u8>| Cid::of_cbor(bytes);
    let version = |bytes: &Vec<u8>| Version { cid: cid(bytes), body: Some(bytes.clone()), blobs: Vec::new() };
    let mut changes = Vec::new();
    for (path, bytes) in new.records() {
        let before = old.records().get(path);
        if before != Some(bytes) {
            let key = RecordPath::parse(path).unwrap();
            changes.push(Change { key, old: before.map(cid), new: Some(version(bytes)) });
        }
    }
    for (path, bytes) in old.records().iter().filter(|(path, _)| !new.records().contains_key(*path)) {
        changes.push(Change { key: RecordPath::parse(path).unwrap(), old: Some(cid(bytes)), new: None });
    }
    Unit::ApplyCommit {
        did: account.did.parse().unwrap(),
        expect: Tid::parse(&p2pds_testkit::madeup::rev(step - 1)).unwrap(),
        head: head(account, &account.sign(step, &new)),
        changes,
        buckets: BucketUpdate::MarkDirty,
        seen: p2pds_store::Seen::default(),
    }
}

/// The account with its first, empty, repo.
async fn begin(store: &SqliteStore, account: &MadeUp, did: &Did) {
    let first = account.sign(0, &content(0));
    let rev = Tid::parse(&first.rev).unwrap();
    store.apply(Unit::AddAccount(Box::new(Account::new(did.clone(), Origin::File, 0)))).await.unwrap();
    let begun = store.apply(Unit::BeginStaging { did: did.clone(), kind: Kind::Mst, rev }).await.unwrap();
    let Applied::Staging(repo) = begun else { panic!("{begun:?}") };
    let rows = first
        .records
        .iter()
        .map(|(path, bytes)| p2pds_store::StagedRow {
            key: RecordPath::parse(path).unwrap(),
            cid: Cid::of_cbor(bytes),
            body: Some(bytes.clone()),
            blobs: Vec::new(),
        })
        .collect();
    store.apply(Unit::StageRecords { did: did.clone(), repo, rows }).await.unwrap();
    let bucket = BucketRow {
        lo: Vec::new(),
        lo_cid: None,
        n: 1,
        layer_root: None,
        dirty: true,
        rev,
        prefixes: Vec::new(),
    };
    store.apply(Unit::StageBuckets { did: did.clone(), repo, rows: vec![bucket] }).await.unwrap();
    let head = head(account, &first);
    let role = Role::Archived;
    store
        .apply(Unit::Flip { did: did.clone(), repo, expect: None, head, role, accept_older: false, at: 0 })
        .await
        .unwrap();
}

/// The step that is stored; `None` while there is no account.
async fn stored_step(store: &SqliteStore, did: &Did) -> Option<u64> {
    let repo = store.live_repo(did).await.unwrap()?;
    let base = Tid::parse(&p2pds_testkit::madeup::rev(0)).unwrap().micros();
    Some((repo.head.unwrap().rev.micros() - base) / 1_000_000)
}

fn open(data: &Path) -> SqliteStore {
    let synchronous = match std::env::var(SYNCHRONOUS).as_deref() {
        Ok("normal") => Synchronous::Normal,
        _ => Synchronous::Full,
    };
    SqliteStore::open(data, Options { synchronous, ..Options::default() }).unwrap()
}

/// Goes on from the stored step to `until`; the last step acknowledged. Each is printed.
pub fn write(data: &Path, until: u64) -> Result<u64, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        std::fs::create_dir_all(data).unwrap();
        let (account, store) = (account(), open(data));
        let did: Did = account.did.parse().unwrap();
        if store.live_repo(&did).await.unwrap().is_none() {
            begin(&store, &account, &did).await;
        }
        let mut step = stored_step(&store, &did).await.unwrap();
        let mut acknowledged = step;
        let mut waiting = VecDeque::new();
        while acknowledged < until {
            while waiting.len() < IN_FLIGHT && step < until {
                step += 1;
                waiting.push_back((step, store.submit(commit(&account, step))));
            }
            let Some((step, receipt)) = waiting.pop_front() else { break };
            receipt.await.map_err(|error| format!("step {step}: {error}"))?;
            acknowledged = step;
            println!("ack {step}");
        }
        store.close().await.map_err(|error| error.to_string())?;
        Ok(acknowledged)
    })
}

/// The writer's process: it never returns to the test.
pub fn run(data: &Path, until: u64) -> ! {
    let outcome = write(data, until);
    std::process::exit(i32::from(outcome.is_err()))
}

/// Opens what is on the disk and compares all of it with what the stored step should hold; gives that step.
pub fn check(data: &Path) -> Result<u64, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (account, store) = (account(), open(data));
        let did: Did = account.did.parse().unwrap();
        let broken = store.check_structure().await.map_err(|error| error.to_string())?;
        if !broken.is_empty() {
            return Err(format!("the database is broken: {broken:?}"));
        }
        let Some(step) = stored_step(&store, &did).await else { return Ok(0) };
        let wanted = account.sign(step, &content(step));
        let repo = store.live_repo(&did).await.unwrap().unwrap();
        if repo.head.as_ref() != Some(&*head(&account, &wanted)) {
            return Err(format!("step {step} has another head: {:?}", repo.head));
        }
        let rows = store.records(RecordsQuery::all(repo.id)).await.map_err(|error| error.to_string())?;
        let found: Vec<_> =
            rows.into_iter().map(|row| (row.key.to_string(), row.body.unwrap_or_default())).collect();
        let expected: Vec<_> = wanted.records.into_iter().collect();
        store.close().await.map_err(|error| error.to_string())?;
        if found == expected {
            Ok(step)
        } else {
            Err(format!("step {step} holds other records than it should"))
        }
    })
}
