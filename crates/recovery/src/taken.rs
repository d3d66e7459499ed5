//! When a whole copy of an account last left this node: an export to a directory elsewhere, a folder that was downloaded, a
//! backup of the whole node. What became of it afterwards nobody here knows.

use std::io;
use std::path::{Path, PathBuf};

use p2pds_syntax::Did;

use crate::Recovery;
use crate::folder::blocking;

/// The file in an account's directory of drills, which is erased with the account.
const TAKEN: &str = "taken-out";
/// The file in the data directory.
const BACKED_UP: &str = "last-backup";

/// Microseconds since 1970, as text.
fn read(path: &Path) -> Option<i64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn write(path: &Path, at: i64) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    std::fs::write(path, format!("{at}\n"))
}

impl Recovery {
    fn taken_file(&self, did: &Did) -> PathBuf {
        self.archive().drill_dir(did).join(TAKEN)
    }

    /// Notes that a whole copy of an account left this node just now. That it cannot be noted is no failure.
    pub async fn note_taken(&self, did: &Did) {
        note(self.taken_file(did), self.archive().now()).await;
    }

    /// Notes that the whole node was written out just now.
    pub(crate) async fn note_backup(&self, at: i64) {
        note(self.archive().data_dir().join(BACKED_UP), at).await;
    }

    /// When a whole copy of an account that is here since `added_at` last left this node; microseconds since 1970.
    pub async fn last_taken(&self, did: &Did, added_at: i64) -> Option<i64> {
        let (own, all) = (self.taken_file(did), self.archive().data_dir().join(BACKED_UP));
        let read = tokio::task::spawn_blocking(move || {
            // A backup from before the account was added does not have it.
            let all = read(&all).filter(|at| *at >= added_at);
            read(&own).max(all)
        });
        read.await.ok().flatten()
    }
}

async fn note(path: PathBuf, at: i64) {
    let shown = path.display().to_string();
    let written = blocking(move || {
        write(&path, at).map_err(|source| crate::RecoveryError::Io { doing: "write", path, source })
    });
    if let Err(error) = written.await {
        tracing::warn!(event = "recovery.taken", path = shown, %error, "that a copy was taken out could not be noted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_again_and_rubbish_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        assert_eq!(read(&path), None);
        write(&path, 1_795_000_000_000_000).unwrap();
        assert_eq!(read(&path), Some(1_795_000_000_000_000));
        std::fs::write(&path, "yesterday").unwrap();
        assert_eq!(read(&path), None);
    }
}
