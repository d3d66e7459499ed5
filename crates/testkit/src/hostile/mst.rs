//! Trees with exactly one rule broken each.
//!
//! All blocks have their true hash and the commit over them is signed, unless the hash is what is wrong: whoever
//! trusts a signature alone believes every one of them. [`unbroken`] is the same repository without a fault.

mod grammar;
mod shape;

use std::collections::HashMap;

use p2pds_ipld::{Cid, car, cbor};
use p2pds_repo::commit::Unsigned;
use p2pds_repo::mst::height;
use p2pds_syntax::Tid;

use crate::synthetic::account;

/// A repository that must not be believed.
#[derive(Debug, Clone)]
pub struct MstCase {
    /// Which rule is broken, and how.
    pub name: String,
    /// Root of the tree.
    pub root: Cid,
    /// The tree's nodes, root first.
    pub nodes: Vec<(Cid, Vec<u8>)>,
    /// A part of what the refusal has to say.
    pub refusal: &'static str,
    /// A whole CAR in streamable order: commit, nodes, records.
    pub car: Vec<u8>,
}

/// All cases.
#[must_use]
pub fn mst_cases() -> Vec<MstCase> {
    let mut cases = Vec::new();
    grammar::add(&mut cases);
    shape::add(&mut cases);
    cases
}

/// A sound repository of the same making, to show that the making is not what is refused.
#[must_use]
pub fn unbroken() -> MstCase {
    let mut nodes = Vec::new();
    let root = tower(&Keys::new()).store(&mut nodes);
    finish("unbroken", root, nodes, "")
}

/// A node that may be anything.
#[derive(Debug, Clone, Default)]
struct Node {
    left: Option<Box<Node>>,
    entries: Vec<(Vec<u8>, Option<Node>)>,
    /// Instead of maximal prefixes: the prefix of each entry.
    prefixes: Option<Vec<usize>>,
}

impl Node {
    fn of(keys: &[&[u8]]) -> Self {
        Self { entries: keys.iter().map(|key| (key.to_vec(), None)).collect(), ..Self::default() }
    }

    fn left(mut self, node: Node) -> Self {
        self.left = Some(Box::new(node));
        self
    }

    fn right(mut self, at: usize, node: Node) -> Self {
        self.entries[at].1 = Some(node);
        self
    }

    fn prefixes(mut self, prefixes: &[usize]) -> Self {
        self.prefixes = Some(prefixes.to_vec());
        self
    }

    /// An empty node above this one.
    fn under(self) -> Self {
        Self { left: Some(Box::new(self)), ..Self::default() }
    }

    /// Puts the node and all below it into `nodes`, parents first, and gives its CID.
    fn store(&self, nodes: &mut Vec<(Cid, Vec<u8>)>) -> Cid {
        let mut below = Vec::new();
        let left = self.left.as_ref().map(|node| node.store(&mut below));
        let mut out = vec![0xa2, 0x61, b'e'];
        cbor::write_array(&mut out, self.entries.len());
        let mut before: &[u8] = b"";
        for (at, (key, right)) in self.entries.iter().enumerate() {
            let shared = before.iter().zip(key).take_while(|(a, b)| a == b).count();
            let prefix = self.prefixes.as_ref().map_or(shared, |prefixes| prefixes[at]);
            let right = right.as_ref().map(|node| node.store(&mut below));
            out.extend(entry(prefix, key.get(prefix..).unwrap_or(b"z"), right, &record(key).0));
            before = key;
        }
        out.extend([0x61, b'l']);
        link_or_null(&mut out, left);
        let cid = Cid::of_cbor(&out);
        nodes.push((cid, out));
        nodes.extend(below);
        cid
    }
}

fn entry(prefix: usize, suffix: &[u8], right: Option<Cid>, value: &Cid) -> Vec<u8> {
    let mut out = vec![0xa4, 0x61, b'k'];
    cbor::write_bytes(&mut out, suffix);
    out.extend([0x61, b'p']);
    cbor::write_uint(&mut out, prefix as u64);
    out.extend([0x61, b't']);
    link_or_null(&mut out, right);
    out.extend([0x61, b'v']);
    cbor::write_link(&mut out, value);
    out
}

fn link_or_null(out: &mut Vec<u8>, cid: Option<Cid>) {
    match cid {
        Some(cid) => cbor::write_link(out, &cid),
        None => cbor::write_null(out),
    }
}

/// The record that stands at a key.
fn record(key: &[u8]) -> (Cid, Vec<u8>) {
    let mut out = Vec::new();
    cbor::write_map(&mut out, 1);
    cbor::write_text(&mut out, "$type");
    cbor::write_bytes(&mut out, key);
    (Cid::of_cbor(&out), out)
}

/// Keys by layer, in order.
struct Keys(Vec<Vec<Vec<u8>>>);

impl Keys {
    fn new() -> Self {
        let mut layers: Vec<Vec<Vec<u8>>> = vec![Vec::new(); 4];
        for n in 0_u32.. {
            let key = format!("com.example.a/{n:06}").into_bytes();
            if let Some(keys) = layers.get_mut(usize::from(height(&key))) {
                keys.push(key);
            }
            if layers.iter().all(|keys| keys.len() >= 12) {
                break;
            }
        }
        Self(layers)
    }

    fn at(&self, layer: usize, index: usize) -> &[u8] {
        &self.0[layer][index]
    }

    /// A key of `layer` between two others.
    fn between(&self, layer: usize, low: &[u8], high: &[u8]) -> &[u8] {
        self.0[layer].iter().find(|key| key.as_slice() > low && key.as_slice() < high).expect("a key between")
    }

    /// `count` neighbouring keys of layer 0 with no key of a higher layer that would have to stand between.
    fn bottom(&self, count: usize) -> Vec<&[u8]> {
        self.0[0].iter().take(count).map(Vec::as_slice).collect()
    }
}

/// Layers 2, 1 and 0 with one key each and something on both sides of the top one.
fn tower(keys: &Keys) -> Node {
    let top = keys.at(2, 4);
    let one = keys.0[1].iter().rfind(|key| key.as_slice() < top).expect("below");
    let zero = keys.0[0].iter().rfind(|key| *key < one).expect("below");
    let last = keys.0[0].last().expect("a key");
    let left = Node::of(&[one]).left(Node::of(&[zero]));
    Node::of(&[top]).left(left).right(0, Node::of(&[last]).under())
}

/// Makes a case from a tree.
fn case(cases: &mut Vec<MstCase>, name: &str, tree: &Node, refusal: &'static str) {
    let mut nodes = Vec::new();
    let root = tree.store(&mut nodes);
    cases.push(finish(name, root, nodes, refusal));
}

/// Makes a case from the bytes of a root.
fn root_case(cases: &mut Vec<MstCase>, name: &str, bytes: Vec<u8>, refusal: &'static str) {
    let root = Cid::of_cbor(&bytes);
    cases.push(finish(name, root, vec![(root, bytes)], refusal));
}

/// Signs the root and writes everything down.
fn finish(name: &str, root: Cid, nodes: Vec<(Cid, Vec<u8>)>, refusal: &'static str) -> MstCase {
    let (did, key) = account();
    let rev = Tid::from_micros(1_700_000_000_000_000, 1);
    let commit = Unsigned { did, rev, data: root }.sign(&key).expect("a key in memory signs");
    let mut car = Vec::new();
    car::write_header(&mut car, &[commit.cid()]);
    car::write_section(&mut car, &commit.cid(), &commit.encode());
    // Streamable as far as the tree can be followed, then whatever is left.
    let by_cid: HashMap<Cid, &[u8]> = nodes.iter().map(|(cid, bytes)| (*cid, bytes.as_slice())).collect();
    let mut written = 0;
    let mut stack = vec![root];
    while let Some(cid) = stack.pop() {
        let Some(bytes) = by_cid.get(&cid) else {
            if let Some(body) = known_record(&cid) {
                car::write_section(&mut car, &cid, &body);
            }
            continue;
        };
        car::write_section(&mut car, &cid, bytes);
        written += 1;
        // A subtree that is linked twice would go on for ever; two or three thousand sections show the point.
        if written > nodes.len() + 2000 {
            break;
        }
        stack.extend(links(bytes).into_iter().rev());
    }
    MstCase { name: name.to_owned(), root, nodes, refusal, car }
}

/// Links of a node in the order of the tree, for nodes that are well enough formed to be followed.
fn links(bytes: &[u8]) -> Vec<Cid> {
    use p2pds_ipld::cbor::{Limits, Value};
    let Ok(node) = cbor::decode(bytes, &Limits::RECORD) else { return Vec::new() };
    let link = |value: Option<&Value>| match value {
        Some(Value::Link(cid)) => Some(*cid),
        _ => None,
    };
    let mut out: Vec<Cid> = link(node.get("l")).into_iter().collect();
    for entry in node.get("e").and_then(Value::as_array).unwrap_or_default() {
        out.extend(link(entry.get("v")));
        out.extend(link(entry.get("t")));
    }
    out
}

thread_local! {
    static RECORDS: std::cell::RefCell<HashMap<Cid, Vec<u8>>> = std::cell::RefCell::default();
}

/// The bytes of a record that one of the made-up keys has.
fn known_record(cid: &Cid) -> Option<Vec<u8>> {
    RECORDS.with_borrow_mut(|known| {
        if known.is_empty() {
            known.extend((0..20_000).map(|n| record(format!("com.example.a/{n:06}").as_bytes())));
        }
        known.get(cid).cloned()
    })
}
