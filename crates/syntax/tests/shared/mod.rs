//! Where the published test vectors are.

use std::path::PathBuf;

/// The directory `sub` of the shared references, or `None` (said on standard error) if `P2PDS_SHARED` is not set.
pub fn shared(sub: &str) -> Option<PathBuf> {
    let found =
        std::env::var_os("P2PDS_SHARED").map(|root| PathBuf::from(root).join(sub)).filter(|p| p.exists());
    if found.is_none() {
        assert!(std::env::var_os("P2PDS_REQUIRE_SHARED").is_none(), "P2PDS_SHARED has no {sub}");
        eprintln!("SKIPPED: set P2PDS_SHARED to the directory that holds {sub}");
    }
    found
}
