//! What samples of pages are made of: made-up accounts, always the same.

use p2pds_archive::AccountLine;
use p2pds_recovery::DrillReport;
use p2pds_syntax::Did;

/// The time of all samples.
pub(crate) const NOW: i64 = 1_795_256_760_000_000;
const DAY: i64 = 86_400_000_000;

/// A made-up DID.
pub(crate) fn did() -> Did {
    // The only DID in this file, and tests read it.
    #[expect(clippy::expect_used, reason = "a constant that is a DID")]
    Did::parse("did:plc:z72i7hdynmk6r22z27h6tvur").expect("invariant: it is a DID")
}

/// An account that is in order.
pub(crate) fn line(handle: &str) -> AccountLine {
    AccountLine {
        did: did(),
        handle: Some(handle.to_owned()),
        host: Some("https://pds.example.com".to_owned()),
        status: "active".to_owned(),
        verified: "verified".to_owned(),
        origin: "network".to_owned(),
        rev: Some("3mbk2ozmcss2w".to_owned()),
        rev_at: Some(NOW - DAY / 24),
        records: 12_345,
        record_bytes: 7_900_000,
        car_bytes: 8_400_000,
        blobs_held: 321,
        blobs_missing: 0,
        blob_bytes: 412_000_000,
        added_at: NOW - 90 * DAY,
        last_sync_at: Some(NOW - DAY / 48),
        last_error: None,
        last_verified_at: Some(NOW - 2 * DAY),
        last_verify_ok: Some(true),
        keep: "all".to_owned(),
        keep_basis: None,
        withdrawal: None,
        priority: 0,
        quota: None,
        full: None,
        paused: false,
        removing: false,
        doing: None,
        live: None,
        words: "verified, up to date".to_owned(),
    }
}

/// A drill.
pub(crate) fn drill(ok: bool, at: i64) -> DrillReport {
    DrillReport {
        did: did(),
        handle: Some("alice.example.com".to_owned()),
        tool: "p2pds".to_owned(),
        at,
        ok,
        rev: Some("3mbk2ozmcss2w".to_owned()),
        root: None,
        rebuilt_root: None,
        records: 12_345,
        blobs: 321,
        blob_bytes: 412_000_000,
        missing_blobs: 0,
        steps: vec![p2pds_recovery::DrillStep {
            name: "records".to_owned(),
            ok,
            detail: "12,345 records compared".to_owned(),
            damaged: if ok { Vec::new() } else { vec!["app.bsky.feed.post/3mbk2ozmcss2w".to_owned()] },
        }],
        not_proved: vec!["that you hold one of the rotation keys".to_owned()],
        files: Vec::new(),
        took_ms: 41_000,
    }
}
