//! Keys and signatures: what parses prints itself; no signature by chance.
#![no_main]

use libfuzzer_sys::fuzz_target;
use p2pds_crypto::PublicKey;

fuzz_target!(|input: (&str, &[u8], &[u8])| {
    let (text, message, signature) = input;
    if let Ok(key) = PublicKey::from_did_key(text) {
        assert_eq!(key.to_did_key(), text);
        let _ = key.verify(message, signature);
    }
    if let Ok(key) = PublicKey::from_multibase(text) {
        let _ = PublicKey::from_multibase(&key.to_multibase());
    }
});
