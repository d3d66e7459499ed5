//! What a purge remembers of the rows that it deletes, so that their traces can be searched for.
//!
//! A *needle* is a 64-bit hash of a 24-byte window of a row as it is stored: one window of the
//! record's CID, one of its packed body. Only windows whose hash is in the lowest eighth are taken,
//! so that the search has to look up one hash in eight; a body as short as they come (100 bytes)
//! has such a window but in one case of 30,000, and most CIDs have one as well. The bytes
//! themselves are not kept: a list of what was purged must not be a copy of it. The list lies in
//! a file, so that a purge that was interrupted still knows what it deleted.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use p2pds_store::{StoreError, StoreResult};

use crate::fault::file;

/// Bytes in a window.
pub(crate) const WINDOW: usize = 24;

/// Multiplier of the rolling hash; odd, otherwise without meaning.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

/// Windows lie within the first bytes of a body, which SQLite keeps in one piece.
const WITHIN: usize = 256;

/// Weight of a byte that leaves the window.
const OUT: u64 = {
    let (mut power, mut n) = (1_u64, 0);
    while n < WINDOW {
        power = power.wrapping_mul(BASE);
        n = n.wrapping_add(1);
    }
    power
};

/// Gives the hash of every window of `bytes` that counts.
#[inline]
pub(crate) fn windows(bytes: &[u8], mut each: impl FnMut(u64)) {
    let weigh = |byte: u8| u64::from(byte).wrapping_add(1);
    let Some(first) = bytes.get(..WINDOW) else { return };
    let mut hash = first.iter().fold(0_u64, |h, b| h.wrapping_mul(BASE).wrapping_add(weigh(*b)));
    if counts(hash) {
        each(hash);
    }
    for (gone, new) in bytes.iter().zip(bytes.get(WINDOW..).unwrap_or_default()) {
        hash = hash.wrapping_mul(BASE).wrapping_add(weigh(*new)).wrapping_sub(weigh(*gone).wrapping_mul(OUT));
        if counts(hash) {
            each(hash);
        }
    }
}

/// Whether a hash is one of the eighth that is looked at; by its high bits, which mix best.
fn counts(hash: u64) -> bool {
    hash >> 61 == 0
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
        let body = body.unwrap_or_default();
        for part in [cid, body.get(..WITHIN).unwrap_or(body)] {
            let mut first = None;
            windows(part, |hash| first = first.or(Some(hash)));
            list.extend(first);
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
