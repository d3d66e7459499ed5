//! What commands answer: the reports of the services, under one roof.

use p2pds_archive::{
    AccountLine, Announcement, Details, DiffReport, HistoryReport, IdentityHistory, ImportReport, OldRecord,
    RecordView, RemoveReport, ServingNote, Summary, VerifyReport,
};
use p2pds_recovery::{DrillReport, ExportReport};
use serde::{Deserialize, Serialize};

use crate::operator::serving::BlockedLine;
use crate::operator::{Failure, hosting, memory, upkeep};

/// The result of a command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "kebab-case")]
pub enum Answer {
    /// Of `archive add`.
    Added(Box<Summary>),
    /// Of `archive add --dry-run`, and before several accounts are noted.
    Intake(Box<p2pds_archive::Intake>),
    /// Of `archive add` for several accounts.
    TakenIn(p2pds_archive::TakenIn),
    /// Of `archive list`.
    Accounts(Vec<AccountLine>),
    /// Of `archive show`.
    Details(Box<Details>),
    /// Of `archive sync`, one for each account.
    Synced(Vec<Synced>),
    /// Of `archive pause` and `archive resume`.
    Paused(Paused),
    /// Of `archive remove`.
    Removed(Box<RemoveReport>),
    /// Of `verify`, one for each account.
    Verified(Vec<VerifyReport>),
    /// Of `show`.
    Record(Box<RecordView>),
    /// Of `history`.
    History(Box<HistoryReport>),
    /// Of `diff`.
    Diff(Box<DiffReport>),
    /// Of `restore-record`.
    OldRecord(Box<OldRecord>),
    /// Of `archive keep`.
    Kept(Box<memory::Keeping>),
    /// Of `export`.
    Exported(Box<ExportReport>),
    /// Of `import`.
    Imported(Box<ImportReport>),
    /// Of `promote --dry-run`.
    PromotionPlan(Box<p2pds_recovery::Plan>),
    /// Of `promote`.
    Promoted(Box<p2pds_recovery::Promoted>),
    /// Of `promote --cancel`.
    PromotionCancelled(String),
    /// Of `backup`.
    BackedUp(Box<p2pds_recovery::BackupReport>),
    /// Of `restore`.
    Restored(Box<p2pds_recovery::RestoreReport>),
    /// Of `import-pds`.
    PdsImported(Box<p2pds_recovery::PdsReport>),
    /// Of `drill`.
    Drilled(Box<DrillReport>),
    /// Of `plc log`.
    Identity(Box<IdentityHistory>),
    /// Of `plc announce`.
    Announced(Announcement),
    /// Of `plc ack`.
    Acknowledged(Acknowledged),
    /// Of `archive serve`.
    Serving(Box<ServingNote>),
    /// Of `archive block`, `archive unblock` and `archive blocked`.
    Blocked(Vec<BlockedLine>),
    /// Of `lexicon list` and `lexicon search`.
    Lexicons(Vec<crate::operator::lexicons::LexiconLine>),
    /// Of `lexicon stats`.
    LexiconTotals(crate::operator::lexicons::LexiconTotals),
    /// Of `workers`.
    Workers(Vec<WorkerLine>),
    /// Of `workers pause` and `workers resume`.
    WorkerPaused(upkeep::WorkerSwitch),
    /// Of `archive priority`.
    Priority(upkeep::PriorityLine),
    /// Of `archive quota`.
    Quota(upkeep::QuotaLine),
    /// Of `claim`.
    Claim(ClaimLine),
    /// Of `capacity`.
    Capacity(Box<crate::capacity::Report>),
    /// Of `alerts`.
    Alerts(Vec<upkeep::AlertLine>),
    /// Of `alerts test`.
    AlertTest(Vec<crate::alerts::Told>),
    /// Of `account list`.
    HostedAccounts(Vec<hosting::HostedLine>),
    /// Of `account show`.
    HostedAccount(Box<hosting::HostedDetails>),
    /// Of `account create`.
    AccountMade(hosting::Made),
    /// Of `account reset-password`.
    PasswordSet(hosting::Made),
    /// Of `invite create`.
    InvitesMade(Vec<String>),
    /// Of `invite list`.
    Invites(Vec<hosting::InviteLine>),
    /// Of `mail list`.
    Mails(Vec<hosting::MailLine>),
    /// Of `mail show`.
    Mail(Box<hosting::MailText>),
    /// Of `admin reports`.
    Reports(Vec<hosting::ReportLine>),
    /// Of `admin audit`.
    Audit(Vec<hosting::AuditLine>),
    /// Of commands that change something of hosted accounts.
    HostingDone(hosting::Done),
    /// Of the checks of a hosting node.
    Checks(Vec<crate::doctor::Check>),
    /// Of the database check that `doctor` asks for: what is wrong with it.
    Structure(Vec<String>),
}

/// An address that claims the node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClaimLine {
    /// To be opened in a browser, once.
    pub address: String,
    /// It takes the node from the owner that it has.
    pub again: bool,
}

impl Answer {
    /// The report alone, as `--json` prints it.
    ///
    /// # Errors
    /// A report that is not JSON is a defect.
    pub fn json(&self) -> serde_json::Result<serde_json::Value> {
        let mut value = serde_json::to_value(self)?;
        Ok(value.get_mut("value").map(serde_json::Value::take).unwrap_or_default())
    }
}

/// An operation whose alarm has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Acknowledged {
    /// DID.
    pub did: String,
    /// CID of the operation.
    pub operation: String,
}

/// What came of the sync of one account among several.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Synced {
    /// DID.
    pub did: String,
    /// Handle, when one is known.
    pub handle: Option<String>,
    /// What it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Box<Summary>>,
    /// Why it did not work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// The switch of the periodic sync of one account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Paused {
    /// DID.
    pub did: String,
    /// Handle, when one is known.
    pub handle: Option<String>,
    /// Stopped, or running.
    pub paused: bool,
}

/// One background worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerLine {
    /// Name.
    pub name: String,
    /// What it is doing, in plain words.
    pub state: String,
    /// Done so far.
    pub done: u64,
    /// In all; 0 when unknown.
    pub total: u64,
    /// Last error, in plain words.
    pub last_error: Option<String>,
    /// When it runs next, microseconds since 1970.
    pub next_run: Option<i64>,
    /// When this was written, microseconds since 1970.
    pub updated_at: i64,
    /// The operator paused it.
    #[serde(default)]
    pub paused: bool,
    /// Due, and waiting for a free place or for their host.
    #[serde(default)]
    pub waiting: u64,
    /// Left alone for a while after failures.
    #[serde(default)]
    pub retrying: u64,
    /// Why the next run is when it is.
    #[serde(default)]
    pub reason: Option<String>,
    /// When a long run is expected to end, microseconds since 1970.
    #[serde(default)]
    pub ends_at: Option<i64>,
    /// Of the deep check: where its round stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrub: Option<p2pds_archive::Scrub>,
    /// How much of it is done, in thousandths, where `done` and `total` are bytes.
    #[serde(default)]
    pub permille: Option<u64>,
}
