//! Limits and malformed units.

use p2pds_syntax::ErrorKind;

use super::commits::{change, commit};
use super::{Factory, Rig, did, rev, row};
use crate::view::block_on;
use crate::{CHUNK_ROWS, Unit};

pub(super) fn run(factory: Factory<'_>) {
    malformed_units_are_refused(factory);
    a_full_queue_refuses_and_recovers(factory);
}

fn malformed_units_are_refused(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.archive(&did(0), rev(1), &[]);
    let repo = rig.begin(&did(0), rev(2));
    let stage = |rows| Unit::StageRecords { did: did(0), repo, rows };
    let many = |n: usize| (0..n).map(|n| row(&format!("a.b.c/{n:06}"), "x")).collect::<Vec<_>>();
    let long = "long ".repeat(13_000);
    let cases = [
        ("too many rows", stage(many(CHUNK_ROWS + 1))),
        ("unsorted rows", stage(vec![row("a.b.c/2", "x"), row("a.b.c/1", "x")])),
        ("a key twice", stage(vec![row("a.b.c/2", "x"), row("a.b.c/2", "y")])),
        ("too many bytes", stage((10..80).map(|n| row(&format!("a.b.c/{n}"), &long)).collect())),
        (
            "a change twice",
            commit(
                &did(0),
                rev(1),
                rev(2),
                vec![change("a.b.c/1", None, Some("x")), change("a.b.c/1", None, Some("y"))],
            ),
        ),
    ];
    for (what, unit) in cases {
        assert_eq!(rig.apply(unit).unwrap_err().kind(), ErrorKind::Invalid, "{what}");
    }
    rig.ok(stage(many(CHUNK_ROWS)));
}

fn a_full_queue_refuses_and_recovers(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.add(&did(0));
    let receipts: Vec<_> = (0..5_000)
        .map(|n| rig.store.submit(Unit::PutSetting { name: "n".into(), value: Some(n.to_string()) }))
        .collect();
    let mut last = None;
    for (n, receipt) in receipts.into_iter().enumerate() {
        match block_on(receipt) {
            Ok(_) => last = Some(n.to_string()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
    }
    assert_eq!(block_on(rig.store.setting("n")).unwrap(), last, "what was confirmed is stored, in order");
    rig.ok(Unit::PutSetting { name: "n".into(), value: None });
}
