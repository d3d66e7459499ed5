//! Where the shared test vectors are.

use std::path::PathBuf;

/// The directory `sub` of the shared references; `None` (said aloud) when they are not there.
pub fn shared(sub: &str) -> Option<PathBuf> {
    let path =
        std::env::var_os("P2PDS_SHARED").map(|dir| PathBuf::from(dir).join(sub)).filter(|p| p.exists());
    if path.is_none() {
        assert!(std::env::var_os("P2PDS_REQUIRE_SHARED").is_none_or(|v| v != "1"), "shared {sub} is missing");
        eprintln!("SKIPPED: set P2PDS_SHARED to the directory of shared references ({sub})");
    }
    path
}
