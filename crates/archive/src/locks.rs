//! One operation per account at a time, within this process. (Between processes the data directory's lock decides.)

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use p2pds_syntax::Did;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// The accounts being worked on. Idle accounts cost nothing.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    by_did: Mutex<HashMap<Did, Weak<RwLock<()>>>>,
}

/// Held while an account is worked on.
#[derive(Debug)]
pub struct AccountGuard {
    _guard: OwnedRwLockWriteGuard<()>,
}

/// Held by live following, whose steps go on beside each other and stand back for operations on the whole account.
#[derive(Debug)]
pub(crate) struct SharedGuard {
    _guard: OwnedRwLockReadGuard<()>,
}

impl Locks {
    /// Waits for the account.
    pub(crate) async fn enter(&self, did: &Did) -> AccountGuard {
        let lock = self.of(did);
        AccountGuard { _guard: lock.write_owned().await }
    }

    /// Waits until no operation works on the whole account.
    pub(crate) async fn share(&self, did: &Did) -> SharedGuard {
        let lock = self.of(did);
        SharedGuard { _guard: lock.read_owned().await }
    }

    /// The same without waiting.
    pub(crate) fn try_share(&self, did: &Did) -> Option<SharedGuard> {
        self.of(did).try_read_owned().ok().map(|guard| SharedGuard { _guard: guard })
    }

    /// Takes the account if nobody works on it.
    pub(crate) fn try_enter(&self, did: &Did) -> Option<AccountGuard> {
        self.of(did).try_write_owned().ok().map(|guard| AccountGuard { _guard: guard })
    }

    /// Whether an operation works on the whole account.
    pub(crate) fn busy(&self, did: &Did) -> bool {
        let by_did = self.by_did.lock().unwrap_or_else(PoisonError::into_inner);
        by_did.get(did).and_then(Weak::upgrade).is_some_and(|lock| lock.try_read().is_err())
    }

    fn of(&self, did: &Did) -> Arc<RwLock<()>> {
        let mut by_did = self.by_did.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = by_did.get(did).and_then(Weak::upgrade) {
            return lock;
        }
        // Idle ones are forgotten when the table would grow, so that this happens seldom.
        if by_did.len() == by_did.capacity() {
            by_did.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::new(RwLock::new(()));
        by_did.insert(did.clone(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_per_account() {
        let locks = Locks::default();
        let (a, b) = (Did::parse("did:web:a.example").unwrap(), Did::parse("did:web:b.example").unwrap());
        assert!(!locks.busy(&a));
        let held = locks.enter(&a).await;
        assert!(locks.try_enter(&a).is_none());
        assert!(locks.busy(&a) && !locks.busy(&b));
        assert!(locks.try_enter(&b).is_some(), "another account is free");
        drop(held);
        assert!(locks.try_enter(&a).is_some());
        for n in 0..1_000 {
            drop(locks.try_enter(&Did::parse(&format!("did:web:a{n}.example")).unwrap()));
        }
        assert!(locks.by_did.lock().unwrap().len() < 10, "idle accounts are forgotten");
    }

    #[tokio::test]
    async fn live_steps_share_and_stand_back() {
        let locks = Locks::default();
        let a = Did::parse("did:web:a.example").unwrap();
        let (one, two) = (locks.share(&a).await, locks.try_share(&a).unwrap());
        assert!(locks.try_enter(&a).is_none());
        drop((one, two));
        let whole = locks.enter(&a).await;
        assert!(locks.try_share(&a).is_none());
        drop(whole);
    }
}
