//! Preferences that applications keep with an account.

use p2pds_store::Unit;
use p2pds_store::hosting::{AccountsUnit, HostingUnit, PreferenceRow};
use p2pds_syntax::{Datetime, Did};
use serde_json::{Value, json};

use crate::error::{HostError, HostResult};
use crate::host::Host;

/// Only full sessions see and set it.
const PERSONAL: &str = "app.bsky.actor.defs#personalDetailsPref";
/// Computed, never stored.
const AGE: &str = "app.bsky.actor.defs#declaredAgePref";
/// Preferences of one account in one namespace.
const MOST: usize = 500;
/// Their size in all.
const MOST_BYTES: usize = 1 << 20;

fn within(namespace: &str, name: &str) -> bool {
    name.strip_prefix(namespace).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl Host {
    /// Preferences of an account in a namespace; what only full sessions see is left out for others.
    ///
    /// # Errors
    /// The store.
    pub async fn preferences(&self, did: &Did, namespace: &str, full: bool) -> HostResult<Vec<Value>> {
        let rows = self.store().preferences(did).await?;
        let mut found: Vec<Value> = rows
            .iter()
            .filter(|row| within(namespace, &row.name))
            .filter_map(|row| serde_json::from_str(&row.value).ok())
            .collect();
        let born = found
            .iter()
            .find(|value| value.get("$type").and_then(Value::as_str) == Some(PERSONAL))
            .and_then(|value| value.get("birthDate")?.as_str().map(str::to_owned));
        if let Some(age) = born.and_then(|born| age(&born, self.now())) {
            found.push(json!({
                "$type": AGE,
                "isOverAge13": age >= 13,
                "isOverAge16": age >= 16,
                "isOverAge18": age >= 18,
            }));
        }
        if !full {
            found.retain(|value| value.get("$type").and_then(Value::as_str) != Some(PERSONAL));
        }
        Ok(found)
    }

    /// Replaces the preferences of an account in a namespace.
    ///
    /// # Errors
    /// One is of another namespace, has no `$type`, or is not this session's to set; too many; the store.
    pub async fn put_preferences(
        &self,
        did: &Did,
        namespace: &str,
        full: bool,
        values: &[Value],
    ) -> HostResult<()> {
        let mut rows = Vec::with_capacity(values.len());
        let mut bytes = 0_usize;
        for value in values {
            let name = value.get("$type").and_then(Value::as_str).filter(|name| !name.is_empty());
            let Some(name) = name else { return Err(HostError::invalid("Preference is missing a $type")) };
            if !within(namespace, name) {
                return Err(HostError::invalid(format!(
                    "Some preferences are not in the {namespace} namespace: {name}"
                )));
            }
            if name == PERSONAL && !full {
                return Err(HostError::invalid(format!(
                    "Do not have authorization to set preferences: {name}"
                )));
            }
            if name == AGE {
                continue;
            }
            let value = value.to_string();
            bytes = bytes.saturating_add(value.len());
            rows.push(PreferenceRow { name: name.to_owned(), value });
        }
        if rows.len() > MOST || bytes > MOST_BYTES {
            return Err(HostError::invalid(format!(
                "too many preferences: {} of {bytes} bytes; {MOST} of {MOST_BYTES} bytes are kept at most",
                rows.len()
            )));
        }
        let keep = if full { Vec::new() } else { vec![PERSONAL.to_owned()] };
        let unit =
            AccountsUnit::PutPreferences { did: did.clone(), namespace: namespace.to_owned(), keep, rows };
        self.store().apply(Unit::Hosting(Box::new(HostingUnit::Accounts(unit)))).await?;
        Ok(())
    }
}

/// Whole years since a date.
fn age(born: &str, now: i64) -> Option<u32> {
    let number = |text: &str, range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
    let today = Datetime::from_unix_micros(now)?.to_string();
    let date = |text: &str| Some((number(text, 0..4)?, number(text, 5..7)?, number(text, 8..10)?));
    let ((y, m, d), (by, bm, bd)) = (date(&today)?, date(born)?);
    let years = y.checked_sub(by)?;
    Some(if (m, d) < (bm, bd) { years.saturating_sub(1) } else { years })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        let now = 1_795_219_200_000_000; // 2026-11-21
        assert_eq!(age("2008-11-21", now), Some(18));
        assert_eq!(age("2008-11-22T00:00:00Z", now), Some(17));
        assert_eq!(age("born", now), None);
        assert_eq!(age("2100-01-01", now), None);
    }

    #[test]
    fn namespaces() {
        assert!(within("app.bsky", "app.bsky.actor.defs#x") && within("app.bsky", "app.bsky"));
        assert!(!within("app.bsky", "app.bskyx.y") && !within("app.bsky", "com.example"));
    }
}
