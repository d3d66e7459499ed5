//! The blobs of a backup: each written once, by a name that tells nothing of it.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use data_encoding::HEXLOWER;
use p2pds_archive::{Phase, Progress, Unit};
use p2pds_blobs::BlobError;
use p2pds_store::CopiedBlob;
use p2pds_syntax::Did;
use sha2::{Digest as _, Sha256};

use super::manifest::Part;
use super::{Place, private_dir, said, sync_dir};
use crate::Recovery;
use crate::error::{RecoveryError, RecoveryResult};
use crate::folder::blocking;

/// Rows read at a time.
const PAGE: usize = 500;
/// Directory of the blobs.
const DIR: &str = "blobs";

/// The name of a blob in a backup, as bytes.
pub(super) type Name = [u8; 16];

/// What was written of the blobs.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Blobs in the backup.
    pub(super) total: u64,
    /// Those that were not in it before.
    pub(super) new: u64,
    /// Bytes of the new ones.
    pub(super) bytes: u64,
    /// Those that the database names and that could not be read.
    pub(super) missing: Vec<String>,
    /// Names of all.
    pub(super) names: Vec<Name>,
    /// How often in a row the bucket has failed just now.
    failures: u32,
}

/// After how many failures in a row the bucket is taken to be away, and not one blob in it.
const AWAY: u32 = 3;

/// Most missing blobs that are named.
const MOST_NAMED: usize = 1_000;

/// The name of a blob.
pub(super) fn name(did: &Did, cid: &p2pds_ipld::Cid) -> Name {
    let digest =
        Sha256::new().chain_update(did.as_str()).chain_update([0]).chain_update(cid.to_bytes()).finalize();
    digest.first_chunk().copied().unwrap_or_default()
}

/// Where it lies in the backup.
pub(super) fn path(name: &Name) -> String {
    let text = HEXLOWER.encode(name);
    let front = text.get(..2).unwrap_or_default().to_owned();
    format!("{DIR}/{front}/{text}")
}

impl Recovery {
    /// Writes the blobs that a copy of the database names, and the list of them.
    pub(super) async fn write_blobs(
        &self,
        place: &Place,
        copy: &Path,
        stamp: i64,
        progress: &Progress,
    ) -> RecoveryResult<(Part, Written)> {
        let store = self.archive().store();
        let counter = progress.begin(Phase::Export, Unit::Blobs, None, "copying the blobs");
        let list_name = format!("blobs-{stamp}");
        let mut list = place.sealer.create(&place.dir.join(&list_name))?;
        let mut written = Written::default();
        let mut after: Option<CopiedBlob> = None;
        loop {
            let page = store.copied_blobs(copy, after.as_ref(), PAGE).await?;
            let mut lines = String::new();
            for blob in &page {
                if self.write_blob(place, blob, &mut written).await? {
                    lines.push_str(&format!("{} {} {}\n", blob.did, blob.cid, blob.size));
                    written.total = written.total.saturating_add(1);
                    written.names.push(name(&blob.did, &blob.cid));
                } else if written.missing.len() < MOST_NAMED {
                    written.missing.push(format!("{} {}", blob.did, blob.cid));
                }
                counter.set(written.total);
            }
            list.write_all(lines.as_bytes()).map_err(RecoveryError::io("write", &place.dir))?;
            match page.last() {
                Some(last) => after = Some(last.clone()),
                None => break,
            }
        }
        let (size, sha256) = blocking(move || list.finish()).await?;
        counter.finish(format!("{} blobs, {} of them new", written.total, written.new));
        Ok((Part { name: list_name, path: String::new(), size, sha256 }, written))
    }

    /// Writes one blob unless it is there; `false` when it cannot be read.
    async fn write_blob(
        &self,
        place: &Place,
        blob: &CopiedBlob,
        written: &mut Written,
    ) -> RecoveryResult<bool> {
        let path = place.dir.join(path(&name(&blob.did, &blob.cid)));
        if let Ok(known) = fs::metadata(&path) {
            // Names are given to whole files only; a file that is not encrypted has the size of its blob.
            if place.sealer.is_sealed() || known.len() == blob.size {
                return Ok(true);
            }
        }
        let mut reader = match self.archive().blobs().read(&blob.did, &blob.cid, None).await {
            Ok(Some(reader)) => reader,
            Ok(None) => return Ok(false),
            Err(error) => return written.failed(error),
        };
        let mut out = {
            let (sealer, path) = (place.sealer.clone(), path.clone());
            blocking(move || {
                path.parent().map_or(Ok(()), private_dir)?;
                sealer.create(&path)
            })
            .await?
        };
        let (mut sha, mut size) = (Sha256::new(), 0_u64);
        let ended = loop {
            let piece = match reader.chunk().await {
                Ok(Some(piece)) => piece,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            sha.update(&piece);
            size = size.saturating_add(piece.len() as u64);
            let path = path.clone();
            out = blocking(move || {
                out.write_all(&piece).map_err(RecoveryError::io("write", &path))?;
                Ok(out)
            })
            .await?;
        };
        if let Err(error) = ended {
            out.abandon();
            return written.failed(error);
        }
        written.failures = 0;
        if sha.finalize().as_slice() != blob.cid.digest() {
            out.abandon();
            return Ok(false);
        }
        blocking(move || {
            out.finish()?;
            path.parent().map_or(Ok(()), sync_dir)
        })
        .await?;
        written.new = written.new.saturating_add(1);
        written.bytes = written.bytes.saturating_add(size);
        Ok(true)
    }
}

impl Written {
    /// A blob could not be read: `false`, unless the whole bucket is away. Then a backup without its blobs would stand in
    /// the place of one that has them.
    fn failed(&mut self, error: BlobError) -> RecoveryResult<bool> {
        let BlobError::Remote { .. } = error else { return Ok(false) };
        self.failures = self.failures.saturating_add(1);
        if self.failures < AWAY {
            return Ok(false);
        }
        let words = format!(
            "{error}; after {AWAY} blobs in a row that could not be read the backup has stopped, and the earlier one \
             there is as it was: run it again when the bucket answers"
        );
        Err(said(error.kind(), words))
    }
}

/// Removes blobs that are not named any more, and halves of files.
pub(super) fn sweep(dir: &Path, names: &[Name]) -> RecoveryResult<()> {
    let mut keep = names.to_vec();
    keep.sort_unstable();
    let root = dir.join(DIR);
    let Ok(fronts) = fs::read_dir(&root) else { return Ok(()) };
    for front in fronts.flatten() {
        let front = front.path();
        for entry in fs::read_dir(&front).map_err(RecoveryError::io("read", &front))?.flatten() {
            let name = entry.file_name();
            let name = HEXLOWER.decode(name.to_string_lossy().as_bytes()).ok();
            let name = name.and_then(|name| Name::try_from(name).ok());
            if name.is_none_or(|name| keep.binary_search(&name).is_err()) {
                fs::remove_file(entry.path()).map_err(RecoveryError::io("remove", &entry.path()))?;
            }
        }
    }
    Ok(())
}
