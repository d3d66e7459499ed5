//! Audit logs: no panic, and a log that validates survives its own form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use p2pds_identity::plc::{parse_audit, validate_log};

fuzz_target!(|bytes: &[u8]| {
    let Ok(entries) = parse_audit(bytes) else { return };
    let Some(did) = entries.first().map(|entry| entry.did.clone()) else { return };
    if let Ok(log) = validate_log(&did, &entries) {
        assert_eq!(log.entries().len(), entries.len());
        let _ = (log.state(), log.signing_keys(), log.document());
    }
});
