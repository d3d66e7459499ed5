//! Whole repositories: what is accepted has the one tree of its records, by every reader that accepts it.
#![no_main]

use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use p2pds_ipld::Cid;
use p2pds_repo::car_in::{Preorder, ReadOptions, Summary, read_slice};
use p2pds_repo::mst::root_of;

type Rows = Vec<(Vec<u8>, Cid)>;

fn by_index(bytes: &[u8]) -> Option<(Summary, Rows)> {
    let mut rows = Rows::new();
    let mut sink = |key: &[u8], cid: &Cid, body: Option<&[u8]>| {
        assert!(body.is_none_or(|body| cid.matches(body)), "a body that does not hash to its CID");
        rows.push((key.to_vec(), *cid));
        ControlFlow::Continue(())
    };
    let summary = read_slice(bytes, ReadOptions::DEFAULT, &mut sink).ok()?;
    Some((summary, rows))
}

fn in_order(bytes: &[u8]) -> Option<(Summary, Rows)> {
    let mut rows = Rows::new();
    let mut sink = |key: &[u8], cid: &Cid, _: Option<&[u8]>| {
        rows.push((key.to_vec(), *cid));
        ControlFlow::Continue(())
    };
    let mut reader = Preorder::new(ReadOptions::DEFAULT);
    for chunk in bytes.chunks(97) {
        reader.feed(chunk, &mut sink).ok()?;
    }
    let summary = reader.finish(&mut sink).ok()?;
    Some((summary, rows))
}

fuzz_target!(|bytes: &[u8]| {
    let any = by_index(bytes);
    let streamed = in_order(bytes);
    for (summary, rows) in any.iter().chain(&streamed) {
        let root = root_of(rows.iter().map(|(key, cid)| (key.as_slice(), *cid)));
        assert_eq!(root.ok(), Some(summary.commit.data), "accepted a tree that is not canonical");
        assert_eq!(summary.records, rows.len() as u64);
    }
    if let Some((_, rows)) = streamed {
        let any = any.map(|(_, rows)| rows);
        assert_eq!(any, Some(rows), "the reader for any order refuses what streams");
    }
});
