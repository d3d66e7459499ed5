//! Bringing one account's repo up to date: what the host offers, judged; what is new, fetched, proved and taken over.

use std::path::Path;

use p2pds_directory::Identity;
use p2pds_ipld::Cid;
use p2pds_net::NetError;
use p2pds_store::{AccountPatch, AccountStatus, Repo, VerifiedState};
use p2pds_syntax::{Did, Tid};
use serde_json::json;

use crate::archive::Inner;
use crate::diff::Diffed;
use crate::error::{ArchiveError, ArchiveResult};
use crate::host::{Host, Latest, status_of, status_words, withheld};
use crate::judge::{Keys, Verdict, judge};
use crate::progress::{Phase, Progress};
use crate::report::Outcome;
use crate::take::{Terms, Took};

/// Finding: a host announces a head that it does not give out.
pub(crate) const HEAD_WITHHELD: &str = "head-withheld";

/// What one update did.
#[derive(Debug)]
pub(crate) struct Updated {
    pub(crate) outcome: Outcome,
    pub(crate) fetched_bytes: u64,
    pub(crate) notes: Vec<String>,
}

impl Updated {
    fn only(outcome: Outcome) -> Self {
        Self { outcome, fetched_bytes: 0, notes: Vec::new() }
    }
}

/// What came of the quick ways.
enum Quick {
    Done(Updated),
    NeedWhole { bytes: u64 },
}

/// The account as an update sees it.
pub(crate) struct Subject<'a> {
    pub(crate) did: &'a Did,
    pub(crate) host: &'a str,
    pub(crate) keys: Keys,
    pub(crate) status: AccountStatus,
    /// Fetch the whole repo, whatever is stored: stored rows are damaged.
    pub(crate) whole: bool,
}

impl Inner {
    /// Brings the repo up to date. The caller holds the account.
    pub(crate) async fn update_repo(
        &self,
        subject: &Subject<'_>,
        progress: &Progress,
    ) -> ArchiveResult<Updated> {
        let did = subject.did;
        let mut notes = Vec::new();
        let mut fetched_bytes = 0_u64;
        let mut done = None;
        if let Some(left) = self.left_over(subject, progress).await? {
            notes.extend(left.notes);
            done = Some(left.outcome);
        }
        let host = Host { net: self.net(), url: subject.host, did };
        let live = self.store().live_repo(did).await?;
        self.settle(did, live.as_ref()).await?;
        let latest = match host.latest().await {
            Ok(latest) => Some(latest),
            // Without the method there is only one way to find out.
            Err(error) if error.xrpc_error() == Some("MethodNotImplemented") => None,
            Err(error) => return self.not_served(subject, &host, live.is_some(), error).await,
        };
        if subject.status != AccountStatus::Active {
            self.set_status(did, AccountStatus::Active).await?;
            notes.push(format!("{} serves the account again", subject.host));
        }
        // What nobody vouches for is neither compared with nor built upon.
        let foreign = self.is_foreign(did, live.as_ref(), &subject.keys).await?;
        if let Some(latest) = latest.filter(|_| !subject.whole && !foreign) {
            let early = self.update_quickly(subject, &host, &latest, live.as_ref(), progress).await?;
            match early {
                Quick::Done(mut updated) => {
                    notes.append(&mut updated.notes);
                    // What an interrupted run had received counts as this run's work.
                    if updated.outcome == Outcome::Current
                        && let Some(outcome) = done
                    {
                        updated.outcome = outcome;
                    }
                    return Ok(Updated { notes, ..updated });
                }
                Quick::NeedWhole { bytes } => fetched_bytes = fetched_bytes.saturating_add(bytes),
            }
        }
        let fetched = match self.fetch_repo(&host, progress).await? {
            Ok(fetched) => fetched,
            Err(error) => return self.not_served(subject, &host, live.is_some(), error).await,
        };
        fetched_bytes = fetched_bytes.saturating_add(fetched.bytes);
        let terms = Terms::network(subject);
        let took = self.take(&fetched.path, &terms, progress).await;
        if !matches!(&took, Err(error) if is_our_trouble(error)) {
            self.spool().clear(did)?;
        }
        let Took { outcome, notes: more } = took?;
        notes.extend(more);
        Ok(Updated { outcome, fetched_bytes, notes })
    }

    /// Without fetching the whole repo, if that is possible: nothing new, a refusal, or a diff.
    async fn update_quickly(
        &self,
        subject: &Subject<'_>,
        host: &Host<'_>,
        latest: &Latest,
        live: Option<&Repo>,
        progress: &Progress,
    ) -> ArchiveResult<Quick> {
        if let Some(outcome) = self.judge_latest(subject, latest, live).await? {
            return Ok(Quick::Done(Updated::only(outcome)));
        }
        let Some(live) = live else { return Ok(Quick::NeedWhole { bytes: 0 }) };
        match self.update_by_diff(subject, host, live, progress).await? {
            Diffed::Done { outcome, bytes, notes } => {
                if outcome == Outcome::Current {
                    self.note_withheld_head(subject, latest, live).await?;
                }
                Ok(Quick::Done(Updated { outcome, fetched_bytes: bytes, notes }))
            }
            Diffed::Withheld(error) => Ok(Quick::Done(self.not_served(subject, host, true, error).await?)),
            Diffed::NeedWhole { why, bytes } => {
                progress.note(Phase::Fetch, format!("fetching the whole repo: {why}"));
                Ok(Quick::NeedWhole { bytes })
            }
        }
    }

    /// A run that was killed between its flip and its last notes: the proof state follows from the stored head.
    pub(crate) async fn settle(&self, did: &Did, live: Option<&Repo>) -> ArchiveResult<()> {
        let Some(head) = live.and_then(|repo| repo.head.as_ref()) else { return Ok(()) };
        let known = self.account(did).await?.verified;
        let follows = if head.key.is_empty() { VerifiedState::Unverified } else { VerifiedState::Verified };
        match known {
            VerifiedState::Nothing | VerifiedState::Verbatim => self.set_verified(did, follows).await,
            // A log that turned up later may have vouched for a head that was stored without a key.
            VerifiedState::Unverified | VerifiedState::Verified => Ok(()),
        }
    }

    /// A repo that an interrupted run had received whole: worth more than fetching it again.
    async fn left_over(&self, subject: &Subject<'_>, progress: &Progress) -> ArchiveResult<Option<Updated>> {
        let path = self.spool().whole(subject.did);
        if !path.exists() {
            return Ok(None);
        }
        progress.note(Phase::Store, "going on with the repo that was received before");
        let took = self.take(&path, &Terms::network(subject), progress).await;
        match took {
            Err(error) if is_our_trouble(&error) => Err(error),
            Err(_) => {
                // It will be fetched anew, and judged then.
                self.spool().clear(subject.did)?;
                Ok(None)
            }
            Ok(Took { outcome, notes }) => {
                self.spool().clear(subject.did)?;
                let outcome = if outcome == Outcome::Current { None } else { Some(outcome) };
                Ok(outcome.map(|outcome| Updated { notes, ..Updated::only(outcome) }))
            }
        }
    }

    /// Compares what the host says it has with what is stored. `None`: there is something to fetch.
    async fn judge_latest(
        &self,
        subject: &Subject<'_>,
        latest: &Latest,
        live: Option<&Repo>,
    ) -> ArchiveResult<Option<Outcome>> {
        let (Ok(cid), Ok(rev)) = (latest.cid.parse::<Cid>(), Tid::parse(&latest.rev)) else {
            // A host that speaks nonsense here may still serve a good repo.
            return Ok(None);
        };
        if live.is_none() && self.holds_verbatim(subject.did, rev)? {
            return Ok(Some(Outcome::Current));
        }
        let held = live.and_then(|repo| repo.head.as_ref()).map(|head| (head.rev, &head.commit));
        let verdict = judge((rev, &cid), held, self.now_micros(), self.config().max_future);
        match verdict {
            Verdict::First | Verdict::Newer => Ok(None),
            Verdict::Same => {
                self.resolve_faults(subject.did, HEAD_WITHHELD, None).await?;
                Ok(Some(Outcome::Current))
            }
            Verdict::Older | Verdict::Equivocation | Verdict::Future => {
                let host = Host { net: self.net(), url: subject.host, did: subject.did };
                let block = self.commit_block(&host, &cid).await;
                let held = held.map(|(rev, _)| rev);
                let why = verdict.words(subject.host, rev, held);
                self.refuse(subject.did, verdict, subject.host, (rev, &cid), &why, block).await.map(Some)
            }
        }
    }

    /// The host announced a newer head, and gave what was stored already when it was asked for it.
    async fn note_withheld_head(
        &self,
        subject: &Subject<'_>,
        latest: &Latest,
        live: &Repo,
    ) -> ArchiveResult<()> {
        let (rev, host) = (&latest.rev, subject.host);
        let why = format!(
            "{host} announces revision {rev} and gives out {held} when it is asked for it: it withholds what is new, or \
             announces what does not exist. If that lasts, ask the owner what their client shows",
            held = live.rev
        );
        self.find_fault(subject.did, HEAD_WITHHELD, host, &why).await
    }

    /// The commit that a host claims to have, as proof of the claim.
    async fn commit_block(&self, host: &Host<'_>, cid: &Cid) -> Option<Vec<u8>> {
        const MAX: u64 = 64 << 10;
        let answer = host.blocks(&[cid.to_string()]).await.ok()?.bytes(MAX).await.ok()?;
        let mut reader =
            p2pds_ipld::car::SliceReader::new(&answer, p2pds_ipld::car::CarLimits::DEFAULT).ok()?;
        reader.find_map(|section| {
            section.ok().filter(|section| cid.matches(section.bytes)).map(|s| s.bytes.to_vec())
        })
    }

    /// Keeps a contradiction as evidence and says so.
    pub(crate) async fn refuse(
        &self,
        did: &Did,
        verdict: Verdict,
        source: &str,
        offered: (Tid, &Cid),
        why: &str,
        block: Option<Vec<u8>>,
    ) -> ArchiveResult<Outcome> {
        let kind = verdict.evidence().unwrap_or("refused-head");
        let (rev, cid) = offered;
        let detail =
            json!({"source": source, "rev": rev.to_string(), "commit": cid.to_string(), "words": why});
        self.keep_evidence(did, kind, detail, block).await?;
        self.find_fault(did, kind, source, why).await?;
        Ok(Outcome::Refused { kind: kind.to_owned(), why: why.to_owned() })
    }

    /// The host did not serve it: its state there if that is the reason, else an error.
    async fn not_served(
        &self,
        subject: &Subject<'_>,
        host: &Host<'_>,
        known: bool,
        error: NetError,
    ) -> ArchiveResult<Updated> {
        let Some(said) = withheld(&error, known) else {
            return Err(ArchiveError::Host {
                doing: format!("asking {} for the repo", subject.host),
                source: error,
            });
        };
        // The state by its own method is more exact, where the host has it.
        let status = match host.status().await {
            Ok(answer) if !answer.active => status_of(&answer),
            _ => said,
        };
        self.set_status(subject.did, status).await?;
        let why = status_words(status, subject.host);
        let detail = json!({"host": subject.host, "status": status.as_str(), "words": why, "answer": error.to_string()});
        self.keep_evidence(subject.did, "status", detail, None).await?;
        Ok(Updated::only(Outcome::Withheld { status: status.as_str().to_owned(), why }))
    }

    pub(crate) async fn set_status(&self, did: &Did, status: AccountStatus) -> ArchiveResult<()> {
        let status_at = Some(self.now());
        self.patch(did, AccountPatch { status: Some(status), status_at, ..AccountPatch::default() }).await?;
        // A deletion is announced at once, and the announcement goes when it is over.
        self.announce(&self.account(did).await?).await
    }

    /// Whether this revision is kept verbatim already.
    fn holds_verbatim(&self, did: &Did, rev: Tid) -> ArchiveResult<bool> {
        let name = format!("{rev}.car");
        let kept = self.spool().verbatim(did)?;
        Ok(kept.iter().any(|file| Path::new(file).file_name().is_some_and(|file| *file == *name)))
    }

    /// How the identity has changed since it was last seen: a move to another host, another handle.
    pub(crate) async fn note_identity(
        &self,
        did: &Did,
        identity: &Identity,
        notes: &mut Vec<String>,
    ) -> ArchiveResult<()> {
        self.live.forget_keys(did);
        let account = self.account(did).await?;
        let handle = identity.handle.verified().map(|handle| handle.as_str().to_owned());
        if let (Some(old), Some(new)) = (&account.pds, &identity.pds)
            && old != new
        {
            let words = format!("the account has moved from {old} to {new}");
            self.keep_evidence(did, "host-move", json!({"from": old, "to": new, "words": words}), None)
                .await?;
            notes.push(words);
        }
        if let (Some(old), Some(new)) = (&account.handle, &handle)
            && old != new
        {
            notes.push(format!("its handle was {old} and is {new} now"));
        }
        let live = self.store().live_repo(did).await?.and_then(|repo| repo.head);
        if let (Some(head), Some(key)) = (&live, &identity.signing_key)
            && !head.key.is_empty()
            && head.key != key.to_did_key()
        {
            let words = format!("its signing key has changed since revision {}", head.rev);
            let detail = json!({"from": head.key, "to": key.to_did_key(), "words": words});
            self.keep_evidence(did, "key-change", detail, None).await?;
            notes.push(words);
        }
        let patch = AccountPatch {
            pds: identity.pds.clone().map(Some),
            // A handle that does not resolve today may tomorrow: the last good one stays.
            handle: handle.map(Some),
            ..AccountPatch::default()
        };
        if patch != AccountPatch::default() {
            self.patch(did, patch).await?;
        }
        Ok(())
    }

    /// How far what is stored of an account is proved.
    pub(crate) async fn set_verified(&self, did: &Did, verified: VerifiedState) -> ArchiveResult<()> {
        self.patch(did, AccountPatch { verified: Some(verified), ..AccountPatch::default() }).await
    }
}

/// Whether a failure lies on our side, so that what was received is worth keeping for the next try.
fn is_our_trouble(error: &ArchiveError) -> bool {
    !matches!(error, ArchiveError::Rejected { .. })
}
