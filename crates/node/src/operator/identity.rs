//! Commands about identities.

use std::time::Duration;

use p2pds_archive::Archive;

use crate::operator::answer::{Acknowledged, Answer};
use crate::operator::{Command, Failure};

pub(super) async fn answer(archive: &Archive, command: Command) -> Result<Answer, Failure> {
    match command {
        Command::PlcLog { account } => {
            let did = archive.find(&account).await?;
            Ok(Answer::Identity(Box::new(archive.identity_history(&did).await?)))
        }
        Command::PlcAnnounce { account, within_secs, reason } => {
            let did = archive.find(&account).await?;
            let within = Duration::from_secs(within_secs);
            Ok(Answer::Announced(archive.announce(&did, within, given(&reason)?).await?))
        }
        Command::PlcAck { account, operation, reason } => {
            let did = archive.find(&account).await?;
            archive.acknowledge(&did, &operation, given(&reason)?).await?;
            Ok(Answer::Acknowledged(Acknowledged { did: did.to_string(), operation }))
        }
        _ => Err(Failure::new("bug", "a command came to the wrong room: a defect in p2pds")),
    }
}

/// A reason that says something.
fn given(reason: &str) -> Result<&str, Failure> {
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > 2_000 {
        return Err(Failure::new("invalid", "the reason must say something, in 2,000 bytes at most")
            .hint("it is kept with the account, for whoever looks later"));
    }
    Ok(reason)
}
