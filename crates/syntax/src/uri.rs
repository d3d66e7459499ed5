//! The lexicon string format `uri`.

use crate::SyntaxError;
use crate::newtype::text_newtype;

const WHAT: &str = "URI";

/// A URI of any scheme, checked loosely as the lexicon format `uri` asks.
///
/// A lower-case scheme of at most 81 characters, a colon, then at least one character that is neither white space nor a
/// control character. Fetching one is a matter for the `net` crate and its own, strict parser.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uri(Box<str>);

impl Uri {
    /// Longest URI, in bytes.
    pub const MAX_LEN: usize = 8192;

    /// Checks the text and keeps it as it is.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let wrong = |problem| SyntaxError::new(WHAT, text, problem);
        if text.len() > Self::MAX_LEN {
            return Err(wrong("it has more than 8192 bytes"));
        }
        let (scheme, rest) =
            text.split_once(':').ok_or_else(|| wrong("it has no scheme, as in \"https:\""))?;
        let scheme_byte =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'+' | b'-');
        if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) || !scheme.bytes().all(scheme_byte) {
            return Err(wrong(
                "its scheme must be a lower-case letter and then letters, digits, '.', '+' or '-'",
            ));
        }
        if scheme.len() > 81 {
            return Err(wrong("its scheme has more than 81 characters"));
        }
        if rest.is_empty() {
            return Err(wrong("nothing follows its scheme"));
        }
        if let Some((at, _)) = text.char_indices().find(|(_, c)| c.is_whitespace() || c.is_control()) {
            return Err(SyntaxError::at(WHAT, text, "white space is not allowed", at));
        }
        Ok(Self(text.into()))
    }
}

text_newtype!(Uri);
