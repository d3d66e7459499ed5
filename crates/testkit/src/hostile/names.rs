//! What names mean when whoever rules them lies, as data.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::dns::{Failure, Server};
use crate::madeup::MadeUp;

/// What a name server says of the account's host or handle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameLie {
    /// The host's name leads to these addresses.
    Host(Vec<IpAddr>),
    /// The host's name leads to these addresses, one question after the other.
    HostRebinds(Vec<IpAddr>),
    /// The host's name leads to so many addresses at which nobody answers.
    HostFlood(u32),
    /// The host's name does not exist.
    HostGone,
    /// The name server fails for the host's name.
    HostFails,
    /// The name server is silent about the host's name.
    HostSilent,
    /// The handle names another account.
    HandleOfAnother,
    /// The handle names two accounts.
    HandleOfTwo,
    /// The handle has so many texts.
    HandleFlood(u32),
    /// The handle's text has so many bytes.
    HandleLong(usize),
    /// The name server is silent about the handle.
    HandleSilent,
}

impl NameLie {
    /// From now on.
    pub fn tell(&self, names: &Server, host: &str, account: &MadeUp, other: &MadeUp) {
        let handle = format!("_atproto.{}", account.handle);
        let said = |did: &str| format!("did={did}");
        match self {
            Self::Host(addresses) => names.set_addresses(host, addresses),
            Self::HostRebinds(addresses) => {
                let sets: Vec<&[IpAddr]> = addresses.iter().map(std::slice::from_ref).collect();
                names.set_address_sequence(host, &sets);
            }
            Self::HostFlood(number) => {
                // Of the block that is set aside for documentation and for measurements: nobody is there.
                let addresses: Vec<IpAddr> =
                    (0..*number).map(|n| IpAddr::from([198, 18, (n >> 8) as u8, n as u8])).collect();
                names.set_addresses(host, &addresses);
            }
            Self::HostGone => names.remove(host),
            Self::HostFails => names.set_failure(host, Some(Failure::ServFail)),
            Self::HostSilent => names.set_failure(host, Some(Failure::Silence)),
            Self::HandleOfAnother => names.set_txt(&handle, &[&said(&other.did)]),
            Self::HandleOfTwo => names.set_txt(&handle, &[&said(&account.did), &said(&other.did)]),
            Self::HandleFlood(number) => {
                let texts: Vec<String> = (0..*number).map(|n| format!("did=did:plc:{n:024}")).collect();
                names.set_txt(&handle, &texts.iter().map(String::as_str).collect::<Vec<_>>());
            }
            Self::HandleLong(size) => names.set_txt(&handle, &[&format!("did={}", "a".repeat(*size))]),
            Self::HandleSilent => names.set_failure(&handle, Some(Failure::Silence)),
        }
    }
}
