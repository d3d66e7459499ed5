//! What people told the operator: reports of hosted accounts, and requests of strangers that data be removed.

use async_trait::async_trait;
use p2pds_syntax::Did;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::{Applied, HostingUnit, Store, StoreError, StoreResult, Unit};

/// Open reports that are kept; one more is refused.
pub const MOST_OPEN: u64 = 10_000;
/// How long a closed report is kept, microseconds.
pub const CLOSED_KEPT: i64 = 90 * 24 * 3_600 * 1_000_000;
/// Most characters (graphemes) of the words of a report, as the lexicon has it.
pub const WORDS_GRAPHEMES: usize = 2_000;
/// Most bytes of the words of a report, as the lexicon has it.
pub const WORDS_BYTES: usize = 20_000;
/// Most bytes of how somebody wants to be answered.
pub const CONTACT_BYTES: usize = 500;
/// Most bytes of the note that closes a report.
pub const NOTE_BYTES: usize = 4_000;
/// Most bytes of what a report is about.
const SUBJECT_BYTES: usize = 8_192;
/// Most bytes of the kind of a report.
const KIND_BYTES: usize = 1_000;

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    /// Its number; the store gives it.
    pub id: i64,
    /// When it came, microseconds since 1970.
    pub at: i64,
    /// The hosted account that sent it; `None`: a stranger, or an account that is gone.
    pub by: Option<Did>,
    /// How the sender wants to be answered; empty: not at all.
    pub contact: String,
    /// Whose account it is about, if it is known here.
    pub did: Option<Did>,
    /// What it is about: a DID, a record's `at://` address, or a handle as it was typed.
    pub subject: String,
    /// The version of the record, as text.
    pub cid: Option<String>,
    /// The lexicon's reason, or `removal`, `unlawful`, `other` from the form of the pages.
    pub kind: String,
    /// What the sender wrote.
    pub words: String,
    /// How it was settled; `None`: it is open.
    pub closed: Option<ReportClosed>,
}

/// How a report was settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportClosed {
    /// When, microseconds since 1970.
    pub at: i64,
    /// In the operator's words.
    pub note: String,
}

/// How many reports wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportCounts {
    /// Open ones.
    pub open: u64,
    /// When the oldest of them came, microseconds since 1970.
    pub oldest: Option<i64>,
}

/// What happens to reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportsUnit {
    /// Keeps a report under a new number. Answers [`ReportsApplied::Kept`], or `Full` when `most` are open already.
    Put {
        /// The report; its number and how it was settled are ignored.
        row: Box<ReportRow>,
        /// Most open ones.
        most: u64,
    },
    /// Settles an open report. Answers [`ReportsApplied::Done`], or `NotOpen`.
    Close {
        /// Its number.
        id: i64,
        /// How.
        closed: ReportClosed,
        /// What is noted of it, together with it: by whom. The rest is filled in.
        by: String,
    },
    /// Forgets reports that were settled before a time. Answers [`ReportsApplied::Done`].
    Forget {
        /// Microseconds since 1970.
        before: i64,
    },
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportsApplied {
    /// It is kept under this number.
    Kept {
        /// The number.
        id: i64,
    },
    /// Too many are open; nothing changed.
    Full,
    /// There is no open report with this number; nothing changed.
    NotOpen,
    /// It was done.
    Done,
}

impl ReportsUnit {
    /// The account whose queue the unit waits in.
    #[must_use]
    pub fn did(&self) -> Option<&Did> {
        match self {
            Self::Put { row, .. } => row.by.as_ref(),
            Self::Close { .. } | Self::Forget { .. } => None,
        }
    }

    /// Whether it is tried on a full disk: what the operator does about a report is.
    #[must_use]
    pub fn frees(&self) -> bool {
        !matches!(self, Self::Put { .. })
    }

    /// Checks the unit by itself.
    ///
    /// # Errors
    /// [`StoreError::InvalidUnit`] names what is too long.
    pub fn check(&self) -> StoreResult<()> {
        let parts: &[(&str, usize, usize)] = match self {
            Self::Put { row, .. } => &[
                ("words", row.words.len(), WORDS_BYTES),
                ("contact", row.contact.len(), CONTACT_BYTES),
                ("subject", row.subject.len(), SUBJECT_BYTES),
                ("cid", row.cid.as_ref().map_or(0, String::len), SUBJECT_BYTES),
                ("kind", row.kind.len(), KIND_BYTES),
            ],
            Self::Close { closed, .. } => &[("note", closed.note.len(), NOTE_BYTES)],
            Self::Forget { .. } => &[],
        };
        match parts.iter().find(|(_, length, most)| length > most) {
            Some((what, length, most)) => Err(StoreError::InvalidUnit(format!(
                "the {what} of a report has {length} bytes, at most {most}"
            ))),
            None => Ok(()),
        }
    }
}

/// Reading reports.
#[async_trait]
pub trait ReportsStore: Send + Sync + 'static {
    /// One report.
    async fn report(&self, id: i64) -> StoreResult<Option<ReportRow>>;
    /// Open ones, those that wait longest first, beginning after a number.
    async fn open_reports(&self, after: i64, limit: usize) -> StoreResult<Vec<ReportRow>>;
    /// Closed ones, those that were settled last first.
    async fn closed_reports(&self, limit: usize) -> StoreResult<Vec<ReportRow>>;
    /// How many wait, and since when.
    async fn report_counts(&self) -> StoreResult<ReportCounts>;
}

/// Whether the words of a report are as short as the lexicon wants them.
#[must_use]
pub fn words_fit(words: &str) -> bool {
    words.len() <= WORDS_BYTES
        && words.graphemes(true).take(WORDS_GRAPHEMES.saturating_add(1)).count() <= WORDS_GRAPHEMES
}

/// Keeps a report. Its number; `None` when [`MOST_OPEN`] are open
/// already.
///
/// # Errors
/// The store; the account that sent it is gone, or is being deleted.
pub async fn keep_report(store: &dyn Store, row: ReportRow) -> StoreResult<Option<i64>> {
    let put = ReportsUnit::Put { row: Box::new(row), most: MOST_OPEN };
    match apply(store, put).await? {
        ReportsApplied::Kept { id } => Ok(Some(id)),
        _ => Ok(None),
    }
}

/// Settles an open report, and notes that in the audit log; whether there was one with this number.
///
/// # Errors
/// The store.
pub async fn close_report(store: &dyn Store, id: i64, by: &str, closed: ReportClosed) -> StoreResult<bool> {
    let close = ReportsUnit::Close { id, closed, by: by.to_owned() };
    Ok(apply(store, close).await? == ReportsApplied::Done)
}

/// Forgets reports that were settled [`CLOSED_KEPT`] ago.
///
/// # Errors
/// The store.
pub async fn forget_reports(store: &dyn Store, now: i64) -> StoreResult<()> {
    apply(store, ReportsUnit::Forget { before: now.saturating_sub(CLOSED_KEPT) }).await.map(drop)
}

async fn apply(store: &dyn Store, unit: ReportsUnit) -> StoreResult<ReportsApplied> {
    match store.apply(Unit::Hosting(Box::new(HostingUnit::Reports(unit)))).await? {
        Applied::Reports(applied) => Ok(applied),
        other => Err(StoreError::Bug(format!("a report was answered with {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_as_people_count_them() {
        assert!(words_fit("") && words_fit(&"a".repeat(2_000)) && !words_fit(&"a".repeat(2_001)));
        // One flag is one character of eight bytes.
        assert!(
            words_fit(&"\u{1f1e9}\u{1f1ea}".repeat(2_000)) && !words_fit(&"\u{1f1e9}\u{1f1ea}".repeat(2_001))
        );
        assert!(!words_fit(&"e\u{301}\u{301}\u{301}\u{301}\u{301}".repeat(1_900)), "bytes count too");
    }
}
