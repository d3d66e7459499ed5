//! DID documents: no panic, and what they name parses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use p2pds_identity::doc::DidDocument;
use p2pds_syntax::Did;

fuzz_target!(|bytes: &[u8]| {
    for did in ["did:web:example.com", "did:plc:ewvi7nxzyoun6zhxrhs64oiz"] {
        let Ok(did) = did.parse::<Did>() else { return };
        if let Ok(document) = DidDocument::parse(bytes, &did) {
            let _ = (document.handle(), document.signing_key(), document.pds());
        }
    }
});
