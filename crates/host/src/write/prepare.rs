//! From what a caller sent to blocks: everything that can be said without looking into the repo.

use p2pds_ipld::Cid;
use p2pds_ipld::Codec;
use p2pds_ipld::cbor::{self, Item, Limits, Value};
use p2pds_store::BlobRef;
use p2pds_syntax::{Did, Nsid, RecordPath, Rkey};

use super::backlinks::{Link, link_of};
use super::schemas::{Status, Validate};
use super::{Swap, Write};
use crate::{Host, HostError, HostResult};

/// Largest record, bytes of its block.
pub const MAX_RECORD: usize = 1_000_000;

/// What we write ourselves: no larger than others accept, DASL CIDs only.
const LIMITS: Limits = Limits { max_len: MAX_RECORD, ..Limits::STRICT };

/// What is to happen at a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    Create,
    Update,
    Put(Swap),
    Delete { swap: Swap, missing_ok: bool },
}

/// A write with its block.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) path: RecordPath,
    pub(super) aim: Aim,
    /// The record; `None` for a deletion.
    pub(super) block: Option<Block>,
}

/// A record as it is stored.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) cid: Cid,
    pub(super) bytes: Vec<u8>,
    pub(super) blobs: Vec<BlobRef>,
    pub(super) status: Option<Status>,
    /// The subject of a follow, like, repost or block.
    pub(super) link: Option<Link>,
}

impl Host {
    /// Prepares all writes; the first that breaks a rule is the answer.
    pub(super) async fn prepare(
        &self,
        did: &Did,
        writes: Vec<Write>,
        validate: Validate,
    ) -> HostResult<Vec<Prepared>> {
        let asked = writes.into_iter().map(|write| self.asked(write)).collect::<HostResult<Vec<_>>>()?;
        // Schemas that are not known yet are asked for side by side.
        let prepared = asked.into_iter().map(|(collection, rkey, aim, record)| async move {
            let block = match record {
                Some(record) => Some(self.block(&collection, &rkey, record, validate).await?),
                None => None,
            };
            Ok::<_, HostError>(Prepared { path: RecordPath::new(&collection, &rkey), aim, block })
        });
        let prepared = futures::future::try_join_all(prepared).await?;
        once_each(did, &prepared)?;
        Ok(prepared)
    }

    /// The parts of a write, with a key if it has none.
    fn asked(&self, write: Write) -> HostResult<(Nsid, Rkey, Aim, Option<Value>)> {
        Ok(match write {
            Write::Create { collection, rkey, record } => {
                let rkey = rkey.map_or_else(|| self.new_rkey(), Ok)?;
                (collection, rkey, Aim::Create, Some(record))
            }
            Write::Update { collection, rkey, record } => (collection, rkey, Aim::Update, Some(record)),
            Write::Put { collection, rkey, record, swap } => (collection, rkey, Aim::Put(swap), Some(record)),
            Write::Delete { collection, rkey, swap, missing_ok } => {
                (collection, rkey, Aim::Delete { swap, missing_ok }, None)
            }
        })
    }

    async fn block(
        &self,
        collection: &Nsid,
        rkey: &Rkey,
        record: Value,
        validate: Validate,
    ) -> HostResult<Block> {
        let record = typed(collection, record)?;
        let bytes = cbor::encode(&record);
        let (blobs, link) = (named_blobs(&bytes)?, link_of(collection.as_str(), &record));
        let status = self.check_schema(collection, rkey, &record, validate).await?;
        Ok(Block { cid: Cid::of_cbor(&bytes), bytes, blobs, status, link })
    }

    /// A record key from the time, different from every one made before.
    fn new_rkey(&self) -> HostResult<Rkey> {
        let tid = self.writes().next_tid(self.now());
        Rkey::parse(&tid.to_string()).map_err(|error| {
            HostError::new(p2pds_syntax::ErrorKind::Bug, "InternalServerError", error.to_string())
        })
    }
}

/// The record with its `$type`, which is its collection.
fn typed(collection: &Nsid, record: Value) -> HostResult<Value> {
    let found = match record.get("$type") {
        Some(Value::Text(found)) if found == collection.as_str() => return Ok(record),
        Some(Value::Text(found)) => found.clone(),
        Some(_) => "something that is not text".to_owned(),
        None => {
            let Value::Map(mut entries) = record else {
                return Err(HostError::invalid("Invalid record: it must be an object"));
            };
            entries.push(("$type".to_owned(), Value::Text(collection.to_string())));
            return Ok(Value::map(entries));
        }
    };
    Err(HostError::invalid(format!(
        "Invalid $type: expected {collection}, got {found}; a record's type is its collection"
    )))
}

/// The blobs that a block names, each once. Refuses the form without a size, and what exceeds the limits.
fn named_blobs(bytes: &[u8]) -> HostResult<Vec<BlobRef>> {
    let mut blobs: Vec<BlobRef> = Vec::new();
    let mut fault = None;
    let scanned = cbor::scan(bytes, &LIMITS, &mut |item| {
        let Item::Blob(blob) = item else { return };
        match blob.size {
            _ if fault.is_some() => {}
            None => {
                fault = Some(format!(
                    "Legacy blobs are not allowed ({}); upload the blob and use the reference that comes back",
                    blob.cid
                ));
            }
            Some(_) if blob.cid.codec() != Codec::Raw => {
                fault = Some(format!("{} cannot be a blob: the CID of a blob is one of raw bytes", blob.cid));
            }
            Some(size) => match blobs.iter().find(|known| known.cid == blob.cid) {
                Some(known) if known.size != size => {
                    fault = Some(format!("the record names the blob {} with two sizes", blob.cid));
                }
                Some(_) => {}
                None => blobs.push(BlobRef { cid: blob.cid, size, mime: blob.mime.to_owned() }),
            },
        }
    });
    match (scanned, fault) {
        (_, Some(fault)) => Err(HostError::invalid(fault)),
        (Err(_), None) if bytes.len() > MAX_RECORD => Err(HostError::invalid(format!(
            "the record has {} bytes, at most {MAX_RECORD} are accepted; put what is large into blobs",
            bytes.len()
        ))),
        (Err(error), None) => Err(HostError::invalid(format!("Invalid record: {error}"))),
        (Ok(()), None) => Ok(blobs),
    }
}

/// Refuses two writes at one key: their order would decide, and events have none.
fn once_each(did: &Did, prepared: &[Prepared]) -> HostResult<()> {
    let mut paths: Vec<&RecordPath> = prepared.iter().map(|write| &write.path).collect();
    paths.sort_unstable();
    match paths.iter().zip(paths.iter().skip(1)).find(|(a, b)| a == b) {
        Some((path, _)) => Err(HostError::invalid(format!(
            "at://{did}/{path} is written twice in one call; send one write for each record, or several calls"
        ))),
        None => Ok(()),
    }
}
