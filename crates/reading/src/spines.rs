//! Tops of trees kept for the next reader, by repo and rev.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use p2pds_repo::bucket::Spine;
use p2pds_store::RepoId;
use p2pds_syntax::Tid;

/// Most spines.
const MOST: usize = 64;
/// Most buckets in all of them: about 300 bytes each.
const MOST_BUCKETS: usize = 60_000;

type Kept = (RepoId, Tid, Arc<Spine>);

/// The spines used last, the latest at the back.
#[derive(Default)]
pub(crate) struct Spines(Mutex<VecDeque<Kept>>);

impl Spines {
    pub fn get(&self, repo: RepoId, rev: Tid) -> Option<Arc<Spine>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(id, at, _)| (*id, *at) == (repo, rev))?;
        let found = kept.remove(at)?;
        let spine = Arc::clone(&found.2);
        kept.push_back(found);
        Some(spine)
    }

    pub fn put(&self, repo: RepoId, rev: Tid, spine: &Arc<Spine>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // An older state of the same repo is not asked for again.
        kept.retain(|(id, ..)| *id != repo);
        kept.push_back((repo, rev, Arc::clone(spine)));
        let buckets =
            |kept: &VecDeque<Kept>| kept.iter().map(|(.., spine)| spine.buckets().len()).sum::<usize>();
        while kept.len() > 1 && (kept.len() > MOST || buckets(&kept) > MOST_BUCKETS) {
            kept.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept() {
        let rev = |n: u64| Tid::from_u64(n << 10).unwrap();
        let (spines, spine) = (Spines::default(), Arc::new(Spine::empty()));
        for n in 0..=64 {
            spines.put(RepoId(n), rev(1), &spine);
        }
        assert!(spines.get(RepoId(0), rev(1)).is_none());
        assert!(spines.get(RepoId(1), rev(1)).is_some());
        spines.put(RepoId(1), rev(2), &spine);
        assert!(spines.get(RepoId(1), rev(1)).is_none() && spines.get(RepoId(1), rev(2)).is_some());
    }
}
