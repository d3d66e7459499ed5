//! What a person types to name an account.

use std::fmt;

use crate::newtype::text_conversions;
use crate::{Did, Handle, SyntaxError};

/// A handle or a DID.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AtIdentifier {
    /// The permanent name.
    Did(Did),
    /// A name that has to be resolved.
    Handle(Handle),
}

impl AtIdentifier {
    /// Parses a DID if the text starts with `did:`, a handle otherwise.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        if text.starts_with("did:") {
            Did::parse(text).map(Self::Did)
        } else {
            Handle::parse(text).map(Self::Handle)
        }
    }

    /// The text, in normal form.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Did(did) => did.as_str(),
            Self::Handle(handle) => handle.as_str(),
        }
    }
}

impl fmt::Display for AtIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

text_conversions!(AtIdentifier);

impl From<Did> for AtIdentifier {
    fn from(did: Did) -> Self {
        Self::Did(did)
    }
}

impl From<Handle> for AtIdentifier {
    fn from(handle: Handle) -> Self {
        Self::Handle(handle)
    }
}
