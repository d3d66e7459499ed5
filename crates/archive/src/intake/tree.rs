//! How large a repo is, from the top of its tree: a few small requests instead of the whole download.
//!
//! Which layer of the tree a key stands on depends on the key's hash alone: one key in four of a layer stands on the
//! next ([`p2pds_repo::mst`]). So the keys of the upper layers are a sample of all keys that nobody chose, and when
//! `n` keys stand on layer `l` and above, the repo has about `n * 4^l` records, give or take two times that number
//! divided by the root of `n`. Records that these keys name are a sample of all records, for their mean size.
//!
//! What a host sends is checked against the CIDs that were asked for, as always, but the tree's root is not compared
//! with a signature here: an estimate is no copy.

use std::collections::HashMap;

use p2pds_ipld::Cid;
use p2pds_ipld::car::{CarLimits, SectionCid, SliceReader};
use p2pds_repo::commit::Commit;
use p2pds_repo::mst::NodeView;

use super::estimate::{Span, mean, standard_error, whole};
use crate::host::Host;

/// Keys after which no further layer is asked for: the number of records is then known to a seventh, in 19 of 20 cases.
const ENOUGH: usize = 200;
/// Nodes of one layer that are asked for at most.
const MOST_NODES: usize = 800;
/// Blocks asked for in one request: their CIDs stand in its address.
const AT_ONCE: usize = 50;
/// Records that are measured.
const MEASURED: usize = 40;
/// Most bytes of an answer with blocks. Records may have 1 MB, and those are rare.
const MOST_BYTES: u64 = 4 << 20;
/// Bytes around a block in a CAR: its CID and its length.
const AROUND: u64 = 38;
/// Bytes of an entry of a node beside its key, without a link to a subtree.
const ENTRY: f64 = 55.0;
/// Bytes of a node beside its entries: around it in a CAR, its own frame, and the link that leads to it. A tree has one
/// node for four keys, because one key in four stands on the next layer.
const NODE: f64 = 88.0;

/// What was learned of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Top {
    /// Keys met.
    keys: usize,
    /// Bytes of those keys, and of the nodes that were met, as a CAR has them.
    key_bytes: usize,
    node_bytes: u64,
    /// The lowest layer that was read.
    layer: u32,
    /// No layer is below it.
    whole: bool,
    /// Records that the keys name.
    values: Vec<Cid>,
}

impl Top {
    /// Reads one more node; gives those below it. `None` when it is none.
    fn read(&mut self, bytes: &[u8]) -> Option<Vec<Cid>> {
        let node = NodeView::parse_any(bytes).ok()?;
        let around = u64::try_from(bytes.len()).ok()?.saturating_add(AROUND);
        self.node_bytes = self.node_bytes.saturating_add(around);
        self.keys = self.keys.saturating_add(node.len());
        if let Some(layer) = node.layer() {
            self.layer = u32::from(layer);
        }
        let mut below: Vec<Cid> = node.left().into_iter().collect();
        for entry in node.entries() {
            self.values.push(entry.value);
            let key = entry.prefix.saturating_add(entry.suffix.len());
            self.key_bytes = self.key_bytes.saturating_add(key);
            below.extend(entry.right);
        }
        Some(below)
    }
}

/// Bytes of a repo as its host would send it; `None` when the host does not say enough.
pub(super) async fn size(host: &Host<'_>) -> Option<Span> {
    let commit: Cid = host.latest().await.ok()?.cid.parse().ok()?;
    let blocks = blocks(host, &[commit]).await?;
    let root = Commit::decode(blocks.get(&commit)?).ok()?.data;
    let top = top(host, root).await?;
    let step = top.values.len().div_ceil(MEASURED).max(1);
    let some: Vec<Cid> = top.values.iter().step_by(step).copied().collect();
    let mut sizes = Vec::new();
    for part in some.chunks(AT_ONCE) {
        let found = self::blocks(host, part).await?;
        sizes.extend(part.iter().filter_map(|cid| u64::try_from(found.get(cid)?.len()).ok()));
    }
    span(&top, &sizes)
}

/// The upper layers of the tree.
async fn top(host: &Host<'_>, root: Cid) -> Option<Top> {
    let mut top = Top::default();
    let mut layer = vec![root];
    loop {
        let mut below = Vec::new();
        let parts = layer.chunks(AT_ONCE);
        let asked = futures::future::join_all(parts.clone().map(|part| blocks(host, part))).await;
        for (part, found) in parts.zip(asked) {
            let found = found?;
            for cid in part {
                below.extend(top.read(found.get(cid)?)?);
            }
        }
        top.whole = below.is_empty();
        if top.whole || top.keys >= ENOUGH || below.len() > MOST_NODES {
            return Some(top);
        }
        // A layer may have no key, only nodes that lead further down.
        top.layer = top.layer.saturating_sub(1);
        layer = below;
    }
}

/// Blocks that a host sends when it is asked for these, checked.
async fn blocks(host: &Host<'_>, cids: &[Cid]) -> Option<HashMap<Cid, Vec<u8>>> {
    let names: Vec<String> = cids.iter().map(ToString::to_string).collect();
    let bytes = host.blocks(&names).await.ok()?.bytes(MOST_BYTES).await.ok()?;
    let mut found = HashMap::new();
    for section in SliceReader::new(&bytes, CarLimits::DEFAULT).ok()? {
        let section = section.ok()?;
        if let SectionCid::Plain(cid) = section.cid
            && cids.contains(&cid)
            && cid.matches(section.bytes)
        {
            found.insert(cid, section.bytes.to_vec());
        }
    }
    Some(found)
}

/// The size that follows; `None` when there are records and none could be measured.
fn span(top: &Top, sizes: &[u64]) -> Option<Span> {
    if top.keys == 0 {
        // A tree without a key has one node; a top without a key says nothing of what is below.
        return top.whole.then(|| Span::exactly(top.node_bytes));
    }
    if sizes.is_empty() {
        return None;
    }
    let (keys, around) = (top.keys as f64, AROUND as f64);
    let (each, off) = (mean(sizes) + around, 2.0 * standard_error(sizes));
    if top.whole {
        let off = if sizes.len() == top.keys { 0.0 } else { off };
        let (low, high) = (keys * (each - off).max(around), keys * (each + off));
        let nodes = top.node_bytes;
        let span =
            Span { low: whole(low).saturating_add(nodes), high: Some(whole(high).saturating_add(nodes)) };
        return Some(span);
    }
    // One record in so many was met; the error is that of counting what chance put there.
    let met = 4_f64.powi(i32::try_from(top.layer).ok()?);
    let (records, error) = (keys * met, 2.0 * keys.sqrt() * met);
    // The first key of a node stands there in full, of the others what they do not share with the one before.
    let key = top.key_bytes as f64 / keys;
    let (least, most) = (ENTRY + (key + NODE) / 4.0, ENTRY + key + NODE / 4.0);
    let low = (records - error).max(keys) * ((each - off).max(around) + least);
    let high = (records + error) * (each + off + most);
    Some(Span { low: whole(low), high: Some(whole(high)) })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use p2pds_repo::mst::Builder;

    use super::*;

    /// The top of a tree of so many records, read from all its nodes.
    fn top_of(records: u64) -> (Top, u64) {
        let mut nodes = BTreeMap::new();
        let mut builder = Builder::new(|cid: &Cid, bytes: &[u8]| {
            nodes.insert(*cid, bytes.to_vec());
        });
        let mut keys: Vec<String> = (0..records)
            .map(|n| format!("app.bsky.feed.post/3k{:011}", n * 7_919 % 99_999_999_977))
            .collect();
        keys.sort();
        for key in &keys {
            builder.push(key.as_bytes(), &Cid::of_cbor(key.as_bytes())).unwrap();
        }
        let root = builder.finish();
        let bytes: u64 = nodes.values().map(|node| node.len() as u64 + AROUND).sum();
        let (mut top, mut layer) = (Top::default(), vec![root]);
        loop {
            let mut below = Vec::new();
            for cid in layer {
                below.extend(top.read(&nodes[&cid]).unwrap());
            }
            top.whole = below.is_empty();
            if top.whole || top.keys >= ENOUGH {
                return (top, bytes);
            }
            layer = below;
        }
    }

    #[test]
    fn the_top_of_a_tree_tells_its_size() {
        for records in [1_000_u64, 3_000, 20_000] {
            let (top, nodes) = top_of(records);
            assert!(!top.whole && top.keys >= ENOUGH, "{records}: {} keys", top.keys);
            for size in [60, 300] {
                let found = span(&top, &[size; 40]).unwrap();
                let truth = records * (size + AROUND) + nodes;
                assert!(
                    found.low <= truth && found.high.unwrap() >= truth,
                    "{records}: {truth} in {found:?}"
                );
                assert!(found.high.unwrap() < truth * 2, "{records}: {truth} in {found:?}");
            }
        }
    }

    #[test]
    fn a_small_tree_is_known_exactly() {
        let (top, nodes) = top_of(20);
        assert!(top.whole);
        assert_eq!(span(&top, &[300; 20]), Some(Span::exactly(20 * 338 + nodes)));
        let (empty, nodes) = top_of(0);
        assert_eq!(span(&empty, &[]), Some(Span::exactly(nodes)));
        assert_eq!(span(&top, &[]), None, "records that nobody measured");
    }
}
