//! The keys of this host: which there are, where they lie, and what each is for.
//!
//! `DATA/keys/` (mode 0700, files 0600) holds what the database must not: `node.key`, which wraps the accounts' signing
//! keys, `plc-rotation.key`, which signs identity operations, and `jwt.key`, which signs sessions. A setting that gives
//! one of the latter two wins over the file. A copy of the database alone therefore signs nothing; a node whose
//! `node.key` is lost keeps all data and can read no signing key any more, see [`KeysError::Lost`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hkdf::Hkdf;
use p2pds_crypto::{Curve, KeyError, PrivateKey, Signer};
use p2pds_syntax::{Did, ErrorKind};
use sha2::Sha256;
use zeroize::Zeroizing;

mod file;
mod seal;

pub use seal::{SEALED_MAX, WrapError};

/// Name of the directory in the data directory.
pub const DIRECTORY: &str = "keys";
/// The key that wraps the others.
const NODE: &str = "node.key";
/// The key that signs PLC operations.
const ROTATION: &str = "plc-rotation.key";
/// The key that signs sessions.
const JWT: &str = "jwt.key";
/// What a secret for sessions must have at least, bytes.
const MIN_JWT: usize = 16;

/// Keys that settings gave.
#[derive(Default)]
pub struct GivenKeys {
    /// `PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX`: 64 hexadecimal digits.
    pub plc_rotation_hex: Option<Zeroizing<String>>,
    /// `PDS_JWT_SECRET`: any text, as the reference takes it.
    pub jwt_secret: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for GivenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<keys of the settings>")
    }
}

/// Whether a missing `node.key` may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {
    /// No hosted account is stored yet: whatever is missing is made.
    Make,
    /// Hosted accounts are stored, their keys wrapped by a `node.key`: a missing one is an error, never replaced.
    MustExist,
}

/// A purpose that has a key of its own, derived from `node.key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Wrapping accounts' signing keys.
    SigningKeys,
    /// Marks of tokens sent by e-mail and of invites.
    EmailTokens,
    /// Marks of app passwords and refresh tokens.
    Sessions,
    /// Mail that waits.
    Mail,
    /// Cookies of the web pages.
    Cookies,
    /// Cursors that callers hand back.
    Cursors,
    /// Sessions of this node at hosts of others.
    AgentSessions,
    /// Secrets of second factors.
    Factors,
    /// What is asked of passkeys, and what a sign-in of two steps hands back in between.
    Challenges,
}

impl Purpose {
    fn info(self) -> &'static [u8] {
        match self {
            Self::SigningKeys => b"p2pds host v1: signing keys",
            Self::EmailTokens => b"p2pds host v1: e-mail tokens",
            Self::Sessions => b"p2pds host v1: sessions",
            Self::Mail => b"p2pds host v1: mail",
            Self::Cookies => b"p2pds host v1: cookies",
            Self::Cursors => b"p2pds host v1: cursors",
            Self::AgentSessions => b"p2pds host v1: agent sessions",
            Self::Factors => b"p2pds host v1: factors",
            Self::Challenges => b"p2pds host v1: challenges",
        }
    }
}

/// Keys that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A key file cannot be read or written.
    #[error("cannot {verb} {}: {source}; the node's user must own the directory of keys", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A key file does not hold a key.
    #[error("{} is damaged: {problem}; put it back from a backup, nothing else can replace it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The key file is gone and accounts depend on it.
    #[error(
        "{} is missing, and accounts of this node have their signing keys wrapped by it. All records and blobs are \
         readable without it, but nothing can be signed: no post, no migration. Put it back from a backup made with \
         keys. If there is none, make a new one (`openssl rand -hex 32 > {}`) and give each account a new signing key \
         with `p2pds account rotate-key`",
        path.display(),
        path.display()
    )]
    Lost {
        /// Where it should be.
        path: PathBuf,
    },
    /// A setting gives a key that is none.
    #[error("{setting} is not usable: {problem}")]
    Setting {
        /// Which setting.
        setting: &'static str,
        /// Why not.
        problem: String,
    },
    /// The system has no entropy.
    #[error("the system gives no random numbers, and keys are made of nothing else: {0}")]
    Entropy(String),
}

impl KeysError {
    /// The kind that reporting goes by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } | Self::Entropy(_) => ErrorKind::Unavailable,
            Self::Damaged { .. } | Self::Lost { .. } => ErrorKind::Corrupt,
            Self::Setting { .. } => ErrorKind::Invalid,
        }
    }
}

/// The keys of this host. They are wiped when dropped and show nothing of themselves.
pub struct Keys {
    dir: PathBuf,
    node: Zeroizing<[u8; 32]>,
    rotation: Arc<PrivateKey>,
    jwt: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Keys {
    /// Reads the keys in `dir`, and makes what is missing there and not given.
    ///
    /// # Errors
    /// Every [`KeysError`]; nothing that exists is ever overwritten.
    pub fn open(dir: &Path, given: &GivenKeys, fresh: Fresh) -> Result<Self, KeysError> {
        file::directory(dir)?;
        let node = match file::read(&dir.join(NODE))? {
            Some(key) => key,
            None if fresh == Fresh::MustExist => return Err(KeysError::Lost { path: dir.join(NODE) }),
            None => made(&dir.join(NODE))?,
        };
        let rotation = match &given.plc_rotation_hex {
            Some(text) => given_rotation(text)?,
            None => {
                let path = dir.join(ROTATION);
                let secret = kept(&path)?;
                PrivateKey::from_bytes(Curve::K256, &secret)
                    .map_err(|_| KeysError::Damaged { path, problem: "it is no number that can be a key" })?
            }
        };
        let jwt = match &given.jwt_secret {
            Some(text) => given_jwt(text)?,
            None => Zeroizing::new(kept(&dir.join(JWT))?.to_vec()),
        };
        Ok(Self { dir: dir.to_owned(), node, rotation: Arc::new(rotation), jwt })
    }

    /// Keys that live in memory only: for drills and tests.
    ///
    /// # Errors
    /// [`KeysError::Entropy`].
    pub fn in_memory() -> Result<Self, KeysError> {
        let rotation = PrivateKey::from_entropy(Curve::K256, *entropy()?);
        Ok(Self {
            dir: PathBuf::new(),
            node: entropy()?,
            rotation: Arc::new(rotation),
            jwt: Zeroizing::new(entropy()?.to_vec()),
        })
    }

    /// A new key for signing a repo.
    ///
    /// # Errors
    /// [`KeysError::Entropy`].
    pub fn new_signing_key(&self) -> Result<PrivateKey, KeysError> {
        Ok(PrivateKey::from_entropy(Curve::K256, *entropy()?))
    }

    /// The signing key as the store keeps it: sealed under a key derived from `node.key`, for this account only.
    ///
    /// # Errors
    /// The system has no entropy.
    pub fn wrap(&self, key: &PrivateKey, did: &Did) -> Result<Vec<u8>, WrapError> {
        seal::seal(&self.derived(Purpose::SigningKeys), key, &account(did))
    }

    /// The signing key that [`wrap`](Self::wrap) sealed for this account.
    ///
    /// # Errors
    /// It was sealed for another account or under another `node.key`, or is damaged; the message says what to do.
    pub fn unwrap(&self, sealed: &[u8], did: &Did) -> Result<Arc<dyn Signer>, WrapError> {
        Ok(Arc::new(self.open_key(sealed, &account(did))?))
    }

    /// A key that was promised to somebody before it has an account, sealed for its own name.
    ///
    /// # Errors
    /// As [`wrap`](Self::wrap).
    pub fn wrap_reserved(&self, key: &PrivateKey) -> Result<Vec<u8>, WrapError> {
        seal::seal(&self.derived(Purpose::SigningKeys), key, &reserved(&key.public_key().to_did_key()))
    }

    /// The reserved key with this name, so that it can be wrapped for its account.
    ///
    /// # Errors
    /// As [`unwrap`](Self::unwrap).
    pub fn unwrap_reserved(&self, sealed: &[u8], did_key: &str) -> Result<PrivateKey, WrapError> {
        self.open_key(sealed, &reserved(did_key))
    }

    /// A secret that is no signing key, sealed for a purpose and for what it belongs to.
    ///
    /// # Errors
    /// The system has no entropy.
    pub fn seal(&self, purpose: Purpose, secret: &[u8], belongs_to: &[u8]) -> Result<Vec<u8>, WrapError> {
        seal::seal_secret(&self.derived(purpose), secret, belongs_to)
    }

    /// What [`seal`](Self::seal) sealed for the same purpose and owner under the same `node.key`; `None` is any other case.
    #[must_use]
    pub fn unseal(&self, purpose: Purpose, sealed: &[u8], belongs_to: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        seal::open_secret(&self.derived(purpose), sealed, belongs_to)
    }

    /// The key that signs PLC operations. It goes by the highest authority this host is given, and signs nothing else.
    #[must_use]
    pub fn plc_rotation(&self) -> Arc<dyn Signer> {
        Arc::clone(&self.rotation) as Arc<dyn Signer>
    }

    /// The secret of sessions (HS256).
    #[must_use]
    pub fn jwt(&self) -> &[u8] {
        &self.jwt
    }

    /// A key for one purpose, which tells nothing about those of others.
    #[must_use]
    pub fn derived(&self, purpose: Purpose) -> Zeroizing<[u8; 32]> {
        derived(&self.node, purpose)
    }

    fn open_key(&self, sealed: &[u8], purpose: &[u8]) -> Result<PrivateKey, WrapError> {
        let file = self.dir.join(NODE);
        seal::open(&self.derived(Purpose::SigningKeys), sealed, purpose, &file)
    }
}

/// The key for one purpose on a node that hosts nobody: of the keys in `dir` it reads `node.key` alone, and makes it when
/// there is none.
///
/// # Errors
/// As [`Keys::open`].
pub fn derived_alone(dir: &Path, purpose: Purpose, fresh: Fresh) -> Result<Zeroizing<[u8; 32]>, KeysError> {
    file::directory(dir)?;
    let path = dir.join(NODE);
    let node = match file::read(&path)? {
        Some(key) => key,
        None if fresh == Fresh::MustExist => return Err(KeysError::Lost { path }),
        None => made(&path)?,
    };
    Ok(derived(&node, purpose))
}

fn derived(node: &[u8; 32], purpose: Purpose) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    // 32 bytes are one block; only more than 255 of them are refused.
    let _ = Hkdf::<Sha256>::new(None, node).expand(purpose.info(), out.as_mut_slice());
    out
}

/// What a sealed key of an account is bound to.
fn account(did: &Did) -> Vec<u8> {
    [b"account ".as_slice(), did.as_str().as_bytes()].concat()
}

/// What a sealed key without an account is bound to.
fn reserved(did_key: &str) -> Vec<u8> {
    [b"reserved ".as_slice(), did_key.as_bytes()].concat()
}

fn entropy() -> Result<Zeroizing<[u8; 32]>, KeysError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|e| KeysError::Entropy(e.to_string()))?;
    Ok(bytes)
}

/// A new key in a new file.
fn made(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeysError> {
    let key = entropy()?;
    file::write(path, &key)?;
    tracing::info!(event = "keys.made", file = %path.display(), "a key was made; back it up with the node's data");
    Ok(key)
}

/// The key in a file, made when it is not there.
fn kept(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeysError> {
    match file::read(path)? {
        Some(key) => Ok(key),
        None => made(path),
    }
}

fn given_rotation(text: &str) -> Result<PrivateKey, KeysError> {
    let setting = "PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX";
    let problem = |problem: String| KeysError::Setting { setting, problem };
    let mut secret = Zeroizing::new([0_u8; 32]);
    let digits = text.trim();
    match data_encoding::HEXLOWER_PERMISSIVE.decode_len(digits.len()) {
        Ok(32) => {}
        _ => {
            return Err(problem(format!(
                "64 hexadecimal digits are wanted, it has {} characters",
                digits.len()
            )));
        }
    }
    data_encoding::HEXLOWER_PERMISSIVE
        .decode_mut(digits.as_bytes(), secret.as_mut_slice())
        .map_err(|_| problem("it has characters that are no hexadecimal digits".to_owned()))?;
    PrivateKey::from_bytes(Curve::K256, &secret).map_err(|e: KeyError| problem(e.to_string()))
}

fn given_jwt(text: &str) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    if text.len() < MIN_JWT {
        return Err(KeysError::Setting {
            setting: "PDS_JWT_SECRET",
            problem: format!(
                "it has {} bytes, and a secret that short can be guessed; `openssl rand --hex 16` makes one of 32",
                text.len()
            ),
        });
    }
    Ok(Zeroizing::new(text.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests;
