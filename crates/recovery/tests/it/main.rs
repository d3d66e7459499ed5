//! Exports and drills of accounts archived from a scripted network.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod backup;
mod drill;
mod export;
#[path = "../../../archive/tests/it/fake/mod.rs"]
mod fake;
mod offline;
mod real;

use fake::{Fake, Node, Person};

/// A node that has archived somebody with pictures, an odd key and two collections that differ in case only.
async fn archived(seed: u8) -> (Fake, Person, Node) {
    use p2pds_ipld::cbor::Value;
    let net = Fake::start().await;
    let mut person = Person::new(seed, &net.url);
    for (n, name) in ["a", "b", "c"].into_iter().enumerate() {
        person.picture(&format!("3kpic{name}2222222"), &[n as u8; 3_000]);
    }
    for path in [
        "com.example.fooBar/Self",
        "com.example.foobar/self",
        "com.example.fooBar/did:web:a.example",
        "com.example.fooBar/con",
    ] {
        person.put(path, Value::map([("path", Value::Text(path.into()))]));
    }
    net.publish(&person, &person.sign(0));
    let node = Node::new(&net.url);
    node.add(&person).await;
    (net, person, node)
}
