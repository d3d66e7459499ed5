//! From what changes to what is stored and told: the plan, the signed commit, the event, the units.

use p2pds_ipld::{Cid, car};
use p2pds_repo::bucket::Plan;
use p2pds_repo::commit::{Commit, Unsigned};
use p2pds_repo::event::{Action, EventOp, MAX_BLOCKS};
use p2pds_store::view::stored_changes;
use p2pds_store::{BucketUpdate, Change, Head, HostingUnit, Seen, Unit, Version};
use p2pds_syntax::{Did, ErrorKind, Tid};

use super::WriteResult;
use super::backlinks::links_unit;
use super::hot::Hot;
use super::resolve::{Changed, Resolved, plan_error};
use crate::events::{self, CommitWords};
use crate::{Host, HostError, HostResult};

/// Room for CID and length of a block in a CAR, bytes.
const SECTION: u64 = 40;
/// Room for what a commit has beside the DID, bytes.
const COMMIT: u64 = 300;

/// A write that only has to be stored.
pub(super) struct Sealed {
    pub(super) head: Head,
    pub(super) units: Vec<Unit>,
    pub(super) results: Vec<WriteResult>,
}

impl Host {
    /// Plans the change, signs the commit, encodes the event. The spine has taken the plan in when this answers.
    pub(super) fn seal(&self, hot: &mut Hot, resolved: Resolved<'_>) -> HostResult<Sealed> {
        let Resolved { ops, changes, results } = resolved;
        let plan = hot.warm.plan(&mut hot.spine, &ops).map_err(|error| plan_error(hot, error.into()))?;
        let proof = event_nodes(&plan);
        check_size(hot.did(), &proof, &changes)?;
        let now = self.now();
        let rev = self.writes().next_rev(Some(hot.head().rev), now)?;
        let (commit, head) = sign(hot.did(), rev, plan.root, &*hot.signer, &hot.key)?;
        let block = commit.encode();
        let records: Vec<(Cid, &[u8])> = changes
            .iter()
            .filter_map(|change| change.new)
            .map(|block| (block.cid, block.bytes.as_slice()))
            .collect();
        let event = events::commit(
            CommitWords {
                did: hot.did(),
                rev,
                since: Some(hot.head().rev),
                commit: head.commit,
                block: &block,
                prev_data: Some(plan.prev_root),
                ops: changes.iter().map(event_op).collect(),
                proof: &proof,
                records: &records,
            },
            now,
        )?;
        let did = hot.did().clone();
        let links = links_unit(&did, hot.repo().id, &changes);
        let mut units = Vec::with_capacity(3);
        units.push(Unit::ApplyCommit {
            did,
            expect: hot.head().rev,
            head: Box::new(head.clone()),
            changes: changes.into_iter().map(stored_change).collect(),
            buckets: BucketUpdate::Planned(stored_changes(plan.bucket_changes, rev)),
            seen: Seen { at: now, since: Some(hot.head().rev) },
        });
        units.extend(links.map(|unit| Unit::Hosting(Box::new(HostingUnit::Links(unit)))));
        units.push(event);
        Ok(Sealed { head, units, results })
    }
}

/// Signs a commit of this host's making, which is the only thing an account's key ever signs in a repo.
pub(super) fn sign(
    did: &Did,
    rev: Tid,
    data: Cid,
    signer: &dyn p2pds_crypto::Signer,
    key: &str,
) -> HostResult<(Commit, Head)> {
    let commit = Unsigned { did: did.clone(), rev, data }.sign(signer).map_err(|error| {
        tracing::error!(event = "host.sign", %did, %error, "a commit could not be signed");
        HostError::new(
            ErrorKind::Unavailable,
            "InternalServerError",
            "the commit could not be signed; the operator's log says why",
        )
    })?;
    let head = Head { rev, data, commit: commit.cid(), sig: commit.sig, key: key.to_owned(), raw: None };
    Ok((commit, head))
}

/// The nodes of an event: the covering proof, and whatever is new in the tree beside it.
fn event_nodes(plan: &Plan) -> Vec<(Cid, Vec<u8>)> {
    let mut nodes = plan.proof_blocks.clone();
    let known: std::collections::HashSet<Cid> = nodes.iter().map(|(cid, _)| *cid).collect();
    nodes.extend(plan.new_nodes.iter().filter(|(cid, _)| !known.contains(cid)).cloned());
    nodes
}

/// Refuses, before anything is signed, what would not fit into one event.
fn check_size(did: &Did, nodes: &[(Cid, Vec<u8>)], changes: &[Changed<'_>]) -> HostResult<()> {
    let nodes = nodes.iter().map(|(_, bytes)| bytes.len());
    let records = changes.iter().filter_map(|change| change.new).map(|block| block.bytes.len());
    let fixed = COMMIT.saturating_add(car::header_len() as u64).saturating_add(did.as_str().len() as u64);
    let bytes = nodes
        .chain(records)
        .fold(fixed, |sum, block| sum.saturating_add(block as u64).saturating_add(SECTION));
    if bytes > MAX_BLOCKS {
        return Err(HostError::invalid(format!(
            "Too many writes. Max event size: 2MB; this would be {bytes} bytes, send it in several calls"
        )));
    }
    Ok(())
}

fn event_op(change: &Changed<'_>) -> EventOp {
    let cid = change.new.map(|block| block.cid);
    let action = match (change.old, cid) {
        (_, None) => Action::Delete,
        (None, Some(_)) => Action::Create,
        (Some(_), Some(_)) => Action::Update,
    };
    EventOp { path: change.path.clone(), action, cid, prev: change.old }
}

fn stored_change(change: Changed<'_>) -> Change {
    let new = change.new.map(|block| Version {
        cid: block.cid,
        body: Some(block.bytes.clone()),
        blobs: block.blobs.clone(),
    });
    Change { key: change.path, old: change.old, new }
}
