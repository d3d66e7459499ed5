//! `p2pds completions` and `p2pds man`: made from the command tree.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap_complete::Shell;

use crate::cli;
use crate::cli::exit::{Exit, Stopped};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  p2pds completions bash > /etc/bash_completion.d/p2pds\n  p2pds completions zsh > ~/.zfunc/_p2pds\n  p2pds completions fish > ~/.config/fish/completions/p2pds.fish"
)]
pub struct CompletionsArgs {
    /// Which shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  p2pds man | man -l -\n  p2pds man --out /usr/local/share/man/man1")]
pub struct ManArgs {
    /// Directory to write one page for each command into; without it the main page is printed.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs `completions`.
///
/// # Errors
/// Standard output is closed.
pub fn completions(args: &CompletionsArgs) -> Result<Exit, Stopped> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::tree(), "p2pds", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(Exit::Ok)
}

/// Runs `man`.
///
/// # Errors
/// The directory cannot be written.
pub fn man(args: &ManArgs) -> Result<Exit, Stopped> {
    match &args.out {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(cli::tree()).render(&mut page)?;
            std::io::stdout().write_all(&page)?;
        }
        Some(dir) => pages(dir)?,
    }
    Ok(Exit::Ok)
}

fn pages(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    clap_mangen::generate_to(cli::tree(), dir)
        .with_context(|| format!("cannot write manual pages into {}", dir.display()))
}
