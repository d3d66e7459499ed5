//! Reports.

use super::{Factory, Rig, did};
use crate::hosting::{ReportClosed, ReportCounts, ReportRow, ReportsApplied, ReportsUnit};
use crate::view::block_on;
use crate::{Applied, HostingUnit, StoreError, Unit};

pub(super) fn run(factory: Factory<'_>) {
    open_ones_wait_until_they_are_closed(factory);
    the_list_is_bounded(factory);
    closed_ones_are_forgotten_in_time(factory);
    what_is_too_long_is_refused(factory);
    a_purge_leaves_nothing_that_names_the_account(factory);
}

fn report(id: i64, by: Option<u8>, about: Option<u8>) -> ReportRow {
    ReportRow {
        id,
        at: 10 * id,
        by: by.map(did),
        contact: "alice@example.com".into(),
        did: about.map(did),
        subject: about.map_or_else(
            || "alice.example".into(),
            |n| format!("at://{}/app.bsky.feed.post/3k", did(n).as_str()),
        ),
        cid: about.map(|_| "bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy".into()),
        kind: "removal".into(),
        words: "this is mine".into(),
        closed: None,
    }
}

fn unit(unit: ReportsUnit) -> Unit {
    Unit::Hosting(Box::new(HostingUnit::Reports(unit)))
}

fn put(row: ReportRow) -> Unit {
    unit(ReportsUnit::Put { row: Box::new(row), most: 3 })
}

fn close(id: i64, at: i64) -> Unit {
    let closed = ReportClosed { at, note: "settled".into() };
    unit(ReportsUnit::Close { id, closed, by: "operator".into() })
}

fn kept(id: i64) -> Applied {
    Applied::Reports(ReportsApplied::Kept { id })
}

fn open(rig: &Rig) -> Vec<i64> {
    block_on(rig.store.open_reports(0, 99)).unwrap().iter().map(|row| row.id).collect()
}

fn open_ones_wait_until_they_are_closed(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.add(&did(0));
    assert_eq!(block_on(rig.store.report_counts()).unwrap(), ReportCounts::default());
    assert_eq!(rig.ok(put(report(1, Some(0), Some(1)))), kept(1));
    assert_eq!(rig.ok(put(report(2, None, None))), kept(2));
    assert_eq!(block_on(rig.store.report(1)).unwrap(), Some(report(1, Some(0), Some(1))));
    assert_eq!(block_on(rig.store.open_reports(1, 9)).unwrap(), [report(2, None, None)]);
    assert_eq!(block_on(rig.store.open_reports(0, 1)).unwrap().len(), 1);
    let counts = block_on(rig.store.report_counts()).unwrap();
    assert_eq!(counts, ReportCounts { open: 2, oldest: Some(10) });

    assert_eq!(rig.ok(close(1, 50)), Applied::Reports(ReportsApplied::Done));
    assert_eq!(rig.ok(close(1, 60)), Applied::Reports(ReportsApplied::NotOpen));
    assert_eq!(rig.ok(close(9, 60)), Applied::Reports(ReportsApplied::NotOpen));
    assert_eq!(open(&rig), [2]);
    let closed = block_on(rig.store.closed_reports(9)).unwrap();
    let how = Some(ReportClosed { at: 50, note: "settled".into() });
    assert_eq!(closed, [ReportRow { closed: how, ..report(1, Some(0), Some(1)) }]);
    assert_eq!(block_on(rig.store.report(9)).unwrap(), None);
    let acts = block_on(rig.store.audits(Some(&did(1)), None, 9)).unwrap();
    let [act] = acts.as_slice() else { panic!("{acts:?}") };
    assert_eq!((act.who.as_str(), act.what.as_str(), act.at), ("operator", "closeReport", 50));
    assert_eq!((act.subject.as_str(), act.detail.as_str()), ("report 1", ""));
    let stranger = rig.apply(put(report(3, Some(5), None))).unwrap_err();
    assert!(matches!(stranger, StoreError::UnknownAccount(_)), "{stranger}");
}

fn the_list_is_bounded(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    for id in 1..=3 {
        assert_eq!(rig.ok(put(report(id, None, None))), kept(id));
    }
    assert_eq!(rig.ok(put(report(4, None, None))), Applied::Reports(ReportsApplied::Full));
    rig.ok(close(2, 50));
    let Applied::Reports(ReportsApplied::Kept { id }) = rig.ok(put(report(4, None, None))) else { panic!() };
    assert_eq!(open(&rig), [1, 3, id]);
}

fn closed_ones_are_forgotten_in_time(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    for id in 1..=3 {
        rig.ok(put(report(id, None, None)));
    }
    rig.ok(close(1, 50));
    rig.ok(close(3, 60));
    rig.ok(unit(ReportsUnit::Forget { before: 60 }));
    let closed: Vec<i64> = block_on(rig.store.closed_reports(9)).unwrap().iter().map(|row| row.id).collect();
    assert_eq!((closed, open(&rig)), (vec![3], vec![2]));
    rig.ok(unit(ReportsUnit::Forget { before: 61 }));
    assert_eq!(rig.ok(put(report(4, None, None))), kept(4), "no number is given twice");
}

fn what_is_too_long_is_refused(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let long = ReportRow { words: "a".repeat(20_001), ..report(1, None, None) };
    assert!(matches!(rig.apply(put(long)), Err(StoreError::InvalidUnit(_))));
    let long = ReportRow { contact: "a".repeat(501), ..report(1, None, None) };
    assert!(matches!(rig.apply(put(long)), Err(StoreError::InvalidUnit(_))));
    let most = ReportRow { words: "a".repeat(20_000), contact: "a".repeat(500), ..report(1, None, None) };
    rig.ok(put(most));
}

fn a_purge_leaves_nothing_that_names_the_account(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.add(&did(0));
    rig.add(&did(1));
    rig.ok(put(report(1, Some(0), Some(2))));
    rig.ok(put(report(2, Some(1), Some(0))));
    rig.ok(put(report(3, Some(0), Some(0))));
    block_on(crate::view::purge(&*rig.store, &did(0), "asked", 2)).unwrap();
    let left = block_on(rig.store.open_reports(0, 9)).unwrap();
    let blank =
        ReportRow { by: None, contact: String::new(), words: String::new(), ..report(1, None, Some(2)) };
    assert_eq!(left, [blank], "what it sent stays without it, what is about it goes");
}
