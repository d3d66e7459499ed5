//! The index of lexicons: equal to a count at any time, whatever changed the records.

use std::collections::BTreeMap;

use super::commits::{change, commit};
use super::model::Model;
use super::{Factory, Rig, did, head, rev, row};
use crate::view::{self, block_on};
use crate::{LexiconRow, StagedRow};

pub(super) fn run(factory: Factory<'_>) {
    counters_follow_commits_flips_drops_and_purges(factory);
    a_repo_of_many_collections(factory);
}

fn of(rig: &Rig, accounts: &[u8]) -> Vec<LexiconRow> {
    let accounts: Vec<_> = accounts.iter().map(|n| did(*n)).collect();
    block_on(rig.store.lexicons(&accounts)).unwrap()
}

fn line(collection: &str, repos: u64, records: u64, first: u64, last: u64) -> LexiconRow {
    LexiconRow { collection: collection.to_owned(), repos, records, first: rev(first), last: rev(last) }
}

/// The index is what the model counts, for each account and for all together, and its own check finds nothing.
pub(super) fn compare(rig: &Rig, model: &Model, seed: u64) {
    let mut all: BTreeMap<String, LexiconRow> = BTreeMap::new();
    for n in 0..3 {
        let wanted = model.lexicons(&did(n));
        assert_eq!(of(rig, &[n]), wanted, "seed {seed}: lexicons of {}", did(n));
        for row in wanted {
            all.entry(row.collection.clone()).and_modify(|sum| sum.add(&row)).or_insert(row);
        }
    }
    assert_eq!(of(rig, &[0, 1, 2]), all.into_values().collect::<Vec<_>>(), "seed {seed}: all lexicons");
    assert_eq!(block_on(rig.store.check_structure()).unwrap(), Vec::<String>::new(), "seed {seed}");
}

fn counters_follow_commits_flips_drops_and_purges(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.archive(&did(0), rev(1), &[row("a.b.c/1", "one"), row("a.b.c/2", "two"), row("x.y.z/1", "x")]);
    rig.archive(&did(1), rev(2), &[row("a.b.c/1", "one")]);
    rig.add(&did(2));
    let wanted = [line("a.b.c", 2, 3, 1, 2), line("x.y.z", 1, 1, 1, 1)];
    assert_eq!(of(&rig, &[0, 1, 2]), wanted);
    assert_eq!(of(&rig, &[2]), []);
    assert_eq!(of(&rig, &[9]), [], "an account that is not here");
    assert_eq!(of(&rig, &[]), []);
    let changes = vec![
        change("a.b.c/1", Some("one"), Some("uno")),
        change("n.e.w/1", None, Some("new")),
        change("x.y.z/1", Some("x"), None),
    ];
    rig.ok(commit(&did(0), rev(1), rev(3), changes));
    let wanted = [line("a.b.c", 1, 2, 1, 3), line("n.e.w", 1, 1, 3, 3), line("x.y.z", 0, 0, 1, 3)];
    assert_eq!(of(&rig, &[0]), wanted);
    // Staged records are of no account until they are flipped in; what was seen before stays known.
    let rows: Vec<_> = (0..5).map(|n| row(&format!("a.b.c/{n}"), &n.to_string())).collect();
    let (staged, root) = rig.stage(&did(0), rev(4), &rows);
    assert_eq!(of(&rig, &[0]), wanted);
    let old = rig.live(&did(0)).id;
    rig.flip(&did(0), staged, Some(rev(3)), head(&did(0), rev(4), root)).unwrap();
    let wanted = [line("a.b.c", 1, 5, 1, 4), line("n.e.w", 0, 0, 3, 3), line("x.y.z", 0, 0, 1, 3)];
    assert_eq!(of(&rig, &[0]), wanted, "before the replaced repo is dropped");
    block_on(view::drop_repo(&*rig.store, &did(0), old)).unwrap();
    assert_eq!(of(&rig, &[0]), wanted, "and after it");
    assert_eq!(block_on(rig.store.check_structure()).unwrap(), Vec::<String>::new());
    block_on(view::purge(&*rig.store, &did(0), "asked for", 10)).unwrap();
    assert_eq!(of(&rig, &[0, 1, 2]), [line("a.b.c", 1, 1, 2, 2)]);
}

/// More collections than one step drops.
fn a_repo_of_many_collections(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let rows: Vec<StagedRow> = (0..2_300).map(|n| row(&format!("a.b.c{n}/1"), "x")).collect();
    let old = rig.archive(&did(0), rev(1), &rows).id;
    let (staged, root) = rig.stage(&did(0), rev(2), &rows[..2]);
    rig.flip(&did(0), staged, Some(rev(1)), head(&did(0), rev(2), root)).unwrap();
    let before = of(&rig, &[0]);
    assert_eq!(before.len(), rows.len());
    block_on(view::drop_repo(&*rig.store, &did(0), old)).unwrap();
    assert_eq!(of(&rig, &[0]), before);
    assert_eq!(before.iter().filter(|l| l.records > 0).count(), 2);
    assert!(before.iter().all(|l| l.first == rev(1)));
}
