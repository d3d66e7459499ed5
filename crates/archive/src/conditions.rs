//! Faults of the node that belong to no account: a source that is down, a directory that does not answer.
//!
//! They live in memory, because whoever sees them sees them again after a restart. Alerts are made of them, and of the
//! accounts' findings.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What is known of one condition since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// A short stable word, as a finding's.
    pub kind: String,
    /// What it is about: a host, a URL; empty for the node.
    pub subject: String,
    /// In plain words, while it holds; `None` once it was said to be in order.
    pub detail: Option<String>,
}

/// By kind and subject: what is wrong, if anything.
type ByKind = BTreeMap<(String, String), Option<String>>;

/// All conditions. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Conditions(Arc<Mutex<ByKind>>);

impl Conditions {
    /// More are not remembered; those in order are forgotten first.
    pub const MOST: usize = 1_000;

    /// Something is wrong: what it is, what it means and what to do, in plain words. Saying it again changes the words.
    pub fn raise(&self, kind: &str, subject: &str, detail: impl Into<String>) {
        self.put(kind, subject, Some(detail.into()));
    }

    /// It is in order.
    pub fn clear(&self, kind: &str, subject: &str) {
        self.put(kind, subject, None);
    }

    /// Everything said since the start, by kind and subject.
    #[must_use]
    pub fn all(&self) -> Vec<Condition> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .map(|((kind, subject), detail)| Condition {
                kind: kind.clone(),
                subject: subject.clone(),
                detail: detail.clone(),
            })
            .collect()
    }

    fn put(&self, kind: &str, subject: &str, detail: Option<String>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind.to_owned(), subject.to_owned());
        if all.len() >= Self::MOST && !all.contains_key(&key) {
            all.retain(|_, detail| detail.is_some());
            if all.len() >= Self::MOST {
                return;
            }
        }
        all.insert(key, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raised_and_cleared_are_both_known() {
        let conditions = Conditions::default();
        conditions.raise("live-source", "a", "down");
        conditions.raise("live-source", "a", "still down");
        conditions.clear("live-source", "b");
        let of = |subject: &str, detail: Option<&str>| Condition {
            kind: "live-source".into(),
            subject: subject.into(),
            detail: detail.map(Into::into),
        };
        assert_eq!(conditions.all(), [of("a", Some("still down")), of("b", None)]);
        for n in 0..Conditions::MOST * 2 {
            conditions.clear("x", &n.to_string());
        }
        assert!(conditions.all().len() <= Conditions::MOST);
        assert!(conditions.all().contains(&of("a", Some("still down"))), "what is wrong is not forgotten");
    }
}
