//! Why a token is refused. No message ever holds a token or what it claims.

use p2pds_syntax::ErrorKind;

/// A token that proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwtError {
    /// Longer than any honest one.
    #[error("the token has {0} bytes, and may have {max}", max = super::MAX_TOKEN)]
    TooLong(usize),
    /// Not three parts with dots between.
    #[error("a token is three parts of base64url with dots between them")]
    Form,
    /// A part that is not base64url without padding.
    #[error("the token's {0} is not base64url without padding")]
    Encoding(&'static str),
    /// A part that is not a JSON object whose keys stand once.
    #[error("the token's {0} is not a JSON object whose keys stand once")]
    Json(&'static str),
    /// An algorithm that is not accepted here, or not that of the key.
    #[error("the token's algorithm is not accepted here")]
    Algorithm,
    /// A header field that changes the meaning of the rest, or brings its own key.
    #[error("the token's header has a field that is not accepted here")]
    Extension,
    /// A field of the wrong type, or missing where it is needed.
    #[error("the token's {0} is missing or of the wrong type")]
    Claim(&'static str),
    /// Not signed with the key that it should be signed with.
    #[error("the token's signature does not match")]
    Signature,
    /// Past its end.
    #[error("the token has expired")]
    Expired,
    /// Before its beginning.
    #[error("the token is not valid yet")]
    Early,
}

impl JwtError {
    /// Always [`ErrorKind::Denied`].
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Denied
    }
}
