//! Many accounts hosted here that nobody writes to cost next to nothing. `P2PDS_HOST_ACCOUNTS` is how many (2,000).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use p2pds_host::keys::{Fresh, GivenKeys, Keys};
use p2pds_repo::commit::Unsigned;
use p2pds_repo::mst::empty_root;
use p2pds_store::view::block_on;
use p2pds_store::{Account, Head, Login, Origin, Role, Store as _, Unit};
use p2pds_store_sqlite::{Options as StoreOptions, SqliteStore};
use p2pds_syntax::{Did, Tid};
use p2pds_testkit::hosted::Hosted;
use p2pds_testkit::http;
use p2pds_testkit::need;
use p2pds_testkit::oracle::{Network, Options};

fn did(n: u64) -> Did {
    let digits: String = format!("{n:07}").bytes().map(|digit| char::from(b'a' + (digit - b'0'))).collect();
    Did::parse(&format!("did:plc:{}{digits}", "x".repeat(17))).unwrap()
}

/// Accounts as sign-ups leave them, without the sign-ups.
fn fill(data: &Path, accounts: u64) {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
    let given = GivenKeys { plc_rotation_hex: None, jwt_secret: None };
    let keys = Keys::open(&data.join("keys"), &given, Fresh::MustExist).unwrap();
    let store = SqliteStore::open(data, StoreOptions::default()).unwrap();
    for n in 0..accounts {
        let did = did(n);
        let key = keys.new_signing_key().unwrap();
        let rev = Tid::from_micros(now.try_into().unwrap(), 0);
        let commit = Unsigned { did: did.clone(), rev, data: empty_root() }.sign(&key).unwrap();
        let signing_did_key = p2pds_crypto::Signer::public_key(&key).to_did_key();
        let head = Head {
            rev,
            data: empty_root(),
            commit: commit.cid(),
            sig: commit.sig,
            key: signing_did_key.clone(),
            raw: None,
        };
        let mut account = Account::new(did.clone(), Origin::Network, now);
        account.handle = Some(format!("n{n}.test"));
        let login = Login {
            did: did.clone(),
            email: format!("n{n}@mail.test"),
            email_confirmed_at: None,
            password: "nobody logs in".into(),
            created_at: now,
            deactivated_at: None,
            delete_after: None,
            takedown: None,
            invites_disabled: false,
            invited_by: None,
            signing_key: keys.wrap(&key, &did).unwrap(),
            signing_did_key,
        };
        let units = vec![
            Unit::AddAccount(Box::new(account)),
            Unit::OpenRepo { did: did.clone(), head: Box::new(head), role: Role::Hosted, at: now },
            Unit::PutLogin(Box::new(login)),
        ];
        let receipt = store.submit(Unit::Batch { did, units });
        // A few hundred at a time share a flush.
        if n % 200 == 199 || n + 1 == accounts {
            block_on(receipt).unwrap();
        }
    }
    block_on(store.close()).unwrap();
}

/// Resident memory in KiB, after the node has answered for all accounts.
fn resident(host: &Hosted, accounts: u64) -> u64 {
    let (mut listed, mut cursor) = (0, String::new());
    loop {
        let url = format!("{}/xrpc/com.atproto.sync.listRepos?limit=1000{cursor}", host.url);
        let page = http::request("GET", &url, &[], None).unwrap().json().unwrap();
        listed += page["repos"].as_array().unwrap().len() as u64;
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={}", http::escape(next)),
            None => break,
        }
    }
    assert_eq!(listed, accounts);
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.pid().unwrap())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn idle_accounts_cost_next_to_nothing() {
    let Some(network) = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap() else { return };
    let accounts = need::count("P2PDS_HOST_ACCOUNTS", 2_000);
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut host = Hosted::start(&network, &data, &[]).unwrap();
    let empty = resident(&host, 0);
    host.stop().unwrap();
    fill(&data, accounts);
    host.begin().unwrap();
    let full = resident(&host, accounts);
    println!("{empty} KiB without accounts, {full} KiB with {accounts}");
    // 50 MB for 10,000; the rest is what any two starts differ by.
    let most = 12 * 1024 + accounts * 50 * 1024 / 10_000;
    assert!(full.saturating_sub(empty) < most, "{accounts} idle accounts add {} KiB", full - empty);
    host.stop().unwrap();
}
