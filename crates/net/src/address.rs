//! Which IP addresses an outbound request may reach.
//!
//! The rule is an allow rule at heart: an IPv6 address must lie in the global
//! unicast range, an IPv4 address must lie outside every special block of the
//! IANA registries (RFC 6890 and its successors). Forms that carry an IPv4
//! address inside an IPv6 address are refused, except NAT64 (RFC 6052), which
//! IPv6-only networks need and which is judged by the address inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a request is allowed to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Addresses of the public internet; see [`is_public`].
    Public,
    /// This machine only: 127.0.0.0/8 and ::1. Used by the one development setting.
    Loopback,
    /// Any address: for the one service that the operator named as his own.
    OwnService,
}

impl Reach {
    /// Whether a connection of this reach may go to `ip`.
    #[must_use]
    pub fn allows(self, ip: IpAddr) -> bool {
        match self {
            Self::Public => is_public(ip),
            Self::Loopback => is_loopback(ip),
            Self::OwnService => true,
        }
    }
}

/// Whether `ip` is 127.0.0.0/8 or ::1. The v4-mapped forms are not: nobody needs
/// them, and two spellings of one address are one too many.
#[must_use]
pub fn is_loopback(ip: IpAddr) -> bool {
    ip.is_loopback()
}

/// Whether `ip` is an ordinary address of the public internet.
///
/// It does not check that the address belongs to somebody else: a node's own
/// public address passes.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4_is_public(v4),
        IpAddr::V6(v6) => v6_is_public(v6),
    }
}

/// IPv4 blocks that are not the public internet: (first address, prefix length, name).
const V4_SPECIAL: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "carrier-grade NAT"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local, cloud metadata"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "IETF protocol assignments"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarking"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved, broadcast"),
];

/// IPv6 blocks inside 2000::/3 that are not the public internet.
const V6_SPECIAL: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "IETF assignments, Teredo, benchmarking"),
    (Ipv6Addr::new(0x2001, 0x0db8, 0, 0, 0, 0, 0, 0), 32, "documentation"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "6to4"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "documentation"),
];

/// The global unicast range, and the NAT64 well-known prefix.
const V6_GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const V6_NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

fn v4_is_public(ip: Ipv4Addr) -> bool {
    !V4_SPECIAL.iter().any(|&(net, bits, _)| v4_in(ip, net, bits))
}

fn v6_is_public(ip: Ipv6Addr) -> bool {
    if v6_in(ip, V6_NAT64.0, V6_NAT64.1) {
        let [.., a, b, c, d] = ip.octets();
        return v4_is_public(Ipv4Addr::new(a, b, c, d));
    }
    v6_in(ip, V6_GLOBAL.0, V6_GLOBAL.1) && !V6_SPECIAL.iter().any(|&(net, bits, _)| v6_in(ip, net, bits))
}

fn v4_in(ip: Ipv4Addr, net: Ipv4Addr, bits: u32) -> bool {
    let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
    ip.to_bits() & mask == net.to_bits() & mask
}

fn v6_in(ip: Ipv6Addr, net: Ipv6Addr, bits: u32) -> bool {
    let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
    ip.to_bits() & mask == net.to_bits() & mask
}

#[cfg(test)]
mod tests {
    use super::{Reach, is_public};
    use std::net::IpAddr;

    fn ip(s: &str) -> IpAddr {
        s.parse().unwrap()
    }

    #[test]
    fn ordinary_addresses_are_public() {
        for s in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::",
            "2606:4700::1111",
            "2a00:1450::1",
            "2003::1",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(ip(s)), "{s}");
        }
    }

    #[test]
    fn special_addresses_are_not() {
        for s in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
            "4000::1",
            "1fff::1",
        ] {
            assert!(!is_public(ip(s)), "{s}");
            assert!(!Reach::Public.allows(ip(s)), "{s}");
        }
    }

    #[test]
    fn the_development_reach_is_this_machine_only() {
        for s in ["127.0.0.1", "127.9.9.9", "::1"] {
            assert!(Reach::Loopback.allows(ip(s)), "{s}");
        }
        for s in [
            "10.0.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "::ffff:127.0.0.1",
            "8.8.8.8",
            "0.0.0.0",
            "::",
            "fe80::1",
            "fc00::1",
            "64:ff9b::7f00:1",
        ] {
            assert!(!Reach::Loopback.allows(ip(s)), "{s}");
        }
    }
}
