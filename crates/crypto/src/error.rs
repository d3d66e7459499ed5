//! What can be wrong with keys and signatures. No message ever holds secret material.

use p2pds_syntax::ErrorKind;

use crate::Curve;

/// A key that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `did:key:z...`.
    #[error("a did:key must start with \"did:key:z\", this one starts with {start:?}")]
    NotDidKey {
        /// The first characters of what was found.
        start: String,
    },
    /// Not a multibase base58btc text (`z...`).
    #[error("a public key must be written in base58btc after a \"z\": {problem}")]
    Encoding {
        /// What is wrong with the text.
        problem: &'static str,
    },
    /// A key of a type that AT Protocol does not sign with, such as Ed25519.
    #[error("the key type with multicodec bytes {prefix:02x?} is neither K-256 nor P-256")]
    UnsupportedType {
        /// The first two bytes of the key.
        prefix: [u8; 2],
    },
    /// The bytes are no point of the curve, or not in compressed form.
    #[error("the bytes are not a compressed {curve} public key")]
    NotOnCurve {
        /// Which curve was expected.
        curve: Curve,
    },
    /// Secret bytes that are zero or not below the order of the curve.
    #[error("the bytes are not a {curve} private key")]
    NotASecret {
        /// Which curve was expected.
        curve: Curve,
    },
}

impl KeyError {
    /// Always [`ErrorKind::Invalid`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// A signature that does not prove anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not 64 bytes; DER-encoded signatures end here.
    #[error("a signature must have 64 bytes (r and s), this one has {0}")]
    Length(usize),
    /// r or s is zero or not below the order of the curve.
    #[error("the signature's numbers are outside of the {0} curve's range")]
    Range(Curve),
    /// Valid mathematics and the wrong one of two forms: anyone could make it from the right one.
    #[error("the signature is in high-S form, which AT Protocol forbids")]
    HighS,
    /// Well formed, and not made by this key over this message.
    #[error("the signature was not made by this {0} key over these bytes")]
    Mismatch(Curve),
}

impl SignatureError {
    /// Always [`ErrorKind::Invalid`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// A signer that could not sign: a key in hardware or behind a service that did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the signing key could not be used: {reason}")]
pub struct SignError {
    /// Why, in words for the operator.
    pub reason: String,
}

impl SignError {
    /// Always [`ErrorKind::Unavailable`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Unavailable
    }
}
