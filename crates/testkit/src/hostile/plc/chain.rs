//! Operations that do not follow from each other.

use p2pds_syntax::Did;
use serde_json::json;

use super::story::{
    Story, cid, created, deleted, did_key, genesis, keys, micros, recovered, renamed, sign, tombstone, update,
};
use super::{PlcCase, case};

pub(super) fn add(cases: &mut Vec<PlcCase>) {
    identity(cases);
    predecessors(cases);
    order(cases);
}

/// Whose log it is.
fn identity(cases: &mut Vec<PlcCase>) {
    let other = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";
    let mut story = renamed();
    story.did = Some(Did::parse(other).unwrap());
    case(cases, "log of somebody else", story.clone(), "belongs to");
    for entry in &mut story.entries {
        entry["did"] = other.into();
    }
    case(cases, "log relabelled for somebody else", story, "it creates");

    let mut story = renamed();
    story.entries[1]["did"] = other.into();
    case(cases, "one entry of somebody else", story, "belongs to");

    let mut story = Story::new();
    let prev = created().cid(0);
    story.add(update(&prev, "bob"), &keys().low, 0);
    case(cases, "first operation with a predecessor", story, "must create the account");

    let mut story = Story::new();
    let mut crowded = genesis();
    crowded["rotationKeys"] = vec![did_key(&keys().low); 33].into();
    story.add(crowded, &keys().low, 0);
    case(cases, "more rotation keys than anybody needs", story, "33 rotation keys");

    let mut story = Story::new();
    story.add(tombstone(&created().cid(0)), &keys().low, 0);
    case(cases, "first operation is a deletion", story, "must create the account");

    let mut story = renamed();
    story.did = Some(story.did());
    story.entries.remove(0);
    case(cases, "creation left out", story, "must create the account");

    let mut story = created();
    story.did = Some(story.did());
    story.entries.clear();
    case(cases, "nothing at all", story, "is empty");
}

/// What it continues from.
fn predecessors(cases: &mut Vec<PlcCase>) {
    let keys = keys();
    let mut story = renamed();
    story.entries[1]["cid"] = story.cid(0).into();
    case(cases, "listed under another CID", story, "but its hash is");

    let mut story = renamed();
    let forgotten = cid(&sign(update(&story.cid(0), "nobody"), &keys.low));
    story.add(update(&forgotten, "carol"), &keys.low, 2);
    case(cases, "predecessor unknown", story, "not among the operations before it");

    let mut story = renamed();
    let prev = story.cid(1);
    story.add(update(&prev, "carol"), &keys.low, 2);
    story.entries.remove(1);
    case(cases, "operation in the middle left out", story, "not among the operations before it");

    let mut story = renamed();
    story.add(genesis(), &keys.top, 2);
    case(cases, "second creation", story, "only the first operation");

    let mut story = renamed();
    let create = json!({
        "type": "create",
        "signingKey": did_key(&keys.low),
        "recoveryKey": did_key(&keys.middle),
        "handle": "mallory.example.com",
        "service": "https://evil.example.com",
        "prev": null,
    });
    story.add(create, &keys.low, 2);
    case(cases, "second creation of the legacy type", story, "only the first operation");

    let mut story = renamed();
    let again = story.entries[1].clone();
    story.entries.push(again);
    case(cases, "operation listed twice", story, "listed twice");

    let mut story = deleted();
    let prev = story.cid(2);
    story.add(update(&prev, "carol"), &keys.top, 3);
    case(cases, "update after a deletion", story, "nothing may follow a deletion");

    let mut story = deleted();
    let prev = story.cid(2);
    story.add(tombstone(&prev), &keys.top, 3);
    case(cases, "deletion after a deletion", story, "nothing may follow a deletion");

    let mut story = recovered();
    let prev = story.cid(2);
    story.add(update(&prev, "mallory2"), &keys.low, 83);
    case(cases, "update of a nullified operation", story, "was nullified");

    let mut story = recovered();
    let prev = story.cid(2);
    story.add(tombstone(&prev), &keys.top, 83);
    case(cases, "deletion of a nullified operation", story, "was nullified");
}

/// Times, and the order of entries.
fn order(cases: &mut Vec<PlcCase>) {
    const REFUSAL: &str = "does not lie after";
    let keys = keys();
    let at = |micros: i64| {
        let mut story = renamed();
        let prev = story.cid(1);
        story.add_signed(sign(update(&prev, "carol"), &keys.low), micros);
        story
    };
    case(cases, "same time as its predecessor", at(micros(1)), REFUSAL);
    case(cases, "earlier than its predecessor", at(micros(1) - 1000), REFUSAL);
    case(cases, "earlier than the creation", at(micros(-1)), REFUSAL);

    let mut story = recovered();
    let created_at = story.entries[2]["createdAt"].clone();
    story.entries[3]["createdAt"] = created_at;
    case(cases, "recovery at the time of what it undoes", story, REFUSAL);

    let mut story = renamed();
    let prev = story.cid(1);
    story.add(update(&prev, "carol"), &keys.low, 2);
    story.entries.swap(1, 2);
    case(cases, "operations in the wrong order", story, "not among the operations before it");
}
