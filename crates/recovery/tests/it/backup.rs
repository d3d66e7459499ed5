//! The backup of a whole node.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use p2pds_archive::Progress;
use p2pds_blobs::Blobs;
use p2pds_recovery::{
    BackupOptions, BackupReport, Opening, Passphrase, RESTORED, Recovery, RecoveryResult, RestoreOptions,
    RestoreReport, Sealing, restore,
};
use p2pds_store::{Store, Unit};
use p2pds_store_sqlite::{FILE_NAME, Options, SqliteStore};
use p2pds_syntax::ErrorKind;
use zeroize::Zeroizing;

use crate::archived;
use crate::fake::Node;

/// A key pair made for these tests and used nowhere else.
fn pair() -> (String, String) {
    use age::secrecy::ExposeSecret as _;
    let identity = age::x25519::Identity::generate();
    (identity.to_public().to_string(), identity.to_string().expose_secret().to_owned())
}

async fn backup(node: &Node, out: &Path, options: &BackupOptions) -> RecoveryResult<BackupReport> {
    Recovery::new(node.archive.clone()).backup(out, options, 1_700_000_000_000_000, &Progress::none()).await
}

fn to(from: &Path, dir: Option<&Path>, opening: Opening) -> (PathBuf, RestoreOptions) {
    let to = dir.map(|dir| (dir.to_owned(), Blobs::open(&dir.join("blobs")).unwrap()));
    (from.to_owned(), RestoreOptions { to, database: FILE_NAME.to_owned(), opening })
}

async fn read(from: &Path, dir: Option<&Path>, opening: Opening) -> RecoveryResult<RestoreReport> {
    let (from, options) = to(from, dir, opening);
    restore(&from, options, &Progress::none()).await
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// All that can be asked of a store about an account, in one text.
async fn state(store: &dyn Store, did: &p2pds_syntax::Did) -> String {
    let repo = store.live_repo(did).await.unwrap().unwrap();
    let mut query = p2pds_store::RecordsQuery::all(repo.id);
    query.max_rows = 100_000;
    let rows = store.records(query).await.unwrap();
    let blobs = store.blobs(did, p2pds_store::BlobFilter::All, None, 1_000).await.unwrap();
    format!("{repo:?}{rows:?}{blobs:?}{:?}", store.plc_log(did).await.unwrap())
}

fn keys(node: &Node) -> BTreeMap<PathBuf, Vec<u8>> {
    let dir = node.dir.path().join("keys");
    std::fs::create_dir_all(&dir).unwrap();
    for (name, bytes) in [("node.key", b"the key that wraps".as_slice()), ("jwt.key", b"another")] {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
    files(&dir).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_is_what_went_in() {
    let (_net, person, node) = archived(81).await;
    let keys = keys(&node);
    let verbatim = node.dir.path().join("verbatim");
    std::fs::create_dir_all(&verbatim).unwrap();
    std::fs::write(verbatim.join("odd.car"), b"kept as it came").unwrap();
    let (public, secret) = pair();
    let identity = || Opening::Identity(Zeroizing::new(format!("# a comment\n{secret}\n")));
    let passphrase = || Passphrase::new("correct horse\n");
    let cases = [
        (Sealing::No, Opening::No),
        (Sealing::Recipients(vec![public.clone()]), identity()),
        (Sealing::Passphrase(passphrase()), Opening::Passphrase(passphrase())),
    ];
    for (number, (sealing, opening)) in cases.into_iter().enumerate() {
        let out = node.dir.path().with_extension(format!("out{number}"));
        let sealed = sealing.is_sealed();
        let options = BackupOptions { sealing, keys: true, plain_keys: true };
        let made = backup(&node, &out, &options).await.unwrap();
        assert_eq!((made.blobs, made.new_blobs, made.missing.len()), (3, 3, 0));
        assert!(made.keys);
        assert!(!node.dir.path().join("backup").exists(), "the copy in between is gone");
        if number < 2 {
            // Stretching a passphrase takes its time.
            let checked = read(&out, None, opening.clone()).await.unwrap();
            assert_eq!((checked.blobs, checked.data_dir), (3, None));
        }

        let new = node.dir.path().with_extension(format!("new{number}"));
        let restored = read(&out, Some(&new), opening.clone()).await.unwrap();
        assert!(restored.keys && restored.data_dir.is_some());
        assert!(new.join(RESTORED).exists(), "the first start is told");
        for (path, bytes) in &keys {
            assert_eq!(&std::fs::read(new.join("keys").join(path.file_name().unwrap())).unwrap(), bytes);
        }
        assert_eq!(std::fs::read(new.join("verbatim/odd.car")).unwrap(), b"kept as it came");
        let store = SqliteStore::open(&new, Options::default()).unwrap();
        assert_eq!(store.check_structure().await.unwrap(), Vec::<String>::new());
        assert_eq!(state(&store, &person.did).await, state(&*node.store, &person.did).await);
        let blobs = Blobs::open(&new.join("blobs")).unwrap();
        for (cid, bytes) in &person.blobs {
            let reader = blobs.read(&person.did, cid, None).await.unwrap().unwrap();
            assert_eq!(&reader.bytes(1 << 20).await.unwrap(), bytes);
        }
        if sealed {
            let all: Vec<u8> = files(&out).iter().flat_map(|path| std::fs::read(path).unwrap()).collect();
            for plain in [
                &b"SQLite format"[..],
                b"the key that wraps",
                b"kept as it came",
                person.did.as_str().as_bytes(),
            ] {
                assert!(
                    !all.windows(plain.len()).any(|w| w == plain),
                    "{:?} is readable",
                    String::from_utf8_lossy(plain)
                );
            }
            let (_, other) = pair();
            for wrong in [
                Opening::No,
                Opening::Identity(Zeroizing::new(other)),
                Opening::Passphrase(Passphrase::new("x")),
            ] {
                assert!(read(&out, None, wrong).await.is_err());
            }
        }
        // A second restore into the same directory is refused, and changes nothing.
        drop(store);
        let before = files(&new);
        assert_eq!(read(&out, Some(&new), opening).await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(files(&new), before);
        std::fs::remove_dir_all(&out).unwrap();
        std::fs::remove_dir_all(&new).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flipped_byte_is_found() {
    let (_net, _person, node) = archived(82).await;
    keys(&node);
    let (public, secret) = pair();
    for sealing in [Sealing::No, Sealing::Recipients(vec![public])] {
        let out = node.dir.path().with_extension("flipped");
        let opening = || match &sealing {
            Sealing::No => Opening::No,
            _ => Opening::Identity(Zeroizing::new(secret.clone())),
        };
        let options = BackupOptions { sealing: sealing.clone(), keys: true, plain_keys: true };
        backup(&node, &out, &options).await.unwrap();
        read(&out, None, opening()).await.unwrap();
        let mut flipped = 0;
        for path in files(&out) {
            let good = std::fs::read(&path).unwrap();
            // Every byte of the first file, and some of each other one, its ends among them.
            let every = good.len() < 600 && path.ends_with("p2pds-backup.json");
            let step = if every { 1 } else { (good.len() / 5).max(1) };
            for at in (0..good.len()).step_by(step).chain([good.len() - 1]) {
                let mut bad = good.clone();
                bad[at] ^= 1 << (at % 8);
                std::fs::write(&path, &bad).unwrap();
                let said = read(&out, None, opening()).await;
                assert!(said.is_err(), "byte {at} of {}", path.display());
                flipped += 1;
            }
            std::fs::write(&path, &good[..good.len() - 1]).unwrap();
            assert!(read(&out, None, opening()).await.is_err(), "{} cut short", path.display());
            std::fs::remove_file(&path).unwrap();
            assert!(read(&out, None, opening()).await.is_err(), "{} missing", path.display());
            std::fs::write(&path, &good).unwrap();
        }
        assert!(flipped > 100, "{flipped}");
        read(&out, None, opening()).await.unwrap();
        std::fs::remove_dir_all(&out).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_brought_up_to_date() {
    let (_net, person, node) = archived(83).await;
    let out = node.dir.path().with_extension("again");
    let options = BackupOptions::default();
    assert_eq!(backup(&node, &out, &options).await.unwrap().new_blobs, 3);
    let first = files(&out);
    let put = |value: &str| Unit::PutSetting { name: "mark".into(), value: Some(value.into()) };
    node.store.apply(put("second")).await.unwrap();
    // One that cannot be read any more where it was, but is in the backup; and halves of an interrupted run.
    let cid = person.blobs.keys().next().unwrap();
    std::fs::remove_file(node.archive.blobs().path(&person.did, cid)).unwrap();
    std::fs::write(out.join("database-5.part"), b"half").unwrap();
    let recovery = Recovery::new(node.archive.clone());
    let again = recovery.backup(&out, &options, 1_700_000_000_000_009, &Progress::none()).await.unwrap();
    assert_eq!((again.blobs, again.new_blobs, again.missing.len()), (3, 0, 0), "nothing is copied twice");
    assert_eq!(files(&out).len(), first.len(), "what was replaced is gone");
    let new = node.dir.path().with_extension("again-new");
    read(&out, Some(&new), Opening::No).await.unwrap();
    let store = SqliteStore::open(&new, Options::default()).unwrap();
    assert_eq!(store.setting("mark").await.unwrap().as_deref(), Some("second"));

    // Into a directory that is something else, or with another key, nothing is written.
    let (public, _) = pair();
    let sealed = BackupOptions { sealing: Sealing::Recipients(vec![public]), ..BackupOptions::default() };
    let before = files(&out);
    assert_eq!(backup(&node, &out, &sealed).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(backup(&node, &new, &options).await.unwrap_err().kind(), ErrorKind::Conflict);
    let inside = node.dir.path().join("inside");
    assert_eq!(backup(&node, &inside, &options).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert!(!inside.exists());
    assert_eq!(files(&out), before);
    // Keys are not written out by chance.
    let keys = BackupOptions { keys: true, ..BackupOptions::default() };
    let refused = backup(&node, &out, &keys).await.unwrap_err();
    assert!(refused.to_string().contains("--plain-keys"), "{refused}");
    for bad in ["age1nothing", "ssh-ed25519 AAAA"] {
        let options =
            BackupOptions { sealing: Sealing::Recipients(vec![bad.into()]), ..BackupOptions::default() };
        let other = node.dir.path().with_extension("bad-key");
        assert_eq!(backup(&node, &other, &options).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert!(!other.exists(), "nothing is begun");
    }
    // A blob that is nowhere is said, and the rest is good.
    let third = node.dir.path().with_extension("third");
    let made = backup(&node, &third, &options).await.unwrap();
    assert_eq!((made.blobs, made.missing), (2, vec![format!("{} {cid}", person.did)]));
    assert_eq!(read(&third, None, Opening::No).await.unwrap().missing, 1);
    for dir in [out, new, third] {
        std::fs::remove_dir_all(dir).unwrap();
    }
}
