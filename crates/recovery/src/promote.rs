//! An archived account becomes a hosted one: `p2pds promote`.
//!
//! ```text
//! plan       what is held and missing, whether the old host still answers, what the identity will say
//! signed     a new signing key, and the operation that the user's rotation key signed: kept, so that nothing is lost
//! hosted     the account has a login here, switched off; the archive leaves it alone from now on
//! submitted  the PLC directory has the operation: this is the step that cannot be taken back by itself
//! active     ONE unit: a new signed commit of a higher rev, the login switched on, #account #identity #commit #sync
//! ```
//!
//! What can fail here is done before the directory is told, and what the world hears comes after. Where it was
//! interrupted a row of the store says, with the operation, and with the new signing key sealed; the user's key is
//! never kept, and is not needed again. Every step finds out whether it was done.

mod draft;
mod journal;
mod key;
mod old_host;
mod plan;
mod registry;
mod remark;
mod report;
mod steps;
#[cfg(test)]
mod tests;

use p2pds_archive::{Phase, Progress};
use p2pds_host::Host;
use p2pds_syntax::{Did, ErrorKind};

pub use key::{NoKey, RotationKey};
pub use old_host::OldHost;
pub use registry::{Directory, Registry};
pub use remark::{Choice, Remark};
pub use report::{Keeper, Plan, Promoted};

pub(crate) use journal::Journal;
pub(crate) use steps::Promotion;

use crate::Recovery;
use crate::error::{RecoveryError, RecoveryResult};

/// What the operator chooses about a promotion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PromoteOptions {
    /// Another handle than the one that the identity names.
    pub handle: Option<String>,
    /// The owner's e-mail address.
    pub email: Option<String>,
    /// Go on although the old host answers, or an operation of the identity is not known to be the owner's.
    pub force: bool,
    /// Leave this node's rotation key out of the identity.
    pub no_server_key: bool,
    /// Rotation keys to take out of the identity, as did:key.
    pub drop_keys: Vec<String>,
    /// The public halves of the rotation key that will sign, as did:key, if it is known.
    pub signers: Vec<String>,
}

impl Recovery {
    /// What a promotion would do, and what stands in its way. Nothing is changed.
    ///
    /// # Errors
    /// There is nothing to plan: no such account.
    pub async fn promotion_plan(
        &self,
        host: &Host,
        did: &Did,
        options: &PromoteOptions,
    ) -> RecoveryResult<Plan> {
        let registry = Directory::new(host.clone());
        plan::plan(self.archive(), host, &registry, did, options).await
    }

    /// Promotes an archived account, or goes on where an earlier call was interrupted. `confirmed` is what the operator
    /// typed: the account's handle, or its DID.
    ///
    /// # Errors
    /// [`RecoveryError::NotPromoted`] with all that stands in its way; nothing was changed then. Any other error says
    /// what was done so far, and the same call goes on there.
    pub async fn promote(
        &self,
        host: &Host,
        did: &Did,
        options: &PromoteOptions,
        key: Option<RotationKey>,
        confirmed: &str,
        progress: &Progress,
    ) -> RecoveryResult<Promoted> {
        let registry = Directory::new(host.clone());
        self.promote_with(host, &registry, did, options, key, confirmed, progress).await
    }

    /// The same with any registry.
    #[expect(clippy::too_many_arguments, reason = "the one entry with everything chosen, private")]
    pub(crate) async fn promote_with(
        &self,
        host: &Host,
        registry: &dyn Registry,
        did: &Did,
        options: &PromoteOptions,
        key: Option<RotationKey>,
        confirmed: &str,
        progress: &Progress,
    ) -> RecoveryResult<Promoted> {
        let progress = progress.about(did);
        // No sync moves the head meanwhile, and no second promotion begins.
        let _guard = self.archive().hold(did).await;
        let promotion = Promotion { archive: self.archive(), host, registry, progress: &progress };
        let journal = match Journal::read(host.store(), did).await? {
            Some(journal) => journal,
            None => match self.already(host, did).await? {
                Some(done) => return Ok(done),
                None => {
                    let plan = plan::plan(self.archive(), host, registry, did, options).await?;
                    self.begin(&promotion, &plan, options, key.as_ref(), confirmed).await?
                }
            },
        };
        progress.note(Phase::Store, format!("going on after: {}", journal.step.words()));
        promotion.run(journal, options, key.as_ref()).await
    }

    /// An account that is hosted here, and of which no promotion is under way.
    async fn already(&self, host: &Host, did: &Did) -> RecoveryResult<Option<Promoted>> {
        let Some(login) = host.store().login(did).await? else { return Ok(None) };
        if let Some(why) = plan::moving(host, did).await? {
            return Err(RecoveryError::NotPromoted { did: did.clone(), why: vec![why] });
        }
        let repo = host.store().live_repo(did).await?;
        let account = host.store().account(did).await?;
        Ok(Some(Promoted {
            did: did.clone(),
            handle: account.and_then(|account| account.handle),
            already: true,
            waiting_for: None,
            rev: repo.map(|repo| repo.rev.to_string()),
            signing_key: login.signing_did_key,
            operation: None,
            notes: Vec::new(),
        }))
    }

    /// The first step: all that is decided once.
    async fn begin(
        &self,
        promotion: &Promotion<'_>,
        plan: &Plan,
        options: &PromoteOptions,
        key: Option<&RotationKey>,
        confirmed: &str,
    ) -> RecoveryResult<Journal> {
        let mut why = plan.obstacles.clone();
        if plan.log.is_some() && key.is_none() {
            why.push(Remark::choosing("a rotation key of the identity is needed", Choice::Key));
        }
        let wanted = confirmed.trim().trim_start_matches('@');
        if wanted != plan.did.as_str() && Some(wanted) != plan.handle.as_deref() {
            let words = format!(
                "it was not confirmed: the handle or DID of the account is to be typed exactly ({} or {})",
                plan.handle.as_deref().unwrap_or("no handle"),
                plan.did
            );
            why.push(words.into());
        }
        if !why.is_empty() {
            return Err(RecoveryError::NotPromoted { did: plan.did.clone(), why });
        }
        promotion.begin(plan, options, key).await
    }

    /// Gives a promotion up that the directory has not heard of: the account is an archived one again.
    ///
    /// # Errors
    /// There is none, or the directory has its operation already.
    pub async fn cancel_promotion(&self, host: &Host, did: &Did) -> RecoveryResult<()> {
        let _guard = self.archive().hold(did).await;
        let registry = Directory::new(host.clone());
        let progress = Progress::none();
        let promotion = Promotion { archive: self.archive(), host, registry: &registry, progress: &progress };
        let journal = Journal::read(host.store(), did).await?.ok_or_else(|| RecoveryError::NotPromoted {
            did: did.clone(),
            why: vec!["no promotion of it is under way".into()],
        })?;
        promotion.cancel(&journal).await
    }
}

impl From<NoKey> for RecoveryError {
    fn from(error: NoKey) -> Self {
        Self::Said { kind: ErrorKind::Invalid, words: error.to_string() }
    }
}
