//! Faults beside the alerts that are open: what is new, what is over.

use std::collections::{BTreeMap, HashMap, HashSet};

use p2pds_store::AlertRow;

use super::derive::{Fault, Key};

/// A fault that was over a short while ago, or that usually passes, must last for this long before it is told.
const SETTLE: i64 = 10 * 60_000_000;
/// For so long a fault that was over is remembered.
const REMEMBERED: i64 = 60 * 60_000_000;

/// What becomes of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// It lasts.
    Keep(AlertRow),
    /// It lasts, in other words.
    Update(AlertRow),
    /// It is new.
    Open(AlertRow),
    /// It is over.
    Close(AlertRow),
}

/// Compares. Remembers what came and went, so that a fault that flutters is not told each time.
#[derive(Debug, Default)]
pub(super) struct Book {
    closed: HashMap<Key, i64>,
    seen: HashMap<Key, i64>,
}

impl Book {
    /// `unknown`: kinds and subjects of which nothing was heard since the start; their alerts stay as they are.
    pub(super) fn compare(
        &mut self,
        faults: &[Fault],
        unknown: &dyn Fn(&Key) -> bool,
        open: Vec<AlertRow>,
        now: i64,
    ) -> Vec<Change> {
        let mut by_key: BTreeMap<&Key, &Fault> = faults.iter().map(|fault| (&fault.key, fault)).collect();
        let mut changes = Vec::new();
        for mut row in open {
            let key = key_of(&row);
            match by_key.remove(&key) {
                Some(fault) if fault.detail == row.detail => changes.push(Change::Keep(row)),
                Some(fault) => {
                    row.detail.clone_from(&fault.detail);
                    changes.push(Change::Update(row));
                }
                None if unknown(&key) => changes.push(Change::Keep(row)),
                None => {
                    row.closed_at = Some(now);
                    self.closed.insert(key, now);
                    changes.push(Change::Close(row));
                }
            }
        }
        self.closed.retain(|_, at| now.saturating_sub(*at) < REMEMBERED);
        let current: HashSet<&Key> = by_key.keys().copied().collect();
        self.seen.retain(|key, _| current.contains(key));
        for fault in by_key.into_values() {
            let since = *self.seen.entry(fault.key.clone()).or_insert(now);
            let waits = fault.is_passing() || self.closed.contains_key(&fault.key);
            if !waits || now.saturating_sub(since) >= SETTLE {
                self.seen.remove(&fault.key);
                changes.push(Change::Open(row_of(fault, now)));
            }
        }
        changes
    }
}

pub(super) fn key_of(row: &AlertRow) -> Key {
    Key { kind: row.kind.clone(), did: row.did.clone(), subject: row.subject.clone() }
}

fn row_of(fault: &Fault, now: i64) -> AlertRow {
    let Key { kind, did, subject } = fault.key.clone();
    let about = did.as_ref().map_or_else(|| subject.clone(), |did| format!("{did} {subject}"));
    AlertRow {
        id: format!("{kind}-{now}-{:08x}", fold(&about)),
        did,
        kind,
        subject,
        detail: fault.detail.clone(),
        opened_at: now,
        closed_at: None,
        told: false,
        told_recovery: false,
        mailed: false,
        mailed_recovery: false,
    }
}

/// A few digits that tell alerts of one moment apart.
fn fold(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn fault(subject: &str, detail: &str) -> Fault {
        let key = Key { kind: "x".into(), did: None, subject: subject.into() };
        Fault { key, detail: detail.into() }
    }

    fn known(_: &Key) -> bool {
        false
    }

    #[test]
    fn one_for_the_fault_and_one_for_the_recovery() {
        let mut book = Book::default();
        let opened = book.compare(&[fault("a", "1"), fault("b", "1")], &known, Vec::new(), 1);
        let [Change::Open(a), Change::Open(b)] = opened.as_slice() else { panic!("{opened:?}") };
        assert_ne!(a.id, b.id);
        let open = vec![a.clone(), b.clone()];
        let same = book.compare(&[fault("a", "1"), fault("b", "2")], &known, open.clone(), 2);
        assert_eq!(same[0], Change::Keep(a.clone()));
        let Change::Update(updated) = &same[1] else { panic!("{same:?}") };
        assert_eq!((updated.id.as_str(), updated.detail.as_str()), (b.id.as_str(), "2"));
        let over = book.compare(&[fault("b", "1")], &known, open.clone(), 3);
        assert_eq!(
            over,
            [Change::Close(AlertRow { closed_at: Some(3), ..a.clone() }), Change::Keep(b.clone())]
        );
        // What nobody has spoken of since the start is neither over nor new.
        let after_restart = Book::default().compare(&[], &|key| key.subject == "a", open, 4);
        assert_eq!(after_restart[0], Change::Keep(a.clone()));
        assert!(matches!(&after_restart[1], Change::Close(row) if row.id == b.id));
    }

    #[test]
    fn what_flutters_is_told_once_it_lasts() {
        let mut book = Book::default();
        let it = || [fault("a", "1")];
        let [Change::Open(row)] = &book.compare(&it(), &known, Vec::new(), 0)[..] else { panic!() };
        assert_eq!(book.compare(&[], &known, vec![row.clone()], MINUTE).len(), 1);
        for minute in 2..12 {
            assert_eq!(book.compare(&it(), &known, Vec::new(), minute * MINUTE), []);
        }
        assert_eq!(book.compare(&it(), &known, Vec::new(), 12 * MINUTE).len(), 1, "ten minutes are a fault");
        let [] = &book.compare(&[], &known, Vec::new(), 13 * MINUTE)[..] else { panic!() };
        assert_eq!(book.compare(&it(), &known, Vec::new(), 80 * MINUTE).len(), 1, "an hour later it is news");
        let key = Key { kind: "desynchronized".into(), did: None, subject: String::new() };
        let passing = [Fault { key, detail: "1".into() }];
        assert_eq!(
            book.compare(&passing, &known, Vec::new(), 100 * MINUTE),
            [],
            "it mends itself, as a rule"
        );
        assert_eq!(
            book.compare(&passing, &known, Vec::new(), 110 * MINUTE).len(),
            1,
            "this time it does not"
        );
    }
}
