//! Owners of accounts: sessions, passwords, tokens by mail, invites, preferences, takedown, deletion; by a clock that the
//! tests set.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

#[path = "accounts/deletion.rs"]
mod deletion;
#[path = "accounts/email.rs"]
mod email;
#[path = "accounts/factors.rs"]
mod factors;
#[path = "accounts/invites.rs"]
mod invites;
#[path = "accounts/logins.rs"]
mod logins;
#[path = "accounts/plc.rs"]
mod plc;
#[path = "accounts/sessions.rs"]
mod sessions;
mod shared;

use p2pds_host::HostError;
use p2pds_host::accounts::{By, Credentials, LoggedIn, MailJob, Reset};
use p2pds_host::jobs::Job as _;
use p2pds_syntax::Did;
use shared::{Node, did};

/// Password of the accounts made here.
const PASSWORD: &str = "correct horse battery";
const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A node with one account that has a password and an address.
async fn with_account() -> (Node, Did) {
    let node = Node::new();
    let did = add(&node, 1).await;
    (node, did)
}

async fn add(node: &Node, number: u32) -> Did {
    let did = did(number);
    node.account(&did).await;
    node.host.admin_set_email(&By::Operator, &did, &email_of(number)).await.unwrap();
    node.host.admin_set_password(&By::Operator, &did, PASSWORD).await.unwrap();
    did
}

fn email_of(number: u32) -> String {
    format!("user{number}@mail.example")
}

async fn log_in(node: &Node, identifier: &str, password: &str) -> Result<LoggedIn, HostError> {
    let given = Credentials {
        identifier,
        password,
        auth_factor_token: None,
        allow_takendown: false,
        address: "192.0.2.1",
    };
    node.host.log_in(given).await
}

fn later(node: &Node, micros: i64) {
    node.clock.fetch_add(micros, std::sync::atomic::Ordering::Relaxed);
}

/// Asks for a new password; what is promised then is done.
async fn forgot(node: &Node, email: &str) {
    node.host.request_password_reset(email);
    MailJob.round(&node.host).await.unwrap();
}

fn reset<'a>(token: &'a str, password: &'a str, end_app_passwords: bool) -> Reset<'a> {
    Reset { token, password, end_app_passwords, address: "192.0.2.1" }
}

/// The code in the newest mail of this kind.
async fn code(node: &Node, kind: &str) -> String {
    let row = node.host.mail_list(100).await.unwrap().into_iter().find(|row| row.kind == kind).unwrap();
    let words = node.host.mail_show(row.id).await.unwrap().unwrap().words.unwrap();
    words.text.lines().find_map(|line| line.strip_prefix("    ")).unwrap().to_owned()
}
