//! Alerts by mail and the heartbeat, of a running node: each fault is one mail, and its end another.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use p2pds_testkit::disk::SmallDisk;
use p2pds_testkit::madeup::{Content, MadeUp};
use p2pds_testkit::program::{Program, Running};
use p2pds_testkit::smtp::{Letter, MailServer};
use p2pds_testkit::source::Source;

const PATIENCE: Duration = Duration::from_secs(90);
const OPERATOR: &str = "operator@mail.example";

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

fn text(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Quotas of two accounts are used up, one of them while the mail server is busy, and the disk is called too small;
/// then all of it is over. The node is killed in between.
fn faults_are_mailed_once(dir: &Path, environment: &[(&str, &str)], from: &str) -> (Vec<Letter>, Program) {
    let mail = MailServer::start().unwrap();
    let source = Source::start().unwrap();
    let accounts: Vec<MadeUp> = (0..2).map(|n| MadeUp::new(700 + n, &source.url)).collect();
    let settings = text(&[
        ("P2PDS_SMTP_URL", &mail.url),
        ("P2PDS_ALERTS_EMAIL_TO", OPERATOR),
        ("P2PDS_ALERTS_DISK_LOW", "0"),
    ]);
    let program = Program::new(&dir.join("data")).unwrap().with_env(source.environment());
    let program = program.with_env(settings).with_env(text(environment));
    for account in &accounts {
        source.serve(account, &account.sign(0, &Content::posts("mail", 20)));
        program.ok(&["archive", "add", &account.did]).unwrap();
    }
    let looking = program.clone();
    let alerts = || looking.run(&["alerts", "--json"]).unwrap().json().unwrap();
    let node = serve(&program);
    program.ok(&["archive", "quota", &accounts[0].did, "1kB"]).unwrap();
    program.run(&["alerts"]).unwrap();
    let first = mail.letters.recv_timeout(PATIENCE).expect("a mail about the first fault");
    assert_eq!((first.to.as_str(), first.from.as_str()), (OPERATOR, from));
    assert!(first.header("Subject").unwrap().contains("fault: quota"), "{}", first.data);
    assert_eq!(first.header("Auto-Submitted"), Some("auto-generated"));

    // A busy mail server gets it later, and a node that was killed meanwhile repeats nothing.
    mail.be_busy(true);
    program.ok(&["archive", "quota", &accounts[1].did, "1kB"]).unwrap();
    until("the second fault is listed", || (alerts().as_array().unwrap().len() == 2).then_some(()));
    let ended = node.kill().unwrap();
    assert!(!ended.stderr.contains(OPERATOR), "the log names nobody: {ended}");
    mail.be_busy(false);
    // It is told to stop as soon as the mail server has the mail, before that has said so.
    mail.be_slow(true);
    let low = program.clone().with_env(text(&[("P2PDS_ALERTS_DISK_LOW", "900TB")]));
    let node = serve(&low);
    let mut letters = vec![first];
    for what in ["the mail that waited", "one about the disk"] {
        letters.push(mail.letters.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what}: {letters:?}")));
    }
    node.terminate(PATIENCE).unwrap();

    let program = low.with_env(text(&[("P2PDS_ALERTS_DISK_LOW", "0")]));
    let node = serve(&program);
    for account in &accounts {
        program.ok(&["archive", "quota", &account.did, "none"]).unwrap();
    }
    for _ in 0..3 {
        letters.push(
            mail.letters.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("three recoveries: {letters:?}")),
        );
    }
    until("nothing is wrong", || (program.run(&["alerts"]).unwrap().code == Some(0)).then_some(()));
    program.ok(&["alerts", "test"]).unwrap();
    letters.push(mail.letters.recv_timeout(PATIENCE).expect("the test's mail"));
    let checks = program.run(&["doctor", "--json"]).unwrap().to_string();
    assert!(checks.contains("\"alert-mail\""), "{checks}");
    node.terminate(PATIENCE).unwrap();
    assert_eq!(mail.letters.try_recv().ok(), None, "and no other");
    (letters, program)
}

fn count(letters: &[Letter]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for letter in letters {
        // The subject's words up to who it is about.
        let subject = letter.header("Subject").unwrap().split("] ").nth(1).unwrap();
        *counts.entry(subject.split(" (").next().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

fn wanted() -> BTreeMap<String, usize> {
    let kinds = [
        ("fault: quota", 2),
        ("over: quota", 2),
        ("fault: disk-low", 1),
        ("over: disk-low", 1),
        ("test: test", 1),
    ];
    kinds.map(|(what, count)| (what.to_owned(), count)).into()
}

#[test]
fn an_archive_node_mails_each_fault_once() {
    let dir = tempfile::tempdir().unwrap();
    let (letters, _) = faults_are_mailed_once(dir.path(), &[], OPERATOR);
    assert_eq!(count(&letters), wanted(), "{letters:?}");
    let ids: Vec<&str> = letters.iter().filter_map(|letter| letter.header("Message-ID")).collect();
    assert_eq!(ids.len(), letters.len(), "each mail has a name: {letters:?}");
}

#[test]
fn a_host_mails_each_fault_once_through_its_queue() {
    let hosting = [
        ("P2PDS_HOSTING", "on"),
        ("P2PDS_DEV_MODE", "true"),
        ("P2PDS_RELAYS", "none"),
        ("P2PDS_MAIL_FROM", "Node <node@mail.example>"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let (letters, program) = faults_are_mailed_once(dir.path(), &hosting, "node@mail.example");
    assert_eq!(count(&letters), wanted(), "{letters:?}");
    let waiting = program.json(&["mail", "list"]).unwrap();
    assert_eq!(waiting.as_array().map(Vec::len), Some(0), "{waiting}");
}

/// A monitor: the paths that it is asked for.
fn monitor() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/ping/s3cret", listener.local_addr().unwrap());
    let (to, from) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if stream.read_line(&mut head).unwrap_or(0) == 0 {
                    break;
                }
            }
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK";
            let _ = stream.get_mut().write_all(answer.as_bytes());
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            if to.send(path).is_err() {
                return;
            }
        }
    });
    (url, from)
}

#[test]
fn the_heart_beats_while_the_node_is_ready() {
    let Some(disk) = SmallDisk::new(96 << 10).unwrap() else { return };
    let (url, beats) = monitor();
    let program = Program::new(&disk.path().join("data")).unwrap().with_env(text(&[
        ("P2PDS_ALERTS_HEARTBEAT_URL", &url),
        ("P2PDS_ALERTS_HEARTBEAT_EVERY", "1s"),
        ("P2PDS_ALERTS_DISK_LOW", "0"),
    ]));
    // Without the operator's word a private address is not asked.
    let node = serve(&program);
    let refused = program.run(&["alerts", "test"]).unwrap();
    assert!(refused.code == Some(1) && refused.to_string().contains("alerts.heartbeat_private"), "{refused}");
    let ended = node.terminate(PATIENCE).unwrap();
    assert!(ended.stderr.contains("heartbeat.failed") && !ended.stderr.contains("s3cret"), "{ended}");
    assert_eq!(beats.try_recv().ok(), None);

    let program = program.with_env(text(&[("P2PDS_ALERTS_HEARTBEAT_PRIVATE", "true")]));
    let node = serve(&program);
    for _ in 0..3 {
        assert_eq!(beats.recv_timeout(PATIENCE).expect("it beats"), "/ping/s3cret");
    }
    let checks = program.run(&["doctor", "--json"]).unwrap().to_string();
    assert!(checks.contains("\"heartbeat\""), "{checks}");
    // What else lies on the disk takes all of it: the next write says so, and so does the heartbeat.
    let ballast = disk.path().join("ballast");
    let fill = std::fs::File::create(&ballast)
        .and_then(|mut file| std::io::copy(&mut std::io::repeat(0), &mut file));
    assert!(fill.is_err(), "the disk is full now");
    until("the heart says that something is wrong", || {
        let _ = program.run(&["workers", "pause", "sync"]);
        let _ = program.run(&["workers", "resume", "sync"]);
        beats.try_iter().any(|path| path == "/ping/s3cret/fail").then_some(())
    });
    std::fs::remove_file(&ballast).unwrap();
    until("and that it is over", || {
        let _ = program.run(&["workers", "pause", "sync"]);
        beats.try_iter().any(|path| path == "/ping/s3cret").then_some(())
    });
    node.terminate(PATIENCE).unwrap();
    while beats.try_recv().is_ok() {}
    assert!(beats.recv_timeout(Duration::from_secs(3)).is_err(), "a node that is gone is silent");
}
