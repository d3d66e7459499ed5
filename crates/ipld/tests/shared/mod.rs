//! Where the published vectors lie.

use std::path::PathBuf;

/// `sub` in the shared directory; `None`, said aloud, when it is not set.
pub fn shared(sub: &str) -> Option<PathBuf> {
    let dir =
        std::env::var_os("P2PDS_SHARED").map(|dir| PathBuf::from(dir).join(sub)).filter(|dir| dir.exists());
    if dir.is_none() {
        assert!(std::env::var_os("P2PDS_REQUIRE_SHARED").is_none(), "P2PDS_SHARED has no {sub}");
        eprintln!("SKIPPED: set P2PDS_SHARED to the directory that has {sub}");
    }
    dir
}
