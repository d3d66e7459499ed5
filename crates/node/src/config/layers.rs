//! Where values come from, in order: flags, environment, credentials of the service manager, environment
//! file, `--config` file, system file, defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::section::{SectionInfo, SettingInfo};
use crate::config::setting::Setting;
use crate::config::{envfile, file};
use crate::words;

/// Begins the name of a setting given as `--set section.key=value` among the flags.
pub const SET: &str = "--set ";

/// Why a configuration was refused. Each message names the setting and where it was found.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value does not parse.
    #[error("{origin}: `{value}` is not {shape} (setting {name})")]
    Value {
        /// `section.key`.
        name: String,
        /// Flag, variable or file that holds it.
        origin: Box<Origin>,
        /// What was written; `(hidden)` for secrets.
        value: String,
        /// What was expected.
        shape: String,
    },
    /// A file has a key or section that no setting has.
    #[error("{place}: there is no setting `{name}`{hint}")]
    Unknown {
        /// File and line.
        place: Place,
        /// `section.key` or `[section]`.
        name: String,
        /// `; did you mean …?` or nothing.
        hint: String,
    },
    /// `--set` names a setting that does not exist.
    #[error("--set {name}: there is no setting of that name{hint}")]
    UnknownSet {
        /// What was named.
        name: String,
        /// `; did you mean …?` or nothing.
        hint: String,
    },
    /// A line of an environment file that is none.
    #[error("{0}: expected NAME=value, a comment or nothing")]
    NotEnv(Place),
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

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, line {}", self.path.display(), self.line)
    }
}

/// The place a value was found in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A command-line flag.
    Flag(String),
    /// An environment variable.
    Env(String),
    /// A file that the service manager put into `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// A variable in an environment file.
    EnvFile(Place, String),
    /// A configuration file.
    File(Place),
    /// Nothing was said.
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::Credential(name) => write!(f, "credential {name}"),
            Self::EnvFile(place, name) => write!(f, "environment {name} in {place}"),
            Self::File(place) => write!(f, "file {place}"),
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
    env_file: Option<(PathBuf, envfile::Values)>,
    files: Vec<(PathBuf, file::Values)>,
    warnings: Vec<String>,
}

impl Layers {
    /// Takes flags (`section.key` to value) and the environment. Variables that are set but
    /// empty count as unset, as they do in Compose files.
    #[must_use]
    pub fn new(flags: BTreeMap<String, String>, env: BTreeMap<String, String>) -> Self {
        let env = env.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        Self { flags, env, ..Self::default() }
    }

    /// The value of a variable that is not a setting, such as `P2PDS_CONFIG`.
    #[must_use]
    pub fn env(&self, name: &str) -> Option<&str> {
        let in_file = || Some(self.env_file.as_ref()?.1.get(name)?.0.as_str());
        self.env.get(name).map(String::as_str).or_else(in_file)
    }

    /// Names of all variables that are set, in the environment or in the environment file.
    pub fn env_names(&self) -> impl Iterator<Item = &str> {
        let in_file = self.env_file.iter().flat_map(|(_, values)| values.keys());
        let names: std::collections::BTreeSet<&str> =
            self.env.keys().chain(in_file).map(String::as_str).collect();
        names.into_iter()
    }

    /// What was strange about the sources themselves.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Adds the environment file: the one that `P2PDS_ENV_FILE` names, else `usual` if it is there.
    ///
    /// # Errors
    /// The named one cannot be read, or has lines of another sort.
    pub fn add_env_file(&mut self, usual: Option<&Path>) -> Result<(), ConfigError> {
        let named = self.env.get("P2PDS_ENV_FILE").map(PathBuf::from);
        let Some(path) = named.as_deref().or(usual.filter(|path| path.is_file())) else { return Ok(()) };
        let shown = path.display();
        if named.is_none() && !envfile::is_ours(path) {
            self.warnings.push(format!(
                "{shown} is not read: others than its owner can change it, or it is not yours; P2PDS_ENV_FILE={shown} reads it all the same"
            ));
            return Ok(());
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
        let (values, strange) = envfile::parse(&text);
        if let Some(line) = strange.first() {
            let place = Place { path: path.to_owned(), line: *line };
            if named.is_some() {
                return Err(ConfigError::NotEnv(place));
            }
            self.warnings.push(format!("{place}: expected NAME=value; the line is not used"));
        }
        self.env_file = Some((path.to_owned(), values));
        Ok(())
    }

    /// Checks the names given with `--set`.
    ///
    /// # Errors
    /// One that no setting has.
    pub fn check_sets(&self, sections: &[SectionInfo]) -> Result<(), ConfigError> {
        let names: Vec<String> = sections.iter().flat_map(|s| s.settings).map(SettingInfo::name).collect();
        for name in self.flags.keys().filter_map(|flag| flag.strip_prefix(SET)) {
            if !names.iter().any(|known| known == name) {
                let hint = words::nearest(name, names.iter().map(String::as_str))
                    .map(|near| format!("; did you mean {near}?"))
                    .unwrap_or_default();
                return Err(ConfigError::UnknownSet { name: name.to_owned(), hint });
            }
        }
        Ok(())
    }

    /// Adds a file below the layers already there. Unknown sections and keys are refused.
    ///
    /// # Errors
    /// Unreadable, not TOML, or a key that no setting has.
    pub fn add_file(&mut self, path: &Path, sections: &[SectionInfo]) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
        let values = file::parse(path, &text, sections)?;
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
            origin: Box::new(origin.clone()),
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
        if let Some(text) = self.flags.get(&format!("{SET}{name}")) {
            return Ok((Origin::Flag(format!("set {name}")), text.clone()));
        }
        if let Some((variable, text)) = in_env(info, |variable| self.env.get(variable).cloned())? {
            return Ok((Origin::Env(variable), text));
        }
        if let Some(found) = self.credential(info, name)? {
            return Ok(found);
        }
        if let Some((path, values)) = &self.env_file
            && let Some((variable, text)) = in_env(info, |variable| Some(values.get(variable)?.0.clone()))?
        {
            let line = values.get(&variable).map_or(0, |(_, line)| *line);
            return Ok((Origin::EnvFile(Place { path: path.clone(), line }, variable), text));
        }
        for (path, values) in &self.files {
            let place = |line: usize| Origin::File(Place { path: path.clone(), line });
            if let Some((text, line)) = values.get(name) {
                return Ok((place(*line), text.clone()));
            }
            if let Some((file, line)) = values.get(&format!("{name}_file")).filter(|_| info.secret) {
                return Ok((place(*line), secret_file(Path::new(file))?));
            }
        }
        Ok((Origin::Default, info.default.to_owned()))
    }

    /// A secret that systemd put into `$CREDENTIALS_DIRECTORY` (`LoadCredential=`), by the setting's name or one of its
    /// names in the environment.
    fn credential(&self, info: &SettingInfo, name: &str) -> Result<Option<(Origin, String)>, ConfigError> {
        let Some(dir) = self.env.get("CREDENTIALS_DIRECTORY").filter(|_| info.secret) else {
            return Ok(None);
        };
        for name in std::iter::once(&name).chain(info.env) {
            let path = Path::new(dir).join(name);
            if path.is_file() {
                return Ok(Some((Origin::Credential((*name).to_owned()), secret_file(&path)?)));
            }
        }
        Ok(None)
    }
}

/// The first of a setting's variables that is set, or of those that name a secret's file.
fn in_env(
    info: &SettingInfo,
    get: impl Fn(&str) -> Option<String>,
) -> Result<Option<(String, String)>, ConfigError> {
    for variable in info.env {
        if let Some(text) = get(variable) {
            return Ok(Some(((*variable).to_owned(), text)));
        }
        let variable = format!("{variable}_FILE");
        if let Some(path) = get(&variable).filter(|_| info.secret) {
            return Ok(Some((variable, secret_file(Path::new(&path))?)));
        }
    }
    Ok(None)
}

/// The contents of a secret's file without the final line break that editors add.
fn secret_file(path: &Path) -> Result<String, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
