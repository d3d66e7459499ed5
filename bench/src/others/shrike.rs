//! shrike 0.8: slice reader and detached tree with a few lines between them (faster than its own `load_car`).

use std::collections::HashMap;

use shrike::car::SliceReader;
use shrike::cbor::Cid;
use shrike::mst::{BlockSource, DetachedTree};

pub fn cid(cid: &p2pds_ipld::Cid) -> Cid {
    Cid::from_bytes(&cid.to_bytes()).expect("a CID")
}

fn blocks(car: &[u8]) -> (Cid, HashMap<Cid, &[u8]>) {
    let reader = SliceReader::new(car).expect("a CAR");
    let root = reader.roots()[0];
    let mut blocks = HashMap::new();
    for block in reader {
        let block = block.expect("a block");
        assert!(Cid::compute(block.cid.codec(), block.data) == block.cid);
        blocks.insert(block.cid, block.data);
    }
    (root, blocks)
}

/// Hashes all blocks, walks the tree, looks up every record. Does not check layers.
pub fn verify(car: &[u8]) -> usize {
    let (root, blocks) = blocks(car);
    let commit = shrike::repo::Commit::from_cbor(blocks[&root]).expect("a commit");
    let mut records = 0;
    let mut tree = DetachedTree::load(commit.data);
    tree.walk(&blocks, |_, cid| {
        assert!(blocks.contains_key(&cid));
        records += 1;
        Ok(())
    })
    .expect("a tree");
    records
}

/// Its own reader of whole repositories, which copies them.
pub fn load(car: &[u8]) -> usize {
    let mut repo = shrike::repo::Repo::load_car(car).expect("a repository");
    let like = shrike::syntax::Nsid::try_from("app.bsky.feed.like").expect("an NSID");
    repo.list(&like).expect("a list").len()
}

pub fn build(records: &[(String, Cid)]) -> Cid {
    let mut tree = DetachedTree::new();
    let none = shrike::mst::NoBlocks;
    for (key, cid) in records {
        tree.insert(&none, key.clone(), *cid).expect("inserted");
    }
    tree.flush().expect("flushed").root
}

pub type Store = HashMap<Cid, Vec<u8>>;

pub fn store(nodes: &HashMap<p2pds_ipld::Cid, Vec<u8>>) -> Store {
    nodes.iter().map(|(key, bytes)| (cid(key), bytes.clone())).collect()
}

pub fn insert(store: &Store, root: Cid, key: &str, value: Cid) -> Cid {
    let mut tree = DetachedTree::load(root);
    tree.insert(store, key.to_owned(), value).expect("inserted");
    tree.flush().expect("flushed").root
}

/// Undoes operations (key, record before) on the blocks of an event.
pub fn invert(car: &[u8], ops: &[(String, Option<Cid>)]) -> Cid {
    let (root, blocks) = blocks(car);
    let commit = shrike::repo::Commit::from_cbor(blocks[&root]).expect("a commit");
    let mut tree = DetachedTree::load(commit.data);
    let source: &dyn BlockSource = &blocks;
    for (key, before) in ops {
        match before {
            None => drop(tree.remove(source, key).expect("removed")),
            Some(cid) => drop(tree.insert(source, key.clone(), *cid).expect("inserted")),
        }
    }
    tree.flush().expect("flushed").root
}
