//! Following the operations of the PLC directory while the node runs.

use std::sync::Arc;
use std::time::Duration;

use p2pds_archive::Following;

use crate::node::engine::Engine;
use crate::node::supervise::Stop;

/// Name of the task.
pub const NAME: &str = "plc-stream";
/// Pause after the store did not answer.
const PAUSE: Duration = Duration::from_secs(60);

/// Runs until the node stops. A store that does not answer now is asked again.
///
/// # Errors
/// None.
pub async fn run(engine: Arc<Engine>, mut stop: Stop) -> anyhow::Result<()> {
    let how = Following::default();
    loop {
        tokio::select! {
            () = stop.wait() => return Ok(()),
            ended = engine.archive.follow_directory(&how) => if let Err(error) = ended {
                tracing::warn!(event = "plc.follow-failed", %error, "following the PLC directory has stopped; it is begun again");
            },
        }
        tokio::select! {
            () = stop.wait() => return Ok(()),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}
