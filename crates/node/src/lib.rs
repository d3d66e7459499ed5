//! *Owns*: the `p2pds` binary: command line, configuration, the operator's door, the node's life
//! (lock, wiring, supervision, workers), the public door over TCP.
//! *Speaks*: clap, TOML, HTTP, Unix sockets, terminals; and the reports of the services.
//! *Knows nothing about*: how accounts are fetched, proved, stored or restored.
//! *Start reading at*: `cli.rs` for what can be asked, `operator/handler.rs` for who answers it,
//! `node.rs` for how a node starts and stops.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

pub mod alerts;
pub mod capacity;
pub mod cli;
pub mod config;
pub mod doctor;
pub mod door;
pub mod hosting;
pub mod http;
pub mod logging;
mod memory;
pub mod metrics;
pub mod node;
pub mod operator;
pub mod pages;
pub mod passing;
pub mod progress;
pub mod serving;
pub mod words;

use std::io::Write as _;
use std::process::ExitCode;

use cli::context::Context;
use cli::exit::{Exit, Stopped};
use cli::{Command, Parsed};
use config::Config;
use operator::Failure;

/// The whole program: parses the command line, runs it, and gives the exit status.
#[must_use]
pub fn run() -> ExitCode {
    let parsed = match cli::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let json = parsed.cli.global.json;
    let exit = match start(parsed) {
        Ok(exit) => exit,
        Err(stopped) => {
            say(&stopped, json);
            stopped.exit
        }
    };
    logging::flush();
    exit.into()
}

fn start(parsed: Parsed) -> Result<Exit, Stopped> {
    // These need no configuration, so a broken one does not stop them.
    match &parsed.cli.command {
        Some(Command::Completions(args)) => return cli::shell::completions(args),
        Some(Command::Man(args)) => return cli::shell::man(args),
        _ => {}
    }
    let serving = matches!(parsed.cli.command, None | Some(Command::Serve(_) | Command::Demo(_)));
    if serving {
        memory::begin_anew();
    }
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    // It has settings of its own.
    if let Some(Command::Demo(args)) = &parsed.cli.command {
        return cli::demo::start(parsed.cli.global, args, parsed.settings, env);
    }
    let file = parsed.cli.global.config.clone();
    let loaded = Config::load_here(parsed.settings, env, file.as_deref())
        .map_err(|error| Stopped::usage(error.to_string(), "`p2pds config reference` lists every setting"))?;
    logging::start(&loaded, serving)
        .map_err(|message| Stopped::usage(message, "see `p2pds config reference`, section log"))?;
    let context = Context { global: parsed.cli.global, loaded };
    let command = parsed.cli.command.unwrap_or(Command::Serve(cli::serve::Args {}));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(anyhow::Error::from)?;
    let result = runtime.block_on(dispatch(&context, command));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}

async fn dispatch(context: &Context, command: Command) -> Result<Exit, Stopped> {
    match command {
        Command::Serve(_) => cli::serve::run(context).await,
        Command::Archive(args) => cli::archive::run(context, args).await,
        Command::Verify(args) => cli::verify::run(context, args).await,
        Command::Show(args) => cli::show::run(context, args).await,
        Command::History(args) => cli::history::history(context, args).await,
        Command::Diff(args) => cli::history::diff(context, args).await,
        Command::RestoreRecord(args) => cli::restore::run(context, args).await,
        Command::Export(args) => cli::export::run(context, args).await,
        Command::Import(args) => cli::import::run(context, args).await,
        Command::Backup(args) => cli::backup::run(context, args).await,
        Command::Restore(args) => cli::backup::restore(context, args).await,
        Command::ImportPds(args) => cli::import_pds::run(context, args).await,
        Command::Promote(args) => cli::promote::run(context, args).await,
        Command::Drill(args) => cli::drill::run(context, args).await,
        Command::Account(args) => cli::account::run(context, args).await,
        Command::Invite(args) => cli::invite::run(context, args).await,
        Command::Admin(args) => cli::admin::run(context, args).await,
        Command::Claim(args) => cli::claim::run(context, args).await,
        Command::Mail(args) => cli::mail::run(context, args).await,
        Command::Plc(args) => cli::plc::run(context, args).await,
        Command::Lexicon(args) => cli::lexicon::run(context, args).await,
        Command::Workers(args) => cli::workers::run(context, args).await,
        Command::Capacity(args) => cli::capacity::run(context, args).await,
        Command::Alerts(args) => cli::alerts::run(context, args).await,
        Command::Doctor(args) => cli::doctor::run(context, args).await,
        Command::Health(args) => cli::health::run(context, &args).await,
        Command::Config(args) => cli::config::run(context, &args),
        Command::Completions(args) => cli::shell::completions(&args),
        Command::Man(args) => cli::shell::man(&args),
        Command::Demo(_) => Err(Failure::new("bug", "a demo is started before all else").into()),
    }
}

/// Prints an error and what to do about it on standard error.
fn say(stopped: &Stopped, json: bool) {
    let Some(failure) = &stopped.failure else { return };
    let mut err = std::io::stderr();
    if json {
        let _ = writeln!(err, "{}", serde_json::json!({ "error": failure }));
        return;
    }
    let _ = writeln!(err, "error: {}", failure.message);
    if let Some(hint) = &failure.hint {
        let _ = writeln!(err, "hint: {hint}");
    }
}
