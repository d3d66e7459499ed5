//! The program as its users start it: node and commands, with and without each other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use p2pds_testkit::madeup::{Content, MadeUp};
use p2pds_testkit::source::Source;
use serde_json::Value;

/// A data directory and the settings that go with it.
struct Home {
    dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), env: Vec::new() }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_p2pds"));
        for (name, _) in std::env::vars() {
            if name.starts_with("P2PDS_") || name.starts_with("PDS_") || name == "PORT" || name == "DATA_DIR" {
                command.env_remove(name);
            }
        }
        command
            .args(args)
            .env("P2PDS_DATA_DIR", self.data())
            .env("P2PDS_PORT", "0")
            .env("P2PDS_KEEP_FREE", "0")
            .envs(self.env.iter().cloned())
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn node(&self) -> Node {
        let mut child =
            self.command(&["serve"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        // The last line of the banner comes when everything listens.
        while !banner.contains("stops the node") {
            let mut line = String::new();
            if stdout.read_line(&mut line).unwrap() == 0 {
                let mut stderr = String::new();
                child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
                panic!("the node ended: {banner}{stderr}");
            }
            banner.push_str(&line);
        }
        let address = banner.split("http://").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        Node { child, _stdout: stdout, banner, address }
    }
}

/// A running node; killed when dropped.
struct Node {
    child: Child,
    // Open until the end, so that the node can write to it.
    _stdout: BufReader<ChildStdout>,
    banner: String,
    address: String,
}

impl Node {
    /// SIGTERM, and the exit status with what was logged.
    fn stop(mut self) -> (Option<i32>, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status.code(), log)
    }

    fn get(&self, path: &str, host: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_node_says_what_it_is_and_stops_in_order() {
    let home = Home::new();
    let node = home.node();
    assert!(node.banner.contains(&format!("Data       {} (no accounts yet)", home.data().display())), "{}", node.banner);
    assert!(node.banner.contains("archive add HANDLE-OR-DID"), "{}", node.banner);

    let (status, body) = node.get("/xrpc/_health", "localhost");
    assert_eq!((status, body.as_str()), (200, concat!("{\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}")));
    assert_eq!(node.get("/livez", "127.0.0.1:3000").0, 200);
    assert_eq!(node.get("/readyz", "[::1]").0, 200);
    assert_eq!(node.get("/robots.txt", "localhost").0, 200);
    assert!(node.get("/", "localhost").1.starts_with("p2pds "));
    assert_eq!(node.get("/nothing", "localhost").0, 404);
    assert_eq!(node.get("/xrpc/com.atproto.sync.getRepo", "localhost").0, 501);
    assert_eq!(node.get("/xrpc/_health", "evil.example").0, 421, "DNS rebinding");

    assert!(home.data().join("operator.sock").exists());
    let (code, log) = node.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("\"message\":\"stopped\""), "JSON lines when not on a terminal: {log}");
    assert!(!home.data().join("operator.sock").exists());
}

#[test]
fn a_second_node_is_refused_and_told_why() {
    let home = Home::new();
    let node = home.node();
    let second = home.run(&["serve"]);
    assert_eq!(second.status.code(), Some(1));
    let said = text(&second.stderr);
    let want = format!(
        "error: a p2pds node (process {}) is already running on {}",
        node.child.id(),
        home.data().display()
    );
    assert!(said.contains(&want), "{said}");
    assert!(said.contains("hint: use that node, or stop it first"), "{said}");
}

#[test]
fn a_deep_data_directory_works() {
    let mut home = Home::new();
    let deep = home.dir.path().join("d".repeat(100)).join("e".repeat(100));
    home.env.push(("P2PDS_DATA_DIR".to_owned(), deep.display().to_string()));
    let node = home.node();
    assert_eq!(home.json(&["archive", "list"]), serde_json::json!([]));
    assert_eq!(node.stop().0, Some(0));
}

#[test]
fn exit_statuses() {
    let home = Home::new();
    assert_eq!(home.run(&["archive", "list"]).status.code(), Some(10), "nothing here yet");
    assert!(!home.data().exists(), "a look does not make a directory");
    assert_eq!(home.run(&["archive", "frobnicate"]).status.code(), Some(2));
    assert_eq!(home.run(&["--port", "http", "config", "show"]).status.code(), Some(2));
    let import = home.run(&["import", "nothing.car"]);
    assert_eq!(import.status.code(), Some(1));
    assert!(text(&import.stderr).contains("nothing.car"), "{}", text(&import.stderr));
    let json = home.run(&["archive", "list", "--json"]);
    let error: Value = serde_json::from_slice(&json.stderr).unwrap();
    assert_eq!(error["error"]["kind"], "not-initialised");
    assert_eq!(home.run(&["--version"]).status.code(), Some(0));
}

#[test]
fn completions_and_manual_pages() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = home.run(&["completions", shell]);
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("dev-allow-loopback"), "{shell}");
    }
    assert!(text(&home.run(&["man"]).stdout).contains(".TH p2pds 1"));
    let dir = home.dir.path().join("man");
    assert!(home.run(&["man", "--out", dir.to_str().unwrap()]).status.success());
    for page in ["p2pds.1", "p2pds-archive.1", "p2pds-archive-add.1", "p2pds-export.1", "p2pds-drill.1"] {
        let page = std::fs::read_to_string(dir.join(page)).unwrap_or_else(|e| panic!("{page}: {e}"));
        assert!(page.contains("Examples:"), "{page}");
    }
}

#[test]
fn settings_and_their_origins() {
    let mut home = Home::new();
    let file = home.dir.path().join("p2pds.toml");
    std::fs::write(&file, "[archive]\nsync_interval = \"2h\"\n").unwrap();
    home.env.push(("P2PDS_CONFIG".to_owned(), file.display().to_string()));
    let shown = home.json(&["config", "show", "--hostname", "a.example"]);
    let of = |name: &str| shown.as_array().unwrap().iter().find(|r| r["name"] == name).unwrap().clone();
    assert_eq!(of("http.hostname")["origin"], "flag --hostname");
    assert_eq!(of("http.port")["origin"], "environment P2PDS_PORT");
    assert_eq!(of("archive.sync_interval")["origin"], format!("file {}", file.display()));
    assert_eq!(of("network.plc_url")["origin"], "default");

    std::fs::write(&file, "[archive]\nsync_intervall = \"2h\"\n").unwrap();
    let refused = home.run(&["config", "show"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(said.contains("no setting `archive.sync_intervall`; did you mean `sync_interval`?"), "{said}");
}

/// The same commands give the same answers, answered by this process or by a node.
#[test]
fn commands_answer_alike_with_and_without_a_node() {
    let source = Source::start().unwrap();
    let account = MadeUp::new(71, &source.url);
    let mut content = Content::posts("hello", 300);
    content.put_image("withimage", 1, 5_000);
    let state = account.sign(1, &content);
    source.serve(&account, &state);
    let mut home = Home::new();
    home.env.extend(source.environment());

    let added = home.json(&["archive", "add", &account.handle]);
    assert_eq!(added["commit"], state.commit.as_str(), "{added}");
    let did = account.did.as_str();
    let first = state.records.keys().next().unwrap();
    let uri = format!("at://{did}/{first}");
    let car = |home: &Home, name: &str| {
        let path = home.dir.path().join(name);
        let done = home.run(&["export", did, "--car", path.to_str().unwrap()]);
        assert!(done.status.success(), "{}", text(&done.stderr));
        assert_eq!(home.run(&["export", did, "--car", "-"]).stdout, std::fs::read(&path).unwrap());
        std::fs::read(&path).unwrap()
    };
    let export = |home: &Home, name: &str| {
        let dir = home.dir.path().join(name);
        home.json(&["export", did, "--out", dir.to_str().unwrap()]);
        files(&dir)
    };
    let all = |home: &Home| {
        let mut answers = vec![
            home.json(&["verify", did, "--read-data"]),
            home.json(&["archive", "list"]),
            home.json(&["archive", "show", &account.handle]),
            home.json(&["archive", "sync"]),
            home.json(&["archive", "pause", did]),
            home.json(&["archive", "resume", did]),
            home.json(&["show", &uri]),
            home.json(&["drill", did]),
            home.json(&["archive", "remove", did, "--dry-run"]),
        ];
        answers.iter_mut().for_each(without_times);
        let missing = home.run(&["show", &format!("at://{did}/a.b.c/nothing")]);
        let unconfirmed = home.run(&["archive", "remove", did]);
        let errors =
            [missing, unconfirmed].map(|output| (output.status.code(), text(&output.stderr), text(&output.stdout)));
        (answers, errors)
    };
    let (alone, alone_errors) = all(&home);
    let (alone_car, alone_export) = (car(&home, "a.car"), export(&home, "a"));
    let node = home.node();
    let (through, through_errors) = all(&home);
    for (a, b) in alone.iter().zip(&through) {
        assert_eq!(a, b);
    }
    assert_eq!(alone_errors, through_errors);
    assert_eq!(alone_errors[0].0, Some(1));
    assert_eq!(alone_errors[1].0, Some(2), "removing asks, and nobody is there to ask");
    assert!(alone_car == car(&home, "b.car"), "CARs differ");
    assert_eq!(alone_export, export(&home, "b"));

    let workers = home.json(&["workers"]);
    let names: Vec<&str> = workers.as_array().unwrap().iter().filter_map(|w| w["name"].as_str()).collect();
    for name in ["blobs", "sync", "verify"] {
        assert!(names.contains(&name), "{workers}");
    }
    let removed = home.json(&["archive", "remove", did, "--yes"]);
    assert_eq!(removed["traces"]["left"], 0, "{removed}");
    assert_eq!(home.json(&["archive", "list"]), serde_json::json!([]));
    assert_eq!(node.stop().0, Some(0));
    assert_eq!(home.json(&["archive", "list"]), serde_json::json!([]));
}

/// Takes out what differs between two runs: times, durations, and names that hold a time.
fn without_times(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for name in ["at", "took_ms", "last_sync_at", "last_verified_at", "fetched_at", "words", "files", "also"] {
                map.remove(name);
            }
            map.values_mut().for_each(without_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        _ => {}
    }
}

/// Every file below a directory with its bytes, without those that say when they were written.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_owned();
                all.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    all.sort();
    all
}

#[test]
fn doctor_names_what_is_wrong() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let fine = home.run(&["doctor", "--offline"]);
    assert_eq!(fine.status.code(), Some(0), "{}", text(&fine.stdout));
    let output = home.run(&["doctor", "--offline", "--json", "--port", &port]);
    assert_eq!(output.status.code(), Some(3));
    let checks: Value = serde_json::from_slice(&output.stdout).unwrap();
    let failed: Vec<&Value> = checks.as_array().unwrap().iter().filter(|c| c["verdict"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{checks}");
    assert_eq!(failed[0]["name"], "port");
    assert!(failed[0]["fix"].as_str().unwrap().contains("--port"));
}

/// What people read, from the first command to the last.
#[test]
fn answers_in_words() {
    let source = Source::start().unwrap();
    let account = MadeUp::new(72, &source.url);
    let mut content = Content::posts("words", 120);
    content.put_image("withimage", 2, 9_000);
    source.serve(&account, &account.sign(1, &content));
    let mut home = Home::new();
    home.env.extend(source.environment());
    let name = account.handle.as_str();
    let say = |args: &[&str], status: i32| {
        let output = home.run(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        println!("$ p2pds {}\n{out}--- stderr\n{err}", args.join(" "));
        assert_eq!(output.status.code(), Some(status), "{args:?}: {out}{err}");
        (out, err)
    };
    let (out, err) = say(&["archive", "add", name], 0);
    assert!(out.contains(&format!("{name} is archived")) && out.contains("121 records"), "{out}");
    assert!(out.contains(&format!("p2pds drill {name}")), "says what to do next: {out}");
    assert!(err.contains("Not part of a backup:") && err.contains("direct messages"), "{err}");
    assert!(err.contains(&account.did), "{err}");

    let (out, err) = say(&["archive", "sync", name, "--quiet"], 0);
    assert!(out.contains("nothing was new") && err.is_empty(), "{out}{err}");
    let (out, _) = say(&["archive", "list"], 0);
    assert!(out.starts_with("ACCOUNT") && out.contains(name) && out.contains("on arrival"), "{out}");
    let (out, _) = say(&["archive", "show", name], 0);
    assert!(out.contains("app.bsky.feed.post") && out.contains("PLC log") && out.contains("1 operation"), "{out}");
    let (out, _) = say(&["verify", name, "--read-data"], 0);
    for check in ["commit-root", "tree", "records", "blobs", "plc-log"] {
        assert!(out.contains(check), "{check}: {out}");
    }
    let (out, _) = say(&["drill", name], 0);
    assert!(out.contains("restore"), "{out}");
    let (out, _) = say(&["export", name, "--out", "out"], 0);
    assert!(out.contains("RESTORE.txt"), "{out}");
    let (_, err) = say(&["archive", "list", "--progress", "json"], 0);
    assert!(err.is_empty(), "{err}");
    let (_, err) = say(&["verify", name, "--progress", "json"], 0);
    assert!(!err.is_empty(), "progress was asked for");
    for line in err.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(event["phase"].is_string() && event["stage"].is_string(), "{line}");
    }
    say(&["workers"], 0);
    let (_, err) = say(&["archive", "remove", name], 2);
    assert!(err.contains("Would erase all") || err.contains("--yes"), "{err}");
    let (out, _) = say(&["archive", "remove", name, "--yes"], 0);
    assert!(out.contains("Erased all") && out.contains("none are left"), "{out}");
    let (out, _) = say(&["archive", "list"], 0);
    assert!(out.contains("archive add"), "{out}");
    let (_, err) = say(&["drill", name], 1);
    assert!(err.contains("is not in this archive"), "{err}");

    // Back from the file, offline, through the door that needs no network.
    let import = ["import", "out/repo.car", "--plc-log", "out/plc.json", "--plc-url", "http://127.0.0.1:9"];
    let (out, _) = say(&import, 0);
    assert!(out.contains("121 records"), "{out}");
}

/// A node archives the accounts of its configuration, and follows them by itself.
#[test]
fn a_node_keeps_its_accounts_current() {
    let source = Source::start().unwrap();
    let account = MadeUp::new(73, &source.url);
    let mut content = Content::posts("kept", 50);
    let first = account.sign(1, &content);
    source.serve(&account, &first);
    let mut home = Home::new();
    home.env.extend(source.environment());
    home.env.push(("REPLICATE_DIDS".to_owned(), account.handle.clone()));
    home.env.push(("P2PDS_SYNC_INTERVAL".to_owned(), "1s".to_owned()));
    let node = home.node();
    let wait_for = |rev: &str| {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let list = home.json(&["archive", "list"]);
            if list[0]["rev"] == rev {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "not at {rev}: {list} {}", home.json(&["workers"]));
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    };
    wait_for(&first.rev);
    content.put("later", &serde_json::json!({"$type": "app.bsky.feed.post", "text": "later"}));
    let second = account.sign(2, &content);
    source.serve(&account, &second);
    wait_for(&second.rev);
    let workers = home.json(&["workers"]);
    let sync = workers.as_array().unwrap().iter().find(|w| w["name"] == "sync").unwrap();
    assert_eq!(sync["last_error"], Value::Null, "{workers}");
    assert_eq!(node.stop().0, Some(0));
}

/// While one command works, others go through it.
#[test]
fn commands_work_side_by_side_without_a_node() {
    let source = Source::start().unwrap();
    let mut home = Home::new();
    home.env.extend(source.environment());
    let accounts: Vec<MadeUp> = (80..86).map(|seed| MadeUp::new(seed, &source.url)).collect();
    for account in &accounts {
        source.serve(account, &account.sign(1, &Content::posts("side", 200)));
    }
    let running: Vec<Child> = accounts
        .iter()
        .map(|account| {
            let mut command = home.command(&["archive", "add", &account.handle, "--json"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in running {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert_eq!(home.json(&["archive", "list"]).as_array().unwrap().len(), accounts.len());
}

/// `docs/operator.md` is true: the socket takes a command as JSON and answers with JSON lines.
#[test]
fn the_operator_socket_speaks_json_lines() {
    let home = Home::new();
    let node = home.node();
    let ask = |request: String| {
        let mut stream = std::os::unix::net::UnixStream::connect(home.data().join("operator.sock")).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let run = |body: &str| {
        let answer = ask(format!(
            "POST /v1/run HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
        let lines = answer.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str::<Value>(lines.lines().last().unwrap()).unwrap()
    };
    let listed = run(r#"{"command":"list"}"#);
    assert_eq!(listed["event"], "result");
    assert_eq!(listed["outcome"], serde_json::json!({ "kind": "accounts", "value": [] }));
    let failed = run(r#"{"command":"show","account":"nobody.example"}"#);
    assert_eq!(failed["event"], "error");
    assert_eq!(failed["failure"]["kind"], "notfound");
    let hello = ask("GET /v1/hello HTTP/1.0\r\n\r\n".to_owned());
    assert!(hello.contains(&format!("\"pid\":{}", node.child.id())), "{hello}");

    // Every command that the page names exists, and the page names every command.
    let page = include_str!("../../../docs/operator.md");
    let named: std::collections::BTreeSet<&str> = page
        .split("{\"command\":\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    let unknown = ask("POST /v1/run HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"command\":\"x\"}".to_owned());
    let known: std::collections::BTreeSet<&str> =
        unknown.split('`').skip(3).step_by(2).collect();
    assert_eq!(named, known, "{unknown}");
}

#[test]
fn doctor_looks_outside() {
    let mut home = Home::new();
    home.env.push(("P2PDS_PLC_URL".to_owned(), "http://127.0.0.1:9".to_owned()));
    home.env.push(("P2PDS_NAMESERVERS".to_owned(), "127.0.0.1:9".to_owned()));
    home.env.push(("P2PDS_DEV_ALLOW_LOOPBACK".to_owned(), "1".to_owned()));
    let output = home.run(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stdout));
    let checks: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |name: &str| checks.as_array().unwrap().iter().find(|c| c["name"] == name).unwrap().clone();
    assert_eq!(of("dns")["verdict"], "failed");
    assert!(of("dns")["fix"].as_str().unwrap().contains("--nameservers"), "{checks}");
    assert_eq!(of("plc-directory")["verdict"], "failed");
    assert!(of("plc-directory")["why"].is_string());
    assert_eq!(of("clock")["verdict"], "skipped");
}
