//! Permission sets that were had once: in memory, and in one setting of the store, so that a restart forgets none.
//!
//! A set is asked for again after a day; when it cannot be had then, the old one is used, for ninety days at most. One
//! that was not found is not asked for again for a minute.
//!
//! Spec: <https://atproto.com/specs/permission>.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use p2pds_oauth::scope::PermissionSet;
use p2pds_syntax::Nsid;
use serde_json::{Map, Value, json};

/// After this a set is asked for again, microseconds; until the answer the old one is used.
const FRESH: i64 = 24 * 3_600 * 1_000_000;
/// The longest that a set is used which cannot be had again, microseconds.
const USABLE: i64 = 90 * FRESH;
/// One that was not found is not asked for again for this long, microseconds.
const ABSENT: i64 = 60 * 1_000_000;
/// Most sets that are remembered.
const MOST: usize = 500;
/// Most bytes that the store keeps of them; the newest go first.
const MOST_BYTES: usize = 512 * 1024;
/// The setting.
pub(super) const SETTING: &str = "oauth.permission-sets";

/// What is known of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// It is to be used as it is.
    Set(PermissionSet),
    /// It was asked for a moment ago and not found.
    Nothing,
    /// It is to be asked for; this is what to use when it is not found.
    Ask(Option<PermissionSet>),
}

#[derive(Debug)]
struct Known {
    set: PermissionSet,
    /// The definition that it was read from.
    main: Value,
    /// When it was had.
    at: i64,
}

#[derive(Debug, Default)]
struct Inner {
    known: HashMap<Nsid, Known>,
    /// Those that were not found, and when.
    absent: HashMap<Nsid, i64>,
    /// Whether what the store keeps was read.
    loaded: bool,
    /// Counts what was put.
    puts: u64,
}

/// The sets.
#[derive(Debug, Default)]
pub(super) struct Sets(Mutex<Inner>);

impl Sets {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing inside can panic half way, so a poisoned lock still guards whole data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what the store keeps was read.
    pub(super) fn is_loaded(&self) -> bool {
        self.lock().loaded
    }

    /// Takes over what the store kept. What cannot be read is left out: it is asked for again.
    pub(super) fn load(&self, text: Option<&str>) {
        let kept: Map<String, Value> =
            text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let mut inner = self.lock();
        inner.loaded = true;
        for (nsid, entry) in kept.into_iter().take(MOST) {
            let (Ok(nsid), Some(at), Some(main)) =
                (Nsid::parse(&nsid), entry.get("at").and_then(Value::as_i64), entry.get("main"))
            else {
                continue;
            };
            let Some(set) = PermissionSet::from_json(main) else { continue };
            // What was had since the start is newer.
            inner.known.entry(nsid).or_insert_with(|| Known { set, main: main.clone(), at });
        }
    }

    /// What is known of a set now.
    pub(super) fn look(&self, nsid: &Nsid, now: i64) -> Found {
        let inner = self.lock();
        let age = |at: i64| now.saturating_sub(at);
        let usable = inner.known.get(nsid).filter(|known| age(known.at) < USABLE);
        let asked = inner.absent.get(nsid).is_some_and(|at| age(*at) < ABSENT);
        match usable {
            Some(known) if asked || age(known.at) < FRESH => Found::Set(known.set.clone()),
            None if asked => Found::Nothing,
            usable => Found::Ask(usable.map(|known| known.set.clone())),
        }
    }

    /// A set was had: the document in which it is published. `None` when that is no permission set.
    pub(super) fn put(&self, nsid: &Nsid, document: &Value, now: i64) -> Option<PermissionSet> {
        let set = PermissionSet::from_json(document)?;
        let main = document.get("defs").and_then(|definitions| definitions.get("main")).unwrap_or(document);
        let known = Known { set: set.clone(), main: main.clone(), at: now };
        let mut inner = self.lock();
        if inner.known.len() >= MOST
            && let Some(oldest) =
                inner.known.iter().min_by_key(|(_, known)| known.at).map(|(nsid, _)| nsid.clone())
        {
            inner.known.remove(&oldest);
        }
        inner.known.insert(nsid.clone(), known);
        inner.absent.remove(nsid);
        inner.puts = inner.puts.saturating_add(1);
        Some(set)
    }

    /// A set was not found.
    pub(super) fn not_found(&self, nsid: &Nsid, now: i64) {
        let mut inner = self.lock();
        if inner.absent.len() >= MOST {
            inner.absent.clear();
        }
        inner.absent.insert(nsid.clone(), now);
    }

    /// How many were put so far.
    pub(super) fn puts(&self) -> u64 {
        self.lock().puts
    }

    /// What the store is to keep.
    pub(super) fn text(&self) -> String {
        let inner = self.lock();
        let mut known: Vec<(&Nsid, &Known)> = inner.known.iter().collect();
        known.sort_by_key(|(nsid, known)| (std::cmp::Reverse(known.at), *nsid));
        let (mut kept, mut bytes) = (Map::new(), 0_usize);
        for (nsid, known) in known {
            let entry = json!({ "at": known.at, "main": known.main });
            let more = bytes.saturating_add(nsid.as_str().len()).saturating_add(entry.to_string().len());
            // One that is too long leaves room for those after it.
            if more <= MOST_BYTES {
                bytes = more;
                kept.insert(nsid.to_string(), entry);
            }
        }
        Value::Object(kept).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nsid(n: usize) -> Nsid {
        Nsid::parse(&format!("com.example.set{n}")).unwrap()
    }

    fn document(title: &str) -> Value {
        let main = json!({ "type": "permission-set", "title": title, "permissions": [] });
        json!({ "lexicon": 1, "id": "com.example.set", "defs": { "main": main } })
    }

    fn title(found: Found) -> Option<String> {
        match found {
            Found::Set(set) => set.title,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_day_as_it_is_and_ninety_when_it_cannot_be_had_again() {
        let sets = Sets::default();
        assert_eq!(sets.look(&nsid(1), 0), Found::Ask(None));
        sets.not_found(&nsid(1), 0);
        assert_eq!(sets.look(&nsid(1), ABSENT - 1), Found::Nothing);
        assert_eq!(sets.look(&nsid(1), ABSENT), Found::Ask(None));
        let set = sets.put(&nsid(1), &document("one"), 0).unwrap();
        assert_eq!(sets.look(&nsid(1), FRESH - 1), Found::Set(set.clone()));
        assert_eq!(sets.look(&nsid(1), FRESH), Found::Ask(Some(set.clone())));
        sets.not_found(&nsid(1), FRESH);
        assert_eq!(sets.look(&nsid(1), FRESH + 1), Found::Set(set.clone()), "and not asked for at once");
        assert_eq!(sets.look(&nsid(1), USABLE - 1), Found::Ask(Some(set)));
        assert_eq!(sets.look(&nsid(1), USABLE), Found::Ask(None));
        assert_eq!(sets.put(&nsid(1), &json!({ "defs": { "main": { "type": "record" } } }), USABLE), None);
    }

    #[test]
    fn what_the_store_kept_is_there_again() {
        let sets = Sets::default();
        for n in 0..3 {
            sets.put(&nsid(n), &document(&format!("set {n}")), 5);
        }
        let next = Sets::default();
        assert!(!next.is_loaded());
        next.put(&nsid(2), &document("newer"), 6);
        next.load(Some(&sets.text()));
        assert!(next.is_loaded());
        let said = |n: usize| title(next.look(&nsid(n), FRESH));
        assert_eq!(
            (said(0), said(1), said(2)),
            (Some("set 0".into()), Some("set 1".into()), Some("newer".into()))
        );
        assert!(matches!(next.look(&nsid(0), FRESH + 5), Found::Ask(Some(_))), "as old as it was");
        for bad in [
            None,
            Some(""),
            Some("[]"),
            Some(r#"{"x":1,"com.example.set1":{"at":1},"com.example.set2":{"at":"1","main":{}}}"#),
        ] {
            let sets = Sets::default();
            sets.load(bad);
            assert!(sets.is_loaded() && sets.lock().known.is_empty());
        }
    }

    #[test]
    fn it_is_bounded() {
        let sets = Sets::default();
        for n in 0..MOST * 2 {
            sets.put(&nsid(n), &document(&"x".repeat(3_000)), i64::try_from(n).unwrap());
            sets.not_found(&nsid(n + 10_000), 0);
        }
        let newest = nsid(MOST * 2 - 1);
        sets.put(&nsid(7), &document(&"y".repeat(MOST_BYTES)), i64::MAX);
        let inner = sets.lock();
        assert!(inner.known.len() <= MOST && inner.absent.len() <= MOST);
        drop(inner);
        let text = sets.text();
        assert!(text.len() < MOST_BYTES * 11 / 10 && text.len() > MOST_BYTES / 2, "{}", text.len());
        assert!(text.contains(newest.as_str()) && !text.contains("yyy"));
    }
}
