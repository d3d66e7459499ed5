//! Log lines on standard error: text on a terminal, JSON elsewhere.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::Loaded;
use crate::config::setting::LogFormat;

/// Starts logging. A node logs from `info` on, a command from `warn` on, unless configured
/// otherwise. Called once; a second call does nothing.
///
/// # Errors
/// The level is not one; the message is the user's.
pub fn start(loaded: &Loaded, serving: bool) -> Result<(), String> {
    let section = &loaded.config.log;
    let chosen = loaded.resolved.iter().any(|r| r.name == "log.level" && r.origin != "default");
    let level = if serving || chosen { section.level.as_str() } else { "warn" };
    let filter = EnvFilter::try_new(level).map_err(|error| {
        format!("`{level}` is not a log level or filter ({error}): use error, warn, info, debug or trace")
    })?;
    let terminal = std::io::stderr().is_terminal();
    let json = match section.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(terminal && colour()).with_target(false).compact().try_init()
    };
    Ok(())
}

/// Whether colours may be used: not when `NO_COLOR` is set to anything, or the terminal is dumb.
#[must_use]
pub fn colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
