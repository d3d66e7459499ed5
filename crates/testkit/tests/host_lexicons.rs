//! Record types that their authority publishes: found through DNS, proved, and used for what is written here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use p2pds_crypto::PublicKey;
use p2pds_host::lexicons::proved;
use p2pds_syntax::{Did, Nsid};
use p2pds_testkit::hosted::{Hosted, PASSWORD};
use p2pds_testkit::oracle::{Account, Network, Options};
use p2pds_testkit::script::Script;
use p2pds_testkit::{http, visit};
use serde_json::{Value, json};

const BOOK: &str = "com.example.book";

fn write(by: &Account, collection: &str, record: Value, validate: Option<bool>) -> Result<String, String> {
    let mut body = json!({ "repo": by.did, "collection": collection, "record": record });
    if let Some(validate) = validate {
        body["validate"] = validate.into();
    }
    let done = by.call("com.atproto.repo.createRecord", &body).map_err(|error| error.to_string())?;
    Ok(done["validationStatus"].as_str().unwrap_or("none").to_owned())
}

fn publish(by: &Account, nsid: &str, properties: &Value) {
    let record = json!({
        "$type": "com.atproto.lexicon.schema",
        "lexicon": 1,
        "id": nsid,
        "defs": { "main": { "type": "record", "key": "tid", "record": {
            "type": "object", "required": ["title"], "properties": properties,
        } } },
    });
    by.put("com.atproto.lexicon.schema", nsid, &record).unwrap();
}

#[test]
fn published_types_are_found_and_hold() {
    let Some(network) = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let limit = ("PDS_FETCH_MAX_RESPONSE_SIZE", "16384");
    let hosted = Hosted::start(&network, &dir.path().join("data"), &[limit]).unwrap();
    let authority = hosted.sign_up(&network, "authority").unwrap();
    let alice = hosted.sign_up(&network, "alice-lexicons").unwrap();

    // Nobody publishes it: taken unchecked, refused when a check is wanted.
    let nowhere = "org.nowhere.thing";
    assert_eq!(write(&alice, nowhere, json!({ "a": 1 }), None).unwrap(), "unknown");
    assert!(write(&alice, nowhere, json!({ "a": 1 }), Some(true)).unwrap_err().contains("Unknown lexicon"));
    assert_eq!(write(&alice, nowhere, json!({ "a": 1 }), Some(false)).unwrap(), "none");

    publish(
        &authority,
        BOOK,
        &json!({
            "title": { "type": "string", "maxLength": 20 },
            "author": { "type": "ref", "ref": "com.example.defs#person" },
        }),
    );
    let defs = json!({
        "$type": "com.atproto.lexicon.schema", "lexicon": 1, "id": "com.example.defs",
        "defs": { "person": { "type": "object", "required": ["name"], "properties": { "name": { "type": "string" } } } },
    });
    authority.put("com.atproto.lexicon.schema", "com.example.defs", &defs).unwrap();
    network.names.set_txt("_lexicon.example.com", &[&format!("did={}", authority.did)]);

    let good = json!({ "title": "On trees", "author": { "name": "Ada" } });
    // A write does not wait long for an answer; whoever writes again has it.
    let mut said = String::new();
    for _ in 0..40 {
        said = write(&alice, BOOK, good.clone(), None).unwrap();
        if said == "valid" {
            break;
        }
        assert_eq!(said, "unknown");
    }
    assert_eq!(said, "valid");
    assert_eq!(write(&alice, BOOK, good, Some(true)).unwrap(), "valid");
    for (bad, what) in [
        (json!({ "author": { "name": "Ada" } }), "title"),
        (json!({ "title": "a title that is much too long" }), "title"),
        (json!({ "title": "x", "author": {} }), "author"),
    ] {
        let why = write(&alice, BOOK, bad.clone(), None).unwrap_err();
        assert!(why.contains("InvalidRequest") && why.contains(what), "{bad}: {why}");
        assert_eq!(write(&alice, BOOK, bad, Some(false)).unwrap(), "none", "unless nobody is to look");
    }

    // A schema that is larger than the setting allows is not had; a smaller one is.
    let long = "x".repeat(20_000);
    publish(&authority, "com.example.long", &json!({ "title": { "type": "string", "description": long } }));
    publish(&authority, "com.example.short", &json!({ "title": { "type": "string" } }));
    let titled = |nsid: &str| write(&alice, nsid, json!({ "title": "x" }), None).unwrap();
    assert_eq!(titled("com.example.long"), "unknown");
    assert!((0..40).any(|_| titled("com.example.short") == "valid"));
    assert_eq!(titled("com.example.long"), "unknown");

    // The proof that was read: no byte of it can be another one.
    let url = format!(
        "{}/xrpc/com.atproto.sync.getRecord?did={}&collection=com.atproto.lexicon.schema&rkey={BOOK}",
        hosted.url, authority.did
    );
    let car = http::request("GET", &url, &[], None).unwrap().body;
    let log: Vec<Value> = serde_json::from_slice(&network.audit_log(&authority.did).unwrap()).unwrap();
    let key = log.last().unwrap()["operation"]["verificationMethods"]["atproto"].as_str().unwrap();
    let key = PublicKey::from_did_key(key).unwrap();
    let (did, nsid) = (Did::parse(&authority.did).unwrap(), Nsid::parse(BOOK).unwrap());
    let read = |car: &[u8], did: &Did, nsid: &Nsid| proved(did, nsid, &key, car);
    let known = read(&car, &did, &nsid).unwrap();
    for at in 0..car.len() {
        let mut bad = car.clone();
        bad[at] ^= 1 << (at % 8);
        // The length of a block that nobody needs may change; what is read may not.
        assert!(read(&bad, &did, &nsid).map_or(true, |read| read == known), "byte {at}");
    }
    assert!(read(&car, &Did::parse(&alice.did).unwrap(), &nsid).is_err(), "of another account");
    assert!(read(&car, &did, &Nsid::parse("com.example.defs").unwrap()).is_err(), "of another schema");
}

/// What a permission set gives is known after a restart too, when nobody can say any more where the set is.
#[test]
fn permission_sets_outlive_a_restart() {
    let Some(network) = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut hosted = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let authority = hosted.sign_up(&network, "authority").unwrap();
    let alice = hosted.sign_up(&network, "alice-sets").unwrap();
    let set = json!({
        "$type": "com.atproto.lexicon.schema", "lexicon": 1, "id": "com.example.authBooks",
        "defs": { "main": {
            "type": "permission-set", "title": "Books", "detail": "Write books",
            "permissions": [
                { "type": "permission", "resource": "repo", "collection": [BOOK] },
                { "type": "permission", "resource": "repo", "collection": ["org.other.thing"] },
            ],
        } },
    });
    authority.put("com.atproto.lexicon.schema", "com.example.authBooks", &set).unwrap();
    network.names.set_txt("_lexicon.example.com", &[&format!("did={}", authority.did)]);

    let arguments = [hosted.url.as_str(), &alice.did, "atproto include:com.example.authBooks"];
    let Some(mut script) = Script::start(include_str!("oauth/sets.mjs"), &arguments).unwrap() else { return };
    let said = script.hear().unwrap();
    let back = visit::consent(said["url"].as_str().unwrap(), &alice.handle, PASSWORD).unwrap();
    script.say(back.split_once('?').unwrap().1).unwrap();
    let granted = format!("atproto repo:{BOOK}");
    assert_eq!(script.hear().unwrap(), json!({ "scope": granted, "inside": 200, "outside": 403 }));

    network.names.remove("_lexicon.example.com");
    hosted.stop().unwrap();
    hosted.begin().unwrap();
    script.say("started again").unwrap();
    assert_eq!(script.hear().unwrap(), json!({ "scope": granted, "inside": 200, "anew": "accepted" }));
    script.end().unwrap();
}
