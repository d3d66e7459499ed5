use std::cell::Cell;

use p2pds_crypto::{Curve, PrivateKey, Signer as _};
use p2pds_identity::plc::{Data, Log, LogEntry, Operation, Unsigned, validate_log};
use p2pds_ipld::cbor;
use p2pds_syntax::{Datetime, Handle};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::change::signed;
use super::{PlcChange, Wanted, check_submitted};
use crate::keys::Keys;

const NOW: i64 = 1_790_000_000_000_000;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_entropy(Curve::K256, [seed; 32])
}

/// An account of this host: its log, made by the host's key.
fn account(keys: &Keys, name: &str) -> Log {
    let mut data =
        Data { rotation_keys: vec![keys.plc_rotation().public_key().to_did_key()], ..Data::default() };
    data.set_handle(&Handle::parse(&format!("{name}.example.com")).unwrap());
    data.set_signing_key(&key(1).public_key());
    data.set_pds("https://pds.example.com");
    let operation = Unsigned::genesis(data).sign(&*keys.plc_rotation()).unwrap();
    let (did, cid) = (operation.created_did().unwrap(), operation.cid());
    let created_at = Datetime::parse("2026-01-01T00:00:00.000Z").unwrap();
    let entry = LogEntry { did: did.clone(), operation, cid, nullified: false, created_at };
    validate_log(&did, &[entry]).unwrap()
}

fn change(value: Value) -> PlcChange {
    serde_json::from_value(value).unwrap()
}

#[test]
fn fields_replace_fields_and_nothing_else_changes() {
    let keys = Keys::in_memory().unwrap();
    let log = account(&keys, "alice");
    let mine = key(7).public_key().to_did_key();
    let operation = signed(&keys, &log, change(json!({"rotationKeys": [mine], "token": "x"})), NOW).unwrap();
    let (before, after) = (log.data().unwrap(), operation.data().unwrap());
    assert_eq!(after.rotation_keys, [mine]);
    assert_eq!(Data { rotation_keys: before.rotation_keys.clone(), ..after }, before);
    assert_eq!(operation.prev(), Some(log.head()));
}

#[test]
fn what_locks_people_out_is_refused_by_field() {
    let keys = Keys::in_memory().unwrap();
    let log = account(&keys, "alice");
    let own = keys.plc_rotation().public_key().to_did_key();
    let cases = [
        (json!({"rotationKeys": []}), "rotation keys"),
        (json!({"rotationKeys": ["did:key:zQ3"]}), "rotationKeys[0]"),
        (json!({"rotationKeys": [own, own]}), "twice"),
        (
            json!({"rotationKeys": (1..12).map(|i| key(i).public_key().to_did_key()).collect::<Vec<_>>()}),
            "10",
        ),
        (json!({"alsoKnownAs": ["alice"]}), "alsoKnownAs[0]"),
        (json!({"alsoKnownAs": ["at://alice"]}), "alsoKnownAs[0]"),
        (json!({"alsoKnownAs": ["at://a.test", "https://x y"]}), "alsoKnownAs[1]"),
        (json!({"verificationMethods": {"atproto": "did:key:zzz"}}), "verificationMethods.atproto"),
        (
            json!({"services": {"atproto_pds": {"type": "Other", "endpoint": "https://a.example"}}}),
            "services.atproto_pds",
        ),
        (
            json!({"services": {"atproto_pds": {"type": "AtprotoPersonalDataServer", "endpoint": "nowhere"}}}),
            "services.atproto_pds",
        ),
        (json!({"services": {"x": {"type": "X", "endpoint": ""}}}), "services.x"),
    ];
    for (body, word) in cases {
        let error = signed(&keys, &log, change(body.clone()), NOW).unwrap_err();
        assert!(error.message.contains(word), "{body}: {error}");
        assert_eq!(error.name, "InvalidRequest");
    }
    for body in
        [json!({"rotationKeys": [1]}), json!({"services": {"a": {"type": "A", "endpoint": "x", "more": 1}}})]
    {
        assert!(serde_json::from_value::<PlcChange>(body).is_err());
    }
}

#[test]
fn a_log_without_the_hosts_key_is_not_signed_for() {
    let (keys, others) = (Keys::in_memory().unwrap(), Keys::in_memory().unwrap());
    let log = account(&others, "alice");
    let error = signed(&keys, &log, PlcChange::default(), NOW).unwrap_err();
    assert!(error.message.contains("rotation key of this host"), "{error}");
}

/// Text as callers may send it: names of keys and types, tokens, CIDs, line noise.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(
            &["at://bob.example.com", "https://pds.example.com", "AtprotoPersonalDataServer", "atproto"][..]
        )
        .prop_map(str::to_owned),
        (1..6_u8).prop_map(|seed| key(seed).public_key().to_did_key()),
        any::<String>(),
        prop::collection::vec(any::<u8>(), 0..60)
            .prop_map(|bytes| data_encoding::BASE64URL_NOPAD.encode(&bytes)),
    ]
}

fn request() -> impl Strategy<Value = Value> {
    let services = prop::collection::btree_map(
        text(),
        (text(), text()).prop_map(|(kind, endpoint)| json!({"type": kind, "endpoint": endpoint})),
        0..3,
    );
    let did_key = || (1..30_u8).prop_map(|seed| key(seed).public_key().to_did_key());
    let sound_keys = prop::collection::btree_set(did_key(), 1..5).prop_map(|keys| json!(keys));
    let sound_names =
        prop::collection::btree_set("[a-z]{3,8}:[ -~&&[^ ]]{1,30}", 0..4).prop_map(|n| json!(n));
    let sound_methods = prop::collection::btree_map("[a-z_.]{1,20}", did_key(), 0..3).prop_map(|m| json!(m));
    let sound_services = prop::collection::btree_map(
        "[a-z_.]{1,20}",
        ("[!-~]{1,40}", "[!-~]{1,60}")
            .prop_map(|(kind, endpoint)| json!({"type": kind, "endpoint": endpoint})),
        0..3,
    )
    .prop_map(|m| json!(m));
    let wild = || prop::collection::vec(text(), 0..4).prop_map(|l| json!(l));
    let wild_methods = prop::collection::btree_map(text(), text(), 0..3).prop_map(|m| json!(m));
    (
        prop::option::of(prop_oneof![9 => sound_keys, 1 => wild()]),
        prop::option::of(prop_oneof![9 => sound_names, 1 => wild()]),
        prop::option::of(prop_oneof![9 => sound_methods, 1 => wild_methods]),
        prop::option::of(prop_oneof![9 => sound_services, 1 => services.prop_map(|m| json!(m))]),
        prop::collection::btree_map(text(), text(), 0..3),
    )
        .prop_map(|(rotation, aka, methods, services, extra)| {
            let mut body = json!(extra);
            let fields = [
                ("rotationKeys", rotation),
                ("alsoKnownAs", aka),
                ("verificationMethods", methods),
                ("services", services),
                // What a caller who wants another operation signed would try.
                ("prev", Some(json!(null))),
                ("type", Some(json!("plc_tombstone"))),
                ("did", Some(json!("did:plc:z72i7hdynmk6r22z27h6tvur"))),
                (
                    "data",
                    Some(json!({"$link": "bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"})),
                ),
            ];
            for (name, value) in fields {
                if let Some(value) = value {
                    body[name] = value;
                }
            }
            body
        })
}

/// Whether these bytes, which the host signed, mean something besides an operation of this log.
fn other_meaning(bytes: &[u8], others: &[Log]) -> Option<&'static str> {
    let Ok(cbor::Value::Map(fields)) = cbor::decode(bytes, &cbor::Limits::STRICT) else {
        return Some("no map");
    };
    let has = |name: &str| fields.iter().any(|(key, _)| key == name);
    if has("did") || has("data") || has("rev") || has("version") {
        return Some("commit");
    }
    // A token's signature is over base64url text with one dot.
    if bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b)) {
        return Some("token");
    }
    let prev = fields.iter().find(|(key, _)| key == "prev").map(|(_, value)| value.clone());
    match prev {
        Some(cbor::Value::Text(prev)) => others
            .iter()
            .any(|log| log.entries().iter().any(|entry| entry.cid.to_string() == prev))
            .then_some("operation of another account"),
        _ => Some("an operation that creates an account"),
    }
}

/// Attack 40: whatever a caller sends, the signature that comes back verifies as one thing only.
#[test]
fn nothing_composed_by_others_is_signed() {
    let keys = Keys::in_memory().unwrap();
    let log = account(&keys, "alice");
    let others = [account(&keys, "bob"), account(&keys, "carol")];
    let counted = Cell::new(0_u32);
    let mut runner = TestRunner::default();
    let outcome = runner.run(&request(), |body| {
        let Ok(change) = serde_json::from_value::<PlcChange>(body) else { return Ok(()) };
        let Ok(operation) = signed(&keys, &log, change, NOW) else { return Ok(()) };
        counted.set(counted.get() + 1);
        let public = keys.plc_rotation().public_key();
        let message = operation.unsigned().to_cbor();
        prop_assert!(public.verify(&message, operation.signature().as_bytes()).is_ok());
        prop_assert_eq!(other_meaning(&message, &others), None);
        let again = Operation::from_json(&operation.to_json()).unwrap();
        prop_assert_eq!(again.unsigned().to_cbor(), message);
        prop_assert!(operation.created_did().is_none());
        // No other account's log takes it, and this account's repo key did not sign it.
        let at = Datetime::from_unix_micros(NOW).unwrap();
        for other in &others {
            prop_assert!(other.append(operation.clone(), at.clone()).is_err());
        }
        prop_assert!(log.append(operation.clone(), at).is_ok());
        prop_assert!(!operation.verify(&key(1).public_key()));
        Ok(())
    });
    outcome.unwrap();
    let counted = counted.get();
    assert!(counted > 30, "only {counted} requests were signed: the test tests nothing");
}

struct Here {
    keys: Keys,
    rotation: String,
    signing: String,
    handle: Handle,
    log: Log,
    /// The key of the host before, which has the authority to sign.
    old: PrivateKey,
}

impl Here {
    fn new() -> Self {
        let keys = Keys::in_memory().unwrap();
        let old = key(9);
        let mut data = Data { rotation_keys: vec![old.public_key().to_did_key()], ..Data::default() };
        data.set_pds("https://old.example.com");
        let operation = Unsigned::genesis(data).sign(&old).unwrap();
        let (did, cid) = (operation.created_did().unwrap(), operation.cid());
        let created_at = Datetime::parse("2026-01-01T00:00:00.000Z").unwrap();
        let entry = LogEntry { did: did.clone(), operation, cid, nullified: false, created_at };
        Self {
            rotation: keys.plc_rotation().public_key().to_did_key(),
            signing: key(2).public_key().to_did_key(),
            handle: Handle::parse("alice.example.com").unwrap(),
            log: validate_log(&did, &[entry]).unwrap(),
            keys,
            old,
        }
    }

    fn good(&self) -> Data {
        let mut data = Data { rotation_keys: vec![self.rotation.clone()], ..Data::default() };
        data.set_handle(&self.handle);
        data.set_signing_key(&key(2).public_key());
        data.set_pds("https://pds.example.com");
        data
    }

    fn check(&self, operation: &Value) -> Result<Operation, String> {
        let wanted = Wanted {
            rotation_key: &self.rotation,
            endpoint: "https://pds.example.com",
            signing_key: &self.signing,
            handle: Some(&self.handle),
        };
        check_submitted(operation, &wanted).map_err(|error| error.message)
    }

    fn signed(&self, data: Data) -> Value {
        Unsigned::update(self.log.head(), data).sign(&self.old).unwrap().to_json()
    }
}

#[test]
fn a_submitted_operation_must_make_the_account_usable_here() {
    let here = Here::new();
    let operation = here.check(&here.signed(here.good())).unwrap();
    assert!(super::sign::check_next(&here.log, &operation, NOW).is_ok());
    let other = key(3).public_key();
    type Spoil = fn(&mut Data, &p2pds_crypto::PublicKey);
    let cases: [(&str, Spoil); 6] = [
        ("rotation key", |data, other| data.rotation_keys = vec![other.to_did_key()]),
        ("endpoint", |data, _| data.set_pds("https://pds.example.com/")),
        ("type", |data, _| data.services.values_mut().for_each(|s| s.kind = "Other".into())),
        ("type", |data, _| data.services.clear()),
        ("signing key", |data, other| data.set_signing_key(other)),
        ("alsoKnownAs", |data, _| data.also_known_as.insert(0, "https://elsewhere.example".into())),
    ];
    for (word, spoil) in cases {
        let mut data = here.good();
        spoil(&mut data, &other);
        let error = here.check(&here.signed(data)).unwrap_err();
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn what_is_no_update_of_this_account_is_not_passed_on() {
    let here = Here::new();
    let good = here.signed(here.good());
    let mut with_more = good.clone();
    with_more["more"] = json!(1);
    let mut unsigned = good.clone();
    unsigned.as_object_mut().unwrap().remove("sig");
    let genesis = Unsigned::genesis(here.good()).sign(&here.old).unwrap().to_json();
    let tombstone = Unsigned::tombstone(here.log.head()).sign(&here.old).unwrap().to_json();
    for wrong in [with_more, unsigned, genesis, tombstone, json!(null), json!("x"), json!({})] {
        let error = here.check(&wrong).unwrap_err();
        assert!(error.starts_with("Invalid operation"), "{wrong}: {error}");
    }
    // Signed by nobody who may, and continuing another account's log: passed by shape, refused by the log.
    let stranger = Unsigned::update(here.log.head(), here.good()).sign(&key(8)).unwrap();
    let foreign = account(&here.keys, "bob");
    let of_bob = Unsigned::update(foreign.head(), here.good()).sign(&here.old).unwrap();
    for wrong in [stranger, of_bob] {
        let read = here.check(&wrong.to_json()).unwrap();
        assert!(super::sign::check_next(&here.log, &read, NOW).is_err());
    }
}
