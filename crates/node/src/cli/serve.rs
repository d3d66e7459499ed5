//! `p2pds` and `p2pds serve`: the node.

use crate::cli::context::{Context, lock_failure};
use crate::cli::exit::{Exit, Stopped};
use crate::node;
use crate::node::lock::{Lock, Role};
use crate::operator::Failure;

const EXAMPLES: &str = "\
Examples:
  p2pds                                  the same as p2pds serve
  p2pds serve --port 8080 --data-dir /var/lib/p2pds
  P2PDS_PORT=8080 p2pds";

/// Arguments of `serve`; its settings are global flags.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Runs the node until it is told to stop.
///
/// # Errors
/// The directory is taken, the port is taken, or a part of the node failed.
pub async fn run(context: &Context) -> Result<Exit, Stopped> {
    let dir = context.data_dir();
    let patience = std::time::Duration::from_secs(5);
    let lock = Lock::acquire_patiently(&dir, Role::Node, patience).await.map_err(|e| lock_failure(&e))?;
    node::run(context, lock).await.map_err(Failure::from)?;
    Ok(Exit::Ok)
}
