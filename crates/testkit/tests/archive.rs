//! An account on a reference PDS, archived, followed, checked, damaged, mended, and given back: always equal to what
//! the PDS itself says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::path::{Path, PathBuf};

use p2pds_store::{Store as _, view::block_on};
use p2pds_store_sqlite::{Options as StoreOptions, SqliteStore};
use p2pds_syntax::Did;
use p2pds_testkit::disk::copy_tree;
use p2pds_testkit::exported::Exported;
use p2pds_testkit::oracle::{Account, Network, Options, POST, Write, bulk_key, image, post_record};
use p2pds_testkit::program::Program;
use serde_json::{Value, json};

/// A network with one account that has records of all kinds, and `p2pds` set up to see it.
struct Scene {
    network: Network,
    account: Account,
    program: Program,
    dir: tempfile::TempDir,
}

impl Scene {
    fn new(name: &str, bulk: usize) -> Option<Self> {
        let network = Network::start(&Options::default()).unwrap()?;
        let account = network.account(0, name, None).unwrap();
        let profile = json!({"$type": "app.bsky.actor.profile", "displayName": name});
        account.put("app.bsky.actor.profile", "self", &profile).unwrap();
        account.bulk("bulk", bulk).unwrap();
        for seed in 0..5 {
            account.post_image(&image(seed, 20_000 + seed as usize)).unwrap();
        }
        let first = account.create(POST, &post_record("first words")).unwrap();
        account.put(POST, first.rkey(), &post_record("better words")).unwrap();
        account.delete(POST, &bulk_key("bulk", 3)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let program = Program::new(&dir.path().join("data")).unwrap().with_env(network.environment());
        Some(Self { network, account, program, dir })
    }

    fn did(&self) -> &str {
        &self.account.did
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn export(&self, program: &Program, name: &str) -> Exported {
        let out = self.path(name);
        program.ok(&["export", self.did(), "--out", out.to_str().unwrap()]).unwrap();
        Exported::read(&out).unwrap()
    }

    fn equal_to_the_pds(&self, program: &Program, name: &str) -> Exported {
        let exported = self.export(program, name);
        exported.compare(&self.account.truth().unwrap()).unwrap_or_else(|why| panic!("{name}: {why:#}"));
        exported
    }

    /// Creates, updates, deletes, and replaces an image.
    fn write_more(&self, round: u64) {
        let new = self.account.create(POST, &post_record(&format!("round {round}"))).unwrap();
        self.account.put(POST, new.rkey(), &post_record("changed at once")).unwrap();
        let update = post_record(&format!("changed in round {round}"));
        self.account
            .apply(&[
                Write::Update(POST.into(), bulk_key("bulk", 10 + round as usize), update),
                Write::Delete(POST.into(), bulk_key("bulk", 100 + round as usize)),
            ])
            .unwrap();
        self.account.post_image(&image(100 + round, 7_000)).unwrap();
    }
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report[0]["checks"].as_array().unwrap_or_else(|| panic!("no checks in {report}"));
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no check {name} in {report}"))
}

#[test]
fn added_followed_and_equal_to_the_pds() {
    let Some(scene) = Scene::new("walter-p2pds", 1_000) else { return };
    let (p, did) = (&scene.program, scene.did());

    let added = p.json(&["archive", "add", &scene.account.handle]).unwrap();
    let (commit, _) = scene.account.latest_commit().unwrap();
    assert_eq!((&added["did"], &added["outcome"]), (&json!(did), &json!("stored")), "{added}");
    assert_eq!(added["commit"], commit.as_str());
    let first = scene.equal_to_the_pds(p, "first");

    let list = p.json(&["archive", "list"]).unwrap();
    assert_eq!(
        (&list[0]["handle"], &list[0]["verified"]),
        (&json!(scene.account.handle), &json!("verified")),
        "{list}"
    );
    let again = p.json(&["archive", "sync", did]).unwrap();
    assert_eq!(again[0]["summary"]["outcome"], "current", "{again}");

    for round in 0..3 {
        scene.write_more(round);
        let synced = p.json(&["archive", "sync", did]).unwrap();
        assert_eq!(synced[0]["summary"]["outcome"], "updated", "{synced}");
        scene.equal_to_the_pds(p, &format!("round{round}"));
    }
    // More than fits one diff in place.
    scene.account.bulk("second", 1_500).unwrap();
    p.ok(&["archive", "sync"]).unwrap();
    let last = scene.equal_to_the_pds(p, "last");
    assert_ne!(first.files["repo.car"], last.files["repo.car"]);

    let uri = format!("at://{did}/{POST}/{}", bulk_key("bulk", 10));
    let shown = p.json(&["show", &uri]).unwrap();
    let query = [("repo", did), ("collection", POST), ("rkey", &bulk_key("bulk", 10))];
    let there = scene.account.query("com.atproto.repo.getRecord", &query).unwrap();
    assert_eq!((&shown["cid"], &shown["value"]), (&there["cid"], &there["value"]));
    let gone = format!("at://{did}/{POST}/{}", bulk_key("bulk", 100));
    p.run(&["show", &gone]).unwrap().expect(1).unwrap();

    p.ok(&["verify", did, "--read-data"]).unwrap();
    p.ok(&["drill", did]).unwrap();
    assert_eq!(last.files, scene.export(p, "twin").files, "two exports are byte-identical");

    // A file from an earlier state changes nothing: not here, and not after a fresh import.
    let plc = scene.path("last/plc.json");
    let import = |program: &Program, dir: &str| {
        let car = scene.path(dir).join("repo.car");
        program.json(&["import", car.to_str().unwrap(), "--plc-log", plc.to_str().unwrap()])
    };
    let fresh = p.at(&scene.path("fresh"));
    import(&fresh, "last").unwrap();
    assert_eq!(scene.export(&fresh, "imported").files["repo.car"], last.files["repo.car"]);
    for program in [p, &fresh] {
        let outcome = import(program, "first");
        if let Ok(report) = &outcome {
            assert_eq!(
                (&report["outcome"], &report["kind"]),
                (&json!("refused"), &json!("older-head")),
                "{report}"
            );
        }
        let shown = program.json(&["archive", "show", did]).unwrap();
        assert_eq!(shown["head"]["commit"], last.manifest().unwrap()["head"]["commit"]);
    }
    drop(scene.network);
}

#[test]
fn damage_is_found_and_mended_from_the_source() {
    let Some(scene) = Scene::new("ingrid-p2pds", 600) else { return };
    let (p, did) = (&scene.program, scene.did());
    p.ok(&["archive", "add", did]).unwrap();
    p.ok(&["verify", did, "--read-data"]).unwrap();

    let blob = find_file(p.data(), &|bytes| bytes.starts_with(b"\x89PNG"));
    flip(&blob, 5_000);
    let report = p.run(&["verify", did, "--read-data", "--no-repair", "--json"]).unwrap().expect(3).unwrap();
    assert_eq!(check(&report.json().unwrap(), "blobs")["result"], "damaged");
    p.run(&["drill", did]).unwrap().expect(3).unwrap();
    let report = p.run(&["verify", did, "--read-data", "--json"]).unwrap().expect(3).unwrap();
    assert_eq!(check(&report.json().unwrap(), "blobs")["result"], "repaired");
    p.ok(&["verify", did, "--read-data"]).unwrap();
    scene.equal_to_the_pds(p, "mended-blob");

    // The database: one byte is flipped here and there, each time in a fresh copy. Bytes of records are mended from
    // the source; where SQLite's own structure is hit, that is said, and nothing wrong is given out.
    let database = find_file(p.data(), &|bytes| bytes.starts_with(b"SQLite format 3\0"));
    let name = database.strip_prefix(p.data()).unwrap().to_owned();
    let length = usize::try_from(std::fs::metadata(&database).unwrap().len()).unwrap();
    let (mut mended, mut told, mut unused) = (0, 0, 0);
    for part in 1..12 {
        let copy = p.at(&scene.path(&format!("copy-{part}")));
        copy_tree(p.data(), copy.data()).unwrap();
        flip(&copy.data().join(&name), length / 12 * part + 1_234);
        let report = copy.run(&["verify", did, "--no-repair", "--json"]).unwrap();
        assert!(!report.stderr.contains("panicked") && report.signal.is_none(), "{report}");
        match report.code {
            Some(3) => {
                let report = copy.run(&["verify", did]).unwrap();
                let again = copy.run(&["verify", did, "--read-data"]).unwrap();
                if again.code == Some(0) {
                    scene.equal_to_the_pds(&copy, &format!("mended-{part}"));
                    mended += 1;
                } else {
                    assert!(again.stderr.contains("database file itself is damaged"), "{report}\n{again}");
                    told += 1;
                }
            }
            Some(0) => {
                scene.equal_to_the_pds(&copy, &format!("unused-{part}"));
                unused += 1;
            }
            _ => {
                assert!(report.stderr.contains("database file itself is damaged"), "{report}");
                told += 1;
            }
        }
    }
    println!("flipped bytes: {mended} mended, {told} told, {unused} where nothing is stored");
    assert!(mended > 0, "no flipped byte was found by verify");
}

#[test]
fn asking_for_a_removed_account_stores_nothing_about_it() {
    let Some(scene) = Scene::new("gone-p2pds", 10) else { return };
    let (p, did) = (&scene.program, Did::parse(scene.did()).unwrap());
    let stored = || {
        let store = SqliteStore::open(p.data(), StoreOptions::default()).unwrap();
        let stored =
            (block_on(store.plc_log(&did)).unwrap().len(), block_on(store.identity(&did)).unwrap().is_some());
        block_on(store.close()).unwrap();
        stored
    };
    p.ok(&["archive", "add", &scene.account.handle]).unwrap();
    assert_eq!(stored(), (1, true));
    p.ok(&["archive", "remove", &scene.account.handle, "--yes"]).unwrap();
    assert_eq!(stored(), (0, false), "a removal takes the identity with it");
    p.run(&["archive", "show", &scene.account.handle]).unwrap().expect(1).unwrap();
    assert_eq!(stored(), (0, false), "and asking does not bring it back");
}

/// The first file below a directory whose bytes satisfy the question.
fn find_file(dir: &Path, wanted: &dyn Fn(&[u8]) -> bool) -> PathBuf {
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.is_file() && std::fs::read(&path).is_ok_and(|bytes| wanted(&bytes)) {
                return path;
            }
        }
    }
    panic!("no such file");
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}
