//! The PLC directory, as a promotion needs it: the real one, or one in memory for drills.

use std::sync::Arc;

use async_trait::async_trait;
use p2pds_host::Host;
use p2pds_identity::plc::{Log, Operation};
use p2pds_syntax::{Did, ErrorKind};

use crate::error::{RecoveryError, RecoveryResult};

/// Where identities are registered.
#[async_trait]
pub trait Registry: Send + Sync {
    /// The log as it is now.
    ///
    /// # Errors
    /// Nobody answers, or what they say is not believed.
    async fn log(&self, did: &Did) -> RecoveryResult<Arc<Log>>;
    /// Takes an operation. Done twice, it is there once.
    ///
    /// # Errors
    /// It was refused, in the directory's words, or nobody answers.
    async fn submit(&self, did: &Did, operation: &Operation) -> RecoveryResult<()>;
}

/// The directory of the settings.
#[derive(Debug, Clone)]
pub struct Directory {
    host: Host,
}

impl Directory {
    /// Asked through this host.
    #[must_use]
    pub fn new(host: Host) -> Self {
        Self { host }
    }
}

#[async_trait]
impl Registry for Directory {
    async fn log(&self, did: &Did) -> RecoveryResult<Arc<Log>> {
        Ok(self.host.plc_log_now(did).await?)
    }

    async fn submit(&self, did: &Did, operation: &Operation) -> RecoveryResult<()> {
        self.host.submit_plc(did, operation).await.map_err(|error| {
            let kind = match error.kind() {
                ErrorKind::Invalid => ErrorKind::Conflict,
                kind => kind,
            };
            RecoveryError::Said { kind, words: error.to_string() }
        })
    }
}
