//! Random histories of an account: each state that is kept is the one that was signed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

#[path = "it/fake/mod.rs"]
mod fake;

use std::collections::BTreeMap;

use p2pds_archive::{At, Kept, Outcome, Progress};
use p2pds_syntax::Tid;

use fake::past::{Dice, cids, edit, history, view};
use fake::{Fake, Getting, Node, Person, State};

/// Now and then a state that was seen and is older than the stored one.
async fn older(
    signed: &BTreeMap<Tid, State>,
    node: &Node,
    person: &Person,
    dice: &mut Dice,
) -> Option<(Tid, State)> {
    let head = node.head(person).await?.rev;
    let older: Vec<_> = signed.range(..head).collect();
    let at = usize::try_from(dice.below(6 * u64::try_from(older.len()).unwrap().max(1))).unwrap();
    older.get(at).map(|(rev, state)| (**rev, (*state).clone()))
}

/// Histories of diffs, whole fetches, accepted older heads and prunings: each state that is kept is the one that was
/// signed, and is proved; each that is not kept says so.
#[tokio::test(flavor = "multi_thread")]
async fn every_state_that_is_kept_is_the_one_that_was_signed() {
    let histories: u64 = std::env::var("P2PDS_HISTORIES").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    for seed in 0..histories {
        let net = Fake::start().await;
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9) + 3);
        let mut person = Person::new(90, &net.url);
        let node = Node::new(&net.url);
        let mut signed: BTreeMap<Tid, State> = BTreeMap::new();
        let mut lines = 0;
        let mut step = 0;
        for turn in 0..14 {
            step += 1;
            edit(&mut person, &mut dice);
            let state = person.sign(step);
            net.publish(&person, &state);
            let whole = dice.below(3) == 0;
            net.script(&person, |served| {
                served.getting = if whole { Getting::AlwaysWhole } else { Getting::Honest };
            });
            if turn == 0 {
                node.add(&person).await;
            } else if dice.below(4) == 0 {
                continue; // A revision that is never seen.
            } else if let Some((rev, back)) = older(&signed, &node, &person, &mut dice).await {
                // The host goes back to an old backup, and on from there.
                person.records.clone_from(&back.records);
                if dice.below(2) == 0 {
                    net.script(&person, |served| served.history.push(back.clone()));
                } else {
                    person.post("3kback2222222", turn);
                    let rev = Tid::from_micros(rev.micros() + 5, 7);
                    let other = person.sign_at(rev, &person.did, &person.signing);
                    net.publish(&person, &other);
                }
                let got =
                    node.archive.accept_head(&person.did, "restored from a backup", &Progress::none()).await;
                assert_eq!(got.unwrap().outcome, Outcome::Stored, "seed {seed}");
                lines += 1;
                step += 3;
            } else {
                node.sync(&person).await;
            }
            let head = node.head(&person).await.unwrap();
            let latest = net.newest(&person);
            assert_eq!(head.rev, latest.rev);
            signed.insert(head.rev, latest);
            node.pass(20);
            if dice.below(4) == 0 {
                node.archive.retain(&person.did, &Progress::none()).await.unwrap();
            }
        }
        let report = history(&node, &person, true).await;
        assert_eq!(report.failed, 0, "seed {seed}: {report}");
        assert!(report.proved >= 2, "seed {seed}: {report}");
        for revision in &report.revisions {
            let rev = Tid::parse(&revision.rev).unwrap();
            if revision.kept == Kept::Pruned {
                let refused = node.archive.diff(&person.did, At::Rev(rev), At::Now).await;
                assert!(refused.is_err(), "seed {seed}: {refused:?}");
                continue;
            }
            assert_eq!(
                view(&node, &person, rev).await,
                cids(&signed[&rev]),
                "seed {seed}: {rev}, {lines} lines"
            );
            assert!(revision.proof.as_ref().unwrap().ok);
        }
        assert_eq!(report.revisions.iter().filter(|r| r.kept == Kept::Current).count(), 1);
    }
}
