//! What operators and moderators did.

use p2pds_store::Unit;
use p2pds_store::hosting::{AccountsUnit, AuditRow, HostingUnit};
use p2pds_syntax::Did;

use crate::error::HostResult;
use crate::host::Host;

/// Who acts on an account that is not theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// Whoever may run `p2pds` on this machine.
    Operator,
    /// Whoever knows the admin password.
    Admin,
    /// The moderation service.
    Moderator(Did),
    /// The account's owner.
    Owner,
    /// The node itself, because something was due.
    Node,
}

impl By {
    /// Its name in the log.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Moderator(did) => did.as_str(),
            Self::Owner => "owner",
            Self::Node => "node",
        }
    }
}

/// One act.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    /// Who.
    pub by: &'a By,
    /// What: a method or command, without its namespace.
    pub what: &'static str,
    /// To whom.
    pub did: Option<&'a Did>,
    /// To what of it.
    pub subject: &'a str,
    /// How, in plain words; never a secret.
    pub detail: &'a str,
}

impl Host {
    /// The unit that notes an act; it belongs into the batch that does it.
    #[must_use]
    pub fn audit_unit(&self, act: Act<'_>) -> Unit {
        tracing::info!(
            event = "host.admin",
            by = act.by.as_str(),
            what = act.what,
            did = act.did.map(Did::as_str),
            subject = act.subject,
            "an operator acted"
        );
        Unit::Hosting(Box::new(HostingUnit::Accounts(AccountsUnit::Audit(AuditRow {
            id: 0,
            at: self.now(),
            who: act.by.as_str().to_owned(),
            what: act.what.to_owned(),
            did: act.did.cloned(),
            subject: act.subject.to_owned(),
            detail: act.detail.to_owned(),
        }))))
    }

    /// Notes an act by itself.
    ///
    /// # Errors
    /// The store.
    pub async fn audit(&self, act: Act<'_>) -> HostResult<()> {
        self.store().apply(self.audit_unit(act)).await?;
        Ok(())
    }

    /// Acts, newest first.
    ///
    /// # Errors
    /// The store.
    pub async fn audits(
        &self,
        did: Option<&Did>,
        before: Option<i64>,
        limit: usize,
    ) -> HostResult<Vec<AuditRow>> {
        Ok(self.store().audits(did, before, limit).await?)
    }
}
