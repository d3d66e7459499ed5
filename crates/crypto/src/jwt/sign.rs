//! Making tokens.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::{Algorithm, JwtError};
use crate::{SignError, Signer};

/// A token that a key signs: ES256K or ES256, as its curve wants.
///
/// # Errors
/// The signer refuses.
pub fn sign(
    signer: &dyn Signer,
    typ: &str,
    kid: Option<&str>,
    claims: &Map<String, Value>,
) -> Result<String, SignError> {
    let algorithm = Algorithm::of(signer.public_key().curve());
    let signed = unsigned(algorithm, typ, kid, claims);
    let signature = signer.sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature)))
}

/// A token with a header of its own, to which the algorithm is added.
///
/// # Errors
/// The signer refuses.
pub(crate) fn sign_with_header(
    signer: &dyn Signer,
    mut header: Map<String, Value>,
    claims: &Map<String, Value>,
) -> Result<String, SignError> {
    let algorithm = Algorithm::of(signer.public_key().curve());
    header.insert("alg".to_owned(), algorithm.name().into());
    let part =
        |map: &Map<String, Value>| BASE64URL_NOPAD.encode(Value::Object(map.clone()).to_string().as_bytes());
    let signed = format!("{}.{}", part(&header), part(claims));
    let signature = signer.sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature)))
}

/// A token that a secret signs: HS256.
///
/// # Errors
/// None at present: every secret can sign.
pub fn sign_secret(secret: &[u8], typ: &str, claims: &Map<String, Value>) -> Result<String, JwtError> {
    let signed = unsigned(Algorithm::Hs256, typ, None, claims);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| JwtError::Signature)?;
    mac.update(signed.as_bytes());
    Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(&mac.finalize().into_bytes())))
}

fn unsigned(algorithm: Algorithm, typ: &str, kid: Option<&str>, claims: &Map<String, Value>) -> String {
    let mut header = json!({ "typ": typ, "alg": algorithm.name() });
    if let (Some(kid), Some(header)) = (kid, header.as_object_mut()) {
        header.insert("kid".to_owned(), kid.into());
    }
    let payload = Value::Object(claims.clone());
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    format!("{}.{}", part(&header), part(&payload))
}
