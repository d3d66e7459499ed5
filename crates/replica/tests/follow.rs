//! The rules of Sync 1.1 for one account, one by one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod support;

use p2pds_crypto::Signer;
use p2pds_ipld::Cid;
use p2pds_replica::follow::{MAX_SKEW_MICROS, REFRESH_EVERY_MICROS, Refused, Resync};
use p2pds_replica::frame::Legacy;
use p2pds_replica::{Context, Decision, Key, Origin, State, Status, decode, step};
use support::{Author, Event, SECOND, START, account, at, brief, identity, key, rev, told};

/// An account with three commits, a follower at the third, and the fourth on its way.
fn scene() -> (Author, State, Event) {
    let mut author = Author::new(0);
    author.commit(&[("a", Some("1")), ("b", Some("1")), ("c", Some("1"))]);
    author.commit(&[("a", Some("2"))]);
    author.commit(&[("b", None)]);
    let state = author.state();
    let event = author.commit(&[("d", Some("1")), ("c", Some("2")), ("a", None)]);
    (author, state, event)
}

/// What the follower decides about the next event after something was done to it.
fn changed(change: impl FnOnce(&mut Event, &Author)) -> (String, State) {
    let (author, mut state, mut event) = scene();
    change(&mut event, &author);
    let said = told(&mut state, &event.bytes(), &at(author.now(), &author.keys()));
    (said, state)
}

/// It is refused or ignored, and the next honest event is applied as if nothing had been.
fn harmless(expected: &str, change: impl FnOnce(&mut Event, &Author)) {
    let (author, mut state, event) = scene();
    let mut lie = event.clone();
    change(&mut lie, &author);
    let (keys, before) = (author.keys(), state.head());
    let context = Context { again: true, ..at(author.now(), &keys) };
    assert_eq!(told(&mut state, &lie.bytes(), &context), expected);
    assert_eq!(state.head(), before, "the head stays");
    assert_eq!(told(&mut state, &event.bytes(), &context), "apply");
    assert_eq!(state.head(), author.head);
}

/// The account has to be fetched, and says so once.
fn lost(why: Resync, change: impl FnOnce(&mut Event, &Author)) {
    let (author, mut state, mut event) = scene();
    change(&mut event, &author);
    let (keys, before) = (author.keys(), state.head());
    assert_eq!(
        told(&mut state, &event.bytes(), &at(author.now(), &keys)),
        format!("resync {}", why.as_str())
    );
    assert_eq!((state.head(), state.lost()), (before, Some(why)));
}

#[test]
fn the_next_commit_is_applied_and_comes_once() {
    let (author, mut state, event) = scene();
    let (bytes, keys) = (event.bytes(), author.keys());
    let Decision::Apply { event: verified, skipped: false } =
        step(&mut state, decode(&bytes).unwrap(), &at(author.now(), &keys))
    else {
        panic!("not applied")
    };
    assert_eq!(verified.changes().len(), 3);
    assert_eq!(state.head(), author.head);
    assert_eq!(told(&mut state, &bytes, &at(author.now(), &keys)), "ignore same");
}

#[test]
fn forgeries_are_refused() {
    harmless("refuse bad-signature", |event, _| event.sign(&key(99)));
    harmless("refuse no-proof", |event, _| event.did = Author::new(7).did);
    harmless("refuse no-proof", |event, _| event.blocks[0].1[10] ^= 1);
    harmless("refuse no-proof", |event, _| drop(event.blocks.remove(0)));
    harmless("refuse no-proof", |event, _| event.rev = rev(5));
    // A forged tree with a forged signature is no reason to fetch anything.
    harmless("refuse no-proof", |event, _| {
        event.prev_data = Some(Cid::of_cbor(b"no tree"));
        event.sign(&key(99));
    });
}

#[test]
fn revisions_go_forward_and_not_into_the_future() {
    harmless("ignore older", |event, author| {
        event.rev = rev(2);
        event.sign(&author.key);
    });
    harmless("refuse future-rev", |event, author| {
        event.rev = p2pds_syntax::Tid::from_micros((author.now() + MAX_SKEW_MICROS + 1) as u64, 0);
        event.sign(&author.key);
    });
    let (said, _) = changed(|event, author| {
        event.rev = p2pds_syntax::Tid::from_micros((author.now() + MAX_SKEW_MICROS) as u64, 0);
        event.sign(&author.key);
    });
    assert_eq!(said, "apply", "clocks may disagree by five minutes");
}

#[test]
fn another_commit_under_the_stored_revision_is_evidence() {
    let (author, mut state, mut event) = scene();
    let held = state.head().unwrap();
    event.rev = held.rev;
    event.sign(&author.key);
    let keys = author.keys();
    for _ in 0..3 {
        let bytes = event.bytes();
        let decision = step(&mut state, decode(&bytes).unwrap(), &at(author.now(), &keys));
        let Decision::Refuse(Refused::Equivocation { held: ours, other, signed: Some(block), .. }) = decision
        else {
            panic!("{}", brief(&decision))
        };
        assert_eq!((ours, other), (held.commit, event.commit), "reported every time");
        assert_eq!(block, event.blocks[0].1);
    }
    let forged = Event { rev: held.rev, ..event.clone() };
    let mut forged = forged;
    forged.sign(&key(99));
    let context = Context { again: true, ..at(author.now(), &keys) };
    assert_eq!(told(&mut state, &forged.bytes(), &context), "refuse bad-signature");
    // The same of a host whose event proves nothing, and as #sync.
    event.prev_data = Some(Cid::of_cbor(b"no tree"));
    assert_eq!(told(&mut state, &event.bytes(), &context), "refuse equivocation");
    assert_eq!(told(&mut state, &event.sync(), &context), "refuse equivocation");
    assert_eq!(state.head(), Some(held));
}

#[test]
fn a_broken_chain_leads_to_a_resync() {
    // A commit is left out: an honest one that follows another tree.
    let (mut author, mut state, _) = scene();
    let next = author.post();
    assert_eq!(told(&mut state, &next.bytes(), &at(author.now(), &author.keys())), "resync gap");
    lost(Resync::Unproved, |event, _| event.prev_data = Some(Cid::of_cbor(b"no tree")));
    lost(Resync::Unproved, |event, _| drop(event.ops.pop()));
    lost(Resync::Unproved, |event, _| event.ops[0].cid = Some(Cid::of_cbor(b"no record")));
    lost(Resync::Unproved, |event, _| drop(event.blocks.remove(1)));
    lost(Resync::TooBig, |event, _| event.legacy = Some(Legacy::TooBig));
    lost(Resync::Rebase, |event, _| event.legacy = Some(Legacy::Rebase));
}

#[test]
fn a_revision_that_was_not_seen_is_noted_though_the_tree_is_right() {
    let (said, _) = changed(|event, _| event.since = Some(rev(2)));
    assert_eq!(said, "apply, skipped");
    let (said, _) = changed(|event, _| event.since = None);
    assert_eq!(said, "apply, skipped");
}

#[test]
fn hosts_without_prev_data_are_compared_when_the_revision_follows() {
    fn old(event: &mut Event) {
        event.prev_data = None;
        event.ops.iter_mut().for_each(|op| op.prev = None);
    }
    let (said, state) = changed(|event, _| old(event));
    assert_eq!((said.as_str(), state.head().unwrap().rev), ("compare", rev(4)));
    lost(Resync::Gap, |event, _| {
        old(event);
        event.since = Some(rev(2));
    });
    // The comparison fails: the head is what the store says.
    let (author, mut state, mut event) = scene();
    let before = state.head();
    old(&mut event);
    assert_eq!(told(&mut state, &event.bytes(), &at(author.now(), &author.keys())), "compare");
    assert_eq!(state.fall_back(before, Resync::Root), Resync::Root);
    assert_eq!((state.head(), state.lost()), (before, Some(Resync::Root)));
    assert_eq!(state.resynced(before.unwrap()), Some(Resync::Behind), "the commit is real, so it is wanted");
}

#[test]
fn nothing_stored_means_fetching() {
    let (author, _, event) = scene();
    let mut state = State::new(None, Status::Active);
    let keys = author.keys();
    assert_eq!(told(&mut state, &event.bytes(), &at(author.now(), &keys)), "resync unknown");
    let mut state = State::new(None, Status::Active);
    assert_eq!(told(&mut state, &event.sync(), &at(author.now(), &keys)), "resync unknown");
}

#[test]
fn a_lost_account_notes_what_to_look_for() {
    let (mut author, mut state, first) = scene();
    let held = state.head().unwrap();
    let keys = author.keys();
    let (second, third) = (author.post(), author.post());
    let now = author.now();
    assert_eq!(told(&mut state, &second.bytes(), &at(now, &keys)), "resync gap");
    assert_eq!(told(&mut state, &third.bytes(), &at(now, &keys)), "ignore lost");
    let mut forged = third.clone();
    forged.rev = rev(9);
    forged.sign(&key(99));
    let again = Context { again: true, ..at(now, &keys) };
    assert_eq!(told(&mut state, &forged.bytes(), &again), "refuse bad-signature", "and is not looked for");
    assert_eq!(state.head(), Some(held));
    assert_eq!(state.resynced(second.head()), Some(Resync::Behind));
    assert_eq!(state.resynced(third.head()), None);
    assert_eq!((state.head(), state.lost()), (author.head, None));
    assert_eq!(told(&mut state, &first.bytes(), &at(now, &keys)), "ignore older");
    let next = author.post();
    assert_eq!(told(&mut state, &next.bytes(), &at(author.now(), &keys)), "apply");
}

#[test]
fn sync_events_touch_fetch_or_are_refused() {
    let (author, mut state, mut event) = scene();
    let (keys, now) = (author.keys(), author.now());
    let held = state.head().unwrap();
    assert_eq!(told(&mut state, &event.sync(), &at(now, &keys)), "resync sync");
    assert_eq!(told(&mut state, &event.sync(), &at(now, &keys)), "ignore lost");
    let (_, mut state, _) = scene();
    // A new commit over the same tree, as after a change of keys.
    event.data = held.data;
    event.sign(&author.key);
    assert_eq!(told(&mut state, &event.sync(), &at(now, &keys)), "touch");
    assert_eq!(state.head(), Some(event.head()));
    assert_eq!(told(&mut state, &event.sync(), &at(now, &keys)), "ignore same");
    // An announcement of something older: a host that was restored from a backup.
    event.rev = rev(1);
    event.sign(&author.key);
    assert_eq!(told(&mut state, &event.sync(), &at(now, &keys)), "refuse older-head");
    event.sign(&key(99));
    assert_eq!(told(&mut state, &event.sync(), &at(now, &keys)), "ignore older", "nobody signed that");
    event.rev = rev(9);
    event.sign(&key(99));
    let again = Context { again: true, ..at(now + 60 * SECOND, &keys) };
    assert_eq!(told(&mut state, &event.sync(), &again), "refuse bad-signature");
}

#[test]
fn a_bad_signature_asks_for_the_identity_once_a_minute() {
    let (author, mut state, event) = scene();
    let (new, old) = (key(50), author.keys());
    let mut rotated = event.clone();
    rotated.sign(&new);
    let now = author.now();
    assert_eq!(told(&mut state, &rotated.bytes(), &at(now, &old)), "refresh signature");
    // The document names the new key: the same event is applied.
    let fresh = [Key { key: new.public_key(), until: None }];
    let mut found = state.clone();
    let again = Context { again: true, ..at(now, &fresh) };
    assert_eq!(told(&mut found, &rotated.bytes(), &again), "apply");
    // It does not: refused, and within the minute no further question is asked, but one is planned.
    let again = Context { again: true, ..at(now, &old) };
    assert_eq!(told(&mut state, &rotated.bytes(), &again), "refuse bad-signature");
    let mut planned = Vec::new();
    for second in 1..60 {
        let bytes = rotated.bytes();
        let context = at(now + second * SECOND, &old);
        match step(&mut state, decode(&bytes).unwrap(), &context) {
            Decision::Refuse(Refused::Signature { recheck_at, .. }) => planned.extend(recheck_at),
            other => panic!("{}", brief(&other)),
        }
    }
    assert_eq!(planned, [now + REFRESH_EVERY_MICROS]);
    let later = at(now + 2 * REFRESH_EVERY_MICROS, &old);
    assert_eq!(told(&mut state, &rotated.bytes(), &later), "refresh signature");
}

#[test]
fn a_withdrawn_key_counts_for_what_was_signed_in_its_time() {
    let (author, state, event) = scene();
    let signed = i64::try_from(event.rev.micros()).unwrap();
    let keys = |until: i64| {
        vec![
            Key { key: key(50).public_key(), until: None },
            Key { key: author.key.public_key(), until: Some(until) },
        ]
    };
    let ask = |until| {
        let keys = keys(until);
        let context = Context { again: true, ..at(author.now(), &keys) };
        told(&mut state.clone(), &event.bytes(), &context)
    };
    assert_eq!(ask(signed), "apply");
    assert_eq!(ask(signed - MAX_SKEW_MICROS), "apply", "give or take five minutes");
    assert_eq!(ask(signed - MAX_SKEW_MICROS - 1), "refuse bad-signature");
    let nobody = Context { again: true, ..at(author.now(), &[]) };
    assert_eq!(told(&mut state.clone(), &event.bytes(), &nobody), "refuse bad-signature");
}

#[test]
fn only_the_named_host_speaks_for_an_account() {
    let (author, mut state, event) = scene();
    let keys = author.keys();
    let other = Context { origin: Origin::Other, ..at(author.now(), &keys) };
    assert_eq!(told(&mut state, &event.bytes(), &other), "refresh host");
    assert_eq!(told(&mut state, &event.bytes(), &Context { again: true, ..other }), "refuse foreign-host");
    assert_eq!(told(&mut state, &event.bytes(), &other), "refuse foreign-host", "asked a moment ago");
    let gone = account(&author.did, false, Some("deleted"));
    assert_eq!(told(&mut state, &gone, &other), "refuse foreign-host");
    assert_eq!(state.status(), Status::Active);
    assert_eq!(told(&mut state, &event.sync(), &other), "refuse foreign-host");
    let relay = Context { origin: Origin::Relay, ..other };
    assert_eq!(told(&mut state, &event.bytes(), &relay), "apply", "a signature speaks for itself");
}

#[test]
fn status_is_in_force_at_once_and_commits_wait_for_it() {
    let (author, mut state, event) = scene();
    let keys = author.keys();
    let now = at(author.now(), &keys);
    let relay = Context { origin: Origin::Relay, ..now };
    assert_eq!(told(&mut state, &account(&author.did, true, None), &now), "ignore same");
    let gone = account(&author.did, false, Some("takendown"));
    assert_eq!(told(&mut state, &gone, &relay), "status takendown, confirm");
    assert_eq!(told(&mut state, &event.bytes(), &now), "refresh inactive");
    assert_eq!(told(&mut state, &event.bytes(), &Context { again: true, ..now }), "ignore inactive");
    assert_eq!(told(&mut state, &event.bytes(), &now), "ignore inactive");
    assert_eq!(told(&mut state, &account(&author.did, true, None), &now), "status active");
    assert_eq!(told(&mut state, &event.bytes(), &now), "apply");
    for (active, word, status) in [
        (false, Some("deactivated"), Status::Deactivated),
        (false, Some("suspended"), Status::Suspended),
        (false, Some("deleted"), Status::Deleted),
        (false, Some("invented-later"), Status::Inactive),
        (false, None, Status::Inactive),
        (true, Some("takendown"), Status::Takendown),
        (false, Some("desynchronized"), Status::Desynchronized),
        (true, Some("throttled"), Status::Throttled),
        (true, Some("invented-later"), Status::Active),
    ] {
        assert_eq!(Status::of(active, word), status);
    }
    assert!(!Status::Throttled.withdrawn() && Status::Inactive.withdrawn());
}

#[test]
fn identity_events_are_followed_once_a_minute_and_none_is_forgotten() {
    let (author, mut state, _) = scene();
    let keys = author.keys();
    let bytes = identity(&author.did);
    let mut asked = Vec::new();
    for second in 0..600 {
        match step(&mut state, decode(&bytes).unwrap(), &at(START + second * SECOND, &keys)) {
            Decision::Refresh { at, .. } => asked.push((at - START) / SECOND),
            Decision::Ignore(_) => {}
            other => panic!("{}", brief(&other)),
        }
    }
    assert_eq!(asked, (0..=10).map(|n| n * 60).collect::<Vec<_>>());
}

#[test]
fn heads_that_were_asked_for_are_compared() {
    let (author, mut state, event) = scene();
    let (held, now) = (state.head().unwrap(), author.now());
    let mut ask = |rev, commit| brief(&state.polled(rev, commit, now));
    assert_eq!(ask(held.rev, held.commit), "ignore same");
    assert_eq!(
        ask(rev(9), held.commit),
        "ignore same",
        "a host may make up a revision for an imported commit"
    );
    assert_eq!(ask(rev(1), event.commit), "refuse older-head");
    assert_eq!(ask(held.rev, event.commit), "refuse equivocation");
    assert_eq!(ask(rev(9_999), event.commit), "refuse future-rev");
    assert_eq!(ask(event.rev, event.commit), "resync behind");
    assert_eq!(state.resynced(held), Some(Resync::Behind), "what was announced is still missing");
    assert_eq!(state.resynced(event.head()), None);
    let mut nothing = State::new(None, Status::Active);
    assert_eq!(brief(&nothing.polled(event.rev, event.commit, now)), "resync unknown");
}
