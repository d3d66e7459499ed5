//! Scopes: what an application may do in an account's name.
//!
//! ```text
//! text        "atproto repo:app.bsky.feed.post?action=create rpc:*?aud=did:web:api.example.com%23svc"
//! Scopes      each of them read, in the order and the words in which they came
//! Need        one thing that somebody is about to do
//! allows      whether any of the scopes covers it; nothing is covered by being left out
//! ```
//!
//! A scope that is not understood in full grants nothing: it is refused, or left out with [`Scopes::known`]. `include:`
//! grants nothing by itself either; [`Scopes::expanded`] puts what its permission set says in its place.
//!
//! Not checked here: whether the client declared a scope (see [`Scopes::undeclared`]), whether the person agreed, and
//! whether the account may do it at all.
//!
//! Spec: <https://atproto.com/specs/permission>, RFC 6749 section 3.3.

mod account;
mod blob;
mod include;
mod repo;
mod rpc;
mod set;
mod syntax;
mod words;

#[cfg(test)]
mod tests;

use std::fmt;

pub use account::{AccountAction, AccountAttr, AccountScope, IdentityAttr};
pub use blob::BlobScope;
pub use include::Include;
pub use repo::{RepoAction, RepoScope};
pub use rpc::RpcScope;
pub use set::PermissionSet;
pub use words::{Arg, KEYS, Sentence};

use p2pds_syntax::ErrorKind;
use syntax::{Fields, Wrong, resource};

/// The scope that every session has.
pub const ATPROTO: &str = "atproto";
/// Longest text of scopes that is read, bytes.
pub const MAX_TEXT: usize = 64 * 1024;
/// Most scopes of one text.
pub const MAX_SCOPES: usize = 1_000;

/// Why a text is not a list of scopes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// It is empty.
    #[error("no scope is named; the least is `atproto`")]
    Empty,
    /// It is too long.
    #[error("the scopes have {0} bytes; {MAX_TEXT} bytes and {MAX_SCOPES} scopes are read at most")]
    TooLong(usize),
    /// It has characters that no scope has (RFC 6749 section 3.3), or not one space between two scopes.
    #[error("scopes are printable ASCII without quotes and backslashes, with one space between two of them")]
    Form,
    /// One of them is not known, or not written as it must be.
    #[error(
        "the scope `{0}` is not known here; see https://atproto.com/specs/permission for those that there are"
    )]
    Unknown(String),
}

impl ScopeError {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// One scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// `atproto`: who the account is.
    Atproto,
    /// `transition:generic`: what an app password may do.
    TransitionGeneric,
    /// `transition:email`: the e-mail address.
    TransitionEmail,
    /// `transition:chat.bsky`: direct messages.
    TransitionChat,
    /// `repo:`
    Repo(RepoScope),
    /// `rpc:`
    Rpc(RpcScope),
    /// `blob:`
    Blob(BlobScope),
    /// `account:`
    Account(AccountScope),
    /// `identity:`
    Identity(IdentityAttr),
    /// `include:`
    Include(Include),
}

impl Scope {
    /// Reads one.
    ///
    /// # Errors
    /// It is not known, or not written as it must be.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        Self::read(text).map_err(|Wrong| ScopeError::Unknown(text.chars().take(200).collect()))
    }

    fn read(text: &str) -> Result<Self, Wrong> {
        match text {
            ATPROTO => return Ok(Self::Atproto),
            "transition:generic" => return Ok(Self::TransitionGeneric),
            "transition:email" => return Ok(Self::TransitionEmail),
            "transition:chat.bsky" => return Ok(Self::TransitionChat),
            _ => {}
        }
        let fields = || Fields::of_text(text);
        match resource(text) {
            "repo" => RepoScope::of(fields()?).map(Self::Repo),
            "rpc" => RpcScope::of(fields()?).map(Self::Rpc),
            "blob" => BlobScope::of(fields()?).map(Self::Blob),
            "account" => AccountScope::of(fields()?).map(Self::Account),
            "identity" => IdentityAttr::of(fields()?).map(Self::Identity),
            "include" => Include::of(fields()?).map(Self::Include),
            _ => Err(Wrong),
        }
    }

    /// Whether it covers this by itself.
    #[must_use]
    pub fn allows(&self, need: &Need<'_>) -> bool {
        match (self, need) {
            (Self::Atproto, Need::Any) => true,
            (Self::TransitionGeneric, Need::Repo { .. } | Need::Blob { .. }) => true,
            (Self::TransitionGeneric, Need::Rpc { lxm, .. }) => !is_chat(lxm),
            (Self::TransitionChat, Need::Rpc { lxm, .. }) => is_chat(lxm),
            (Self::TransitionEmail, Need::Account { attr, action }) => {
                *attr == AccountAttr::Email && *action == AccountAction::Read
            }
            (Self::Repo(scope), Need::Repo { collection, action }) => scope.covers(collection, *action),
            (Self::Rpc(scope), Need::Rpc { lxm, aud }) => scope.covers(lxm, aud),
            (Self::Blob(scope), Need::Blob { mime }) => scope.covers(mime),
            (Self::Account(scope), Need::Account { attr, action }) => scope.covers(*attr, *action),
            (Self::Identity(granted), Need::Identity(attr)) => granted.covers(*attr),
            _ => false,
        }
    }
}

impl fmt::Display for Scope {
    /// The one form among several that mean the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Atproto => f.write_str(ATPROTO),
            Self::TransitionGeneric => f.write_str("transition:generic"),
            Self::TransitionEmail => f.write_str("transition:email"),
            Self::TransitionChat => f.write_str("transition:chat.bsky"),
            Self::Repo(scope) => f.write_str(&scope.text()),
            Self::Rpc(scope) => f.write_str(&scope.text()),
            Self::Blob(scope) => f.write_str(&scope.text()),
            Self::Account(scope) => f.write_str(&scope.text()),
            Self::Identity(attr) => write!(f, "identity:{}", attr.name()),
            Self::Include(include) => f.write_str(&include.text()),
        }
    }
}

/// Direct messages. Names of methods are told apart by their case, but nobody gets there by writing them in capitals.
fn is_chat(lxm: &str) -> bool {
    lxm.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("chat.bsky."))
}

/// One thing that somebody is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need<'a> {
    /// Something that every session may.
    Any,
    /// Write a record.
    Repo {
        /// Its collection.
        collection: &'a str,
        /// What becomes of it.
        action: RepoAction,
    },
    /// Have a method called at a service, or a token for it.
    Rpc {
        /// The method; `*` is a token for no method in particular.
        lxm: &'a str,
        /// The service: `did:web:api.example.com#service`.
        aud: &'a str,
    },
    /// Upload a blob.
    Blob {
        /// Its media type, lower case, without parameters.
        mime: &'a str,
    },
    /// Something with the account.
    Account {
        /// With what of it.
        attr: AccountAttr,
        /// What.
        action: AccountAction,
    },
    /// Change the identity.
    Identity(IdentityAttr),
}

impl fmt::Display for Need<'_> {
    /// The least scope that covers it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text: &str| text.to_owned();
        match self {
            Self::Any => f.write_str(ATPROTO),
            Self::Repo { collection, action } => f.write_str(&RepoScope::least(collection, *action)),
            Self::Rpc { lxm, aud } => f.write_str(&RpcScope { lxm: vec![text(lxm)], aud: text(aud) }.text()),
            Self::Blob { mime } => f.write_str(&BlobScope { accept: vec![text(mime)] }.text()),
            Self::Account { attr, action } => {
                f.write_str(&AccountScope { attr: *attr, actions: vec![*action] }.text())
            }
            Self::Identity(attr) => write!(f, "identity:{}", attr.name()),
        }
    }
}

/// Scopes, in the order and the words in which they came, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(Vec<(String, Scope)>);

impl Scopes {
    /// Reads a list of scopes, all of which must be known.
    ///
    /// # Errors
    /// See [`ScopeError`].
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let mut scopes = Self::default();
        for word in words_of(text)? {
            scopes.add(word, Scope::parse(word)?);
        }
        Ok(scopes)
    }

    /// Reads a list of scopes and leaves out those that are not known; the second value names them. It may be that none
    /// is left.
    ///
    /// # Errors
    /// It is no list of scopes.
    pub fn known(text: &str) -> Result<(Self, Vec<String>), ScopeError> {
        let (mut scopes, mut unknown) = (Self::default(), Vec::new());
        for word in words_of(text)? {
            match Scope::parse(word) {
                Ok(scope) => scopes.add(word, scope),
                Err(_) => unknown.push(word.to_owned()),
            }
        }
        Ok((scopes, unknown))
    }

    fn add(&mut self, text: &str, scope: Scope) {
        if !self.contains(text) {
            self.0.push((text.to_owned(), scope));
        }
    }

    /// Whether any of them covers this.
    #[must_use]
    pub fn allows(&self, need: &Need<'_>) -> bool {
        self.0.iter().any(|(_, scope)| scope.allows(need))
    }

    /// Whether one of them is written so.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        self.0.iter().any(|(known, _)| known == text)
    }

    /// Whether `atproto` is among them, without which there is no session.
    #[must_use]
    pub fn is_atproto(&self) -> bool {
        self.contains(ATPROTO)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Each with the words in which it came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Scope)> {
        self.0.iter().map(|(text, scope)| (text.as_str(), scope))
    }

    /// The permission sets that are asked for.
    pub fn includes(&self) -> impl Iterator<Item = &Include> {
        self.0.iter().filter_map(|(_, scope)| match scope {
            Scope::Include(include) => Some(include),
            _ => None,
        })
    }

    /// Whether each of them is among the declared ones, word for word: `repo:*` declares no `repo:com.example.thing`.
    #[must_use]
    pub fn subset_of(&self, declared: &str) -> bool {
        self.undeclared(declared).is_none()
    }

    /// The first that is not among the declared ones, word for word.
    #[must_use]
    pub fn undeclared(&self, declared: &str) -> Option<&str> {
        let mut texts = self.0.iter().map(|(text, _)| text.as_str());
        texts.find(|text| !declared.split(' ').any(|known| known == *text))
    }

    /// Those of them that are among `others` too, word for word: what a person agreed to of what was asked.
    #[must_use]
    pub fn common(&self, others: &Self) -> Self {
        Self(self.0.iter().filter(|(text, _)| others.contains(text)).cloned().collect())
    }

    /// What is granted: in the place of each `include:` the permissions of its set, as far as a set may give them.
    /// `None` when `set_of` does not know one of the sets.
    #[must_use]
    pub fn expanded<'s>(&self, set_of: impl Fn(&Include) -> Option<&'s PermissionSet>) -> Option<Self> {
        let mut scopes = Self::default();
        for (text, scope) in &self.0 {
            match scope {
                Scope::Include(include) => {
                    for scope in include.permissions(set_of(include)?) {
                        scopes.add(&scope.to_string(), scope);
                    }
                }
                other => scopes.add(text, other.clone()),
            }
        }
        Some(scopes)
    }
}

/// As one text, in the words in which they came.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (text, _)) in self.0.iter().enumerate() {
            write!(f, "{}{text}", if at == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// The words of a list of scopes.
fn words_of(text: &str) -> Result<Vec<&str>, ScopeError> {
    if text.is_empty() {
        return Err(ScopeError::Empty);
    }
    // No list within the limit has more spaces than bytes, so this is bounded too.
    let words: Vec<&str> = text.split(' ').collect();
    if text.len() > MAX_TEXT || words.len() > MAX_SCOPES {
        return Err(ScopeError::TooLong(text.len()));
    }
    let fits = |b: u8| b == 0x21 || (0x23..=0x5b).contains(&b) || (0x5d..=0x7e).contains(&b);
    match words.iter().all(|word| !word.is_empty() && word.bytes().all(fits)) {
        true => Ok(words),
        false => Err(ScopeError::Form),
    }
}
