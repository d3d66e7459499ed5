//! Who can move the identities of archived accounts, remembered: a log is checked once for each state that it was in.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use p2pds_archive::{Archive, KeyState, Verdict};
use p2pds_syntax::Did;

/// Accounts remembered.
const MOST: usize = 5_000;
/// For how long, microseconds: the log may have grown.
const FOR: i64 = 60_000_000;

/// What the lights need to know of an identity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// Who can move it.
    pub keys: Option<KeyState>,
    /// The owner said that a rotation key above the host's is his.
    pub own_key: bool,
    /// Until when an operation that nobody expected can be undone.
    pub alarm: Option<i64>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Identities(Mutex<HashMap<Did, (i64, Known)>>);

impl Identities {
    /// What is known of one.
    pub async fn of(&self, archive: &Archive, did: &Did) -> Known {
        let now = archive.now();
        let fresh = |(at, _): &&(i64, Known)| now.saturating_sub(*at) < FOR;
        if let Some((_, known)) = self.lock().get(did).filter(fresh) {
            return *known;
        }
        let known = look(archive, did).await;
        let mut all = self.lock();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(did.clone(), (now, known));
        known
    }

    /// An identity has changed.
    pub fn forget(&self, did: &Did) {
        self.lock().remove(did);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Did, (i64, Known)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look(archive: &Archive, did: &Did) -> Known {
    let Ok(details) = archive.show(did).await else { return Known::default() };
    let alarm = archive.identity_history(did).await.ok().and_then(|history| {
        let unexpected = history.operations.iter().filter(|line| line.verdict == Verdict::Unexpected);
        unexpected.filter_map(|line| Some(line.undo.as_ref()?.until)).max()
    });
    let own = archive.store().own_keys(did).await.unwrap_or_default();
    let own_key = crate::pages::identity::is_safe(&details.keys.rotation_keys, &own);
    Known { keys: Some(details.keys.state), own_key, alarm }
}
