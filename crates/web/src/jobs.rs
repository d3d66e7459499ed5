//! Work that a page began and that lasts: it goes on when the page is closed, and any page can show how far it is.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::BASE32_NOPAD;
use p2pds_archive::{Phase, Progress, ProgressEvent, Stage};
use tokio::sync::watch;

use crate::node_side::Trouble;

/// Jobs remembered; those that have ended go first.
const MOST: usize = 200;
/// Jobs that may run at a time.
const RUNNING: usize = 16;

/// What a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Archive an account.
    Add,
    /// Fetch what is new.
    Sync,
    /// Check what is stored.
    Verify,
    /// Practise a restore.
    Drill,
    /// Write an account into a directory.
    Export,
    /// Make an archived account a hosted one.
    Promote,
    /// Erase an archived account.
    Remove,
    /// Put a record of before back at its account's host.
    Restore,
    /// Find out how much several accounts are.
    Plan,
    /// Archive several accounts.
    TakeIn,
}

impl Kind {
    /// Its stable word; sentences about it begin so.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sync => "sync",
            Self::Verify => "verify",
            Self::Drill => "drill",
            Self::Export => "export",
            Self::Promote => "promote",
            Self::Remove => "remove",
            Self::Restore => "restore",
            Self::Plan => "plan",
            Self::TakeIn => "take-in",
        }
    }

    /// Whether the same subject means the same work, so that a second beginning gets the first job.
    fn is_one_for_its_subject(self) -> bool {
        !matches!(self, Self::Plan | Self::TakeIn)
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Well; where its result is shown, and what to say of it (services' own words).
    Done {
        /// A path of these pages.
        next: String,
        /// In words.
        words: String,
    },
    /// Not, and why.
    Failed(Trouble),
    /// It was not begun: it might not fit, and somebody has to say that he wants it all the same.
    Asks {
        /// Where that is said.
        next: String,
    },
}

/// How a job is told to stop.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<tokio::sync::Notify>);

impl Stop {
    /// Tells it.
    pub fn stop(&self) {
        self.0.notify_one();
    }

    /// Waits until it is told.
    pub async fn told(&self) {
        self.0.notified().await;
    }
}

impl PartialEq for Stop {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What is known of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its name in addresses; not to be guessed.
    pub id: String,
    /// What it is for.
    pub kind: Kind,
    /// Whom it is about: a handle or DID, as it was given.
    pub subject: String,
    /// When it began, microseconds since 1970.
    pub began: i64,
    /// What each phase said last, in order.
    pub phases: Vec<ProgressEvent>,
    /// What was said besides, the newest last.
    pub notes: Vec<String>,
    /// What resolving found.
    pub found: Option<Box<p2pds_archive::Found>>,
    /// How it can be stopped, if it can.
    pub stop: Option<Stop>,
    /// How it ended.
    pub end: Option<End>,
}

/// Notes of one job that are kept.
const NOTES: usize = 20;

impl Job {
    fn heard(&mut self, mut event: ProgressEvent) {
        if let Some(found) = event.found.take() {
            self.found = Some(found);
        }
        if matches!(event.stage, Stage::Note | Stage::Warning) {
            if self.notes.len() == NOTES {
                self.notes.remove(0);
            }
            self.notes.push(event.message);
            return;
        }
        match self.phases.iter_mut().find(|known| known.phase == event.phase) {
            Some(known) => *known = event,
            None => self.phases.push(event),
        }
    }

    /// The phase that goes on now.
    #[must_use]
    pub fn now(&self) -> Option<(Phase, u64, Option<u64>)> {
        let event = self.phases.iter().rev().find(|event| event.stage != Stage::Finished)?;
        Some((event.phase, event.done, event.total))
    }
}

/// All jobs.
#[derive(Debug, Default)]
pub struct Jobs(Mutex<VecDeque<watch::Receiver<Job>>>);

/// Too many jobs run already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("so much is being done already that nothing more was begun: wait until something has ended")]
pub struct Busy;

impl Jobs {
    fn all(&self) -> std::sync::MutexGuard<'_, VecDeque<watch::Receiver<Job>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a job. Of one kind and subject there is one at a time: a second gets the first.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn begin<W, F>(&self, kind: Kind, subject: &str, now: i64, work: W) -> Result<String, Busy>
    where
        W: FnOnce(Progress) -> F,
        F: Future<Output = End> + Send + 'static,
    {
        self.begin_with(kind, subject, now, None, work)
    }

    /// The same; with `stop` the page has a button that tells the work to stop.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn begin_with<W, F>(
        &self,
        kind: Kind,
        subject: &str,
        now: i64,
        stop: Option<Stop>,
        work: W,
    ) -> Result<String, Busy>
    where
        W: FnOnce(Progress) -> F,
        F: Future<Output = End> + Send + 'static,
    {
        let mut jobs = self.all();
        let runs = |job: &watch::Receiver<Job>| job.borrow().end.is_none();
        if let Some(same) = jobs.iter().find(|job| {
            let job = job.borrow();
            kind.is_one_for_its_subject() && job.end.is_none() && job.kind == kind && job.subject == subject
        }) {
            return Ok(same.borrow().id.clone());
        }
        if jobs.iter().filter(|job| runs(job)).count() >= RUNNING {
            return Err(Busy);
        }
        if jobs.len() >= MOST {
            let ended = jobs.iter().position(|job| !runs(job));
            ended.and_then(|place| jobs.remove(place));
        }
        let id = new_id().ok_or(Busy)?;
        let job = Job {
            id: id.clone(),
            kind,
            subject: subject.to_owned(),
            began: now,
            phases: Vec::new(),
            notes: Vec::new(),
            found: None,
            stop,
            end: None,
        };
        let (tell, told) = watch::channel(job);
        let tell = Arc::new(tell);
        let heard = Arc::clone(&tell);
        let progress = Progress::to(move |event| heard.send_modify(|job| job.heard(event)));
        jobs.push_back(told);
        drop(jobs);
        let work = work(progress);
        tokio::spawn(async move {
            let end = work.await;
            tell.send_modify(|job| job.end = Some(end));
        });
        Ok(id)
    }

    /// A job, to be looked at and waited for.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<watch::Receiver<Job>> {
        self.all().iter().find(|job| job.borrow().id == id).cloned()
    }

    /// Those that run, and those that ended, the newest first.
    #[must_use]
    pub fn list(&self) -> Vec<Job> {
        self.all().iter().rev().map(|job| job.borrow().clone()).collect()
    }

    /// What runs for a subject.
    #[must_use]
    pub fn running(&self, subject: &str) -> Vec<Job> {
        let of = |job: &Job| job.end.is_none() && job.subject == subject;
        self.list().into_iter().filter(of).collect()
    }
}

/// A name that is not to be guessed.
pub(crate) fn new_id() -> Option<String> {
    let mut random = [0_u8; 15];
    getrandom::fill(&mut random).ok()?;
    Some(BASE32_NOPAD.encode(&random).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done() -> End {
        End::Done { next: "/".to_owned(), words: String::new() }
    }

    #[tokio::test]
    async fn one_at_a_time_for_one_subject() {
        let jobs = Jobs::default();
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let first = jobs
            .begin(Kind::Drill, "alice.test", 1, |_| async move {
                let _ = gone.await;
                done()
            })
            .unwrap();
        assert_eq!(jobs.begin(Kind::Drill, "alice.test", 2, |_| async { done() }), Ok(first.clone()));
        assert_ne!(jobs.begin(Kind::Sync, "alice.test", 2, |_| async { done() }), Ok(first.clone()));
        let mut job = jobs.find(&first).unwrap();
        assert_eq!(jobs.running("alice.test").iter().filter(|job| job.kind == Kind::Drill).count(), 1);
        go.send(()).unwrap();
        job.wait_for(|job| job.end.is_some()).await.unwrap();
        assert_ne!(jobs.begin(Kind::Drill, "alice.test", 3, |_| async { done() }), Ok(first));
        assert!(jobs.find("other").is_none());
    }

    #[tokio::test]
    async fn no_more_than_may_run() {
        let jobs = Jobs::default();
        let waiting = |n: usize| jobs.begin(Kind::Add, &n.to_string(), 1, |_| std::future::pending());
        for n in 0..RUNNING {
            waiting(n).unwrap();
        }
        assert_eq!(waiting(RUNNING), Err(Busy));
    }
}
