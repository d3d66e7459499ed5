//! Encryption of a backup, in the `age` format.
//!
//! Recipients' keys encrypt each file directly: the node never learns what opens them. A passphrase opens one small
//! file, `key.age`, with the key of all the others, because stretching a passphrase takes a second each time.

use std::fs;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use age::secrecy::{ExposeSecret as _, SecretString};
use age::x25519::{Identity, Recipient};
use age::{Decryptor, Encryptor};
use data_encoding::HEXLOWER;
use p2pds_syntax::ErrorKind;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::said;
use crate::error::{RecoveryError, RecoveryResult};

/// The file with the key, when a passphrase opens it.
const KEY: &str = "key.age";

/// What somebody remembers. It crosses the operator socket, which only its owner can open, and is wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes the first line of a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<passphrase>")
    }
}

impl Serialize for Passphrase {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Passphrase {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(Zeroizing::new(text)))
    }
}

/// For whom a backup is encrypted.
#[derive(Clone, Default)]
pub enum Sealing {
    /// For nobody: it is readable.
    #[default]
    No,
    /// For the holders of these keys (`age1...`).
    Recipients(Vec<String>),
    /// For who knows this passphrase.
    Passphrase(Passphrase),
}

impl std::fmt::Debug for Sealing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// With what a backup is opened.
#[derive(Clone, Default)]
pub enum Opening {
    /// With nothing: it is not encrypted.
    #[default]
    No,
    /// With the keys in this text (lines `AGE-SECRET-KEY-1...`, as `age-keygen` writes them).
    Identity(Zeroizing<String>),
    /// With this passphrase.
    Passphrase(Passphrase),
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<what opens a backup>")
    }
}

/// A kind of sealing in words.
pub(super) fn describe(word: &str) -> &'static str {
    match word {
        "recipients" => "encrypted for recipients (--encrypt-to)",
        "passphrase" => "encrypted with a passphrase (--passphrase-file)",
        _ => "not encrypted",
    }
}

impl Sealing {
    /// Whether it is encrypted.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        !matches!(self, Self::No)
    }

    /// One word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Recipients(_) => "recipients",
            Self::Passphrase(_) => "passphrase",
        }
    }

    /// Fails when nothing can be written with it, before anything is.
    pub(super) fn check(&self) -> RecoveryResult<()> {
        match self {
            Self::Recipients(keys) if keys.is_empty() => {
                Err(said(ErrorKind::Invalid, "nobody is named who could open the backup"))
            }
            Self::Recipients(keys) => keys.iter().try_for_each(|key| recipient(key).map(drop)),
            Self::No | Self::Passphrase(_) => Ok(()),
        }
    }

    /// What writes the files of a backup in `dir`.
    pub(super) fn sealer(&self, dir: &Path) -> RecoveryResult<Sealer> {
        let to = match self {
            Self::No => Vec::new(),
            Self::Recipients(keys) => keys.iter().map(|key| recipient(key)).collect::<RecoveryResult<_>>()?,
            Self::Passphrase(passphrase) => vec![key_for(passphrase, dir)?.to_public()],
        };
        Ok(Sealer { to, word: self.word() })
    }
}

fn recipient(text: &str) -> RecoveryResult<Recipient> {
    Recipient::from_str(text.trim()).map_err(|why| {
        said(
            ErrorKind::Invalid,
            format!("{text:?} is no recipient ({why}); `age-keygen` makes one, it begins with age1"),
        )
    })
}

/// The key of a backup that a passphrase opens: the one there, or a new one.
fn key_for(passphrase: &Passphrase, dir: &Path) -> RecoveryResult<Identity> {
    let path = dir.join(KEY);
    if path.exists() {
        return opened_key(passphrase, dir);
    }
    if passphrase.0.trim().is_empty() {
        return Err(said(ErrorKind::Invalid, "the passphrase is empty"));
    }
    let key = Identity::generate();
    let encryptor = Encryptor::with_user_passphrase(SecretString::from(passphrase.0.to_string()));
    let part = dir.join(format!("{KEY}.part"));
    let write = || -> std::io::Result<()> {
        let mut out = encryptor.wrap_output(private(&part)?)?;
        out.write_all(key.to_string().expose_secret().as_bytes())?;
        out.finish()?.sync_all()?;
        fs::rename(&part, &path)
    };
    write().map_err(RecoveryError::io("write", &path))?;
    super::sync_dir(dir)?;
    Ok(key)
}

fn opened_key(passphrase: &Passphrase, dir: &Path) -> RecoveryResult<Identity> {
    let path = dir.join(KEY);
    let file = fs::File::open(&path).map_err(RecoveryError::io("read", &path))?;
    let with = age::scrypt::Identity::new(SecretString::from(passphrase.0.to_string()));
    let wrong = |why: &dyn std::fmt::Display| {
        said(ErrorKind::Denied, format!("the passphrase does not open {}: {why}", path.display()))
    };
    let decryptor = Decryptor::new_buffered(std::io::BufReader::new(file)).map_err(|e| wrong(&e))?;
    let mut reader =
        decryptor.decrypt(std::iter::once(&with as &dyn age::Identity)).map_err(|e| wrong(&e))?;
    let mut text = Zeroizing::new(String::new());
    reader.read_to_string(&mut text).map_err(|e| wrong(&e))?;
    Identity::from_str(text.trim()).map_err(|e| wrong(&e))
}

/// A file for its owner alone.
fn private(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Writes the files of a backup.
#[derive(Clone)]
pub(super) struct Sealer {
    to: Vec<Recipient>,
    word: &'static str,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word)
    }
}

/// A file being written: hashed as it is stored, named when it is whole and durable.
pub(super) struct Out {
    inner: Inner,
    path: PathBuf,
}

enum Inner {
    Plain(BufWriter<Hashed>),
    Age(Box<age::stream::StreamWriter<BufWriter<Hashed>>>),
}

struct Hashed {
    file: fs::File,
    sha: Sha256,
    size: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sha.update(bytes.get(..written).unwrap_or_default());
        self.size = self.size.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Sealer {
    pub(super) fn word(&self) -> &'static str {
        self.word
    }

    /// Whether files are larger than what is in them.
    pub(super) fn is_sealed(&self) -> bool {
        !self.to.is_empty()
    }

    /// Begins a file.
    pub(super) fn create(&self, path: &Path) -> RecoveryResult<Out> {
        let failed = RecoveryError::io("create", path);
        let file = match private(&part(path)) {
            Ok(file) => file,
            Err(error) => return Err(failed(error)),
        };
        let out = BufWriter::with_capacity(1 << 17, Hashed { file, sha: Sha256::new(), size: 0 });
        let inner = if self.to.is_empty() {
            Inner::Plain(out)
        } else {
            let encryptor = Encryptor::with_recipients(self.to.iter().map(|to| to as &dyn age::Recipient))
                .map_err(|e| RecoveryError::Bug(e.to_string()))?;
            match encryptor.wrap_output(out) {
                Ok(writer) => Inner::Age(Box::new(writer)),
                Err(error) => return Err(failed(error)),
            }
        };
        Ok(Out { inner, path: path.to_owned() })
    }
}

fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.inner {
            Inner::Plain(out) => out.write(bytes),
            Inner::Age(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.inner {
            Inner::Plain(out) => out.flush(),
            Inner::Age(out) => out.flush(),
        }
    }
}

impl Out {
    /// Gives the file its name; answers its size and hash as it is stored.
    pub(super) fn finish(self) -> RecoveryResult<(u64, String)> {
        let path = self.path;
        let finish = || -> std::io::Result<(u64, String)> {
            let out = match self.inner {
                Inner::Plain(out) => out,
                Inner::Age(out) => out.finish()?,
            };
            let Hashed { file, sha, size } = out.into_inner().map_err(|error| error.into_error())?;
            file.sync_data()?;
            fs::rename(part(&path), &path)?;
            Ok((size, HEXLOWER.encode(&sha.finalize())))
        };
        finish().map_err(RecoveryError::io("write", &path))
    }

    /// Gives it up.
    pub(super) fn abandon(self) {
        let _ = fs::remove_file(part(&self.path));
    }
}

/// Reads the files of a backup.
pub(super) struct Opener {
    with: Vec<Identity>,
}

impl Opener {
    /// For a backup that is sealed so.
    pub(super) fn new(sealed: &str, opening: &Opening, dir: &Path) -> RecoveryResult<Self> {
        let denied = |words: &str| Err(said(ErrorKind::Denied, words));
        let with = match (sealed, opening) {
            ("no", _) => Vec::new(),
            ("passphrase", Opening::Passphrase(passphrase)) => vec![opened_key(passphrase, dir)?],
            ("recipients", Opening::Identity(text)) => identities(text)?,
            ("passphrase", _) => {
                return denied("the backup is encrypted with a passphrase; add --passphrase-file FILE");
            }
            _ => {
                return denied(
                    "the backup is encrypted for recipients; add --identity FILE with the secret key",
                );
            }
        };
        Ok(Self { with })
    }

    /// The bytes in a file, and the hash of the file when all was read.
    pub(super) fn open(&self, path: &Path) -> RecoveryResult<In> {
        let file = fs::File::open(path).map_err(RecoveryError::io("read", path))?;
        let file = std::io::BufReader::with_capacity(1 << 17, file);
        if self.with.is_empty() {
            return Ok(In(Box::new(file)));
        }
        let broken = |why: &dyn std::fmt::Display| {
            super::manifest::damaged(&format!("{}: {why}, or this is not the key of it", path.display()))
        };
        let decryptor = Decryptor::new_buffered(file).map_err(|e| broken(&e))?;
        let with = self.with.iter().map(|identity| identity as &dyn age::Identity);
        Ok(In(Box::new(decryptor.decrypt(with).map_err(|e| broken(&e))?)))
    }
}

/// What is in a file.
pub(super) struct In(Box<dyn Read + Send>);

impl Read for In {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

fn identities(text: &str) -> RecoveryResult<Vec<Identity>> {
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with("AGE-SECRET-KEY-"));
    let found = lines.map(Identity::from_str).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(said(
            ErrorKind::Invalid,
            "the identity file has no line that begins with AGE-SECRET-KEY-1; `age-keygen` writes such a file",
        )),
    }
}
