//! Accounts begin to be this host's: activation, what is still missing for it, keys promised before, keys exchanged.

use std::sync::Arc;

use p2pds_crypto::{PrivateKey, PublicKey, Signer};
use p2pds_store::hosting::{HostingUnit, LoginPatch, ReservedKey, ReservedUnit};
use p2pds_store::{AccountPatch, AccountStatus, Login, Origin, Unit, VerifiedState};
use p2pds_syntax::{AtIdentifier, Did, DidMethod, ErrorKind};
use serde::Serialize;

use crate::accounts::{Act, By};
use crate::error::{HostError, HostResult};
use crate::events::{self, Said};
use crate::host::Host;
use crate::keys::{KeysError, WrapError};
use crate::reason::Reason;
use crate::write::{Announce, EmptyCommit};

/// How many keys are kept for accounts that may come.
const MOST_RESERVED: u64 = 5_000;
/// How long one is kept, microseconds: 30 days.
const RESERVED_FOR: i64 = 30 * 24 * 3_600 * 1_000_000;

/// The answer of `checkAccountStatus`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountState {
    /// Whether it is in use.
    pub activated: bool,
    /// Whether its document makes this host its host.
    pub valid_did: bool,
    /// CID of its head.
    pub repo_commit: String,
    /// Its rev.
    pub repo_rev: String,
    /// Blocks of its repo: the commit, the records, the nodes of the tree.
    pub repo_blocks: u64,
    /// Records.
    pub indexed_records: u64,
    /// Always 0: private state is not counted that way any more.
    pub private_state_values: u64,
    /// Blobs that its records name.
    pub expected_blobs: u64,
    /// Those of them that are here.
    pub imported_blobs: u64,
}

impl Host {
    /// `activateAccount`: the account's document must make this host its host. The network hears `#account`,
    /// `#identity`, and a commit without changes under the new key and with a higher rev, so that head and rev belong
    /// together, and `#sync`. An account that is active already is announced again.
    ///
    /// # Errors
    /// What does not fit in the document; `AccountTakedown`.
    pub async fn activate_account(&self, did: &Did) -> HostResult<()> {
        let checked = self.activatable(did).await?;
        self.check_points_here(&checked).await?;
        let lock = self.account_lock(did).await?;
        let mut held = lock.hold().await;
        // Asking who hosts it takes its time: the account may be gone by then, an archived one again, or have another key.
        let login = self.activatable(did).await?;
        if login.created_at != checked.created_at || login.signing_did_key != checked.signing_did_key {
            return Err(HostError::named(
                "InvalidSwap",
                "the account was changed while its identity was looked up; activate it again",
            )
            .because(Reason::ChangedMeanwhile));
        }
        let moved = self.end_moving(did).await?;
        let now = self.now();
        let handle = self.handle_of(did).await?;
        let login_patch =
            LoginPatch { deactivated_at: Some(None), delete_after: Some(None), ..LoginPatch::default() };
        let account_patch = AccountPatch {
            status: Some(AccountStatus::Active),
            status_at: Some(now),
            pds: Some(Some(self.config().public_url.clone())),
            origin: moved.is_some().then_some(Origin::Network),
            verified: moved.is_some().then_some(VerifiedState::Verified),
            ..AccountPatch::default()
        };
        let before = vec![
            Unit::PatchLogin { did: did.clone(), patch: Box::new(login_patch) },
            Unit::PatchAccount { did: did.clone(), patch: Box::new(account_patch) },
            events::account(did, Said::Active, now)?,
            events::identity(did, handle.as_ref(), now)?,
        ];
        let after = moved.into_iter().flatten().collect();
        let how = EmptyCommit { before, announce: Announce::Both, after, ..EmptyCommit::default() };
        self.empty_commit_held(&mut held, did, how).await?;
        drop(held);
        self.directory().forget(&AtIdentifier::Did(did.clone()));
        tracing::info!(event = "host.activated", %did, "an account is active");
        Ok(())
    }

    /// The login of an account that nobody has taken down.
    async fn activatable(&self, did: &Did) -> HostResult<Login> {
        let login = self.hosted(did).await?;
        if login.takedown.is_some() {
            return Err(HostError::named(
                "AccountTakedown",
                "Account has been taken down: only the host's moderators can undo that",
            )
            .because(Reason::Takendown));
        }
        Ok(login)
    }

    /// `checkAccountStatus`: how far a migration is.
    ///
    /// # Errors
    /// The account is not hosted here, or has no repo yet.
    pub async fn account_state(&self, did: &Did) -> HostResult<AccountState> {
        let login = self.hosted(did).await?;
        let missing =
            || HostError::new(ErrorKind::NotFound, "RepoNotFound", format!("{did} has no repo here yet"));
        let account = self.store().account(did).await?.ok_or_else(missing)?;
        let repo = self.store().live_repo(did).await?.ok_or_else(missing)?;
        let head = repo.head.as_ref().ok_or_else(missing)?;
        let valid_did = self.check_points_here(&login).await.is_ok();
        let nodes = self.nodes_of(&repo).await?;
        Ok(AccountState {
            activated: login.deactivated_at.is_none() && login.takedown.is_none(),
            valid_did,
            repo_commit: head.commit.to_string(),
            repo_rev: head.rev.to_string(),
            repo_blocks: repo.records.saturating_add(nodes).saturating_add(1),
            indexed_records: repo.records,
            private_state_values: 0,
            expected_blobs: account.blobs_held.saturating_add(account.blobs_missing),
            imported_blobs: account.blobs_held,
        })
    }

    /// Nodes of a repo's tree: those below the spine counted, those of the spine about one for four buckets.
    async fn nodes_of(&self, repo: &p2pds_store::Repo) -> HostResult<u64> {
        const PAGE: usize = 200;
        let (mut nodes, mut buckets, mut from) = (0_u64, 0_u64, Vec::new());
        loop {
            let page = self.store().bucket_page(repo.id, &from, PAGE).await?;
            for bucket in &page {
                let blocks = u64::try_from(bucket.prefixes.len() / 4).unwrap_or(u64::MAX);
                nodes = nodes.saturating_add(blocks.saturating_sub(u64::from(bucket.n)));
                buckets = buckets.saturating_add(1);
            }
            match page.last() {
                Some(last) if page.len() == PAGE => from = [last.lo.as_slice(), &[0]].concat(),
                _ => return Ok(nodes.saturating_add(buckets / 4).max(1)),
            }
        }
    }

    /// `reserveSigningKey`: a key for an account that is about to be made here, the same one each time it is asked for
    /// the same account.
    ///
    /// # Errors
    /// The store's.
    pub async fn reserve_signing_key(&self, did: Option<&Did>) -> HostResult<String> {
        if let Some(did) = did {
            if self.store().login(did).await?.is_some() {
                return Err(HostError::invalid(format!("{did} is hosted here already and has its key")));
            }
            if let Some(kept) = self.store().reserved_key_for(did).await? {
                return Ok(kept.did_key);
            }
        }
        let now = self.now();
        let key = self.keys().new_signing_key()?;
        let did_key = key.public_key().to_did_key();
        let row = ReservedKey {
            did_key: did_key.clone(),
            did: did.cloned(),
            signing_key: self.keys().wrap_reserved(&key)?,
            created_at: now,
        };
        let units = [
            ReservedUnit::Prune { before: now.saturating_sub(RESERVED_FOR) },
            ReservedUnit::Put { row, most: MOST_RESERVED },
        ];
        for unit in units {
            self.store().apply(Unit::Hosting(Box::new(HostingUnit::Reserved(unit)))).await?;
        }
        // Somebody else may have asked for the same account at the same moment: one of the two keys was kept.
        let kept = match did {
            Some(did) => self.store().reserved_key_for(did).await?,
            None => self.store().reserved_key(&did_key).await?,
        };
        kept.map(|kept| kept.did_key).ok_or_else(|| {
            HostError::limited(
                3_600,
                "too many keys are promised already; do without: a key is made with the account",
            )
        })
    }

    /// The key with which a new account signs: the one promised to it, or a new one. The unit, if there is one, belongs
    /// into the batch that makes the account.
    ///
    /// # Errors
    /// The promised key cannot be opened any more.
    pub async fn signing_key_for(&self, did: Option<&Did>) -> HostResult<(PrivateKey, Option<Unit>)> {
        if let Some(did) = did
            && let Some(kept) = self.promised(did).await?
        {
            let key = self.keys().unwrap_reserved(&kept.signing_key, &kept.did_key)?;
            let take = ReservedUnit::Take { did: did.clone(), did_key: kept.did_key };
            return Ok((key, Some(Unit::Hosting(Box::new(HostingUnit::Reserved(take))))));
        }
        Ok((self.keys().new_signing_key()?, None))
    }

    /// The key promised to an account by name, or the one that its document names already.
    async fn promised(&self, did: &Did) -> HostResult<Option<ReservedKey>> {
        if let Some(kept) = self.store().reserved_key_for(did).await? {
            return Ok(Some(kept));
        }
        let Ok(identity) = self.directory().resolve(&AtIdentifier::Did(did.clone())).await else {
            return Ok(None);
        };
        let Some(key) = identity.signing_key else { return Ok(None) };
        let kept = self.store().reserved_key(&key.to_did_key()).await?;
        Ok(kept.filter(|kept| kept.did.is_none()))
    }

    /// Gives an account a new signing key: in its document first, then here, with a commit without changes under it.
    /// Nobody writes to the account meanwhile, so that nothing is signed with a key that the document does not name any
    /// more. Interrupted between the two, the next call goes on with the key that the document has.
    ///
    /// # Errors
    /// The document is not this host's to change, or what the directory says.
    pub async fn rotate_signing_key(&self, by: &By, did: &Did) -> HostResult<String> {
        let lock = self.account_lock(did).await?;
        let mut held = lock.hold().await;
        let login = self.hosted(did).await?;
        let (kept, key) = self.key_after(did, &login.signing_did_key).await?;
        self.name_key_in_document(did, &key.public_key()).await?;
        let patch = LoginPatch {
            signing_key: Some((self.keys().wrap(&key, did)?, kept.did_key.clone())),
            ..LoginPatch::default()
        };
        let handle = self.handle_of(did).await?;
        let take = ReservedUnit::Take { did: did.clone(), did_key: kept.did_key.clone() };
        let mut before = vec![
            Unit::PatchLogin { did: did.clone(), patch: Box::new(patch) },
            Unit::Hosting(Box::new(HostingUnit::Reserved(take))),
            self.audit_unit(Act {
                by,
                what: "rotateSigningKey",
                did: Some(did),
                subject: "",
                detail: &kept.did_key,
            }),
        ];
        let active = login.deactivated_at.is_none() && login.takedown.is_none();
        if active {
            before.push(events::identity(did, handle.as_ref(), self.now())?);
        }
        let signer: Arc<dyn Signer> = Arc::new(key);
        let announce = if active { Announce::Both } else { Announce::Nothing };
        // What a restored backup said of its old key is over.
        let settled =
            Unit::ResolveFindings { did: did.clone(), kind: "signing-key".to_owned(), subject: None };
        let how = EmptyCommit { signer: Some(signer), before, announce, after: vec![settled] };
        self.empty_commit_held(&mut held, did, how).await?;
        self.directory().forget(&AtIdentifier::Did(did.clone()));
        tracing::warn!(event = "host.key-rotated", %did, key = kept.did_key, "an account signs with a new key");
        Ok(kept.did_key)
    }

    /// Makes the document of an account name a signing key.
    async fn name_key_in_document(&self, did: &Did, key: &PublicKey) -> HostResult<()> {
        if did.method() == DidMethod::Plc {
            self.update_plc(did, |data| data.set_signing_key(key)).await?;
            return Ok(());
        }
        if self.serves_document_of(did) {
            return Ok(());
        }
        self.directory().forget(&AtIdentifier::Did(did.clone()));
        let found = self.directory().resolve(&AtIdentifier::Did(did.clone())).await;
        if found.is_ok_and(|identity| identity.signing_key.as_ref() == Some(key)) {
            return Ok(());
        }
        Err(HostError::invalid(format!(
            "the document of {did} is served elsewhere: put {key} into it as its key #atproto, and run this again"
        )))
    }

    /// The next key of an account. It is kept before anybody hears of it, so that an interruption loses no key that a
    /// document names.
    async fn key_after(&self, did: &Did, old: &str) -> HostResult<(ReservedKey, PrivateKey)> {
        if let Some(kept) = self.store().reserved_key_for(did).await? {
            match self.keys().unwrap_reserved(&kept.signing_key, &kept.did_key) {
                Ok(key) if kept.did_key != old => return Ok((kept, key)),
                // It is in use, or was wrapped by a node.key that is gone.
                _ => {
                    let take = ReservedUnit::Take { did: did.clone(), did_key: kept.did_key };
                    self.store().apply(Unit::Hosting(Box::new(HostingUnit::Reserved(take)))).await?;
                }
            }
        }
        let key = self.keys().new_signing_key()?;
        let row = ReservedKey {
            did_key: key.public_key().to_did_key(),
            did: Some(did.clone()),
            signing_key: self.keys().wrap_reserved(&key)?,
            created_at: self.now(),
        };
        let put = HostingUnit::Reserved(ReservedUnit::Put { row: row.clone(), most: u64::MAX });
        self.store().apply(Unit::Hosting(Box::new(put))).await?;
        Ok((row, key))
    }
}

impl From<KeysError> for HostError {
    fn from(error: KeysError) -> Self {
        tracing::error!(event = "host.key", %error, "a key is not to be had");
        Self::new(
            error.kind(),
            "InternalServerError",
            "the host has a problem with its keys; the operator's log says which",
        )
    }
}

impl From<WrapError> for HostError {
    fn from(error: WrapError) -> Self {
        tracing::error!(event = "host.key", %error, "a signing key cannot be read or kept");
        Self::new(
            error.kind(),
            "InternalServerError",
            "the account's signing key cannot be read; the operator's log says why",
        )
    }
}
