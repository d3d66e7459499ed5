//! `blobs/`: every blob under its CID, hashed while it is written; beside pages with an ending that its bytes say.

use std::collections::HashSet;
use std::io::Read as _;
use std::path::Path;

use p2pds_archive::{Phase, Unit};
use p2pds_ipld::Cid;
use p2pds_reading::{Refusal, Viewer};
use p2pds_store::{BlobFilter, BlobRow, BlobState};

use super::{BlobLists, Export, sum_line};
use crate::error::{RecoveryError, RecoveryResult};
use crate::folder::{HashedFile, Written, blocking, hash_file, remove_file};
use crate::manifest::{ManifestBlob, MissingBlob};
use crate::offline::media::{ENDINGS, LOOKED_AT, ending};

/// The directory.
const DIR: &str = "blobs";
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
        self.drop_strays(&lists).await?;
        if lists.unnamed > 0 {
            let what = p2pds_archive::plural(lists.unnamed, "file is", "files are");
            self.notes.push(format!("{what} left out, because only deleted records named them"));
        }
        Ok(lists)
    }

    async fn write_blob(&mut self, row: BlobRow, lists: &mut BlobLists) -> RecoveryResult<()> {
        let missing =
            |reason: String| MissingBlob { cid: row.cid.to_string(), mime_type: row.mime.clone(), reason };
        match &row.state {
            BlobState::Held => {
                let named = |did| self.archive.store().blob_named(did, &row.cid);
                if self.options.html && !named(&self.account.did).await? {
                    lists.unnamed = lists.unnamed.saturating_add(1);
                    return Ok(());
                }
            }
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
        let written = match self.reuse(&row.cid).await? {
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
        let file = if self.options.html { Some(self.give_ending(&name, &row.cid).await?) } else { None };
        let name = file.as_ref().map_or(name, |file| format!("{DIR}/{file}"));
        self.sums.extend_from_slice(sum_line(&name, &written.sha256).as_bytes());
        lists.bytes = lists.bytes.saturating_add(written.size);
        lists.held.push(ManifestBlob {
            cid: row.cid.to_string(),
            size: written.size,
            mime_type: row.mime.clone(),
            file,
        });
        Ok(())
    }

    /// Gives a file the ending that its bytes say; its name then.
    async fn give_ending(&self, name: &str, cid: &Cid) -> RecoveryResult<String> {
        let (place, cid) = (self.folder.dir().join(name), cid.to_string());
        blocking(move || {
            let mut first = Vec::with_capacity(LOOKED_AT);
            let file = std::fs::File::open(&place).map_err(RecoveryError::io("open", &place))?;
            file.take(LOOKED_AT as u64).read_to_end(&mut first).map_err(RecoveryError::io("read", &place))?;
            let name = format!("{cid}.{}", ending(&first));
            std::fs::rename(&place, place.with_file_name(&name))
                .map_err(RecoveryError::io("rename", &place))?;
            Ok(name)
        })
        .await
    }

    /// Removes what an interrupted export left in the directory and this one does not list.
    async fn drop_strays(&self, lists: &BlobLists) -> RecoveryResult<()> {
        let listed: HashSet<String> =
            lists.held.iter().map(|blob| blob.file.as_ref().unwrap_or(&blob.cid).clone()).collect();
        let dir = self.folder.dir().join(DIR);
        blocking(move || {
            for entry in std::fs::read_dir(&dir).map_err(RecoveryError::io("read", &dir))? {
                let entry = entry.map_err(RecoveryError::io("read", &dir))?;
                if !entry.file_name().to_str().is_some_and(|name| listed.contains(name)) {
                    remove_file(&entry.path())?;
                }
            }
            Ok(())
        })
        .await
    }

    /// A blob that an interrupted or earlier export has brought already, if its bytes are right.
    async fn reuse(&self, cid: &Cid) -> RecoveryResult<Option<Written>> {
        let (folder, cid) = (self.folder.clone(), *cid);
        blocking(move || {
            let names: Vec<String> = std::iter::once(format!("{DIR}/{cid}"))
                .chain(ENDINGS.iter().map(|ending| format!("{DIR}/{cid}.{ending}")))
                .collect();
            let place = folder.dir().join(DIR).join(cid.to_string());
            for there in names.iter().map(|name| folder.dir().join(name)) {
                if let Some(written) = good(&there, &cid)? {
                    std::fs::rename(&there, &place).map_err(RecoveryError::io("rename", &there))?;
                    return Ok(Some(written));
                }
            }
            for earlier in names.iter().filter_map(|name| folder.earlier(name)) {
                let Some(written) = good(&earlier, &cid)? else { continue };
                remove_file(&place)?;
                // Another name for the same file; where the file system knows no such thing, it is copied from the
                // archive.
                return Ok(std::fs::hard_link(&earlier, &place).ok().map(|()| written));
            }
            Ok(None)
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
