//! Reading reports.

use async_trait::async_trait;
use p2pds_store::StoreResult;
use p2pds_store::hosting::{ReportCounts, ReportRow, ReportsStore};

use crate::SqliteStore;
use crate::read::hosting::reports;

#[async_trait]
impl ReportsStore for SqliteStore {
    async fn report(&self, id: i64) -> StoreResult<Option<ReportRow>> {
        self.read("read a report", move |c| reports::one(c, id)).await
    }

    async fn open_reports(&self, after: i64, limit: usize) -> StoreResult<Vec<ReportRow>> {
        self.read("list reports", move |c| reports::open(c, after, limit)).await
    }

    async fn closed_reports(&self, limit: usize) -> StoreResult<Vec<ReportRow>> {
        self.read("list reports", move |c| reports::closed(c, limit)).await
    }

    async fn report_counts(&self) -> StoreResult<ReportCounts> {
        self.read("count reports", reports::counts).await
    }
}
