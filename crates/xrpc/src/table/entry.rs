//! What is said of a method in the table.

use std::sync::Arc;

use axum::routing::MethodRouter;

use crate::door::Xrpc;
use crate::meter::Rule;

/// What kind of method it is, which decides the HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// GET, HEAD.
    Query,
    /// POST.
    Procedure,
    /// GET that becomes a WebSocket.
    Subscription,
    /// Whatever the caller sends: requests that are passed on.
    Any,
}

/// Which sessions a method takes. The default: the password and both sorts of app password, of an account that was not
/// taken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sessions {
    /// App passwords too.
    pub app_passwords: bool,
    /// Those of accounts that were taken down.
    pub takendown: bool,
    /// Those of sign-ups that wait.
    pub queued: bool,
    /// Those of accounts that their owner put to rest.
    pub deactivated: bool,
}

/// What a caller must show. Whatever else he shows is refused, not ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing; or something that is true: a session, a peer's token, the operator's password. It changes nothing,
    /// except that peers are shown what is served to peers.
    Public,
    /// Nothing, a peer's token, the operator's password, or a session, which sees its own account whatever its state.
    Optional(Sessions),
    /// A session.
    Session(Sessions),
    /// A session, or a service's token by which the account lets it call this method.
    SessionOrService(Sessions),
    /// A session, or the moderation service.
    SessionOrModerator(Sessions),
    /// Nothing, or a token by which the account named in it lets its bearer call this method.
    ServiceOrNone,
    /// A refresh token; one past its end too, or not.
    Refresh {
        /// Past its end too.
        expired: bool,
    },
    /// The operator's password.
    Admin,
    /// The operator's password, or the moderation service.
    Moderator,
}

/// How large a streamed body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Most {
    /// As a blob (`blob_limit`).
    Blob,
    /// As a repo that is brought along (`import_limit`).
    Import,
}

/// What a request may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    None,
    /// A JSON object of so many bytes.
    Json(u64),
    /// Bytes, handed on as they come.
    Bytes(Most),
    /// Whatever the service behind takes; so many bytes.
    Any(u64),
}

/// What an OAuth session must have been granted. The guard asks for it before the handler runs, except where the request's
/// body says what it is: then only a handler that takes [`crate::auth::Asking`] gets the session at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// No session is asked for.
    None,
    /// Nothing beyond `atproto`.
    Any,
    /// `repo:` for the collection and action of every write; the handler asks.
    Repo,
    /// `blob:` for the media type, the one that is said and the one that the bytes say; the handler asks.
    Blob,
    /// `rpc:` for the method, at the service that it is passed on to.
    Rpc,
    /// `rpc:` for the method and the service that the query names.
    RpcAsked,
    /// `rpc:` for the method, at the service that the body names; the handler asks.
    RpcNamed,
    /// `identity:handle`.
    IdentityHandle,
    /// `identity:*`.
    Identity,
    /// `account:email?action=manage`.
    AccountEmail,
    /// `account:repo?action=manage`.
    AccountRepo,
    /// `account:status?action=manage`.
    AccountStatus,
    /// Never: the password only.
    Never,
}

/// Where a method is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// Here, whether or not the node hosts accounts.
    Always,
    /// Here, when the node hosts accounts.
    Hosting,
    /// By another service, in the caller's name, when the node hosts accounts.
    PassedOn,
    /// Nowhere.
    Absent(Reason),
}

/// Why a method is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is a service's of another kind: relay, labeler.
    OtherService,
    /// It was replaced; the method that does its work is served.
    Replaced,
    /// Nobody serves it; its schema is a proposal or a remnant.
    Nowhere,
}

/// A method.
pub struct Method {
    /// Its name.
    pub nsid: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Who may call it.
    pub credentials: Credentials,
    /// What it may be sent.
    pub body: Body,
    /// How often.
    pub rules: &'static [&'static Rule],
    /// What guards it in OAuth sessions.
    pub permission: Permission,
    /// Where it is answered.
    pub served: Served,
    /// Its handler.
    pub(crate) route: fn() -> MethodRouter<Arc<Xrpc>>,
}

impl std::fmt::Debug for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Method").field("nsid", &self.nsid).field("credentials", &self.credentials).finish()
    }
}

/// Body of a JSON method that says nothing else.
pub(super) const JSON: u64 = 150 * 1024;
/// Body of a method that writes records.
pub(super) const RECORDS: u64 = 1_000_000;

/// The password and both sorts of app password.
pub(super) const STANDARD: Sessions =
    Sessions { app_passwords: true, takendown: false, queued: false, deactivated: true };
/// The password only.
pub(super) const FULL: Sessions = Sessions { app_passwords: false, ..STANDARD };

impl Credentials {
    /// Whether the method does something for the session that it is called with.
    pub(super) const fn take_sessions(self) -> bool {
        matches!(
            self,
            Self::Optional(_) | Self::Session(_) | Self::SessionOrService(_) | Self::SessionOrModerator(_)
        )
    }
}

impl Sessions {
    pub(super) const fn or_takendown(self) -> Self {
        Self { takendown: true, ..self }
    }

    pub(super) const fn or_queued(self) -> Self {
        Self { queued: true, ..self }
    }

    /// Of accounts in use only.
    pub(super) const fn active(self) -> Self {
        Self { deactivated: false, ..self }
    }
}

type Route = fn() -> MethodRouter<Arc<Xrpc>>;

/// A query that hosting brings.
pub(super) const fn query(nsid: &'static str, credentials: Credentials, route: Route) -> Method {
    Method {
        nsid,
        kind: Kind::Query,
        credentials,
        body: Body::None,
        rules: &[],
        permission: Permission::None,
        served: Served::Hosting,
        route,
    }
}

/// A procedure that hosting brings, with a small JSON body.
pub(super) const fn procedure(nsid: &'static str, credentials: Credentials, route: Route) -> Method {
    Method { kind: Kind::Procedure, body: Body::Json(JSON), ..query(nsid, credentials, route) }
}

/// A query of public data, served by archives too.
pub(super) const fn public(nsid: &'static str, credentials: Credentials, route: Route) -> Method {
    Method { served: Served::Always, ..query(nsid, credentials, route) }
}

/// A method that another service answers in the caller's name.
pub(super) const fn passed_on(nsid: &'static str, kind: Kind) -> Method {
    let at = query(nsid, Credentials::Session(STANDARD), super::passed_on_route);
    Method { kind, body: Body::Any(1_048_576), permission: Permission::Rpc, served: Served::PassedOn, ..at }
}

/// A method that is served nowhere here.
pub(super) const fn absent(nsid: &'static str, kind: Kind, reason: Reason) -> Method {
    let at = query(nsid, Credentials::Public, super::absent_route);
    Method { kind, body: Body::Any(0), served: Served::Absent(reason), ..at }
}

impl Method {
    pub(super) const fn body(self, body: Body) -> Self {
        Self { body, ..self }
    }

    pub(super) const fn rules(self, rules: &'static [&'static Rule]) -> Self {
        Self { rules, ..self }
    }

    pub(super) const fn needs(self, permission: Permission) -> Self {
        Self { permission, ..self }
    }
}
