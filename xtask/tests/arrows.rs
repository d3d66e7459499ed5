//! The dependency arrows of `ARCHITECTURE.md`, read from `cargo metadata`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Layers from the bottom; a crate may use crates of lower layers.
const LAYERS: [(&str, &[&str]); 5] = [
    ("L0 vocabulary", &["syntax", "ipld", "crypto", "lexicon"]),
    ("L1 engines", &["repo", "identity", "replica"]),
    ("L2 ports and adapters", &["store", "store-sqlite", "blobs", "net"]),
    ("L3 services", &["reading", "directory", "agent", "archive", "oauth", "host", "recovery"]),
    ("L4 surfaces", &["p2pds", "xrpc", "web", "demo", "testkit", "xtask"]),
];

/// Arrows inside one layer, each with its reason.
const SIDEWAYS: [(&str, &str, &str); 22] = [
    ("ipld", "syntax", "one ErrorKind for all"),
    ("crypto", "syntax", "one ErrorKind for all"),
    ("lexicon", "syntax", "formats are identifiers"),
    ("lexicon", "ipld", "records are data-model values"),
    ("replica", "repo", "an event is proved by the repository engine"),
    ("store-sqlite", "store", "an adapter implements its port"),
    ("archive", "agent", "a record is put back at its host"),
    ("agent", "directory", "a sign-in begins with who hosts the account, and ends with whether that is so"),
    ("archive", "directory", "a sync starts with who hosts the account now"),
    ("archive", "reading", "self-checks read as everybody reads"),
    ("host", "directory", "a sign-in from elsewhere is checked against its identity"),
    ("host", "oauth", "the host fills the account port of its authorization server"),
    ("host", "reading", "an account reads its own data as everybody reads"),
    ("recovery", "host", "promotion makes an archived account a hosted one"),
    ("recovery", "directory", "a drill has an identity cache of its own, which asks nobody"),
    ("recovery", "archive", "a drill proves what the archive holds"),
    ("recovery", "reading", "an export reads as everybody reads"),
    ("demo", "xrpc", "its hosts have the public door of real ones"),
    ("demo", "web", "its hosts have the pages of real ones"),
    ("p2pds", "demo", "`p2pds demo` starts a network beside the node"),
    ("p2pds", "xrpc", "the node mounts the public door"),
    ("p2pds", "web", "the node mounts the pages"),
];

/// External crates and the only ones that may name them (as an ordinary dependency).
const RESERVED: [(&str, &[&str]); 10] = [
    ("rusqlite", &["store-sqlite"]),
    ("tokio-postgres", &["store-postgres"]),
    ("libp2p", &["net-libp2p"]),
    ("iroh", &["net-iroh"]),
    ("object_store", &["blobs"]),
    // `blobs` hands it to object_store: the S3 service is the operator's own, and may have a private address.
    ("reqwest", &["net", "blobs"]),
    ("hickory-resolver", &["net"]),
    // `demo` is the server's side of streams that the real ones have.
    ("tokio-tungstenite", &["net", "demo"]),
    ("axum", &["p2pds", "xrpc", "web", "demo"]),
    ("zstd", &["store-sqlite"]),
];

/// Nothing in L0 and L1 may reach a clock, a random source, a thread pool or a socket.
const IMPURE: [&str; 9] =
    ["tokio", "getrandom", "rand", "reqwest", "rusqlite", "tempfile", "chrono", "hyper", "async-trait"];

/// Concrete adapters are named where things are wired together, and by tooling.
const ADAPTERS: [(&str, &[&str]); 1] = [("store-sqlite", &["p2pds", "demo", "testkit", "xtask"])];

/// Package (without prefix) to its ordinary dependencies (without prefix).
fn graph() -> BTreeMap<String, Vec<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let out = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .output()
        .expect("cargo metadata runs");
    let metadata: Value = serde_json::from_slice(&out.stdout).expect("cargo metadata prints JSON");
    let short = |name: &str| name.strip_prefix("p2pds-").unwrap_or(name).to_owned();
    metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap();
            let ordinary = dependencies
                .iter()
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| short(dependency["name"].as_str().unwrap()))
                .collect();
            (short(package["name"].as_str().unwrap()), ordinary)
        })
        .collect()
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|(_, crates)| crates.contains(&name))
}

/// Every broken rule, in words.
fn broken(graph: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut broken = Vec::new();
    for (from, dependencies) in graph {
        let Some(here) = layer(from) else {
            broken.push(format!(
                "{from} has no layer: give it one in xtask/tests/arrows.rs and ARCHITECTURE.md"
            ));
            continue;
        };
        for to in dependencies {
            if let Some(there) = layer(to) {
                let sideways = SIDEWAYS.iter().any(|(a, b, _)| a == from && b == to);
                let tooling = from == "testkit" && to != "p2pds";
                if there >= here && !sideways && !tooling {
                    broken.push(format!("{from} -> {to}: arrows point down only"));
                }
            }
            for (reserved, allowed) in RESERVED.iter().chain(&ADAPTERS) {
                if to == reserved && !allowed.contains(&from.as_str()) && from != "testkit" {
                    broken.push(format!("{from} -> {to}: only {} may name it", allowed.join(", ")));
                }
            }
            if here < 2 && IMPURE.contains(&to.as_str()) {
                broken.push(format!("{from} -> {to}: L0 and L1 are pure"));
            }
        }
    }
    broken
}

#[test]
fn arrows_point_down_only() {
    let graph = graph();
    assert!(graph.len() > 10, "cargo metadata listed {} packages", graph.len());
    let broken = broken(&graph);
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn a_wrong_arrow_is_found() {
    let graph = BTreeMap::from([
        ("repo".to_owned(), vec!["tokio".to_owned(), "store".to_owned()]),
        ("archive".to_owned(), vec!["rusqlite".to_owned(), "store-sqlite".to_owned()]),
        ("unheard-of".to_owned(), vec![]),
    ]);
    assert_eq!(broken(&graph).len(), 5);
}
