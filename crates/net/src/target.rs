//! From the text of a URL to a target that may be contacted, and from a
//! redirect to the next one. The address of a name is checked later, by the
//! resolver, at the moment of connecting.

use std::net::IpAddr;

use url::{Host, Url};

use crate::address::{Reach, is_public};
use crate::error::{NetError, plain};

/// The longest URL accepted, in bytes.
pub(crate) const MAX_URL: usize = 16 * 1024;

/// A URL that passed the rules on scheme, port, host form and literal address.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) url: Url,
    /// What the connection may reach; the resolver holds every DNS answer to it.
    pub(crate) reach: Reach,
    host: String,
    port: u16,
}

impl Target {
    /// Applies the rules to `text`.
    pub(crate) fn check(text: &str, allow_loopback: bool) -> Result<Self, NetError> {
        if text.len() > MAX_URL {
            return Err(bad(text, "it is too long"));
        }
        let url = Url::parse(text).map_err(|e| bad(text, &e.to_string()))?;
        Self::judge(url, allow_loopback)
    }

    /// The target of a URL whose origin the settings name as the operator's own service; `None` for any other.
    pub(crate) fn of_own_service(text: &str, service: &str) -> Option<Self> {
        if text.len() > MAX_URL {
            return None;
        }
        let (url, service) = (Url::parse(text).ok()?, Url::parse(service).ok()?);
        let ordinary = matches!(url.scheme(), "http" | "https") && url.username().is_empty();
        if !ordinary || url.password().is_some() || url.origin() != service.origin() {
            return None;
        }
        let host = url.host()?.to_string().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default()?;
        Some(Self { url, reach: Reach::OwnService, host, port })
    }

    /// The target that `location` names, seen from this one.
    pub(crate) fn redirect(&self, location: &str, allow_loopback: bool) -> Result<Self, NetError> {
        if location.len() > MAX_URL {
            return Err(bad(location, "it is too long"));
        }
        let url = self.url.join(location).map_err(|e| bad(location, &e.to_string()))?;
        let next = Self::judge(url, allow_loopback)?;
        if self.reach == Reach::Public && next.reach == Reach::Loopback {
            return Err(refused(next.host, "a public host redirected to this machine"));
        }
        Ok(next)
    }

    /// Host and port, for messages and limits.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The host alone, for messages.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Whether credentials for `other` may be sent here too.
    pub(crate) fn same_origin(&self, other: &Self) -> bool {
        self.url.scheme() == other.url.scheme() && self.host == other.host && self.port == other.port
    }

    fn judge(url: Url, allow_loopback: bool) -> Result<Self, NetError> {
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(bad(url.as_str(), "only https is used")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad(url.as_str(), "it carries a user name or a password"));
        }
        let Some(port) = url.port_or_known_default() else {
            return Err(bad(url.as_str(), "it has no port"));
        };
        let ordinary = https && matches!(port, 80 | 443);
        let (host, reach) = match url.host() {
            None => return Err(bad(url.as_str(), "it has no host")),
            Some(Host::Ipv4(ip)) => literal(IpAddr::V4(ip), ordinary, allow_loopback)?,
            Some(Host::Ipv6(ip)) => literal(IpAddr::V6(ip), ordinary, allow_loopback)?,
            Some(Host::Domain(name)) => named(name, ordinary, allow_loopback)?,
        };
        Ok(Self { url, reach, host, port })
    }
}

fn literal(ip: IpAddr, ordinary: bool, allow_loopback: bool) -> Result<(String, Reach), NetError> {
    if allow_loopback && Reach::Loopback.allows(ip) {
        return Ok((ip.to_string(), Reach::Loopback));
    }
    if !is_public(ip) {
        return Err(refused(ip.to_string(), "it is not an address of the public internet"));
    }
    if !ordinary {
        return Err(refused(ip.to_string(), NOT_ORDINARY));
    }
    Ok((ip.to_string(), Reach::Public))
}

fn named(name: &str, ordinary: bool, allow_loopback: bool) -> Result<(String, Reach), NetError> {
    let host = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let local = host == "localhost" || host.ends_with(".localhost");
    if host.is_empty() || host.split('.').any(str::is_empty) || host.len() > 253 {
        return Err(bad(name, "its host is not a domain name"));
    }
    if local || !ordinary {
        if allow_loopback {
            return Ok((host, Reach::Loopback));
        }
        let why = if local { "it names this machine" } else { NOT_ORDINARY };
        return Err(refused(host, why));
    }
    if !host.contains('.') {
        return Err(refused(host, "it is a name of a local network"));
    }
    Ok((host, Reach::Public))
}

const NOT_ORDINARY: &str = "only https on the ports 443 and 80 is used";

fn bad(url: &str, why: &str) -> NetError {
    NetError::BadUrl { url: plain(url, 200), why: why.to_owned() }
}

fn refused(host: String, why: &str) -> NetError {
    NetError::Refused { host, why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{MAX_URL, Target};
    use crate::address::Reach;

    #[test]
    fn the_operators_own_service_is_one_origin() {
        let own = |url: &str| Target::of_own_service(url, "http://10.0.0.5:8000/anything").map(|t| t.reach);
        assert_eq!(own("http://10.0.0.5:8000/ping?x"), Some(Reach::OwnService));
        assert_eq!(own("http://0xa.0.0.5:8000/"), Some(Reach::OwnService), "another spelling of the same");
        for other in [
            "http://10.0.0.5/",
            "https://10.0.0.5:8000/",
            "http://10.0.0.6:8000/",
            "http://u:p@10.0.0.5:8000/",
            "ftp://10.0.0.5:8000/",
            "10.0.0.5:8000",
        ] {
            assert_eq!(own(other), None, "{other}");
        }
    }

    #[test]
    fn ordinary_targets_pass() {
        for (url, authority) in [
            ("https://example.com/x?y", "example.com:443"),
            ("https://EXAMPLE.com.:443", "example.com:443"),
            ("https://example.com:80/", "example.com:80"),
            ("https://8.8.8.8/", "8.8.8.8:443"),
            ("https://[2606:4700::1111]/", "2606:4700::1111:443"),
            ("https://bücher.example/", "xn--bcher-kva.example:443"),
        ] {
            let t = Target::check(url, false).unwrap();
            assert_eq!(t.authority(), authority);
            assert_eq!(t.reach, Reach::Public);
        }
    }

    #[test]
    fn odd_targets_do_not() {
        for url in [
            "http://example.com/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "data:,x",
            "javascript:1",
            "https://",
            "https://user@example.com/",
            "https://u:p@example.com/",
            "https://example.com:22/",
            "https://example.com:8443/",
            "https://intranet/",
            "https://localhost/",
            "https://localhost./",
            "https://x.localhost/",
            "https://a..b/",
            "//example.com/",
            "example.com",
            "",
            "https://exa mple.com/",
            "gopher://example.com/",
        ] {
            assert!(Target::check(url, false).is_err(), "{url}");
        }
        let long = format!("https://example.com/{}", "a".repeat(MAX_URL));
        assert!(Target::check(&long, false).is_err());
    }

    #[test]
    fn private_addresses_do_not_pass_in_any_spelling() {
        for host in [
            "127.1",
            "127.0.0.1.",
            "0x7f000001",
            "0177.0.0.1",
            "2130706433",
            "017700000001",
            "127.0.0.1%00.example.com",
            "%31%32%37.0.0.1",
            "１２７.０.０.１",
            "①②⑦.0.0.1",
            "127。0。0。1",
            "0",
            "0x0",
            "[::]",
            "[::1]",
            "[0:0:0:0:0:ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::10.0.0.1]",
            "[2002:7f00:1::]",
            "[fe80::1%25eth0]",
            "[fd00:ec2::254]",
            "ｌｏｃａｌｈｏｓｔ",
            "%6cocalhost",
            "LOCALHOST",
            "a.localhost.",
            "metadata",
            "example.com@127.0.0.1",
            "example.com:443@127.0.0.1",
            "127.0.0.1#@example.com",
            "127.0.0.1\\@example.com",
        ] {
            let url = format!("https://{host}/");
            let outcome = Target::check(&url, false);
            assert!(outcome.is_err(), "{url} gave {outcome:?}");
        }
    }

    #[test]
    fn development_adds_this_machine_and_nothing_else() {
        for url in [
            "http://localhost:2583/",
            "http://127.0.0.1:1/",
            "http://[::1]:99/",
            "http://pds.test:2583/",
            "https://localhost/",
            "http://0x7f.1:80/",
        ] {
            assert_eq!(Target::check(url, true).unwrap().reach, Reach::Loopback, "{url}");
        }
        assert_eq!(Target::check("https://example.com/", true).unwrap().reach, Reach::Public);
        for url in [
            "http://10.0.0.1:80/",
            "http://192.168.0.1/",
            "http://8.8.8.8/",
            "http://169.254.169.254/",
            "https://8.8.8.8:22/",
        ] {
            assert!(Target::check(url, true).is_err(), "{url}");
        }
    }

    #[test]
    fn redirects_are_judged_like_requests() {
        let from = Target::check("https://example.com/a/b", true).unwrap();
        assert_eq!(from.redirect("../c", true).unwrap().url.as_str(), "https://example.com/c");
        assert_eq!(from.redirect("//other.example/c", true).unwrap().authority(), "other.example:443");
        for to in [
            "http://example.com/",
            "http://127.0.0.1/",
            "https://localhost/",
            "https://10.0.0.1/",
            "file:///etc/passwd",
            "https://[::ffff:10.0.0.1]/",
            "https://2130706433/",
        ] {
            assert!(from.redirect(to, true).is_err(), "{to}");
            assert!(from.redirect(to, false).is_err(), "{to}");
        }
    }
}
