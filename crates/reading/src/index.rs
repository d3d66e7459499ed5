//! Which served account may have a CID, for readers who name no account.
//!
//! In memory: for each account that is served to anybody the first four bytes of the digests of its blocks and blobs,
//! sorted, and one bit map over all of them. An unknown CID costs three looks at the map; when all its bits are set by
//! chance (one in 190) a binary search for each account, and no read of the database but once in 4,000 million / blocks.
//! Six to eight bytes of memory for each block and blob. A hit is a candidate: the account's own tree decides.
//!
//! The index is brought up to date by [`Reading::refresh_index`] every few seconds. It is allowed to know too much (a
//! block that was replaced) or too little (one that came just now), because whoever reads is judged anew each time.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use p2pds_ipld::Cid;
use p2pds_store::{Account, BlobFilter, BucketRow};
use p2pds_syntax::{Did, Tid};

use crate::Reading;
use crate::gate::{Viewer, may_read};
use crate::intent::Intent;
use crate::refusal::Refusal;
use crate::view::View;

/// Accounts tried for one CID at most.
const MOST_CANDIDATES: usize = 8;
/// Bits of the map for each block: what an unknown CID costs.
const BITS: usize = 16;
/// Odd factors by which a prefix is spread over the map.
const MIX: [u32; 3] = [1, 0x9e37_79b1, 0x85eb_ca77];
/// Bits of the smallest map.
const FEWEST_BITS: usize = 1 << 16;
/// Bits of the largest map: 256 MB. It serves 134 million blocks before unknown CIDs cost more.
const MOST_BITS: usize = 1 << 31;
/// Accounts read at a time.
const PAGE: usize = 1_000;
/// Blobs read at a time.
const BLOBS: usize = 1_000;

/// One served account.
#[derive(Debug)]
struct Entry {
    rev: Tid,
    blobs_held: u64,
    handle: Option<String>,
    collections: Vec<String>,
    /// First four bytes of digests, sorted.
    prefixes: Vec<u32>,
}

/// What a refresh did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Accounts in the index.
    pub accounts: usize,
    /// Blocks and blobs in the index.
    pub blocks: usize,
    /// Accounts read again.
    pub read: usize,
    /// Accounts left out because the index would have grown past its limit; they are served by DID only.
    pub left_out: usize,
}

#[derive(Debug, Default)]
struct Known {
    entries: BTreeMap<Did, Arc<Entry>>,
    handles: BTreeMap<String, Did>,
    blocks: usize,
    map: Vec<u64>,
    /// Bits set since the map was made.
    set: usize,
}

/// The index itself.
#[derive(Debug, Default)]
pub(crate) struct Index(RwLock<Known>);

fn prefix(cid: &Cid) -> u32 {
    u32::from_be_bytes(cid.prefix4())
}

impl Known {
    /// Where in the map a prefix stands: its upper bits, which are as good as random, mixed in three ways.
    fn slots(&self, prefix: u32) -> [Option<(usize, u64)>; 3] {
        MIX.map(|factor| {
            let bits = self.map.len().checked_mul(64)?.checked_ilog2()?;
            let at = prefix.wrapping_mul(factor).checked_shr(32_u32.saturating_sub(bits))?;
            Some((usize::try_from(at >> 6).ok()?, 1_u64.checked_shl(at & 63)?))
        })
    }

    fn mark(&mut self, prefixes: &[u32]) {
        for prefix in prefixes {
            for (word, bit) in self.slots(*prefix).into_iter().flatten() {
                if let Some(word) = self.map.get_mut(word) {
                    *word |= bit;
                }
            }
        }
        self.set = self.set.saturating_add(prefixes.len());
    }

    fn may_have(&self, prefix: u32) -> bool {
        let set = |(word, bit): (usize, u64)| self.map.get(word).is_some_and(|word| word & bit != 0);
        self.slots(prefix).into_iter().all(|slot| slot.is_some_and(set))
    }

    /// A map of the right size with the bits of what is known now.
    fn remake(&mut self) {
        let bits = self.blocks.saturating_mul(BITS).next_power_of_two().clamp(FEWEST_BITS, MOST_BITS);
        self.map = vec![0; bits / 64];
        self.set = 0;
        let entries: Vec<_> = self.entries.values().cloned().collect();
        for entry in entries {
            self.mark(&entry.prefixes);
        }
    }

    fn put(&mut self, did: &Did, entry: Entry) {
        self.drop(did);
        self.blocks = self.blocks.saturating_add(entry.prefixes.len());
        if let Some(handle) = &entry.handle {
            self.handles.insert(handle.clone(), did.clone());
        }
        let entry = Arc::new(entry);
        self.entries.insert(did.clone(), Arc::clone(&entry));
        let room = self.map.len().saturating_mul(64);
        let crowded = room < MOST_BITS && self.blocks.saturating_mul(BITS) > room;
        if self.map.is_empty() || crowded || self.set > self.blocks.saturating_mul(2).max(FEWEST_BITS) {
            self.remake();
        } else {
            self.mark(&entry.prefixes);
        }
    }

    fn drop(&mut self, did: &Did) {
        if let Some(old) = self.entries.remove(did) {
            self.blocks = self.blocks.saturating_sub(old.prefixes.len());
            if let Some(handle) = &old.handle
                && self.handles.get(handle) == Some(did)
            {
                self.handles.remove(handle);
            }
        }
    }
}

impl Index {
    fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Reading {
    /// Accounts that may have a block or blob with this CID. Looks at memory alone.
    #[must_use]
    pub fn candidates(&self, cid: &Cid) -> Vec<Did> {
        let wanted = prefix(cid);
        self.shared.index.read(|known| {
            if !known.may_have(wanted) {
                return Vec::new();
            }
            let has = |entry: &Entry| entry.prefixes.binary_search(&wanted).is_ok();
            let found = known.entries.iter().filter(|(_, entry)| has(entry)).map(|(did, _)| did.clone());
            found.take(MOST_CANDIDATES).collect()
        })
    }

    /// The served account with this handle.
    #[must_use]
    pub fn did_of_handle(&self, handle: &str) -> Option<Did> {
        self.shared.index.read(|known| known.handles.get(&handle.to_ascii_lowercase()).cloned())
    }

    /// Served accounts after a DID, at most `limit`; with a collection only those that have it. Whether this viewer may
    /// read them is not decided here.
    #[must_use]
    pub fn served(&self, after: Option<&Did>, collection: Option<&str>, limit: usize) -> Vec<Did> {
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let has = |entry: &Entry| {
            collection
                .is_none_or(|name| entry.collections.binary_search_by(|have| have.as_str().cmp(name)).is_ok())
        };
        self.shared.index.read(|known| {
            let all = known.entries.range::<Did, _>((from, std::ops::Bound::Unbounded));
            all.filter(|(_, entry)| has(entry)).map(|(did, _)| did.clone()).take(limit).collect()
        })
    }

    /// Asks for the index to be brought up to date: to whom an account is served has just been changed.
    pub fn index_soon(&self) {
        self.shared.index_wanted.notify_one();
    }

    /// Ends when [`Reading::index_soon`] was called.
    pub async fn index_wanted(&self) {
        self.shared.index_wanted.notified().await;
    }

    /// Brings the index up to date: reads the accounts, and the trees of those that changed. `most` is the largest
    /// number of blocks and blobs that it may have.
    ///
    /// # Errors
    /// The accounts cannot be listed. An account that cannot be read is left as it is.
    pub async fn refresh_index(&self, most: usize) -> Result<Indexed, Refusal> {
        let mut done = Indexed::default();
        let (mut after, mut seen) = (None, std::collections::BTreeSet::new());
        loop {
            let page = self.store.accounts(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.did.clone());
            for account in page {
                // Peers may read whatever the public may. Accounts hosted here are asked for by name.
                if account.hosted || may_read(Viewer::Peer, &account, Intent::Unsaid).is_err() {
                    continue;
                }
                seen.insert(account.did.clone());
                if !self.is_current(&account) {
                    self.index_account(&account, most, &mut done).await;
                }
            }
        }
        self.shared.index.write(|known| {
            let gone: Vec<Did> = known.entries.keys().filter(|did| !seen.contains(*did)).cloned().collect();
            gone.iter().for_each(|did| known.drop(did));
            (done.accounts, done.blocks) = (known.entries.len(), known.blocks);
        });
        metrics::gauge!("p2pds_serving_index_blocks").set(u32::try_from(done.blocks).unwrap_or(u32::MAX));
        Ok(done)
    }

    fn is_current(&self, account: &Account) -> bool {
        self.shared.index.read(|known| {
            known.entries.get(&account.did).is_some_and(|entry| {
                (Some(entry.rev), entry.blobs_held, &entry.handle)
                    == (account.rev, account.blobs_held, &account.handle)
            })
        })
    }

    async fn index_account(&self, account: &Account, most: usize, done: &mut Indexed) {
        let others = self.shared.index.read(|known| {
            let own = known.entries.get(&account.did).map_or(0, |entry| entry.prefixes.len());
            known.blocks.saturating_sub(own)
        });
        let expected =
            usize::try_from(account.records.saturating_add(account.blobs_held)).unwrap_or(usize::MAX);
        if others.saturating_add(expected) > most {
            done.left_out = done.left_out.saturating_add(1);
            self.shared.index.write(|known| known.drop(&account.did));
            return;
        }
        match self.entry(account).await {
            Ok(entry) => {
                done.read = done.read.saturating_add(1);
                self.shared.index.write(|known| known.put(&account.did, entry));
            }
            Err(Refusal::Moved(_)) => {}
            Err(refusal) => {
                tracing::debug!(event = "serving.not-indexed", did = %account.did, %refusal, "an account could not be indexed now")
            }
        }
    }

    async fn entry(&self, account: &Account) -> Result<Entry, Refusal> {
        let seen = self.view(Viewer::Operator, &account.did).await?;
        let collections = self.collections_of(&seen).await?;
        let mut prefixes = self.prefixes(&seen).await?;
        let mut after: Option<Cid> = None;
        loop {
            let page = self.store.blobs(&account.did, BlobFilter::Held, after.as_ref(), BLOBS).await?;
            prefixes.extend(page.iter().map(|row| prefix(&row.cid)));
            let Some(last) = page.last() else { break };
            after = Some(last.cid);
        }
        let sorted = tokio::task::spawn_blocking(move || {
            prefixes.sort_unstable();
            prefixes.dedup();
            prefixes.shrink_to_fit();
            prefixes
        });
        let prefixes = sorted.await.unwrap_or_default();
        Ok(Entry {
            rev: seen.head.rev,
            blobs_held: account.blobs_held,
            handle: account.handle.clone(),
            collections,
            prefixes,
        })
    }

    /// The blocks of a repo: commit, nodes, records.
    async fn prefixes(&self, seen: &View) -> Result<Vec<u32>, Refusal> {
        let rows = self.store.buckets(seen.repo.id, true).await?;
        let mut all = vec![prefix(&seen.head.commit)];
        all.extend(seen.spine.nodes().map(prefix));
        let ends: Vec<Option<Vec<u8>>> =
            rows.iter().skip(1).map(|row| Some(row.lo.clone())).chain([None]).collect();
        for (row, until) in rows.into_iter().zip(ends) {
            let row = if row.dirty { self.computed(seen, row, until.as_deref()).await? } else { row };
            all.extend(row.prefixes.as_chunks::<4>().0.iter().map(|four| u32::from_be_bytes(*four)));
        }
        Ok(all)
    }

    async fn computed(
        &self,
        seen: &View,
        row: BucketRow,
        until: Option<&[u8]>,
    ) -> Result<BucketRow, Refusal> {
        let rows = self.rows_at(seen, &row.lo, until, false).await?;
        let keys: Vec<(&[u8], Cid)> = rows.iter().map(|row| (row.key.as_bytes(), row.cid)).collect();
        let bucket = p2pds_repo::bucket::rebuild(&row.lo, &keys);
        let bucket = bucket.map_err(|_| Refusal::Moved(seen.repo.did.clone()))?;
        Ok(BucketRow::new(bucket, row.rev))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(cids: impl Iterator<Item = Cid>) -> Entry {
        let mut prefixes: Vec<u32> = cids.map(|cid| prefix(&cid)).collect();
        prefixes.sort_unstable();
        let (handle, collections) = (Some("a.test".to_owned()), Vec::new());
        Entry { rev: Tid::from_u64(1 << 10).unwrap(), blobs_held: 0, handle, collections, prefixes }
    }

    #[test]
    fn what_is_known_is_found_and_chance_hits_are_few() {
        let cid = |account: u32, n: u32| Cid::of_raw(&[account.to_le_bytes(), n.to_le_bytes()].concat());
        let did = |n: u32| Did::parse(&format!("did:web:a{n}.example")).unwrap();
        let mut known = Known::default();
        for account in 0..50 {
            known.put(&did(account), entry((0..1_000).map(|n| cid(account, n))));
        }
        for account in 0..50 {
            assert!((0..1_000).all(|n| known.may_have(prefix(&cid(account, n)))));
        }
        let chance = (0..20_000).filter(|n| known.may_have(prefix(&cid(1_000, *n)))).count();
        assert!(chance < 20_000 / 100, "{chance} of 20,000 unknown CIDs pass the map");
        assert_eq!(known.handles.len(), 1);
        // Putting the same account again and again does not fill the map.
        for round in 0..400 {
            known.put(&did(7), entry((0..1_000).map(|n| cid(7 + round * 1_000, n))));
        }
        assert_eq!((known.blocks, known.entries.len()), (50_000, 50));
        let chance = (0..20_000).filter(|n| known.may_have(prefix(&cid(1_000_000, *n)))).count();
        assert!(chance < 20_000 / 10, "{chance} of 20,000 unknown CIDs pass the map");
        for account in 0..50 {
            known.drop(&did(account));
        }
        assert_eq!((known.blocks, known.entries.len()), (0, 0));
    }
}
