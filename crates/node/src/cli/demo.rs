//! `p2pds demo`: this node with a network of its own around it, on loopback, in a temporary directory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use p2pds_demo::{Network, Options, Pace};

use crate::cli::Global;
use crate::cli::context::{Context, lock_failure};
use crate::cli::exit::{Exit, Stopped};
use crate::config::layers::{Origin, SET};
use crate::config::{Config, Loaded, Resolved};
use crate::node::lock::{Lock, Role};
use crate::node::supervise;
use crate::operator::Failure;
use crate::{logging, node};

const EXAMPLES: &str = "\
A directory, two hosts, a relay-like stream and five people with life going on, all inside this
process, and this node pointed at them. Nothing leaves this machine, ./data is not touched, and
everything is gone when the demo ends. docs/demo.md says what can be tried.

Examples:
  p2pds demo                 on port 3000
  p2pds demo --port 0        on a free port
  p2pds demo --quiet-life    nobody does anything by themselves";

/// How often somebody of the demo does something.
const PACE: Duration = Duration::from_secs(4);
/// Settings that a demo takes besides its own.
const TAKEN: [&str; 3] = ["http.port", "log.level", "log.format"];
/// Settings by which a node becomes public.
const PUBLIC: [&str; 4] = ["http.hostname", "http.public_url", "http.bind", "serving.mirror_hostname"];

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Let nothing happen by itself.
    #[arg(long)]
    quiet_life: bool,
    /// Begin chance elsewhere: other posts, other pictures.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

/// Runs the demo until it is told to stop.
///
/// # Errors
/// A setting that a demo does not take; no free port; a part of the node failed.
pub fn start(
    global: Global,
    args: &Args,
    flags: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
) -> Result<Exit, Stopped> {
    let taken = taken(&global, flags, env)?;
    let dir = Temporary::make()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(anyhow::Error::from)?;
    let result = runtime.block_on(run(global, args, &taken, &dir.0));
    runtime.shutdown_timeout(Duration::from_secs(2));
    result
}

async fn run(
    global: Global,
    args: &Args,
    taken: &BTreeMap<String, String>,
    dir: &Path,
) -> Result<Exit, Stopped> {
    let stopped = supervise::signals()?;
    let pace = if args.quiet_life { Pace::Quiet } else { Pace::Every(PACE) };
    let options = Options { dir: dir.to_owned(), pace, seed: args.seed };
    let network = tokio::select! {
        started = Network::start(&options) => {
            started.map_err(|error| Failure::new(error.kind().as_str(), error.to_string()))?
        }
        () = stopped => return Ok(Exit::Interrupted),
    };
    let result = beside(global, &network, taken, dir).await;
    network.close().await;
    result
}

/// The ordinary node, pointed at the network.
async fn beside(
    global: Global,
    network: &Network,
    taken: &BTreeMap<String, String>,
    dir: &Path,
) -> Result<Exit, Stopped> {
    let data = dir.join("node");
    let loaded = settings(network, taken, &data)?;
    logging::start(&loaded, true)
        .map_err(|message| Stopped::usage(message, "see `p2pds config reference`, section log"))?;
    say(&global, network, dir, &data)?;
    let context = Context { global, loaded };
    let patience = Duration::from_secs(5);
    let lock = Lock::acquire_patiently(&data, Role::Node, patience).await.map_err(|e| lock_failure(&e))?;
    node::run(&context, lock).await.map_err(Failure::from)?;
    Ok(Exit::Ok)
}

/// What of the user's own settings counts; anything public is refused.
fn taken(
    global: &Global,
    flags: BTreeMap<String, String>,
    mut env: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Stopped> {
    if global.config.is_some() {
        return Err(Stopped::usage(
            "a demo reads no configuration file",
            "leave --config out; `p2pds serve` is the node that reads it",
        ));
    }
    for name in flags.keys().map(|name| name.strip_prefix(SET).unwrap_or(name)) {
        if PUBLIC.contains(&name) {
            continue;
        }
        if !TAKEN.contains(&name) {
            return Err(Stopped::usage(
                format!("a demo has settings of its own, and does not take {name}"),
                "it takes --port, --log-level and --log-format; `p2pds serve` takes all of them",
            ));
        }
    }
    // A file that the environment names is not read either.
    env.remove("P2PDS_CONFIG");
    let given: BTreeMap<String, String> = flags
        .iter()
        .filter(|(name, _)| TAKEN.contains(&name.strip_prefix(SET).unwrap_or(name)))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let loaded = Config::load(flags, env, None, Path::new(""))
        .map_err(|error| Stopped::usage(error.to_string(), "`p2pds config reference` lists every setting"))?;
    let loopback = loaded.config.http.bind.is_loopback();
    let public = |one: &Resolved| match one.name.as_str() {
        "http.bind" => !loopback,
        name => PUBLIC.contains(&name) && one.origin != Origin::Default.to_string(),
    };
    match loaded.resolved.iter().find(|one| public(one)) {
        None => Ok(given),
        Some(one) => Err(Stopped::usage(
            format!(
                "a demo is for this machine alone: it takes no host name, no public address and no address to listen on \
                 but 127.0.0.1, and {} is set to {} ({})",
                one.name, one.value, one.origin
            ),
            "take that setting away for the demo; `p2pds serve` is the node for others",
        )),
    }
}

/// The node's settings; environment and files count for nothing.
fn settings(network: &Network, taken: &BTreeMap<String, String>, data: &Path) -> Result<Loaded, Stopped> {
    let own = [
        ("node.data_dir", data.display().to_string()),
        ("network.plc_url", network.directory.clone()),
        ("network.nameservers", network.names.to_string()),
        ("network.dev_allow_loopback", "true".to_owned()),
        ("archive.keep_free", "0".to_owned()),
        ("alerts.disk_low", "0".to_owned()),
        ("live.relay", network.relay.clone()),
        // A few accounts are heard from their hosts, more than these from the stream of both.
        ("live.relay_from", "3".to_owned()),
        ("hosting.enabled", "on".to_owned()),
        ("hosting.dev_mode", "true".to_owned()),
        ("hosting.handle_domains", ".home.test".to_owned()),
        ("invites.required", "false".to_owned()),
    ];
    let mut flags: BTreeMap<String, String> =
        own.into_iter().map(|(name, value)| (format!("{SET}{name}"), value)).collect();
    if !taken.keys().any(|name| name.ends_with("log.level")) {
        flags.insert(format!("{SET}log.level"), "warn".to_owned());
    }
    flags.extend(taken.iter().map(|(name, value)| (name.clone(), value.clone())));
    Config::load(flags, BTreeMap::new(), None, Path::new(""))
        .map_err(|error| Stopped::usage(error.to_string(), "this is a defect in p2pds, please report it"))
}

fn say(global: &Global, network: &Network, dir: &Path, data: &Path) -> Result<(), Stopped> {
    let mut out = std::io::stdout();
    if global.json {
        let people: Vec<_> = network
            .people
            .iter()
            .map(|one| {
                serde_json::json!({ "handle": one.handle, "did": one.did.as_str(), "password": one.password,
                    "host": one.host, "rotationKeyFile": one.rotation_key })
            })
            .collect();
        let all = serde_json::json!({ "desk": network.directory, "relay": network.relay, "data": data,
            "names": network.names.to_string(), "dir": dir, "people": people });
        writeln!(out, "{all}")?;
        return Ok(out.flush()?);
    }
    let mut text = String::from(
        "A demo: a whole network inside this process. Nothing leaves this machine; all of it is gone when you stop it.\n\n",
    );
    let _ = writeln!(text, "  People     {:<22} {:<24} at", "handle", "password");
    for one in &network.people {
        let _ = writeln!(text, "             {:<22} {:<24} {}", one.handle, one.password, one.host);
    }
    let _ = writeln!(
        text,
        "  Desk       {}/   mail that would have been sent; makes a host be gone, and come back",
        network.directory
    );
    for (one, key) in network.people.iter().filter_map(|one| Some((one, one.rotation_key.as_ref()?))) {
        let _ = writeln!(text, "  Key        {} holds the rotation key in {}", one.handle, key.display());
    }
    let _ = writeln!(
        text,
        "\nAnd this node beside it, where you sign up as NAME.home.test or archive any of them:\n"
    );
    write!(out, "{text}")?;
    Ok(out.flush()?)
}

/// A directory that goes when the demo ends.
struct Temporary(PathBuf);

impl Temporary {
    fn make() -> Result<Self, Stopped> {
        let dir = std::env::temp_dir().join(format!("p2pds-demo-{}", std::process::id()));
        // One that is there belongs to somebody else, or to a demo that was killed.
        std::fs::DirBuilder::new().mode(0o700).create(&dir).map_err(|error| {
            Failure::new("unavailable", format!("cannot make {}: {error}", dir.display())).hint(
                "a demo needs a temporary directory: remove that one, or name another place with TMPDIR",
            )
        })?;
        Ok(Self(dir))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(event = "demo.left", dir = %self.0.display(), %error, "the demo's directory is still there");
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    fn refusal(flags: &[(&str, &str)], env: &[(&str, &str)]) -> Option<String> {
        let map =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let global = Cli::try_parse_from(["p2pds"]).unwrap().global;
        taken(&global, map(flags), map(env))
            .err()
            .and_then(|stopped| stopped.failure)
            .map(|failure| failure.message)
    }

    #[test]
    fn whatever_would_make_it_public_is_refused() {
        for (flags, env) in [
            (&[("http.hostname", "pds.example.com")][..], &[][..]),
            (&[("--set http.hostname", "pds.example.com")], &[]),
            (&[("http.public_url", "https://pds.example.com")], &[]),
            (&[("http.bind", "0.0.0.0")], &[]),
            (&[], &[("PDS_HOSTNAME", "pds.example.com")]),
            (&[], &[("P2PDS_BIND", "192.0.2.1")]),
        ] {
            let message = refusal(flags, env).unwrap_or_else(|| panic!("{flags:?} {env:?} are taken"));
            assert!(message.contains("this machine alone"), "{message}");
        }
        assert!(refusal(&[("node.data_dir", "/srv")], &[]).unwrap().contains("node.data_dir"));
        assert_eq!(refusal(&[("http.port", "0"), ("http.bind", "127.0.0.1")], &[("PDS_PORT", "5")]), None);
    }
}
