//! The operator's commands about serving: to whom an account is served, and which CIDs nobody gets.

use p2pds_ipld::Cid;
use p2pds_reading::BlockedCid;
use serde::{Deserialize, Serialize};

use crate::node::engine::Engine;
use crate::operator::answer::Answer;
use crate::operator::{Command, Failure};

/// A blocked CID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedLine {
    /// The CID.
    pub cid: String,
    /// When it was blocked, microseconds since 1970.
    pub at: i64,
    /// Why.
    pub reason: String,
}

impl From<BlockedCid> for BlockedLine {
    fn from(blocked: BlockedCid) -> Self {
        Self { cid: blocked.cid.to_string(), at: blocked.at, reason: blocked.reason }
    }
}

/// Answers one of these commands.
pub(super) async fn answer(engine: &Engine, command: Command) -> Result<Answer, Failure> {
    Ok(match command {
        Command::Serve { account, to, basis } => {
            let did = engine.archive.find(&account).await?;
            let note = engine.archive.serve(&did, &to, basis.as_deref()).await?;
            engine.reading.index_soon();
            Answer::Serving(Box::new(note))
        }
        Command::BlockCid { cid, reason } => {
            let cid = parse(&cid)?;
            let blocked = engine.reading.block_cid(&cid, &reason, engine.archive.now()).await?;
            tracing::info!(event = "serving.blocked", %cid, "a CID was blocked");
            Answer::Blocked(vec![blocked.into()])
        }
        Command::UnblockCid { cid } => {
            let cid = parse(&cid)?;
            if !engine.reading.unblock_cid(&cid).await? {
                return Err(Failure::new("notfound", format!("{cid} is not blocked"))
                    .hint("`p2pds archive blocked` lists what is"));
            }
            tracing::info!(event = "serving.unblocked", %cid, "a CID is not blocked any more");
            Answer::Blocked(Vec::new())
        }
        _ => Answer::Blocked(engine.reading.blocked().await?.into_iter().map(Into::into).collect()),
    })
}

fn parse(text: &str) -> Result<Cid, Failure> {
    text.trim().parse().map_err(|_| {
        Failure::new("invalid", format!("`{text}` is no CID of this protocol"))
            .hint("a CID looks like bafyrei… (records, tree nodes) or bafkrei… (blobs)")
    })
}
