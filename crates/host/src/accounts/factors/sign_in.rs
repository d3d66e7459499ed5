//! Signing in: what is asked for after the password, and whether the answer is right.
//!
//! Wrong codes are counted in the store, for the account: who guesses them has the password already. Twenty in a day are
//! enough to mistype, and leave a guesser one chance in 16,000. A right code forgets them, and so does a password that the
//! operator sets; one that is set by e-mail does not, or who reads the mailbox could guess without end.

use p2pds_store::hosting::{FactorsApplied, FactorsUnit, PasskeyUse};
use p2pds_store::{Applied, Login, Unit};
use p2pds_syntax::Did;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::browser::{self, Get, user_handle};
use super::challenge::{Question, State};
use super::set_up::totp_of;
use super::webauthn::{self, Assertion, Known, Refused, Used, Verification};
use super::{Stored, codes, totp, unit};
use crate::accounts::guesses::Guess;
use crate::accounts::tokens::TokenPurpose;
use crate::error::{HostError, HostResult};
use crate::host::Host;
use crate::keys::Purpose;
use crate::reason::Reason;
use crate::sessions::AppPassword;

/// Wrong codes of an account.
pub(super) const MOST_TRIES: u32 = 20;
/// In so long, microseconds.
const TRIES_WITHIN: i64 = 24 * 3_600 * 1_000_000;
/// Backup codes left of which the owner hears.
const FEW: u32 = 3;

/// What is shown beside the password.
pub enum Factor {
    /// A code: of the app, from a mail, or a backup code.
    Code(Zeroizing<String>),
    /// A passkey, as the browser told of it.
    Passkey(String),
}

impl std::fmt::Debug for Factor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Code(_) => "Code",
            Self::Passkey(_) => "Passkey",
        })
    }
}

impl Factor {
    /// A code that somebody typed; nothing for an empty one.
    #[must_use]
    pub fn code(typed: &str) -> Option<Self> {
        let typed = typed.trim();
        (!typed.is_empty()).then(|| Self::Code(Zeroizing::new(typed.to_owned())))
    }
}

/// Who signs in.
#[derive(Clone, Copy)]
pub struct SignIn<'a> {
    /// Handle, DID or address.
    pub identifier: &'a str,
    /// Password.
    pub password: &'a str,
    /// What is shown beside it.
    pub factor: Option<&'a Factor>,
    /// Whether an app password is good too.
    pub app_passwords: bool,
    /// Where the request comes from.
    pub address: &'a str,
}

impl std::fmt::Debug for SignIn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignIn")
    }
}

/// What came of it, when nothing was wrong.
#[derive(Debug)]
pub enum SignedIn {
    /// It is the owner. Whether the account may be used is another question: it may be taken down.
    Right {
        /// The account.
        did: Did,
        /// The app password that it was.
        app_password: Option<AppPassword>,
    },
    /// The password was right, and is not enough.
    FactorNeeded(Box<FactorNeeded>),
}

/// What is asked for after a password that was right.
pub struct FactorNeeded {
    /// The account.
    pub did: Did,
    /// Says that the password was right, for five minutes; for the page to hand back with the answer
    /// ([`Host::sign_in_with_ticket`]).
    pub ticket: Zeroizing<String>,
    /// A code of the app is good.
    pub app: bool,
    /// A code by e-mail is good; it was sent.
    pub email: bool,
    /// A backup code is good.
    pub backup_code: bool,
    /// A passkey is good: the options of `navigator.credentials.get`, as JSON.
    pub passkey: Option<Value>,
}

impl std::fmt::Debug for FactorNeeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FactorNeeded")
            .field("did", &self.did)
            .field("app", &self.app)
            .field("email", &self.email)
            .finish_non_exhaustive()
    }
}

impl FactorNeeded {
    /// What an application hears that can ask for a code only.
    pub(crate) fn error(&self) -> HostError {
        let message = match self {
            Self { email: true, app: true, .. } => {
                "A sign in code has been sent to your email address; the code of your authenticator app or a backup code \
                 is good too"
            }
            Self { email: true, .. } => "A sign in code has been sent to your email address",
            Self { app: true, .. } => "Enter the code of your authenticator app, or a backup code",
            _ => {
                "This account signs in with a passkey, which this application cannot ask for: sign in with OAuth, use an \
                 app password, or enter a backup code"
            }
        };
        HostError::unauthenticated("AuthFactorTokenRequired", message)
    }
}

/// A code that is not right, however it is wrong.
fn invalid() -> HostError {
    HostError::named("InvalidToken", "Token is invalid: check the code, or use the next one")
        .because(Reason::CodeWrong)
}

/// A mark of the password, so that a ticket ends with it.
fn mark(login: &Login) -> [u8; 16] {
    let mut digest = Sha256::new();
    digest.update(b"p2pds ticket\0");
    digest.update(login.password.as_bytes());
    let whole: [u8; 32] = digest.finalize().into();
    whole.first_chunk::<16>().copied().unwrap_or_default()
}

impl Host {
    /// Checks who signs in: the password, and what is asked for beside it. Begins no session.
    ///
    /// # Errors
    /// `AuthenticationRequired` for whatever is wrong with name and password, always alike; `InvalidToken`,
    /// `ExpiredToken`, `InvalidPasskey` for what is wrong beside it; too many guesses; the store.
    pub async fn sign_in(&self, given: SignIn<'_>) -> HostResult<SignedIn> {
        Ok(match self.prove(given).await? {
            Proved::Right(login, app_password) => SignedIn::Right { did: login.did, app_password },
            Proved::FactorNeeded(needed) => SignedIn::FactorNeeded(needed),
        })
    }

    /// The second step of a sign-in whose first one asked for more.
    ///
    /// # Errors
    /// It took longer than five minutes, or the password was changed in between; the factor is wrong; too many guesses;
    /// the store.
    pub async fn sign_in_with_ticket(&self, ticket: &str, factor: &Factor, address: &str) -> HostResult<Did> {
        let login = self.ticket_holder(ticket).await?;
        let stored = self.stored_factors(&login.did).await?;
        self.prove_factor(&login, &stored, factor, address).await?;
        for name in self.sign_in_names(&login).await? {
            self.accounts().guesses.right(Guess::Name(&name), address, self.now());
        }
        Ok(login.did)
    }

    /// Sends a code by e-mail to who has shown the password, if that is set up.
    ///
    /// # Errors
    /// It took longer than five minutes; the store.
    pub async fn send_sign_in_code(&self, ticket: &str) -> HostResult<()> {
        let login = self.ticket_holder(ticket).await?;
        if self.stored_factors(&login.did).await?.email(&login) {
            self.send_email_token(&login, TokenPurpose::SignIn).await?;
        }
        Ok(())
    }

    async fn ticket_holder(&self, ticket: &str) -> HostResult<Login> {
        let again = || {
            HostError::named("ExpiredToken", "this took too long: begin the sign-in again")
                .because(Reason::PageExpired)
        };
        let open = self.handed_back(State::Ticket, None, ticket)?;
        let (shown, did) = open.split_first_chunk::<16>().ok_or_else(again)?;
        let did = std::str::from_utf8(did).ok().and_then(|text| Did::parse(text).ok()).ok_or_else(again)?;
        let login = self.store().login(&did).await?.ok_or_else(again)?;
        if bool::from(mark(&login).ct_eq(shown)) { Ok(login) } else { Err(again()) }
    }

    /// What the browser is given to sign in with a passkey alone, whosever it is.
    ///
    /// # Errors
    /// No entropy.
    pub fn begin_passkey_sign_in(&self) -> HostResult<Value> {
        let challenge = self.challenge(Question::SignIn, None)?;
        Ok(browser::request(&self.relying_party(), &challenge, None))
    }

    /// Signs in with a passkey alone: it has to know who uses it.
    ///
    /// # Errors
    /// It is not accepted, with the reason; the store.
    pub async fn sign_in_with_passkey(&self, json: &str) -> HostResult<Did> {
        let told = Get::read(json)?;
        let known = self.store().passkey(&told.id).await?;
        let Some(row) = known else {
            return Err(HostError::unauthenticated(
                "InvalidPasskey",
                "This passkey is not known here: it may have been removed, or belongs to another server",
            )
            .because(Reason::PasskeyUnknown));
        };
        let login = self.own_login(&row.did).await?;
        if told.user_handle.as_ref().is_some_and(|handle| handle.as_slice() != user_handle(&row.did)) {
            return Err(Refused::Unreadable("it names another account than the one it was made for").into());
        }
        let known = Known { key: &row.key, copyable: row.copyable };
        let used = webauthn::used(&self.relying_party(), known, told.assertion(), Verification::Required)?;
        self.note_use(&login, &told, used, Question::SignIn, None).await?;
        metrics::counter!("p2pds_host_logins_total", "outcome" => "passkey").increment(1);
        Ok(login.did)
    }

    /// What is needed beside the password; `None` when nothing is.
    pub(crate) async fn factor_needed(
        &self,
        login: &Login,
        stored: &Stored,
    ) -> HostResult<Option<FactorNeeded>> {
        if !stored.any(login) {
            return Ok(None);
        }
        let did = &login.did;
        let passkey = if stored.passkeys.is_empty() {
            None
        } else {
            let challenge = self.challenge(Question::SecondFactor, Some(did))?;
            Some(browser::request(&self.relying_party(), &challenge, Some(&stored.passkeys)))
        };
        let ticket = [mark(login).as_slice(), did.as_str().as_bytes()].concat();
        Ok(Some(FactorNeeded {
            did: did.clone(),
            ticket: self.hand_out(State::Ticket, None, &ticket)?,
            app: stored.row.totp.is_some(),
            email: stored.email(login),
            backup_code: self.store().backup_codes(did).await? > 0,
            passkey,
        }))
    }

    /// Checks what is shown beside a password that was right.
    pub(crate) async fn prove_factor(
        &self,
        login: &Login,
        stored: &Stored,
        factor: &Factor,
        address: &str,
    ) -> HostResult<()> {
        let guess = Guess::Factor(login.did.as_str());
        let guesses = &self.accounts().guesses;
        guesses.check(guess, address, self.now())?;
        let checked = match factor {
            Factor::Code(code) => self.check_code(login, stored, code).await,
            Factor::Passkey(json) => self.check_passkey(login, stored, json).await,
        };
        match &checked {
            Ok(()) => guesses.right(guess, address, self.now()),
            Err(_) => {
                guesses.wrong(guess, address, self.now());
                metrics::counter!("p2pds_host_logins_total", "outcome" => "wrong-factor").increment(1);
            }
        }
        checked
    }

    async fn check_code(&self, login: &Login, stored: &Stored, code: &str) -> HostResult<()> {
        let (did, now) = (&login.did, self.now());
        let attempt = FactorsUnit::Try { did: did.clone(), most: MOST_TRIES, within: TRIES_WITHIN, at: now };
        if let Applied::Factors(FactorsApplied::Later(until)) = self.store().apply(unit(attempt)).await? {
            let seconds = u64::try_from(until.saturating_sub(now) / 1_000_000).unwrap_or(1).max(1);
            return Err(HostError::limited(
                seconds,
                "too many wrong codes were tried. Whoever did that has your password: set a new one by e-mail. Codes are taken \
                 again after the wait, or when the operator of this server has set a password for you. A passkey is taken at \
                 any time",
            )
            .because(Reason::CodeTries));
        }
        let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        let taken = if digits.len() == totp::DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            self.take_totp(did, stored, &digits).await?
        } else if let Some(code) = codes::digest(did, code) {
            self.take_backup_code(login, code).await?
        } else if stored.email(login) {
            let take = self.check_email_token(did, TokenPurpose::SignIn, code).await?;
            let units = vec![take, unit(FactorsUnit::ForgetTries { did: did.clone() })];
            self.store().apply(Unit::Batch { did: did.clone(), units }).await.map_err(Self::token_taken)?;
            true
        } else {
            false
        };
        if taken {
            return Ok(());
        }
        if stored.row.tries.saturating_add(1) == MOST_TRIES {
            let what = "Somebody who knows the password tried too many wrong codes";
            if let Some(notice) = self.notice(login, what).await? {
                self.store().apply(notice).await?;
                self.accounts().mail.notify_one();
            }
        }
        Err(invalid())
    }

    async fn take_totp(&self, did: &Did, stored: &Stored, digits: &str) -> HostResult<bool> {
        let Some(sealed) = &stored.row.totp else { return Ok(false) };
        let Some(secret) = self.keys().unseal(Purpose::Factors, sealed, &totp_of(did)) else {
            tracing::error!(event = "host.factor-secret", %did, "the secret of an authenticator app cannot be opened with this node.key; its owner needs a backup code, or `p2pds account reset-factors`");
            return Err(HostError::upstream(
                "codes of your authenticator app cannot be checked here now: use a backup code or a passkey, or ask the operator of this server",
            ));
        };
        let Some(step) = totp::find(&secret, digits, self.now(), stored.row.totp_step) else {
            return Ok(false);
        };
        let take = FactorsUnit::TakeTotp { did: did.clone(), step };
        Ok(self.store().apply(unit(take)).await? == Applied::Factors(FactorsApplied::Yes))
    }

    async fn take_backup_code(&self, login: &Login, code: [u8; 32]) -> HostResult<bool> {
        let did = &login.did;
        let take = FactorsUnit::TakeBackupCode { did: did.clone(), code };
        if self.store().apply(unit(take)).await? != Applied::Factors(FactorsApplied::Yes) {
            return Ok(false);
        }
        let left = self.store().backup_codes(did).await?;
        let advice = if left <= FEW { ". Make new ones soon" } else { "" };
        let what = format!("A backup code was used to sign in; {left} are left{advice}");
        if let Some(notice) = self.notice(login, &what).await? {
            self.store().apply(notice).await?;
            self.accounts().mail.notify_one();
        }
        Ok(true)
    }

    async fn check_passkey(&self, login: &Login, stored: &Stored, json: &str) -> HostResult<()> {
        let told = Get::read(json)?;
        let row = stored.passkeys.iter().find(|row| row.id == told.id);
        let row = row.ok_or(Refused::Unreadable("it is not a passkey of this account"))?;
        let known = Known { key: &row.key, copyable: row.copyable };
        let used = webauthn::used(&self.relying_party(), known, told.assertion(), Verification::Welcome)?;
        self.note_use(login, &told, used, Question::SecondFactor, Some(&login.did)).await
    }

    /// Spends the challenge and moves the counter, both at once.
    async fn note_use(
        &self,
        login: &Login,
        told: &Get,
        used: Used,
        question: Question,
        asked: Option<&Did>,
    ) -> HostResult<()> {
        let answered = self.answered(question, asked, &used.challenge)?;
        let note = PasskeyUse {
            did: login.did.clone(),
            id: told.id.clone(),
            count: used.count,
            copied: used.copied,
            challenge: answered.digest,
            ends_at: answered.ends_at,
            at: self.now(),
        };
        match self.store().apply(unit(FactorsUnit::UsePasskey(note))).await? {
            Applied::Factors(FactorsApplied::Yes) => Ok(()),
            Applied::Factors(FactorsApplied::CountBack) => {
                tracing::warn!(event = "host.passkey-count", did = %login.did, "the counter of a passkey went back: there may be a copy of it");
                let what = "A passkey was refused because its counter went back, which happens when there is a copy of it. If this was your own, remove it and make a new one";
                if let Some(notice) = self.notice(login, what).await? {
                    self.store().apply(notice).await?;
                    self.accounts().mail.notify_one();
                }
                Err(HostError::unauthenticated(
                    "InvalidPasskey",
                    "The passkey was not accepted: its counter went back, so there may be a copy of it. Sign in another way, \
                     remove it and make a new one",
                )
                .because(Reason::PasskeyCopied))
            }
            _ => Err(Refused::Challenge.into()),
        }
    }
}

/// What came of a sign-in, for the host itself.
pub(crate) enum Proved {
    /// It is the owner.
    Right(Box<Login>, Option<AppPassword>),
    /// The password is not enough.
    FactorNeeded(Box<FactorNeeded>),
}

impl Get {
    fn assertion(&self) -> Assertion<'_> {
        Assertion { client_data: &self.client_data, auth_data: &self.auth_data, signature: &self.signature }
    }
}
