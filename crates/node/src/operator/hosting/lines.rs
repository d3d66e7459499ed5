//! What commands about hosted accounts answer. Times are microseconds since 1970.

use serde::{Deserialize, Serialize};

use super::Secret;

/// A hosted account in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostedLine {
    /// DID.
    pub did: String,
    /// Handle.
    pub handle: Option<String>,
    /// Address.
    pub email: Option<String>,
    /// Whether that is confirmed.
    pub email_confirmed: bool,
    /// `active`, `deactivated` or `takendown`.
    pub status: String,
    /// When it was made, microseconds since 1970.
    pub created_at: i64,
    /// When it will be deleted.
    pub delete_after: Option<i64>,
    /// Records.
    pub records: u64,
    /// Bytes of its records and blobs.
    pub bytes: u64,
}

/// A hosted account in detail.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostedDetails {
    /// As in a list.
    #[serde(flatten)]
    pub line: HostedLine,
    /// The takedown's reference.
    pub takedown: Option<String>,
    /// Its signing key as did:key.
    pub signing_key: String,
    /// Sessions that go on.
    pub sessions: usize,
    /// Names of its app passwords.
    pub app_passwords: Vec<String>,
    /// What its owner proves himself with beside the password.
    #[serde(default)]
    pub factors: Vec<String>,
    /// Who invited it.
    pub invited_by: Option<String>,
    /// Codes that it may give away.
    pub invites: Vec<InviteLine>,
    /// Whether it gets no more of them.
    pub invites_disabled: bool,
    /// What of it is taken down.
    pub hidden: Vec<String>,
}

/// An account that was made, or got a new password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Made {
    /// DID.
    pub did: String,
    /// Handle.
    pub handle: String,
    /// The password, if it was made here: told this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// An invite code.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InviteLine {
    /// The code.
    pub code: String,
    /// For how many accounts it is good.
    pub uses: u32,
    /// How many used it.
    pub used: u32,
    /// Switched off.
    pub disabled: bool,
    /// Whose it is.
    pub owner: String,
    /// When it was made.
    pub created_at: i64,
}

/// A mail that waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MailLine {
    /// Its number.
    pub id: i64,
    /// Where it goes.
    pub to: String,
    /// What kind it is.
    pub kind: String,
    /// When it was written.
    pub created_at: i64,
    /// How often it was tried.
    pub tries: u32,
    /// `waiting`, `for the operator`, `given up`.
    pub state: String,
    /// Why the last try failed.
    pub last_error: Option<String>,
}

/// A mail with its text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MailText {
    /// As in the list.
    #[serde(flatten)]
    pub line: MailLine,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: Secret,
}

/// One act.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditLine {
    /// When.
    pub at: i64,
    /// Who.
    pub who: String,
    /// What.
    pub what: String,
    /// To whom.
    pub did: Option<String>,
    /// To what of it.
    pub subject: String,
    /// How.
    pub detail: String,
}

/// A report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReportLine {
    /// Its number.
    pub id: i64,
    /// When it came.
    pub at: i64,
    /// The hosted account that sent it; none: a stranger, or an account that is gone.
    pub by: Option<String>,
    /// How its sender wants to be answered.
    pub contact: Option<String>,
    /// Whose account it is about, if that is known here.
    pub did: Option<String>,
    /// What it is about: a DID, a record's address, or a handle.
    pub subject: String,
    /// The version of the record.
    pub cid: Option<String>,
    /// Of which kind it is.
    pub kind: String,
    /// What its sender wrote.
    pub words: String,
    /// When it was closed.
    pub closed_at: Option<i64>,
    /// How.
    pub note: Option<String>,
}

/// Something was done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    /// To what.
    pub subject: String,
    /// What, in words.
    pub done: String,
}
