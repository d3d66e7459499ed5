//! Who owns the node, and its sessions.

use super::{Factory, Rig, did};
use crate::hosting::{AgentSessionRow, ClaimRow, DropSessions, OwnerApplied, OwnerUnit, WebSessionRow};
use crate::view::block_on;
use crate::{Applied, HostingUnit, Unit};

pub(super) fn run(factory: Factory<'_>) {
    a_code_is_taken_once(factory);
    the_first_to_sign_in_owns_it(factory);
    a_code_made_again_ends_the_owner(factory);
    sessions_slide_and_end(factory);
    a_session_at_a_host_changes_from_the_version_read(factory);
    keys_are_noted_by_account(factory);
}

fn unit(unit: OwnerUnit) -> Unit {
    Unit::Hosting(Box::new(HostingUnit::Owner(unit)))
}

fn session(n: u8, who: Option<u8>, at: i64) -> WebSessionRow {
    WebSessionRow {
        token: [n; 32],
        did: who.map(did),
        created_at: at,
        used_at: at,
        ends_at: at + 100,
        address: "127.0.0.1".into(),
        agent: "a browser".into(),
    }
}

fn claim(n: u8, again: bool) -> ClaimRow {
    ClaimRow { code: [n; 32], again, created_at: 5 }
}

const YES: Applied = Applied::Owner(OwnerApplied::Yes);
const NO: Applied = Applied::Owner(OwnerApplied::No);

fn a_code_is_taken_once(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let take =
        |code: u8, n| rig.ok(unit(OwnerUnit::TakeClaim { code: [code; 32], session: session(n, None, 10) }));
    let live = |n: u8| block_on(rig.store.web_session([n; 32], 20)).unwrap();
    assert_eq!(take(1, 1), NO, "there is none");
    assert_eq!(rig.ok(unit(OwnerUnit::PutClaim(claim(1, false)))), YES);
    rig.ok(unit(OwnerUnit::PutClaim(claim(2, false))));
    assert_eq!(block_on(rig.store.claim()).unwrap(), Some(claim(2, false)));
    assert_eq!(take(1, 1), NO, "it was replaced");
    assert_eq!(live(1), None);
    assert_eq!(take(2, 1), YES);
    assert_eq!(live(1), Some(session(1, None, 10)));
    assert_eq!(block_on(rig.store.claim()).unwrap(), None);
    assert_eq!(take(2, 2), NO, "it was taken");
    // Another code ends the session of the one before.
    rig.ok(unit(OwnerUnit::PutClaim(claim(3, false))));
    assert_eq!(take(3, 3), YES);
    assert_eq!((live(1), live(3).is_some()), (None, true));
    assert_eq!(block_on(rig.store.owner()).unwrap(), None);
}

fn the_first_to_sign_in_owns_it(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let sign_in = |from: Option<u8>, n, who, at| {
        rig.ok(unit(OwnerUnit::SignIn { from: from.map(|n| [n; 32]), session: session(n, Some(who), at) }))
    };
    assert_eq!(sign_in(None, 2, 0, 20), NO, "nobody claimed it");
    rig.ok(unit(OwnerUnit::PutClaim(claim(1, false))));
    rig.ok(unit(OwnerUnit::TakeClaim { code: [1; 32], session: session(1, None, 10) }));
    assert_eq!(sign_in(None, 2, 0, 20), NO, "somebody else than the claimant");
    assert_eq!(sign_in(Some(1), 2, 0, 200), NO, "the claimant's session has ended");
    assert_eq!(sign_in(Some(1), 2, 0, 20), YES);
    let owner = block_on(rig.store.owner()).unwrap().unwrap();
    assert_eq!((owner.did, owner.since), (did(0), 20));
    assert_eq!(block_on(rig.store.web_session([1; 32], 20)).unwrap(), None, "the claimant's session ends");
    assert_eq!(sign_in(None, 3, 1, 30), NO, "another account");
    assert_eq!(sign_in(Some(2), 3, 1, 30), NO, "another account from the owner's browser");
    assert_eq!(sign_in(None, 4, 0, 30), YES, "the owner elsewhere");
    assert_eq!(sign_in(Some(2), 5, 0, 30), YES, "the owner once more");
    let all: Vec<u8> = block_on(rig.store.web_sessions(40, 9)).unwrap().iter().map(|s| s.token[0]).collect();
    assert_eq!(all, [4, 5]);
    assert_eq!(block_on(rig.store.owner()).unwrap().unwrap().since, 20);
}

fn a_code_made_again_ends_the_owner(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.ok(unit(OwnerUnit::PutClaim(claim(1, false))));
    rig.ok(unit(OwnerUnit::TakeClaim { code: [1; 32], session: session(1, None, 10) }));
    rig.ok(unit(OwnerUnit::SignIn { from: Some([1; 32]), session: session(2, Some(0), 20) }));
    let owner = || block_on(rig.store.owner()).unwrap().map(|owner| owner.did);
    // A code that is not made again is no way around the owner.
    rig.ok(unit(OwnerUnit::PutClaim(claim(3, false))));
    assert_eq!(rig.ok(unit(OwnerUnit::TakeClaim { code: [3; 32], session: session(3, None, 30) })), NO);
    assert_eq!(owner(), Some(did(0)));
    rig.ok(unit(OwnerUnit::PutClaim(claim(4, true))));
    assert_eq!(owner(), Some(did(0)), "until it is used");
    assert_eq!(rig.ok(unit(OwnerUnit::TakeClaim { code: [4; 32], session: session(4, None, 30) })), YES);
    assert_eq!(owner(), None);
    assert_eq!(block_on(rig.store.web_sessions(40, 9)).unwrap(), [session(4, None, 30)]);
    assert_eq!(
        rig.ok(unit(OwnerUnit::SignIn { from: Some([4; 32]), session: session(5, Some(1), 40) })),
        YES
    );
    assert_eq!(owner(), Some(did(1)));
}

fn sessions_slide_and_end(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.ok(unit(OwnerUnit::PutClaim(claim(1, false))));
    rig.ok(unit(OwnerUnit::TakeClaim { code: [1; 32], session: session(1, None, 10) }));
    rig.ok(unit(OwnerUnit::SignIn { from: Some([1; 32]), session: session(1, Some(0), 10) }));
    for n in 2..=4 {
        rig.ok(unit(OwnerUnit::SignIn { from: None, session: session(n, Some(0), 10) }));
    }
    let live = |now| {
        let mut all: Vec<u8> =
            block_on(rig.store.web_sessions(now, 9)).unwrap().iter().map(|s| s.token[0]).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(live(109), [1, 2, 3, 4]);
    assert_eq!(live(110), [0_u8; 0]);
    let touch = OwnerUnit::TouchSession { token: [2; 32], at: 50, ends_at: 150, address: "10.0.0.1".into() };
    rig.ok(unit(touch));
    assert_eq!(live(110), [2]);
    let row = block_on(rig.store.web_session([2; 32], 110)).unwrap().unwrap();
    assert_eq!((row.used_at, row.address.as_str(), row.created_at), (50, "10.0.0.1", 10));
    rig.ok(unit(OwnerUnit::DropSessions(DropSessions::One([3; 32]))));
    assert_eq!(live(20), [1, 2, 4]);
    rig.ok(unit(OwnerUnit::DropSessions(DropSessions::AllBut([4; 32]))));
    assert_eq!(live(20), [4]);
    rig.ok(unit(OwnerUnit::DropSessions(DropSessions::All)));
    assert_eq!(live(20), [0_u8; 0]);
    assert!(block_on(rig.store.owner()).unwrap().is_some(), "signed out is not disowned");
}

fn a_session_at_a_host_changes_from_the_version_read(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let row = |version, scope: &str| AgentSessionRow {
        did: did(0),
        version,
        kind: "oauth".into(),
        host: "https://pds.example".into(),
        scope: scope.into(),
        sealed: vec![1, 2, 3],
        created_at: 1,
        updated_at: 2,
    };
    let put = |row| rig.ok(unit(OwnerUnit::PutAgent(row)));
    let held = || block_on(rig.store.agent_session(&did(0))).unwrap();
    assert_eq!(put(row(1, "a")), NO, "there is none to follow");
    assert_eq!(put(row(0, "a")), YES);
    assert_eq!(held(), Some(row(0, "a")));
    assert_eq!(put(row(0, "b")), YES, "a new beginning replaces any");
    assert_eq!(put(row(1, "c")), YES);
    assert_eq!(put(row(1, "d")), NO, "somebody else was first");
    assert_eq!(held(), Some(row(1, "c")));
    assert_eq!(block_on(rig.store.agent_sessions(9)).unwrap(), [row(1, "c")]);
    rig.ok(unit(OwnerUnit::DropAgent { did: did(0) }));
    assert_eq!(held(), None);
    assert_eq!(block_on(rig.store.agent_session(&did(1))).unwrap(), None);
}

fn keys_are_noted_by_account(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let put = |who, key: &str| {
        rig.ok(unit(OwnerUnit::PutOwnKey { did: did(who), key: key.into(), at: 5 }));
    };
    let keys = |who| block_on(rig.store.own_keys(&did(who))).unwrap();
    assert_eq!(keys(0), [""; 0]);
    put(0, "did:key:zB");
    put(0, "did:key:zA");
    put(0, "did:key:zA");
    put(1, "did:key:zB");
    assert_eq!(keys(0), ["did:key:zA", "did:key:zB"]);
    rig.ok(unit(OwnerUnit::DropOwnKey { did: did(0), key: "did:key:zB".into() }));
    assert_eq!((keys(0), keys(1)), (vec!["did:key:zA".to_owned()], vec!["did:key:zB".to_owned()]));
}
