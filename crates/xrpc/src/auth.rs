//! Who calls: read from the request's headers as the method's entry in the table says, before its handler runs.
//!
//! Handlers take what they need: [`Auth`] as it is, [`Session`] for methods of a session, [`Refreshing`] for those of a
//! refresh token. Without an entry there is nothing to take, and the request is refused.
//!
//! What an OAuth session must have been granted the guard asks for (`permit.rs`), as the table says. Where that depends on
//! what the request carries, the session is not given out as [`Auth`] or [`Session`], only as [`Asking`]: a handler that
//! forgets to ask does not get it.

mod check;
mod header;
mod permit;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use p2pds_host::service_auth::ServiceToken;
use p2pds_host::{Access, Refresh, Standing};
use p2pds_oauth::scope::{Need, Scopes};
use p2pds_reading::Viewer;
use p2pds_syntax::Did;

use crate::error::XrpcError;

pub(crate) use check::is_peer;
pub use check::{Called, Secret, authenticate};
pub(crate) use header::is_dpop;
pub(crate) use permit::settle;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Nobody in particular.
    Anonymous,
    /// A peer that the operator chose.
    Peer,
    /// A session that was opened with a password, and how its account stands.
    Access(Access, Standing),
    /// A session of an application, and how the account stands.
    OAuth(Grant, Standing),
    /// A refresh token.
    Refresh(Refresh),
    /// The operator.
    Admin,
    /// The moderation service.
    Moderator(Did),
    /// Somebody to whom an account gave a token for this method.
    Service(ServiceToken),
}

/// What an account granted to an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The session. Where only the sort of session is asked for, it counts as one with an app password.
    pub access: Access,
    /// The application.
    pub client: String,
    /// What it may do.
    pub scopes: Arc<Scopes>,
    /// Whether everything that the method needs was asked for.
    settled: bool,
}

impl Auth {
    /// The account in whose name the call is made.
    #[must_use]
    pub fn did(&self) -> Option<&Did> {
        match self {
            Self::Access(access, _) => Some(&access.did),
            Self::OAuth(grant, _) => Some(&grant.access.did),
            Self::Refresh(refresh) => Some(&refresh.did),
            Self::Service(token) => Some(&token.issuer),
            Self::Anonymous | Self::Peer | Self::Admin | Self::Moderator(_) => None,
        }
    }

    /// Whether the caller may see an account whatever its state: it is his own, or he is the operator.
    #[must_use]
    pub fn may_see(&self, did: &Did) -> bool {
        match self {
            Self::Admin => true,
            Self::Access(access, _) => access.did == *did,
            Self::OAuth(grant, _) => grant.access.did == *did,
            _ => false,
        }
    }

    /// As whom the caller reads what is served to all.
    #[must_use]
    pub fn viewer(&self) -> Viewer {
        if *self == Self::Peer { Viewer::Peer } else { Viewer::Public }
    }

    /// The session, for methods that are called with one.
    ///
    /// # Errors
    /// The method was called with something else that its entry allows.
    pub fn access(&self) -> Result<&Access, XrpcError> {
        match self {
            Self::Access(access, _) => Ok(access),
            Self::OAuth(grant, _) => Ok(&grant.access),
            _ => Err(XrpcError::unauthenticated("AuthMissing", "this needs a session of the account")),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Auth {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, XrpcError> {
        let auth = parts.extensions.get::<Self>().cloned();
        // What is not settled is for those who ask.
        let settled = auth.filter(|auth| !matches!(auth, Self::OAuth(grant, _) if !grant.settled));
        settled.ok_or_else(|| XrpcError::unguarded(parts.uri.path()))
    }
}

/// A caller of whom the handler itself asks what he may, because only it knows what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking(Auth);

impl<S: Send + Sync> FromRequestParts<S> for Asking {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, XrpcError> {
        let auth = parts.extensions.get::<Auth>().cloned();
        auth.map(Self).ok_or_else(|| XrpcError::unguarded(parts.uri.path()))
    }
}

impl Asking {
    /// Whether he may do this. An OAuth session may when it was granted; all others may what their method lets them.
    ///
    /// # Errors
    /// `ScopeMissingError`, which names the least scope that would do.
    pub fn may(&self, need: &Need<'_>) -> Result<(), XrpcError> {
        match &self.0 {
            Auth::OAuth(grant, _) if !grant.scopes.allows(need) => Err(XrpcError::missing_scope(need)),
            _ => Ok(()),
        }
    }

    /// Whether it is an application with a session of its own, so that its scopes say what it may.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        matches!(self.0, Auth::OAuth(..))
    }

    /// The account in whose name the call is made.
    #[must_use]
    pub fn did(&self) -> Option<&Did> {
        self.0.did()
    }

    /// The session.
    ///
    /// # Errors
    /// The method was called with something else that its entry allows.
    pub fn access(&self) -> Result<&Access, XrpcError> {
        self.0.access()
    }
}

/// The session of the account that calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session(pub Access);

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, XrpcError> {
        Ok(Self(Auth::from_request_parts(parts, state).await?.access()?.clone()))
    }
}

/// The refresh token that a session is renewed or ended with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refreshing(pub Refresh);

impl<S: Send + Sync> FromRequestParts<S> for Refreshing {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, XrpcError> {
        match Auth::from_request_parts(parts, state).await? {
            Auth::Refresh(refresh) => Ok(Self(refresh)),
            _ => Err(XrpcError::new(StatusCode::UNAUTHORIZED, "AuthMissing", "this needs a refresh token")),
        }
    }
}
