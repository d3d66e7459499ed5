//! Putting a record of before back at its account's host, with the blobs it names that the host has given up.

use bytes::Bytes;
use p2pds_agent::{Agent, AgentError, Secret};
use p2pds_ipld::Cid;
use p2pds_store::BlobState;
use p2pds_syntax::AtUri;

use super::At;
use crate::add::host_of;
use crate::archive::Archive;
use crate::error::{ArchiveError, ArchiveResult};
use crate::identity::identity_error;
use crate::progress::{Phase, Progress, Unit as Counted};
use crate::report::{OldRecord, Written};
use crate::words::plural;

impl Archive {
    /// Writes a record of before to the account's host, in place of what stands there now. Blobs that it names, that the
    /// host does not have any more and that are held here are uploaded first. The host must come to the same CID.
    ///
    /// # Errors
    /// As [`Archive::old_record`]; the login, the upload or the write failed ([`ArchiveError::Agent`]). What was uploaded
    /// by then is harmless: a host forgets blobs that no record names.
    pub async fn put_back(
        &self,
        uri: &AtUri,
        at: Option<At>,
        password: &Secret,
        progress: &Progress,
    ) -> ArchiveResult<OldRecord> {
        // What cannot be put back needs nobody's password.
        self.old_record(uri, at).await?;
        let (did, _) = self.address(uri).await?;
        let identity = self.inner().directory().refresh(&did).await;
        let identity = identity.map_err(|error| identity_error(did.as_str(), &error))?;
        let host = host_of(&identity)?;
        progress.note(Phase::Resolve, format!("logging in at {host}"));
        let agent = Agent::login(self.inner().net().clone(), &host, &did, password).await?;
        self.put_back_as(uri, at, agent, progress).await
    }

    /// As [`Archive::put_back`], with a session that is there.
    ///
    /// # Errors
    /// As [`Archive::put_back`]; the session is another account's.
    pub async fn put_back_as(
        &self,
        uri: &AtUri,
        at: Option<At>,
        mut agent: Agent,
        progress: &Progress,
    ) -> ArchiveResult<OldRecord> {
        let mut old = self.old_record(uri, at).await?;
        let (did, path) = self.address(uri).await?;
        let host = agent.host().to_owned();
        if *agent.did() != did {
            return Err(AgentError::OtherAccount { host, got: agent.did().to_string(), wanted: did }.into());
        }
        let value = old.value.clone().ok_or_else(|| ArchiveError::NotWritable(old.uri.clone()))?;
        let mut written = Written {
            host: host.clone(),
            cid: old.cid.clone(),
            replaced: None,
            uploaded: Vec::new(),
            notes: Vec::new(),
        };
        let standing = agent.get_record(&path).await?.map(|standing| standing.cid);
        written.replaced = standing.as_ref().map(Cid::to_string);
        if written.replaced.as_ref() == Some(&old.cid) {
            written.notes.push(format!("{host} has this very version already; nothing was written"));
            old.written = Some(written);
            return Ok(old);
        }
        self.upload_missing(&mut agent, &old, &mut written, progress).await?;
        let put = agent.put_record(&path, &value, standing.as_ref()).await?;
        written.cid = put.cid.to_string();
        if written.cid != old.cid {
            written.notes.push(format!(
                "{host} stored it under another CID than it had ({}): it wrote the record anew in its own way",
                old.cid
            ));
        }
        written.notes.push(format!("`p2pds archive sync {did}` fetches the new revision"));
        old.written = Some(written);
        Ok(old)
    }

    /// Uploads the blobs of a record that its host does not have.
    async fn upload_missing(
        &self,
        agent: &mut Agent,
        old: &OldRecord,
        written: &mut Written,
        progress: &Progress,
    ) -> ArchiveResult<()> {
        let total = u64::try_from(old.blobs.len()).unwrap_or(u64::MAX);
        if total == 0 {
            return Ok(());
        }
        let words = format!("looking after {}", plural(total, "blob", "blobs"));
        let counter = progress.begin(Phase::Blobs, Counted::Blobs, Some(total), words);
        let did = agent.did().clone();
        for blob in &old.blobs {
            counter.add(1);
            let Ok(cid) = blob.cid.parse::<Cid>() else {
                return Err(ArchiveError::Bug(format!("{} is no CID", blob.cid)));
            };
            if agent.has_blob(&cid).await? {
                continue;
            }
            let row = self.store().blob(&did, &cid).await?;
            let here = row.is_some_and(|row| row.state == BlobState::Held);
            let file = if here { self.blobs().read(&did, &cid, None).await? } else { None };
            let Some(file) = file else {
                return Err(ArchiveError::BlobLost {
                    uri: old.uri.clone(),
                    cid,
                    host: agent.host().to_owned(),
                });
            };
            let bytes = Bytes::from(file.bytes(self.config().max_blob_bytes).await?);
            if !cid.matches(&bytes) {
                let what = format!("the blob {cid}");
                return Err(p2pds_store::StoreError::Damaged(what).into());
            }
            agent.upload_blob(&cid, &blob.mime, bytes).await?;
            written.uploaded.push(blob.cid.clone());
        }
        counter.finish(String::new());
        Ok(())
    }
}

impl From<AgentError> for ArchiveError {
    fn from(error: AgentError) -> Self {
        Self::Agent(Box::new(error))
    }
}
