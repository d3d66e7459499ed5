//! Repositories built by hand, of which any part can be wrong.

use std::collections::BTreeSet;

use p2pds_crypto::{Curve, PrivateKey, Signer};
use p2pds_ipld::cbor::{Value, encode};
use p2pds_ipld::{Cid, sha256};

use crate::hostile::cbor::head;

/// The bytes of a CID of any kind.
pub(super) type AnyCid = Vec<u8>;

/// A block under the CID that the file gives for it.
pub(super) type Block = (AnyCid, Vec<u8>);

/// The CID of a CBOR block.
pub(super) fn cbor_cid(bytes: &[u8]) -> AnyCid {
    Cid::of_cbor(bytes).to_bytes().to_vec()
}

/// What a link leads to.
#[derive(Clone)]
pub(super) enum To {
    /// Nothing: null.
    Null,
    /// A subtree, whose blocks come along.
    Tree(Box<Tree>),
    /// Some CID; no block comes along.
    Cid(AnyCid),
}

/// One entry of a node.
#[derive(Clone)]
pub(super) struct Entry {
    pub key: Vec<u8>,
    /// `None` is the right one.
    pub prefix: Option<usize>,
    /// `None` is a record of the key's own, whose block comes along.
    pub value: Option<AnyCid>,
    pub right: To,
}

/// A node and what is below it.
#[derive(Clone)]
pub(super) struct Tree {
    pub left: To,
    pub entries: Vec<Entry>,
}

impl Tree {
    /// The valid tree over these keys.
    pub fn over(keys: &[Vec<u8>]) -> Self {
        let top = keys.iter().map(|key| layer(key)).max().unwrap_or(0);
        Self::at(keys, top)
    }

    /// The valid subtree on this layer.
    pub fn at(keys: &[Vec<u8>], on: u8) -> Self {
        let mut tree = Self { left: To::Null, entries: Vec::new() };
        let mut gap = Vec::new();
        for key in keys {
            if layer(key) == on {
                tree.hang(&gap, on);
                gap.clear();
                tree.entries.push(Entry { key: key.clone(), prefix: None, value: None, right: To::Null });
            } else {
                gap.push(key.clone());
            }
        }
        tree.hang(&gap, on);
        tree
    }

    /// A node on `on` without keys, over a subtree.
    pub fn empty_over(below: To) -> Self {
        Self { left: below, entries: Vec::new() }
    }

    fn hang(&mut self, gap: &[Vec<u8>], on: u8) {
        if !gap.is_empty() {
            let below = To::Tree(Box::new(Self::at(gap, on - 1)));
            match self.entries.last_mut() {
                Some(entry) => entry.right = below,
                None => self.left = below,
            }
        }
    }

    /// Root and blocks in streamable order.
    pub fn blocks(&self) -> Vec<Block> {
        let mut below = Vec::new();
        let bytes = self.bytes(&mut below);
        let mut blocks = vec![(cbor_cid(&bytes), bytes)];
        blocks.append(&mut below);
        blocks
    }

    /// The bytes of the node; puts the blocks below it into `below`.
    fn bytes(&self, below: &mut Vec<Block>) -> Vec<u8> {
        let mut out = vec![0xa2, 0x61, b'e'];
        let left = resolve(&self.left, below);
        head(&mut out, 4, self.entries.len());
        let mut before: &[u8] = &[];
        for entry in &self.entries {
            let shared = before.iter().zip(&entry.key).take_while(|(a, b)| a == b).count();
            let prefix = entry.prefix.unwrap_or(shared);
            let suffix = &entry.key[prefix.min(entry.key.len())..];
            let value = entry.value.clone().unwrap_or_else(|| {
                let body = record(&entry.key);
                below.push((cbor_cid(&body), body));
                below.last().unwrap().0.clone()
            });
            let right = resolve(&entry.right, below);
            out.extend([0xa4, 0x61, b'k']);
            head(&mut out, 2, suffix.len());
            out.extend(suffix);
            out.extend([0x61, b'p']);
            head(&mut out, 0, prefix);
            out.extend([0x61, b't']);
            put_link(&mut out, right.as_deref());
            out.extend([0x61, b'v']);
            put_link(&mut out, Some(&value));
            before = &entry.key;
        }
        out.extend([0x61, b'l']);
        put_link(&mut out, left.as_deref());
        out
    }
}

fn resolve(to: &To, below: &mut Vec<Block>) -> Option<AnyCid> {
    match to {
        To::Null => None,
        To::Cid(cid) => Some(cid.clone()),
        To::Tree(tree) => {
            let mut blocks = tree.blocks();
            let root = blocks[0].0.clone();
            below.append(&mut blocks);
            Some(root)
        }
    }
}

pub(super) fn put_link(out: &mut Vec<u8>, cid: Option<&[u8]>) {
    match cid {
        None => out.push(0xf6),
        Some(cid) => {
            out.extend([0xd8, 0x2a]);
            head(out, 2, cid.len() + 1);
            out.push(0);
            out.extend(cid);
        }
    }
}

/// A record of a key's own.
fn record(key: &[u8]) -> Vec<u8> {
    encode(&Value::map([
        ("$type", Value::Text("a.b.c".to_owned())),
        ("text", Value::Text(String::from_utf8_lossy(key).into_owned())),
    ]))
}

/// Layer of a key.
pub(super) fn layer(key: &[u8]) -> u8 {
    let mut zeros = 0;
    for byte in sha256(key) {
        zeros += byte.leading_zeros();
        if byte != 0 {
            break;
        }
    }
    u8::try_from(zeros / 2).unwrap()
}

/// The first `count` keys of a layer, in order.
pub(super) fn keys(on: u8, count: usize) -> Vec<Vec<u8>> {
    let all = (0..).map(|i| format!("a.b.c/{i:07}").into_bytes());
    all.filter(|key| layer(key) == on).take(count).collect()
}

/// Keys with so many on each layer from 0 up, in order.
pub(super) fn mixed(counts: &[usize]) -> Vec<Vec<u8>> {
    let mut mixed = BTreeSet::new();
    for (on, count) in counts.iter().enumerate() {
        mixed.extend(keys(on as u8, *count));
    }
    mixed.into_iter().collect()
}

/// A signed commit over a root, which may be any CID or missing.
pub(super) fn commit(data: Option<&[u8]>) -> Vec<u8> {
    let mut fields = vec![
        ("did", Value::Text("did:plc:ewvi7nxzyoun6zhxrhs64oiz".to_owned())),
        ("rev", Value::Text("3lhhxizu5wr2d".to_owned())),
        ("prev", Value::Null),
        ("version", Value::Int(3)),
    ];
    if let Some(data) = data {
        let link = Cid::from_bytes(data).map_or_else(|_| Value::OddLink(data.to_vec()), Value::Link);
        fields.push(("data", link));
    }
    signed(fields)
}

/// Signs the fields of a commit and encodes them.
pub(super) fn signed(mut fields: Vec<(&'static str, Value)>) -> Vec<u8> {
    let key = PrivateKey::from_entropy(Curve::K256, [7; 32]);
    let signature = key.sign(&encode(&Value::map(fields.clone()))).unwrap();
    fields.push(("sig", Value::Bytes(signature.to_vec())));
    encode(&Value::map(fields))
}

/// A file of these blocks behind a header with these roots.
pub(super) fn file(roots: &[&[u8]], blocks: &[Block]) -> Vec<u8> {
    let mut header = vec![0xa2, 0x65];
    header.extend(b"roots");
    head(&mut header, 4, roots.len());
    for root in roots {
        put_link(&mut header, Some(root));
    }
    header.push(0x67);
    header.extend(b"version");
    header.push(1);
    let mut out = framed(&header);
    for (cid, bytes) in blocks {
        out.extend(framed(&[cid.as_slice(), bytes].concat()));
    }
    out
}

/// Bytes behind their length.
pub(super) fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut out = varint(bytes.len() as u64);
    out.extend(bytes);
    out
}

pub(super) fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A file whose commit names the first block as its root.
pub(super) fn repo(blocks: Vec<Block>) -> Vec<u8> {
    let commit = commit(Some(&blocks[0].0));
    with_commit(commit, blocks)
}

/// A file with this commit.
pub(super) fn with_commit(commit: Vec<u8>, blocks: Vec<Block>) -> Vec<u8> {
    let root = cbor_cid(&commit);
    let mut all = vec![(root.clone(), commit)];
    all.extend(blocks);
    file(&[&root], &all)
}

/// Keys of the repository that most cases are made of: three layers.
pub(super) fn usual_keys() -> Vec<Vec<u8>> {
    mixed(&[12, 4, 2])
}

/// Blocks of that repository.
pub(super) fn usual() -> Vec<Block> {
    Tree::over(&usual_keys()).blocks()
}

/// The repository that nothing is wrong with, and its number of records.
pub fn unbroken() -> (Vec<u8>, u64) {
    (repo(usual()), usual_keys().len() as u64)
}
