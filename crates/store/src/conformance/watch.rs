//! Alerts, samples, findings of all accounts.

use super::{Factory, Rig, did};
use crate::view::block_on;
use crate::{AfterFinding, AlertRow, Finding, SampleRow, Unit};

pub(super) fn run(factory: Factory<'_>) {
    alerts_are_kept_until_they_are_forgotten(factory);
    samples_age(factory);
    findings_of_all_accounts_page(factory);
}

fn alerts_are_kept_until_they_are_forgotten(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let alert = |id: &str, opened_at, closed_at| AlertRow {
        id: id.into(),
        did: (id != "node").then(|| did(0)),
        kind: "damaged".into(),
        subject: String::new(),
        detail: "x".into(),
        opened_at,
        closed_at,
        told: closed_at.is_some(),
        told_recovery: false,
        mailed: id == "b",
        mailed_recovery: id == "node",
    };
    for row in [alert("a", 1, None), alert("node", 2, None), alert("b", 3, None), alert("a", 1, Some(5))] {
        rig.ok(Unit::PutAlert(row));
    }
    let open = block_on(rig.store.alerts(true, 10)).unwrap();
    assert_eq!(open, [alert("b", 3, None), alert("node", 2, None)]);
    let all = block_on(rig.store.alerts(false, 10)).unwrap();
    assert_eq!(all, [alert("b", 3, None), alert("node", 2, None), alert("a", 1, Some(5))]);
    assert_eq!(block_on(rig.store.alerts(false, 1)).unwrap(), [alert("b", 3, None)]);
    rig.ok(Unit::ForgetAlerts { before: 5 });
    assert_eq!(block_on(rig.store.alerts(false, 10)).unwrap().len(), 3, "it ended at 5, not before");
    rig.ok(Unit::ForgetAlerts { before: 6 });
    assert_eq!(block_on(rig.store.alerts(false, 10)).unwrap(), open, "what lasts is never forgotten");
}

fn samples_age(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let sample = |n: Option<u8>, at| SampleRow {
        did: n.map(did),
        at,
        record_bytes: 7,
        blob_bytes: u64::try_from(at).unwrap(),
        db_bytes: 9,
        disk_free: 11,
    };
    for at in 1..=4 {
        rig.ok(Unit::PutSamples { rows: vec![sample(None, at), sample(Some(0), at)], keep_from: 0 });
    }
    rig.ok(Unit::PutSamples { rows: vec![sample(Some(1), 4)], keep_from: 0 });
    assert_eq!(block_on(rig.store.samples(None, 3)).unwrap(), [sample(None, 3), sample(None, 4)]);
    let first = block_on(rig.store.first_samples(2)).unwrap();
    assert_eq!(first, [sample(Some(0), 2), sample(Some(1), 4)]);
    rig.ok(Unit::PutSamples { rows: vec![sample(Some(0), 5)], keep_from: 5 });
    assert_eq!(block_on(rig.store.samples(Some(&did(0)), 0)).unwrap(), [sample(Some(0), 5)]);
    assert_eq!(block_on(rig.store.samples(None, 0)).unwrap().len(), 4, "others keep theirs");
}

fn findings_of_all_accounts_page(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let finding = |n: u8, kind: &str, subject: &str| Finding {
        did: did(n),
        kind: kind.into(),
        subject: subject.into(),
        detail: "x".into(),
        first_at: 1,
        last_at: 1,
    };
    let wanted = [finding(0, "a", ""), finding(0, "a", "x"), finding(0, "b", ""), finding(1, "a", "")];
    for row in wanted.iter().rev() {
        rig.ok(Unit::PutFinding(row.clone()));
    }
    let mut seen = Vec::new();
    let mut after: Option<AfterFinding> = None;
    loop {
        let page = block_on(rig.store.all_findings(after.as_ref(), 3)).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(AfterFinding {
            did: last.did.clone(),
            kind: last.kind.clone(),
            subject: last.subject.clone(),
        });
        seen.extend(page);
    }
    assert_eq!(seen, wanted);
}
