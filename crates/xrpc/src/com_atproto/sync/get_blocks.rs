//! `com.atproto.sync.getBlocks`: some blocks of the current repo as a CAR without a root. All of them, or an error.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use p2pds_ipld::car::{write_header, write_section};

use crate::asked::{Asked, parse_cid};
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::reply;

/// Blocks of one request.
pub const MOST: usize = 200;
/// Bytes of one answer.
const MOST_BYTES: usize = 16 << 20;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let did = asked.params.did("did")?;
    let asked = asked.about(&did);
    let cids = asked.params.all("cids").map(parse_cid).collect::<Result<Vec<_>, _>>()?;
    if cids.is_empty() || cids.len() > MOST {
        return Err(XrpcError::invalid(format!("cids must name 1 to {MOST} blocks")));
    }
    let _held = door.limits.heavy(&asked).await?;
    let seen = door.reading.view(asked.viewer, &did).await?;
    let (mut out, mut missing) = (Vec::new(), Vec::new());
    write_header(&mut out, &[]);
    for cid in &cids {
        match door.reading.served_block(asked.viewer, &seen, cid).await.map_err(XrpcError::from) {
            Ok(bytes) => write_section(&mut out, cid, &bytes),
            Err(error) if error.name == "BlockNotFound" => missing.push(cid.to_string()),
            Err(error) => return Err(error),
        }
        if out.len() > MOST_BYTES {
            return Err(XrpcError::invalid("these blocks are too many bytes for one answer; ask for fewer"));
        }
    }
    if !missing.is_empty() {
        return Err(XrpcError::absent(
            "BlockNotFound",
            format!("Could not find blocks: {}", missing.join(",")),
        ));
    }
    // The account may have been withdrawn while the blocks were gathered.
    door.reading.account(asked.viewer, &did).await?;
    Ok(reply::mirrored(reply::bytes(reply::CAR, "blocks.car", out), &seen))
}
