//! From the body of createRecord to a block: what is taken is canonical, says the same when it is read, and its blobs
//! are found again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use p2pds_ipld::Cid;
use p2pds_ipld::cbor::{self, Item, Limits, Value};
use p2pds_ipld::json::{into_record, to_json};

/// As the write path has it.
const LIMITS: Limits = Limits { max_len: 1_000_000, ..Limits::STRICT };

fuzz_target!(|bytes: &[u8]| {
    let Ok(json) = p2pds_syntax::json::parse(bytes) else { return };
    let Ok(Value::Map(mut entries)) = into_record(json) else { return };
    if !entries.iter().any(|(name, _)| name == "$type") {
        entries.push(("$type".to_owned(), Value::Text("com.example.fuzz".to_owned())));
    }
    let block = cbor::encode(&Value::map(entries));
    let mut blobs = Vec::new();
    let scanned = cbor::scan(&block, &LIMITS, &mut |item| {
        if let Item::Blob(blob) = item {
            blobs.push((blob.cid, blob.size));
        }
    });
    if scanned.is_err() {
        return;
    }
    let read = cbor::decode(&block, &LIMITS).expect("what was scanned is read");
    assert_eq!(cbor::encode(&read), block, "canonical");
    let again = into_record(to_json(&read)).expect("its JSON is a record");
    assert_eq!(Cid::of_cbor(&cbor::encode(&again)), Cid::of_cbor(&block), "the JSON of a record is the record");
});
