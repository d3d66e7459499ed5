//! Public keys of passkeys: COSE keys (RFC 9053) of the three algorithms that are asked for.

use data_encoding::BASE64URL_NOPAD;
use p2pds_crypto::jwk::Jwk;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::json;

use super::cbor::{self, Item};

/// The algorithms that are asked for, best first: ES256, `EdDSA`, RS256.
pub(in crate::accounts::factors) const ALGORITHMS: [i64; 3] = [-7, -8, -257];
/// Longest key that is kept, bytes.
const LONGEST: usize = 1_024;
/// Longest modulus, bytes: 4,096 bits.
const LONGEST_MODULUS: usize = 512;

/// A key that signatures can be checked with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    /// ES256: the point, uncompressed.
    Es256([u8; 65]),
    /// `EdDSA`, of which there is Ed25519 only.
    Ed25519(&'a [u8; 32]),
    /// RS256.
    Rs256 {
        /// Modulus.
        n: &'a [u8],
        /// Exponent.
        e: &'a [u8],
    },
}

impl<'a> Key<'a> {
    /// Reads a COSE key. Algorithm, type and curve have to agree, so that none can be taken for another.
    pub(super) fn read(cose: &'a [u8]) -> Option<Self> {
        if cose.len() > LONGEST {
            return None;
        }
        let key = cbor::whole(cose)?;
        let int = |name| key.int_key(name).and_then(Item::int);
        let bytes = |name| key.int_key(name).and_then(Item::bytes);
        match (int(1)?, int(3)?) {
            (2, -7) if int(-1) == Some(1) => {
                point(<&[u8; 32]>::try_from(bytes(-2)?).ok()?, <&[u8; 32]>::try_from(bytes(-3)?).ok()?)
            }
            (1, -8) if int(-1) == Some(6) => bytes(-2)?.try_into().ok().map(Self::Ed25519),
            (3, -257) => {
                let (n, e) = (bytes(-1)?, bytes(-2)?);
                let fits = (256..=LONGEST_MODULUS).contains(&n.len()) && (1..=8).contains(&e.len());
                fits.then_some(Self::Rs256 { n, e })
            }
            _ => None,
        }
    }

    /// Whether it made this signature over this message.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Es256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature).is_ok()
            }
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok(),
            Self::Rs256 { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
        }
    }
}

/// The point with these coordinates, if it is one of the curve: a passkey that can never sign would lock its owner out.
fn point<'a>(x: &[u8; 32], y: &[u8; 32]) -> Option<Key<'a>> {
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "x": BASE64URL_NOPAD.encode(x), "y": BASE64URL_NOPAD.encode(y)
    });
    Jwk::parse(&jwk).ok()?;
    [[4].as_slice(), x, y].concat().try_into().ok().map(Key::Es256)
}
