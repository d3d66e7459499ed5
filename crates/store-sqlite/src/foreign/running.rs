//! Whether a process uses the databases: every connection holds locks that others can see, without taking any.

use std::fs::File;
use std::path::{Path, PathBuf};

use p2pds_store::{StoreError, StoreResult};
use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};

use super::Layout;

/// Who uses a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The database.
    pub path: PathBuf,
    /// The process, when the system tells (it does not across containers).
    pub pid: Option<u32>,
}

/// Bytes of the shared-memory file that connections lock; the last is held for as long as one lasts.
const SHM_LOCKS: (u64, u64) = (120, 9);
/// Bytes of the database file that readers and writers lock.
const DB_LOCKS: (u64, u64) = (0x4000_0000, 512);

/// The first process found to use one of the databases; `None` when nobody does.
///
/// # Errors
/// The files cannot be opened for reading.
pub fn running(layout: &Layout) -> StoreResult<Option<Holder>> {
    for path in [&layout.account_db, &layout.sequencer_db] {
        let shm = beside(path, "-shm");
        for (file, range) in [(path, DB_LOCKS), (&shm, SHM_LOCKS)] {
            if let Some(pid) = locked(file, range)? {
                return Ok(Some(Holder { path: path.clone(), pid }));
            }
        }
    }
    Ok(None)
}

/// A file of the same name with something behind it.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// `Some` when a process holds a lock in that range.
fn locked(path: &Path, (start, length): (u64, u64)) -> StoreResult<Option<Option<u32>>> {
    let failed = |cause: std::io::Error| StoreError::Backend {
        doing: "look for locks of another process",
        cause: format!("{}: {cause}", path.display()),
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let wanted =
        Flock { start, length, pid: None, typ: FlockType::WriteLock, offset_type: FlockOffsetType::Set };
    let held = fcntl_getlk(&file, &wanted).map_err(|error| failed(error.into()))?;
    Ok(held.map(|lock| lock.pid.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())))
}
