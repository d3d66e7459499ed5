//! Room on a disk.

use std::path::Path;

use crate::error::BlobError;

/// Size and free room of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What this process may still use (without the reserve for root).
    pub free: u64,
}

/// The room on the file system that holds `path`.
///
/// # Errors
/// [`BlobError::Io`] when `path` does not exist or cannot be asked.
pub fn space(path: &Path) -> Result<Space, BlobError> {
    let stat =
        rustix::fs::statvfs(path).map_err(|e| BlobError::io("ask for the free space of", path)(e.into()))?;
    Ok(Space {
        total: stat.f_blocks.saturating_mul(stat.f_frsize),
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
    })
}
