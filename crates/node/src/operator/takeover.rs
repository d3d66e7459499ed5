//! Accounts that become this node's: promoted from the archive, or taken over from another server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use p2pds_archive::Progress;
use p2pds_host::Host;
use p2pds_recovery::{PdsReport, PromoteOptions, RotationKey};
use p2pds_store::StoreError;
use p2pds_store_sqlite::foreign::{Layout, ReferencePds};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::node::engine::Engine;
use crate::node::lock::make_private_dir;
use crate::operator::Failure;
use crate::operator::answer::Answer;

/// What is asked for about a promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// What it would do.
    Plan,
    /// That it be done, or gone on with.
    Go,
    /// That it be given up.
    Cancel,
}

/// How a promotion is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct How {
    /// Another handle.
    pub handle: Option<String>,
    /// The owner's e-mail address.
    pub email: Option<String>,
    /// In spite of what may be overruled.
    pub force: bool,
    /// Without this node's rotation key.
    pub no_server_key: bool,
    /// Rotation keys that go.
    pub drop_keys: Vec<String>,
    /// Public halves of the key that signs.
    pub signers: Vec<String>,
    /// The key, only to do it.
    pub key: Option<KeyText>,
    /// What the operator typed.
    pub confirmed: String,
}

/// A private key on its way to the one signature that it makes. It crosses the operator socket, which only its owner can
/// open, and is wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(Zeroizing<String>);

impl KeyText {
    /// Takes it.
    #[must_use]
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// Reads it as a key.
    ///
    /// # Errors
    /// It is none.
    pub fn read(&self) -> Result<RotationKey, Failure> {
        RotationKey::read(&self.0).map_err(|error| Failure::new("invalid", error.to_string()))
    }
}

impl std::fmt::Debug for KeyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<rotation key>")
    }
}

impl Serialize for KeyText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

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

/// Plans, does or gives up a promotion.
///
/// # Errors
/// This node hosts nobody, there is no such account, or what stands in the way.
pub async fn promote(
    engine: &Engine,
    account: &str,
    ask: Ask,
    how: How,
    progress: &Progress,
) -> Result<Answer, Failure> {
    let host = host(engine)?;
    let did = engine.archive.find(account).await?;
    let How { handle, email, force, no_server_key, drop_keys, signers, key, confirmed } = how;
    let options = PromoteOptions { handle, email, force, no_server_key, drop_keys, signers };
    let recovery = &engine.recovery;
    Ok(match ask {
        Ask::Plan => Answer::PromotionPlan(Box::new(recovery.promotion_plan(host, &did, &options).await?)),
        Ask::Go => {
            let key = key.as_ref().map(KeyText::read).transpose()?;
            let done = recovery.promote(host, &did, &options, key, &confirmed, progress).await?;
            Answer::Promoted(Box::new(done))
        }
        Ask::Cancel => {
            recovery.cancel_promotion(host, &did).await?;
            Answer::PromotionCancelled(did.to_string())
        }
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
