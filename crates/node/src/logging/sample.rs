//! Sampling: of many lines from one place in the code in a short time, the first ones are written.
//!
//! The key is the place, not the text: what a remote party sends must not make new keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// Lines of one place that are written within a [`WINDOW`].
pub(super) const BURST: u64 = 50;
/// Time after which a place may write again.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// Counts lines by their place in the code.
#[derive(Debug, Default)]
pub(super) struct Sampler(Mutex<HashMap<Identifier, Place>>);

#[derive(Debug)]
struct Place {
    name: &'static str,
    since: Instant,
    lines: u64,
    left_out: u64,
}

/// Lines that were left out at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Where: module and line.
    pub(super) place: &'static str,
    pub(super) lines: u64,
}

impl Sampler {
    /// Whether a line of this place is written at this time.
    pub(super) fn admit(&self, metadata: &'static Metadata<'static>, now: Instant) -> bool {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(metadata.callsite()).or_insert_with(|| Place {
            name: metadata.name(),
            since: now,
            lines: 0,
            left_out: 0,
        });
        if now.saturating_duration_since(place.since) >= WINDOW {
            (place.since, place.lines) = (now, 0);
        }
        place.lines = place.lines.saturating_add(1);
        if place.lines <= BURST {
            return true;
        }
        place.left_out = place.left_out.saturating_add(1);
        false
    }

    /// What was left out since the last call.
    pub(super) fn take(&self) -> Vec<LeftOut> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places
            .values_mut()
            .filter(|place| place.left_out > 0)
            .map(|place| LeftOut { place: place.name, lines: std::mem::take(&mut place.left_out) })
            .collect()
    }
}

/// The sampler as a filter; the writer's thread holds it too.
pub(super) struct Shared(pub(super) Arc<Sampler>);

impl<S: Subscriber> Filter<S> for Shared {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        self.0.admit(event.metadata(), Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use tracing::field::FieldSet;
    use tracing::metadata::Kind;
    use tracing::{Callsite, Level, metadata, subscriber};

    use super::*;

    struct Here(u8);
    static A: Here = Here(1);
    static B: Here = Here(2);
    static META_A: Metadata<'static> = metadata! { name: "a", target: "t", level: Level::ERROR, fields: &[], callsite: &A, kind: Kind::EVENT };
    static META_B: Metadata<'static> = metadata! { name: "b", target: "t", level: Level::ERROR, fields: &[], callsite: &B, kind: Kind::EVENT };

    impl Callsite for Here {
        fn set_interest(&self, _: subscriber::Interest) {}
        fn metadata(&self) -> &Metadata<'_> {
            if self.0 == 1 { &META_A } else { &META_B }
        }
    }

    #[test]
    fn a_flood_is_sampled_and_counted() {
        let _: &FieldSet = META_A.fields();
        let sampler = Sampler::default();
        let begin = Instant::now();
        let written = (0..100_000).filter(|_| sampler.admit(&META_A, begin)).count();
        assert_eq!(written as u64, BURST);
        assert!(sampler.admit(&META_B, begin), "another place is not concerned");
        assert_eq!(sampler.take(), [LeftOut { place: "a", lines: 100_000 - BURST }]);
        assert_eq!(sampler.take(), []);
        assert!(!sampler.admit(&META_A, begin + WINDOW - Duration::from_millis(1)));
        assert!(sampler.admit(&META_A, begin + WINDOW), "after a while it may write again");
    }
}
