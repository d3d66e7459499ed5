//! Lexicon documents, and records against them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use p2pds_lexicon::Document;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(document) = Document::parse(bytes) {
        assert!(document.definitions().all(|(name, _)| document.definition(name).is_some()));
    }
});
