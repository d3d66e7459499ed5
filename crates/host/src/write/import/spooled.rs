//! A body on its way from the network to the reader: in memory as long as it is small, then in a file that has no name,
//! so that nothing is left of it whatever happens.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use p2pds_repo::car_in::Scratch;
use p2pds_syntax::ErrorKind;
use tokio::io::AsyncWriteExt as _;

use crate::{HostError, HostResult};

/// Bodies up to this many bytes stay in memory: most repos.
const SMALL: usize = 8 << 20;

/// The body, whole.
#[derive(Debug)]
pub(super) enum Spooled {
    Memory(Vec<u8>),
    File { file: File, len: u64 },
}

impl Spooled {
    /// Takes a body of at most `limit` bytes.
    pub(super) async fn take<S>(body: S, dir: &Path, limit: u64) -> HostResult<Self>
    where
        S: Stream<Item = HostResult<Bytes>> + Send,
    {
        let mut memory: Vec<u8> = Vec::new();
        let mut spilled: Option<tokio::fs::File> = None;
        let mut len = 0_u64;
        let mut body = std::pin::pin!(body);
        while let Some(chunk) = body.next().await {
            let chunk = chunk?;
            len = len.saturating_add(chunk.len() as u64);
            if len > limit {
                return Err(HostError::named(
                    "PayloadTooLarge",
                    format!("the repo is larger than {limit} bytes, which is the most that this host takes"),
                ));
            }
            if let Some(file) = &mut spilled {
                file.write_all(&chunk).await.map_err(|error| trouble(&error))?;
                continue;
            }
            memory.extend_from_slice(&chunk);
            if memory.len() > SMALL {
                let mut file =
                    tokio::fs::File::from_std(nameless(dir).await.map_err(|error| trouble(&error))?);
                file.write_all(&memory).await.map_err(|error| trouble(&error))?;
                memory = Vec::new();
                spilled = Some(file);
            }
        }
        let Some(mut file) = spilled else { return Ok(Self::Memory(memory)) };
        file.flush().await.map_err(|error| trouble(&error))?;
        Ok(Self::File { file: file.into_std().await, len })
    }
}

/// A new file in the directory for such, without a name from the start.
async fn nameless(dir: &Path) -> io::Result<File> {
    let dir = dir.to_owned();
    let made = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&dir)?;
        let mut name = [0_u8; 8];
        getrandom::fill(&mut name).map_err(|error| io::Error::other(error.to_string()))?;
        let path = dir.join(format!("import-{:016x}", u64::from_be_bytes(name)));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(file)
    });
    made.await.unwrap_or_else(|error| Err(io::Error::other(error.to_string())))
}

fn trouble(error: &io::Error) -> HostError {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        tracing::warn!(event = "host.disk-full", %error, "a repo was refused: too little room is left");
        return HostError::disk_full();
    }
    tracing::error!(event = "host.import", %error, "an import could not be written to a file");
    HostError::new(
        ErrorKind::Unavailable,
        "NotAvailable",
        "the repo could not be taken in now; the operator's log says why",
    )
}

impl Scratch for &Spooled {
    fn append(&mut self, _: &[u8]) -> io::Result<()> {
        Err(io::Error::other("this file is only read"))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Spooled::Memory(bytes) => bytes.read_at(offset, buffer),
            Spooled::File { file, .. } => file.read_exact_at(buffer, offset),
        }
    }

    fn len(&self) -> u64 {
        match self {
            Spooled::Memory(bytes) => bytes.len() as u64,
            Spooled::File { len, .. } => *len,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn what_goes_in_comes_out_wherever_it_lies() {
        let dir = tempfile::tempdir().unwrap();
        for (chunks, in_memory) in [(0, true), (8, true), (9, false)] {
            let chunk = |n: u8| Ok(Bytes::from(vec![n; 1 << 20]));
            let spooled =
                Spooled::take(stream::iter((0..chunks).map(chunk)), dir.path(), 9 << 20).await.unwrap();
            assert_eq!(matches!(spooled, Spooled::Memory(_)), in_memory);
            assert_eq!(Scratch::len(&&spooled), u64::from(chunks) << 20);
            if let Some(last) = chunks.checked_sub(1) {
                let mut end = [0; 2];
                (&spooled).read_at((u64::from(chunks) << 20) - 2, &mut end).unwrap();
                assert_eq!(end, [last, last]);
            }
            assert!((&spooled).read_at(u64::from(chunks) << 20, &mut [0]).is_err());
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "files have no names");
        let large = stream::iter((0..10).map(|_| Ok(Bytes::from(vec![0; 1 << 20]))));
        assert_eq!(Spooled::take(large, dir.path(), 9 << 20).await.unwrap_err().name, "PayloadTooLarge");
    }
}
