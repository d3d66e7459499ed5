//! Repositories whose every hash is right and whose tree is anything: what is accepted is the one tree of its records.
//!
//! The input is a little program that builds nodes from the bottom, with subtrees from a stack and keys from a list,
//! and damages some of them before they are hashed. Random bytes never get past the hashes; this does.
#![no_main]

use std::ops::ControlFlow;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use p2pds_ipld::Cid;
use p2pds_ipld::car::{write_header, write_section};
use p2pds_ipld::cbor::{write_array, write_bytes, write_link, write_map, write_null, write_text, write_uint};
use p2pds_repo::car_in::{ReadOptions, Spool, Summary, read_slice, read_stream};
use p2pds_repo::mst::{common_prefix, height, root_of};

/// Keys in order, with as many on the upper layers as on the lower ones.
static KEYS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut keys = Vec::new();
    for layer in 0..=3 {
        let all = (0..).map(|i| format!("a.b.c/{i:05}").into_bytes());
        keys.extend(all.filter(|key| height(key) == layer).take(64));
    }
    keys.sort();
    keys
});

const RECORD: &[u8] = b"\xa0";

struct Program<'a>(&'a [u8]);

impl Program<'_> {
    fn next(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }
}

fn put_link(out: &mut Vec<u8>, cid: Option<Cid>) {
    match cid {
        Some(cid) => write_link(out, &cid),
        None => write_null(out),
    }
}

/// Blocks, the root last.
fn run(program: &mut Program<'_>) -> Vec<(Cid, Vec<u8>)> {
    let mut blocks = vec![(Cid::of_cbor(RECORD), RECORD.to_vec())];
    let mut stack: Vec<Cid> = Vec::new();
    while !program.0.is_empty() && blocks.len() < 200 {
        let flags = program.next();
        let count = usize::from(program.next() % 8);
        let left = if flags & 1 == 0 { None } else { stack.pop() };
        let (mut at, mut before) = (usize::from(program.next()), Vec::new());
        let mut node = Vec::new();
        write_map(&mut node, 2);
        write_text(&mut node, "e");
        write_array(&mut node, count);
        for _ in 0..count {
            let how = program.next();
            at = at.wrapping_add(usize::from(how & 15)).min(KEYS.len() - 1);
            let key = &KEYS[at];
            let right = if how & 16 == 0 { None } else { stack.pop() };
            let honest = common_prefix(&before, key);
            let prefix = if how & 0xe0 == 0xe0 { honest.saturating_sub(1) } else { honest };
            write_map(&mut node, 4);
            write_text(&mut node, "k");
            write_bytes(&mut node, &key[prefix..]);
            write_text(&mut node, "p");
            write_uint(&mut node, prefix as u64);
            write_text(&mut node, "t");
            put_link(&mut node, right);
            write_text(&mut node, "v");
            write_link(&mut node, &Cid::of_cbor(RECORD));
            before.clone_from(key);
        }
        write_text(&mut node, "l");
        put_link(&mut node, left);
        if flags & 0xf0 == 0xf0 {
            let (place, byte) = (usize::from(program.next()) % node.len(), program.next());
            node[place] ^= byte;
        }
        let cid = Cid::of_cbor(&node);
        blocks.push((cid, node));
        stack.push(cid);
        if flags & 2 != 0 {
            // The same subtree once more.
            stack.push(cid);
        }
    }
    blocks
}

fn commit(data: Cid) -> Vec<u8> {
    let mut out = Vec::new();
    write_map(&mut out, 6);
    write_text(&mut out, "did");
    write_text(&mut out, "did:plc:ewvi7nxzyoun6zhxrhs64oiz");
    write_text(&mut out, "rev");
    write_text(&mut out, "3lhhxizu5wr2d");
    write_text(&mut out, "sig");
    write_bytes(&mut out, &[1; 64]);
    write_text(&mut out, "data");
    write_link(&mut out, &data);
    write_text(&mut out, "prev");
    write_null(&mut out);
    write_text(&mut out, "version");
    write_uint(&mut out, 3);
    out
}

type Rows = Vec<(Vec<u8>, Cid)>;

fuzz_target!(|input: &[u8]| {
    let blocks = run(&mut Program(input));
    let Some((data, _)) = blocks.last() else { return };
    let commit = commit(*data);
    let root = Cid::of_cbor(&commit);
    let mut car = Vec::new();
    write_header(&mut car, &[root]);
    write_section(&mut car, &root, &commit);
    for (cid, bytes) in blocks.iter().rev() {
        write_section(&mut car, cid, bytes);
    }
    let read = |how: u8| -> Option<(Summary, Rows)> {
        let mut rows = Rows::new();
        let mut sink = |key: &[u8], cid: &Cid, _: Option<&[u8]>| {
            rows.push((key.to_vec(), *cid));
            ControlFlow::Continue(())
        };
        let summary = match how {
            0 => read_slice(&car, ReadOptions::DEFAULT, &mut sink).ok(),
            1 => read_stream(&mut car.as_slice(), ReadOptions::DEFAULT, &mut sink).ok(),
            _ => Spool::read(car.clone(), ReadOptions::DEFAULT, &mut sink).ok().map(|(summary, _)| summary),
        }?;
        Some((summary, rows))
    };
    let (sliced, streamed, spooled) = (read(0), read(1), read(2));
    assert_eq!(sliced, spooled, "memory and scratch space disagree");
    for (summary, rows) in sliced.iter().chain(&streamed) {
        let expected = root_of(rows.iter().map(|(key, cid)| (key.as_slice(), *cid)));
        assert_eq!(expected.ok(), Some(summary.commit.data), "accepted a tree that is not canonical");
        assert_eq!(summary.records, rows.len() as u64);
    }
    if let Some((_, rows)) = streamed {
        assert_eq!(sliced.map(|(_, rows)| rows), Some(rows), "the reader for any order refuses what streams");
    }
});
