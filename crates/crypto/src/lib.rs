//! Keys and signatures of AT Protocol: K-256 and P-256.
//!
//! *Owns*: [`PublicKey`], [`PrivateKey`], the [`Signer`] trait, `did:key`, multibase and JSON text of keys ([`jwk`]),
//! tokens ([`jwt`]), proofs of possession ([`dpop`], [`pkce`]).
//! *Speaks*: bytes and text; 64-byte compact low-S ECDSA over SHA-256, and HMAC in tokens.
//! *Knows nothing about*: what is signed, where keys are kept, random sources (entropy is an argument).
//! *Start reading at*: [`PublicKey::verify`].
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

mod base58;
mod curve;
pub mod dpop;
mod error;
pub mod jwk;
pub mod jwt;
pub mod pkce;
mod private;
mod public;

pub use curve::Curve;
pub use error::{KeyError, SignError, SignatureError};
pub use private::{PrivateKey, Signer};
pub use public::{DidKey, PublicKey};

/// Length of a signature, in bytes: r and s, 32 bytes each, big endian.
pub const SIGNATURE_LEN: usize = 64;
