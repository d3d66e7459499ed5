//! Drills: green when it restores, red and naming what is damaged when it does not.

use p2pds_archive::Progress;
use std::sync::Arc;

use p2pds_recovery::{DrillReport, Recovery, ScratchStore, inspect};
use p2pds_store::Store;
use p2pds_store_sqlite::{Options, SqliteStore};

use crate::archived;
use crate::fake::{Node, Person};

async fn drill(node: &Node, person: &Person) -> DrillReport {
    let open: ScratchStore = Arc::new(|dir| {
        let options = Options { ballast: 0, ..Options::default() };
        Ok(Arc::new(SqliteStore::open(dir, options)?) as Arc<dyn Store>)
    });
    let recovery = Recovery::new(node.archive.clone()).with_scratch(open);
    recovery.drill(&person.did, &Progress::none()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_archive_restores() {
    let (net, person, node) = archived(90).await;
    net.set_down(true);
    let report = drill(&node, &person).await;
    assert!(report.ok && report.exit_code() == 0, "{report}");
    assert_eq!(report.records, person.records.len() as u64);
    assert_eq!((report.blobs, report.blob_bytes), (3, 9_000));
    assert_eq!(report.root, report.rebuilt_root);
    let steps = "export manifest repo root records blobs plc-log signature text head \
                 restore promote identity re-export re-blobs owner";
    for step in steps.split_whitespace() {
        assert!(report.step(step).is_some_and(|step| step.ok), "{step}");
    }
    let json = node.dir.path().join(report.files.iter().find(|file| file.ends_with(".json")).unwrap());
    let read: DrillReport = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(read, report);
    let text = node.dir.path().join(report.files.iter().find(|file| file.ends_with(".txt")).unwrap());
    assert!(std::fs::read_to_string(text).unwrap().contains("restores from this archive alone"));
    assert!(!node.archive.drill_dir(&person.did).join("scratch").exists(), "the scratch copy is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_flipped_byte_of_a_blob_turns_it_red() {
    let (_net, person, node) = archived(91).await;
    let cid = *person.blobs.keys().nth(1).unwrap();
    let path = node.archive.blobs().path(&person.did, &cid);
    let good = std::fs::read(&path).unwrap();
    for at in [0, good.len() / 2, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let report = drill(&node, &person).await;
        assert!(!report.ok && report.exit_code() == 3, "{report}");
        let named =
            report.steps.iter().flat_map(|step| &step.damaged).any(|item| item.contains(&cid.to_string()));
        assert!(named, "{report}");
        assert!(report.to_string().contains("does NOT restore"));
    }
    std::fs::write(&path, good).unwrap();
    assert!(drill(&node, &person).await.ok);
    std::fs::remove_file(&path).unwrap();
    assert!(!drill(&node, &person).await.ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_flipped_byte_of_a_record_turns_it_red() {
    let (_net, person, node) = archived(92).await;
    let node = node.with_database(|database| crate::fake::flip_body(database, "3kpica2222222")).await;
    let report = drill(&node, &person).await;
    assert!(!report.ok, "{report}");
    let named = report
        .steps
        .iter()
        .flat_map(|step| &step.damaged)
        .any(|item| item.contains("app.bsky.feed.post/3kpica2222222"));
    assert!(named, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_record_turns_it_red() {
    let (_net, person, node) = archived(93).await;
    let node = node
        .with_database(|database| {
            assert_eq!(database.execute("DELETE FROM record WHERE rkey = '3kpica2222222'", []).unwrap(), 1);
        })
        .await;
    let report = drill(&node, &person).await;
    assert!(!report.ok && !report.steps[0].ok, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_in_any_exported_file_is_found() {
    let (_net, person, node) = archived(94).await;
    let out = node.dir.path().join("out");
    Recovery::new(node.archive.clone()).export(&person.did, &out, &Progress::none()).await.unwrap();
    assert!(inspect(&out).unwrap().ok());
    let mut names = vec![
        "repo.car".to_owned(),
        "plc.json".to_owned(),
        "did.json".to_owned(),
        "RESTORE.txt".to_owned(),
        "manifest.json".to_owned(),
        "SHA256SUMS".to_owned(),
        "blobs.tsv".to_owned(),
        "records/com.example.foobar/self.json".to_owned(),
    ];
    names.extend(person.blobs.keys().map(|cid| format!("blobs/{cid}")));
    for name in names {
        let path = out.join(&name);
        let good = std::fs::read(&path).unwrap();
        for at in [0, good.len() / 3, good.len() / 2, good.len() - 2] {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            let found = inspect(&out).unwrap();
            assert!(!found.ok(), "byte {at} of {name} was not missed");
            let short = name.rsplit('/').next().unwrap();
            let steps = found.steps.iter().filter(|step| !step.ok);
            let named = steps.clone().flat_map(|step| &step.damaged).any(|item| item.contains(short));
            assert!(named || name == "SHA256SUMS", "{name} at {at}: {:?}", steps.collect::<Vec<_>>());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(!inspect(&out).unwrap().ok(), "{name} was not missed");
        std::fs::write(&path, &good).unwrap();
    }
    assert!(inspect(&out).unwrap().ok());
}
