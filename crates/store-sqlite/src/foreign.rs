//! Reading the data directory of a reference PDS that is stopped, without changing a byte of it.
//!
//! ```text
//! account.sqlite                       accounts, passwords, app passwords, invites
//! sequencer.sqlite                     events and their numbers
//! actors/<2 hex>/<did>/store.sqlite    one account: blocks, blobs, preferences
//! actors/<2 hex>/<did>/key             its signing key
//! blocks/<did>/<cid>                   its blobs (wherever the blob store was configured to lie)
//! ```
//!
//! A database that was closed in order is read where it lies, as a file that does not change. One with a write-ahead log
//! beside it (the server was killed) is copied first, and the copy is read: SQLite would fold the log into the original.

mod accounts;
mod actor;
mod layout;
mod open;
mod running;
mod sequence;

use std::io::Write;
use std::path::{Path, PathBuf};

use p2pds_crypto::PrivateKey;
use p2pds_store::foreign::{
    ForeignAbout, ForeignAccount, ForeignAppPassword, ForeignBlob, ForeignEvent, ForeignInvite, ForeignPds,
    ForeignRepo,
};
use p2pds_store::{StoreError, StoreResult};

pub use layout::Layout;
use open::Source;
pub use running::{Holder, running};

/// A stopped reference PDS.
pub struct ReferencePds {
    layout: Layout,
    scratch: PathBuf,
    accounts: Source,
    sequence: Option<Source>,
}

impl std::fmt::Debug for ReferencePds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReferencePds").field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl ReferencePds {
    /// Opens it. Copies of databases that cannot be read where they lie go into `scratch`, a private directory that
    /// exists and is the caller's to remove.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] for a directory that is none of a reference PDS, [`StoreError::Locked`] for one that
    /// a process uses.
    pub fn open(layout: Layout, scratch: &Path) -> StoreResult<Self> {
        if !layout.account_db.is_file() {
            return Err(StoreError::InvalidUnit(format!(
                "{} does not exist, so {} is not the data directory of a reference PDS: name the one that PDS_DATA_DIRECTORY names",
                layout.account_db.display(),
                layout.dir.display()
            )));
        }
        if let Some(holder) = running(&layout)? {
            return Err(StoreError::Locked { dir: layout.dir.display().to_string(), pid: holder.pid });
        }
        let accounts = Source::open(&layout.account_db, scratch)?;
        let sequence = match layout.sequencer_db.is_file() {
            true => Some(Source::open(&layout.sequencer_db, scratch)?),
            false => None,
        };
        Ok(Self { layout, scratch: scratch.to_owned(), accounts, sequence })
    }

    /// Where its parts lie.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    fn actor(&self, did: &str) -> StoreResult<Option<Source>> {
        let Some(dir) = self.layout.actor(did) else { return Ok(None) };
        let path = dir.join("store.sqlite");
        if path.is_file() { Source::open(&path, &self.scratch).map(Some) } else { Ok(None) }
    }

    fn some_actor(&self, did: &str) -> StoreResult<Source> {
        self.actor(did)?.ok_or_else(|| StoreError::Damaged(format!("{did} has no store.sqlite there")))
    }
}

impl ForeignPds for ReferencePds {
    fn about(&self) -> ForeignAbout {
        let mut notes = Vec::new();
        if self.layout.blobs.is_none() {
            notes.push(
                "no directory with blobs was found: name it with --blobs, or all blobs count as missing"
                    .to_owned(),
            );
        }
        if self.sequence.is_none() {
            notes.push("there is no sequencer.sqlite: where its event numbers ended is not known".to_owned());
        }
        let copied = self.accounts.is_copy() || self.sequence.as_ref().is_some_and(Source::is_copy);
        if copied {
            notes.push(
                "it was not stopped in order: what its databases had still in their logs is read from copies"
                    .to_owned(),
            );
        }
        ForeignAbout { dir: self.layout.dir.clone(), blobs: self.layout.blobs.clone(), notes }
    }

    fn accounts(&self) -> StoreResult<Vec<ForeignAccount>> {
        accounts::accounts(&self.accounts)
    }

    fn app_passwords(&self, did: &str) -> StoreResult<Vec<ForeignAppPassword>> {
        accounts::app_passwords(&self.accounts, did)
    }

    fn invites(&self) -> StoreResult<Vec<ForeignInvite>> {
        accounts::invites(&self.accounts)
    }

    fn last_seq(&self) -> StoreResult<u64> {
        self.sequence.as_ref().map_or(Ok(0), sequence::last)
    }

    fn events(&self, after: u64, limit: usize) -> StoreResult<Vec<ForeignEvent>> {
        self.sequence.as_ref().map_or(Ok(Vec::new()), |source| sequence::after(source, after, limit))
    }

    fn signing_key(&self, did: &str) -> StoreResult<Option<PrivateKey>> {
        match self.layout.actor(did) {
            Some(dir) => actor::key(&dir.join("key")),
            None => Ok(None),
        }
    }

    fn repo(&self, did: &str, to: &mut dyn Write) -> StoreResult<Option<ForeignRepo>> {
        match self.actor(did)? {
            Some(source) => actor::repo(&source, to),
            None => Ok(None),
        }
    }

    fn blobs(&self, did: &str) -> StoreResult<Vec<ForeignBlob>> {
        actor::blobs(&self.some_actor(did)?, self.layout.blobs.as_deref(), did)
    }

    fn preferences(&self, did: &str) -> StoreResult<Vec<(String, String)>> {
        actor::preferences(&self.some_actor(did)?)
    }

    fn taken_down_records(&self, did: &str) -> StoreResult<Vec<(String, String)>> {
        actor::taken_down_records(&self.some_actor(did)?, did)
    }
}
