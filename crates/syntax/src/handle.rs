//! Handles: domain names as account names.

use crate::SyntaxError;
use crate::domain::{MAX_NAME, check_label, labels};
use crate::newtype::text_newtype;

const WHAT: &str = "handle";

/// A handle such as `alice.example.com`, in lower case.
///
/// Spec: <https://atproto.com/specs/handle>. A handle proves nothing by itself: it must resolve to the account's DID and
/// the DID's document must name it. Names under [`Handle::DISALLOWED_TLDS`] parse, because records may mention them;
/// callers that resolve handles ask [`Handle::is_resolvable`] first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(Box<str>);

impl Handle {
    /// Longest handle, in bytes.
    pub const MAX_LEN: usize = MAX_NAME;

    /// Top-level domains under which no handle may be registered or resolved. `test` is for development only and is not
    /// among them.
    pub const DISALLOWED_TLDS: [&'static str; 8] =
        ["alt", "arpa", "example", "internal", "invalid", "local", "localhost", "onion"];

    /// Parses a handle and normalises it to lower case. A leading `@` is not part of a handle.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        if text.len() > Self::MAX_LEN {
            return Err(SyntaxError::new(WHAT, text, "it has more than 253 characters"));
        }
        let mut count = 0_usize;
        let mut last = (0, "");
        for (offset, label) in labels(text) {
            check_label(label)
                .map_err(|(rule, at)| SyntaxError::at(WHAT, text, rule, offset.saturating_add(at)))?;
            count = count.saturating_add(1);
            last = (offset, label);
        }
        if count < 2 {
            return Err(SyntaxError::new(
                WHAT,
                text,
                "it needs at least two parts, as in \"alice.example.com\"",
            ));
        }
        if last.1.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(SyntaxError::at(WHAT, text, "its last part may not start with a digit", last.0));
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The sentinel `handle.invalid`, shown in place of a handle that does not resolve back to its account.
    pub fn invalid() -> Self {
        Self("handle.invalid".into())
    }

    /// Whether this is the sentinel `handle.invalid`.
    pub fn is_invalid_sentinel(&self) -> bool {
        &*self.0 == "handle.invalid"
    }

    /// The last label.
    pub fn tld(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or_default()
    }

    /// Whether resolving it on the public network makes sense.
    pub fn is_resolvable(&self) -> bool {
        !Self::DISALLOWED_TLDS.contains(&self.tld())
    }
}

text_newtype!(Handle);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_case() {
        assert_eq!(Handle::parse("XX.LCS.MIT.EDU").unwrap().as_str(), "xx.lcs.mit.edu");
    }

    #[test]
    fn resolvable() {
        assert!(Handle::parse("alice.example.com").unwrap().is_resolvable());
        assert!(Handle::parse("alice.test").unwrap().is_resolvable());
        assert!(!Handle::parse("alice.Onion").unwrap().is_resolvable());
        assert!(!Handle::invalid().is_resolvable());
        assert!(Handle::parse("Handle.INVALID").unwrap().is_invalid_sentinel());
    }

    #[test]
    fn the_sentinel_is_a_handle() {
        assert_eq!(Handle::parse(Handle::invalid().as_str()), Ok(Handle::invalid()));
    }
}
