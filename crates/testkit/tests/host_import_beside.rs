//! A large repo is brought along while another account is written to: both get what they want, and the writer hardly
//! notices. `P2PDS_HOST_IMPORT` is the number of records (20,000); how long writes took is printed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::io::{BufWriter, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use p2pds_crypto::jwt;
use p2pds_syntax::{Did, Tid};
use p2pds_testkit::hosted::{Hosted, PASSWORD};
use p2pds_testkit::http;
use p2pds_testkit::madeup::MadeUp;
use p2pds_testkit::need;
use p2pds_testkit::oracle::{Account, Network, Options, POST, post_record};
use p2pds_testkit::synthetic::{Order, write_car_of};
use serde_json::{Map, Value, json};

/// Signs an existing identity up, as its owner does who moves here.
fn brought(network: &Network, host: &Hosted, made: &MadeUp) -> Account {
    let body = made.genesis().to_string();
    let head = [("Content-Type", "application/json")];
    let url = format!("{}/{}", network.plc, made.did);
    assert_eq!(http::request("POST", &url, &head, Some(body.as_bytes())).unwrap().status, 200);
    let about = format!("{}/xrpc/com.atproto.server.describeServer", host.url);
    let service = http::request("GET", &about, &[], None).unwrap().json().unwrap()["did"].clone();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "iss": made.did, "aud": service, "iat": now, "exp": now + 60, "jti": "only-once",
        "lxm": "com.atproto.server.createAccount",
    });
    let claims: Map<String, Value> = claims.as_object().unwrap().clone();
    let token = jwt::sign(made.key(), "JWT", None, &claims).unwrap();
    let body =
        json!({ "handle": made.handle, "did": made.did, "email": "moving@mail.test", "password": PASSWORD });
    let bearer = format!("Bearer {token}");
    let head = [("Content-Type", "application/json"), ("Authorization", bearer.as_str())];
    let url = format!("{}/xrpc/com.atproto.server.createAccount", host.url);
    let reply = http::request("POST", &url, &head, Some(body.to_string().as_bytes())).unwrap();
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    Account::from_session(&host.url, &reply.json().unwrap()).unwrap()
}

/// Sends a file as the body of importRepo; it does not fit into memory comfortably.
fn import(account: &Account, car: &std::path::Path) -> String {
    let mut file = std::fs::File::open(car).unwrap();
    let length = file.metadata().unwrap().len();
    let mut stream = TcpStream::connect(account.pds.trim_start_matches("http://")).unwrap();
    let head = format!(
        "POST /xrpc/com.atproto.repo.importRepo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/vnd.ipld.car\r\nAuthorization: Bearer {}\r\nContent-Length: {length}\r\n\r\n",
        account.token()
    );
    stream.write_all(head.as_bytes()).unwrap();
    std::io::copy(&mut file, &mut stream).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
        + answer.rsplit("\r\n\r\n").next().unwrap_or_default()
}

fn say(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |q: usize| took[(took.len() - 1) * q / 100].as_secs_f64() * 1000.0;
    println!(
        "{what}: {} writes, p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        took.len(),
        at(50),
        at(99),
        at(100)
    );
}

#[test]
fn others_go_on_while_a_repo_is_brought_along() {
    let Some(network) = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap() else { return };
    let records = need::count("P2PDS_HOST_IMPORT", 20_000);
    let dir = tempfile::tempdir().unwrap();
    let limit = (4_u64 << 30).to_string();
    let settings = [("PDS_MAX_REPO_IMPORT_SIZE", limit.as_str())];
    let mut host = Hosted::start(&network, &dir.path().join("data"), &settings).unwrap();
    let made = MadeUp::new(77, &host.url);
    let path = dir.path().join("repo.car");
    let mut file = BufWriter::new(std::fs::File::create(&path).unwrap());
    let rev = Tid::from_micros(1_730_000_000_000_000, 7);
    let did = Did::parse(&made.did).unwrap();
    write_car_of(&mut file, (&did, made.key()), rev, 77, records as usize, Order::Preorder).unwrap();
    file.flush().unwrap();
    let moving = brought(&network, &host, &made);
    let writer = host.sign_up(&network, "beside-p2pds").unwrap();
    let write = |n: usize| {
        let begun = Instant::now();
        writer.create(POST, &post_record(&format!("beside, {n}"))).unwrap();
        begun.elapsed()
    };
    say("alone", (0..200).map(write).collect());
    let over = Arc::new(AtomicBool::new(false));
    let (done, begun) = (Arc::clone(&over), Instant::now());
    let importing = std::thread::spawn(move || {
        let answer = import(&moving, &path);
        done.store(true, Ordering::Relaxed);
        (moving, answer, begun.elapsed())
    });
    let mut took = Vec::new();
    while !over.load(Ordering::Relaxed) {
        took.push(write(took.len()));
    }
    let (moving, answer, import_took) = importing.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    println!(
        "{records} records in {:.1} s, {:.0} a second",
        import_took.as_secs_f64(),
        records as f64 / import_took.as_secs_f64()
    );
    say("beside the import", took);
    let status = moving.query("com.atproto.server.checkAccountStatus", &[]).unwrap();
    assert_eq!(status["indexedRecords"], records, "{status}");
    assert_eq!(status["activated"], false, "{status}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.pid().unwrap())).unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap());
    let ended = host.stop().unwrap();
    assert!(!ended.stderr.contains("panicked"), "{ended}");
}
