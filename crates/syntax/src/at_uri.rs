//! References to repositories, collections and records.

use std::fmt;

use crate::newtype::text_conversions;
use crate::{AtIdentifier, Did, Nsid, RecordPath, Rkey, SyntaxError};

const WHAT: &str = "AT-URI";
const SCHEME: &str = "at://";

/// An AT-URI such as `at://did:plc:.../app.bsky.feed.post/3jzfcijpj2z2a`.
///
/// Spec: <https://atproto.com/specs/at-uri-scheme>, the restricted form used in lexicons: no query, no fragment, no
/// trailing slash. A record key never comes without its collection.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AtUri {
    authority: AtIdentifier,
    path: Option<(Nsid, Option<Rkey>)>,
}

impl AtUri {
    /// Longest AT-URI, in bytes.
    pub const MAX_LEN: usize = 8192;

    /// Parses an AT-URI; a handle in it is normalised to lower case.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let wrong = |problem| SyntaxError::new(WHAT, text, problem);
        if text.len() > Self::MAX_LEN {
            return Err(wrong("it has more than 8192 characters"));
        }
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| wrong("it must start with \"at://\""))?;
        let mut parts = rest.split('/');
        let authority = parts.next().unwrap_or_default();
        let collection = parts.next();
        let rkey = parts.next();
        if parts.next().is_some() {
            return Err(wrong("it has more parts than authority, collection and record key"));
        }
        // Errors of a part are shown as errors of the URI, at their place in it.
        let after_authority = SCHEME.len().saturating_add(authority.len()).saturating_add(1);
        let after_collection =
            after_authority.saturating_add(collection.map_or(0, str::len)).saturating_add(1);
        let at = |start: usize| {
            move |error: SyntaxError| {
                let offset = start.saturating_add(error.offset().unwrap_or(0));
                SyntaxError::at(WHAT, text, error.problem(), offset)
            }
        };
        let authority = AtIdentifier::parse(authority).map_err(at(SCHEME.len()))?;
        let collection = collection.map(Nsid::parse).transpose().map_err(at(after_authority))?;
        let rkey = rkey.map(Rkey::parse).transpose().map_err(at(after_collection))?;
        Ok(Self { authority, path: collection.map(|collection| (collection, rkey)) })
    }

    /// The URI of a whole repository.
    pub fn of_repo(authority: impl Into<AtIdentifier>) -> Self {
        Self { authority: authority.into(), path: None }
    }

    /// The URI of one record.
    pub fn of_record(did: Did, collection: Nsid, rkey: Rkey) -> Self {
        Self { authority: did.into(), path: Some((collection, Some(rkey))) }
    }

    /// Whose repository.
    pub fn authority(&self) -> &AtIdentifier {
        &self.authority
    }

    /// The collection, if the URI names one.
    pub fn collection(&self) -> Option<&Nsid> {
        self.path.as_ref().map(|(collection, _)| collection)
    }

    /// The record key, if the URI names a record.
    pub fn rkey(&self) -> Option<&Rkey> {
        self.path.as_ref().and_then(|(_, rkey)| rkey.as_ref())
    }

    /// The key of the record in its repository's tree, if the URI names a record.
    pub fn record_path(&self) -> Option<RecordPath> {
        self.path.as_ref().and_then(|(collection, rkey)| Some(RecordPath::new(collection, rkey.as_ref()?)))
    }
}

impl fmt::Display for AtUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at://{}", self.authority)?;
        if let Some((collection, rkey)) = &self.path {
            write!(f, "/{collection}")?;
            if let Some(rkey) = rkey {
                write!(f, "/{rkey}")?;
            }
        }
        Ok(())
    }
}

text_conversions!(AtUri);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let uri = AtUri::parse("at://Alice.example.com/app.bsky.feed.post/3jzfcijpj2z2a").unwrap();
        assert_eq!(uri.to_string(), "at://alice.example.com/app.bsky.feed.post/3jzfcijpj2z2a");
        assert_eq!(uri.record_path().unwrap().as_str(), "app.bsky.feed.post/3jzfcijpj2z2a");
        let uri = AtUri::parse("at://did:plc:asdf123/app.bsky.feed.post").unwrap();
        assert!(uri.rkey().is_none() && uri.record_path().is_none());
        assert_eq!(uri.collection().unwrap().name(), "post");
    }

    #[test]
    fn error_points_into_the_uri() {
        let error = AtUri::parse("at://did:plc:asdf123/com.atproto.feed.p@st/x").unwrap_err();
        assert_eq!(error.offset(), Some("at://did:plc:asdf123/com.atproto.feed.p".len()));
        let error = AtUri::parse("at://did:plc:asdf123/com.atproto.feed.post/a b").unwrap_err();
        assert_eq!(error.offset(), Some("at://did:plc:asdf123/com.atproto.feed.post/a".len()));
    }
}
