//! What may be a `client_id`.

use url::{Host, Url};

use super::redirect;
use crate::error::OAuthError;
use crate::scope::ATPROTO;

/// Longest `client_id`.
const LONGEST: usize = 2_048;
/// The `client_id` of development, without its parameters.
const LOCALHOST: &str = "http://localhost";

/// A `client_id`, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ClientId {
    /// Its document stands there.
    Document(Url),
    /// It is its own document: <https://atproto.com/specs/oauth#localhost-client-development>.
    Localhost { redirect_uris: Vec<String>, scope: String },
}

/// Reads a `client_id`. `dev_mode`: documents on this machine, over http, are taken as well.
pub(super) fn parse(text: &str, dev_mode: bool) -> Result<ClientId, OAuthError> {
    let refused = |why| Err(OAuthError::ClientId(why));
    if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refused("it is too long, or has characters that no address has");
    }
    if let Some(rest) = text.strip_prefix(LOCALHOST)
        && (rest.is_empty() || rest.starts_with(['?', '#']) || rest == "/" || rest.starts_with("/?"))
    {
        return localhost(rest.strip_prefix('/').unwrap_or(rest));
    }
    let Ok(url) = Url::parse(text) else { return refused("it is no address") };
    let on_this_machine = dev_mode && url.scheme() == "http" && is_loopback(&url);
    if url.scheme() != "https" && !on_this_machine {
        return refused("it must begin with https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused("it must not have a name or password in it");
    }
    if url.fragment().is_some() {
        return refused("it must not have a fragment");
    }
    if url.path() == "/" || url.path().ends_with('/') {
        return refused("it must have a path that does not end with a slash");
    }
    if url.as_str() != text {
        return refused("it must be written in its one form: no dots in the path, no capitals in the host");
    }
    match url.host() {
        _ if on_this_machine => {}
        Some(Host::Domain(name)) if !is_local(name) => {}
        _ => return refused("its host must be a name that everybody can reach"),
    }
    Ok(ClientId::Document(url))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        _ => false,
    }
}

/// Names that no public host has.
pub(super) fn is_local(name: &str) -> bool {
    let top = name.rsplit('.').next().unwrap_or_default();
    !name.contains('.')
        || matches!(top, "test" | "local" | "localhost" | "invalid" | "example" | "internal" | "onion")
}

fn localhost(query: &str) -> Result<ClientId, OAuthError> {
    let refused = |why| Err(OAuthError::ClientId(why));
    if query.contains('#') {
        return refused("it must not have a fragment");
    }
    let (mut redirect_uris, mut scope) = (Vec::new(), None);
    for (name, value) in url::form_urlencoded::parse(query.trim_start_matches('?').as_bytes()) {
        match name.as_ref() {
            "redirect_uri" => {
                if !redirect::is_loopback(&value) {
                    return refused("its redirect_uri must be http://127.0.0.1 or http://[::1]");
                }
                redirect_uris.push(value.into_owned());
            }
            "scope" if scope.is_none() => scope = Some(value.into_owned()),
            "scope" => return refused("it has two scopes"),
            _ => return refused("http://localhost takes redirect_uri and scope only"),
        }
    }
    let scope = scope.unwrap_or_else(|| ATPROTO.to_owned());
    if !scope.split(' ').any(|word| word == ATPROTO) {
        return refused("its scope must have atproto in it");
    }
    if redirect_uris.is_empty() {
        redirect_uris = ["http://127.0.0.1/", "http://[::1]/"].map(str::to_owned).to_vec();
    }
    Ok(ClientId::Localhost { redirect_uris, scope })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> bool {
        matches!(parse(text, false), Err(OAuthError::ClientId(_)))
    }

    #[test]
    fn documents() {
        for good in [
            "https://app.example.com/client-metadata.json",
            "https://app.example.com/a/b",
            "https://app.example.com:8443/c",
            "https://app.example.com/c?v=2",
        ] {
            assert!(matches!(parse(good, false), Ok(ClientId::Document(_))), "{good}");
        }
        for bad in [
            "",
            "app",
            "http://app.example.com/c",
            "ftp://app.example.com/c",
            "https://app.example.com",
            "https://app.example.com/",
            "https://app.example.com/c/",
            "https://u@app.example.com/c",
            "https://u:p@app.example.com/c",
            "https://app.example.com/c#f",
            "https://app.example.com/c#",
            "https://app.example.com/a/../c",
            "https://APP.example.com/c",
            "https://app.example.com:443/c",
            "https://app.example.com/c d",
            "https://192.0.2.1/c",
            "https://[::1]/c",
            "https://127.0.0.1/c",
            "https://0x7f.1/c",
            "https://localhost/c",
            "https://intranet/c",
            "https://app.local/c",
            "https://app.test/c",
            "http://127.0.0.1/c",
            "javascript:alert(1)",
        ] {
            assert!(refused(bad), "{bad}");
        }
        assert!(refused(&format!("https://app.example.com/{}", "a".repeat(2_048))));
        assert!(parse("http://127.0.0.1:5000/c", true).is_ok(), "while hosts are developed");
        assert!(parse("http://192.0.2.1:5000/c", true).is_err());
    }

    #[test]
    fn development() {
        let Ok(ClientId::Localhost { redirect_uris, scope }) = parse("http://localhost", false) else {
            panic!()
        };
        assert_eq!((redirect_uris.len(), scope.as_str()), (2, "atproto"));
        let text = "http://localhost/?redirect_uri=http%3A%2F%2F127.0.0.1%3A5%2Fcb&scope=atproto%20transition%3Ageneric";
        let Ok(ClientId::Localhost { redirect_uris, scope }) = parse(text, false) else { panic!() };
        assert_eq!(
            (redirect_uris.as_slice(), scope.as_str()),
            (["http://127.0.0.1:5/cb".to_owned()].as_slice(), "atproto transition:generic")
        );
        for bad in [
            "http://localhost:3000",
            "http://localhost/path",
            "http://localhost#f",
            "http://localhost?redirect_uri=https://evil.example/",
            "http://localhost?redirect_uri=http://localhost/",
            "http://localhost?redirect_uri=http://127.0.0.1.evil.example/",
            "http://localhost?scope=atproto&scope=atproto",
            "http://localhost?scope=repo:*",
            "http://localhost?client_name=Bank",
            "http://localhost.evil.example/c",
        ] {
            assert!(refused(bad), "{bad}");
        }
    }
}
