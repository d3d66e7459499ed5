//! A data directory of its own, commands on it, and a node.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;

/// A data directory and the settings that go with it.
pub(crate) struct Home {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) env: Vec<(String, String)>,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), env: Vec::new() }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_p2pds"));
        for (name, _) in std::env::vars() {
            if name.starts_with("P2PDS_") || name.starts_with("PDS_") || name == "PORT" || name == "DATA_DIR"
            {
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

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(crate) fn node(&self) -> Node {
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
pub(crate) struct Node {
    pub(crate) child: Child,
    // Open until the end, so that the node can write to it.
    _stdout: BufReader<ChildStdout>,
    pub(crate) banner: String,
    pub(crate) address: String,
}

impl Node {
    /// SIGTERM, and the exit status with what was logged.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status.code(), log)
    }

    pub(crate) fn get(&self, path: &str, host: &str) -> (u16, String) {
        let (status, _, body) = self.ask("GET", path, &format!("Host: {host}\r\n"));
        (status, body)
    }

    /// Status, head in small letters, body.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (status, head.to_ascii_lowercase(), body.to_owned())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Output as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
