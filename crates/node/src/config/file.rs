//! A configuration file: TOML into text by name, each with the line it stands on.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::layers::{ConfigError, Origin, Place};
use super::section::SectionInfo;
use crate::words;

/// Values of one file: `section.key` (or `section.key_file`) to text and line.
pub(super) type Values = BTreeMap<String, (String, usize)>;

/// Reads a file's text. Unknown sections and keys are refused by name and line.
pub(super) fn parse(path: &Path, text: &str, sections: &[SectionInfo]) -> Result<Values, ConfigError> {
    let table = DeTable::parse(text)
        .map_err(|error| ConfigError::NotToml { path: path.to_owned(), error: Box::new(error) })?;
    let place = |at: usize| Place { path: path.to_owned(), line: line_of(text, at) };
    let mut values = Values::new();
    for (section_name, entries) in table.get_ref() {
        let here = place(section_name.span().start);
        let section = sections.iter().find(|section| section.name == section_name.get_ref().as_ref());
        let (Some(section), Some(entries)) = (section, entries.get_ref().as_table()) else {
            return Err(unknown_section(here, section_name.get_ref(), sections));
        };
        for (key, value) in entries {
            let (here, key) = (place(key.span().start), key.get_ref().as_ref());
            let known = section
                .settings
                .iter()
                .any(|s| s.key == key || (s.secret && key.strip_suffix("_file") == Some(s.key)));
            if !known {
                return Err(unknown_key(here, section, key));
            }
            let name = format!("{}.{key}", section.name);
            let line = here.line;
            let text = plain(value).ok_or_else(|| ConfigError::Value {
                name: name.clone(),
                origin: Box::new(Origin::File(here)),
                value: text.get(value.span()).unwrap_or_default().to_owned(),
                shape: "a single value or a list of them".to_owned(),
            })?;
            values.insert(name, (text, line));
        }
    }
    Ok(values)
}

/// The line of a byte offset, counted from 1.
fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    before.iter().filter(|byte| **byte == b'\n').count().saturating_add(1)
}

fn unknown_section(place: Place, name: &str, sections: &[SectionInfo]) -> ConfigError {
    let home = sections.iter().find(|s| s.settings.iter().any(|setting| setting.key == name));
    let hint = match home {
        Some(section) => format!("; did you mean `{name}` under [{}]?", section.name),
        None => words::nearest(name, sections.iter().map(|s| s.name))
            .map(|near| format!("; did you mean [{near}]?"))
            .unwrap_or_default(),
    };
    ConfigError::Unknown { place, name: name.to_owned(), hint }
}

fn unknown_key(place: Place, section: &SectionInfo, key: &str) -> ConfigError {
    let hint = words::nearest(key, section.settings.iter().map(|s| s.key))
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default();
    ConfigError::Unknown { place, name: format!("{}.{key}", section.name), hint }
}

/// A value as it would be written in a flag.
fn plain(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(n) => {
            i64::from_str_radix(n.as_str(), n.radix()).ok().map(|n| n.to_string()).or(Some(n.to_string()))
        }
        DeValue::Float(n) => Some(n.as_str().to_owned()),
        DeValue::Boolean(b) => Some(b.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(plain).collect();
            Some(items?.join(","))
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}
