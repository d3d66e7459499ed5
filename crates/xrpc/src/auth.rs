//! Who calls: read from the request's headers as the method's entry in the table says, before its handler runs.
//!
//! Handlers take what they need: [`Auth`] as it is, [`Session`] for methods of a session, [`Refreshing`] for those of a
//! refresh token. Without an entry there is nothing to take, and the request is refused.

mod check;
mod header;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use p2pds_host::service_auth::ServiceToken;
use p2pds_host::{Access, Refresh, Standing};
use p2pds_reading::Viewer;
use p2pds_syntax::Did;

use crate::error::XrpcError;

pub(crate) use check::is_peer;
pub use check::{Secret, authenticate};

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Nobody in particular.
    Anonymous,
    /// A peer that the operator chose.
    Peer,
    /// A session, and how its account stands.
    Access(Access, Standing),
    /// A refresh token.
    Refresh(Refresh),
    /// The operator.
    Admin,
    /// The moderation service.
    Moderator(Did),
    /// Somebody to whom an account gave a token for this method.
    Service(ServiceToken),
}

impl Auth {
    /// The account in whose name the call is made.
    #[must_use]
    pub fn did(&self) -> Option<&Did> {
        match self {
            Self::Access(access, _) => Some(&access.did),
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
            _ => Err(XrpcError::unauthenticated("AuthMissing", "this needs a session of the account")),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Auth {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, XrpcError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| XrpcError::unguarded(parts.uri.path()))
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
