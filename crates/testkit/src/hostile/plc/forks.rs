//! Recoveries without the right to.

use serde_json::json;

use super::story::{created, deleted, did_key, keys, micros, recovered, renamed, sign, tombstone, update};
use super::{PlcCase, case};

const AUTHORITY: &str = "equal or higher authority";

pub(super) fn add(cases: &mut Vec<PlcCase>) {
    authority(cases);
    window(cases);
    flags(cases);
}

/// A recovery needs a key above the one that it overrules.
fn authority(cases: &mut Vec<PlcCase>) {
    let keys = keys();
    let mut story = renamed();
    let fork = update(&story.cid(0), "mallory");
    story.add(fork, &keys.low, 2).nullify(1);
    case(cases, "recovery by the key that it overrules", story, AUTHORITY);

    let mut story = created();
    let prev = story.cid(0);
    story.add(update(&prev, "bob"), &keys.middle, 1);
    story.add(update(&prev, "mallory"), &keys.low, 2).nullify(1);
    case(cases, "recovery by a lower key", story, AUTHORITY);

    let mut story = recovered();
    let prev = story.cid(1);
    story.add(update(&prev, "mallory"), &keys.middle, 83).nullify(3);
    case(cases, "second recovery by the key of the first", story, AUTHORITY);

    let mut story = recovered();
    let prev = story.cid(1);
    story.add(update(&prev, "trudy"), &keys.low, 83).nullify(3);
    case(cases, "recovery of a recovery by the lowest key", story, AUTHORITY);

    let mut story = created();
    let prev = story.cid(0);
    story.add(update(&prev, "bob"), &keys.top, 1);
    story.add(update(&prev, "mallory"), &keys.top, 2).nullify(1);
    case(cases, "recovery from the highest key by itself", story, AUTHORITY);

    // The lowest key put a second time above the others: the place in the predecessor counts, and there the first one.
    let mut story = created();
    let mut doubled = update(&story.cid(0), "bob");
    doubled["rotationKeys"] = json!([did_key(&keys.low), did_key(&keys.middle), did_key(&keys.low)]);
    story.add(doubled, &keys.low, 1);
    let prev = story.cid(1);
    story.add(update(&prev, "carol"), &keys.low, 2);
    story.add(update(&prev, "mallory"), &keys.low, 3).nullify(2);
    case(cases, "recovery by a key that is listed twice", story, AUTHORITY);

    let mut story = renamed();
    let fork = update(&story.cid(0), "mallory");
    story.add(fork, &keys.stranger, 2).nullify(1);
    case(cases, "recovery by a stranger", story, "made by none of the");

    // Only the operation that the fork continues from says who may.
    let mut story = created();
    let mut adds = update(&story.cid(0), "bob");
    adds["rotationKeys"] = json!([did_key(&keys.stranger), did_key(&keys.low)]);
    story.add(adds, &keys.low, 1);
    let fork = update(&story.cid(0), "mallory");
    story.add(fork, &keys.stranger, 2).nullify(1);
    case(cases, "recovery by a key that was added later", story, "made by none of the");

    let mut story = deleted();
    let fork = update(&story.cid(1), "bob");
    story.add(fork, &keys.low, 3).nullify(2);
    case(cases, "revival by the key that deleted", story, AUTHORITY);

    let mut story = renamed();
    let fork = tombstone(&story.cid(0));
    story.add(fork, &keys.low, 2).nullify(1);
    case(cases, "deletion that overrules its own key", story, AUTHORITY);
}

/// A recovery needs to come within 72 hours.
fn window(cases: &mut Vec<PlcCase>) {
    const LATE: &str = "72 are allowed";
    let keys = keys();
    let late_by = |story: fn() -> super::Story, micros: i64| {
        let mut story = story();
        let last = story.entries.len() - 1;
        let prev = story.cid(last - 1);
        story.add_signed(sign(update(&prev, "carol"), &keys.top), micros).nullify(last);
        story
    };
    case(cases, "recovery a millisecond too late", late_by(renamed, micros(73) + 1000), LATE);
    case(cases, "recovery a year too late", late_by(renamed, micros(24 * 365)), LATE);
    case(cases, "revival a millisecond too late", late_by(deleted, micros(74) + 1000), LATE);

    // The first operation that would be undone counts, not the latest.
    let mut story = renamed();
    let prev = story.cid(1);
    story.add(update(&prev, "carol"), &keys.low, 70);
    let fork = update(&story.cid(0), "dave");
    story.add(fork, &keys.top, 74).nullify(1).nullify(2);
    case(cases, "recovery in time for the latest operation only", story, LATE);
}

/// The directory's word on what counts has to be what the operations say.
fn flags(cases: &mut Vec<PlcCase>) {
    const REFUSAL: &str = "say the opposite";
    let mut story = recovered();
    story.entries[2]["nullified"] = false.into();
    case(cases, "nullified operation listed as counting", story, REFUSAL);
    for (index, name) in ["creation", "operation", "latest operation"].into_iter().enumerate() {
        let mut story = renamed();
        let prev = story.cid(1);
        story.add(update(&prev, "carol"), &keys().low, 2).nullify(index);
        case(cases, &format!("{name} listed as nullified"), story, REFUSAL);
    }
}
