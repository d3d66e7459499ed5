//! Tasks with names: started here only, told to stop together, joined before the process ends.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tracing::Instrument as _;

/// How long tasks may take to finish once told to stop.
pub const GRACE: Duration = Duration::from_secs(10);

/// Tells a task that the node is stopping.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Resolves when the node stops.
    pub async fn wait(&mut self) {
        // An error means that the supervisor is gone, which is a stop too.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }

    /// Whether the node is stopping.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }
}

/// Tells holders of its [`Stop`] to stop; dropping it does too.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

impl Default for Stopper {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stopper {
    /// A handle that tells its holder when to stop.
    #[must_use]
    pub fn handle(&self) -> Stop {
        Stop(self.0.subscribe())
    }

    /// Tells all.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// Owns every task of the node.
#[derive(Debug, Default)]
pub struct Supervisor {
    stop: Stopper,
    tasks: JoinSet<anyhow::Result<()>>,
    names: HashMap<Id, &'static str>,
}

impl Supervisor {
    /// A handle that tells its holder when to stop.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        self.stop.handle()
    }

    /// Starts a task. When it ends before the node stops, in whatever way, the node stops too.
    pub fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let handle = self.tasks.spawn(task.instrument(tracing::info_span!("task", name)));
        self.names.insert(handle.id(), name);
    }

    /// Waits for `until` (a signal) or for the first task that ends, then stops all and joins them.
    ///
    /// # Errors
    /// The task that failed first, by name.
    pub async fn run(mut self, until: impl Future<Output = ()>) -> anyhow::Result<()> {
        let early = tokio::select! {
            () = until => None,
            ended = self.tasks.join_next_with_id() => ended,
        };
        let first = early.map_or(Ok(()), |ended| self.report(ended, true));
        self.stop.stop();
        let rest = tokio::time::timeout(GRACE, self.join_rest()).await;
        let result = match rest {
            Ok(result) => first.and(result),
            Err(_) => {
                let mut late: Vec<&str> = self.names.values().copied().collect();
                late.sort_unstable();
                tracing::warn!(
                    event = "node.late",
                    tasks = late.join(", "),
                    "not finished in time, cancelled"
                );
                first
            }
        };
        self.tasks.shutdown().await;
        result
    }

    async fn join_rest(&mut self) -> anyhow::Result<()> {
        let mut result = Ok(());
        while let Some(ended) = self.tasks.join_next_with_id().await {
            let one = self.report(ended, false);
            result = result.and(one);
        }
        result
    }

    fn report(
        &mut self,
        ended: Result<(Id, anyhow::Result<()>), tokio::task::JoinError>,
        early: bool,
    ) -> anyhow::Result<()> {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let name = self.names.remove(&id).unwrap_or("?");
        match ended {
            Ok((_, Ok(()))) if early => Err(anyhow::anyhow!("the task `{name}` ended by itself")),
            Ok((_, Ok(()))) => Ok(()),
            Ok((_, Err(error))) => Err(error.context(format!("the task `{name}` failed"))),
            Err(error) if error.is_cancelled() => Ok(()),
            Err(_) => Err(anyhow::anyhow!(
                "the task `{name}` panicked: this is a defect in p2pds; the log has the place"
            )),
        }
    }
}

/// Resolves at the first SIGTERM or SIGINT; a second one ends the process at once.
///
/// # Errors
/// The system refuses signal handlers.
pub fn signals() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    Ok(async move {
        let name = tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = int.recv() => "SIGINT",
        };
        tracing::info!(event = "node.stopping", signal = name, "stopping; a second signal ends at once");
        tokio::spawn(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            std::process::exit(130);
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_tasks_stop_together() {
        let mut supervisor = Supervisor::default();
        for name in ["a", "b"] {
            let mut stop = supervisor.stop_handle();
            supervisor.spawn(name, async move {
                stop.wait().await;
                assert!(stop.is_set());
                Ok(())
            });
        }
        supervisor.run(async {}).await.unwrap();
    }

    #[tokio::test]
    async fn a_failed_task_stops_the_node_and_is_named() {
        let mut supervisor = Supervisor::default();
        let mut stop = supervisor.stop_handle();
        supervisor.spawn("steady", async move {
            stop.wait().await;
            Ok(())
        });
        supervisor.spawn("broken", async { anyhow::bail!("no luck") });
        let error = supervisor.run(std::future::pending()).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "the task `broken` failed: no luck");
    }

    #[tokio::test]
    async fn a_task_that_ends_early_is_an_error() {
        let mut supervisor = Supervisor::default();
        supervisor.spawn("short", async { Ok(()) });
        let error = supervisor.run(std::future::pending()).await.unwrap_err();
        assert_eq!(error.to_string(), "the task `short` ended by itself");
    }
}
