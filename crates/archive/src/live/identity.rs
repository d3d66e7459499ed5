//! Who may speak and sign for an account: keys remembered, looked up again when an event says so or a signature does not
//! fit, and what follows from a change.

use std::sync::Arc;

use p2pds_replica::follow::{Key, Refresh};

use super::followed::Slot;
use super::service::Service;
use crate::error::ArchiveResult;
use crate::identity::{identity_error, keys_of};
use crate::judge::Keys;

/// How long keys are remembered before the mirror is read again. Whoever brings the mirror up to date forgets them at once
/// ([`super::Attached::forget_keys`]); this is for what others write there.
const KEYS_FOR: i64 = 600_000_000;

impl Service {
    /// The keys that may have signed for an account: those of the mirror, or of the directory when there is none.
    pub(super) async fn keys(&self, slot: &Slot) -> ArchiveResult<Arc<[Key]>> {
        let now = self.now();
        if let Some((keys, since)) = &slot.lock().keys
            && now.saturating_sub(*since) < KEYS_FOR
        {
            return Ok(Arc::clone(keys));
        }
        let directory = self.archive().directory();
        let failed = |error| identity_error(slot.did.as_str(), &error);
        let identity = match directory.stored(&slot.did).await.map_err(failed)? {
            Some(identity) => identity,
            None => directory.refresh(&slot.did).await.map_err(failed)?,
        };
        let keys = of(&keys_of(&identity));
        slot.lock().keys = Some((Arc::clone(&keys), now));
        Ok(keys)
    }

    /// Asks the directory anew, at most once a minute, and takes over what it says. `false`: nobody answered anew.
    pub(super) async fn look_up(self: &Arc<Self>, slot: &Slot, why: Refresh) -> ArchiveResult<bool> {
        let asked = self.now();
        metrics::counter!("p2pds_live_identity_lookups_total", "why" => why.as_str()).increment(1);
        let asked_anew = self.archive().directory().refresh(&slot.did).await;
        // Whatever the log says now, a deletion too, is judged at once.
        self.archive().judge_identity_quietly(&slot.did).await;
        let identity = match asked_anew {
            Ok(identity) => identity,
            Err(error) => {
                tracing::info!(event = "live.identity", did = %slot.did, %error, "the identity could not be looked up");
                return Ok(false);
            }
        };
        let mut notes = Vec::new();
        self.archive().note_identity(&slot.did, &identity, &mut notes).await?;
        for note in &notes {
            tracing::info!(event = "live.identity-changed", did = %slot.did, "{note}");
        }
        let moved = {
            let mut inner = slot.lock();
            inner.keys = Some((of(&keys_of(&identity)), asked));
            if let Some(state) = &mut inner.state {
                state.refreshed(asked);
            }
            let host = identity.pds.as_deref();
            let moved = host.is_some_and(|host| *inner.host != *host);
            if let Some(host) = host.filter(|_| moved) {
                inner.host = host.into();
            }
            moved
        };
        if moved {
            self.changed.notify_one();
        }
        if moved || why == Refresh::Inactive {
            self.ask_status(slot).await?;
        }
        // What is remembered from less than a minute ago may be from before the change.
        Ok(identity.stale.is_none() && identity.fetched_at >= asked.saturating_sub(1_000_000))
    }
}

/// Keys as the rules take them: the current one first, each once.
fn of(keys: &Keys) -> Arc<[Key]> {
    let current = keys.current.iter().map(|key| Key { key: key.clone(), until: None });
    let earlier = keys
        .earlier
        .iter()
        .filter(|(key, _)| keys.current.as_ref() != Some(key))
        .map(|(key, period)| Key { key: key.clone(), until: period.until });
    current.chain(earlier).collect()
}
