//! Record keys.

use crate::newtype::text_newtype;
use crate::{SyntaxError, Tid};

const WHAT: &str = "record key";

/// A record key such as `3jzfcijpj2z2a` or `self`: the name of a record in its collection.
///
/// Spec: <https://atproto.com/specs/record-key>. Case sensitive, kept as written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rkey(Box<str>);

/// Whether a byte may stand in a record key.
pub(crate) const fn is_rkey_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'~' | b'-' | b':' | b'.')
}

impl Rkey {
    /// Longest record key, in bytes.
    pub const MAX_LEN: usize = 512;

    /// Parses a record key: 1 to 512 of `A-Za-z0-9._:~-`, and neither `.` nor `..`.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(SyntaxError::new(WHAT, text, "it must have 1 to 512 characters"));
        }
        if let Some(at) = text.bytes().position(|b| !is_rkey_byte(b)) {
            let rule = "only ASCII letters, digits and the characters . _ : ~ - are allowed";
            return Err(SyntaxError::at(WHAT, text, rule, at));
        }
        if text == "." || text == ".." {
            return Err(SyntaxError::new(WHAT, text, "\".\" and \"..\" are reserved"));
        }
        Ok(Self(text.into()))
    }

    /// This key read as a TID, if it is one.
    pub fn as_tid(&self) -> Option<Tid> {
        Tid::parse(&self.0).ok()
    }
}

text_newtype!(Rkey);

impl From<Tid> for Rkey {
    fn from(tid: Tid) -> Self {
        Self(tid.to_string().into())
    }
}
