//! Adding an account and keeping it current: the two commands, and what they say before and after.

use p2pds_directory::{DirectoryError, Identity};
use p2pds_net::NetError;
use p2pds_store::{Account, AccountPatch, AccountStatus, Origin, Unit};
use p2pds_syntax::{AtIdentifier, Did};
use serde_json::json;
use tokio::time::Instant;

use crate::archive::{Archive, Inner, parse_name};
use crate::error::{ArchiveError, ArchiveResult};
use crate::fetch_blobs::{Brought, Which};
use crate::host::{Host, RepoStatus, ServerDescription, status_of, status_words, withheld};
use crate::identity::{handle_situation, identity_error, key_situation, keys_of};
use crate::progress::{Phase, Progress, Stage};
use crate::report::{Found, Outcome, Summary};
use crate::update::{Subject, Updated};

impl Archive {
    /// Archives an account: resolves it, says what was found, fetches, verifies and stores the repo, then the blobs.
    /// On an account that is here already it goes on where an earlier run stopped, and asks for gone blobs again.
    ///
    /// # Errors
    /// [`ArchiveError`]; what was done until then is kept, and the same command goes on from there.
    pub async fn add(&self, name: &str, progress: &Progress) -> ArchiveResult<Summary> {
        let begun = Instant::now();
        let ident = parse_name(name)?;
        progress.send(Phase::Resolve, Stage::Note, format!("looking up {ident}"));
        // A person who tries again wants an answer, not a remembered failure.
        self.inner().directory().forget(&ident);
        let identity = self.inner().resolve(&ident).await?;
        let did = identity.did.clone();
        let progress = progress.about(&did);
        let _guard = self.inner().locks().enter(&did).await;
        if self.inner().store().account(&did).await?.is_some_and(|account| account.hosted) {
            return Err(ArchiveError::HostedHere(did));
        }
        let (found, status) = self.inner().describe(&identity).await?;
        progress.found(&found);
        let usable = self.inner().need_room("archiving", 1 << 20)?;
        if let Some(bytes) = found.repo_bytes.filter(|&bytes| bytes.saturating_mul(2) > usable) {
            self.inner()
                .need_room("the repo (its download and what is stored of it)", bytes.saturating_mul(2))?;
        }
        let host = host_of(&identity)?;
        self.inner().enroll(&identity).await?;
        let mut summary =
            self.inner().bring(&identity, &host, status, Which::GoneToo, &progress, begun).await?;
        summary.found = Some(Box::new(found));
        Ok(summary)
    }

    /// Fetches what is new. Nothing that is stored is lost by whatever the host says.
    ///
    /// # Errors
    /// [`ArchiveError`]; it is also noted with the account, in plain words.
    pub async fn sync(&self, did: &Did, progress: &Progress) -> ArchiveResult<Summary> {
        self.inner().directory().forget(&AtIdentifier::Did(did.clone()));
        self.sync_for(did, Which::Missing, progress).await
    }

    /// As [`Archive::sync`], and of the missing blobs only those whose next try is due: what a running node does on its
    /// own.
    ///
    /// # Errors
    /// As [`Archive::sync`].
    pub async fn sync_quietly(&self, did: &Did, progress: &Progress) -> ArchiveResult<Summary> {
        self.sync_for(did, Which::Due, progress).await
    }

    /// Fetches the missing blobs whose next try is due, and nothing else: for accounts whose records are followed live.
    ///
    /// # Errors
    /// As [`Archive::sync`].
    pub async fn fetch_due_blobs(&self, did: &Did, progress: &Progress) -> ArchiveResult<()> {
        let _guard = self.inner().locks().share(did).await;
        let Some(host) = self.inner().archived(did).await?.pds else { return Ok(()) };
        self.inner().fetch_blobs(did, &host, Which::Due, &progress.about(did)).await?;
        Ok(())
    }

    pub(crate) async fn sync_for(
        &self,
        did: &Did,
        which: Which,
        progress: &Progress,
    ) -> ArchiveResult<Summary> {
        let begun = Instant::now();
        let progress = progress.about(did);
        let _guard = self.inner().locks().enter(did).await;
        let account = self.inner().archived(did).await?;
        let outcome = match self.inner().directory().refresh(did).await {
            Ok(identity) => match host_of(&identity) {
                Ok(host) => {
                    self.inner().bring(&identity, &host, account.status, which, &progress, begun).await
                }
                Err(error) => Err(error),
            },
            Err(DirectoryError::Tombstoned { at, .. }) => {
                self.inner().judge_identity_quietly(did).await;
                let outcome = self.inner().tombstoned(did, &at).await?;
                self.inner()
                    .summary(
                        did,
                        Updated { outcome, fetched_bytes: 0, notes: Vec::new() },
                        Brought::default(),
                        begun,
                    )
                    .await
            }
            Err(error) => Err(identity_error(did.as_str(), &error)),
        };
        if let Err(error) = &outcome {
            self.inner().note_failure(did, error).await?;
        }
        outcome
    }
}

impl Inner {
    /// The account's row, as far as its identity tells.
    async fn enroll(&self, identity: &Identity) -> ArchiveResult<()> {
        let mut account = Account::new(identity.did.clone(), Origin::Network, self.now());
        account.handle = identity.handle.verified().map(|handle| handle.as_str().to_owned());
        account.pds.clone_from(&identity.pds);
        self.store().apply(Unit::AddAccount(Box::new(account))).await?;
        let origin = AccountPatch { origin: Some(Origin::Network), ..AccountPatch::default() };
        self.patch(&identity.did, origin).await
    }

    /// Repo, then blobs, then the summary. The caller holds the account.
    async fn bring(
        &self,
        identity: &Identity,
        host: &str,
        status: AccountStatus,
        which: Which,
        progress: &Progress,
        begun: Instant,
    ) -> ArchiveResult<Summary> {
        let did = &identity.did;
        // In this order: an attempt that is cut off anywhere is known for one by whoever tidies up.
        self.working(did, &format!("syncing with {host}"), json!({"host": host})).await?;
        let now = Some(Some(self.now()));
        self.patch(did, AccountPatch { last_attempt_at: now, ..AccountPatch::default() }).await?;
        self.judge_identity_quietly(did).await;
        let outcome = self.bring_parts(identity, host, status, which, progress).await;
        let rested = self.rested(did).await;
        match outcome {
            Ok((updated, brought)) => {
                rested?;
                let failed = match &updated.outcome {
                    Outcome::Refused { why, .. } | Outcome::Withheld { why, .. } => Some(why.clone()),
                    _ => None,
                };
                let ended = failed.is_none().then(|| Some(self.now()));
                let patch = AccountPatch {
                    // An import that was synced once is an account of the network from then on.
                    origin: ended.is_some().then_some(Origin::Network),
                    last_sync_at: ended,
                    last_sync_error: Some(failed),
                    ..AccountPatch::default()
                };
                self.patch(did, patch).await?;
                if !self.live.follows(did) {
                    self.wakes.job(crate::live::JOB);
                }
                self.summary(did, updated, brought, begun).await
            }
            Err(error) => {
                self.note_failure(did, &error).await?;
                Err(error)
            }
        }
    }

    async fn bring_parts(
        &self,
        identity: &Identity,
        host: &str,
        status: AccountStatus,
        which: Which,
        progress: &Progress,
    ) -> ArchiveResult<(Updated, Brought)> {
        let did = &identity.did;
        let moved = self.account(did).await?.pds.is_some_and(|old| old != host);
        let mut notes = Vec::new();
        self.note_identity(did, identity, &mut notes).await?;
        let subject = Subject { did, host, keys: keys_of(identity), status, whole: false };
        // What the host says of the account is heard, whether there is room for more of it or not.
        if let Err(full) = self.need_quota(did).await {
            self.hear_status(&subject).await?;
            return Err(full);
        }
        let mut updated = self.update_repo(&subject, progress).await?;
        notes.append(&mut updated.notes);
        updated.notes = notes;
        let mut brought = Brought::default();
        if !matches!(updated.outcome, Outcome::Withheld { .. }) {
            // Another host may have what the one before had lost.
            let which = if moved { Which::GoneToo } else { which };
            brought = self.fetch_blobs(did, host, which, progress).await?;
        }
        Ok((updated, brought))
    }

    /// The account's state at its host, noted when it has changed.
    async fn hear_status(&self, subject: &Subject<'_>) -> ArchiveResult<()> {
        let host = Host { net: self.net(), url: subject.host, did: subject.did };
        match host.status().await {
            Ok(answer) if status_of(&answer) != subject.status => {
                self.set_status(subject.did, status_of(&answer)).await
            }
            _ => Ok(()),
        }
    }

    /// What the network says about an account, before anything of it is fetched.
    async fn describe(&self, identity: &Identity) -> ArchiveResult<(Found, AccountStatus)> {
        let did = &identity.did;
        let known = self.store().account(did).await?;
        let (_, usable) = self.room()?;
        let mut found = Found {
            did: did.clone(),
            handle: handle_situation(&identity.handle, identity.pds.as_deref(), None),
            host: identity.pds.clone(),
            status: AccountStatus::Active.as_str().to_owned(),
            keys: key_situation(did, identity.plc.as_deref(), identity.signing_key.as_ref()),
            collections: Vec::new(),
            rev: None,
            blobs: None,
            repo_bytes: known.map(|account| account.car_bytes).filter(|&bytes| bytes > 0),
            disk_available: usable,
            not_contained: Found::NOT_CONTAINED.map(str::to_owned).to_vec(),
            remarks: Vec::new(),
        };
        found
            .remarks
            .extend(identity.key_problem.iter().map(|why| format!("its signing key cannot be used: {why}")));
        found.remarks.extend(
            identity.stale.iter().map(|why| format!("known from before, asking again failed: {why}")),
        );
        let Some(url) = &identity.pds else { return Ok((found, AccountStatus::Active)) };
        let host = Host { net: self.net(), url, did };
        let (server, state, latest, contents, blobs) =
            futures::join!(host.server(), host.status(), host.latest(), host.describe(), host.count_blobs());
        if let Ok(ServerDescription { available_user_domains }) = &server {
            found.handle = handle_situation(&identity.handle, Some(url), Some(available_user_domains));
        }
        let status = state_of(&state, latest.as_ref().err());
        found.status = status.as_str().to_owned();
        if status != AccountStatus::Active {
            found.remarks.push(status_words(status, url));
        }
        found.rev = latest.ok().map(|latest| latest.rev);
        found.collections = contents.map(|contents| contents.collections).unwrap_or_default();
        if let Ok((count, more)) = blobs {
            found.blobs = Some(count);
            if more {
                found.remarks.push(format!("it has more than {count} blobs; only so many were counted"));
            }
        }
        // A state that is only now heard of must not look like a change later.
        Ok((found, AccountStatus::Active))
    }

    /// Notes a failed sync with the account, in plain words.
    async fn note_failure(&self, did: &Did, error: &ArchiveError) -> ArchiveResult<()> {
        if self.store().account(did).await?.is_none() {
            return Ok(());
        }
        let patch = AccountPatch {
            last_attempt_at: Some(Some(self.now())),
            last_sync_error: Some(Some(error.to_string())),
            ..AccountPatch::default()
        };
        // A store that cannot note it has worse news, which the caller already has.
        let _ = self.patch(did, patch).await;
        Ok(())
    }

    /// The identity was given up: nothing is fetched, nothing is erased.
    async fn tombstoned(&self, did: &Did, at: &str) -> ArchiveResult<Outcome> {
        self.set_status(did, AccountStatus::Deleted).await?;
        let why = format!("its owner gave the identity up at {at}");
        self.keep_evidence(did, "status", json!({"status": "deleted", "words": why}), None).await?;
        let patch = AccountPatch {
            last_attempt_at: Some(Some(self.now())),
            last_sync_error: Some(Some(why.clone())),
            ..AccountPatch::default()
        };
        self.patch(did, patch).await?;
        Ok(Outcome::Withheld { status: AccountStatus::Deleted.as_str().to_owned(), why })
    }

    /// What is stored now, as an answer.
    pub(crate) async fn summary(
        &self,
        did: &Did,
        updated: Updated,
        brought: Brought,
        begun: Instant,
    ) -> ArchiveResult<Summary> {
        let account = self.account(did).await?;
        let live = self.store().live_repo(did).await?;
        let collections = match &live {
            Some(repo) => self.collections(repo.id).await?,
            None => Vec::new(),
        };
        let mut notes = updated.notes;
        notes.extend(brought.notes);
        let head = live.and_then(|repo| repo.head);
        Ok(Summary {
            did: did.clone(),
            handle: account.handle.clone(),
            outcome: updated.outcome,
            rev: head.as_ref().map(|head| head.rev.to_string()),
            commit: head.as_ref().map(|head| head.commit.to_string()),
            records: account.records,
            collections,
            fetched_bytes: updated.fetched_bytes,
            blobs_held: account.blobs_held,
            blobs_fetched: brought.fetched,
            blobs_missing: account.blobs_missing,
            blob_bytes: account.blob_bytes,
            notes,
            accepted_older: false,
            found: None,
            took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }
}

pub(crate) fn host_of(identity: &Identity) -> ArchiveResult<String> {
    let why = if identity.stale.is_some() { ", as far as was known before" } else { "" };
    identity.pds.clone().ok_or(ArchiveError::NoHost { did: identity.did.clone(), why })
}

fn state_of(state: &Result<RepoStatus, NetError>, latest: Option<&NetError>) -> AccountStatus {
    match state {
        Ok(state) => status_of(state),
        Err(_) => latest.and_then(|error| withheld(error, false)).unwrap_or(AccountStatus::Active),
    }
}
