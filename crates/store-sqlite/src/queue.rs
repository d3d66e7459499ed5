//! The queue before the writer: one bounded lane per account, served in turn, so that one
//! account's import does not hold up the others.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use p2pds_store::{Applied, StoreError, StoreResult};
use p2pds_syntax::Did;
use tokio::sync::oneshot;

use crate::prepare::Prepared;

/// Where the answer to a unit goes.
pub(crate) type Answer = oneshot::Sender<StoreResult<Applied>>;

/// A unit and where its answer goes.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) unit: Prepared,
    pub(crate) answer: Answer,
}

/// Work for the writer's connection outside any unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chore {
    /// Fold the whole log into the database and empty it.
    Truncate,
    /// Give free pages at the end of the file back to the file system.
    Shrink,
    /// Rewrite the database; nothing deleted before is left in it.
    Vacuum,
    /// Copy the database into this new file, while units are written.
    Copy(PathBuf),
}

/// What the writer finds in the queue.
#[derive(Debug)]
pub(crate) enum Next {
    /// A unit.
    Unit(Job),
    /// A chore and where to say how it went.
    Chore(Chore, oneshot::Sender<StoreResult<()>>),
    /// Nothing now.
    Empty,
    /// Nothing any more.
    Closed,
}

#[derive(Debug, Default)]
struct Lanes {
    lanes: HashMap<Option<Did>, VecDeque<Job>>,
    /// Lanes that are not empty, in the order of their turns.
    turns: VecDeque<Option<Did>>,
    chores: VecDeque<(Chore, oneshot::Sender<StoreResult<()>>)>,
    total: usize,
    closed: bool,
}

impl Lanes {
    /// The first unit of a lane that has its turn now; its next one has to wait for the other lanes.
    fn take(&mut self, turn: Option<Did>) -> Option<Job> {
        let queue = self.lanes.get_mut(&turn)?;
        let job = queue.pop_front();
        if queue.is_empty() {
            self.lanes.remove(&turn);
        } else {
            self.turns.push_back(turn);
        }
        self.total = self.total.saturating_sub(1);
        job
    }
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    lanes: Mutex<Lanes>,
    filled: Condvar,
    per_lane: usize,
    in_all: usize,
}

/// What a refused caller is told to wait: about as long as a full lane takes to drain.
const RETRY_AFTER_MS: u64 = 250;

impl Queue {
    pub(crate) fn new(per_lane: usize, in_all: usize) -> Self {
        Self { lanes: Mutex::default(), filled: Condvar::new(), per_lane, in_all }
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        // Nothing inside can panic half way, so a poisoned lock still guards whole data.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a unit into its account's lane.
    pub(crate) fn push(&self, lane: Option<Did>, job: Job) {
        let mut lanes = self.lock();
        let refusal = if lanes.closed {
            Some(StoreError::Closed)
        } else {
            let waiting = lanes.lanes.get(&lane).map_or(0, VecDeque::len);
            if waiting >= self.per_lane {
                Some(StoreError::Busy { waiting, retry_after_ms: RETRY_AFTER_MS })
            } else if lanes.total >= self.in_all {
                Some(StoreError::Busy { waiting: lanes.total, retry_after_ms: RETRY_AFTER_MS })
            } else {
                None
            }
        };
        if let Some(error) = refusal {
            drop(lanes);
            let _ = job.answer.send(Err(error));
            return;
        }
        lanes.total = lanes.total.saturating_add(1);
        let queue = lanes.lanes.entry(lane.clone()).or_default();
        queue.push_back(job);
        if queue.len() == 1 {
            lanes.turns.push_back(lane);
        }
        drop(lanes);
        self.filled.notify_one();
    }

    /// Asks for a chore.
    pub(crate) fn push_chore(&self, chore: Chore, answer: oneshot::Sender<StoreResult<()>>) {
        let mut lanes = self.lock();
        if lanes.closed {
            let _ = answer.send(Err(StoreError::Closed));
            return;
        }
        lanes.chores.push_back((chore, answer));
        drop(lanes);
        self.filled.notify_one();
    }

    /// Refuses everything from now on; what waits is still taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    /// Units that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().total
    }

    /// Sleeps until there is something to do; `false` when there never will be again.
    pub(crate) fn wait(&self) -> bool {
        let mut lanes = self.lock();
        loop {
            if lanes.total > 0 || !lanes.chores.is_empty() {
                return true;
            }
            if lanes.closed {
                return false;
            }
            lanes = self.filled.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Sleeps until a unit waits, but no longer than this.
    pub(crate) fn wait_for(&self, most: Duration) {
        let lanes = self.lock();
        if lanes.total == 0 && !lanes.closed {
            drop(self.filled.wait_timeout(lanes, most).unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Takes the next unit that is not large, to share a flush with what was taken before; the large ones keep their
    /// turns.
    pub(crate) fn next_small(&self) -> Option<Job> {
        let mut lanes = self.lock();
        let small = |lane: &VecDeque<Job>| lane.front().is_some_and(|job| !job.unit.is_large());
        let at = lanes.turns.iter().position(|turn| lanes.lanes.get(turn).is_some_and(small))?;
        let turn = lanes.turns.remove(at)?;
        lanes.take(turn)
    }

    /// Takes the next unit, one lane after the other. Chores come only when `chores` is set.
    pub(crate) fn next(&self, chores: bool) -> Next {
        let mut lanes = self.lock();
        if chores && let Some((chore, answer)) = lanes.chores.pop_front() {
            return Next::Chore(chore, answer);
        }
        let Some(turn) = lanes.turns.pop_front() else {
            return if lanes.closed { Next::Closed } else { Next::Empty };
        };
        lanes.take(turn).map_or(Next::Empty, Next::Unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pds_store::Unit;

    fn job(name: &str) -> (Job, oneshot::Receiver<StoreResult<Applied>>) {
        let (answer, receiver) = oneshot::channel();
        (Job { unit: Prepared::Plain(Unit::DropWorker { name: name.into() }), answer }, receiver)
    }

    fn name(next: Next) -> String {
        match next {
            Next::Unit(Job { unit: Prepared::Plain(Unit::DropWorker { name }), .. }) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lanes_take_turns_and_keep_their_order() {
        let queue = Queue::new(10, 100);
        let big = Did::parse("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa").ok();
        for n in 0..4 {
            queue.push(big.clone(), job(&format!("big {n}")).0);
        }
        queue.push(None, job("small").0);
        let order: Vec<_> = (0..5).map(|_| name(queue.next(true))).collect();
        assert_eq!(order, ["big 0", "small", "big 1", "big 2", "big 3"]);
        assert!(matches!(queue.next(true), Next::Empty));
    }

    #[test]
    fn what_is_small_does_not_wait_for_what_is_large() {
        let queue = Queue::new(10, 100);
        let did = |c: &str| Did::parse(&format!("did:plc:{}", c.repeat(24))).ok();
        let large = || {
            let (answer, _) = oneshot::channel();
            let unit = Unit::DropRepo { did: did("a").unwrap(), repo: p2pds_store::RepoId(1) };
            Job { unit: Prepared::Plain(unit), answer }
        };
        queue.push(did("a"), large());
        queue.push(did("a"), job("a, behind").0);
        queue.push(did("b"), job("b").0);
        queue.push(did("c"), job("c").0);
        let small = || queue.next_small().map(|job| name(Next::Unit(job)));
        assert_eq!([small(), small(), small()], [Some("b".into()), Some("c".into()), None]);
        // It has kept its turn, and its lane its order.
        queue.push(did("b"), job("b again").0);
        assert!(matches!(queue.next(true), Next::Unit(job) if job.unit.is_large()));
        assert_eq!([small(), small(), small()], [Some("b again".into()), Some("a, behind".into()), None]);
        assert_eq!(queue.waiting(), 0);
    }

    #[test]
    fn a_full_lane_refuses_and_others_do_not() {
        let queue = Queue::new(2, 3);
        let big = Did::parse("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa").ok();
        queue.push(big.clone(), job("1").0);
        queue.push(big.clone(), job("2").0);
        let (third, mut answer) = job("3");
        queue.push(big, third);
        assert!(matches!(answer.try_recv(), Ok(Err(StoreError::Busy { waiting: 2, .. }))));
        queue.push(None, job("4").0);
        let (fifth, mut answer) = job("5");
        queue.push(Did::parse("did:plc:bbbbbbbbbbbbbbbbbbbbbbbb").ok(), fifth);
        assert!(matches!(answer.try_recv(), Ok(Err(StoreError::Busy { waiting: 3, .. }))));
    }
}
