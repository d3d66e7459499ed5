//! What the public door is told at its start.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use p2pds_syntax::Did;

use crate::auth::Secret;

/// The header of callers that are not counted.
pub(crate) const BYPASS: &str = "x-ratelimit-bypass";

/// Settings of the door; the node's `[serving]` section says what each is for.
#[derive(Debug, Clone)]
pub struct XrpcConfig {
    /// Bearer tokens of the peers that the operator chose.
    pub peer_tokens: Vec<String>,
    /// The name under which this node is asked as a mirror, lower case.
    pub mirror_hostname: Option<String>,
    /// The node hosts no accounts, so that every name of it is a mirror.
    pub archive_only: bool,
    /// Whether blocks and blobs are given out to those who name no account: RASL and the gateway.
    pub gateway: bool,
    /// Whether requests are counted.
    pub rate_limits: bool,
    /// Requests of one caller in five minutes.
    pub requests: u32,
    /// CIDs that are not served here, asked for by one caller in five minutes without naming an account.
    pub unknown_cids: u32,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Net>,
    /// The operator's password (`admin`, HTTP Basic); without one there is no such door.
    pub admin_password: Option<Secret>,
    /// The moderation service, whose tokens open the moderators' methods.
    pub moderation_service: Option<Did>,
    /// What callers send as `x-ratelimit-bypass` who are not counted.
    pub bypass_key: Option<Secret>,
    /// This node's own requests to itself.
    pub own_calls: OwnCalls,
    /// How often limits turned somebody away.
    pub hits: crate::meter::Hits,
    /// Addresses that are not counted.
    pub bypass: Vec<Net>,
    /// Requests that are passed on.
    pub proxy: crate::proxy::ProxyConfig,
}

impl Default for XrpcConfig {
    fn default() -> Self {
        Self {
            peer_tokens: Vec::new(),
            mirror_hostname: None,
            archive_only: true,
            gateway: true,
            rate_limits: true,
            requests: 3_000,
            unknown_cids: 600,
            trusted_proxies: Vec::new(),
            admin_password: None,
            moderation_service: None,
            bypass_key: None,
            own_calls: OwnCalls::default(),
            hits: Default::default(),
            bypass: Vec::new(),
            proxy: Default::default(),
        }
    }
}

/// What this node shows when it asks itself by its public name, so that it is not refused for what other callers from
/// the same address have asked.
#[derive(Debug, Clone, Default)]
pub struct OwnCalls(Arc<Mutex<Vec<Secret>>>);

/// Good as a key until it is dropped.
#[derive(Debug)]
pub struct OwnCall {
    calls: OwnCalls,
    key: String,
}

impl OwnCalls {
    /// From now on callers that send this as `x-ratelimit-bypass` are not counted; it must not be guessed.
    #[must_use]
    pub fn begin(&self, key: String) -> OwnCall {
        self.keys().push(Secret::new(&key));
        OwnCall { calls: self.clone(), key }
    }

    pub(crate) fn is(&self, key: &str) -> bool {
        self.keys().iter().any(|known| known.is(key))
    }

    fn keys(&self) -> MutexGuard<'_, Vec<Secret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What this node says to itself of how a call of its own has arrived.
pub const SEEN_HOST: &str = "p2pds-seen-host";
/// The address under which it was counted.
pub const SEEN_CALLER: &str = "p2pds-seen-caller";
/// The other end of the connection.
pub const SEEN_PEER: &str = "p2pds-seen-peer";
/// What somebody on the way said of where it came from.
pub const SEEN_FORWARDED: &str = "p2pds-seen-forwarded";
/// Whether the other end is believed in that.
pub const SEEN_TRUSTED: &str = "p2pds-seen-trusted";
/// How many bytes of a body have arrived; calls with one are answered with this alone.
pub const SEEN_BYTES: &str = "p2pds-seen-bytes";

impl OwnCall {
    /// Name and value of the header.
    #[must_use]
    pub fn header(&self) -> (&'static str, &str) {
        (BYPASS, &self.key)
    }
}

impl Drop for OwnCall {
    fn drop(&mut self) {
        self.calls.keys().retain(|known| !known.is(&self.key));
    }
}

/// An address, or a range of them: `192.0.2.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    base: IpAddr,
    bits: u32,
}

impl Net {
    /// Reads it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let base: IpAddr = base.trim().parse().ok()?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { base, bits })
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let shift = 32_u32.saturating_sub(self.bits);
                base.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let shift = 128_u32.saturating_sub(self.bits);
                base.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_calls_are_known_while_they_last() {
        let calls = OwnCalls::default();
        let (one, two) = (calls.begin("one".to_owned()), calls.begin("two".to_owned()));
        assert_eq!(one.header(), (BYPASS, "one"));
        assert!(calls.is("one") && calls.is("two") && !calls.is("three") && !calls.is(""));
        drop(one);
        assert!(!calls.is("one") && calls.is("two"));
        drop(two);
        assert!(!calls.is("two"));
    }

    #[test]
    fn nets() {
        let within = |net: &str, address: &str| Net::parse(net).unwrap().contains(address.parse().unwrap());
        assert!(within("192.0.2.0/24", "192.0.2.77") && !within("192.0.2.0/24", "192.0.3.1"));
        assert!(within("192.0.2.1", "192.0.2.1") && !within("192.0.2.1", "192.0.2.2"));
        assert!(within("::1", "::1") && within("fd00::/8", "fdab::1") && !within("fd00::/8", "fe80::1"));
        assert!(within("0.0.0.0/0", "203.0.113.9") && !within("0.0.0.0/0", "::1"));
        assert!(within("127.0.0.1", "::ffff:127.0.0.1"));
        for wrong in ["", "192.0.2.0/33", "::/129", "example.com", "192.0.2.0/x", "/8"] {
            assert!(Net::parse(wrong).is_none(), "{wrong}");
        }
    }
}
