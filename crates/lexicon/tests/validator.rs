//! What the published vectors do not show: messages, references, unions, and schemas that lead nowhere.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

use p2pds_ipld::{cbor, json};
use p2pds_lexicon::{Catalog, Document, LexiconError, ValidationError};
use p2pds_syntax::{ErrorKind, Nsid, Rkey};
use serde_json::{Value, json};

fn catalog(lexicons: &[Value]) -> Catalog {
    let mut catalog = Catalog::new();
    for lexicon in lexicons {
        catalog.insert(parse(lexicon).unwrap());
    }
    catalog
}

fn parse(lexicon: &Value) -> Result<Document, LexiconError> {
    Document::parse(&serde_json::to_vec(lexicon).unwrap())
}

fn lexicon(id: &str, defs: Value) -> Value {
    json!({ "lexicon": 1, "id": id, "defs": defs })
}

fn value(json: Value) -> cbor::Value {
    json::from_json(&json).unwrap()
}

fn nsid(text: &str) -> Nsid {
    Nsid::parse(text).unwrap()
}

fn rkey(text: &str) -> Rkey {
    Rkey::parse(text).unwrap()
}

/// A blog: records with references, tokens, lists and both kinds of unions.
fn blog() -> Catalog {
    catalog(&[
        lexicon(
            "com.example.post",
            json!({
                "main": {
                    "type": "record",
                    "key": "tid",
                    "record": {
                        "type": "object",
                        "required": ["text"],
                        "properties": {
                            "text": { "type": "string", "maxGraphemes": 3 },
                            "state": { "type": "ref", "ref": "#draft" },
                            "parts": { "type": "array", "items": { "type": "ref", "ref": "#part" } },
                            "embed": { "type": "union", "refs": ["#part", "com.example.missing"] },
                            "owner": { "type": "ref", "ref": "com.example.missing#person" },
                            "again": { "type": "ref", "ref": "com.example.post" }
                        }
                    }
                },
                "draft": { "type": "token" },
                "part": {
                    "type": "object",
                    "required": ["url"],
                    "nullable": ["note"],
                    "properties": {
                        "url": { "type": "string", "format": "uri" },
                        "note": { "type": "string" }
                    }
                }
            }),
        ),
        lexicon(
            "com.example.getPost",
            json!({ "main": {
                "type": "query",
                "parameters": { "type": "params", "properties": { "uri": { "type": "string", "format": "at-uri" } } },
                "output": { "encoding": "application/json", "schema": { "type": "object", "required": ["ok"],
                            "properties": { "ok": { "type": "boolean" } } } }
            } }),
        ),
    ])
}

fn check(record: Value) -> Result<(), ValidationError> {
    let mut record = record;
    record["$type"] = "com.example.post".into();
    record.as_object_mut().unwrap().entry("text").or_insert("abc".into());
    blog().validate_record(&nsid("com.example.post"), &rkey("3jzfcijpj2z2a"), &value(record))
}

#[test]
fn errors_say_where() {
    let error =
        check(json!({ "parts": [{ "url": "https://example.com" }, { "url": "nowhere" }] })).unwrap_err();
    assert_eq!(
        error.to_string(),
        "parts[1].url is wrong: \"nowhere\" is not a valid URI: it has no scheme, as in \"https:\""
    );
    let error = check(json!({ "text": "👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦" })).unwrap_err();
    assert_eq!(error.to_string(), "text must have at most 3 graphemes, it has 4");
    let error = check(json!({ "parts": [{}] })).unwrap_err();
    assert_eq!(error.to_string(), "parts[0] lacks the field \"url\"");
}

#[test]
fn null_where_it_is_allowed() {
    let part = |note: Value| json!({ "parts": [{ "url": "https://example.com", "note": note }] });
    assert_eq!(check(part(Value::Null)), Ok(()));
    assert!(check(part(1.into())).is_err());
    assert!(check(json!({ "parts": null })).is_err());
}

#[test]
fn tokens_are_their_names() {
    assert_eq!(check(json!({ "state": "com.example.post#draft" })), Ok(()));
    assert!(check(json!({ "state": "com.example.post#final" })).is_err());
    assert!(check(json!({ "state": { "$type": "com.example.post#draft" } })).is_err());
}

#[test]
fn open_unions_accept_what_they_do_not_know() {
    assert_eq!(check(json!({ "embed": { "$type": "org.other.thing", "x": 1 } })), Ok(()));
    assert_eq!(check(json!({ "embed": { "$type": "com.example.post#part", "url": "a:b" } })), Ok(()));
    assert!(check(json!({ "embed": { "$type": "com.example.post#part" } })).is_err());
}

#[test]
fn missing_schemas_are_no_fault_of_the_record() {
    for record in [json!({ "owner": {} }), json!({ "embed": { "$type": "com.example.missing" } })] {
        let error = check(record).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    let unknown = blog().validate_record(&nsid("com.example.nothing"), &rkey("x"), &value(json!({})));
    assert_eq!(unknown.unwrap_err().kind(), ErrorKind::NotFound);
    let query = blog().validate_record(&nsid("com.example.getPost"), &rkey("x"), &value(json!({})));
    assert!(matches!(query, Err(ValidationError::WrongKind { .. })));
    let dangling: Vec<String> = blog().dangling().into_iter().map(|(_, to)| to).collect();
    assert_eq!(dangling, ["com.example.missing", "com.example.missing#person"]);
}

#[test]
fn record_keys_and_types() {
    let at = |key: &str, kind: &str| {
        let record = value(json!({ "$type": kind, "text": "abc" }));
        blog().validate_record(&nsid("com.example.post"), &rkey(key), &record)
    };
    assert_eq!(at("3jzfcijpj2z2a", "com.example.post"), Ok(()));
    assert!(matches!(at("self", "com.example.post"), Err(ValidationError::RecordKey { .. })));
    assert!(at("3jzfcijpj2z2a", "com.example.other").is_err());
}

#[test]
fn bodies_of_methods() {
    let output = |body: Value| blog().validate_output(&nsid("com.example.getPost"), &value(body));
    assert_eq!(output(json!({ "ok": true })), Ok(()));
    assert!(output(json!({})).is_err());
    assert!(blog().validate_input(&nsid("com.example.getPost"), &value(json!({}))).is_err());
    assert_eq!(blog().validate("com.example.post#part", &value(json!({ "url": "a:b" }))), Ok(()));
}

/// Neither schemas that refer to themselves nor deep values take more than a small stack.
#[test]
fn circles_and_depth() {
    let run = || {
        let catalog = catalog(&[lexicon(
            "com.example.deep",
            json!({
                "a": { "type": "object", "properties": { "next": { "type": "union", "refs": ["#a"] } } },
                "b": { "type": "array", "items": { "type": "ref", "ref": "#b" } },
                "c": { "type": "object", "properties": { "x": { "type": "ref", "ref": "#c" } } }
            }),
        )]);
        let mut deep = json!({});
        let mut list = json!([]);
        for _ in 0..28 {
            deep = json!({ "$type": "com.example.deep#a", "next": deep });
            list = json!([list]);
        }
        deep["$type"] = "com.example.deep#a".into();
        let innermost_has_no_type = catalog.validate("com.example.deep#a", &value(deep)).unwrap_err();
        assert!(innermost_has_no_type.to_string().contains("$type"), "{innermost_has_no_type}");
        assert_eq!(catalog.validate("com.example.deep#b", &value(list)), Ok(()));
        let mut endless = cbor::Value::Null;
        for _ in 0..1000 {
            endless = cbor::Value::map([("x", endless)]);
        }
        let error = catalog.validate("com.example.deep#c", &endless).unwrap_err();
        assert!(error.to_string().contains("nested more than"), "{error}");
        // A value this deep cannot be dropped on a small stack; the codec never makes one.
        std::mem::forget(endless);
    };
    std::thread::Builder::new().stack_size(256 * 1024).spawn(run).unwrap().join().unwrap();
}

#[test]
fn lexicons_that_contradict_themselves() {
    let refused = |defs: Value| {
        let result = parse(&lexicon("com.example.bad", defs));
        assert!(result.is_err(), "{result:?}");
    };
    refused(json!({}));
    refused(json!({ "main": { "type": "nothing" } }));
    refused(json!({ "main": { "description": "no type" } }));
    refused(json!({ "two words": { "type": "token" } }));
    refused(json!({ "x": { "type": "integer", "minimum": 2, "maximum": 1 } }));
    refused(
        json!({ "x": { "type": "array", "items": { "type": "string", "minLength": 2, "maxLength": 1 } } }),
    );
    refused(json!({ "x": { "type": "array" } }));
    refused(json!({ "main": { "type": "record", "key": "uuid", "record": { "type": "object" } } }));
    refused(
        json!({ "main": { "type": "query", "parameters": { "properties": { "x": { "type": "blob" } } } } }),
    );
    refused(json!({ "main": { "type": "subscription", "message": { "schema": { "type": "object" } } } }));
    refused(
        json!({ "main": { "type": "permission-set", "permissions": [{ "resource": "rpc", "lxm": ["*"] }] } }),
    );
    let wrong_version =
        json!({ "lexicon": 2, "id": "com.example.bad", "defs": { "x": { "type": "token" } } });
    assert!(parse(&wrong_version).is_err());
    // Formats that a later specification adds do not spoil a lexicon.
    assert!(
        parse(&lexicon("com.example.new", json!({ "x": { "type": "string", "format": "ulid" } }))).is_ok()
    );
}
