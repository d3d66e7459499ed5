//! The accounts of this host as the authorization server sees them, and that server on this host's parts.
//!
//! Signing in goes the same way as for other sessions: the same limits for guesses, the same patience, the same second
//! factors. App passwords open nothing here: they are for applications that know no better.

mod sets;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use p2pds_oauth::scope::PermissionSet;
use p2pds_oauth::{
    Account, AccountPort, AccountStatus, Factor, FactorAsked, LogIn, LoginRefused, OAuth, OAuthConfig,
    OAuthDeps, Prove,
};
use p2pds_store::{Login, Unit};
use p2pds_syntax::{AtIdentifier, Did, ErrorKind, Nsid};
use zeroize::Zeroizing;

use crate::accounts::INVALID_HANDLE;
use crate::accounts::factors::{self, SignIn, SignedIn};
use crate::error::{HostError, HostResult};
use crate::host::Host;
use crate::jobs::Job;
use sets::{Found, SETTING, Sets};

/// The longest that a permission set may take to be had.
const SET_PATIENCE: Duration = Duration::from_secs(10);
/// How often the server tidies up.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// How often the keys of clients are looked for.
const KEYS_EVERY: Duration = Duration::from_secs(300);

impl Host {
    /// The authorization server of this host's accounts. Its nonces begin anew with each.
    ///
    /// # Errors
    /// The system has no entropy.
    pub fn authorization_server(&self) -> HostResult<OAuth> {
        let mut nonce_secret = [0_u8; 32];
        getrandom::fill(&mut nonce_secret).map_err(|error| {
            HostError::new(ErrorKind::Unavailable, "InternalServerError", format!("no entropy: {error}"))
        })?;
        let clock = self.clone();
        let deps = OAuthDeps {
            store: self.store_handle(),
            net: self.net().clone(),
            accounts: Arc::new(Accounts { host: self.clone(), sets: Sets::default() }),
            clock: Arc::new(move || clock.now()),
            token_key: Zeroizing::new(self.keys().jwt().to_vec()),
            nonce_secret,
        };
        let config = OAuthConfig {
            issuer: self.config().public_url.trim_end_matches('/').to_owned(),
            service_did: self.config().service_did.clone(),
            dev_mode: self.config().dev_mode,
        };
        Ok(OAuth::new(deps, config))
    }
}

/// Forgets what is over.
#[derive(Debug)]
pub struct Tidy(pub OAuth);

#[async_trait]
impl Job for Tidy {
    fn name(&self) -> &'static str {
        "oauth"
    }

    async fn round(&self, _host: &Host) -> HostResult<Duration> {
        self.0.forget().await.map_err(failed)?;
        Ok(TIDY_EVERY)
    }
}

/// Looks for keys that clients withdrew: a job of its own, for clients may take their time.
#[derive(Debug)]
pub struct WithdrawnKeys(pub OAuth);

#[async_trait]
impl Job for WithdrawnKeys {
    fn name(&self) -> &'static str {
        "oauth-keys"
    }

    async fn round(&self, _host: &Host) -> HostResult<Duration> {
        self.0.look_for_keys().await.map_err(failed)?;
        Ok(KEYS_EVERY)
    }
}

fn failed(error: p2pds_oauth::OAuthError) -> HostError {
    HostError::new(error.kind(), "InternalServerError", error.to_string())
}

/// The accounts of a host.
struct Accounts {
    host: Host,
    /// Permission sets.
    sets: Sets,
}

fn unavailable(error: &HostError) -> String {
    error.message.clone()
}

fn refused(error: HostError) -> LoginRefused {
    match (error.kind, error.name) {
        (ErrorKind::Limited, _) => LoginRefused::TooMany { seconds: error.retry_after.unwrap_or(60) },
        (_, "AccountTakedown") => LoginRefused::Takendown,
        (_, "InvalidToken" | "ExpiredToken" | "InvalidPasskey") => LoginRefused::FactorWrong,
        (_, "AuthenticationRequired") => LoginRefused::Wrong,
        _ => LoginRefused::Unavailable(error.message),
    }
}

fn factor(factor: &Factor) -> Option<factors::Factor> {
    match factor {
        Factor::Code(code) => factors::Factor::code(code),
        Factor::Passkey(json) => Some(factors::Factor::Passkey(json.clone())),
    }
}

impl Accounts {
    async fn of_login(&self, login: Login) -> HostResult<Account> {
        let status = match &login {
            Login { takedown: Some(_), .. } => AccountStatus::Takendown,
            Login { deactivated_at: Some(_), .. } => AccountStatus::Deactivated,
            _ => AccountStatus::Active,
        };
        let account = self.host.store().account(&login.did).await?;
        Ok(Account {
            handle: account.and_then(|account| account.handle).unwrap_or_else(|| INVALID_HANDLE.to_owned()),
            email: Some(login.email).filter(|email| !email.is_empty()),
            email_confirmed: login.email_confirmed_at.is_some(),
            status,
            display_name: None,
            did: login.did,
        })
    }

    async fn signed_in(&self, did: &Did) -> Result<Account, LoginRefused> {
        match self.account(did).await {
            Ok(Some(account)) => Ok(account),
            Ok(None) => Err(LoginRefused::Wrong),
            Err(why) => Err(LoginRefused::Unavailable(why)),
        }
    }

    /// Reads the permission sets that the store keeps, once.
    async fn load_sets(&self) {
        if self.sets.is_loaded() {
            return;
        }
        match self.host.store().setting(SETTING).await {
            Ok(text) => self.sets.load(text.as_deref()),
            Err(error) => {
                tracing::warn!(event = "oauth.permission-sets", %error, "those of the store could not be read");
            }
        }
    }

    /// Has the store keep what there is now. Another may do so at the same time: the last one to end wrote everything.
    async fn keep_sets(&self) {
        loop {
            let (puts, text) = (self.sets.puts(), self.sets.text());
            let unit = Unit::PutSetting { name: SETTING.to_owned(), value: Some(text) };
            if let Err(error) = self.host.store().apply(unit).await {
                tracing::warn!(event = "oauth.permission-sets", %error, "the store could not keep them");
                return;
            }
            if self.sets.puts() == puts {
                return;
            }
        }
    }
}

#[async_trait]
impl AccountPort for Accounts {
    async fn log_in(&self, ask: LogIn) -> Result<Account, LoginRefused> {
        let factor = ask.factor.as_ref().and_then(factor);
        let sign_in = SignIn {
            identifier: &ask.identifier,
            password: &ask.password,
            factor: factor.as_ref(),
            app_passwords: false,
            address: &ask.address,
        };
        match self.host.sign_in(sign_in).await.map_err(refused)? {
            SignedIn::Right { did, .. } => self.signed_in(&did).await,
            SignedIn::FactorNeeded(needed) => Err(LoginRefused::FactorNeeded(Box::new(FactorAsked {
                did: needed.did.clone(),
                ticket: needed.ticket.clone(),
                app: needed.app,
                email: needed.email,
                backup_code: needed.backup_code,
                passkey: needed.passkey.clone(),
            }))),
        }
    }

    async fn prove(&self, ask: Prove) -> Result<Account, LoginRefused> {
        let factor = factor(&ask.factor).ok_or(LoginRefused::FactorWrong)?;
        let did = self.host.sign_in_with_ticket(&ask.ticket, &factor, &ask.address).await.map_err(refused)?;
        self.signed_in(&did).await
    }

    fn passkey_question(&self) -> Option<serde_json::Value> {
        self.host.begin_passkey_sign_in().ok()
    }

    async fn passkey(&self, json: &str) -> Result<Account, LoginRefused> {
        let did = self.host.sign_in_with_passkey(json).await.map_err(refused)?;
        self.signed_in(&did).await
    }

    async fn account(&self, did: &Did) -> Result<Option<Account>, String> {
        let login = self.host.store().login(did).await.map_err(|error| unavailable(&error.into()))?;
        match login {
            None => Ok(None),
            Some(login) => self.of_login(login).await.map(Some).map_err(|error| unavailable(&error)),
        }
    }

    async fn find(&self, hint: &str) -> Result<Option<Account>, String> {
        // An address is nobody's business here: whoever asks would learn whether it has an account.
        if AtIdentifier::parse(hint).is_err() {
            return Ok(None);
        }
        match self.host.login_of(hint).await.map_err(|error| unavailable(&error))? {
            None => Ok(None),
            Some(login) => self.of_login(login).await.map(Some).map_err(|error| unavailable(&error)),
        }
    }

    async fn permission_set(&self, nsid: &Nsid) -> Result<PermissionSet, String> {
        self.load_sets().await;
        let now = self.host.now();
        let old = match self.sets.look(nsid, now) {
            Found::Set(set) => return Ok(set),
            Found::Nothing => return Err("it was not found a moment ago".to_owned()),
            Found::Ask(old) => old,
        };
        let found = tokio::time::timeout(SET_PATIENCE, crate::lexicons::published(&self.host, nsid)).await;
        let found = found.unwrap_or_else(|_| Err("it took too long".to_owned()));
        let found = found.and_then(|(_, document)| {
            self.sets.put(nsid, &document, now).ok_or_else(|| "it is no permission set".to_owned())
        });
        match found {
            Ok(set) => {
                self.keep_sets().await;
                Ok(set)
            }
            Err(why) => {
                self.sets.not_found(nsid, now);
                old.ok_or(why)
            }
        }
    }
}
