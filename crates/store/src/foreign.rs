//! Another server's data directory, as one reads it who takes its accounts over.
//!
//! Everything comes as it lies there: nothing is parsed further than its columns, so that one odd row spoils one account
//! and not the reading. All methods block.

use std::io::Write;
use std::path::PathBuf;

use p2pds_crypto::PrivateKey;

use crate::StoreResult;

/// A data directory of the reference PDS that no process uses. Nothing in it is changed.
pub trait ForeignPds: Send + Sync + 'static {
    /// What is there, in short.
    fn about(&self) -> ForeignAbout;
    /// All accounts, by DID.
    ///
    /// # Errors
    /// The account database cannot be read.
    fn accounts(&self) -> StoreResult<Vec<ForeignAccount>>;
    /// App passwords of an account, by name.
    ///
    /// # Errors
    /// The account database cannot be read.
    fn app_passwords(&self, did: &str) -> StoreResult<Vec<ForeignAppPassword>>;
    /// All invite codes with their uses, by code.
    ///
    /// # Errors
    /// The account database cannot be read.
    fn invites(&self) -> StoreResult<Vec<ForeignInvite>>;
    /// The last sequence number that was given out; 0 when none was.
    ///
    /// # Errors
    /// The sequence cannot be read.
    fn last_seq(&self) -> StoreResult<u64>;
    /// Events after a sequence number, oldest first.
    ///
    /// # Errors
    /// The sequence cannot be read.
    fn events(&self, after: u64, limit: usize) -> StoreResult<Vec<ForeignEvent>>;
    /// The signing key of an account; `None` when there is none.
    ///
    /// # Errors
    /// The file cannot be read, or is no key.
    fn signing_key(&self, did: &str) -> StoreResult<Option<PrivateKey>>;
    /// Writes the repo of an account as a CAR: the head that its own table names as root, then all of its blocks in no
    /// order. Blocks that do not hash to their names are left out and named in the answer. `None` when the account has no
    /// store or no head.
    ///
    /// # Errors
    /// The store cannot be read, or `to` not be written.
    fn repo(&self, did: &str, to: &mut dyn Write) -> StoreResult<Option<ForeignRepo>>;
    /// Blobs of an account that its records name, by CID.
    ///
    /// # Errors
    /// The account's store cannot be read.
    fn blobs(&self, did: &str) -> StoreResult<Vec<ForeignBlob>>;
    /// Preferences of an account in order: name and JSON.
    ///
    /// # Errors
    /// The account's store cannot be read.
    fn preferences(&self, did: &str) -> StoreResult<Vec<(String, String)>>;
    /// Records that were taken down: path and reference.
    ///
    /// # Errors
    /// The account's store cannot be read.
    fn taken_down_records(&self, did: &str) -> StoreResult<Vec<(String, String)>>;
}

/// What a foreign data directory holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForeignAbout {
    /// Where it lies.
    pub dir: PathBuf,
    /// Where its blobs lie; `None` when no such directory was found.
    pub blobs: Option<PathBuf>,
    /// What should be known, one line each.
    pub notes: Vec<String>,
}

/// One account. Times are texts as they stand there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForeignAccount {
    /// Its DID.
    pub did: String,
    /// Its handle.
    pub handle: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// Why it was taken down, if it was.
    pub takedown: Option<String>,
    /// Since when its owner has it switched off.
    pub deactivated_at: Option<String>,
    /// When it is to be deleted.
    pub delete_after: Option<String>,
    /// Its e-mail address; `None` when it has no login there.
    pub email: Option<String>,
    /// The hash of its password, `salt:hash`.
    pub password: Option<String>,
    /// When the address was confirmed.
    pub email_confirmed_at: Option<String>,
    /// Whether it may not invite.
    pub invites_disabled: bool,
}

/// One app password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignAppPassword {
    /// Its name.
    pub name: String,
    /// Its hash, `salt:hash`.
    pub password: String,
    /// When it was made.
    pub created_at: String,
    /// Whether it reaches direct messages.
    pub privileged: bool,
}

/// One invite code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignInvite {
    /// The code.
    pub code: String,
    /// Uses in all.
    pub available: u32,
    /// Whether it is switched off.
    pub disabled: bool,
    /// For whom it was made.
    pub for_account: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: String,
    /// Who used it, and when.
    pub uses: Vec<(String, String)>,
}

/// One event as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignEvent {
    /// Its number.
    pub seq: u64,
    /// Whose it is.
    pub did: String,
    /// `append`, `sync`, `identity`, `account`.
    pub kind: String,
    /// Its fields but `seq` and `time`, as DAG-CBOR.
    pub body: Vec<u8>,
    /// Whether it is not to be sent any more.
    pub invalidated: bool,
    /// When it was given its number.
    pub at: String,
}

/// A repo that was written as a CAR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRepo {
    /// CID of the head, as its table names it.
    pub root: String,
    /// Its revision, as its table names it. After an import the reference writes another than the commit's own.
    pub rev: String,
    /// Blocks written.
    pub blocks: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Blocks that do not hash to their names, or whose names are none.
    pub damaged: Vec<String>,
}

/// One blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignBlob {
    /// Its CID.
    pub cid: String,
    /// Its MIME type as it was uploaded.
    pub mime: String,
    /// Its size.
    pub size: u64,
    /// Why it was taken down, if it was.
    pub takedown: Option<String>,
    /// Its file; `None` when there is none.
    pub path: Option<PathBuf>,
}
