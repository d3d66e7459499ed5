//! Purges.

use p2pds_syntax::ErrorKind;

use super::{Factory, Rig, did, rev, row};
use crate::conformance::commits::{change, commit};
use crate::view::{self, block_on};
use crate::{Applied, Evidence, PlcRow, RecordsQuery, Unit};

pub(super) fn run(factory: Factory<'_>) {
    everything_of_one_account_goes_and_nothing_else(factory);
}

fn everything_of_one_account_goes_and_nothing_else(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let rows: Vec<_> = (0..2_500).map(|n| row(&format!("a.b.c/{n:05}"), &format!("shared {n}"))).collect();
    for n in 0..3 {
        rig.archive(&did(n), rev(1), &rows);
        let changes = vec![change("a.b.c/00003", Some("shared 3"), Some("three"))];
        rig.ok(commit(&did(n), rev(1), rev(2), changes));
        rig.stage(&did(n), rev(3), &rows[..50]);
        let op =
            PlcRow { operation: vec![n], cid: "b".into(), nullified: false, created_at: "2026-01-01".into() };
        rig.ok(Unit::PutPlcLog { did: did(n), ops: vec![op], fetched_at: 1 });
        let kind = "equivocation".to_owned();
        rig.ok(Unit::AddEvidence(Evidence {
            id: 0,
            times: 1,
            last_at: None,
            did: did(n),
            at: 1,
            kind,
            detail: "{}".into(),
            data: None,
        }));
    }
    let others = || {
        [0, 2].map(|n| {
            let live = rig.live(&did(n));
            let at = RecordsQuery { at: Some(rev(1)), ..RecordsQuery::all(live.id) };
            let states = (rig.all(RecordsQuery::all(live.id)), rig.all(at));
            let buckets = block_on(rig.store.buckets(live.id, true)).unwrap();
            (live, rig.account(&did(n)), states, buckets, block_on(rig.store.plc_log(&did(n))).unwrap())
        })
    };
    let before = others();
    let repo = rig.live(&did(1)).id;
    rig.ok(Unit::PurgeBegin { did: did(1), basis: "the owner asked for it".into(), at: 9 });
    assert_eq!(block_on(rig.store.account(&did(1))).unwrap(), None, "hidden at once");
    assert!(block_on(rig.store.live_repo(&did(1))).unwrap().is_none());
    assert!(block_on(rig.store.records(RecordsQuery::all(repo))).is_err());
    assert_eq!(block_on(rig.store.commits(&did(1), None, 9)).unwrap(), []);
    let write = rig.apply(Unit::PatchAccount { did: did(1), patch: Box::default() });
    assert_eq!(write.unwrap_err().kind(), ErrorKind::Denied);
    let step = rig.ok(Unit::PurgeChunk { did: did(1) });
    assert!(matches!(step, Applied::Chunk { rows: 1_000, done: false }), "{step:?}");
    // Begun again after an interruption.
    let report = block_on(view::purge(&*rig.store, &did(1), "again", 10)).unwrap();
    assert_eq!(report.left, 0, "{report}");
    assert!(report.rows >= 2_550, "{report}");
    assert!(!report.outside.is_empty(), "what cannot be searched is named");
    assert_eq!(others(), before, "other accounts are unchanged");
    assert_eq!(block_on(rig.store.plc_log(&did(1))).unwrap(), []);
    assert_eq!(block_on(rig.store.evidence(&did(1), 9)).unwrap(), []);
    assert_eq!(block_on(rig.store.repos(Some(&did(1)))).unwrap(), []);
    let purges = block_on(rig.store.purges(9)).unwrap();
    assert_eq!(purges.len(), 1);
    assert_eq!((purges[0].basis.as_str(), purges[0].began_at), ("the owner asked for it", 9));
    assert!(purges[0].ended_at.is_some() && purges[0].report.is_some());
    assert_eq!(block_on(rig.store.check_structure()).unwrap(), Vec::<String>::new());
    // The account may come back.
    rig.archive(&did(1), rev(1), &rows[..10]);
    assert_eq!(rig.account(&did(1)).records, 10);
}
