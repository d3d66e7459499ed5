//! The signature of a webhook: HMAC-SHA-256 over the time and the body, as widely used services do it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Header that carries the signature.
pub const HEADER: &str = "p2pds-signature";

/// `t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA-256 of `SECONDS.BODY` with the shared secret as key. A receiver
/// computes the same and refuses old times.
#[must_use]
pub fn signature(secret: &str, seconds: i64, body: &[u8]) -> String {
    // A key of any length is one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf '1795000000.{"a":1}' | openssl dgst -sha256 -hmac secret`
    #[test]
    fn as_openssl_computes_it() {
        assert_eq!(
            signature("secret", 1_795_000_000, br#"{"a":1}"#),
            "t=1795000000,v1=f9e0bd0d1a561fbfdabec6356500586e2c72d7d797314b41b8380761868d6c25"
        );
        assert_ne!(signature("other", 1, b"x"), signature("secret", 1, b"x"));
    }
}
