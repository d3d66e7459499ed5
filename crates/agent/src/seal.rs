//! Sealing tokens and keys for the store: XChaCha20-Poly1305 under a key that lies outside of the database, a random nonce
//! of 24 bytes, and the account as associated data, so that a row moved to another account opens nothing.
//!
//! `version (1) || nonce (24) || ciphertext || tag (16)`

use std::sync::OnceLock;

use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use p2pds_syntax::{Did, ErrorKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;

/// What cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The system has no entropy.
    #[error("the system gives no random numbers: {0}")]
    Entropy(String),
    /// The key that seals cannot be had.
    #[error("the key that sessions are sealed with cannot be had: {0}")]
    Key(String),
    /// Not what was sealed here: another node.key, another account, flipped bits.
    #[error(
        "the stored session of {did} cannot be opened with this node's keys/node.key (it was sealed by another one, or is \
         damaged); sign in again, which replaces it"
    )]
    Sealed {
        /// The account.
        did: Did,
    },
}

impl SealError {
    /// The class of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Entropy(_) | Self::Key(_) => ErrorKind::Unavailable,
            Self::Sealed { .. } => ErrorKind::Corrupt,
        }
    }
}

/// Where a key comes from, or why there is none.
type Source = Box<dyn Fn() -> Result<Zeroizing<[u8; 32]>, String> + Send + Sync>;

/// The key that seals. It is wiped when dropped and shows nothing of itself.
pub struct Seal {
    key: OnceLock<Zeroizing<[u8; 32]>>,
    source: Source,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Seal {
    /// Seals with the key that `source` gives, which is used for nothing else. It is asked when something is sealed or
    /// opened for the first time: a node that signs in nowhere needs no key.
    #[must_use]
    pub fn from(source: impl Fn() -> Result<Zeroizing<[u8; 32]>, String> + Send + Sync + 'static) -> Self {
        Self { key: OnceLock::new(), source: Box::new(source) }
    }

    /// A key that nobody knows and that is gone with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::from(|| entropy().map_err(|error| error.to_string()))
    }

    fn key(&self) -> Result<&[u8; 32], SealError> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let key = (self.source)().map_err(SealError::Key)?;
        Ok(self.key.get_or_init(|| key))
    }

    /// Seals `what` for an account.
    pub(crate) fn seal<T: Serialize>(&self, did: &Did, what: &T) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0_u8; NONCE];
        getrandom::fill(&mut nonce).map_err(|e| SealError::Entropy(e.to_string()))?;
        let unfit = |_| SealError::Sealed { did: did.clone() };
        let mut text = Zeroizing::new(serde_json::to_vec(what).map_err(unfit)?);
        let tag = XChaCha20Poly1305::new(self.key()?.into())
            .encrypt_inout_detached(&XNonce::from(nonce), &bound_to(did), text.as_mut_slice().into())
            .map_err(|_| SealError::Sealed { did: did.clone() })?;
        Ok([&[VERSION], nonce.as_slice(), text.as_slice(), tag.as_slice()].concat())
    }

    /// Opens what [`Self::seal`] made for the same account.
    pub(crate) fn open<T: DeserializeOwned>(&self, did: &Did, sealed: &[u8]) -> Result<T, SealError> {
        let wrong = || SealError::Sealed { did: did.clone() };
        let (version, rest) = sealed.split_first().ok_or_else(wrong)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or_else(wrong)?;
        let (text, tag) = rest.split_last_chunk::<TAG>().ok_or_else(wrong)?;
        if *version != VERSION {
            return Err(wrong());
        }
        let mut text = Zeroizing::new(text.to_vec());
        XChaCha20Poly1305::new(self.key()?.into())
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                &bound_to(did),
                text.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| wrong())?;
        serde_json::from_slice(&text).map_err(|_| wrong())
    }
}

fn bound_to(did: &Did) -> Vec<u8> {
    [&[VERSION], b"agent session ".as_slice(), did.as_str().as_bytes()].concat()
}

/// 32 bytes that nobody can guess.
pub(crate) fn entropy() -> Result<Zeroizing<[u8; 32]>, SealError> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|e| SealError::Entropy(e.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opened_for_the_same_account_with_the_same_key_only() {
        let did = |letter: &str| Did::parse(&format!("did:plc:{}", letter.repeat(24))).unwrap();
        let seal = Seal::in_memory();
        let sealed = seal.seal(&did("a"), &"a token").unwrap();
        assert!(!sealed.windows(7).any(|part| part == b"a token"));
        assert_eq!(seal.open::<String>(&did("a"), &sealed).unwrap(), "a token");
        assert!(seal.open::<String>(&did("b"), &sealed).is_err());
        assert!(Seal::in_memory().open::<String>(&did("a"), &sealed).is_err());
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(seal.open::<String>(&did("a"), &bad).is_err(), "byte {at}");
            assert!(seal.open::<String>(&did("a"), &sealed[..at]).is_err(), "{at} bytes");
        }
        assert_ne!(seal.seal(&did("a"), &"a token").unwrap(), sealed);
        let lost = Seal::from(|| Err("the disk is gone".to_owned()));
        assert!(lost.seal(&did("a"), &"a token").unwrap_err().to_string().contains("the disk is gone"));
    }
}
