//! Reading a blob, as a whole or in part, piece by piece.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;

use crate::error::BlobError;
use crate::remote::Pieces;
use crate::store::{blocking, found};

/// Bytes read at a time.
const PIECE: u64 = 256 * 1024;

/// An open blob. The bytes were verified when they were written and are not hashed again here.
pub struct BlobReader {
    source: Source,
    size: u64,
    next: u64,
    end: u64,
}

/// Where the bytes come from.
enum Source {
    Disk { file: Arc<File>, path: PathBuf },
    Bucket { stamp: (u64, u64, i64), pieces: Pieces },
}

impl std::fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobReader")
            .field("size", &self.size)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl BlobReader {
    pub(crate) fn open(path: &Path, range: Option<Range<u64>>) -> Result<Option<Self>, BlobError> {
        let Some(file) = found(File::open(path), "open", path)? else { return Ok(None) };
        let size = file.metadata().map_err(BlobError::io("open", path))?.len();
        let Range { start, end } = range.unwrap_or(0..size);
        if start > end || end > size {
            return Err(BlobError::Range { start, end, size });
        }
        let source = Source::Disk { file: Arc::new(file), path: path.to_owned() };
        Ok(Some(Self { source, size, next: start, end }))
    }

    pub(crate) fn of_bucket(size: u64, stamp: (u64, u64, i64), range: Range<u64>, pieces: Pieces) -> Self {
        Self { source: Source::Bucket { stamp, pieces }, size, next: range.start, end: range.end }
    }

    /// The size of the whole blob in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Changes whenever somebody writes to the file: inode, length, time of the last change; in a bucket its tag.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn stamp(&self) -> Result<(u64, u64, i64), BlobError> {
        let (file, path) = match &self.source {
            Source::Disk { file, path } => (file, path),
            Source::Bucket { stamp, .. } => return Ok(*stamp),
        };
        let known = file.metadata().map_err(BlobError::io("open", path))?;
        let nanos = known.mtime().saturating_mul(1_000_000_000).saturating_add(known.mtime_nsec());
        Ok((known.ino(), known.len(), nanos))
    }

    /// Bytes of the range that are still to come.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.end.saturating_sub(self.next)
    }

    /// The next piece; `None` at the end of the range.
    ///
    /// # Errors
    /// [`BlobError::Io`], [`BlobError::Remote`], also when the file became shorter.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, BlobError> {
        let left = self.remaining();
        if left == 0 {
            return Ok(None);
        }
        let piece = match &mut self.source {
            Source::Disk { file, path } => {
                let (file, path, at, length) = (Arc::clone(file), path.clone(), self.next, left.min(PIECE));
                blocking(move || {
                    let mut piece = vec![0_u8; usize::try_from(length).unwrap_or(0)];
                    file.read_exact_at(&mut piece, at).map_err(BlobError::io("read", &path))?;
                    Ok(Bytes::from(piece))
                })
                .await?
            }
            Source::Bucket { pieces, .. } => match pieces.next().await.transpose()? {
                Some(piece) => piece,
                None => return Err(BlobError::cut_short()),
            },
        };
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        if length > left {
            return Err(BlobError::cut_short());
        }
        self.next = self.next.saturating_add(length);
        Ok(Some(piece))
    }

    /// The rest of the range in one piece, if it has at most `limit` bytes.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`], [`BlobError::Io`], [`BlobError::Remote`].
    pub async fn bytes(mut self, limit: u64) -> Result<Vec<u8>, BlobError> {
        if self.remaining() > limit {
            return Err(BlobError::TooLarge { limit });
        }
        let mut whole = Vec::with_capacity(usize::try_from(self.remaining()).unwrap_or(0));
        while let Some(piece) = self.chunk().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }
}
