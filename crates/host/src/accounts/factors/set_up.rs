//! Adding and removing what an owner proves himself with.

use p2pds_store::hosting::{FactorsApplied, FactorsUnit, PasskeyRow};
use p2pds_store::{Applied, Login, StoreError, Unit};
use p2pds_syntax::Did;
use serde_json::Value;
use zeroize::Zeroizing;

use super::browser::{self, Account, Creation};
use super::challenge::{Question, State};
use super::codes::BackupCodes;
use super::{MOST_PASSKEYS, totp, unit, webauthn};
use crate::accounts::audit::{Act, By};
use crate::accounts::mail::{Letter, Words};
use crate::error::{HostError, HostResult};
use crate::host::Host;
use crate::keys::Purpose;
use crate::passwords::no_entropy;
use crate::reason::Reason;

/// How long a notice is worth sending, microseconds.
const NOTICE_LASTS: i64 = 24 * 3_600 * 1_000_000;
const CODES_ON: &str = "Signing in asks for a code by e-mail from now on";
const CODES_OFF: &str = "Signing in asks for no code by e-mail any more";
/// Longest name of a passkey, characters.
const LONGEST_NAME: usize = 60;

/// An app that is being set up: nothing is stored before its first code was right.
pub struct NewTotp {
    /// The secret as people type it: base32.
    pub secret: Zeroizing<String>,
    /// The secret as apps read it from a QR code.
    pub uri: Zeroizing<String>,
    /// For the page to hand back.
    pub state: Zeroizing<String>,
}

impl std::fmt::Debug for NewTotp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewTotp")
    }
}

/// A passkey as the browser told of it.
#[derive(Debug, Clone, Copy)]
pub struct NewPasskey<'a> {
    /// What `toJSON` gave.
    pub json: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// Something was added.
#[derive(Debug)]
pub struct Added {
    /// Backup codes, if the account had none: to be shown this once.
    pub backup_codes: Option<BackupCodes>,
}

/// What a secret of TOTP is bound to.
pub(super) fn totp_of(did: &Did) -> Vec<u8> {
    [b"totp ".as_slice(), did.as_str().as_bytes()].concat()
}

impl Host {
    /// A new secret for an app. Nothing is stored.
    ///
    /// # Errors
    /// The account is not hosted here; no entropy.
    pub async fn begin_totp(&self, did: &Did) -> HostResult<NewTotp> {
        let name = self.name_of(&self.own_login(did).await?.did).await?;
        let mut secret = Zeroizing::new([0_u8; totp::SECRET]);
        getrandom::fill(secret.as_mut_slice()).map_err(|e| no_entropy(&e))?;
        Ok(NewTotp {
            secret: Zeroizing::new(data_encoding::BASE32_NOPAD.encode(secret.as_slice())),
            uri: Zeroizing::new(totp::uri(secret.as_slice(), self.own_name(), &name)),
            state: self.hand_out(State::Totp, Some(did), secret.as_slice())?,
        })
    }

    /// Sets the app up, when its first code is right. It takes the place of another one.
    ///
    /// # Errors
    /// The code or the password is wrong; it took longer than five minutes; the store.
    pub async fn finish_totp(
        &self,
        did: &Did,
        state: &str,
        code: &str,
        password: &str,
        address: &str,
    ) -> HostResult<Added> {
        let login = self.own_login(did).await?;
        self.is_own_password(&login, password, address).await?;
        let secret = self.handed_back(State::Totp, Some(did), state)?;
        let typed: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        let Some(step) = totp::find(&secret, &typed, self.now(), 0) else {
            return Err(HostError::named(
                "InvalidToken",
                "Token is invalid: the app shows another code. Check that the clock of the device is right, and try the next code",
            )
            .because(Reason::AppCodeWrong));
        };
        let sealed = self.keys().seal(Purpose::Factors, &secret, &totp_of(did)).map_err(|error| {
            tracing::error!(event = "host.entropy", %error, "a secret cannot be sealed");
            HostError::upstream("this cannot be done now; try again in a minute").because(Reason::NotNow)
        })?;
        let set = FactorsUnit::SetTotp { did: did.clone(), sealed, step, at: self.now() };
        self.add(&login, vec![unit(set)], "An authenticator app was set up").await
    }

    /// Removes the app.
    ///
    /// # Errors
    /// The password is wrong; the store.
    pub async fn remove_totp(&self, did: &Did, password: &str, address: &str) -> HostResult<()> {
        let login = self.own_login(did).await?;
        self.is_own_password(&login, password, address).await?;
        let drop = unit(FactorsUnit::DropTotp { did: did.clone() });
        self.change(&login, vec![drop], "The authenticator app was removed").await
    }

    /// What the browser is given to make a passkey: the options of `navigator.credentials.create`, as JSON.
    ///
    /// # Errors
    /// The account is not hosted here; too many; the store.
    pub async fn begin_passkey(&self, did: &Did) -> HostResult<Value> {
        let login = self.own_login(did).await?;
        let known = self.store().passkeys(&login.did).await?;
        if known.len() >= usize::try_from(MOST_PASSKEYS).unwrap_or(usize::MAX) {
            return Err(too_many());
        }
        let name = self.name_of(did).await?;
        let challenge = self.challenge(Question::Register, Some(did))?;
        let account = Account { did, name: &name, host: self.own_name() };
        Ok(browser::creation(&self.relying_party(), account, &challenge, &known))
    }

    /// Adds the passkey that the browser made.
    ///
    /// # Errors
    /// The password is wrong; the passkey is not accepted, or known already; the store.
    pub async fn finish_passkey(
        &self,
        did: &Did,
        new: NewPasskey<'_>,
        password: &str,
        address: &str,
    ) -> HostResult<Added> {
        let login = self.own_login(did).await?;
        self.is_own_password(&login, password, address).await?;
        let name = passkey_name(new.name)?;
        let told = Creation::read(new.json)?;
        let made = webauthn::made(&self.relying_party(), &told.client_data, &told.object)?;
        let answered = self.answered(Question::Register, Some(did), &made.challenge)?;
        let now = self.now();
        let spend =
            FactorsUnit::SpendChallenge { challenge: answered.digest, ends_at: answered.ends_at, at: now };
        if self.store().apply(unit(spend)).await? != Applied::Factors(FactorsApplied::Yes) {
            return Err(webauthn::Refused::Challenge.into());
        }
        let what = format!("The passkey \"{name}\" was added");
        let row = PasskeyRow {
            id: made.id,
            did: did.clone(),
            key: made.key,
            count: made.count,
            name,
            transports: told.transports,
            copyable: made.copyable,
            copied: made.copied,
            discoverable: told.discoverable,
            created_at: now,
            used_at: None,
        };
        self.add(&login, vec![unit(FactorsUnit::PutPasskey { row, most: MOST_PASSKEYS })], &what).await
    }

    /// Names a passkey.
    ///
    /// # Errors
    /// The name is empty or too long; it is not there; the store.
    pub async fn name_passkey(&self, did: &Did, id: &[u8], name: &str) -> HostResult<()> {
        let rename =
            FactorsUnit::NamePasskey { did: did.clone(), id: id.to_vec(), name: passkey_name(name)? };
        match self.store().apply(unit(rename)).await? {
            Applied::Factors(FactorsApplied::Yes) => Ok(()),
            _ => Err(no_passkey()),
        }
    }

    /// Removes a passkey.
    ///
    /// # Errors
    /// The password is wrong; it is not there; the store.
    pub async fn remove_passkey(
        &self,
        did: &Did,
        id: &[u8],
        password: &str,
        address: &str,
    ) -> HostResult<()> {
        let login = self.own_login(did).await?;
        self.is_own_password(&login, password, address).await?;
        let known = self.store().passkeys(did).await?;
        let row = known.into_iter().find(|row| row.id == id).ok_or_else(no_passkey)?;
        let drop = unit(FactorsUnit::DropPasskey { did: did.clone(), id: id.to_vec() });
        self.change(&login, vec![drop], &format!("The passkey \"{}\" was removed", row.name)).await
    }

    /// Asks for a code by e-mail at each sign-in from now on, or no more.
    ///
    /// # Errors
    /// The password is wrong; the address is not confirmed; the store.
    pub async fn set_email_factor(
        &self,
        did: &Did,
        on: bool,
        password: &str,
        address: &str,
    ) -> HostResult<Added> {
        let login = self.own_login(did).await?;
        self.is_own_password(&login, password, address).await?;
        let units = Self::email_factor(&login, on)?;
        if on {
            return self.add(&login, units, CODES_ON).await;
        }
        self.change(&login, units, CODES_OFF).await?;
        Ok(Added { backup_codes: None })
    }

    /// The same for applications, which are asked for something else than the password and cannot show backup codes: none are
    /// made. `units` happen with it.
    pub(crate) async fn switch_email_factor(
        &self,
        login: &Login,
        on: bool,
        mut units: Vec<Unit>,
    ) -> HostResult<()> {
        units.extend(Self::email_factor(login, on)?);
        self.change(login, units, if on { CODES_ON } else { CODES_OFF }).await
    }

    fn email_factor(login: &Login, on: bool) -> HostResult<Vec<Unit>> {
        if on && login.email_confirmed_at.is_none() {
            return Err(HostError::invalid(
                "confirm your email address first: codes are only sent to an address that is known to be yours",
            )
            .because(Reason::EmailUnconfirmed));
        }
        Ok(vec![unit(FactorsUnit::SetEmail { did: login.did.clone(), on })])
    }

    /// New backup codes in place of those before.
    ///
    /// # Errors
    /// The password is wrong; there is nothing that they stand in for; the store.
    pub async fn renew_backup_codes(
        &self,
        did: &Did,
        password: &str,
        address: &str,
    ) -> HostResult<BackupCodes> {
        let login = self.own_login(did).await?;
        self.is_own_password(&login, password, address).await?;
        if !self.stored_factors(did).await?.any(&login) {
            return Err(HostError::invalid(
                "backup codes stand in for an authenticator app, a passkey or a code by e-mail: set one of these up first",
            )
            .because(Reason::BackupForNothing));
        }
        let codes = BackupCodes::new()?;
        let mut units = vec![self.put_codes(did, &codes)];
        units.extend(self.notice(&login, "New backup codes were made; those before are void").await?);
        self.store().apply(Unit::Batch { did: did.clone(), units }).await?;
        self.accounts().mail.notify_one();
        Ok(codes)
    }

    /// Removes all factors of an account whose owner has lost them: the password alone is enough again.
    ///
    /// # Errors
    /// No such account; the store.
    pub async fn reset_factors(&self, by: &By, did: &Did) -> HostResult<()> {
        let login = self.store().login(did).await?;
        let login = login
            .ok_or_else(|| HostError::invalid(format!("Account not found: {did} is not hosted here")))?;
        let mut units = vec![
            unit(FactorsUnit::DropFactors { did: did.clone() }),
            self.audit_unit(Act { by, what: "resetFactors", did: Some(did), subject: "", detail: "" }),
        ];
        let what = "The operator removed the authenticator app, the passkeys and the codes by e-mail: the password alone is enough again";
        units.extend(self.notice(&login, what).await?);
        self.store().apply(Unit::Batch { did: did.clone(), units }).await?;
        self.accounts().mail.notify_one();
        Ok(())
    }

    fn put_codes(&self, did: &Did, codes: &BackupCodes) -> Unit {
        unit(FactorsUnit::PutBackupCodes { did: did.clone(), codes: codes.kept(did), at: self.now() })
    }

    async fn add(&self, login: &Login, mut units: Vec<Unit>, what: &str) -> HostResult<Added> {
        let did = &login.did;
        let backup_codes =
            if self.store().backup_codes(did).await? == 0 { Some(BackupCodes::new()?) } else { None };
        units.extend(backup_codes.as_ref().map(|codes| self.put_codes(did, codes)));
        units.extend(self.notice(login, what).await?);
        self.store().apply(Unit::Batch { did: did.clone(), units }).await.map_err(|error| match &error {
            StoreError::Mismatch { what, .. } if what.contains("known already") => {
                HostError::invalid("this passkey is known already").because(Reason::PasskeyThere)
            }
            StoreError::Mismatch { what, .. } if what.contains("passkeys already") => too_many(),
            _ => Self::token_taken(error),
        })?;
        self.accounts().mail.notify_one();
        Ok(Added { backup_codes })
    }

    /// Changes something, and tells it. With the last factor the backup codes go too: there is nothing left that they stand in
    /// for.
    async fn change(&self, login: &Login, mut units: Vec<Unit>, what: &str) -> HostResult<()> {
        let did = &login.did;
        units.extend(self.notice(login, what).await?);
        self.store().apply(Unit::Batch { did: did.clone(), units }).await.map_err(Self::token_taken)?;
        self.accounts().mail.notify_one();
        let left = self.stored_factors(did).await?;
        if left.row.totp.is_none() && !left.row.email && left.passkeys.is_empty() {
            self.store().apply(unit(FactorsUnit::DropFactors { did: did.clone() })).await?;
        }
        Ok(())
    }

    /// The unit that tells the owner, if he has an address.
    pub(super) async fn notice(&self, login: &Login, what: &str) -> HostResult<Option<Unit>> {
        if login.email.is_empty() {
            return Ok(None);
        }
        let name = self.name_of(&login.did).await?;
        let letter = Letter {
            to: login.email.clone(),
            did: Some(login.did.clone()),
            kind: "sign-in-changed",
            lasts: NOTICE_LASTS,
            words: Words::sign_in_changed(self.config(), &name, what),
        };
        self.letter(letter).map(Some)
    }

    /// How this host calls itself before its users.
    fn own_name(&self) -> &str {
        self.config().accounts.service_name.as_deref().unwrap_or(&self.config().hostname)
    }
}

fn passkey_name(text: &str) -> HostResult<String> {
    let name: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        let error = HostError::invalid(format!("a passkey needs a name of 1 to {LONGEST_NAME} characters"));
        return Err(error.because(Reason::PasskeyName { most: LONGEST_NAME as u64 }));
    }
    Ok(name)
}

fn too_many() -> HostError {
    HostError::invalid(format!("there are {MOST_PASSKEYS} passkeys already: remove those that are not used"))
        .because(Reason::PasskeyMany { most: u64::from(MOST_PASSKEYS) })
}

fn no_passkey() -> HostError {
    HostError::invalid("there is no such passkey; it may have been removed in another window")
        .because(Reason::PasskeyGone)
}
