//! One process at a time works in a data directory; the others learn which one.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// Name of the lock file in the data directory.
pub const LOCK_FILE: &str = "node.lock";

/// What the holder of the lock is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A node: it answers on the operator socket.
    Node,
    /// A single command that found no node running.
    Command,
}

/// Who holds the lock, as it wrote into the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// What it does.
    pub role: Role,
}

/// Why the lock was not given.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it. The holder is unknown for the instant before it has written its name.
    #[error("{}", held_message(dir, holder.as_ref()))]
    Held {
        /// The data directory.
        dir: PathBuf,
        /// The process.
        holder: Option<Holder>,
    },
    /// The directory or file cannot be made or opened.
    #[error("cannot use the data directory {dir}: {error}", dir = dir.display())]
    Io {
        /// The data directory.
        dir: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

fn held_message(dir: &Path, holder: Option<&Holder>) -> String {
    let dir = dir.display();
    match holder {
        Some(Holder { pid, role: Role::Node }) => {
            format!("a p2pds node (process {pid}) is already running on {dir}")
        }
        Some(Holder { pid, role: Role::Command }) => {
            format!("another p2pds command (process {pid}) is working in {dir}")
        }
        None => format!("another p2pds process is working in {dir}"),
    }
}

/// The lock, held until dropped. The system releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Makes the data directory (mode 0700) if it is missing and takes its lock.
    ///
    /// # Errors
    /// Held by another process, or the directory is unusable.
    pub fn acquire(dir: &Path, role: Role) -> Result<Self, LockError> {
        let io = |error| LockError::Io { dir: dir.to_owned(), error };
        make_private_dir(dir).map_err(io)?;
        let mut file = open(dir).map_err(io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(LockError::Held { dir: dir.to_owned(), holder: read_holder(&mut file) });
            }
            Err(errno) => return Err(io(errno.into())),
        }
        // The name is a courtesy for others; a full disk must not keep anybody from reading and
        // deleting.
        let holder = Holder { pid: std::process::id(), role };
        if let Err(error) = write_holder(&mut file, &holder) {
            tracing::debug!(event = "node.lock", %error, "the lock file could not be written");
        }
        Ok(Self { _file: file })
    }

    /// As `acquire`, but gives a short command that holds the lock a moment to finish.
    ///
    /// # Errors
    /// As `acquire`.
    pub async fn acquire_patiently(dir: &Path, role: Role, patience: Duration) -> Result<Self, LockError> {
        let start = Instant::now();
        loop {
            match Self::acquire(dir, role) {
                Err(LockError::Held { holder, .. })
                    if start.elapsed() < patience
                        && !holder.as_ref().is_some_and(|h| h.role == Role::Node) =>
                {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                other => return other,
            }
        }
    }
}

/// Whether somebody works in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nobody does.
    Free,
    /// A process does; it is unknown for the instant before it has written its name.
    Held(Option<Holder>),
}

impl State {
    /// Whether a node has it.
    #[must_use]
    pub fn is_node(&self) -> bool {
        matches!(self, Self::Held(Some(Holder { role: Role::Node, .. })))
    }
}

/// Who works in a directory right now, without disturbing it.
///
/// # Errors
/// The lock file exists and cannot be opened.
pub fn state(dir: &Path) -> Result<State, LockError> {
    let io = |error| LockError::Io { dir: dir.to_owned(), error };
    let mut file = match File::open(dir.join(LOCK_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(State::Free),
        Err(error) => return Err(io(error)),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(State::Free),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(State::Held(read_holder(&mut file))),
        Err(errno) => Err(io(errno.into())),
    }
}

/// Makes a directory that only its owner can enter.
///
/// # Errors
/// What the system said.
pub fn make_private_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if dir.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn open(dir: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(dir.join(LOCK_FILE))
}

fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(text.trim()).ok()
}

fn write_holder(file: &mut File, holder: &Holder) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", serde_json::to_string(holder)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_is_first() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        assert_eq!(state(&data).unwrap(), State::Free);
        let first = Lock::acquire(&data, Role::Node).unwrap();
        let error = Lock::acquire(&data, Role::Command).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("a p2pds node (process {}) is already running on {}", std::process::id(), data.display())
        );
        assert!(state(&data).unwrap().is_node());
        drop(first);
        assert_eq!(state(&data).unwrap(), State::Free, "a stale file holds nothing");
        Lock::acquire(&data, Role::Command).unwrap();
    }
}
