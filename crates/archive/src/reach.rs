//! While a repo arrives: whether anything still leads to what comes.
//!
//! A host could send a repo and then noise without end. Once every block that the commit leads to has arrived, what
//! follows is of no use, and the transfer is given up when there is too much of it. The machine follows links only;
//! hashes and rules are checked later, from the whole file.

use std::collections::{HashMap, HashSet};

use p2pds_ipld::Cid;
use p2pds_repo::commit::Commit;
use p2pds_repo::mst::NodeView;

/// Blocks that are followed; past that, only the limit on all bytes counts. Bounds the memory to about 64 MiB.
const MAX_BLOCKS: usize = 1 << 20;
/// Useless bytes that are always tolerated.
const SLACK: u64 = 1 << 20;

/// A block by the first 8 bytes of its digest. Two that share them only make the machine less exact.
type Name = u64;

fn name(cid: &Cid) -> Name {
    let mut first = [0; 8];
    first.copy_from_slice(cid.digest().first_chunk::<8>().unwrap_or(&[0; 8]));
    u64::from_le_bytes(first)
}

/// What a block leads to: whether each is a node, and its name.
type Links = Vec<(bool, Name)>;

/// A block that arrived before anything led to it.
struct Early {
    bytes: u64,
    /// `None`: not a node.
    links: Option<Links>,
}

/// The machine. Feed it the root, then every block in the order of arrival.
#[derive(Default)]
pub(crate) struct Reach {
    root: Option<Name>,
    /// Led to and not here yet; whether it must be a node.
    wanted: HashMap<Name, bool>,
    early: HashMap<Name, Early>,
    reached: HashSet<Name>,
    reached_bytes: u64,
    early_bytes: u64,
    /// Blocks that came a second time, or that nothing can lead to.
    spare_bytes: u64,
    commit_seen: bool,
    /// The repo is too large or too odd to be followed.
    lost: bool,
}

impl Reach {
    /// Names the root of the file.
    pub(crate) fn root(&mut self, cid: &Cid) {
        self.root = Some(name(cid));
    }

    /// Takes note of a block; the bytes that are of no use when those have become too many.
    pub(crate) fn block(&mut self, cid: Option<&Cid>, bytes: &[u8]) -> Result<(), u64> {
        if self.lost {
            return Ok(());
        }
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match cid.map(name) {
            None => self.spare_bytes = self.spare_bytes.saturating_add(size),
            Some(name) if Some(name) == self.root && !self.commit_seen => {
                self.commit_seen = true;
                self.reached.insert(name);
                self.reached_bytes = self.reached_bytes.saturating_add(size);
                match Commit::decode(bytes) {
                    Ok(commit) => self.follow(vec![(true, name_of_tree(&commit))]),
                    Err(_) => self.lost = true,
                }
            }
            Some(name) => match self.wanted.remove(&name) {
                Some(node) => self.reach(name, node, size, links(bytes)),
                None if self.reached.contains(&name) || self.early.contains_key(&name) => {
                    self.spare_bytes = self.spare_bytes.saturating_add(size);
                }
                None => {
                    self.early_bytes = self.early_bytes.saturating_add(size);
                    self.early.insert(name, Early { bytes: size, links: links(bytes) });
                }
            },
        }
        self.verdict()
    }

    fn reach(&mut self, name: Name, node: bool, size: u64, links: Option<Links>) {
        self.reached.insert(name);
        self.reached_bytes = self.reached_bytes.saturating_add(size);
        match (node, links) {
            (true, Some(links)) => self.follow(links),
            // A tree that is not understood here may lead to anything.
            (true, None) => self.lost = true,
            (false, _) => {}
        }
    }

    /// Follows links, through blocks that arrived early too.
    fn follow(&mut self, links: Links) {
        let mut open = links;
        while let Some((node, name)) = open.pop() {
            if self.reached.contains(&name) {
                continue;
            }
            let Some(early) = self.early.remove(&name) else {
                self.wanted.insert(name, node);
                continue;
            };
            self.early_bytes = self.early_bytes.saturating_sub(early.bytes);
            self.reached.insert(name);
            self.reached_bytes = self.reached_bytes.saturating_add(early.bytes);
            match (node, early.links) {
                (true, Some(links)) => open.extend(links),
                (true, None) => self.lost = true,
                (false, _) => {}
            }
        }
    }

    fn verdict(&mut self) -> Result<(), u64> {
        let blocks = self.reached.len().saturating_add(self.early.len()).saturating_add(self.wanted.len());
        if blocks > MAX_BLOCKS || self.lost {
            *self = Self { lost: true, ..Self::default() };
            return Ok(());
        }
        let complete = self.commit_seen && self.wanted.is_empty();
        let useless = self.early_bytes.saturating_add(self.spare_bytes);
        let tolerated = SLACK.saturating_add(self.reached_bytes.saturating_div(10));
        if complete && useless > tolerated { Err(useless) } else { Ok(()) }
    }
}

fn name_of_tree(commit: &Commit) -> Name {
    name(&commit.data)
}

/// The links of a block, when it is a tree node.
fn links(bytes: &[u8]) -> Option<Links> {
    /// How every node begins: a map of two entries, the first of which is `e`.
    const NODE: [u8; 3] = [0xa2, 0x61, b'e'];
    if !bytes.starts_with(&NODE) {
        return None;
    }
    let node = NodeView::parse_any(bytes).ok()?;
    let mut links: Links = node.left().map(|left| (true, name(&left))).into_iter().collect();
    for entry in node.entries() {
        links.push((false, name(&entry.value)));
        links.extend(entry.right.map(|right| (true, name(&right))));
    }
    Some(links)
}

#[cfg(test)]
mod tests {
    use p2pds_crypto::{Curve, PrivateKey};
    use p2pds_repo::commit::Unsigned;
    use p2pds_repo::mst::Builder;
    use p2pds_syntax::Tid;

    use super::*;

    /// Commit, nodes and records of a repo.
    fn repo(records: u32) -> Vec<(Cid, Vec<u8>)> {
        let mut nodes = Vec::new();
        let mut builder = Builder::new(|cid: &Cid, bytes: &[u8]| nodes.push((*cid, bytes.to_vec())));
        let mut bodies = Vec::new();
        for n in 0..records {
            let body = n.to_le_bytes().repeat(100);
            builder.push(format!("a.b.c/{n:06}").as_bytes(), &Cid::of_cbor(&body)).unwrap();
            bodies.push((Cid::of_cbor(&body), body));
        }
        let data = builder.finish();
        let did = "did:plc:z72i7hdynmk6r22z27h6tvur".parse().unwrap();
        let rev = Tid::from_micros(1_700_000_000_000_000, 1);
        let key = PrivateKey::from_entropy(Curve::K256, [1; 32]);
        let commit = Unsigned { did, rev, data }.sign(&key).unwrap();
        let mut all = vec![(commit.cid(), commit.encode())];
        all.extend(nodes);
        all.extend(bodies);
        all
    }

    fn noise(n: u64) -> (Cid, Vec<u8>) {
        let bytes = n.to_le_bytes().repeat(8_192);
        (Cid::of_cbor(&bytes), bytes)
    }

    fn feed(blocks: impl IntoIterator<Item = (Cid, Vec<u8>)>, root: &Cid) -> (usize, Option<u64>) {
        let mut reach = Reach::default();
        reach.root(root);
        for (at, (cid, bytes)) in blocks.into_iter().enumerate() {
            if let Err(useless) = reach.block(Some(&cid), &bytes) {
                return (at, Some(useless));
            }
        }
        assert!(!reach.lost && reach.wanted.is_empty() && reach.early.is_empty());
        (usize::MAX, None)
    }

    #[test]
    fn a_repo_in_any_order_is_fine() {
        let blocks = repo(3_000);
        let root = blocks[0].0;
        assert_eq!(feed(blocks.clone(), &root).1, None);
        assert_eq!(feed(blocks.into_iter().rev(), &root).1, None);
    }

    #[test]
    fn noise_after_or_before_the_repo_is_given_up_in_time() {
        let blocks = repo(300);
        let (root, count) = (blocks[0].0, blocks.len());
        let (at, useless) = feed(blocks.iter().cloned().chain((0..).map(noise)), &root);
        assert!(useless.unwrap() < 2 << 20 && at < count + 40);
        let before = (0..40).map(noise).chain(blocks.iter().cloned());
        assert!(feed(before, &root).1.is_some());
        let again = std::iter::repeat_n(blocks, 20).flatten();
        assert!(feed(again, &root).1.is_some(), "the same blocks over and over");
    }
}
