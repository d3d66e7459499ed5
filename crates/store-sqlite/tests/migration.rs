//! A data directory of an earlier version opens and keeps everything.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::path::Path;
use std::sync::Arc;

use p2pds_ipld::Cid;
use p2pds_store::view::{Stager, block_on};
use p2pds_store::{
    Account, AccountPatch, AccountStatus, BlobFilter, BlobRef, BlobState, BucketUpdate, Change, Evidence,
    Finding, Head, IdentityRow, Keep, Origin, PlcRow, RecordsQuery, Repo, Role, Seen, StagedRow, Store, Unit,
    Version, WorkerRow, commit_cid,
};
use p2pds_store_sqlite::{FILE_NAME, Options, SqliteStore};
use p2pds_syntax::{Did, RecordPath, Tid};
use rusqlite::Connection;

const FIRST: &str = include_str!("../migrations/0001_init.sql");

fn did(letter: char) -> Did {
    Did::parse(&format!("did:plc:{}", letter.to_string().repeat(24))).unwrap()
}

fn rev(n: u64) -> Tid {
    Tid::from_micros(1_700_000_000_000_000 + n, 1)
}

fn open(dir: &Path) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(dir, Options { ballast: 0, ..Options::default() }).unwrap())
}

fn head(did: &Did, rev: Tid, data: Cid) -> Box<Head> {
    let sig = [3; 64];
    let commit = commit_cid(did, rev, &data, &sig).unwrap();
    Box::new(Head { rev, data, commit, sig, key: "did:key:zTest".into(), raw: None })
}

fn body(n: u64) -> Vec<u8> {
    let text = format!("note {n:03}");
    let mut out = vec![0xa1, 0x61, b't', 0x68];
    out.extend(text.as_bytes());
    out
}

fn key(n: u64) -> RecordPath {
    RecordPath::parse(&format!("app.test.note/{n:06}")).unwrap()
}

/// One of everything, written with the present version.
fn fill(store: &Arc<dyn Store>) {
    for who in ['a', 'b'].map(did) {
        let ok = |unit: Unit| block_on(store.apply(unit)).unwrap();
        ok(Unit::AddAccount(Box::new(Account::new(who.clone(), Origin::Network, 5))));
        let mut stager = Stager::begin(Arc::clone(store), who.clone(), rev(1)).unwrap();
        for n in 0..600 {
            let blobs = vec![BlobRef {
                cid: Cid::of_raw(&[u8::try_from(n % 5).unwrap()]),
                size: 9,
                mime: "image/png".into(),
            }];
            let row = StagedRow { key: key(n), cid: Cid::of_cbor(&body(n)), body: Some(body(n)), blobs };
            stager.push(row).unwrap();
        }
        let staged = stager.finish().unwrap();
        let (expect, role) = (None, Role::Archived);
        let first = head(&who, rev(1), staged.root);
        let (repo, accept_older) = (staged.repo, false);
        ok(Unit::Flip { did: who.clone(), repo, expect, head: first, role, accept_older, at: 0 });
        let new = Version { cid: Cid::of_cbor(&body(999)), body: Some(body(999)), blobs: vec![] };
        let change = Change { key: key(7), old: Some(Cid::of_cbor(&body(7))), new: Some(new) };
        ok(Unit::ApplyCommit {
            did: who.clone(),
            expect: rev(1),
            head: head(&who, rev(2), Cid::of_cbor(b"root")),
            changes: vec![change],
            buckets: BucketUpdate::MarkDirty,
            seen: Seen::default(),
        });
        ok(Unit::PutBlob {
            did: who.clone(),
            cid: Cid::of_raw(&[1]),
            size: Some(9),
            mime: None,
            state: BlobState::Held,
        });
        let op = PlcRow {
            operation: b"{}".to_vec(),
            cid: "b".into(),
            nullified: false,
            created_at: "2026-01-01".into(),
        };
        ok(Unit::PutPlcLog { did: who.clone(), ops: vec![op], fetched_at: 8 });
        ok(Unit::PutIdentity(IdentityRow {
            did: who.clone(),
            doc: b"{}".to_vec(),
            handle: None,
            fetched_at: 8,
        }));
        let (kind, detail) = ("equivocation".to_owned(), "{}".to_owned());
        ok(Unit::AddEvidence(Evidence {
            id: 0,
            times: 1,
            last_at: None,
            did: who.clone(),
            at: 1,
            kind: kind.clone(),
            detail,
            data: None,
        }));
        let (subject, detail) = (String::new(), "words".to_owned());
        ok(Unit::PutFinding(Finding { did: who.clone(), kind, subject, detail, first_at: 1, last_at: 2 }));
        let patch = AccountPatch {
            handle: Some(Some("a.example".into())),
            quota: Some(Some(7)),
            ..AccountPatch::default()
        };
        ok(Unit::PatchAccount { did: who.clone(), patch: Box::new(patch) });
        ok(Unit::PutWorker(WorkerRow {
            name: format!("archive:{who}"),
            did: Some(who.clone()),
            state: "syncing".into(),
            done: 1,
            total: 2,
            notes: "{}".into(),
            last_error: None,
            next_run: Some(3),
            updated_at: 4,
        }));
    }
    block_on(store.apply(Unit::PutSetting { name: "a".into(), value: Some("b".into()) })).unwrap();
}

/// Everything that the port shows, in one text.
fn show(store: &Arc<dyn Store>) -> String {
    let mut out = String::new();
    for who in ['a', 'b'].map(did) {
        let live: Repo = block_on(store.live_repo(&who)).unwrap().unwrap();
        let page = |at| {
            let mut rows = Vec::new();
            let mut query = RecordsQuery { at, ..RecordsQuery::all(live.id) };
            while let page @ [_, ..] = block_on(store.records(query.clone())).unwrap().as_slice() {
                query = query.after(&page[page.len() - 1].key);
                rows.extend_from_slice(page);
            }
            rows
        };
        out += &format!(
            "{:#?}",
            (
                (&live, page(None), page(Some(rev(1)))),
                block_on(store.account(&who)).unwrap(),
                block_on(store.versions(&who, &key(7))).unwrap(),
                block_on(store.commits(&who, None, 9))
                    .unwrap()
                    .into_iter()
                    .map(|row| row.head)
                    .collect::<Vec<_>>(),
                block_on(store.buckets(live.id, true)).unwrap(),
                block_on(store.blobs(&who, BlobFilter::All, None, 99)).unwrap(),
                block_on(store.blob_referers(&who, &Cid::of_raw(&[1]))).unwrap(),
                (block_on(store.plc_log(&who)).unwrap(), block_on(store.identity(&who)).unwrap()),
                (block_on(store.evidence(&who, 9)).unwrap(), block_on(store.findings(&who, 9)).unwrap()),
            )
        );
    }
    out + &format!("{:?}{:?}", block_on(store.workers()).unwrap(), block_on(store.setting("a")).unwrap())
}

/// A database of the first schema with the rows of `from`, as far as it has columns for them.
fn downgrade(from: &Path, to: &Path) {
    let conn = Connection::open(to.join(FILE_NAME)).unwrap();
    conn.execute_batch(
        "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA application_id=1882351716;",
    )
    .unwrap();
    conn.execute_batch(FIRST).unwrap();
    conn.execute_batch("PRAGMA user_version=1; PRAGMA journal_mode=WAL;").unwrap();
    conn.execute("ATTACH ?1 AS new", [from.join(FILE_NAME).to_str().unwrap()]).unwrap();
    let names = |sql: &str| -> Vec<String> {
        let mut select = conn.prepare(sql).unwrap();
        select.query_map([], |r| r.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    for table in
        names("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    {
        let columns = names(&format!("SELECT name FROM pragma_table_info('{table}', 'main')")).join(", ");
        conn.execute_batch(&format!(
            "INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}"
        ))
        .unwrap();
    }
}

#[test]
fn a_database_of_the_first_schema_opens_and_keeps_everything() {
    let (new, old) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(new.path());
    fill(&store);
    let wanted = show(&store);
    block_on(store.close()).unwrap();
    drop(store);
    downgrade(new.path(), old.path());

    let store = open(old.path());
    assert_eq!(show(&store), wanted);
    let account = block_on(store.account(&did('a'))).unwrap().unwrap();
    assert_eq!((account.priority, account.keep, account.keep_basis), (0, Keep::Window, None));
    assert_eq!((account.withdrawn_at, account.horizon), (None, None));
    let history = block_on(store.history(&did('a'), None, 9)).unwrap();
    assert!(
        history.iter().all(|row| row.seen_at.is_none() && row.counts.is_none() && row.line == 0),
        "{history:?}"
    );
    // And it goes on: the new columns are written, what is old can be pruned and purged.
    let patch =
        AccountPatch { status: Some(AccountStatus::Deleted), status_at: Some(9), ..AccountPatch::default() };
    block_on(store.apply(Unit::PatchAccount { did: did('a'), patch: Box::new(patch) })).unwrap();
    assert_eq!(block_on(store.account(&did('a'))).unwrap().unwrap().withdrawn_at, Some(9));
    block_on(store.apply(Unit::Prune { did: did('a'), line: 0, before: Some(rev(2)) })).unwrap();
    assert_eq!(block_on(store.versions(&did('a'), &key(7))).unwrap().len(), 1);
    let report = block_on(p2pds_store::view::purge(&*store, &did('a'), "test", 10)).unwrap();
    assert_eq!(report.left, 0, "{report}");
    assert_eq!(block_on(store.check_structure()).unwrap(), Vec::<String>::new());
}

#[test]
fn the_first_schema_is_never_edited() {
    // Append only: a database out there was made by exactly these bytes.
    let pinned = "bafkreialafggpdsktthijxzfx5ie66lj4mysm3mi362jlkjmfpgrzeban4";
    assert_eq!(Cid::of_raw(FIRST.as_bytes()).to_string(), pinned);
}
