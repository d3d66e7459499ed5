//! The mirrored identity log of an account, for whom the account may be read.

use p2pds_store::PlcRow;
use p2pds_syntax::Did;

use crate::{Reading, Refusal, Viewer};

/// A mirrored log.
#[derive(Debug, Clone)]
pub struct PlcLog {
    /// All operations in the order of the directory's log, void ones included.
    pub operations: Vec<PlcRow>,
    /// When it was fetched last, microseconds since 1970.
    pub fetched_at: Option<i64>,
}

impl Reading {
    /// The log; empty for a DID that has none (did:web).
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn plc_log(&self, viewer: Viewer, did: &Did) -> Result<PlcLog, Refusal> {
        self.account(viewer, did).await?;
        Ok(PlcLog {
            operations: self.store.plc_log(did).await?,
            fetched_at: self.store.plc_fetched_at(did).await?,
        })
    }
}
