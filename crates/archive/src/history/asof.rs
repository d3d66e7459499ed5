//! Which state a person means: a revision, a date, or now.

use p2pds_reading::Viewer;
use p2pds_store::CommitRow;
use p2pds_syntax::{Datetime, Did, Tid};

use crate::archive::Archive;
use crate::error::{ArchiveError, ArchiveResult};
use crate::report::AsOf;
use crate::show::from_refusal;
use crate::words::when;

/// A point in the history of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The current state.
    Now,
    /// The state of this revision, which must have been seen.
    Rev(Tid),
    /// The newest state that was made at this time or before; microseconds since 1970.
    Time(i64),
}

impl At {
    /// Reads a revision (`3l6ovsmcvkk2y`), a time (`2026-11-20T18:30:00Z`, `2026-11-20T18:30`), a date (`2026-11-20`: the
    /// end of that day in UTC) or `now`.
    ///
    /// # Errors
    /// What it should look like.
    pub fn parse(text: &str) -> ArchiveResult<Self> {
        let text = text.trim();
        if text == "now" {
            return Ok(Self::Now);
        }
        if let Ok(rev) = Tid::parse(text) {
            return Ok(Self::Rev(rev));
        }
        let day = format!("{text}T23:59:59.999999Z");
        let candidates = [text.to_owned(), format!("{text}Z"), format!("{text}:00Z"), day];
        candidates
            .iter()
            .find_map(|text| Datetime::parse(text).ok())
            .map(|at| Self::Time(at.unix_micros()))
            .ok_or_else(|| ArchiveError::BadMoment(text.to_owned()))
    }
}

/// How many heads are read at a time when one is looked for.
const PAGE: usize = 200;

impl Archive {
    /// The head that a point in the history means, and what to know about it.
    pub(crate) async fn at(&self, did: &Did, at: At) -> ArchiveResult<(CommitRow, AsOf)> {
        let live = self.store().live_repo(did).await?;
        let Some((line, rev)) = live.map(|repo| (repo.line, repo.rev)) else {
            return Err(ArchiveError::NotArchived(did.to_string()));
        };
        let found = match at {
            At::Now => self.newest(did, |row| row.head.rev == rev && row.line == line, after(rev)).await?,
            At::Rev(rev) => self
                .newest(did, |row| row.head.rev == rev, after(rev))
                .await?
                .filter(|row| row.head.rev == rev),
            At::Time(micros) => {
                let last = Tid::from_micros(u64::try_from(micros).unwrap_or(0), 1_023);
                self.newest(did, |row| row.line == line, after(last)).await?
            }
        };
        match found {
            Some(row) => {
                let note = self.note(did, &row, at).await?;
                let made = i64::try_from(row.head.rev.micros()).unwrap_or(i64::MAX);
                let as_of = AsOf { rev: row.head.rev.to_string(), at: made, line: row.line, note };
                Ok((row, as_of))
            }
            None => Err(self.never_seen(did, at).await?),
        }
    }

    /// The newest head before a rev for which `wanted` says yes.
    async fn newest(
        &self,
        did: &Did,
        wanted: impl Fn(&CommitRow) -> bool,
        mut before: Option<Tid>,
    ) -> ArchiveResult<Option<CommitRow>> {
        loop {
            let page = self.door().heads(Viewer::Operator, did, before, PAGE).await.map_err(from_refusal)?;
            let Some(last) = page.last().map(|row| row.head.rev) else { return Ok(None) };
            before = Some(last);
            if let Some(row) = page.into_iter().find(&wanted) {
                return Ok(Some(row));
            }
        }
    }

    /// What lies between the time that was asked for and the next head that was seen.
    async fn note(&self, did: &Did, row: &CommitRow, at: At) -> ArchiveResult<Option<String>> {
        let At::Time(_) = at else { return Ok(None) };
        let up = self.store().commits(did, Some(row.head.rev), PAGE).await?;
        let Some(next) = up.into_iter().find(|next| next.line == row.line) else { return Ok(None) };
        if next.since == Some(row.head.rev) {
            return Ok(None);
        }
        let next_at = when(i64::try_from(next.head.rev.micros()).unwrap_or(i64::MAX));
        Ok(Some(format!(
            "the next revision that was seen is {} of {next_at}; what stood between the two is not known",
            next.head.rev
        )))
    }

    async fn never_seen(&self, did: &Did, at: At) -> ArchiveResult<ArchiveError> {
        let first = self.store().commits(did, None, 1).await?.pop();
        let horizon = self.store().account(did).await?.and_then(|account| account.horizon);
        let asked = match at {
            At::Now => "the current revision".to_owned(),
            At::Rev(rev) => format!("revision {rev}"),
            At::Time(micros) => format!("the state at {}", when(micros)),
        };
        let known = match (first, at) {
            (None, _) => "no revision was".to_owned(),
            (Some(first), _) => {
                let made = when(i64::try_from(first.head.rev.micros()).unwrap_or(i64::MAX));
                let older = if horizon.is_some() { " (older ones were forgotten)" } else { "" };
                format!("the oldest that is kept is {} of {made}{older}", first.head.rev)
            }
        };
        Ok(ArchiveError::NeverSeen { did: did.clone(), asked, known })
    }
}

/// Before which rev to look for heads up to and including one.
fn after(rev: Tid) -> Option<Tid> {
    Tid::from_u64(rev.as_u64().saturating_add(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_as_people_write_them() {
        let time = |text: &str| match At::parse(text).unwrap() {
            At::Time(micros) => when(micros),
            other => panic!("{other:?}"),
        };
        assert_eq!(At::parse("now").unwrap(), At::Now);
        assert_eq!(At::parse("3l6ovsmcvkk2y").unwrap(), At::Rev(Tid::parse("3l6ovsmcvkk2y").unwrap()));
        assert_eq!(time("2026-11-20T18:30:00Z"), "2026-11-20 18:30 UTC");
        assert_eq!(time("2026-11-20T18:30:00+02:00"), "2026-11-20 16:30 UTC");
        assert_eq!(time("2026-11-20T18:30"), "2026-11-20 18:30 UTC");
        assert_eq!(time("2026-11-20T18:30:15"), "2026-11-20 18:30 UTC");
        assert_eq!(time("2026-11-20"), "2026-11-20 23:59 UTC");
        for wrong in ["", "yesterday", "2026-13-01", "2026-11-20 18:30", "3l6ovsmcvkk2"] {
            assert!(At::parse(wrong).is_err(), "{wrong}");
        }
    }
}
