//! Work that nobody asks for: each part's jobs, in one list, run by the node's supervisor.
//!
//! A job takes no input: what is to be done is read from the store, being stopped anywhere or run twice is fine, and
//! what goes wrong is tried again.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::HostResult;
use crate::host::Host;

/// The first pause after a round that failed; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// One kind of background work.
#[async_trait]
pub trait Job: Send + Sync + 'static {
    /// Its name, for logs.
    fn name(&self) -> &'static str;

    /// Does what is due now, and says when to look again.
    ///
    /// # Errors
    /// It could not be done now; the runner waits and asks again.
    async fn round(&self, host: &Host) -> HostResult<Duration>;

    /// How long a round that is under way when the node stops may take to end by itself: for work whose effect is seen
    /// outside before it is written down here. Less than the supervisor's patience.
    fn grace(&self) -> Duration {
        Duration::ZERO
    }

    /// Resolves when there is something to do before that time.
    async fn wanted(&self, _host: &Host) {
        std::future::pending().await
    }
}

/// The jobs of a hosting node.
#[must_use]
pub fn all(_host: &Host) -> Vec<Arc<dyn Job>> {
    vec![
        Arc::new(crate::accounts::EraseJob),
        Arc::new(crate::accounts::MailJob),
        Arc::new(crate::accounts::UnfinishedJob),
        Arc::new(crate::blobs::Expire),
        Arc::new(crate::firehose::Forget),
        Arc::new(crate::lexicons::Resolve),
        Arc::new(crate::relay::Relays::default()),
        Arc::new(crate::write::Leftovers),
    ]
}

/// Runs a job until `stop` resolves.
pub async fn run(job: Arc<dyn Job>, host: Host, stop: impl Future<Output = ()> + Send) {
    tokio::pin!(stop);
    let mut failed = FIRST_PAUSE;
    loop {
        let mut round = job.round(&host);
        let pause = tokio::select! {
            () = &mut stop => {
                let _ = tokio::time::timeout(job.grace(), round).await;
                return;
            }
            done = &mut round => match done {
                Ok(next) => {
                    failed = FIRST_PAUSE;
                    next
                }
                Err(error) => {
                    tracing::warn!(event = "host.job", job = job.name(), %error, "this could not be done now and is tried again");
                    let pause = failed;
                    failed = failed.saturating_mul(2).min(LONGEST_PAUSE);
                    tokio::select! {
                        () = &mut stop => return,
                        () = tokio::time::sleep(pause) => continue,
                    }
                }
            },
        };
        tokio::select! {
            () = &mut stop => return,
            () = job.wanted(&host) => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
