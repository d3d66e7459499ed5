//! A body on its way from the network to the reader: a file that has no name, so that nothing is left of it whatever
//! happens.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use p2pds_repo::car_in::Scratch;
use tokio::io::AsyncWriteExt as _;

use crate::{HostError, HostResult};
use p2pds_syntax::ErrorKind;

/// The file, whole.
#[derive(Debug)]
pub(super) struct Spooled {
    file: File,
    len: u64,
}

impl Spooled {
    /// Takes a body of at most `limit` bytes.
    pub(super) async fn take<S>(body: S, dir: &Path, limit: u64) -> HostResult<Self>
    where
        S: Stream<Item = HostResult<Bytes>> + Send,
    {
        let dir = dir.to_owned();
        let file = tokio::task::spawn_blocking(move || nameless(&dir)).await;
        let file = file
            .map_err(|error| trouble(&error.to_string()))?
            .map_err(|error| trouble(&error.to_string()))?;
        let mut file = tokio::fs::File::from_std(file);
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
            file.write_all(&chunk).await.map_err(|error| trouble(&error.to_string()))?;
        }
        file.flush().await.map_err(|error| trouble(&error.to_string()))?;
        Ok(Self { file: file.into_std().await, len })
    }
}

/// A new file in the directory for such, without a name from the start.
fn nameless(dir: &Path) -> io::Result<File> {
    std::fs::create_dir_all(dir)?;
    let mut name = [0_u8; 8];
    getrandom::fill(&mut name).map_err(|error| io::Error::other(error.to_string()))?;
    let path = dir.join(format!("import-{:016x}", u64::from_be_bytes(name)));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

fn trouble(why: &str) -> HostError {
    tracing::error!(event = "host.import", why, "an import could not be written to a file");
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
        self.file.read_exact_at(buffer, offset)
    }

    fn len(&self) -> u64 {
        self.len
    }
}
