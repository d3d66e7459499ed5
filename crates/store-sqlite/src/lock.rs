//! One process per data directory (attack 80): an exclusive lock on a file that names its holder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use p2pds_store::{StoreError, StoreResult};

use crate::fault::file;

/// Name of the lock file.
pub(crate) const LOCK_NAME: &str = "lock";

/// The held lock; the operating system gives it back when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

/// Takes the lock or says who has it.
pub(crate) fn take(dir: &Path) -> StoreResult<DirLock> {
    let path = dir.join(LOCK_NAME);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut held = options.open(&path).map_err(file("open the lock file"))?;
    match held.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let pid = held.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(StoreError::Locked { dir: dir.display().to_string(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(file("lock the data directory")(error)),
    }
    // The number is a courtesy for the message above; a full disk must not keep a node from
    // starting, so a failure to write it does not matter.
    let _ = held
        .set_len(0)
        .and_then(|()| held.seek(SeekFrom::Start(0)))
        .and_then(|_| held.write_all(std::process::id().to_string().as_bytes()));
    Ok(DirLock { _file: held })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_holder_is_refused_and_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = take(dir.path()).unwrap();
        match take(dir.path()) {
            Err(StoreError::Locked { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(first);
        take(dir.path()).unwrap();
    }
}
