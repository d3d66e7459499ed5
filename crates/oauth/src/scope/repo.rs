//! `repo:`: which records may be written.

use super::syntax::{Fields, Wrong, is_nsid, listed, written};

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RepoAction {
    /// It is made.
    Create,
    /// It is replaced.
    Update,
    /// It is removed.
    Delete,
}

impl RepoAction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Create, Self::Update, Self::Delete];

    /// Its name in a scope.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// `repo:app.bsky.feed.post?action=create`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoScope {
    /// Collections; `*` is all of them.
    pub collections: Vec<String>,
    /// Actions, in their order.
    pub actions: Vec<RepoAction>,
}

impl RepoScope {
    pub(super) fn of(fields: Fields<'_>) -> Result<Self, Wrong> {
        let fields = fields.only(&["collection", "action"])?;
        let mut collections = fields.many("collection", true)?.ok_or(Wrong)?;
        if !collections.iter().all(|name| name == "*" || is_nsid(name)) {
            return Err(Wrong);
        }
        if collections.len() > 1 {
            match collections.iter().any(|name| name == "*") {
                true => collections = vec!["*".to_owned()],
                false => {
                    collections.sort_unstable();
                    collections.dedup();
                }
            }
        }
        let actions = match fields.many("action", false)? {
            None => RepoAction::ALL.to_vec(),
            Some(names)
                if names.iter().all(|name| RepoAction::ALL.iter().any(|known| known.name() == name)) =>
            {
                let given = |action: &RepoAction| names.iter().any(|name| name == action.name());
                RepoAction::ALL.into_iter().filter(given).collect()
            }
            Some(_) => return Err(Wrong),
        };
        Ok(Self { collections, actions })
    }

    /// Whether it covers this write.
    #[must_use]
    pub fn covers(&self, collection: &str, action: RepoAction) -> bool {
        self.actions.contains(&action)
            && self.collections.iter().any(|known| known == "*" || known == collection)
    }

    pub(super) fn least(collection: &str, action: RepoAction) -> String {
        Self { collections: vec![collection.to_owned()], actions: vec![action] }.text()
    }

    pub(super) fn text(&self) -> String {
        let (positional, mut named) = listed("collection", &self.collections);
        if self.actions.len() < RepoAction::ALL.len() {
            named.extend(self.actions.iter().map(|action| ("action", action.name())));
        }
        written("repo", positional, &named)
    }
}
