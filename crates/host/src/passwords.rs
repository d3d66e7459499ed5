//! Passwords: how they are kept, how they are checked, and how much of that may go on at a time.
//!
//! New ones are kept as Argon2id (19 MiB, two passes). Those that come from the reference server are scrypt as it
//! writes them, `salt:hash`, and are kept anew at their next login. Two are worked on at a time, so that many logins
//! cost time and not memory; a few wait, the rest is sent away. App passwords are made here from 80 random bits: a
//! digest is enough for those.

mod bcrypt;

use std::sync::Arc;
use std::time::Duration;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use data_encoding::{BASE64_NOPAD, HEXLOWER};
use p2pds_syntax::{Did, ErrorKind};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::error::{HostError, HostResult};
use crate::reason::Reason;

/// Longest new password, in UTF-16 units as the reference counts.
pub const LONGEST_NEW: usize = 256;
/// Longest password that is tried.
pub const LONGEST: usize = 512;
/// Shortest new password, characters.
pub const SHORTEST_NEW: usize = 8;
/// An answer of "no" takes this long at least, so that how it came about does not show.
pub const REFUSAL_TAKES: Duration = Duration::from_millis(350);

const AT_ONCE: usize = 2;
const WAITING: usize = 64;
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// 33 MiB in blocks of a kibibyte.
const ROOM_BLOCKS: usize = 33 * 1024;
const SALT: usize = 16;
const HASH: usize = 32;
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 1;
const SCRYPT_HASH: usize = 64;
const APP_PREFIX: &str = "sha256:";

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The password is another one.
    Wrong,
    /// It is the one.
    Right,
    /// It is the one, and kept in an old way: keep it anew.
    RightButOld,
}

/// Where all hashing of passwords goes through.
#[derive(Debug, Clone)]
pub struct Passwords {
    places: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)), waiting: Arc::new(Semaphore::new(WAITING)) }
    }
}

impl Passwords {
    /// How a new password is kept.
    ///
    /// # Errors
    /// Too short, too long, or too many wait.
    pub async fn keep(&self, password: &str) -> HostResult<String> {
        fits(password)?;
        self.keep_anew(password).await
    }

    /// How a password that is good already is kept.
    ///
    /// # Errors
    /// Too many wait.
    pub async fn keep_anew(&self, password: &str) -> HostResult<String> {
        let password = Zeroizing::new(password.to_owned());
        self.work(move || {
            let mut salt = [0_u8; SALT];
            getrandom::fill(&mut salt).map_err(|e| no_entropy(&e))?;
            let hash = argon(password.as_bytes(), &salt, MEMORY_KIB, PASSES, 1)?;
            Ok(format!(
                "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${}${}",
                BASE64_NOPAD.encode(&salt),
                BASE64_NOPAD.encode(&*hash)
            ))
        })
        .await
    }

    /// Checks a password. Without a stored one the same work is done for nothing.
    ///
    /// # Errors
    /// Too many wait.
    pub async fn check(&self, stored: Option<&str>, password: &str) -> HostResult<Check> {
        let short = password.len() <= LONGEST.saturating_mul(4);
        let stored = stored.filter(|stored| short && !stored.is_empty()).map(str::to_owned);
        // A hash of what is far too long would cost as much as the caller wishes.
        let password = Zeroizing::new(if short { password.to_owned() } else { String::new() });
        self.work(move || match stored.as_deref() {
            None => argon(password.as_bytes(), &[0; SALT], MEMORY_KIB, PASSES, 1).map(|_| Check::Wrong),
            Some(stored) if stored.starts_with("$argon2id$") => check_argon(stored, password.as_bytes()),
            Some(stored) if bcrypt::is_one(stored) => Ok(bcrypt::check(stored, password.as_bytes())),
            Some(stored) => check_scrypt(stored, password.as_bytes()),
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> HostResult<T> + Send + 'static,
    ) -> HostResult<T> {
        let Ok(_waiting) = Arc::clone(&self.waiting).try_acquire_owned() else {
            metrics::counter!("p2pds_host_logins_turned_away_total").increment(1);
            return Err(HostError {
                retry_after: Some(3),
                reason: Some(Reason::NotNow),
                ..HostError::new(
                    ErrorKind::Unavailable,
                    "NotAvailable",
                    "too many logins are being checked at this moment; try again in a few seconds",
                )
            });
        };
        let closed = || {
            HostError::new(ErrorKind::Unavailable, "NotAvailable", "this server is stopping")
                .because(Reason::NotNow)
        };
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| closed())?;
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        })
        .await
        .map_err(|_| closed())?
    }
}

/// Whether a new password is neither too short nor too long.
///
/// # Errors
/// It is.
pub fn fits(password: &str) -> HostResult<()> {
    if password.encode_utf16().count() > LONGEST_NEW {
        let error =
            HostError::invalid(format!("Password too long. Maximum length is {LONGEST_NEW} characters."));
        return Err(error.because(Reason::PasswordLong { most: LONGEST_NEW as u64 }));
    }
    if password.chars().count() < SHORTEST_NEW {
        let error = HostError::invalid(format!(
            "Password too short. It needs {SHORTEST_NEW} characters at least; several words in a row are easy to remember and hard to guess."
        ));
        return Err(error.because(Reason::PasswordShort { least: SHORTEST_NEW as u64 }));
    }
    Ok(())
}

/// Whether this is a kept password that [`Passwords::check`] can read.
#[must_use]
pub fn readable(stored: &str) -> bool {
    if stored.starts_with("$argon2id$") {
        return parse_argon(stored).is_some();
    }
    if bcrypt::is_one(stored) {
        return bcrypt::readable(stored);
    }
    stored.split_once(':').is_some_and(|(salt, hash)| {
        !salt.is_empty() && hash.len() == SCRYPT_HASH * 2 && HEXLOWER.decode(hash.as_bytes()).is_ok()
    })
}

struct Kept {
    memory: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

fn parse_argon(stored: &str) -> Option<Kept> {
    let mut parts = stored.strip_prefix("$argon2id$v=19$")?.split('$');
    let (params, salt, hash, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
        return None;
    };
    let mut kept = Kept {
        memory: 0,
        passes: 0,
        lanes: 0,
        salt: BASE64_NOPAD.decode(salt.as_bytes()).ok()?,
        hash: BASE64_NOPAD.decode(hash.as_bytes()).ok()?,
    };
    for param in params.split(',') {
        let (name, value) = param.split_once('=')?;
        let value = value.parse().ok()?;
        match name {
            "m" => kept.memory = value,
            "t" => kept.passes = value,
            "p" => kept.lanes = value,
            _ => return None,
        }
    }
    // What a settings file or another server's database may ask of this one.
    let sound = (8..=256 * 1024).contains(&kept.memory)
        && (1..=16).contains(&kept.passes)
        && (1..=8).contains(&kept.lanes)
        && kept.hash.len() == HASH;
    sound.then_some(kept)
}

fn argon(
    password: &[u8],
    salt: &[u8],
    memory: u32,
    passes: u32,
    lanes: u32,
) -> HostResult<Zeroizing<[u8; HASH]>> {
    let mut out = Zeroizing::new([0_u8; HASH]);
    Params::new(memory, passes, lanes, Some(HASH))
        .and_then(|params| {
            let blocks = params.block_count();
            // What is freed below 32 MiB stays with the allocator, once for each thread that ever hashed: hundreds of
            // megabytes after a few logins. Beyond it goes back to the system. What is not touched weighs nothing.
            let mut room: Vec<Block> = Vec::with_capacity(blocks.max(ROOM_BLOCKS));
            room.resize(blocks, Block::default());
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
                password,
                salt,
                out.as_mut_slice(),
                &mut room,
            )
        })
        .map_err(|error| HostError::new(ErrorKind::Bug, "InternalServerError", error.to_string()))?;
    Ok(out)
}

fn check_argon(stored: &str, password: &[u8]) -> HostResult<Check> {
    let Some(kept) = parse_argon(stored) else { return Ok(Check::Wrong) };
    let hash = argon(password, &kept.salt, kept.memory, kept.passes, kept.lanes)?;
    if !bool::from(hash.as_slice().ct_eq(&kept.hash)) {
        return Ok(Check::Wrong);
    }
    let weak = kept.memory < MEMORY_KIB || kept.passes < PASSES;
    Ok(if weak { Check::RightButOld } else { Check::Right })
}

/// The reference gives the salt to scrypt as the text it is written in.
fn check_scrypt(stored: &str, password: &[u8]) -> HostResult<Check> {
    let Some((salt, hash)) = stored.split_once(':') else { return Ok(Check::Wrong) };
    let Ok(hash) = HEXLOWER.decode(hash.as_bytes()) else { return Ok(Check::Wrong) };
    let ours = scrypt_of(password, salt.as_bytes())?;
    let right = bool::from(ours.as_slice().ct_eq(&hash));
    Ok(if right { Check::RightButOld } else { Check::Wrong })
}

fn scrypt_of(password: &[u8], salt: &[u8]) -> HostResult<Zeroizing<[u8; SCRYPT_HASH]>> {
    let bug = |error: String| HostError::new(ErrorKind::Bug, "InternalServerError", error);
    let params = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P).map_err(|e| bug(e.to_string()))?;
    let mut out = Zeroizing::new([0_u8; SCRYPT_HASH]);
    scrypt::scrypt(password, salt, &params, out.as_mut_slice()).map_err(|e| bug(e.to_string()))?;
    Ok(out)
}

/// A new app password: `xxxx-xxxx-xxxx-xxxx`, 80 bits.
///
/// # Errors
/// The system has no entropy.
pub fn new_app_password() -> HostResult<Zeroizing<String>> {
    let letters = Zeroizing::new(random_base32(16)?);
    let mut out = Zeroizing::new(String::with_capacity(19));
    for (at, letter) in letters.chars().enumerate() {
        if at > 0 && at.is_multiple_of(4) {
            out.push('-');
        }
        out.push(letter);
    }
    Ok(out)
}

/// How an app password is kept.
#[must_use]
pub fn keep_app_password(did: &Did, password: &str) -> String {
    format!("{APP_PREFIX}{}", HEXLOWER.encode(&app_digest(did, password)))
}

fn app_digest(did: &Did, password: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(b"p2pds app password\0");
    digest.update(did.as_str().as_bytes());
    digest.update(b"\0");
    digest.update(password.as_bytes());
    digest.finalize().into()
}

/// Whether this could be an app password, so that looking for one is worth it.
#[must_use]
pub fn looks_like_app_password(password: &str) -> bool {
    password.len() == 19
        && password.bytes().enumerate().all(|(at, byte)| match at % 5 {
            4 => byte == b'-',
            _ => byte.is_ascii_lowercase() || byte.is_ascii_digit(),
        })
}

/// Which of these kept app passwords it is. All are compared, whichever it is.
#[must_use]
pub fn find_app_password<'a>(
    did: &Did,
    kept: impl Iterator<Item = &'a str>,
    password: &str,
) -> Option<usize> {
    let ours = keep_app_password(did, password);
    let mut found = None;
    for (at, kept) in kept.enumerate() {
        if bool::from(kept.as_bytes().ct_eq(ours.as_bytes())) {
            found = Some(at);
        }
    }
    found
}

impl Passwords {
    /// The same among those that came from the reference server: one scrypt, salted with the account's DID.
    ///
    /// # Errors
    /// Too many wait.
    pub async fn find_foreign_app_password(
        &self,
        did: &Did,
        kept: Vec<String>,
        password: &str,
    ) -> HostResult<Option<usize>> {
        let salt = HEXLOWER.encode(Sha256::digest(did.as_str().as_bytes()).get(..16).unwrap_or_default());
        let password = Zeroizing::new(password.to_owned());
        self.work(move || {
            let ours = scrypt_of(password.as_bytes(), salt.as_bytes())?;
            let ours = format!("{salt}:{}", HEXLOWER.encode(ours.as_slice()));
            let mut found = None;
            for (at, kept) in kept.iter().enumerate() {
                if bool::from(kept.as_bytes().ct_eq(ours.as_bytes())) {
                    found = Some(at);
                }
            }
            Ok(found)
        })
        .await
    }
}

/// So many random characters of `a-z2-7`, five bits each.
///
/// # Errors
/// The system has no entropy.
pub fn random_base32(length: usize) -> HostResult<String> {
    let mut bytes = Zeroizing::new(vec![0_u8; length]);
    getrandom::fill(&mut bytes).map_err(|e| no_entropy(&e))?;
    let letters = b"abcdefghijklmnopqrstuvwxyz234567";
    Ok(bytes.iter().filter_map(|byte| letters.get(usize::from(byte % 32))).map(|b| char::from(*b)).collect())
}

/// What is said when the system has none.
pub(crate) fn no_entropy(error: &getrandom::Error) -> HostError {
    tracing::error!(event = "host.entropy", %error, "the system gives no random numbers");
    HostError::new(ErrorKind::Unavailable, "NotAvailable", "this cannot be done now; try again in a minute")
        .because(Reason::NotNow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn did() -> Did {
        Did::parse("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa").unwrap()
    }

    #[tokio::test]
    async fn a_kept_password_is_known_again_and_another_is_not() {
        let passwords = Passwords::default();
        let kept = passwords.keep("correct horse").await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && readable(&kept));
        assert_ne!(kept, passwords.keep("correct horse").await.unwrap(), "each has its own salt");
        assert_eq!(passwords.check(Some(&kept), "correct horse").await.unwrap(), Check::Right);
        for wrong in ["correct horsE", "", "correct horse "] {
            assert_eq!(passwords.check(Some(&kept), wrong).await.unwrap(), Check::Wrong, "{wrong:?}");
        }
        assert_eq!(passwords.check(None, "correct horse").await.unwrap(), Check::Wrong);
        let long = "x".repeat(100_000);
        assert_eq!(passwords.check(Some(&kept), &long).await.unwrap(), Check::Wrong);
    }

    /// Made by Node's `crypto.scrypt("alice-pass", "00112233445566778899aabbccddeeff", 64)`.
    #[tokio::test]
    async fn the_reference_s_scrypt_is_read() {
        let kept = concat!(
            "00112233445566778899aabbccddeeff:",
            "85d2944c78528b864a1453e080b5aada995b6b80634f60d8ed988002620c5d00",
            "490ec117aae7791a80ceed9db9f17e403e78bed870a1385c90be3a390b13cb18"
        );
        let passwords = Passwords::default();
        assert!(readable(kept));
        assert_eq!(passwords.check(Some(kept), "alice-pass").await.unwrap(), Check::RightButOld);
        assert_eq!(passwords.check(Some(kept), "alice-pasS").await.unwrap(), Check::Wrong);
    }

    #[tokio::test]
    async fn what_is_damaged_lets_nobody_in() {
        let passwords = Passwords::default();
        for kept in ["", ":", "x:y", "$argon2id$v=19$m=4000000000,t=2,p=1$AAAA$AAAA", "$argon2id$", "plain"] {
            assert!(!readable(kept), "{kept}");
            assert_eq!(passwords.check(Some(kept), "").await.unwrap(), Check::Wrong, "{kept}");
        }
    }

    #[test]
    fn app_passwords_look_like_themselves_and_are_found() {
        let password = new_app_password().unwrap();
        assert!(looks_like_app_password(&password), "{}", *password);
        assert!(!looks_like_app_password("correct horse") && !looks_like_app_password("aaaa-bbbb-cccc-ddd-"));
        let kept = keep_app_password(&did(), &password);
        assert!(!kept.contains(&**password));
        assert_eq!(find_app_password(&did(), ["x", &kept].into_iter(), &password), Some(1));
        assert_eq!(find_app_password(&did(), ["x", &kept].into_iter(), "aaaa-bbbb-cccc-dddd"), None);
        let other = Did::parse("did:plc:bbbbbbbbbbbbbbbbbbbbbbbb").unwrap();
        assert_eq!(find_app_password(&other, [kept.as_str()].into_iter(), &password), None);
    }

    #[test]
    fn new_passwords_have_a_length() {
        assert!(fits("12345678").is_ok() && fits("1234567").is_err());
        assert!(fits(&"x".repeat(256)).is_ok() && fits(&"x".repeat(257)).is_err());
    }

    /// Of a crowd, the two that are worked on and those that may wait are answered; the rest is sent away at once.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_crowd_is_sent_away() {
        let passwords = Passwords::default();
        let held: Vec<_> =
            (0..AT_ONCE).map(|_| Arc::clone(&passwords.places).try_acquire_owned().unwrap()).collect();
        let waiting: Vec<_> = (0..WAITING)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.check(None, "x").await })
            })
            .collect();
        while passwords.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = passwords.check(None, "x").await.unwrap_err();
        assert_eq!((refused.kind, refused.retry_after), (ErrorKind::Unavailable, Some(3)));
        drop(held);
        for task in waiting.into_iter().take(3) {
            assert_eq!(task.await.unwrap().unwrap(), Check::Wrong);
        }
    }
}
