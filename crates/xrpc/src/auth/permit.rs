//! What an OAuth session must have been granted for a method: asked here, for every method, as far as the request's head
//! says it. A method whose entry says nothing is open to none.
//!
//! Spec: <https://atproto.com/specs/permission>. The audience of a call is the service as the caller names it, or the
//! default one: `did:web:api.example.com#service`.

use axum::http::{HeaderMap, StatusCode, Uri};
use p2pds_oauth::scope::{AccountAction, AccountAttr, IdentityAttr, Need};

use super::{Auth, Grant};
use crate::asked::Params;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::guard::nsid_of;
use crate::proxy::target::audience;
use crate::table::{Credentials, Method, Permission, UNLISTED};

/// Asks for what the method needs, and notes whether that was all.
///
/// # Errors
/// `ScopeMissingError`; `Forbidden` where only a password will do; `InvalidRequest` when it cannot be told what for.
pub(crate) fn settle(
    door: &Xrpc,
    method: &Method,
    (headers, uri): (&HeaderMap, &Uri),
    auth: &mut Auth,
) -> Result<(), XrpcError> {
    let Auth::OAuth(grant, _) = auth else { return Ok(()) };
    let manage = |attr| Need::Account { attr, action: AccountAction::Manage };
    grant.settled = match method.permission {
        // Public data: a session changes nothing there.
        Permission::None if method.credentials == Credentials::Public => grant.has(&Need::Any)?,
        Permission::None => return Err(XrpcError::unguarded(uri.path())),
        Permission::Never => return Err(password_only()),
        Permission::Any => grant.has(&Need::Any)?,
        Permission::IdentityHandle => grant.has(&Need::Identity(IdentityAttr::Handle))?,
        Permission::Identity => grant.has(&Need::Identity(IdentityAttr::All))?,
        Permission::AccountEmail => grant.has(&manage(AccountAttr::Email))?,
        Permission::AccountRepo => grant.has(&manage(AccountAttr::Repo))?,
        Permission::AccountStatus => grant.has(&manage(AccountAttr::Status))?,
        Permission::Rpc => {
            let lxm = if std::ptr::eq(method, &UNLISTED) { nsid_of(uri.path()) } else { method.nsid };
            let aud = audience(&door.config.proxy, headers, lxm)?;
            grant.has(&Need::Rpc { lxm, aud: &aud })?
        }
        Permission::RpcAsked => {
            let params = Params::parse(uri.query().unwrap_or_default());
            grant.has(&Need::Rpc { lxm: params.get("lxm").unwrap_or("*"), aud: params.need("aud")? })?
        }
        Permission::Repo | Permission::Blob | Permission::RpcNamed => false,
    };
    Ok(())
}

impl Grant {
    /// `true`, so that what is settled is what was asked.
    fn has(&self, need: &Need<'_>) -> Result<bool, XrpcError> {
        if self.scopes.allows(need) { Ok(true) } else { Err(XrpcError::missing_scope(need)) }
    }
}

fn password_only() -> XrpcError {
    XrpcError::new(
        StatusCode::FORBIDDEN,
        "Forbidden",
        "OAuth credentials are not supported for this endpoint: sign in to the account page of this host, or use the password",
    )
}
