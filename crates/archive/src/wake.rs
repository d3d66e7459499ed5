//! "Do this soon": how one part tells the workers that there is work, without knowing them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use p2pds_syntax::Did;
use tokio::sync::Notify;

/// Accounts that wait to be looked at, by job. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Wakes(Arc<Mutex<HashMap<String, Entry>>>);

#[derive(Debug, Default)]
struct Entry {
    bell: Arc<Notify>,
    accounts: HashSet<Did>,
    all: bool,
}

/// What a job was asked for since it last looked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// These accounts, whatever their interval and their failures say.
    pub accounts: HashSet<Did>,
    /// Look at everything; too many accounts were named, or the whole job was.
    pub all: bool,
}

impl Wakes {
    /// More accounts than this are not remembered one by one.
    pub const MOST: usize = 10_000;

    /// The job should work on this account now.
    pub fn account(&self, job: &str, did: &Did) {
        self.with(job, |entry| {
            if entry.accounts.len() < Self::MOST {
                entry.accounts.insert(did.clone());
            } else {
                entry.all = true;
            }
            entry.bell.notify_one();
        });
    }

    /// The job should look at what is due now.
    pub fn job(&self, job: &str) {
        self.with(job, |entry| {
            entry.all = true;
            entry.bell.notify_one();
        });
    }

    /// Takes what a job was asked for.
    #[must_use]
    pub fn take(&self, job: &str) -> Asked {
        self.with(job, |entry| Asked {
            accounts: std::mem::take(&mut entry.accounts),
            all: std::mem::take(&mut entry.all),
        })
    }

    /// What a job waits on.
    #[must_use]
    pub fn bell(&self, job: &str) -> Arc<Notify> {
        self.with(job, |entry| Arc::clone(&entry.bell))
    }

    fn with<T>(&self, job: &str, act: impl FnOnce(&mut Entry) -> T) -> T {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !jobs.contains_key(job) {
            jobs.insert(job.to_owned(), Entry::default());
        }
        act(jobs.entry(job.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bell_rung_before_anybody_waits_is_heard() {
        let wakes = Wakes::default();
        let did = Did::parse("did:web:a.example").unwrap();
        wakes.account("blobs", &did);
        wakes.bell("blobs").notified().await;
        assert_eq!(wakes.take("blobs"), Asked { accounts: [did].into(), all: false });
        assert_eq!(wakes.take("blobs"), Asked::default(), "taken once");
        assert_eq!(wakes.take("sync"), Asked::default(), "another job is not concerned");
    }

    #[test]
    fn memory_is_bounded() {
        let wakes = Wakes::default();
        for n in 0..Wakes::MOST + 5 {
            wakes.account("sync", &Did::parse(&format!("did:web:a{n}.example")).unwrap());
        }
        let asked = wakes.take("sync");
        assert!(asked.all && asked.accounts.len() == Wakes::MOST);
    }
}
