//! Sealing: XChaCha20-Poly1305, a random nonce of 24 bytes, and what the secret is for as associated data, so that a row
//! moved to another account opens nothing.
//!
//! A private key: `version (1) || curve (1) || nonce (24) || ciphertext (32) || tag (16)`. Any other secret: `version (1) ||
//! nonce (24) || ciphertext || tag (16)`.

use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use p2pds_crypto::{Curve, PrivateKey};
use p2pds_syntax::ErrorKind;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;

/// Length of a sealed key, bytes.
pub const SEALED_MAX: usize = 2 + NONCE + 32 + TAG;

/// A signing key that cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// The system has no entropy.
    #[error("the system gives no random numbers: {0}")]
    Entropy(String),
    /// Not a sealed key, or of a later version.
    #[error("the stored signing key is damaged: {problem}; restore the database from a backup")]
    Damaged {
        /// What is wrong.
        problem: &'static str,
    },
    /// Another `node.key`, another account, or flipped bits.
    #[error(
        "the stored signing key cannot be opened with {}: it was wrapped by another node.key or for another account. \
         Put the node.key back that belongs to this database (a backup made with keys has it); without it the account \
         needs a new signing key: `p2pds account rotate-key`",
        file.display()
    )]
    WrongKey {
        /// The file that was used.
        file: PathBuf,
    },
}

impl WrapError {
    /// The kind that reporting goes by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Entropy(_) => ErrorKind::Unavailable,
            Self::Damaged { .. } | Self::WrongKey { .. } => ErrorKind::Corrupt,
        }
    }
}

/// Seals a key for one purpose.
pub(super) fn seal(with: &[u8; 32], key: &PrivateKey, purpose: &[u8]) -> Result<Vec<u8>, WrapError> {
    close(with, &[VERSION, curve_code(key.curve())], key.to_secret_bytes().as_slice(), purpose)
}

/// Seals any other secret for one purpose.
pub(super) fn seal_secret(with: &[u8; 32], secret: &[u8], purpose: &[u8]) -> Result<Vec<u8>, WrapError> {
    close(with, &[VERSION], secret, purpose)
}

/// `head || nonce || ciphertext || tag`, all of it and the purpose under the tag.
fn close(with: &[u8; 32], head: &[u8], secret: &[u8], purpose: &[u8]) -> Result<Vec<u8>, WrapError> {
    let mut nonce = [0_u8; NONCE];
    getrandom::fill(&mut nonce).map_err(|e| WrapError::Entropy(e.to_string()))?;
    let mut secret = Zeroizing::new(secret.to_vec());
    let tag = XChaCha20Poly1305::new(with.into())
        .encrypt_inout_detached(&XNonce::from(nonce), &[head, purpose].concat(), secret.as_mut_slice().into())
        .map_err(|_| WrapError::Entropy("the cipher refused a secret".to_owned()))?;
    Ok([head, &nonce, secret.as_slice(), tag.as_slice()].concat())
}

/// Opens what [`seal_secret`] made for the same purpose.
pub(super) fn open_secret(with: &[u8; 32], sealed: &[u8], purpose: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (head, rest) = sealed.split_first_chunk::<1>().filter(|(head, _)| head[0] == VERSION)?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE>()?;
    let (secret, tag) = rest.split_last_chunk::<TAG>()?;
    let mut secret = Zeroizing::new(secret.to_vec());
    XChaCha20Poly1305::new(with.into())
        .decrypt_inout_detached(
            &XNonce::from(*nonce),
            &[head.as_slice(), purpose].concat(),
            secret.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .ok()?;
    Some(secret)
}

/// Opens what [`seal`] made for the same purpose.
pub(super) fn open(
    with: &[u8; 32],
    sealed: &[u8],
    purpose: &[u8],
    file: &Path,
) -> Result<PrivateKey, WrapError> {
    let damaged = |problem| WrapError::Damaged { problem };
    let short = || damaged("it has another length than sealed keys have");
    let (head, rest) = sealed.split_first_chunk::<2>().ok_or_else(short)?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or_else(short)?;
    let (secret, rest) = rest.split_first_chunk::<32>().ok_or_else(short)?;
    let tag = <&[u8; TAG]>::try_from(rest).map_err(|_| short())?;
    if head[0] != VERSION {
        return Err(damaged("it was sealed by a later version of this program"));
    }
    let curve = curve_of(head[1]).ok_or_else(|| damaged("it is of an unknown curve"))?;
    let mut secret = Zeroizing::new(*secret);
    XChaCha20Poly1305::new(with.into())
        .decrypt_inout_detached(
            &XNonce::from(*nonce),
            &[head.as_slice(), purpose].concat(),
            secret.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .map_err(|_| WrapError::WrongKey { file: file.to_owned() })?;
    PrivateKey::from_bytes(curve, &secret).map_err(|_| damaged("it is no number that can be a key"))
}

fn curve_code(curve: Curve) -> u8 {
    match curve {
        Curve::K256 => 0,
        Curve::P256 => 1,
    }
}

fn curve_of(code: u8) -> Option<Curve> {
    match code {
        0 => Some(Curve::K256),
        1 => Some(Curve::P256),
        _ => None,
    }
}
