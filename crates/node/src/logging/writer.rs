//! A bounded queue of log lines and the thread that writes them.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

use super::sample::{Sampler, WINDOW};

/// Lines that may wait.
const LINES: usize = 8_192;
/// Bytes that may wait.
const BYTES: usize = 8 << 20;
/// How long the end of the process waits for the queue.
const PATIENCE: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    /// Answer when everything before is written.
    Flush(SyncSender<()>),
}

/// The queue's entrance. Cheap to clone; never blocks.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    to: SyncSender<Message>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicUsize,
    dropped: AtomicU64,
}

impl Queue {
    /// Starts the thread that writes to `out`, and that says now and then what `sampler` left out.
    pub(super) fn start(out: impl Write + Send + 'static, sampler: Arc<Sampler>) -> Self {
        let (to, from) = sync_channel(LINES);
        let counts = Arc::new(Counts::default());
        let queue = Self { to, counts: Arc::clone(&counts) };
        let thread = std::thread::Builder::new().name("log".to_owned());
        // Without the thread the queue fills and lines are dropped: nothing else can be done here.
        let _ = thread.spawn(move || write_all(out, &from, &counts, &sampler));
        queue
    }

    /// Waits until what is queued is written, but not for long.
    pub(super) fn flush(&self) {
        let (done, wait) = sync_channel(1);
        let until = Instant::now().checked_add(PATIENCE);
        let mut message = Message::Flush(done);
        while let Err(std::sync::mpsc::TrySendError::Full(back)) = self.to.try_send(message) {
            if until.is_none_or(|until| Instant::now() >= until) {
                return;
            }
            message = back;
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = wait.recv_timeout(PATIENCE);
    }

    fn push(&self, line: &[u8]) {
        let size = line.len();
        let waiting = self.counts.bytes.fetch_add(size, Ordering::Relaxed).saturating_add(size);
        if waiting > BYTES || self.to.try_send(Message::Line(line.to_vec())).is_err() {
            self.counts.bytes.fetch_sub(size, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("p2pds_log_lines_dropped_total", "reason" => "slow").increment(1);
        }
    }
}

fn write_all(mut out: impl Write, from: &Receiver<Message>, counts: &Counts, sampler: &Sampler) {
    let mut said = Instant::now();
    loop {
        match from.recv_timeout(Duration::from_secs(1)) {
            Ok(Message::Line(line)) => {
                // Whoever reads has gone away: there is nobody to tell.
                let _ = out.write_all(&line);
                counts.bytes.fetch_sub(line.len(), Ordering::Relaxed);
            }
            Ok(Message::Flush(done)) => {
                let _ = out.flush();
                let _ = done.try_send(());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if said.elapsed() >= WINDOW {
            said = Instant::now();
            say(counts, sampler);
        }
    }
}

/// What was not written, as lines of its own.
fn say(counts: &Counts, sampler: &Sampler) {
    for left_out in sampler.take() {
        metrics::counter!("p2pds_log_lines_dropped_total", "reason" => "flood").increment(left_out.lines);
        tracing::warn!(
            event = "log.sampled",
            place = left_out.place,
            lines = left_out.lines,
            "many lines from one place; so many more were left out"
        );
    }
    let dropped = counts.dropped.swap(0, Ordering::Relaxed);
    if dropped > 0 {
        tracing::warn!(
            event = "log.dropped",
            lines = dropped,
            "lines were lost because whoever reads standard error does not keep up"
        );
    }
}

/// One line on its way into the queue.
#[derive(Debug)]
pub(super) struct Line<'a>(&'a Queue);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A reader that does not read until it is let.
    struct Stuck {
        gate: Arc<Mutex<()>>,
        seen: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _open = self.gate.lock().unwrap();
            self.seen.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_does_not_read_costs_lines_and_no_time() {
        let (gate, seen) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(Vec::new())));
        let out = Stuck { gate: Arc::clone(&gate), seen: Arc::clone(&seen) };
        let closed = gate.lock().unwrap();
        let queue = Queue::start(out, Arc::default());
        let lines = LINES as u64 * 3;
        for n in 0..lines {
            writeln!(queue.make_writer(), "{n}").unwrap();
        }
        let dropped = queue.counts.dropped.load(Ordering::Relaxed);
        assert!(
            dropped >= lines - LINES as u64 * 2,
            "{dropped} of {lines}: nothing waited, the rest was counted"
        );
        drop(closed);
        queue.flush();
        let seen = seen.lock().unwrap().clone();
        assert!(seen.starts_with(b"0\n1\n2\n"), "what was queued is written in order");
        assert_eq!(queue.counts.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let (gate, seen) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(Vec::new())));
        let closed = gate.lock().unwrap();
        let queue = Queue::start(Stuck { gate: Arc::clone(&gate), seen }, Arc::default());
        let large = vec![b'x'; BYTES / 4];
        for _ in 0..8 {
            queue.make_writer().write_all(&large).unwrap();
        }
        assert!(queue.counts.bytes.load(Ordering::Relaxed) <= BYTES);
        assert!(queue.counts.dropped.load(Ordering::Relaxed) >= 4);
        drop(closed);
        queue.flush();
    }
}
