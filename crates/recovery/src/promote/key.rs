//! The rotation key that the user holds: read, used once, gone. It is never written, logged or put into the journal.

use std::fmt;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use p2pds_crypto::{Curve, PrivateKey, Signer as _};
use zeroize::Zeroizing;

/// A rotation key as somebody gave it. A hexadecimal one does not say its curve, so there may be two candidates; which
/// one is meant shows in the log.
pub struct RotationKey(Vec<PrivateKey>);

/// Why a text is no key. It shows nothing of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no private key that can be used: {0}. A rotation key is 64 hexadecimal digits, a multibase text that begins \
     with z (`goat key generate` prints one), or a JWK with the field \"d\""
)]
pub struct NoKey(String);

impl fmt::Debug for RotationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<rotation key>")
    }
}

impl RotationKey {
    /// Reads it from text: hexadecimal, multibase, or JWK; K-256 or P-256.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn read(text: &str) -> Result<Self, NoKey> {
        let text = text.trim();
        let text = text.strip_prefix("0x").unwrap_or(text);
        if text.starts_with("did:key:") {
            return Err(NoKey("it is the public half".to_owned()));
        }
        if text.starts_with('{') {
            return jwk(text);
        }
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let mut secret = Zeroizing::new([0_u8; 32]);
            HEXLOWER_PERMISSIVE
                .decode_mut(text.as_bytes(), secret.as_mut_slice())
                .map_err(|_| NoKey("it has characters that are no hexadecimal digits".to_owned()))?;
            let keys = [Curve::K256, Curve::P256]
                .into_iter()
                .filter_map(|curve| PrivateKey::from_bytes(curve, &secret).ok());
            return some(keys.collect());
        }
        match PrivateKey::from_multibase(text) {
            Ok(key) => Ok(Self(vec![key])),
            Err(error) if text.starts_with('z') => Err(NoKey(error.to_string())),
            Err(_) => Err(NoKey(format!("it has {} characters", text.chars().count()))),
        }
    }

    /// A key that was made here, for drills.
    pub(crate) fn of(key: PrivateKey) -> Self {
        Self(vec![key])
    }

    /// Its public halves as did:key.
    #[must_use]
    pub fn did_keys(&self) -> Vec<String> {
        self.0.iter().map(|key| key.public_key().to_did_key()).collect()
    }

    /// The candidate whose public half is among these keys, and its place.
    pub(crate) fn among<'a>(&'a self, keys: &[String]) -> Option<(usize, &'a PrivateKey)> {
        let places = self.0.iter().filter_map(|key| {
            let name = key.public_key().to_did_key();
            Some((keys.iter().position(|listed| *listed == name)?, key))
        });
        places.min_by_key(|(place, _)| *place)
    }
}

fn some(keys: Vec<PrivateKey>) -> Result<RotationKey, NoKey> {
    if keys.is_empty() {
        return Err(NoKey("the number is none that can be a key".to_owned()));
    }
    Ok(RotationKey(keys))
}

fn jwk(text: &str) -> Result<RotationKey, NoKey> {
    #[derive(serde::Deserialize)]
    struct Jwk {
        crv: String,
        d: Option<String>,
    }
    let jwk: Jwk = serde_json::from_str(text).map_err(|_| NoKey("the JSON is no key".to_owned()))?;
    let curve = match jwk.crv.as_str() {
        "secp256k1" => Curve::K256,
        "P-256" => Curve::P256,
        _ => return Err(NoKey("its curve is neither secp256k1 nor P-256".to_owned())),
    };
    let text = Zeroizing::new(jwk.d.ok_or_else(|| NoKey("it is the public half".to_owned()))?);
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| NoKey("its \"d\" is not base64url".to_owned()))?;
    let secret = <&[u8; 32]>::try_from(bytes.as_slice())
        .map_err(|_| NoKey("its \"d\" has not 32 bytes".to_owned()))?;
    let key = PrivateKey::from_bytes(curve, secret).map_err(|error| NoKey(error.to_string()))?;
    Ok(RotationKey(vec![key]))
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn every_form_of_a_key_is_the_same_key() {
        for curve in [Curve::K256, Curve::P256] {
            let key = PrivateKey::from_entropy(curve, [7; 32]);
            let name = key.public_key().to_did_key();
            let secret = key.to_secret_bytes();
            let hex = HEXLOWER.encode(&*secret);
            let crv = if curve == Curve::K256 { "secp256k1" } else { "P-256" };
            let jwk = format!(r#"{{"kty":"EC","crv":"{crv}","d":"{}"}}"#, BASE64URL_NOPAD.encode(&*secret));
            for text in [hex.clone(), format!("0x{}\n", hex.to_uppercase()), jwk] {
                let read = RotationKey::read(&text).unwrap();
                let (place, found) = read.among(&["did:key:zother".to_owned(), name.clone()]).unwrap();
                assert_eq!((place, found.public_key()), (1, key.public_key()), "{text}");
                assert!(read.among(&["did:key:zother".to_owned()]).is_none());
            }
        }
    }

    #[test]
    fn what_is_no_key_is_said_and_not_shown() {
        for text in [
            "",
            "hunter22",
            "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
            "zzzz",
            "{}",
            "0",
            &"0".repeat(64),
        ] {
            let error = RotationKey::read(text).unwrap_err().to_string();
            assert!(text.len() < 5 || !error.contains(text), "{error}");
        }
        assert_eq!(format!("{:?}", RotationKey::read(&"11".repeat(32)).unwrap()), "<rotation key>");
    }
}
