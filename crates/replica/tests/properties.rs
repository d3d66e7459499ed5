//! Whatever order a stream comes in, however often, and with whatever lies between: the head never moves back, never
//! leaves the account's own commits, and ends at the newest one or knows that something is missing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::sync::LazyLock;

use p2pds_ipld::Cid;
use p2pds_replica::frame::{Account, Commit, Identity, MAX_SEQ, Sync};
use p2pds_replica::{Context, Decision, Frame, Head, Key, State, Status, decode, step};
use p2pds_repo::event::{Action, CommitEvent, EventOp};
use proptest::prelude::*;
use support::{Author, Event, at, key};

/// Honest events, and of each of them its lies.
struct Story {
    keys: Vec<Key>,
    now: i64,
    heads: Vec<Head>,
    honest: Vec<Vec<u8>>,
    lies: Vec<Vec<u8>>,
}

static STORY: LazyLock<Story> = LazyLock::new(|| {
    let mut author = Author::new(0);
    let mut events: Vec<Event> = (0..6).map(|_| author.post()).collect();
    events.push(author.commit(&[("k1", None), ("k2", Some("other"))]));
    events.push(author.commit(&[("k1", Some("again"))]));
    events.push(author.commit(&[("k0", None), ("k3", None)]));
    let mut lies = Vec::new();
    for event in &events {
        let mut forged = event.clone();
        forged.sign(&key(99));
        lies.push(forged.bytes());
        let mut foreign = event.clone();
        foreign.did = Author::new(3).did;
        lies.push(foreign.bytes());
        let mut wrong = event.clone();
        wrong.prev_data = Some(Cid::of_cbor(b"no tree"));
        lies.push(wrong.bytes());
        let mut late = event.clone();
        late.rev = support::rev(100_000);
        late.sign(&author.key);
        lies.push(late.bytes());
        let mut damaged = event.clone();
        damaged.blocks[1].1[0] ^= 1;
        lies.push(damaged.bytes());
        let mut short = event.clone();
        short.ops.pop();
        lies.push(short.bytes());
        let mut twin = event.clone();
        twin.data = Cid::of_cbor(b"another tree");
        twin.sign(&author.key);
        lies.push(twin.bytes());
    }
    Story {
        keys: author.keys(),
        now: author.now(),
        heads: events.iter().map(Event::head).collect(),
        honest: events.iter().map(Event::bytes).collect(),
        lies,
    }
});

/// Feeds frames to a follower that stands at the first commit. A resync gives what the host has: `fetched`.
fn follow<'a>(frames: impl IntoIterator<Item = &'a Vec<u8>>, fetched: Option<Head>) -> State {
    let story = &*STORY;
    let mut state = State::new(Some(story.heads[0]), Status::Active);
    let context = Context { again: true, ..at(story.now, &story.keys) };
    for bytes in frames {
        let before = state.head().unwrap();
        let decision = step(&mut state, decode(bytes).unwrap(), &context);
        let after = state.head().unwrap();
        match decision {
            Decision::Apply { .. } => {
                let place = |head: Head| story.heads.iter().position(|own| *own == head);
                assert_eq!(place(after), place(before).map(|n| n + 1), "one commit forward");
            }
            Decision::Resync { .. } => {
                assert_eq!(after, before);
                assert!(state.lost().is_some());
                if let Some(head) = fetched.filter(|head| head.rev >= before.rev) {
                    assert_eq!(state.resynced(head), None);
                }
            }
            _ => assert_eq!(after, before, "nothing else moves the head"),
        }
    }
    state
}

/// Kind, number, text, blocks, operations, and whether what may be missing is there.
type Numbered = (u8, u64, String, Vec<u8>, Vec<(u8, String)>, bool);

/// A frame of any kind that has a number, with fields of any size.
fn numbered() -> impl Strategy<Value = Numbered> {
    let ops = prop::collection::vec((0u8..3, "[a-z0-9]{1,40}"), 0..200);
    let blocks = prop::collection::vec(any::<u8>(), 0..2_000);
    (0u8..4, 0..=MAX_SEQ, "[ -~]{0,80}", blocks, ops, any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_order_ends_at_the_newest_or_knows_that_it_is_lost(
        order in prop::collection::vec(0usize..9, 1..40),
    ) {
        let story = &*STORY;
        let state = follow(order.iter().map(|n| &story.honest[*n]), None);
        let newest = order.iter().copied().max().unwrap();
        let head = state.head().unwrap();
        prop_assert!(story.heads.contains(&head));
        if state.lost().is_none() {
            prop_assert_eq!(head, story.heads[newest], "in step means at the newest that was seen");
        }
        // With a host that answers, it always ends at the newest.
        let state = follow(order.iter().map(|n| &story.honest[*n]), Some(story.heads[8]));
        prop_assert_eq!(state.lost(), None);
        prop_assert!(state.head().unwrap().rev >= story.heads[newest].rev);
    }

    #[test]
    fn repeated_in_order_is_followed_to_the_end(
        repeats in prop::collection::vec(1usize..4, 9),
        back in prop::collection::vec(0usize..9, 9),
    ) {
        let story = &*STORY;
        let mut frames = Vec::new();
        for n in 0..9 {
            frames.extend(std::iter::repeat_n(&story.honest[n], repeats[n]));
            frames.extend(story.honest.iter().take(n + 1).skip(back[n]));
        }
        let state = follow(frames, None);
        prop_assert_eq!((state.head(), state.lost()), (story.heads.last().copied(), None));
    }

    #[test]
    fn lies_between_the_truth_never_move_the_head(
        lies in prop::collection::vec((0usize..9, 0usize..63), 0..40),
    ) {
        let story = &*STORY;
        let mut frames = Vec::new();
        for n in 0..9 {
            frames.extend(lies.iter().filter(|(at, _)| *at == n).map(|(_, lie)| &story.lies[*lie]));
            frames.push(&story.honest[n]);
        }
        let state = follow(frames, Some(story.heads[8]));
        prop_assert_eq!((state.head(), state.lost()), (story.heads.last().copied(), None));
    }

    #[test]
    fn a_frame_cut_at_its_number_is_the_whole_frame(made in numbered()) {
        let (kind, seq, text, blocks, ops, some) = made;
        let did = Author::new(1).did;
        let cid = Cid::of_cbor(&blocks);
        let time = "2026-01-02T03:04:05.678Z";
        let frame = |seq| match kind {
            0 => Frame::Commit(Commit {
                seq,
                time,
                legacy: None,
                event: CommitEvent {
                    repo: did.clone(),
                    rev: support::rev(7),
                    since: some.then(|| support::rev(6)),
                    commit: cid,
                    blocks: &blocks,
                    ops: ops
                        .iter()
                        .map(|(action, key)| EventOp {
                            path: format!("com.example.thing/{key}").parse().unwrap(),
                            action: [Action::Create, Action::Update, Action::Delete][usize::from(*action)],
                            cid: (*action < 2).then_some(cid),
                            prev: (*action > 0).then_some(cid),
                        })
                        .collect(),
                    prev_data: some.then_some(cid),
                },
            }),
            1 => Frame::Sync(Sync { seq, time, did: did.clone(), rev: support::rev(7), blocks: &blocks }),
            2 => Frame::Identity(Identity { seq, time, did: did.clone(), handle: some.then_some(text.as_str()) }),
            _ => Frame::Account(Account {
                seq, time, did: did.clone(), active: some, status: (!some).then_some(text.as_str()),
            }),
        };
        let whole = frame(seq).encode();
        prop_assert_eq!(&frame(0).split().unwrap().with(seq), &whole);
        prop_assert_eq!(decode(&whole).unwrap().seq(), Some(seq));
    }
}
