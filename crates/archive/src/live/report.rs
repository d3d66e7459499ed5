//! How live following goes, for lists and pages.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};

use super::service::{Live, Service, lock};
use crate::archive::Archive;
use crate::words::{plural, size};

/// How one account is followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveNote {
    /// `live` from its own host, `relay`, `polled`, `behind` while it is fetched anew, `waiting` while its stream is down.
    pub state: String,
    /// Where it is heard: the URL of a host or relay.
    pub from: String,
    /// When something was heard of it last, microseconds since 1970.
    pub heard_at: Option<i64>,
    /// In plain words.
    pub words: String,
}

/// How one stream goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceNote {
    /// Its URL.
    pub url: String,
    /// A relay, which repeats what hosts said.
    pub relay: bool,
    /// Accounts listened for.
    pub accounts: u64,
    /// Since when it is open, microseconds since 1970.
    pub open_since: Option<i64>,
    /// Events a second, of all accounts there.
    pub events_per_second: f64,
    /// Bytes a second.
    pub bytes_per_second: f64,
    /// Why it broke last.
    pub last_error: Option<String>,
}

/// Where the archive finds its live following, while a node runs.
#[derive(Debug, Default)]
pub(crate) struct Attached(Mutex<Weak<Service>>);

impl Attached {
    pub(crate) fn set(&self, service: &Arc<Service>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(service);
    }

    fn get(&self) -> Option<Arc<Service>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    /// Whether an account is followed.
    pub(crate) fn follows(&self, did: &Did) -> bool {
        self.get().is_some_and(|service| service.followed.get(did.as_str()).is_some())
    }

    /// An account is followed or not from now on, which is read anew: what waits of it is forgotten.
    pub(crate) fn let_go(&self, did: &Did) {
        if let Some(service) = self.get() {
            service.followed.retain(|known| known != did.as_str());
            service.changed.notify_one();
        }
    }

    /// What was remembered of an account's keys may have changed: they are read again before the next event is judged.
    pub(crate) fn forget_keys(&self, did: &Did) {
        if let Some(slot) = self.get().and_then(|service| service.followed.get(did.as_str())) {
            slot.lock().keys = None;
        }
    }

    /// How an account is followed; `None` when nothing follows it.
    pub(crate) fn note(&self, did: &Did) -> Option<LiveNote> {
        self.get()?.note_of(did)
    }
}

impl Archive {
    /// Whether an account is followed live and nothing keeps that from working: then nobody else needs to ask its host
    /// for what is new.
    #[must_use]
    pub fn follows_live(&self, did: &Did) -> bool {
        self.inner().live.get().is_some_and(|service| service.covers(did))
    }

    /// Whether a stream that is open brings word of an account's status. A polled account is asked after now and then.
    #[must_use]
    pub fn hears_status(&self, did: &Did) -> bool {
        self.inner().live.get().is_some_and(|service| service.hears(did))
    }
}

impl Live {
    /// How the streams go.
    #[must_use]
    pub fn sources(&self) -> Vec<SourceNote> {
        self.0.sources()
    }
}

impl Service {
    /// Everything in one line, with what it costs.
    pub(super) fn summary(&self) -> String {
        let (sources, followed) = (self.sources(), self.followed.len());
        let listened: u64 = sources.iter().map(|source| source.accounts).sum();
        let followed = u64::try_from(followed).unwrap_or(u64::MAX);
        if followed == 0 {
            return "no accounts to follow".to_owned();
        }
        let open = sources.iter().filter(|source| source.open_since.is_some()).count();
        let (events, bytes) = sources.iter().fold((0.0, 0.0), |(events, bytes), source| {
            (events + source.events_per_second, bytes + source.bytes_per_second)
        });
        let polled = match followed.saturating_sub(listened) {
            0 => String::new(),
            n => format!(", {n} polled"),
        };
        format!(
            "following {}{polled}; {open} of {} open, {}",
            plural(followed, "account", "accounts"),
            plural(u64::try_from(sources.len()).unwrap_or(0), "stream", "streams"),
            cost(events, bytes)
        )
    }

    fn sources(&self) -> Vec<SourceNote> {
        let now = self.now();
        let streams: Vec<_> = lock(&self.streams).values().cloned().collect();
        streams
            .into_iter()
            .map(|stream| {
                let going = stream.going(now);
                SourceNote {
                    url: stream.source.url().to_owned(),
                    relay: stream.source.is_relay(),
                    accounts: stream.listened(),
                    open_since: going.open_since,
                    events_per_second: going.events_per_second,
                    bytes_per_second: going.bytes_per_second,
                    last_error: going.last_error,
                }
            })
            .collect()
    }

    fn covers(&self, did: &Did) -> bool {
        let Some(slot) = self.followed.get(did.as_str()) else { return false };
        let source = {
            let inner = slot.lock();
            if inner.behind {
                return inner.resyncing;
            }
            inner.source.clone()
        };
        let Some(source) = source else { return true };
        let stream = lock(&self.streams).get(&*source).cloned();
        stream.is_some_and(|stream| stream.works(self.now()))
    }

    fn hears(&self, did: &Did) -> bool {
        let source = self.followed.get(did.as_str()).and_then(|slot| slot.lock().source.clone());
        let Some(source) = source else { return false };
        let stream = lock(&self.streams).get(&*source).cloned();
        stream.is_some_and(|stream| stream.works(self.now()))
    }

    fn note_of(&self, did: &Did) -> Option<LiveNote> {
        let slot = self.followed.get(did.as_str())?;
        let (source, host, behind, heard) = {
            let inner = slot.lock();
            (inner.source.clone(), Arc::clone(&inner.host), inner.behind, inner.heard_at)
        };
        let now = self.now();
        let going =
            source.as_deref().and_then(|source| lock(&self.streams).get(source).map(|s| s.going(now)));
        let from = source.as_ref().map_or_else(|| host.to_string(), |source| source.url().to_owned());
        let open = going.as_ref().and_then(|going| going.open_since);
        let state = match (&source, behind, open) {
            (_, true, _) => "behind",
            (None, ..) => "polled",
            (Some(_), _, None) => "waiting",
            (Some(source), ..) if source.is_relay() => "relay",
            (Some(_), ..) => "live",
        };
        // A stream that is open and silent says that nothing happens.
        let heard_at = match state {
            "live" | "relay" => going.and_then(|going| going.heard_at).max(Some(heard)),
            _ => Some(heard),
        }
        .filter(|at| *at > 0);
        let ago = heard_at.map_or_else(|| "nothing heard yet".to_owned(), |at| ago(now.saturating_sub(at)));
        let words = match state {
            "behind" => format!("out of step with {host}, being fetched anew"),
            "polled" => format!("{host} is asked from time to time, {ago}"),
            "waiting" => format!("the connection to {from} is down, {ago}"),
            "relay" => format!("live through the relay {from}, {ago}"),
            _ => format!("live from {from}, {ago}"),
        };
        Some(LiveNote { state: state.to_owned(), from, heard_at, words })
    }
}

/// `3.1 events/s, 12.0 kB/s (31.5 GB a month)`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "for display; the cast saturates"
)]
pub(super) fn cost(events: f64, bytes: f64) -> String {
    const MONTH: f64 = 30.4 * 86_400.0;
    format!("{events:.1} events/s, {}/s ({} a month)", size(bytes as u64), size((bytes * MONTH) as u64))
}

/// `2 s ago`.
fn ago(micros: i64) -> String {
    match micros / 1_000_000 {
        secs @ ..120 => format!("{} s ago", secs.max(0)),
        secs @ 120..7_200 => format!("{} min ago", secs / 60),
        secs @ 7_200..172_800 => format!("{} h ago", secs / 3_600),
        secs => format!("{} days ago", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::ago;

    #[test]
    fn times_are_short() {
        let said = [-5_i64, 2, 119, 120, 7_200, 200_000].map(|secs| ago(secs * 1_000_000));
        assert_eq!(said, ["0 s ago", "2 s ago", "119 s ago", "2 min ago", "2 h ago", "2 days ago"]);
    }
}
