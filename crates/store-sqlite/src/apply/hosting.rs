//! What the units of the parts of hosting do. One file per part; this one dispatches, and names the tables that a
//! purge empties.

pub(super) mod accounts;
mod blobs;
mod factors;
mod invites;
mod links;
pub(super) mod login;
mod oauth;
mod owner;
mod reports;
mod reserved;
mod spent;

use p2pds_store::{Applied, HostingUnit};

use super::Apply;
use crate::fault::Outcome;

/// Tables of the parts whose rows carry the number of an account, and how a purge takes up to `?2` rows of account
/// `?1`.
pub(super) const PURGED_BY_ACCOUNT: &[(&str, &str)] = &[("login", "account = ?1 AND ?2 > 0")];

/// Tables of the parts whose rows carry a DID, and how a purge takes up to `?2` rows of DID `?1`.
pub(super) const PURGED_BY_DID: &[(&str, &str)] = &[
    (
        "refresh",
        "did = ?1 AND (session, hash) IN (SELECT session, hash FROM refresh WHERE did = ?1 LIMIT ?2)",
    ),
    ("session", "did = ?1 AND id IN (SELECT id FROM session WHERE did = ?1 LIMIT ?2)"),
    ("app_password", "did = ?1 AND name IN (SELECT name FROM app_password WHERE did = ?1 LIMIT ?2)"),
    ("invite", "code IN (SELECT code FROM invite WHERE for_account = ?1 LIMIT ?2)"),
    ("email_token", "did = ?1 AND ?2 > 0"),
    ("mail", "id IN (SELECT id FROM mail WHERE did = ?1 LIMIT ?2)"),
    ("preference", "did = ?1 AND at IN (SELECT at FROM preference WHERE did = ?1 LIMIT ?2)"),
    ("takedown", "did = ?1 AND subject IN (SELECT subject FROM takedown WHERE did = ?1 LIMIT ?2)"),
    ("signup", "did = ?1 AND ?2 > 0"),
    ("reserved_key", "did = ?1 AND ?2 > 0"),
    ("oauth_request", "id IN (SELECT id FROM oauth_request WHERE did = ?1 LIMIT ?2)"),
    ("oauth_session", "id IN (SELECT id FROM oauth_session WHERE did = ?1 LIMIT ?2)"),
    (
        "oauth_device_account",
        "did = ?1 AND device IN (SELECT device FROM oauth_device_account WHERE did = ?1 LIMIT ?2)",
    ),
    ("oauth_consent", "did = ?1 AND client IN (SELECT client FROM oauth_consent WHERE did = ?1 LIMIT ?2)"),
    ("factor", "did = ?1 AND ?2 > 0"),
    ("passkey", "id IN (SELECT id FROM passkey WHERE did = ?1 LIMIT ?2)"),
    ("backup_code", "did = ?1 AND hash IN (SELECT hash FROM backup_code WHERE did = ?1 LIMIT ?2)"),
    ("agent_session", "did = ?1 AND ?2 > 0"),
    ("own_key", "did = ?1 AND ?2 > 0"),
    // Those about it; what it sent itself is blanked.
    ("report", "id IN (SELECT id FROM report WHERE did = ?1 LIMIT ?2)"),
];

impl Apply {
    pub(super) fn hosting(&mut self, unit: &HostingUnit) -> Outcome<Applied> {
        match unit {
            HostingUnit::Accounts(unit) => self.accounts_unit(unit).map(Applied::Accounts),
            HostingUnit::Blobs(unit) => self.blobs_unit(unit).map(Applied::Blobs),
            HostingUnit::Links(unit) => self.set_links(unit).map(|()| Applied::Done),
            HostingUnit::Reserved(unit) => self.reserved(unit).map(|()| Applied::Done),
            HostingUnit::OAuth(unit) => self.oauth_unit(unit).map(Applied::OAuth),
            HostingUnit::Spent(unit) => self.spent(unit).map(|()| Applied::Done),
            HostingUnit::Factors(unit) => self.factors(unit).map(Applied::Factors),
            HostingUnit::Owner(unit) => self.owner_unit(unit).map(Applied::Owner),
            HostingUnit::Reports(unit) => self.reports_unit(unit).map(Applied::Reports),
        }
    }
}
