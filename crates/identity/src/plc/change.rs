//! What is new in a log, and whether two answers contradict each other.

use super::{Log, LogEntry};

/// How a newer answer relates to one that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogChange {
    /// Nothing happened.
    Same,
    /// That many operations were added at the end. They may nullify earlier ones, see [`Log::nullified_since`].
    Extended(usize),
    /// The newer answer lacks operations that the kept one has, and agrees otherwise: an outdated source. Keep the old.
    Shorter,
    /// Both are valid by themselves and differ from this index on: the directory has told two stories, or another
    /// directory did. Keep both, tell the operator.
    Forked {
        /// Index of the first entry that differs.
        at: usize,
    },
}

/// Compares the log that is kept with a newer answer for the same DID. Directories only append, so anything but
/// [`LogChange::Same`] and [`LogChange::Extended`] is a finding.
///
/// Times count: the same operation with another `createdAt` is another story, because times decide about forks.
pub fn compare(old: &Log, new: &Log) -> LogChange {
    let same = |(a, b): &(&LogEntry, &LogEntry)| a.cid == b.cid && a.created_at == b.created_at;
    let (before, after) = (old.entries().len(), new.entries().len());
    let common = old.entries().iter().zip(new.entries()).take_while(same).count();
    if old.did() != new.did() {
        return LogChange::Forked { at: 0 };
    }
    match (common == before, common == after) {
        (true, true) => LogChange::Same,
        (true, false) => LogChange::Extended(after.saturating_sub(before)),
        (false, true) => LogChange::Shorter,
        (false, false) => LogChange::Forked { at: common },
    }
}

impl Log {
    /// The operations that counted in `old` and no longer do here: what a recovery undid.
    pub fn nullified_since<'a>(&'a self, old: &'a Log) -> impl Iterator<Item = &'a LogEntry> {
        let was = old.entries();
        self.entries()
            .iter()
            .filter(|now| now.nullified && was.iter().any(|then| then.cid == now.cid && !then.nullified))
    }
}
