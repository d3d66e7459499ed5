//! A CAR file that lies there already, as scratch space of the reader.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use p2pds_repo::car_in::Scratch;

/// A file that is only read.
#[derive(Debug)]
pub struct CarFile {
    file: File,
    len: u64,
}

impl CarFile {
    /// Opens it.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
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
