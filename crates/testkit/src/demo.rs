//! `p2pds demo`, run as a child: the node and the network that it has around it.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::program::Program;

/// A running demo; ended when dropped.
#[derive(Debug)]
pub struct Demo {
    /// What it says about itself: `people`, `desk`, `data`, `dir`, and here also `node` and `claim`.
    pub said: Value,
    /// The program on the demo's data directory: commands reach the node of the demo.
    pub program: Program,
    /// From the start of the process until its pages answered.
    pub took: Duration,
    child: Child,
    errors: PathBuf,
}

impl Demo {
    /// Starts one on a free port, and waits until it answers. `scratch` is an empty directory for its log.
    ///
    /// # Errors
    /// It ends, or does not answer within three minutes.
    pub fn start(scratch: &std::path::Path, args: &[&str]) -> Result<Self> {
        let program = Program::new(&scratch.join("no-data"))?;
        let errors = scratch.join("demo.log");
        let started = Instant::now();
        let mut all = vec!["demo", "--port", "0", "--json"];
        all.extend(args);
        let mut child = program
            .command(&all)
            .env("TMPDIR", scratch)
            .current_dir(scratch)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&errors)?)
            .spawn()
            .context("start the demo")?;
        let lines = lines(&mut child)?;
        let said = introduction(&lines).with_context(|| {
            format!("the demo did not start: {}", std::fs::read_to_string(&errors).unwrap_or_default())
        });
        let said = match said {
            Ok(said) => said,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        let data = PathBuf::from(said["data"].as_str().context("data")?);
        let mut demo = Self { program: program.at(&data), said, took: Duration::ZERO, child, errors };
        let live = format!("{}/livez", demo.node());
        while crate::http::request("GET", &live, &[], None).map_or(true, |reply| reply.status != 200) {
            ensure!(started.elapsed() < Duration::from_secs(180), "the demo does not answer: {}", demo.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        demo.took = started.elapsed();
        Ok(demo)
    }

    /// Where its node is, without a slash at the end.
    #[must_use]
    pub fn node(&self) -> &str {
        self.said["node"].as_str().unwrap_or_default()
    }

    /// Where its desk is, without a slash at the end.
    #[must_use]
    pub fn desk(&self) -> &str {
        self.said["desk"].as_str().unwrap_or_default()
    }

    /// Somebody who lives in it, by the first label of the handle.
    ///
    /// # Panics
    /// Nobody is called so.
    #[must_use]
    pub fn person(&self, name: &str) -> &Value {
        let people = self.said["people"].as_array().expect("people");
        let own = |one: &&Value| {
            one["handle"].as_str().is_some_and(|handle| handle.split('.').next() == Some(name))
        };
        people.iter().find(own).unwrap_or_else(|| panic!("nobody is called {name}"))
    }

    /// What it wrote on standard error.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// SIGTERM, and its exit status.
    ///
    /// # Errors
    /// It does not end within a minute.
    pub fn stop(mut self) -> Result<i32> {
        let pid =
            i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).context("pid")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return status.code().context("a signal ended it");
            }
            ensure!(asked.elapsed() < Duration::from_secs(60), "the demo does not stop: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(child: &mut Child) -> Result<Receiver<String>> {
    let stdout = child.stdout.take().context("no pipe")?;
    let (send, receive) = channel();
    std::thread::spawn(move || {
        // Reads on to the end, so that the demo never blocks on a full pipe.
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    Ok(receive)
}

/// The line of JSON, then what the node says of itself: where it listens, and how it is claimed.
fn introduction(lines: &Receiver<String>) -> Result<Value> {
    let first = lines.recv_timeout(Duration::from_secs(180)).context("it says nothing")?;
    let mut said: Value = serde_json::from_str(&first).with_context(|| format!("no JSON: {first}"))?;
    (said["node"], said["claim"]) = (Value::Null, Value::Null);
    loop {
        let patience = if said["node"].is_null() { Duration::from_secs(180) } else { Duration::from_secs(1) };
        let line = match lines.recv_timeout(patience) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) if said["node"].is_string() => return Ok(said),
            Err(error) => bail!("the node does not say where it listens: {error}"),
        };
        for word in line.split_whitespace().filter(|word| word.starts_with("http://")) {
            let name = if word.contains("/claim") { "claim" } else { "node" };
            if said[name].is_null() && (name == "claim" || line.contains("Listening")) {
                said[name] = json!(word.trim_end_matches('/'));
            }
        }
    }
}
