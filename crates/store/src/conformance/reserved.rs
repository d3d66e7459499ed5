//! Promised signing keys.

use super::{Factory, Rig, did};
use crate::hosting::{ReservedKey, ReservedUnit};
use crate::view::block_on;
use crate::{HostingUnit, Unit};

pub(super) fn run(factory: Factory<'_>) {
    one_key_for_an_account(factory);
    taken_keys_are_gone(factory);
    old_and_too_many(factory);
    a_purge_takes_them(factory);
}

fn key(n: u8, for_account: Option<u8>) -> ReservedKey {
    ReservedKey {
        did_key: format!("did:key:z{n}"),
        did: for_account.map(did),
        signing_key: vec![n; 3],
        created_at: i64::from(n),
    }
}

fn unit(unit: ReservedUnit) -> Unit {
    Unit::Hosting(Box::new(HostingUnit::Reserved(unit)))
}

fn put(row: ReservedKey) -> Unit {
    unit(ReservedUnit::Put { row, most: 3 })
}

fn one_key_for_an_account(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.ok(put(key(1, Some(0))));
    rig.ok(put(key(2, Some(0))));
    rig.ok(put(key(3, None)));
    assert_eq!(block_on(rig.store.reserved_key_for(&did(0))).unwrap(), Some(key(1, Some(0))));
    assert_eq!(block_on(rig.store.reserved_key("did:key:z2")).unwrap(), None);
    assert_eq!(block_on(rig.store.reserved_key("did:key:z3")).unwrap(), Some(key(3, None)));
    assert_eq!(block_on(rig.store.reserved_key_for(&did(1))).unwrap(), None);
    let shown = format!("{:?}", key(7, None));
    assert!(shown.contains("did:key:z7") && !shown.contains("signing_key"), "{shown}");
}

fn taken_keys_are_gone(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.ok(put(key(1, Some(0))));
    rig.ok(put(key(2, None)));
    let take = |n: u8, of: u8| unit(ReservedUnit::Take { did: did(of), did_key: format!("did:key:z{n}") });
    rig.ok(take(1, 1));
    assert!(block_on(rig.store.reserved_key_for(&did(0))).unwrap().is_some(), "it is another account's");
    rig.ok(take(1, 0));
    rig.ok(take(2, 1));
    assert_eq!(block_on(rig.store.reserved_key("did:key:z1")).unwrap(), None);
    assert_eq!(block_on(rig.store.reserved_key("did:key:z2")).unwrap(), None);
}

fn old_and_too_many(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    for n in 1..=4 {
        rig.ok(put(key(n, None)));
    }
    assert!(block_on(rig.store.reserved_key("did:key:z3")).unwrap().is_some());
    assert_eq!(block_on(rig.store.reserved_key("did:key:z4")).unwrap(), None, "three are enough");
    rig.ok(unit(ReservedUnit::Prune { before: 3 }));
    assert_eq!(block_on(rig.store.reserved_key("did:key:z2")).unwrap(), None);
    assert!(block_on(rig.store.reserved_key("did:key:z3")).unwrap().is_some());
}

fn a_purge_takes_them(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.add(&did(0));
    rig.ok(put(key(1, Some(0))));
    block_on(crate::view::purge(&*rig.store, &did(0), "asked", 2)).unwrap();
    assert_eq!(block_on(rig.store.reserved_key("did:key:z1")).unwrap(), None);
}
