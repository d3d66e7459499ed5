//! What stands where a write is going to be: loaded once, asked for what is there, then planned with.

use p2pds_ipld::Cid;
use p2pds_repo::bucket::{self, Plan, Spine, Warm};
use p2pds_repo::mst::Op;

use super::{ViewResult, keys_between, listed, load_touched};
use crate::{Repo, RowPage, Store};

/// Keys and CIDs of the buckets that some keys touch.
#[derive(Debug)]
pub struct Touched(Vec<(usize, RowPage)>);

impl Touched {
    /// Loads the buckets that these keys touch.
    ///
    /// # Errors
    /// What the store says.
    pub async fn load(store: &dyn Store, repo: &Repo, spine: &Spine, keys: &[&[u8]]) -> ViewResult<Self> {
        Ok(Self(load_touched(store, repo, spine, keys).await?))
    }

    /// The record at a key, which must be one of those loaded for.
    #[must_use]
    pub fn get(&self, spine: &Spine, key: &[u8]) -> Option<Cid> {
        let at = spine.bucket_of(key);
        let (_, page) = self.0.iter().find(|(index, _)| *index == at)?;
        find(page, key)
    }

    /// Plans a write of some of the keys. The spine takes the plan in; drop it when the plan is not carried out.
    ///
    /// # Errors
    /// An operation that does not agree with what is stored, or damage.
    pub fn plan(&self, spine: &mut Spine, ops: &[Op]) -> ViewResult<Plan> {
        // Only what the operations need: a bucket loaded for a key that is left alone would be stored again.
        let needed = spine.touched(ops.iter().map(|op| op.key.as_slice()));
        let loaded: Vec<_> = self
            .0
            .iter()
            .filter(|(index, _)| needed.contains(index))
            .map(|(index, page)| (*index, listed(page)))
            .collect();
        Ok(bucket::plan(spine, &loaded, ops)?)
    }
}

/// Loads the buckets that these keys touch and that are not kept warm.
///
/// # Errors
/// What the store says, or damage.
pub async fn warm_up(
    store: &dyn Store,
    repo: &Repo,
    spine: &Spine,
    warm: &mut Warm,
    keys: &[&[u8]],
) -> ViewResult<()> {
    for index in warm.missing(spine, keys.iter().copied()) {
        if let Some((lo, hi)) = spine.range(index) {
            let page = keys_between(store, repo, lo, hi).await?;
            warm.load(spine, index, &listed(&page))?;
        }
    }
    Ok(())
}

/// Binary search in a page, which is in key order.
fn find(page: &RowPage, key: &[u8]) -> Option<Cid> {
    let (mut from, mut to) = (0, page.len());
    while from < to {
        let middle = from.midpoint(to);
        let (found, cid, _) = page.get(middle)?;
        match found.cmp(key) {
            std::cmp::Ordering::Equal => return Some(cid),
            std::cmp::Ordering::Less => from = middle.saturating_add(1),
            std::cmp::Ordering::Greater => to = middle,
        }
    }
    None
}
