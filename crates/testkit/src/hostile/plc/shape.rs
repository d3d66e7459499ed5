//! JSON that is not an audit log.

use p2pds_ipld::{Cid, Codec};
use serde_json::{Value, json};

use super::story::{Story, created, genesis, keys, renamed, tombstone, update};
use super::{PlcCase, case};

pub(super) fn add(cases: &mut Vec<PlcCase>) {
    fields(cases);
    sizes(cases);
    entries(cases);
    bytes(cases);
}

/// A created account and an update with a change made before it was signed.
fn updated(change: impl FnOnce(&mut Value)) -> Story {
    let mut story = created();
    let mut operation = update(&story.cid(0), "bob");
    change(&mut operation);
    story.add(operation, &keys().low, 1);
    story
}

fn remove(name: &'static str) -> impl FnOnce(&mut Value) {
    move |operation| drop(operation.as_object_mut().unwrap().remove(name))
}

/// Fields of operations.
fn fields(cases: &mut Vec<PlcCase>) {
    case(cases, "unknown field", updated(|op| op["note"] = "hello".into()), "unknown field");
    case(
        cases,
        "field of another type",
        updated(|op| op["handle"] = "bob.example.com".into()),
        "does not belong",
    );
    for name in ["type", "prev", "rotationKeys", "verificationMethods", "alsoKnownAs", "services"] {
        case(cases, &format!("without {name}"), updated(remove(name)), name);
    }
    case(cases, "unknown type", updated(|op| op["type"] = "plc_operation2".into()), "no known type");
    case(
        cases,
        "rotation keys as text",
        updated(|op| op["rotationKeys"] = "did:key:z".into()),
        "invalid type",
    );
    case(cases, "rotation key as number", updated(|op| op["rotationKeys"] = json!([1])), "invalid type");
    case(cases, "services as list", updated(|op| op["services"] = json!([])), "invalid type");
    let with_extra = |op: &mut Value| op["services"]["atproto_pds"]["note"] = "hello".into();
    case(cases, "service with an unknown field", updated(with_extra), "unknown field");
    let methods = |op: &mut Value| op["verificationMethods"]["atproto"] = json!(["did:key:z"]);
    case(cases, "verification method as list", updated(methods), "invalid type");
    case(cases, "predecessor as number", updated(|op| op["prev"] = 1.into()), "invalid type");
    case(cases, "predecessor that is no CID", updated(|op| op["prev"] = "previous".into()), "not a CID");
    let upper = |op: &mut Value| op["prev"] = op["prev"].as_str().unwrap().to_uppercase().into();
    case(cases, "predecessor in upper case", updated(upper), "not a CID");
    let raw = Cid::new(Codec::Raw, *created().cid(0).parse::<Cid>().unwrap().digest());
    case(
        cases,
        "predecessor of another codec",
        updated(|op| op["prev"] = raw.to_string().into()),
        "not among",
    );

    let mut story = created();
    let mut deletion = tombstone(&story.cid(0));
    deletion["services"] = json!({});
    story.add(deletion, &keys().low, 1);
    case(cases, "deletion with services", story, "does not belong");

    let mut story = created();
    let mut deletion = tombstone(&story.cid(0));
    deletion["prev"] = Value::Null;
    story.add(deletion, &keys().low, 1);
    case(cases, "deletion without a predecessor", story, "must name the operation");
}

/// Sizes.
fn sizes(cases: &mut Vec<PlcCase>) {
    let long = |op: &mut Value| op["alsoKnownAs"] = json!([format!("at://{}", "x".repeat(7_500))]);
    case(cases, "operation of more than 7500 bytes", updated(long), "bytes, 7500 are allowed");
    let many = |op: &mut Value| op["alsoKnownAs"] = vec![""; 5_000].into();
    case(cases, "operation with 5000 names", updated(many), "at most 1024");

    let mut story = Story::new();
    let mut huge = genesis();
    huge["services"]["big"] = json!({ "type": "Big", "endpoint": "y".repeat(8_000) });
    story.add(huge, &keys().low, 0);
    case(cases, "creation of more than 7500 bytes", story, "bytes, 7500 are allowed");
}

/// What stands around operations.
fn entries(cases: &mut Vec<PlcCase>) {
    let changed = |name: &str, value: Value| {
        let mut story = renamed();
        story.entries[1][name] = value;
        story
    };
    case(cases, "time without a zone", changed("createdAt", "2026-01-01T01:00:00.000".into()), "time zone");
    case(
        cases,
        "time that does not exist",
        changed("createdAt", "2026-02-30T01:00:00.000Z".into()),
        "no such day",
    );
    case(cases, "time as number", changed("createdAt", 1_767_229_200.into()), "invalid type");
    case(cases, "nullified as text", changed("nullified", "false".into()), "invalid type");
    case(cases, "CID that is none", changed("cid", "bafyreigcxay6".into()), "not a CID");
    case(cases, "operation as text", changed("operation", "plc_operation".into()), "invalid type");
    for name in ["did", "operation", "cid", "nullified", "createdAt"] {
        let mut story = renamed();
        story.entries[1].as_object_mut().unwrap().remove(name);
        story.did = Some(created().did());
        case(cases, &format!("entry without {name}"), story, name);
    }
    let mut story = renamed();
    story.did = Some(story.did());
    story.entries[0]["did"] = "did:PLC:abc".into();
    case(cases, "entry with a DID that is none", story, "not a valid DID");
}

/// The JSON itself.
fn bytes(cases: &mut Vec<PlcCase>) {
    let good = renamed();
    let text = String::from_utf8(good.json()).unwrap();
    let mut raw = |name: &str, json: Vec<u8>, refusal| {
        cases.push(PlcCase { name: name.to_owned(), json, did: good.did(), refusal });
    };
    raw("no bytes", Vec::new(), "EOF");
    raw("cut off", text.as_bytes()[..text.len() / 2].to_vec(), "EOF");
    raw("something after the end", format!("{text}[]").into_bytes(), "trailing characters");
    raw("two logs in one", text.replace("\n]", "\n],[").into_bytes(), "trailing characters");
    raw("an object", format!("{{\"log\": {text}}}").into_bytes(), "invalid type");
    raw("nested without end", vec![b'['; 100_000], "");
    raw("a list of numbers", format!("[{}0]", "0,".repeat(50_000)).into_bytes(), "invalid type");
    raw("a list of nothing", b"[null]".to_vec(), "invalid type");
    let twice = text.replacen("\"prev\": null", "\"prev\": null, \"prev\": null", 1);
    raw("field twice", twice.into_bytes(), "duplicate field");
    let twice = text.replacen("\"atproto\":", "\"atproto\": \"did:key:z1\", \"atproto\":", 1);
    raw("name of a key twice", twice.into_bytes(), "invalid length");
    let mut invalid = text.clone().into_bytes();
    let at = text.find("alice").unwrap();
    invalid[at] = 0xff;
    raw("not UTF-8", invalid, "");
    let surrogate = text.replacen("alice", "\\ud800", 1);
    raw("half a surrogate pair", surrogate.into_bytes(), "");
}
