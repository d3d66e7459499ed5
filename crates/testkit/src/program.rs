//! The `p2pds` program run as a child, the way its users run it.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::oracle::dying_with_parent;

/// The program with a data directory and settings.
#[derive(Debug, Clone)]
pub struct Program {
    bin: PathBuf,
    data: PathBuf,
    env: Vec<(String, String)>,
    prefix: Vec<String>,
    limit: Duration,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Exit status; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// All of standard output.
    pub stdout: Vec<u8>,
    /// All of standard error.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Outcome {
    /// The outcome itself when the status is the wanted one.
    ///
    /// # Errors
    /// Another status, with everything that was printed.
    pub fn expect(self, code: i32) -> Result<Self> {
        ensure!(self.code == Some(code), "wanted exit status {code}: {self}");
        Ok(self)
    }

    /// The last JSON value on standard output.
    ///
    /// # Errors
    /// Standard output does not end with JSON.
    pub fn json(&self) -> Result<Value> {
        let text = String::from_utf8_lossy(&self.stdout);
        if let Ok(value) = serde_json::from_str(&text) {
            return Ok(value);
        }
        let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        serde_json::from_str(line).with_context(|| format!("no JSON in: {self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let out = String::from_utf8_lossy(&self.stdout);
        let (code, signal) = (self.code, self.signal);
        write!(f, "status {code:?}, signal {signal:?}\n--- stdout\n{out}\n--- stderr\n{}", self.stderr)
    }
}

impl Program {
    /// The program on a data directory (created by the program itself when it does not exist).
    ///
    /// # Errors
    /// The binary was not built: `P2PDS_BIN`, or `p2pds` beside the directory of the running test.
    pub fn new(data: &Path) -> Result<Self> {
        let bin = match std::env::var_os("P2PDS_BIN") {
            Some(bin) => PathBuf::from(bin),
            None => {
                let test = std::env::current_exe()?;
                test.parent().and_then(Path::parent).context("target directory")?.join("p2pds")
            }
        };
        Self::of(&bin, data)
    }

    /// Another build of it on a data directory.
    ///
    /// # Errors
    /// There is no such file.
    pub fn of(bin: &Path, data: &Path) -> Result<Self> {
        if !bin.is_file() {
            bail!("{} does not exist: run `cargo build` first, or set P2PDS_BIN", bin.display());
        }
        Ok(Self {
            bin: bin.to_owned(),
            data: data.to_owned(),
            // How full the machine's disk is decides nothing here.
            env: vec![
                ("P2PDS_KEEP_FREE".to_owned(), "0".to_owned()),
                ("P2PDS_ALERTS_DISK_LOW".to_owned(), "0".to_owned()),
            ],
            prefix: Vec::new(),
            limit: Duration::from_secs(300),
        })
    }

    /// The same with further environment variables.
    #[must_use]
    pub fn with_env(mut self, env: impl IntoIterator<Item = (String, String)>) -> Self {
        self.env.extend(env);
        self
    }

    /// The same on another data directory.
    #[must_use]
    pub fn at(&self, data: &Path) -> Self {
        Self { data: data.to_owned(), ..self.clone() }
    }

    /// The same run by another program: `strace` with its arguments, say.
    #[must_use]
    pub fn under(&self, prefix: &[&str]) -> Self {
        Self { prefix: prefix.iter().map(|&part| part.to_owned()).collect(), ..self.clone() }
    }

    /// The binary.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.bin
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The command line, with the settings in a clean environment.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: &[A]) -> Command {
        let mut command = match self.prefix.split_first() {
            Some((program, rest)) => {
                let mut command = dying_with_parent(Path::new(program));
                command.args(rest).arg(&self.bin);
                command
            }
            None => dying_with_parent(&self.bin),
        };
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text.starts_with("P2PDS_") || name_text.starts_with("PDS_") {
                command.env_remove(name);
            }
        }
        command.env("P2PDS_DATA_DIR", &self.data).env("NO_COLOR", "1").env("RUST_BACKTRACE", "1");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.args(args).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// It cannot be started, or takes longer than five minutes (it is killed then).
    pub fn run<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<Outcome> {
        self.spawn(args)?.wait(self.limit)
    }

    /// Runs a command that must end with status 0.
    ///
    /// # Errors
    /// Any other end.
    pub fn ok<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<Outcome> {
        let said: Vec<_> = args.iter().map(|arg| arg.as_ref().to_string_lossy().into_owned()).collect();
        self.run(args)?.expect(0).with_context(|| format!("p2pds {}", said.join(" ")))
    }

    /// Runs a command with `--json` that must end with status 0, and reads its answer.
    ///
    /// # Errors
    /// Any other end, or no JSON.
    pub fn json<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<Value> {
        let mut all: Vec<&OsStr> = args.iter().map(AsRef::as_ref).collect();
        all.push(OsStr::new("--json"));
        self.ok(&all)?.json()
    }

    /// Starts a node on a free port and waits until commands reach it.
    ///
    /// # Errors
    /// It ends, or commands do not reach it within two minutes.
    pub fn serve(&self) -> Result<Running> {
        let mut node = self.spawn(&["serve", "--port", "0"])?;
        let socket = self.data.join("operator.sock");
        let deadline = Instant::now() + Duration::from_secs(120);
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            if !node.alive()? {
                bail!("the node ended: {}", node.kill()?);
            }
            ensure!(Instant::now() < deadline, "no operator socket");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(node)
    }

    /// Starts a node whose public door is known.
    ///
    /// # Errors
    /// As [`serve`](Self::serve), or no port is free.
    pub fn serve_at(&self, host: &str) -> Result<Served> {
        let port = crate::ports::free_port()?;
        let mut node = self.spawn(&["serve", "--bind", host, "--port", &port.to_string()])?;
        let socket = self.data.join("operator.sock");
        let deadline = Instant::now() + Duration::from_secs(120);
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            if !node.alive()? {
                bail!("the node ended: {}", node.kill()?);
            }
            ensure!(Instant::now() < deadline, "no operator socket");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Served { node, url: format!("http://{host}:{port}") })
    }

    /// Starts a command.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<Running> {
        let started = Instant::now();
        let mut child = self
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", self.bin.display()))?;
        let stdout = collect(child.stdout.take().context("pipe")?);
        let stderr = collect(child.stderr.take().context("pipe")?);
        Ok(Running { child, stdout, stderr, started })
    }
}

type Collected = std::thread::JoinHandle<Vec<u8>>;

fn collect(mut pipe: impl Read + Send + 'static) -> Collected {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// A running `p2pds`. It is ended with the thread that started it, if not before.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Collected,
    stderr: Collected,
    started: Instant,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended yet.
    ///
    /// # Errors
    /// The system does not say.
    pub fn alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits for its end, for `limit` at most, and kills it then.
    ///
    /// # Errors
    /// It took longer.
    pub fn wait(mut self, limit: Duration) -> Result<Outcome> {
        let deadline = self.started + limit;
        let mut pause = Duration::from_millis(1);
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                let outcome = self.kill()?;
                bail!("took longer than {limit:?}: {outcome}");
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        self.finish()
    }

    /// SIGKILL, and what had been printed by then.
    ///
    /// # Errors
    /// The system does not say how it ended.
    pub fn kill(mut self) -> Result<Outcome> {
        let _ = self.child.kill();
        self.finish()
    }

    /// SIGTERM; then as [`wait`](Self::wait).
    ///
    /// # Errors
    /// It does not end within `limit`.
    pub fn terminate(self, limit: Duration) -> Result<Outcome> {
        let pid =
            i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).context("pid")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let limit = limit.saturating_add(self.started.elapsed());
        self.wait(limit)
    }

    fn finish(mut self) -> Result<Outcome> {
        let status = self.child.wait()?;
        let stdout = self.stdout.join().unwrap_or_default();
        let stderr = String::from_utf8_lossy(&self.stderr.join().unwrap_or_default()).into_owned();
        let took = self.started.elapsed();
        Ok(Outcome { code: status.code(), signal: status.signal(), stdout, stderr, took })
    }
}

/// A running node and its public door.
#[derive(Debug)]
pub struct Served {
    /// The node.
    pub node: Running,
    /// `http://ADDRESS:PORT`.
    pub url: String,
}

impl Served {
    /// Asks the public door.
    ///
    /// # Errors
    /// It does not answer.
    pub fn get(&self, path: &str) -> Result<crate::http::Reply> {
        crate::http::request("GET", &format!("{}{path}", self.url), &[], None)
    }

    /// Asks until the answer has a status, for two minutes at most.
    ///
    /// # Errors
    /// It never had.
    pub fn get_until(&self, path: &str, status: u16) -> Result<crate::http::Reply> {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let reply = self.get(path)?;
            if reply.status == status {
                return Ok(reply);
            }
            ensure!(Instant::now() < deadline, "{path} still answers {}", reply.status);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the node in order.
    ///
    /// # Errors
    /// It does not end well.
    pub fn end(self) -> Result<Outcome> {
        self.node.terminate(Duration::from_secs(60))?.expect(0)
    }
}
