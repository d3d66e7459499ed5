//! What a purge remembers of the rows that it deletes, so that their traces can be searched for.
//!
//! A *needle* is a 64-bit hash of a 24-byte window of a row as it is stored: one window of the
//! record's CID, one of its packed body. The bytes themselves are not kept: a list of what was
//! purged must not be a copy of it. The list lies in a file, so that a purge that was
//! interrupted still knows what it deleted.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use p2pds_store::{StoreError, StoreResult};

use crate::fault::file;

/// Bytes in a window.
pub(crate) const WINDOW: usize = 24;

/// Multiplier of the rolling hash; odd, otherwise without meaning.
pub(crate) const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

/// Windows lie within the first bytes of a body, which SQLite keeps in one piece.
const WITHIN: usize = 256;

/// The hash of one window; the search rolls it over files.
pub(crate) fn hash(window: &[u8]) -> u64 {
    window.iter().fold(0_u64, |h, b| h.wrapping_mul(BASE).wrapping_add(u64::from(*b).wrapping_add(1)))
}

/// The list of one purge.
#[derive(Debug)]
pub(crate) struct Needles {
    path: PathBuf,
}

impl Needles {
    /// The list that belongs to a purge number.
    pub(crate) fn of(dir: &Path, purge: i64) -> Self {
        Self { path: dir.join(format!("purge-{purge}.needles")) }
    }

    /// The hashes for one stored row.
    pub(crate) fn of_row(cid: &[u8], body: Option<&[u8]>, list: &mut Vec<u64>) {
        if let Some(window) = cid.get(cid.len().saturating_sub(WINDOW)..).filter(|w| w.len() == WINDOW) {
            list.push(hash(window));
        }
        if let Some(body) = body {
            let middle = body.len().min(WITHIN).saturating_sub(WINDOW) / 2;
            if let Some(window) = body.get(middle..middle.saturating_add(WINDOW)) {
                list.push(hash(window));
            }
        }
    }

    /// Adds hashes durably.
    pub(crate) fn append(&self, list: &[u64]) -> StoreResult<()> {
        if list.is_empty() {
            return Ok(());
        }
        let bytes: Vec<u8> = list.iter().flat_map(|h| h.to_le_bytes()).collect();
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut out = options.open(&self.path).map_err(file("note what is purged"))?;
        let noted = out.write_all(&bytes).and_then(|()| out.sync_data());
        // The first time the name has to last as well.
        let first = out.metadata().is_ok_and(|m| m.len() == bytes.len() as u64);
        let named = match self.path.parent().filter(|_| first) {
            Some(dir) => File::open(dir).and_then(|dir| dir.sync_all()),
            None => Ok(()),
        };
        noted.and(named).map_err(file("note what is purged"))
    }

    /// All hashes, sorted, each once.
    pub(crate) fn load(&self) -> StoreResult<Vec<u64>> {
        let doing = "read what was purged";
        let Ok(input) = File::open(&self.path) else { return Ok(Vec::new()) };
        let size = input.metadata().map_err(file(doing))?.len();
        let mut list = Vec::new();
        list.try_reserve(usize::try_from(size / 8).unwrap_or(0))
            .map_err(|e| StoreError::Backend { doing, cause: e.to_string() })?;
        let mut input = BufReader::new(input);
        let mut word = [0_u8; 8];
        while input.read_exact(&mut word).is_ok() {
            list.push(u64::from_le_bytes(word));
        }
        list.sort_unstable();
        list.dedup();
        Ok(list)
    }

    /// Removes the list.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}
