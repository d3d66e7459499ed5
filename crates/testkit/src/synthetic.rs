//! Made-up repositories of any size: what the measurements and the bulk tests run on.
//!
//! 60 % likes, 20 % posts, 15 % follows, 4 % reposts, 1 % blocks, in the shapes of the real lexicons; CIDs and
//! DIDs inside records are random, so that they compress no better than real ones. A record has 228 bytes in the
//! mean. The same seed gives the same bytes.

use std::collections::HashMap;
use std::io::{self, Write};

use p2pds_crypto::{Curve, PrivateKey};
use p2pds_ipld::{Cid, Codec, car, cbor};
use p2pds_repo::commit::{Commit, Unsigned};
use p2pds_repo::mst::{Builder, NodeView, empty_root};
use p2pds_syntax::{Did, Tid};

use crate::random::Random;

/// Collections in the order of the tree, with the share of records in per mille.
const KINDS: [(&str, usize); 5] = [
    ("app.bsky.feed.like", 600),
    ("app.bsky.feed.post", 200),
    ("app.bsky.feed.repost", 40),
    ("app.bsky.graph.block", 10),
    ("app.bsky.graph.follow", 150),
];

/// 1 January 2023, in microseconds.
const START: u64 = 1_672_531_200_000_000;

const WORDS: [&str; 48] = [
    "the", "sky", "over", "harbour", "was", "a", "colour", "of", "old", "paper", "and", "nobody", "had",
    "seen", "it", "before", "morning", "tea", "with", "friends", "who", "build", "small", "machines", "that",
    "keep", "letters", "safe", "rain", "again", "trains", "late", "but", "music", "good", "today", "learned",
    "how", "trees", "remember", "their", "shape", "after", "winter", "photo", "from", "garden", "☀️",
];

/// A key and the bytes of its record.
pub type Record = (Vec<u8>, Vec<u8>);

/// The records of a repository, in key order.
#[derive(Debug, Clone)]
pub struct Records {
    random: Random,
    count: usize,
    kind: usize,
    /// Records left of this kind.
    left: usize,
    tid: u64,
}

/// `count` records, in key order.
#[must_use]
pub fn records(seed: u64, count: usize) -> Records {
    Records { random: Random::new(seed), count, kind: 0, left: share(count, 0), tid: START }
}

fn share(count: usize, kind: usize) -> usize {
    let rest: usize = (1..KINDS.len()).map(|k| count * KINDS[k].1 / 1000).sum();
    if kind == 0 { count - rest } else { count * KINDS[kind].1 / 1000 }
}

impl Iterator for Records {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        while self.left == 0 {
            self.kind += 1;
            if self.kind == KINDS.len() {
                return None;
            }
            self.left = share(self.count, self.kind);
            self.tid = START;
        }
        self.left -= 1;
        // A record every few minutes.
        self.tid += 1 + self.random.below(600_000_000);
        let key = format!("{}/{}", KINDS[self.kind].0, tid(self.tid, self.random.below(1024))).into_bytes();
        Some((key, body(&mut self.random, KINDS[self.kind].0, self.tid)))
    }
}

fn tid(micros: u64, clock: u64) -> String {
    let clock = u16::try_from(clock).expect("below 1024");
    Tid::from_micros(micros, clock).to_string()
}

/// The bytes of a made-up record.
#[must_use]
pub fn body(random: &mut Random, collection: &str, micros: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(320);
    let created = created_at(micros);
    let field = |out: &mut Vec<u8>, name: &str, value: &str| {
        cbor::write_text(out, name);
        cbor::write_text(out, value);
    };
    match collection {
        "app.bsky.feed.post" => {
            let reply = random.below(100) < 40;
            cbor::write_map(&mut out, if reply { 5 } else { 4 });
            field(&mut out, "text", &sentence(random));
            field(&mut out, "$type", collection);
            cbor::write_text(&mut out, "langs");
            cbor::write_array(&mut out, 1);
            cbor::write_text(&mut out, "en");
            if reply {
                cbor::write_text(&mut out, "reply");
                cbor::write_map(&mut out, 2);
                cbor::write_text(&mut out, "root");
                strong_ref(random, &mut out, micros);
                cbor::write_text(&mut out, "parent");
                strong_ref(random, &mut out, micros);
            }
            field(&mut out, "createdAt", &created);
        }
        "app.bsky.graph.follow" | "app.bsky.graph.block" => {
            cbor::write_map(&mut out, 3);
            field(&mut out, "$type", collection);
            field(&mut out, "subject", &did(random));
            field(&mut out, "createdAt", &created);
        }
        _ => {
            cbor::write_map(&mut out, 3);
            field(&mut out, "$type", collection);
            cbor::write_text(&mut out, "subject");
            strong_ref(random, &mut out, micros);
            field(&mut out, "createdAt", &created);
        }
    }
    out
}

fn strong_ref(random: &mut Random, out: &mut Vec<u8>, micros: u64) {
    let rkey = tid(micros - random.below(86_400_000_000), random.below(1024));
    let uri = format!("at://{}/app.bsky.feed.post/{rkey}", did(random));
    cbor::write_map(out, 2);
    cbor::write_text(out, "cid");
    cbor::write_text(out, &any_cid(random).to_string());
    cbor::write_text(out, "uri");
    cbor::write_text(out, &uri);
}

/// A CID of nothing.
#[must_use]
pub fn any_cid(random: &mut Random) -> Cid {
    let mut digest = [0; 32];
    for part in digest.chunks_exact_mut(8) {
        part.copy_from_slice(&random.number().to_le_bytes());
    }
    Cid::new(Codec::DagCbor, digest)
}

fn did(random: &mut Random) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = String::with_capacity(32);
    text.push_str("did:plc:");
    for _ in 0..24 {
        text.push(char::from(LETTERS[random.below(32) as usize]));
    }
    text
}

fn sentence(random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..4 + random.below(30) {
        text.push_str(WORDS[random.below(WORDS.len() as u64) as usize]);
        text.push(' ');
    }
    text
}

fn created_at(micros: u64) -> String {
    // Good enough for a made-up date: months of 28 days.
    let (ms, s) = (micros / 1000 % 1000, micros / 1_000_000);
    let (d, year) = ((s - START / 1_000_000) / 86_400, 31_536_000);
    let years = 2023 + (s - START / 1_000_000) / year;
    format!(
        "{years}-{:02}-{:02}T{:02}:{:02}:{:02}.{ms:03}Z",
        d / 28 % 12 + 1,
        d % 28 + 1,
        s / 3600 % 24,
        s / 60 % 60,
        s % 60
    )
}

/// Order of blocks in a CAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Streamable: commit, then each node before its content.
    Preorder,
    /// Commit, records in key order, nodes children first.
    NodesLast,
    /// By CID, as the reference server gives them out after an import. No order at all.
    Shuffled,
}

/// What [`write_car`] wrote.
#[derive(Debug, Clone)]
pub struct Repo {
    /// The signed commit.
    pub commit: Commit,
    /// Number of records.
    pub records: u64,
    /// Bytes of records.
    pub record_bytes: u64,
    /// Number of tree nodes.
    pub nodes: u64,
    /// Bytes of tree nodes.
    pub node_bytes: u64,
}

/// The account that signs all made-up repositories.
#[must_use]
pub fn account() -> (Did, PrivateKey) {
    let did = Did::parse("did:plc:synthetic2synthetic2syn2").expect("a DID");
    (did, PrivateKey::from_entropy(Curve::K256, [42; 32]))
}

/// Writes a whole signed repository as a CAR. Memory: its nodes; for `Shuffled` all of it.
///
/// # Errors
/// What `out` says.
pub fn write_car(out: &mut impl Write, seed: u64, count: usize, order: Order) -> io::Result<Repo> {
    let (did, key) = account();
    write_car_of(out, (&did, &key), Tid::from_micros(START * 2, 7), seed, count, order)
}

/// As [`write_car`], of another account and revision.
///
/// # Errors
/// What `out` says.
pub fn write_car_of(
    out: &mut impl Write,
    (did, key): (&Did, &PrivateKey),
    rev: Tid,
    seed: u64,
    count: usize,
    order: Order,
) -> io::Result<Repo> {
    let mut nodes: HashMap<Cid, Vec<u8>> = HashMap::new();
    let mut children_first = Vec::new();
    let mut builder = Builder::new(|cid: &Cid, bytes: &[u8]| {
        nodes.insert(*cid, bytes.to_vec());
        children_first.push(*cid);
    });
    let mut record_bytes = 0;
    for (key, body) in records(seed, count) {
        builder.push(&key, &Cid::of_cbor(&body)).expect("sorted");
        record_bytes += body.len() as u64;
    }
    let data = builder.finish();
    let commit = Unsigned { did: did.clone(), rev, data }.sign(key).expect("a key in memory signs");
    let repo = Repo {
        records: count as u64,
        record_bytes,
        nodes: nodes.len() as u64,
        node_bytes: nodes.values().map(|node| node.len() as u64).sum(),
        commit,
    };
    let mut file = Sections { out, buffer: Vec::with_capacity(1 << 16) };
    let head = repo.commit.encode();
    car::write_header(&mut file.buffer, &[Cid::of_cbor(&head)]);
    file.put(&Cid::of_cbor(&head), &head)?;
    let mut bodies = records(seed, count).map(|(_, body)| body);
    match order {
        Order::Preorder => write_node(&mut file, data, &nodes, &mut bodies)?,
        Order::NodesLast => {
            for body in bodies {
                file.put(&Cid::of_cbor(&body), &body)?;
            }
            for cid in children_first {
                file.put(&cid, &nodes[&cid])?;
            }
        }
        Order::Shuffled => {
            let mut all: Vec<(Cid, Vec<u8>)> = bodies.map(|body| (Cid::of_cbor(&body), body)).collect();
            all.extend(nodes);
            all.sort_unstable_by_key(|(cid, _)| std::cmp::Reverse(*cid));
            for (cid, bytes) in all {
                file.put(&cid, &bytes)?;
            }
        }
    }
    file.flush()?;
    Ok(repo)
}

/// As [`write_car`], in memory.
#[must_use]
pub fn car(seed: u64, count: usize, order: Order) -> (Vec<u8>, Repo) {
    let mut out = Vec::new();
    let repo = write_car(&mut out, seed, count, order).expect("memory");
    (out, repo)
}

struct Sections<'w, W> {
    out: &'w mut W,
    buffer: Vec<u8>,
}

impl<W: Write> Sections<'_, W> {
    fn put(&mut self, cid: &Cid, bytes: &[u8]) -> io::Result<()> {
        car::write_section(&mut self.buffer, cid, bytes);
        if self.buffer.len() >= 1 << 16 { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

fn write_node<W: Write>(
    file: &mut Sections<'_, W>,
    cid: Cid,
    nodes: &HashMap<Cid, Vec<u8>>,
    bodies: &mut impl Iterator<Item = Vec<u8>>,
) -> io::Result<()> {
    let bytes = &nodes[&cid];
    file.put(&cid, bytes)?;
    if cid == empty_root() {
        return Ok(());
    }
    let view = NodeView::parse_any(bytes).expect("our own node");
    if let Some(left) = view.left() {
        write_node(file, left, nodes, bodies)?;
    }
    for entry in view.entries() {
        let body = bodies.next().expect("as many records as entries");
        file.put(&entry.value, &body)?;
        if let Some(right) = entry.right {
            write_node(file, right, nodes, bodies)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use p2pds_ipld::cbor::{Limits, validate};
    use p2pds_repo::car_in::{ReadOptions, read_slice};

    use super::*;

    #[test]
    fn records_are_sorted_valid_and_of_the_right_size() {
        let all: Vec<Record> = records(1, 20_000).collect();
        assert_eq!(all.len(), 20_000);
        assert!(all.is_sorted_by(|a, b| a.0 < b.0));
        for (key, body) in &all {
            assert!(p2pds_syntax::RecordPath::is_valid(key));
            validate(body, &Limits::STRICT).expect("canonical");
        }
        let mean = all.iter().map(|(_, body)| body.len()).sum::<usize>() / all.len();
        assert!((200..260).contains(&mean), "mean record size {mean}");
    }

    #[test]
    fn all_orders_hold_the_same_repository() {
        for order in [Order::Preorder, Order::NodesLast, Order::Shuffled] {
            let (bytes, repo) = car(3, 2000, order);
            let mut seen = 0;
            let read =
                read_slice(&bytes, ReadOptions::DEFAULT, &mut |_: &[u8], _: &Cid, body: Option<&[u8]>| {
                    seen += u64::from(body.is_some());
                    ControlFlow::Continue(())
                })
                .expect("a good CAR");
            assert_eq!((read.records, seen, read.nodes), (2000, 2000, repo.nodes));
            assert_eq!((read.commit.data, read.cid), (repo.commit.data, repo.commit.cid()));
            assert_eq!(read.preorder, order == Order::Preorder);
            repo.commit.verify(&p2pds_crypto::Signer::public_key(&account().1)).expect("signed");
        }
    }
}
