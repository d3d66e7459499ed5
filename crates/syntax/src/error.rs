//! How errors are classified everywhere, and the one error of this crate.

use std::fmt;

/// What kind of trouble an error is: the only part of it that retry logic and protocol surfaces may look at.
///
/// Every error enum of the project has a `kind()` returning one of these. What exactly happened is in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorKind {
    /// The input breaks a rule; the same input will fail again.
    Invalid,
    /// The thing asked for does not exist (here).
    NotFound,
    /// It clashes with what is there already: somebody else was faster, or holds a lock.
    Conflict,
    /// It exists, and the caller may not have it.
    Denied,
    /// A size, rate or quota limit was reached.
    Limited,
    /// Something outside did not answer as it should; trying later may help.
    Unavailable,
    /// Stored or received bytes are not what they were; a copy from elsewhere is needed.
    Corrupt,
    /// An invariant of ours does not hold: please report it.
    Bug,
}

impl ErrorKind {
    /// Lower-case name, as logs and JSON carry it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "notfound",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Limited => "limited",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::Bug => "bug",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that is not the identifier it was said to be.
///
/// The message quotes at most [`SyntaxError::EXCERPT`] characters of the input, with control characters escaped, so
/// that it can be logged and shown whatever the input was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found} is not a valid {what}: {problem}{}", At(*.at))]
pub struct SyntaxError {
    what: &'static str,
    found: String,
    problem: &'static str,
    at: Option<usize>,
}

impl SyntaxError {
    /// How many characters of the offending input a message quotes.
    pub const EXCERPT: usize = 64;

    pub(crate) fn new(what: &'static str, input: &str, problem: &'static str) -> Self {
        Self { what, found: excerpt(input), problem, at: None }
    }

    pub(crate) fn at(what: &'static str, input: &str, problem: &'static str, offset: usize) -> Self {
        Self { what, found: excerpt(input), problem, at: Some(offset) }
    }

    /// The identifier that was expected, such as `handle`.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// The rule that was broken, as a phrase.
    pub fn problem(&self) -> &'static str {
        self.problem
    }

    /// Byte offset of the first offending byte, where there is one.
    pub fn offset(&self) -> Option<usize> {
        self.at
    }

    /// Always [`ErrorKind::Invalid`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

struct At(Option<usize>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(offset) => write!(f, " (at byte {offset})"),
            None => Ok(()),
        }
    }
}

fn excerpt(input: &str) -> String {
    let head: String = input.chars().take(SyntaxError::EXCERPT).collect();
    if head.len() < input.len() { format!("{head:?}...") } else { format!("{head:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_bounded_and_escaped() {
        let error = SyntaxError::at("DID", &"\n\u{1b}[31mx".repeat(1000), "must start with \"did:\"", 0);
        let message = error.to_string();
        assert!(message.len() < 600, "{} bytes", message.len());
        assert!(!message.contains('\n') && !message.contains('\u{1b}'));
        assert!(message.ends_with("must start with \"did:\" (at byte 0)"), "{message}");
    }
}
