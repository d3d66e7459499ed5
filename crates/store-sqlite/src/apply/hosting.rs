//! What the units of the parts of hosting do. One file per part; this one dispatches, and names the tables that a
//! purge empties.

pub(super) mod login;

use p2pds_store::{Applied, HostingUnit};

use super::Apply;
use crate::fault::Outcome;

/// Tables of the parts whose rows carry the number of an account, and how a purge takes up to `?2` rows of account
/// `?1`.
pub(super) const PURGED_BY_ACCOUNT: &[(&str, &str)] = &[("login", "account = ?1 AND ?2 > 0")];

/// Tables of the parts whose rows carry a DID, and how a purge takes up to `?2` rows of DID `?1`.
pub(super) const PURGED_BY_DID: &[(&str, &str)] = &[];

impl Apply {
    pub(super) fn hosting(&mut self, unit: &HostingUnit) -> Outcome<Applied> {
        match *unit {}
    }
}
