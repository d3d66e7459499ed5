//! Namespaced identifiers: names of collections, methods and types.

use crate::SyntaxError;
use crate::domain::{MAX_LABEL, MAX_NAME, check_label, labels};
use crate::newtype::text_newtype;

const WHAT: &str = "NSID";

/// An NSID such as `app.bsky.feed.post`: a reversed domain name and a name.
///
/// Spec: <https://atproto.com/specs/nsid>. The text is kept as written; the name is case sensitive.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nsid(Box<str>);

impl Nsid {
    /// Longest NSID, in bytes: an authority of 253, a dot, a name of 63. The sum alone is checked, as the published
    /// vectors ask.
    pub const MAX_LEN: usize = MAX_NAME + 1 + MAX_LABEL;

    /// Parses an NSID.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let wrong = |problem| SyntaxError::new(WHAT, text, problem);
        if text.len() > Self::MAX_LEN {
            return Err(wrong("it has more than 317 characters"));
        }
        let (authority, name) = text
            .rsplit_once('.')
            .ok_or_else(|| wrong("it needs at least three parts, as in \"com.example.thing\""))?;
        if !authority.contains('.') {
            return Err(wrong("it needs at least three parts, as in \"com.example.thing\""));
        }
        for (offset, label) in labels(authority) {
            check_label(label)
                .map_err(|(rule, at)| SyntaxError::at(WHAT, text, rule, offset.saturating_add(at)))?;
        }
        if authority.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(SyntaxError::at(WHAT, text, "its first part may not start with a digit", 0));
        }
        let start = authority.len().saturating_add(1);
        if name.is_empty() || name.len() > MAX_LABEL {
            return Err(SyntaxError::at(
                WHAT,
                text,
                "its name (the last part) must have 1 to 63 characters",
                start,
            ));
        }
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(SyntaxError::at(
                WHAT,
                text,
                "its name (the last part) must start with a letter",
                start,
            ));
        }
        if let Some(at) = name.bytes().position(|b| !b.is_ascii_alphanumeric()) {
            let rule = "its name (the last part) may only have ASCII letters and digits";
            return Err(SyntaxError::at(WHAT, text, rule, start.saturating_add(at)));
        }
        Ok(Self(text.into()))
    }

    /// The domain name that controls this NSID, in DNS order and lower case: `feed.bsky.app`.
    pub fn authority(&self) -> String {
        let reversed: Vec<&str> = self.0.rsplit('.').skip(1).collect();
        reversed.join(".").to_ascii_lowercase()
    }

    /// The last part: `post` of `app.bsky.feed.post`.
    pub fn name(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or_default()
    }
}

text_newtype!(Nsid);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let nsid = Nsid::parse("app.Bsky.feed.getPost").unwrap();
        assert_eq!((nsid.authority().as_str(), nsid.name()), ("feed.bsky.app", "getPost"));
        assert_eq!(nsid.as_str(), "app.Bsky.feed.getPost");
    }
}
