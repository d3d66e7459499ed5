//! What a backup says of itself.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use data_encoding::HEXLOWER;
use p2pds_syntax::ErrorKind;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{said, sync_dir};
use crate::error::{RecoveryError, RecoveryResult};

/// The file that is read first.
pub(super) const HEADER: &str = "p2pds-backup.json";
/// The form of a backup that this version writes and reads.
const FORMAT: u32 = 1;

/// The first file. Its second line is the hash of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// `no`, `recipients` or `passphrase`.
    pub(super) sealed: String,
    /// Name of the manifest.
    pub(super) manifest: String,
    /// Hash of that file.
    pub(super) sha256: String,
}

/// The same as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    format: u32,
    sealed: String,
    manifest: String,
    sha256: String,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// Its name in the backup.
    pub(super) name: String,
    /// Where it belongs in the data directory; empty for those that have one place.
    pub(super) path: String,
    /// Its size as it is stored.
    pub(super) size: u64,
    /// Its hash as it is stored.
    pub(super) sha256: String,
}

/// All parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// When it was made, microseconds since 1970.
    pub(super) made_at: i64,
    /// By which version.
    pub(super) program: String,
    /// The database.
    pub(super) database: Part,
    /// Which blobs belong to it: DID, CID and size, one line each.
    pub(super) blob_list: Part,
    /// How many lines that are.
    pub(super) blobs: u64,
    /// Other files.
    pub(super) files: Vec<Part>,
    /// Blobs that the database names and that could not be read.
    pub(super) missing: Vec<String>,
}

/// The hash of bytes, as text.
pub(super) fn hash(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// What a damaged part is called.
pub(super) fn damaged(what: &str) -> RecoveryError {
    said(ErrorKind::Corrupt, format!("the backup is damaged: {what}; use another copy of it"))
}

impl Header {
    pub(super) fn read(dir: &Path) -> RecoveryResult<Self> {
        let path = dir.join(HEADER);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(said(
                    ErrorKind::NotFound,
                    format!("{} has no finished backup in it: {HEADER} is missing", dir.display()),
                ));
            }
            Err(error) => return Err(RecoveryError::io("read", &path)(error)),
        };
        let text = String::from_utf8(bytes).map_err(|_| damaged(HEADER))?;
        let line = text.split('\n').next().unwrap_or_default();
        if text != format!("{line}\n{}\n", hash(line.as_bytes())) {
            return Err(damaged(HEADER));
        }
        let line: Line = serde_json::from_str(line).map_err(|_| damaged(HEADER))?;
        if line.format != FORMAT {
            return Err(said(
                ErrorKind::Denied,
                format!(
                    "the backup has form {}, this p2pds knows form {FORMAT}; use a newer p2pds",
                    line.format
                ),
            ));
        }
        Ok(Self { sealed: line.sealed, manifest: line.manifest, sha256: line.sha256 })
    }

    /// Writes it in one step.
    pub(super) fn write(&self, dir: &Path) -> RecoveryResult<()> {
        let line = Line {
            format: FORMAT,
            sealed: self.sealed.clone(),
            manifest: self.manifest.clone(),
            sha256: self.sha256.clone(),
        };
        let line = serde_json::to_string(&line).map_err(|e| RecoveryError::Bug(e.to_string()))?;
        let (path, part) = (dir.join(HEADER), dir.join(format!("{HEADER}.part")));
        let write = || -> std::io::Result<()> {
            let mut file = fs::File::create(&part)?;
            file.write_all(format!("{line}\n{}\n", hash(line.as_bytes())).as_bytes())?;
            file.sync_all()?;
            fs::rename(&part, &path)
        };
        write().map_err(RecoveryError::io("write", &path))?;
        sync_dir(dir)
    }
}

impl Manifest {
    pub(super) fn to_bytes(&self) -> RecoveryResult<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|e| RecoveryError::Bug(e.to_string()))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> RecoveryResult<Self> {
        serde_json::from_slice(bytes).map_err(|e| damaged(&format!("its manifest: {e}")))
    }
}
