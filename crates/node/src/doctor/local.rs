//! Checks that need no network.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use p2pds_store_sqlite::FILE_NAME;

use super::{Check, Verdict};
use crate::config::Config;
use crate::node::lock::{self, Role, State};
use crate::words;

/// Open files that a node needs: connections, blobs, the database.
const FILES_WANTED: u64 = 1_024;

pub(super) fn directory(dir: &Path) -> Check {
    const NAME: &str = "data-dir";
    let shown = dir.display();
    let probe = |dir: &Path| -> std::io::Result<()> {
        let path = dir.join(".doctor");
        let mut file = std::fs::File::create(&path)?;
        let written = file.write_all(b"p2pds doctor\n").and_then(|()| file.sync_all());
        std::fs::remove_file(&path)?;
        written
    };
    if dir.exists() {
        return match probe(dir) {
            Ok(()) => Check::ok(NAME, format!("{shown} is writable")),
            Err(error) => Check::bad(
                Verdict::Failed,
                NAME,
                format!("{shown} cannot be written: {error}"),
                "nothing can be stored, and no command works there",
                match error.kind() {
                    std::io::ErrorKind::ReadOnlyFilesystem => {
                        "mount its file system for writing, or copy the directory to another disk and name it with --data-dir"
                            .to_owned()
                    }
                    std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                        "free some space on that disk".to_owned()
                    }
                    std::io::ErrorKind::NotADirectory => {
                        "name a directory with --data-dir".to_owned()
                    }
                    _ => format!(
                        "sudo chown -R $(id -u):$(id -g) '{shown}' && chmod 700 '{shown}', or name another directory with --data-dir"
                    ),
                },
            ),
        };
    }
    let parent = dir.ancestors().skip(1).find(|p| p.exists()).unwrap_or(Path::new("/"));
    match probe(parent) {
        Ok(()) => Check::ok(NAME, format!("{shown} does not exist yet and can be made")),
        Err(error) => Check::bad(
            Verdict::Failed,
            NAME,
            format!("{shown} does not exist and cannot be made: {error}"),
            "nothing can be stored",
            format!(
                "make {} writable for this user, or name another directory with --data-dir",
                parent.display()
            ),
        ),
    }
}

pub(super) fn permissions(dir: &Path) -> Check {
    const NAME: &str = "permissions";
    const WHY: &str = "other users of this machine could read archives or give the node orders";
    let Ok(meta) = std::fs::metadata(dir) else {
        return Check::skipped(NAME, "there is no data directory yet");
    };
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me && me != 0 {
        return Check::bad(
            Verdict::Failed,
            NAME,
            format!("{} belongs to user {}, this is user {me}", dir.display(), meta.uid()),
            "files that one user makes cannot be used by the other",
            format!("run p2pds as user {}, or: sudo chown -R {me} '{}'", meta.uid(), dir.display()),
        );
    }
    let open: Vec<String> = std::iter::once(dir.to_owned())
        .chain(["operator.sock", FILE_NAME, "blobs", lock::LOCK_FILE].map(|name| dir.join(name)))
        .filter(|path| std::fs::symlink_metadata(path).is_ok_and(|m| m.mode() & 0o077 != 0))
        .map(|path| path.display().to_string())
        .collect();
    // A closed directory closes what is in it.
    if meta.mode() & 0o077 == 0 || open.is_empty() {
        return Check::ok(NAME, format!("only its owner can enter {}", dir.display()));
    }
    Check::bad(
        Verdict::Warning,
        NAME,
        format!("open to other users: {}", open.join(", ")),
        WHY,
        format!("chmod -R go-rwx '{}'", dir.display()),
    )
}

pub(super) fn space(dir: &Path, keep_free: u64) -> Check {
    const NAME: &str = "disk-space";
    let existing = dir.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
    let space = match p2pds_blobs::space(existing) {
        Ok(space) => space,
        Err(error) => return Check::skipped(NAME, error.to_string()),
    };
    let what = format!(
        "{} free of {}, {} of it kept free (archive.keep_free)",
        words::size(space.free),
        words::size(space.total),
        words::size(keep_free)
    );
    if space.free <= keep_free {
        return Check::bad(
            Verdict::Failed,
            NAME,
            what,
            "no account can be added or brought up to date",
            "free some space on that disk, or move the data directory to a larger one and name it with --data-dir",
        );
    }
    if space.free < keep_free.saturating_mul(3) {
        return Check::bad(
            Verdict::Warning,
            NAME,
            what,
            "archives grow; when the rest is used up, syncing stops",
            "plan for more space; `p2pds archive list` shows what uses it",
        );
    }
    Check::ok(NAME, what)
}

pub(super) fn lock(dir: &Path) -> Check {
    const NAME: &str = "lock";
    match lock::state(dir) {
        Ok(State::Free) => Check::ok(NAME, "no p2pds process works in the data directory"),
        Ok(State::Held(Some(holder))) if holder.role == Role::Node => {
            Check::ok(NAME, format!("a node runs there (process {})", holder.pid))
        }
        Ok(State::Held(Some(holder))) => {
            Check::ok(NAME, format!("a command works there (process {})", holder.pid))
        }
        Ok(State::Held(None)) => Check::ok(NAME, "a p2pds process works there"),
        Err(error) => Check::bad(
            Verdict::Failed,
            NAME,
            error.to_string(),
            "no node can start",
            format!("make {} readable and writable for this user", dir.join(lock::LOCK_FILE).display()),
        ),
    }
}

pub(super) fn port(config: &Config, dir: &Path) -> Check {
    const NAME: &str = "port";
    if lock::state(dir).is_ok_and(|state| state.is_node()) {
        return Check::skipped(NAME, "the node that runs has its port");
    }
    let address = (config.http.bind, config.http.port);
    match TcpListener::bind(address) {
        Ok(_) => Check::ok(NAME, format!("{}:{} is free", config.http.bind, config.http.port)),
        Err(error) => Check::bad(
            Verdict::Failed,
            NAME,
            format!("cannot listen on {}:{}: {error}", config.http.bind, config.http.port),
            "a node cannot start",
            "choose another port with --port, or stop the program that has it: `ss -ltnp` names it",
        ),
    }
}

pub(super) fn files() -> Check {
    const NAME: &str = "open-files";
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    match limit {
        Some(n) if n < FILES_WANTED => Check::bad(
            Verdict::Warning,
            NAME,
            format!("this process may open {n} files"),
            "with many connections the node runs out of them",
            format!("ulimit -n {FILES_WANTED}, or LimitNOFILE={FILES_WANTED} in the systemd unit"),
        ),
        Some(n) => Check::ok(NAME, format!("{} files may be open", words::count(n))),
        None => Check::ok(NAME, "no limit on open files"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_open_directory_is_said_and_how_to_close_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let check = permissions(dir.path());
        assert_eq!(check.verdict, Verdict::Warning);
        assert_eq!(check.fix.unwrap(), format!("chmod -R go-rwx '{}'", dir.path().display()));
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(permissions(dir.path()).verdict, Verdict::Ok);
    }

    #[test]
    fn a_full_disk_fails_the_check() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(space(dir.path(), u64::MAX).verdict, Verdict::Failed);
        assert_eq!(space(dir.path(), 1).verdict, Verdict::Ok);
    }

    #[test]
    fn a_directory_that_cannot_be_made() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert_eq!(directory(&file.join("data")).verdict, Verdict::Failed);
        assert_eq!(directory(&dir.path().join("data")).verdict, Verdict::Ok);
    }

    #[test]
    fn a_taken_port_is_said() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let flags = [("http.port".to_owned(), taken.local_addr().unwrap().port().to_string())].into();
        let loaded = Config::load(flags, Default::default(), None, Path::new("/nonexistent")).unwrap();
        assert_eq!(port(&loaded.config, dir.path()).verdict, Verdict::Failed);
    }
}
