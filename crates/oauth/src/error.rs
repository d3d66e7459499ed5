//! Why a request is refused. One variant for each rule; each knows the name that OAuth gives it and its HTTP status.
//!
//! What is said to the outside never holds a token, a code or a key, and does not tell an unknown secret from a wrong one.

use p2pds_crypto::dpop::DpopError;
use p2pds_crypto::jwt::JwtError;
use p2pds_store::StoreError;
use p2pds_syntax::ErrorKind;

use crate::scope::ScopeError;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OAuthError {
    // --- What a request is made of.
    /// RFC 6749 appendix B, RFC 9126 2.1: the parameters are a form, here also a JSON object of texts.
    #[error("the body is neither a form nor a JSON object of texts: {0}")]
    Body(&'static str),
    /// RFC 6749 3.1 and 3.2: no parameter may be there more than once.
    #[error("the parameter \"{0}\" is there more than once")]
    Repeated(String),
    /// RFC 6749 5.2: a parameter that must be there.
    #[error("the parameter \"{0}\" is missing")]
    Missing(&'static str),
    /// RFC 6749 5.2: a parameter with a value that it cannot have.
    #[error("the parameter \"{name}\" is wrong: {why}")]
    Parameter {
        /// Which.
        name: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// RFC 9126 2.1: a pushed request may not name another pushed request.
    #[error("a pushed request may not bring a \"request_uri\"")]
    RequestUriPushed,
    /// RFC 6749 4.1.2.1; atproto OAuth, "Authorization Requests": only `code`.
    #[error("the only response_type here is \"code\"")]
    ResponseType,
    /// RFC 6749 5.2.
    #[error("the only grant types here are \"authorization_code\" and \"refresh_token\"")]
    GrantType,
    /// RFC 9396 5: none are known here.
    #[error("authorization_details are not known here")]
    AuthorizationDetails,

    // --- Who the client is.
    /// atproto OAuth, "Clients"; draft-ietf-oauth-client-id-metadata-document 3: what may be a `client_id`.
    #[error("the client_id cannot be used: {0}")]
    ClientId(&'static str),
    /// draft-ietf-oauth-client-id-metadata-document 4: the document could not be had. Nothing is ended because of that.
    #[error("the client's metadata could not be fetched from its client_id: {0}")]
    ClientUnreachable(String),
    /// draft-ietf-oauth-client-id-metadata-document 4: status 200, `application/json`, no redirect, not too long, an object.
    #[error("the client's metadata document is refused: {0}")]
    ClientDocument(&'static str),
    /// RFC 7591 2; atproto OAuth, "Client Metadata".
    #[error("the client's metadata is refused: \"{field}\" {why}")]
    ClientMetadata {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// RFC 7591 2.2, RFC 7517 5: its key set.
    #[error("the client's keys are refused: {0}")]
    ClientKeys(&'static str),
    /// RFC 6749 3.2.1, RFC 7523 2.2: how it proves that it is itself.
    #[error("the client did not prove itself: {0}")]
    ClientAuth(&'static str),
    /// RFC 7523 3 point 7: an assertion is good once.
    #[error("the client_assertion was used before")]
    AssertionReplayed,
    /// RFC 6749 5.2: the client may not use this grant type, by its own metadata.
    #[error("this client does not declare this grant type")]
    Unauthorized,

    // --- What is asked for.
    /// RFC 6749 3.1.2.3, RFC 8252 7.3 and 8.4: exactly one of the declared ones; only the port of loopback is free.
    #[error("the redirect_uri is none of those that the client declares")]
    RedirectUri,
    /// RFC 6749 3.3.
    #[error("{0}")]
    Scope(ScopeError),
    /// atproto OAuth, "Scopes": the `atproto` scope is always asked for.
    #[error("the scope \"atproto\" must be asked for")]
    ScopeAtproto,
    /// atproto OAuth, "Scopes": there is no OpenID Connect here.
    #[error("the scope \"openid\" does not go together with atproto")]
    ScopeOpenid,
    /// atproto OAuth, "Client Metadata": word for word one of the declared scopes.
    #[error("the scope \"{0}\" is not declared in the client's metadata")]
    ScopeUndeclared(String),
    /// atproto permission sets: the set could not be found.
    #[error("the permission set {0} could not be found")]
    PermissionSet(String),
    /// RFC 7636 4.4.1; OAuth 2.1 4.1.1: a challenge is mandatory.
    #[error("a code_challenge must be given")]
    PkceMissing,
    /// RFC 7636 4.4.1; atproto OAuth, "Authorization Requests": only S256.
    #[error("the only code_challenge_method here is \"S256\"")]
    PkceMethod,
    /// RFC 7636 4.2.
    #[error("the code_challenge is not the base64url of 32 bytes")]
    PkceForm,
    /// RFC 9101 6: a request object that is not the client's, or not good.
    #[error("the request object is refused: {0}")]
    RequestObject(&'static str),
    /// RFC 9101 10.8: a request object is good once.
    #[error("the request object was used before")]
    RequestObjectReplayed,
    /// Too many requests wait to be granted.
    #[error("too many requests wait to be granted here; try again in a few minutes")]
    Busy,

    // --- Proofs of possession.
    /// RFC 9449 5: every request for a token brings one.
    #[error("a DPoP proof is needed")]
    DpopMissing,
    /// RFC 9449 4.3 point 1: not more than one.
    #[error("there is more than one DPoP header")]
    DpopRepeated,
    /// RFC 9449 4.3.
    #[error("{0}")]
    Dpop(DpopError),
    /// RFC 9449 8: the nonce of this server must be in it.
    #[error("the DPoP proof needs this server's nonce; it is in the DPoP-Nonce header of this answer")]
    DpopNonce,
    /// RFC 9449 11.1: a proof is good once.
    #[error("the DPoP proof was used before")]
    DpopReplayed,
    /// RFC 9449 10: `dpop_jkt` names another key than the proof.
    #[error("dpop_jkt is not the key of the DPoP proof")]
    DpopJkt,
    /// atproto OAuth, "Confidential Client Authentication": the two keys are two keys.
    #[error("the DPoP key must be another one than the client's own key")]
    DpopClientKey,

    // --- At the authorization endpoint.
    /// RFC 9126 4; atproto OAuth: all requests are pushed first.
    #[error("the request must be pushed first: a request_uri is needed")]
    NotPushed,
    /// RFC 9126 4, 7.3: unknown, used or over.
    #[error("this sign-in is over or was used already: go back to the app and begin again")]
    RequestOver,
    /// RFC 9126 2.2: the request is bound to the client that pushed it.
    #[error("this sign-in was begun by another app")]
    RequestClient,
    /// RFC 9126 7.1: the request is bound to the browser that opened it.
    #[error("this sign-in was begun in another browser")]
    RequestDevice,
    /// OpenID Connect Core 3.1.2.6.
    #[error("nobody is signed in here")]
    LoginRequired,
    /// OpenID Connect Core 3.1.2.6.
    #[error("the person must agree first")]
    ConsentRequired,
    /// OpenID Connect Core 3.1.2.6.
    #[error("more than one account is signed in here")]
    AccountSelectionRequired,
    /// RFC 6749 4.1.2.1: the person does not agree.
    #[error("the request was refused")]
    AccessDenied,
    /// RFC 6749 4.1.2.1: the account is deactivated, taken down or gone.
    #[error("this account is not active")]
    AccountInactive,

    // --- At the token endpoint.
    /// RFC 6749 4.1.3 and 5.2: unknown, used or over.
    #[error("the code is not good, or no longer")]
    Code,
    /// RFC 6749 4.1.3: the code was given to another client, or proved with another key.
    #[error("the code was given to another client or key")]
    CodeClient,
    /// RFC 6749 4.1.3: the same `redirect_uri` as in the request.
    #[error("the redirect_uri is not the one of the request")]
    CodeRedirect,
    /// RFC 9449 10: the code is bound to another key.
    #[error("the code is bound to another DPoP key")]
    CodeKey,
    /// RFC 7636 4.6.
    #[error("the code_verifier does not fit the code_challenge")]
    PkceVerifier,
    /// atproto OAuth, "PKCE": no challenge twice.
    #[error("the code_challenge was used before")]
    PkceReused,
    /// RFC 6749 5.2: unknown, used or over.
    #[error("the refresh token is not good, or no longer: sign in again")]
    Refresh,
    /// RFC 6749 6: it was given to another client, or the client now proves itself with another key.
    #[error("the refresh token was given to another client or key: sign in again")]
    RefreshClient,
    /// RFC 9449 5: it is bound to another key.
    #[error("the refresh token is bound to another DPoP key: sign in again")]
    RefreshKey,
    /// RFC 6749 6: no more than was granted.
    #[error("the scope is more than was granted")]
    RefreshScope,

    // --- Where something is done with a token.
    /// RFC 6750 3.1, RFC 9449 7.1: the token is no token of this server.
    #[error("the access token is not good")]
    Token,
    /// RFC 6750 3.1: it is past its end.
    #[error("the access token has expired")]
    TokenExpired,
    /// RFC 6750 3.1: the session was ended.
    #[error("the session was ended: sign in again")]
    TokenEnded,
    /// RFC 9449 7.1: the proof is of another key than the token.
    #[error("the access token is bound to another DPoP key")]
    TokenKey,

    /// The store, the system's entropy.
    #[error("this could not be done now: {0}")]
    Unavailable(String),
}

impl OAuthError {
    /// Its name in OAuth.
    #[must_use]
    pub const fn error(&self) -> &'static str {
        match self {
            Self::Body(_)
            | Self::Repeated(_)
            | Self::Missing(_)
            | Self::Parameter { .. }
            | Self::RequestUriPushed
            | Self::RedirectUri
            | Self::PkceMissing
            | Self::PkceMethod
            | Self::PkceForm
            | Self::DpopClientKey
            | Self::NotPushed
            | Self::RequestOver
            | Self::RequestClient
            | Self::RequestDevice => "invalid_request",
            Self::ResponseType => "unsupported_response_type",
            Self::GrantType => "unsupported_grant_type",
            Self::AuthorizationDetails => "invalid_authorization_details",
            Self::ClientId(_) | Self::ClientAuth(_) | Self::AssertionReplayed => "invalid_client",
            Self::ClientUnreachable(_)
            | Self::ClientDocument(_)
            | Self::ClientMetadata { .. }
            | Self::ClientKeys(_) => "invalid_client_metadata",
            Self::Unauthorized => "unauthorized_client",
            Self::Scope(_)
            | Self::ScopeAtproto
            | Self::ScopeOpenid
            | Self::ScopeUndeclared(_)
            | Self::PermissionSet(_)
            | Self::RefreshScope => "invalid_scope",
            Self::RequestObject(_) | Self::RequestObjectReplayed => "invalid_request_object",
            Self::DpopMissing | Self::DpopRepeated | Self::Dpop(_) | Self::DpopReplayed | Self::DpopJkt => {
                "invalid_dpop_proof"
            }
            Self::DpopNonce => "use_dpop_nonce",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::AccountSelectionRequired => "account_selection_required",
            Self::AccessDenied | Self::AccountInactive => "access_denied",
            Self::Code
            | Self::CodeClient
            | Self::CodeRedirect
            | Self::CodeKey
            | Self::PkceVerifier
            | Self::PkceReused
            | Self::Refresh
            | Self::RefreshClient
            | Self::RefreshKey => "invalid_grant",
            Self::Token | Self::TokenExpired | Self::TokenEnded | Self::TokenKey => "invalid_token",
            Self::Busy => "temporarily_unavailable",
            Self::Unavailable(_) => "server_error",
        }
    }

    /// Its HTTP status at the endpoints of the authorization server.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            // RFC 6749 5.2.
            Self::ClientAuth(_) | Self::AssertionReplayed => 401,
            // RFC 6750 3.1.
            Self::Token | Self::TokenExpired | Self::TokenEnded | Self::TokenKey => 401,
            Self::Busy => 503,
            Self::Unavailable(_) => 500,
            _ => 400,
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable(_) | Self::ClientUnreachable(_) => ErrorKind::Unavailable,
            Self::Busy => ErrorKind::Limited,
            Self::AccessDenied
            | Self::AccountInactive
            | Self::ClientAuth(_)
            | Self::AssertionReplayed
            | Self::Token
            | Self::TokenExpired
            | Self::TokenEnded
            | Self::TokenKey => ErrorKind::Denied,
            _ => ErrorKind::Invalid,
        }
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(event = "oauth.store", %error, "the authorization server could not use the store");
        Self::Unavailable("the store does not answer".to_owned())
    }
}

impl From<DpopError> for OAuthError {
    fn from(error: DpopError) -> Self {
        Self::Dpop(error)
    }
}

impl From<ScopeError> for OAuthError {
    fn from(error: ScopeError) -> Self {
        Self::Scope(error)
    }
}

impl From<getrandom::Error> for OAuthError {
    fn from(error: getrandom::Error) -> Self {
        Self::Unavailable(format!("the system has no entropy: {error}"))
    }
}

/// For access tokens: what is wrong with one is not told in detail.
impl From<JwtError> for OAuthError {
    fn from(error: JwtError) -> Self {
        match error {
            JwtError::Expired => Self::TokenExpired,
            _ => Self::Token,
        }
    }
}
