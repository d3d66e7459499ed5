//! Opening the database: directory, permissions, pragmas, migrations.

use std::fs::{self, OpenOptions};
use std::path::Path;

use p2pds_store::{StoreError, StoreResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::Options;
use crate::Synchronous;
use crate::fault::{Outcome, backend, file};
use crate::salvage;

/// Name of the database file in the data directory.
pub const FILE_NAME: &str = "p2pds.sqlite";

/// Marks our files (`file(1)` shows it): "p2pd".
const APPLICATION_ID: i64 = 0x7032_7064;

/// All migrations in order; append only. Migration number = position + 1 = `user_version`.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_init.sql"),
    include_str!("../migrations/0002_account.sql"),
    include_str!("../migrations/0003_lexicon.sql"),
    include_str!("../migrations/0004_history.sql"),
    include_str!("../migrations/0005_watch.sql"),
    include_str!("../migrations/0006_repeated.sql"),
    include_str!("../migrations/0007_hosting.sql"),
    include_str!("../migrations/0008_accounts.sql"),
    include_str!("../migrations/0009_links.sql"),
    include_str!("../migrations/0010_reserved.sql"),
    include_str!("../migrations/0011_spent.sql"),
    include_str!("../migrations/0012_oauth.sql"),
    include_str!("../migrations/0014_owner.sql"),
    include_str!("../migrations/0013_factors.sql"),
    include_str!("../migrations/0015_own_key.sql"),
    include_str!("../migrations/0016_report.sql"),
];

/// How long a statement waits for a lock that the checkpoint thread holds, in milliseconds.
const BUSY_MS: u64 = 30_000;

/// Creates the directory if need be, for its owner alone.
pub(crate) fn directory(dir: &Path) -> StoreResult<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(file("create the data directory"))
}

/// Opens the writing connection, creating and migrating the database.
pub(crate) fn writer(dir: &Path, options: &Options) -> StoreResult<Connection> {
    let path = dir.join(FILE_NAME);
    let mut open = OpenOptions::new();
    open.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    let fresh = open
        .open(&path)
        .and_then(|f| f.metadata())
        .map(|m| m.len() == 0)
        .map_err(file("create the database file"))?;
    let conn = connect(dir, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let doing = "set up the database";
    if fresh {
        conn.execute_batch(&format!(
            "PRAGMA page_size={}; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA application_id={APPLICATION_ID};",
            options.page_size
        ))
        .map_err(backend(doing))?;
    }
    let synchronous = match options.synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
        Synchronous::Off => "OFF",
    };
    let cache = options.writer_cache / 1024;
    conn.execute_batch(&format!(
        "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; PRAGMA synchronous={synchronous};
         PRAGMA secure_delete=ON; PRAGMA foreign_keys=ON; PRAGMA cache_size=-{cache};"
    ))
    .map_err(backend(doing))?;
    migrate(&conn, dir)?;
    // A full disk must not keep anybody from opening; the next start tries again.
    if let Err(error) = salvage::keep_schema(&conn, dir) {
        tracing::debug!(event = "store.schema-copy", %error, "the copy of the schema could not be written");
    }
    Ok(conn)
}

/// The newest schema number.
pub(crate) fn latest() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// A new database with schema `version`, to be filled by one connection and closed.
pub(crate) fn scratch(path: &Path, options: &Options, version: u32) -> Outcome<Connection> {
    let known = latest();
    if version > known {
        let dir = path.display().to_string();
        return Err(StoreError::TooNew { dir, found: version, known }.into());
    }
    let mut open = OpenOptions::new();
    open.read(true).write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    open.open(path).map_err(file("create a database file"))?;
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.execute_batch(&format!(
        "PRAGMA page_size={}; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA application_id={APPLICATION_ID};
         PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA trusted_schema=OFF;",
        options.page_size
    ))?;
    for (number, sql) in (1..=version).zip(MIGRATIONS) {
        conn.execute_batch(&format!("BEGIN IMMEDIATE; {sql}\nPRAGMA user_version={number}; COMMIT;"))?;
    }
    Ok(conn)
}

/// Opens a connection for the checkpoint thread.
pub(crate) fn checkpointer(dir: &Path, options: &Options) -> StoreResult<Connection> {
    let conn = connect(dir, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let synchronous = if options.synchronous == Synchronous::Off { "OFF" } else { "FULL" };
    conn.execute_batch(&format!(
        "PRAGMA wal_autocheckpoint=0; PRAGMA synchronous={synchronous}; PRAGMA cache_size=-256;"
    ))
    .map_err(backend("open the database for checkpoints"))?;
    conn.busy_timeout(std::time::Duration::from_millis(50)).map_err(backend("open the database"))?;
    Ok(conn)
}

/// Opens a reading connection.
pub(crate) fn reader(dir: &Path, options: &Options) -> StoreResult<Connection> {
    let conn = connect(dir, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let cache = options.reader_cache / 1024;
    // The last statement reads the schema, so that the first user does not wait for it.
    conn.execute_batch(&format!(
        "PRAGMA query_only=ON; PRAGMA cache_size=-{cache}; SELECT 1 FROM account LIMIT 0;"
    ))
    .map_err(backend("open the database for reading"))?;
    Ok(conn)
}

fn connect(dir: &Path, access: OpenFlags) -> StoreResult<Connection> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn =
        Connection::open_with_flags(dir.join(FILE_NAME), flags).map_err(backend("open the database"))?;
    conn.busy_timeout(std::time::Duration::from_millis(BUSY_MS)).map_err(backend("open the database"))?;
    conn.set_prepared_statement_cache_capacity(128);
    // Plans that do not depend on what is bound: else a statement with `LIMIT ?` is parsed again for
    // each value.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(backend("open the database"))?;
    // Sorting and VACUUM must not leave users' data in a system-wide temporary directory.
    let temp = dir.display().to_string().replace('\'', "''");
    conn.execute_batch(&format!("PRAGMA temp_store_directory='{temp}'; PRAGMA trusted_schema=OFF;"))
        .map_err(backend("open the database"))?;
    Ok(conn)
}

fn migrate(conn: &Connection, dir: &Path) -> StoreResult<()> {
    let doing = "bring the database schema up to date";
    let found: u32 = conn.query_row("PRAGMA user_version", [], |r| r.get(0)).map_err(backend(doing))?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(StoreError::TooNew { dir: dir.display().to_string(), found, known });
    }
    for (number, sql) in (1_u32..).zip(MIGRATIONS).skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        // One transaction for statements and number together: a crash leaves the old schema.
        conn.execute_batch(&format!("BEGIN IMMEDIATE; {sql}\nPRAGMA user_version={number}; COMMIT;"))
            .map_err(|e| {
                let _ = conn.execute_batch("ROLLBACK");
                backend(doing)(e)
            })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_strict_and_every_column_has_a_comment() {
        for sql in MIGRATIONS {
            for table in sql.split("CREATE TABLE ").skip(1) {
                let (body, rest) = table.split_once("\n)").unwrap();
                assert!(rest.trim_start().starts_with("STRICT"), "{body}");
                for column in body.lines().skip(1).filter(|l| !l.trim_start().starts_with("PRIMARY KEY")) {
                    assert!(column.contains("-- "), "{column}");
                }
            }
        }
    }

    #[test]
    fn every_added_column_has_a_comment() {
        for line in MIGRATIONS.iter().flat_map(|sql| sql.lines()).filter(|l| l.contains("ADD COLUMN")) {
            assert!(line.contains("; ") && line.contains("-- "), "{line}");
        }
    }

    #[test]
    fn a_newer_database_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::default();
        let conn = writer(dir.path(), &options).unwrap();
        conn.execute_batch("PRAGMA user_version=99").unwrap();
        drop(conn);
        assert!(matches!(writer(dir.path(), &options), Err(StoreError::TooNew { found: 99, .. })));
    }

    /// A data directory of before the index of lexicons has it once it is opened.
    #[test]
    fn the_index_of_lexicons_is_counted_by_its_migration() {
        let dir = tempfile::tempdir().unwrap();
        let old = Connection::open(dir.path().join(FILE_NAME)).unwrap();
        for sql in &MIGRATIONS[..2] {
            old.execute_batch(sql).unwrap();
        }
        old.execute_batch(
            "PRAGMA user_version=2;
             INSERT INTO record VALUES (1, 1, 'a', 5, x'', NULL), (1, 1, 'b', 7, x'', NULL), (1, 2, 'a', 6, x'', NULL),
               (2, 1, 'a', 9, x'', NULL);",
        )
        .unwrap();
        drop(old);
        let conn = writer(dir.path(), &Options::default()).unwrap();
        let mut select = conn.prepare("SELECT repo, coll, records, first, last FROM lexicon").unwrap();
        let rows =
            select.query_map([], |r| Ok([r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?])).unwrap();
        let rows: Vec<[i64; 5]> = rows.map(Result::unwrap).collect();
        assert_eq!(rows, [[1, 1, 2, 5, 7], [1, 2, 1, 6, 6], [2, 1, 1, 9, 9]]);
    }

    /// A data directory of before hosting takes events and logins once it is opened.
    #[test]
    fn hosting_is_added_by_its_migrations() {
        let dir = tempfile::tempdir().unwrap();
        let old = Connection::open(dir.path().join(FILE_NAME)).unwrap();
        for sql in &MIGRATIONS[..6] {
            old.execute_batch(sql).unwrap();
        }
        old.execute_batch(
            "PRAGMA user_version=6; INSERT INTO account VALUES
               (1, 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', 'a.example', NULL, 0, 0, 0, 0, NULL, 5, NULL, NULL, NULL, NULL, NULL,
                0, 0, 0, 0, 0, NULL, 0, 0, 0, NULL, NULL, NULL);",
        )
        .unwrap();
        drop(old);
        let conn = writer(dir.path(), &Options::default()).unwrap();
        let one = |sql: &str| conn.query_row(sql, [], |r| r.get::<_, i64>(0)).unwrap();
        assert_eq!(one("PRAGMA user_version"), i64::from(latest()));
        assert_eq!((one("SELECT hosted FROM account"), one("SELECT count(*) FROM login")), (0, 0));
        assert_eq!(one("SELECT events + bytes FROM event_total WHERE id = 1"), 0);
        assert_eq!(crate::read::events::check(&conn).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn pragmas_that_only_creation_can_set_are_set() {
        let dir = tempfile::tempdir().unwrap();
        let conn = writer(dir.path(), &Options::default()).unwrap();
        let get = |name: &str| conn.query_row(&format!("PRAGMA {name}"), [], |r| r.get::<_, i64>(0)).unwrap();
        assert_eq!(get("auto_vacuum"), 2);
        assert_eq!(get("page_size"), 4_096);
        assert_eq!(get("synchronous"), 2);
        assert_eq!(get("secure_delete"), 1);
        assert_eq!(get("application_id"), APPLICATION_ID);
    }
}
