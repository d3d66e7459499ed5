//! Reading events.

use std::sync::Arc;

use async_trait::async_trait;
use p2pds_store::events::{EventTotals, FirstEvent, Tail};
use p2pds_store::{EventRow, EventStore, StoreResult};

use crate::SqliteStore;
use crate::read::events;

#[async_trait]
impl EventStore for SqliteStore {
    async fn events_after(&self, seq: i64, limit: usize, max_bytes: usize) -> StoreResult<Vec<EventRow>> {
        self.read("read events", move |c| events::after(c, seq, limit, max_bytes)).await
    }

    async fn first_event(&self) -> StoreResult<Option<FirstEvent>> {
        self.read("read events", events::first).await
    }

    async fn last_seq(&self) -> StoreResult<i64> {
        self.read("read events", events::last_seq).await
    }

    async fn event_at_or_after(&self, time: i64) -> StoreResult<Option<i64>> {
        self.read("read events", move |c| events::at_or_after(c, time)).await
    }

    async fn event_totals(&self) -> StoreResult<EventTotals> {
        self.read("count events", events::totals).await
    }

    fn tail(&self) -> Arc<Tail> {
        Arc::clone(&self.shared.tail)
    }
}
