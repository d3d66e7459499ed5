//! Mending a database file whose pages are damaged.
//!
//! Every row that can still be read is copied into a new file, which then takes the old one's place;
//! the damaged file is kept beside it under a name with the date. What could not be read is named,
//! table by table and account by account, in findings of the kind [`STORE_DAMAGED`]: the archive
//! fetches such accounts again. [ADR 0004](../../../docs/adr/0004-damaged-database.md) says why.
//!
//! ```text
//! p2pds.sqlite.mend        a note that the file was found damaged; the next start mends it
//! p2pds.sqlite.schema      where the tables begin, for when the page that says so is damaged
//! p2pds.sqlite.mending     being written
//! p2pds.sqlite.mended-T    complete; takes the place of p2pds.sqlite, which becomes …
//! p2pds.sqlite.damaged-T   … this
//! ```

mod copy;
mod events;
mod known;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use p2pds_store::{StoreError, StoreResult};
use rusqlite::Connection;

use crate::disk::free_space;
use crate::fault::{Fault, Outcome, backend, file};
use crate::open::{self, FILE_NAME};
use crate::{Options, lock};

pub(crate) use source::keep_schema;

/// Kind of the findings that name what was lost.
pub const STORE_DAMAGED: &str = "store-damaged";
/// Setting with the last report, for people.
pub const LAST_MENDED: &str = "store.mended";

const MARK: &str = "p2pds.sqlite.mend";
const MENDING: &str = "p2pds.sqlite.mending";
const MENDED: &str = "p2pds.sqlite.mended-";
const KEPT: &str = "p2pds.sqlite.damaged-";

/// What mending did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mended {
    /// Where the damaged file is kept.
    pub kept: PathBuf,
    /// Rows in the new file.
    pub rows: u64,
    /// What was lost, by account; the empty name is the node itself.
    pub lost: BTreeMap<String, BTreeMap<String, String>>,
}

impl Mended {
    /// In plain words, one line for each account and table.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (did, tables) in &self.lost {
            let who = if did.is_empty() { "the node" } else { did };
            lines.extend(tables.iter().map(|(table, what)| format!("{who}: {table}: {what}")));
        }
        lines
    }
}

/// Notes that the file is damaged, so that the next start mends it.
pub fn mark(dir: &Path, why: &str) {
    // Without the note it is found again when it is met again.
    let _ = fs::write(dir.join(MARK), why);
}

/// Why the database of a data directory should be mended: what was noted when damage was met.
#[must_use]
pub fn wanted(dir: &Path) -> Option<String> {
    fs::read_to_string(dir.join(MARK)).ok()
}

/// Damaged files that were kept.
#[must_use]
pub fn kept(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut kept: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(KEPT))
        .map(|entry| entry.path())
        .collect();
    kept.sort();
    kept
}

/// Deletes the damaged files that were kept.
pub(crate) fn forget_kept(dir: &Path) -> StoreResult<()> {
    for path in kept(dir) {
        fs::remove_file(&path).map_err(file("delete a damaged file that was kept"))?;
        tracing::warn!(event = "store.kept-removed", file = %path.display(), "a damaged file that was kept is deleted, as it holds rows that are being purged");
    }
    Ok(())
}

/// Copies what can be read into a new file and puts it in place. Nobody may have the store open.
/// `stamp` names the time in file names, `now` is microseconds since 1970.
///
/// # Errors
/// [`StoreError::Locked`], no room for a second copy, a file that is no database of ours at all, or a
/// failing disk. The damaged file is untouched then.
pub fn mend(dir: &Path, options: &Options, stamp: &str, now: i64) -> StoreResult<Mended> {
    let _lock = lock::take(dir)?;
    finish(dir)?;
    let old = dir.join(FILE_NAME);
    let size = fs::metadata(&old).map_err(file("look at the damaged database"))?.len();
    if free_space(dir).is_some_and(|free| free < size.saturating_mul(2)) {
        return Err(StoreError::DamagedFile(format!(
            "mending needs {} free bytes beside it, twice its size; free some space and start again",
            size.saturating_mul(2)
        )));
    }
    clear(dir)?;
    let new = dir.join(MENDING);
    let mended = {
        let source = source::open(dir, options).map_err(|f| f.into_store("read the damaged database"))?;
        write(&source, &new, options, now).map_err(|f| f.into_store("copy what can be read"))?
    };
    let done = || -> std::io::Result<()> {
        File::open(&new)?.sync_all()?;
        fs::rename(&new, dir.join(format!("{MENDED}{stamp}")))?;
        File::open(dir)?.sync_all()
    };
    done().map_err(file("finish the mended database"))?;
    clear(dir)?;
    finish(dir)?;
    Ok(Mended { kept: dir.join(format!("{KEPT}{stamp}")), ..mended })
}

/// Puts a mended file in place, also after a crash in the middle of it.
pub(crate) fn finish(dir: &Path) -> StoreResult<()> {
    let doing = "put the mended database in place";
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(file(doing)(error)),
    };
    for entry in entries {
        let name = entry.map_err(file(doing))?.file_name();
        let Some(stamp) = name.to_str().and_then(|name| name.strip_prefix(MENDED)) else { continue };
        let aside = |suffix: &str| -> std::io::Result<()> {
            let kept = dir.join(format!("{KEPT}{stamp}{suffix}"));
            match fs::rename(dir.join(format!("{FILE_NAME}{suffix}")), kept) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                moved => moved,
            }
        };
        let all = || -> std::io::Result<()> {
            // The log first: without it the old file would be older than it was.
            aside("-wal")?;
            let _ = fs::remove_file(dir.join(format!("{FILE_NAME}-shm")));
            aside("")?;
            File::open(dir)?.sync_all()?;
            fs::rename(dir.join(&name), dir.join(FILE_NAME))?;
            let _ = fs::remove_file(dir.join(MARK));
            File::open(dir)?.sync_all()
        };
        all().map_err(file(doing))?;
    }
    Ok(())
}

/// Removes what an interrupted run left.
fn clear(dir: &Path) -> StoreResult<()> {
    for entry in fs::read_dir(dir).map_err(file("read the data directory"))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(MENDING) {
            fs::remove_file(entry.path()).map_err(file("remove an unfinished copy"))?;
        }
    }
    Ok(())
}

/// Fills the new file.
fn write(source: &Connection, new: &Path, options: &Options, now: i64) -> Outcome<Mended> {
    let version: u32 = source.query_row("PRAGMA user_version", [], |r| r.get(0))?;
    let target = open::scratch(new, options, version)?;
    target.execute_batch("BEGIN")?;
    let mut loss = Loss::default();
    let known = known::Known::read(source, &target, &mut loss)?;
    for table in copy::tables(&target)? {
        copy::table(source, &target, &table, &known, &mut loss)?;
    }
    known.restore(source, &target, &mut loss)?;
    events::restore(source, &target)?;
    let mut mended = Mended { rows: loss.rows, ..Mended::default() };
    for (table, place, what) in &loss.gaps {
        let dids = known.concerned(&target, table, place)?;
        for did in dids {
            mended.lost.entry(did).or_default().insert((*table).clone(), what.clone());
        }
    }
    note(&target, &mended, now)?;
    target.execute_batch("COMMIT")?;
    target.close().map_err(|(_, error)| Fault::from(error))?;
    Ok(mended)
}

/// What could not be read, as the tables tell it.
#[derive(Debug, Default)]
struct Loss {
    rows: u64,
    gaps: BTreeSet<(String, copy::Place, String)>,
}

impl Loss {
    fn gap(&mut self, table: &str, place: copy::Place, what: &str) {
        self.gaps.insert((table.to_owned(), place, what.to_owned()));
    }
}

/// Writes the findings, and that the accounts are to be looked at.
fn note(target: &Connection, mended: &Mended, now: i64) -> Outcome<()> {
    for (did, tables) in mended.lost.iter().filter(|(did, _)| !did.is_empty()) {
        for (table, what) in tables {
            target
                .prepare_cached(
                    "INSERT INTO finding (did, kind, subject, detail, first_at, last_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT DO UPDATE SET detail = ?4, last_at = ?5",
                )?
                .execute((did, STORE_DAMAGED, table, words(table, what), now))?;
        }
        target
            .prepare_cached("UPDATE account SET last_verified_at = NULL, last_verify_ok = 0 WHERE did = ?1")?
            .execute([did])?;
    }
    target
        .prepare_cached(
            "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2",
        )?
        .execute((LAST_MENDED, mended.lines().join("\n")))?;
    Ok(())
}

fn words(table: &str, what: &str) -> String {
    let holds = match table {
        "record" => "records",
        "past" => "earlier versions of records",
        "commit_log" => "earlier heads",
        "blob" | "blob_ref" => "the list of blobs",
        "plc" | "plc_op" => "the mirrored PLC log",
        "evidence" => "evidence",
        "bucket" | "bucket_cids" | "lexicon" | "collection" => "the index of records",
        "account" => "what was set for the account",
        "repo" => "the head",
        other => other,
    };
    format!("a part of the database file was damaged: {holds}: {what}")
}

/// Opens a connection for copying; failures are damage.
fn plain(path: &Path, flags: rusqlite::OpenFlags) -> StoreResult<Connection> {
    Connection::open_with_flags(path, flags | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(backend("open the damaged database"))
}
