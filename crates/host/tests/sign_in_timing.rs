//! How long a wrong password takes tells nobody whether there is such an account, nor whether it has a second factor
//! (attack 46): Welch's t between the times of the check itself, without the patience that covers it.
//!
//! Measured with `P2PDS_TIMING` samples of each kind, in the nightly tier; times prove nothing on a busy machine, so the
//! ordinary run only proves that the measurement finds what it should.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod shared;
#[path = "shared/welch.rs"]
mod welch;

use std::time::Instant;

use p2pds_host::accounts::By;
use p2pds_host::accounts::factors::totp;
use shared::{Node, did};
use welch::{LIMIT, Samples};

const PASSWORD: &str = "correct horse battery";
const ADDRESS: &str = "192.0.2.1";

fn samples() -> usize {
    std::env::var("P2PDS_TIMING").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// An account with a password and an address.
async fn add(node: &Node, number: u32) -> String {
    let (did, email) = (did(number), format!("user{number}@mail.example"));
    node.account(&did).await;
    node.host.admin_set_email(&By::Operator, &did, &email).await.unwrap();
    node.host.admin_set_password(&By::Operator, &did, PASSWORD).await.unwrap();
    email
}

#[tokio::test]
async fn the_check_takes_as_long_whoever_is_meant() {
    let count = samples();
    let node = Node::new();
    let plain = add(&node, 1).await;
    let guarded = add(&node, 2).await;
    let new = node.host.begin_totp(&did(2)).await.unwrap();
    let secret = data_encoding::BASE32_NOPAD.decode(new.secret.as_bytes()).unwrap();
    let code = totp::code(&secret, totp::step(node.host.now()));
    let code = std::str::from_utf8(&code).unwrap();
    node.host.finish_totp(&did(2), &new.state, code, PASSWORD, ADDRESS).await.unwrap();
    let kinds = ["an account", "an account with a second factor", "nobody"];
    let mut samples: [Samples; 3] = Default::default();
    let mut dice = welch::Dice(46);
    // Five are there to warm up; as many of each kind, in an order that nothing can follow.
    for round in 0..count + 5 {
        for kind in dice.order::<3>() {
            let name = [plain.as_str(), guarded.as_str(), "user3@mail.example"][kind];
            // As every fifth guess of an app password looks.
            let password = if round % 5 == 0 { "abcd-efgh-ijkl-mnop" } else { "wrong password" };
            let began = Instant::now();
            assert!(!node.host.credentials_match(name, password).await.unwrap());
            if round >= 5 {
                samples[kind].push(began.elapsed());
            }
        }
    }
    assert!(node.host.credentials_match(&plain, PASSWORD).await.unwrap());
    if count == 0 {
        return;
    }
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let t = welch::t(&samples[a], &samples[b]);
        println!("{} beside {}: t = {t:.2}, {count} samples each", kinds[a], kinds[b]);
        assert!(t.abs() < LIMIT, "{} and {} can be told apart in time: t = {t:.2}", kinds[a], kinds[b]);
    }
}

#[test]
fn the_measurement_finds_what_it_should() {
    welch::is_right();
}
