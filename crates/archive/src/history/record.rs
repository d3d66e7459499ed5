//! One record of before.

use p2pds_ipld::cbor::{Limits, decode};
use p2pds_ipld::json::to_json;
use p2pds_reading::Past;
use p2pds_store::{BlobState, RecordRow};
use p2pds_syntax::{AtIdentifier, AtUri, Did, RecordPath};
use serde_json::Value;

use super::At;
use crate::archive::Archive;
use crate::error::{ArchiveError, ArchiveResult};
use crate::report::{NamedBlob, OldRecord, RecordView};
use crate::show::from_refusal;
use crate::stage::blobs_of;

impl Archive {
    /// Account and path that an address of a record names.
    ///
    /// # Errors
    /// [`ArchiveError::NotOneRecord`], [`ArchiveError::NotArchived`].
    pub async fn address(&self, uri: &AtUri) -> ArchiveResult<(Did, RecordPath)> {
        let (Some(collection), Some(rkey)) = (uri.collection(), uri.rkey()) else {
            return Err(ArchiveError::NotOneRecord(uri.to_string()));
        };
        let did = match uri.authority() {
            AtIdentifier::Did(did) => did.clone(),
            AtIdentifier::Handle(handle) => self.find(handle.as_str()).await?,
        };
        Ok((did, RecordPath::new(collection, rkey)))
    }

    /// One record as it was, for `show --at`.
    ///
    /// # Errors
    /// There was none then, the state was never seen or was pruned, damage.
    pub async fn record_at(&self, uri: &AtUri, at: At) -> ArchiveResult<RecordView> {
        let (did, path) = self.address(uri).await?;
        let (row, as_of) = self.at(&did, at).await?;
        let past = self.past(&did, &row).await?;
        let (row, body) = found(&past, &path).await?;
        Ok(RecordView {
            uri: format!("at://{did}/{path}"),
            cid: row.cid.to_string(),
            since: row.since.to_string(),
            value: json_of(&body),
            bytes: u64::try_from(body.len()).unwrap_or(u64::MAX),
            as_of: Some(as_of),
        })
    }

    /// One record as it was, with what restoring it needs. Without a point: the newest version that is kept and is not
    /// the current one; for a record that was deleted, the last one.
    ///
    /// # Errors
    /// As [`Archive::record_at`].
    pub async fn old_record(&self, uri: &AtUri, at: Option<At>) -> ArchiveResult<OldRecord> {
        let (did, path) = self.address(uri).await?;
        let at = match at {
            Some(at) => at,
            None => self.last_other(&did, &path).await?,
        };
        let (row, as_of) = self.at(&did, at).await?;
        let past = self.past(&did, &row).await?;
        let (row, body) = found(&past, &path).await?;
        let now = match self.store().live_repo(&did).await? {
            Some(repo) => self.store().record(repo.id, &path).await?,
            None => None,
        };
        let mut blobs = Vec::new();
        for blob in blobs_of(&body).0 {
            let held =
                self.store().blob(&did, &blob.cid).await?.is_some_and(|row| row.state == BlobState::Held);
            blobs.push(NamedBlob { cid: blob.cid.to_string(), mime: blob.mime, size: blob.size, held });
        }
        Ok(OldRecord {
            uri: format!("at://{did}/{path}"),
            as_of,
            cid: row.cid.to_string(),
            value: json_of(&body),
            block: data_encoding::BASE64.encode(&body),
            blobs,
            now: now.as_ref().map(|row| row.cid.to_string()),
            now_value: now.and_then(|row| row.body).as_deref().and_then(json_of),
            written: None,
        })
    }

    /// The last point at which a version other than the current one stood.
    async fn last_other(&self, did: &Did, path: &RecordPath) -> ArchiveResult<At> {
        let versions = self.store().versions(did, path).await?;
        let horizon = self.inner().account(did).await?.horizon;
        let now = versions.iter().find(|(_, until)| until.is_none()).map(|(row, _)| row.cid);
        let other = versions
            .iter()
            .rev()
            .filter_map(|(row, until)| Some((row, (*until)?)))
            .find(|(row, until)| now != Some(row.cid) && horizon.is_none_or(|horizon| *until > horizon));
        let Some((_, until)) = other else {
            return Err(match now {
                Some(_) => ArchiveError::NoOtherVersion(format!("at://{did}/{path}")),
                None => ArchiveError::NoRecord(format!("at://{did}/{path}")),
            });
        };
        // The head before the one that superseded it.
        let line = self.store().live_repo(did).await?.map_or(0, |repo| repo.line);
        let rows = self.store().history(did, Some(until), 100).await?;
        let row = rows.into_iter().find(|row| row.line == line);
        row.map(|row| At::Rev(row.head.rev))
            .ok_or_else(|| ArchiveError::NoRecord(format!("at://{did}/{path}")))
    }
}

fn json_of(body: &[u8]) -> Option<Value> {
    decode(body, &Limits::RECORD).ok().map(|value| to_json(&value))
}

/// A record of a state with its bytes.
async fn found(past: &Past, path: &RecordPath) -> ArchiveResult<(RecordRow, Vec<u8>)> {
    let uri = format!("at://{}/{path}", past.did());
    let none = || ArchiveError::NotThen { uri: uri.clone(), rev: past.row().head.rev };
    let row = past.record(path).await.map_err(from_refusal)?.ok_or_else(none)?;
    if row.damaged {
        let what = format!("the record {path} as of {}", past.row().head.rev);
        return Err(p2pds_store::StoreError::Damaged(what).into());
    }
    let body = row.body.clone().ok_or_else(|| ArchiveError::NoRecord(uri.clone()))?;
    Ok((row, body))
}
