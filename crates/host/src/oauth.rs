//! The accounts of this host as the authorization server sees them, and that server on this host's parts.
//!
//! Signing in goes the same way as for other sessions: the same limits for guesses, the same patience, the same second
//! factors. App passwords open nothing here: they are for applications that know no better.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use p2pds_oauth::scope::PermissionSet;
use p2pds_oauth::{
    Account, AccountPort, AccountStatus, Factor, FactorAsked, LogIn, LoginRefused, OAuth, OAuthConfig,
    OAuthDeps, Prove,
};
use p2pds_store::Login;
use p2pds_syntax::{AtIdentifier, Did, ErrorKind, Nsid};
use zeroize::Zeroizing;

use crate::accounts::INVALID_HANDLE;
use crate::accounts::factors::{self, SignIn, SignedIn};
use crate::error::{HostError, HostResult};
use crate::host::Host;
use crate::jobs::Job;

/// After this a permission set is asked for again, microseconds; until the answer the old one is used.
const SET_FRESH: i64 = 24 * 3_600 * 1_000_000;
/// The longest that a set is used which cannot be had again, microseconds.
const SET_USABLE: i64 = 90 * SET_FRESH;
/// Most permission sets that are remembered.
const MOST_SETS: usize = 500;
/// The longest that one may take to be had.
const SET_PATIENCE: Duration = Duration::from_secs(10);
/// One that was not found is not asked for again for this long, microseconds.
const SET_ABSENT: i64 = 60 * 1_000_000;
/// How often the server tidies up.
const TIDY_EVERY: Duration = Duration::from_secs(300);

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
            accounts: Arc::new(Accounts {
                host: self.clone(),
                sets: Mutex::default(),
                absent: Mutex::default(),
            }),
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

/// Forgets what is over, and looks for keys that clients withdrew.
#[derive(Debug)]
pub struct Tidy(pub OAuth);

#[async_trait]
impl Job for Tidy {
    fn name(&self) -> &'static str {
        "oauth"
    }

    async fn round(&self, _host: &Host) -> HostResult<Duration> {
        let failed = |error: p2pds_oauth::OAuthError| {
            HostError::new(error.kind(), "InternalServerError", error.to_string())
        };
        self.0.tidy().await.map_err(failed)?;
        Ok(TIDY_EVERY)
    }
}

/// The accounts of a host.
struct Accounts {
    host: Host,
    /// Permission sets with the time at which they were had.
    sets: Mutex<HashMap<Nsid, (PermissionSet, i64)>>,
    /// Those that were not found, and when.
    absent: Mutex<HashMap<Nsid, i64>>,
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

    fn remembered(&self, nsid: &Nsid) -> Option<(PermissionSet, i64)> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner).get(nsid).cloned()
    }

    /// Whether it was asked for a moment ago and not found.
    fn is_absent(&self, nsid: &Nsid, now: i64) -> bool {
        let absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        absent.get(nsid).is_some_and(|at| now.saturating_sub(*at) < SET_ABSENT)
    }

    fn note_absent(&self, nsid: &Nsid, now: i64) {
        let mut absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        if absent.len() >= MOST_SETS {
            absent.clear();
        }
        absent.insert(nsid.clone(), now);
    }

    fn remember(&self, nsid: &Nsid, set: &PermissionSet, now: i64) {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= MOST_SETS
            && let Some(oldest) = sets.iter().min_by_key(|(_, (_, at))| *at).map(|(nsid, _)| nsid.clone())
        {
            sets.remove(&oldest);
        }
        sets.insert(nsid.clone(), (set.clone(), now));
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
        let now = self.host.now();
        let known = self.remembered(nsid);
        if let Some((set, at)) = &known
            && now.saturating_sub(*at) < SET_FRESH
        {
            return Ok(set.clone());
        }
        if self.is_absent(nsid, now) {
            let usable = known.filter(|(_, at)| now.saturating_sub(*at) < SET_USABLE);
            return usable.map(|(set, _)| set).ok_or_else(|| "it was not found a moment ago".to_owned());
        }
        let found = tokio::time::timeout(SET_PATIENCE, crate::lexicons::published(&self.host, nsid)).await;
        let found = found.unwrap_or_else(|_| Err("it took too long".to_owned()));
        let found = found.and_then(|(_, json)| {
            PermissionSet::from_json(&json).ok_or_else(|| "it is no permission set".to_owned())
        });
        match (found, known) {
            (Ok(set), _) => {
                self.remember(nsid, &set, now);
                Ok(set)
            }
            (Err(why), known) => {
                self.note_absent(nsid, now);
                known.filter(|(_, at)| now.saturating_sub(*at) < SET_USABLE).map(|(set, _)| set).ok_or(why)
            }
        }
    }
}
