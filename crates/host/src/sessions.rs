//! Sessions: two tokens, how they are made, checked, exchanged and ended.
//!
//! An access token (15 minutes) names its session; so ending a session ends it at once, not when it runs out. A refresh
//! token (90 days) is good for one exchange, and within a grace of two hours for the same exchange again, because
//! answers get lost and clients race. Its successor is computed from it, so the store holds digests only. Shown after
//! its grace it was stolen, or its thief was faster: the session ends.

mod live;

use hmac::{Hmac, KeyInit as _, Mac as _};
use p2pds_crypto::jwt::{self, Algorithm, Claims, JwtError, Unverified};
use p2pds_store::hosting::{AccountsApplied, AccountsUnit, HostingUnit, RotateSession, Rotation, SessionRow};
use p2pds_store::{Applied, Unit};
use p2pds_syntax::{Did, ErrorKind};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::access::{Access, Refresh, Scope, Standing};
use crate::error::{HostError, HostResult};
use crate::host::Host;
use crate::keys::Purpose;
use crate::passwords::random_base32;

pub(crate) use live::Live;

/// `typ` of an access token.
pub const ACCESS_TYP: &str = "at+jwt";
/// `typ` of a refresh token.
pub const REFRESH_TYP: &str = "refresh+jwt";
/// How long an access token is good for, seconds.
pub const ACCESS_SECONDS: u64 = 15 * 60;
/// How long a refresh token is good for, seconds.
pub const REFRESH_SECONDS: u64 = 90 * 24 * 3_600;
/// How long a refresh token that was exchanged may be exchanged again, microseconds.
pub const GRACE: i64 = 2 * 3_600 * MICROS;

const MICROS: i64 = 1_000_000;
const REFRESH_SCOPE: &str = "com.atproto.refresh";
/// Our own tokens, by our own clock: a second is for rounding.
const LEEWAY: u64 = 1;

/// The tokens of a session.
#[derive(Clone)]
pub struct Tokens {
    /// The access token.
    pub access: Zeroizing<String>,
    /// The refresh token.
    pub refresh: Zeroizing<String>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

/// With which password a session was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPassword {
    /// Its name.
    pub name: String,
    /// Whether it reaches private messages.
    pub privileged: bool,
}

/// A session that is about to begin: its tokens, and the unit that makes them good.
#[derive(Debug)]
pub struct NewSession {
    /// The tokens.
    pub tokens: Tokens,
    /// To be applied before the tokens are handed out.
    pub unit: Unit,
}

impl Host {
    /// What an access token is good for.
    ///
    /// # Errors
    /// `ExpiredToken`, `InvalidToken`; the store.
    pub async fn verify_access(&self, token: &str) -> HostResult<Access> {
        let claims = self.own_token(token, ACCESS_TYP, false)?;
        let did = subject(&claims)?;
        let scope = claims.text("scope").ok().flatten().and_then(Scope::of_claim);
        let scope = scope.ok_or_else(|| bad("Bad token scope"))?;
        // Those of a server that stood here before name no session; a refresh gives one that does.
        let id = claims.text("sid").ok().flatten().ok_or_else(|| refused(JwtError::Expired))?;
        let live = &self.accounts().live;
        let (known, epoch) = live.find(&did, id);
        let app_password = match known {
            Some(app_password) => app_password,
            None => {
                let row = self.store().session(&did, id).await?.ok_or_else(ended)?;
                live.add(&did, id, row.app_password.clone(), epoch);
                row.app_password
            }
        };
        Ok(Access { did, scope, app_password, session: id.to_owned() })
    }

    /// What a refresh token is. One past its end is good for ending its session, when `expired` is set.
    ///
    /// # Errors
    /// `ExpiredToken`, `InvalidToken`.
    pub async fn verify_refresh(&self, token: &str, expired: bool) -> HostResult<Refresh> {
        let claims = self.own_token(token, REFRESH_TYP, expired)?;
        if claims.text("scope").ok().flatten() != Some(REFRESH_SCOPE) {
            return Err(bad("Bad token scope"));
        }
        let over = claims.check_times(self.now_seconds(), LEEWAY).is_err();
        Ok(Refresh {
            did: subject(&claims)?,
            id: claims.need("jti").map_err(refused)?.to_owned(),
            expired: over,
        })
    }

    /// How a hosted account stands.
    ///
    /// # Errors
    /// `AccountNotFound`; the store.
    pub async fn standing(&self, did: &Did) -> HostResult<Standing> {
        if self.writes().is_active(did) {
            return Ok(Standing::Active);
        }
        match self.store().login(did).await? {
            None => Err(HostError::unauthenticated(
                "AccountNotFound",
                format!("Account not found: {did} is not hosted here"),
            )),
            Some(login) if login.takedown.is_some() => Ok(Standing::Takendown),
            Some(login) if login.deactivated_at.is_some() => Ok(Standing::Deactivated),
            Some(_) => Ok(Standing::Active),
        }
    }

    fn own_token(&self, token: &str, typ: &'static str, expired: bool) -> HostResult<Claims> {
        let unverified = Unverified::parse(token, &[Algorithm::Hs256]).map_err(refused)?;
        if unverified.typ().as_deref() != Some(typ) {
            return Err(bad("Token could not be verified: it is of another kind"));
        }
        let claims = unverified.verify_secret(self.keys().jwt()).map_err(refused)?.0;
        if claims.text("aud").ok().flatten() != Some(self.config().service_did.as_str()) {
            return Err(bad("Token could not be verified: it is for another service"));
        }
        if claims.has("lxm") || claims.has("cnf") {
            return Err(bad("Malformed token"));
        }
        match claims.check_times(self.now_seconds(), LEEWAY) {
            Err(JwtError::Expired) if expired => Ok(claims),
            checked => checked.map_err(refused).map(|()| claims),
        }
    }

    fn now_seconds(&self) -> u64 {
        u64::try_from(self.now().div_euclid(MICROS)).unwrap_or(0)
    }

    /// The tokens of a new session and the unit that makes them good. A session of an account that was taken down
    /// cannot be refreshed.
    ///
    /// # Errors
    /// The system has no entropy.
    pub fn new_session(
        &self,
        did: &Did,
        app_password: Option<AppPassword>,
        takendown: bool,
    ) -> HostResult<NewSession> {
        let scope = match (&app_password, takendown) {
            (_, true) => Scope::Takendown,
            (None, false) => Scope::Full,
            (Some(app), false) if app.privileged => Scope::Privileged,
            (Some(_), false) => Scope::AppPassword,
        };
        let id = random_base32(26)?;
        let jti = format!("{id}.{}", random_base32(52)?);
        let now = self.now();
        let lasts = if takendown { ACCESS_SECONDS } else { REFRESH_SECONDS };
        let row = SessionRow {
            id: id.clone(),
            did: did.clone(),
            privileged: app_password.as_ref().is_some_and(|app| app.privileged),
            app_password: app_password.map(|app| app.name),
            created_at: now,
            used_at: now,
            expires_at: now.saturating_add(micros(lasts)),
        };
        let refresh = (!takendown).then(|| digest(&jti));
        let unit = Unit::Hosting(Box::new(HostingUnit::Accounts(AccountsUnit::PutSession { row, refresh })));
        Ok(NewSession { tokens: self.tokens(did, scope, &id, &jti)?, unit })
    }

    fn tokens(&self, did: &Did, scope: Scope, id: &str, jti: &str) -> HostResult<Tokens> {
        let (now, service) = (self.now_seconds(), self.config().service_did.as_str());
        let access = json!({
            "scope": scope.claim(),
            "aud": service,
            "sub": did.as_str(),
            "iat": now,
            "exp": now.saturating_add(ACCESS_SECONDS),
            "sid": id,
        });
        let refresh = json!({
            "scope": REFRESH_SCOPE,
            "aud": service,
            "sub": did.as_str(),
            "jti": jti,
            "iat": now,
            "exp": now.saturating_add(REFRESH_SECONDS),
        });
        Ok(Tokens { access: self.signed(ACCESS_TYP, access)?, refresh: self.signed(REFRESH_TYP, refresh)? })
    }

    fn signed(&self, typ: &str, claims: Value) -> HostResult<Zeroizing<String>> {
        let empty = Map::new();
        let claims = claims.as_object().unwrap_or(&empty);
        jwt::sign_secret(self.keys().jwt(), typ, claims)
            .map(Zeroizing::new)
            .map_err(|error| HostError::new(ErrorKind::Bug, "InternalServerError", error.to_string()))
    }

    /// Exchanges a refresh token for new tokens.
    ///
    /// # Errors
    /// `ExpiredToken` when its session is over, or ends now because the token was used up long ago.
    pub async fn refresh_session(&self, refresh: &Refresh) -> HostResult<Tokens> {
        let id = &session_of(&refresh.id);
        let row = self.store().session(&refresh.did, id).await?.ok_or_else(ended)?;
        let next = self.successor(&refresh.id, id);
        let now = self.now();
        let rotate = RotateSession {
            did: refresh.did.clone(),
            id: id.clone(),
            from: digest(&refresh.id),
            to: digest(&next),
            at: now,
            grace_until: now.saturating_add(GRACE),
            expires_at: now.saturating_add(micros(REFRESH_SECONDS)),
        };
        let unit = HostingUnit::Accounts(AccountsUnit::RotateSession(rotate));
        match self.store().apply(Unit::Hosting(Box::new(unit))).await? {
            Applied::Accounts(AccountsApplied::Rotation(Rotation::Rotated)) => {
                let scope = match (&row.app_password, row.privileged) {
                    (None, _) => Scope::Full,
                    (Some(_), true) => Scope::Privileged,
                    (Some(_), false) => Scope::AppPassword,
                };
                self.tokens(&refresh.did, scope, id, &next)
            }
            Applied::Accounts(AccountsApplied::Rotation(Rotation::Reused)) => {
                self.accounts().live.drop_one(&refresh.did, id);
                metrics::counter!("p2pds_host_sessions_reused_total").increment(1);
                tracing::warn!(
                    event = "host.session-reused", did = %refresh.did,
                    "a refresh token was shown that had been used up long before: its session was ended"
                );
                Err(ended())
            }
            _ => Err(ended()),
        }
    }

    /// The token that follows this one: always the same.
    fn successor(&self, jti: &str, id: &str) -> String {
        let key = self.keys().derived(Purpose::Sessions);
        let mut next = format!("{id}.");
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_slice()) {
            mac.update(b"refresh token after ");
            mac.update(jti.as_bytes());
            data_encoding::BASE32_NOPAD.encode_append(&mac.finalize().into_bytes(), &mut next);
        }
        next.make_ascii_lowercase();
        next
    }

    /// Ends the session of a refresh token.
    ///
    /// # Errors
    /// The store.
    pub async fn end_session(&self, refresh: &Refresh) -> HostResult<()> {
        let id = &session_of(&refresh.id);
        let unit = AccountsUnit::DropSession { did: refresh.did.clone(), id: id.clone() };
        self.store().apply(Unit::Hosting(Box::new(HostingUnit::Accounts(unit)))).await?;
        self.accounts().live.drop_one(&refresh.did, id);
        Ok(())
    }

    /// The unit that ends all sessions of an account, but for one; [`Self::sessions_ended`] follows once it is applied.
    #[must_use]
    pub fn end_sessions(&self, did: &Did, except: Option<&str>) -> Unit {
        let unit = AccountsUnit::DropSessions {
            did: did.clone(),
            app_password: None,
            except: except.map(str::to_owned),
        };
        Unit::Hosting(Box::new(HostingUnit::Accounts(unit)))
    }

    /// Sessions of this account were ended in the store: access tokens are looked up again from now on.
    pub fn sessions_ended(&self, did: &Did) {
        self.accounts().live.drop_all(did);
    }
}

/// What the store keeps of a token's id.
#[must_use]
pub fn digest(jti: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(b"p2pds refresh token\0");
    digest.update(jti.as_bytes());
    digest.finalize().into()
}

/// The session of a refresh token: its id begins with it. Those of a server that stood here before name none, and get
/// one from their digest.
#[must_use]
pub fn session_of(jti: &str) -> String {
    match jti.split_once('.') {
        Some((id, _)) if id.len() <= 64 => id.to_owned(),
        _ => data_encoding::HEXLOWER.encode(digest(jti).get(..16).unwrap_or_default()),
    }
}

fn subject(claims: &Claims) -> HostResult<Did> {
    claims
        .text("sub")
        .ok()
        .flatten()
        .and_then(|sub| Did::parse(sub).ok())
        .ok_or_else(|| bad("Malformed token"))
}

fn micros(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(MICROS)
}

fn bad(message: &str) -> HostError {
    HostError::named("InvalidToken", message)
}

fn ended() -> HostError {
    HostError::named("ExpiredToken", "Token has been revoked: log in again")
}

fn refused(error: JwtError) -> HostError {
    match error {
        JwtError::Expired => HostError::named("ExpiredToken", "Token has expired"),
        _ => bad("Token could not be verified"),
    }
}

#[cfg(test)]
mod tests;
