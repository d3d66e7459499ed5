//! Streamed bodies with an end: in bytes a second, and in time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use p2pds_reading::Refusal;

use crate::limits::Held;

/// A stream takes no longer than this.
const LONGEST: Duration = Duration::from_secs(3_600);
/// From then on it must have been read at [`SLOWEST`].
const PATIENCE: Duration = Duration::from_secs(60);
/// Least bytes a second, on average.
const SLOWEST: u64 = 8 << 10;

/// Why a body was cut. The reader sees a connection that ends early.
#[derive(Debug)]
pub(crate) struct Cut(String);

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cut {}

/// The stream as a body. It holds what was reserved for it until it ends, and is cut when its reader is too slow or
/// may not have it any more.
pub(crate) fn bounded<S>(stream: S, held: Held) -> impl Stream<Item = Result<Bytes, Cut>> + Send + 'static
where
    S: Stream<Item = Result<Bytes, Refusal>> + Send + Unpin + 'static,
{
    let (begun, sent) = (Instant::now(), 0_u64);
    futures::stream::try_unfold((stream, held, sent), move |(mut stream, held, sent)| async move {
        let took = begun.elapsed();
        if took > LONGEST || (took > PATIENCE && sent < took.as_secs().saturating_mul(SLOWEST)) {
            tracing::debug!(event = "serving.slow", sent, "a reader was too slow");
            return Err(Cut("too slow".to_owned()));
        }
        match stream.next().await {
            None => Ok(None),
            Some(Ok(piece)) => {
                let sent = sent.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
                metrics::counter!("p2pds_serving_bytes_total")
                    .increment(u64::try_from(piece.len()).unwrap_or(0));
                Ok(Some((piece, (stream, held, sent))))
            }
            Some(Err(refusal)) => {
                tracing::info!(event = "serving.cut", %refusal, "a stream ended early");
                Err(Cut(refusal.to_string()))
            }
        }
    })
}
