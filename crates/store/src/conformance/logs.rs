//! Logs and small rows.

use p2pds_syntax::ErrorKind;

use super::{Factory, Rig, did};
use crate::view::block_on;
use crate::{Evidence, Finding, IdentityRow, PlcRow, Unit, WorkerRow};

pub(super) fn run(factory: Factory<'_>) {
    plc_logs_never_shrink(factory);
    evidence_findings_workers_settings(factory);
}

fn plc_logs_never_shrink(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let op = |n: u8| PlcRow {
        operation: vec![b'{', n, b'}'],
        cid: format!("bafy{n}"),
        nullified: n == 1,
        created_at: format!("2026-01-0{n}T00:00:00Z"),
    };
    let put = |ops: Vec<PlcRow>, fetched_at| Unit::PutPlcLog { did: did(0), ops, fetched_at };
    assert_eq!(block_on(rig.store.plc_log(&did(0))).unwrap(), []);
    rig.ok(put(vec![op(0), op(1)], 5));
    assert_eq!(rig.apply(put(vec![op(0)], 6)).unwrap_err().kind(), ErrorKind::Conflict);
    rig.ok(put(vec![op(0), op(1), op(2)], 7));
    assert_eq!(block_on(rig.store.plc_log(&did(0))).unwrap(), [op(0), op(1), op(2)]);
    assert_eq!(block_on(rig.store.plc_fetched_at(&did(0))).unwrap(), Some(7));
    let row =
        IdentityRow { did: did(0), doc: b"{}".to_vec(), handle: Some("a.example".into()), fetched_at: 3 };
    rig.ok(Unit::PutIdentity(row.clone()));
    assert_eq!(block_on(rig.store.identity(&did(0))).unwrap(), Some(row));
}

fn evidence_findings_workers_settings(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let evidence = |at, kind: &str| Evidence {
        id: 0,
        times: 1,
        last_at: None,
        did: did(0),
        at,
        kind: kind.into(),
        detail: "{}".into(),
        data: (at == 1).then(|| vec![1, 2, 3]),
    };
    rig.ok(Unit::AddEvidence(evidence(1, "first")));
    rig.ok(Unit::AddEvidence(evidence(1, "first")));
    rig.ok(Unit::AddEvidence(evidence(0, "second")));
    let stored = block_on(rig.store.evidence(&did(0), 10)).unwrap();
    let kinds: Vec<_> = stored.iter().map(|e| e.kind.as_str()).collect();
    assert_eq!(kinds, ["second", "first", "first"], "newest first, nothing is merged");
    assert_eq!(stored[1].data, Some(vec![1, 2, 3]));
    rig.ok(Unit::RepeatEvidence { did: did(0), id: stored[1].id, at: 7 });
    rig.ok(Unit::RepeatEvidence { did: did(0), id: stored[1].id, at: 9 });
    let counted = block_on(rig.store.evidence(&did(0), 10)).unwrap();
    assert_eq!(
        counted.iter().map(|e| (e.times, e.last_at)).collect::<Vec<_>>(),
        [(1, None), (3, Some(9)), (1, None)]
    );

    let finding = |subject: &str, at| Finding {
        did: did(0),
        kind: "record-missing".into(),
        subject: subject.into(),
        detail: format!("seen at {at}"),
        first_at: at,
        last_at: at,
    };
    for (subject, at) in [("b", 1), ("a", 2), ("b", 9)] {
        rig.ok(Unit::PutFinding(finding(subject, at)));
    }
    let stored = block_on(rig.store.findings(&did(0), 10)).unwrap();
    assert_eq!(stored, [finding("a", 2), Finding { first_at: 1, ..finding("b", 9) }]);
    let resolve = |subject: Option<&str>| Unit::ResolveFindings {
        did: did(0),
        kind: "record-missing".into(),
        subject: subject.map(Into::into),
    };
    rig.ok(resolve(Some("a")));
    assert_eq!(block_on(rig.store.findings(&did(0), 10)).unwrap().len(), 1);
    rig.ok(resolve(None));
    assert_eq!(block_on(rig.store.findings(&did(0), 10)).unwrap(), []);

    let worker = |name: &str, done| WorkerRow {
        name: name.into(),
        did: Some(did(0)),
        state: "fetching".into(),
        done,
        total: 10,
        notes: "{}".into(),
        last_error: None,
        next_run: Some(4),
        updated_at: 5,
    };
    for row in [worker("sync:b", 1), worker("sync:a", 1), worker("sync:b", 2)] {
        rig.ok(Unit::PutWorker(row));
    }
    assert_eq!(block_on(rig.store.workers()).unwrap(), [worker("sync:a", 1), worker("sync:b", 2)]);
    rig.ok(Unit::DropWorker { name: "sync:a".into() });
    assert_eq!(block_on(rig.store.worker("sync:a")).unwrap(), None);
    assert_eq!(block_on(rig.store.worker("sync:b")).unwrap(), Some(worker("sync:b", 2)));

    for value in [Some("1".to_owned()), Some("2".to_owned()), None] {
        rig.ok(Unit::PutSetting { name: "x".into(), value: value.clone() });
        assert_eq!(block_on(rig.store.setting("x")).unwrap(), value);
    }
}
