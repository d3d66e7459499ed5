//! Sign-ups that were cut off after their identity was published: it is taken back, so that nobody's handle points to an
//! identity that no one has. And what is over is forgotten.

use std::time::Duration;

use async_trait::async_trait;
use p2pds_identity::plc::Unsigned;
use p2pds_store::hosting::{AccountsApplied, AccountsUnit, HostingUnit, SignupRow};
use p2pds_store::{Applied, Unit};
use p2pds_syntax::ErrorKind;

use crate::error::HostResult;
use crate::host::Host;
use crate::jobs::Job;
use crate::plc::of_plc;

/// A sign-up takes no longer than this, microseconds.
const LONGEST: i64 = 10 * 60 * 1_000_000;
/// The usual pause.
const EVERY: Duration = Duration::from_secs(300);

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct UnfinishedJob;

#[async_trait]
impl Job for UnfinishedJob {
    fn name(&self) -> &'static str {
        "sign-ups"
    }

    async fn round(&self, host: &Host) -> HostResult<Duration> {
        for row in host.store().signups(host.now().saturating_sub(LONGEST)).await? {
            host.take_back(&row).await?;
        }
        loop {
            let unit = HostingUnit::Accounts(AccountsUnit::ForgetExpired { at: host.now() });
            match host.store().apply(Unit::Hosting(Box::new(unit))).await? {
                Applied::Accounts(AccountsApplied::Forgotten(0)) => return Ok(EVERY),
                Applied::Accounts(AccountsApplied::Forgotten(_)) => {}
                _ => return Ok(EVERY),
            }
        }
    }
}

impl Host {
    async fn take_back(&self, row: &SignupRow) -> HostResult<()> {
        let did = &row.did;
        if self.store().login(did).await?.is_none() {
            match self.plc_log_now(did).await {
                Ok(log) if log.data().is_some() && log.head().to_string() == row.operation => {
                    let end = Unsigned::Tombstone { prev: *log.head() };
                    let operation = end.sign(&*self.keys().plc_rotation()).map_err(of_plc)?;
                    self.submit_plc(did, &operation).await?;
                    tracing::info!(event = "host.signup-taken-back", %did, handle = %row.handle, "a sign-up had been cut off; its identity was taken back");
                }
                // Somebody with another key of it goes on with it, or it is over.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let unit = HostingUnit::Accounts(AccountsUnit::DropSignup { did: did.clone() });
        self.store().apply(Unit::Hosting(Box::new(unit))).await?;
        Ok(())
    }
}
