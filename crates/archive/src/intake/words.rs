//! What taking in would mean, in plain English.

use std::fmt;

use super::{Candidate, Estimate, Fit, Intake, RoomNote, Source, Span};
use crate::words::{count, plural, size};

/// Names of one list that are printed.
const NAMED: usize = 50;

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.low, self.high) {
            (low, Some(high)) if low == high => f.write_str(&size(low)),
            (0, Some(high)) => write!(f, "at most {}", size(high)),
            (low, Some(high)) => write!(f, "{} to {}", size(low), size(high)),
            (0, None) => f.write_str("unknown"),
            (low, None) => write!(f, "at least {}", size(low)),
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.handle {
            Some(handle) => write!(f, "{handle} ({})", self.did)?,
            None => write!(f, "{}", self.did)?,
        }
        if let Some(host) = &self.host {
            write!(f, " at {host}")?;
        }
        if let Some(size) = &self.size {
            write!(f, ": {size}")?;
        }
        match &self.remark {
            Some(remark) => write!(f, "; {remark}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Size      {}", self.size)?;
        if self.accounts == 0 {
            return Ok(());
        }
        match self.looked_at {
            0 => write!(f, "; no host said how much there is")?,
            looked if looked == self.accounts => {
                write!(f, ", from the tops of the trees at the accounts' hosts")?;
            }
            looked => {
                write!(
                    f,
                    ", estimated from {} of {}",
                    count(looked),
                    plural(self.accounts, "account", "accounts")
                )?;
            }
        }
        if self.blobs > 0 {
            let (listed, measured) = (plural(self.blobs, "blob", "blobs"), count(self.blobs_measured));
            write!(f, "; of these {listed} are listed, of which {measured} were measured")?;
        }
        match self.known_here {
            0 => write!(f, "; nothing that is complete here can stand for what was not asked"),
            known => write!(
                f,
                "; {} stand for what was not asked",
                plural(known, "complete account here", "complete accounts here")
            ),
        }
    }
}

impl fmt::Display for RoomNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Room      {} may be used now; ", size(self.usable))?;
        match self.fit {
            Fit::Fits => write!(f, "{} afterwards", self.after),
            Fit::Unknown => write!(f, "nothing is known that would bound what it takes"),
            Fit::MayNot => write!(f, "it may not fit"),
            Fit::Not => write!(f, "it does not fit"),
        }
    }
}

impl fmt::Display for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = self.of.as_ref().map(ToString::to_string).unwrap_or_default();
        let read = self.read_at.as_deref().unwrap_or("this archive");
        match &self.source {
            Source::Names(_) => {}
            Source::FollowsOf(_) => writeln!(f, "Follows   of {of}, as {read} has them")?,
            Source::List(_) => writeln!(f, "List      of {of}, as {read} has it")?,
        }
        let found = u64::try_from(self.found.len()).unwrap_or(u64::MAX);
        writeln!(f, "New       {}", plural(found, "account", "accounts"))?;
        listed(f, self.found.iter())?;
        if !self.here.is_empty() {
            let here = u64::try_from(self.here.len()).unwrap_or(u64::MAX);
            writeln!(f, "Here      {} already, left out", plural(here, "account", "accounts"))?;
        }
        if !self.not_found.is_empty() {
            let lost = u64::try_from(self.not_found.len()).unwrap_or(u64::MAX);
            writeln!(f, "Not found {}", plural(lost, "name", "names"))?;
            listed(f, self.not_found.iter().map(|one| format!("{}: {}", one.name, one.why)))?;
        }
        if self.cut {
            let most = u64::try_from(super::MOST_AT_ONCE).unwrap_or(u64::MAX);
            writeln!(f, "Note      there are more; {} are taken at once at most", count(most))?;
        }
        write!(f, "{}\n{}", self.estimate, self.room)
    }
}

fn listed<T: fmt::Display>(f: &mut fmt::Formatter<'_>, all: impl ExactSizeIterator<Item = T>) -> fmt::Result {
    let more = all.len().saturating_sub(NAMED);
    for one in all.take(NAMED) {
        writeln!(f, "  - {one}")?;
    }
    if more > 0 {
        writeln!(f, "  and {} more", count(u64::try_from(more).unwrap_or(u64::MAX)))?;
    }
    Ok(())
}
