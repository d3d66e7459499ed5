//! The index of lexicons: which collections the stored repos use, and how much.

use p2pds_syntax::Tid;

/// One collection in the live repos of some accounts.
///
/// The index is kept by the units that change records, in their transactions. The revs are what this archive has
/// seen, not when the records say that they were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LexiconRow {
    /// The collection's NSID as it stands in the keys.
    pub collection: String,
    /// Repos that hold records of it now.
    pub repos: u64,
    /// Those records.
    pub records: u64,
    /// The first rev at which this archive saw a record of it.
    pub first: Tid,
    /// The last rev at which a record of it was fetched, written, changed or deleted.
    pub last: Tid,
}

impl LexiconRow {
    /// Adds what other accounts hold of the same collection.
    pub fn add(&mut self, other: &Self) {
        self.repos = self.repos.saturating_add(other.repos);
        self.records = self.records.saturating_add(other.records);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}
