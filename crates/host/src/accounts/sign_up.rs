//! Making an account.
//!
//! With an identity of its own: the identity is noted in the store, published, and then the account is there in one
//! batch with its repo, its session and its events. Cut off in between, the note says what was begun, and
//! `unfinished.rs` takes it back. With an identity that exists: its owner proves by service auth that it is his, and the
//! account waits, deactivated and unheard, until it has moved. If this node has archived it, what is archived stays and is
//! its repo from then on (`moving.rs`).

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use p2pds_crypto::{PrivateKey, Signer as _};
use p2pds_identity::plc::Operation;
use p2pds_store::hosting::{AccountsUnit, HostingUnit, ReservedUnit, SignupRow};
use p2pds_store::{Account, AccountStatus, Login, Origin, StoreError, Unit, VerifiedState};
use p2pds_syntax::{Did, ErrorKind, Handle};

use super::audit::{Act, By};
use super::email::fit_email;
use super::invites::not_available;
use super::log_in::LoggedIn;
use crate::error::{HostError, HostResult};
use crate::events::{self, Said};
use crate::handles::Chooser;
use crate::host::Host;
use crate::passwords;
use crate::reason::Reason;

/// What somebody who signs up says.
#[derive(Clone)]
pub struct NewAccount {
    /// The handle that is wanted.
    pub handle: String,
    /// Address.
    pub email: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// Invite code.
    pub invite_code: Option<String>,
    /// A key that stands first in the new identity, as did:key.
    pub recovery_key: Option<String>,
    /// An identity that exists.
    pub did: Option<Did>,
    /// Who was shown to ask, by service auth.
    pub requester: Option<Did>,
    /// Whether the operator makes it: no invite, any free handle, no address needed.
    pub by: By,
}

impl std::fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewAccount").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// What was checked, ready to be made.
struct Checked {
    handle: Handle,
    email: String,
    password: String,
    invite: Option<String>,
}

/// Keeps a second request for the same address out while the first is at work.
struct Making<'a> {
    names: &'a Mutex<HashSet<String>>,
    name: String,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

fn accounts(unit: AccountsUnit) -> Unit {
    Unit::Hosting(Box::new(HostingUnit::Accounts(unit)))
}

/// The first session is the owner's; one that the operator made for somebody else would be nobody's.
fn own_session(by: &By, session: Unit) -> Option<Unit> {
    (*by != By::Operator).then_some(session)
}

fn email_taken(email: &str) -> HostError {
    HostError::invalid(format!("Email already taken: {email}")).because(Reason::EmailTaken)
}

impl Host {
    /// Makes an account and its first session; none when the operator makes it, whose tokens are good for nothing then.
    ///
    /// # Errors
    /// The lexicon's names for what is wrong; the PLC directory; the store. Nothing is left of the account then.
    pub async fn create_account(&self, asked: NewAccount) -> HostResult<LoggedIn> {
        let owned = asked.by == By::Owner;
        if let (Some(did), true) = (&asked.did, owned)
            && asked.requester.as_ref() != Some(did)
        {
            return Err(HostError::unauthenticated(
                "AuthenticationRequired",
                format!(
                    "Missing auth to create account with did: {did}. Ask its present server for service auth (com.atproto.server.getServiceAuth, lxm com.atproto.server.createAccount) and send that along"
                ),
            ));
        }
        let email = self.asked_email(&asked, owned)?;
        let password = asked.password.as_deref().filter(|password| !password.is_empty());
        let Some(password) = password else {
            let error = HostError::named("InvalidPassword", "Password is required");
            return Err(error.because(Reason::PasswordMissing));
        };
        passwords::fits(password).map_err(|error| HostError { name: "InvalidPassword", ..error })?;
        let invite = asked.invite_code.as_deref().map(str::trim).filter(|code| !code.is_empty() && owned);
        match invite {
            None if self.config().invite_required && owned => {
                let error = HostError::named("InvalidInviteCode", "No invite code provided");
                return Err(error.because(Reason::InviteMissing));
            }
            Some(code) if self.config().invite_required => self.check_invite(code).await?,
            _ => {}
        }
        if let Some(did) = &asked.did {
            self.is_new_here(did).await?;
        }
        let chooser = if owned { Chooser::Owner } else { Chooser::Operator };
        let handle = self.admit_handle(&asked.handle, asked.did.as_ref(), chooser).await?;
        let _claim = self.claim_handle(&handle)?;
        let _making = self.making(&email)?;
        if !email.is_empty() && self.store().login_by_email(&email).await?.is_some() {
            return Err(email_taken(&email));
        }
        let checked = Checked {
            handle,
            email,
            password: self.accounts().passwords.keep(password).await?,
            invite: invite.filter(|_| self.config().invite_required).map(str::to_owned),
        };
        match asked.did {
            None => self.make_new(checked, asked.recovery_key.as_deref(), &asked.by).await,
            Some(did) => self.make_brought(did, checked, &asked.by).await,
        }
    }

    fn asked_email(&self, asked: &NewAccount, owned: bool) -> HostResult<String> {
        match asked.email.as_deref().map(str::trim).filter(|email| !email.is_empty()) {
            Some(email) => fit_email(email, &self.config().accounts.refused_email_domains),
            None if owned => Err(HostError::invalid("Email is required").because(Reason::EmailMissing)),
            None => Ok(String::new()),
        }
    }

    fn making(&self, email: &str) -> HostResult<Option<Making<'_>>> {
        if email.is_empty() {
            return Ok(None);
        }
        let names = &self.accounts().making;
        if !names.lock().unwrap_or_else(PoisonError::into_inner).insert(email.to_owned()) {
            return Err(email_taken(email));
        }
        Ok(Some(Making { names, name: email.to_owned() }))
    }

    /// An identity that is brought along must not be hosted here yet.
    async fn is_new_here(&self, did: &Did) -> HostResult<()> {
        if self.store().login(did).await?.is_some() {
            return Err(HostError::named(
                "InvalidRequest",
                format!("Account already exists: {did} is hosted here, log in to it"),
            ));
        }
        Ok(())
    }

    /// An account with a new identity.
    async fn make_new(&self, checked: Checked, recovery_key: Option<&str>, by: &By) -> HostResult<LoggedIn> {
        let key = self.keys().new_signing_key().map_err(|error| unavailable(&error.to_string()))?;
        let (did, operation) = self.new_identity(&checked.handle, &key.public_key(), recovery_key)?;
        let note = SignupRow {
            did: did.clone(),
            handle: checked.handle.to_string(),
            operation: operation_cid(&operation),
            at: self.now(),
        };
        self.store().apply(accounts(AccountsUnit::PutSignup(note))).await?;
        if let Err(error) = self.submit_plc(&did, &operation).await {
            // Refused is refused; after silence it may be there, and is looked for later.
            if error.kind() == ErrorKind::Invalid {
                self.store().apply(accounts(AccountsUnit::DropSignup { did })).await?;
            }
            return Err(error);
        }
        let opened = self.open_repo(&did, &key)?;
        let now = self.now();
        let login = self.new_login(&did, &checked, &key, None)?;
        let session = self.new_session(&did, None, false)?;
        let mut units = vec![self.new_row(&did, &checked.handle, AccountStatus::Active, now), opened.repo];
        units.push(Unit::PutLogin(Box::new(login.clone())));
        units.extend(self.invite_unit(&did, &checked));
        units.extend(own_session(by, session.unit));
        units.push(events::identity(&did, Some(&checked.handle), now)?);
        units.push(events::account(&did, Said::Active, now)?);
        units.extend([opened.commit, opened.sync]);
        units.push(accounts(AccountsUnit::DropSignup { did: did.clone() }));
        units.extend(self.made_by(by, &did));
        self.store().apply(Unit::Batch { did: did.clone(), units }).await.map_err(made_not)?;
        tracing::info!(event = "host.account-created", %did, handle = %checked.handle, "an account was made");
        Ok(LoggedIn { account: self.view_of(&login).await?, tokens: session.tokens })
    }

    /// An account whose identity is still another server's.
    async fn make_brought(&self, did: Did, checked: Checked, by: &By) -> HostResult<LoggedIn> {
        let unreadable = |error: String| unavailable(&error);
        let reserved = self.store().reserved_key_for(&did).await?;
        let (key, taken) = match &reserved {
            Some(row) => {
                let key = self.keys().unwrap_reserved(&row.signing_key, &row.did_key);
                (key.map_err(|error| unreadable(error.to_string()))?, Some(row.did_key.clone()))
            }
            None => (self.keys().new_signing_key().map_err(|error| unreadable(error.to_string()))?, None),
        };
        let opened = self.open_repo(&did, &key)?;
        let now = self.now();
        let login = self.new_login(&did, &checked, &key, Some(now))?;
        let session = self.new_session(&did, None, false)?;
        // Held until it is done: the archive does nothing with the account meanwhile.
        let archived = self.archived(&did).await?;
        self.is_new_here(&did).await?;
        if archived.is_some() && *by != By::Owner {
            return Err(HostError::named(
                "IncompatibleDidDoc",
                format!(
                    "{did} is archived on this node: its owner moves it here with a client, or its operator makes it a \
                     hosted account with `p2pds promote {did}`"
                ),
            ));
        }
        let mut units = match &archived {
            Some(archived) => self.moving_in(archived, checked.handle.as_str(), &login, opened.repo)?,
            None => vec![
                self.new_row(&did, &checked.handle, AccountStatus::Deactivated, now),
                opened.repo,
                Unit::PutLogin(Box::new(login.clone())),
            ],
        };
        units.extend(self.invite_unit(&did, &checked));
        units.extend(own_session(by, session.unit));
        if let Some(did_key) = taken {
            let unit = ReservedUnit::Take { did: did.clone(), did_key };
            units.push(Unit::Hosting(Box::new(HostingUnit::Reserved(unit))));
        }
        units.extend(self.made_by(by, &did));
        if archived.is_some() {
            // Also before, lest whoever asks is gone when it is done: nothing is followed while the account is held.
            self.changed_hands(&did);
        }
        self.store().apply(Unit::Batch { did: did.clone(), units }).await.map_err(made_not)?;
        if archived.is_some() {
            self.forget_account(&did).await;
            self.changed_hands(&did);
            tracing::warn!(event = "host.moving-in", %did, handle = %checked.handle, "the owner of an archived account is moving it here; the archive does not follow its old host any more");
        }
        tracing::info!(event = "host.account-brought", %did, handle = %checked.handle, "an account is being moved here");
        Ok(LoggedIn { account: self.view_of(&login).await?, tokens: session.tokens })
    }

    fn new_row(&self, did: &Did, handle: &Handle, status: AccountStatus, now: i64) -> Unit {
        let account = Account {
            handle: Some(handle.to_string()),
            pds: Some(self.config().public_url.clone()),
            status,
            verified: VerifiedState::Verified,
            ..Account::new(did.clone(), Origin::Network, now)
        };
        Unit::AddAccount(Box::new(account))
    }

    fn new_login(
        &self,
        did: &Did,
        checked: &Checked,
        key: &PrivateKey,
        deactivated_at: Option<i64>,
    ) -> HostResult<Login> {
        let abandoned = i64::try_from(self.config().accounts.abandoned_after.as_micros()).unwrap_or(i64::MAX);
        Ok(Login {
            did: did.clone(),
            email: checked.email.clone(),
            email_confirmed_at: None,
            password: checked.password.clone(),
            created_at: deactivated_at.unwrap_or_else(|| self.now()),
            deactivated_at,
            delete_after: deactivated_at.map(|at| at.saturating_add(abandoned)),
            takedown: None,
            invites_disabled: false,
            invited_by: checked.invite.clone(),
            signing_key: self.keys().wrap(key, did).map_err(|error| unavailable(&error.to_string()))?,
            signing_did_key: key.public_key().to_did_key(),
        })
    }

    fn invite_unit(&self, did: &Did, checked: &Checked) -> Option<Unit> {
        let code = checked.invite.clone()?;
        Some(accounts(AccountsUnit::UseInvite { code, did: did.clone(), at: self.now() }))
    }

    fn made_by(&self, by: &By, did: &Did) -> Option<Unit> {
        (*by != By::Owner).then(|| {
            self.audit_unit(Act { by, what: "createAccount", did: Some(did), subject: "", detail: "" })
        })
    }
}

fn operation_cid(operation: &Operation) -> String {
    operation.cid().to_string()
}

fn unavailable(message: &str) -> HostError {
    tracing::error!(event = "host.keys", error = message, "a key cannot be had");
    HostError::new(
        ErrorKind::Unavailable,
        "NotAvailable",
        "no account can be made now; the operator's log says why",
    )
    .because(Reason::NotNow)
}

/// Why the last step failed, as the person hears it.
fn made_not(error: StoreError) -> HostError {
    match error {
        StoreError::Taken("handle") => {
            HostError::named("HandleNotAvailable", "Handle already taken: choose another one")
                .because(Reason::HandleTaken)
        }
        StoreError::Taken(_) => HostError::invalid("Email already taken").because(Reason::EmailTaken),
        StoreError::Mismatch { what, .. } if what.contains("invite") => not_available(),
        StoreError::Purging(_) => HostError {
            retry_after: Some(60),
            reason: Some(Reason::NotNow),
            ..HostError::new(
                ErrorKind::Unavailable,
                "NotAvailable",
                "an account of this identity is being erased here at this moment; try again in a minute",
            )
        },
        other => other.into(),
    }
}
