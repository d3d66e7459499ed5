//! `account:` and `identity:`: what belongs to the account itself.

use super::syntax::{Fields, Wrong, written};

/// What of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountAttr {
    /// Its e-mail address.
    Email,
    /// Its repo as a whole.
    Repo,
    /// Whether it is in use.
    Status,
}

/// What is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountAction {
    /// It is looked at.
    Read,
    /// It is changed. Whoever may change it may look at it.
    Manage,
}

impl AccountAttr {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Email, Self::Repo, Self::Status];

    /// Its name in a scope.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Repo => "repo",
            Self::Status => "status",
        }
    }
}

impl AccountAction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Read, Self::Manage];

    /// Its name in a scope.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Manage => "manage",
        }
    }
}

/// `account:email?action=manage`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountScope {
    /// What of the account.
    pub attr: AccountAttr,
    /// What may be done with it.
    pub actions: Vec<AccountAction>,
}

impl AccountScope {
    pub(super) fn of(fields: Fields<'_>) -> Result<Self, Wrong> {
        let fields = fields.only(&["attr", "action"])?;
        let attr = fields.one("attr", true)?.ok_or(Wrong)?;
        let attr = AccountAttr::ALL.into_iter().find(|known| known.name() == attr).ok_or(Wrong)?;
        let mut actions = Vec::new();
        for name in fields.many("action", false)?.unwrap_or_else(|| vec!["read".to_owned()]) {
            let action = AccountAction::ALL.into_iter().find(|known| known.name() == name).ok_or(Wrong)?;
            if !actions.contains(&action) {
                actions.push(action);
            }
        }
        Ok(Self { attr, actions })
    }

    /// Whether it covers this.
    #[must_use]
    pub fn covers(&self, attr: AccountAttr, action: AccountAction) -> bool {
        self.attr == attr && (self.actions.contains(&AccountAction::Manage) || self.actions.contains(&action))
    }

    pub(super) fn text(&self) -> String {
        let named: Vec<(&str, &str)> = match self.actions.as_slice() {
            [AccountAction::Read] => Vec::new(),
            actions => actions.iter().map(|action| ("action", action.name())).collect(),
        };
        written("account", Some(self.attr.name()), &named)
    }
}

/// `identity:handle`, `identity:*`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityAttr {
    /// The handle.
    Handle,
    /// Keys, services, all of it: with this the account can be moved.
    All,
}

impl IdentityAttr {
    /// Its name in a scope.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handle => "handle",
            Self::All => "*",
        }
    }

    pub(super) fn of(fields: Fields<'_>) -> Result<Self, Wrong> {
        match fields.only(&["attr"])?.one("attr", true)?.as_deref() {
            Some("handle") => Ok(Self::Handle),
            Some("*") => Ok(Self::All),
            _ => Err(Wrong),
        }
    }

    /// Whether it covers this.
    #[must_use]
    pub fn covers(self, attr: Self) -> bool {
        self == Self::All || self == attr
    }
}
