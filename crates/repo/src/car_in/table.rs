//! Where each block lies: eight bytes a slot.
//!
//! Open addressing with linear probing. A slot holds 23 bits of the digest, one bit for "used", and 40 bits of offset
//! in the file (1 TiB); 0 is an empty slot, as no section begins at offset 0. The digest itself stands in the file:
//! a slot that fits is compared there with the whole CID, so a hit is always the right one.
//!
//! CIDs are chosen by whoever wrote the file and are not hashed when they are put in. A long row of occupied slots, or
//! many slots that fit and then do not, therefore mean an attack; past [`PROBES`] and [`VAIN`] the file is given up.

#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "hot loop: `slots.len()` is a power of two and each index is masked by it"
)]

use p2pds_ipld::Cid;

use super::error::{ReadError, TooMuch};

/// Longest row of slots that is searched. By chance, at the load kept here, it is a few dozen.
const PROBES: usize = 1024;

/// Most slots that fit a CID and lead to another one, in all: each of them costs a read of the file. By chance, with
/// 23 bits compared, it is one in a million blocks.
const VAIN: usize = 4096;

const OFFSET_BITS: u32 = 40;
const OFFSET: u64 = (1 << OFFSET_BITS) - 1;
/// Longest file that it can hold.
pub(super) const MAX_OFFSET: u64 = OFFSET;
const USED: u64 = 1 << OFFSET_BITS;
const TAG_SHIFT: u32 = OFFSET_BITS + 1;

/// What putting in a block did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is new.
    New,
    /// The same CID is there, at this offset.
    Twice,
    /// The table is as full as it may be; make a larger one and begin again.
    Full,
}

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<u64>,
    count: usize,
    vain: usize,
}

/// Slot number and tag of a CID: two ends of the digest.
#[inline]
fn parts(cid: &Cid) -> (usize, u64) {
    let digest = cid.digest();
    let home = digest.first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight));
    let tag = digest.last_chunk().map_or(0, |four| u32::from_le_bytes(*four));
    (home as usize, u64::from(tag >> 9) << TAG_SHIFT)
}

impl Table {
    /// Room for so many blocks.
    pub fn new(blocks: u64) -> Self {
        let slots = (blocks.saturating_mul(4) / 3).saturating_add(8).next_power_of_two();
        Self { slots: vec![0; usize::try_from(slots).unwrap_or(8)], count: 0, vain: 0 }
    }

    /// Blocks that it has room for.
    pub fn room(&self) -> usize {
        self.slots.len() / 4 * 3
    }

    /// Puts in the block at `offset`. `is_at` compares with the whole CID in the file.
    #[inline]
    pub fn put(
        &mut self,
        cid: &Cid,
        offset: u64,
        used: bool,
        mut is_at: impl FnMut(u64) -> Result<bool, ReadError>,
    ) -> Result<Put, ReadError> {
        let (home, tag) = parts(cid);
        let mask = self.slots.len() - 1;
        for probe in 0..PROBES {
            let at = (home + probe) & mask;
            let slot = self.slots[at];
            if slot == 0 {
                if self.count >= self.room() {
                    return Ok(Put::Full);
                }
                self.count += 1;
                self.slots[at] = tag | (offset & OFFSET) | if used { USED } else { 0 };
                return Ok(Put::New);
            }
            if slot >> TAG_SHIFT == tag >> TAG_SHIFT {
                if is_at(slot & OFFSET)? {
                    if used {
                        self.slots[at] |= USED;
                    }
                    return Ok(Put::Twice);
                }
                self.in_vain()?;
            }
        }
        Err(ReadError::TooMuch(TooMuch::Collisions))
    }

    /// The slot at which the search for a CID begins. Reading some of them ahead lets the processor fetch them
    /// together; the value is good for nothing else.
    #[inline]
    pub fn peek(&self, cid: &Cid) -> u64 {
        self.slots[parts(cid).0 & (self.slots.len() - 1)]
    }

    /// Where the block probably lies; 0 when that is not seen at a glance. For fetching ahead.
    #[inline]
    pub fn hint(&self, cid: &Cid) -> u64 {
        let (home, tag) = parts(cid);
        let mask = self.slots.len() - 1;
        let near = (0..8).map(|probe| self.slots[(home + probe) & mask]);
        near.take_while(|slot| *slot != 0).find(|slot| slot >> TAG_SHIFT == tag >> TAG_SHIFT).unwrap_or(0)
            & OFFSET
    }

    /// Finds a block and marks it as used.
    #[inline]
    pub fn find(
        &mut self,
        cid: &Cid,
        mut is_at: impl FnMut(u64) -> Result<bool, ReadError>,
    ) -> Result<Option<u64>, ReadError> {
        let (home, tag) = parts(cid);
        let mask = self.slots.len() - 1;
        for probe in 0..PROBES {
            let at = (home + probe) & mask;
            let slot = self.slots[at];
            if slot == 0 {
                return Ok(None);
            }
            if slot >> TAG_SHIFT == tag >> TAG_SHIFT {
                if is_at(slot & OFFSET)? {
                    self.slots[at] |= USED;
                    return Ok(Some(slot & OFFSET));
                }
                self.in_vain()?;
            }
        }
        Ok(None)
    }

    #[cold]
    fn in_vain(&mut self) -> Result<(), ReadError> {
        self.vain += 1;
        if self.vain > VAIN { Err(ReadError::TooMuch(TooMuch::Collisions)) } else { Ok(()) }
    }

    /// Offsets of the blocks that were never found.
    pub fn unused(&self) -> impl Iterator<Item = u64> {
        self.slots.iter().filter(|slot| **slot != 0 && **slot & USED == 0).map(|slot| slot & OFFSET)
    }
}

#[cfg(test)]
mod tests {
    use p2pds_ipld::Codec;

    use super::*;

    #[test]
    fn finds_what_was_put_in() {
        let cids: Vec<Cid> = (0u32..1000).map(|i| Cid::of_cbor(&i.to_le_bytes())).collect();
        let mut table = Table::new(1000);
        for (i, cid) in cids.iter().enumerate() {
            let put = table.put(cid, i as u64 + 1, false, |at| Ok(cids[at as usize - 1] == *cid)).unwrap();
            assert_eq!(put, Put::New);
        }
        for (i, cid) in cids.iter().enumerate().step_by(2) {
            let found = table.find(cid, |at| Ok(cids[at as usize - 1] == *cid)).unwrap();
            assert_eq!(found, Some(i as u64 + 1));
            let put = table.put(cid, 7777, false, |at| Ok(cids[at as usize - 1] == *cid)).unwrap();
            assert_eq!(put, Put::Twice);
        }
        assert_eq!(table.find(&Cid::of_cbor(b"?"), |_| Ok(false)).unwrap(), None);
        let mut unused: Vec<u64> = table.unused().collect();
        unused.sort_unstable();
        assert_eq!(unused, (1..=1000).filter(|i| i % 2 == 0).collect::<Vec<u64>>());
    }

    #[test]
    fn says_when_it_is_full() {
        let mut table = Table::new(1);
        let mut put = 0;
        for i in 0u32.. {
            let cid = Cid::of_cbor(&i.to_le_bytes());
            match table.put(&cid, u64::from(i) + 1, false, |_| Ok(false)).unwrap() {
                Put::Full => break,
                _ => put += 1,
            }
        }
        assert_eq!(put, table.room());
    }

    #[test]
    fn made_collisions_are_given_up() {
        let mut table = Table::new(1 << 16);
        let outcome = (0u32..2000).try_for_each(|i| {
            let mut digest = [7; 32];
            digest[12..16].copy_from_slice(&i.to_le_bytes());
            table.put(&Cid::new(Codec::DagCbor, digest), u64::from(i) + 1, false, |_| Ok(false)).map(drop)
        });
        assert!(matches!(outcome, Err(ReadError::TooMuch(TooMuch::Collisions))));
    }

    #[test]
    fn made_tags_cost_no_more_than_a_look_at_each_block() {
        // Rows shorter than the longest that is searched, whose tags are all the same: each look is a read of the file.
        let mut table = Table::new(1 << 18);
        let mut looks = 0_u64;
        let outcome = (0u32..100_000).try_for_each(|i| {
            let mut digest = [7; 32];
            digest[..4].copy_from_slice(&(i / 1000 * 2048).to_le_bytes());
            digest[12..16].copy_from_slice(&i.to_le_bytes());
            let is_at = |_| {
                looks += 1;
                Ok(false)
            };
            table.put(&Cid::new(Codec::DagCbor, digest), u64::from(i) + 1, false, is_at).map(drop)
        });
        assert!(matches!(outcome, Err(ReadError::TooMuch(TooMuch::Collisions))));
        assert!(looks < 100_000, "{looks} looks");
    }
}
