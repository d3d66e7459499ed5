//! What is to be known about a promotion: neutral words, and as data what can be chosen about it. By which flag or in which
//! field it is chosen is known to whoever shows it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A sentence about a promotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// In plain words, without a name of a flag or a field.
    pub words: String,
    /// What the operator can choose about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
}

/// What can be chosen about a promotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Choice {
    /// Another handle.
    Handle {
        /// Such as a name that ends with this: `.pds.example.com`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        under: Option<String>,
    },
    /// Going on in spite of it.
    Force,
    /// Which rotation keys the identity has: one can be taken out, or this node's be left out.
    Keys,
    /// A rotation key of the identity, to sign with.
    Key,
    /// Having it signed anew, with the key and in spite of what changed; or giving it up.
    SignAnew,
    /// Giving the promotion up.
    GiveUp,
}

impl Remark {
    /// The sentence, with what can be chosen about it.
    pub(crate) fn choosing(words: impl Into<String>, choice: Choice) -> Self {
        Self { words: words.into(), choice: Some(choice) }
    }
}

impl From<String> for Remark {
    fn from(words: String) -> Self {
        Self { words, choice: None }
    }
}

impl From<&str> for Remark {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}
