//! What the authorization server keeps: pushed requests, sessions of applications, browsers, and who is signed in in
//! them.
//!
//! Whatever opens something is here by its SHA-256 only. Times are microseconds since 1970.

use async_trait::async_trait;
use p2pds_syntax::Did;

use crate::StoreResult;

/// A request of an application that somebody is to grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthRequestRow {
    /// SHA-256 of the random part of its `request_uri`.
    pub id: [u8; 32],
    /// The `client_id`.
    pub client: String,
    /// Thumbprint of the key with which the client proved itself; empty for public clients.
    pub auth: String,
    /// What it asked for, as it was checked: JSON.
    pub parameters: String,
    /// The browser in which it was opened.
    pub device: Option<String>,
    /// Who granted it.
    pub did: Option<Did>,
    /// SHA-256 of the code that was handed out.
    pub code: Option<[u8; 32]>,
    /// What was granted; empty before.
    pub scope: String,
    /// When it was pushed.
    pub created_at: i64,
    /// Until when it, or its code, is good.
    pub expires_at: i64,
}

/// What somebody granted, once its code was redeemed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthSessionRow {
    /// Name that its tokens carry.
    pub id: String,
    /// The account.
    pub did: Did,
    /// The `client_id`.
    pub client: String,
    /// What the client called itself; empty for nothing.
    pub name: String,
    /// Thumbprint of the client's own key; empty for public clients.
    pub auth: String,
    /// Thumbprint of the key that its tokens are bound to.
    pub jkt: String,
    /// What was granted, in the words in which it was asked for.
    pub scope: String,
    /// The same with the content of permission sets in their place.
    pub expanded: String,
    /// SHA-256 of the code that began it.
    pub code: [u8; 32],
    /// SHA-256 of the refresh token that is good now.
    pub refresh: [u8; 32],
    /// The browser in which it was granted.
    pub device: Option<String>,
    /// When it began.
    pub created_at: i64,
    /// When it was refreshed last.
    pub used_at: i64,
    /// When it ends unless it is refreshed before.
    pub expires_at: i64,
}

/// A browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthDeviceRow {
    /// Its random name, which it never sees.
    pub id: String,
    /// SHA-256 of its cookie.
    pub token: [u8; 32],
    /// What it calls itself.
    pub agent: String,
    /// Where it was last seen.
    pub address: String,
    /// When it came first.
    pub created_at: i64,
    /// When it came last, to about a minute.
    pub seen_at: i64,
}

/// An account that is signed in in a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthDeviceAccountRow {
    /// The browser.
    pub device: String,
    /// The account.
    pub did: Did,
    /// When it last showed its password there.
    pub signed_in_at: i64,
    /// Whether it stays.
    pub remembered: bool,
}

/// What an account granted an application last, and has not taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthConsentRow {
    /// The account.
    pub did: Did,
    /// The `client_id`.
    pub client: String,
    /// Scopes.
    pub scope: String,
    /// When that was last said.
    pub at: i64,
}

/// A change of what the authorization server keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OAuthUnit {
    /// Keeps a request.
    PutRequest(OAuthRequestRow),
    /// Makes room: forgets so many requests that no browser opened, the oldest first.
    DropOldestRequests {
        /// How many at most.
        count: usize,
    },
    /// A browser opens a request: it is that browser's from then on. No when it is another's, gone, over or granted.
    OpenRequest {
        /// The request.
        id: [u8; 32],
        /// The browser.
        device: String,
        /// Now.
        at: i64,
        /// Until when it is good from now on.
        expires_at: i64,
    },
    /// Its owner grants it. No when it is not this browser's, over, or granted already.
    GrantRequest {
        /// The request.
        id: [u8; 32],
        /// The browser.
        device: String,
        /// Who grants it.
        did: Did,
        /// What.
        scope: String,
        /// SHA-256 of the code.
        code: [u8; 32],
        /// Now.
        at: i64,
        /// Until when the code is good.
        expires_at: i64,
        /// What is remembered of it.
        consent: Option<OAuthConsentRow>,
    },
    /// Forgets a request, its code included.
    DropRequest {
        /// The request.
        id: [u8; 32],
    },
    /// Redeems a code: the request goes, the session comes. No when the code is not there any more; and when the
    /// challenge was used within its time, in which case the request goes as well.
    BeginSession {
        /// The session, which names the code.
        row: OAuthSessionRow,
        /// SHA-256 of the PKCE challenge.
        challenge: [u8; 32],
        /// Until when it may not be used again.
        challenge_ends: i64,
        /// Now.
        at: i64,
    },
    /// Exchanges a refresh token. No when there is no such session, or it is over, or the token is not the one that is
    /// good now: then the session ends.
    RotateOAuth {
        /// The session.
        id: String,
        /// SHA-256 of the token that was shown.
        from: [u8; 32],
        /// SHA-256 of its successor.
        to: [u8; 32],
        /// Now.
        at: i64,
        /// When the session ends from now on.
        expires_at: i64,
        /// What permission sets say now.
        expanded: String,
    },
    /// Ends one session.
    DropOAuthSession {
        /// The session.
        id: String,
    },
    /// Ends the session that a code began, because the code was shown again; the browser in which it was granted is
    /// signed out of that account.
    DropByCode {
        /// SHA-256 of the code.
        code: [u8; 32],
    },
    /// Takes back what an account granted an application: its sessions, codes, and that it was ever granted.
    DropGrant {
        /// The account.
        did: Did,
        /// The `client_id`.
        client: String,
    },
    /// Ends the sessions of a client that began with keys which it no longer publishes.
    DropKeys {
        /// The `client_id`.
        client: String,
        /// Thumbprints of the keys that it publishes.
        keep: Vec<String>,
    },
    /// A browser came, or came again with a new cookie.
    PutDevice(OAuthDeviceRow),
    /// A browser was seen.
    SeeDevice {
        /// The browser.
        id: String,
        /// When.
        at: i64,
        /// Where.
        address: String,
    },
    /// Forgets a browser with those signed in in it.
    DropDevice {
        /// The browser.
        id: String,
    },
    /// An account signs in in a browser, which gets another cookie with it.
    SignIn {
        /// The account in the browser.
        row: OAuthDeviceAccountRow,
        /// SHA-256 of the new cookie.
        token: [u8; 32],
    },
    /// An account signs out of a browser.
    SignOut {
        /// The browser.
        device: String,
        /// The account.
        did: Did,
    },
    /// Forgets what is over, at most [`crate::CHUNK_ROWS`] of each kind: when fewer rows than that are gone, nothing is
    /// left. Browsers that were not seen since `unseen` are over as well, and those in which nobody is signed in since
    /// `empty`.
    ForgetOAuth {
        /// Now.
        at: i64,
        /// See above.
        unseen: i64,
        /// See above.
        empty: i64,
    },
}

/// What such a unit answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OAuthApplied {
    /// It is done.
    Yes,
    /// It is not, for the reason that the unit names.
    No,
    /// The challenge was used before.
    Used,
    /// How many rows are gone.
    Gone(u64),
}

impl OAuthUnit {
    /// The account whose queue it waits in; `None` for the node's own.
    #[must_use]
    pub fn did(&self) -> Option<&Did> {
        match self {
            Self::GrantRequest { did, .. } | Self::DropGrant { did, .. } | Self::SignOut { did, .. } => {
                Some(did)
            }
            Self::BeginSession { row, .. } => Some(&row.did),
            Self::SignIn { row, .. } => Some(&row.did),
            _ => None,
        }
    }

    /// Whether it frees space, or must be known even on a full disk: signing in and refreshing stay possible then, as
    /// with other sessions.
    #[must_use]
    pub fn frees(&self) -> bool {
        !matches!(self, Self::PutRequest(_))
    }
}

/// Reading what the authorization server keeps.
#[async_trait]
pub trait OAuthStore: Send + Sync + 'static {
    /// A request.
    async fn oauth_request(&self, id: [u8; 32]) -> StoreResult<Option<OAuthRequestRow>>;
    /// The request of a code.
    async fn oauth_request_by_code(&self, code: [u8; 32]) -> StoreResult<Option<OAuthRequestRow>>;
    /// How many requests are not over yet.
    async fn oauth_requests(&self, at: i64) -> StoreResult<u64>;
    /// A session.
    async fn oauth_session(&self, id: &str) -> StoreResult<Option<OAuthSessionRow>>;
    /// Sessions of an account, newest first.
    async fn oauth_sessions(&self, did: &Did, limit: usize) -> StoreResult<Vec<OAuthSessionRow>>;
    /// Clients with keys of their own that have sessions, in order, beginning after one.
    async fn oauth_keyed_clients(&self, after: &str, limit: usize) -> StoreResult<Vec<String>>;
    /// The browser with this cookie.
    async fn oauth_device(&self, token: [u8; 32]) -> StoreResult<Option<OAuthDeviceRow>>;
    /// Who is signed in in a browser, the latest first.
    async fn oauth_device_accounts(&self, device: &str) -> StoreResult<Vec<OAuthDeviceAccountRow>>;
    /// Browsers that an account is signed in in, the latest first.
    async fn oauth_devices(&self, did: &Did) -> StoreResult<Vec<(OAuthDeviceRow, OAuthDeviceAccountRow)>>;
    /// What an account granted an application.
    async fn oauth_consent(&self, did: &Did, client: &str) -> StoreResult<Option<OAuthConsentRow>>;
}
