//! One page of the database after the other is overwritten with noise. Each time the damage is found, what can be
//! read is copied into a new file, every row that is lost is named by table and account, and the account is fetched
//! again. `P2PDS_DAMAGED_PAGES` is how many pages (40; 0 for each), `P2PDS_REBUILT_PAGES` how many of them with the
//! whole program and its source (3).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use p2pds_store::view::block_on;
use p2pds_store::{Evidence, Store, Unit};
use p2pds_store_sqlite::{FILE_NAME, Options, SqliteStore, salvage};
use p2pds_testkit::exported::Exported;
use p2pds_testkit::madeup::{Content, MadeUp, State};
use p2pds_testkit::need;
use p2pds_testkit::oracle::bulk_key;
use p2pds_testkit::program::Program;
use p2pds_testkit::random::Random;
use p2pds_testkit::source::Source;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

const PAGE: usize = 4096;

struct Scene {
    _source: Source,
    accounts: Vec<(MadeUp, State)>,
    program: Program,
    dir: tempfile::TempDir,
}

impl Scene {
    /// Six accounts with short and long records, images, a second revision, evidence.
    fn archived() -> Self {
        let source = Source::start().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let program = Program::new(&dir.path().join("data")).unwrap().with_env(source.environment());
        let mut random = Random::new(5);
        let mut accounts = Vec::new();
        for seed in 0..6 {
            let account = MadeUp::new(seed, &source.url);
            let label = format!("page{seed}");
            let mut content = Content::posts(&label, 500);
            for n in 0..130 {
                let text: String =
                    (0..3_000).map(|_| char::from(b'a' + u8::try_from(random.below(26)).unwrap())).collect();
                content.put(&bulk_key(&format!("long{seed}"), n), &p2pds_testkit::oracle::post_record(&text));
            }
            content.put_image("3kaaaaaaaaaaa", seed, 2_000);
            source.serve(&account, &account.sign(0, &content));
            program.ok(&["archive", "add", &account.did]).unwrap();
            for n in 0..40 {
                content.delete(&bulk_key(&label, n));
                content.put(&bulk_key(&label, 50 + n), &p2pds_testkit::oracle::post_record("better words"));
            }
            let state = account.sign(9, &content);
            source.serve(&account, &state);
            accounts.push((account, state));
        }
        program.ok(&["archive", "sync"]).unwrap();
        let store = SqliteStore::open(program.data(), Options::default()).unwrap();
        for (at, (account, _)) in accounts.iter().enumerate() {
            let evidence = Evidence {
                id: 0,
                times: 1,
                last_at: None,
                did: account.did.parse().unwrap(),
                at: 1,
                kind: "test".into(),
                detail: "{}".into(),
                data: Some(vec![u8::try_from(at).unwrap(); 9_000]),
            };
            block_on(store.apply(Unit::AddEvidence(evidence))).unwrap();
        }
        block_on(store.close()).unwrap();
        drop(store);
        Self { _source: source, accounts, program, dir }
    }

    fn database(&self) -> std::path::PathBuf {
        self.program.data().join(FILE_NAME)
    }

    /// The pages to damage: spread evenly, the first ones with the schema and the roots among them.
    fn pages(&self, count: u64) -> Vec<u64> {
        let all = fs::metadata(self.database()).unwrap().len() / PAGE as u64;
        if count == 0 || count >= all {
            return (0..all).collect();
        }
        let first = (0..count / 4).collect::<BTreeSet<_>>();
        let spread = (0..count).map(|n| n * all / count);
        first
            .iter()
            .copied()
            .chain(spread.filter(|page| !first.contains(page)))
            .take(usize::try_from(count).unwrap())
            .collect()
    }
}

fn overwrite(file: &Path, page: u64) {
    let mut random = Random::new(1_000 + page);
    let noise: Vec<u8> = (0..PAGE).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
    let mut file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(page * PAGE as u64)).unwrap();
    file.write_all(&noise).unwrap();
}

type Rows = BTreeMap<String, BTreeSet<String>>;

/// Every row of every table, as text.
fn rows(file: &Path) -> Rows {
    let conn = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut names = conn
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap();
    let names: Vec<String> = names.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect();
    let mut all = Rows::new();
    for name in names {
        let mut select = conn.prepare(&format!("SELECT * FROM {name}")).unwrap();
        let columns: Vec<String> = select.column_names().map(str::to_owned).collect();
        let mut found = select.query([]).unwrap();
        let into = all.entry(name.clone()).or_default();
        while let Some(row) = found.next().unwrap() {
            let cells: Vec<String> = columns
                .iter()
                .enumerate()
                .filter(|(_, column)| !derived(&name, column))
                .map(|(at, column)| format!("{column}={:?}", row.get::<_, Value>(at).unwrap()))
                .collect();
            into.insert(cells.join(" "));
        }
    }
    all
}

/// What mending writes on purpose or counts anew.
fn derived(table: &str, column: &str) -> bool {
    match table {
        "account" => matches!(
            column,
            "last_verified_at" | "last_verify_ok" | "blobs_held" | "blobs_missing" | "blob_bytes"
        ),
        "bucket" => column == "dirty",
        "repo" => column == "next_cids",
        _ => false,
    }
}

/// The account that a row belongs to; empty for the node.
struct Owners {
    accounts: BTreeMap<i64, String>,
    repos: BTreeMap<i64, i64>,
}

impl Owners {
    fn of(file: &Path) -> Self {
        let conn = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let pair = |sql: &str| -> Vec<(i64, Value)> {
            let mut select = conn.prepare(sql).unwrap();
            select.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).unwrap().map(Result::unwrap).collect()
        };
        let text = |value| if let Value::Text(text) = value { text } else { panic!("{value:?}") };
        let number = |value| if let Value::Integer(number) = value { number } else { panic!("{value:?}") };
        Self {
            accounts: pair("SELECT id, did FROM account")
                .into_iter()
                .map(|(id, did)| (id, text(did)))
                .collect(),
            repos: pair("SELECT id, account FROM repo")
                .into_iter()
                .map(|(id, of)| (id, number(of)))
                .collect(),
        }
    }

    fn owner(&self, table: &str, row: &str) -> String {
        let number = |column: &str| -> i64 {
            let rest = row.split(&format!("{column}=Integer(")).nth(1).unwrap();
            rest.split(')').next().unwrap().parse().unwrap()
        };
        let account = |id: i64| self.accounts.get(&id).cloned().unwrap_or_default();
        match table {
            "account" => account(number("id")),
            "repo" | "signing_key" | "collection" | "past" | "commit_log" | "blob" => {
                account(number("account"))
            }
            "record" | "bucket" | "lexicon" => account(self.repos[&number("repo")]),
            "bucket_cids" => account(self.repos[&(number("id") >> 32)]),
            "blob_ref" => match number("repo") {
                past if past < 0 => account(-past),
                repo => account(self.repos[&repo]),
            },
            "plc" | "plc_op" | "identity" | "finding" | "sample" | "evidence" => {
                row.split("did=Text(\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
            }
            _ => String::new(),
        }
    }
}

/// Whether a store over this file finds damage when it is opened, read and checked.
fn found(dir: &Path) -> bool {
    let store = match SqliteStore::open(dir, Options { ballast: 0, ..Options::default() }) {
        Ok(store) => store,
        Err(error) => {
            assert_eq!(error.kind(), p2pds_syntax::ErrorKind::Corrupt, "{error}");
            return true;
        }
    };
    let said = block_on(store.check_structure());
    let found = !matches!(said, Ok(lines) if lines.is_empty());
    drop(store);
    assert_eq!(found, salvage::wanted(dir).is_some(), "what is found is noted for the next start");
    found
}

/// Every row is there, or named as lost.
fn nothing_silent(page: u64, before: &Rows, owners: &Owners, mended: &salvage::Mended, after: &Rows) -> u64 {
    let mut lost = 0;
    for (table, rows) in before.iter().filter(|(table, _)| !matches!(table.as_str(), "finding" | "setting")) {
        for row in rows.difference(&after[table]) {
            lost += 1;
            let owner = owners.owner(table, row);
            // Prefixes are computed again from the records, counts from the rows.
            if matches!(table.as_str(), "bucket_cids" | "lexicon") {
                continue;
            }
            let named = |who: &str| mended.lost.get(who).is_some_and(|tables| tables.contains_key(table));
            assert!(
                named(&owner) || named(""),
                "page {page}: {table} of {owner:?} is lost and not named: {row:.200}\n{:#?}",
                mended.lost
            );
        }
        for row in after[table].difference(&rows.clone()) {
            let owner = owners.owner(table, row);
            let named = mended.lost.get(&owner).is_some_and(|tables| tables.contains_key(table));
            assert!(
                named || table == "lexicon",
                "page {page}: {table} of {owner:?} has a row that nobody wrote: {row:.200}"
            );
        }
    }
    lost
}

#[test]
fn damaged_pages_are_found_named_and_fetched_again() {
    let scene = Scene::archived();
    each_is_found_and_nothing_is_lost_in_silence(&scene);
    an_account_that_lost_rows_is_fetched_again(&scene);
}

fn each_is_found_and_nothing_is_lost_in_silence(scene: &Scene) {
    let started = std::time::Instant::now();
    let (before, owners) = (rows(&scene.database()), Owners::of(&scene.database()));
    let pages = scene.pages(need::count("P2PDS_DAMAGED_PAGES", 40));
    let all = fs::metadata(scene.database()).unwrap().len() / PAGE as u64;
    assert!(all >= 1_000, "{all} pages");
    let (mut unused, mut harmless, mut lossy, mut narrow) = (0, 0, 0, 0);
    for page in &pages {
        let dir = tempfile::tempdir().unwrap();
        for name in [FILE_NAME, "p2pds.sqlite.schema"] {
            fs::copy(scene.program.data().join(name), dir.path().join(name)).unwrap();
        }
        overwrite(&dir.path().join(FILE_NAME), *page);
        let damaged = fs::read(dir.path().join(FILE_NAME)).unwrap();
        if !found(dir.path()) {
            // Only a page that holds nothing may go unnoticed.
            assert_eq!(rows(&dir.path().join(FILE_NAME)), before, "page {page}");
            unused += 1;
            continue;
        }
        let mended = salvage::mend(dir.path(), &Options::default(), "now", 7)
            .unwrap_or_else(|e| panic!("page {page}: {e}"));
        assert!(
            fs::read(&mended.kept).unwrap() == damaged,
            "page {page}: the damaged file is kept as it was"
        );
        assert!(!found(dir.path()), "page {page}: mended");
        match nothing_silent(*page, &before, &owners, &mended, &rows(&dir.path().join(FILE_NAME))) {
            0 => harmless += 1,
            _ => lossy += 1,
        }
        narrow += u64::from(mended.lost.len() <= 1);
    }
    println!(
        "{} of {all} pages: {lossy} with losses, each named; {harmless} without; {unused} unused; \
         {narrow} concern one account at most; {:.1} s",
        pages.len(),
        started.elapsed().as_secs_f64()
    );
    assert!(lossy > 0 && harmless > 0);
}

fn an_account_that_lost_rows_is_fetched_again(scene: &Scene) {
    let started = std::time::Instant::now();
    let all = fs::metadata(scene.database()).unwrap().len() / PAGE as u64;
    let count = need::count("P2PDS_REBUILT_PAGES", 3);
    let mut random = Random::from_environment();
    for round in 0..count {
        let data = scene.dir.path().join(format!("round{round}"));
        p2pds_testkit::disk::copy_tree(scene.program.data(), &data).unwrap();
        let program = scene.program.at(&data);
        let page = if round == 0 { 0 } else { random.below(all) };
        overwrite(&data.join(FILE_NAME), page);
        let said = program.run(&["doctor", "--offline", "--mend"]).unwrap();
        assert!(!said.stderr.contains("panicked"), "page {page}: {said}");
        program
            .ok(&["verify", "--no-repair", "--read-data"])
            .unwrap_or_else(|e| panic!("page {page}: {e}\n{said}"));
        for (account, state) in &scene.accounts {
            let out = scene.dir.path().join(format!("out{round}-{}", account.handle));
            program.ok(&["export", &account.did, "--out", out.to_str().unwrap()]).unwrap();
            Exported::read(&out)
                .unwrap()
                .compare(&state.truth())
                .unwrap_or_else(|e| panic!("page {page}: {e}"));
        }
    }
    println!("{count} times mended and rebuilt by the program in {:.1} s", started.elapsed().as_secs_f64());
}
