//! What is kept for the owners of hosted accounts beside their repos: sessions, app passwords, invites, tokens sent by
//! e-mail, mail that waits, preferences, takedowns, and what the operator did.
//!
//! Secrets are here as digests only. Times are microseconds since 1970.

use async_trait::async_trait;
use p2pds_syntax::Did;

use crate::StoreResult;

/// A session: what one login began, through all its refreshes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Its name, which its access tokens carry.
    pub id: String,
    /// The account.
    pub did: Did,
    /// The app password that began it; `None` for the account's own.
    pub app_password: Option<String>,
    /// Whether that app password is a privileged one.
    pub privileged: bool,
    /// When it began.
    pub created_at: i64,
    /// When it was refreshed last.
    pub used_at: i64,
    /// When it ends by itself.
    pub expires_at: i64,
}

/// One exchange of a refresh token for its successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotateSession {
    /// The account.
    pub did: Did,
    /// The session.
    pub id: String,
    /// Digest of the token that was shown.
    pub from: [u8; 32],
    /// Digest of its successor, which is always the same one.
    pub to: [u8; 32],
    /// Now.
    pub at: i64,
    /// Until when the shown token may be shown again, if this is its first use.
    pub grace_until: i64,
    /// When the session ends by itself from now on.
    pub expires_at: i64,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// The successor is good.
    Rotated,
    /// The token had been used up: the session is over.
    Reused,
    /// There is no such session.
    Gone,
}

/// An app password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPasswordRow {
    /// The account.
    pub did: Did,
    /// Its name, unique in the account.
    pub name: String,
    /// `sha256:` and the digest, or the reference's scrypt `salt:hash`.
    pub password: String,
    /// Whether it reaches private messages.
    pub privileged: bool,
    /// When it was made.
    pub created_at: i64,
}

/// An invite code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteRow {
    /// The code.
    pub code: String,
    /// How many accounts it is good for.
    pub uses: u32,
    /// Switched off.
    pub disabled: bool,
    /// Whose it is to give away: a DID, or `admin`.
    pub for_account: String,
    /// Who made it: a DID, or `admin`.
    pub created_by: String,
    /// When.
    pub created_at: i64,
    /// Who used it, newest first; kept by the store.
    pub used: Vec<(Did, i64)>,
    /// How many of those who used it have deleted their accounts; kept by the store.
    pub forgotten: u32,
}

impl InviteRow {
    /// How often it was used.
    #[must_use]
    pub fn used_up(&self) -> u32 {
        u32::try_from(self.used.len()).unwrap_or(u32::MAX).saturating_add(self.forgotten)
    }
}

/// In which order invites are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteOrder {
    /// Newest first.
    Recent,
    /// Most used first.
    Usage,
}

/// A token that was sent by e-mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailTokenRow {
    /// The account.
    pub did: Did,
    /// What it is good for; an account has one token of each purpose.
    pub purpose: String,
    /// Digest of it.
    pub hash: [u8; 32],
    /// When it was asked for.
    pub created_at: i64,
    /// When it ends.
    pub expires_at: i64,
    /// How often something was tried as it.
    pub tries: u32,
}

/// What came of trying a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenTry {
    /// It is the one; it is good until it is taken.
    Good,
    /// It is not, or there is none.
    Wrong,
    /// It is, and too late.
    Expired,
}

/// A mail that waits to be sent, or to be read by the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailRow {
    /// Its number; given by the store.
    pub id: i64,
    /// The account it is about.
    pub did: Option<Did>,
    /// Where it goes.
    pub to: String,
    /// A short stable word: what kind of mail.
    pub kind: String,
    /// Subject and text, sealed by the caller.
    pub sealed: Vec<u8>,
    /// When it was written.
    pub created_at: i64,
    /// When it is tried next.
    pub next_at: i64,
    /// When it is no longer worth sending.
    pub expires_at: i64,
    /// How often it was tried.
    pub tries: u32,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// When it was given up.
    pub given_up_at: Option<i64>,
}

/// One preference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreferenceRow {
    /// Its `$type`.
    pub name: String,
    /// It, as JSON.
    pub value: String,
}

/// Something of an account that is not shown: a record or a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakedownRow {
    /// The account.
    pub did: Did,
    /// `collection/rkey` of a record, or the CID of a blob.
    pub subject: String,
    /// The moderator's reference.
    pub reference: String,
    /// When.
    pub at: i64,
}

/// One act of an operator or moderator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number; given by the store.
    pub id: i64,
    /// When.
    pub at: i64,
    /// Who: `operator`, `admin`, the moderation service's DID, or `node`.
    pub who: String,
    /// What: a method or command.
    pub what: String,
    /// The account.
    pub did: Option<Did>,
    /// What of it.
    pub subject: String,
    /// In plain words; never a secret.
    pub detail: String,
}

/// An account that is being made: noted before its identity is published, so that a crash leaves nothing unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignupRow {
    /// Its DID.
    pub did: Did,
    /// Its handle.
    pub handle: String,
    /// CID of its first operation.
    pub operation: String,
    /// When.
    pub at: i64,
}

/// A change of what is kept for owners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountsUnit {
    /// Begins a session with its first refresh token's digest; without one it cannot be refreshed.
    PutSession {
        /// The session.
        row: SessionRow,
        /// Digest of its refresh token.
        refresh: Option<[u8; 32]>,
    },
    /// Exchanges a refresh token. Answers [`AccountsApplied::Rotation`].
    RotateSession(RotateSession),
    /// Ends one session.
    DropSession {
        /// The account.
        did: Did,
        /// The session.
        id: String,
    },
    /// Ends sessions: all of an account, or those of one app password.
    DropSessions {
        /// The account.
        did: Did,
        /// The app password.
        app_password: Option<String>,
        /// One that goes on.
        except: Option<String>,
    },
    /// Forgets sessions and tokens that are over, at most [`crate::CHUNK_ROWS`] of each.
    ForgetExpired {
        /// Now.
        at: i64,
    },
    /// Adds an app password; refuses a name that the account has already.
    PutAppPassword(AppPasswordRow),
    /// Changes how an app password is kept.
    RehashAppPassword {
        /// The account.
        did: Did,
        /// Its name.
        name: String,
        /// See [`AppPasswordRow::password`].
        password: String,
    },
    /// Removes app passwords with their sessions: one, or all.
    DropAppPasswords {
        /// The account.
        did: Did,
        /// Its name; all without.
        name: Option<String>,
    },
    /// Adds invites, at most [`crate::CHUNK_ROWS`].
    PutInvites {
        /// The codes.
        rows: Vec<InviteRow>,
        /// Refuse when this account has made more than so many then (`created_by` is not `admin`).
        most: Option<(Did, u32)>,
    },
    /// Uses an invite; refuses one that is not good, or whose owner is taken down.
    UseInvite {
        /// The code.
        code: String,
        /// Who uses it.
        did: Did,
        /// When.
        at: i64,
    },
    /// Switches invites off: by code, or all that belong to accounts.
    DisableInvites {
        /// Codes.
        codes: Vec<String>,
        /// Owners.
        accounts: Vec<String>,
    },
    /// Stores a token, in place of the one of the same purpose.
    PutEmailToken(EmailTokenRow),
    /// Tries a token and counts the try. Answers [`AccountsApplied::Token`].
    TryEmailToken {
        /// The account.
        did: Did,
        /// Its purpose.
        purpose: String,
        /// Digest of what was given.
        hash: [u8; 32],
        /// Now.
        at: i64,
        /// Tries after which it is void.
        most: u32,
    },
    /// Takes a token, which can be done once; refuses when it is not there.
    TakeEmailToken {
        /// The account.
        did: Did,
        /// Its purpose.
        purpose: String,
        /// Digest of it.
        hash: [u8; 32],
    },
    /// Voids all tokens of an account.
    DropEmailTokens {
        /// The account.
        did: Did,
    },
    /// Queues a mail. Answers [`AccountsApplied::Mail`].
    PutMail(MailRow),
    /// Notes a try that failed.
    MailTried {
        /// The mail.
        id: i64,
        /// When it is tried next.
        next_at: i64,
        /// Why it failed.
        error: String,
        /// Set when it is given up.
        given_up_at: Option<i64>,
    },
    /// Removes a mail that was sent or is no longer wanted.
    DropMail {
        /// The mail.
        id: i64,
    },
    /// Replaces preferences whose names begin so.
    PutPreferences {
        /// The account.
        did: Did,
        /// `app.bsky`: that name itself, and all below it.
        namespace: String,
        /// Names that stay as they are.
        keep: Vec<String>,
        /// The new ones.
        rows: Vec<PreferenceRow>,
    },
    /// Hides a record or blob.
    PutTakedown(TakedownRow),
    /// Shows it again.
    DropTakedown {
        /// The account.
        did: Did,
        /// See [`TakedownRow::subject`].
        subject: String,
    },
    /// Notes an act.
    Audit(AuditRow),
    /// Notes that an account is being made.
    PutSignup(SignupRow),
    /// It is made, or given up.
    DropSignup {
        /// Its DID.
        did: Did,
    },
}

impl AccountsUnit {
    /// The account whose queue it waits in; `None` for the node's own.
    #[must_use]
    pub fn did(&self) -> Option<&Did> {
        match self {
            Self::PutSession { row, .. } => Some(&row.did),
            Self::RotateSession(row) => Some(&row.did),
            Self::PutAppPassword(row) => Some(&row.did),
            Self::PutEmailToken(row) => Some(&row.did),
            Self::PutMail(row) => row.did.as_ref(),
            Self::PutTakedown(row) => Some(&row.did),
            Self::Audit(row) => row.did.as_ref(),
            Self::PutSignup(row) => Some(&row.did),
            Self::DropSession { did, .. }
            | Self::DropSessions { did, .. }
            | Self::RehashAppPassword { did, .. }
            | Self::DropAppPasswords { did, .. }
            | Self::UseInvite { did, .. }
            | Self::TryEmailToken { did, .. }
            | Self::TakeEmailToken { did, .. }
            | Self::DropEmailTokens { did }
            | Self::PutPreferences { did, .. }
            | Self::DropTakedown { did, .. }
            | Self::DropSignup { did } => Some(did),
            Self::ForgetExpired { .. }
            | Self::PutInvites { .. }
            | Self::DisableInvites { .. }
            | Self::MailTried { .. }
            | Self::DropMail { .. } => None,
        }
    }

    /// Whether it frees space or must be known even on a full disk; see [`crate::Unit::frees`]. Sessions begin and are
    /// refreshed then as well: without one nobody can read what is his, switch his account off or delete it.
    #[must_use]
    pub fn frees(&self) -> bool {
        // Without rows it only forgets.
        if let Self::PutPreferences { keep, rows, .. } = self {
            return keep.is_empty() && rows.is_empty();
        }
        matches!(
            self,
            Self::PutSession { .. }
                | Self::RotateSession(_)
                | Self::DropSession { .. }
                | Self::DropSessions { .. }
                | Self::ForgetExpired { .. }
                | Self::DropAppPasswords { .. }
                | Self::DisableInvites { .. }
                | Self::TryEmailToken { .. }
                | Self::TakeEmailToken { .. }
                | Self::DropEmailTokens { .. }
                | Self::DropMail { .. }
                | Self::MailTried { .. }
                | Self::PutTakedown(_)
                | Self::Audit(_)
                | Self::DropSignup { .. }
        )
    }
}

/// What such a unit answers beyond "done".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountsApplied {
    /// Nothing more.
    Done,
    /// Of an exchanged refresh token.
    Rotation(Rotation),
    /// Of a tried token.
    Token(TokenTry),
    /// The number of a queued mail.
    Mail(i64),
    /// How many rows were forgotten.
    Forgotten(u64),
}

/// Reads of what is kept for owners.
#[async_trait]
pub trait AccountsStore: Send + Sync + 'static {
    /// One session.
    async fn session(&self, did: &Did, id: &str) -> StoreResult<Option<SessionRow>>;
    /// Sessions of an account, newest first.
    async fn sessions(&self, did: &Did, limit: usize) -> StoreResult<Vec<SessionRow>>;
    /// App passwords of an account, newest first.
    async fn app_passwords(&self, did: &Did) -> StoreResult<Vec<AppPasswordRow>>;
    /// One invite.
    async fn invite(&self, code: &str) -> StoreResult<Option<InviteRow>>;
    /// Invites that belong to an account (a DID, or `admin`), oldest first.
    async fn invites_of(&self, account: &str) -> StoreResult<Vec<InviteRow>>;
    /// A page of all invites, beginning after the place of `after`: its time or its uses, and its code.
    async fn invites(
        &self,
        order: InviteOrder,
        after: Option<(i64, String)>,
        limit: usize,
    ) -> StoreResult<Vec<InviteRow>>;
    /// The account that a token of this purpose was sent to.
    async fn email_token_owner(&self, purpose: &str, hash: [u8; 32]) -> StoreResult<Option<Did>>;
    /// Mail that is due: not given up, next try at this time or before; oldest first.
    async fn mail_due(&self, at: i64, limit: usize) -> StoreResult<Vec<MailRow>>;
    /// When the next mail is due.
    async fn next_mail_at(&self) -> StoreResult<Option<i64>>;
    /// All mail that is kept, newest first.
    async fn mails(&self, limit: usize) -> StoreResult<Vec<MailRow>>;
    /// One mail.
    async fn mail(&self, id: i64) -> StoreResult<Option<MailRow>>;
    /// Preferences of an account in the order in which they were put.
    async fn preferences(&self, did: &Did) -> StoreResult<Vec<PreferenceRow>>;
    /// Whether a record or blob of an account is hidden.
    async fn takedown(&self, did: &Did, subject: &str) -> StoreResult<Option<TakedownRow>>;
    /// All that is hidden, of all accounts.
    async fn all_takedowns(&self) -> StoreResult<Vec<TakedownRow>>;
    /// All that is hidden of an account.
    async fn takedowns(&self, did: &Did) -> StoreResult<Vec<TakedownRow>>;
    /// Acts, newest first, before a number; of one account, or all.
    async fn audits(
        &self,
        did: Option<&Did>,
        before: Option<i64>,
        limit: usize,
    ) -> StoreResult<Vec<AuditRow>>;
    /// Accounts whose making was begun before a time and not ended.
    async fn signups(&self, before: i64) -> StoreResult<Vec<SignupRow>>;
}
