//! Blocks and blobs for those who name no account: RASL and the IPFS trustless gateway.
//!
//! What is given out here is in the present repo of an account that this reader may read, found through the index of
//! served CIDs; nothing is fetched from elsewhere, and nothing of a hidden or deleted account is found, whoever else
//! has had the same bytes.

pub mod ipfs;
pub mod rasl;

use p2pds_ipld::{Cid, Codec};
use p2pds_reading::{Refusal, View, Viewer};
use p2pds_store::Account;
use p2pds_syntax::{Did, ErrorKind};

use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;

/// A block or blob that may be given out.
pub(crate) enum Found {
    /// A block of a repo.
    Block {
        /// The state that it is in.
        seen: Box<View>,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// A blob.
    Blob {
        /// Whose it is.
        account: Box<Account>,
    },
}

/// Looks for a CID among the served accounts. `None`: nobody who may be read has it.
pub(crate) async fn find(door: &Xrpc, asked: &Asked, cid: &Cid) -> Result<Option<Found>, XrpcError> {
    door.limits.may_look(asked)?;
    let candidates = door.reading.candidates(cid);
    if candidates.is_empty() {
        door.limits.unknown_cid(asked);
        return Ok(None);
    }
    let _held = door.limits.heavy(asked).await?;
    let mut trouble = None;
    for did in candidates {
        match one(door, asked.viewer, &did, cid).await {
            Ok(found) => return Ok(Some(found)),
            Err(refusal) => match refusal.kind() {
                ErrorKind::NotFound | ErrorKind::Denied => {}
                _ => trouble = Some(refusal),
            },
        }
    }
    door.limits.unknown_cid(asked);
    trouble.map_or(Ok(None), |refusal| Err(refusal.into()))
}

async fn one(door: &Xrpc, viewer: Viewer, did: &Did, cid: &Cid) -> Result<Found, Refusal> {
    if cid.codec() == Codec::Raw {
        let account = Box::new(door.reading.account(viewer, did).await?);
        door.reading.blob_row(viewer, did, cid).await?;
        return Ok(Found::Blob { account });
    }
    let seen = door.reading.view(viewer, did).await?;
    let bytes = door.reading.served_block(viewer, &seen, cid).await?;
    Ok(Found::Block { seen: Box::new(seen), bytes })
}
