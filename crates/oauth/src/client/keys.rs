//! The keys that a confidential client publishes.

use p2pds_crypto::jwk::{Jwk, JwkError};
use serde_json::Value;

use crate::error::OAuthError;

/// Most keys of a client that are read.
const MOST: usize = 32;
/// Why a set without a key that can be used is refused: who publishes it withdrew those that there were.
pub(crate) const NONE: &str = "none is an elliptic key of P-256 or secp256k1 that is not revoked";

/// Reads a key set (RFC 7517 5). Keys of other kinds are passed over, and those that are marked as revoked (OpenID
/// Federation, Historical Keys Response). A set without any that can be used is refused, and so is one that shows a
/// private key.
pub(super) fn read(set: &Value) -> Result<Vec<Jwk>, OAuthError> {
    let refused = |why| Err(OAuthError::ClientKeys(why));
    let Some(listed) = set.get("keys").and_then(Value::as_array) else {
        return refused("a key set is an object with a list named \"keys\"");
    };
    if listed.len() > MOST {
        return refused("there are more than 32");
    }
    let mut keys: Vec<Jwk> = Vec::new();
    for value in listed {
        if value.get("revoked").is_some_and(|revoked| !revoked.is_null()) {
            continue;
        }
        match Jwk::parse(value) {
            Ok(key) => {
                let Some(kid) = key.kid() else { return refused("a key has no \"kid\"") };
                if keys.iter().any(|other| other.kid() == Some(kid)) {
                    return refused("two keys have the same \"kid\"");
                }
                keys.push(key);
            }
            Err(JwkError::Private) => return refused("it shows a private key, which everybody now has"),
            Err(_) => {}
        }
    }
    if keys.is_empty() {
        return refused(NONE);
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pds_crypto::{Curve, PrivateKey, Signer as _};
    use serde_json::json;

    #[test]
    fn sets() {
        let key = |n: u8, kid: &str| {
            Jwk::from_public(PrivateKey::from_entropy(Curve::P256, [n; 32]).public_key()).named(kid).to_json()
        };
        let rsa = json!({ "kty": "RSA", "kid": "r", "n": "AA", "e": "AQAB" });
        assert_eq!(read(&json!({ "keys": [key(1, "a"), rsa, key(2, "b")] })).unwrap().len(), 2);
        let mut revoked = key(1, "a");
        revoked["revoked"] = json!({ "revoked_at": 1 });
        let left = read(&json!({ "keys": [revoked, key(2, "b")] })).unwrap();
        assert_eq!(left.iter().map(Jwk::kid).collect::<Vec<_>>(), [Some("b")]);
        let mut private = key(1, "a");
        private["d"] = "AA".into();
        let mut unnamed = key(1, "a");
        unnamed.as_object_mut().unwrap().remove("kid");
        for bad in [
            json!([]),
            json!({}),
            json!({ "keys": {} }),
            json!({ "keys": [] }),
            json!({ "keys": [rsa] }),
            json!({ "keys": [revoked] }),
            json!({ "keys": [private, key(2, "b")] }),
            json!({ "keys": [unnamed] }),
            json!({ "keys": [key(1, "a"), key(2, "a")] }),
            json!({ "keys": (0..33).map(|n| key(n, &n.to_string())).collect::<Vec<_>>() }),
        ] {
            assert!(matches!(read(&bad), Err(OAuthError::ClientKeys(_))), "{bad}");
        }
    }
}
