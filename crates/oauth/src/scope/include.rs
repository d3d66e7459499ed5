//! `include:`: a permission set that somebody published under a name of his own.

use p2pds_syntax::Nsid;
use serde_json::{Map, Value};

use super::set::PermissionSet;
use super::syntax::{Fields, Wrong, is_service, written};
use super::{RepoScope, RpcScope, Scope};

/// `include:app.example.authBasics?aud=did:web:api.example.com%23svc`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// The set's name.
    pub nsid: Nsid,
    /// The service that the set's methods are called at, where the set leaves it open.
    pub aud: Option<String>,
    /// The same as JSON, for entries that take it over.
    inherited: Option<Value>,
}

impl Include {
    pub(super) fn of(fields: Fields<'_>) -> Result<Self, Wrong> {
        let fields = fields.only(&["nsid", "aud"])?;
        let nsid = Nsid::parse(&fields.one("nsid", true)?.ok_or(Wrong)?).map_err(|_| Wrong)?;
        let aud = fields.one("aud", false)?;
        if aud.as_deref().is_some_and(|aud| !is_service(aud)) {
            return Err(Wrong);
        }
        let inherited = aud.clone().map(Value::String);
        Ok(Self { nsid, aud, inherited })
    }

    pub(super) fn text(&self) -> String {
        let named: Vec<(&str, &str)> = self.aud.iter().map(|aud| ("aud", aud.as_str())).collect();
        written("include", Some(self.nsid.as_str()), &named)
    }

    /// What the set gives, as far as it may: records and methods below its own authority. Anything else in it, and what
    /// is not understood in full, is passed over.
    #[must_use]
    pub fn permissions(&self, set: &PermissionSet) -> Vec<Scope> {
        set.permissions.iter().filter_map(|entry| self.permission(entry)).collect()
    }

    fn permission(&self, entry: &Map<String, Value>) -> Option<Scope> {
        match entry.get("resource")?.as_str()? {
            "repo" => {
                let scope = RepoScope::of(Fields::of_entry(entry)).ok()?;
                scope.collections.iter().all(|name| self.is_below(name)).then_some(Scope::Repo(scope))
            }
            "rpc" => {
                let scope = RpcScope::of(self.with_audience(entry)?).ok()?;
                scope.lxm.iter().all(|name| self.is_below(name)).then_some(Scope::Rpc(scope))
            }
            _ => None,
        }
    }

    /// A set names no service: any, or the one that whoever asks for the set names.
    fn with_audience<'e>(&'e self, entry: &'e Map<String, Value>) -> Option<Fields<'e>> {
        let fields = Fields::of_entry(entry);
        match (entry.get("aud"), &self.inherited) {
            (Some(Value::String(aud)), _) if aud == "*" => Some(fields),
            (Some(_), _) => None,
            (None, Some(aud)) if entry.get("inheritAud") == Some(&Value::Bool(true)) => {
                Some(fields.without("inheritAud").and("aud", aud))
            }
            (None, _) => Some(fields),
        }
    }

    /// Whether a name is in the set's own group, or below it: `app.example.authBasics` speaks for `app.example.…`.
    fn is_below(&self, name: &str) -> bool {
        let group = self.nsid.as_str().rsplit_once('.').map(|(group, _)| group);
        group
            .and_then(|group| name.strip_prefix(group))
            .is_some_and(|rest| rest.len() > 1 && rest.starts_with('.'))
    }
}
