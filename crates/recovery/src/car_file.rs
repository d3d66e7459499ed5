//! A CAR file as the reader's scratch space.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use p2pds_repo::car_in::Scratch;

use crate::error::{RecoveryError, RecoveryResult};

/// A file that is only read.
pub(crate) struct CarFile {
    file: File,
    len: u64,
}

impl CarFile {
    pub(crate) fn open(path: &Path) -> RecoveryResult<Self> {
        let file = File::open(path).map_err(RecoveryError::io("open", path))?;
        let len = file.metadata().map_err(RecoveryError::io("open", path))?.len();
        Ok(Self { file, len })
    }
}

impl Scratch for CarFile {
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
