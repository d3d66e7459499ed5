//! Backup codes: ten, each good once, for when the phone is gone. They are made here from 80 random bits, so that a
//! digest is enough to keep them.

use p2pds_syntax::Did;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::HostResult;
use crate::passwords::random_base32;

/// How many there are.
pub const COUNT: usize = 10;
/// Letters of one, five bits each.
const LETTERS: usize = 16;

/// New codes, to be shown once.
pub struct BackupCodes(Vec<Zeroizing<String>>);

impl std::fmt::Debug for BackupCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<{} backup codes>", self.0.len())
    }
}

impl BackupCodes {
    /// Ten new ones.
    pub(super) fn new() -> HostResult<Self> {
        (0..COUNT).map(|_| one()).collect::<HostResult<_>>().map(Self)
    }

    /// Them, for the person they belong to and nobody else.
    pub fn expose(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|code| code.as_str())
    }

    /// How they are kept.
    pub(super) fn kept(&self, did: &Did) -> Vec<[u8; 32]> {
        self.0.iter().filter_map(|code| digest(did, code)).collect()
    }
}

/// `xxxx-xxxx-xxxx-xxxx`.
fn one() -> HostResult<Zeroizing<String>> {
    let letters = Zeroizing::new(random_base32(LETTERS)?);
    let mut out = Zeroizing::new(String::with_capacity(19));
    for (at, letter) in letters.chars().enumerate() {
        if at > 0 && at.is_multiple_of(4) {
            out.push('-');
        }
        out.push(letter);
    }
    Ok(out)
}

/// How what was typed would be kept, if it could be one: as people copy them, with or without their dashes.
pub(super) fn digest(did: &Did, typed: &str) -> Option<[u8; 32]> {
    let letters: Zeroizing<String> = Zeroizing::new(
        typed.chars().filter(|c| *c != '-' && !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect(),
    );
    let fits = letters.len() == LETTERS
        && letters.bytes().all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte));
    if !fits {
        return None;
    }
    let mut digest = Sha256::new();
    digest.update(b"p2pds backup code\0");
    digest.update(did.as_str().as_bytes());
    digest.update(b"\0");
    digest.update(letters.as_bytes());
    Some(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_that_differ_and_are_known_again_however_they_are_typed() {
        let (alice, bob) =
            (Did::parse("did:web:a.example").unwrap(), Did::parse("did:web:b.example").unwrap());
        let codes = BackupCodes::new().unwrap();
        let kept = codes.kept(&alice);
        assert_eq!(kept.iter().collect::<std::collections::BTreeSet<_>>().len(), COUNT);
        assert_ne!(kept, codes.kept(&bob));
        assert_eq!(format!("{codes:?}"), "<10 backup codes>");
        let first = codes.expose().next().unwrap();
        for typed in [
            first.to_owned(),
            first.to_uppercase(),
            first.replace('-', ""),
            format!(" {} ", first.replace('-', " ")),
        ] {
            assert_eq!(digest(&alice, &typed), Some(kept[0]), "{typed}");
        }
        for other in ["", "123456", "ABCDE-FGHIJ", "aaaa-bbbb-cccc-ddd1", "aaaa-bbbb-cccc-dddd-e"] {
            assert_eq!(digest(&alice, other), None, "{other}");
        }
    }
}
