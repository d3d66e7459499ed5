//! Blobs and who names them.

use p2pds_ipld::Cid;
use p2pds_ipld::cbor::{Value, encode};
use p2pds_syntax::ErrorKind;

use super::{Factory, Rig, blob, did, key, rev};
use crate::conformance::commits::commit;
use crate::view::block_on;
use crate::{BlobFilter, BlobRow, BlobState, Change, StagedRow, Unit, Version};

pub(super) fn run(factory: Factory<'_>) {
    states_and_counters(factory);
    references_follow_the_records(factory);
}

/// A record that names blobs in the usual form.
pub(super) fn naming(path: &str, blobs: &[u8]) -> StagedRow {
    let blobs: Vec<_> = blobs.iter().map(|n| blob(*n, 100 + u64::from(*n))).collect();
    let list = blobs
        .iter()
        .map(|b| {
            Value::Map(vec![
                ("ref".into(), Value::Link(b.cid)),
                ("size".into(), Value::Int(i64::try_from(b.size).unwrap())),
                ("$type".into(), Value::Text("blob".into())),
                ("mimeType".into(), Value::Text(b.mime.clone())),
            ])
        })
        .collect();
    let body = encode(&Value::Map(vec![("images".into(), Value::Array(list))]));
    StagedRow { key: key(path), cid: Cid::of_cbor(&body), body: Some(body), blobs }
}

pub(super) fn list(rig: &Rig, filter: BlobFilter) -> Vec<Cid> {
    let mut found: Vec<BlobRow> = Vec::new();
    loop {
        let after = found.last().map(|b| b.cid);
        let page = block_on(rig.store.blobs(&did(0), filter, after.as_ref(), 2)).unwrap();
        if page.is_empty() {
            return found.into_iter().map(|b| b.cid).collect();
        }
        found.extend(page);
    }
}

pub(super) fn sorted(of: &[u8]) -> Vec<Cid> {
    let mut cids: Vec<_> = of.iter().map(|n| blob(*n, 0).cid).collect();
    cids.sort();
    cids
}

fn states_and_counters(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.archive(&did(0), rev(1), &[naming("a.b.c/1", &[1, 2, 3]), naming("a.b.c/2", &[3, 4])]);
    let counters = || {
        let a = rig.account(&did(0));
        (a.blobs_held, a.blobs_missing, a.blob_bytes)
    };
    assert_eq!(counters(), (0, 4, 0), "what records name is missing at first");
    assert_eq!(list(&rig, BlobFilter::Missing), sorted(&[1, 2, 3, 4]));
    let put = |n: u8, size: Option<u64>, state: BlobState| {
        rig.ok(Unit::PutBlob { did: did(0), cid: blob(n, 0).cid, size, mime: None, state });
    };
    put(1, Some(1_000), BlobState::Held);
    put(1, Some(1_000), BlobState::Held);
    assert_eq!(counters(), (1, 3, 1_000), "telling it twice counts once");
    let later = BlobState::Missing { tries: 2, last_error: Some("timeout".into()), next_try: 500 };
    put(2, None, later.clone());
    put(3, None, BlobState::Gone { reason: Some("BlobNotFound".into()) });
    assert_eq!(counters(), (1, 2, 1_000));
    assert_eq!(list(&rig, BlobFilter::Held), sorted(&[1]));
    assert_eq!(list(&rig, BlobFilter::Gone), sorted(&[3]));
    assert_eq!(list(&rig, BlobFilter::Due(499)), sorted(&[4]));
    assert_eq!(list(&rig, BlobFilter::Due(500)), sorted(&[2, 4]));
    let stored = block_on(rig.store.blob(&did(0), &blob(2, 0).cid)).unwrap().unwrap();
    assert_eq!((stored.state, stored.size, stored.mime.as_str()), (later, 102, "image/png"));
    assert_eq!(block_on(rig.store.blob(&did(0), &blob(9, 0).cid)).unwrap(), None);
    put(1, None, BlobState::Missing { tries: 0, last_error: None, next_try: 0 });
    assert_eq!(counters(), (0, 3, 0), "a lost blob is missing again");
    let referers = block_on(rig.store.blob_referers(&did(0), &blob(3, 0).cid)).unwrap();
    assert_eq!(referers, [key("a.b.c/1"), key("a.b.c/2")]);
}

fn references_follow_the_records(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let (one, two) = (naming("a.b.c/1", &[1, 2]), naming("a.b.c/2", &[2]));
    rig.archive(&did(0), rev(1), &[one.clone(), two]);
    let new = naming("a.b.c/1", &[5]);
    let version = Version { cid: new.cid, body: new.body.clone(), blobs: new.blobs };
    let update = Change { key: one.key.clone(), old: Some(one.cid), new: Some(version) };
    rig.ok(commit(&did(0), rev(1), rev(2), vec![update]));
    let referers = |n| block_on(rig.store.blob_referers(&did(0), &blob(n, 0).cid)).unwrap();
    assert_eq!(referers(1), [], "the present state does not name it any more");
    assert_eq!(referers(2), [key("a.b.c/2")]);
    assert_eq!(referers(5), [key("a.b.c/1")]);
    assert_eq!(list(&rig, BlobFilter::Unreferenced), [], "the history still names it");
    let keep = rig.apply(Unit::DropBlob { did: did(0), cid: blob(1, 0).cid });
    assert_eq!(keep.unwrap_err().kind(), ErrorKind::Conflict);
    rig.ok(Unit::PutBlob {
        did: did(0),
        cid: blob(9, 0).cid,
        size: Some(7),
        mime: None,
        state: BlobState::Held,
    });
    assert_eq!(list(&rig, BlobFilter::Unreferenced), sorted(&[9]));
    rig.ok(Unit::DropBlob { did: did(0), cid: blob(9, 0).cid });
    rig.ok(Unit::DropBlob { did: did(0), cid: blob(9, 0).cid });
    assert_eq!(list(&rig, BlobFilter::All), sorted(&[1, 2, 5]));
    assert_eq!(rig.account(&did(0)).blob_bytes, 0);
}
