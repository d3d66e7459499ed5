//! A full disk (attack 77): a ballast file keeps room for deletions.
//!
//! Deleting needs room in the write-ahead log first. When SQLite says that the disk is full the
//! ballast is given back, new work is refused with a clear message, and reading and deleting go
//! on. As soon as there is room again the ballast is laid down anew and writing resumes.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Name of the ballast file.
pub(crate) const BALLAST_NAME: &str = "ballast";

/// Bytes free for this process on the disk that holds `dir`.
pub(crate) fn free_space(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The state of the disk as the writer knows it.
#[derive(Debug)]
pub(crate) struct Disk {
    dir: PathBuf,
    ballast: u64,
    full: AtomicBool,
}

impl Disk {
    /// Lays down the ballast if there is room for it; starts in the full state if there is not.
    pub(crate) fn new(dir: &Path, ballast: u64) -> Self {
        let disk = Self { dir: dir.to_owned(), ballast, full: AtomicBool::new(false) };
        if !disk.lay_down() {
            disk.full.store(true, Ordering::Release);
        }
        disk
    }

    /// Whether only reading and deleting work.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Gives the ballast back; called when the disk was found full.
    pub(crate) fn found_full(&self) {
        self.full.store(true, Ordering::Release);
        let _ = fs::remove_file(self.path());
    }

    /// Tries to leave the full state; `true` when writing may go on.
    pub(crate) fn try_recover(&self) -> bool {
        if !self.is_full() {
            return true;
        }
        let wanted = self.ballast.saturating_mul(2);
        if self.free().is_some_and(|free| free >= wanted) && self.lay_down() {
            self.full.store(false, Ordering::Release);
            return true;
        }
        false
    }

    /// Bytes free for this process on the disk that holds the data.
    pub(crate) fn free(&self) -> Option<u64> {
        free_space(&self.dir)
    }

    fn path(&self) -> PathBuf {
        self.dir.join(BALLAST_NAME)
    }

    /// Reserves the ballast's blocks: by allocating them where the file system can, else by writing
    /// (a sparse file would reserve nothing).
    fn lay_down(&self) -> bool {
        let path = self.path();
        if fs::metadata(&path).is_ok_and(|m| m.len() == self.ballast) {
            return true;
        }
        let written = (|| -> std::io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
            if rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, self.ballast.max(1))
                .is_ok()
            {
                file.set_len(self.ballast)?;
                return Ok(());
            }
            let zeros = [0_u8; 64 << 10];
            let mut left = self.ballast;
            while left > 0 {
                let n = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
                file.write_all(zeros.get(..n).unwrap_or_default())?;
                left = left.saturating_sub(n as u64);
            }
            file.sync_all()
        })();
        if written.is_err() {
            let _ = fs::remove_file(&path);
        }
        written.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ballast_is_laid_down_freed_and_laid_down_again() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::new(dir.path(), 100_000);
        assert!(!disk.is_full());
        assert_eq!(fs::metadata(dir.path().join(BALLAST_NAME)).unwrap().len(), 100_000);
        disk.found_full();
        assert!(disk.is_full() && !dir.path().join(BALLAST_NAME).exists());
        assert!(disk.try_recover());
        assert!(!disk.is_full() && dir.path().join(BALLAST_NAME).exists());
    }
}
