//! Configuration: one struct per section, working defaults, and for every value its origin.
//!
//! Order: flags, environment, the file named by `--config`, `/etc/p2pds/config.toml`, defaults.
//! Unknown keys in files are refused by name; unknown `PDS_*` and `P2PDS_*` variables give one
//! warning each, because an environment is shared with other programs.

pub mod layers;
pub mod reference;
pub mod section;
pub mod sections;
pub mod setting;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use layers::{ConfigError, Layers, Resolved};
use section::{SectionInfo, SettingInfo};
pub use sections::{ArchiveSection, HttpSection, LogSection, NetworkSection, NodeSection};

use crate::words;

/// The file read when it exists, below `--config`.
pub const SYSTEM_FILE: &str = "/etc/p2pds/config.toml";

/// Everything that can be configured.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[node]`.
    pub node: NodeSection,
    /// `[http]`.
    pub http: HttpSection,
    /// `[network]`.
    pub network: NetworkSection,
    /// `[archive]`.
    pub archive: ArchiveSection,
    /// `[log]`.
    pub log: LogSection,
}

/// A configuration with the origin of each value and what deserves a warning.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// Each setting, its value and its origin, in reference order.
    pub resolved: Vec<Resolved>,
    /// One line each, shown once at the start of the node.
    pub warnings: Vec<String>,
}

impl Config {
    /// All sections, in the order of the example file.
    pub const SECTIONS: &'static [SectionInfo] = &[
        NodeSection::SECTION,
        HttpSection::SECTION,
        NetworkSection::SECTION,
        ArchiveSection::SECTION,
        LogSection::SECTION,
    ];

    /// All settings, in reference order.
    pub fn settings() -> impl Iterator<Item = &'static SettingInfo> {
        Self::SECTIONS.iter().flat_map(|section| section.settings)
    }

    /// Resolves the configuration from flags, environment and files.
    ///
    /// # Errors
    /// The first value or key that is wrong, by name and place.
    pub fn load(
        flags: BTreeMap<String, String>,
        env: BTreeMap<String, String>,
        file: Option<&Path>,
        system_file: &Path,
    ) -> Result<Loaded, ConfigError> {
        let mut layers = Layers::new(flags, env);
        let named = file.map(Path::to_owned).or_else(|| layers.env("P2PDS_CONFIG").map(PathBuf::from));
        if let Some(path) = named {
            layers.add_file(&path, Self::SECTIONS)?;
        }
        if system_file.exists() {
            layers.add_file(system_file, Self::SECTIONS)?;
        }
        let mut resolved = Vec::new();
        let config = Self {
            node: NodeSection::load(&layers, &mut resolved)?,
            http: HttpSection::load(&layers, &mut resolved)?,
            network: NetworkSection::load(&layers, &mut resolved)?,
            archive: ArchiveSection::load(&layers, &mut resolved)?,
            log: LogSection::load(&layers, &mut resolved)?,
        };
        let warnings = sections::warnings(&layers, &config);
        Ok(Loaded { config, resolved, warnings })
    }

    /// The data directory as an absolute path, without touching the disk.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        std::path::absolute(&self.node.data_dir).unwrap_or_else(|_| self.node.data_dir.clone())
    }
}

/// Names that the test suite sets for itself.
const TEST_NAMES: &[&str] =
    &["P2PDS_BIN", "P2PDS_NIGHTLY", "P2PDS_ORACLE", "P2PDS_REQUIRE_SHARED", "P2PDS_SHARED"];

/// Names that are read outside the sections: `--config`, and the builder's name for its commit.
const OTHER_NAMES: &[&str] = &["P2PDS_COMMIT", "P2PDS_CONFIG"];

/// One warning for each variable that looks like ours and is not used.
fn unused_names(layers: &Layers) -> Vec<String> {
    let known: Vec<&str> = Config::settings().flat_map(|setting| setting.env).copied().collect();
    let mut warnings = Vec::new();
    for name in layers.env_names() {
        let ours = name.starts_with("P2PDS_") || name.starts_with("PDS_");
        let secret_file = name.strip_suffix("_FILE").is_some_and(|n| known.contains(&n));
        if !ours
            || known.contains(&name)
            || secret_file
            || TEST_NAMES.contains(&name)
            || OTHER_NAMES.contains(&name)
        {
            continue;
        }
        warnings.push(if sections::LATER_NAMES.contains(&name) {
            format!("{name} is set, but this version does not host accounts yet: it is not used")
        } else {
            let hint = words::nearest(name, known.iter().copied())
                .map(|near| format!("; did you mean {near}?"))
                .unwrap_or_default();
            format!("{name} is set, but no setting has that name: it is not used{hint}")
        });
    }
    warnings
}

#[cfg(test)]
mod tests;
