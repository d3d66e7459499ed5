//! The command line: one file per family of commands.
//!
//! `serve` is what runs when no command is named. Settings have flags too; those come from the
//! sections of `config`, so their help is written once.

pub mod account;
pub mod admin;
pub mod alerts;
pub mod archive;
pub mod ask;
pub mod backup;
pub mod capacity;
pub mod claim;
pub mod config;
pub mod context;
pub mod demo;
pub mod doctor;
pub mod drill;
pub mod exit;
pub mod export;
pub mod health;
pub mod history;
pub mod import;
pub mod import_pds;
mod intake;
pub mod invite;
pub mod keep;
pub mod lexicon;
pub mod limits;
pub mod mail;
pub mod output;
pub mod plc;
pub mod promote;
pub mod restore;
pub mod secret;
pub mod serve;
pub mod serving;
pub mod shell;
pub mod show;
pub mod verify;
pub mod workers;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Arg, ArgAction, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::config::Config;
use crate::config::layers::SET;

/// The package version, and the commit when the builder named one.
pub const VERSION: &str = env!("P2PDS_VERSION");

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  p2pds                                 start a node on 127.0.0.1:3000, data in ./data
  p2pds archive add alice.example.com   keep a copy of an account
  p2pds archive list                    what is kept, and how fresh it is
  p2pds drill alice.example.com         prove that the copy restores
  p2pds export alice.example.com --out alice-backup

Exit status: 0 done, 1 error, 2 wrong usage, 3 damage or drift found, 10 nothing here yet,
130 interrupted.";

/// Archives, hosts and recovers AT Protocol accounts.
///
/// Without a command, starts a node. Commands talk to the node that runs on the same data
/// directory; when none runs they do the work themselves, with the same result.
#[derive(Debug, Parser)]
#[command(name = "p2pds", version = VERSION, styles = STYLES, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// How to answer, and where the configuration lies.
    #[command(flatten)]
    pub global: Global,
    /// What to do; `serve` when left out.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags that every command takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// Configuration file (TOML).
    #[arg(long, global = true, value_name = "FILE", help_heading = "Settings")]
    pub config: Option<PathBuf>,
    /// Any setting by its name, such as --set archive.sync_interval=30m; may be given more than once.
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE", value_parser = set, help_heading = "Settings",
          hide_short_help = true)]
    pub set: Vec<(String, String)>,
    /// Print the result as JSON on standard output.
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
    /// Print results and errors only.
    #[arg(long, short, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// How to show progress, on standard error.
    #[arg(long, global = true, value_enum, default_value_t = ProgressStyle::Auto, help_heading = "Output")]
    pub progress: ProgressStyle,
    /// Do not ask; take every question as answered with yes.
    #[arg(long, short, global = true, help_heading = "Output")]
    pub yes: bool,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressStyle {
    /// Bars on a terminal, a line every 10 seconds elsewhere.
    Auto,
    /// Bars that move.
    Bars,
    /// A line every 10 seconds.
    Lines,
    /// One JSON object per event and line.
    Json,
    /// Nothing.
    None,
}

/// Everything that can be asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the node (what happens without a command).
    Serve(serve::Args),
    /// Try everything in a network of its own on this machine; nothing is kept.
    Demo(demo::Args),
    /// Keep copies of accounts: add, list, show, sync, remove.
    Archive(archive::Args),
    /// Check an archive against its signature, its hashes and its identity log.
    Verify(verify::Args),
    /// Print one archived record.
    Show(show::Args),
    /// List the revisions of an account that were seen, and prove them.
    History(history::HistoryArgs),
    /// What was created, edited and deleted between two points in time.
    Diff(history::DiffArgs),
    /// Bring back a record of before: show it, write it to a file, or put it back at its host.
    RestoreRecord(restore::Args),
    /// Write an account out in a form that restores elsewhere.
    Export(export::Args),
    /// Archive an account from a CAR file, offline.
    Import(import::Args),
    /// Write the whole node into a directory, while it runs.
    Backup(backup::Args),
    /// Make a new data directory from a backup, or check one.
    Restore(backup::RestoreArgs),
    /// Take over the accounts of a reference PDS that is stopped, from its data directory.
    ImportPds(import_pds::Args),
    /// Prove that an archive restores, from the archive alone.
    Drill(drill::Args),
    /// Make this node the host of an archived account, with its rotation key.
    Promote(promote::Args),
    /// Accounts that this node hosts: create, list, show, disable, delete, reset-password.
    Account(account::Args),
    /// Invite codes: create, list, disable.
    Invite(invite::Args),
    /// Moderation of hosted accounts, and what was done: takedown, restore, audit.
    Admin(admin::Args),
    /// An address with which somebody becomes the owner of this node, or takes it back.
    Claim(claim::Args),
    /// Mail to the owners of hosted accounts: test, list, show, send.
    Mail(mail::Args),
    /// The history of an identity, and what is expected of it: log, announce, ack.
    Plc(plc::Args),
    /// Which collections the archived repos use, and how much.
    Lexicon(lexicon::Args),
    /// What runs in the background: state, progress, last error, next run.
    Workers(workers::Args),
    /// What is stored, how fast it grows, and when the disk is full.
    Capacity(capacity::Args),
    /// What is wrong now, and what was.
    Alerts(alerts::Args),
    /// Look for what is wrong with this machine or setup, and say how to fix it.
    Doctor(doctor::Args),
    /// Ask the node on this machine whether it is ready; for containers and scripts.
    Health(health::Args),
    /// Show the configuration and where each value comes from.
    Config(config::Args),
    /// Print a completion script for a shell.
    Completions(shell::CompletionsArgs),
    /// Print or write the manual pages.
    Man(shell::ManArgs),
}

/// A parsed command line.
#[derive(Debug)]
pub struct Parsed {
    /// Command and global flags.
    pub cli: Cli,
    /// Settings given as flags: `section.key` to value.
    pub settings: BTreeMap<String, String>,
}

/// The command tree with the settings' flags.
#[must_use]
pub fn tree() -> clap::Command {
    let mut tree = Cli::command();
    for setting in Config::settings() {
        let Some(flag) = setting.flag else { continue };
        let mut arg = Arg::new(flag)
            .long(flag)
            .global(true)
            .help_heading("Settings")
            .help(help_of(&setting.sentence()))
            .long_help(format!(
                "{}\n\n[default: {}] [env: {}]",
                setting.sentence(),
                if setting.default.is_empty() { "not set" } else { setting.default },
                setting.env.join(", ")
            ));
        // The short help of every command has only what every command is called with.
        arg = arg.hide_short_help(!matches!(flag, "data-dir" | "port"));
        arg = if setting.shape == <bool as crate::config::setting::Setting>::SHAPE {
            arg.action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .value_name("BOOL")
        } else {
            arg.action(ArgAction::Set).value_name(value_name(flag))
        };
        tree = tree.arg(arg);
    }
    tree
}

/// The first sentence, without its full stop, as clap's short help has it.
fn help_of(sentence: &str) -> String {
    sentence.split_once(". ").map_or(sentence, |(first, _)| first).trim_end_matches('.').to_owned()
}

fn value_name(flag: &str) -> &'static str {
    match flag {
        "data-dir" => "DIR",
        "bind" => "ADDRESS",
        "port" => "PORT",
        "hostname" => "NAME",
        "plc-url" => "URL",
        "nameservers" => "ADDRESS,...",
        "log-level" => "LEVEL",
        "log-format" => "FORMAT",
        _ => "VALUE",
    }
}

/// Splits the value of `--set`.
fn set(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected SECTION.KEY=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

/// Parses a command line.
///
/// # Errors
/// Wrong usage, or a request for help or the version: clap's error knows how to print itself.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, clap::Error> {
    let matches = tree().try_get_matches_from(args)?;
    let cli = Cli::from_arg_matches(&matches)?;
    let mut settings = BTreeMap::new();
    for setting in Config::settings() {
        let Some(flag) = setting.flag else { continue };
        if let Some(value) = matches.get_one::<String>(flag) {
            settings.insert(setting.name(), value.clone());
        }
    }
    for (name, value) in &cli.global.set {
        settings.insert(format!("{SET}{name}"), value.clone());
    }
    Ok(Parsed { cli, settings })
}

#[cfg(test)]
mod tests;
