//! Scopes in words: which sentences a page says for them. The sentences themselves are the page's, in its languages.
//!
//! | Key | Arguments |
//! |---|---|
//! | `scope-atproto` | |
//! | `scope-transition-generic`, `scope-transition-email`, `scope-transition-chat` | |
//! | `scope-repo`, `scope-repo-all` | `actions`, and `collection` for the first |
//! | `scope-rpc`, `scope-rpc-any-service`, `scope-rpc-any-method` | `method`, `service`, what there is of them |
//! | `scope-blob`, `scope-blob-kind`, `scope-blob-any` | `type` (`image/png`), `kind` (`image`) |
//! | `scope-account-email-read`, `-email-manage`, `-repo-read`, `-repo-manage`, `-status-read`, `-status-manage` | |
//! | `scope-identity-handle`, `scope-identity-all` | |
//! | `scope-include`, `scope-include-at` | `set`, and `service` for the second |
//!
//! `actions` is `all`, or the names of some with hyphens between them, in their order: `create`, `create-delete`, ….

use super::{AccountAction, AccountAttr, IdentityAttr, RepoAction, Scope};

/// A sentence about a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// Its key.
    pub key: &'static str,
    /// What is put into it.
    pub args: Vec<Arg>,
}

/// One thing that is put into a sentence: its name and the text, which somebody else chose.
pub type Arg = (&'static str, String);

/// Every key, so that pages can be checked to know them all.
pub const KEYS: [&str; 22] = [
    "scope-atproto",
    "scope-transition-generic",
    "scope-transition-email",
    "scope-transition-chat",
    "scope-repo",
    "scope-repo-all",
    "scope-rpc",
    "scope-rpc-any-service",
    "scope-rpc-any-method",
    "scope-blob",
    "scope-blob-kind",
    "scope-blob-any",
    "scope-account-email-read",
    "scope-account-email-manage",
    "scope-account-repo-read",
    "scope-account-repo-manage",
    "scope-account-status-read",
    "scope-account-status-manage",
    "scope-identity-handle",
    "scope-identity-all",
    "scope-include",
    "scope-include-at",
];

fn say(key: &'static str, args: &[(&'static str, &str)]) -> Sentence {
    Sentence { key, args: args.iter().map(|(name, text)| (*name, (*text).to_owned())).collect() }
}

impl Scope {
    /// What a person is told of it: one sentence, or one for each thing that it is about.
    #[must_use]
    pub fn words(&self) -> Vec<Sentence> {
        match self {
            Self::Atproto => vec![say("scope-atproto", &[])],
            Self::TransitionGeneric => vec![say("scope-transition-generic", &[])],
            Self::TransitionEmail => vec![say("scope-transition-email", &[])],
            Self::TransitionChat => vec![say("scope-transition-chat", &[])],
            Self::Repo(scope) => {
                let actions = actions(&scope.actions);
                let one = |name: &String| match name.as_str() {
                    "*" => say("scope-repo-all", &[("actions", &actions)]),
                    name => say("scope-repo", &[("collection", name), ("actions", &actions)]),
                };
                scope.collections.iter().map(one).collect()
            }
            Self::Rpc(scope) => {
                let one = |method: &String| match (method.as_str(), scope.aud.as_str()) {
                    ("*", service) => say("scope-rpc-any-method", &[("service", service)]),
                    (method, "*") => say("scope-rpc-any-service", &[("method", method)]),
                    (method, service) => say("scope-rpc", &[("method", method), ("service", service)]),
                };
                scope.lxm.iter().map(one).collect()
            }
            Self::Blob(scope) => {
                let one = |pattern: &String| match pattern.strip_suffix("/*") {
                    Some("*") => say("scope-blob-any", &[]),
                    Some(kind) => say("scope-blob-kind", &[("kind", kind)]),
                    None => say("scope-blob", &[("type", pattern)]),
                };
                scope.accept.iter().map(one).collect()
            }
            Self::Account(scope) => {
                vec![say(account(scope.attr, scope.actions.contains(&AccountAction::Manage)), &[])]
            }
            Self::Identity(IdentityAttr::Handle) => vec![say("scope-identity-handle", &[])],
            Self::Identity(IdentityAttr::All) => vec![say("scope-identity-all", &[])],
            Self::Include(include) => vec![match &include.aud {
                None => say("scope-include", &[("set", include.nsid.as_str())]),
                Some(aud) => say("scope-include-at", &[("set", include.nsid.as_str()), ("service", aud)]),
            }],
        }
    }

    /// Whether whoever has it can change the account itself, or has all records in his hand: pages say so.
    #[must_use]
    pub fn is_grave(&self) -> bool {
        match self {
            Self::TransitionGeneric | Self::TransitionChat | Self::Identity(_) => true,
            Self::Account(scope) => scope.actions.contains(&AccountAction::Manage),
            Self::Repo(scope) => scope.collections.iter().any(|name| name == "*"),
            Self::Rpc(scope) => scope.lxm.iter().any(|name| name == "*"),
            Self::Atproto | Self::TransitionEmail | Self::Blob(_) | Self::Include(_) => false,
        }
    }
}

fn actions(given: &[RepoAction]) -> String {
    if given.len() == RepoAction::ALL.len() {
        return "all".to_owned();
    }
    given.iter().map(|action| action.name()).collect::<Vec<_>>().join("-")
}

fn account(attr: AccountAttr, manage: bool) -> &'static str {
    match (attr, manage) {
        (AccountAttr::Email, false) => "scope-account-email-read",
        (AccountAttr::Email, true) => "scope-account-email-manage",
        (AccountAttr::Repo, false) => "scope-account-repo-read",
        (AccountAttr::Repo, true) => "scope-account-repo-manage",
        (AccountAttr::Status, false) => "scope-account-status-read",
        (AccountAttr::Status, true) => "scope-account-status-manage",
    }
}
