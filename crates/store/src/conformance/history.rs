//! The history: what it says of each head, forgetting it, and heads that are accepted although they are older.

use p2pds_ipld::Cid;
use p2pds_syntax::ErrorKind;

use super::blobs::naming;
use super::{Factory, Rig, did, head, rev, row};
use crate::conformance::commits::{change, commit};
use crate::view::{block_on, drop_repo};
use crate::{Applied, BlobFilter, Change, ChangeCounts, Role, Seen, StagedRow, Unit, Version};

pub(super) fn run(factory: Factory<'_>) {
    a_head_says_when_it_came_and_what_it_changed(factory);
    pruning_forgets_what_is_older_and_nothing_else(factory);
    blobs_are_let_go_with_the_last_version_that_names_them(factory);
    an_older_head_begins_a_line_of_its_own(factory);
}

/// Repeats a unit until it is done; answers the rows.
fn until_done(rig: &Rig, unit: &Unit) -> u64 {
    let mut all = 0;
    loop {
        match rig.ok(unit.clone()) {
            Applied::Chunk { rows, done } => {
                all += rows;
                if done {
                    return all;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn a_head_says_when_it_came_and_what_it_changed(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.archive(&did(0), rev(1), &[row("a.b.c/1", "one"), row("a.b.c/2", "two"), row("a.b.c/3", "three")]);
    let changes = vec![
        change("a.b.c/0", None, Some("zero")),
        change("a.b.c/1", Some("one"), Some("uno")),
        change("a.b.c/2", Some("two"), None),
        change("a.b.c/3", Some("three"), None),
    ];
    let Unit::ApplyCommit { did: who, expect, head, changes, buckets, .. } =
        commit(&did(0), rev(1), rev(2), changes)
    else {
        panic!("not a commit")
    };
    let seen = Seen { at: 77, since: Some(rev(1)) };
    rig.ok(Unit::ApplyCommit { did: who, expect, head, changes, buckets, seen });
    let rows = block_on(rig.store.history(&did(0), None, 9)).unwrap();
    let revs: Vec<_> = rows.iter().map(|row| row.head.rev).collect();
    assert_eq!(revs, [rev(2), rev(1)], "newest first");
    let counts = ChangeCounts { created: 1, updated: 1, deleted: 2 };
    assert_eq!((rows[0].seen_at, rows[0].since, rows[0].counts), (Some(77), Some(rev(1)), Some(counts)));
    assert_eq!((rows[1].seen_at, rows[1].since, rows[1].counts), (None, None, None));
    let page = block_on(rig.store.history(&did(0), Some(rev(2)), 9)).unwrap();
    assert_eq!(page, rows[1..], "the next page");
    let up = block_on(rig.store.commits(&did(0), None, 9)).unwrap();
    assert_eq!(up, [rows[1].clone(), rows[0].clone()], "the same from the other end");
}

fn pruning_forgets_what_is_older_and_nothing_else(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let rows: Vec<_> = (0..900).map(|n| row(&format!("a.b.c/{n:05}"), &format!("old {n}"))).collect();
    for who in [did(0), did(1)] {
        rig.archive(&who, rev(1), &rows);
        let every = |from: &str, to: &str| -> Vec<Change> {
            let one = |n: usize| {
                change(&format!("a.b.c/{n:05}"), Some(&format!("{from} {n}")), Some(&format!("{to} {n}")))
            };
            (0..900).map(one).collect()
        };
        rig.ok(commit(&who, rev(1), rev(2), every("old", "new")));
        rig.ok(commit(&who, rev(2), rev(3), every("new", "newer")));
        rig.ok(commit(&who, rev(3), rev(4), vec![change("a.b.c/00000", Some("newer 0"), None)]));
    }
    let repo = rig.live(&did(0)).id;
    let states: Vec<_> = (2..=4).map(|n| rig.state(repo, Some(rev(n)))).collect();
    let others = |n| rig.state(rig.live(&did(1)).id, Some(rev(n)));
    let foreign = others(1);
    let prune = |before| Unit::Prune { did: did(0), line: 0, before };
    assert_eq!(
        rig.apply(prune(Some(rev(5)))).unwrap_err().kind(),
        ErrorKind::Conflict,
        "newer than the head"
    );
    assert_eq!(rig.apply(prune(None)).unwrap_err().kind(), ErrorKind::Conflict, "the live line stays");
    let step = rig.ok(prune(Some(rev(2))));
    assert!(matches!(step, Applied::Chunk { rows: 1..=1_000, done: false }), "{step:?}");
    assert_eq!(rig.account(&did(0)).horizon, Some(rev(2)), "known from the first step on");
    let rest = until_done(&rig, &prune(Some(rev(2))));
    assert!(rest >= 400, "{rest}");
    assert_eq!(until_done(&rig, &prune(Some(rev(2)))), 0, "nothing is left to do");
    let revs: Vec<_> =
        block_on(rig.store.history(&did(0), None, 9)).unwrap().iter().map(|row| row.head.rev).collect();
    assert_eq!(revs, [rev(4), rev(3), rev(2)]);
    for (n, state) in (2..=4).zip(&states) {
        assert_eq!(&rig.state(repo, Some(rev(n))), state, "the state at rev {n} is whole");
    }
    assert_eq!(rig.live(&did(0)).rev, rev(4));
    assert_eq!(others(1), foreign, "another account's history is its own");
    until_done(&rig, &prune(Some(rev(4))));
    assert_eq!(rig.state(repo, None), states[2]);
    let versions = block_on(rig.store.versions(&did(0), &super::key("a.b.c/00000"))).unwrap();
    assert_eq!(versions, [], "a deleted record is gone for good");
    until_done(&rig, &prune(Some(rev(3))));
    assert_eq!(rig.account(&did(0)).horizon, Some(rev(4)), "the horizon never goes back");
}

fn blobs_are_let_go_with_the_last_version_that_names_them(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.archive(&did(0), rev(1), &[naming("a.b.c/1", &[1, 2]), naming("a.b.c/2", &[2])]);
    let replace = |path: &str, from: &[u8], to: &[u8]| {
        let StagedRow { key, cid, body, blobs } = naming(path, to);
        Change { key, old: Some(naming(path, from).cid), new: Some(Version { cid, body, blobs }) }
    };
    // Version 1 names 1 and 2, version 2 names 1 and 3, version 3 names 4.
    rig.ok(commit(&did(0), rev(1), rev(2), vec![replace("a.b.c/1", &[1, 2], &[1, 3])]));
    rig.ok(commit(&did(0), rev(2), rev(3), vec![replace("a.b.c/1", &[1, 3], &[4])]));
    let unnamed = || super::blobs::list(&rig, BlobFilter::Unreferenced);
    let prune = |n| until_done(&rig, &Unit::Prune { did: did(0), line: 0, before: Some(rev(n)) });
    assert_eq!(unnamed(), []);
    prune(2);
    assert_eq!(unnamed(), [], "1 is named by the version that is left, 2 by another record");
    prune(3);
    assert_eq!(unnamed(), super::blobs::sorted(&[1, 3]));
}

fn an_older_head_begins_a_line_of_its_own(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.archive(&did(0), rev(2), &[row("a.b.c/1", "one"), row("a.b.c/2", "two")]);
    rig.ok(commit(&did(0), rev(2), rev(6), vec![change("a.b.c/1", Some("one"), Some("six"))]));
    let old = rig.live(&did(0));
    let states: Vec<_> = [2, 6].iter().map(|n| rig.state(old.id, Some(rev(*n)))).collect();
    let accept = |n: u64, rows: &[StagedRow]| {
        let (repo, root) = rig.stage(&did(0), rev(n), rows);
        let expect = Some(rig.live(&did(0)).rev);
        let head = Box::new(head(&did(0), rev(n), root));
        let (who, role) = (did(0), Role::Archived);
        rig.ok(Unit::Flip { did: who, repo, expect, head, role, accept_older: true, at: 9 })
    };
    let flipped = accept(4, &[row("a.b.c/1", "four")]);
    assert_eq!(flipped, Applied::Flipped { replaced: None }, "the head that was live is kept");
    rig.ok(commit(&did(0), rev(4), rev(5), vec![change("a.b.c/1", Some("four"), Some("five"))]));
    rig.ok(commit(&did(0), rev(5), rev(7), vec![change("a.b.c/1", Some("five"), None)]));
    let new = rig.live(&did(0));
    assert_eq!((old.line, new.line), (0, 1));
    let lines: Vec<_> = block_on(rig.store.history(&did(0), None, 9))
        .unwrap()
        .iter()
        .map(|row| (row.head.rev, row.line))
        .collect();
    assert_eq!(lines, [(rev(7), 1), (rev(6), 0), (rev(5), 1), (rev(4), 1), (rev(2), 0)]);
    let only = |text: &str| -> std::collections::BTreeMap<_, Cid> {
        [row("a.b.c/1", text)].into_iter().map(|row| (row.key, row.cid)).collect()
    };
    assert_eq!(rig.state(new.id, Some(rev(4))), only("four"), "nothing of the other line is mixed in");
    assert_eq!(rig.state(new.id, Some(rev(5))), only("five"));
    assert_eq!(rig.state(new.id, None).len(), 0);
    for (n, state) in [2, 6].into_iter().zip(&states) {
        assert_eq!(&rig.state(old.id, Some(rev(n))), state, "the line that was left can still be rebuilt");
    }
    // The line that was left goes in two steps.
    let line = |line| Unit::Prune { did: did(0), line, before: None };
    assert_eq!(rig.apply(line(0)).unwrap_err().kind(), ErrorKind::Conflict, "its repo goes first");
    block_on(drop_repo(&*rig.store, &did(0), old.id)).unwrap();
    assert!(until_done(&rig, &line(0)) >= 2);
    let revs: Vec<_> =
        block_on(rig.store.history(&did(0), None, 9)).unwrap().iter().map(|row| row.head.rev).collect();
    assert_eq!(revs, [rev(7), rev(5), rev(4)]);
    assert_eq!(rig.state(new.id, Some(rev(4))), only("four"));
    // A purge finds the rows of every line.
    accept(3, &[row("a.b.c/9", "nine")]);
    rig.ok(commit(&did(0), rev(3), rev(8), vec![change("a.b.c/9", Some("nine"), None)]));
    let report = block_on(crate::view::purge(&*rig.store, &did(0), "test", 1)).unwrap();
    assert_eq!(report.left, 0, "{report}");
    assert_eq!(block_on(rig.store.check_structure()).unwrap(), Vec::<String>::new());
}
