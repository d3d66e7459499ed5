//! Commits: what decodes encodes to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use p2pds_repo::commit::Commit;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(commit) = Commit::decode(bytes) {
        assert_eq!(commit.encode(), bytes);
        let _ = commit.signed_bytes();
    }
});
