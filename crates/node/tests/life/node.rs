//! A node's life, its doors, and the commands that need no account.

use std::io::{Read as _, Write as _};

use p2pds_testkit::madeup::{Content, MadeUp};
use p2pds_testkit::source::Source;
use serde_json::Value;

use crate::home::{Home, text};

#[test]
fn a_node_says_what_it_is_and_stops_in_order() {
    let home = Home::new();
    let node = home.node();
    assert!(
        node.banner.contains(&format!("Data       {} (no accounts yet)", home.data().display())),
        "{}",
        node.banner
    );
    assert!(node.banner.contains("archive add HANDLE-OR-DID"), "{}", node.banner);

    let (status, body) = node.get("/xrpc/_health", "localhost");
    assert_eq!((status, body.as_str()), (200, concat!("{\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}")));
    assert_eq!(node.get("/livez", "127.0.0.1:3000").0, 200);
    assert_eq!(node.get("/readyz", "[::1]").0, 200);
    assert_eq!(node.get("/robots.txt", "localhost").0, 200);
    assert!(node.get("/", "localhost").1.starts_with("p2pds "));
    assert_eq!(node.get("/nothing", "localhost").0, 404);
    assert_eq!(node.get("/xrpc/com.atproto.sync.getRepo", "localhost").0, 400);
    assert_eq!(node.get("/xrpc/_health", "evil.example").0, 421, "DNS rebinding");

    assert!(home.data().join("operator.sock").exists());
    let (code, log) = node.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("\"message\":\"stopped\""), "JSON lines when not on a terminal: {log}");
    assert!(!home.data().join("operator.sock").exists());
}

/// Where nothing is, people get a page, and programs what they always got.
#[test]
fn an_address_that_leads_nowhere() {
    const BROWSER: &str = "Host: 127.0.0.1\r\nAccept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nAccept-Language: de\r\n";
    const PROGRAM: &str = "Host: 127.0.0.1\r\nAccept: */*\r\n";
    let home = Home::new();
    let node = home.node();
    let safe = |head: &str| {
        let names = [
            "content-security-policy: ",
            "x-content-type-options: ",
            "referrer-policy: ",
            "x-frame-options: ",
            "cross-origin-opener-policy: ",
            "cross-origin-resource-policy: ",
            "permissions-policy: ",
        ];
        names.map(|name| head.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned())
    };
    let (status, about, _) = node.ask("GET", "/about", BROWSER);
    assert!(status == 200 && safe(&about).iter().all(|line| !line.is_empty()), "{about}");
    for path in
        ["/no-such-page", "/accounts/x/nothing", "/a/did:plc:z72i7hdynmk6r22z27h6tvur/%3Cb%3E", "/archive"]
    {
        let (status, head, page) = node.ask("GET", path, BROWSER);
        assert_eq!(status, 404, "{path}");
        assert!(head.contains("content-type: text/html") && safe(&head) == safe(&about), "{path}: {head}");
        assert!(page.contains("<html lang=\"de\"") && page.contains("Hier ist nichts"), "{path}: {page}");
        assert!(page.contains(&format!(">{path}</code>")) && page.contains("href=\"/\""), "{path}: {page}");
        let (status, head, said) = node.ask("GET", path, PROGRAM);
        assert_eq!((status, said.as_str()), (404, "nothing here\n"), "{path}");
        assert!(
            head.contains("content-type: text/plain") && safe(&head).iter().all(String::is_empty),
            "{head}"
        );
    }
    // What only programs ask for stays as it is, whoever asks; so does what is sent, and what is asked of other names.
    for path in ["/.well-known/nothing", "/oauth/nothing", "/xrpc", "/xrpc/", "/ipfs/a/b"] {
        let (status, head, said) = node.ask("GET", path, BROWSER);
        assert_eq!((status, said.as_str()), (404, "nothing here\n"), "{path}");
        assert!(head.contains("content-type: text/plain"), "{path}: {head}");
    }
    let unknown = ["/xrpc/com.example.nothing", "/xrpc/com.atproto.sync.getRepo", "/.well-known/did.json"];
    for path in unknown {
        let (status, head, said) = node.ask("GET", path, BROWSER);
        let (plain, plain_head, plain_said) = node.ask("GET", path, PROGRAM);
        assert_eq!((status, &said), (plain, &plain_said), "{path}");
        assert!(
            status >= 400 && !head.contains("text/html") && !plain_head.contains("text/html"),
            "{path}: {head}"
        );
    }
    assert_eq!(node.ask("POST", "/no-such-page", BROWSER).2, "nothing here\n");
    // A browser that loads the answer to a form anew.
    let (status, head, page) = node.ask("GET", "/account/reset", BROWSER);
    assert!(status == 405 && head.contains("allow: post") && page.contains("Hier ist nichts"), "{head}");
    let (status, _, page) = node.ask("GET", "/account/reset", PROGRAM);
    assert_eq!((status, page.as_str()), (405, ""));
    assert_eq!(node.stop().0, Some(0));
}

/// The allocator is told from outside; the process stays the one that was started.
#[cfg(target_os = "linux")]
#[test]
fn a_node_gives_memory_back_soon() {
    let set = |home: &Home| {
        let node = home.node();
        let environment = std::fs::read(format!("/proc/{}/environ", node.child.id())).unwrap();
        let name = std::fs::read_to_string(format!("/proc/{}/comm", node.child.id())).unwrap();
        assert_eq!((name.trim(), node.stop().0), ("p2pds", Some(0)));
        text(&environment)
            .split('\0')
            .find_map(|line| line.strip_prefix("MIMALLOC_PURGE_DELAY=").map(str::to_owned))
    };
    let mut home = Home::new();
    assert_eq!(set(&home).as_deref(), Some("10"));
    home.env.push(("MIMALLOC_PURGE_DELAY".to_owned(), "500".to_owned()));
    assert_eq!(set(&home).as_deref(), Some("500"));
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
    assert_eq!(of("archive.sync_interval")["origin"], format!("file {}, line 2", file.display()));
    assert_eq!(of("network.plc_url")["origin"], "default");

    std::fs::write(&file, "[archive]\nsync_intervall = \"2h\"\n").unwrap();
    let refused = home.run(&["config", "show"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(said.contains("no setting `archive.sync_intervall`; did you mean `sync_interval`?"), "{said}");
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
    let failed: Vec<&Value> =
        checks.as_array().unwrap().iter().filter(|c| c["verdict"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{checks}");
    assert_eq!(failed[0]["name"], "port");
    assert!(failed[0]["fix"].as_str().unwrap().contains("--port"));
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
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
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
    let page = include_str!("../../../../docs/operator.md");
    let named: std::collections::BTreeSet<&str> =
        page.split("{\"command\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let unknown = ask("POST /v1/run HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"command\":\"x\"}".to_owned());
    let known: std::collections::BTreeSet<&str> = unknown.split('`').skip(3).step_by(2).collect();
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
