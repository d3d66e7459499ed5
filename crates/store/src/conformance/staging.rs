//! Staging, flips, folding a replaced repo into the history.

use p2pds_ipld::Cid;
use p2pds_syntax::ErrorKind;

use super::{Factory, Rig, blob, body, did, head, key, rev, row, tree};
use crate::view::{block_on, drop_repo};
use crate::{
    Applied, BlobRef, BucketUpdate, Change, RecordsQuery, Role, StagedRow, StoreError, Unit, Version,
};

pub(super) fn run(factory: Factory<'_>) {
    staged_rows_are_invisible_until_the_flip(factory);
    pages_are_in_tree_order(factory);
    one_cid_at_two_paths_missing_and_odd_rows(factory);
    a_flip_never_goes_back(factory);
    a_replaced_repo_becomes_history(factory);
    staging_that_is_given_up_leaves_nothing(factory);
    many_blobs_are_looked_at_in_steps(factory);
}

fn staged_rows_are_invisible_until_the_flip(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.add(&did(0));
    let (repo, root) = rig.stage(&did(0), rev(1), &[row("a.b.c/1", "one"), row("a.b.c/2", "two")]);
    assert!(block_on(rig.store.live_repo(&did(0))).unwrap().is_none());
    assert_eq!(rig.account(&did(0)).records, 0);
    let staged = block_on(rig.store.repos(Some(&did(0)))).unwrap();
    assert_eq!((staged.len(), staged[0].role, staged[0].records), (1, Role::Staging, 2));
    assert!(matches!(
        rig.flip(&did(0), repo, None, head(&did(0), rev(2), root)),
        Err(StoreError::Mismatch { .. })
    ));
    let mut signed = head(&did(0), rev(1), root);
    signed.raw = Some(b"an odd commit".to_vec());
    assert_eq!(rig.flip(&did(0), repo, None, signed.clone()).unwrap(), Applied::Flipped { replaced: None });
    let live = rig.live(&did(0));
    assert_eq!((live.id, live.role, live.head), (repo, Role::Archived, Some(signed.clone())));
    let log = block_on(rig.store.commits(&did(0), None, 10)).unwrap();
    assert_eq!(log.into_iter().map(|c| c.head).collect::<Vec<_>>(), [signed]);
    let found = block_on(rig.store.record(repo, &key("a.b.c/2"))).unwrap().unwrap();
    assert_eq!((found.body, found.since, found.damaged), (Some(body("two")), rev(1), false));
    assert!(block_on(rig.store.record(repo, &key("a.b.c/3"))).unwrap().is_none());
    assert!(block_on(rig.store.record(repo, &key("x.y.z/1"))).unwrap().is_none());
}

fn pages_are_in_tree_order(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    // `x.feed.post/` comes before `x.feed/`, and `x.feed-a/` before both.
    let paths = ["x.feed/a", "x.feed/b", "x.feed.post/a", "x.feed.post/z", "x.feed-a/q", "x.y/self", "w.w/0"];
    let rows: Vec<_> = paths.iter().map(|p| row(p, p)).collect();
    let repo = rig.archive(&did(0), rev(1), &rows).id;
    let mut sorted: Vec<_> = paths.iter().map(|p| key(p)).collect();
    sorted.sort();
    for max_rows in 1..=paths.len() {
        let query = RecordsQuery { max_rows, ..RecordsQuery::all(repo) };
        let keys: Vec<_> = rig.all(query).into_iter().map(|r| r.key).collect();
        assert_eq!(keys, sorted, "in pages of {max_rows}");
    }
    let tiny = RecordsQuery { max_bytes: 1, ..RecordsQuery::all(repo) };
    assert_eq!(rig.all(tiny).len(), paths.len(), "a page has one row at least");
    // Every half-open range, by real keys and by their collections alone.
    let bounds: Vec<Vec<u8>> = sorted
        .iter()
        .flat_map(|k| [k.as_bytes().to_vec(), k.collection().as_bytes().to_vec()])
        .chain([Vec::new(), b"x.feed/".to_vec(), b"zzz".to_vec()])
        .collect();
    for from in &bounds {
        for until in &bounds {
            let mut query = RecordsQuery::all(repo).keys_only();
            query.from.clone_from(from);
            query.until = Some(until.clone());
            let got: Vec<_> =
                block_on(rig.store.records(query)).unwrap().into_iter().map(|r| r.key).collect();
            let want: Vec<_> = sorted
                .iter()
                .filter(|k| k.as_bytes() >= &from[..] && k.as_bytes() < &until[..])
                .cloned()
                .collect();
            assert_eq!(got, want, "{from:?} until {until:?}");
        }
    }
    let counts = block_on(rig.store.collections(repo)).unwrap();
    let counts: Vec<_> = counts.iter().map(|c| (c.collection.as_str(), c.records)).collect();
    assert_eq!(counts, [("w.w", 1), ("x.feed-a", 1), ("x.feed.post", 2), ("x.feed", 2), ("x.y", 1)]);
}

fn one_cid_at_two_paths_missing_and_odd_rows(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let lost = StagedRow { body: None, ..row("a.b.c/lost", "lost") };
    let raw = b"not CBOR at all, but that is what the tree names".to_vec();
    let odd = StagedRow { key: key("a.b.c/raw"), cid: Cid::of_raw(&raw), body: Some(raw), blobs: vec![] };
    let large = row("a.b.c/large", &"long text ".repeat(6_000));
    let empty =
        StagedRow { key: key("a.b.c/empty"), cid: Cid::of_cbor(b""), body: Some(vec![]), blobs: vec![] };
    let rows = [row("a.b.c/1", "twin"), row("a.b.c/2", "twin"), lost.clone(), odd, large, empty];
    let repo = rig.archive(&did(0), rev(1), &rows);
    for row in &rows {
        let found = block_on(rig.store.record(repo.id, &row.key)).unwrap().unwrap();
        assert_eq!((found.cid, found.body, found.damaged), (row.cid, row.body.clone(), false), "{}", row.key);
    }
    let repair = |cid: Cid, body: Vec<u8>| Unit::RepairRecord {
        did: did(0),
        repo: repo.id,
        key: lost.key.clone(),
        cid,
        body,
        blobs: vec![],
    };
    assert_eq!(rig.apply(repair(lost.cid, body("else"))).unwrap_err().kind(), ErrorKind::Invalid);
    let other = body("else");
    assert_eq!(rig.apply(repair(Cid::of_cbor(&other), other)).unwrap_err().kind(), ErrorKind::Conflict);
    rig.ok(repair(lost.cid, body("lost")));
    let found = block_on(rig.store.record(repo.id, &lost.key)).unwrap().unwrap();
    assert_eq!(found.body, Some(body("lost")));
    assert_eq!(rig.live(&did(0)).record_bytes, repo.record_bytes + body("lost").len() as u64);
}

fn a_flip_never_goes_back(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.archive(&did(0), rev(5), &[row("a.b.c/1", "one")]);
    for n in [4, 5] {
        let (repo, root) = rig.stage(&did(0), rev(n), &[row("a.b.c/1", "old")]);
        let refused = rig.flip(&did(0), repo, Some(rev(5)), head(&did(0), rev(n), root));
        assert!(matches!(refused, Err(StoreError::NotNewer { .. })), "rev {n}: {refused:?}");
    }
    let (repo, root) = rig.stage(&did(0), rev(6), &[row("a.b.c/1", "new")]);
    for expect in [None, Some(rev(4))] {
        let refused = rig.flip(&did(0), repo, expect, head(&did(0), rev(6), root));
        assert!(matches!(refused, Err(StoreError::HeadMoved { .. })), "{refused:?}");
    }
    assert_eq!(rig.live(&did(0)).rev, rev(5), "a refused flip changes nothing");
    rig.flip(&did(0), repo, Some(rev(5)), head(&did(0), rev(6), root)).unwrap();
    let (repo, root) = rig.stage(&did(0), rev(2), &[row("a.b.c/1", "chosen")]);
    rig.ok(Unit::Flip {
        did: did(0),
        repo,
        expect: Some(rev(6)),
        head: Box::new(head(&did(0), rev(2), root)),
        role: Role::Archived,
        accept_older: true,
        at: 0,
    });
    assert_eq!(rig.live(&did(0)).rev, rev(2), "an operator may accept an older head");
}

fn a_replaced_repo_becomes_history(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let many: Vec<_> = (0..1_500).map(|n| row(&format!("a.b.c/{n:05}"), &format!("same {n}"))).collect();
    let first = [&many[..], &[row("a.b.d/changed", "before"), row("a.b.d/gone", "gone")]].concat();
    let second = [&many[..], &[row("a.b.d/changed", "after"), row("a.b.d/new", "new")]].concat();
    rig.archive(&did(0), rev(1), &first);
    let (repo, root) = rig.stage(&did(0), rev(2), &second);
    let flipped = rig.flip(&did(0), repo, Some(rev(1)), head(&did(0), rev(2), root)).unwrap();
    let Applied::Flipped { replaced: Some(old) } = flipped else { panic!("{flipped:?}") };
    let step = rig.ok(Unit::DropRepo { did: did(0), repo: old });
    assert!(matches!(step, Applied::Chunk { rows: 1_000, done: false }), "{step:?}");
    // Live commits in the middle of the folding: one on a row already folded, one on a row to come.
    let mut now = rig.state(repo, None);
    for (n, path, from, to) in
        [(3, "a.b.c/00001", "same 1", "third"), (4, "a.b.c/01400", "same 1400", "fourth")]
    {
        let new = body(to);
        now.insert(key(path), Cid::of_cbor(&new));
        let (root, _) = tree(now.iter());
        rig.ok(Unit::ApplyCommit {
            did: did(0),
            expect: rev(n - 1),
            head: Box::new(head(&did(0), rev(n), root)),
            changes: vec![Change {
                key: key(path),
                old: Some(Cid::of_cbor(&body(from))),
                new: Some(Version { cid: Cid::of_cbor(&new), body: Some(new), blobs: vec![] }),
            }],
            buckets: BucketUpdate::MarkDirty,
            seen: crate::Seen::default(),
        });
    }
    block_on(drop_repo(&*rig.store, &did(0), old)).unwrap();
    assert_eq!(rig.ok(Unit::DropRepo { did: did(0), repo: old }), Applied::Chunk { rows: 0, done: true });
    assert_eq!(block_on(rig.store.repos(Some(&did(0)))).unwrap().len(), 1);
    let map = |rows: &[StagedRow]| rows.iter().map(|r| (r.key.clone(), r.cid)).collect();
    assert_eq!(rig.state(repo, Some(rev(1))), map(&first), "the first state can be seen again");
    assert_eq!(rig.state(repo, Some(rev(2))), map(&second), "and the second");
    assert_eq!(rig.state(repo, None), now, "and the present one");
    let same = block_on(rig.store.record(repo, &key("a.b.c/00700"))).unwrap().unwrap();
    assert_eq!(same.since, rev(1), "an unchanged row keeps the rev it appeared at");
    let versions = block_on(rig.store.versions(&did(0), &key("a.b.c/01400"))).unwrap();
    let lived: Vec<_> = versions.iter().map(|(row, until)| (row.since, *until)).collect();
    assert_eq!(lived.first().unwrap().0, rev(1));
    assert_eq!(lived.last().unwrap(), &(rev(4), None));
    let live = rig.apply(Unit::DropRepo { did: did(0), repo });
    assert_eq!(live.unwrap_err().kind(), ErrorKind::Invalid, "the live repo cannot be dropped");
}

fn staging_that_is_given_up_leaves_nothing(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let rows: Vec<_> = (0..2_300).map(|n| row(&format!("a.b.c/{n:05}"), "x")).collect();
    let live = rig.archive(&did(0), rev(1), &[row("a.b.c/00000", "mine")]);
    let (repo, _) = rig.stage(&did(0), rev(2), &rows);
    block_on(drop_repo(&*rig.store, &did(0), repo)).unwrap();
    assert_eq!(rig.live(&did(0)), live);
    assert_eq!(block_on(rig.store.repos(None)).unwrap().len(), 1);
    let versions = block_on(rig.store.versions(&did(0), &key("a.b.c/00000"))).unwrap();
    assert_eq!(versions.len(), 1, "staging never was a state");
    let refused = rig.apply(Unit::StageRecords { did: did(0), repo, rows: vec![row("a.b.c/1", "x")] });
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound);
    // Blobs that only such a repo has named are nobody's; those of the live repo stay.
    let mut pictured = row("a.b.c/1", "mine");
    pictured.blobs = vec![blob(1, 10)];
    rig.archive(&did(2), rev(1), &[pictured.clone()]);
    pictured.blobs.push(blob(2, 20));
    let (repo, _) = rig.stage(&did(2), rev(2), &[pictured]);
    assert_eq!(rig.account(&did(2)).blobs_missing, 2);
    block_on(drop_repo(&*rig.store, &did(2), repo)).unwrap();
    assert_eq!(rig.account(&did(2)).blobs_missing, 1);
    assert!(block_on(rig.store.blob(&did(2), &blob(1, 10).cid)).unwrap().is_some());
    assert!(block_on(rig.store.blob(&did(2), &blob(2, 20).cid)).unwrap().is_none());
    let foreign = rig.begin(&did(0), rev(9));
    rig.add(&did(1));
    let refused =
        rig.apply(Unit::StageRecords { did: did(1), repo: foreign, rows: vec![row("a.b.c/1", "x")] });
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound, "another account's staging is out of reach");
    let twice = Unit::StageRecords { did: did(0), repo: foreign, rows: vec![row("a.b.c/1", "x")] };
    rig.ok(twice.clone());
    assert_eq!(rig.apply(twice).unwrap_err().kind(), ErrorKind::Conflict, "no key twice");
}

fn many_blobs_are_looked_at_in_steps(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let named = |from: u32, count: u32, path: &str| {
        let blobs = (from..from + count).map(|n| BlobRef {
            cid: Cid::of_raw(&n.to_be_bytes()),
            size: 1,
            mime: "image/png".into(),
        });
        StagedRow { blobs: blobs.collect(), ..row(path, path) }
    };
    let kept: Vec<_> = (0..10).map(|n| named(n * 80, 80, &format!("a.b.c/{n}"))).collect();
    rig.archive(&did(3), rev(1), &kept);
    let more: Vec<_> = (0..30).map(|n| named(n * 80, 80, &format!("a.b.c/{n:02}"))).collect();
    let (repo, _) = rig.stage(&did(3), rev(2), &more);
    assert_eq!(rig.account(&did(3)).blobs_missing, 2_400);
    let mut steps = 0;
    loop {
        steps += 1;
        match rig.ok(Unit::DropRepo { did: did(3), repo }) {
            Applied::Chunk { rows, done } => {
                assert!(rows <= 1_000, "{rows} rows at once");
                if done {
                    break;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(steps > 4, "{steps} steps");
    assert_eq!(rig.account(&did(3)).blobs_missing, 800, "those that the live repo names are left");
    assert_eq!(rig.live(&did(3)).rev, rev(1));
}
