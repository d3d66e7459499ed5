//! did:web: where its document is.

use p2pds_syntax::{Did, DidMethod, ErrorKind, Handle};

/// A did:web that AT Protocol does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{did} is not a did:web that AT Protocol accounts may use: {problem}")]
pub struct DidWebError {
    did: Did,
    problem: &'static str,
}

impl DidWebError {
    /// Always [`ErrorKind::Invalid`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// The address of the document of a did:web: `https://HOST/.well-known/did.json`.
///
/// AT Protocol allows whole hosts only, no paths, and ports only on `localhost`, which is for development and is fetched by
/// plain HTTP. Redirects must not be followed when fetching it. Spec: <https://atproto.com/specs/did#blessed-did-methods>.
pub fn did_web_url(did: &Did) -> Result<String, DidWebError> {
    let wrong = |problem| DidWebError { did: did.clone(), problem };
    if did.method() != DidMethod::Web {
        return Err(wrong("it is of another method"));
    }
    let id = did.identifier();
    if id.contains(':') {
        return Err(wrong("paths are not allowed, only whole hosts"));
    }
    if id == "localhost" {
        return Ok("http://localhost/.well-known/did.json".to_owned());
    }
    if let Some(port) = id.strip_prefix("localhost%3A").or_else(|| id.strip_prefix("localhost%3a")) {
        return match port.parse::<u16>() {
            Ok(number) if number.to_string() == port => {
                Ok(format!("http://localhost:{port}/.well-known/did.json"))
            }
            _ => Err(wrong("after \"localhost\" only a port may follow, as in \"localhost%3A3000\"")),
        };
    }
    if id.contains('%') {
        return Err(wrong("ports and escaped characters are not allowed"));
    }
    // The rules for host names are those for handles.
    let host = Handle::parse(id).map_err(|_| wrong("its identifier must be a domain name"))?;
    Ok(format!("https://{host}/.well-known/did.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(did: &str) -> Result<String, DidWebError> {
        did_web_url(&Did::parse(did).unwrap())
    }

    #[test]
    fn hosts() {
        assert_eq!(url("did:web:example.com").unwrap(), "https://example.com/.well-known/did.json");
        assert_eq!(url("did:web:a.B.example.com").unwrap(), "https://a.b.example.com/.well-known/did.json");
        assert_eq!(url("did:web:localhost%3A1234").unwrap(), "http://localhost:1234/.well-known/did.json");
        assert_eq!(url("did:web:localhost").unwrap(), "http://localhost/.well-known/did.json");
        assert_eq!(
            url("did:web:localhost.example.com").unwrap(),
            "https://localhost.example.com/.well-known/did.json"
        );
    }

    #[test]
    fn refused() {
        for did in [
            "did:plc:z72i7hdynmk6r22z27h6tvur",
            "did:web:example.com:user",
            "did:web:example.com%3A3000",
            "did:web:example.com%2Fuser",
            "did:web:localhost%3A",
            "did:web:localhost%3A99999",
            "did:web:localhost%3A080",
            "did:web:localhost.evil.com%40x",
            "did:web:localhostevil",
            "did:web:127.0.0.1",
            "did:web:example",
            "did:web:user%40example.com",
        ] {
            let refusal = url(did);
            assert!(refusal.is_err(), "{did} gave {refusal:?}");
        }
    }
}
