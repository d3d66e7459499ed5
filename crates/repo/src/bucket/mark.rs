//! Marking buckets after a change whose tree was proved elsewhere.

use p2pds_ipld::Cid;

use super::{Bucket, BucketChange, is_spine_key};

/// The rows to write for changed keys when nothing is computed: touched buckets become dirty, a new spine key
/// opens a dirty bucket, a deleted one closes its bucket and marks the one before.
///
/// `changes` are `(key, new record)` in any order, `None` for a deletion. `find(key, below)` gives the stored row
/// with the greatest `lo` that is at most `key` (`below` false) or less than it (`below` true); earlier answers of
/// this call need not be seen by it. `n` of a dirty row is the count before and must not be relied upon.
pub fn mark(
    changes: &[(&[u8], Option<Cid>)],
    mut find: impl FnMut(&[u8], bool) -> Option<Bucket>,
) -> Vec<BucketChange> {
    let mut sorted: Vec<_> = changes.to_vec();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    // Rows as this call has made them so far; `None` is a removed row.
    let mut rows: std::collections::BTreeMap<Vec<u8>, Option<Bucket>> = std::collections::BTreeMap::new();
    for (key, new) in sorted {
        let spine = is_spine_key(key);
        if let (true, Some(cid)) = (spine, new) {
            let known =
                rows.get(key).cloned().flatten().or_else(|| find(key, false).filter(|row| row.lo == key));
            if known.is_none() {
                touch(&mut rows, key, true, &mut find);
            }
            let mut row = known.unwrap_or_else(|| Bucket { lo: key.to_vec(), ..Bucket::empty() });
            row.lo_cid = Some(cid);
            rows.insert(key.to_vec(), Some(dirty(row)));
        } else if spine {
            touch(&mut rows, key, true, &mut find);
            rows.insert(key.to_vec(), None);
        } else {
            touch(&mut rows, key, false, &mut find);
        }
    }
    let change = |(lo, row): (Vec<u8>, Option<Bucket>)| match row {
        Some(bucket) => BucketChange::Put(bucket),
        None => BucketChange::Delete(lo),
    };
    rows.into_iter().map(change).collect()
}

/// Marks the bucket of `key`, or the one before it.
fn touch(
    rows: &mut std::collections::BTreeMap<Vec<u8>, Option<Bucket>>,
    key: &[u8],
    below: bool,
    find: &mut impl FnMut(&[u8], bool) -> Option<Bucket>,
) {
    let mut from = key.to_vec();
    let mut below = below;
    loop {
        let stored = find(&from, below);
        let range = (
            std::ops::Bound::Unbounded,
            if below {
                std::ops::Bound::Excluded(from.clone())
            } else {
                std::ops::Bound::Included(from.clone())
            },
        );
        let ours = rows.range::<Vec<u8>, _>(range).next_back();
        // The nearest row: one of ours wins over the stored one with the same `lo`.
        let at_least = stored.as_ref().map(|row| row.lo.as_slice());
        match ours {
            Some((lo, row)) if at_least.is_none_or(|stored| stored <= lo.as_slice()) => match row {
                Some(row) => {
                    let row = dirty(row.clone());
                    rows.insert(row.lo.clone(), Some(row));
                    return;
                }
                // Removed by this call: go on before it.
                None => (from, below) = (lo.clone(), true),
            },
            _ => {
                let row = stored.unwrap_or_else(Bucket::empty);
                rows.insert(row.lo.clone(), Some(dirty(row)));
                return;
            }
        }
    }
}

fn dirty(mut row: Bucket) -> Bucket {
    row.dirty = true;
    row.layer_root = None;
    row.prefixes = Vec::new();
    row
}
