//! Permission sets, as they are published.

use serde_json::{Map, Value};

/// Most permissions of a set that are looked at.
const MOST: usize = 500;

/// A permission set: the definition `main` of a lexicon document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PermissionSet {
    /// A name for people.
    pub title: Option<String>,
    /// What it is for, for people.
    pub detail: Option<String>,
    /// Names in other languages, by language tag.
    pub titles: Vec<(String, String)>,
    /// What it is for, in other languages.
    pub details: Vec<(String, String)>,
    pub(super) permissions: Vec<Map<String, Value>>,
}

impl PermissionSet {
    /// Reads the lexicon document (with its `defs`), or its definition `main` alone. `None` when it is no permission
    /// set. Entries are read when they are used: what is not understood by then is passed over.
    #[must_use]
    pub fn from_json(document: &Value) -> Option<Self> {
        let main = match document.get("defs") {
            Some(definitions) => definitions.get("main")?,
            None => document,
        };
        if main.get("type")?.as_str()? != "permission-set" {
            return None;
        }
        let text = |name: &str| main.get(name).and_then(Value::as_str).map(str::to_owned);
        let others = |name: &str| {
            let known = main.get(name).and_then(Value::as_object).into_iter().flatten();
            known.filter_map(|(tag, text)| Some((tag.clone(), text.as_str()?.to_owned()))).collect()
        };
        let permissions = main.get("permissions")?.as_array()?;
        let permissions = permissions.iter().take(MOST).filter_map(Value::as_object).cloned().collect();
        Some(Self {
            title: text("title"),
            detail: text("detail"),
            titles: others("title:lang"),
            details: others("detail:lang"),
            permissions,
        })
    }

    /// Name and purpose in a language, or as they are where it has no others: `de-AT` finds `de`.
    #[must_use]
    pub fn words(&self, language: &str) -> (Option<&str>, Option<&str>) {
        let primary = language.split('-').next().unwrap_or_default();
        let title = in_language(&self.titles, language, primary).or(self.title.as_deref());
        (title, in_language(&self.details, language, primary).or(self.detail.as_deref()))
    }
}

fn in_language<'t>(texts: &'t [(String, String)], language: &str, primary: &str) -> Option<&'t str> {
    let find = |wanted: &str| texts.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(wanted));
    find(language).or_else(|| find(primary)).map(|(_, text)| text.as_str())
}
