//! A test in a network of its own: an address that counts as public, ports 80 and 443, names in `/etc/hosts`. There the
//! program runs as it does for its users, without any development setting.

use std::io::{BufRead as _, BufReader};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::need;
use crate::oracle::dying_with_parent;

/// Set in the process that is apart.
const INSIDE: &str = "P2PDS_TEST_APART";

/// Whether this process is apart already. If not, the test of this name is run once more in a process that is, with these
/// addresses and the names that lead to them, and the answer is `false` when it has passed; also where that is not possible
/// (said on standard output).
///
/// # Errors
/// The test failed there.
pub fn apart(test: &str, addresses: &[Ipv4Addr], names: &[(Ipv4Addr, &str)]) -> Result<bool> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(true);
    }
    if !need::root() {
        need::skip("a network of its own needs root", false);
        return Ok(false);
    }
    for (program, flag) in [("ip", "-V"), ("mount", "-V")] {
        if !need::have(program, flag) {
            need::skip(&format!("a network of its own needs {program}"), false);
            return Ok(false);
        }
    }
    // In containers root may often not.
    let may = Command::new("unshare").args(["--net", "--mount", "true"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        need::skip("a network of its own needs unshare, and the right to", false);
        return Ok(false);
    }
    let dir = tempfile::tempdir()?;
    let mut hosts = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
    for (address, name) in names {
        hosts.push_str(&format!("{address} {name}\n"));
    }
    std::fs::write(dir.path().join("hosts"), hosts)?;
    std::fs::write(dir.path().join("resolv.conf"), "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n")?;
    let mut script = "set -e; ip link set lo up".to_owned();
    for address in addresses {
        script.push_str(&format!("; ip address add {address}/32 dev lo"));
    }
    for file in ["hosts", "resolv.conf"] {
        script.push_str(&format!("; mount --bind \"$0/{file}\" /etc/{file}"));
    }
    script.push_str("; exec \"$@\"");
    let mut command = dying_with_parent(Path::new("unshare"));
    command.args(["--net", "--mount", "sh", "-c", &script]).arg(dir.path());
    run(command.arg(std::env::current_exe()?).args([test, "--exact", "--nocapture"]).env(INSIDE, "1"))
        .with_context(|| format!("{test}, in a network of its own"))?;
    Ok(false)
}

/// Runs it to its end. What a test runner says of itself is left out: this one counts.
fn run(command: &mut Command) -> Result<()> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut ran = false;
    for line in BufReader::new(child.stdout.take().context("pipe")?).lines() {
        let line = line?;
        ran |= line == "running 1 test";
        // With one thread a runner begins the line itself.
        if let Some(at) = line.find("SKIPPED:") {
            println!("{}", &line[at..]);
        } else if !["running ", "test ", "failures:"].iter().any(|own| line.starts_with(own)) {
            println!("{line}");
        }
    }
    ensure!(child.wait()?.success(), "it failed");
    ensure!(ran, "there is no test of this name");
    Ok(())
}
