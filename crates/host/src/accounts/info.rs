//! What operators and moderators see and change of accounts.

use p2pds_store::hosting::{FactorsUnit, InviteRow};
use p2pds_store::{Account, Login, LoginPatch, Unit};
use p2pds_syntax::Did;

use super::audit::{Act, By};
use super::email::fit_email;
use super::factors;
use crate::error::{HostError, HostResult};
use crate::host::Host;

/// An account as an operator sees it. Password and key are not shown to anybody.
#[derive(Debug, Clone)]
pub struct AccountInfo {
    /// What it logs in with.
    pub login: Login,
    /// Its row among all accounts.
    pub account: Account,
    /// The invite it was made with.
    pub invited_by: Option<InviteRow>,
    /// Invites that belong to it.
    pub invites: Vec<InviteRow>,
}

fn absent(did: &Did) -> HostError {
    HostError::named("NotFound", format!("Account not found: {did} is not hosted here"))
}

impl Host {
    /// One account.
    ///
    /// # Errors
    /// `NotFound`; the store.
    pub async fn account_info(&self, did: &Did) -> HostResult<AccountInfo> {
        let login = self.store().login(did).await?.ok_or_else(|| absent(did))?;
        self.info_of(login).await
    }

    async fn info_of(&self, login: Login) -> HostResult<AccountInfo> {
        let did = login.did.clone();
        let account = self.store().account(&did).await?.ok_or_else(|| absent(&did))?;
        let invited_by = match &login.invited_by {
            Some(code) => self.store().invite(code).await?,
            None => None,
        };
        let invites = self.store().invites_of(did.as_str()).await?;
        Ok(AccountInfo { login, account, invited_by, invites })
    }

    /// Accounts in the order of their DIDs, beginning after one; of those whose address holds a text, if one is given.
    ///
    /// # Errors
    /// The store.
    pub async fn accounts_page(
        &self,
        email: Option<&str>,
        after: Option<&Did>,
        limit: usize,
    ) -> HostResult<Vec<AccountInfo>> {
        let wanted = email.map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
        let mut found = Vec::new();
        let mut after = after.cloned();
        while found.len() < limit {
            let page = self.store().logins(after.as_ref(), 500).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.did.clone());
            for login in page {
                let fits = wanted.as_ref().is_none_or(|text| login.email.contains(text.as_str()));
                if fits && found.len() < limit {
                    found.push(self.info_of(login).await?);
                }
            }
        }
        Ok(found)
    }

    /// The hosted account that is called so: by handle, DID or address.
    ///
    /// # Errors
    /// There is none; the store.
    pub async fn hosted_account(&self, name: &str) -> HostResult<Did> {
        match self.login_of(&name.trim().to_lowercase()).await? {
            Some(login) => Ok(login.did),
            None => Err(HostError::named(
                "NotFound",
                format!("Account does not exist: {name}; `p2pds account list` names them"),
            )),
        }
    }

    /// Changes an account's login at an operator's wish.
    pub(crate) async fn admin_patch(
        &self,
        by: &By,
        what: &'static str,
        did: &Did,
        patch: LoginPatch,
        detail: &str,
    ) -> HostResult<()> {
        self.store().login(did).await?.ok_or_else(|| absent(did))?;
        let units = vec![
            Unit::PatchLogin { did: did.clone(), patch: Box::new(patch) },
            self.audit_unit(Act { by, what, did: Some(did), subject: "", detail }),
        ];
        self.store().apply(Unit::Batch { did: did.clone(), units }).await?;
        Ok(())
    }

    /// Sets an account's address, unconfirmed.
    ///
    /// # Errors
    /// No such account, not an address, another account's; the store.
    pub async fn admin_set_email(&self, by: &By, did: &Did, email: &str) -> HostResult<()> {
        let email = fit_email(email, &[])?;
        self.store().login(did).await?.ok_or_else(|| absent(did))?;
        let mut units = self.new_email(did, &email);
        units.push(self.end_sessions(did, None));
        units.push(self.audit_unit(Act {
            by,
            what: "updateAccountEmail",
            did: Some(did),
            subject: "",
            detail: "",
        }));
        self.store().apply(Unit::Batch { did: did.clone(), units }).await.map_err(super::email::taken)?;
        self.sessions_ended(did);
        Ok(())
    }

    /// Sets an account's password. All its sessions end.
    ///
    /// # Errors
    /// No such account, too short or too long; the store.
    pub async fn admin_set_password(&self, by: &By, did: &Did, password: &str) -> HostResult<()> {
        self.store().login(did).await?.ok_or_else(|| absent(did))?;
        let audit = self.audit_unit(Act {
            by,
            what: "updateAccountPassword",
            did: Some(did),
            subject: "",
            detail: "",
        });
        // What is asked for beside the password can be tried again.
        let forget = factors::unit(FactorsUnit::ForgetTries { did: did.clone() });
        self.set_password(did, password, vec![audit, forget], false).await
    }

    /// Sends a message to an account's owner in an operator's name.
    ///
    /// # Errors
    /// As [`Host::send_message`].
    pub async fn admin_send_email(&self, by: &By, did: &Did, subject: &str, text: &str) -> HostResult<()> {
        self.send_message(did, subject, text).await?;
        self.audit(Act { by, what: "sendEmail", did: Some(did), subject: "", detail: subject }).await
    }

    /// Switches an account on again without its owner.
    ///
    /// # Errors
    /// As [`Host::activate_account`].
    pub async fn admin_activate(&self, by: &By, did: &Did) -> HostResult<()> {
        self.store().login(did).await?.ok_or_else(|| absent(did))?;
        self.activate_account(did).await?;
        self.audit(Act { by, what: "activateAccount", did: Some(did), subject: "", detail: "" }).await
    }

    /// Switches an account off without its owner.
    ///
    /// # Errors
    /// No such account; the store.
    pub async fn admin_deactivate(&self, by: &By, did: &Did) -> HostResult<()> {
        self.store().login(did).await?.ok_or_else(|| absent(did))?;
        self.deactivate_account(did, None).await?;
        self.audit(Act { by, what: "deactivateAccount", did: Some(did), subject: "", detail: "" }).await
    }
}
