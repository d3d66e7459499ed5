//! Who may read what: one function, a table test.

use p2pds_store::{Account, AccountStatus, Serve, VerifiedState};

use crate::intent::Intent;
use crate::refusal::Refusal;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// The operator of this node, through the operator socket: sees all that is stored.
    Operator,
    /// A peer that the operator chose.
    Peer,
    /// Anybody.
    Public,
}

/// Whether this viewer may read this account at all, given what its owner declared ([`crate::Reading::declared`]).
///
/// Accounts hosted elsewhere are served to nobody until the operator chooses; what its owner or host has withdrawn is
/// not served, nor what is not proved. An owner who declared that no public archive may show the account is heeded by
/// the public door; peers are no public.
///
/// # Errors
/// The refusal that applies.
pub fn may_read(viewer: Viewer, account: &Account, declared: Intent) -> Result<(), Refusal> {
    let did = || account.did.clone();
    if account.hosted && viewer != Viewer::Operator {
        // The host's own accounts are public by what they are; only what was withdrawn is not given out.
        return standing(account);
    }
    let chosen = match (viewer, account.serve) {
        (Viewer::Operator, _) => return Ok(()),
        (Viewer::Peer, Serve::Peers | Serve::Public) | (Viewer::Public, Serve::Public) => true,
        (Viewer::Peer | Viewer::Public, _) => false,
    };
    if !chosen || account.serve_basis.is_none() {
        return Err(Refusal::NotServed(did()));
    }
    if viewer == Viewer::Public && declared == Intent::Refused && !account.purging {
        return Err(Refusal::OwnerRefuses(did()));
    }
    standing(account)?;
    if account.verified != VerifiedState::Verified {
        return Err(Refusal::NotVerified(did()));
    }
    Ok(())
}

/// Whether it is there, and its owner or host has not withdrawn it.
fn standing(account: &Account) -> Result<(), Refusal> {
    if account.purging {
        return Err(Refusal::NoAccount(account.did.clone()));
    }
    // An unreachable host or a throttled account has withdrawn nothing.
    match account.status {
        AccountStatus::Active
        | AccountStatus::Unreachable
        | AccountStatus::Throttled
        | AccountStatus::Desynchronized => Ok(()),
        AccountStatus::Deactivated
        | AccountStatus::Takendown
        | AccountStatus::Suspended
        | AccountStatus::Deleted => {
            Err(Refusal::Withdrawn { did: account.did.clone(), status: account.status.as_str() })
        }
    }
}

#[cfg(test)]
mod tests {
    use p2pds_store::Origin;
    use p2pds_syntax::Did;

    use super::*;

    #[test]
    fn every_combination() {
        let did = Did::parse("did:plc:z72i7hdynmk6r22z27h6tvur").unwrap();
        for serve in [Serve::Nobody, Serve::Peers, Serve::Public] {
            for status in AccountStatus::ALL {
                for verified in [VerifiedState::Nothing, VerifiedState::Verified, VerifiedState::Unverified] {
                    for basis in [None, Some("asked for".to_owned())] {
                        let mut account = Account::new(did.clone(), Origin::Network, 0);
                        (account.serve, account.status, account.verified) = (serve, status, verified);
                        account.serve_basis = basis.clone();
                        assert!(may_read(Viewer::Operator, &account, Intent::Refused).is_ok());
                        let hosted = Account { hosted: true, ..account.clone() };
                        assert!(may_read(Viewer::Operator, &hosted, Intent::Refused).is_ok());
                        let withdrawn = matches!(
                            status,
                            AccountStatus::Deactivated
                                | AccountStatus::Takendown
                                | AccountStatus::Suspended
                                | AccountStatus::Deleted
                        );
                        assert_eq!(may_read(Viewer::Public, &hosted, Intent::Refused).is_ok(), !withdrawn);
                        assert_eq!(may_read(Viewer::Peer, &hosted, Intent::Unsaid).is_ok(), !withdrawn);
                        let sound = basis.is_some() && !withdrawn && verified == VerifiedState::Verified;
                        for declared in [Intent::Unsaid, Intent::Allowed, Intent::Refused] {
                            let public = sound && serve == Serve::Public && declared != Intent::Refused;
                            assert_eq!(may_read(Viewer::Public, &account, declared).is_ok(), public);
                            let peer = sound && serve != Serve::Nobody;
                            assert_eq!(may_read(Viewer::Peer, &account, declared).is_ok(), peer);
                        }
                    }
                }
            }
        }
    }
}
