//! Proof Key for Code Exchange: whoever redeems a code proves that it asked for it.
//!
//! Only the method `S256` is known here. `plain` protects nobody, and the atproto profile forbids it.
//!
//! Spec: RFC 7636.

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};

/// The challenge of a verifier: base64url of its SHA-256 (RFC 7636, 4.2).
#[must_use]
pub fn challenge_s256(verifier: &str) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(verifier.as_bytes()))
}

/// Whether this text may be a verifier: 43 to 128 unreserved characters (RFC 7636, 4.1).
#[must_use]
pub fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// Whether this text may be the challenge of the method `S256`: base64url of 32 bytes in its one form.
#[must_use]
pub fn is_challenge(text: &str) -> bool {
    BASE64URL_NOPAD.decode(text.as_bytes()).is_ok_and(|bytes| bytes.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7636_appendix_b() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(is_verifier(verifier));
        assert_eq!(challenge_s256(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(is_challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
    }

    #[test]
    fn what_is_no_verifier_and_no_challenge() {
        let a = |length| "a".repeat(length);
        assert!(is_verifier(&a(43)) && is_verifier(&a(128)));
        for bad in [String::new(), a(42), a(129), format!("{}+", a(43)), format!("{}é", a(43))] {
            assert!(!is_verifier(&bad), "{bad}");
        }
        let good = challenge_s256(&a(43));
        // The last character holds four bits; the other two must be zero.
        let unclean = format!("{}B", good.get(..42).unwrap());
        for bad in [String::new(), format!("{good}="), good.get(..42).unwrap().to_owned(), unclean, a(128)] {
            assert!(!is_challenge(&bad), "{bad}");
        }
    }
}
