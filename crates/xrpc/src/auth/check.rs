//! Checking what was shown against what the method takes.

use axum::http::HeaderMap;
use p2pds_crypto::jwt::{Algorithm, Unverified};
use p2pds_host::{Access, Host, Scope, Standing};
use p2pds_syntax::Did;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::header::{Shown, basic, proof, shown};
use super::{Auth, Grant};
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::table::{Credentials, Method, Sessions};

/// A secret that callers show, kept as its digest.
#[derive(Clone, Copy)]
pub struct Secret([u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

impl Secret {
    /// Of this text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Whether this is the text. Takes as long whether it is or not.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        let other: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        self.0.ct_eq(&other).into()
    }
}

/// What a bearer token is, judged by its own words.
enum Token {
    Session { refresh: bool },
    Service,
    Other,
}

fn token(text: &str) -> Token {
    let all = [Algorithm::Hs256, Algorithm::Es256k, Algorithm::Es256];
    match Unverified::parse(text, &all) {
        Ok(token) if token.algorithm() == Algorithm::Hs256 => {
            Token::Session { refresh: token.typ().as_deref() == Some("refresh+jwt") }
        }
        Ok(_) => Token::Service,
        Err(_) => Token::Other,
    }
}

fn missing() -> XrpcError {
    XrpcError::unauthenticated("AuthMissing", "Authentication Required: this method needs credentials")
}

fn unaccepted() -> XrpcError {
    XrpcError::unauthenticated("AuthenticationRequired", "these credentials are not accepted for this method")
}

fn unverified() -> XrpcError {
    XrpcError::bad_token("InvalidToken", "Token could not be verified")
}

/// Whether a caller shows a peer's token.
pub(crate) fn is_peer(door: &Xrpc, headers: &HeaderMap) -> bool {
    matches!(shown(headers), Ok(Shown::Bearer(token)) if peer(door, token))
}

fn peer(door: &Xrpc, token: &str) -> bool {
    // Every one is looked at, so that the time says nothing about which.
    door.config.peer_tokens.iter().fold(false, |found, known| Secret::new(known).is(token) | found)
}

/// The head of a request, as far as it says who calls.
#[derive(Debug, Clone, Copy)]
pub struct Called<'r> {
    /// GET, HEAD or POST.
    pub http: &'r str,
    /// The path, as it came.
    pub path: &'r str,
    /// The headers.
    pub headers: &'r HeaderMap,
}

/// Who calls a method.
///
/// # Errors
/// What was shown is not accepted for it; or nothing was, and something is needed.
pub async fn authenticate(door: &Xrpc, method: &Method, called: Called<'_>) -> Result<Auth, XrpcError> {
    let shown = shown(called.headers)?;
    let credentials = method.credentials;
    let Some(host) = &door.host else { return on_an_archive(door, credentials, shown) };
    match (credentials, shown) {
        (Credentials::Public, Shown::Dpop(token)) => oauth(door, host, ANY, (called, token)).await,
        (
            Credentials::Optional(sessions)
            | Credentials::Session(sessions)
            | Credentials::SessionOrService(sessions)
            | Credentials::SessionOrModerator(sessions),
            Shown::Dpop(token),
        ) => oauth(door, host, sessions, (called, token)).await,
        (Credentials::Public | Credentials::Optional(_) | Credentials::ServiceOrNone, Shown::Nothing) => {
            Ok(Auth::Anonymous)
        }
        (_, Shown::Nothing) => Err(missing()),
        (Credentials::Public | Credentials::Optional(_), Shown::Bearer(token)) if peer(door, token) => {
            Ok(Auth::Peer)
        }
        (
            Credentials::Public | Credentials::Optional(_) | Credentials::Admin | Credentials::Moderator,
            Shown::Basic(value),
        ) => admin(door, value),
        (Credentials::Public, Shown::Bearer(token)) => session(host, ANY, token).await,
        (Credentials::Optional(sessions) | Credentials::Session(sessions), Shown::Bearer(token)) => {
            session(host, sessions, token).await
        }
        (Credentials::SessionOrService(sessions), Shown::Bearer(text)) => match token(text) {
            Token::Service => {
                let token = host.verify_service(text, method.nsid, None).await?;
                // Anybody on the network can sign for himself: here it must be one of this host's accounts.
                stands(host, sessions, &token.issuer).await?;
                Ok(Auth::Service(token))
            }
            _ => session(host, sessions, text).await,
        },
        (Credentials::SessionOrModerator(sessions), Shown::Bearer(text)) => match token(text) {
            Token::Service => moderator(door, host, method, text).await,
            _ => session(host, sessions, text).await,
        },
        (Credentials::ServiceOrNone, Shown::Bearer(text)) => {
            Ok(Auth::Service(host.verify_service(text, method.nsid, None).await?))
        }
        (Credentials::Moderator, Shown::Bearer(text)) => moderator(door, host, method, text).await,
        (Credentials::Refresh { expired }, Shown::Bearer(text)) => refresh(host, expired, text).await,
        (Credentials::Admin, Shown::Bearer(_)) | (_, Shown::Basic(_) | Shown::Dpop(_)) => Err(unaccepted()),
    }
}

/// Any session at all, for methods to which it makes no difference.
const ANY: Sessions = Sessions { app_passwords: true, takendown: true, queued: true, deactivated: true };

/// Without hosted accounts there are peers, and the others.
fn on_an_archive(door: &Xrpc, credentials: Credentials, shown: Shown<'_>) -> Result<Auth, XrpcError> {
    let public = matches!(credentials, Credentials::Public | Credentials::Optional(_));
    match shown {
        Shown::Nothing if public => Ok(Auth::Anonymous),
        Shown::Bearer(token) if public && peer(door, token) => Ok(Auth::Peer),
        Shown::Nothing => Err(missing()),
        _ => Err(XrpcError::unauthenticated(
            "AuthenticationRequired",
            "this mirror knows no such credentials; public data needs none",
        )),
    }
}

fn admin(door: &Xrpc, value: &str) -> Result<Auth, XrpcError> {
    let (name, password) = basic(value).unwrap_or_default();
    // Without a password there is no such door.
    let right = door.config.admin_password.is_some_and(|known| known.is(&password));
    if right && name == "admin" {
        return Ok(Auth::Admin);
    }
    Err(XrpcError::unauthenticated(
        "AuthenticationRequired",
        "Authentication Required: wrong name or password",
    ))
}

async fn session(host: &Host, sessions: Sessions, text: &str) -> Result<Auth, XrpcError> {
    let access = match (host.single_user_access(text), token(text)) {
        (Some(access), _) => access,
        (None, Token::Session { refresh: false }) => host.verify_access(text).await?,
        (None, _) => return Err(unverified()),
    };
    let fits = match access.scope {
        Scope::Full => true,
        Scope::AppPassword | Scope::Privileged => sessions.app_passwords,
        Scope::SignupQueued => sessions.queued,
        Scope::Takendown => sessions.takendown,
    };
    if !fits {
        return Err(XrpcError::bad_token("InvalidToken", "Bad token scope: this session may not do that"));
    }
    let standing = stands(host, sessions, &access.did).await?;
    Ok(Auth::Access(access, standing))
}

/// A session of an application: its token, with the proof that the caller has the key that it is bound to.
async fn oauth(
    door: &Xrpc,
    host: &Host,
    sessions: Sessions,
    (called, token): (Called<'_>, &str),
) -> Result<Auth, XrpcError> {
    let Some(oauth) = &door.oauth else {
        return Err(XrpcError::unauthenticated(
            "InvalidToken",
            "this host offers no OAuth sessions: sign in with an app password",
        ));
    };
    let address = format!("{}{}", host.config().public_url.trim_end_matches('/'), called.path);
    let granted = oauth.check(token, proof(called.headers)?, called.http, &address).await?;
    let standing = stands(host, sessions, &granted.did).await?;
    let access = Access {
        did: granted.did,
        // What it may say its scopes. Whoever asks for less than that sees an app password.
        scope: Scope::AppPassword,
        app_password: None,
        session: granted.session,
    };
    Ok(Auth::OAuth(
        Grant { access, client: granted.client_id, scopes: granted.scopes, settled: false },
        standing,
    ))
}

/// How the account stands that is about to do something, if that is good enough.
async fn stands(host: &Host, sessions: Sessions, did: &Did) -> Result<Standing, XrpcError> {
    match host.standing(did).await? {
        Standing::Takendown if !sessions.takendown => Err(XrpcError::unauthenticated(
            "AccountTakedown",
            "Account has been taken down: ask the operator of this host",
        )),
        Standing::Deactivated if !sessions.deactivated => {
            Err(XrpcError::unauthenticated("AccountDeactivated", "Account is deactivated: activate it first"))
        }
        standing => Ok(standing),
    }
}

async fn refresh(host: &Host, expired: bool, text: &str) -> Result<Auth, XrpcError> {
    match token(text) {
        Token::Session { refresh: true } => Ok(Auth::Refresh(host.verify_refresh(text, expired).await?)),
        _ => Err(unverified()),
    }
}

async fn moderator(door: &Xrpc, host: &Host, method: &Method, text: &str) -> Result<Auth, XrpcError> {
    let Some(service) = &door.config.moderation_service else {
        return Err(XrpcError::unauthenticated(
            "UntrustedIss",
            "Untrusted issuer: no moderation service is set",
        ));
    };
    let token = host.verify_service(text, method.nsid, Some(service)).await?;
    Ok(Auth::Moderator(token.issuer))
}
