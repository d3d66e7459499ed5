//! Failures inside the adapter: either already in the port's words, or still SQLite's.

use p2pds_store::StoreError;
use rusqlite::ffi;

/// A failure on its way to a caller.
#[derive(Debug)]
pub(crate) enum Fault {
    /// In the port's words.
    Store(StoreError),
    /// In SQLite's words.
    Sql(rusqlite::Error),
}

/// Result of everything that talks to SQLite.
pub(crate) type Outcome<T> = Result<T, Fault>;

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// What a failure of SQLite means for the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gravity {
    /// This unit alone fails.
    Unit,
    /// The disk is full: roll back, free the ballast, go on with deletions.
    Full,
    /// The group fails; later ones may succeed.
    Group,
    /// A flush failed: what is on disk is unknown, stop writing.
    Stop,
}

impl Fault {
    /// SQLite's extended result code, if it is SQLite's failure.
    pub(crate) fn code(&self) -> Option<i32> {
        match self {
            Self::Sql(rusqlite::Error::SqliteFailure(failure, _)) => Some(failure.extended_code),
            _ => None,
        }
    }

    /// How far the failure reaches.
    pub(crate) fn gravity(&self) -> Gravity {
        let Some(code) = self.code() else { return Gravity::Unit };
        match code {
            ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => Gravity::Stop,
            ffi::SQLITE_IOERR_SHMSIZE => Gravity::Full,
            _ => match code & 0xff {
                ffi::SQLITE_FULL => Gravity::Full,
                ffi::SQLITE_IOERR | ffi::SQLITE_NOMEM | ffi::SQLITE_BUSY | ffi::SQLITE_CANTOPEN => {
                    Gravity::Group
                }
                _ => Gravity::Unit,
            },
        }
    }

    /// The failure in the port's words.
    pub(crate) fn into_store(self, doing: &'static str) -> StoreError {
        let code = self.code();
        match self {
            Self::Store(error) => error,
            Self::Sql(error) if is_changed_schema(&error) => StoreError::DamagedFile(format!(
                "its own description is not what it was ({error}), while trying to {doing}"
            )),
            Self::Sql(error) => match code.map(|c| c & 0xff) {
                Some(ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB) => {
                    StoreError::DamagedFile(format!("{error}, while trying to {doing}"))
                }
                _ => StoreError::Backend { doing, cause: error.to_string() },
            },
        }
    }
}

/// Whether the file's description of its tables lacks what a statement names. Ours fit the schema, which was looked at
/// when the file was opened: it was damaged since.
fn is_changed_schema(error: &rusqlite::Error) -> bool {
    let (rusqlite::Error::SqlInputError { msg, .. } | rusqlite::Error::SqliteFailure(_, Some(msg))) = error
    else {
        return false;
    };
    msg.starts_with("no such ") || msg.contains(" has no column ")
}

/// Turns a failure of SQLite into the port's words, for use with `map_err`.
pub(crate) fn backend(doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |error| Fault::Sql(error).into_store(doing)
}

/// Turns a failure of the file system into the port's words.
pub(crate) fn file(doing: &'static str) -> impl Fn(std::io::Error) -> StoreError {
    move |error| StoreError::Backend { doing, cause: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: i32) -> Fault {
        Fault::Sql(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn a_failed_flush_stops_writing_and_nothing_lighter_does() {
        for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC] {
            assert_eq!(fault(code).gravity(), Gravity::Stop);
        }
        assert_eq!(fault(ffi::SQLITE_FULL).gravity(), Gravity::Full);
        for code in [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_READ, ffi::SQLITE_BUSY, ffi::SQLITE_NOMEM] {
            assert_eq!(fault(code).gravity(), Gravity::Group);
        }
        assert_eq!(fault(ffi::SQLITE_CONSTRAINT_PRIMARYKEY).gravity(), Gravity::Unit);
    }

    #[test]
    fn a_damaged_file_is_called_damaged() {
        let error = fault(ffi::SQLITE_CORRUPT).into_store("read");
        assert_eq!(error.kind(), p2pds_syntax::ErrorKind::Corrupt);
        assert_eq!(
            fault(ffi::SQLITE_IOERR_READ).into_store("read").kind(),
            p2pds_syntax::ErrorKind::Unavailable
        );
    }

    #[test]
    fn a_file_whose_schema_was_changed_is_called_damaged() {
        let conn = rusqlite::Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE account (did TEXT)").unwrap();
        for (sql, kind) in [
            ("SELECT blobs_held FROM account", p2pds_syntax::ErrorKind::Corrupt),
            ("SELECT did FROM accounts", p2pds_syntax::ErrorKind::Corrupt),
            ("INSERT INTO account (pds) VALUES ('')", p2pds_syntax::ErrorKind::Corrupt),
            ("SELECT FROM account", p2pds_syntax::ErrorKind::Unavailable),
        ] {
            let error = Fault::Sql(conn.prepare(sql).map(drop).unwrap_err()).into_store("read");
            assert_eq!(error.kind(), kind, "{sql}: {error}");
        }
    }
}
