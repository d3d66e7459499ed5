//! A script of Node.js beside the packages of `crates/testkit/npm`, with which a test talks line by line: the script says
//! JSON, the test says words.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::need;
use crate::oracle::{dying_with_parent, node};

/// A running script; ended when dropped.
#[derive(Debug)]
pub struct Script {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    _dir: tempfile::TempDir,
}

impl Script {
    /// Runs the text of a script; `None` (said on standard output) where the packages are not installed.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(text: &str, args: &[&str]) -> Result<Option<Self>> {
        let (Some(npm), Some(oracle)) = (need::npm(), need::oracle()) else { return Ok(None) };
        let dir = tempfile::tempdir()?;
        let script = dir.path().join("script.mjs");
        std::fs::write(&script, text)?;
        std::os::unix::fs::symlink(npm.join("node_modules"), dir.path().join("node_modules"))?;
        let mut child = dying_with_parent(&node(&oracle))
            .arg(&script)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start Node.js")?;
        let input = child.stdin.take().context("no pipe")?;
        let lines = BufReader::new(child.stdout.take().context("no pipe")?).lines();
        Ok(Some(Self { child, input, lines, _dir: dir }))
    }

    /// The next thing that it says.
    ///
    /// # Errors
    /// It ended, or says something that is not JSON.
    pub fn hear(&mut self) -> Result<Value> {
        let line = self.lines.next().context("the script ended")??;
        serde_json::from_str(&line).with_context(|| format!("no JSON: {line}"))
    }

    /// Says a line to it.
    ///
    /// # Errors
    /// It ended.
    pub fn say(&mut self, line: &str) -> Result<()> {
        writeln!(self.input, "{line}").context("the script ended")
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It failed; what was wrong is on standard error.
    pub fn end(mut self) -> Result<()> {
        let status = self.child.wait()?;
        ensure!(status.success(), "the script: {status}");
        Ok(())
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
