//! The catalogues of metrics and log events say what the sources do, and the sources only what the catalogues say.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod sources;

use std::collections::{BTreeMap, BTreeSet};

use p2pds::metrics::catalogue::{CATALOGUE, Kind, find};
use p2pds::metrics::reference;
use sources::{Call, calls, document};

/// Labels whose values could be accounts, people or machines of others.
const FORBIDDEN_LABELS: [&str; 9] =
    ["did", "handle", "account", "host", "hostname", "pds", "address", "ip", "uri"];

#[test]
fn every_metric_in_the_sources_is_in_the_catalogue_with_its_kind_and_labels() {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for call in calls(&["counter!", "gauge!", "histogram!"]) {
        let Some(name) = call.first_text() else {
            if !call.file.ends_with("node/src/metrics.rs") {
                wrong.push(format!("{call}: the name of a metric must stand there as text"));
            }
            continue;
        };
        let Some(metric) = find(&name) else {
            wrong.push(format!("{call}: {name} is not in the catalogue"));
            continue;
        };
        used.insert(metric.name);
        if format!("{}!", metric.kind.as_str()) != call.macro_name {
            wrong.push(format!("{call}: {name} is a {}", metric.kind.as_str()));
        }
        let labels = call.keys("=>");
        if labels != BTreeSet::from_iter(metric.labels.iter().map(|label| (*label).to_owned())) {
            wrong.push(format!(
                "{call}: {name} has the labels {labels:?}, the catalogue says {:?}",
                metric.labels
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(used.len() > 20, "{used:?}");
    let idle: Vec<&str> =
        CATALOGUE.iter().map(|metric| metric.name).filter(|name| !used.contains(name)).collect();
    assert!(idle.is_empty(), "in the catalogue, and nobody counts it: {idle:?}");
}

#[test]
fn the_catalogue_keeps_the_rules_of_prometheus_and_names_nobody() {
    let mut seen = BTreeSet::new();
    for metric in CATALOGUE {
        let name = metric.name;
        assert!(seen.insert(name), "{name} twice");
        assert!(name.starts_with("p2pds_"), "{name}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
        assert_eq!(metric.kind == Kind::Counter, name.ends_with("_total"), "{name}: counters end in _total");
        assert!(!["_count", "_sum", "_bucket"].iter().any(|end| name.ends_with(end)), "{name}");
        assert!(metric.help.ends_with('.') && !metric.help.contains('\n'), "{name}: {:?}", metric.help);
        for unit in ["_ms", "_us", "_kb", "_mb", "_minutes"] {
            assert!(!name.contains(unit), "{name}: base units only");
        }
        for label in metric.labels {
            assert!(!FORBIDDEN_LABELS.contains(label), "{name}: {label}");
            assert!(label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}: {label}");
        }
    }
}

#[test]
fn the_page_of_metrics_is_the_catalogue() {
    document("metrics.md", &reference::page());
}

/// Name, level and fields of each event in `docs/events.md`.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/events.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut events = BTreeMap::new();
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 5, "five columns: {row}");
        let name = cells[0].trim_matches('`').to_owned();
        let fields =
            cells[2].split(", ").filter(|f| *f != "-").map(|f| f.trim_matches('`').to_owned()).collect();
        assert!(!cells[3].is_empty() && !cells[4].is_empty(), "{row}");
        assert!(events.insert(name.clone(), (cells[1].to_owned(), fields)).is_none(), "{name} twice");
    }
    events
}

fn level(call: &Call) -> String {
    call.macro_name.trim_end_matches('!').to_owned()
}

#[test]
fn every_log_line_has_an_event_of_the_catalogue() {
    let documented = documented();
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for call in calls(&["error!", "warn!", "info!", "debug!", "trace!"]) {
        let Some(event) = call.value("event") else {
            wrong.push(format!("{call}: no `event = \"area.thing\"`"));
            continue;
        };
        let well_formed = event.split_once('.').is_some_and(|(area, thing)| {
            !area.is_empty()
                && !thing.is_empty()
                && event.bytes().all(|b| b.is_ascii_lowercase() || b".-".contains(&b))
        });
        if !well_formed {
            wrong.push(format!("{call}: `{event}` is not `area.thing`"));
        }
        let Some((said, fields)) = documented.get(&event) else {
            wrong.push(format!("{call}: `{event}` is not in docs/events.md"));
            continue;
        };
        if *said != level(&call) {
            wrong.push(format!("{call}: `{event}` is documented as {said}"));
        }
        let mut has = call.fields();
        has.remove("event");
        if !has.is_subset(fields) {
            wrong.push(format!("{call}: `{event}` has the fields {has:?}, documented are {fields:?}"));
        }
        used.insert(event);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let idle: Vec<&String> = documented.keys().filter(|name| !used.contains(*name)).collect();
    assert!(idle.is_empty(), "documented, and nothing logs it: {idle:?}");
}

#[test]
fn the_reader_of_sources_sees_calls_as_the_compiler_does() {
    let text = r#"
        // warn!(event = "in.comment", "not this");
        tracing::warn!(event = "a.b", %error, count = list.len(), ?who, name, "said, with (brackets) {}", x);
        my_warn!("not this one");
        metrics::counter!("p2pds_x_total", "kind" => if a { "b" } else { "c" }).increment(1);
    "#;
    let calls = sources::in_text("x.rs", text, &["warn!", "counter!"]);
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].value("event").as_deref(), Some("a.b"));
    let fields: Vec<String> = calls[0].fields().into_iter().collect();
    assert_eq!(fields, ["count", "error", "event", "name", "who"]);
    assert_eq!(calls[1].first_text().as_deref(), Some("p2pds_x_total"));
    assert_eq!(calls[1].keys("=>"), BTreeSet::from(["kind".to_owned()]));
}
