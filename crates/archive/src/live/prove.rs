//! What a batch of one account's events comes to: decoded, proved, judged. Pure and slow, so it runs where computing is
//! allowed; what it says is carried out in order by `apply.rs`.

use bytes::Bytes;
use p2pds_replica::follow::{Decision, Ignored, Key, Refresh, Refused, Resync, State, Status};
use p2pds_replica::{Context, FrameError, Origin, decode, step};
use p2pds_repo::commit::Commit;
use p2pds_repo::event::{EventError, Verified};
use p2pds_store::{Change, Head, Version};
use p2pds_syntax::Tid;

use crate::stage::blobs_of;

/// What one event asks for, free of the bytes that it came in.
#[derive(Debug)]
pub(crate) enum Step {
    /// Store this commit.
    Apply(Box<Ready>),
    /// Store this commit if its changes give its root on the stored tree.
    Compare(Box<Ready>),
    /// The account's status at its host.
    Status { status: Status, confirm: bool },
    /// Look the identity up again, and then at this event again if it says so.
    Refresh { why: Refresh, at: i64 },
    /// Fetch the account anew; with what was wrong with the event, if its commit is good and its proof is not.
    Resync(Resync, Option<Refusal>),
    /// Not believed.
    Refused(Refusal),
    /// Nothing.
    Ignored(Ignored),
}

/// A commit that is proved and signed, ready for the store.
#[derive(Debug)]
pub(crate) struct Ready {
    /// The revision that it follows.
    pub(crate) expect: Option<Tid>,
    pub(crate) head: Head,
    pub(crate) changes: Vec<Change>,
    /// It names blobs.
    pub(crate) blobs: bool,
    /// Revisions before it were not seen.
    pub(crate) skipped: bool,
    /// When it was seen, microseconds since 1970.
    pub(crate) at: i64,
}

/// An event that is not believed.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Stable word.
    pub(crate) word: &'static str,
    /// The rule that it breaks, in plain words that are the same each time.
    pub(crate) rule: &'static str,
    /// In plain words.
    pub(crate) words: String,
    /// Signed bytes that prove it.
    pub(crate) proof: Option<Vec<u8>>,
    /// Look the identity up then, as the limit does not allow it now.
    pub(crate) recheck_at: Option<i64>,
}

/// A batch and what it is judged by.
pub(crate) struct Batch {
    pub(crate) state: State,
    pub(crate) frames: Vec<(Bytes, Origin)>,
    pub(crate) keys: std::sync::Arc<[Key]>,
    pub(crate) now: i64,
    /// The first of them was judged before, and the identity was refreshed since.
    pub(crate) again: bool,
}

/// What came of a batch: one step for each frame that was judged, and the state after them.
pub(crate) struct Judged {
    pub(crate) state: State,
    pub(crate) steps: Vec<Step>,
}

impl Batch {
    /// Judges the frames in order, up to the first that asks for something other than storing.
    pub(crate) fn judge(mut self) -> Judged {
        let mut steps = Vec::with_capacity(self.frames.len());
        for (at, (frame, origin)) in self.frames.iter().enumerate() {
            let again = self.again && at == 0;
            let step = judge_one(&mut self.state, frame, *origin, &self.keys, self.now, again);
            let on = matches!(&step, Step::Apply(_) | Step::Ignored(_))
                || matches!(&step, Step::Refused(refusal) if refusal.recheck_at.is_none());
            steps.push(step);
            if !on {
                break;
            }
        }
        Judged { state: self.state, steps }
    }
}

fn judge_one(state: &mut State, frame: &[u8], origin: Origin, keys: &[Key], now: i64, again: bool) -> Step {
    let frame = match decode(frame) {
        Ok(frame) => frame,
        Err(error) => return Step::Refused(malformed(&error)),
    };
    let expect = state.head().map(|head| head.rev);
    match step(state, frame, &Context { now, origin, keys, again }) {
        Decision::Apply { event, skipped } => {
            Step::Apply(Box::new(ready(&event, expect, skipped, keys, now)))
        }
        Decision::Compare { event } => Step::Compare(Box::new(ready(&event, expect, true, keys, now))),
        Decision::Touch { commit, cid } => {
            let head = head(&commit, cid, keys);
            Step::Apply(Box::new(Ready {
                expect,
                head,
                changes: Vec::new(),
                blobs: false,
                skipped: true,
                at: now,
            }))
        }
        Decision::Ignore(why) => Step::Ignored(why),
        Decision::Resync { why, error } => {
            Step::Resync(why, error.map(|error| refusal(Refused::Proof(error))))
        }
        Decision::Refuse(refused) => Step::Refused(refusal(refused)),
        Decision::Refresh { why, at } => Step::Refresh { why, at },
        Decision::Status { status, confirm } => Step::Status { status, confirm },
    }
}

fn ready(event: &Verified<'_>, expect: Option<Tid>, skipped: bool, keys: &[Key], now: i64) -> Ready {
    let mut blobs = false;
    let changes = event
        .changes()
        .iter()
        .map(|change| {
            let new = change.new.map(|(cid, body)| {
                let (named, _) = blobs_of(body);
                blobs |= !named.is_empty();
                Version { cid, body: Some(body.to_vec()), blobs: named }
            });
            Change { key: change.path.clone(), old: change.old, new }
        })
        .collect();
    Ready { expect, head: head(event.commit(), event.cid(), keys), changes, blobs, skipped, at: now }
}

/// The stored form of a head.
fn head(commit: &Commit, cid: p2pds_ipld::Cid, keys: &[Key]) -> Head {
    // With one key there is nothing to find out: the signature was verified with it.
    let signer = match keys {
        [only] => Some(only),
        keys => keys.iter().find(|key| commit.verify(&key.key).is_ok()),
    };
    Head {
        rev: commit.rev,
        data: commit.data,
        commit: cid,
        sig: commit.sig,
        key: signer.map(|key| key.key.to_did_key()).unwrap_or_default(),
        raw: commit.raw.clone(),
    }
}

fn malformed(error: &FrameError) -> Refusal {
    let rule = "it sends events that break the schema";
    Refusal { word: "malformed-event", rule, words: error.to_string(), proof: None, recheck_at: None }
}

fn refusal(refused: Refused) -> Refusal {
    let words = refused.to_string();
    let word = match &refused {
        Refused::Proof(EventError::PrevData { .. }) => "wrong-prev-data",
        other => other.as_str(),
    };
    let rule = match word {
        "wrong-prev-data" => "it says that a commit follows another tree than it does",
        "no-proof" => "it sends events whose blocks do not prove what they say",
        "bad-signature" => "it sends commits that no key of the account signed",
        "foreign-host" => "it speaks for an account that is not there",
        "future-rev" => "it sends revisions that lie in the future",
        "older-head" => "it announces a head that is older than one it had",
        "equivocation" => "it sends two commits under one revision",
        _ => "it sends what is not believed",
    };
    let (proof, recheck_at) = match refused {
        Refused::Equivocation { signed, .. } => (signed, None),
        Refused::Signature { recheck_at, .. } => (None, recheck_at),
        _ => (None, None),
    };
    Refusal { word, rule, words, proof, recheck_at }
}
