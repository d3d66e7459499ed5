//! One operation per account at a time, within this process. (Between processes the data directory's lock decides.)

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use p2pds_syntax::Did;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// The accounts being worked on. Idle accounts cost nothing.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    by_did: Mutex<HashMap<Did, Weak<AsyncMutex<()>>>>,
}

/// Held while an account is worked on.
#[derive(Debug)]
pub struct AccountGuard {
    _guard: OwnedMutexGuard<()>,
}

impl Locks {
    /// Waits for the account.
    pub(crate) async fn enter(&self, did: &Did) -> AccountGuard {
        let lock = self.of(did);
        AccountGuard { _guard: lock.lock_owned().await }
    }

    /// Takes the account if nobody works on it.
    pub(crate) fn try_enter(&self, did: &Did) -> Option<AccountGuard> {
        self.of(did).try_lock_owned().ok().map(|guard| AccountGuard { _guard: guard })
    }

    fn of(&self, did: &Did) -> Arc<AsyncMutex<()>> {
        let mut by_did = self.by_did.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = by_did.get(did).and_then(Weak::upgrade) {
            return lock;
        }
        by_did.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(AsyncMutex::new(()));
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
        let held = locks.enter(&a).await;
        assert!(locks.try_enter(&a).is_none());
        assert!(locks.try_enter(&b).is_some(), "another account is free");
        drop(held);
        assert!(locks.try_enter(&a).is_some());
        assert!(locks.by_did.lock().unwrap().len() <= 2, "idle accounts are forgotten");
    }
}
