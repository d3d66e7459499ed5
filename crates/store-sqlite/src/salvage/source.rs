//! Opening a damaged file, also when the page that says where the tables begin is damaged.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use p2pds_store::StoreResult;
use rusqlite::{Connection, OpenFlags};

use super::{MENDING, plain};
use crate::fault::{Outcome, backend, file};
use crate::open::{self, FILE_NAME};
use crate::{Options, fault::Fault};

/// Name of the file that repeats where the tables begin.
const SCHEMA: &str = "p2pds.sqlite.schema";

/// One line of the schema: type, name, table, first page, text.
type Entry = (String, String, String, i64, Option<String>);

fn entries(conn: &Connection, table: &str) -> Result<Vec<Entry>, rusqlite::Error> {
    let mut select =
        conn.prepare(&format!("SELECT type, name, tbl_name, rootpage, sql FROM {table} ORDER BY rowid"))?;
    let rows = select.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))?;
    rows.collect()
}

fn version(conn: &Connection) -> Result<u32, rusqlite::Error> {
    conn.query_row("PRAGMA user_version", [], |r| r.get(0))
}

/// Repeats where the tables begin in a small file of its own, when that has changed.
pub(crate) fn keep_schema(conn: &Connection, dir: &Path) -> StoreResult<()> {
    let doing = "keep a copy of the schema";
    let now =
        (version(conn).map_err(backend(doing))?, entries(conn, "sqlite_schema").map_err(backend(doing))?);
    if kept_schema(dir).is_some_and(|kept| kept == now) {
        return Ok(());
    }
    let (path, fresh) = (dir.join(SCHEMA), dir.join(format!("{SCHEMA}-new")));
    let _ = fs::remove_file(&fresh);
    let write = || -> Result<(), rusqlite::Error> {
        let copy = Connection::open(&fresh)?;
        copy.execute_batch(&format!(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN;
             CREATE TABLE entry (type TEXT, name TEXT, tbl_name TEXT, rootpage INTEGER, sql TEXT);
             PRAGMA user_version={};",
            now.0
        ))?;
        for entry in &now.1 {
            copy.execute(
                "INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5)",
                (&entry.0, &entry.1, &entry.2, entry.3, &entry.4),
            )?;
        }
        copy.execute_batch("COMMIT")
    };
    write().map_err(backend(doing))?;
    fs::rename(&fresh, &path).map_err(file(doing))
}

fn kept_schema(dir: &Path) -> Option<(u32, Vec<Entry>)> {
    let path = dir.join(SCHEMA);
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    Some((version(&conn).ok()?, entries(&conn, "entry").ok()?)).filter(|(_, entries)| !entries.is_empty())
}

/// The schema of a database that was made in one go by this version: pages are given out in the same
/// order each time.
fn made_schema(dir: &Path, options: &Options) -> StoreResult<(u32, Vec<Entry>)> {
    let path = dir.join(format!("{MENDING}-made"));
    let conn = open::scratch(&path, options, open::latest()).map_err(|f| f.into_store("make a schema"))?;
    let made = version(&conn).and_then(|version| Ok((version, entries(&conn, "sqlite_schema")?)));
    made.map_err(backend("make a schema"))
}

/// The damaged file, readable as far as it is whole.
pub(super) fn open(dir: &Path, options: &Options) -> Outcome<Connection> {
    let conn = plain(&dir.join(FILE_NAME), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let kept = kept_schema(dir);
    let readable = entries(&conn, "sqlite_schema").is_ok_and(|found| {
        // A page that reads as an empty one says nothing.
        let names = |list: &[Entry]| {
            list.iter().map(|e| (e.1.clone(), e.3)).collect::<std::collections::BTreeSet<_>>()
        };
        !found.is_empty() && kept.as_ref().is_none_or(|(_, kept)| names(kept) == names(&found))
    });
    let sound =
        readable && version(&conn).is_ok_and(|found| found > 0 && kept.as_ref().is_none_or(|k| k.0 == found));
    if sound {
        return ready(conn);
    }
    drop(conn);
    let schema = match kept {
        Some(schema) => schema,
        None => made_schema(dir, options)?,
    };
    rebuilt(dir, options, &schema)
}

fn ready(conn: Connection) -> Outcome<Connection> {
    conn.execute_batch("PRAGMA query_only=ON; PRAGMA cell_size_check=ON; PRAGMA trusted_schema=OFF;")?;
    Ok(conn)
}

/// A copy of the file with a first page and a schema of our own.
fn rebuilt(dir: &Path, options: &Options, (version, schema): &(u32, Vec<Entry>)) -> Outcome<Connection> {
    let path = dir.join(format!("{MENDING}-source"));
    let doing = "copy the damaged database";
    let io = |error| Fault::Store(file(doing)(error));
    fs::copy(dir.join(FILE_NAME), &path).map_err(io)?;
    let wal = dir.join(format!("{FILE_NAME}-wal"));
    if wal.metadata().is_ok_and(|m| m.len() > 0) {
        fs::copy(&wal, dir.join(format!("{MENDING}-source-wal"))).map_err(io)?;
        // Closing folds the log in, and needs no schema for it.
        let conn = plain(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let _ = conn.execute_batch("BEGIN IMMEDIATE; COMMIT");
        drop(conn);
        let _ = fs::remove_file(dir.join(format!("{MENDING}-source-wal")));
        let _ = fs::remove_file(dir.join(format!("{MENDING}-source-shm")));
    }
    let page = usize::try_from(options.page_size).unwrap_or(4096);
    let mut copy = fs::OpenOptions::new().read(true).write(true).open(&path).map_err(io)?;
    let pages = copy.metadata().map_err(io)?.len().checked_div(u64::from(options.page_size)).unwrap_or(0);
    copy.seek(SeekFrom::Start(0)).map_err(io)?;
    copy.write_all(&first_page(page, u32::try_from(pages).unwrap_or(u32::MAX), *version)).map_err(io)?;
    drop(copy);
    let conn = plain(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.execute_batch(
        "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; PRAGMA writable_schema=ON; BEGIN;",
    )?;
    for entry in schema {
        conn.execute(
            "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES (?1, ?2, ?3, ?4, ?5)",
            (&entry.0, &entry.1, &entry.2, entry.3, &entry.4),
        )?;
    }
    conn.execute_batch(&format!("PRAGMA user_version={version}; COMMIT;"))?;
    drop(conn);
    ready(plain(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?)
}

/// A first page without any table, for a file of this many pages ("The Database Header" of the file
/// format). It knows no free pages and no auto-vacuum: nothing old is written over.
fn first_page(size: usize, pages: u32, version: u32) -> Vec<u8> {
    let mut page = Vec::with_capacity(size);
    page.extend_from_slice(b"SQLite format 3\0");
    let short = u16::try_from(size).unwrap_or(1);
    page.extend_from_slice(&short.to_be_bytes());
    page.extend_from_slice(&[1, 1, 0, 64, 32, 32]);
    // Change counter, pages, first free page, free pages, schema cookie, schema format, cache, largest
    // root, UTF-8, version, no incremental vacuum, application.
    for word in [1, pages, 0, 0, 1, 4, 0, 0, 1, version, 0, 0] {
        page.extend_from_slice(&word.to_be_bytes());
    }
    page.extend_from_slice(&[0; 20]);
    page.extend_from_slice(&1_u32.to_be_bytes());
    page.extend_from_slice(&3_045_000_u32.to_be_bytes());
    // A leaf of a table without cells.
    page.push(0x0d);
    page.extend_from_slice(&[0, 0, 0, 0]);
    page.extend_from_slice(&short.to_be_bytes());
    page.push(0);
    page.resize(size, 0);
    page
}
