//! `blobs/`: every blob under its CID, hashed while it is written.

use std::path::Path;

use p2pds_archive::{Phase, Unit};
use p2pds_ipld::Cid;
use p2pds_reading::{Refusal, Viewer};
use p2pds_store::{BlobFilter, BlobRow, BlobState};

use super::{BlobLists, Export, sum_line};
use crate::error::{RecoveryError, RecoveryResult};
use crate::folder::{HashedFile, Written, blocking, hash_file};
use crate::manifest::{ManifestBlob, MissingBlob};

/// Rows read at a time.
const PAGE: usize = 500;

impl Export<'_> {
    pub(super) async fn write_blobs(&mut self) -> RecoveryResult<BlobLists> {
        let dir = self.folder.dir().join("blobs");
        blocking(move || std::fs::create_dir_all(&dir).map_err(RecoveryError::io("create", &dir))).await?;
        let total = Some(self.account.blobs_held);
        let counter = self.progress.begin(Phase::Export, Unit::Blobs, total, "writing the blobs");
        let mut lists = BlobLists::default();
        let mut after: Option<Cid> = None;
        loop {
            let store = self.archive.store();
            let page = store.blobs(&self.account.did, BlobFilter::All, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.cid);
            for row in page {
                self.write_blob(row, &mut lists).await?;
                counter.set(lists.held.len() as u64);
            }
        }
        counter.finish(format!("{} blobs", lists.held.len()));
        Ok(lists)
    }

    async fn write_blob(&mut self, row: BlobRow, lists: &mut BlobLists) -> RecoveryResult<()> {
        let missing =
            |reason: String| MissingBlob { cid: row.cid.to_string(), mime_type: row.mime.clone(), reason };
        match &row.state {
            BlobState::Held => {}
            BlobState::Missing { last_error, .. } => {
                let why = last_error.clone().unwrap_or_else(|| "it has not been fetched yet".to_owned());
                lists.missing.push(missing(why));
                return Ok(());
            }
            BlobState::Gone { reason } => {
                let why = reason.clone().unwrap_or_else(|| "its source does not have it".to_owned());
                lists.missing.push(missing(why));
                return Ok(());
            }
            // No record names it.
            BlobState::Temporary { .. } => return Ok(()),
            BlobState::Quarantined { .. } => {
                lists.missing.push(missing("the operator of its host withholds it".to_owned()));
                return Ok(());
            }
        }
        let name = format!("blobs/{}", row.cid);
        let written = match self.reuse(&name, &row.cid).await? {
            Some(written) => {
                lists.reused = lists.reused.saturating_add(1);
                Some(written)
            }
            None => self.copy(&name, &row.cid).await?,
        };
        let Some(written) = written else {
            self.damaged.push(format!("blob {}", row.cid));
            lists.missing.push(missing("its stored bytes are damaged or lost".to_owned()));
            return Ok(());
        };
        self.sums.extend_from_slice(sum_line(&name, &written.sha256).as_bytes());
        lists.bytes = lists.bytes.saturating_add(written.size);
        lists.held.push(ManifestBlob {
            cid: row.cid.to_string(),
            size: written.size,
            mime_type: row.mime.clone(),
        });
        Ok(())
    }

    /// A blob that an interrupted or earlier export has brought already, if its bytes are right.
    async fn reuse(&self, name: &str, cid: &Cid) -> RecoveryResult<Option<Written>> {
        let place = self.folder.dir().join(name);
        let (earlier, cid) = (self.folder.earlier(name), *cid);
        blocking(move || {
            if let Some(written) = good(&place, &cid)? {
                return Ok(Some(written));
            }
            let Some(earlier) = earlier else { return Ok(None) };
            let Some(written) = good(&earlier, &cid)? else { return Ok(None) };
            let _ = std::fs::remove_file(&place);
            // Another name for the same file; where the file system knows no such thing, it is copied from the archive.
            Ok(std::fs::hard_link(&earlier, &place).ok().map(|()| written))
        })
        .await
    }

    /// Copies a blob out of the archive. `None`: the archive's bytes are not those of the CID.
    async fn copy(&self, name: &str, cid: &Cid) -> RecoveryResult<Option<Written>> {
        let mut blob = match self.door.blob(Viewer::Operator, &self.account.did, cid).await {
            Ok(blob) => blob,
            Err(Refusal::Damaged { .. }) => return Ok(None),
            Err(refusal) => return Err(refusal.into()),
        };
        let place = self.folder.dir().join(name);
        let part = place.with_extension("part");
        let to = part.clone();
        let mut file = blocking(move || HashedFile::create(&to)).await?;
        while let Some(chunk) = blob.bytes.chunk().await.map_err(Refusal::from)? {
            file = blocking(move || file.write(&chunk).map(|()| file)).await?;
        }
        let digest = *cid.digest();
        blocking(move || {
            let written = file.finish()?;
            if written.sha256 != digest {
                std::fs::remove_file(&part).map_err(RecoveryError::io("remove", &part))?;
                return Ok(None);
            }
            std::fs::rename(&part, &place).map_err(RecoveryError::io("rename", &part))?;
            Ok(Some(written))
        })
        .await
    }
}

/// A file whose bytes are those of the CID.
fn good(path: &Path, cid: &Cid) -> RecoveryResult<Option<Written>> {
    Ok(hash_file(path)?.filter(|written| written.sha256 == *cid.digest()))
}
