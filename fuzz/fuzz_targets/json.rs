//! The JSON form of the data model: what is accepted comes back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use p2pds_ipld::cbor::{self, Limits};
use p2pds_ipld::json::{from_json, to_json};

fuzz_target!(|bytes: &[u8]| {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let Ok(value) = from_json(&json) else { return };
    let encoded = cbor::encode(&value);
    if let Ok(decoded) = cbor::decode(&encoded, &Limits::RECORD) {
        assert_eq!(from_json(&to_json(&decoded)).ok(), Some(decoded));
    }
});
