//! `docs/metrics.md`, made from the catalogue.

use super::catalogue::CATALOGUE;

const HEAD: &str = "\
# Metrics

In Prometheus's text format at `/metrics`:

- always on the operator socket, for the node's own user: `curl --unix-socket data/operator.sock http://localhost/metrics`;
- over TCP when `metrics.port` is set, on `metrics.bind` (127.0.0.1 unless changed). It has no password: keep it where
  only your Prometheus reaches it. It is never served at the public door.

No metric carries an account, a handle, a host or an address. What is wrong with which account says `p2pds archive show`.

What to alert on: any `p2pds_findings` that is not 0; `p2pds_store_stopped` or `p2pds_store_disk_full` at 1;
`p2pds_findings` of the kind `plc-unexpected` before all else (72 hours run); `p2pds_sync_age_seconds_max` far above your
`archive.sync_interval`;
`p2pds_worker_last_success_seconds` long ago; and the page not answering at all.

Made from the catalogue in `crates/node/src/metrics/catalogue.rs`; a test compares the two, and every name in the
sources with the catalogue.

| Name | Kind | Labels | Meaning |
|---|---|---|---|
";

/// The page.
#[must_use]
pub fn page() -> String {
    let mut text = HEAD.to_owned();
    for metric in CATALOGUE {
        let labels = match metric.labels {
            [] => "-".to_owned(),
            labels => labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", "),
        };
        text.push_str(&format!(
            "| `{}` | {} | {labels} | {} |\n",
            metric.name,
            metric.kind.as_str(),
            metric.help
        ));
    }
    text
}
