//! The copy of a database in use.
//!
//! It goes through the writer's own connection: SQLite keeps a copy that is under way up to date with what the same
//! connection writes, so that it neither starts again at each commit nor holds a snapshot that keeps the log from
//! shrinking. Between two steps a group of units is written.

use std::fs::OpenOptions;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use p2pds_store::{CopiedBlob, StoreError};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, params};

use crate::codes::{blob_cid, len, read_blob_cid, uint};
use crate::fault::{Outcome, file};
use crate::queue::Next;
use crate::writer::Writer;

/// Pages of one step: about half a millisecond.
const STEP: i32 = 64;
/// The pause after a step when nobody waits, so that a copy leaves the disk to others.
const PAUSE: Duration = Duration::from_millis(2);

impl Writer {
    /// Copies the database, and writes what is submitted meanwhile.
    pub(crate) fn copy(&mut self, to: &Path) -> Outcome<()> {
        let from = Rc::clone(&self.apply.conn);
        let mut target = target(to)?;
        let copying = Backup::new(&from, &mut target)?;
        loop {
            match copying.step(STEP)? {
                StepResult::Done => break,
                StepResult::More => {}
                // The checkpoint thread has it for a moment.
                _ => std::thread::sleep(PAUSE),
            }
            match self.shared.queue.next(false) {
                Next::Unit(job) => self.group(job),
                Next::Closed => return Err(StoreError::Closed.into()),
                Next::Chore(..) | Next::Empty => self.shared.queue.wait_for(PAUSE),
            }
        }
        drop(copying);
        target.close().map_err(|(_, error)| error)?;
        Ok(())
    }
}

/// A new file, for its owner alone.
fn target(to: &Path) -> Outcome<Connection> {
    let mut open = OpenOptions::new();
    open.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    open.open(to).map_err(file("create the copy"))?;
    let conn = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.execute_batch("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-2048;")?;
    Ok(conn)
}

/// Blobs whose bytes are there as a copy says: held, temporary and withheld ones.
pub(crate) fn blobs(copy: &Path, after: Option<&CopiedBlob>, limit: usize) -> Outcome<Vec<CopiedBlob>> {
    // Nobody writes to it, and nothing may be made beside it.
    let name: String = copy.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let conn = Connection::open_with_flags(format!("file:{name}?immutable=1"), flags)?;
    let mut select = conn.prepare(
        "SELECT a.did, b.cid, b.size FROM account a JOIN blob b ON b.account = a.id
         WHERE b.state IN (1, 3, 4) AND a.purging = 0 AND a.did >= ?1 AND (a.did > ?1 OR b.cid > ?2)
         ORDER BY a.did, b.cid LIMIT ?3",
    )?;
    let cid = after.map(|after| blob_cid(&after.cid));
    let cid = cid.as_ref().map_or(&[][..], |cid| cid.as_slice());
    let mut rows = select.query(params![after.map_or("", |after| after.did.as_str()), cid, len(limit)])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        let cid = r.get_ref(1)?.as_blob().map_err(|e| StoreError::Damaged(e.to_string()))?;
        found.push(CopiedBlob {
            did: crate::read::account::did(&r.get::<_, String>(0)?)?,
            cid: read_blob_cid(cid)?,
            size: uint(r.get(2)?),
        });
    }
    Ok(found)
}
