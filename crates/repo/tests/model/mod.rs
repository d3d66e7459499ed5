//! The naive tree: rebuilt from scratch by recursion, encoded by a few lines of its own. What the engine must equal.
#![allow(dead_code)]

use std::collections::BTreeMap;

use p2pds_ipld::Cid;
use p2pds_repo::mst::height;

pub type Records = BTreeMap<Vec<u8>, Cid>;
pub type NodeMap = BTreeMap<Cid, Vec<u8>>;

/// Root and all nodes of a tree over `records`.
pub fn tree(records: &Records) -> (Cid, NodeMap) {
    let mut nodes = NodeMap::new();
    let list: Vec<(&[u8], Cid)> = records.iter().map(|(k, v)| (k.as_slice(), *v)).collect();
    let top = list.iter().map(|(k, _)| height(k)).max().unwrap_or(0);
    let root = node(&list, i32::from(top), &mut nodes).unwrap_or_else(|| {
        let bytes = encode(None, &[]);
        let cid = Cid::of_cbor(&bytes);
        nodes.insert(cid, bytes);
        cid
    });
    (root, nodes)
}

fn node(list: &[(&[u8], Cid)], layer: i32, nodes: &mut NodeMap) -> Option<Cid> {
    if list.is_empty() {
        return None;
    }
    let mut gaps: Vec<Vec<(&[u8], Cid)>> = vec![vec![]];
    let mut here = vec![];
    for (key, cid) in list {
        if i32::from(height(key)) == layer {
            here.push((*key, *cid));
            gaps.push(vec![]);
        } else {
            gaps.last_mut().unwrap().push((*key, *cid));
        }
    }
    let links: Vec<Option<Cid>> = gaps.iter().map(|gap| node(gap, layer - 1, nodes)).collect();
    let entries: Vec<_> =
        here.iter().zip(&links[1..]).map(|((key, cid), right)| (*key, *cid, *right)).collect();
    let bytes = encode(links[0], &entries);
    let cid = Cid::of_cbor(&bytes);
    nodes.insert(cid, bytes);
    Some(cid)
}

fn encode(left: Option<Cid>, entries: &[(&[u8], Cid, Option<Cid>)]) -> Vec<u8> {
    let mut out = vec![0xa2, 0x61, b'e'];
    number(&mut out, 4, entries.len());
    let mut previous: &[u8] = b"";
    for (key, value, right) in entries {
        let shared = previous.iter().zip(*key).take_while(|(a, b)| a == b).count();
        out.extend([0xa4, 0x61, b'k']);
        number(&mut out, 2, key.len() - shared);
        out.extend(&key[shared..]);
        out.extend([0x61, b'p']);
        number(&mut out, 0, shared);
        out.extend([0x61, b't']);
        link(&mut out, *right);
        out.extend([0x61, b'v']);
        link(&mut out, Some(*value));
        previous = key;
    }
    out.extend([0x61, b'l']);
    link(&mut out, left);
    out
}

fn number(out: &mut Vec<u8>, major: u8, value: usize) {
    match value {
        0..=23 => out.push(major << 5 | value as u8),
        24..=255 => out.extend([major << 5 | 24, value as u8]),
        _ => {
            out.push(major << 5 | 25);
            out.extend(u16::try_from(value).unwrap().to_be_bytes());
        }
    }
}

fn link(out: &mut Vec<u8>, cid: Option<Cid>) {
    match cid {
        None => out.push(0xf6),
        Some(cid) => {
            out.extend([0xd8, 0x2a, 0x58, 37, 0]);
            out.extend(cid.to_bytes());
        }
    }
}

/// A small, seeded generator (xorshift), so that failures repeat.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n.max(1)
    }
}

/// Keys of each layer 0..=6, `per` of each, found by trying. Sorted by layer.
pub fn mined(per: usize, seed: u64) -> Vec<Vec<Vec<u8>>> {
    let mut random = Random(seed | 1);
    let mut layers: Vec<Vec<Vec<u8>>> = vec![vec![]; 7];
    while layers.iter().any(|l| l.len() < per) {
        let key = format!("com.example.{}/{:012x}", ["a", "b", "c"][random.below(3)], random.next() >> 16);
        let layer = usize::from(height(key.as_bytes()));
        if layer < 7 && layers[layer].len() < per {
            layers[layer].push(key.into_bytes());
        }
    }
    layers
}

pub fn cid(n: u64) -> Cid {
    Cid::of_cbor(&n.to_be_bytes())
}
