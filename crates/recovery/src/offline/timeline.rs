//! The order of the posts: newest first, by what they say of themselves; and on which page each one is.
//!
//! In memory: 44 bytes for each post that has a TID as its key, so 88 MB for two million.

use std::collections::BTreeMap;

use p2pds_syntax::Tid;

use super::when::{Month, When};

/// Posts on one page.
pub(super) const PER_PAGE: usize = 100;

/// A record key, small.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Tid(Tid),
    Other(Box<str>),
}

impl Key {
    fn text(&self) -> String {
        match self {
            Self::Tid(tid) => tid.to_string(),
            Self::Other(text) => text.to_string(),
        }
    }
}

/// All posts.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// In the order of the repo.
    keys: Vec<Key>,
    /// Newest first: time, and where its key stands.
    order: Vec<(When, u32)>,
    /// Page of each key.
    pages: Vec<u32>,
}

/// A month that has posts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MonthRow {
    /// `None`: posts whose time nobody knows.
    pub(super) month: Option<Month>,
    pub(super) posts: u64,
    /// Page and key of the newest one.
    pub(super) page: u32,
    pub(super) rkey: String,
}

impl Timeline {
    /// Takes the next post in the order of the repo.
    pub(super) fn push(&mut self, rkey: &str, when: When) {
        let Ok(at) = u32::try_from(self.keys.len()) else { return };
        let tid = Tid::parse(rkey).ok().filter(|tid| tid.to_string() == rkey);
        self.keys.push(tid.map_or_else(|| Key::Other(rkey.into()), Key::Tid));
        self.order.push((when, at));
    }

    /// All posts are there: puts them in order.
    pub(super) fn arrange(&mut self) {
        self.order.sort_unstable_by(|a, b| b.cmp(a));
        self.pages = vec![0; self.keys.len()];
        for (place, (_, at)) in self.order.iter().enumerate() {
            let page = u32::try_from(place / PER_PAGE).unwrap_or(u32::MAX).saturating_add(1);
            if let Some(slot) = self.pages.get_mut(*at as usize) {
                *slot = page;
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Pages that they fill; at least one.
    pub(super) fn page_count(&self) -> u32 {
        u32::try_from(self.keys.len().div_ceil(PER_PAGE)).unwrap_or(u32::MAX).max(1)
    }

    /// Places in the order of the repo of what a page shows, newest first. Pages count from 1.
    pub(super) fn places(&self, page: u32) -> Vec<usize> {
        let from = (page.saturating_sub(1) as usize).saturating_mul(PER_PAGE);
        self.order.iter().skip(from).take(PER_PAGE).map(|(_, at)| *at as usize).collect()
    }

    /// The key at a place in the order of the repo.
    pub(super) fn key(&self, place: usize) -> Option<String> {
        self.keys.get(place).map(Key::text)
    }

    /// On which page a post is.
    pub(super) fn page_of(&self, rkey: &str) -> Option<u32> {
        let place = self.keys.binary_search_by(|key| match key {
            Key::Tid(tid) => tid.encode().as_slice().cmp(rkey.as_bytes()),
            Key::Other(text) => text.as_bytes().cmp(rkey.as_bytes()),
        });
        self.pages.get(place.ok()?).copied()
    }

    /// The months, newest first.
    pub(super) fn months(&self) -> Vec<MonthRow> {
        let mut months: BTreeMap<Option<Month>, MonthRow> = BTreeMap::new();
        for (when, at) in &self.order {
            let month = when.month();
            let row = months.entry(month).or_insert_with(|| MonthRow {
                month,
                posts: 0,
                page: self.pages.get(*at as usize).copied().unwrap_or(1),
                rkey: self.key(*at as usize).unwrap_or_default(),
            });
            row.posts = row.posts.saturating_add(1);
        }
        months.into_values().rev().collect()
    }
}

#[cfg(test)]
mod tests {
    use p2pds_ipld::cbor::Value;

    use super::*;

    #[test]
    fn every_post_is_on_one_page_and_found_there() {
        let mut timeline = Timeline::default();
        let mut keys: Vec<String> =
            (0..250_u64).map(|n| Tid::from_micros(1_700_000_000_000_000 + n, 0).to_string()).collect();
        keys.extend(["self".to_owned(), "A".to_owned(), "~z".to_owned()]);
        keys.sort();
        for (n, key) in keys.iter().enumerate() {
            let year = 2020 + n % 3;
            let at = Value::map([("createdAt", Value::Text(format!("{year}-01-01T00:00:{:02}Z", n % 60)))]);
            let at = if key == "self" { Value::Null } else { at };
            timeline.push(key, When::of(&at, key));
        }
        timeline.arrange();
        assert_eq!((timeline.len(), timeline.page_count()), (253, 3));
        let mut seen = Vec::new();
        for page in 1..=3 {
            for place in timeline.places(page) {
                let key = timeline.key(place).unwrap();
                assert_eq!(timeline.page_of(&key), Some(page), "{key}");
                seen.push(key);
            }
        }
        seen.sort();
        assert_eq!(seen, keys, "each once");
        assert_eq!(timeline.page_of("nobody"), None);
        let each = size_of::<Key>() + size_of::<(When, u32)>() + size_of::<u32>();
        assert!(each <= 44, "{each} bytes for each post");
        let months = timeline.months();
        assert_eq!(months.iter().map(|row| row.posts).sum::<u64>(), 253);
        assert_eq!(months.first().unwrap().month, Some(Month { year: 2022, month: 1 }));
        assert_eq!(months.last().unwrap().rkey, "self", "without a time it is the last");
        assert_eq!(Timeline::default().page_count(), 1);
    }
}
