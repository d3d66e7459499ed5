//! The search for traces of a purge in all files of the node.
//!
//! A rolling hash of 24 bytes runs over every file and is looked up among the needles that the
//! purge noted. A hit in the database may be another account's row that holds the same bytes
//! (two people can write the same record): such rows are looked for and do not count.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use p2pds_store::{StoreError, StoreResult};

use crate::apply::{Needles, WINDOW, windows};
use crate::disk::BALLAST_NAME;
use crate::fault::{Outcome, file};
use crate::open;
use crate::store::Shared;

/// What cannot be searched; shown with every purge.
pub(crate) const OUTSIDE: &[&str] = &[
    "remnants inside the disk itself (SSD wear levelling, remapped sectors)",
    "snapshots of the file system or of the virtual machine",
    "backups made outside this node",
    "versions kept by an object store",
    "copies that others fetched before",
];

/// The outcome of one search.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// Bytes searched.
    pub(crate) bytes: u64,
    /// Size of the database file.
    pub(crate) db_bytes: u64,
    /// Files with traces.
    pub(crate) files: Vec<String>,
    /// Different traces found.
    pub(crate) left: u64,
}

/// The needles, a filter in front of them, and which were found.
struct Haystack {
    needles: Vec<u64>,
    filter: Vec<u64>,
    shift: u32,
    found: Vec<bool>,
}

impl Haystack {
    fn new(needles: Vec<u64>) -> Self {
        let bits = needles.len().saturating_mul(16).next_power_of_two().clamp(1 << 16, 1 << 27);
        let (found, shift) = (vec![false; needles.len()], 64_u32.saturating_sub(bits.ilog2()));
        let mut haystack = Self { needles: Vec::new(), filter: vec![0; bits / 64], shift, found };
        for needle in &needles {
            let (word, bit) = haystack.place(*needle);
            if let Some(w) = haystack.filter.get_mut(word) {
                *w |= bit;
            }
        }
        haystack.needles = needles;
        haystack
    }

    fn place(&self, hash: u64) -> (usize, u64) {
        let bit = hash.wrapping_mul(0xd6e8_feb8_6659_fd93) >> self.shift;
        // The shift leaves 27 bits at most.
        (usize::try_from(bit / 64).unwrap_or(usize::MAX), 1 << (bit % 64))
    }

    /// The number of a needle with this hash.
    #[inline]
    fn find(&self, hash: u64) -> Option<usize> {
        let (word, bit) = self.place(hash);
        self.filter.get(word).filter(|w| **w & bit != 0)?;
        self.needles.binary_search(&hash).ok()
    }

    /// Sets `found` for every needle in `bytes`; answers whether there was one.
    fn mark(&mut self, bytes: &[u8], as_found: bool) -> bool {
        let mut any = false;
        windows(bytes, |hash| {
            if let Some(at) = self.find(hash) {
                any = true;
                if let Some(found) = self.found.get_mut(at) {
                    *found = as_found;
                }
            }
        });
        any
    }

    fn count(&self) -> u64 {
        self.found.iter().filter(|found| **found).count() as u64
    }
}

/// Searches the data directory for what a purge deleted.
pub(crate) fn search(shared: &Shared, purge: i64) -> StoreResult<Search> {
    let mut haystack = Haystack::new(Needles::of(&shared.dir, purge).load()?);
    let mut outcome = Search::default();
    if !haystack.needles.is_empty() {
        walk(&shared.dir, &mut haystack, &mut outcome)?;
    }
    let db = shared.dir.join(open::FILE_NAME);
    outcome.db_bytes = fs::metadata(&db).map_err(file("measure the database"))?.len();
    if haystack.count() > 0 {
        forgive(shared, &mut haystack).map_err(|f| f.into_store("compare with the rows of others"))?;
    }
    outcome.left = haystack.count();
    if outcome.left == 0 {
        outcome.files.clear();
    }
    Ok(outcome)
}

/// Everything below `dir` but the blob files, which hold no rows.
fn walk(dir: &Path, haystack: &mut Haystack, outcome: &mut Search) -> StoreResult<()> {
    let doing = "search the data directory";
    for entry in fs::read_dir(dir).map_err(file(doing))? {
        let entry = entry.map_err(file(doing))?;
        let kind = entry.file_type().map_err(file(doing))?;
        let name = entry.file_name();
        if kind.is_dir() && name != "blobs" {
            walk(&entry.path(), haystack, outcome)?;
        } else if kind.is_file() && name != BALLAST_NAME && !name.to_string_lossy().ends_with(".needles") {
            let mut input = match File::open(entry.path()) {
                Ok(input) => input,
                // Deleted since the directory was listed. Any other file must be searched before "none" is said.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(file(doing)(error)),
            };
            if scan(&mut input, haystack, &mut outcome.bytes).map_err(file(doing))? {
                outcome.files.push(entry.path().display().to_string());
            }
        }
    }
    Ok(())
}

/// Marks what one file holds; answers whether there was anything.
fn scan(input: &mut impl Read, haystack: &mut Haystack, searched: &mut u64) -> std::io::Result<bool> {
    let (mut any, mut kept) = (false, 0_usize);
    let mut buffer = vec![0_u8; 1 << 20];
    loop {
        let n = input.read(buffer.get_mut(kept..).unwrap_or_default())?;
        if n == 0 {
            return Ok(any);
        }
        *searched = searched.saturating_add(n as u64);
        let end = kept.saturating_add(n);
        any |= haystack.mark(buffer.get(..end).unwrap_or_default(), true);
        // A window may lie across two reads.
        let keep = end.saturating_sub(WINDOW.saturating_sub(1));
        buffer.copy_within(keep..end, 0);
        kept = end.saturating_sub(keep);
    }
}

/// What stands in rows that live, at whatever place, is no trace.
fn forgive(shared: &Shared, haystack: &mut Haystack) -> Outcome<()> {
    let conn = open::reader(&shared.dir, &shared.options)?;
    let mut stored = Vec::new();
    for table in ["record", "past"] {
        let mut select = conn.prepare(&format!("SELECT cid, body FROM {table}"))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let cid = row.get_ref(0)?.as_blob().map_err(|e| StoreError::Damaged(e.to_string()))?;
            let body = row.get_ref(1)?.as_blob_or_null().map_err(|e| StoreError::Damaged(e.to_string()))?;
            // In the file the body follows the CID.
            stored.clear();
            stored.extend_from_slice(cid);
            stored.extend_from_slice(body.unwrap_or_default());
            haystack.mark(&stored, false);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_is_found_wherever_it_lies() {
        let mut state = 1_u64;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .take(3 << 20)
        .collect();
        let mut tried = 0;
        for at in (0..3000).chain((1 << 20) - 50..(1 << 20) + 50) {
            let mut list = Vec::new();
            Needles::of_row(&bytes[at..at + WINDOW], None, &mut list);
            if list.is_empty() {
                continue;
            }
            tried += 1;
            if tried % 40 != 0 {
                continue;
            }
            let mut haystack = Haystack::new(list);
            let mut searched = 0;
            assert!(scan(&mut &bytes[..], &mut haystack, &mut searched).unwrap(), "window at {at}");
            assert_eq!((haystack.count(), searched), (1, bytes.len() as u64));
            assert!(haystack.mark(&bytes[at - at.min(5)..at + 40], false) && haystack.count() == 0);
        }
        assert!(tried > 200, "one window in eight counts: {tried}");
        let mut other = Haystack::new(vec![1, 2, 3]);
        assert!(!scan(&mut &bytes[..], &mut other, &mut 0).unwrap());
    }
}
