//! Bluesky's own relay and `tap` (indigo, in Go) as followers of a host. `P2PDS_RELAY` and `P2PDS_TAP` name the programs;
//! `go install github.com/bluesky-social/indigo/cmd/relay@latest` makes the first, and so on.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::http;
use crate::need;
use crate::oracle::dying_with_parent;
use crate::ports::free_port;

/// How long anything may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program that a variable names; `None` (said on standard output) without it.
fn program(name: &str, what: &str) -> Option<PathBuf> {
    let found = std::env::var_os(name).map(PathBuf::from).filter(|path| path.exists());
    if found.is_none() {
        need::skip(
            &format!(
                "set {name} to indigo's {what} (go install github.com/bluesky-social/indigo/cmd/{what}@latest)"
            ),
            false,
        );
    }
    found
}

fn until<T>(what: &str, mut ready: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(done) = ready()? {
            return Ok(done);
        }
        ensure!(Instant::now() < deadline, "{what} takes too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A relay that follows one host.
#[derive(Debug)]
pub struct Relay {
    /// `http://localhost:PORT`.
    pub url: String,
    program: PathBuf,
    dir: PathBuf,
    plc: String,
    ports: (u16, u16),
    child: Option<Child>,
    starts: u32,
    /// The root certificates that it believes; without them it also follows hosts without TLS.
    roots: Option<PathBuf>,
}

impl Relay {
    /// Starts one in `dir` that follows nobody, believes these root certificates and takes public hosts only, as relays on
    /// the network do.
    ///
    /// # Errors
    /// It does not start.
    pub fn public(dir: &Path, plc: &str, roots: &Path) -> Result<Option<Self>> {
        let Some(mut relay) = Self::prepare(dir, plc)? else { return Ok(None) };
        relay.roots = Some(roots.to_owned());
        relay.begin()?;
        Ok(Some(relay))
    }

    fn prepare(dir: &Path, plc: &str) -> Result<Option<Self>> {
        let Some(program) = program("P2PDS_RELAY", "relay") else { return Ok(None) };
        let ports = (free_port()?, free_port()?);
        let url = format!("http://localhost:{}", ports.0);
        let (dir, plc) = (dir.join("relay"), plc.to_owned());
        std::fs::create_dir_all(&dir)?;
        Ok(Some(Self { url, program, dir, plc, ports, child: None, starts: 0, roots: None }))
    }

    /// Starts one in `dir` that follows `host` (`http://localhost:PORT`) from the next event on. Its public method refuses
    /// hosts on loopback, so the host is entered in its database.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(dir: &Path, plc: &str, host: &str) -> Result<Option<Self>> {
        let Some(mut relay) = Self::prepare(dir, plc)? else { return Ok(None) };
        relay.begin()?;
        relay.stop()?;
        relay.enter(host.trim_start_matches("http://"))?;
        relay.begin()?;
        relay.connected(1)?;
        Ok(Some(relay))
    }

    fn enter(&self, host: &str) -> Result<()> {
        let database = rusqlite::Connection::open(self.dir.join("relay.sqlite"))?;
        database.execute(
            "INSERT INTO host (created_at, updated_at, hostname, no_ssl, account_limit, trusted, status, last_seq, account_count)
             VALUES ('2026-01-01', '2026-01-01', ?1, 1, 1000, 0, 'active', -1, 0)",
            [host],
        )?;
        Ok(())
    }

    /// Starts it (again).
    ///
    /// # Errors
    /// It does not answer.
    pub fn begin(&mut self) -> Result<()> {
        self.starts += 1;
        let log = File::create(self.dir.join(format!("log-{}", self.starts)))?;
        let mut command = dying_with_parent(&self.program);
        match &self.roots {
            Some(roots) => command.env("SSL_CERT_FILE", roots),
            None => command.env("RELAY_ALLOW_INSECURE_HOSTS", "true"),
        };
        let child = command
            .arg("serve")
            .env("RELAY_API_BIND", format!("127.0.0.1:{}", self.ports.0))
            .env("RELAY_METRICS_LISTEN", format!("127.0.0.1:{}", self.ports.1))
            .env("DATABASE_URL", format!("sqlite://{}", self.dir.join("relay.sqlite").display()))
            .env("RELAY_PERSIST_DIR", self.dir.join("persist"))
            .env("RELAY_PLC_HOST", &self.plc)
            .env("RELAY_ADMIN_PASSWORD", "admin")
            .env("RELAY_LOG_LEVEL", "debug")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        let health = format!("{}/xrpc/_health", self.url);
        let answered = until("the relay's start", || {
            let answered = http::request("GET", &health, &[], None).is_ok_and(|answer| answer.status == 200);
            Ok(answered.then_some(()))
        });
        answered.with_context(|| self.log())
    }

    /// Ends it.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        until("the relay's end", || Ok(child.try_wait()?))?;
        Ok(())
    }

    /// Waits until it has connected to the host so many times since its start.
    ///
    /// # Errors
    /// It does not.
    pub fn connected(&self, times: usize) -> Result<()> {
        let wait = until("the relay's connection", || {
            let log = std::fs::read_to_string(self.dir.join(format!("log-{}", self.starts)))?;
            Ok((log.matches("event subscription response").count() >= times).then_some(()))
        });
        wait.with_context(|| self.log())
    }

    /// What it has said since it was made.
    #[must_use]
    pub fn log(&self) -> String {
        let logs = (1..=self.starts).map(|n| std::fs::read_to_string(self.dir.join(format!("log-{n}"))));
        logs.filter_map(Result::ok).collect()
    }

    /// Lines of complaint, but for those about a host that is away.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let log = self.log();
        let bad = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR"));
        let away = ["dialing failed", "host connection failed", "websocket", "EOF"];
        // After a reconnection it asks for its last event once more, and drops it.
        let twice = |line: &&str| {
            serde_json::from_str::<Value>(line)
                .is_ok_and(|said| said["rev"].is_string() && said["rev"] == said["prevRev"])
        };
        bad.filter(|line| !away.iter().any(|word| line.contains(word)))
            .filter(|line| !twice(line))
            .map(str::to_owned)
            .collect()
    }

    /// What it says of the host.
    ///
    /// # Errors
    /// It does not answer.
    pub fn host_status(&self, host: &str) -> Result<Value> {
        let name = http::escape(host.trim_start_matches("http://"));
        let url = format!("{}/xrpc/com.atproto.sync.getHostStatus?hostname={name}", self.url);
        let answer = http::request("GET", &url, &[], None)?;
        if answer.status != 200 {
            bail!("{} {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        answer.json()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `tap` on a relay, or on a host.
#[derive(Debug)]
pub struct Tap {
    /// `http://localhost:PORT`.
    pub url: String,
    child: Child,
    log: PathBuf,
}

impl Tap {
    /// Starts it in `dir`; it follows nobody yet.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(dir: &Path, plc: &str, upstream: &str) -> Result<Option<Self>> {
        let Some(program) = program("P2PDS_TAP", "tap") else { return Ok(None) };
        let (port, dir) = (free_port()?, dir.join("tap"));
        std::fs::create_dir_all(&dir)?;
        let log = dir.join("log");
        let file = File::create(&log)?;
        let child = dying_with_parent(&program)
            .arg("run")
            .current_dir(&dir)
            .env("TAP_DATABASE_URL", format!("sqlite://{}", dir.join("tap.db").display()))
            .env("TAP_BIND", format!("127.0.0.1:{port}"))
            .env("TAP_PLC_URL", plc)
            .env("TAP_RELAY_URL", upstream)
            .env("TAP_DISABLE_ACKS", "true")
            .env("TAP_LOG_LEVEL", "info")
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        let tap = Self { url: format!("http://localhost:{port}"), child, log };
        let health = format!("{}/health", tap.url);
        until("tap's start", || {
            let answered = http::request("GET", &health, &[], None).is_ok_and(|answer| answer.status == 200);
            Ok(answered.then_some(()))
        })
        .with_context(|| tap.log())?;
        Ok(Some(tap))
    }

    /// Makes it follow accounts.
    ///
    /// # Errors
    /// It refuses.
    pub fn add(&self, dids: &[&str]) -> Result<()> {
        let body = json!({ "dids": dids }).to_string();
        let headers = [("Content-Type", "application/json")];
        let answer =
            http::request("POST", &format!("{}/repos/add", self.url), &headers, Some(body.as_bytes()))?;
        ensure!(answer.status == 200, "{}", String::from_utf8_lossy(&answer.body));
        Ok(())
    }

    /// What it says of an account: `state`, `rev`, `records`, `error`.
    ///
    /// # Errors
    /// It does not answer.
    pub fn info(&self, did: &str) -> Result<Value> {
        http::request("GET", &format!("{}/info/{did}", self.url), &[], None)?.json()
    }

    /// Waits until it has fetched the account and follows it. Before that, a host that goes away makes it wait for minutes.
    ///
    /// # Errors
    /// It does not.
    pub fn active(&self, did: &str) -> Result<()> {
        until("tap's fetching", || Ok((self.info(did)?["state"] == "active").then_some(())))
            .with_context(|| self.log())
    }

    /// What it has said.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
