//! Where people may be sent back to.

use url::Url;

/// Longest `redirect_uri`.
pub(super) const LONGEST: usize = 2_048;

/// What kind of address it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A web page.
    Https,
    /// This machine, by its number: `http://127.0.0.1:5000/callback`.
    Loopback,
    /// An app of a phone: `com.example.app:/callback` (RFC 8252 7.1).
    Private,
}

/// The kind of an address that people may be sent to; `None` for what is none (RFC 6749 3.1.2, RFC 8252).
pub(super) fn kind(text: &str) -> Option<Kind> {
    if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return None;
    }
    let url = Url::parse(text).ok()?;
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    match url.scheme() {
        // As it is written: a second reader must see the same host.
        "https" if text.starts_with("https://") => {
            let host = url.domain()?;
            (!super::id::is_local(host) && authority(text)? == authority(url.as_str())?)
                .then_some(Kind::Https)
        }
        "http" => is_loopback(text).then_some(Kind::Loopback),
        scheme if scheme.contains('.') => {
            let path = text.get(scheme.len()..)?.strip_prefix(":/")?;
            (!path.starts_with('/')).then_some(Kind::Private)
        }
        _ => None,
    }
}

fn authority(text: &str) -> Option<&str> {
    text.split_once("://")?.1.split(['/', '?']).next()
}

/// Whether it is this machine, by its number (RFC 8252 7.3; not by the name `localhost`, 8.3).
pub(super) fn is_loopback(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let host = authority(text).unwrap_or_default();
    let host = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(host, _)| host);
    url.scheme() == "http"
        && matches!(host, "127.0.0.1" | "[::1]")
        && url.host_str() == Some(host)
        && url.fragment().is_none()
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether what is asked for is what was declared: the same text, but for the port of loopback, which is free when none
/// was declared (RFC 6749 3.1.2.3, RFC 8252 7.3).
pub(super) fn is_declared(declared: &str, asked: &str) -> bool {
    if declared == asked {
        return true;
    }
    if kind(declared) != Some(Kind::Loopback) || kind(asked) != Some(Kind::Loopback) {
        return false;
    }
    let (Ok(declared), Ok(asked)) = (Url::parse(declared), Url::parse(asked)) else { return false };
    declared.port().is_none()
        && declared.host_str() == asked.host_str()
        && declared.path() == asked.path()
        && declared.query() == asked.query()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        assert_eq!(kind("https://app.example.com/callback?a=b"), Some(Kind::Https));
        assert_eq!(kind("http://127.0.0.1:5000/cb"), Some(Kind::Loopback));
        assert_eq!(kind("http://[::1]/cb"), Some(Kind::Loopback));
        assert_eq!(kind("com.example.app:/callback"), Some(Kind::Private));
        for bad in [
            "",
            "callback",
            "http://app.example.com/cb",
            "http://localhost/cb",
            "http://127.1/cb",
            "http://0x7f000001/cb",
            "http://2130706433/cb",
            "http://127.0.0.1@evil.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "https://u@app.example.com/cb",
            "https://app.example.com/cb#f",
            "https://app.example.com\\@evil.example/cb",
            "https:app.example.com/cb",
            "https://localhost/cb",
            "https://intranet/cb",
            "com.example.app://callback",
            "com.example.app:callback",
            "javascript:alert(1)",
            "data:text/html,x",
            "app:/callback",
        ] {
            assert_eq!(kind(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_port_of_loopback_is_free() {
        assert!(is_declared("http://127.0.0.1/cb", "http://127.0.0.1:5000/cb"));
        assert!(is_declared("http://[::1]/cb?a=b", "http://[::1]:5000/cb?a=b"));
        assert!(is_declared("https://a.example.com/cb", "https://a.example.com/cb"));
        for (declared, asked) in [
            ("http://127.0.0.1:4000/cb", "http://127.0.0.1:5000/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:5000/other"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:5000/cb?x=y"),
            ("http://127.0.0.1/cb", "http://[::1]:5000/cb"),
            ("http://127.0.0.1/cb", "https://127.0.0.1:5000/cb"),
            ("https://a.example.com/cb", "https://a.example.com:444/cb"),
            ("https://a.example.com/cb", "https://a.example.com/cb/"),
            ("https://a.example.com/cb", "https://a.example.com/cb?x=y"),
            ("https://a.example.com/cb", "https://A.example.com/cb"),
            ("https://a.example.com/", "https://a.example.com"),
        ] {
            assert!(!is_declared(declared, asked), "{declared} {asked}");
        }
    }
}
