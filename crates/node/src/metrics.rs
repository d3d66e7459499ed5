//! Metrics: one catalogue, one recorder, one page in Prometheus's text format.
//!
//! Libraries use the macros of the `metrics` crate, which cost next to nothing when nobody records. What they count
//! is listed in [`catalogue`]; what follows from the store is sampled when the page is asked for ([`sample`]).
//!
//! The page is the operator's: it is served on the operator socket, and over TCP only on an address of its own
//! (`metrics.port`), never at the public door.

pub mod catalogue;
pub mod door;
pub mod reference;
pub mod sample;

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use catalogue::{CATALOGUE, Kind};

/// Bounds of time histograms, in seconds: from a flush of a fast disk to a request that nobody waits for.
const SECONDS: &[f64] = &[0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0];

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// The process's recorder; starts it at the first call. `None` when another one is installed already.
pub fn recorder() -> Option<&'static PrometheusHandle> {
    HANDLE.get_or_init(install).as_ref()
}

fn install() -> Option<PrometheusHandle> {
    let mut builder = PrometheusBuilder::new();
    for metric in CATALOGUE.iter().filter(|metric| metric.kind == Kind::Histogram) {
        builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), SECONDS).ok()?;
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).ok()?;
    for metric in CATALOGUE {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
    Some(handle)
}

/// Begins to record, for a node.
pub fn start() {
    recorder();
    let since = crate::words::now_micros() / 1_000_000;
    metrics::gauge!("p2pds_start_time_seconds").set(f64::from(i32::try_from(since).unwrap_or(i32::MAX)));
    metrics::gauge!("p2pds_info", "version" => crate::cli::VERSION).set(1.0);
}

/// The page as it stands: what was counted so far.
#[must_use]
pub fn render() -> String {
    recorder().map(PrometheusHandle::render).unwrap_or_default()
}

/// Moves recorded samples into their buckets; to be called every few seconds, since memory grows until then.
pub fn upkeep() {
    if let Some(handle) = recorder() {
        handle.run_upkeep();
    }
}
