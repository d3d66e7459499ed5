//! The blob directory: what it keeps, what it refuses, what a crash leaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use p2pds_blobs::{BlobError, Blobs, Check, Entry, Options, PutOptions, Quota, Stored, Upload, space};
use p2pds_ipld::Cid;
use p2pds_syntax::{Did, ErrorKind};

fn did(id: &str) -> Did {
    Did::parse(&format!("did:plc:{id}")).unwrap()
}

fn alice() -> Did {
    did("ewvi7nxzyoun6zhxrhs64oiz")
}

fn open(dir: &Path) -> Blobs {
    Blobs::open(dir).unwrap()
}

fn options(expect: Option<Cid>) -> PutOptions {
    PutOptions { expect, max_bytes: 10 << 20, quota: None }
}

async fn feed(mut upload: Upload, data: &[u8], step: usize) -> Result<Stored, BlobError> {
    for chunk in data.chunks(step) {
        upload.write(Bytes::copy_from_slice(chunk)).await?;
    }
    upload.finish().await
}

async fn put(blobs: &Blobs, did: &Did, data: &[u8]) -> Stored {
    let upload = blobs.put(did, options(Some(Cid::of_raw(data)))).await.unwrap();
    feed(upload, data, 7000).await.unwrap()
}

fn tmp_files(dir: &Path) -> usize {
    fs::read_dir(dir.join("tmp")).unwrap().count()
}

/// Bytes that differ everywhere.
fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 31 + i / 251) % 256).unwrap()).collect()
}

#[tokio::test]
async fn a_blob_comes_back_as_it_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    for size in [0, 1, 1000, 256 * 1024, 256 * 1024 + 1, 3_000_000] {
        let data = noise(size);
        let stored = put(&blobs, &alice(), &data).await;
        assert_eq!(stored, Stored { cid: Cid::of_raw(&data), size: size as u64 });
        let reader = blobs.read(&alice(), &stored.cid, None).await.unwrap().unwrap();
        assert_eq!(reader.size(), size as u64);
        assert_eq!(reader.bytes(u64::MAX).await.unwrap(), data);
        assert_eq!(blobs.size(&alice(), &stored.cid).await.unwrap(), Some(size as u64));
        assert_eq!(blobs.verify(&alice(), &stored.cid).await.unwrap(), Check::Good { size: size as u64 });
    }
    assert_eq!(tmp_files(dir.path()), 0);
    assert_eq!(blobs.list(&alice()).await.unwrap().len(), 6);
    assert_eq!(blobs.accounts().await.unwrap(), [alice()]);

    let again = open(dir.path());
    assert_eq!(again.list(&alice()).await.unwrap().len(), 6, "it is all there after a restart");
}

#[tokio::test]
async fn an_upload_without_a_name_gets_its_hash() {
    let dir = tempfile::tempdir().unwrap();
    let upload = open(dir.path()).put(&alice(), options(None)).await.unwrap();
    assert_eq!(feed(upload, b"hello", 2).await.unwrap().cid, Cid::of_raw(b"hello"));
}

#[tokio::test]
async fn ranges() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let data = noise(600_000);
    let cid = put(&blobs, &alice(), &data).await.cid;
    for range in [0..0, 0..1, 5..300_000, 599_999..600_000, 600_000..600_000, 0..600_000] {
        let reader = blobs.read(&alice(), &cid, Some(range.clone())).await.unwrap().unwrap();
        let want = &data[range.start as usize..range.end as usize];
        assert_eq!(reader.bytes(u64::MAX).await.unwrap(), want, "{range:?}");
    }
    for range in [0..600_001, 600_001..600_001, u64::MAX..u64::MAX, std::ops::Range { start: 5, end: 4 }] {
        let refused = blobs.read(&alice(), &cid, Some(range.clone())).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{range:?}");
    }
    let reader = blobs.read(&alice(), &cid, None).await.unwrap().unwrap();
    assert_eq!(reader.bytes(10).await.unwrap_err().kind(), ErrorKind::Limited);
}

#[tokio::test]
async fn wrong_bytes_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let wanted = Cid::of_raw(b"right");
    let upload = blobs.put(&alice(), options(Some(wanted))).await.unwrap();
    match feed(upload, b"wrong", 1).await {
        Err(BlobError::WrongHash { expected, actual }) => {
            assert_eq!((expected, actual), (wanted, Cid::of_raw(b"wrong")));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(tmp_files(dir.path()), 0);
    assert!(blobs.list(&alice()).await.unwrap().is_empty());
    assert!(blobs.read(&alice(), &wanted, None).await.unwrap().is_none());
    assert_eq!(blobs.verify(&alice(), &wanted).await.unwrap(), Check::Missing);
    assert_eq!(blobs.size(&alice(), &wanted).await.unwrap(), None);
}

#[tokio::test]
async fn too_many_bytes_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let options = PutOptions { max_bytes: 1000, ..options(None) };
    let upload = blobs.put(&alice(), options.clone()).await.unwrap();
    assert_eq!(feed(upload, &noise(1001), 100).await.unwrap_err().kind(), ErrorKind::Limited);
    assert_eq!(tmp_files(dir.path()), 0);
    let upload = blobs.put(&alice(), options).await.unwrap();
    assert_eq!(feed(upload, &noise(1000), 100).await.unwrap().size, 1000);
}

#[tokio::test]
async fn an_upload_given_up_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let mut upload = blobs.put(&alice(), options(None)).await.unwrap();
    upload.write(Bytes::from(noise(500_000))).await.unwrap();
    assert_eq!(tmp_files(dir.path()), 1);
    drop(upload);
    assert_eq!(tmp_files(dir.path()), 0);
}

#[tokio::test]
async fn leftovers_of_a_crash_go_when_the_store_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let cid = put(&blobs, &alice(), b"kept").await.cid;
    let mut upload = blobs.put(&alice(), options(None)).await.unwrap();
    upload.write(Bytes::from(noise(500_000))).await.unwrap();
    std::mem::forget(upload); // as SIGKILL would
    assert_eq!(tmp_files(dir.path()), 1);
    let blobs = open(dir.path());
    assert_eq!(tmp_files(dir.path()), 0);
    assert_eq!(blobs.verify(&alice(), &cid).await.unwrap(), Check::Good { size: 4 });
}

#[tokio::test]
async fn damage_is_found_and_repaired_by_storing_again() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let data = noise(100_000);
    let cid = put(&blobs, &alice(), &data).await.cid;
    let path = blobs.path(&alice(), &cid);

    let mut flipped = data.clone();
    flipped[77_777] ^= 1;
    fs::write(&path, &flipped).unwrap();
    let damaged = blobs.verify(&alice(), &cid).await.unwrap();
    assert_eq!(damaged, Check::Damaged { actual: Cid::of_raw(&flipped), size: 100_000 });

    fs::write(&path, &data[..50_000]).unwrap();
    assert!(matches!(blobs.verify(&alice(), &cid).await.unwrap(), Check::Damaged { size: 50_000, .. }));

    put(&blobs, &alice(), &data).await;
    assert_eq!(blobs.verify(&alice(), &cid).await.unwrap(), Check::Good { size: 100_000 });
}

#[tokio::test]
async fn accounts_do_not_share_files() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let bob = did("z72i7hdynmk6r22z27h6tvur");
    let cid = put(&blobs, &alice(), b"same").await.cid;
    put(&blobs, &bob, b"same").await;
    assert!(blobs.delete(&alice(), &cid).await.unwrap());
    assert!(!blobs.delete(&alice(), &cid).await.unwrap(), "it was gone already");
    assert_eq!(blobs.verify(&bob, &cid).await.unwrap(), Check::Good { size: 4 });
    assert_eq!(blobs.delete_account(&bob).await.unwrap(), 1);
    assert_eq!(blobs.delete_account(&bob).await.unwrap(), 0);
    assert_eq!(blobs.accounts().await.unwrap(), [alice()]);
}

#[tokio::test]
async fn listing_tells_blobs_from_other_files() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let cid = put(&blobs, &alice(), b"blob").await.cid;
    let account = dir.path().join(alice().as_str());
    fs::write(account.join("notes.txt"), "mine").unwrap();
    fs::create_dir(account.join(Cid::of_raw(b"a directory").to_string())).unwrap();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    let mut entries = blobs.list(&alice()).await.unwrap();
    entries.retain(|e| *e != Entry::Blob { cid, size: 4 });
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|e| matches!(e, Entry::Foreign { .. })), "{entries:?}");
    assert_eq!(blobs.accounts().await.unwrap(), [alice()]);
}

#[tokio::test]
async fn a_did_too_long_for_a_file_name_works_too() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let long = Did::parse(&format!("did:web:{}.example", "a".repeat(300))).unwrap();
    let cid = put(&blobs, &long, b"blob").await.cid;
    assert_eq!(blobs.accounts().await.unwrap(), std::slice::from_ref(&long));
    assert_eq!(blobs.list(&long).await.unwrap(), [Entry::Blob { cid, size: 4 }]);
}

/// So many bytes for everybody together.
struct Purse(AtomicU64);

impl Quota for Purse {
    fn admit(&self, _: &Did, more: u64) -> Result<(), String> {
        let take = |left: u64| left.checked_sub(more);
        self.0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
            .map(|_| ())
            .map_err(|left| format!("{left} bytes are left"))
    }
    fn release(&self, _: &Did, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_quota_is_asked_and_gets_back_what_came_to_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let purse = Arc::new(Purse(AtomicU64::new(1000)));
    let options = PutOptions { quota: Some(purse.clone()), ..options(None) };
    feed(blobs.put(&alice(), options.clone()).await.unwrap(), &noise(600), 100).await.unwrap();
    assert_eq!(purse.0.load(Ordering::SeqCst), 400);
    let refused = feed(blobs.put(&alice(), options).await.unwrap(), &noise(500), 100).await.unwrap_err();
    assert!(matches!(&refused, BlobError::Quota { reason } if reason == "0 bytes are left"), "{refused}");
    assert_eq!(purse.0.load(Ordering::SeqCst), 400, "the refused upload gave everything back");
}

#[tokio::test]
async fn a_disk_that_is_too_full_refuses_before_the_first_byte() {
    let dir = tempfile::tempdir().unwrap();
    let room = space(dir.path()).unwrap();
    assert!(room.free <= room.total && room.total > 0);
    let blobs = Blobs::open_with(dir.path(), Options { min_free: u64::MAX }).unwrap();
    let refused = blobs.put(&alice(), options(None)).await.err().unwrap();
    assert!(matches!(refused, BlobError::DiskFull { .. }), "{refused}");
    assert_eq!(tmp_files(dir.path()), 0);
}

#[tokio::test]
async fn many_uploads_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let mut tasks = Vec::new();
    for i in 0..40_usize {
        let blobs = blobs.clone();
        // Half of them store the same blob.
        tasks.push(tokio::spawn(async move { put(&blobs, &alice(), &noise(1000 + (i % 20) * 1000)).await }));
    }
    for task in tasks {
        let stored = task.await.unwrap();
        assert!(matches!(blobs.verify(&alice(), &stored.cid).await.unwrap(), Check::Good { .. }));
    }
    assert_eq!(blobs.list(&alice()).await.unwrap().len(), 20);
    assert_eq!(tmp_files(dir.path()), 0);
}
