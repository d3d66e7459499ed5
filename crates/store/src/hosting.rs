//! What the store keeps of hosted accounts. One file per part; each has its rows, its units (a variant of
//! [`HostingUnit`]) and its reads (a trait that [`HostingStore`] names).

mod accounts;
mod blobs;
mod copy;
mod factors;
mod links;
mod listing;
mod login;
mod oauth;
mod owner;
mod reports;
mod reserved;
mod served;
mod spent;

pub use accounts::{
    AccountsApplied, AccountsStore, AccountsUnit, AppPasswordRow, AuditRow, EmailTokenRow, InviteOrder,
    InviteRow, MailRow, PreferenceRow, RotateSession, Rotation, SessionRow, SignupRow, TakedownRow, TokenTry,
};
pub use blobs::{BlobTotals, BlobsApplied, BlobsStore, BlobsUnit};
pub use copy::{CopiedBlob, CopiedDatabase, CopyStore};
pub use factors::{FactorRow, FactorsApplied, FactorsStore, FactorsUnit, PasskeyRow, PasskeyUse};
pub use links::{LinkRow, LinkStore, LinksUnit};
pub use listing::{HostedHead, ListingStore};
pub use login::{Login, LoginPatch, LoginStore};
pub use oauth::{
    OAuthApplied, OAuthConsentRow, OAuthDeviceAccountRow, OAuthDeviceRow, OAuthRequestRow, OAuthSessionRow,
    OAuthStore, OAuthUnit,
};
pub use owner::{
    AgentSessionRow, ClaimRow, DropSessions, OwnerApplied, OwnerRow, OwnerStore, OwnerUnit, WebSessionRow,
};
pub use reports::{
    CLOSED_KEPT, CONTACT_BYTES, MOST_OPEN, NOTE_BYTES, ReportClosed, ReportCounts, ReportRow, ReportsApplied,
    ReportsStore, ReportsUnit, WORDS_BYTES, WORDS_GRAPHEMES, close_report, forget_reports, keep_report,
    words_fit,
};
pub use reserved::{ReservedKey, ReservedStore, ReservedUnit};
pub use served::{Newest, ServedStore};
pub use spent::{SpentStore, SpentToken, SpentUnit};

use p2pds_syntax::Did;

use crate::StoreResult;
use crate::events::EventStore;

/// Units of the parts of hosting: one variant each, with the part's own enum inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostingUnit {
    /// Of the owners of accounts.
    Accounts(AccountsUnit),
    /// Uploads and withheld blobs.
    Blobs(BlobsUnit),
    /// Marks of subjects.
    Links(LinksUnit),
    /// Promised signing keys.
    Reserved(ReservedUnit),
    /// Of the authorization server.
    OAuth(OAuthUnit),
    /// Used service tokens.
    Spent(SpentUnit),
    /// Factors beside the password.
    Factors(FactorsUnit),
    /// Whose node this is, and its own sessions elsewhere.
    Owner(OwnerUnit),
    /// What people told the operator.
    Reports(ReportsUnit),
}

impl HostingUnit {
    /// The account whose queue the unit waits in; `None` for the node's own.
    #[must_use]
    pub fn did(&self) -> Option<&Did> {
        match self {
            Self::Accounts(unit) => unit.did(),
            Self::Blobs(unit) => Some(unit.did()),
            Self::Links(unit) => Some(&unit.did),
            Self::Reserved(unit) => unit.did(),
            Self::OAuth(unit) => unit.did(),
            Self::Spent(_) => None,
            Self::Factors(unit) => unit.did(),
            Self::Owner(unit) => unit.did(),
            Self::Reports(unit) => unit.did(),
        }
    }

    /// Whether it frees space, or must be known even on a full disk.
    #[must_use]
    pub fn frees(&self) -> bool {
        match self {
            Self::Accounts(unit) => unit.frees(),
            Self::Blobs(unit) => unit.frees(),
            Self::Links(unit) => unit.put.is_empty(),
            Self::Reserved(unit) => unit.frees(),
            Self::OAuth(unit) => unit.frees(),
            // What moderators delete has to go through on a full disk too.
            Self::Spent(_) => true,
            Self::Factors(unit) => unit.frees(),
            Self::Owner(unit) => unit.frees(),
            Self::Reports(unit) => unit.frees(),
        }
    }

    /// Checks the unit by itself.
    ///
    /// # Errors
    /// [`crate::StoreError::InvalidUnit`] with what is wrong.
    pub fn check(&self) -> StoreResult<()> {
        match self {
            Self::Accounts(_)
            | Self::Reserved(_)
            | Self::Blobs(_)
            | Self::OAuth(_)
            | Self::Spent(_)
            | Self::Factors(_)
            | Self::Owner(_) => Ok(()),
            Self::Links(unit) => unit.check(),
            Self::Reports(unit) => unit.check(),
        }
    }
}

/// All that a store reads for hosted accounts: the parts' traits together.
pub trait HostingStore:
    EventStore
    + CopyStore
    + LoginStore
    + AccountsStore
    + LinkStore
    + ReservedStore
    + ListingStore
    + BlobsStore
    + ServedStore
    + SpentStore
    + OAuthStore
    + FactorsStore
    + OwnerStore
    + ReportsStore
{
}

impl<
    T: EventStore
        + CopyStore
        + LoginStore
        + AccountsStore
        + LinkStore
        + ReservedStore
        + ListingStore
        + BlobsStore
        + ServedStore
        + SpentStore
        + OAuthStore
        + FactorsStore
        + OwnerStore
        + ReportsStore,
> HostingStore for T
{
}
