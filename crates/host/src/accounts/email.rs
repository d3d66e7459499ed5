//! E-mail addresses: which are taken, confirming them, changing them; and passwords, which are set anew by mail.

use std::sync::PoisonError;

use p2pds_store::hosting::{AccountsUnit, FactorsUnit, HostingUnit};
use p2pds_store::{LoginPatch, StoreError, Unit};
use p2pds_syntax::{Did, ErrorKind};

use super::factors;
use super::guesses::Guess;
use super::mail::{Letter, Words};
use super::tokens::TokenPurpose;
use crate::error::{HostError, HostResult};
use crate::host::Host;
use crate::passwords;
use crate::reason::Reason;

/// How long a notice is worth sending, microseconds.
pub(super) const NOTICE_LASTS: i64 = 24 * 3_600 * 1_000_000;

/// Addresses for which a new password was asked, that wait to be looked up.
const MOST_FORGOT: usize = 1_000;

/// A new password by e-mail.
#[derive(Clone, Copy)]
pub struct Reset<'a> {
    /// What was mailed.
    pub token: &'a str,
    /// The new password.
    pub password: &'a str,
    /// Whether app passwords end too.
    pub end_app_passwords: bool,
    /// Where the request comes from.
    pub address: &'a str,
}

impl std::fmt::Debug for Reset<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reset")
    }
}

/// An address in lower case, if it is one.
///
/// # Errors
/// It is none, or of a domain that is refused.
pub fn fit_email(text: &str, refused: &[String]) -> HostResult<String> {
    let email = text.trim().to_lowercase();
    let unfit = || {
        HostError::invalid("This email address is not supported, please use a different email.")
            .because(Reason::EmailUnfit)
    };
    let (local, domain) = email.rsplit_once('@').ok_or_else(unfit)?;
    let whole = email.len() <= 254 && !email.chars().any(|c| c.is_whitespace() || c.is_control());
    let sound_local = (1..=64).contains(&local.len())
        && local
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c) || !c.is_ascii())
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..");
    let sound_domain = domain.contains('.')
        && domain.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || !c.is_ascii())
        });
    let allowed =
        !refused.iter().any(|no| domain == no || domain.strip_suffix(no).is_some_and(|d| d.ends_with('.')));
    if whole && sound_local && sound_domain && allowed { Ok(email) } else { Err(unfit()) }
}

pub(super) fn taken(error: StoreError) -> HostError {
    match error {
        StoreError::Taken(_) => {
            HostError::invalid("This email address is already in use, please use a different email.")
                .because(Reason::EmailTaken)
        }
        other => Host::token_taken(other),
    }
}

impl Host {
    /// Sends the token that confirms the account's address.
    ///
    /// # Errors
    /// It has none; the store.
    pub async fn request_email_confirmation(&self, did: &Did) -> HostResult<()> {
        let login = self.own_login(did).await?;
        self.send_email_token(&login, TokenPurpose::ConfirmEmail).await
    }

    /// Confirms the account's address.
    ///
    /// # Errors
    /// `InvalidEmail`, `InvalidToken`, `ExpiredToken`, `AccountNotFound`; the store.
    pub async fn confirm_email(&self, did: &Did, email: &str, token: &str) -> HostResult<()> {
        let login = self.store().login(did).await?;
        let login = login
            .ok_or_else(|| HostError::named("AccountNotFound", "user not found").because(Reason::NotHere))?;
        if login.email.is_empty() || login.email != email.trim().to_lowercase() {
            let error = HostError::named("InvalidEmail", "invalid email: it is not this account's address");
            return Err(error.because(Reason::EmailOther));
        }
        let take = self.check_email_token(did, TokenPurpose::ConfirmEmail, token).await?;
        let patch = LoginPatch { email_confirmed_at: Some(Some(self.now())), ..LoginPatch::default() };
        let units = vec![take, Unit::PatchLogin { did: did.clone(), patch: Box::new(patch) }];
        self.store().apply(Unit::Batch { did: did.clone(), units }).await.map_err(Self::token_taken)?;
        Ok(())
    }

    /// Sends the token that a change of a confirmed address needs; answers whether one is needed.
    ///
    /// # Errors
    /// The account has no address; the store.
    pub async fn request_email_update(&self, did: &Did) -> HostResult<bool> {
        let login = self.own_login(did).await?;
        if login.email.is_empty() {
            return Err(
                HostError::invalid("account does not have an email address").because(Reason::EmailNone)
            );
        }
        if login.email_confirmed_at.is_none() {
            return Ok(false);
        }
        self.send_email_token(&login, TokenPurpose::UpdateEmail).await?;
        Ok(true)
    }

    /// Changes the account's address. The old one hears of it, tokens that were sent to it are void, and all sessions
    /// end but the one that asks. With the address that it has, `factor` only says whether signing in asks for a code by
    /// e-mail; a new address gets none before it is confirmed.
    ///
    /// # Errors
    /// `TokenRequired`, `InvalidToken`, `ExpiredToken`; not an address, or another account's; the store.
    pub async fn update_email(
        &self,
        did: &Did,
        email: &str,
        token: Option<&str>,
        factor: Option<bool>,
        session: &str,
    ) -> HostResult<()> {
        let email = fit_email(email, &self.config().accounts.refused_email_domains)?;
        let login = self.own_login(did).await?;
        let token = token.map(str::trim).filter(|token| !token.is_empty());
        match factor {
            Some(true) if login.email == email => {
                return self.switch_email_factor(&login, true, Vec::new()).await;
            }
            Some(true) => {
                return Err(HostError::invalid(
                    "change the address and confirm it first: codes are only sent to an address that is known to be yours",
                )
                .because(Reason::EmailUnconfirmed));
            }
            _ => {}
        }
        let take = match (login.email_confirmed_at.is_some(), token) {
            (true, None) => {
                let error = HostError::named("TokenRequired", "confirmation token required");
                return Err(error.because(Reason::CodeNeeded));
            }
            (true, Some(token)) => Some(self.check_email_token(did, TokenPurpose::UpdateEmail, token).await?),
            (false, _) => None,
        };
        if factor == Some(false) && login.email == email {
            return self.switch_email_factor(&login, false, take.into_iter().collect()).await;
        }
        let mut units: Vec<Unit> = take.into_iter().collect();
        units.extend(self.new_email(did, &email));
        units.push(self.end_sessions(did, Some(session)));
        if !login.email.is_empty() && login.email != email {
            let name = self.name_of(did).await?;
            units.push(self.letter(Letter {
                to: login.email,
                did: Some(did.clone()),
                kind: "address-changed",
                lasts: NOTICE_LASTS,
                words: Words::address_changed(self.config(), &name),
            })?);
        }
        self.store().apply(Unit::Batch { did: did.clone(), units }).await.map_err(taken)?;
        self.sessions_ended(did);
        self.accounts().mail.notify_one();
        Ok(())
    }

    /// The units that set an address and void the tokens that were sent to the old one.
    pub(crate) fn new_email(&self, did: &Did, email: &str) -> Vec<Unit> {
        self.accounts().often.all_over(did);
        let patch = LoginPatch {
            email: Some(email.to_owned()),
            email_confirmed_at: Some(None),
            ..LoginPatch::default()
        };
        let tokens = AccountsUnit::DropEmailTokens { did: did.clone() };
        vec![
            Unit::PatchLogin { did: did.clone(), patch: Box::new(patch) },
            Unit::Hosting(Box::new(HostingUnit::Accounts(tokens))),
            // Codes to an address that is mistyped would lock its owner out.
            factors::unit(FactorsUnit::SetEmail { did: did.clone(), on: false }),
        ]
    }

    /// Sends the token for a new password, if the address is an account's. Whoever asks hears the same in any case, and in
    /// the same time: the address is looked up when the mail job runs next. Asking is not kept across a crash.
    pub fn request_password_reset(&self, email: &str) {
        let email = email.trim().to_lowercase();
        if email.is_empty() {
            return;
        }
        {
            let mut forgot = self.accounts().forgot.lock().unwrap_or_else(PoisonError::into_inner);
            if forgot.len() >= MOST_FORGOT {
                tracing::warn!(
                    event = "host.forgot-full",
                    "more new passwords are asked for than can be answered: the oldest request is dropped"
                );
                forgot.pop_front();
            }
            if !forgot.contains(&email) {
                forgot.push_back(email);
            }
        }
        self.accounts().mail.notify_one();
    }

    /// Queues the mails that [`Self::request_password_reset`] promised.
    ///
    /// # Errors
    /// The store.
    pub(crate) async fn answer_forgotten(&self) -> HostResult<()> {
        loop {
            let next = self.accounts().forgot.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(email) = next else { return Ok(()) };
            if let Some(login) = self.store().login_by_email(&email).await? {
                match self.send_email_token(&login, TokenPurpose::ResetPassword).await {
                    Err(error) if error.kind == ErrorKind::Limited => {
                        tracing::info!(event = "host.forgot-often", did = %login.did, "no code for a new password was sent: there were too many");
                    }
                    other => other?,
                }
            }
        }
    }

    /// Sets a new password with a token. All sessions end; so do app passwords, if that is asked for. Wrong codes beside
    /// the password stay counted: who reads the mailbox must not guess them without end.
    ///
    /// # Errors
    /// `InvalidToken`, `ExpiredToken`; too short or too long; the store.
    pub async fn reset_password(&self, reset: Reset<'_>) -> HostResult<()> {
        passwords::fits(reset.password)?;
        let did = self.owner_of_reset_token(reset.token).await?;
        let take = self.check_email_token(&did, TokenPurpose::ResetPassword, reset.token).await?;
        self.set_password(&did, reset.password, vec![take], reset.end_app_passwords).await?;
        // Whoever it is has the mailbox: not held up by what others guessed.
        for name in self.sign_in_names(&self.own_login(&did).await?).await? {
            self.accounts().guesses.right(Guess::Name(&name), reset.address, self.now());
        }
        Ok(())
    }

    /// Keeps a new password, ends all sessions, and tells the owner.
    pub(crate) async fn set_password(
        &self,
        did: &Did,
        password: &str,
        mut units: Vec<Unit>,
        end_app_passwords: bool,
    ) -> HostResult<()> {
        let kept = self.accounts().passwords.keep(password).await?;
        let login = self.own_login(did).await?;
        let patch = LoginPatch { password: Some(kept), ..LoginPatch::default() };
        if end_app_passwords {
            let unit = AccountsUnit::DropAppPasswords { did: did.clone(), name: None };
            units.push(Unit::Hosting(Box::new(HostingUnit::Accounts(unit))));
        }
        units.push(Unit::PatchLogin { did: did.clone(), patch: Box::new(patch) });
        units.push(self.end_sessions(did, None));
        let tokens = AccountsUnit::DropEmailTokens { did: did.clone() };
        units.push(Unit::Hosting(Box::new(HostingUnit::Accounts(tokens))));
        if !login.email.is_empty() {
            let name = self.name_of(did).await?;
            let left = if end_app_passwords { 0 } else { self.store().app_passwords(did).await?.len() };
            units.push(self.letter(Letter {
                to: login.email.clone(),
                did: Some(did.clone()),
                kind: "password-changed",
                lasts: NOTICE_LASTS,
                words: Words::password_changed(self.config(), &name, left),
            })?);
        }
        self.store().apply(Unit::Batch { did: did.clone(), units }).await.map_err(Self::token_taken)?;
        self.sessions_ended(did);
        let guesses = &self.accounts().guesses;
        for name in self.sign_in_names(&login).await? {
            guesses.forget(Guess::Name(&name));
        }
        guesses.forget(Guess::Again(did.as_str()));
        self.accounts().often.all_over(did);
        self.accounts().mail.notify_one();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let refused = vec!["mailinator.com".to_owned()];
        for good in
            ["a@example.com", "Alice.B+tag@Mail.Example.org", "o'neil@example.com", "ä@bücher.example"]
        {
            assert_eq!(fit_email(good, &refused).unwrap(), good.to_lowercase());
        }
        for bad in [
            "",
            "a",
            "@example.com",
            "a@",
            "a@b",
            "a b@example.com",
            "a@example..com",
            "a@-x.com",
            ".a@example.com",
            "a@mailinator.com",
            "a@x.mailinator.com",
            "a\r\nBcc: b@example.com",
            "<a@example.com>",
            "a,b@example.com",
        ] {
            assert!(fit_email(bad, &refused).is_err(), "{bad}");
        }
        assert!(fit_email("a@notmailinator.com", &refused).is_ok());
    }
}
