//! The verdict about each operation.

use std::collections::BTreeMap;

use p2pds_identity::plc::{Log, Step};
use p2pds_syntax::{Did, DidMethod};
use serde_json::{Value, json};

use super::{ACKNOWLEDGED, ANNOUNCED, BASELINE, MOST, OPERATION, UNEXPECTED, words};
use crate::archive::Inner;
use crate::error::{ArchiveError, ArchiveResult};
use crate::report::{Announcement, Verdict, Watched};

/// Clocks of directories may differ from ours by this much, in microseconds.
const SLACK: i64 = 5 * 60 * 1_000_000;

/// What was said about the identity of one account.
pub(super) struct Said {
    /// Operations that were there at the first judgement.
    pub known: usize,
    /// Verdicts given, by CID.
    pub verdicts: BTreeMap<String, Verdict>,
    pub announcements: Vec<Announcement>,
    /// Reasons, by CID.
    pub acknowledged: BTreeMap<String, String>,
}

impl Said {
    /// What holds for an operation, whether it was judged before or not.
    pub fn verdict(&self, step: &Step) -> Verdict {
        let cid = step.cid.to_string();
        if step.index < self.known {
            return Verdict::Before;
        }
        if let Some(reason) = self.acknowledged.get(&cid) {
            return Verdict::Acknowledged { reason: reason.clone() };
        }
        if let Some(verdict) = self.verdicts.get(&cid) {
            return verdict.clone();
        }
        let covers = |a: &&Announcement| a.at.saturating_sub(SLACK) <= step.at && step.at <= a.until;
        match self.announcements.iter().find(covers) {
            Some(announcement) => Verdict::Announced { reason: announcement.reason.clone() },
            None => Verdict::Unexpected,
        }
    }
}

fn text(detail: &Value, name: &str) -> Option<String> {
    detail.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// Each announcement ends with the next one, at the latest.
fn in_turn(announcements: impl Iterator<Item = Announcement>) -> Vec<Announcement> {
    let mut all: Vec<Announcement> = announcements.collect();
    all.sort_by_key(|announcement| announcement.at);
    let mut next = i64::MAX;
    for announcement in all.iter_mut().rev() {
        announcement.until = announcement.until.min(next);
        next = announcement.at.saturating_sub(1);
    }
    all.retain(|announcement| announcement.until > announcement.at);
    all
}

impl Inner {
    pub(crate) async fn judge_identity(&self, did: &Did) -> ArchiveResult<Watched> {
        let _one = self.watching().judging.lock().await;
        self.live.forget_keys(did);
        match did.method() {
            DidMethod::Plc => self.judge_log(did).await,
            _ => self.judge_document(did).await,
        }
    }

    async fn judge_log(&self, did: &Did) -> ArchiveResult<Watched> {
        let rows = self.store().plc_log(did).await?.len();
        if rows == 0 {
            return Ok(Watched::default());
        }
        let baseline = self.baseline(did).await?;
        let open = self.open_alarms(did).await?;
        let mut watched = Watched { unexpected: open.len(), ..Watched::default() };
        let quiet = self.is_quiet(did).await?;
        let judged = self.store().evidence_of(did, OPERATION, MOST).await?.len();
        let settled = baseline.is_some_and(|known| known.saturating_add(judged) >= rows);
        if settled && open.is_empty() && !self.has_fault(did, super::TOMBSTONE).await? {
            return Ok(watched);
        }
        let Some(log) = self.stored_plc_log(did).await? else { return Ok(watched) };
        if baseline.is_none() {
            let detail = json!({"operations": rows, "head": log.head().to_string()});
            self.keep_note(did, BASELINE, detail, None).await?;
        }
        self.follow_state(did, &log).await?;
        let said = self.said(did, baseline.unwrap_or(rows)).await?;
        watched.unexpected = 0;
        for index in said.known..log.entries().len() {
            let Some(step) = log.step(index) else { continue };
            let new = !said.verdicts.contains_key(&step.cid.to_string());
            let verdict = said.verdict(&step);
            watched.changed |= new;
            if new {
                self.note_verdict(did, &step, &verdict, quiet).await?;
            }
            watched.unexpected = watched
                .unexpected
                .saturating_add(self.alarm(did, &log, &step, &verdict, (&open, quiet)).await?);
        }
        Ok(watched)
    }

    /// Raises, keeps current, or ends the alarm about an operation. Gives 1 if one is open after that.
    async fn alarm(
        &self,
        did: &Did,
        log: &Log,
        step: &Step,
        verdict: &Verdict,
        (open, quiet): (&[String], bool),
    ) -> ArchiveResult<usize> {
        let subject = step.cid.to_string();
        // Undone: that one did not last. The operation that undid it has an alarm of its own.
        if quiet || *verdict != Verdict::Unexpected || step.nullified {
            if open.contains(&subject) {
                self.resolve_faults(did, UNEXPECTED, Some(&subject)).await?;
            }
            return Ok(0);
        }
        let words = words::unexpected(log, step, self.now());
        self.find_fault(did, UNEXPECTED, &subject, &words).await?;
        Ok(1)
    }

    async fn note_verdict(
        &self,
        did: &Did,
        step: &Step,
        verdict: &Verdict,
        quiet: bool,
    ) -> ArchiveResult<()> {
        let changes: Vec<String> = step.differences.iter().map(ToString::to_string).collect();
        let word = verdict.word();
        let metric = if *verdict == Verdict::Unexpected { "unexpected" } else { "announced" };
        metrics::counter!("p2pds_plc_operations_total", "verdict" => metric).increment(1);
        let changed = changes.join("; ");
        if quiet && *verdict == Verdict::Unexpected {
            // Somebody else's account, and the operator wants to hear of their own: the evidence has it.
        } else if *verdict == Verdict::Unexpected {
            tracing::warn!(event = "plc.unexpected", %did, operation = %step.cid, changed, "an operation that nobody announced");
        } else {
            tracing::info!(event = "plc.expected", %did, operation = %step.cid, changed, "an operation that was announced");
        }
        let detail = json!({
            "cid": step.cid.to_string(),
            "number": step.index.saturating_add(1),
            "verdict": word,
            "reason": verdict.reason(),
            "changes": changes,
        });
        self.keep_note(did, OPERATION, detail, None).await
    }

    pub(super) async fn baseline(&self, did: &Did) -> ArchiveResult<Option<usize>> {
        // The oldest one counts: the first judgement.
        let notes = self.notes(did, BASELINE).await?;
        let known = notes.last().and_then(|(_, detail)| detail.get("operations")?.as_u64());
        Ok(known.map(|known| usize::try_from(known).unwrap_or(usize::MAX)))
    }

    /// What was announced, each for the time that it held.
    pub(super) async fn announcements(&self, did: &Did) -> ArchiveResult<Vec<Announcement>> {
        let announcement = |(at, detail): (i64, Value)| {
            let until = detail.get("until").and_then(Value::as_i64)?;
            let reason = text(&detail, "reason").unwrap_or_default();
            Some(Announcement { did: did.clone(), at, until, reason })
        };
        Ok(in_turn(self.notes(did, ANNOUNCED).await?.into_iter().filter_map(announcement)))
    }

    pub(super) async fn said(&self, did: &Did, known: usize) -> ArchiveResult<Said> {
        let announcements = self.announcements(did).await?;
        let acknowledged = self.notes(did, ACKNOWLEDGED).await?.into_iter();
        let acknowledged = acknowledged
            .filter_map(|(_, detail)| {
                Some((text(&detail, "cid")?, text(&detail, "reason").unwrap_or_default()))
            })
            .collect();
        let judged = self.notes(did, OPERATION).await?.into_iter();
        let verdicts = judged
            .filter_map(|(_, detail)| {
                let verdict = Verdict::from_parts(&text(&detail, "verdict")?, text(&detail, "reason"));
                Some((text(&detail, "cid")?, verdict))
            })
            .collect();
        Ok(Said { known, verdicts, announcements, acknowledged })
    }

    /// CIDs of the operations whose alarm is open.
    async fn open_alarms(&self, did: &Did) -> ArchiveResult<Vec<String>> {
        let findings = self.store().findings(did, MOST).await?;
        Ok(findings.into_iter().filter(|f| f.kind == UNEXPECTED).map(|f| f.subject).collect())
    }

    async fn has_fault(&self, did: &Did, kind: &str) -> ArchiveResult<bool> {
        Ok(self.store().findings(did, MOST).await?.iter().any(|finding| finding.kind == kind))
    }

    /// Judges, and lets nothing that goes wrong with it keep anybody from what else is to be done.
    pub(crate) async fn judge_identity_quietly(&self, did: &Did) {
        match self.judge_identity(did).await {
            Ok(_) | Err(ArchiveError::NotArchived(_)) => {}
            Err(error) => {
                tracing::warn!(event = "plc.not-judged", %did, %error, "what is new about an identity could not be judged; it is tried again");
            }
        }
    }
}
