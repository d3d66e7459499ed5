//! Where the operator socket lies, how it is bound, and what to do when its path is too long.
//!
//! It lies in the data directory as `operator.sock`. A Unix socket path holds about 100 bytes; for
//! a deeper directory, and on a full disk, the socket lies under `$XDG_RUNTIME_DIR`, `/run/p2pds`
//! or `/tmp`, in a directory that only its owner can enter, under a name made from the data
//! directory's path. `operator.path` in the data directory names it then, if it can be written.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tokio::net::{UnixListener, UnixStream};

use crate::node::lock::make_private_dir;

/// The socket's name in the data directory.
pub const SOCKET: &str = "operator.sock";
/// Names the socket when it could not lie in the data directory.
pub const POINTER: &str = "operator.path";
/// Longest path that every supported system accepts (macOS: 104 with the final zero).
const LONGEST: usize = 100;

/// The bound socket; the file goes when this is dropped.
#[derive(Debug)]
pub struct Bound {
    /// Accepts operators.
    pub listener: UnixListener,
    /// Removes the socket file.
    pub guard: Guard,
}

/// Removes the socket file (and the pointer to it) when dropped.
#[derive(Debug)]
pub struct Guard {
    socket: PathBuf,
    pointer: Option<PathBuf>,
}

impl Guard {
    /// Where the socket lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
        if let Some(pointer) = &self.pointer {
            let _ = std::fs::remove_file(pointer);
        }
    }
}

/// Binds the socket, mode 0600. The caller holds the directory's lock, so a socket that is
/// already there belongs to a process that has ended, and is replaced.
///
/// # Errors
/// The socket cannot be made; the message names the path.
pub fn bind(data_dir: &Path) -> anyhow::Result<Bound> {
    let pointer = data_dir.join(POINTER);
    let _ = std::fs::remove_file(&pointer);
    let near = data_dir.join(SOCKET);
    let mut why = "its path is too long".to_owned();
    if near.as_os_str().len() <= LONGEST {
        match bind_private(&near) {
            Ok(listener) => return Ok(Bound { listener, guard: Guard { socket: near, pointer: None } }),
            Err(error) => why = error.to_string(),
        }
    }
    for far in far_sockets(data_dir) {
        let Ok(listener) = bind_private(&far) else { continue };
        if std::fs::write(&pointer, far.as_os_str().as_encoded_bytes()).is_err() {
            let _ = std::fs::remove_file(&pointer);
        }
        return Ok(Bound { listener, guard: Guard { socket: far, pointer: Some(pointer) } });
    }
    bail!(
        "cannot make the operator socket {}: {why}; and neither $XDG_RUNTIME_DIR, /run/p2pds nor /tmp can be used instead",
        near.display()
    )
}

/// Binds in a directory that only the owner enters, restricts the socket, then moves it to its
/// place: there is no instant at which another user could connect.
fn bind_private(socket: &Path) -> std::io::Result<UnixListener> {
    let name = socket.file_name().unwrap_or_default().to_string_lossy();
    let nursery = socket.with_file_name(format!(".{name}"));
    let _ = std::fs::remove_dir_all(&nursery);
    let _ = std::fs::remove_file(socket);
    make_private_dir(&nursery)?;
    let newborn = nursery.join("s");
    let listener = UnixListener::bind(&newborn)?;
    std::fs::set_permissions(&newborn, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&newborn, socket)?;
    std::fs::remove_dir(&nursery)?;
    Ok(listener)
}

/// The socket of the process that works in a data directory, as its files say.
#[must_use]
pub fn locate(data_dir: &Path) -> PathBuf {
    if let Ok(path) = std::fs::read_to_string(data_dir.join(POINTER)) {
        return PathBuf::from(path.trim_end());
    }
    let near = data_dir.join(SOCKET);
    if near.exists() {
        return near;
    }
    far_sockets(data_dir).into_iter().find(|far| far.exists()).unwrap_or(near)
}

/// Connects to the node's socket, after checking that it belongs to this user or to root.
///
/// # Errors
/// Nobody listens there, or the socket is somebody else's.
pub async fn connect(data_dir: &Path) -> anyhow::Result<UnixStream> {
    let path = locate(data_dir);
    let stream = UnixStream::connect(&path)
        .await
        .with_context(|| format!("cannot reach the node through {}", path.display()))?;
    let owner = stream.peer_cred().context("cannot tell who owns the operator socket")?.uid();
    if !trusted(owner) && rustix::process::geteuid().as_raw() != 0 {
        bail!("the operator socket {} belongs to user {owner}, not to you", path.display());
    }
    Ok(stream)
}

/// Whether a user may give orders: the one the node runs as, and root.
#[must_use]
pub fn trusted(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// Where the socket can lie outside the data directory, best place first: in directories of this
/// user alone, which are made if they are missing.
fn far_sockets(data_dir: &Path) -> Vec<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let name = format!("{:016x}.sock", fnv(data_dir.as_os_str().as_encoded_bytes()));
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("p2pds"));
    let places =
        runtime.into_iter().chain([PathBuf::from("/run/p2pds"), PathBuf::from(format!("/tmp/p2pds-{uid}"))]);
    places
        .filter(|place| make_private_dir(place).is_ok() && is_private(place, uid))
        .map(|place| place.join(&name))
        .filter(|path| path.as_os_str().len() <= LONGEST)
        .collect()
}

/// A directory (not a link to one) of this user that nobody else can enter.
fn is_private(dir: &Path, uid: u32) -> bool {
    std::fs::symlink_metadata(dir).is_ok_and(|m| m.is_dir() && m.uid() == uid && m.mode() & 0o077 == 0)
}

/// FNV-1a: a short stable name for a path. Nothing depends on its strength.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_private_and_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let bound = bind(dir.path()).unwrap();
        let path = dir.path().join(SOCKET);
        assert_eq!(bound.guard.path(), path);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        connect(dir.path()).await.unwrap();
        drop(bound);
        assert!(!path.exists());
        assert!(connect(dir.path()).await.is_err());
    }

    #[tokio::test]
    async fn a_deep_directory_has_its_socket_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(90)).join("e".repeat(90));
        make_private_dir(&deep).unwrap();
        let bound = bind(&deep).unwrap();
        let far = locate(&deep);
        assert!(far.as_os_str().len() <= LONGEST);
        assert!(far.exists() && !far.starts_with(&deep));
        connect(&deep).await.unwrap();
        drop(bound);
        assert!(!far.exists());
        assert_eq!(locate(&deep), deep.join(SOCKET), "the pointer is gone too");
    }

    /// As on a full disk, where neither socket nor pointer can be made.
    #[tokio::test]
    async fn where_no_socket_can_be_made_it_lies_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(SOCKET).join("in the way")).unwrap();
        let bound = bind(dir.path()).unwrap();
        assert!(!bound.guard.path().starts_with(dir.path()));
        connect(dir.path()).await.unwrap();
        std::fs::remove_dir_all(dir.path().join(SOCKET)).unwrap();
        std::fs::remove_file(dir.path().join(POINTER)).unwrap();
        connect(dir.path()).await.unwrap();
        drop(bound);
        assert!(connect(dir.path()).await.is_err());
    }

    #[tokio::test]
    async fn a_left_over_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let stale = std::os::unix::net::UnixListener::bind(dir.path().join(SOCKET)).unwrap();
        drop(stale);
        assert!(dir.path().join(SOCKET).exists());
        let _bound = bind(dir.path()).unwrap();
        connect(dir.path()).await.unwrap();
    }
}
