//! Progress on standard error: bars on a terminal, a line every 10 seconds elsewhere, JSON lines
//! on request.

use std::collections::HashMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};
use p2pds_archive::{Phase, ProgressEvent, Stage, Unit};

use crate::cli::{Global, ProgressStyle};
use crate::logging;
use crate::words;

/// Time between two lines about the same phase.
const PAUSE: Duration = Duration::from_secs(10);

/// Shows events as they come.
#[derive(Debug)]
pub enum Display {
    /// Bars that move.
    Bars(Bars),
    /// A line now and then.
    Lines(Lines),
    /// One JSON object a line.
    Json,
    /// Nothing.
    Silent,
}

/// What one phase of one account is known by.
type Key = (Option<String>, Phase);

fn key(event: &ProgressEvent) -> Key {
    (event.did.as_ref().map(ToString::to_string), event.phase)
}

impl Display {
    /// What the flags ask for, on this terminal.
    #[must_use]
    pub fn new(global: &Global) -> Self {
        let style = match global.progress {
            ProgressStyle::Auto if global.quiet => ProgressStyle::None,
            ProgressStyle::Auto if std::io::stderr().is_terminal() => ProgressStyle::Bars,
            ProgressStyle::Auto => ProgressStyle::Lines,
            chosen => chosen,
        };
        match style {
            ProgressStyle::Bars => Self::Bars(Bars::default()),
            ProgressStyle::Lines | ProgressStyle::Auto => Self::Lines(Lines::default()),
            ProgressStyle::Json => Self::Json,
            ProgressStyle::None => Self::Silent,
        }
    }

    /// Shows one event.
    pub fn show(&mut self, event: &ProgressEvent) {
        match self {
            Self::Bars(bars) => bars.show(event),
            Self::Lines(lines) => {
                if let Some(line) = lines.line(event, Instant::now()) {
                    say(&line);
                }
            }
            Self::Json => {
                if let Ok(line) = serde_json::to_string(event) {
                    say(&line);
                }
            }
            Self::Silent => {}
        }
    }

    /// Takes bars away before the result is printed.
    pub fn finish(&mut self) {
        if let Self::Bars(bars) = self {
            bars.finish();
        }
    }
}

/// Writes a line to standard error; a closed pipe is nobody's problem.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// `34.1 MB of 71.3 MB (47 %)`.
fn amount(event: &ProgressEvent) -> String {
    let one = |n: u64| match event.unit {
        Unit::Bytes => words::size(n),
        Unit::Records => words::plural(n, "record", "records"),
        Unit::Blobs => words::plural(n, "blob", "blobs"),
        Unit::Files => words::plural(n, "file", "files"),
        Unit::Rows => words::plural(n, "row", "rows"),
        Unit::Steps => words::plural(n, "step", "steps"),
    };
    match event.total {
        Some(total) if total > 0 => {
            let percent = event.done.saturating_mul(100).checked_div(total).unwrap_or_default().min(100);
            let done =
                if event.unit == Unit::Bytes { words::size(event.done) } else { words::count(event.done) };
            format!("{done} of {} ({percent} %)", one(total))
        }
        _ => one(event.done),
    }
}

/// Progress as lines.
#[derive(Debug, Default)]
pub struct Lines {
    last: HashMap<Key, Instant>,
}

impl Lines {
    /// The line for an event, if it is time for one.
    fn line(&mut self, event: &ProgressEvent, now: Instant) -> Option<String> {
        let phase = event.phase.as_str();
        match event.stage {
            Stage::Note | Stage::Warning => {
                let mark = if event.stage == Stage::Warning { "warning: " } else { "" };
                (!event.message.is_empty()).then(|| format!("{mark}{}", event.message))
            }
            Stage::Started => {
                self.last.insert(key(event), now);
                (!event.message.is_empty()).then(|| format!("{phase}: {}", event.message))
            }
            Stage::Running => {
                let last = self.last.entry(key(event)).or_insert(now);
                if now.saturating_duration_since(*last) < PAUSE {
                    return None;
                }
                *last = now;
                Some(format!("{phase}: {}", amount(event)))
            }
            Stage::Finished => {
                self.last.remove(&key(event));
                let text = if event.message.is_empty() { amount(event) } else { event.message.clone() };
                Some(format!("{phase}: {text}"))
            }
        }
    }
}

/// Progress as bars, one for each phase that runs.
#[derive(Debug)]
pub struct Bars {
    all: MultiProgress,
    open: HashMap<Key, ProgressBar>,
}

impl Default for Bars {
    fn default() -> Self {
        Self {
            all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)),
            open: HashMap::new(),
        }
    }
}

impl Bars {
    fn show(&mut self, event: &ProgressEvent) {
        match event.stage {
            Stage::Note | Stage::Warning => {
                let mark = if event.stage == Stage::Warning { "warning: " } else { "" };
                if !event.message.is_empty() {
                    let _ = self.all.println(format!("{mark}{}", event.message));
                }
            }
            Stage::Finished => {
                if let Some(bar) = self.open.remove(&key(event)) {
                    bar.finish_and_clear();
                }
                let text = if event.message.is_empty() { amount(event) } else { event.message.clone() };
                let _ = self.all.println(format!("{:>8}  {text}", event.phase.as_str()));
            }
            Stage::Started | Stage::Running => {
                let all = &self.all;
                let bar = self.open.entry(key(event)).or_insert_with(|| {
                    // Styled before it is added: adding draws it.
                    let bar = match event.total {
                        Some(total) => ProgressBar::new(total),
                        None => ProgressBar::no_length(),
                    };
                    let bar =
                        bar.with_style(style(event)).with_prefix(format!("{:>8}", event.phase.as_str()));
                    let bar = all.add(bar);
                    bar.enable_steady_tick(Duration::from_millis(120));
                    bar
                });
                update(bar, event);
            }
        }
    }

    fn finish(&mut self) {
        for (_, bar) in self.open.drain() {
            bar.finish_and_clear();
        }
        let _ = self.all.clear();
    }
}

fn update(bar: &ProgressBar, event: &ProgressEvent) {
    if event.total != bar.length() {
        bar.set_style(style(event));
        if let Some(total) = event.total {
            bar.set_length(total);
        }
    }
    bar.set_position(event.done);
    if !event.message.is_empty() {
        bar.set_message(event.message.clone());
    }
}

fn style(event: &ProgressEvent) -> BarStyle {
    let numbers = match (event.unit, event.total.is_some()) {
        (Unit::Bytes, true) => {
            "{decimal_bytes} of {decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left"
        }
        (Unit::Bytes, false) => "{decimal_bytes}  {decimal_bytes_per_sec}",
        (_, true) => "{human_pos} of {human_len}  {eta} left",
        (_, false) => "{human_pos}",
    };
    let bar = match (event.total.is_some(), logging::colour()) {
        (true, true) => "{wide_bar:.cyan}",
        (true, false) => "{wide_bar}",
        (false, _) => "{spinner} {wide_msg}",
    };
    BarStyle::with_template(&format!("{{prefix}}  {bar}  {numbers}"))
        .unwrap_or_else(|_| BarStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(stage: Stage, done: u64, message: &str) -> ProgressEvent {
        ProgressEvent {
            did: None,
            phase: Phase::Fetch,
            stage,
            done,
            total: Some(71_300_000),
            unit: Unit::Bytes,
            message: message.to_owned(),
            found: None,
        }
    }

    #[test]
    fn a_line_every_ten_seconds() {
        let mut lines = Lines::default();
        let start = Instant::now();
        let at = |s| start.checked_add(Duration::from_secs(s)).unwrap();
        let started = lines.line(&event(Stage::Started, 0, "asking pds.test"), at(0));
        assert_eq!(started.as_deref(), Some("fetch: asking pds.test"));
        assert_eq!(lines.line(&event(Stage::Running, 1, ""), at(5)), None);
        let running = lines.line(&event(Stage::Running, 34_100_000, ""), at(11));
        assert_eq!(running.as_deref(), Some("fetch: 34.1 MB of 71.3 MB (47 %)"));
        assert_eq!(lines.line(&event(Stage::Running, 34_200_000, ""), at(12)), None);
        let finished = lines.line(&event(Stage::Finished, 71_300_000, ""), at(13));
        assert_eq!(finished.as_deref(), Some("fetch: 71.3 MB of 71.3 MB (100 %)"));
        let warned = lines.line(&event(Stage::Warning, 0, "the host is slow"), at(13));
        assert_eq!(warned.as_deref(), Some("warning: the host is slow"));
    }
}
