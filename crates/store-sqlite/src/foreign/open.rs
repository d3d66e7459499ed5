//! Opening a database of somebody else, for reading alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use p2pds_store::{StoreError, StoreResult};
use rusqlite::{Connection, OpenFlags, Row};

use super::running::beside;
use crate::fault::backend;

/// Numbers the copies of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// One opened database. A copy is removed with it.
pub(super) struct Source {
    conn: Mutex<Connection>,
    name: String,
    copy: Option<PathBuf>,
}

impl Source {
    /// Opens where it lies what was closed in order, and a copy of what was not.
    pub(super) fn open(path: &Path, scratch: &Path) -> StoreResult<Self> {
        let pending = ["-wal", "-journal"]
            .iter()
            .any(|end| fs::metadata(beside(path, end)).is_ok_and(|about| about.len() > 0));
        let copy = if pending { Some(copied(path, scratch)?) } else { None };
        let opened = match &copy {
            Some(copy) => Connection::open_with_flags(copy, flags(OpenFlags::SQLITE_OPEN_READ_WRITE)),
            None => Connection::open_with_flags(
                uri(path),
                flags(OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI),
            ),
        };
        let conn = opened.map_err(|cause| unreadable(path, &cause))?;
        let name = path.display().to_string();
        // Opening reads nothing: a file that is no database shows here.
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
            .map_err(|cause| unreadable(path, &cause))?;
        Ok(Self { conn: Mutex::new(conn), name, copy })
    }

    pub(super) fn is_copy(&self) -> bool {
        self.copy.is_some()
    }

    pub(super) fn conn(&self) -> MutexGuard<'_, Connection> {
        self.conn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A failure while reading it.
    pub(super) fn failed(&self, cause: &rusqlite::Error) -> StoreError {
        unreadable(Path::new(&self.name), cause)
    }

    /// Whether a table has a column: older versions of the server had fewer.
    pub(super) fn has(&self, table: &str, column: &str) -> StoreResult<bool> {
        let sql = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2";
        let count = self.conn().query_row(sql, [table, column], |row| row.get::<_, i64>(0));
        Ok(count.map_err(|cause| self.failed(&cause))? > 0)
    }

    /// All rows of a question, each read by `read`.
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> StoreResult<Vec<T>> {
        let conn = self.conn();
        let run = || -> rusqlite::Result<Vec<T>> {
            let mut statement = conn.prepare(sql)?;
            statement.query_map(params, &mut read)?.collect()
        };
        run().map_err(|cause| self.failed(&cause))
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let Some(copy) = &self.copy else { return };
        for end in ["", "-wal", "-shm", "-journal"] {
            // It is open still, which removing it does not mind; what stays goes with the directory.
            let _ = fs::remove_file(beside(copy, end));
        }
    }
}

/// A text column whatever is in it; bytes that are no text are marked, not refused.
pub(super) fn text(row: &Row<'_>, at: usize) -> rusqlite::Result<String> {
    Ok(maybe_text(row, at)?.unwrap_or_default())
}

/// A text column that may be empty.
pub(super) fn maybe_text(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<String>> {
    use rusqlite::types::ValueRef;
    Ok(match row.get_ref(at)? {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    })
}

fn flags(mode: OpenFlags) -> OpenFlags {
    mode | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// The name of a file that nobody changes: no lock is taken, no file is made beside it.
fn uri(path: &Path) -> String {
    let mut name = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' | b':' => name.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => name.push(char::from(*byte)),
            byte => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name.push_str("?immutable=1");
    name
}

fn copied(path: &Path, scratch: &Path) -> StoreResult<PathBuf> {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let to = scratch.join(format!("copy-{}-{number}.sqlite", std::process::id()));
    for end in ["", "-wal", "-journal"] {
        let from = beside(path, end);
        match fs::copy(&from, beside(&to, end)) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !end.is_empty() => {}
            Err(error) => {
                return Err(StoreError::Backend {
                    doing: "copy a database with a write-ahead log",
                    cause: format!("{}: {error}", from.display()),
                });
            }
        }
    }
    Ok(to)
}

fn unreadable(path: &Path, cause: &rusqlite::Error) -> StoreError {
    match backend("read")(match cause {
        rusqlite::Error::SqliteFailure(failure, words) => {
            rusqlite::Error::SqliteFailure(*failure, words.clone())
        }
        other => return StoreError::Damaged(format!("{}: {other}", path.display())),
    }) {
        StoreError::Backend { doing, cause } => {
            StoreError::Backend { doing, cause: format!("{}: {cause}", path.display()) }
        }
        StoreError::DamagedFile(cause) | StoreError::Damaged(cause) => {
            StoreError::Damaged(format!("{}: {cause}", path.display()))
        }
        other => other,
    }
}
