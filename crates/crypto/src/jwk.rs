//! Public keys as JSON (JWK), read strictly.
//!
//! Elliptic keys on the two curves only. A key that brings its private half, or another algorithm than its curve's, is
//! refused: who sends such a thing does not know what he is doing, or does.
//!
//! Spec: RFC 7517, RFC 7518 6.2, RFC 7638 (thumbprints), RFC 8812 (secp256k1).

use data_encoding::BASE64URL_NOPAD;
use p2pds_syntax::ErrorKind;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::jwt::Algorithm;
use crate::{Curve, PublicKey};

/// Why a JSON value is no key that is taken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwkError {
    /// Not an object, or a member of the wrong type.
    #[error("the key's {0:?} is missing or of the wrong type")]
    Member(&'static str),
    /// Not an elliptic key on a curve that is known here.
    #[error("the key is neither of P-256 nor of secp256k1")]
    Kind,
    /// Its private half is there.
    #[error("the key brings its private half, which nobody but its owner may see")]
    Private,
    /// Its coordinates are no point of the curve.
    #[error("the key's coordinates are no point of its curve")]
    Point,
    /// It says that it is for something else.
    #[error("the key's {0:?} is for something else than signatures of its curve")]
    Use(&'static str),
}

impl JwkError {
    /// Always [`ErrorKind::Invalid`].
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// A public key with the name that its owner gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    key: PublicKey,
    kid: Option<String>,
}

/// Members that only private keys have (RFC 7518, 6.2.2, 6.3.2 and 6.4).
const PRIVATE: [&str; 8] = ["d", "k", "p", "q", "dp", "dq", "qi", "oth"];

const fn crv(curve: Curve) -> &'static str {
    match curve {
        Curve::K256 => "secp256k1",
        Curve::P256 => "P-256",
    }
}

impl Jwk {
    /// Reads a public key.
    ///
    /// # Errors
    /// See [`JwkError`].
    pub fn parse(value: &Value) -> Result<Self, JwkError> {
        let map = value.as_object().ok_or(JwkError::Member("key"))?;
        if PRIVATE.iter().any(|name| map.contains_key(*name)) {
            return Err(JwkError::Private);
        }
        if text(map, "kty")? != Some("EC") {
            return Err(JwkError::Kind);
        }
        let name = text(map, "crv")?.ok_or(JwkError::Member("crv"))?;
        let curve =
            [Curve::P256, Curve::K256].into_iter().find(|curve| crv(*curve) == name).ok_or(JwkError::Kind)?;
        if text(map, "alg")?.is_some_and(|alg| alg != curve.jwt_algorithm()) {
            return Err(JwkError::Use("alg"));
        }
        if text(map, "use")?.is_some_and(|usage| usage != "sig") {
            return Err(JwkError::Use("use"));
        }
        match map.get("key_ops") {
            None => {}
            Some(Value::Array(ops)) if ops.iter().any(|op| op == "verify") => {}
            Some(_) => return Err(JwkError::Use("key_ops")),
        }
        let mut point = vec![4];
        point.extend(coordinate(map, "x")?);
        point.extend(coordinate(map, "y")?);
        let key = PublicKey::from_sec1(curve, &point).map_err(|_| JwkError::Point)?;
        Ok(Self { key, kid: text(map, "kid")?.map(str::to_owned) })
    }

    /// A key without a name.
    #[must_use]
    pub const fn from_public(key: PublicKey) -> Self {
        Self { key, kid: None }
    }

    /// The same key with a name.
    #[must_use]
    pub fn named(self, kid: &str) -> Self {
        Self { kid: Some(kid.to_owned()), ..self }
    }

    /// The key itself.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// Its name.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithm that it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        Algorithm::of(self.key.curve())
    }

    fn coordinates(&self) -> (String, String) {
        let point = self.key.to_uncompressed();
        let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
        (BASE64URL_NOPAD.encode(x), BASE64URL_NOPAD.encode(y))
    }

    /// Its thumbprint (RFC 7638): base64url of the SHA-256 of its required members in their one form. Two keys have
    /// the same one if they are the same key, however they were written.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let (x, y) = self.coordinates();
        let crv = crv(self.key.curve());
        let text = format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#);
        BASE64URL_NOPAD.encode(&Sha256::digest(text.as_bytes()))
    }

    /// As JSON, with `alg`, `use` and the name it has: an entry of a published key set.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut value = self.to_bare_json();
        if let Some(map) = value.as_object_mut() {
            map.insert("alg".to_owned(), self.algorithm().name().into());
            map.insert("use".to_owned(), "sig".into());
            if let Some(kid) = &self.kid {
                map.insert("kid".to_owned(), kid.as_str().into());
            }
        }
        value
    }

    /// As JSON with nothing but the key: the `jwk` of a header.
    #[must_use]
    pub fn to_bare_json(&self) -> Value {
        let (x, y) = self.coordinates();
        json!({ "kty": "EC", "crv": crv(self.key.curve()), "x": x, "y": y })
    }
}

fn text<'v>(map: &'v Map<String, Value>, name: &'static str) -> Result<Option<&'v str>, JwkError> {
    match map.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JwkError::Member(name)),
    }
}

/// 32 bytes, big endian, with leading zeros (RFC 7518, 6.2.1.2).
fn coordinate(map: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, JwkError> {
    let text = text(map, name)?.ok_or(JwkError::Member(name))?;
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .ok()
        .filter(|bytes| bytes.len() == 32)
        .ok_or(JwkError::Member(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PrivateKey, Signer as _};

    /// RFC 9449, 4.1 and 6.1: the key of the examples and its thumbprint.
    fn example() -> Value {
        json!({
            "kty": "EC",
            "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
            "crv": "P-256",
        })
    }

    #[test]
    fn the_thumbprint_of_rfc_9449() {
        let key = Jwk::parse(&example()).unwrap();
        assert_eq!(key.thumbprint(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        assert_eq!(key.algorithm(), Algorithm::Es256);
    }

    #[test]
    fn both_curves_there_and_back() {
        for curve in [Curve::K256, Curve::P256] {
            for seed in 0..8 {
                let key = PrivateKey::from_entropy(curve, [seed; 32]).public_key();
                let jwk = Jwk::from_public(key.clone()).named("one");
                let again = Jwk::parse(&jwk.to_json()).unwrap();
                assert_eq!(again.public_key(), &key);
                assert_eq!(again, jwk);
                assert_eq!(Jwk::parse(&jwk.to_bare_json()).unwrap().thumbprint(), jwk.thumbprint());
            }
        }
    }

    #[test]
    fn what_is_no_key() {
        let with = |name: &str, value: Value| {
            let mut key = example();
            key[name] = value;
            Jwk::parse(&key)
        };
        for name in PRIVATE {
            assert_eq!(with(name, json!("AA")), Err(JwkError::Private), "{name}");
        }
        // RFC 7638, 3.1: the example's key is RSA.
        assert_eq!(with("kty", json!("RSA")), Err(JwkError::Kind));
        assert_eq!(with("kty", json!("oct")), Err(JwkError::Kind));
        assert_eq!(with("kty", json!(1)), Err(JwkError::Member("kty")));
        assert_eq!(with("crv", json!("P-384")), Err(JwkError::Kind));
        // The point of one curve is none of the other.
        assert_eq!(with("crv", json!("secp256k1")), Err(JwkError::Point));
        assert_eq!(with("alg", json!("ES256K")), Err(JwkError::Use("alg")));
        assert_eq!(with("alg", json!("none")), Err(JwkError::Use("alg")));
        assert_eq!(with("use", json!("enc")), Err(JwkError::Use("use")));
        assert_eq!(with("key_ops", json!(["sign"])), Err(JwkError::Use("key_ops")));
        assert_eq!(with("kid", json!(7)), Err(JwkError::Member("kid")));
        let x = "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs";
        for bad in [json!(""), json!(format!("{x}=")), json!(format!("AA{x}")), json!("AAAA"), json!(null)] {
            assert_eq!(with("x", bad), Err(JwkError::Member("x")));
        }
        assert_eq!(with("y", json!(x)), Err(JwkError::Point));
        assert_eq!(Jwk::parse(&json!([])), Err(JwkError::Member("key")));
    }
}
