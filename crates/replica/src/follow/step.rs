//! The rules, cheapest first: origin, revision, status, proof, signature, chain.

use p2pds_ipld::Cid;
use p2pds_repo::commit::Commit;
use p2pds_repo::event::{CommitEvent, EventError, Follows, Proved, Verified, prove, read_head, read_sync};
use p2pds_syntax::Tid;

use super::decision::{Decision, Ignored, Refresh, Refused, Resync};
use super::state::{State, Status, in_future};
use super::{Context, Key, MAX_SKEW_MICROS, Origin};
use crate::frame::{Account, Frame, Legacy, Sync};

/// What one frame means for the account that it concerns.
///
/// The caller hands in frames of this account only, in the order of the stream, one at a time.
pub fn step<'a>(state: &mut State, frame: Frame<'a>, at: &Context<'_>) -> Decision<'a> {
    match frame {
        Frame::Commit(frame) => commit(state, frame.event, frame.legacy, at),
        Frame::Sync(frame) => sync(state, &frame, at),
        Frame::Identity(_) => match state.schedule_refresh(at.now) {
            Some(at) => Decision::Refresh { why: Refresh::Event, at },
            None => Decision::Ignore(Ignored::Scheduled),
        },
        Frame::Account(frame) => account(state, &frame, at),
        Frame::Info(_) | Frame::Error(_) | Frame::Unknown(_) => Decision::Ignore(Ignored::NotAnAccount),
    }
}

fn commit<'a>(
    state: &mut State,
    event: CommitEvent<'a>,
    legacy: Option<Legacy>,
    at: &Context<'_>,
) -> Decision<'a> {
    if let Some(decision) = before_proof(state, event.rev, event.commit, at) {
        return decision;
    }
    if let Some(legacy) = legacy {
        let why = if legacy == Legacy::TooBig { Resync::TooBig } else { Resync::Rebase };
        return out_of_step(state, event.rev, why);
    }
    let (repo, rev, cid, blocks) = (event.repo.clone(), event.rev, event.commit, event.blocks);
    let proved = match prove(event) {
        Ok(proved) => proved,
        Err(error) => return unproved(state, error, read_head(&repo, rev, cid, blocks).ok(), at),
    };
    match signed(proved, at) {
        Some(event) => chain(state, event),
        None => unsigned(state, rev, at),
    }
}

/// What can be said from the claims alone.
fn before_proof(state: &mut State, rev: Tid, cid: Cid, at: &Context<'_>) -> Option<Decision<'static>> {
    if let Some(head) = state.head {
        if head.commit == cid {
            return Some(Decision::Ignore(Ignored::Same));
        }
        if rev < head.rev {
            return Some(Decision::Ignore(Ignored::Older));
        }
    }
    if in_future(rev, at.now) {
        return Some(Decision::Refuse(Refused::Future { rev }));
    }
    if at.origin == Origin::Other {
        return Some(foreign(state, at));
    }
    if state.status.withdrawn() {
        return Some(if !at.again && state.may_refresh(at.now) {
            Decision::Refresh { why: Refresh::Inactive, at: at.now }
        } else {
            Decision::Ignore(Ignored::Inactive)
        });
    }
    None
}

fn foreign(state: &mut State, at: &Context<'_>) -> Decision<'static> {
    if !at.again && state.may_refresh(at.now) {
        Decision::Refresh { why: Refresh::Host, at: at.now }
    } else {
        Decision::Refuse(Refused::Host)
    }
}

/// The event proves nothing. When its commit is signed, the host does have something new.
fn unproved(
    state: &mut State,
    error: EventError,
    commit: Option<Commit>,
    at: &Context<'_>,
) -> Decision<'static> {
    let Some(commit) = commit.filter(|commit| by_a_key(commit, at.keys)) else {
        return Decision::Refuse(Refused::Proof(error));
    };
    match twin(state, &commit) {
        Some(twin) => twin,
        None => Decision::Resync { why: state.lose_for(commit.rev, Resync::Unproved), error: Some(error) },
    }
}

/// The event as signed by the current key, or by one that was in force at its revision.
fn signed<'a>(proved: Proved<'a>, at: &Context<'_>) -> Option<Verified<'a>> {
    let rev = proved.commit().rev;
    let mut rest = proved;
    for key in at.keys.iter().filter(|key| counts(key, rev)) {
        match rest.signed_by(&key.key) {
            Ok(event) => return Some(event),
            Err((back, _)) => rest = back,
        }
    }
    None
}

fn by_a_key(commit: &Commit, keys: &[Key]) -> bool {
    keys.iter().any(|key| counts(key, commit.rev) && commit.verify(&key.key).is_ok())
}

fn counts(key: &Key, rev: Tid) -> bool {
    let rev = i64::try_from(rev.micros()).unwrap_or(i64::MAX);
    key.until.is_none_or(|until| rev <= until.saturating_add(MAX_SKEW_MICROS))
}

fn unsigned(state: &mut State, rev: Tid, at: &Context<'_>) -> Decision<'static> {
    if at.again {
        return Decision::Refuse(Refused::Signature { rev, recheck_at: None });
    }
    if state.may_refresh(at.now) {
        return Decision::Refresh { why: Refresh::Signature, at: at.now };
    }
    Decision::Refuse(Refused::Signature { rev, recheck_at: state.schedule_refresh(at.now) })
}

/// The commit is real. Is it the next one?
fn chain<'a>(state: &mut State, event: Verified<'a>) -> Decision<'a> {
    if let Some(twin) = twin(state, event.commit()) {
        return twin;
    }
    let rev = event.commit().rev;
    let Some(head) = state.head else { return out_of_step(state, rev, Resync::Unknown) };
    if state.lost.is_some() {
        state.want(rev);
        return Decision::Ignore(Ignored::Lost);
    }
    match event.follows(head.rev, head.data) {
        Follows::Next => {
            state.advance(&event);
            let skipped = event.since() != Some(head.rev);
            Decision::Apply { event, skipped }
        }
        Follows::Unknown if event.since() == Some(head.rev) => {
            state.advance(&event);
            Decision::Compare { event }
        }
        Follows::Unknown | Follows::Gap => out_of_step(state, rev, Resync::Gap),
        Follows::Same | Follows::Behind => Decision::Ignore(Ignored::Older),
    }
}

/// Another commit under the revision that is stored.
fn twin(state: &State, commit: &Commit) -> Option<Decision<'static>> {
    let head = state.head.filter(|head| head.rev == commit.rev)?;
    let block = commit.encode();
    let other = Cid::of_cbor(&block);
    Some(Decision::Refuse(Refused::Equivocation {
        rev: commit.rev,
        held: head.commit,
        other,
        signed: Some(block),
    }))
}

fn out_of_step(state: &mut State, rev: Tid, why: Resync) -> Decision<'static> {
    Decision::Resync { why: state.lose_for(rev, why), error: None }
}

fn sync(state: &mut State, frame: &Sync<'_>, at: &Context<'_>) -> Decision<'static> {
    let commit = match read_sync(&frame.did, frame.rev, frame.blocks) {
        Ok(commit) => commit,
        Err(error) => return Decision::Refuse(Refused::Proof(error)),
    };
    let cid = Cid::of_cbor(&commit.encode());
    match (before_proof(state, commit.rev, cid, at), state.head) {
        // A commit that is older may be a repetition; this is an announcement.
        (Some(Decision::Ignore(Ignored::Older)), Some(head)) if by_a_key(&commit, at.keys) => {
            return Decision::Refuse(Refused::Older { rev: commit.rev, held: head.rev });
        }
        (Some(decision), _) => return decision,
        (None, _) => {}
    }
    if !by_a_key(&commit, at.keys) {
        return unsigned(state, commit.rev, at);
    }
    if let Some(twin) = twin(state, &commit) {
        return twin;
    }
    match &mut state.head {
        Some(head) if head.data == commit.data && state.lost.is_none() => {
            head.rev = commit.rev;
            head.commit = cid;
            Decision::Touch { commit, cid }
        }
        Some(_) if state.lost.is_some() => {
            state.want(commit.rev);
            Decision::Ignore(Ignored::Lost)
        }
        Some(_) => out_of_step(state, commit.rev, Resync::Sync),
        None => out_of_step(state, commit.rev, Resync::Unknown),
    }
}

fn account(state: &mut State, frame: &Account<'_>, at: &Context<'_>) -> Decision<'static> {
    let status = Status::of(frame.active, frame.status);
    if status == state.status {
        return Decision::Ignore(Ignored::Same);
    }
    if at.origin == Origin::Other {
        return foreign(state, at);
    }
    state.status = status;
    Decision::Status { status, confirm: at.origin == Origin::Relay }
}
