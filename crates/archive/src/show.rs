//! What is known about archived accounts: the list, one in detail, one record.

use p2pds_directory::log_of_rows;
use p2pds_ipld::cbor::{Limits, decode};
use p2pds_ipld::json::to_json;
use p2pds_reading::{Reading, Refusal, Viewer};
use p2pds_store::{Account, AccountStatus, BlobFilter, BlobRow, BlobState, Origin, RepoId, VerifiedState};
use p2pds_syntax::{AtIdentifier, AtUri, Did, DidMethod, RecordPath};

use crate::archive::{Archive, Inner, worker_name};
use crate::error::{ArchiveError, ArchiveResult};
use crate::identity::key_situation;
use crate::report::{
    AccountLine, BlobNote, CollectionLine, Details, EvidenceNote, FindingNote, Found, HeadNote, PlcNote,
    RecordView,
};
use crate::words::{plural, when};

impl Archive {
    /// All accounts, in the order of their DIDs.
    ///
    /// # Errors
    /// Store failures.
    pub async fn list(&self) -> ArchiveResult<Vec<AccountLine>> {
        let mut lines = Vec::new();
        for account in self.inner().all_archived().await? {
            lines.push(self.inner().line(account).await?);
        }
        Ok(lines)
    }

    /// One account's line of the list.
    ///
    /// # Errors
    /// [`ArchiveError::NotArchived`], store failures.
    pub async fn line(&self, did: &Did) -> ArchiveResult<AccountLine> {
        self.inner().line(self.inner().account(did).await?).await
    }

    /// Everything about one account.
    ///
    /// # Errors
    /// [`ArchiveError::NotArchived`], store failures.
    pub async fn show(&self, did: &Did) -> ArchiveResult<Details> {
        let inner = self.inner();
        let account = inner.account(did).await?;
        let live = inner.store().live_repo(did).await?;
        let head = live.as_ref().and_then(|repo| repo.head.as_ref()).map(|head| HeadNote {
            rev: head.rev.to_string(),
            commit: head.commit.to_string(),
            data: head.data.to_string(),
            key: head.key.clone(),
        });
        let collections = match &live {
            Some(repo) => inner.collections(repo.id).await?,
            None => Vec::new(),
        };
        let rows = inner.store().plc_log(did).await?;
        let log = if rows.is_empty() { None } else { Some(log_of_rows(did, &rows)) };
        let fetched_at = inner.store().plc_fetched_at(did).await?;
        let plc = (did.method() == DidMethod::Plc).then(|| PlcNote {
            operations: u64::try_from(rows.len()).unwrap_or(u64::MAX),
            fetched_at,
            valid: matches!(&log, Some(Ok(_))),
            problem: match &log {
                None => Some("no log is stored".to_owned()),
                Some(Err(why)) => Some(why.clone()),
                Some(Ok(_)) => None,
            },
        });
        let log = log.and_then(Result::ok);
        let signing = log.as_ref().and_then(|log| crate::identity::keys_of_log(log).current);
        Ok(Details {
            head,
            collections,
            serving: inner.serving(&account).await?,
            keys: key_situation(did, log.as_ref(), signing.as_ref()),
            plc,
            missing_blobs: inner.absent_blobs(did).await?,
            findings: inner.finding_notes(did).await?,
            evidence: inner.evidence_notes(did).await?,
            verbatim: inner.spool().verbatim(did)?,
            not_contained: Found::NOT_CONTAINED.map(str::to_owned).to_vec(),
            line: inner.line(account).await?,
        })
    }

    /// One record of an archived account.
    ///
    /// # Errors
    /// [`ArchiveError::NoRecord`], [`ArchiveError::NotArchived`], damage.
    pub async fn record(&self, uri: &AtUri) -> ArchiveResult<RecordView> {
        let no_record = || ArchiveError::NoRecord(uri.to_string());
        let (Some(collection), Some(rkey)) = (uri.collection(), uri.rkey()) else {
            return Err(ArchiveError::NotOneRecord(uri.to_string()));
        };
        let did = match uri.authority() {
            AtIdentifier::Did(did) => did.clone(),
            AtIdentifier::Handle(handle) => self.find(handle.as_str()).await?,
        };
        let path = RecordPath::new(collection, rkey);
        let door = Reading::new(self.store().clone(), self.blobs().clone());
        let row = match door.record(Viewer::Operator, &did, &path).await {
            Ok(row) => row,
            Err(Refusal::NoAccount(did)) => return Err(ArchiveError::NotArchived(did.to_string())),
            Err(Refusal::NoRecord { .. } | Refusal::Nothing(_)) => return Err(no_record()),
            Err(refusal) => return Err(from_refusal(refusal)),
        };
        let body = row.body.ok_or_else(no_record)?;
        let value = decode(&body, &Limits::RECORD).ok().map(|value| to_json(&value));
        Ok(RecordView {
            uri: format!("at://{did}/{path}"),
            cid: row.cid.to_string(),
            since: row.since.to_string(),
            value,
            bytes: u64::try_from(body.len()).unwrap_or(u64::MAX),
            as_of: None,
        })
    }
}

/// What the reading door refuses an operator is a failure of the store or damage.
pub(crate) fn from_refusal(refusal: Refusal) -> ArchiveError {
    match refusal {
        Refusal::Store(error) => error.into(),
        Refusal::Blobs(error) => error.into(),
        Refusal::NoAccount(did) | Refusal::Nothing(did) => ArchiveError::NotArchived(did.to_string()),
        damage => ArchiveError::Store(p2pds_store::StoreError::Damaged(damage.to_string())),
    }
}

impl Inner {
    pub(crate) async fn collections(&self, repo: RepoId) -> ArchiveResult<Vec<CollectionLine>> {
        let rows = self.store().collections(repo).await?;
        let line = |row: p2pds_store::CollectionCount| CollectionLine {
            collection: row.collection,
            records: row.records,
        };
        Ok(rows.into_iter().map(line).collect())
    }

    pub(crate) async fn line(&self, account: Account) -> ArchiveResult<AccountLine> {
        // What an interrupted run noted is not being done.
        let busy = self.locks().busy(&account.did);
        let doing = match busy {
            true => self.store().worker(&worker_name(&account.did)).await?.map(|worker| worker.state),
            false => None,
        };
        let rev_at = account.rev.map(|rev| i64::try_from(rev.micros()).unwrap_or(i64::MAX));
        let words = safety(&account);
        let withdrawal = self.withdrawal(&account);
        let live = self.live.note(&account.did);
        let full = self.full(&account).map(|full| full.to_string());
        let quota = self.limit_of(&account);
        Ok(AccountLine {
            live,
            handle: account.handle,
            host: account.pds,
            status: account.status.as_str().to_owned(),
            verified: verified_word(account.verified).to_owned(),
            origin: match account.origin {
                Origin::Network => "network".to_owned(),
                Origin::File => "file".to_owned(),
            },
            rev: account.rev.map(|rev| rev.to_string()),
            rev_at,
            records: account.records,
            record_bytes: account.record_bytes,
            car_bytes: account.car_bytes,
            blobs_held: account.blobs_held,
            blobs_missing: account.blobs_missing,
            blob_bytes: account.blob_bytes,
            added_at: account.added_at,
            last_sync_at: account.last_sync_at,
            last_error: account.last_sync_error,
            last_verified_at: account.last_verified_at,
            last_verify_ok: account.last_verify_ok,
            keep: account.keep.as_str().to_owned(),
            keep_basis: account.keep_basis,
            withdrawal,
            priority: account.priority,
            quota,
            full,
            paused: account.paused,
            removing: account.purging,
            doing,
            words,
            did: account.did,
        })
    }

    /// Blobs that are not here, missing ones first.
    async fn absent_blobs(&self, did: &Did) -> ArchiveResult<Vec<BlobNote>> {
        let mut notes = Vec::new();
        for filter in [BlobFilter::Missing, BlobFilter::Gone] {
            let room = Details::MAX_NOTES.saturating_sub(notes.len());
            if room > 0 {
                let rows = self.store().blobs(did, filter, None, room).await?;
                notes.extend(rows.into_iter().map(blob_note));
            }
        }
        Ok(notes)
    }

    async fn finding_notes(&self, did: &Did) -> ArchiveResult<Vec<FindingNote>> {
        let mut findings = self.store().findings(did, Details::MAX_NOTES).await?;
        crate::watch::refresh_details(self, did, &mut findings).await?;
        let note = |finding: p2pds_store::Finding| FindingNote {
            kind: finding.kind,
            subject: finding.subject,
            detail: finding.detail,
            since: finding.first_at,
        };
        Ok(findings.into_iter().map(note).collect())
    }

    async fn evidence_notes(&self, did: &Did) -> ArchiveResult<Vec<EvidenceNote>> {
        let evidence = self.store().evidence(did, Details::MAX_NOTES).await?;
        let note = |evidence: p2pds_store::Evidence| EvidenceNote {
            at: evidence.at,
            times: evidence.times,
            last_at: evidence.last_at.unwrap_or(evidence.at),
            kind: evidence.kind,
            detail: serde_json::from_str(&evidence.detail)
                .unwrap_or(serde_json::Value::String(evidence.detail)),
            proof_bytes: evidence.data.map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX)),
        };
        Ok(evidence.into_iter().map(note).collect())
    }
}

/// A blob that is not here, in words.
pub(crate) fn blob_note(row: BlobRow) -> BlobNote {
    let (state, tries, reason, next_try) = match row.state {
        BlobState::Held => ("held", 0, String::new(), None),
        BlobState::Missing { tries: 0, .. } => ("missing", 0, "not fetched yet".to_owned(), Some(0)),
        BlobState::Missing { tries, last_error, next_try } => {
            ("missing", tries, last_error.unwrap_or_else(|| "the last try failed".to_owned()), Some(next_try))
        }
        BlobState::Gone { reason } => {
            ("gone", 0, reason.unwrap_or_else(|| "its source does not have it".to_owned()), None)
        }
        BlobState::Temporary { .. } => ("temporary", 0, "no record names it yet".to_owned(), None),
        BlobState::Quarantined { reference } => {
            ("quarantined", 0, format!("it is withheld ({reference})"), None)
        }
    };
    BlobNote {
        cid: row.cid.to_string(),
        mime: row.mime,
        size: row.size,
        state: state.to_owned(),
        tries,
        reason,
        next_try,
    }
}

/// The stored word of a proof state.
pub(crate) fn verified_word(state: VerifiedState) -> &'static str {
    match state {
        VerifiedState::Nothing => "nothing",
        VerifiedState::Verified => "verified",
        VerifiedState::Unverified => "unverified",
        VerifiedState::Verbatim => "verbatim",
    }
}

/// How safe an account is, in one sentence.
fn safety(account: &Account) -> String {
    if account.purging {
        return "is being removed".to_owned();
    }
    let blobs = match account.blobs_missing {
        0 => String::new(),
        missing => format!(", {} missing", plural(missing, "blob", "blobs")),
    };
    let damage =
        if account.last_verify_ok == Some(false) { "; the last verification found damage" } else { "" };
    let base = match (account.verified, account.last_sync_at) {
        (VerifiedState::Nothing, _) => return "nothing is stored yet".to_owned(),
        (VerifiedState::Verbatim, _) => "kept as a file, exactly as it came, not verified".to_owned(),
        (VerifiedState::Unverified, _) => {
            "complete in itself, and nothing vouches for who signed it".to_owned()
        }
        (VerifiedState::Verified, Some(at)) => format!("verified, up to date as of {}", when(at)),
        (VerifiedState::Verified, None) => "verified".to_owned(),
    };
    let status = match account.status {
        AccountStatus::Active => String::new(),
        other => format!("; {} at its host", other.as_str()),
    };
    let trouble = match &account.last_sync_error {
        Some(_) if account.status == AccountStatus::Active => "; the last sync failed",
        _ => "",
    };
    format!("{base}{blobs}{status}{trouble}{damage}")
}
