//! One suite for blobs on this disk and in a bucket of a real S3 server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use p2pds_blobs::{BlobError, Blobs, Bucket, Check, Entry, PutOptions, Stored};
use p2pds_ipld::Cid;
use p2pds_syntax::{Did, ErrorKind};
use p2pds_testkit::bucket::S3Server;

fn did(id: &str) -> Did {
    Did::parse(&format!("did:plc:{id}")).unwrap()
}

fn alice() -> Did {
    did("ewvi7nxzyoun6zhxrhs64oiz")
}

fn options(expect: Option<Cid>) -> PutOptions {
    PutOptions { expect, max_bytes: 30 << 20, quota: None }
}

/// Bytes that differ everywhere.
fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 31 + i / 251) % 256).unwrap()).collect()
}

async fn put(blobs: &Blobs, did: &Did, data: &[u8]) -> Result<Stored, BlobError> {
    let mut upload = blobs.put(did, options(None)).await?;
    for chunk in data.chunks(70_000) {
        upload.write(Bytes::copy_from_slice(chunk)).await?;
    }
    upload.finish().await
}

fn left_over(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("tmp")).unwrap().count()
}

/// What blobs do, wherever they lie. `open` opens them anew, `dir` holds uploads under way.
async fn suite(dir: &Path, open: impl Fn() -> Blobs) {
    let blobs = open();
    // They come back as they went in, whole and in part; the last ones are uploaded in several pieces.
    for size in [0, 1, 1_000, 300_000, 8 << 20, (8 << 20) + 1, 20_000_000] {
        let data = noise(size);
        let stored = put(&blobs, &alice(), &data).await.unwrap();
        assert_eq!(stored, Stored { cid: Cid::of_raw(&data), size: size as u64 });
        let reader = blobs.read(&alice(), &stored.cid, None).await.unwrap().unwrap();
        assert_eq!((reader.size(), reader.remaining()), (size as u64, size as u64));
        assert_eq!(reader.bytes(u64::MAX).await.unwrap(), data, "{size}");
        assert_eq!(blobs.size(&alice(), &stored.cid).await.unwrap(), Some(size as u64));
        assert_eq!(blobs.verify(&alice(), &stored.cid).await.unwrap(), Check::Good { size: size as u64 });
        for range in [0..0, 0..1, size / 3..size / 2, size.saturating_sub(1)..size, size..size] {
            let asked = (range.start as u64)..(range.end.max(range.start).min(size) as u64);
            let range = range.start..asked.end as usize;
            if range.start > range.end {
                continue;
            }
            let part = blobs.read(&alice(), &stored.cid, Some(asked)).await.unwrap().unwrap();
            assert_eq!(part.bytes(u64::MAX).await.unwrap(), &data[range.clone()], "{range:?} of {size}");
        }
        let beyond = blobs.read(&alice(), &stored.cid, Some(0..size as u64 + 1)).await.unwrap_err();
        assert_eq!(beyond.kind(), ErrorKind::Invalid);
    }
    assert_eq!(left_over(dir), 0);

    // After a restart all is there, and changes show in the stamp.
    let blobs = open();
    assert_eq!(blobs.list(&alice()).await.unwrap().len(), 7);
    assert_eq!(blobs.accounts().await.unwrap(), [alice()]);
    let cid = Cid::of_raw(&noise(1_000));
    let stamp =
        async |blobs: &Blobs| blobs.read(&alice(), &cid, None).await.unwrap().unwrap().stamp().unwrap();
    assert_eq!(stamp(&blobs).await, stamp(&blobs).await);

    // What is refused leaves nothing.
    let wanted = Cid::of_raw(b"right");
    let mut wrong = blobs.put(&alice(), options(Some(wanted))).await.unwrap();
    wrong.write(Bytes::from_static(b"wrong")).await.unwrap();
    assert!(matches!(wrong.finish().await, Err(BlobError::WrongHash { .. })));
    let mut given_up = blobs.put(&alice(), options(None)).await.unwrap();
    given_up.write(Bytes::from(noise(9 << 20))).await.unwrap();
    drop(given_up);
    let sealed = blobs.put(&alice(), options(None)).await.unwrap().seal().await.unwrap();
    drop(sealed);
    assert_eq!(left_over(dir), 0);
    assert!(blobs.read(&alice(), &wanted, None).await.unwrap().is_none());
    assert_eq!(blobs.verify(&alice(), &wanted).await.unwrap(), Check::Missing);
    assert_eq!(blobs.size(&alice(), &wanted).await.unwrap(), None);

    // Accounts do not share, whatever their names look like.
    let (bob, long) = (
        did("z72i7hdynmk6r22z27h6tvur"),
        Did::parse(&format!("did:web:{}.example", "a".repeat(300))).unwrap(),
    );
    let odd = Did::parse("did:web:localhost%3A3000").unwrap();
    for account in [&bob, &long, &odd] {
        put(&blobs, account, b"same").await.unwrap();
        put(&blobs, account, b"same").await.unwrap();
        assert_eq!(
            blobs.list(account).await.unwrap(),
            [Entry::Blob { cid: Cid::of_raw(b"same"), size: 4 }],
            "{account}"
        );
    }
    let mut all = vec![alice(), bob.clone(), long.clone(), odd.clone()];
    all.sort();
    assert_eq!(blobs.accounts().await.unwrap(), all);
    assert!(blobs.delete(&bob, &Cid::of_raw(b"same")).await.unwrap());
    assert!(!blobs.delete(&bob, &Cid::of_raw(b"same")).await.unwrap(), "it was gone already");
    assert_eq!(blobs.verify(&odd, &Cid::of_raw(b"same")).await.unwrap(), Check::Good { size: 4 });
    assert_eq!(blobs.delete_account(&alice()).await.unwrap(), 7);
    assert_eq!(blobs.delete_account(&alice()).await.unwrap(), 0);
    assert!(blobs.list(&alice()).await.unwrap().is_empty());

    // Many at a time, half of them the same.
    let mut tasks = Vec::new();
    for i in 0..20_usize {
        let blobs = blobs.clone();
        tasks
            .push(tokio::spawn(async move { put(&blobs, &alice(), &noise(1_000 + (i % 10) * 1_000)).await }));
    }
    for task in tasks {
        let stored = task.await.unwrap().unwrap();
        assert!(matches!(blobs.verify(&alice(), &stored.cid).await.unwrap(), Check::Good { .. }));
    }
    assert_eq!(blobs.list(&alice()).await.unwrap().len(), 10);
    assert_eq!(left_over(dir), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_this_disk() {
    let dir = tempfile::tempdir().unwrap();
    suite(dir.path(), || Blobs::open(dir.path()).unwrap()).await;
}

fn bucket(server: &S3Server) -> Bucket {
    Bucket {
        name: S3Server::BUCKET.to_owned(),
        region: None,
        endpoint: Some(server.url()),
        path_style: true,
        credentials: Some((S3Server::ACCESS_KEY.to_owned(), S3Server::SECRET.to_owned())),
        upload_timeout: Duration::from_secs(30),
        request_timeout: Duration::from_secs(30),
        extra_roots: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_bucket() {
    let Some(server) = S3Server::start().unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    suite(dir.path(), || Blobs::open_bucket(dir.path(), bucket(&server)).unwrap()).await;
    assert!(server.files().join("blocks").join(alice().as_str()).is_dir(), "the reference server's keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_bucket_that_the_host_name_names() {
    let Some(server) = S3Server::start().unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let bucket = || Bucket { path_style: false, endpoint: Some(server.host_url()), ..bucket(&server) };
    suite(dir.path(), || Blobs::open_bucket(dir.path(), bucket()).unwrap()).await;
    assert!(server.files().join("blocks").join(alice().as_str()).is_dir(), "the reference server's keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_wrong_or_gone_is_said() {
    let Some(mut server) = S3Server::start().unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let right = Blobs::open_bucket(dir.path(), bucket(&server)).unwrap();
    let cid = put(&right, &alice(), b"kept").await.unwrap().cid;
    let refused = |blobs: Blobs| async move {
        let read = blobs.size(&alice(), &cid).await.unwrap_err();
        let written = put(&blobs, &alice(), b"new").await.unwrap_err();
        assert_eq!((read.kind(), written.kind()), (ErrorKind::Unavailable, ErrorKind::Unavailable));
        format!("{read}; {written}")
    };
    let wrong_secret = "not-the-secret-of-the-bucket";
    let credentials = Some((S3Server::ACCESS_KEY.to_owned(), wrong_secret.to_owned()));
    let said =
        refused(Blobs::open_bucket(dir.path(), Bucket { credentials, ..bucket(&server) }).unwrap()).await;
    assert!(said.contains("bucket blobs") && !said.contains(wrong_secret), "{said}");
    let name = "nowhere".to_owned();
    refused_write(&Blobs::open_bucket(dir.path(), Bucket { name, ..bucket(&server) }).unwrap()).await;
    server.stop();
    let request_timeout = Duration::from_secs(2);
    let gone = Bucket { request_timeout, upload_timeout: request_timeout, ..bucket(&server) };
    refused(Blobs::open_bucket(dir.path(), gone).unwrap()).await;
    assert_eq!(left_over(dir.path()), 0);
}

async fn refused_write(blobs: &Blobs) {
    assert_eq!(put(blobs, &alice(), b"new").await.unwrap_err().kind(), ErrorKind::Unavailable);
}
