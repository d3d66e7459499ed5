//! What is remembered about one account.

use p2pds_ipld::Cid;
use p2pds_repo::event::Verified;
use p2pds_syntax::Tid;

use super::decision::{Decision, Ignored, Refused, Resync};
use super::{MAX_SKEW_MICROS, REFRESH_EVERY_MICROS};

/// The head of an account's copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Revision.
    pub rev: Tid,
    /// CID of the commit.
    pub commit: Cid,
    /// Root of the tree.
    pub data: Cid,
}

/// Status of the account at its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Status {
    /// Usable.
    #[default]
    Active,
    /// Switched off by its owner.
    Deactivated,
    /// Taken down by its host.
    Takendown,
    /// Suspended by its host.
    Suspended,
    /// Deleted at its host.
    Deleted,
    /// The host is out of step with it.
    Desynchronized,
    /// The host throttles it.
    Throttled,
    /// Not active, for a reason that is not said or not known.
    Inactive,
}

impl Status {
    /// From an `#account` event or `getRepoStatus`. A reason counts even when the account is said to be active.
    #[must_use]
    pub fn of(active: bool, status: Option<&str>) -> Self {
        match (status, active) {
            (Some("deactivated"), _) => Self::Deactivated,
            (Some("takendown"), _) => Self::Takendown,
            (Some("suspended"), _) => Self::Suspended,
            (Some("deleted"), _) => Self::Deleted,
            (Some("desynchronized"), _) => Self::Desynchronized,
            (Some("throttled"), _) => Self::Throttled,
            (_, true) => Self::Active,
            (_, false) => Self::Inactive,
        }
    }

    /// The protocol's word, or `inactive`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deactivated => "deactivated",
            Self::Takendown => "takendown",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
            Self::Desynchronized => "desynchronized",
            Self::Throttled => "throttled",
            Self::Inactive => "inactive",
        }
    }

    /// Whether the account's content is withdrawn: by its owner, its host, or for a reason that is not known.
    #[must_use]
    pub const fn withdrawn(self) -> bool {
        !matches!(self, Self::Active | Self::Desynchronized | Self::Throttled)
    }
}

/// What is remembered about one account: under 200 bytes, see the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub(super) head: Option<Head>,
    /// Why the copy is out of step with its host; `None` when it is not.
    pub(super) lost: Option<Resync>,
    /// The newest revision that was proved while the copy was out of step.
    pub(super) wanted: Option<Tid>,
    /// When the identity was last refreshed, or is going to be.
    pub(super) refresh_at: i64,
    pub(super) status: Status,
}

impl State {
    /// An account whose copy has this head; without one, the first event asks for the whole repository.
    #[must_use]
    pub const fn new(head: Option<Head>, status: Status) -> Self {
        Self { head, lost: None, wanted: None, refresh_at: i64::MIN, status }
    }

    /// Head of the copy, as far as the caller carried out what it was told.
    #[must_use]
    pub const fn head(&self) -> Option<Head> {
        self.head
    }

    /// Status at the host, as last heard.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Why the copy is out of step; `None` when it follows.
    #[must_use]
    pub const fn lost(&self) -> Option<Resync> {
        self.lost
    }

    /// The status was learned in another way, from `getRepoStatus` say.
    pub const fn set_status(&mut self, status: Status) {
        self.status = status;
    }

    /// The identity was refreshed for another reason, which counts towards the limit too.
    pub fn refreshed(&mut self, now: i64) {
        self.refresh_at = self.refresh_at.max(now);
    }

    /// What was decided could not be carried out: the store has `head`, and the copy is out of step.
    pub fn fall_back(&mut self, head: Option<Head>, why: Resync) -> Resync {
        if let Some(rev) = self.head.map(|head| head.rev) {
            self.want(rev);
        }
        self.head = head;
        self.lose(why)
    }

    /// A resync ended, and the store has `head` now. Says whether another one is needed, as a newer revision was seen
    /// meanwhile.
    pub fn resynced(&mut self, head: Head) -> Option<Resync> {
        self.head = Some(head);
        self.lost = None;
        match self.wanted.take() {
            Some(wanted) if wanted > head.rev => Some(self.lose_for(wanted, Resync::Behind)),
            _ => None,
        }
    }

    /// Judges a head that was asked for (`getLatestCommit`, `listRepos`): unsigned, so it can only lead to a resync or
    /// be reported.
    pub fn polled(&mut self, rev: Tid, commit: Cid, now: i64) -> Decision<'static> {
        let Some(head) = self.head else { return resync(self.lose(Resync::Unknown)) };
        // The commit decides before its revision: a host may report a revision of its own making for a commit that it
        // imported, as the reference server does.
        if head.commit == commit {
            return Decision::Ignore(Ignored::Same);
        }
        if in_future(rev, now) {
            return Decision::Refuse(Refused::Future { rev });
        }
        match rev.cmp(&head.rev) {
            std::cmp::Ordering::Less => Decision::Refuse(Refused::Older { rev, held: head.rev }),
            std::cmp::Ordering::Equal => Decision::Refuse(Refused::Equivocation {
                rev,
                held: head.commit,
                other: commit,
                signed: None,
            }),
            std::cmp::Ordering::Greater => resync(self.lose_for(rev, Resync::Behind)),
        }
    }

    pub(super) fn lose(&mut self, why: Resync) -> Resync {
        *self.lost.get_or_insert(why)
    }

    pub(super) fn lose_for(&mut self, rev: Tid, why: Resync) -> Resync {
        self.want(rev);
        self.lose(why)
    }

    pub(super) fn want(&mut self, rev: Tid) {
        self.wanted = self.wanted.max(Some(rev));
    }

    pub(super) fn advance(&mut self, event: &Verified<'_>) {
        let commit = event.commit();
        self.head = Some(Head { rev: commit.rev, commit: event.cid(), data: commit.data });
    }

    /// Whether the identity may be refreshed now; asking counts.
    pub(super) fn may_refresh(&mut self, now: i64) -> bool {
        let may = self.refresh_at.saturating_add(REFRESH_EVERY_MICROS) <= now;
        if may {
            self.refresh_at = now;
        }
        may
    }

    /// When the identity may be refreshed next; `None` when somebody was told a time already. Asking counts.
    pub(super) fn schedule_refresh(&mut self, now: i64) -> Option<i64> {
        if self.refresh_at > now {
            return None;
        }
        self.refresh_at = self.refresh_at.saturating_add(REFRESH_EVERY_MICROS).max(now);
        Some(self.refresh_at)
    }
}

fn resync(why: Resync) -> Decision<'static> {
    Decision::Resync { why, error: None }
}

/// Whether a revision is later than clocks can disagree.
pub(super) fn in_future(rev: Tid, now: i64) -> bool {
    i64::try_from(rev.micros()).unwrap_or(i64::MAX) > now.saturating_add(MAX_SKEW_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_fits_its_budget() {
        assert!(size_of::<State>() <= 200, "{} bytes", size_of::<State>());
    }
}
