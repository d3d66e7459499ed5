//! The published did:plc audit logs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod shared;

use p2pds_identity::plc::{EntryFault, LegacyCreate, Log, PlcError, State, Unsigned};
use p2pds_identity::plc::{parse_audit, validate_log, write_audit};
use p2pds_syntax::Did;

/// Reads a file and validates it for the DID that its first entry names.
fn load(path: &std::path::Path) -> Result<Log, PlcError> {
    let json = std::fs::read(path).unwrap();
    let did =
        serde_json::from_slice::<serde_json::Value>(&json).unwrap()[0]["did"].as_str().unwrap().to_owned();
    validate_log(&Did::parse(&did).unwrap(), &parse_audit(&json)?)
}

fn files(kind: &str) -> Vec<(String, std::path::PathBuf)> {
    let Some(dir) = shared::shared("vectors/plc") else { return Vec::new() };
    let mut files: Vec<_> = std::fs::read_dir(dir.join(kind))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect();
    files.sort();
    assert!(files.len() >= 10, "{kind}: {}", files.len());
    files
}

#[test]
fn valid_logs() {
    for (name, path) in files("valid") {
        let log = load(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = validate_log(log.did(), &parse_audit(&write_audit(log.entries())).unwrap()).unwrap();
        assert_eq!(again, log, "{name} changed when written and read");
        match log.state() {
            State::Tombstoned { .. } => assert_eq!(name, "log_tombstone"),
            State::Active(data) => assert_eq!(Some(data), log.data(), "{name}"),
        }
    }
}

#[test]
fn invalid_logs() {
    for (name, path) in files("invalid") {
        let error = load(&path).map(|_| ()).expect_err(&name);
        let expected = match name.strip_prefix("log_invalid_").unwrap() {
            "nullification_reused_key" => matches!(error.fault(), Some(EntryFault::LowAuthority)),
            "nullification_too_slow" => matches!(error.fault(), Some(EntryFault::TooLate { hours: 73 })),
            // A DER signature that was made to have exactly 64 bytes.
            "sig_der" | "sig_k256_high_s" | "sig_p256_high_s" => {
                matches!(error.fault(), Some(EntryFault::BadSignature { .. }))
            }
            "update_nullified" => matches!(error.fault(), Some(EntryFault::PrevNullified { .. })),
            "update_tombstoned" => matches!(error.fault(), Some(EntryFault::AfterTombstone)),
            "sig_b64_newline" | "sig_b64_padding_bits" | "sig_b64_padding_chars" => {
                error.to_string().contains("strict base64url")
            }
            other => panic!("unknown vector {other}"),
        };
        assert!(expected, "{name} was refused for another reason: {error}");
    }
}

#[test]
fn what_a_legacy_log_says() {
    let Some(dir) = shared::shared("vectors/plc/valid") else { return };
    let log = load(&dir.join("log_legacy_dholms.json")).unwrap();
    let Unsigned::LegacyCreate(LegacyCreate { handle, signing_key, recovery_key, .. }) =
        log.entries()[0].operation.unsigned()
    else {
        panic!("not a legacy log");
    };
    assert_eq!(handle, "dan.bsky.social");
    let first = log.data_at(log.entries()[0].created_at.unix_micros()).unwrap();
    assert_eq!(first.handle().unwrap().as_str(), "dan.bsky.social");
    assert_eq!(first.pds().unwrap(), "https://bsky.social");
    assert_eq!(first.rotation_keys, [recovery_key.clone(), signing_key.clone()]);
    assert_eq!(first.signing_key(), Some(signing_key.as_str()));
    assert_eq!(log.data_at(log.entries()[0].created_at.unix_micros() - 1), None);
    let document = log.document().unwrap();
    assert_eq!(document.handle(), log.data().unwrap().handle());
    assert!(document.signing_key().unwrap().is_ok());
}
