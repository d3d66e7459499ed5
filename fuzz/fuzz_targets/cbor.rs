//! Strict DRISL: what is accepted is canonical, so decoding and encoding give the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use p2pds_ipld::cbor::{self, Limits};

fuzz_target!(|bytes: &[u8]| {
    for limits in [Limits::STRICT, Limits::RECORD] {
        let valid = cbor::validate(bytes, &limits).is_ok();
        assert_eq!(valid, cbor::scan(bytes, &limits, &mut |_| {}).is_ok(), "validate and scan disagree");
        match cbor::decode(bytes, &limits) {
            Ok(value) => {
                assert!(valid, "decoded what validate refuses");
                assert_eq!(cbor::encode(&value), bytes);
            }
            Err(_) => assert!(!valid, "validate accepts what decode refuses"),
        }
    }
});
