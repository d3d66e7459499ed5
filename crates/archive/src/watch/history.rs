//! The history of an identity as it can be read.

use p2pds_identity::plc::{Log, State};
use p2pds_syntax::{Did, DidMethod};

use crate::archive::{Archive, Inner};
use crate::error::ArchiveResult;
use crate::report::{IdentityHistory, OperationLine, UndoLine, Verdict};

impl Archive {
    /// The history of an archived identity: every operation of its log in words, nullified ones included.
    ///
    /// # Errors
    /// [`ArchiveError::NotArchived`](crate::ArchiveError::NotArchived), store failures, a damaged log.
    pub async fn identity_history(&self, did: &Did) -> ArchiveResult<IdentityHistory> {
        let inner = self.inner();
        inner.account(did).await?;
        let log = inner.stored_plc_log(did).await?;
        let (operations, state) = match &log {
            Some(log) => (inner.operation_lines(did, log).await?, state_word(log)),
            None => (Vec::new(), "unknown"),
        };
        let known = inner.baseline(did).await?.unwrap_or(operations.len());
        let now = inner.now();
        let announcements = inner.said(did, known).await?.announcements;
        Ok(IdentityHistory {
            did: did.clone(),
            method: if did.method() == DidMethod::Plc { "plc" } else { "web" }.to_owned(),
            directory: inner.directory().config().plc_url.clone(),
            fetched_at: match did.method() {
                DidMethod::Plc => inner.store().plc_fetched_at(did).await?,
                _ => inner.store().identity(did).await?.map(|row| row.fetched_at),
            },
            state: state.to_owned(),
            operations,
            documents: inner.documents(did).await?,
            announced: announcements.into_iter().find(|a| a.at <= now && now <= a.until),
        })
    }
}

impl Inner {
    async fn operation_lines(&self, did: &Did, log: &Log) -> ArchiveResult<Vec<OperationLine>> {
        let known = self.baseline(did).await?.unwrap_or(log.entries().len());
        let said = self.said(did, known).await?;
        let now = self.now();
        let mut lines = Vec::new();
        for (step, entry) in log.steps().into_iter().zip(log.entries()) {
            let way = log.ways_to_undo(step.index).into_iter().find(|way| way.is_open(now));
            let verdict = if step.index == 0 { Verdict::Before } else { said.verdict(&step) };
            lines.push(OperationLine {
                number: number(step.index),
                cid: step.cid.to_string(),
                at: step.at,
                nullified: step.nullified,
                changes: step.differences.iter().map(ToString::to_string).collect(),
                grave: step.differences.iter().any(p2pds_identity::plc::Difference::is_grave),
                signer: step.signer.as_ref().map(|signer| signer.key.clone()),
                signer_position: step.signer.as_ref().map(|signer| number(signer.position)),
                signer_of: step.signer.as_ref().map(|signer| number(signer.of).saturating_sub(1)),
                undid: step.undid.iter().copied().map(number).collect(),
                rotation_keys: entry.operation.data().map(|data| data.rotation_keys).unwrap_or_default(),
                undo: way.map(|way| UndoLine {
                    until: way.until,
                    continue_from: way.from.to_string(),
                    keys: way.keys.into_iter().map(|(_, key)| key).collect(),
                }),
                verdict,
            });
        }
        Ok(lines)
    }
}

/// Places as people count them.
fn number(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1)
}

fn state_word(log: &Log) -> &'static str {
    match log.state() {
        State::Active(_) => "active",
        State::Tombstoned { .. } => "tombstoned",
    }
}
