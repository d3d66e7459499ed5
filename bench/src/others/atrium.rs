//! atrium-repo 0.2: hashes blocks and walks; checks neither order nor layer.

use std::collections::HashMap;
use std::io::Cursor;

use atrium_repo::blockstore::{AsyncBlockStoreRead, AsyncBlockStoreWrite, CarStore, Error, MemoryBlockStore};
use atrium_repo::mst::Tree;
use futures::StreamExt;
use ipld_core::cid::Cid;
use tokio::runtime::Runtime;

pub fn cid(cid: &p2pds_ipld::Cid) -> Cid {
    Cid::try_from(cid.to_bytes().as_slice()).expect("a CID")
}

/// Opens the CAR (which hashes), walks the tree, reads no records.
pub fn verify(runtime: &Runtime, car: &[u8]) -> usize {
    runtime.block_on(async {
        let mut store = CarStore::open(Cursor::new(car)).await.expect("a CAR");
        let root = store.roots().next().expect("a root");
        let mut repo = atrium_repo::Repository::open(&mut store, root).await.expect("a repository");
        let mut tree = repo.tree();
        let mut entries = std::pin::pin!(tree.entries());
        let mut records = 0;
        while let Some(entry) = entries.next().await {
            entry.expect("an entry");
            records += 1;
        }
        records
    })
}

pub fn build(runtime: &Runtime, records: &[(String, Cid)]) -> Cid {
    runtime.block_on(async {
        let mut tree = Tree::create(MemoryBlockStore::new()).await.expect("a tree");
        for (key, cid) in records {
            tree.add(key, *cid).await.expect("added");
        }
        tree.root()
    })
}

/// A map in memory with new blocks beside it; the same map as the others get.
pub struct Store<'m> {
    base: &'m HashMap<Cid, Vec<u8>>,
    new: HashMap<Cid, Vec<u8>>,
}

impl AsyncBlockStoreRead for Store<'_> {
    async fn read_block_into(&mut self, cid: Cid, contents: &mut Vec<u8>) -> Result<(), Error> {
        contents.clear();
        let found = self.new.get(&cid).or_else(|| self.base.get(&cid)).ok_or(Error::CidNotFound)?;
        contents.extend_from_slice(found);
        Ok(())
    }
}

impl AsyncBlockStoreWrite for Store<'_> {
    async fn write_block(&mut self, _: u64, _: u64, contents: &[u8]) -> Result<Cid, Error> {
        let cid = cid(&p2pds_ipld::Cid::of_cbor(contents));
        self.new.insert(cid, contents.to_vec());
        Ok(cid)
    }
}

pub fn insert(runtime: &Runtime, base: &HashMap<Cid, Vec<u8>>, root: Cid, key: &str, value: Cid) -> Cid {
    runtime.block_on(async {
        let mut tree = Tree::open(Store { base, new: HashMap::new() }, root);
        tree.add(key, value).await.expect("added");
        tree.root()
    })
}

/// Undoes operations (key, record before, whether it is there now) on the blocks of an event.
pub fn invert(runtime: &Runtime, car: &[u8], ops: &[(String, Option<Cid>, bool)]) -> Option<Cid> {
    runtime.block_on(async {
        let mut store = CarStore::open(Cursor::new(car.to_vec())).await.expect("a CAR");
        let root = store.roots().next().expect("a root");
        let data = {
            let repo = atrium_repo::Repository::open(&mut store, root).await.expect("a repository");
            repo.commit().data()
        };
        let mut tree = Tree::open(&mut store, data);
        for (key, before, there) in ops {
            match (before, there) {
                (None, _) => tree.delete(key).await.ok()?,
                (Some(cid), true) => tree.update(key, *cid).await.ok()?,
                (Some(cid), false) => tree.add(key, *cid).await.ok()?,
            }
        }
        Some(tree.root())
    })
}
