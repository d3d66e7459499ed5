//! Tokens that are sent by e-mail: for one purpose and one account, once, for a quarter of an hour, and void after a
//! few wrong tries. The store has digests.

use p2pds_store::hosting::{AccountsApplied, AccountsUnit, EmailTokenRow, HostingUnit, TokenTry};
use p2pds_store::{Applied, Login, Unit};
use p2pds_syntax::Did;
use sha2::{Digest as _, Sha256};

use super::mail::{Letter, Words};
use super::often::May;
use crate::error::{HostError, HostResult};
use crate::host::Host;
use crate::passwords::random_base32;
use crate::reason::Reason;

/// How long a token is good for, microseconds.
pub const TOKEN_LASTS: i64 = 15 * 60 * 1_000_000;
/// Wrong tries after which it is void.
pub const MOST_TRIES: u32 = 5;

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPurpose {
    /// Confirming that an address is the account's.
    ConfirmEmail,
    /// Changing a confirmed address.
    UpdateEmail,
    /// A new password.
    ResetPassword,
    /// Deleting the account.
    DeleteAccount,
    /// Signing a change of its identity.
    PlcOperation,
    /// Signing in, beside the password.
    SignIn,
}

impl TokenPurpose {
    /// Its name in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConfirmEmail => "confirm-email",
            Self::UpdateEmail => "update-email",
            Self::ResetPassword => "reset-password",
            Self::DeleteAccount => "delete-account",
            Self::PlcOperation => "plc-operation",
            Self::SignIn => "sign-in",
        }
    }

    /// Letters of a token, five bits each. Who resets a password names no account, so that tries cannot be counted for
    /// one: that token must be beyond guessing by itself.
    const fn letters(self) -> usize {
        if matches!(self, Self::ResetPassword) { 20 } else { 10 }
    }
}

/// `ABCDE-FGHIJ`.
fn new_token(purpose: TokenPurpose) -> HostResult<String> {
    let mut token = String::new();
    for (at, letter) in random_base32(purpose.letters())?.chars().enumerate() {
        if at > 0 && at.is_multiple_of(5) {
            token.push('-');
        }
        token.push(letter.to_ascii_uppercase());
    }
    Ok(token)
}

fn digest(purpose: TokenPurpose, token: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(b"p2pds e-mail token\0");
    digest.update(purpose.as_str());
    digest.update(b"\0");
    // As people copy them.
    digest.update(token.trim().to_ascii_uppercase());
    digest.finalize().into()
}

fn accounts(unit: AccountsUnit) -> Unit {
    Unit::Hosting(Box::new(HostingUnit::Accounts(unit)))
}

fn invalid() -> HostError {
    HostError::named("InvalidToken", "Token is invalid: check it, or ask for a new one")
        .because(Reason::CodeWrong)
}

fn expired() -> HostError {
    HostError::named("ExpiredToken", "Token is expired: ask for a new one").because(Reason::CodeExpired)
}

impl Host {
    /// Sends a token to the account's address. The mail is queued durably when this answers; a token of the same
    /// purpose that was sent before is void. Within a minute nothing is sent again, and the token before stays good.
    ///
    /// # Errors
    /// The account has no address; it was sent too many; the store.
    pub async fn send_email_token(&self, login: &Login, purpose: TokenPurpose) -> HostResult<()> {
        if login.email.is_empty() {
            return Err(
                HostError::invalid("account does not have an email address").because(Reason::EmailNone)
            );
        }
        let (token, now) = (new_token(purpose)?, self.now());
        match self.accounts().often.may(&login.did, purpose, &login.email, now) {
            May::Send => {}
            May::UnderWay => return Ok(()),
            May::Later(left) => {
                return Err(HostError::limited(
                    u64::try_from(left / 1_000_000).unwrap_or(1).max(1),
                    "too many codes were sent to this account's address: use the last one, or wait",
                )
                .because(Reason::TooMuch));
            }
        }
        let row = EmailTokenRow {
            did: login.did.clone(),
            purpose: purpose.as_str().to_owned(),
            hash: digest(purpose, &token),
            created_at: now,
            expires_at: now.saturating_add(TOKEN_LASTS),
            tries: 0,
        };
        let name = self.name_of(&login.did).await?;
        let letter = Letter {
            to: login.email.clone(),
            did: Some(login.did.clone()),
            kind: purpose.as_str(),
            lasts: TOKEN_LASTS,
            words: Words::token(self.config(), purpose, &name, &token),
        };
        let units = vec![accounts(AccountsUnit::PutEmailToken(row)), self.letter(letter)?];
        let queued = self.store().apply(Unit::Batch { did: login.did.clone(), units }).await;
        queued.inspect_err(|_| self.accounts().often.over(&login.did, purpose))?;
        self.accounts().mail.notify_one();
        Ok(())
    }

    /// Checks a token. The unit that comes back takes it, once: it belongs into the batch that does what the token
    /// allows.
    ///
    /// # Errors
    /// `InvalidToken`, `ExpiredToken`; the store.
    pub async fn check_email_token(&self, did: &Did, purpose: TokenPurpose, token: &str) -> HostResult<Unit> {
        // The mail is there: who asks for another needs it.
        self.accounts().often.over(did, purpose);
        let (hash, purpose) = (digest(purpose, token), purpose.as_str().to_owned());
        let unit = AccountsUnit::TryEmailToken {
            did: did.clone(),
            purpose: purpose.clone(),
            hash,
            at: self.now(),
            most: MOST_TRIES,
        };
        match self.store().apply(accounts(unit)).await? {
            Applied::Accounts(AccountsApplied::Token(TokenTry::Good)) => {
                Ok(accounts(AccountsUnit::TakeEmailToken { did: did.clone(), purpose, hash }))
            }
            Applied::Accounts(AccountsApplied::Token(TokenTry::Expired)) => Err(expired()),
            _ => Err(invalid()),
        }
    }

    /// The account that a token for a new password was sent to.
    ///
    /// # Errors
    /// `InvalidToken`; the store.
    pub(crate) async fn owner_of_reset_token(&self, token: &str) -> HostResult<Did> {
        let purpose = TokenPurpose::ResetPassword;
        let hash = digest(purpose, token);
        self.store().email_token_owner(purpose.as_str(), hash).await?.ok_or_else(invalid)
    }

    /// A batch that takes a token failed: that it was taken by another request is the caller's to hear.
    pub(crate) fn token_taken(error: p2pds_store::StoreError) -> HostError {
        match error {
            p2pds_store::StoreError::Mismatch { what, .. } if what.contains("token") => invalid(),
            other => other.into(),
        }
    }

    /// How an account is called in mail: its handle, or its DID.
    pub(crate) async fn name_of(&self, did: &Did) -> HostResult<String> {
        let account = self.store().account(did).await?;
        Ok(account.and_then(|account| account.handle).unwrap_or_else(|| did.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_look_as_they_do_elsewhere_and_differ_by_purpose() {
        let token = new_token(TokenPurpose::DeleteAccount).unwrap();
        assert_eq!((token.len(), token.as_bytes()[5]), (11, b'-'));
        assert_eq!(new_token(TokenPurpose::ResetPassword).unwrap().len(), 23);
        let of = |purpose| digest(purpose, &token);
        assert_ne!(of(TokenPurpose::DeleteAccount), of(TokenPurpose::UpdateEmail));
        let copied = format!(" {}\n", token.to_lowercase());
        assert_eq!(of(TokenPurpose::DeleteAccount), digest(TokenPurpose::DeleteAccount, &copied));
    }
}
