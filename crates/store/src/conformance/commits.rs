//! Commits onto the live repo.

use p2pds_ipld::Cid;
use p2pds_syntax::{Did, ErrorKind, Tid};

use super::{Factory, Rig, body, did, head, key, rev, row};
use crate::view::block_on;
use crate::{BucketUpdate, Change, Repo, StoreError, Unit, Version};

pub(super) fn run(factory: Factory<'_>) {
    creates_updates_and_deletes(factory);
    a_commit_happens_whole_or_not_at_all(factory);
    one_failing_unit_takes_no_other_with_it(factory);
}

pub(super) fn cid(text: &str) -> Cid {
    Cid::of_cbor(&body(text))
}

pub(super) fn change(path: &str, old: Option<&str>, new: Option<&str>) -> Change {
    Change {
        key: key(path),
        old: old.map(cid),
        new: new.map(|text| Version { cid: cid(text), body: Some(body(text)), blobs: vec![] }),
    }
}

pub(super) fn commit(did: &Did, expect: Tid, to: Tid, changes: Vec<Change>) -> Unit {
    let head = Box::new(head(did, to, cid(&format!("root at {to}"))));
    Unit::ApplyCommit {
        did: did.clone(),
        expect,
        head,
        changes,
        buckets: BucketUpdate::MarkDirty,
        seen: crate::Seen::default(),
    }
}

fn creates_updates_and_deletes(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let repo = rig.archive(&did(0), rev(1), &[row("a.b.c/1", "one"), row("a.b.c/2", "two")]);
    let first = rig.state(repo.id, None);
    let changes = vec![
        change("a.b.c/1", Some("one"), Some("uno")),
        change("a.b.c/2", Some("two"), None),
        change("x.y.z/3", None, Some("three")),
    ];
    rig.ok(commit(&did(0), rev(1), rev(2), changes));
    rig.ok(commit(&did(0), rev(2), rev(3), vec![change("a.b.c/2", None, Some("two again"))]));
    let live: Repo = rig.live(&did(0));
    assert_eq!((live.id, live.rev, live.records), (repo.id, rev(3), 3));
    let bytes = ["uno", "two again", "three"].iter().map(|t| body(t).len() as u64).sum::<u64>();
    assert_eq!(live.record_bytes, bytes, "counters follow");
    assert_eq!(rig.state(repo.id, Some(rev(1))), first, "the state before can be seen again");
    let second = rig.state(repo.id, Some(rev(2)));
    assert_eq!(
        second.into_iter().collect::<Vec<_>>(),
        [(key("a.b.c/1"), cid("uno")), (key("x.y.z/3"), cid("three"))]
    );
    let versions = block_on(rig.store.versions(&did(0), &key("a.b.c/2"))).unwrap();
    let lived: Vec<_> = versions.into_iter().map(|(row, until)| (row.body, row.since, until)).collect();
    assert_eq!(lived, [(Some(body("two")), rev(1), Some(rev(2))), (Some(body("two again")), rev(3), None)]);
    let log = block_on(rig.store.commits(&did(0), Some(rev(1)), 10)).unwrap();
    assert_eq!(log.iter().map(|c| c.head.rev).collect::<Vec<_>>(), [rev(2), rev(3)]);
    assert_eq!(
        log[0].head,
        head(&did(0), rev(2), cid(&format!("root at {}", rev(2)))),
        "history keeps heads whole"
    );
}

fn a_commit_happens_whole_or_not_at_all(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.archive(&did(0), rev(2), &[row("a.b.c/1", "one")]);
    let before = (rig.live(&did(0)), rig.state(rig.live(&did(0)).id, None));
    let good = change("a.b.c/9", None, Some("nine"));
    let refused: [(&str, Unit); 6] = [
        (
            "an old version that is not stored",
            commit(&did(0), rev(2), rev(3), vec![good.clone(), change("a.b.c/1", Some("other"), None)]),
        ),
        (
            "a create over a record",
            commit(&did(0), rev(2), rev(3), vec![good.clone(), change("a.b.c/1", None, Some("x"))]),
        ),
        (
            "a delete of nothing",
            commit(&did(0), rev(2), rev(3), vec![good.clone(), change("a.b.c/7", None, None)]),
        ),
        ("another head", commit(&did(0), rev(1), rev(3), vec![good.clone()])),
        ("an equal rev", commit(&did(0), rev(2), rev(2), vec![good.clone()])),
        ("an older rev", commit(&did(0), rev(2), rev(1), vec![good.clone()])),
    ];
    for (what, unit) in refused {
        assert_eq!(rig.apply(unit).unwrap_err().kind(), ErrorKind::Conflict, "{what}");
        assert_eq!((rig.live(&did(0)), rig.state(before.0.id, None)), before, "{what} changed something");
    }
    rig.add(&did(1));
    let none = rig.apply(commit(&did(1), rev(1), rev(2), vec![good]));
    assert!(matches!(none, Err(StoreError::HeadMoved { found: None, .. })), "{none:?}");
}

fn one_failing_unit_takes_no_other_with_it(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    for n in 0..4 {
        rig.archive(&did(n), rev(1), &[row("a.b.c/1", "one")]);
    }
    // Submitted together, so that an adapter with group commit has them in one group.
    let receipts: Vec<_> = (0..40_u64)
        .map(|n| {
            let who = did(u8::try_from(n % 4).unwrap());
            let turn = n / 4;
            let bad = n % 4 == 2;
            let old = bad.then_some("not there");
            let path = format!("a.b.c/new{turn}");
            let unit = commit(&who, rev(1 + turn), rev(2 + turn), vec![change(&path, old, Some("new"))]);
            (bad, rig.store.submit(unit))
        })
        .collect();
    for (bad, receipt) in receipts {
        assert_eq!(block_on(receipt).is_err(), bad);
    }
    for n in 0..4 {
        let records = rig.live(&did(n)).records;
        assert_eq!(records, if n == 2 { 1 } else { 11 }, "account {n}");
    }
}
