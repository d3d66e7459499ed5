//! `p2pds health`: asks the node on this machine whether it can do its work. For containers and scripts.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Stopped};
use crate::cli::output;
use crate::operator::client::Client;
use crate::operator::{Failure, server::Hello};

const EXAMPLES: &str = "\
Asks /readyz of the node that runs on the data directory, wherever it listens, and ends with 0 when
it is ready, else with 1. With --port, or when the data directory cannot be entered, it asks the node
on that port (http.port), whoever's it is.

Examples:
  p2pds health
  p2pds health --data-dir /srv/p2pds
  p2pds health --port 8080 --quiet && echo well";

/// Arguments of `health`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// How long to wait for each step.
const PATIENCE: Duration = Duration::from_secs(4);
/// More of an answer is not read.
const MOST: u64 = 4_096;

/// Runs `health`.
///
/// # Errors
/// No node answers, or it is not ready.
pub async fn run(context: &Context, _args: &Args) -> Result<Exit, Stopped> {
    let address = address(context).await?;
    let answer = ask(address).map_err(|error| {
        Failure::new("unavailable", format!("no node answers on {address}: {error}"))
            .hint("start one, or name its port with --port")
    })?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    let said = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body.trim());
    if status != "200" {
        return Err(Failure::new("unavailable", format!("the node on {address} is not ready: {said}"))
            .hint("its log says why")
            .into());
    }
    if !context.global.quiet {
        output::line(said)?;
    }
    Ok(Exit::Ok)
}

/// Where to ask: what was told as a flag, else what the node on the data directory says of itself, else what is set.
async fn address(context: &Context) -> Result<SocketAddr, Failure> {
    let http = &context.loaded.config.http;
    let set = SocketAddr::new(reachable(http.bind), http.port);
    let origin = context.loaded.resolved.iter().find(|one| one.name == "http.port").map(|one| &*one.origin);
    if http.port != 0 && origin.is_some_and(|origin| origin.starts_with("flag")) {
        return Ok(set);
    }
    let dir = context.data_dir();
    let why = match tokio::time::timeout(PATIENCE, Client::meet(&dir)).await {
        Ok(Ok((_, Hello { address: Some(address), .. }))) => {
            return Ok(SocketAddr::new(reachable(address.ip()), address.port()));
        }
        // A command at work, or a node of before this was said.
        Ok(Ok((_, Hello { pid, .. }))) => {
            format!("process {pid} works there, and does not say where it listens")
        }
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!("it does not say within {} seconds where it listens", PATIENCE.as_secs()),
    };
    if http.port != 0 && origin.is_some_and(|origin| origin != "default") {
        return Ok(set);
    }
    Err(Failure::new("unavailable", format!("no node is found on {}: {why}", dir.display()))
        .hint("start one with `p2pds serve`, or name its data directory (--data-dir) or its port (--port)"))
}

/// Where a node that listens on `bind` is reached from this machine.
fn reachable(bind: IpAddr) -> IpAddr {
    match bind {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(MOST).read_to_string(&mut answer)?;
    Ok(answer)
}
