//! Signatures of operations, in their only accepted text form.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use p2pds_crypto::SIGNATURE_LEN;

/// 64 bytes, written as base64url without padding and with zero trailing bits.
///
/// One signature has exactly one text; newlines, padding and DER are refused, because the text is part of what the CID
/// of an operation hashes and a second text would be a second operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; SIGNATURE_LEN]);

impl Signature {
    /// Wraps the bytes. Whether they are a low-S signature shows when they are verified.
    pub const fn from_bytes(bytes: [u8; SIGNATURE_LEN]) -> Self {
        Self(bytes)
    }

    /// Reads the text. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bytes = BASE64URL_NOPAD
            .decode(text.as_bytes())
            .map_err(|e| format!("the signature is not strict base64url without padding: {e}"))?;
        match <[u8; SIGNATURE_LEN]>::try_from(bytes.as_slice()) {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => Err(format!("the signature must have {SIGNATURE_LEN} bytes, it has {}", bytes.len())),
        }
    }

    /// r and s, 32 bytes each.
    pub const fn as_bytes(&self) -> &[u8; SIGNATURE_LEN] {
        &self.0
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}
