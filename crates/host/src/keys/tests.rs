use std::os::unix::fs::PermissionsExt as _;

use p2pds_crypto::{PrivateKey, Signer as _};
use p2pds_syntax::{Did, ErrorKind};
use zeroize::Zeroizing;

use super::{Fresh, GivenKeys, Keys, KeysError, Purpose, SEALED_MAX, WrapError};

fn did(name: &str) -> Did {
    Did::parse(&format!("did:web:{name}.example.com")).unwrap()
}

fn open(dir: &std::path::Path) -> Keys {
    Keys::open(dir, &GivenKeys::default(), Fresh::Make).unwrap()
}

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn made_once_and_kept() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("keys");
    let first = open(&dir);
    let second = open(&dir);
    assert_eq!(first.plc_rotation().public_key(), second.plc_rotation().public_key());
    assert_eq!(first.jwt(), second.jwt());
    let key = first.new_signing_key().unwrap();
    let opened = second.unwrap(&first.wrap(&key, &did("a")).unwrap(), &did("a")).unwrap();
    assert_eq!(opened.public_key(), key.public_key());
    let files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    assert_eq!(mode(&dir), 0o700);
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn a_sealed_key_opens_for_its_account_under_its_node_key_alone() {
    let data = tempfile::tempdir().unwrap();
    let keys = open(&data.path().join("one"));
    let other = open(&data.path().join("two"));
    let key = keys.new_signing_key().unwrap();
    let sealed = keys.wrap(&key, &did("a")).unwrap();
    assert_eq!(sealed.len(), SEALED_MAX);
    assert_ne!(sealed, keys.wrap(&key, &did("a")).unwrap(), "the nonce is new each time");
    let secret = key.to_secret_bytes();
    assert!(!sealed.windows(32).any(|part| part == secret.as_slice()));
    assert!(keys.unwrap(&sealed, &did("a")).is_ok());
    let wrong = keys.unwrap(&sealed, &did("b")).err().unwrap();
    assert!(matches!(wrong, WrapError::WrongKey { .. }), "{wrong}");
    let lost = other.unwrap(&sealed, &did("a")).err().unwrap();
    assert!(lost.to_string().contains("two/node.key"), "{lost}");
    assert!(keys.unwrap_reserved(&sealed, &key.public_key().to_did_key()).is_err());
    for at in 0..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[at] ^= 1;
        assert!(keys.unwrap(&flipped, &did("a")).is_err(), "byte {at}");
        assert!(keys.unwrap(&sealed[..at], &did("a")).is_err(), "length {at}");
    }
    let promised = keys.wrap_reserved(&key).unwrap();
    let name = key.public_key().to_did_key();
    assert_eq!(keys.unwrap_reserved(&promised, &name).unwrap().public_key(), key.public_key());
    assert!(keys.unwrap(&promised, &did("a")).is_err());
}

#[test]
fn settings_win_and_are_checked() {
    let data = tempfile::tempdir().unwrap();
    let hex = "A1".repeat(32);
    let given = |rotation: &str, jwt: &str| GivenKeys {
        plc_rotation_hex: Some(Zeroizing::new(rotation.to_owned())),
        jwt_secret: Some(Zeroizing::new(jwt.to_owned())),
    };
    let keys = Keys::open(data.path(), &given(&hex, "0123456789abcdef"), Fresh::Make).unwrap();
    let expected = PrivateKey::from_bytes(p2pds_crypto::Curve::K256, &[0xa1; 32]).unwrap();
    assert_eq!(keys.plc_rotation().public_key(), expected.public_key());
    assert_eq!(keys.jwt(), b"0123456789abcdef");
    let files = std::fs::read_dir(data.path()).unwrap().count();
    assert_eq!(files, 1, "what was given is not written down");
    for (rotation, jwt) in
        [(&*hex, "short"), ("a1", "0123456789abcdef"), (&"0".repeat(64), "0123456789abcdef")]
    {
        let error = Keys::open(data.path(), &given(rotation, jwt), Fresh::Make).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!error.to_string().contains(&hex), "{error}");
    }
}

#[test]
fn a_lost_node_key_is_never_replaced() {
    let data = tempfile::tempdir().unwrap();
    let error = Keys::open(data.path(), &GivenKeys::default(), Fresh::MustExist).unwrap_err();
    assert!(matches!(error, KeysError::Lost { .. }));
    assert!(error.to_string().contains("rotate-key"), "{error}");
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
}

#[test]
fn damaged_and_open_files() {
    let data = tempfile::tempdir().unwrap();
    drop(open(data.path()));
    let file = data.path().join("node.key");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    drop(open(data.path()));
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(data.path()), 0o700);
    for text in ["", "abc", &"0".repeat(63), &"g".repeat(64), &"0".repeat(200)] {
        std::fs::write(&file, text).unwrap();
        let error = Keys::open(data.path(), &GivenKeys::default(), Fresh::Make).unwrap_err();
        assert!(matches!(error, KeysError::Damaged { .. }), "{text:?}: {error}");
    }
}

#[test]
fn purposes_have_keys_of_their_own() {
    let keys = Keys::in_memory().unwrap();
    let all =
        [Purpose::SigningKeys, Purpose::EmailTokens, Purpose::Sessions, Purpose::Cookies, Purpose::Cursors];
    let derived: std::collections::BTreeSet<[u8; 32]> = all.iter().map(|p| *keys.derived(*p)).collect();
    assert_eq!(derived.len(), all.len());
    assert!(!derived.contains(&*keys.node));
    assert_eq!(keys.derived(Purpose::Cookies), keys.derived(Purpose::Cookies));
}

#[test]
fn nothing_is_shown() {
    let data = tempfile::tempdir().unwrap();
    let keys = open(data.path());
    let shown = format!("{keys:?} {:?}", GivenKeys::default());
    assert!(shown.len() < data.path().as_os_str().len() + 60, "{shown}");
}
