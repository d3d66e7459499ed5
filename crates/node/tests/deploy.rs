//! The files under `deploy/`: they name what exists, and the programs that read them accept them, as far as those
//! programs are installed here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use p2pds::config::Config;
use p2pds_testkit::need;
use p2pds_testkit::ports::free_port;

/// What systemd's own rating of the unit may be at most, in tenths (0 is best, 10 worst).
const EXPOSURE: u32 = 12;
/// How long a proxy may take to pass a request on.
const PATIENCE: Duration = Duration::from_secs(120);

/// The examples of proxies, for archives and for hosts.
const PROXIES: [&str; 6] = [
    "proxy/Caddyfile",
    "proxy/nginx.conf",
    "proxy/traefik.yaml",
    "proxy/hosting/Caddyfile",
    "proxy/hosting/nginx.conf",
    "proxy/hosting/traefik.yaml",
];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The tool's answer; `None` (said on standard output) when it is not installed.
fn tool(name: &str, args: &[&str]) -> Option<Output> {
    for dir in ["", "/usr/sbin/"] {
        if let Ok(output) = Command::new(format!("{dir}{name}")).args(args).output() {
            return Some(output);
        }
    }
    need::skip(&format!("{name} is not installed: what it reads is not checked by it"), false);
    None
}

#[track_caller]
fn accepted(output: &Output) {
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}

/// Every setting that the files name exists, and what they rely on is the default.
#[test]
fn names_exist() {
    let known: Vec<&str> = Config::settings().flat_map(|s| s.env).copied().chain(["P2PDS_COMMIT"]).collect();
    for name in [
        "systemd/p2pds.service",
        "docker/Dockerfile",
        "docker/compose.yaml",
        "docker/hosting.yaml",
        "nix/image.nix",
        "nix/package.nix",
    ] {
        let text = read(name);
        let mut found = 0;
        for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
            if word.starts_with("P2PDS_") {
                assert!(known.contains(&word), "{name} names {word}, which no setting has");
                found += 1;
            }
        }
        assert!(found > 0, "{name}");
    }
    for name in PROXIES {
        let port = Config::settings().find(|s| s.name() == "http.port").unwrap().default;
        assert!(read(name).contains(&format!("127.0.0.1:{port}")), "{name} does not name the default port");
    }
    let workspace = std::fs::read_to_string(file("../Cargo.toml")).unwrap();
    let version = workspace.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(
        read("docker/Dockerfile").contains(&format!("FROM rust:{version}-")),
        "the tool chain is {version}"
    );
}

#[test]
fn systemd_accepts_the_unit_and_rates_it_well() {
    let dir = tempfile::tempdir().unwrap();
    // It looks for the program too.
    let unit = dir.path().join("p2pds.service");
    let text = read("systemd/p2pds.service").replace("/usr/local/bin/p2pds", env!("CARGO_BIN_EXE_p2pds"));
    std::fs::write(&unit, text).unwrap();
    let unit = unit.to_str().unwrap();
    let Some(verified) = tool("systemd-analyze", &["verify", "--man=no", unit]) else { return };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && !said.contains("p2pds.service:"), "{said}");
    let threshold = format!("--threshold={EXPOSURE}");
    accepted(
        &tool("systemd-analyze", &["security", "--offline=yes", "--no-pager", &threshold, unit]).unwrap(),
    );
}

#[test]
fn nix_parses_the_expressions() {
    for name in ["flake", "package", "image", "module"] {
        let path = file(&format!("nix/{name}.nix"));
        let Some(parsed) = tool("nix-instantiate", &["--parse", path.to_str().unwrap()]) else { return };
        accepted(&parsed);
    }
}

#[test]
fn caddy_accepts_its_examples_and_passes_requests_on() {
    for name in ["proxy/Caddyfile", "proxy/hosting/Caddyfile"] {
        let config = file(name);
        let args = ["validate", "--adapter", "caddyfile", "--config", config.to_str().unwrap()];
        let Some(valid) = tool("caddy", &args) else { return };
        accepted(&valid);
        let (dir, backend) = (tempfile::tempdir().unwrap(), Backend::start());
        let port = free_port().unwrap();
        // Without certificates: the sites by plain HTTP, all other lines stay.
        let text = read(name)
            .replace("{\n\ton_demand_tls", "{\n\tadmin off\n\ton_demand_tls")
            .replace(
                "archive.example.com {",
                &format!("{{\n\tadmin off\n}}\nhttp://archive.example.com:{port} {{"),
            )
            .replace("pds.example.com, *.pds", &format!("http://pds.example.com:{port}, http://*.pds"))
            .replace("*.pds.example.com {", &format!("*.pds.example.com:{port} {{"))
            .replace("\ttls {\n\t\ton_demand\n\t}\n", "")
            .replace("127.0.0.1:3000", &backend.address);
        let config = dir.path().join("Caddyfile");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&config).env("HOME", dir.path());
        passes_on(name, Proxy::start(&mut command, port), &backend);
    }
}

#[test]
fn nginx_accepts_its_examples_and_passes_requests_on() {
    for name in ["proxy/nginx.conf", "proxy/hosting/nginx.conf"] {
        let (dir, backend) = (tempfile::tempdir().unwrap(), Backend::start());
        let port = free_port().unwrap();
        // The certificate is not here: the TLS lines are left out, all others stay.
        let server: String = read(name)
            .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port}"))
            .replace("127.0.0.1:3000", &backend.address)
            .lines()
            .filter(|line| !line.trim_start().starts_with("ssl_certificate"))
            .map(|line| format!("{line}\n"))
            .collect();
        let at = dir.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
            .collect();
        let text = format!(
            "daemon off;\nmaster_process off;\nworker_processes 1;\npid {at}/pid;\nerror_log {at}/error.log;\n\
             events {{}}\nhttp {{\naccess_log off;\n{temporary}{server}}}\n"
        );
        let config = dir.path().join("nginx.conf");
        std::fs::write(&config, text).unwrap();
        let Some(valid) = tool("nginx", &["-t", "-c", config.to_str().unwrap()]) else { return };
        accepted(&valid);
        let program = if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
        passes_on(name, Proxy::start(Command::new(program).arg("-c").arg(&config), port), &backend);
    }
}

/// A request and a WebSocket's handshake, as the node behind the proxy gets them.
fn passes_on(name: &str, proxy: Proxy, backend: &Backend) {
    let hosting = name.contains("hosting");
    let host = if hosting { "pds.example.com" } else { "archive.example.com" };
    let ask = |request: &str, host: &str| proxy.ask(&format!("{request}Host: {host}\r\n\r\n"), backend);
    let plain = ask("GET /xrpc/_health HTTP/1.1\r\nX-Forwarded-For: 6.6.6.6\r\n", host);
    let has = |head: &[String], line: &str| head.iter().any(|have| have.eq_ignore_ascii_case(line));
    assert_eq!(plain[0], "GET /xrpc/_health HTTP/1.1");
    assert!(has(&plain, &format!("Host: {host}")), "the node answers to its own name only: {plain:?}");
    assert!(has(&plain, "X-Forwarded-For: 127.0.0.1"), "what the client claims is not passed on: {plain:?}");
    if hosting {
        let handle = ask("GET /.well-known/atproto-did HTTP/1.1\r\n", "alice.pds.example.com");
        assert!(has(&handle, "Host: alice.pds.example.com"), "{handle:?}");
        let upload = "POST /xrpc/com.atproto.repo.uploadBlob HTTP/1.1\r\nContent-Length: 300000000\r\n";
        assert!(has(&ask(upload, host), "Content-Length: 300000000"), "{name} refuses large bodies");
    }
    let socket = ask(
        "GET /xrpc/com.atproto.sync.subscribeRepos HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        host,
    );
    assert!(has(&socket, "Upgrade: websocket") && has(&socket, "Connection: upgrade"), "{socket:?}");
    assert!(
        socket.iter().any(|line| line.to_ascii_lowercase().starts_with("sec-websocket-key: ")),
        "{socket:?}"
    );
}

/// Stands for the node: takes a request's head and answers nothing much.
struct Backend {
    listener: TcpListener,
    address: String,
}

impl Backend {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Self { listener, address }
    }

    fn head(&self) -> Vec<String> {
        // A proxy that refuses the request never calls here.
        self.listener.set_nonblocking(true).unwrap();
        let begun = Instant::now();
        let stream = loop {
            match self.listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "the proxy passed nothing on: {error}"),
            }
            std::thread::yield_now();
        };
        stream.set_nonblocking(false).unwrap();
        let lines = BufReader::new(&stream).lines().map(Result::unwrap).take_while(|line| !line.is_empty());
        let head = lines.collect();
        (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        head
    }
}

/// A proxy of the tests' own; ended when dropped.
struct Proxy {
    child: Child,
    port: u16,
}

impl Proxy {
    fn start(command: &mut Command, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut proxy = Self { child, port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(proxy.child.try_wait().unwrap().is_none(), "the proxy ended");
            std::thread::yield_now();
        }
        proxy
    }

    /// Sends a request through the proxy and answers what the backend got of it.
    fn ask(&self, request: &str, backend: &Backend) -> Vec<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        backend.head()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
