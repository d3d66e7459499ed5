//! The first start after a restore.
//!
//! What the old node did after the backup was made is not known here: it may have given event numbers and signed
//! commits that relays have seen. So the numbers jump far beyond any that it can have given, and each hosted account
//! gets a new signed commit, whose rev is of now and therefore greater than any before, with a `#sync` that tells
//! everybody to begin from there.

use std::fs;
use std::path::Path;

use p2pds_host::Host;
use p2pds_host::write::{Announce, EmptyCommit};
use p2pds_store::{Finding, Jump, Login, Store, Unit};
use p2pds_syntax::ErrorKind;
use serde::{Deserialize, Serialize};

use super::{said, sync_dir};
use crate::error::{RecoveryError, RecoveryResult};

/// Kind of the finding about an account whose key the backup does not have.
const OTHER_KEY: &str = "signing-key";

/// The file that says that a data directory was restored and not started since.
pub const RESTORED: &str = "restored.json";
/// How far the numbers jump.
const JUMP: u64 = 1_000_000;
/// Accounts read at a time.
const PAGE: usize = 500;

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    made_at: i64,
}

pub(super) fn mark(path: &Path, made_at: i64) -> RecoveryResult<()> {
    let text = serde_json::to_vec(&Marker { made_at }).map_err(|e| RecoveryError::Bug(e.to_string()))?;
    fs::write(path, text).map_err(RecoveryError::io("write", path))?;
    fs::File::open(path).and_then(|file| file.sync_all()).map_err(RecoveryError::io("write", path))
}

/// Whether a data directory waits for its first start after a restore.
#[must_use]
pub fn is_restored(dir: &Path) -> bool {
    dir.join(RESTORED).exists()
}

/// Lets the event numbers of a restored data directory jump, before anything can give one. Changes nothing when the
/// directory was not restored, or was started since.
///
/// # Errors
/// The store refuses.
pub async fn before_all(dir: &Path, store: &dyn Store) -> RecoveryResult<()> {
    if is_restored(dir) {
        store.apply(Unit::JumpSeq(Jump::By(JUMP))).await?;
    }
    Ok(())
}

/// The key that the identity names now, when that is another one than the backup has: the key was changed after the
/// backup was made. An identity that cannot be asked for now is taken to be as it was.
async fn other_key(host: &Host, login: &Login) -> Option<String> {
    let found = host.directory().refresh(&login.did).await.ok()?;
    let named = found.signing_key?.to_did_key();
    (named != login.signing_did_key).then_some(named)
}

/// Says it where an operator looks: what this account signs now is believed by nobody.
async fn name_key(store: &dyn Store, host: &Host, login: &Login, why: &str) -> RecoveryResult<()> {
    let did = &login.did;
    let detail = format!(
        "{why}: nobody believes what it signs here, or it cannot sign. If this node is its host, run `p2pds account \
         rotate-key {did}`"
    );
    tracing::error!(event = "backup.other-key", %did, "{detail}");
    let at = host.now();
    store
        .apply(Unit::PutFinding(Finding {
            did: did.clone(),
            kind: OTHER_KEY.to_owned(),
            subject: String::new(),
            detail,
            first_at: at,
            last_at: at,
        }))
        .await?;
    Ok(())
}

/// Makes a restored data directory fit to be heard of again. To be called before anything else writes; done again when
/// it was interrupted. Answers how many accounts have a new commit. Changes nothing when the directory was not
/// restored, or was started since.
///
/// # Errors
/// The store refuses; a signing key cannot be opened. The node must not start then: relays would take what it says for
/// a fork.
pub async fn after_restore(dir: &Path, store: &dyn Store, host: Option<&Host>) -> RecoveryResult<u64> {
    if !is_restored(dir) {
        return Ok(0);
    }
    let (mut after, mut done) = (None, 0_u64);
    let first = store.logins(None, 1).await?;
    if !first.is_empty() && host.is_none() {
        return Err(said(
            ErrorKind::Invalid,
            "accounts are hosted in this restored data directory, and the settings switch hosting off; start it with \
             the settings of the old node",
        ));
    }
    while let Some(host) = host {
        let page = store.logins(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.did.clone());
        for login in &page {
            if store.live_repo(&login.did).await?.is_none() {
                continue;
            }
            if let Some(key) = other_key(host, login).await {
                let why = format!(
                    "its identity names the signing key {key}, and this backup is from before that key"
                );
                name_key(store, host, login, &why).await?;
                continue;
            }
            let how = EmptyCommit { announce: Announce::Sync, ..EmptyCommit::default() };
            match host.empty_commit(&login.did, how).await {
                Ok(_) => done = done.saturating_add(1),
                // A backup without keys: everything can be read, and each account needs a new key to write.
                Err(error) if error.kind == ErrorKind::Corrupt => {
                    name_key(
                        store,
                        host,
                        login,
                        "its signing key was not in the backup, or node.key is another one",
                    )
                    .await?;
                }
                Err(error) => {
                    let words =
                        format!("{}: no new commit could be signed after the restore: {error}", login.did);
                    return Err(said(error.kind, words));
                }
            }
        }
    }
    let marker = dir.join(RESTORED);
    fs::remove_file(&marker).map_err(RecoveryError::io("remove", &marker))?;
    sync_dir(dir)?;
    tracing::warn!(
        event = "backup.restored",
        accounts = done,
        "this data directory was restored from a backup: event numbers jumped, hosted accounts have a new commit"
    );
    Ok(done)
}
