//! Alerts: one for each fault, one for its recovery.
//!
//! Faults are derived, not sent: `derive.rs` makes them of what the store and the node say now (the
//! accounts' findings, syncs that fail, the disk, the clock, conditions that other parts raised),
//! `book.rs` compares them with the alerts in the store, and `tell.rs` tells the operator what has
//! changed, by webhook and mail. So a restart repeats nothing, and what happened meanwhile is told afterwards.
//! `heartbeat.rs` says the opposite, that nothing is wrong, to a monitor that notices when it falls silent.

mod book;
mod derive;
mod facts;
pub mod heartbeat;
mod mail;
mod payload;
mod sign;
mod tell;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use p2pds_store::hosting::forget_reports;
use p2pds_store::{AlertRow, Unit};

use crate::config::Config;
use crate::node::engine::Engine;
use crate::node::supervise::Stop;
use crate::words::now_micros;
use book::{Book, Change};
pub(crate) use derive::is_urgent;
use facts::Gatherer;
pub use payload::{Account as AlertAccount, Event, Payload};
pub use sign::{HEADER, signature};
pub use tell::{Teller, Told};

/// Its name for `p2pds workers`' bell and the supervisor.
pub const NAME: &str = "alerts";
/// Time between two looks.
const LOOK: Duration = Duration::from_secs(10);
/// Alerts that are over are kept for so long.
const KEPT: i64 = 90 * 86_400_000_000;
/// Most alerts that are read back.
pub const MOST: usize = 10_000;

/// Whether the mail server takes mail of alerts, and to whom that goes; `None` when nobody wants any.
pub async fn check_mail(config: &Config) -> Option<(String, Result<(), String>)> {
    let mail = mail::Mail::new(config, None)?;
    Some((mail.to().to_owned(), mail.check().await))
}

/// Watches until the node stops.
///
/// # Errors
/// Never by itself: what cannot be read now is read at the next look.
pub async fn run(engine: Arc<Engine>, mut stop: Stop) -> anyhow::Result<()> {
    let bell = engine.archive.wakes().bell(NAME);
    let mut watch = Watch::new(engine);
    loop {
        if let Err(error) = watch.look().await {
            tracing::warn!(event = "alert.unwatched", "faults could not be looked for: {error:#}");
        }
        tokio::select! {
            () = stop.wait() => return Ok(()),
            () = bell.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

struct Watch {
    engine: Arc<Engine>,
    gatherer: Gatherer,
    book: Book,
    teller: Teller,
    open: Option<Vec<AlertRow>>,
    kinds: BTreeMap<String, u64>,
    forgot_at: i64,
}

impl Watch {
    fn new(engine: Arc<Engine>) -> Self {
        let teller = Teller::new(&engine);
        Self {
            gatherer: Gatherer::new(Arc::clone(&engine)),
            book: Book::default(),
            teller,
            open: None,
            kinds: BTreeMap::new(),
            forgot_at: 0,
            engine,
        }
    }

    async fn look(&mut self) -> anyhow::Result<()> {
        let now = now_micros();
        let (faults, unknown) = self.gatherer.faults(now).await?;
        let open = match self.open.take() {
            Some(open) => open,
            None => self.engine.store.alerts(true, MOST).await?,
        };
        let mut kept = Vec::new();
        for change in self.book.compare(&faults, &unknown, open, now) {
            match change {
                Change::Keep(row) => kept.push(row),
                Change::Update(row) => {
                    self.put(&row).await?;
                    kept.push(row);
                }
                Change::Open(row) => {
                    self.put(&row).await?;
                    self.teller.log(&row, Event::Fault);
                    kept.push(row);
                }
                Change::Close(row) => {
                    self.put(&row).await?;
                    self.teller.log(&row, Event::Recovered);
                }
            }
        }
        self.count(&kept);
        self.open = Some(kept);
        if self.teller.deliver(now).await? {
            // Rows have changed.
            self.open = None;
        }
        if now.saturating_sub(self.forgot_at) > KEPT / 90 {
            self.forgot_at = now;
            self.engine.store.apply(Unit::ForgetAlerts { before: now.saturating_sub(KEPT) }).await?;
            forget_reports(self.engine.store.as_ref(), now).await?;
        }
        Ok(())
    }

    async fn put(&self, row: &AlertRow) -> anyhow::Result<()> {
        self.engine.store.apply(Unit::PutAlert(row.clone())).await?;
        Ok(())
    }

    /// The gauge `p2pds_faults`, 0 for kinds that are gone.
    fn count(&mut self, open: &[AlertRow]) {
        self.kinds.values_mut().for_each(|count| *count = 0);
        for row in open {
            let count = self.kinds.entry(row.kind.clone()).or_default();
            *count = count.saturating_add(1);
        }
        for (kind, count) in &self.kinds {
            #[expect(clippy::cast_precision_loss, reason = "a number of alerts")]
            metrics::gauge!("p2pds_faults", "kind" => kind.clone()).set(*count as f64);
        }
    }
}
