//! What the authorization server keeps.

use super::{Factory, Rig, did};
use crate::hosting::{
    AccountsUnit, OAuthApplied, OAuthConsentRow, OAuthDeviceAccountRow, OAuthDeviceRow, OAuthRequestRow,
    OAuthSessionRow, OAuthUnit,
};
use crate::view::block_on;
use crate::{Applied, HostingUnit, Unit};

pub(super) fn run(factory: Factory<'_>) {
    a_request_is_one_browsers_and_granted_once(factory);
    a_code_is_redeemed_once(factory);
    a_challenge_is_used_once_within_its_time(factory);
    a_refresh_token_is_exchanged_once(factory);
    a_key_that_vanishes_ends_its_sessions(factory);
    browsers_and_who_is_signed_in(factory);
    what_ends_with_the_sessions_of_an_account(factory);
    what_is_over_is_forgotten(factory);
    room_is_made_by_the_oldest_that_nobody_opened(factory);
}

fn unit(unit: OAuthUnit) -> Unit {
    Unit::Hosting(Box::new(HostingUnit::OAuth(unit)))
}

const YES: Applied = Applied::OAuth(OAuthApplied::Yes);
const NO: Applied = Applied::OAuth(OAuthApplied::No);
const USED: Applied = Applied::OAuth(OAuthApplied::Used);

fn gone(n: u64) -> Applied {
    Applied::OAuth(OAuthApplied::Gone(n))
}

fn request(n: u8, at: i64) -> OAuthRequestRow {
    OAuthRequestRow {
        id: [n; 32],
        client: "https://app.example/client.json".into(),
        auth: String::new(),
        parameters: "{}".into(),
        device: None,
        did: None,
        code: None,
        scope: String::new(),
        created_at: at,
        expires_at: at + 100,
    }
}

fn session(n: u8, who: u8, at: i64) -> OAuthSessionRow {
    OAuthSessionRow {
        id: format!("session{n}"),
        did: did(who),
        client: "https://app.example/client.json".into(),
        name: "An app".into(),
        auth: String::new(),
        jkt: "key".into(),
        scope: "atproto".into(),
        expanded: "atproto".into(),
        code: [n; 32],
        refresh: [n; 32],
        device: Some("phone".into()),
        created_at: at,
        used_at: at,
        expires_at: at + 1_000,
    }
}

fn open(n: u8, device: &str, at: i64) -> Unit {
    unit(OAuthUnit::OpenRequest { id: [n; 32], device: device.into(), at, expires_at: at + 100 })
}

fn grant(n: u8, device: &str, who: u8, at: i64) -> Unit {
    let consent = OAuthConsentRow {
        did: did(who),
        client: "https://app.example/client.json".into(),
        scope: "atproto".into(),
        at,
    };
    unit(OAuthUnit::GrantRequest {
        id: [n; 32],
        device: device.into(),
        did: did(who),
        scope: "atproto".into(),
        code: [n; 32],
        at,
        expires_at: at + 60,
        consent: Some(consent),
    })
}

fn begin(n: u8, who: u8, challenge: u8, at: i64) -> Unit {
    let row = session(n, who, at);
    unit(OAuthUnit::BeginSession { row, challenge: [challenge; 32], challenge_ends: at + 500, at })
}

/// From a request to a session.
fn granted(rig: &Rig, n: u8, who: u8, at: i64) {
    assert_eq!(rig.ok(unit(OAuthUnit::PutRequest(request(n, at)))), YES);
    assert_eq!(rig.ok(open(n, "phone", at)), YES);
    assert_eq!(rig.ok(grant(n, "phone", who, at)), YES);
    assert_eq!(rig.ok(begin(n, who, n, at)), YES);
}

fn device(rig: &Rig, id: &str, token: u8, at: i64) {
    let row = OAuthDeviceRow {
        id: id.into(),
        token: [token; 32],
        agent: "a browser".into(),
        address: "192.0.2.1".into(),
        created_at: at,
        seen_at: at,
    };
    assert_eq!(rig.ok(unit(OAuthUnit::PutDevice(row))), YES);
}

fn in_device(id: &str, who: u8, at: i64, remembered: bool) -> OAuthDeviceAccountRow {
    OAuthDeviceAccountRow { device: id.into(), did: did(who), signed_in_at: at, remembered }
}

fn sign_in(rig: &Rig, id: &str, who: u8, token: u8, at: i64, remembered: bool) -> Applied {
    let row = in_device(id, who, at, remembered);
    rig.ok(unit(OAuthUnit::SignIn { row, token: [token; 32] }))
}

fn live(rig: &Rig, n: u8) -> Option<OAuthSessionRow> {
    block_on(rig.store.oauth_session(&format!("session{n}"))).unwrap()
}

fn a_request_is_one_browsers_and_granted_once(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let read = || block_on(rig.store.oauth_request([1; 32])).unwrap();
    assert_eq!(rig.ok(open(1, "phone", 0)), NO, "there is none");
    rig.ok(unit(OAuthUnit::PutRequest(request(1, 0))));
    assert_eq!(read(), Some(request(1, 0)));
    let counted = |at| block_on(rig.store.oauth_requests(at)).unwrap();
    assert_eq!((counted(99), counted(100)), (1, 0), "those that are over are not counted");
    assert_eq!(rig.ok(grant(1, "phone", 0, 1)), NO, "nobody opened it");
    assert_eq!(rig.ok(open(1, "phone", 100)), NO, "it is over");
    assert_eq!(rig.ok(open(1, "phone", 10)), YES);
    assert_eq!(rig.ok(open(1, "laptop", 11)), NO, "it is another browser's");
    assert_eq!(rig.ok(open(1, "phone", 11)), YES, "it may be looked at again");
    assert_eq!(rig.ok(grant(1, "laptop", 0, 12)), NO);
    assert_eq!(block_on(rig.store.oauth_consent(&did(0), &request(1, 0).client)).unwrap(), None);
    assert_eq!(rig.ok(grant(1, "phone", 0, 111)), NO, "it is over");
    assert_eq!(rig.ok(grant(1, "phone", 0, 12)), YES);
    assert_eq!(rig.ok(grant(1, "phone", 0, 13)), NO, "it was granted");
    assert_eq!(rig.ok(open(1, "phone", 13)), NO, "it was granted");
    let row = read().unwrap();
    assert_eq!((row.did, row.scope.as_str(), row.expires_at), (Some(did(0)), "atproto", 72));
    assert_eq!(block_on(rig.store.oauth_request_by_code([1; 32])).unwrap(), read());
    let consent = block_on(rig.store.oauth_consent(&did(0), &request(1, 0).client)).unwrap();
    assert_eq!(consent.unwrap().at, 12);
    assert_eq!(rig.ok(unit(OAuthUnit::DropRequest { id: [1; 32] })), gone(1));
    assert_eq!(read(), None);
}

fn a_code_is_redeemed_once(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.ok(unit(OAuthUnit::PutRequest(request(1, 0))));
    rig.ok(open(1, "phone", 0));
    assert_eq!(rig.ok(begin(1, 0, 1, 1)), NO, "nobody granted it");
    rig.ok(grant(1, "phone", 0, 0));
    device(&rig, "phone", 7, 0);
    sign_in(&rig, "phone", 0, 8, 0, true);
    assert_eq!(rig.ok(begin(1, 0, 1, 1)), YES);
    assert_eq!(live(&rig, 1), Some(session(1, 0, 1)));
    assert_eq!(block_on(rig.store.oauth_request([1; 32])).unwrap(), None);
    assert_eq!(rig.ok(begin(1, 0, 2, 2)), NO, "it was redeemed");
    assert_eq!(live(&rig, 1), Some(session(1, 0, 1)), "the answer to that is another unit");
    assert_eq!(rig.ok(unit(OAuthUnit::DropByCode { code: [1; 32] })), gone(1));
    assert_eq!(live(&rig, 1), None);
    assert_eq!(block_on(rig.store.oauth_device_accounts("phone")).unwrap(), [], "it is signed out as well");
    // Too late, and as somebody else.
    for (n, who, at) in [(2, 0, 60), (3, 1, 1)] {
        rig.ok(unit(OAuthUnit::PutRequest(request(n, 0))));
        rig.ok(open(n, "phone", 0));
        rig.ok(grant(n, "phone", 0, 0));
        assert_eq!(rig.ok(begin(n, who, n, at)), NO);
        assert_eq!(block_on(rig.store.oauth_request([n; 32])).unwrap(), None, "a code is tried once");
    }
}

fn a_challenge_is_used_once_within_its_time(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    granted(&rig, 1, 0, 0);
    for (n, at, expected) in [(2, 499, USED), (3, 500, YES)] {
        rig.ok(unit(OAuthUnit::PutRequest(request(n, at))));
        rig.ok(open(n, "phone", at));
        rig.ok(grant(n, "phone", 0, at));
        assert_eq!(rig.ok(begin(n, 0, 1, at)), expected);
        assert_eq!(live(&rig, n).is_some(), expected == YES);
    }
}

fn a_refresh_token_is_exchanged_once(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    granted(&rig, 1, 0, 0);
    let rotate = |from: u8, to: u8, at| {
        rig.ok(unit(OAuthUnit::RotateOAuth {
            id: "session1".into(),
            from: [from; 32],
            to: [to; 32],
            at,
            expires_at: at + 1_000,
            expanded: format!("atproto {to}"),
        }))
    };
    assert_eq!(rotate(1, 2, 10), YES);
    assert_eq!(rotate(2, 3, 20), YES);
    let row = live(&rig, 1).unwrap();
    assert_eq!(row.expanded, "atproto 3");
    assert_eq!((row.refresh, row.created_at, row.used_at, row.expires_at), ([3; 32], 0, 20, 1_020));
    assert_eq!(rotate(1, 4, 30), NO, "it was used");
    assert_eq!(live(&rig, 1), None, "and so the whole line ends");
    assert_eq!(rotate(3, 4, 30), NO);
    granted(&rig, 2, 0, 0);
    let late = OAuthUnit::RotateOAuth {
        id: "session2".into(),
        from: [2; 32],
        to: [3; 32],
        at: 1_000,
        expires_at: 2_000,
        expanded: String::new(),
    };
    assert_eq!(rig.ok(unit(late)), NO);
    assert_eq!(live(&rig, 2), None);
}

fn a_key_that_vanishes_ends_its_sessions(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    for (n, auth) in [(1, "old"), (2, "new"), (3, "")] {
        rig.ok(unit(OAuthUnit::PutRequest(request(n, 0))));
        rig.ok(open(n, "phone", 0));
        rig.ok(grant(n, "phone", 0, 0));
        let row = OAuthSessionRow { auth: auth.into(), ..session(n, 0, 0) };
        rig.ok(unit(OAuthUnit::BeginSession { row, challenge: [n; 32], challenge_ends: 9, at: 0 }));
    }
    let client = request(1, 0).client;
    assert_eq!(block_on(rig.store.oauth_keyed_clients("", 9)).unwrap(), std::slice::from_ref(&client));
    assert!(block_on(rig.store.oauth_keyed_clients(&client, 9)).unwrap().is_empty());
    let drop = |client: &str| OAuthUnit::DropKeys { client: client.into(), keep: vec!["new".into()] };
    assert_eq!(rig.ok(unit(drop("https://other.example/"))), gone(0));
    assert_eq!(rig.ok(unit(drop(&client))), gone(1));
    assert_eq!([1, 2, 3].map(|n| live(&rig, n).is_some()), [false, true, true]);
}

fn browsers_and_who_is_signed_in(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    assert_eq!(sign_in(&rig, "phone", 0, 1, 0, true), NO, "there is no such browser");
    device(&rig, "phone", 1, 0);
    device(&rig, "laptop", 2, 5);
    let found = |token: u8| block_on(rig.store.oauth_device([token; 32])).unwrap().map(|row| row.id);
    assert_eq!(found(1).as_deref(), Some("phone"));
    assert_eq!(sign_in(&rig, "phone", 0, 3, 10, true), YES);
    assert_eq!((found(1), found(3)), (None, Some("phone".to_owned())), "its cookie is another one");
    sign_in(&rig, "phone", 1, 4, 11, false);
    sign_in(&rig, "laptop", 0, 5, 12, true);
    let accounts = |id: &str| block_on(rig.store.oauth_device_accounts(id)).unwrap();
    assert_eq!(accounts("phone"), [in_device("phone", 1, 11, false), in_device("phone", 0, 10, true)]);
    let devices = |who| {
        let found = block_on(rig.store.oauth_devices(&did(who))).unwrap();
        found.into_iter().map(|(device, account)| (device.id, account.signed_in_at)).collect::<Vec<_>>()
    };
    rig.ok(unit(OAuthUnit::SeeDevice { id: "phone".into(), at: 50, address: "192.0.2.9".into() }));
    assert_eq!(devices(0), [("phone".to_owned(), 10), ("laptop".to_owned(), 12)]);
    assert_eq!(rig.ok(unit(OAuthUnit::SignOut { device: "phone".into(), did: did(0) })), gone(1));
    assert_eq!(accounts("phone"), [in_device("phone", 1, 11, false)]);
    assert_eq!(rig.ok(unit(OAuthUnit::DropDevice { id: "phone".into() })), gone(1));
    assert_eq!((accounts("phone"), found(4)), (vec![], None));
}

/// A change of password ends them, as do a takedown and a new address: they all end the account's sessions.
fn what_ends_with_the_sessions_of_an_account(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    device(&rig, "phone", 9, 0);
    for n in 0..2 {
        rig.add(&did(n));
        sign_in(&rig, "phone", n, 10 + n, 0, true);
        granted(&rig, 1 + n, n, 0);
        rig.ok(unit(OAuthUnit::PutRequest(request(11 + n, 0))));
        rig.ok(open(11 + n, "phone", 0));
        rig.ok(grant(11 + n, "phone", n, 0));
    }
    let end = |app_password: Option<&str>, except: Option<&str>| {
        let unit = AccountsUnit::DropSessions {
            did: did(0),
            app_password: app_password.map(str::to_owned),
            except: except.map(str::to_owned),
        };
        rig.ok(Unit::Hosting(Box::new(HostingUnit::Accounts(unit))))
    };
    let codes = || [11, 12].map(|n| block_on(rig.store.oauth_request_by_code([n; 32])).unwrap().is_some());
    end(Some("an app password"), None);
    assert_eq!((live(&rig, 1).is_some(), codes()), (true, [true, true]), "those of one app password only");
    end(None, Some("session1"));
    assert_eq!((live(&rig, 1).is_some(), codes()), (true, [false, true]));
    let accounts = block_on(rig.store.oauth_device_accounts("phone")).unwrap();
    assert_eq!(accounts, [in_device("phone", 1, 0, true)]);
    end(None, None);
    assert_eq!([1, 2].map(|n| live(&rig, n).is_some()), [false, true]);
    let dropped = OAuthUnit::DropGrant { did: did(1), client: request(1, 0).client };
    assert_eq!(rig.ok(unit(dropped)), gone(1));
    assert_eq!((live(&rig, 2), codes()), (None, [false, false]));
    assert_eq!(block_on(rig.store.oauth_consent(&did(1), &request(1, 0).client)).unwrap(), None);
    assert!(block_on(rig.store.oauth_consent(&did(0), &request(1, 0).client)).unwrap().is_some());
}

fn what_is_over_is_forgotten(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    device(&rig, "old", 1, 0);
    device(&rig, "phone", 2, 50);
    sign_in(&rig, "phone", 0, 3, 60, true);
    sign_in(&rig, "phone", 1, 4, 60, false);
    granted(&rig, 1, 0, 0);
    rig.ok(unit(OAuthUnit::PutRequest(request(2, 0))));
    let forget = |at, unseen| rig.ok(unit(OAuthUnit::ForgetOAuth { at, unseen, empty: -1 }));
    assert_eq!(forget(99, -1), gone(0));
    assert_eq!(forget(100, -1), gone(1), "the request");
    assert_eq!(forget(500, 0), gone(2), "the challenge and the browser that was not seen");
    assert_eq!(forget(1_000, 0), gone(1), "the session");
    assert_eq!(forget(60 + 15 * 60 * 1_000_000, 0), gone(1), "who did not want to stay signed in");
    let left = block_on(rig.store.oauth_device_accounts("phone")).unwrap();
    assert_eq!(left, [in_device("phone", 0, 60, true)]);
    // Browsers in which nobody is signed in.
    device(&rig, "empty", 5, 70);
    let empty = |empty| rig.ok(unit(OAuthUnit::ForgetOAuth { at: 0, unseen: 0, empty }));
    assert_eq!(empty(69), gone(0), "it was seen just now");
    assert_eq!(empty(70), gone(1), "and somebody is signed in in the other");
    assert!(block_on(rig.store.oauth_device([3; 32])).unwrap().is_none(), "its cookie changed");
    assert_eq!(
        block_on(rig.store.oauth_device([4; 32])).unwrap().map(|row| row.id).as_deref(),
        Some("phone")
    );
}

fn room_is_made_by_the_oldest_that_nobody_opened(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    for n in 1..=4 {
        rig.ok(unit(OAuthUnit::PutRequest(request(n, n.into()))));
    }
    assert_eq!(rig.ok(open(1, "phone", 5)), YES);
    let drop = |count| rig.ok(unit(OAuthUnit::DropOldestRequests { count }));
    let left = || (1..=4_u8).filter(|n| block_on(rig.store.oauth_request([*n; 32])).unwrap().is_some());
    assert_eq!(drop(2), gone(2));
    assert_eq!(left().collect::<Vec<_>>(), [1, 4], "somebody looks at the first");
    assert_eq!(drop(2), gone(1));
    assert_eq!(drop(2), gone(0));
    assert_eq!(left().collect::<Vec<_>>(), [1]);
}
