//! Log lines on standard error: text on a terminal, JSON elsewhere.
//!
//! A node must not drown in its own log. While it serves, lines go through a bounded queue to a thread
//! that writes them (`writer.rs`), so a reader that is slow costs lines and never time; and of many
//! lines from one place in the code only some are written, and the rest counted (`sample.rs`).

mod sample;
mod writer;

use std::io::IsTerminal as _;
use std::sync::{Arc, OnceLock};

use tracing_subscriber::filter::FilterExt as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::config::Loaded;
use crate::config::setting::LogFormat;
use sample::{Sampler, Shared};
use writer::Queue;

/// The queue of a process that serves.
static QUEUE: OnceLock<Queue> = OnceLock::new();

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
    let started = if serving {
        let sampler = Arc::new(Sampler::default());
        let queue = QUEUE.get_or_init(|| Queue::start(std::io::stderr(), Arc::clone(&sampler)));
        let layer = lines(json, terminal, queue.clone());
        tracing_subscriber::registry().with(layer.with_filter(filter.and(Shared(sampler)))).try_init()
    } else {
        let layer = lines(json, terminal, std::io::stderr);
        tracing_subscriber::registry().with(layer.with_filter(filter)).try_init()
    };
    // A second call, in tests, finds logging started.
    drop(started);
    Ok(())
}

/// Waits for a moment until what was logged is written. For the end of the process.
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush();
    }
}

fn lines<W>(json: bool, terminal: bool, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer);
    if json {
        layer.json().flatten_event(true).boxed()
    } else {
        layer.with_ansi(terminal && colour()).with_target(false).compact().boxed()
    }
}

/// Whether colours may be used: not when `NO_COLOR` is set to anything, or the terminal is dumb.
#[must_use]
pub fn colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
