//! Keys of the repository's tree.

use std::fmt;

use crate::newtype::text_conversions;
use crate::rkey::is_rkey_byte;
use crate::{Nsid, Rkey, SyntaxError};

const WHAT: &str = "record path";

/// A key of the Merkle search tree: `collection/rkey`, such as `app.bsky.feed.post/3jzfcijpj2z2a`.
///
/// The order is the byte order of the text, which is the order of the tree. The rule is the reader's: exactly two
/// non-empty parts of `A-Za-z0-9_~-:.`, 1024 bytes at most, as the reference accepts them, so that whatever sits in
/// real repositories can be kept. Writers build paths from [`Nsid`] and [`Rkey`] with [`RecordPath::new`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordPath {
    text: Box<str>,
    slash: u16,
}

impl RecordPath {
    /// Longest path, in bytes.
    pub const MAX_LEN: usize = 1024;

    /// Joins the two parts.
    pub fn new(collection: &Nsid, rkey: &Rkey) -> Self {
        let slash = u16::try_from(collection.as_str().len()).unwrap_or(u16::MAX);
        Self { text: format!("{collection}/{rkey}").into(), slash }
    }

    /// Parses the text of a path.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let slash = check(text.as_bytes()).map_err(|fault| fault.into_error(text))?;
        Ok(Self { text: text.into(), slash })
    }

    /// Parses the bytes of a tree key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SyntaxError> {
        match (check(bytes), std::str::from_utf8(bytes)) {
            (Ok(slash), Ok(text)) => Ok(Self { text: text.into(), slash }),
            (Err(fault), _) => Err(fault.into_error(&String::from_utf8_lossy(bytes))),
            // Unreachable: what `check` accepts is ASCII.
            (Ok(_), Err(_)) => Err(SyntaxError::new(WHAT, "", "it is not UTF-8")),
        }
    }

    /// Whether these bytes are a valid path, without allocating.
    pub fn is_valid(bytes: &[u8]) -> bool {
        check(bytes).is_ok()
    }

    /// The whole path.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The whole path as the tree orders it.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The part before the slash: an NSID in all but very odd repositories.
    pub fn collection(&self) -> &str {
        self.text.get(..usize::from(self.slash)).unwrap_or_default()
    }

    /// The part after the slash.
    pub fn rkey(&self) -> &str {
        self.text.get(usize::from(self.slash).saturating_add(1)..).unwrap_or_default()
    }
}

/// What is wrong with the bytes of a path.
struct Fault(&'static str, Option<usize>);

impl Fault {
    fn into_error(self, text: &str) -> SyntaxError {
        match self.1 {
            Some(at) => SyntaxError::at(WHAT, text, self.0, at),
            None => SyntaxError::new(WHAT, text, self.0),
        }
    }
}

/// Checks the rule and returns where the slash is.
fn check(bytes: &[u8]) -> Result<u16, Fault> {
    if bytes.len() > RecordPath::MAX_LEN {
        return Err(Fault("it has more than 1024 bytes", None));
    }
    let mut slash = None;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte == b'/' {
            if slash.replace(at).is_some() {
                return Err(Fault("it has more than one slash", Some(at)));
            }
        } else if !is_rkey_byte(byte) {
            return Err(Fault(
                "only ASCII letters, digits and the characters . _ : ~ - are allowed",
                Some(at),
            ));
        }
    }
    match slash {
        None => Err(Fault("it needs a collection and a record key with a slash between them", None)),
        Some(0) => Err(Fault("its collection is empty", None)),
        Some(at) if at.saturating_add(1) == bytes.len() => Err(Fault("its record key is empty", None)),
        Some(at) => u16::try_from(at).map_err(|_| Fault("it has more than 1024 bytes", None)),
    }
}

impl AsRef<str> for RecordPath {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for RecordPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

text_conversions!(RecordPath);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_and_splits() {
        let path = RecordPath::parse("app.bsky.feed.post/3jzf:_~-.").unwrap();
        assert_eq!((path.collection(), path.rkey()), ("app.bsky.feed.post", "3jzf:_~-."));
        assert_eq!(RecordPath::from_bytes(path.as_bytes()).unwrap(), path);
        // Reference accepts these, so a reader must.
        for odd in ["a/b", "coll/..", "coll/."] {
            assert!(RecordPath::parse(odd).is_ok(), "{odd}");
        }
    }

    #[test]
    fn refuses() {
        for bad in ["", "/", "a", "a/", "/b", "a/b/c", "a/b ", "a/é", "a/\0", "a/b%", "a//b"] {
            assert!(RecordPath::parse(bad).is_err(), "{bad:?}");
            assert!(!RecordPath::is_valid(bad.as_bytes()));
        }
        assert!(RecordPath::from_bytes(b"a/\xff").is_err());
    }

    #[test]
    fn length_boundary() {
        let longest = format!("a/{}", "b".repeat(RecordPath::MAX_LEN - 2));
        assert!(RecordPath::parse(&longest).is_ok());
        assert!(RecordPath::parse(&format!("{longest}b")).is_err());
    }

    #[test]
    fn order_is_byte_order() {
        // '-' and '.' sort before '/', so collections are not simply ordered by name.
        let mut paths: Vec<RecordPath> =
            ["a.b/x", "a/x", "a-b/x", "a0/x", "a/X"].iter().map(|p| RecordPath::parse(p).unwrap()).collect();
        paths.sort();
        let sorted: Vec<&str> = paths.iter().map(RecordPath::as_str).collect();
        assert_eq!(sorted, ["a-b/x", "a.b/x", "a/X", "a/x", "a0/x"]);
    }
}
