//! The node's upkeep: alerts told once, the deep check going on after SIGKILL, switches that outlast restarts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use p2pds_testkit::madeup::{Content, MadeUp};
use p2pds_testkit::need;
use p2pds_testkit::program::{Program, Running};
use p2pds_testkit::source::Source;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a node on a free port and waits until commands reach it.
fn serve(program: &Program) -> Running {
    let mut node = program.spawn(&["serve", "--port", "0"]).unwrap();
    let socket = program.data().join("operator.sock");
    let deadline = Instant::now() + PATIENCE;
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(node.alive().unwrap(), "the node ended: {}", node.kill().unwrap());
        assert!(Instant::now() < deadline, "no operator socket");
        std::thread::sleep(Duration::from_millis(20));
    }
    node
}

/// A source with one account, and a program with that account archived.
fn archived(
    seed: u64,
    content: &Content,
    env: &[(&str, String)],
) -> (Source, MadeUp, tempfile::TempDir, Program) {
    let source = Source::start().unwrap();
    let account = MadeUp::new(seed, &source.url);
    source.serve(&account, &account.sign(0, content));
    let dir = tempfile::tempdir().unwrap();
    // The machine that runs the tests may have little room.
    let room = ("P2PDS_ALERTS_DISK_LOW".to_owned(), "0".to_owned());
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).chain([room]);
    let program =
        Program::new(&dir.path().join("data")).unwrap().with_env(source.environment()).with_env(env);
    program.ok(&["archive", "add", &account.did]).unwrap();
    (source, account, dir, program)
}

fn worker(program: &Program, name: &str) -> Value {
    let all = program.json(&["workers"]).unwrap();
    all.as_array().unwrap().iter().find(|w| w["name"] == name).cloned().unwrap_or(Value::Null)
}

/// Looks again and again until something holds.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// One POST: its head, and its body.
struct Post {
    head: String,
    body: Value,
}

/// A receiver of webhooks. It refuses the first.
fn receiver() -> (String, Receiver<Post>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook?token=s3cret", listener.local_addr().unwrap());
    let (to, from) = channel();
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().flatten().enumerate() {
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if stream.read_line(&mut head).unwrap_or(0) == 0 {
                    break;
                }
            }
            let lower = head.to_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).unwrap();
            let status = if n == 0 { "503 Service Unavailable" } else { "204 No Content" };
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
            let body = serde_json::from_slice(&body).unwrap();
            if to.send(Post { head, body }).is_err() {
                return;
            }
        }
    });
    (url, from)
}

#[test]
fn one_alert_for_a_fault_and_one_for_its_recovery() {
    let (url, posts) = receiver();
    let env = [("P2PDS_ALERTS_WEBHOOK_URL", url), ("P2PDS_ALERTS_WEBHOOK_SECRET", "hush".to_owned())];
    let (_source, account, _dir, program) = archived(300, &Content::posts("alerts", 20), &env);
    let node = serve(&program);
    assert_eq!(program.run(&["alerts"]).unwrap().code, Some(0));
    program.ok(&["archive", "quota", &account.did, "1kB"]).unwrap();
    let listed = until("the fault is listed", || {
        let outcome = program.run(&["alerts", "--json"]).unwrap();
        (outcome.code == Some(3)).then(|| outcome.json().unwrap())
    });
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    let refused = posts.recv_timeout(PATIENCE).expect("the webhook is called");
    let post = until("it is called again after a refusal", || {
        program.run(&["alerts"]).unwrap();
        posts.try_recv().ok()
    });
    assert_eq!(post.body, refused.body, "with the same words");
    assert!(post.head.starts_with("POST /hook?token=s3cret "), "{}", post.head);
    let signed =
        post.head.lines().find_map(|line| line.strip_prefix("p2pds-signature: ")).expect("a signature");
    assert!(signed.starts_with("t=") && signed.contains(",v1="), "{signed}");
    assert_eq!((&post.body["event"], &post.body["kind"]), (&"fault".into(), &"quota".into()));
    assert_eq!(post.body["account"]["did"], account.did);
    assert!(post.body["text"].as_str().unwrap().contains("quota"), "{}", post.body);

    // Restarts repeat nothing, and no command and no log shows the token.
    until("it is written down that the webhook was told", || {
        let alerts = program.run(&["alerts", "--json"]).unwrap().json().unwrap();
        (alerts[0]["told"] == true).then_some(())
    });
    let ended = node.kill().unwrap();
    assert!(!ended.stderr.contains("s3cret"), "{ended}");
    assert!(ended.stderr.contains("alert.open"), "{ended}");
    let node = serve(&program);
    let gauge = until("the node looks again", || {
        let outcome = program.run(&["alerts", "--json"]).unwrap();
        assert_eq!(outcome.code, Some(3));
        let sync = worker(&program, "sync");
        (sync["state"] != "stopped with the node").then_some(outcome.json().unwrap())
    });
    assert_eq!(gauge[0]["id"], listed[0]["id"], "the same alert as before");

    program.ok(&["archive", "quota", &account.did, "none"]).unwrap();
    let over = posts.recv_timeout(PATIENCE).expect("the recovery is told");
    assert_eq!((&over.body["event"], &over.body["kind"]), (&"recovered".into(), &"quota".into()));
    assert_eq!(over.body["id"], post.body["id"], "of the same fault; nothing was told in between");
    until("nothing is wrong", || (program.run(&["alerts"]).unwrap().code == Some(0)).then_some(()));
    let history = program.json(&["alerts", "--history"]).unwrap();
    assert!(history[0]["closed_at"].is_i64() && history.as_array().unwrap().len() == 1, "{history}");
    program.ok(&["alerts", "test"]).unwrap();
    assert_eq!(posts.recv_timeout(PATIENCE).unwrap().body["event"], "test");
    node.terminate(PATIENCE).unwrap();
}

#[test]
fn the_deep_check_goes_on_after_sigkill() {
    let mut content = Content::posts("deep", 16_000);
    for n in 0..10 {
        content.put_image(
            &format!("3kimage{}22222", ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"][n]),
            n as u64,
            9_000,
        );
    }
    let env = [("P2PDS_VERIFY_SHARE", "4".to_owned())];
    let (_source, account, _dir, program) = archived(301, &content, &env);
    let shown = program.json(&["archive", "show", &account.did]).unwrap();
    let mut before = Value::Null;
    for _ in 0..need::count("P2PDS_SCRUB_KILLS", 1) {
        let node = serve(&program);
        let read = before["records"].as_u64().unwrap_or(0);
        let scrub = until("the check goes on", || {
            let scrub = worker(&program, "verify")["scrub"].clone();
            (scrub["records"].as_u64()? > read || !scrub["ended_at"].is_null()).then_some(scrub)
        });
        node.kill().unwrap();
        if !scrub["ended_at"].is_null() {
            break;
        }
        before = scrub;
        let stopped = worker(&program, "verify");
        assert_eq!(stopped["scrub"]["round"], before["round"]);
        assert!(stopped["permille"].as_u64().unwrap() > 0, "{stopped}");
    }
    assert!(!before.is_null(), "too quick to be killed in the middle");
    let program = program.with_env([("P2PDS_VERIFY_SHARE".to_owned(), "100".to_owned())]);
    let node = serve(&program);
    let after = until("the round ends", || {
        let scrub = worker(&program, "verify")["scrub"].clone();
        (!scrub["ended_at"].is_null()).then_some(scrub)
    });
    node.terminate(PATIENCE).unwrap();
    assert_eq!(
        (&after["round"], &after["began_at"]),
        (&before["round"], &before["began_at"]),
        "the same round"
    );
    // The counts are written down with the place: they show that nothing was left out and nothing done twice.
    assert_eq!(after["records"], shown["records"]);
    assert_eq!(after["blobs"], shown["blobs_held"]);
    assert_eq!((&after["accounts_done"], &after["damaged"]), (&1.into(), &0.into()), "{after}");
    let shown = program.json(&["archive", "show", &account.did]).unwrap();
    assert_eq!(shown["last_verify_ok"], true);
}

#[test]
fn switches_outlast_restarts_and_capacity_is_honest() {
    let (_source, account, _dir, program) = archived(302, &Content::posts("switch", 20), &[]);
    let node = serve(&program);
    program.ok(&["workers", "pause", "sync"]).unwrap();
    until("it is paused", || (worker(&program, "sync")["state"] == "paused").then_some(()));
    let wrong = program.run(&["workers", "pause", "sink"]).unwrap();
    assert!(wrong.code == Some(1) && wrong.stderr.contains("`sync`"), "{wrong}");
    program.ok(&["archive", "priority", &account.did, "-2"]).unwrap();
    node.kill().unwrap();
    assert_eq!(worker(&program, "sync")["paused"], true);
    let node = serve(&program);
    until("it is paused again", || {
        let sync = worker(&program, "sync");
        (sync["state"] == "paused" && sync["paused"] == true).then_some(())
    });
    program.ok(&["workers", "resume", "sync"]).unwrap();
    until("it runs", || (worker(&program, "sync")["state"] != "paused").then_some(()));
    let list = program.json(&["archive", "list"]).unwrap();
    assert_eq!(list[0]["priority"], -2, "{list}");
    let report = until("a measurement was taken", || {
        let report = program.json(&["capacity"]).unwrap();
        (report["forecast"]["samples"].as_u64()? >= 2).then_some(report)
    });
    assert_eq!(
        (&report["forecast"]["growth"], &report["forecast"]["full_at"]),
        (&"unknown".into(), &Value::Null)
    );
    assert!(report["forecast"]["words"].as_str().unwrap().contains("needs three"), "{report}");
    assert_eq!(report["growers"][0]["did"], account.did);
    node.terminate(PATIENCE).unwrap();
}
