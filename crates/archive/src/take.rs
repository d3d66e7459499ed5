//! Taking over a repo from a CAR file: whose it is, who signed it, how it relates to what is stored; then staging and
//! the flip.

use std::path::Path;
use std::sync::Arc;

use p2pds_crypto::PublicKey;
use p2pds_ipld::car::CarLimits;
use p2pds_repo::car_in::{ReadError, ReadOptions};
use p2pds_repo::commit::Commit;
use p2pds_store::{AccountPatch, Applied, Head, Repo, Role, Unit, VerifiedState};
use p2pds_syntax::Did;
use serde_json::json;

use crate::archive::Inner;
use crate::error::{ArchiveError, ArchiveResult};
use crate::fetch::blocking;
use crate::judge::{Keys, Verdict, Vouched, judge};
use crate::progress::{Phase, Progress, Unit as Counted};
use crate::report::Outcome;
use crate::stage::{Peeked, Staged, StagedRepo, peek, stage};
use crate::update::Subject;
use crate::words::{count, plural};

/// Under which conditions a repo is taken.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// Whose it must be.
    pub(crate) did: Did,
    /// Where it comes from: a host's URL, a file's name.
    pub(crate) source: String,
    /// Keys that may have signed it.
    pub(crate) keys: Keys,
    /// Without any key to check with, take it as unverified (a file import without a log).
    pub(crate) unverified: bool,
    /// Ask the directory again when no key fits: it may have been changed a moment ago.
    pub(crate) ask_again: bool,
    /// Take it although it is not newer than what is stored: stored rows are damaged, or nobody vouches for them.
    pub(crate) repair: bool,
    /// The file is the user's: copy it, never move it.
    pub(crate) foreign_file: bool,
    /// Why an operator takes a head that is not newer; `None` when nobody does.
    pub(crate) accept: Option<String>,
}

impl Terms {
    /// The conditions for what a host sends.
    pub(crate) fn network(subject: &Subject<'_>) -> Self {
        Self {
            did: subject.did.clone(),
            source: subject.host.to_owned(),
            keys: subject.keys.clone(),
            unverified: false,
            ask_again: true,
            repair: subject.whole,
            foreign_file: false,
            accept: None,
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Took {
    pub(crate) outcome: Outcome,
    pub(crate) notes: Vec<String>,
}

impl Inner {
    pub(crate) fn read_options(&self) -> ReadOptions {
        let options = ReadOptions::DEFAULT;
        ReadOptions { limits: CarLimits::DEFAULT.with_total(self.config().max_repo_bytes), ..options }
    }

    /// Takes over the repo in a file. The caller holds the account.
    pub(crate) async fn take(&self, path: &Path, terms: &Terms, progress: &Progress) -> ArchiveResult<Took> {
        let (file, options) = (path.to_owned(), self.read_options());
        let peeked = blocking(move || peek(&file, options)).await?;
        let peeked = peeked.map_err(|error| rejected(terms, &error))?;
        let commit = &peeked.commit;
        if commit.did != terms.did {
            let what = format!("it is the repo of {}", commit.did);
            return Err(self.keep_forged(terms, &peeked, what).await?);
        }
        let vouched = self.vouch(terms, &peeked).await?;
        let live = self.store().live_repo(&terms.did).await?;
        let held = live.as_ref().and_then(|repo| repo.head.as_ref());
        let offered = (commit.rev, &peeked.cid);
        let now = self.now_micros();
        // What nobody vouches for does not stand in the way of what the account's own host shows, signed by its key.
        let yields = !terms.foreign_file
            && verified_state(&vouched) == VerifiedState::Verified
            && self.is_foreign(&terms.did, live.as_ref(), &terms.keys).await?;
        let before = held.filter(|_| !yields).map(|head| (head.rev, &head.commit));
        let verdict = judge(offered, before, now, self.config().max_future);
        match verdict {
            Verdict::Same if !terms.repair => {
                let outcome = Outcome::Current;
                self.settle(&terms.did, live.as_ref()).await?;
                if let Some(head) = held {
                    self.upgrade(&terms.did, head, &vouched).await?;
                }
                return Ok(Took { outcome, notes: Vec::new() });
            }
            Verdict::First | Verdict::Newer | Verdict::Same => {}
            Verdict::Older | Verdict::Equivocation if terms.accept.is_some() => {
                self.note_accepted(terms, held, &peeked).await?;
            }
            Verdict::Older | Verdict::Equivocation | Verdict::Future => {
                let why = verdict.words(&terms.source, commit.rev, held.map(|head| head.rev));
                let block = Some(peeked.bytes.clone());
                let outcome = self.refuse(&terms.did, verdict, &terms.source, offered, &why, block).await?;
                return Ok(Took { outcome, notes: Vec::new() });
            }
        }
        if let Some(head) = held.filter(|_| yields) {
            self.note_foreign(terms, head).await?;
        }
        let terms = Terms { repair: terms.repair || yields, ..terms.clone() };
        self.take_accepted(path, &terms, peeked, live, vouched, progress).await
    }

    /// Whether the stored head came from a file without a log, keys are known now, and none of them signed it. If one of
    /// them did, the head counts as verified from here on.
    pub(crate) async fn is_foreign(
        &self,
        did: &Did,
        live: Option<&Repo>,
        keys: &Keys,
    ) -> ArchiveResult<bool> {
        let Some(head) = live.and_then(|repo| repo.head.as_ref()).filter(|head| head.key.is_empty()) else {
            return Ok(false);
        };
        if self.account(did).await?.verified == VerifiedState::Verified {
            return Ok(false);
        }
        let raw = head.raw.clone();
        let commit = Commit { did: did.clone(), rev: head.rev, data: head.data, sig: head.sig, raw };
        let vouched = keys.vouch(head.rev, |key| commit.verify(key).is_ok());
        self.upgrade(did, head, &vouched).await?;
        Ok(vouched == Vouched::Nobody)
    }

    /// Keeps the reason for which an operator takes a head that is not newer, and the commit that was stored.
    async fn note_accepted(&self, terms: &Terms, held: Option<&Head>, peeked: &Peeked) -> ArchiveResult<()> {
        let (Some(held), Some(reason)) = (held, &terms.accept) else { return Ok(()) };
        let (did, raw) = (terms.did.clone(), held.raw.clone());
        let stored = Commit { did, rev: held.rev, data: held.data, sig: held.sig, raw };
        let words = format!(
            "revision {} of {} was accepted in place of {}, though it is not newer: {reason}",
            peeked.commit.rev, terms.source, held.rev
        );
        let detail = json!({
            "source": terms.source, "from": held.rev.to_string(), "to": peeked.commit.rev.to_string(),
            "commit": peeked.cid.to_string(), "reason": reason, "words": words,
        });
        self.keep_evidence(&terms.did, "accepted-head", detail, Some(stored.encode())).await
    }

    /// Keeps what is known of a head that nobody vouches for, before it is replaced.
    async fn note_foreign(&self, terms: &Terms, head: &Head) -> ArchiveResult<()> {
        let words = format!(
            "revision {} came from a file and is signed by none of the account's keys; it was replaced by what {} has",
            head.rev, terms.source
        );
        let commit = Commit {
            did: terms.did.clone(),
            rev: head.rev,
            data: head.data,
            sig: head.sig,
            raw: head.raw.clone(),
        };
        let detail = json!({"rev": head.rev.to_string(), "commit": head.commit.to_string(), "words": words});
        self.keep_evidence(&terms.did, "forged-commit", detail, Some(commit.encode())).await
    }

    /// Stages it, flips it, tidies up.
    async fn take_accepted(
        &self,
        path: &Path,
        terms: &Terms,
        peeked: Peeked,
        live: Option<Repo>,
        vouched: Vouched,
        progress: &Progress,
    ) -> ArchiveResult<Took> {
        let did = &terms.did;
        let bytes = std::fs::metadata(path).map_err(ArchiveError::io("open", path))?.len();
        // Measured: rows with their indexes take 0.7 of the CAR at most.
        self.need_room("storing the repo", bytes.saturating_mul(7) / 10)?;
        self.tidy(did, &Progress::none()).await?;
        let peeked = Arc::new(peeked);
        let total = live.as_ref().map(|repo| repo.records).filter(|&records| records > 0);
        let counter = progress.begin(Phase::Store, Counted::Records, total, "verifying and storing the repo");
        let store = Arc::clone(self.store());
        let (owner, file, commit, options) =
            (did.clone(), path.to_owned(), Arc::clone(&peeked), self.read_options());
        let outcome = blocking(move || {
            let outcome = stage(&store, &owner, &file, &commit, options, &counter)?;
            if let Ok(Staged::Whole(staged)) = &outcome {
                let records = plural(staged.summary.records, "record", "records");
                counter.finish(format!("{records} verified and stored"));
            }
            Ok(outcome)
        })
        .await;
        let staged = match outcome {
            Ok(Ok(Staged::Whole(staged))) => staged,
            other => {
                // The cause matters more than what became of the clean-up, which the next run repeats.
                let cleaned = self.tidy(did, &Progress::none()).await;
                let refused = other?;
                cleaned?;
                return match refused {
                    Ok(Staged::Irreproducible(why)) => {
                        self.keep_verbatim(path, terms, &peeked, &why, live.is_some(), vouched).await
                    }
                    Ok(Staged::Whole(_)) => Err(ArchiveError::Bug("staged twice".to_owned())),
                    Err(error) => Err(rejected(terms, &error)),
                };
            }
        };
        let notes = self.flip(terms, &peeked, &staged, live.as_ref(), &vouched, bytes, progress).await?;
        Ok(Took { outcome: Outcome::Stored, notes })
    }

    /// The one small unit that makes it visible, and what is noted with it.
    #[expect(clippy::too_many_arguments, reason = "the last step of one flow, private")]
    async fn flip(
        &self,
        terms: &Terms,
        peeked: &Peeked,
        staged: &StagedRepo,
        live: Option<&Repo>,
        vouched: &Vouched,
        bytes: u64,
        progress: &Progress,
    ) -> ArchiveResult<Vec<String>> {
        let did = &terms.did;
        let head = head_of(peeked, vouched);
        let expect = live.and_then(|repo| repo.head.as_ref()).map(|head| head.rev);
        let unit = Unit::Flip {
            did: did.clone(),
            repo: staged.repo,
            expect,
            head: Box::new(head),
            role: Role::Archived,
            accept_older: terms.repair || terms.accept.is_some(),
            at: self.now(),
        };
        let replaced = match self.store().apply(unit).await? {
            Applied::Flipped { replaced } => replaced,
            other => return Err(ArchiveError::Bug(format!("a flip answered {other:?}"))),
        };
        let patch = AccountPatch {
            verified: Some(verified_state(vouched)),
            car_bytes: Some(bytes),
            ..AccountPatch::default()
        };
        self.patch(did, patch).await?;
        let mut notes = self.note_vouched(did, vouched).await?;
        self.note_lost_and_odd(terms, staged, &mut notes).await?;
        for kind in
            ["older-head", "equivocation", "future-rev", "irreproducible", crate::update::HEAD_WITHHELD]
        {
            self.resolve_faults(did, kind, None).await?;
        }
        if let Some(replaced) = replaced {
            let rows = live.map_or(0, |repo| repo.records);
            self.drop_repo(did, replaced, rows, progress).await?;
        }
        Ok(notes)
    }

    /// Records that lack their bytes, and records that are not strict, become findings.
    async fn note_lost_and_odd(
        &self,
        terms: &Terms,
        staged: &StagedRepo,
        notes: &mut Vec<String>,
    ) -> ArchiveResult<()> {
        const LISTED: usize = 100;
        let did = &terms.did;
        self.resolve_faults(did, "record-missing", None).await?;
        self.resolve_faults(did, "odd-record", None).await?;
        for missing in staged.summary.missing.iter().take(LISTED) {
            let key = String::from_utf8_lossy(&missing.key);
            let words = format!("{} did not send its bytes; the tree names {}", terms.source, missing.cid);
            self.find_fault(did, "record-missing", &key, &words).await?;
        }
        for (key, why) in staged.odd.iter().take(LISTED) {
            let words = format!("kept byte for byte, though it is not as the protocol asks: {why}");
            self.find_fault(did, "odd-record", key, &words).await?;
        }
        if staged.summary.missing_count > 0 {
            notes.push(format!(
                "{} did not come: the source has lost their bytes. Their places in the tree are proved",
                plural(staged.summary.missing_count, "record", "records")
            ));
        }
        if staged.odd_count > 0 {
            notes.push(format!(
                "{} not written as the protocol asks; they are kept byte for byte and listed as findings",
                plural(staged.odd_count, "record is", "records are")
            ));
        }
        Ok(())
    }

    /// Which key vouches for a commit. Asks the directory once more when none does.
    pub(crate) async fn vouch(&self, terms: &Terms, peeked: &Peeked) -> ArchiveResult<Vouched> {
        let verify = |key: &PublicKey| peeked.commit.verify(key).is_ok();
        let mut vouched = terms.keys.vouch(peeked.commit.rev, verify);
        if matches!(vouched, Vouched::Nobody | Vouched::Unknown)
            && terms.ask_again
            && let Ok(identity) = self.directory().refresh(&terms.did).await
        {
            vouched = crate::identity::keys_of(&identity).vouch(peeked.commit.rev, verify);
        }
        match vouched {
            Vouched::Nobody => {
                let what = "its signature is by none of the keys that the account's identity names, or had not withdrawn at the time of its revision";
                Err(self.keep_forged(terms, peeked, what.to_owned()).await?)
            }
            Vouched::Unknown if !terms.unverified => {
                let what = "the account's identity names no key, so nothing proves who signed it";
                Err(self.keep_forged(terms, peeked, what.to_owned()).await?)
            }
            vouched => Ok(vouched),
        }
    }

    /// A commit that is not this account's is kept as evidence; the error says why.
    async fn keep_forged(&self, terms: &Terms, peeked: &Peeked, what: String) -> ArchiveResult<ArchiveError> {
        if self.store().account(&terms.did).await?.is_some() {
            let detail = json!({
                "source": terms.source, "did": peeked.commit.did.as_str(), "rev": peeked.commit.rev.to_string(),
                "commit": peeked.cid.to_string(), "words": what,
            });
            self.keep_evidence(&terms.did, "forged-commit", detail, Some(peeked.bytes.clone())).await?;
        }
        Ok(ArchiveError::Rejected { from: terms.source.clone(), did: terms.did.to_string(), what })
    }

    /// A genuine repo whose tree cannot be reproduced: kept as it came.
    async fn keep_verbatim(
        &self,
        path: &Path,
        terms: &Terms,
        peeked: &Peeked,
        why: &str,
        has_live: bool,
        vouched: Vouched,
    ) -> ArchiveResult<Took> {
        let did = &terms.did;
        let rev = peeked.commit.rev.to_string();
        let (spool, owner, car, moving) =
            (self.spool().clone(), did.clone(), path.to_owned(), !terms.foreign_file);
        let file = blocking(move || spool.keep_verbatim(&owner, &rev, &car, moving)).await?;
        let words = format!("revision {} is kept as the file {file}: {why}", peeked.commit.rev);
        self.find_fault(did, "irreproducible", &file, &words).await?;
        if !has_live {
            self.set_verified(did, VerifiedState::Verbatim).await?;
        }
        let outcome = Outcome::KeptVerbatim { file, why: why.to_owned() };
        Ok(Took { outcome, notes: self.note_vouched(did, &vouched).await? })
    }

    /// Says when the signature is by a key of before.
    pub(crate) async fn note_vouched(&self, did: &Did, vouched: &Vouched) -> ArchiveResult<Vec<String>> {
        self.resolve_faults(did, "earlier-key", None).await?;
        let Vouched::Earlier(key) = vouched else { return Ok(Vec::new()) };
        let words = format!(
            "the current revision is signed with an earlier key ({key}) that the identity's log names; its host has not \
             signed anything with the new key yet"
        );
        self.find_fault(did, "earlier-key", "", &words).await?;
        Ok(vec![words])
    }

    /// What is stored as unverified becomes verified when a key turns up that vouches for it.
    async fn upgrade(&self, did: &Did, head: &Head, vouched: &Vouched) -> ArchiveResult<()> {
        if head.key.is_empty() && matches!(vouched, Vouched::Current(_) | Vouched::Earlier(_)) {
            self.set_verified(did, VerifiedState::Verified).await?;
        }
        Ok(())
    }
}

/// A head as it is stored.
pub(crate) fn head_of(peeked: &Peeked, vouched: &Vouched) -> Head {
    let commit = &peeked.commit;
    let key = match vouched {
        Vouched::Current(key) | Vouched::Earlier(key) => key.clone(),
        Vouched::Nobody | Vouched::Unknown => String::new(),
    };
    Head {
        rev: commit.rev,
        data: commit.data,
        commit: peeked.cid,
        sig: commit.sig,
        key,
        raw: commit.raw.clone(),
    }
}

pub(crate) fn verified_state(vouched: &Vouched) -> VerifiedState {
    match vouched {
        Vouched::Current(_) | Vouched::Earlier(_) => VerifiedState::Verified,
        Vouched::Nobody | Vouched::Unknown => VerifiedState::Unverified,
    }
}

fn rejected(terms: &Terms, error: &ReadError) -> ArchiveError {
    if let ReadError::Io(source) = error {
        return ArchiveError::Bug(format!("the file could not be read: {source}"));
    }
    ArchiveError::Rejected { from: terms.source.clone(), did: terms.did.to_string(), what: error.to_string() }
}

/// `12,345 created, ...` for a progress line.
pub(crate) fn changes_words(created: u64, updated: u64, deleted: u64) -> String {
    format!("{} created, {} changed, {} deleted", count(created), count(updated), count(deleted))
}
