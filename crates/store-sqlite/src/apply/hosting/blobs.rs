//! Uploads and withheld blobs.

use p2pds_ipld::Cid;
use p2pds_store::BlobState;
use p2pds_store::hosting::{BlobsApplied, BlobsUnit};
use p2pds_syntax::Did;
use rusqlite::{OptionalExtension, params};

use crate::apply::{Apply, mismatch};
use crate::codes::blob_cid;
use crate::fault::Outcome;

impl Apply {
    pub(in crate::apply) fn blobs_unit(&mut self, unit: &BlobsUnit) -> Outcome<BlobsApplied> {
        match unit {
            BlobsUnit::Uploaded { did, cid, size, mime, at } => {
                let now = match self.state_of(did, cid)? {
                    Some(BlobState::Quarantined { reference }) => {
                        return Ok(BlobsApplied::Now(Some(BlobState::Quarantined { reference })));
                    }
                    Some(BlobState::Held) => BlobState::Held,
                    _ if self.is_named(did, cid)? => BlobState::Held,
                    _ => BlobState::Temporary { at: *at },
                };
                // What is held keeps the type that it was stored with.
                let mime = (now != BlobState::Held || self.state_of(did, cid)? != Some(BlobState::Held))
                    .then_some(mime.as_str());
                self.put_blob(did, cid, (Some(*size), mime), &now)?;
                Ok(BlobsApplied::Now(Some(now)))
            }
            BlobsUnit::Expire { did, cid, before } => {
                let expired =
                    matches!(self.state_of(did, cid)?, Some(BlobState::Temporary { at }) if at < *before);
                if expired {
                    self.drop_blob(did, cid)?;
                }
                Ok(BlobsApplied::Dropped(expired))
            }
            BlobsUnit::Quarantine { did, cid, reference } => {
                let now = BlobState::Quarantined { reference: reference.clone() };
                self.put_blob(did, cid, (None, None), &now)?;
                Ok(BlobsApplied::Now(Some(now)))
            }
            BlobsUnit::Release { did, cid, here, at } => {
                let old = self.state_of(did, cid)?;
                if !matches!(old, Some(BlobState::Quarantined { .. })) {
                    return Ok(BlobsApplied::Now(old));
                }
                let now = match (self.is_named(did, cid)?, here) {
                    (true, Some(_)) => BlobState::Held,
                    (true, None) => BlobState::Missing { tries: 0, last_error: None, next_try: 0 },
                    (false, Some(_)) => BlobState::Temporary { at: *at },
                    (false, None) => {
                        self.drop_blob(did, cid)?;
                        return Ok(BlobsApplied::Now(None));
                    }
                };
                self.put_blob(did, cid, (*here, None), &now)?;
                Ok(BlobsApplied::Now(Some(now)))
            }
            BlobsUnit::Expect { did, cids } => {
                for cid in cids {
                    if !matches!(
                        self.state_of(did, cid)?,
                        Some(BlobState::Held | BlobState::Temporary { .. })
                    ) {
                        return Err(mismatch(did, format!("blob {cid} is not here any more")));
                    }
                }
                Ok(BlobsApplied::Now(None))
            }
        }
    }

    fn state_of(&self, did: &Did, cid: &Cid) -> Outcome<Option<BlobState>> {
        Ok(crate::read::blobs::one(&self.conn, did, cid)?.map(|row| row.state))
    }

    /// Whether a record of the live repo names the blob.
    fn is_named(&mut self, did: &Did, cid: &Cid) -> Outcome<bool> {
        let account = self.account_id(did)?;
        let named: Option<i64> = self
            .conn
            .prepare_cached(
                "SELECT 1 FROM blob_ref WHERE cid = ?2 AND repo IN
                   (SELECT id FROM repo WHERE account = ?1 AND role < 2) LIMIT 1",
            )?
            .query_row(params![account, blob_cid(cid)], |r| r.get(0))
            .optional()?;
        Ok(named.is_some())
    }
}
