//! Readers and writers of whole repositories, on real files and on files made here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::LazyLock;

use model::{NodeMap, Records, tree};
use p2pds_crypto::{Curve, PrivateKey};
use p2pds_ipld::Cid;
use p2pds_ipld::car::{CarLimits, SectionCid, SliceReader, write_header, write_section};
use p2pds_ipld::cbor::{Limits, Value, decode, encode};
use p2pds_repo::bucket::{BucketBuilder, Spine};
use p2pds_repo::car_in::{
    Preorder, ReadError, ReadOptions, Scratch, Sink, Spool, Summary, TooMuch, read_slice, read_stream,
};
use p2pds_repo::car_out::{CarWriter, Export, Need, Row};
use p2pds_repo::commit::{Commit, Unsigned};
use p2pds_syntax::{Did, Tid};
use proptest::prelude::*;

mod model;
mod shared;

/// What a reader gave.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    commit: Option<(Cid, Commit)>,
    records: Vec<(Vec<u8>, Cid, Option<Vec<u8>>)>,
    /// Bodies that the sink can give back, as an archive that staged them could.
    remembers: bool,
}

impl Sink for Seen {
    fn commit(&mut self, cid: &Cid, commit: &Commit) -> ControlFlow<()> {
        assert!(self.commit.is_none() && self.records.is_empty());
        self.commit = Some((*cid, commit.clone()));
        ControlFlow::Continue(())
    }

    fn record(&mut self, key: &[u8], cid: &Cid, body: Option<&[u8]>) -> ControlFlow<()> {
        assert!(body.is_none_or(|body| cid.matches(body)));
        self.records.push((key.to_vec(), *cid, body.map(<[u8]>::to_vec)));
        ControlFlow::Continue(())
    }

    fn find(&mut self, cid: &Cid) -> Option<Vec<u8>> {
        self.remembers.then(|| self.records.iter().find(|(_, c, b)| c == cid && b.is_some())?.2.clone())?
    }
}

type Outcome = Result<(Summary, Seen), ReadError>;

fn by_slice(car: &[u8]) -> Outcome {
    let mut seen = Seen::default();
    read_slice(car, ReadOptions::DEFAULT, &mut seen).map(|summary| (summary, seen))
}

fn by_stream(mut car: &[u8]) -> Outcome {
    let mut seen = Seen::default();
    read_stream(&mut car, ReadOptions::DEFAULT, &mut seen).map(|summary| (summary, seen))
}

fn by_feed(car: &[u8], chunk: usize, remembers: bool) -> Outcome {
    let mut seen = Seen { remembers, ..Seen::default() };
    let mut reader = Preorder::new(ReadOptions::DEFAULT);
    for chunk in car.chunks(chunk) {
        reader.feed(chunk, &mut seen)?;
    }
    reader.finish(&mut seen).map(|summary| (summary, Seen { remembers: false, ..seen }))
}

fn by_spool(car: &[u8], chunk: usize) -> Outcome {
    let mut seen = Seen::default();
    let mut spool = Spool::new(Vec::new(), ReadOptions::DEFAULT);
    for chunk in car.chunks(chunk) {
        spool.feed(chunk, &mut seen)?;
    }
    let (summary, scratch) = spool.finish(&mut seen)?;
    assert_eq!(scratch, car);
    Ok((summary, seen))
}

fn by_scratch(car: &[u8]) -> Outcome {
    let mut seen = Seen::default();
    let mut scratch = Vec::new();
    Scratch::append(&mut scratch, car).unwrap();
    Spool::read(scratch, ReadOptions::DEFAULT, &mut seen).map(|(summary, _)| (summary, seen))
}

/// A repository made here: blocks in streamable order.
struct Repo {
    commit: Commit,
    records: Vec<(Vec<u8>, Cid, Vec<u8>)>,
    nodes: NodeMap,
}

impl Repo {
    /// `repeats`: so many records have the same bytes as the one before.
    fn new(count: usize, repeats: usize) -> Self {
        let mut bodies = Vec::new();
        for i in 0..count {
            let same = i > 0 && i <= repeats;
            let text = if same { "the same".to_owned() } else { format!("record {i}") };
            let body =
                encode(&Value::map([("$type", Value::Text("a.b.c".into())), ("text", Value::Text(text))]));
            let collection = ["a.b.c", "a.b.cc", "x.y.z"][i % 3];
            bodies.push((format!("{collection}/{i:04}").into_bytes(), Cid::of_cbor(&body), body));
        }
        bodies.sort();
        let map: Records = bodies.iter().map(|(key, cid, _)| (key.clone(), *cid)).collect();
        let (data, nodes) = tree(&map);
        Self { commit: commit_over(data), records: bodies, nodes }
    }

    fn car(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let bytes = self.commit.encode();
        let mut writer = CarWriter::new(&self.commit.cid(), &bytes, self.commit.data, &mut out);
        let mut records = self.records.iter();
        loop {
            match writer.need() {
                Need::Nothing => break,
                Need::Node(cid) => writer.node(&self.nodes[&cid], &mut out).unwrap(),
                Need::Record(_) => {
                    let (key, _, body) = records.next().unwrap();
                    writer.record(key, Some(body), &mut out).unwrap();
                }
            }
        }
        assert!(records.next().is_none());
        out
    }

    fn expected(&self) -> Seen {
        Seen {
            commit: Some((self.commit.cid(), self.commit.clone())),
            records: self.records.iter().map(|(k, c, b)| (k.clone(), *c, Some(b.clone()))).collect(),
            remembers: false,
        }
    }
}

/// The blocks of a CAR file, as far as it is whole.
fn blocks(car: &[u8]) -> Vec<(Cid, Vec<u8>)> {
    let mut blocks = Vec::new();
    for section in SliceReader::new(car, CarLimits::DEFAULT).unwrap() {
        let section = section.unwrap();
        let SectionCid::Plain(cid) = section.cid else { panic!("odd CID") };
        blocks.push((cid, section.bytes.to_vec()));
    }
    blocks
}

fn car_of(root: Cid, blocks: &[(Cid, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    write_header(&mut out, &[root]);
    for (cid, bytes) in blocks {
        write_section(&mut out, cid, bytes);
    }
    out
}

/// What each of the real files is.
enum File {
    /// A whole repository: records, nodes, sections that nothing needs.
    Whole(u64, u64, u64),
    /// As before, under a commit of version 2 (2023, without a rev), which is not read. Its tree is.
    Version2(u64, u64, u64),
    /// One path of a tree, with its record, under a commit of version 2.
    Slice,
}

const CARS: [(&str, File); 6] = [
    ("empty.car", File::Whole(0, 1, 0)),
    ("greenground.repo.car", File::Whole(2, 1, 0)),
    ("tiny.car", File::Whole(8, 3, 0)),
    // 11,578 distinct records: what stands at two keys is in the file once.
    ("midsize.car", File::Whole(11_585, 3_094, 0)),
    // With the commits before the last one, and what only they reach.
    ("fakermaker.repo.car", File::Version2(142, 33, 514)),
    ("repo_slice.car", File::Slice),
];

/// A commit of ours over somebody's tree.
fn commit_over(data: Cid) -> Commit {
    let key = PrivateKey::from_entropy(Curve::K256, [7; 32]);
    let did = Did::parse("did:plc:ewvi7nxzyoun6zhxrhs64oiz").unwrap();
    Unsigned { did, rev: Tid::parse("3lhhxizu5wr2d").unwrap(), data }.sign(&key).unwrap()
}

/// A file with a commit of version 2, which is refused, with one of ours over the same tree.
fn with_commit_of_ours(car: &[u8]) -> Vec<u8> {
    assert!(matches!(by_slice(car), Err(ReadError::Commit { .. })));
    let mut all = blocks(car);
    let root = SliceReader::new(car, CarLimits::DEFAULT).unwrap().header().roots[0];
    let old = all.iter_mut().find(|(cid, _)| *cid == root).unwrap();
    let data = *decode(&old.1, &Limits::STRICT).unwrap().get("data").unwrap().as_link().unwrap();
    let commit = commit_over(data);
    *old = (commit.cid(), commit.encode());
    car_of(commit.cid(), &all)
}

#[test]
fn real_files() {
    let Some(dir) = shared::shared("vectors/cars") else { return };
    for (name, what) in CARS {
        let mut car = std::fs::read(dir.join(name)).unwrap();
        let (records, nodes, extra) = match what {
            File::Whole(records, nodes, extra) => (records, nodes, extra),
            File::Version2(records, nodes, extra) => {
                car = with_commit_of_ours(&car);
                (records, nodes, extra)
            }
            File::Slice => {
                car = with_commit_of_ours(&car);
                for outcome in [by_slice(&car), by_spool(&car, 100), by_scratch(&car)] {
                    let error = outcome.unwrap_err();
                    assert!(matches!(error, ReadError::MissingNode(_)), "{name}: {error}");
                }
                continue;
            }
        };
        let (summary, seen) = by_slice(&car).unwrap();
        assert_eq!((summary.records, summary.nodes, summary.extra), (records, nodes, extra), "{name}");
        assert_eq!((summary.missing_count, seen.records.len() as u64), (0, records), "{name}");
        assert!(seen.records.iter().all(|(.., body)| body.is_some()));
        let keys: BTreeSet<&Vec<u8>> = seen.records.iter().map(|(key, ..)| key).collect();
        assert_eq!(keys.len() as u64, records);
        for (spooled, again) in
            [by_spool(&car, 1000).unwrap(), by_spool(&car, 65_537).unwrap(), by_scratch(&car).unwrap()]
        {
            assert_eq!((&spooled, &again), (&summary, &seen), "{name}");
        }
        // None of them but the smallest is in streamable order. Written anew, all of them are.
        match by_stream(&car) {
            Ok((streamed, again)) => assert_eq!((streamed, again), (summary, seen)),
            Err(error) => {
                assert!(error.is_order(), "{name}: {error}");
                let written = export(&seen);
                let (streamed, again) = by_stream(&written).unwrap();
                assert_eq!(again, seen, "{name}");
                assert_eq!((streamed.records, streamed.nodes, streamed.extra), (records, nodes, 0));
                assert_eq!(export(&again), written);
            }
        }
    }
}

/// Exports through buckets, as the store does.
fn export(seen: &Seen) -> Vec<u8> {
    let mut buckets = Vec::new();
    let mut builder = BucketBuilder::new(|bucket| buckets.push(bucket));
    for (key, cid, _) in &seen.records {
        builder.push(key, cid).unwrap();
    }
    builder.finish();
    let spine = Spine::from_buckets(buckets).unwrap();
    let (cid, commit) = seen.commit.as_ref().unwrap();
    let mut out = Vec::new();
    let mut export = Export::new(&spine, cid, &commit.encode(), commit.data, &mut out).unwrap();
    while let Some(bucket) = export.bucket() {
        let (lo, hi) = spine.range(bucket).unwrap();
        let rows: Vec<Row<&[u8], &[u8]>> = seen
            .records
            .iter()
            .filter(|(key, ..)| key.as_slice() >= lo && hi.is_none_or(|hi| key.as_slice() < hi))
            .map(|(key, cid, body)| Row { key: key.as_slice(), cid: *cid, body: body.as_deref() })
            .collect();
        export.rows(&rows, &mut out).unwrap();
    }
    assert_eq!(export.records(), seen.records.len() as u64);
    out
}

static SMALL: LazyLock<Repo> = LazyLock::new(|| Repo::new(40, 3));
static MIDDLE: LazyLock<Repo> = LazyLock::new(|| Repo::new(1_500, 20));

#[test]
fn written_files_are_read_by_all() {
    for repo in [&Repo::new(0, 0), &Repo::new(1, 0), &SMALL, &MIDDLE] {
        let car = repo.car();
        let expected = repo.expected();
        let (summary, seen) = by_stream(&car).unwrap();
        assert_eq!(seen, expected);
        assert!(summary.preorder);
        assert_eq!((summary.extra, summary.missing_count, summary.bytes), (0, 0, car.len() as u64));
        assert_eq!(summary.nodes, repo.nodes.len() as u64);
        let all = [by_slice(&car), by_feed(&car, 3, false), by_spool(&car, 77), by_scratch(&car)];
        for outcome in all {
            assert_eq!(outcome.unwrap(), (summary.clone(), expected.clone_seen()));
        }
        assert_eq!(export(&expected), car);
    }
}

impl Seen {
    fn clone_seen(&self) -> Self {
        Self { commit: self.commit.clone(), records: self.records.clone(), remembers: false }
    }
}

/// All keys and CIDs are right, and each body is right or not there.
fn assert_right_or_missing(seen: &Seen, expected: &Seen) {
    assert_eq!((&seen.commit, seen.records.len()), (&expected.commit, expected.records.len()));
    for (seen, expected) in seen.records.iter().zip(&expected.records) {
        assert_eq!((&seen.0, &seen.1), (&expected.0, &expected.1));
        assert!(seen.2.is_none() || seen.2 == expected.2);
    }
}

#[test]
fn cut_anywhere_is_an_error() {
    let car = SMALL.car();
    for cut in 0..car.len() {
        let part = &car[..cut];
        // Between two sections the file is well formed, and a node or the records at the end are missing. Only the
        // latter is not an error: the tree is proved, and the records without a body are named.
        for outcome in
            [by_slice(part), by_stream(part), by_feed(part, 50, false), by_spool(part, 50), by_scratch(part)]
        {
            match outcome {
                Err(_) => {}
                Ok((summary, seen)) => {
                    assert!(summary.missing_count > 0, "{cut}");
                    assert_right_or_missing(&seen, &SMALL.expected());
                }
            }
        }
    }
}

#[test]
fn a_changed_byte_anywhere_is_an_error() {
    let car = SMALL.car();
    let mut refused = 0;
    for at in 0..car.len() {
        let mut other = car.clone();
        other[at] ^= 0x10;
        for outcome in [by_slice(&other), by_stream(&other), by_spool(&other, 500)] {
            // A changed digest makes the hash wrong, a changed length breaks the file, a changed header loses the
            // root. Only a changed codec or hash code in a record's CID makes it another block: the record is missing.
            match outcome {
                Err(_) => refused += 1,
                Ok((summary, seen)) => {
                    // (Of a record that stands there three times the other two may serve.)
                    assert!(summary.missing_count <= 1 && summary.extra > 0, "{at}");
                    assert_right_or_missing(&seen, &SMALL.expected());
                }
            }
        }
    }
    let records = SMALL.records.len();
    assert!(refused >= (car.len() - 4 * records) * 3, "{refused} of {}", car.len() * 3);
}

#[test]
fn trailing_garbage_is_an_error() {
    let mut car = SMALL.car();
    car.extend_from_slice(b"garbage");
    for outcome in [by_slice(&car), by_stream(&car), by_spool(&car, 500), by_scratch(&car)] {
        outcome.unwrap_err();
    }
}

#[test]
fn omitted_repeats() {
    let repo = &*SMALL;
    let car = repo.car();
    let mut seen = BTreeSet::new();
    let mut once = blocks(&car);
    once.retain(|(cid, _)| seen.insert(*cid));
    let omitted = car_of(repo.commit.cid(), &once);
    assert!(omitted.len() < car.len());
    // Whoever can go back finds them all.
    for outcome in
        [by_slice(&omitted), by_spool(&omitted, 99), by_scratch(&omitted), by_feed(&omitted, 99, true)]
    {
        let (summary, seen) = outcome.unwrap();
        assert_eq!(seen, repo.expected());
        assert_eq!(summary.missing_count, 0);
    }
    // In constant memory they are named.
    let (summary, seen) = by_stream(&omitted).unwrap();
    assert_eq!(summary.missing_count, 2);
    let without: Vec<_> = seen.records.iter().filter(|(.., body)| body.is_none()).collect();
    assert_eq!(without.len(), 2);
    assert_eq!(
        summary.missing.iter().map(|m| &m.key).collect::<Vec<_>>(),
        without.iter().map(|r| &r.0).collect::<Vec<_>>()
    );
}

#[test]
fn missing_records_are_named_and_missing_nodes_are_errors() {
    let repo = &*SMALL;
    let all = blocks(&repo.car());
    for (index, (cid, _)) in all.iter().enumerate().skip(1) {
        let mut some = all.clone();
        some.retain(|(other, _)| other != cid);
        let car = car_of(repo.commit.cid(), &some);
        let is_node = repo.nodes.contains_key(cid);
        for outcome in [by_slice(&car), by_stream(&car), by_spool(&car, 400), by_scratch(&car)] {
            match outcome {
                Err(error) => {
                    assert!(is_node, "{index}: {error}");
                    assert!(error.is_order());
                }
                Ok((summary, seen)) => {
                    assert!(!is_node, "{index}");
                    let without: Vec<_> =
                        seen.records.iter().filter(|r| r.2.is_none()).map(|r| (r.0.clone(), r.1)).collect();
                    assert!(!without.is_empty() && without.iter().all(|(_, c)| c == cid));
                    assert_eq!(summary.missing_count as usize, without.len());
                    let named: Vec<_> = summary.missing.into_iter().map(|m| (m.key, m.cid)).collect();
                    assert_eq!(named, without);
                }
            }
        }
    }
}

#[test]
fn unreferenced_blocks_are_bounded_in_streams_only() {
    let repo = &*SMALL;
    let mut all = blocks(&repo.car());
    for i in 0u32..3000 {
        let junk = vec![i.to_le_bytes(); 100].concat();
        all.push((Cid::of_raw(&junk), junk));
    }
    let car = car_of(repo.commit.cid(), &all);
    assert!(matches!(by_stream(&car), Err(ReadError::TooMuch(TooMuch::Unreferenced { .. }))));
    let (summary, seen) = by_slice(&car).unwrap();
    assert_eq!((summary.extra, seen), (3000, repo.expected()));
}

/// A host that never stops sending: a whole repository, then one valid block after the other.
struct Endless {
    now: Vec<u8>,
    sent: u64,
}

impl std::io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.now.is_empty() {
            let junk = self.sent.to_le_bytes().repeat(100);
            write_section(&mut self.now, &Cid::of_raw(&junk), &junk);
        }
        let count = buffer.len().min(self.now.len());
        buffer[..count].copy_from_slice(&self.now[..count]);
        self.now.drain(..count);
        self.sent += count as u64;
        Ok(count)
    }
}

#[test]
fn endless_files_are_given_up() {
    let mut source = Endless { now: SMALL.car(), sent: 0 };
    let error = read_stream(&mut source, ReadOptions::DEFAULT, &mut Seen::default()).unwrap_err();
    assert!(matches!(error, ReadError::TooMuch(TooMuch::Unreferenced { .. })), "{error}");
    assert!(source.sent < 3 << 20, "{}", source.sent);
    // Whoever keeps the file bounds its length.
    let options = ReadOptions::DEFAULT.with_total(4 << 20);
    let mut source = Endless { now: SMALL.car(), sent: 0 };
    let mut spool = Spool::new(Vec::new(), options);
    let (mut seen, mut chunk) = (Seen::default(), [0; 8192]);
    let error = loop {
        let count = std::io::Read::read(&mut source, &mut chunk).unwrap();
        if let Err(error) = spool.feed(&chunk[..count], &mut seen) {
            break error;
        }
    };
    assert!(matches!(error, ReadError::Car(_)), "{error}");
    assert!(source.sent < 5 << 20, "{}", source.sent);
}

#[test]
fn a_sink_may_stop() {
    let car = MIDDLE.car();
    let mut left = 10;
    let mut stop = |_: &[u8], _: &Cid, _: Option<&[u8]>| {
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert!(matches!(read_slice(&car, ReadOptions::DEFAULT, &mut stop), Err(ReadError::Stopped)));
    assert_eq!(left, 0);
}

#[test]
fn more_blocks_than_allowed() {
    let mut all = blocks(&SMALL.car());
    all.reverse();
    let car = car_of(SMALL.commit.cid(), &all);
    let options = ReadOptions { blocks: 8, ..ReadOptions::DEFAULT };
    let outcome = read_slice(&car, options, &mut Seen::default());
    assert!(matches!(outcome, Err(ReadError::TooMuch(TooMuch::Blocks { .. }))), "{outcome:?}");
}

/// The same tree under another commit's root: hashes fit, the root does not.
#[test]
fn another_root_is_not_accepted() {
    let (a, b) = (Repo::new(30, 0), Repo::new(31, 0));
    let mut all = blocks(&a.car());
    all[0] = (b.commit.cid(), b.commit.encode());
    let car = car_of(b.commit.cid(), &all);
    for outcome in [by_slice(&car), by_stream(&car), by_spool(&car, 400)] {
        let error = outcome.unwrap_err();
        assert!(error.is_order(), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Shuffled, repeated and extra blocks give exactly the same verified records.
    #[test]
    fn order_repeats_and_extras_do_not_matter(
        count in 0usize..120,
        repeats in 0usize..6,
        order in proptest::collection::vec(any::<u32>(), 400),
        again in proptest::collection::vec(any::<prop::sample::Index>(), 0..20),
        junk in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20),
        chunk in 1usize..5000,
    ) {
        let repo = Repo::new(count, repeats);
        let mut all = blocks(&repo.car());
        let distinct: BTreeMap<Cid, ()> = all.iter().map(|(cid, _)| (*cid, ())).collect();
        for index in &again {
            all.push(all[index.index(all.len())].clone());
        }
        let mut extra = BTreeSet::new();
        for bytes in junk {
            let cid = Cid::of_raw(&bytes);
            extra.insert(cid);
            all.push((cid, bytes));
        }
        let mut order = order.into_iter().cycle();
        all.sort_by_cached_key(|_| order.next());
        let car = car_of(repo.commit.cid(), &all);
        let sections = all.len() as u64;
        for outcome in [by_slice(&car), by_spool(&car, chunk), by_scratch(&car)] {
            let (summary, seen) = outcome.unwrap();
            prop_assert_eq!(seen, repo.expected());
            prop_assert_eq!(summary.sections, sections);
            prop_assert_eq!(summary.missing_count, 0);
            prop_assert_eq!(summary.cid, repo.commit.cid());
            if !summary.preorder {
                prop_assert_eq!(summary.extra, sections - distinct.len() as u64);
            }
        }
        match by_feed(&car, chunk, true) {
            Ok((_, seen)) => prop_assert_eq!(seen, repo.expected()),
            Err(error) => prop_assert!(error.is_order(), "{}", error),
        }
    }

    /// In streamable order with extra blocks between and repeats left out, a stream with a memory gives the same.
    #[test]
    fn streams_tolerate_what_the_specification_allows(
        count in 1usize..120,
        repeats in 0usize..6,
        junk in proptest::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 0..20),
        chunk in 1usize..5000,
    ) {
        let repo = Repo::new(count, repeats);
        let mut seen = BTreeSet::new();
        let mut all = blocks(&repo.car());
        all.retain(|(cid, _)| seen.insert(*cid));
        for (index, seed) in junk {
            // Anywhere behind the root node.
            let at = 2 + index.index(all.len() - 1);
            let bytes = seed.to_le_bytes().to_vec();
            all.insert(at.min(all.len()), (Cid::of_cbor(&bytes), bytes));
        }
        let car = car_of(repo.commit.cid(), &all);
        let (summary, seen) = by_feed(&car, chunk, true).unwrap();
        prop_assert_eq!(seen, repo.expected());
        prop_assert_eq!(summary.missing_count, 0);
    }
}
