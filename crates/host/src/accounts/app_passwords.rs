//! App passwords.

use p2pds_store::hosting::{AccountsUnit, AppPasswordRow, HostingUnit};
use p2pds_store::{StoreError, Unit};
use p2pds_syntax::Did;
use zeroize::Zeroizing;

use super::email::NOTICE_LASTS;
use super::mail::{Letter, Words};
use crate::error::{HostError, HostResult};
use crate::host::Host;
use crate::passwords::{keep_app_password, new_app_password};
use crate::reason::Reason;

/// App passwords of one account.
const MOST: usize = 200;

impl Host {
    /// Makes an app password. It is told this once; the owner hears of it by mail.
    ///
    /// # Errors
    /// The name is empty, too long or taken; too many; the store.
    pub async fn create_app_password(
        &self,
        did: &Did,
        name: &str,
        privileged: bool,
    ) -> HostResult<(AppPasswordRow, Zeroizing<String>)> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 100 {
            let error = HostError::invalid("an app password needs a name of 1 to 100 characters");
            return Err(error.because(Reason::AppName));
        }
        if self.store().app_passwords(did).await?.len() >= MOST {
            let error = HostError::invalid(format!(
                "there are {MOST} app passwords already: revoke those that are not used"
            ));
            return Err(error.because(Reason::AppMany { most: MOST as u64 }));
        }
        let password = new_app_password()?;
        let row = AppPasswordRow {
            did: did.clone(),
            name: name.to_owned(),
            password: keep_app_password(did, &password),
            privileged,
            created_at: self.now(),
        };
        let unit = AccountsUnit::PutAppPassword(row.clone());
        let mut units = vec![Unit::Hosting(Box::new(HostingUnit::Accounts(unit)))];
        let login = self.own_login(did).await?;
        if !login.email.is_empty() {
            let called: String = name.chars().filter(|c| !c.is_control()).collect();
            let whose = self.name_of(did).await?;
            units.push(self.letter(Letter {
                to: login.email,
                did: Some(did.clone()),
                kind: "app-password-made",
                lasts: NOTICE_LASTS,
                words: Words::app_password_made(self.config(), &whose, &called),
            })?);
        }
        match self.store().apply(Unit::Batch { did: did.clone(), units }).await {
            Ok(_) => {
                self.accounts().mail.notify_one();
                Ok((row, password))
            }
            Err(StoreError::Mismatch { .. }) => Err(HostError::invalid(format!(
                "could not create app-specific password: there is one named \"{name}\" already, choose another name"
            ))
            .because(Reason::AppNameTaken)),
            Err(error) => Err(error.into()),
        }
    }

    /// App passwords of an account, newest first.
    ///
    /// # Errors
    /// The store.
    pub async fn app_passwords(&self, did: &Did) -> HostResult<Vec<AppPasswordRow>> {
        Ok(self.store().app_passwords(did).await?)
    }

    /// Revokes an app password and ends its sessions. One that is not there is revoked.
    ///
    /// # Errors
    /// The store.
    pub async fn revoke_app_password(&self, did: &Did, name: &str) -> HostResult<()> {
        let unit = AccountsUnit::DropAppPasswords { did: did.clone(), name: Some(name.to_owned()) };
        self.store().apply(Unit::Hosting(Box::new(HostingUnit::Accounts(unit)))).await?;
        self.sessions_ended(did);
        Ok(())
    }
}
