//! JSON Web Tokens in the compact form, read strictly.
//!
//! The caller says which algorithms it accepts; the token never chooses. What is read here is refused when two readers
//! could disagree about it: padding or foreign characters in base64url, keys that stand twice, times that are no
//! integers, critical extensions, nested or detached forms. Nothing is believed before a `verify_…` said so, and what
//! comes out of it is [`Verified`].
//!
//! Not checked here: audience, issuer, method, replay. Those are the caller's, for only he knows what to expect.
//!
//! Spec: RFC 7515 (JWS), RFC 7519 (JWT), RFC 8812 (ES256K), <https://atproto.com/specs/xrpc#inter-service-authentication-jwt>.

mod claims;
mod error;
mod sign;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use p2pds_syntax::json;
use serde_json::Value;
use sha2::Sha256;

use crate::{Curve, PublicKey};

pub use claims::Claims;
pub use error::JwtError;
pub(crate) use sign::sign_with_header;
pub use sign::{sign, sign_secret};

/// Longest token that is read.
pub const MAX_TOKEN: usize = 8 * 1024;

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256: whoever can check it can make it.
    Hs256,
    /// ECDSA on K-256.
    Es256k,
    /// ECDSA on P-256.
    Es256,
}

impl Algorithm {
    /// Its name in a header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Es256k => "ES256K",
            Self::Es256 => "ES256",
        }
    }

    /// The algorithm of a key on this curve.
    #[must_use]
    pub const fn of(curve: Curve) -> Self {
        match curve {
            Curve::K256 => Self::Es256k,
            Curve::P256 => Self::Es256,
        }
    }
}

/// A token that was taken apart. Nobody has vouched for it yet: what it says is good for finding the key, no more.
#[derive(Clone)]
pub struct Unverified<'t> {
    algorithm: Algorithm,
    typ: Option<String>,
    kid: Option<String>,
    claims: Claims,
    signed: &'t str,
    signature: Vec<u8>,
}

/// Claims whose signature was checked.
#[derive(Debug, Clone)]
pub struct Verified(pub Claims);

impl std::fmt::Debug for Unverified<'_> {
    /// Without the claims: they may be a secret's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unverified").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl<'t> Unverified<'t> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// Not a compact token in its one form, or of an algorithm that is not among `accepted`.
    pub fn parse(token: &'t str, accepted: &[Algorithm]) -> Result<Self, JwtError> {
        Self::read(token, accepted, None).map(|(token, _)| token)
    }

    /// Takes a token apart that brings its key: only proofs of possession do.
    ///
    /// # Errors
    /// As [`Unverified::parse`], or without a `jwk`.
    pub(crate) fn parse_with_key(token: &'t str, accepted: &[Algorithm]) -> Result<(Self, Value), JwtError> {
        let (token, key) = Self::read(token, accepted, Some("jwk"))?;
        Ok((token, key.ok_or(JwtError::Claim("jwk"))?))
    }

    /// `takes`: the field of the header that is taken, though it is among the refused ones.
    fn read(
        token: &'t str,
        accepted: &[Algorithm],
        takes: Option<&str>,
    ) -> Result<(Self, Option<Value>), JwtError> {
        if token.len() > MAX_TOKEN {
            return Err(JwtError::TooLong(token.len()));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(JwtError::Form)?;
        if payload.contains('.') {
            return Err(JwtError::Form);
        }
        let mut header = claims::object(&part(header, "header")?, "header")?;
        let algorithm = algorithm(&header, accepted)?;
        let taken = takes.and_then(|name| header.remove(name));
        if header.keys().any(|name| REFUSED.contains(&name.as_str())) {
            return Err(JwtError::Extension);
        }
        let mut text = |name: &'static str| match header.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(JwtError::Claim(name)),
        };
        let (typ, kid) = (text("typ")?, text("kid")?);
        let claims = Claims::read(&part(payload, "payload")?)?;
        let signature = part(signature, "signature")?;
        Ok((Self { algorithm, typ, kid, claims, signed, signature }, taken))
    }

    /// The algorithm that it names, which is one of the accepted.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The `typ` of its header, lower case and without `application/`.
    #[must_use]
    pub fn typ(&self) -> Option<String> {
        let typ = self.typ.as_deref()?.to_ascii_lowercase();
        Some(typ.strip_prefix("application/").unwrap_or(&typ).to_owned())
    }

    /// The `kid` of its header.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The text that is signed: header and payload, encoded.
    #[must_use]
    pub fn signed(&self) -> &'t str {
        self.signed
    }

    /// What it claims, unproven: good for finding the key that should prove it.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Checks it with the secret that signed it, in constant time.
    ///
    /// # Errors
    /// It is not HS256, or signed with another secret.
    pub fn verify_secret(self, secret: &[u8]) -> Result<Verified, JwtError> {
        if self.algorithm != Algorithm::Hs256 {
            return Err(JwtError::Algorithm);
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| JwtError::Signature)?;
        mac.update(self.signed.as_bytes());
        mac.verify_slice(&self.signature).map_err(|_| JwtError::Signature)?;
        Ok(Verified(self.claims))
    }

    /// Checks it with a public key. The curve of the key decides the algorithm, and the token must agree.
    ///
    /// High-S signatures are taken, as the reference takes them in tokens (nowhere else): a changed form of the same
    /// signature is the same claims. Whoever remembers tokens must remember their `jti`, not their bytes.
    ///
    /// # Errors
    /// Of another algorithm, or not signed with this key.
    pub fn verify_key(&self, key: &PublicKey) -> Result<Verified, JwtError> {
        if self.algorithm != Algorithm::of(key.curve()) {
            return Err(JwtError::Algorithm);
        }
        key.verify_malleable(self.signed.as_bytes(), &self.signature).map_err(|_| JwtError::Signature)?;
        Ok(Verified(self.claims.clone()))
    }
}

/// Header fields that bring keys, or change what the rest means.
const REFUSED: [&str; 10] = ["crit", "b64", "zip", "enc", "cty", "jku", "jwk", "x5u", "x5c", "x5t"];

fn algorithm(header: &serde_json::Map<String, Value>, accepted: &[Algorithm]) -> Result<Algorithm, JwtError> {
    let name = header.get("alg").and_then(Value::as_str).ok_or(JwtError::Claim("alg"))?;
    // Names are compared as they are written: "none", "NONE" and "hs256" are none of them.
    accepted.iter().copied().find(|known| known.name() == name).ok_or(JwtError::Algorithm)
}

/// Bytes of one part. The decoder refuses padding, foreign characters and trailing bits that are not zero.
fn part(text: &str, name: &'static str) -> Result<Vec<u8>, JwtError> {
    if text.is_empty() {
        return Err(JwtError::Form);
    }
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| JwtError::Encoding(name))
}

fn read_json(bytes: &[u8], name: &'static str) -> Result<Value, JwtError> {
    json::parse(bytes).map_err(|_| JwtError::Json(name))
}
