//! E-mail addresses: which are taken, confirming them, changing them; and passwords, which are set anew by mail.

use p2pds_store::hosting::{AccountsUnit, FactorsUnit, HostingUnit};
use p2pds_store::{LoginPatch, StoreError, Unit};
use p2pds_syntax::Did;

use super::factors;
use super::mail::{Letter, Words};
use super::tokens::TokenPurpose;
use crate::error::{HostError, HostResult};
use crate::host::Host;
use crate::passwords;
use crate::reason::Reason;

/// How long a notice is worth sending, microseconds.
const NOTICE_LASTS: i64 = 24 * 3_600 * 1_000_000;

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

    /// Sends the token for a new password, if the address is an account's. Whoever asks hears the same in any case.
    ///
    /// # Errors
    /// The store.
    pub async fn request_password_reset(&self, email: &str) -> HostResult<()> {
        match self.store().login_by_email(&email.trim().to_lowercase()).await? {
            Some(login) => self.send_email_token(&login, TokenPurpose::ResetPassword).await,
            None => {
                // Takes the same way, so that the time does not tell.
                let unit = AccountsUnit::ForgetExpired { at: self.now() };
                self.store().apply(Unit::Hosting(Box::new(HostingUnit::Accounts(unit)))).await?;
                Ok(())
            }
        }
    }

    /// Sets a new password with a token. All sessions end.
    ///
    /// # Errors
    /// `InvalidToken`, `ExpiredToken`; too short or too long; the store.
    pub async fn reset_password(&self, token: &str, password: &str) -> HostResult<()> {
        passwords::fits(password)?;
        let did = self.owner_of_reset_token(token).await?;
        let take = self.check_email_token(&did, TokenPurpose::ResetPassword, token).await?;
        self.set_password(&did, password, vec![take]).await
    }

    /// Keeps a new password, ends all sessions, and tells the owner.
    pub(crate) async fn set_password(
        &self,
        did: &Did,
        password: &str,
        mut units: Vec<Unit>,
    ) -> HostResult<()> {
        let kept = self.accounts().passwords.keep(password).await?;
        let login = self.own_login(did).await?;
        let patch = LoginPatch { password: Some(kept), ..LoginPatch::default() };
        units.push(Unit::PatchLogin { did: did.clone(), patch: Box::new(patch) });
        units.push(self.end_sessions(did, None));
        // Who tried codes with the password before has to begin anew.
        units.push(factors::unit(FactorsUnit::ForgetTries { did: did.clone() }));
        let tokens = AccountsUnit::DropEmailTokens { did: did.clone() };
        units.push(Unit::Hosting(Box::new(HostingUnit::Accounts(tokens))));
        if !login.email.is_empty() {
            let name = self.name_of(did).await?;
            units.push(self.letter(Letter {
                to: login.email,
                did: Some(did.clone()),
                kind: "password-changed",
                lasts: NOTICE_LASTS,
                words: Words::password_changed(self.config(), &name),
            })?);
        }
        self.store().apply(Unit::Batch { did: did.clone(), units }).await.map_err(Self::token_taken)?;
        self.sessions_ended(did);
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
