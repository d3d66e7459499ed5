//! Taking over the accounts of another server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use p2pds_archive::Progress;
use p2pds_host::Host;
use p2pds_recovery::PdsReport;
use p2pds_store::StoreError;
use p2pds_store_sqlite::foreign::{Layout, ReferencePds};

use crate::node::engine::Engine;
use crate::node::lock::make_private_dir;
use crate::operator::Failure;

/// Where copies of databases lie that were not closed in order.
const COPIES: &str = "spool/import-pds-copies";

/// The hosted accounts of this node.
///
/// # Errors
/// It is not set up to host any.
pub fn host(engine: &Engine) -> Result<&Host, Failure> {
    engine.host.as_ref().ok_or_else(|| {
        Failure::new("invalid", "this node is not set up to host accounts").hint(
            "set the name under which it is reached (PDS_HOSTNAME) and P2PDS_HOSTING=on, then run this again; the \
             environment of the reference PDS (pds.env) is understood as it is",
        )
    })
}

/// Reads the data directory of a stopped reference PDS.
///
/// # Errors
/// It is not one, it is in use, or this node cannot store anything.
pub async fn import_pds(
    engine: &Engine,
    dir: PathBuf,
    env: &BTreeMap<String, String>,
    blobs: Option<PathBuf>,
    dry_run: bool,
    progress: &Progress,
) -> Result<PdsReport, Failure> {
    let host = host(engine)?;
    let mut layout = Layout::configured(&dir, env);
    if let Some(blobs) = blobs {
        layout.blobs = Some(blobs);
    }
    let scratch = engine.dir.join(COPIES);
    let opened = {
        let scratch = scratch.clone();
        tokio::task::spawn_blocking(move || open(layout, &scratch)).await.map_err(anyhow::Error::from)?
    };
    let report = match opened {
        Ok(from) => engine.recovery.import_pds(host, from, dry_run, progress).await.map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(&scratch)).await;
    if let Ok(Err(error)) = removed {
        tracing::debug!(event = "recovery.copies-left", %error, "copies of databases could not be removed now");
    }
    report
}

fn open(layout: Layout, scratch: &Path) -> Result<Arc<ReferencePds>, Failure> {
    let _ = std::fs::remove_dir_all(scratch);
    make_private_dir(scratch).map_err(|error| {
        Failure::new("unavailable", format!("cannot create {}: {error}", scratch.display()))
    })?;
    let dir = layout.dir.display().to_string();
    ReferencePds::open(layout, scratch).map(Arc::new).map_err(|error| match error {
        StoreError::Locked { pid, .. } => {
            let by = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
            Failure::new("conflict", format!("{by} is using {dir}: the other server still runs")).hint(
                "stop it for good, and see that nothing starts it again (systemctl disable --now pds, docker compose \
                 down): two servers for one account lose posts. Then run this again",
            )
        }
        StoreError::InvalidUnit(what) => Failure::new("invalid", what),
        error => error.into(),
    })
}
