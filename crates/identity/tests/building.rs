//! Operations that we build: what a restore does, step by step, and what is refused before it is signed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

use p2pds_crypto::{Curve, PrivateKey, Signer};
use p2pds_identity::plc::{
    Data, EntryFault, Log, LogChange, LogEntry, Operation, PlcError, Service, State, Unsigned, compare,
    validate_log,
};
use p2pds_syntax::{Datetime, Handle};
use proptest::prelude::*;

const HOUR: i64 = 3_600_000_000;
const START: i64 = 1_767_225_600_000_000;

fn key(curve: Curve, seed: u8) -> PrivateKey {
    PrivateKey::from_entropy(curve, [seed; 32])
}

fn at(hours: i64) -> Datetime {
    Datetime::from_unix_micros(START + hours * HOUR).unwrap()
}

/// The user's own key, and the key of the first host.
fn user() -> PrivateKey {
    key(Curve::P256, 1)
}

fn host() -> PrivateKey {
    key(Curve::K256, 2)
}

fn data() -> Data {
    let mut data = Data::default();
    data.put_rotation_key_first(&host().public_key());
    data.put_rotation_key_first(&user().public_key());
    data.set_signing_key(&key(Curve::K256, 3).public_key());
    data.set_handle(&Handle::parse("alice.example.com").unwrap());
    data.set_pds("https://old.example.com");
    data
}

fn created() -> Log {
    let operation = Unsigned::genesis(data()).sign(&host()).unwrap();
    let did = operation.created_did().unwrap();
    let cid = operation.cid();
    let entry = LogEntry { did: did.clone(), operation, cid, nullified: false, created_at: at(0) };
    validate_log(&did, &[entry]).unwrap()
}

fn append(log: &Log, unsigned: Unsigned, signer: &dyn Signer, hours: i64) -> Result<Log, PlcError> {
    log.append(unsigned.sign(signer).unwrap(), at(hours))
}

/// The two operations of a restore: a signing key that the user holds, then whatever the new host recommends.
#[test]
fn restore_in_two_operations() {
    let log = created();
    let mine = key(Curve::K256, 9).public_key();
    let first = log.update(|data| data.set_signing_key(&mine)).unwrap();
    let log = append(&log, first, &user(), 1).unwrap();
    assert_eq!(log.document().unwrap().signing_key().unwrap().unwrap(), mine);

    let new_host = key(Curve::K256, 10).public_key();
    let new_repo = key(Curve::K256, 11).public_key();
    let recommended = serde_json::json!({
        "rotationKeys": [new_host.to_did_key()],
        "alsoKnownAs": ["at://alice.new.example.com"],
        "verificationMethods": { "atproto": new_repo.to_did_key() },
        "services": { "atproto_pds": { "type": "AtprotoPersonalDataServer", "endpoint": "https://new.example.com" } },
    });
    let mut adopted = log.data().unwrap();
    adopted.adopt(&recommended, &[user().public_key()]).unwrap();
    assert_eq!(adopted.rotation_keys, [user().public_key().to_did_key(), new_host.to_did_key()]);
    let log = append(&log, Unsigned::update(log.head(), adopted), &user(), 2).unwrap();

    let document = log.document().unwrap();
    assert_eq!(document.pds().unwrap(), "https://new.example.com");
    assert_eq!(document.handle().unwrap().as_str(), "alice.new.example.com");
    assert_eq!(document.signing_key().unwrap().unwrap(), new_repo);
    assert!(log.can_sign(&user().public_key()) && !log.can_sign(&host().public_key()));
}

#[test]
fn keys_by_time() {
    let (first, second) = (key(Curve::K256, 3).public_key().to_did_key(), key(Curve::P256, 4).public_key());
    let log = created();
    let rotate = log.update(|data| data.set_signing_key(&second)).unwrap();
    let log = append(&log, rotate, &host(), 10).unwrap();
    let second = second.to_did_key();
    let at = |micros: i64| log.signing_keys_at(START + micros);
    let minute = HOUR / 60;
    assert_eq!(at(-6 * minute), [""; 0]);
    assert_eq!(at(0), [first.as_str()]);
    assert_eq!(at(10 * HOUR - 6 * minute), [first.as_str()]);
    assert_eq!(at(10 * HOUR), [first.as_str(), second.as_str()]);
    assert_eq!(at(10 * HOUR + 6 * minute), [second.as_str()]);
    assert_eq!(log.signing_keys().len(), 2);
    assert_eq!(log.signing_keys()[0].until, Some(START + 10 * HOUR));

    // What a thief set never counted, once it is undone.
    let thief = key(Curve::K256, 66).public_key();
    let theft = created().update(|data| data.set_signing_key(&thief)).unwrap();
    let stolen = append(&created(), theft, &host(), 10).unwrap();
    let mine = Unsigned::update(&stolen.entries()[0].cid, data());
    let recovered = append(&stolen, mine, &user(), 20).unwrap();
    assert_eq!(recovered.signing_keys_at(START + 15 * HOUR), [first.as_str()]);
    assert_eq!(recovered.nullified_since(&stolen).count(), 1);
    assert_eq!(compare(&stolen, &recovered), LogChange::Extended(1));
}

#[test]
fn deletion_and_revival() {
    let log = created();
    let deleted = append(&log, Unsigned::tombstone(log.head()), &host(), 1).unwrap();
    assert_eq!(deleted.state(), State::Tombstoned { at: at(1) });
    assert!(deleted.document().is_none() && deleted.data().is_none());
    assert!(matches!(deleted.update(|_| ()), Err(PlcError::Tombstoned { .. })));
    assert_eq!(deleted.data_at(START + HOUR / 2), log.data());
    // The key that deleted cannot undo it, the one above it can, until 72 hours have passed.
    let revive = || Unsigned::update(log.head(), data());
    let refused = append(&deleted, revive(), &host(), 2).unwrap_err();
    assert!(matches!(refused.fault(), Some(EntryFault::LowAuthority)));
    let revived = append(&deleted, revive(), &user(), 73).unwrap();
    assert_eq!(revived.state(), State::Active(data()));
    let late = append(&deleted, revive(), &user(), 74).unwrap_err();
    assert!(matches!(late.fault(), Some(EntryFault::TooLate { hours: 73 })));
}

#[test]
fn comparing_answers() {
    let base = created();
    let renamed = |name: &str| {
        let handle = Handle::parse(name).unwrap();
        append(&base, base.update(|data| data.set_handle(&handle)).unwrap(), &host(), 1).unwrap()
    };
    let (bob, carol) = (renamed("bob.example.com"), renamed("carol.example.com"));
    assert_eq!(compare(&bob, &bob), LogChange::Same);
    assert_eq!(compare(&base, &bob), LogChange::Extended(1));
    assert_eq!(compare(&bob, &base), LogChange::Shorter);
    assert_eq!(compare(&bob, &carol), LogChange::Forked { at: 1 });
    // The same operations at other times are another story.
    let mut moved = bob.entries().to_vec();
    moved[1].created_at = at(2);
    let moved = validate_log(bob.did(), &moved).unwrap();
    assert_eq!(compare(&bob, &moved), LogChange::Forked { at: 1 });
}

#[test]
fn refused_before_signing() {
    let refused = |change: &dyn Fn(&mut Data)| {
        let mut data = data();
        change(&mut data);
        let result = Unsigned::genesis(data).sign(&host());
        assert!(matches!(result, Err(PlcError::Refused { .. })), "{result:?}");
    };
    refused(&|d| d.rotation_keys.clear());
    refused(&|d| d.rotation_keys.push(d.rotation_keys[0].clone()));
    refused(&|d| d.rotation_keys.push("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK".to_owned()));
    refused(&|d| {
        d.rotation_keys = (0..11).map(|n| key(Curve::K256, 100 + n).public_key().to_did_key()).collect()
    });
    refused(&|d| d.also_known_as = (0..11).map(|n| format!("at://n{n}.example.com")).collect());
    refused(&|d| d.also_known_as.push(format!("at://{}", "x".repeat(254))));
    refused(&|d| d.also_known_as.push(d.also_known_as[0].clone()));
    refused(&|d| drop(d.verification_methods.insert("x".to_owned(), "key".to_owned())));
    refused(&|d| drop(d.verification_methods.insert("x".repeat(33), d.rotation_keys[0].clone())));
    refused(&|d| {
        drop(d.services.insert("x".repeat(33), Service { kind: "T".to_owned(), endpoint: String::new() }))
    });
    let service = |length| Service { kind: "T".to_owned(), endpoint: "x".repeat(length) };
    refused(&|d| drop(d.services.insert("x".to_owned(), service(513))));
    // Each alone is in bounds, all together are too large.
    refused(&|d| d.services = (0..8).map(|n| (n.to_string(), service(500))).collect());
}

#[test]
fn boundaries_are_allowed() {
    let mut data = data();
    data.rotation_keys = (0..10).map(|n| key(Curve::K256, 100 + n).public_key().to_did_key()).collect();
    data.also_known_as = vec![format!("at://{}", "x".repeat(253))];
    data.services.insert("x".repeat(32), Service { kind: "T".repeat(256), endpoint: "x".repeat(512) });
    assert!(Unsigned::genesis(data).sign(&host()).is_ok());
}

fn any_data() -> impl Strategy<Value = Data> {
    let text = "[ -~äß💩]{0,20}";
    (
        prop::collection::vec(any::<u8>(), 1..4),
        prop::collection::btree_map("[a-z]{1,8}", any::<u8>(), 0..4),
        prop::collection::hash_set(text, 0..4),
        prop::collection::btree_map("[a-z_]{1,8}", (text, text), 0..4),
    )
        .prop_map(|(rotation, methods, names, services)| {
            let mut data = Data::default();
            for seed in rotation {
                data.put_rotation_key_first(&key(Curve::P256, seed).public_key());
            }
            data.verification_methods = methods
                .into_iter()
                .map(|(id, seed)| (id, key(Curve::K256, seed).public_key().to_did_key()))
                .collect();
            data.also_known_as = names.into_iter().collect();
            data.services =
                services.into_iter().map(|(id, (kind, endpoint))| (id, Service { kind, endpoint })).collect();
            data
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn operations_survive_json(data in any_data()) {
        let signer = user();
        let operation = Unsigned::genesis(data.clone()).sign(&signer).unwrap();
        prop_assert!(operation.verify(&signer.public_key()));
        let text = serde_json::to_string(&operation.to_json()).unwrap();
        let read: Operation = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &operation);
        prop_assert_eq!(read.to_cbor(), operation.to_cbor());
        prop_assert_eq!(read.data(), Some(data));
        // The bytes are what an independent encoder makes of the JSON.
        let value = p2pds_ipld::json::from_json(&operation.to_json()).unwrap();
        prop_assert_eq!(p2pds_ipld::cbor::encode(&value), operation.to_cbor());
    }
}
