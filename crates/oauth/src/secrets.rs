//! Random texts that open something, and what is kept of them.

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::OAuthError;

/// What a secret is for: digests of one kind are never those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Code,
    Refresh,
    Device,
    Challenge,
}

impl Kind {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Request => b"p2pds oauth request\0",
            Self::Code => b"p2pds oauth code\0",
            Self::Refresh => b"p2pds oauth refresh token\0",
            Self::Device => b"p2pds oauth device\0",
            Self::Challenge => b"p2pds oauth challenge\0",
        }
    }
}

/// What the store keeps of a secret.
pub(crate) fn digest(kind: Kind, text: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(kind.label());
    hash.update(text.as_bytes());
    hash.finalize().into()
}

/// So many random bytes, as base64url.
pub(crate) fn random(bytes: usize) -> Result<Zeroizing<String>, OAuthError> {
    let mut raw = Zeroizing::new(vec![0_u8; bytes]);
    getrandom::fill(&mut raw)?;
    Ok(Zeroizing::new(BASE64URL_NOPAD.encode(&raw)))
}
