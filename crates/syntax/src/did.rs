//! Decentralized identifiers: who an account is, for good.

use crate::SyntaxError;
use crate::newtype::text_newtype;

const WHAT: &str = "DID";

/// A DID such as `did:plc:z72i7hdynmk6r22z27h6tvur`: the permanent name of an account.
///
/// Any method is accepted, as readers of the protocol must; [`Did::method`] tells which one it is. Spec:
/// <https://atproto.com/specs/did>. Not checked here: that the DID of its method is well formed beyond the generic
/// syntax (the `identity` crate does that), or that it exists.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Did(Box<str>);

/// The DID methods that the network uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DidMethod {
    /// `did:plc`, with a public operation log.
    Plc,
    /// `did:web`, a document on a web server.
    Web,
    /// Valid syntax, and not a method AT Protocol accounts may use.
    Other,
}

impl Did {
    /// Longest DID that is accepted, in bytes.
    pub const MAX_LEN: usize = 2048;

    /// Parses a DID. DIDs are case sensitive and have no normal form: the text is kept as it is.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let wrong = |problem| SyntaxError::new(WHAT, text, problem);
        if text.len() > Self::MAX_LEN {
            return Err(wrong("it has more than 2048 characters"));
        }
        let rest = text.strip_prefix("did:").ok_or_else(|| wrong("it must start with \"did:\""))?;
        let (method, id) = rest
            .split_once(':')
            .ok_or_else(|| wrong("it needs a method and an identifier, as in \"did:plc:...\""))?;
        if method.is_empty() || !method.bytes().all(|b| b.is_ascii_lowercase()) {
            return Err(wrong("its method must be lower-case letters"));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'%' | b'-');
        if let Some(at) = id.bytes().position(|b| !allowed(b)) {
            let offset = text.len().saturating_sub(id.len()).saturating_add(at);
            return Err(SyntaxError::at(WHAT, text, "this character is not allowed in a DID", offset));
        }
        match id.bytes().last() {
            None => Err(wrong("its identifier is empty")),
            Some(b':' | b'%') => Err(wrong("it may not end with ':' or '%'")),
            Some(_) => Ok(Self(text.into())),
        }
    }

    /// Which method this DID belongs to.
    pub fn method(&self) -> DidMethod {
        if self.0.starts_with("did:plc:") {
            DidMethod::Plc
        } else if self.0.starts_with("did:web:") {
            DidMethod::Web
        } else {
            DidMethod::Other
        }
    }

    /// What follows the method: `example.com` of `did:web:example.com`.
    pub fn identifier(&self) -> &str {
        self.0.splitn(3, ':').nth(2).unwrap_or_default()
    }
}

text_newtype!(Did);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let did = Did::parse("did:web:localhost%3A1234").unwrap();
        assert_eq!((did.method(), did.identifier()), (DidMethod::Web, "localhost%3A1234"));
        let did = Did::parse("did:key:a:b").unwrap();
        assert_eq!((did.method(), did.identifier()), (DidMethod::Other, "a:b"));
        assert_eq!(Did::parse("did:plcx:a").unwrap().method(), DidMethod::Other);
    }

    #[test]
    fn length_boundary() {
        let longest = format!("did:m:{}", "v".repeat(Did::MAX_LEN - 6));
        assert!(Did::parse(&longest).is_ok());
        assert!(Did::parse(&format!("{longest}v")).is_err());
    }

    #[test]
    fn names_the_offending_byte() {
        let error = Did::parse("did:web:a/b").unwrap_err();
        assert_eq!(error.offset(), Some(9));
    }
}
