//! The steps. Each finds out whether it was done, does it, and says so in the journal.

use std::sync::Arc;

use p2pds_archive::{Archive, Phase, Progress};
use p2pds_crypto::{PublicKey, Signer};
use p2pds_host::Host;
use p2pds_host::events::{self, Said};
use p2pds_host::write::{Announce, EmptyCommit};
use p2pds_identity::plc::{Log, Operation};
use p2pds_store::{
    AccountPatch, AccountStatus, Login, LoginPatch, Origin, Role, StoreError, Unit, VerifiedState,
};
use p2pds_syntax::{AtIdentifier, DidMethod, ErrorKind, Handle};

use super::PromoteOptions;
use super::draft::Draft;
use super::journal::{Journal, Step};
use super::key::RotationKey;
use super::plan::document;
use super::registry::Registry;
use super::remark::{Choice, Remark};
use super::report::{Plan, Promoted};
use crate::error::{RecoveryError, RecoveryResult};

/// No password is kept as this: nothing that is typed hashes to it. The owner sets one afterwards.
const NO_PASSWORD: &str = "!";
/// How long our own operation is expected by those who watch the identity.
const EXPECTED: std::time::Duration = std::time::Duration::from_secs(3_600);

/// One promotion with what it works on.
pub(crate) struct Promotion<'a> {
    pub(crate) archive: &'a Archive,
    pub(crate) host: &'a Host,
    pub(crate) registry: &'a dyn Registry,
    pub(crate) progress: &'a Progress,
}

impl Promotion<'_> {
    /// Decides and signs. From here on the user's key is not needed any more.
    pub(crate) async fn begin(
        &self,
        plan: &Plan,
        options: &PromoteOptions,
        key: Option<&RotationKey>,
    ) -> RecoveryResult<Journal> {
        let (did, now) = (&plan.did, self.host.now());
        let email = self.fit_email(options.email.as_deref().unwrap_or_default()).await?;
        let signing = self.host.keys().new_signing_key().map_err(p2pds_host::HostError::from)?;
        let sealed = self.host.keys().wrap(&signing, did).map_err(p2pds_host::HostError::from)?;
        let public = signing.public_key();
        let handle = plan.new_handle.clone();
        let operation = match (plan.log, key) {
            (Some(_), Some(key)) => {
                let log = self.registry.log(did).await?;
                Some(self.sign(&log, &public, handle.as_deref(), options, key)?)
            }
            _ => None,
        };
        let name = public.to_did_key();
        let journal = Journal::new(did.clone(), &sealed, name, operation.as_ref(), handle, email, now);
        self.host.store().apply(journal.put(now)?).await?;
        self.note(&journal, "decided, and signed");
        Ok(journal)
    }

    /// The address, if it is one and nobody else's here; looked at before anything is signed.
    async fn fit_email(&self, text: &str) -> RecoveryResult<String> {
        if text.trim().is_empty() {
            return Ok(String::new());
        }
        let refused = &self.host.config().accounts.refused_email_domains;
        let email = p2pds_host::accounts::fit_email(text, refused)?;
        if self.host.store().login_by_email(&email).await?.is_some() {
            let words = format!("the address {email} belongs to another account here: name another one");
            return Err(p2pds_host::HostError::invalid(words).into());
        }
        Ok(email)
    }

    fn sign(
        &self,
        log: &Log,
        signing: &PublicKey,
        handle: Option<&str>,
        options: &PromoteOptions,
        key: &RotationKey,
    ) -> RecoveryResult<Operation> {
        let server_key = self.host.keys().plc_rotation().public_key().to_did_key();
        // The handle that stands there already is not written anew: other names before it stay before it.
        let handle = options.handle.as_ref().and(handle).and_then(|text| Handle::parse(text).ok());
        let url = &self.host.config().public_url;
        let draft = Draft::new(log, url, &server_key, signing, handle.as_ref(), options);
        let draft =
            draft.map_err(|why| RecoveryError::NotPromoted { did: log.did().clone(), why: vec![why] })?;
        draft.sign(log, key, self.host.now())
    }

    /// All steps that are left.
    pub(crate) async fn run(
        &self,
        mut journal: Journal,
        options: &PromoteOptions,
        key: Option<&RotationKey>,
    ) -> RecoveryResult<Promoted> {
        if journal.step < Step::Hosted {
            self.host_it(&mut journal).await?;
        }
        if journal.step < Step::Submitted {
            // Before anybody can write: what is here counts when a like or follow is made again.
            self.host.mark_links(&journal.did).await?;
            if let Some(wait) = self.submit(&mut journal, options, key).await? {
                return Ok(self.promoted(&journal, None, Some(wait), Vec::new()));
            }
        }
        self.activate(&journal).await
    }

    /// The account gets its login, switched off. Nothing of this is seen outside.
    pub(crate) async fn host_it(&self, journal: &mut Journal) -> RecoveryResult<()> {
        let (did, now) = (&journal.did, self.host.now());
        let login = Login {
            did: did.clone(),
            email: journal.email.clone(),
            email_confirmed_at: None,
            password: NO_PASSWORD.to_owned(),
            created_at: now,
            deactivated_at: Some(now),
            delete_after: None,
            takedown: None,
            invites_disabled: false,
            invited_by: None,
            signing_key: journal.sealed()?,
            signing_did_key: journal.signing_key.clone(),
        };
        let patch = AccountPatch {
            handle: journal.handle.clone().map(Some),
            status: Some(AccountStatus::Deactivated),
            status_at: Some(now),
            ..AccountPatch::default()
        };
        let mut next = journal.clone();
        next.step = Step::Hosted;
        let units = vec![
            Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) },
            Unit::SetRole { did: did.clone(), role: Role::Hosted },
            Unit::PutLogin(Box::new(login)),
            next.put(now)?,
        ];
        self.host.store().apply(Unit::Batch { did: did.clone(), units }).await.map_err(|error| match error {
            StoreError::Taken(what) => RecoveryError::NotPromoted {
                did: did.clone(),
                why: vec![Remark::choosing(
                    format!(
                        "its {what} belongs to another account of this host already: give this promotion up, and begin it \
                         with another one"
                    ),
                    Choice::GiveUp,
                )],
            },
            error => error.into(),
        })?;
        self.host.forget_account(did).await;
        self.archive.changed_hands(did);
        *journal = next;
        self.note(journal, "prepared here, switched off");
        Ok(())
    }

    /// The identity names this node. For a did:web that is its owner's to do: then what is missing is said.
    pub(crate) async fn submit(
        &self,
        journal: &mut Journal,
        options: &PromoteOptions,
        key: Option<&RotationKey>,
    ) -> RecoveryResult<Option<String>> {
        let did = journal.did.clone();
        let Some(mut operation) = journal.operation()? else {
            if let Some(wait) = self.wait_for_document(journal).await? {
                return Ok(Some(wait));
            }
            self.advance(journal, Step::Submitted).await?;
            return Ok(None);
        };
        let log = self.registry.log(&did).await?;
        if !log.canonical().any(|entry| entry.cid == operation.cid()) {
            if operation.prev() != Some(log.head()) {
                operation = self.sign_anew(journal, &log, options, key).await?;
            }
            // Those who watch the identity need not be alarmed by what its owner does here.
            self.archive.announce(&did, EXPECTED, "promotion to this node").await?;
            self.registry.submit(&did, &operation).await?;
        }
        self.advance(journal, Step::Submitted).await?;
        self.note(journal, "the directory has the operation");
        Ok(None)
    }

    /// Somebody changed the identity after the operation was signed: it has to be signed on top of that.
    async fn sign_anew(
        &self,
        journal: &mut Journal,
        log: &Log,
        options: &PromoteOptions,
        key: Option<&RotationKey>,
    ) -> RecoveryResult<Operation> {
        let did = journal.did.clone();
        let last = log.steps().pop().map(|step| {
            let words: Vec<String> = step.differences.iter().map(ToString::to_string).collect();
            words.join(", ")
        });
        let Some(key) = key.filter(|_| options.force) else {
            return Err(RecoveryError::NotPromoted {
                did,
                why: vec![Remark::choosing(
                    format!(
                        "the identity was changed after the operation was signed ({}). If that was its owner, it can be \
                         signed anew on top of that, with the rotation key and in spite of the change; otherwise give \
                         the promotion up",
                        last.unwrap_or_default()
                    ),
                    Choice::SignAnew,
                )],
            });
        };
        let public = PublicKey::from_did_key(&journal.signing_key)
            .map_err(|error| RecoveryError::Bug(error.to_string()))?;
        let operation = self.sign(log, &public, journal.handle.as_deref(), options, key)?;
        journal.set_operation(&operation);
        self.host.store().apply(journal.put(self.host.now())?).await?;
        Ok(operation)
    }

    /// `None` when the document of a did:web names this node and the new key.
    async fn wait_for_document(&self, journal: &Journal) -> RecoveryResult<Option<String>> {
        let did = &journal.did;
        let Some(login) = self.host.store().login(did).await? else {
            return Err(RecoveryError::Bug(format!("{did} lost its login during its promotion")));
        };
        let Err(why) = self.host.check_points_here(&login).await else { return Ok(None) };
        let handle = journal.handle.as_deref().and_then(|text| Handle::parse(text).ok());
        let (place, document) =
            document(did, &self.host.config().public_url, &journal.signing_key, handle.as_ref());
        let text = serde_json::to_string_pretty(&document).unwrap_or_default();
        Ok(Some(format!("Publish this at {place} (now: {why}):\n{text}")))
    }

    /// One unit: the head under the new key, the login switched on, and the world told.
    pub(crate) async fn activate(&self, journal: &Journal) -> RecoveryResult<Promoted> {
        let (did, now) = (&journal.did, self.host.now());
        let handle = journal.handle.as_deref().and_then(|text| Handle::parse(text).ok());
        let login = LoginPatch { deactivated_at: Some(None), ..LoginPatch::default() };
        let account = AccountPatch {
            status: Some(AccountStatus::Active),
            status_at: Some(now),
            pds: Some(Some(self.host.config().public_url.clone())),
            handle: Some(journal.handle.clone()),
            origin: Some(Origin::Network),
            verified: Some(VerifiedState::Verified),
            ..AccountPatch::default()
        };
        let before = vec![
            Unit::PatchLogin { did: did.clone(), patch: Box::new(login) },
            Unit::PatchAccount { did: did.clone(), patch: Box::new(account) },
            events::identity(did, handle.as_ref(), now)?,
            events::account(did, Said::Active, now)?,
        ];
        let signer: Arc<dyn Signer> =
            self.host.keys().unwrap(&journal.sealed()?, did).map_err(p2pds_host::HostError::from)?;
        let how = EmptyCommit {
            signer: Some(signer),
            before,
            announce: Announce::Both,
            after: vec![journal.end()],
        };
        let written = self.host.empty_commit(did, how).await?;
        self.host.forget_account(did).await;
        self.host.directory().forget(&AtIdentifier::Did(did.clone()));
        tracing::info!(event = "recovery.promoted", %did, rev = %written.rev, "an archived account is hosted here now");
        self.note(journal, "active, and the network is told");
        Ok(self.promoted(journal, Some(written.rev.to_string()), None, Vec::new()))
    }

    /// Gives it up, as long as nobody outside knows of it.
    pub(crate) async fn cancel(&self, journal: &Journal) -> RecoveryResult<()> {
        let did = &journal.did;
        let gone_too_far = || {
            RecoveryError::NotPromoted {
            did: did.clone(),
            why: vec![
                "the identity names this node already: go on with it to finish it, and move the account away afterwards if \
                 it is to be elsewhere"
                    .into(),
            ],
        }
        };
        if journal.step >= Step::Submitted {
            return Err(gone_too_far());
        }
        if let Some(operation) = journal.operation()? {
            let log = self.registry.log(did).await?;
            if log.entries().iter().any(|entry| entry.cid == operation.cid()) {
                return Err(gone_too_far());
            }
        }
        let units = vec![
            Unit::SetRole { did: did.clone(), role: Role::Archived },
            Unit::DropLogin { did: did.clone() },
            journal.end(),
        ];
        self.host.store().apply(Unit::Batch { did: did.clone(), units }).await?;
        self.host.forget_account(did).await;
        self.archive.changed_hands(did);
        tracing::info!(event = "recovery.promotion-cancelled", %did, "a promotion was given up");
        Ok(())
    }

    async fn advance(&self, journal: &mut Journal, step: Step) -> RecoveryResult<()> {
        let mut next = journal.clone();
        next.step = step;
        self.host.store().apply(next.put(self.host.now())?).await?;
        *journal = next;
        Ok(())
    }

    fn note(&self, journal: &Journal, words: &str) {
        let name = journal.handle.as_deref().unwrap_or(journal.did.as_str());
        self.progress.note(Phase::Store, format!("{name}: {words}"));
    }

    fn promoted(
        &self,
        journal: &Journal,
        rev: Option<String>,
        waiting_for: Option<String>,
        notes: Vec<String>,
    ) -> Promoted {
        let operation = journal.operation().ok().flatten().map(|operation| operation.cid().to_string());
        Promoted {
            did: journal.did.clone(),
            handle: journal.handle.clone(),
            already: false,
            waiting_for,
            rev,
            signing_key: journal.signing_key.clone(),
            operation: operation.filter(|_| journal.did.method() == DidMethod::Plc),
            notes,
        }
    }
}

impl From<p2pds_host::HostError> for RecoveryError {
    fn from(error: p2pds_host::HostError) -> Self {
        let kind = match error.kind() {
            ErrorKind::Bug => ErrorKind::Unavailable,
            kind => kind,
        };
        Self::Said { kind, words: error.to_string() }
    }
}
