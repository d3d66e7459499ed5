//! The tree under random inserts, updates and deletes: its root is that of a tree built from scratch.
#![no_main]

use std::collections::{BTreeMap, HashMap};

use libfuzzer_sys::fuzz_target;
use p2pds_ipld::Cid;
use p2pds_repo::mst::{Tree, root_of};

fuzz_target!(|ops: Vec<(bool, u16, u8)>| {
    let mut model = BTreeMap::<Vec<u8>, Cid>::new();
    let mut blocks = HashMap::<Cid, Vec<u8>>::new();
    let mut tree = Tree::empty();
    for (number, (delete, key, value)) in ops.into_iter().take(400).enumerate() {
        let key = format!("a.b.c/{key}").into_bytes();
        let value = Cid::of_cbor(&[value]);
        let known = model.contains_key(&key);
        if delete {
            assert_eq!(tree.delete(&mut blocks, &key).is_ok(), known);
            model.remove(&key);
        } else if known {
            assert!(tree.update(&mut blocks, &key, value).is_ok());
            model.insert(key, value);
        } else {
            assert!(tree.insert(&mut blocks, &key, value).is_ok());
            model.insert(key, value);
        }
        if number % 7 == 0 {
            let mut new = Vec::new();
            let root = tree.flush(|cid, bytes| new.push((*cid, bytes.to_vec())), |_| {});
            blocks.extend(new);
            let expected = root_of(model.iter().map(|(key, cid)| (key.as_slice(), *cid)));
            assert_eq!(Some(root), expected.ok());
        }
    }
});
