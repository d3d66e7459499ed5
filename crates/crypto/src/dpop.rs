//! Proofs of possession: one signed statement for each request that the caller holds the key of its token.
//!
//! [`Proof::parse`] reads one and checks its signature against the key that it brings; [`Proof::check`] compares what it
//! says with the request. Not checked here, because only the server knows: whether the nonce is one of its own, whether
//! this `jti` was seen before, and whether the key is the token's.
//!
//! Spec: RFC 9449, 4.

use data_encoding::BASE64URL_NOPAD;
use p2pds_syntax::ErrorKind;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::jwk::{Jwk, JwkError};
use crate::jwt::{Algorithm, JwtError, Unverified};
use crate::{SignError, Signer, jwt};

/// Longest `jti` that is read; servers remember them.
pub const MAX_JTI: usize = 256;
/// Longest nonce that is read.
pub const MAX_NONCE: usize = 256;

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DpopError {
    /// Not a token in its one form, of another algorithm, or a claim of the wrong type.
    #[error("DPoP proof: {0}")]
    Token(#[from] JwtError),
    /// Its header says that it is something else.
    #[error("DPoP proof: its \"typ\" must be dpop+jwt")]
    Type,
    /// The key in its header is no public key.
    #[error("DPoP proof: {0}")]
    Key(#[from] JwkError),
    /// It is longer than any honest one.
    #[error("DPoP proof: its {0:?} is too long")]
    TooLong(&'static str),
    /// It is for another HTTP method.
    #[error("DPoP proof: \"htm\" is not the method of this request")]
    Method,
    /// It is for another address.
    #[error("DPoP proof: \"htu\" is not the address of this request")]
    Address,
    /// Made too long ago, or in the future.
    #[error("DPoP proof: \"iat\" is too far from this server's time")]
    Time,
    /// It is for another access token, or for none.
    #[error("DPoP proof: \"ath\" is not the digest of this access token")]
    Access,
}

impl DpopError {
    /// Always [`ErrorKind::Denied`].
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Denied
    }
}

/// A proof whose signature is right. What it says may still be about another request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Its own name, which no other proof of this key should have.
    pub jti: String,
    /// The HTTP method.
    pub htm: String,
    /// The address, as it is written.
    pub htu: String,
    /// When it was made, seconds since 1970.
    pub iat: u64,
    /// What the server gave out before.
    pub nonce: Option<String>,
    /// Digest of the access token that it is for.
    pub ath: Option<String>,
    /// Thumbprint of the key.
    pub jkt: String,
}

/// What the request is that a proof should be for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'r> {
    /// Its method, upper case.
    pub htm: &'r str,
    /// Its address as the caller knows it; query and fragment do not count.
    pub htu: &'r str,
    /// The access token that came with it, if one did.
    pub token: Option<&'r str>,
    /// Seconds since 1970.
    pub now: u64,
    /// How many seconds `iat` may differ from that, both ways.
    pub max_age: u64,
}

/// `ath` of an access token (RFC 9449, 4.2).
#[must_use]
pub fn ath(token: &str) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(token.as_bytes()))
}

impl Proof {
    /// Reads a proof and checks its signature with the key in its header.
    ///
    /// # Errors
    /// See [`DpopError`].
    pub fn parse(text: &str) -> Result<Self, DpopError> {
        let (token, key) = Unverified::parse_with_key(text, &[Algorithm::Es256, Algorithm::Es256k])?;
        if token.typ().as_deref() != Some("dpop+jwt") {
            return Err(DpopError::Type);
        }
        let key = Jwk::parse(&key)?;
        let claims = token.verify_key(key.public_key())?.0;
        let jti = claims.need("jti")?.to_owned();
        let nonce = claims.text("nonce")?.map(str::to_owned);
        if jti.len() > MAX_JTI {
            return Err(DpopError::TooLong("jti"));
        }
        if nonce.as_ref().is_some_and(|nonce| nonce.len() > MAX_NONCE) {
            return Err(DpopError::TooLong("nonce"));
        }
        Ok(Self {
            jti,
            htm: claims.need("htm")?.to_owned(),
            htu: claims.need("htu")?.to_owned(),
            iat: claims.seconds("iat")?.ok_or(JwtError::Claim("iat"))?,
            nonce,
            ath: claims.text("ath")?.map(str::to_owned),
            jkt: key.thumbprint(),
        })
    }

    /// Whether it is for this request (RFC 9449, 4.3, points 8, 9, 11 and 12).
    ///
    /// # Errors
    /// It is for another one.
    pub fn check(&self, expected: &Expected<'_>) -> Result<(), DpopError> {
        if self.htm != expected.htm {
            return Err(DpopError::Method);
        }
        match (address(&self.htu), address(expected.htu)) {
            (Some(said), Some(asked)) if said == asked => {}
            _ => return Err(DpopError::Address),
        }
        if self.iat.abs_diff(expected.now) > expected.max_age {
            return Err(DpopError::Time);
        }
        match (expected.token, &self.ath) {
            (None, _) => Ok(()),
            (Some(token), Some(said)) if ath(token) == *said => Ok(()),
            (Some(_), _) => Err(DpopError::Access),
        }
    }
}

/// An address in its one form: scheme and host in lower case, no default port, at least a slash as path, no query and no
/// fragment (RFC 3986, 6.2.2 and 6.2.3). `None` for what is none, and for names and passwords in it.
fn address(text: &str) -> Option<String> {
    if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
        return None;
    }
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let (scheme, rest) = text.get(..end)?.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let (host, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len()))?;
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix(port).unwrap_or(&host);
    if host.is_empty() || host.contains('@') {
        return None;
    }
    let path = if path.is_empty() { "/" } else { path };
    Some(format!("{scheme}://{host}{path}"))
}

/// What a proof is made from.
#[derive(Debug, Clone, Copy)]
pub struct Make<'r> {
    /// The method, upper case.
    pub htm: &'r str,
    /// The address; query and fragment are left out.
    pub htu: &'r str,
    /// The server's nonce, if it gave one.
    pub nonce: Option<&'r str>,
    /// The access token that goes with it, if one does.
    pub token: Option<&'r str>,
    /// A name that no other proof has.
    pub jti: &'r str,
    /// Now, seconds since 1970.
    pub iat: u64,
}

/// Makes a proof.
///
/// # Errors
/// The signer refuses.
pub fn prove(key: &dyn Signer, make: &Make<'_>) -> Result<String, SignError> {
    let htu = make.htu.split(['?', '#']).next().unwrap_or_default();
    let mut claims = Map::new();
    claims.insert("jti".to_owned(), make.jti.into());
    claims.insert("htm".to_owned(), make.htm.into());
    claims.insert("htu".to_owned(), htu.into());
    claims.insert("iat".to_owned(), make.iat.into());
    if let Some(nonce) = make.nonce {
        claims.insert("nonce".to_owned(), nonce.into());
    }
    if let Some(token) = make.token {
        claims.insert("ath".to_owned(), ath(token).into());
    }
    let mut header = Map::new();
    header.insert("typ".to_owned(), Value::from("dpop+jwt"));
    header.insert("jwk".to_owned(), Jwk::from_public(key.public_key()).to_bare_json());
    jwt::sign_with_header(key, header, &claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Curve, PrivateKey};
    use serde_json::json;

    /// RFC 9449, 4.1, figure 2.
    const EXAMPLE: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

    fn key(curve: Curve) -> PrivateKey {
        PrivateKey::from_entropy(curve, [5; 32])
    }

    #[test]
    fn the_example_of_rfc_9449() {
        let proof = Proof::parse(EXAMPLE).unwrap();
        assert_eq!(proof.jti, "-BwC3ESc6acc2lTc");
        assert_eq!(proof.jkt, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        let expected = Expected {
            htm: "POST",
            htu: "https://server.example.com/token",
            token: None,
            now: 1_562_262_616,
            max_age: 60,
        };
        assert_eq!(proof.check(&expected), Ok(()));
        for now in [expected.now - 61, expected.now + 61] {
            assert_eq!(proof.check(&Expected { now, ..expected }), Err(DpopError::Time));
        }
        assert_eq!(proof.check(&Expected { htm: "GET", ..expected }), Err(DpopError::Method));
        assert_eq!(proof.check(&Expected { token: Some("x"), ..expected }), Err(DpopError::Access));
        // RFC 9449, 7.1: the digest of the example's token.
        let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
        assert_eq!(ath(token), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    }

    #[test]
    fn what_is_made_is_read() {
        for curve in [Curve::P256, Curve::K256] {
            let key = key(curve);
            let make = Make {
                htm: "GET",
                htu: "https://pds.example/xrpc/a.b.c?x=1#y",
                nonce: Some("n"),
                token: Some("t"),
                jti: "1",
                iat: 1_700_000_000,
            };
            let proof = Proof::parse(&prove(&key, &make).unwrap()).unwrap();
            assert_eq!(proof.htu, "https://pds.example/xrpc/a.b.c");
            assert_eq!(proof.nonce.as_deref(), Some("n"));
            let expected = Expected {
                htm: "GET",
                htu: "https://pds.example/xrpc/a.b.c?x=2",
                token: Some("t"),
                now: 1_700_000_000,
                max_age: 0,
            };
            assert_eq!(proof.check(&expected), Ok(()));
        }
    }

    #[test]
    fn addresses_in_their_one_form() {
        let same = |a: &str, b: &str| address(a).is_some() && address(a) == address(b);
        assert!(same("HTTPS://PDS.example:443", "https://pds.example/"));
        assert!(same("http://a.example:80/x?y", "http://a.example/x#z"));
        assert!(!same("https://a.example/x", "https://a.example/X"));
        assert!(!same("https://a.example/x", "http://a.example/x"));
        assert!(!same("https://a.example/x", "https://a.example/x/"));
        assert!(!same("https://a.example:444/", "https://a.example/"));
        for bad in [
            "",
            "a.example/x",
            "ftp://a.example/",
            "https://",
            "https:///x",
            "https://u@a.example/",
            "https://a.example\\x",
        ] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }

    /// A proof with another header or other claims, rightly signed.
    fn forged(header: &[(&str, Value)], claims: &[(&str, Value)]) -> Result<Proof, DpopError> {
        let key = key(Curve::P256);
        let mut head = Map::new();
        head.insert("typ".to_owned(), json!("dpop+jwt"));
        head.insert("jwk".to_owned(), Jwk::from_public(key.public_key()).to_bare_json());
        let mut body = Map::new();
        for (name, value) in [
            ("jti", json!("1")),
            ("htm", json!("GET")),
            ("htu", json!("https://a.example/")),
            ("iat", json!(1_700_000_000)),
        ] {
            body.insert(name.to_owned(), value);
        }
        for (map, changes) in [(&mut head, header), (&mut body, claims)] {
            for (name, value) in changes {
                map.insert((*name).to_owned(), value.clone());
                if value.is_null() {
                    map.remove(*name);
                }
            }
        }
        Proof::parse(&jwt::sign_with_header(&key, head, &body).unwrap())
    }

    #[test]
    fn what_is_no_proof() {
        assert!(forged(&[], &[]).is_ok());
        for typ in [json!(null), json!("jwt"), json!("at+jwt")] {
            assert_eq!(forged(&[("typ", typ)], &[]), Err(DpopError::Type));
        }
        let mut own = Jwk::from_public(key(Curve::P256).public_key()).to_bare_json();
        own["d"] = json!("AA");
        assert_eq!(forged(&[("jwk", own)], &[]), Err(DpopError::Key(JwkError::Private)));
        assert_eq!(forged(&[("jwk", json!(null))], &[]), Err(DpopError::Token(JwtError::Claim("jwk"))));
        let other = Jwk::from_public(PrivateKey::from_entropy(Curve::P256, [6; 32]).public_key());
        assert_eq!(forged(&[("jwk", other.to_bare_json())], &[]), Err(DpopError::Token(JwtError::Signature)));
        let other = Jwk::from_public(key(Curve::K256).public_key());
        assert_eq!(forged(&[("jwk", other.to_bare_json())], &[]), Err(DpopError::Token(JwtError::Algorithm)));
        for name in ["crit", "b64", "jku", "x5c"] {
            assert_eq!(forged(&[(name, json!("x"))], &[]), Err(DpopError::Token(JwtError::Extension)));
        }
        for name in ["jti", "htm", "htu", "iat"] {
            for value in [json!(null), json!(""), json!(true)] {
                assert!(matches!(forged(&[], &[(name, value)]), Err(DpopError::Token(JwtError::Claim(_)))));
            }
        }
        assert_eq!(forged(&[], &[("jti", json!("a".repeat(257)))]), Err(DpopError::TooLong("jti")));
        assert_eq!(forged(&[], &[("nonce", json!("a".repeat(257)))]), Err(DpopError::TooLong("nonce")));
        let mut claims = Map::new();
        claims.insert("iat".to_owned(), json!(1));
        let hs = jwt::sign_secret(b"x", "dpop+jwt", &claims).unwrap();
        assert_eq!(Proof::parse(&hs), Err(DpopError::Token(JwtError::Algorithm)));
    }
}
