//! Under which name a request came, and from which page it was sent.
//!
//! A page of somebody else whose name was pointed at this node (DNS rebinding) sends its own name, and is answered
//! nothing. A form on somebody else's page sends its own origin, and is refused.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::{HeaderMap, Method, Uri, header};
use url::Url;

use super::DoorConfig;

/// Where a request comes from, as it is counted; whoever serves the pages puts it into every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisitorAddress(pub IpAddr);

impl Default for VisitorAddress {
    fn default() -> Self {
        Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

/// The names under which pages are shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    own: Vec<String>,
    /// The name whose address is https.
    safe: Option<String>,
}

impl Names {
    pub(super) fn of(config: &DoorConfig) -> Self {
        let url = config.public_url.as_deref().and_then(|url| Url::parse(url).ok());
        let public = url.as_ref().and_then(|url| url.host_str()).map(str::to_ascii_lowercase);
        let safe = url.filter(|url| url.scheme() == "https").and_then(|_| public.clone());
        let mut own: Vec<String> = config.hostname.iter().map(|name| name.to_ascii_lowercase()).collect();
        own.extend(public);
        Self { own, safe }
    }
}

/// A name of this node, as a request has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Without port, lower case.
    host: String,
    port: Option<u16>,
    /// It is a name or address of this machine itself.
    local: bool,
    /// It is an address and no name.
    address: bool,
    /// Only https leads there.
    https: bool,
}

impl Place {
    /// The name of a request; `None` if it is none of this node's.
    pub(super) fn of(names: &Names, headers: &HeaderMap, uri: &Uri) -> Option<Self> {
        let text = match uri.authority() {
            Some(authority) => authority.as_str(),
            None => {
                let mut hosts = headers.get_all(header::HOST).iter();
                let host = hosts.next()?.to_str().ok()?;
                if hosts.next().is_some() {
                    return None;
                }
                host
            }
        };
        // Parsed as browsers parse it, so that there is one reading of it only.
        let url = Url::parse(&format!("http://{text}/")).ok()?;
        if !url.username().is_empty() || url.password().is_some() || url.path() != "/" {
            return None;
        }
        let host = url.host_str()?.trim_end_matches('.').to_owned();
        let local = match url.host()? {
            url::Host::Ipv4(ip) => ip.is_loopback(),
            url::Host::Ipv6(ip) => ip.is_loopback(),
            url::Host::Domain(name) => name == "localhost",
        };
        let address = !matches!(url.host()?, url::Host::Domain(_));
        let known = local || address || names.own.contains(&host);
        let https = names.safe.as_ref() == Some(&host);
        // The port as it is written: 80 and none are one.
        known.then_some(Self { port: url.port(), host, local, address, https })
    }

    /// The port on this machine, if that is where it came.
    pub(crate) fn local_port(&self) -> Option<u16> {
        self.local.then(|| self.port.unwrap_or(80))
    }

    /// Whether browsers keep cookies that are sent safely only.
    pub(crate) fn is_local(&self) -> bool {
        self.local
    }

    /// Whether a browser keeps the cookies of this node here: plain http to an address of the network has none that are
    /// worth anything.
    pub(super) fn keeps_cookies(&self) -> bool {
        self.local || !self.address
    }

    /// The same page where sign-ins come back to. Pages of hosted accounts stay where they are, with their style and script:
    /// a passkey belongs to a name, and browsers take none for an address.
    pub(super) fn in_one_form(&self, uri: &Uri) -> Option<String> {
        let stays = |begin: &&str| {
            uri.path().strip_prefix(*begin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if ["/account", "/assets", "/oauth/authorize"].iter().any(stays) {
            return None;
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        (self.host == "localhost").then(|| format!("http://127.0.0.1{port}{path}"))
    }

    /// Whether a request that changes something was sent by one of this node's own pages.
    pub(super) fn is_own_page(&self, headers: &HeaderMap) -> bool {
        let text = |name: &str| {
            let mut values = headers.get_all(name).iter();
            let first = values.next().map(|value| value.to_str().unwrap_or("?"));
            if values.next().is_some() { Some("?") } else { first }
        };
        let site = text("sec-fetch-site");
        if site.is_some_and(|site| site != "same-origin") {
            return false;
        }
        match text("origin") {
            Some(origin) => self.is_origin(origin),
            None => site.is_some(),
        }
    }

    fn is_origin(&self, text: &str) -> bool {
        let Ok(url) = Url::parse(text) else { return false };
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let scheme = match url.scheme() {
            "https" => true,
            "http" => !self.https,
            _ => false,
        };
        let host = url.host_str().map(|host| host.trim_end_matches('.')) == Some(&self.host);
        // A proxy in front may say the name without the port that goes with https.
        bare && scheme && host && url.port() == self.port
    }
}

/// Whether a request only looks.
pub(super) fn only_looks(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::of(&DoorConfig {
            hostname: Some("Node.example".into()),
            public_url: Some("https://node.example".into()),
            port: 3000,
        })
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<header::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn place(host: &str) -> Option<Place> {
        Place::of(&names(), &headers(&[("host", host)]), &Uri::from_static("/x?y"))
    }

    #[test]
    fn names_of_this_node_and_of_others() {
        for host in [
            "localhost:3000",
            "127.0.0.1",
            "127.0.0.1:3000",
            "[::1]:3000",
            "node.example",
            "NODE.EXAMPLE.:443",
            "192.0.2.7:3000",
        ] {
            assert!(place(host).is_some(), "{host}");
        }
        for host in [
            "evil.example",
            "node.example.evil.example",
            "alice.node.example",
            "x.localhost",
            "localhost.evil.example",
            "",
            "u@node.example",
            "node.example/x",
            "127.0.0.1.evil.example",
            "rebind.example:3000",
            "a b",
        ] {
            assert_eq!(place(host), None, "{host}");
        }
        let two = headers(&[("host", "localhost")]);
        let mut two_hosts = two.clone();
        two_hosts.append("host", "localhost".parse().unwrap());
        assert!(Place::of(&names(), &two, &Uri::from_static("/")).is_some());
        assert_eq!(Place::of(&names(), &two_hosts, &Uri::from_static("/")), None);
        assert_eq!(Place::of(&names(), &HeaderMap::new(), &Uri::from_static("/")), None);
        // Numbers in other spellings are addresses too, the same that browsers take them for.
        assert!(place("2130706433").unwrap().is_local());
    }

    #[test]
    fn back_the_same_way() {
        assert_eq!(place("127.0.0.1:8080").unwrap().local_port(), Some(8080));
        assert_eq!(place("localhost").unwrap().local_port(), Some(80));
        assert_eq!(place("node.example").unwrap().local_port(), None);
        assert_eq!(place("192.0.2.7").unwrap().local_port(), None);
        assert!(
            !place("192.0.2.7:3000").unwrap().keeps_cookies()
                && place("node.example").unwrap().keeps_cookies()
        );
        let uri = Uri::from_static("/x?y");
        let one = place("localhost:3000").unwrap().in_one_form(&uri);
        assert_eq!(one.as_deref(), Some("http://127.0.0.1:3000/x?y"));
        assert_eq!(place("127.0.0.1:3000").unwrap().in_one_form(&uri), None);
        for (path, stays) in [
            ("/account", true),
            ("/account/did:x", true),
            ("/assets/p2pds.css", true),
            ("/oauth/authorize?a", true),
            ("/accounts", false),
        ] {
            let there = place("localhost:3000").unwrap().in_one_form(&path.parse().unwrap());
            assert_eq!(there.is_none(), stays, "{path}");
        }
    }

    #[test]
    fn forms_of_this_node_and_of_others() {
        let own = |host: &str, pairs: &[(&str, &str)]| place(host).unwrap().is_own_page(&headers(pairs));
        let local = "127.0.0.1:3000";
        assert!(own(local, &[("origin", "http://127.0.0.1:3000")]));
        assert!(own(local, &[("origin", "http://127.0.0.1:3000"), ("sec-fetch-site", "same-origin")]));
        assert!(own(local, &[("sec-fetch-site", "same-origin")]));
        assert!(own("node.example", &[("origin", "https://node.example")]));
        for (host, pairs) in [
            (local, vec![]),
            (local, vec![("origin", "null")]),
            (local, vec![("origin", "http://127.0.0.1")]),
            (local, vec![("origin", "http://127.0.0.1:3001")]),
            (local, vec![("origin", "http://localhost:3000")]),
            (local, vec![("origin", "http://evil.example")]),
            (local, vec![("origin", "http://127.0.0.1:3000/x")]),
            (local, vec![("origin", "file://")]),
            (local, vec![("sec-fetch-site", "cross-site")]),
            (local, vec![("sec-fetch-site", "same-site")]),
            (local, vec![("sec-fetch-site", "none")]),
            (local, vec![("origin", "http://127.0.0.1:3000"), ("sec-fetch-site", "cross-site")]),
            (local, vec![("origin", "http://127.0.0.1:3000"), ("origin", "http://evil.example")]),
            ("node.example", vec![("origin", "http://node.example")]),
            ("node.example", vec![("origin", "https://alice.node.example")]),
        ] {
            let mut all = HeaderMap::new();
            for (name, value) in &pairs {
                all.append(name.parse::<header::HeaderName>().unwrap(), value.parse().unwrap());
            }
            assert!(!place(host).unwrap().is_own_page(&all), "{host} {pairs:?}");
        }
    }
}
