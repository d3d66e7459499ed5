//! Blobs of hosted accounts: what is kept, what is refused, what goes, and when.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod shared;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use p2pds_blobs::Entry;
use p2pds_host::HostResult;
use p2pds_host::blobs::BlobsConfig;
use p2pds_host::write::{Swap, Write, WriteOptions};
use p2pds_ipld::Cid;
use p2pds_ipld::cbor::Value;
use p2pds_store::{BlobRef, BlobState, Store};
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_syntax::Did;
use shared::{Node, config, did, nsid, rkey};

const HOUR: i64 = 3_600_000_000;
/// The first bytes of a PNG.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

fn node(blobs: BlobsConfig) -> Node {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir.path(), Options::default()).unwrap());
    Node::with(dir, store, p2pds_host::HostConfig { blobs, ..config() })
}

async fn upload(node: &Node, did: &Did, mime: &str, bytes: &[u8]) -> HostResult<BlobRef> {
    let mut upload = node.host.begin_upload(did, mime, Some(bytes.len() as u64)).await?;
    for piece in bytes.chunks(1_000) {
        upload.write(Bytes::copy_from_slice(piece)).await?;
    }
    upload.finish().await
}

fn picture(blob: &BlobRef) -> Value {
    let blob = Value::map([
        ("$type", Value::Text("blob".to_owned())),
        ("ref", Value::Link(blob.cid)),
        ("mimeType", Value::Text(blob.mime.clone())),
        ("size", Value::Int(i64::try_from(blob.size).unwrap())),
    ]);
    Value::map([("picture", blob)])
}

fn create(key: &str, blob: &BlobRef) -> Write {
    Write::Create { collection: nsid("com.example.picture"), rkey: Some(rkey(key)), record: picture(blob) }
}

fn delete(key: &str) -> Write {
    Write::Delete {
        collection: nsid("com.example.picture"),
        rkey: rkey(key),
        swap: Swap::Any,
        missing_ok: false,
    }
}

async fn state(node: &Node, did: &Did, cid: &Cid) -> Option<BlobState> {
    node.store.blob(did, cid).await.unwrap().map(|row| row.state)
}

async fn files(node: &Node, did: &Did) -> usize {
    let entries = node.host.blobs().list(did).await.unwrap();
    entries.iter().filter(|entry| matches!(entry, Entry::Blob { .. })).count()
}

#[tokio::test]
async fn an_upload_waits_for_its_record_and_goes_without_one() {
    let node = node(BlobsConfig { temporary_for: Duration::ZERO, ..BlobsConfig::default() });
    let alice = did(1);
    node.account(&alice).await;
    let kept = upload(&node, &alice, "text/plain", PNG).await.unwrap();
    assert_eq!((kept.mime.as_str(), kept.size), ("image/png", PNG.len() as u64), "its bytes say what it is");
    let lost = upload(&node, &alice, "text/plain; charset=utf-8", b"nobody names it").await.unwrap();
    assert_eq!(lost.mime, "text/plain");
    assert!(matches!(state(&node, &alice, &kept.cid).await, Some(BlobState::Temporary { .. })));
    let public = p2pds_reading::Viewer::Public;
    assert!(node.host.reading().blob(public, &alice, &kept.cid).await.is_err(), "nobody is shown it yet");

    node.host.write(&alice, vec![create("one", &kept)], WriteOptions::default()).await.unwrap();
    assert_eq!(state(&node, &alice, &kept.cid).await, Some(BlobState::Held));
    assert!(node.host.reading().blob(public, &alice, &kept.cid).await.is_ok());

    // Whatever the setting, an upload has an hour.
    node.clock.fetch_add(HOUR - 60_000_000, Ordering::Relaxed);
    node.host.expire_blobs().await.unwrap();
    assert_eq!(files(&node, &alice).await, 2);
    node.clock.fetch_add(120_000_000, Ordering::Relaxed);
    node.host.expire_blobs().await.unwrap();
    assert_eq!((files(&node, &alice).await, state(&node, &alice, &lost.cid).await), (1, None));
    let refused =
        node.host.write(&alice, vec![create("two", &lost)], WriteOptions::default()).await.unwrap_err();
    assert_eq!(refused.name, "BlobNotFound");
    assert_eq!(state(&node, &alice, &kept.cid).await, Some(BlobState::Held), "what is named stays");
}

#[tokio::test]
async fn a_day_is_the_most_that_an_upload_stays() {
    let node = node(BlobsConfig { temporary_for: Duration::from_secs(1_000_000), ..BlobsConfig::default() });
    node.account(&did(1)).await;
    upload(&node, &did(1), "text/plain", b"x").await.unwrap();
    node.clock.fetch_add(24 * HOUR, Ordering::Relaxed);
    node.host.expire_blobs().await.unwrap();
    assert_eq!(files(&node, &did(1)).await, 0);
}

#[tokio::test]
async fn sizes_counts_and_room_end_somewhere() {
    let limits =
        BlobsConfig { account_bytes: Some(10_000), account_count: Some(4), ..BlobsConfig::default() };
    let node = node(limits);
    let (alice, bob) = (did(1), did(2));
    node.account(&alice).await;
    node.account(&bob).await;
    let limit = usize::try_from(config().blob_limit).unwrap();
    let name = |result: HostResult<BlobRef>| result.unwrap_err().name;
    assert_eq!(name(upload(&node, &alice, "text/plain", &vec![0; limit + 1]).await), "BlobTooLarge");
    // A length that is not true helps nobody.
    let mut lied = node.host.begin_upload(&alice, "text/plain", Some(1)).await.unwrap();
    let refused = lied.write(Bytes::from(vec![0; limit + 1])).await.unwrap_err();
    assert!(matches!(refused.name, "BlobTooLarge" | "QuotaExceeded"), "{}", refused.name);
    drop(lied);
    assert_eq!(name(upload(&node, &alice, "text/plain", &[0; 10_001]).await), "QuotaExceeded");
    upload(&node, &alice, "text/plain", &[1; 6_000]).await.unwrap();
    upload(&node, &alice, "text/plain", &[1; 6_000])
        .await
        .expect_err("room is asked for before it is known that it is the same");
    assert_eq!(name(upload(&node, &alice, "text/plain", &[2; 6_000]).await), "QuotaExceeded");
    upload(&node, &alice, "text/plain", &[2; 4_000]).await.unwrap();

    // Two at a time do not get the same room twice.
    let mut first = node.host.begin_upload(&bob, "text/plain", None).await.unwrap();
    let mut second = node.host.begin_upload(&bob, "text/plain", None).await.unwrap();
    first.write(Bytes::from(vec![3; 6_000])).await.unwrap();
    assert_eq!(second.write(Bytes::from(vec![4; 6_000])).await.unwrap_err().name, "QuotaExceeded");
    drop((first, second));
    for byte in 0..4 {
        upload(&node, &bob, "text/plain", &[byte]).await.unwrap();
    }
    assert_eq!(name(upload(&node, &bob, "text/plain", &[9]).await), "QuotaExceeded");
    assert_eq!(
        (files(&node, &alice).await, files(&node, &bob).await),
        (2, 4),
        "what was refused left nothing"
    );
    for mime in ["", "nothing", "a/b/c", "image/png, text/html"] {
        assert_eq!(name(upload(&node, &did(1), mime, b"x").await), "InvalidMimeType", "{mime}");
    }
}

#[tokio::test]
async fn a_withheld_blob_is_served_to_nobody_and_comes_not_back() {
    let node = node(BlobsConfig::default());
    let alice = did(1);
    node.account(&alice).await;
    let blob = upload(&node, &alice, "text/plain", b"withheld").await.unwrap();
    node.host.write(&alice, vec![create("one", &blob)], WriteOptions::default()).await.unwrap();
    node.host.quarantine_blob(&alice, &blob.cid, "case-1").await.unwrap();
    let public = p2pds_reading::Viewer::Public;
    assert!(node.host.reading().blob(public, &alice, &blob.cid).await.is_err());
    let refused = upload(&node, &alice, "text/plain", b"withheld").await.unwrap_err();
    assert!(refused.message.contains("takendown"), "{}", refused.message);
    let refused =
        node.host.write(&alice, vec![create("two", &blob)], WriteOptions::default()).await.unwrap_err();
    assert_eq!(refused.name, "BlobNotFound");
    // Deleting and making the record anew is no way around it.
    node.host.write(&alice, vec![delete("one")], WriteOptions::default()).await.unwrap();
    assert!(node.host.write(&alice, vec![create("one", &blob)], WriteOptions::default()).await.is_err());

    node.host.release_blob(&alice, &blob.cid).await.unwrap();
    assert!(matches!(state(&node, &alice, &blob.cid).await, Some(BlobState::Temporary { .. })));
    node.host.write(&alice, vec![create("three", &blob)], WriteOptions::default()).await.unwrap();
    assert!(node.host.reading().blob(public, &alice, &blob.cid).await.is_ok());

    // One that never was here can be withheld before it comes.
    let coming = Cid::of_raw(b"not yet here");
    node.host.quarantine_blob(&alice, &coming, "case-2").await.unwrap();
    assert!(upload(&node, &alice, "text/plain", b"not yet here").await.is_err());
    node.host.release_blob(&alice, &coming).await.unwrap();
    assert_eq!(state(&node, &alice, &coming).await, None);
    assert!(upload(&node, &alice, "text/plain", b"not yet here").await.is_ok());
}

/// Uploads, commits and the collector meet at the same blob: whatever the order, a record never names a blob that is
/// not here.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_goes_between_a_look_and_a_commit() {
    let node = Arc::new(node(BlobsConfig::default()));
    let alice = did(1);
    node.account(&alice).await;
    for round in 0..12_u32 {
        let bytes = format!("round {round}").into_bytes();
        let blob = upload(&node, &alice, "text/plain", &bytes).await.unwrap();
        // Old enough to go, from now on.
        node.clock.fetch_add(7 * HOUR, Ordering::Relaxed);
        let (collector, writer, sender) = (Arc::clone(&node), Arc::clone(&node), Arc::clone(&node));
        let (by_writer, by_sender) = (alice.clone(), alice.clone());
        let named = blob.clone();
        let (gone, written, again) = tokio::join!(
            tokio::spawn(async move { collector.host.expire_blobs().await }),
            tokio::spawn(async move {
                let write = create(&format!("r{round}"), &named);
                writer.host.write(&by_writer, vec![write], WriteOptions::default()).await
            }),
            tokio::spawn(async move {
                if round % 2 == 0 {
                    Some(upload(&sender, &by_sender, "text/plain", &bytes).await)
                } else {
                    None
                }
            }),
        );
        gone.unwrap().unwrap();
        if let Some(again) = again.unwrap() {
            again.unwrap();
        }
        let (row, file) = (state(&node, &alice, &blob.cid).await, files_of(&node, &alice, &blob.cid).await);
        match written.unwrap() {
            Ok(_) => assert_eq!((row, file), (Some(BlobState::Held), true), "round {round}"),
            Err(refused) => {
                assert_eq!(refused.name, "BlobNotFound", "round {round}: {}", refused.message);
                assert_eq!(row.is_some(), file, "round {round}: a row and a file go together");
            }
        }
    }
}

async fn files_of(node: &Node, did: &Did, cid: &Cid) -> bool {
    node.host.blobs().size(did, cid).await.unwrap().is_some()
}
