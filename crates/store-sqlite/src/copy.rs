//! The copy of a database in use.
//!
//! It goes through the writer's own connection: SQLite keeps a copy that is under way up to date with what the same
//! connection writes, so that it neither starts again at each commit nor holds a snapshot that keeps the log from
//! shrinking. Between two steps a group of units is written.

use std::fs::OpenOptions;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use p2pds_store::StoreError;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

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
