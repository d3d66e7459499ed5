//! The two curves.

use std::fmt;

/// An elliptic curve that AT Protocol signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Curve {
    /// secp256k1, JWT algorithm `ES256K`; what most accounts use.
    K256,
    /// NIST P-256 (secp256r1), JWT algorithm `ES256`; what phones' secure hardware has.
    P256,
}

impl Curve {
    /// The multicodec prefix of compressed public keys, as a two-byte varint.
    pub(crate) const fn multicodec(self) -> [u8; 2] {
        match self {
            Self::K256 => [0xe7, 0x01],
            Self::P256 => [0x80, 0x24],
        }
    }

    /// The multicodec prefix of private keys, as a two-byte varint.
    pub(crate) const fn private_multicodec(self) -> [u8; 2] {
        match self {
            Self::K256 => [0x81, 0x26],
            Self::P256 => [0x86, 0x26],
        }
    }

    /// The `alg` value of a JSON Web Token signed on this curve.
    pub const fn jwt_algorithm(self) -> &'static str {
        match self {
            Self::K256 => "ES256K",
            Self::P256 => "ES256",
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::K256 => "K-256",
            Self::P256 => "P-256",
        })
    }
}
