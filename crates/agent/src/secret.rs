//! Words that are never printed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A password or token. `Debug` does not show it; there is no `Display`. It can be serialized, because it has to cross
/// the operator socket, which only its owner can open.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes it, without the line end that files and pipes have.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// To be sent, never to be shown.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_shown_and_has_no_line_end() {
        let secret = Secret::new("abcd-efgh\r\n");
        assert_eq!(secret.expose(), "abcd-efgh");
        assert!(!format!("{secret:?}").contains("abcd"));
        assert!(Secret::new("\n").is_empty());
    }
}
