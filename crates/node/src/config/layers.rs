//! Where values come from, in order: flags, environment, `--config` file, system file, defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::section::{SectionInfo, SettingInfo};
use crate::config::setting::Setting;
use crate::words;

/// Why a configuration was refused. Each message names the setting and where it was found.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value does not parse.
    #[error("{origin}: `{value}` is not {shape} (setting {name})")]
    Value {
        /// `section.key`.
        name: String,
        /// Flag, variable or file that holds it.
        origin: Origin,
        /// What was written; `(hidden)` for secrets.
        value: String,
        /// What was expected.
        shape: String,
    },
    /// A file has a key or section that no setting has.
    #[error("{path}: there is no setting `{name}`{hint}", path = path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// `section.key` or `[section]`.
        name: String,
        /// `; did you mean …?` or nothing.
        hint: String,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {error}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file is not TOML.
    #[error("{path} is not valid TOML: {error}", path = path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// What the parser said, with line and column.
        error: Box<toml::de::Error>,
    },
    /// Values that parse but do not go together.
    #[error("{0}")]
    Together(String),
}

/// The place a value was found in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A command-line flag.
    Flag(String),
    /// An environment variable.
    Env(String),
    /// A configuration file.
    File(PathBuf),
    /// Nothing was said.
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A setting with its value and origin, for `config show`.
#[derive(Debug, Clone, Serialize)]
pub struct Resolved {
    /// `section.key`.
    pub name: String,
    /// As a user would write it; `(hidden)` for secrets.
    pub value: String,
    /// Where it came from, in words.
    pub origin: String,
}

/// All sources of configuration, as text.
#[derive(Debug, Default)]
pub struct Layers {
    flags: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    files: Vec<(PathBuf, BTreeMap<String, String>)>,
}

impl Layers {
    /// Takes flags (`section.key` to value) and the environment. Variables that are set but
    /// empty count as unset, as they do in Compose files.
    #[must_use]
    pub fn new(flags: BTreeMap<String, String>, env: BTreeMap<String, String>) -> Self {
        let env = env.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        Self { flags, env, files: Vec::new() }
    }

    /// The value of an environment variable that is not a setting, such as `P2PDS_CONFIG`.
    #[must_use]
    pub fn env(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str)
    }

    /// Names of all variables that are set.
    pub fn env_names(&self) -> impl Iterator<Item = &str> {
        self.env.keys().map(String::as_str)
    }

    /// Adds a file below the layers already there. Unknown sections and keys are refused.
    ///
    /// # Errors
    /// Unreadable, not TOML, or a key that no setting has.
    pub fn add_file(&mut self, path: &Path, sections: &[SectionInfo]) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
        let values = parse_file(path, &text, sections)?;
        self.files.push((path.to_owned(), values));
        Ok(())
    }

    /// Reads one setting from the first layer that has it.
    pub(crate) fn read<T: Setting>(
        &self,
        key: &str,
        info: Option<&SettingInfo>,
        resolved: &mut Vec<Resolved>,
    ) -> Result<T, ConfigError> {
        let Some(info) = info else {
            return Err(ConfigError::Together(format!("no description of setting {key}: a defect in p2pds")));
        };
        let name = info.name();
        let (origin, text) = self.find(info, &name)?;
        let value = T::parse(&text).map_err(|shape| ConfigError::Value {
            name: name.clone(),
            origin: origin.clone(),
            value: if info.secret { "(hidden)".to_owned() } else { text.clone() },
            shape,
        })?;
        let shown = match (info.secret, text.is_empty()) {
            (_, true) => "(not set)".to_owned(),
            (true, false) => "(hidden)".to_owned(),
            (false, false) => text,
        };
        resolved.push(Resolved { name, value: shown, origin: origin.to_string() });
        Ok(value)
    }

    fn find(&self, info: &SettingInfo, name: &str) -> Result<(Origin, String), ConfigError> {
        if let (Some(flag), Some(text)) = (info.flag, self.flags.get(name)) {
            return Ok((Origin::Flag(flag.to_owned()), text.clone()));
        }
        for variable in info.env {
            if let Some(text) = self.env.get(*variable) {
                return Ok((Origin::Env((*variable).to_owned()), text.clone()));
            }
            let variable = format!("{variable}_FILE");
            if let Some(path) = self.env.get(&variable).filter(|_| info.secret) {
                return Ok((Origin::Env(variable), secret_file(Path::new(path))?));
            }
        }
        for (path, values) in &self.files {
            if let Some(text) = values.get(name) {
                return Ok((Origin::File(path.clone()), text.clone()));
            }
            if let Some(file) = values.get(&format!("{name}_file")).filter(|_| info.secret) {
                return Ok((Origin::File(path.clone()), secret_file(Path::new(file))?));
            }
        }
        Ok((Origin::Default, info.default.to_owned()))
    }
}

/// The contents of a secret's file without the final line break that editors add.
fn secret_file(path: &Path) -> Result<String, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

fn parse_file(
    path: &Path,
    text: &str,
    sections: &[SectionInfo],
) -> Result<BTreeMap<String, String>, ConfigError> {
    let table: toml::Table = text
        .parse()
        .map_err(|error| ConfigError::NotToml { path: path.to_owned(), error: Box::new(error) })?;
    let mut values = BTreeMap::new();
    for (section_name, value) in &table {
        let section = sections.iter().find(|section| section.name == section_name);
        let (Some(section), Some(entries)) = (section, value.as_table()) else {
            return Err(unknown_section(path, section_name, sections));
        };
        for (key, value) in entries {
            let known = section
                .settings
                .iter()
                .any(|s| s.key == key || (s.secret && key.strip_suffix("_file") == Some(s.key)));
            if !known {
                return Err(unknown_key(path, section, key));
            }
            let name = format!("{section_name}.{key}");
            let text = toml_text(value).ok_or_else(|| ConfigError::Value {
                name: name.clone(),
                origin: Origin::File(path.to_owned()),
                value: value.to_string(),
                shape: "a single value or a list of them".to_owned(),
            })?;
            values.insert(name, text);
        }
    }
    Ok(values)
}

fn unknown_section(path: &Path, name: &str, sections: &[SectionInfo]) -> ConfigError {
    let home = sections.iter().find(|s| s.settings.iter().any(|setting| setting.key == name));
    let hint = match home {
        Some(section) => format!("; did you mean `{name}` under [{}]?", section.name),
        None => words::nearest(name, sections.iter().map(|s| s.name))
            .map(|near| format!("; did you mean [{near}]?"))
            .unwrap_or_default(),
    };
    ConfigError::Unknown { path: path.to_owned(), name: name.to_owned(), hint }
}

fn unknown_key(path: &Path, section: &SectionInfo, key: &str) -> ConfigError {
    let hint = words::nearest(key, section.settings.iter().map(|s| s.key))
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default();
    ConfigError::Unknown { path: path.to_owned(), name: format!("{}.{key}", section.name), hint }
}

fn toml_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(n) => Some(n.to_string()),
        toml::Value::Float(n) => Some(n.to_string()),
        toml::Value::Boolean(b) => Some(b.to_string()),
        toml::Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(toml_text).collect();
            Some(items?.join(","))
        }
        toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}
