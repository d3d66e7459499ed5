//! Operations explained: what is said about undoing them is what the rules of the log allow, to the microsecond.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use p2pds_crypto::{Curve, PrivateKey, Signer as _};
use p2pds_identity::plc::{Data, Difference, Log, LogEntry, Unsigned, validate_log};
use p2pds_syntax::Datetime;

const HOUR: i64 = 3_600_000_000;
const START: i64 = 1_767_225_600_000_000;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_entropy(Curve::K256, [seed; 32])
}

fn at(micros: i64) -> Datetime {
    Datetime::from_unix_micros(micros).unwrap()
}

/// Rotation keys 1, 2, 3, of falling authority.
fn genesis() -> Log {
    let mut data = Data::default();
    for seed in [3, 2, 1] {
        data.put_rotation_key_first(&key(seed).public_key());
    }
    data.set_signing_key(&key(9).public_key());
    data.set_pds("https://a.example.com");
    let operation = Unsigned::genesis(data).sign(&key(3)).unwrap();
    let (did, cid) = (operation.created_did().unwrap(), operation.cid());
    validate_log(
        &did,
        &[LogEntry { did: did.clone(), operation, cid, nullified: false, created_at: at(START) }],
    )
    .unwrap()
}

fn then(log: &Log, from: usize, signer: u8, micros: i64, change: impl FnOnce(&mut Data)) -> Log {
    let entry = &log.entries()[from];
    let mut data = entry.operation.data().unwrap();
    change(&mut data);
    log.append(Unsigned::update(&entry.cid, data).sign(&key(signer)).unwrap(), at(micros)).unwrap()
}

#[test]
fn what_is_said_to_undo_an_operation_does_and_nothing_else_does() {
    let log = then(&genesis(), 0, 2, START + HOUR, |data| data.set_pds("https://b.example.com"));
    let log = then(&log, 1, 3, START + 10 * HOUR, |data| data.set_pds("https://c.example.com"));
    // The third operation can be undone by the two keys above its signer, and, together with the second, by the first.
    let ways = log.ways_to_undo(2);
    let did_key = |seed: u8| key(seed).public_key().to_did_key();
    assert_eq!(ways.len(), 2);
    assert_eq!(ways[0].keys, [(0, did_key(1)), (1, did_key(2))]);
    assert_eq!(
        (ways[0].from, ways[0].voids_from, ways[0].until),
        (log.entries()[1].cid, 2, START + 82 * HOUR)
    );
    assert_eq!(ways[1].keys, [(0, did_key(1))]);
    assert_eq!(
        (ways[1].from, ways[1].voids_from, ways[1].until),
        (log.entries()[0].cid, 1, START + 73 * HOUR)
    );
    for prev in 0..2 {
        let from = &log.entries()[prev];
        for seed in 1..=3 {
            for (late, moment) in [(false, 0), (true, 1)] {
                let said = ways
                    .iter()
                    .find(|way| way.from == from.cid && way.keys.iter().any(|(_, k)| *k == did_key(seed)));
                let until = said.map_or(START + 20 * HOUR, |way| way.until) + moment;
                let undone =
                    Unsigned::update(&from.cid, from.operation.data().unwrap()).sign(&key(seed)).unwrap();
                let taken = log.append(undone, at(until));
                assert_eq!(taken.is_ok(), said.is_some() && !late, "from {prev} by key {seed}: {taken:?}");
                if let (Ok(after), Some(way)) = (taken, said) {
                    assert!(way.is_open(until));
                    let void: Vec<usize> = (0..3).filter(|n| after.entries()[*n].nullified).collect();
                    assert_eq!(void, (way.voids_from..3).collect::<Vec<_>>());
                    assert_eq!(after.step(3).unwrap().undid, void);
                    assert!(after.ways_to_undo(2).is_empty(), "it is void");
                }
            }
        }
    }
}

#[test]
fn what_changed_and_who_signed() {
    let log = then(&genesis(), 0, 2, START + HOUR, |data| {
        data.rotation_keys.remove(0);
        data.put_rotation_key_first(&key(7).public_key());
        data.set_signing_key(&key(8).public_key());
    });
    let step = log.step(1).unwrap();
    let signer = step.signer.unwrap();
    assert_eq!((signer.position, signer.of, signer.key), (1, 3, key(2).public_key().to_did_key()));
    let words: Vec<String> = step.differences.iter().map(ToString::to_string).collect();
    assert!(words[0].starts_with("rotation key added at place 1"), "{words:?}");
    assert!(words[1].starts_with("rotation key removed, it was at place 1"), "{words:?}");
    assert!(words[2].starts_with("signing key changed from"), "{words:?}");
    assert!(step.differences.iter().all(Difference::is_grave));
    assert_eq!(log.step(0).unwrap().differences, [Difference::Created]);
    assert_eq!(log.step(2), None);

    // A second recovery does not claim what the first one had undone.
    let log = then(&log, 0, 1, START + 2 * HOUR, |data| data.set_pds("https://d.example.com"));
    assert_eq!(log.step(2).unwrap().undid, [1]);
    let log = then(&log, 2, 3, START + 3 * HOUR, |_| ());
    assert_eq!(log.step(3).unwrap().differences, []);
    let log = then(&log, 2, 2, START + 4 * HOUR, |_| ());
    assert_eq!(log.step(4).unwrap().undid, [3]);

    let end = Unsigned::tombstone(log.head()).sign(&key(3)).unwrap();
    let log = log.append(end, at(START + 5 * HOUR)).unwrap();
    assert_eq!(log.step(5).unwrap().differences, [Difference::Deleted]);
    let log = then(&log, 4, 1, START + 6 * HOUR, |data| data.rotation_keys.reverse());
    assert_eq!(log.step(6).unwrap().differences, [Difference::Revived, Difference::RotationKeysReordered]);
}
