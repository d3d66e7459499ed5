//! The lexicon string format `cid`.

use crate::SyntaxError;
use crate::newtype::text_newtype;

const WHAT: &str = "CID";

/// Text that looks like a CID in any base, as the lexicon format `cid` allows.
///
/// This is the loose format check for strings in records; links that are followed or stored are the strict `Cid` of the
/// `ipld` crate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CidText(Box<str>);

impl CidText {
    /// Longest text, in bytes.
    pub const MAX_LEN: usize = 256;

    /// Checks the text: 8 to 256 characters of the usual bases, and not a CIDv0.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        if text.len() < 8 || text.len() > Self::MAX_LEN {
            return Err(SyntaxError::new(WHAT, text, "it must have 8 to 256 characters"));
        }
        if let Some(at) = text.bytes().position(|b| !b.is_ascii_alphanumeric() && b != b'+' && b != b'=') {
            return Err(SyntaxError::at(WHAT, text, "this character is not allowed in a CID", at));
        }
        if text.starts_with("Qm") {
            return Err(SyntaxError::new(WHAT, text, "version 0 CIDs (\"Qm...\") are not supported"));
        }
        Ok(Self(text.into()))
    }
}

text_newtype!(CidText);
