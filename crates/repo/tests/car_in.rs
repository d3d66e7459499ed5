//! Readers of whole repositories, on real files and on files made here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::ops::ControlFlow;

use p2pds_ipld::Cid;
use p2pds_repo::car_in::{ReadError, ReadOptions, Sink, Spool, Summary, read_slice, read_stream};

mod shared;

/// What a reader gave.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    commit: Option<(Cid, Vec<u8>)>,
    records: Vec<(Vec<u8>, Cid, Option<Vec<u8>>)>,
}

impl Sink for Seen {
    fn commit(&mut self, cid: &Cid, bytes: &[u8]) -> ControlFlow<()> {
        assert!(self.commit.is_none() && self.records.is_empty());
        self.commit = Some((*cid, bytes.to_vec()));
        ControlFlow::Continue(())
    }

    fn record(&mut self, key: &[u8], cid: &Cid, body: Option<&[u8]>) -> ControlFlow<()> {
        self.records.push((key.to_vec(), *cid, body.map(<[u8]>::to_vec)));
        ControlFlow::Continue(())
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

#[test]
fn look() {
    let Some(dir) = shared::shared("vectors/cars") else { return };
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let car = std::fs::read(&path).unwrap();
        eprintln!("{}", path.display());
        for (name, outcome) in [("slice", by_slice(&car)), ("stream", by_stream(&car)), ("spool", by_spool(&car, 5000))] {
            match outcome {
                Ok((summary, _)) => eprintln!("  {name} {summary:?}"),
                Err(error) => eprintln!("  {name} {error}"),
            }
        }
    }
}
