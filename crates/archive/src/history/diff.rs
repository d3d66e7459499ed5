//! What differs between two states that were seen.

use std::cmp::Ordering;
use std::collections::VecDeque;

use p2pds_ipld::Cid;
use p2pds_reading::Past;
use p2pds_syntax::{Did, RecordPath};

use super::At;
use crate::archive::Archive;
use crate::error::ArchiveResult;
use crate::report::{Counts, DiffReport, Difference};
use crate::show::from_refusal;

/// The keys of a state, page by page.
struct Keys<'a> {
    past: &'a Past,
    ahead: VecDeque<(RecordPath, Cid)>,
    after: Option<RecordPath>,
    ended: bool,
}

impl<'a> Keys<'a> {
    fn new(past: &'a Past) -> Self {
        Self { past, ahead: VecDeque::new(), after: None, ended: false }
    }

    async fn peek(&mut self) -> ArchiveResult<Option<&(RecordPath, Cid)>> {
        if self.ahead.is_empty() && !self.ended {
            let page = self.past.records(self.after.as_ref(), false).await.map_err(from_refusal)?;
            self.ended = page.is_empty();
            self.after = page.last().map(|row| row.key.clone());
            self.ahead.extend(page.into_iter().map(|row| (row.key, row.cid)));
        }
        Ok(self.ahead.front())
    }

    fn next(&mut self) {
        self.ahead.pop_front();
    }
}

impl Archive {
    /// What was created, edited and deleted between two points.
    ///
    /// # Errors
    /// A point that was never seen or was pruned; store failures.
    pub async fn diff(&self, did: &Did, from: At, to: At) -> ArchiveResult<DiffReport> {
        let account = self.inner().account(did).await?;
        let (from_row, from) = self.at(did, from).await?;
        let (to_row, to) = self.at(did, to).await?;
        let (old, new) = (self.past(did, &from_row).await?, self.past(did, &to_row).await?);
        let mut differences = Vec::new();
        let mut more = false;
        let counts = compare(&old, &new, |path, old, new| {
            if differences.len() >= DiffReport::MAX_LISTED {
                more = true;
                return;
            }
            let change = match (old, new) {
                (None, _) => "created",
                (Some(_), Some(_)) => "edited",
                (Some(_), None) => "deleted",
            };
            differences.push(Difference {
                path: path.to_string(),
                change: change.to_owned(),
                old: old.map(Cid::to_string),
                new: new.map(Cid::to_string),
            });
        })
        .await?;
        Ok(DiffReport { did: did.clone(), handle: account.handle, from, to, counts, differences, more })
    }

    /// How many records two states differ in.
    pub(super) async fn count_between(&self, old: &Past, new: &Past) -> ArchiveResult<Counts> {
        compare(old, new, |_, _, _| {}).await
    }
}

/// Walks two states side by side.
async fn compare(
    old: &Past,
    new: &Past,
    mut differs: impl FnMut(&RecordPath, Option<&Cid>, Option<&Cid>),
) -> ArchiveResult<Counts> {
    let (mut olds, mut news) = (Keys::new(old), Keys::new(new));
    let mut counts = Counts::default();
    loop {
        let order = match (olds.peek().await?, news.peek().await?) {
            (None, None) => return Ok(counts),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        match (order, olds.ahead.front(), news.ahead.front()) {
            (Ordering::Less, Some((key, cid)), _) => {
                counts.deleted = counts.deleted.saturating_add(1);
                differs(key, Some(cid), None);
            }
            (Ordering::Greater, _, Some((key, cid))) => {
                counts.created = counts.created.saturating_add(1);
                differs(key, None, Some(cid));
            }
            (Ordering::Equal, Some((key, before)), Some((_, after))) if before != after => {
                counts.updated = counts.updated.saturating_add(1);
                differs(key, Some(before), Some(after));
            }
            _ => {}
        }
        if order != Ordering::Greater {
            olds.next();
        }
        if order != Ordering::Less {
            news.next();
        }
    }
}
