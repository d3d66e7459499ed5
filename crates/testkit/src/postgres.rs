//! A PostgreSQL server of its own, on loopback, in a directory that goes with it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::need;
use crate::oracle::dying_with_parent;

/// A running server with an empty database `test`; ended when dropped.
#[derive(Debug)]
pub struct Postgres {
    server: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

/// Where Debian puts the programs that are not on the path.
fn program(name: &str) -> Option<PathBuf> {
    if need::have(name, "--version") {
        return Some(name.into());
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> =
        versions.flatten().map(|version| version.path().join("bin").join(name)).collect();
    found.sort();
    found.into_iter().rev().find(|path| path.exists())
}

impl Postgres {
    /// Starts one; `None` (said on standard output) where PostgreSQL is not installed.
    ///
    /// # Errors
    /// It does not start.
    pub fn start() -> Result<Option<Self>> {
        let (Some(initdb), Some(postgres), Some(createdb)) =
            (program("initdb"), program("postgres"), program("createdb"))
        else {
            need::skip("PostgreSQL is not installed (Debian's package postgresql)", true);
            return Ok(None);
        };
        let dir = tempfile::tempdir()?;
        let data = dir.path().join("data");
        std::fs::create_dir(&data)?;
        if need::root() {
            // PostgreSQL refuses to run as root.
            let status = Command::new("chown").arg("-R").arg("postgres").arg(dir.path()).status()?;
            ensure!(status.success(), "there is no user postgres");
        }
        let port = crate::ports::free_port()?;
        let made = as_user(&initdb)
            .args(["--auth=trust", "--username=test", "--encoding=UTF8", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()?;
        ensure!(made.success(), "initdb failed");
        let server = as_user(&postgres)
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-F", "-k"])
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut postgres = Self { server, port, _dir: dir };
        let deadline = Instant::now() + Duration::from_secs(120);
        while !postgres.create(&createdb)? {
            ensure!(postgres.server.try_wait()?.is_none(), "PostgreSQL ended");
            ensure!(Instant::now() < deadline, "PostgreSQL does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Some(postgres))
    }

    fn create(&self, createdb: &Path) -> Result<bool> {
        let port = self.port.to_string();
        let mut command = Command::new(createdb);
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", "test", "test"]);
        Ok(command.stderr(Stdio::null()).status().context("createdb")?.success())
    }

    /// `postgresql://test@127.0.0.1:PORT/test`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgresql://test@127.0.0.1:{}/test", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let pid = i32::try_from(self.server.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // A fast shutdown.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        let _ = self.server.wait();
    }
}

/// The program as a user that is not root.
fn as_user(program: &Path) -> Command {
    if !need::root() {
        return dying_with_parent(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig", "INT", "--"])
        .arg(program);
    command
}
