//! Factors beside the password.

use super::{Factory, Rig, did};
use crate::hosting::{FactorRow, FactorsApplied, FactorsUnit, PasskeyRow, PasskeyUse};
use crate::view::block_on;
use crate::{Applied, HostingUnit, Login, Unit};

pub(super) fn run(factory: Factory<'_>) {
    codes_of_an_app_are_taken_once_and_forward(factory);
    backup_codes_are_taken_once(factory);
    tries_are_counted_and_end(factory);
    passkeys_are_added_used_and_removed(factory);
    a_counter_only_rises(factory);
    a_challenge_is_answered_once(factory);
    they_go_with_the_login(factory);
    a_purge_takes_them(factory);
    units_say_whose_they_are_and_no_secret();
}

const YES: Applied = Applied::Factors(FactorsApplied::Yes);
const NO: Applied = Applied::Factors(FactorsApplied::No);

fn unit(unit: FactorsUnit) -> Unit {
    Unit::Hosting(Box::new(HostingUnit::Factors(unit)))
}

fn passkey(n: u8, of: u8) -> PasskeyRow {
    PasskeyRow {
        id: vec![n; 16],
        did: did(of),
        key: vec![n; 77],
        count: 0,
        name: format!("key {n}"),
        transports: "internal hybrid".into(),
        copyable: true,
        copied: false,
        discoverable: true,
        created_at: i64::from(n),
        used_at: None,
    }
}

fn put(row: PasskeyRow) -> Unit {
    unit(FactorsUnit::PutPasskey { row, most: 3 })
}

fn used(n: u8, count: u32, challenge: u8) -> Unit {
    unit(FactorsUnit::UsePasskey(PasskeyUse {
        did: did(0),
        id: vec![n; 16],
        count,
        copied: true,
        challenge: [challenge; 32],
        ends_at: 100,
        at: 50,
    }))
}

fn row(rig: &Rig, of: u8) -> FactorRow {
    block_on(rig.store.factor(&did(of))).unwrap().unwrap()
}

fn totp(of: u8) -> Unit {
    unit(FactorsUnit::SetTotp { did: did(of), sealed: vec![1, 2, 3], step: 10, at: 5 })
}

fn codes(of: u8, all: &[u8]) -> Unit {
    let codes = all.iter().map(|n| [*n; 32]).collect();
    unit(FactorsUnit::PutBackupCodes { did: did(of), codes, at: 7 })
}

fn codes_of_an_app_are_taken_once_and_forward(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let take = |step| unit(FactorsUnit::TakeTotp { did: did(0), step });
    assert_eq!(rig.ok(take(11)), NO, "there is no secret");
    assert_eq!(block_on(rig.store.factor(&did(0))).unwrap(), None);
    rig.ok(totp(0));
    assert_eq!(rig.ok(take(10)), NO, "it proved the secret");
    assert_eq!(rig.ok(take(12)), YES);
    assert_eq!((rig.ok(take(12)), rig.ok(take(11))), (NO, NO));
    let expected =
        FactorRow { totp: Some(vec![1, 2, 3]), totp_at: Some(5), totp_step: 12, ..FactorRow::default() };
    assert_eq!(row(&rig, 0), expected);
    rig.ok(unit(FactorsUnit::DropTotp { did: did(0) }));
    assert_eq!((rig.ok(take(13)), row(&rig, 0).totp), (NO, None));
    rig.ok(unit(FactorsUnit::SetEmail { did: did(1), on: true }));
    assert!(row(&rig, 1).email && !row(&rig, 0).email);
    rig.ok(unit(FactorsUnit::SetEmail { did: did(1), on: false }));
    assert!(!row(&rig, 1).email);
}

fn backup_codes_are_taken_once(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let take = |of, n| unit(FactorsUnit::TakeBackupCode { did: did(of), code: [n; 32] });
    let left = |of| block_on(rig.store.backup_codes(&did(of))).unwrap();
    rig.ok(codes(0, &[1, 2, 3]));
    assert_eq!((left(0), left(1), row(&rig, 0).codes_at), (3, 0, Some(7)));
    assert_eq!((rig.ok(take(1, 1)), rig.ok(take(0, 9))), (NO, NO), "another account's, and none");
    assert_eq!((rig.ok(take(0, 1)), rig.ok(take(0, 1))), (YES, NO));
    rig.ok(codes(0, &[4]));
    assert_eq!((rig.ok(take(0, 2)), left(0)), (NO, 1), "new ones replace the old");
    assert!(rig.apply(codes(0, &(0..=200).collect::<Vec<u8>>())).is_err(), "too many");
}

fn tries_are_counted_and_end(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let attempt = |at| rig.ok(unit(FactorsUnit::Try { did: did(0), most: 2, within: 100, at }));
    rig.ok(codes(0, &[1]));
    assert_eq!((attempt(1_000), attempt(1_001)), (YES, YES));
    let later = Applied::Factors(FactorsApplied::Later(1_100));
    assert_eq!((attempt(1_002), attempt(1_099)), (later.clone(), later));
    assert_eq!(attempt(1_100), YES, "they are over");
    assert_eq!((row(&rig, 0).tries, row(&rig, 0).tries_since), (1, 1_100));
    rig.ok(unit(FactorsUnit::TakeBackupCode { did: did(0), code: [1; 32] }));
    assert_eq!(row(&rig, 0).tries, 0, "one was right");
    assert_eq!((attempt(1_200), attempt(1_201)), (YES, YES));
    rig.ok(unit(FactorsUnit::ForgetTries { did: did(0) }));
    assert_eq!((attempt(1_202), attempt(1_203)), (YES, YES));
    assert_eq!(attempt(1), YES, "the clock was set back");
}

fn passkeys_are_added_used_and_removed(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    for n in [2, 1, 3] {
        rig.ok(put(passkey(n, 0)));
    }
    assert!(rig.apply(put(passkey(4, 0))).is_err(), "three are enough");
    assert!(rig.apply(put(passkey(1, 1))).is_err(), "one passkey, one account");
    let all = block_on(rig.store.passkeys(&did(0))).unwrap();
    assert_eq!(all, [1, 2, 3].map(|n| passkey(n, 0)), "oldest first");
    assert_eq!(block_on(rig.store.passkeys(&did(1))).unwrap(), []);
    assert_eq!(block_on(rig.store.passkey(&[2; 16])).unwrap(), Some(passkey(2, 0)));
    assert_eq!(block_on(rig.store.passkey(&[9; 16])).unwrap(), None);
    let name = |of, n: u8| {
        unit(FactorsUnit::NamePasskey { did: did(of), id: vec![n; 16], name: "the blue one".into() })
    };
    assert_eq!((rig.ok(name(1, 2)), rig.ok(name(0, 2))), (NO, YES));
    assert_eq!(rig.ok(used(2, 0, 1)), YES);
    let now = block_on(rig.store.passkey(&[2; 16])).unwrap().unwrap();
    assert_eq!((now.name.as_str(), now.used_at, now.copied), ("the blue one", Some(50), true));
    let remove = |of, n: u8| unit(FactorsUnit::DropPasskey { did: did(of), id: vec![n; 16] });
    assert_eq!((rig.ok(remove(1, 2)), rig.ok(remove(0, 2)), rig.ok(remove(0, 2))), (NO, YES, NO));
    assert_eq!(rig.ok(used(2, 0, 2)), NO, "it is gone");
}

fn a_counter_only_rises(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.ok(put(passkey(1, 0)));
    let back = Applied::Factors(FactorsApplied::CountBack);
    assert_eq!((rig.ok(used(1, 0, 1)), rig.ok(used(1, 0, 2))), (YES, YES), "it has none");
    assert_eq!(
        (rig.ok(used(1, 5, 3)), rig.ok(used(1, 5, 4)), rig.ok(used(1, 4, 5))),
        (YES, back.clone(), back.clone())
    );
    assert_eq!((rig.ok(used(1, 0, 6)), rig.ok(used(1, 6, 7))), (back, YES));
    assert_eq!(block_on(rig.store.passkey(&[1; 16])).unwrap().unwrap().count, 6);
}

fn a_challenge_is_answered_once(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.ok(put(passkey(1, 0)));
    assert_eq!((rig.ok(used(1, 1, 1)), rig.ok(used(1, 2, 1))), (YES, NO));
    assert_eq!(block_on(rig.store.passkey(&[1; 16])).unwrap().unwrap().count, 1);
    let spend = |n, at| rig.ok(unit(FactorsUnit::SpendChallenge { challenge: [n; 32], ends_at: 100, at }));
    assert_eq!((spend(1, 60), spend(2, 60), spend(2, 99), spend(3, 100)), (NO, YES, NO, NO));
    // What has ended may be forgotten: it is refused by its end.
    assert_eq!(spend(2, 101), NO);
}

fn they_go_with_the_login(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.add(&did(0));
    let login = Login {
        did: did(0),
        email: "a@mail.example".into(),
        email_confirmed_at: None,
        password: String::new(),
        created_at: 1,
        deactivated_at: None,
        delete_after: None,
        takedown: None,
        invites_disabled: false,
        invited_by: None,
        signing_key: vec![1],
        signing_did_key: "did:key:zTest".into(),
    };
    rig.ok(Unit::PutLogin(Box::new(login)));
    rig.ok(totp(0));
    rig.ok(put(passkey(1, 0)));
    rig.ok(codes(0, &[1]));
    rig.ok(totp(1));
    rig.ok(Unit::DropLogin { did: did(0) });
    nothing_left(&rig, 0);
    assert!(row(&rig, 1).totp.is_some(), "another account's stay");
    rig.ok(unit(FactorsUnit::DropFactors { did: did(1) }));
    nothing_left(&rig, 1);
}

fn a_purge_takes_them(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.add(&did(0));
    rig.ok(totp(0));
    rig.ok(codes(0, &[1, 2, 3]));
    rig.ok(put(passkey(1, 0)));
    block_on(crate::view::purge(&*rig.store, &did(0), "asked", 2)).unwrap();
    nothing_left(&rig, 0);
}

#[track_caller]
fn nothing_left(rig: &Rig, of: u8) {
    assert_eq!(block_on(rig.store.factor(&did(of))).unwrap(), None);
    assert_eq!(block_on(rig.store.passkeys(&did(of))).unwrap(), []);
    assert_eq!(block_on(rig.store.backup_codes(&did(of))).unwrap(), 0);
}

fn units_say_whose_they_are_and_no_secret() {
    let shown = format!("{:?}", totp(0));
    assert!(
        shown.contains("SetTotp") && shown.contains(did(0).as_str()) && !shown.contains("[1, 2"),
        "{shown}"
    );
    let row = FactorRow { totp: Some(vec![222]), ..FactorRow::default() };
    assert!(!format!("{row:?}").contains("222"));
}
