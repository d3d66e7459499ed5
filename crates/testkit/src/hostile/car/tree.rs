//! Trees that are not the one tree of their records. Every hash is right.

use std::iter::repeat_n;

use p2pds_ipld::Cid;

use super::build::{Entry, To, Tree, cbor_cid, commit, keys, mixed, put_link, repo, usual_keys, with_commit};
use super::{CarCase, case};
use crate::hostile::cbor::head;

pub(super) fn add(cases: &mut Vec<CarCase>) {
    order(cases);
    prefixes(cases);
    layers(cases);
    subtrees(cases);
    links(cases);
    names(cases);
    shapes(cases);
    sizes(cases);
}

/// The usual tree with a change.
fn changed(cases: &mut Vec<CarCase>, name: &str, refusal: &'static str, change: impl FnOnce(&mut Tree)) {
    let mut tree = Tree::over(&usual_keys());
    change(&mut tree);
    case(cases, &format!("tree: {name}"), repo(tree.blocks()), refusal);
}

/// A node of so many keys on layer 0 with a change.
fn leaf(cases: &mut Vec<CarCase>, name: &str, refusal: &'static str, change: impl FnOnce(&mut Tree)) {
    let mut tree = Tree::over(&keys(0, 5));
    change(&mut tree);
    case(cases, &format!("tree: {name}"), repo(tree.blocks()), refusal);
}

/// Some subtree of the tree, on the layer below the root.
fn child(tree: &mut Tree) -> &mut Tree {
    let right = tree.entries.iter_mut().map(|entry| &mut entry.right);
    let links = std::iter::once(&mut tree.left).chain(right);
    links.filter_map(|to| if let To::Tree(tree) = to { Some(&mut **tree) } else { None }).next().unwrap()
}

fn order(cases: &mut Vec<CarCase>) {
    leaf(cases, "keys out of order", "does not come after", |tree| tree.entries.swap(1, 2));
    leaf(cases, "the first key last", "does not come after", |tree| tree.entries.rotate_left(1));
    leaf(cases, "a key twice", "does not come after", |tree| tree.entries.insert(1, tree.entries[0].clone()));
    leaf(cases, "a key twice, the second time whole", "compressed less", |tree| {
        tree.entries.insert(1, Entry { prefix: Some(0), ..tree.entries[0].clone() });
    });
    let keys = mixed(&[40, 2]);
    // The keys of one gap in the other one.
    let mut tree = Tree::over(&keys);
    let right = std::mem::replace(&mut tree.entries[0].right, To::Null);
    let left = std::mem::replace(&mut tree.left, right);
    tree.entries[0].right = left;
    case(cases, "tree: two subtrees changed places", repo(tree.blocks()), "does not come after");
    let mut tree = Tree::over(&keys);
    tree.left = std::mem::replace(&mut tree.entries[1].right, To::Null);
    case(cases, "tree: the last subtree first", repo(tree.blocks()), "does not come after");
}

fn prefixes(cases: &mut Vec<CarCase>) {
    leaf(cases, "no prefix compression", "compressed less", |tree| {
        tree.entries.iter_mut().for_each(|entry| entry.prefix = Some(0));
    });
    leaf(cases, "prefix shorter by one", "compressed less", |tree| tree.entries[3].prefix = Some(11));
    leaf(cases, "prefix longer than the key before", "shares more", |tree| {
        tree.entries[1].key = [tree.entries[1].key.clone(), vec![b'x'; 40]].concat();
        tree.entries[1].prefix = Some(20);
    });
    leaf(cases, "prefix of 2^32 - 1", "shares more", |tree| tree.entries[1].prefix = Some(u32::MAX as usize));
    leaf(cases, "first entry with a prefix", "shares more", |tree| tree.entries[0].prefix = Some(1));
    leaf(cases, "prefix that leaves nothing", "does not come after", |tree| {
        tree.entries[1].prefix = Some(13)
    });
}

fn layers(cases: &mut Vec<CarCase>) {
    let high = keys(1, 1).remove(0);
    leaf(cases, "a key of layer 1 on layer 0", "belongs to layer", |tree| {
        tree.entries.push(Entry { key: high.clone(), prefix: None, value: None, right: To::Null });
        tree.entries.sort_by(|a, b| a.key.cmp(&b.key));
    });
    let low = keys(0, 2);
    changed(cases, "a key of layer 0 in the root", "belongs to layer", |tree| {
        tree.left = To::Null;
        tree.entries.insert(0, Entry { key: low[0].clone(), prefix: None, value: None, right: To::Null });
    });
    changed(cases, "all keys in the root", "belongs to layer", |tree| {
        let entries = usual_keys().into_iter();
        let entries = entries.map(|key| Entry { key, prefix: None, value: None, right: To::Null });
        *tree = Tree { left: To::Null, entries: entries.collect() };
    });
    let top = Tree::empty_over(To::Tree(Box::new(Tree::over(&usual_keys()))));
    case(cases, "tree: an empty node above the root", repo(top.blocks()), "trimmed");
    changed(cases, "a layer left out", "belongs to layer", |tree| {
        // The usual root stands on layer 2; the subtree comes from layer 0.
        tree.left = To::Null;
        tree.entries.iter_mut().for_each(|entry| entry.right = To::Null);
        let first = tree.entries[0].key.clone();
        let low: Vec<_> = keys(0, 12).into_iter().filter(|key| *key < first).collect();
        tree.left = To::Tree(Box::new(Tree::at(&low, 0)));
    });
    changed(cases, "a layer too many", "layer", |tree| {
        let below = child(tree).clone();
        *child(tree) = Tree::empty_over(To::Tree(Box::new(below)));
    });
    leaf(cases, "a subtree below layer 0", "layer 0", |tree| {
        let more = keys(0, 9).split_off(6);
        tree.entries[4].right = To::Tree(Box::new(Tree::over(&more)));
    });
    leaf(cases, "a left subtree below layer 0", "layer 0", |tree| {
        tree.left = To::Cid(Cid::of_cbor(b"below").to_bytes().to_vec());
    });
    changed(cases, "an empty node at the bottom", "empty node", |tree| {
        let first = child(tree);
        first.left = To::Null;
        first.entries.clear();
    });
    // Chains of nodes without keys, each of which is a valid block.
    for (levels, refusal) in [(1, "trimmed"), (40, "trimmed"), (20_000, "trimmed")] {
        let mut blocks = Tree::over(&keys(0, 3)).blocks();
        blocks[0].1.shrink_to_fit();
        for _ in 0..levels {
            let mut node = vec![0xa2, 0x61, b'e', 0x80, 0x61, b'l'];
            put_link(&mut node, Some(&blocks[0].0));
            blocks.insert(0, (cbor_cid(&node), node));
        }
        case(cases, &format!("tree: a chain of {levels} empty nodes"), repo(blocks), refusal);
    }
    let mut blocks = Tree::over(&keys(0, 3)).blocks();
    for _ in 0..20_000 {
        let mut node = vec![0xa2, 0x61, b'e', 0x80, 0x61, b'l'];
        put_link(&mut node, Some(&blocks[0].0));
        blocks.insert(0, (cbor_cid(&node), node));
    }
    let below = blocks[0].0.clone();
    let key = keys(3, 1).remove(0);
    let top = Tree {
        left: To::Cid(below),
        entries: vec![Entry { key, prefix: None, value: None, right: To::Null }],
    };
    let mut all = top.blocks();
    let record = all.split_off(1);
    all.extend(blocks);
    all.extend(record);
    case(cases, "tree: a key above a chain of 20,000 empty nodes", repo(all), "layer 0");
}

fn subtrees(cases: &mut Vec<CarCase>) {
    // Every node links the one below twice: 2^n records from n nodes, if somebody walks it.
    let mut below = Tree::over(&keys(0, 2));
    for on in 1..=5 {
        let key = keys(on, 1).remove(0);
        let twice = To::Tree(Box::new(below));
        below = Tree {
            left: twice.clone(),
            entries: vec![Entry { key, prefix: None, value: None, right: twice }],
        };
    }
    case(cases, "tree: every subtree linked twice", repo(below.blocks()), "does not come after");
    let mut blocks = below.blocks();
    let mut seen = std::collections::BTreeSet::new();
    blocks.retain(|(cid, _)| seen.insert(cid.clone()));
    case(cases, "tree: every subtree linked twice, stored once", repo(blocks), "does not come after");
    changed(cases, "a subtree that is not there", "is missing", |tree| {
        tree.left = To::Cid(Cid::of_cbor(b"nowhere").to_bytes().to_vec());
    });
    changed(cases, "the subtree of another repository", "layer", |tree| {
        *child(tree) = Tree::over(&keys(3, 2));
    });
}

fn links(cases: &mut Vec<CarCase>) {
    let v0 = [&[0x12, 0x20][..], &[7; 32]].concat();
    let raw = Cid::of_raw(b"a").to_bytes().to_vec();
    let identity = vec![1, 0x55, 0, 3, 1, 2, 3];
    let sha512 = [&[1, 0x71, 0x13, 0x20][..], &[7; 32]].concat();
    let long = [&[1, 0x71, 0x12, 0x78][..], &[7; 120]].concat();
    for (name, cid) in
        [("CIDv0", &v0), ("raw", &raw), ("identity", &identity), ("SHA-512", &sha512), ("124 bytes", &long)]
    {
        leaf(cases, &format!("a record linked by {name}"), "cannot be reproduced", |tree| {
            tree.entries[0].value = Some(cid.clone());
        });
        changed(cases, &format!("a left subtree linked by {name}"), "is not valid", |tree| {
            tree.left = To::Cid(cid.clone())
        });
        changed(cases, &format!("a right subtree linked by {name}"), "is not valid", |tree| {
            tree.entries[0].right = To::Cid(cid.clone());
        });
    }
    // The subtree is there, under a CID that calls its bytes raw.
    let mut tree = Tree::over(&usual_keys());
    let below = child(&mut tree).blocks();
    let mut as_raw = below[0].clone();
    as_raw.0[1] = 0x55;
    *child(&mut tree) = Tree::empty_over(To::Null);
    tree.left = To::Cid(as_raw.0.clone());
    let mut blocks = tree.blocks();
    blocks.push(as_raw);
    blocks.extend(below);
    case(cases, "tree: a node that is there as raw", repo(blocks), "is not valid");
}

fn names(cases: &mut Vec<CarCase>) {
    let long = format!("a.b.c/{}", "x".repeat(1_019));
    for (name, key) in [
        ("without a slash", "a.b.c"),
        ("with two slashes", "a.b.c/1/2"),
        ("without a record key", "a.b.c/"),
        ("without a collection", "/1"),
        ("of nothing", ""),
        ("of a slash", "/"),
        ("with a space", "a.b.c/1 2"),
        ("with a zero byte", "a.b.c/1\0"),
        ("with a line end", "a.b.c/1\n"),
        ("beyond ASCII", "a.b.c/ä"),
        ("with a percent sign", "a.b.c/%31"),
        ("of 1,025 bytes", &long),
    ] {
        let entries = vec![Entry { key: key.into(), prefix: None, value: None, right: To::Null }];
        let tree = Tree { left: To::Null, entries };
        case(cases, &format!("tree: a key {name}"), repo(tree.blocks()), "not a valid record path");
    }
    let tree = Tree {
        left: To::Null,
        entries: vec![Entry { key: b"a.b.c/\xff\xfe".to_vec(), prefix: None, value: None, right: To::Null }],
    };
    case(cases, "tree: a key that is not UTF-8", repo(tree.blocks()), "not a valid record path");
}

/// Nodes that are not `{"e": [{"k", "p", "t", "v"}], "l"}` to the byte.
fn shapes(cases: &mut Vec<CarCase>) {
    let mut value = Vec::new();
    put_link(&mut value, Some(&Cid::of_cbor(b"\xa0").to_bytes()));
    let link = value.as_slice();
    let key = keys(0, 1).remove(0);
    let text: Vec<u8> = [&[0x40 | key.len() as u8][..], &key].concat();
    let k = text.as_slice();
    let entry = |fields: &[(u8, &[u8])]| -> Vec<u8> {
        let mut out = vec![0xa0 | fields.len() as u8];
        for (name, value) in fields {
            out.extend([0x61, *name]);
            out.extend(*value);
        }
        out
    };
    let good = entry(&[(b'k', k), (b'p', &[0]), (b't', &[0xf6]), (b'v', link)]);
    let list = |entries: &[&[u8]]| -> Vec<u8> {
        let mut out = Vec::new();
        head(&mut out, 4, entries.len());
        entries.iter().for_each(|entry| out.extend(*entry));
        out
    };
    let one = list(&[&good]);
    let e = one.as_slice();
    let null: &[u8] = &[0xf6];
    let as_text = [&[0x60 | key.len() as u8][..], &key].concat();
    let long_key = [&[0x58, key.len() as u8][..], &key].concat();
    let bare = &link[2..];
    let entries: [(&str, Vec<u8>); 14] = [
        ("an entry without k", entry(&[(b'p', &[0]), (b't', null), (b'v', link)])),
        ("an entry without p", entry(&[(b'k', k), (b't', null), (b'v', link)])),
        ("an entry without t", entry(&[(b'k', k), (b'p', &[0]), (b'v', link)])),
        ("an entry without v", entry(&[(b'k', k), (b'p', &[0]), (b't', null)])),
        (
            "an entry with another field",
            entry(&[(b'k', k), (b'p', &[0]), (b't', null), (b'v', link), (b'z', null)]),
        ),
        ("an entry in another order", entry(&[(b'p', &[0]), (b'k', k), (b't', null), (b'v', link)])),
        ("k as text", entry(&[(b'k', &as_text), (b'p', &[0]), (b't', null), (b'v', link)])),
        ("k with a long length", entry(&[(b'k', &long_key), (b'p', &[0]), (b't', null), (b'v', link)])),
        ("p in two bytes", entry(&[(b'k', k), (b'p', &[0x18, 0]), (b't', null), (b'v', link)])),
        ("p negative", entry(&[(b'k', k), (b'p', &[0x20]), (b't', null), (b'v', link)])),
        ("p as a float", entry(&[(b'k', k), (b'p', &[0xf9, 0, 0]), (b't', null), (b'v', link)])),
        ("v of null", entry(&[(b'k', k), (b'p', &[0]), (b't', null), (b'v', null)])),
        ("v without its tag", entry(&[(b'k', k), (b'p', &[0]), (b't', null), (b'v', bare)])),
        ("t of false", entry(&[(b'k', k), (b'p', &[0]), (b't', &[0xf4]), (b'v', link)])),
    ];
    let mut add = |name: &str, node: Vec<u8>| {
        let blocks = vec![(cbor_cid(&node), node), (Cid::of_cbor(b"\xa0").to_bytes().to_vec(), vec![0xa0])];
        case(cases, &format!("node: {name}"), repo(blocks), "is not valid");
    };
    for (name, bytes) in &entries {
        add(name, entry(&[(b'e', &list(&[bytes])), (b'l', null)]));
    }
    add("without l", entry(&[(b'e', e)]));
    add("without e", entry(&[(b'l', null)]));
    add("l before e", entry(&[(b'l', null), (b'e', e)]));
    add("another field", entry(&[(b'e', e), (b'l', null), (b'm', null)]));
    add("e twice", entry(&[(b'e', e), (b'e', e)]));
    add("e of null", entry(&[(b'e', null), (b'l', null)]));
    add("e as a map", entry(&[(b'e', &[0xa0]), (b'l', null)]));
    add("e of indefinite length", entry(&[(b'e', &[&[0x9f], &e[1..], &[0xff]].concat()), (b'l', null)]));
    add("e with a long length", entry(&[(b'e', &[&[0x98, 1], &e[1..]].concat()), (b'l', null)]));
    add("e that claims 100 entries", entry(&[(b'e', &[&[0x98, 100], &e[1..]].concat()), (b'l', null)]));
    add("e that claims 2^32 - 1 entries", entry(&[(b'e', &[0x9a, 0xff, 0xff, 0xff, 0xff]), (b'l', null)]));
    add(
        "e that claims 2^64 - 1 entries",
        entry(&[(b'e', &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255]), (b'l', null)]),
    );
    add("l of false", entry(&[(b'e', e), (b'l', &[0xf4])]));
    add("l without its tag", entry(&[(b'e', e), (b'l', bare)]));
    add("a byte behind it", [entry(&[(b'e', e), (b'l', null)]), vec![0]].concat());
    add("a list", vec![0x82, 0x80, 0xf6]);
    add("null", vec![0xf6]);
    add("no bytes", Vec::new());
    add("cut off", entry(&[(b'e', e), (b'l', null)])[..40].to_vec());
}

fn sizes(cases: &mut Vec<CarCase>) {
    let mut many = Tree::over(&keys(0, 8_193));
    let value = Cid::of_cbor(b"\xa0").to_bytes().to_vec();
    many.entries.iter_mut().for_each(|entry| entry.value = Some(value.clone()));
    let mut blocks = many.blocks();
    blocks.push((value.clone(), vec![0xa0]));
    case(cases, "tree: 8,193 entries in one node", repo(blocks), "8193 entries");
    let mut node = vec![0xa2, 0x61, b'e'];
    head(&mut node, 4, 8_192);
    node.extend(repeat_n(0x80, 8_192));
    node.extend([0x61, b'l', 0xf6]);
    case(
        cases,
        "tree: 8,192 entries of nothing",
        with_commit(commit(Some(&cbor_cid(&node))), vec![(cbor_cid(&node), node)]),
        "is not valid",
    );
    // Long keys in few bytes: what a reader keeps of them must not be longer than the node.
    let stem = format!("a.b.c/{}", "y".repeat(1_000));
    let all = (0..).map(|i| format!("{stem}{i:06}").into_bytes()).filter(|key| super::build::layer(key) == 0);
    let mut long = Tree::over(&all.take(3_000).collect::<Vec<_>>());
    long.entries.iter_mut().for_each(|entry| entry.value = Some(value.clone()));
    let last = long.entries.len() - 1;
    long.entries.swap(last, last - 1);
    let mut blocks = long.blocks();
    blocks.push((value, vec![0xa0]));
    case(
        cases,
        "tree: 3,000 keys of 1,012 bytes, the last two out of order",
        repo(blocks),
        "does not come after",
    );
}
