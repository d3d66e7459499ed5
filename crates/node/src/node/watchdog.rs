//! The service manager's watchdog (`WatchdogSec=`): tells it at half its interval that the node is alive, as long as
//! the store answers. A node that hangs stops telling and is started again.

use std::sync::Arc;
use std::time::Duration;

use p2pds_store::Store;

use crate::node::notify;
use crate::node::supervise::Stop;
use crate::words;

/// How often to tell; `None` when nobody asked this process.
#[must_use]
pub fn interval(usec: Option<&str>, pid: Option<&str>) -> Option<Duration> {
    let asked = pid.is_none_or(|pid| pid.parse() == Ok(std::process::id()));
    let micros: u64 = usec?.parse().ok().filter(|micros| asked && *micros > 0)?;
    Some(Duration::from_micros(micros.div_ceil(2)))
}

/// Tells until the node stops; sleeps until then when nobody asked.
///
/// # Errors
/// None.
pub async fn run(store: Arc<dyn Store>, mut stop: Stop) -> anyhow::Result<()> {
    let variable = |name| std::env::var(name).ok();
    let every = interval(variable("WATCHDOG_USEC").as_deref(), variable("WATCHDOG_PID").as_deref());
    let Some(every) = every else {
        stop.wait().await;
        return Ok(());
    };
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.wait() => return Ok(()),
            _ = ticks.tick() => {}
        }
        match tokio::time::timeout(every, store.stats()).await {
            Ok(Ok(stats)) => notify::tell(&format!("WATCHDOG=1\nSTATUS={}", status(&stats))),
            // A fault that the health routes and the log name is no reason to be killed.
            Ok(Err(_)) => notify::tell("WATCHDOG=1"),
            Err(_) => {
                tracing::warn!(
                    event = "node.watchdog",
                    "the store does not answer: the service manager is not told that all is well"
                )
            }
        }
    }
}

fn status(stats: &p2pds_store::Stats) -> String {
    match &stats.stopped {
        Some(reason) => format!("the store has stopped writing: {}", reason.replace('\n', " ")),
        None if stats.disk_full => "the disk is full: nothing new can be stored".to_owned(),
        None => format!(
            "{}, {}",
            words::plural(stats.accounts, "account", "accounts"),
            words::plural(stats.records, "record", "records")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_when_this_process_was_asked() {
        let us = std::process::id().to_string();
        assert_eq!(interval(Some("3000001"), None), Some(Duration::from_micros(1_500_001)));
        assert_eq!(interval(Some("3000000"), Some(&us)), Some(Duration::from_millis(1_500)));
        for (usec, pid) in [(None, None), (Some("0"), None), (Some("x"), None), (Some("9"), Some("1"))] {
            assert_eq!(interval(usec, pid), None, "{usec:?} {pid:?}");
        }
    }
}
