//! The export folder.

use std::collections::BTreeMap;
use std::path::Path;

use futures::StreamExt as _;
use p2pds_archive::Progress;
use p2pds_recovery::{Manifest, Recovery, RecoveryError, inspect};
use p2pds_store::{BlobState, Unit};

use crate::archived;

pub fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fn collect(dir: &Path, prefix: &str, out: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                collect(&entry.path(), &format!("{name}/"), out);
            } else {
                out.insert(name, std::fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut out = BTreeMap::new();
    collect(dir, "", &mut out);
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_complete_and_the_same_on_every_run() {
    let (_net, person, node) = archived(80).await;
    let recovery = Recovery::new(node.archive.clone());
    let (one, two) = (node.dir.path().join("one"), node.dir.path().join("two"));
    let report = recovery.export(&person.did, &one, &Progress::none()).await.unwrap();
    recovery.export(&person.did, &two, &Progress::none()).await.unwrap();
    let found = files(&one);
    assert_eq!(found, files(&two), "byte for byte");
    assert_eq!(report.records, person.records.len() as u64);
    assert_eq!((report.blobs, report.missing_blobs), (3, 0));
    for name in
        ["repo.car", "plc.json", "did.json", "blobs.tsv", "RESTORE.txt", "manifest.json", "SHA256SUMS"]
    {
        assert!(found.contains_key(name), "{name}");
    }
    for (cid, bytes) in &person.blobs {
        assert_eq!(&found[&format!("blobs/{cid}")], bytes);
    }
    let json: serde_json::Value =
        serde_json::from_slice(&found["records/com.example.fooBar/did%3aweb%3aa.example.json"]).unwrap();
    assert_eq!(json["uri"], format!("at://{}/com.example.fooBar/did:web:a.example", person.did));
    assert_eq!(json["value"]["path"], "com.example.fooBar/did:web:a.example");
    let lower: std::collections::BTreeSet<String> =
        found.keys().map(|name| name.to_ascii_lowercase()).collect();
    assert_eq!(lower.len(), found.len(), "no two files differ in case only");
    let manifest: Manifest = serde_json::from_slice(&found["manifest.json"]).unwrap();
    assert_eq!(manifest.readable.unwrap().files, person.records.len() as u64);
    assert_eq!(manifest.head.rev, node.head(&person).await.unwrap().rev.to_string());
    let text = String::from_utf8(found["RESTORE.txt"].clone()).unwrap();
    for part in [person.did.as_str(), &manifest.head.commit, &person.log.head().to_string()] {
        assert!(text.contains(part), "{part} is not in the text");
    }
    // Standard tools agree.
    let sums = std::process::Command::new("sha256sum")
        .args(["-c", "--quiet", "SHA256SUMS"])
        .current_dir(&one)
        .status();
    assert!(sums.unwrap().success());
    assert!(inspect(&one).unwrap().ok());

    let mut car = Vec::new();
    let mut stream = std::pin::pin!(recovery.export_car(&person.did).await.unwrap());
    while let Some(piece) = stream.next().await {
        car.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(car, found["repo.car"], "standard output gets the same bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_folders_are_refused_and_older_exports_replaced() {
    let (net, mut person, node) = archived(81).await;
    let recovery = Recovery::new(node.archive.clone());
    let out = node.dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("precious.txt"), b"mine").unwrap();
    let error = recovery.export(&person.did, &out, &Progress::none()).await.unwrap_err();
    assert!(matches!(error, RecoveryError::Foreign { .. }), "{error}");
    assert_eq!(files(&out).len(), 1);
    std::fs::remove_file(out.join("precious.txt")).unwrap();

    let first = recovery.export(&person.did, &out, &Progress::none()).await.unwrap();
    let gone = "com.example.foobar/self";
    person.records.remove(gone);
    person.post("3kznew2222222", 9);
    net.publish(&person, &person.sign(1));
    node.sync(&person).await;
    let second = recovery.export(&person.did, &out, &Progress::none()).await.unwrap();
    assert_ne!(first.manifest_sha256, second.manifest_sha256);
    assert_eq!(second.reused_blobs, 3, "blobs are not copied twice");
    let found = files(&out);
    assert!(
        !found.contains_key("records/com.example.foobar/self.json"),
        "what was deleted is not there any more"
    );
    assert!(inspect(&out).unwrap().ok());
    assert_eq!(
        std::fs::read_dir(node.dir.path())
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with("out"))
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_export_goes_on() {
    let (_net, person, node) = archived(82).await;
    let recovery = Recovery::new(node.archive.clone());
    let (clean, out) = (node.dir.path().join("clean"), node.dir.path().join("out"));
    recovery.export(&person.did, &clean, &Progress::none()).await.unwrap();
    // What a killed run leaves: some blobs, one of them half, a stale readable record.
    let part = node.dir.path().join("out.p2pds-part");
    let mut cids = person.blobs.iter();
    let (whole, half) = (cids.next().unwrap(), cids.next().unwrap());
    std::fs::create_dir_all(part.join("blobs")).unwrap();
    std::fs::create_dir_all(part.join("records/x")).unwrap();
    std::fs::write(part.join(".p2pds-export"), person.did.as_str()).unwrap();
    std::fs::write(part.join(format!("blobs/{}", whole.0)), whole.1).unwrap();
    std::fs::write(part.join(format!("blobs/{}", half.0)), &half.1[..100]).unwrap();
    std::fs::write(part.join("records/x/stale.json"), b"{}").unwrap();
    let report = recovery.export(&person.did, &out, &Progress::none()).await.unwrap();
    assert_eq!(report.reused_blobs, 1);
    assert_eq!(files(&out), files(&clean));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_blobs_are_listed_with_their_reason() {
    let (_net, person, node) = archived(83).await;
    let cid = *person.blobs.keys().next().unwrap();
    let state = BlobState::Gone { reason: Some("the host lost it".into()) };
    node.store
        .apply(Unit::PutBlob { did: person.did.clone(), cid, size: None, mime: None, state })
        .await
        .unwrap();
    let out = node.dir.path().join("out");
    let recovery = Recovery::new(node.archive.clone());
    let report = recovery.export(&person.did, &out, &Progress::none()).await.unwrap();
    assert_eq!((report.blobs, report.missing_blobs), (2, 1));
    let found = files(&out);
    let manifest: Manifest = serde_json::from_slice(&found["manifest.json"]).unwrap();
    assert_eq!(manifest.missing_blobs[0].reason, "the host lost it");
    let text = String::from_utf8(found["RESTORE.txt"].clone()).unwrap();
    assert!(text.contains("1 blob missing") && text.contains("only the 1 listed"), "{text}");
    assert!(inspect(&out).unwrap().ok(), "an honest list is no damage");
}
