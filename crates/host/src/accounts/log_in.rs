//! Logging in, and what a session is told of its account.

use std::sync::Arc;
use std::time::{Duration, Instant};

use p2pds_store::hosting::{AccountsUnit, HostingUnit};
use p2pds_store::{Login, LoginPatch, Unit};
use p2pds_syntax::{AtIdentifier, Did, DidMethod};

use super::factors::{Factor, Proved, SignIn};
use super::guesses::{Guess, plain};
use super::tokens::TokenPurpose;
use crate::access::Refresh;
use crate::error::{HostError, HostResult};
use crate::host::Host;
use crate::passwords::{
    self, Check, LONGEST, REFUSAL_TAKES, find_app_password, keep_app_password, looks_like_app_password,
};
use crate::reason::Reason;
use crate::sessions::{AppPassword, Tokens};

/// How long a DID document may take that comes with a session.
const DOCUMENT_PATIENCE: Duration = Duration::from_millis(1_500);
/// How old a stored one may be, in microseconds.
const FRESH_US: i64 = 3_600_000_000;
/// How long an account is new, in microseconds.
const NEW_US: i64 = 60_000_000;
/// What stands for a handle that is none.
pub const INVALID_HANDLE: &str = "handle.invalid";

/// What a session is told of its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// The account.
    pub did: Did,
    /// Its handle, or `handle.invalid`.
    pub handle: String,
    /// Its address.
    pub email: Option<String>,
    /// Whether that was confirmed.
    pub email_confirmed: bool,
    /// Whether it is active.
    pub active: bool,
    /// Why not.
    pub status: Option<&'static str>,
    /// Whether a sign-in with its password asks for a code by e-mail.
    pub email_auth_factor: bool,
    /// Its DID document, as JSON.
    pub document: Option<Arc<str>>,
}

/// A session that was begun or refreshed.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// Of whom.
    pub account: AccountView,
    /// Its tokens.
    pub tokens: Tokens,
}

/// Who wants to log in.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// Handle, DID or address.
    pub identifier: &'a str,
    /// Password or app password.
    pub password: &'a str,
    /// A code of an app, from a mail, or a backup code, where the account asks for one.
    pub auth_factor_token: Option<&'a str>,
    /// Whether a session of an account that was taken down is wanted too.
    pub allow_takendown: bool,
    /// Where the request comes from.
    pub address: &'a str,
}

impl std::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

/// Which password it was.
enum Matched {
    None,
    Own { keep_anew: bool },
    App { app: AppPassword, keep_anew: bool },
}

fn wrong() -> HostError {
    HostError::unauthenticated("AuthenticationRequired", "Invalid identifier or password")
}

impl Host {
    /// Begins a session.
    ///
    /// # Errors
    /// `AuthenticationRequired` for whatever is wrong, always alike; `AuthFactorTokenRequired`, `InvalidToken`,
    /// `ExpiredToken`; `AccountTakedown`; too many guesses; the store.
    pub async fn log_in(&self, given: Credentials<'_>) -> HostResult<LoggedIn> {
        let factor = given.auth_factor_token.and_then(Factor::code);
        let sign_in = SignIn {
            identifier: given.identifier,
            password: given.password,
            factor: factor.as_ref(),
            app_passwords: true,
            address: given.address,
        };
        match self.prove(sign_in).await? {
            Proved::Right(login, app_password) => {
                self.begin_session(*login, app_password, given.allow_takendown).await
            }
            Proved::FactorNeeded(needed) => Err(needed.error()),
        }
    }

    /// Checks who signs in: name and password, then what is asked for beside them. What that is shows to nobody who has not
    /// shown the password.
    pub(crate) async fn prove(&self, given: SignIn<'_>) -> HostResult<Proved> {
        let began = Instant::now();
        let name = plain(given.identifier);
        if given.password.encode_utf16().count() > LONGEST {
            return Err(HostError::unauthenticated(
                "AuthenticationRequired",
                "Password too long. Consider resetting your password.",
            ));
        }
        let guesses = &self.accounts().guesses;
        guesses.check(Guess::Name(&name), given.address, self.now())?;
        let found = self.check_credentials(&name, given.password).await?;
        let Some((login, app_password)) = found.filter(|(_, app)| app.is_none() || given.app_passwords)
        else {
            guesses.wrong(Guess::Name(&name), given.address, self.now());
            metrics::counter!("p2pds_host_logins_total", "outcome" => "wrong").increment(1);
            tokio::time::sleep(REFUSAL_TAKES.saturating_sub(began.elapsed())).await;
            return Err(wrong());
        };
        // App passwords are for applications that know nothing of second steps.
        if app_password.is_none() {
            let stored = self.stored_factors(&login.did).await?;
            match (self.factor_needed(&login, &stored).await?, given.factor) {
                (None, _) => {}
                (Some(needed), None) => {
                    if needed.email {
                        self.send_email_token(&login, TokenPurpose::SignIn).await?;
                    }
                    metrics::counter!("p2pds_host_logins_total", "outcome" => "factor-needed").increment(1);
                    return Ok(Proved::FactorNeeded(Box::new(needed)));
                }
                (Some(_), Some(factor)) => {
                    self.prove_factor(&login, &stored, factor, given.address).await?;
                }
            }
        }
        guesses.right(Guess::Name(&name), given.address, self.now());
        Ok(Proved::Right(Box::new(login), app_password))
    }

    /// Whether a name and a password belong together: what a sign-in costs and what its time could tell, without its limits
    /// and its patience. For measurements; nothing that strangers reach may call it.
    ///
    /// # Errors
    /// Too many wait; the store.
    pub async fn credentials_match(&self, name: &str, password: &str) -> HostResult<bool> {
        Ok(self.check_credentials(name, password).await?.is_some())
    }

    async fn check_credentials(
        &self,
        name: &str,
        password: &str,
    ) -> HostResult<Option<(Login, Option<AppPassword>)>> {
        let login = self.login_of(name).await?;
        let matched = self.match_password(login.as_ref(), password).await?;
        let Some(mut login) = login else { return Ok(None) };
        let app = match matched {
            Matched::None => return Ok(None),
            Matched::Own { keep_anew } => {
                if keep_anew {
                    let kept = self.accounts().passwords.keep_anew(password).await?;
                    let patch =
                        Box::new(LoginPatch { password: Some(kept.clone()), ..LoginPatch::default() });
                    self.store().apply(Unit::PatchLogin { did: login.did.clone(), patch }).await?;
                    login.password = kept;
                }
                None
            }
            // App passwords of an account that was taken down open nothing.
            Matched::App { .. } if login.takedown.is_some() => return Ok(None),
            Matched::App { app, keep_anew } => {
                if keep_anew {
                    let unit = AccountsUnit::RehashAppPassword {
                        did: login.did.clone(),
                        name: app.name.clone(),
                        password: keep_app_password(&login.did, password),
                    };
                    self.store().apply(Unit::Hosting(Box::new(HostingUnit::Accounts(unit)))).await?;
                }
                Some(app)
            }
        };
        Ok(Some((login, app)))
    }

    /// The account that is called so: by handle, DID or address.
    pub(crate) async fn login_of(&self, name: &str) -> HostResult<Option<Login>> {
        let name = plain(name);
        if name.contains('@') {
            return Ok(self.store().login_by_email(&name).await?);
        }
        Ok(match AtIdentifier::parse(&name) {
            Ok(AtIdentifier::Did(did)) => self.store().login(&did).await?,
            Ok(AtIdentifier::Handle(handle)) => self.store().login_by_handle(handle.as_str()).await?,
            Err(_) => None,
        })
    }

    /// Always one costly hash, whoever is meant; a second one only where app passwords of another server wait to be
    /// kept anew, which no account of this host has.
    async fn match_password(&self, login: Option<&Login>, password: &str) -> HostResult<Matched> {
        let hashing = &self.accounts().passwords;
        let mut foreign = Vec::new();
        if looks_like_app_password(password) {
            // Looked for under some name in any case, so that the time does not tell whether there is an account.
            let did = login.map_or(self.config().service_did.clone(), |login| login.did.clone());
            let rows = self.store().app_passwords(&did).await?;
            let found = find_app_password(&did, rows.iter().map(|row| row.password.as_str()), password);
            if let Some(row) = found.and_then(|at| rows.get(at)) {
                let app = AppPassword { name: row.name.clone(), privileged: row.privileged };
                return Ok(Matched::App { app, keep_anew: false });
            }
            foreign = rows.into_iter().filter(|row| !row.password.starts_with("sha256:")).collect();
        }
        match hashing.check(login.map(|login| login.password.as_str()), password).await? {
            Check::Right => return Ok(Matched::Own { keep_anew: false }),
            Check::RightButOld => return Ok(Matched::Own { keep_anew: true }),
            Check::Wrong => {}
        }
        if let Some(login) = login.filter(|_| !foreign.is_empty()) {
            let kept = foreign.iter().map(|row| row.password.clone()).collect();
            let found = hashing.find_foreign_app_password(&login.did, kept, password).await?;
            if let Some(row) = found.and_then(|at| foreign.get(at)) {
                let app = AppPassword { name: row.name.clone(), privileged: row.privileged };
                return Ok(Matched::App { app, keep_anew: true });
            }
        }
        Ok(Matched::None)
    }

    async fn begin_session(
        &self,
        login: Login,
        app_password: Option<AppPassword>,
        allow_takendown: bool,
    ) -> HostResult<LoggedIn> {
        let takendown = login.takedown.is_some();
        if takendown && !allow_takendown {
            return Err(HostError::unauthenticated("AccountTakedown", "Account has been taken down"));
        }
        let session = self.new_session(&login.did, app_password, takendown)?;
        self.store().apply(session.unit).await?;
        metrics::counter!("p2pds_host_logins_total", "outcome" => "right").increment(1);
        Ok(LoggedIn { account: self.view_of(&login).await?, tokens: session.tokens })
    }

    /// Exchanges a refresh token.
    ///
    /// # Errors
    /// `AccountTakedown`, `ExpiredToken`; the store.
    pub async fn refresh(&self, refresh: &Refresh) -> HostResult<LoggedIn> {
        let login = self.own_login(&refresh.did).await?;
        if login.takedown.is_some() {
            return Err(HostError::unauthenticated("AccountTakedown", "Account has been taken down"));
        }
        let tokens = self.refresh_session(refresh).await?;
        Ok(LoggedIn { account: self.view_of(&login).await?, tokens })
    }

    /// What a session is told of its account.
    ///
    /// # Errors
    /// The account is gone; the store.
    pub async fn account_view(&self, did: &Did) -> HostResult<AccountView> {
        let login = self.own_login(did).await?;
        self.view_of(&login).await
    }

    /// The login of an account that calls.
    pub(crate) async fn own_login(&self, did: &Did) -> HostResult<Login> {
        let login = self.store().login(did).await?;
        login.ok_or_else(|| {
            HostError::invalid(format!("Could not find user info for account: {did}"))
                .because(Reason::NotHere)
        })
    }

    pub(crate) async fn view_of(&self, login: &Login) -> HostResult<AccountView> {
        let account = self.store().account(&login.did).await?;
        let status = status_word(login);
        Ok(AccountView {
            did: login.did.clone(),
            handle: account.and_then(|a| a.handle).unwrap_or_else(|| INVALID_HANDLE.to_owned()),
            email: Some(login.email.clone()).filter(|email| !email.is_empty()),
            email_confirmed: login.email_confirmed_at.is_some(),
            email_auth_factor: login.email_confirmed_at.is_some()
                && self.store().factor(&login.did).await?.is_some_and(|factor| factor.email),
            active: status.is_none(),
            status,
            document: self.document_of(login).await,
        })
    }

    /// The DID document, if it can be had soon and names this host. Clients go where it says: one that names another host
    /// would lead them away in the middle of a move.
    async fn document_of(&self, login: &Login) -> Option<Arc<str>> {
        if !self.config().accounts.did_doc_with_session {
            return None;
        }
        let (did, now) = (&login.did, self.now());
        let stored = self.directory().stored(did).await.ok().flatten();
        let is_fresh = stored.as_ref().is_some_and(|known| now.saturating_sub(known.fetched_at) < FRESH_US);
        let identity = if is_fresh {
            stored?
        } else {
            let who = AtIdentifier::Did(did.clone());
            let is_new = did.method() == DidMethod::Plc && now.saturating_sub(login.created_at) < NEW_US;
            let asked = async {
                // Where its handle leads cannot be known yet.
                if is_new && stored.is_none() {
                    self.directory().document(did).await
                } else {
                    self.directory().resolve(&who).await
                }
            };
            match tokio::time::timeout(DOCUMENT_PATIENCE, asked).await {
                Ok(Ok(identity)) => identity,
                _ => stored?,
            }
        };
        (identity.pds.as_deref() == Some(self.config().public_url.as_str())).then_some(identity.doc_json)
    }

    /// Whether who asks knows the account's own password: before what a session alone must not be enough for.
    ///
    /// # Errors
    /// It is another one; too many guesses; the store.
    pub async fn confirm_password(&self, did: &Did, password: &str, address: &str) -> HostResult<()> {
        self.is_own_password(&self.own_login(did).await?, password, address).await
    }

    /// What an account may be called where somebody signs in.
    pub(crate) async fn sign_in_names(&self, login: &Login) -> HostResult<Vec<String>> {
        let handle = self.store().account(&login.did).await?.and_then(|account| account.handle);
        let names = [handle, Some(login.did.to_string()), Some(login.email.clone())];
        Ok(names.into_iter().flatten().filter(|name| !name.is_empty()).collect())
    }

    /// Whether a password is the account's own, for what needs it again. Costs what a login costs.
    pub(crate) async fn is_own_password(
        &self,
        login: &Login,
        password: &str,
        address: &str,
    ) -> HostResult<()> {
        let (guess, began) = (Guess::Again(login.did.as_str()), Instant::now());
        let guesses = &self.accounts().guesses;
        guesses.check(guess, address, self.now())?;
        match self.accounts().passwords.check(Some(&login.password), password).await? {
            passwords::Check::Wrong => {
                guesses.wrong(guess, address, self.now());
                tokio::time::sleep(REFUSAL_TAKES.saturating_sub(began.elapsed())).await;
                let error = HostError::unauthenticated("AuthenticationRequired", "Invalid did or password");
                Err(error.because(Reason::PasswordWrong))
            }
            _ => Ok(()),
        }
    }
}

/// Why an account is not active; `None` when it is.
#[must_use]
pub fn status_word(login: &Login) -> Option<&'static str> {
    match login {
        Login { takedown: Some(_), .. } => Some("takendown"),
        Login { deactivated_at: Some(_), .. } => Some("deactivated"),
        _ => None,
    }
}
