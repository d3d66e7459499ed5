//! The search for traces of a purge in all files of the node.
//!
//! A rolling hash of 24 bytes runs over every file and is looked up among the needles that the
//! purge noted. A hit in the database may be another account's row that holds the same bytes
//! (two people can write the same record): such rows are looked for and do not count.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use p2pds_store::{StoreError, StoreResult};

use crate::apply::{BASE, Needles, WINDOW};
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

/// A set of hashes with a filter in front that fits the processor's cache.
struct Haystack {
    needles: Vec<u64>,
    filter: Vec<u64>,
    shift: u32,
}

impl Haystack {
    fn new(needles: Vec<u64>) -> Self {
        let bits = needles.len().saturating_mul(16).next_power_of_two().clamp(1 << 16, 1 << 27);
        let mut haystack = Self {
            needles: Vec::new(),
            filter: vec![0; bits / 64],
            shift: 64_u32.saturating_sub(bits.ilog2()),
        };
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
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    #[inline]
    fn has(&self, hash: u64) -> bool {
        let (word, bit) = self.place(hash);
        self.filter.get(word).is_some_and(|w| w & bit != 0) && self.needles.binary_search(&hash).is_ok()
    }
}

/// By how much a byte weighs when it leaves the window.
const OUT: u64 = {
    let (mut power, mut n) = (1_u64, 0);
    while n < WINDOW {
        power = power.wrapping_mul(BASE);
        n = n.wrapping_add(1);
    }
    power
};

/// Rolls over one file and collects the needles that it holds.
struct Roll<'a> {
    haystack: &'a Haystack,
    hash: u64,
    seen: usize,
    ring: [u8; WINDOW],
    found: Vec<u64>,
}

impl<'a> Roll<'a> {
    fn new(haystack: &'a Haystack) -> Self {
        Self { haystack, hash: 0, seen: 0, ring: [0; WINDOW], found: Vec::new() }
    }

    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "seen modulo the ring's length"
    )]
    fn feed(&mut self, bytes: &[u8]) {
        let mut at = self.seen % WINDOW;
        for byte in bytes {
            // A byte that has not been written yet counts as nothing.
            let gone = if self.seen >= WINDOW { u64::from(self.ring[at]) + 1 } else { 0 };
            self.hash = self
                .hash
                .wrapping_mul(BASE)
                .wrapping_add(u64::from(*byte) + 1)
                .wrapping_sub(gone.wrapping_mul(OUT));
            self.ring[at] = *byte;
            at = if at + 1 == WINDOW { 0 } else { at + 1 };
            self.seen = self.seen.wrapping_add(1);
            if self.seen >= WINDOW && self.haystack.has(self.hash) {
                self.found.push(self.hash);
            }
        }
    }
}

/// Searches the data directory for what a purge deleted.
pub(crate) fn search(shared: &Shared, purge: i64) -> StoreResult<Search> {
    let haystack = Haystack::new(Needles::of(&shared.dir, purge).load()?);
    let mut outcome = Search::default();
    let mut hits = Vec::new();
    if !haystack.needles.is_empty() {
        walk(&shared.dir, &haystack, &mut outcome, &mut hits)?;
    }
    let db = shared.dir.join(open::FILE_NAME);
    outcome.db_bytes = fs::metadata(&db).map_err(file("measure the database"))?.len();
    let mut all: Vec<u64> = hits.iter().flat_map(|(_, found)| found.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    if !all.is_empty() {
        let living = living(shared, &all).map_err(|f| f.into_store("compare with the rows of others"))?;
        all.retain(|hash| living.binary_search(hash).is_err());
        hits.retain(|(_, found)| found.iter().any(|h| all.binary_search(h).is_ok()));
    }
    outcome.left = all.len() as u64;
    outcome.files = hits.into_iter().map(|(name, _)| name).collect();
    Ok(outcome)
}

/// Everything below `dir` but the blob files, which hold no rows.
fn walk(
    dir: &Path,
    haystack: &Haystack,
    outcome: &mut Search,
    hits: &mut Vec<(String, Vec<u64>)>,
) -> StoreResult<()> {
    let doing = "search the data directory";
    for entry in fs::read_dir(dir).map_err(file(doing))? {
        let entry = entry.map_err(file(doing))?;
        let kind = entry.file_type().map_err(file(doing))?;
        let name = entry.file_name();
        if kind.is_dir() && name != "blobs" {
            walk(&entry.path(), haystack, outcome, hits)?;
        } else if kind.is_file() && !name.to_string_lossy().ends_with(".needles") {
            let Ok(mut input) = File::open(entry.path()) else { continue };
            let (mut roll, mut buffer) = (Roll::new(haystack), vec![0_u8; 1 << 20]);
            loop {
                let n = input.read(&mut buffer).map_err(file(doing))?;
                if n == 0 {
                    break;
                }
                outcome.bytes = outcome.bytes.saturating_add(n as u64);
                roll.feed(buffer.get(..n).unwrap_or_default());
            }
            if !roll.found.is_empty() {
                hits.push((entry.path().display().to_string(), roll.found));
            }
        }
    }
    Ok(())
}

/// Which of `hits` stand in rows that live, at whatever place, sorted.
fn living(shared: &Shared, hits: &[u64]) -> Outcome<Vec<u64>> {
    let conn = open::reader(&shared.dir, &shared.options)?;
    let haystack = Haystack::new(hits.to_vec());
    let mut found = Vec::new();
    for table in ["record", "past"] {
        let mut select = conn.prepare(&format!("SELECT cid, body FROM {table}"))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let cid = row.get_ref(0)?.as_blob().map_err(|e| StoreError::Damaged(e.to_string()))?;
            let body = row.get_ref(1)?.as_blob_or_null().map_err(|e| StoreError::Damaged(e.to_string()))?;
            // In the file the body follows the CID.
            let mut roll = Roll::new(&haystack);
            roll.feed(cid);
            roll.feed(body.unwrap_or_default());
            found.append(&mut roll.found);
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rolling_finds_every_window_wherever_it_lies() {
        let mut state = 1_u64;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .take(5_000)
        .collect();
        for at in [0, 1, 23, 24, 700, 4_976] {
            let mut list = Vec::new();
            Needles::of_row(&bytes[at..at + WINDOW], None, &mut list);
            let haystack = Haystack::new(list.clone());
            let mut roll = Roll::new(&haystack);
            for part in bytes.chunks(97) {
                roll.feed(part);
            }
            assert_eq!(roll.found, list, "window at {at}");
        }
    }
}
