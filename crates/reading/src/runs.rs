//! Runs of trees kept for the next proof, by their root: what they hold follows from it, whoever's they are.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use p2pds_repo::bucket::RunNodes;
use p2pds_repo::mst::Root;

/// Most bytes in all of them; a run of 250 records takes about 40,000.
const MOST_BYTES: usize = 4 << 20;

/// The runs used last, the latest at the back, and their bytes.
type Kept = (VecDeque<(Root, Arc<RunNodes>)>, usize);

#[derive(Default)]
pub(crate) struct Runs(Mutex<Kept>);

impl Runs {
    pub fn get(&self, root: Root) -> Option<Arc<RunNodes>> {
        let (kept, _) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| *known == root)?;
        let found = kept.remove(at)?;
        let run = Arc::clone(&found.1);
        kept.push_back(found);
        Some(run)
    }

    pub fn put(&self, root: Root, run: RunNodes) -> Arc<RunNodes> {
        let run = Arc::new(run);
        if run.size() > MOST_BYTES / 4 {
            return run;
        }
        let (kept, bytes) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, other)) = kept.iter().find(|(known, _)| *known == root) {
            return Arc::clone(other);
        }
        *bytes = bytes.saturating_add(run.size());
        kept.push_back((root, Arc::clone(&run)));
        while *bytes > MOST_BYTES
            && let Some((_, oldest)) = kept.pop_front()
        {
            *bytes = bytes.saturating_sub(oldest.size());
        }
        run
    }
}

#[cfg(test)]
mod tests {
    use p2pds_ipld::Cid;
    use p2pds_repo::bucket::{Bucket, Spine, rebuild};

    use super::*;

    #[test]
    fn the_latest_are_kept() {
        let keys: Vec<String> = (0..200).map(|n| format!("app.bsky.feed.like/3k{n:05}")).collect();
        let record = Cid::of_cbor(b"a record");
        let records: Vec<(&[u8], Cid)> = keys.iter().map(|key| (key.as_bytes(), record)).collect();
        let below: Vec<_> =
            records.iter().filter(|(key, _)| !p2pds_repo::bucket::is_spine_key(key)).copied().collect();
        let row: Bucket = rebuild(b"", &below).unwrap();
        let spine = Spine::from_buckets(vec![row]).unwrap();
        let load = || RunNodes::load(&spine, 0, &below).unwrap();
        let (runs, size) = (Runs::default(), load().size());
        let root = |n: usize| (0, Cid::of_cbor(n.to_string().as_bytes()));
        let most = MOST_BYTES / size;
        for n in 0..=most {
            runs.put(root(n), load());
            assert!(runs.get(root(0)).is_some() || n == most, "{n} of {most}");
        }
        assert!(runs.get(root(1)).is_none() && runs.get(root(most)).is_some());
    }
}
