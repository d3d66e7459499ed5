//! Configuration: one struct per section, working defaults, and for every value its origin.
//!
//! Order: flags, environment, credentials of the service manager, `.env`, the file named by `--config`,
//! `/etc/p2pds/config.toml`, defaults.
//! Unknown keys in files are refused by name; unknown `PDS_*` and `P2PDS_*` variables give one
//! warning each, because an environment is shared with other programs.

mod envfile;
mod file;
pub mod hosting;
pub mod layers;
mod names;
pub mod reference;
pub mod section;
pub mod sections;
pub mod setting;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use hosting::{
    BlobstoreSection, BrandingSection, FirehoseSection, HostingSection, InvitesSection, LimitsSection,
    MailSection, ServicesSection, SingleUserSection,
};
pub use layers::{ConfigError, Layers, Resolved};
use section::{SectionInfo, SettingInfo};
pub use sections::{
    AlertsSection, ArchiveSection, HttpSection, LiveSection, LogSection, MetricsSection, NetworkSection,
    NodeSection, ServingSection, WatchSection,
};

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
    /// `[live]`.
    pub live: LiveSection,
    /// `[serving]`.
    pub serving: ServingSection,
    /// `[hosting]`.
    pub hosting: HostingSection,
    /// `[single_user]`.
    pub single_user: SingleUserSection,
    /// `[invites]`.
    pub invites: InvitesSection,
    /// `[mail]`.
    pub mail: MailSection,
    /// `[blobstore]`.
    pub blobstore: BlobstoreSection,
    /// `[firehose]`.
    pub firehose: FirehoseSection,
    /// `[services]`.
    pub services: ServicesSection,
    /// `[limits]`.
    pub limits: LimitsSection,
    /// `[branding]`.
    pub branding: BrandingSection,
    /// `[watch]`.
    pub watch: WatchSection,
    /// `[metrics]`.
    pub metrics: MetricsSection,
    /// `[alerts]`.
    pub alerts: AlertsSection,
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
        LiveSection::SECTION,
        ServingSection::SECTION,
        HostingSection::SECTION,
        SingleUserSection::SECTION,
        InvitesSection::SECTION,
        MailSection::SECTION,
        BlobstoreSection::SECTION,
        FirehoseSection::SECTION,
        ServicesSection::SECTION,
        LimitsSection::SECTION,
        BrandingSection::SECTION,
        WatchSection::SECTION,
        MetricsSection::SECTION,
        AlertsSection::SECTION,
        LogSection::SECTION,
    ];

    /// All settings, in reference order.
    pub fn settings() -> impl Iterator<Item = &'static SettingInfo> {
        Self::SECTIONS.iter().flat_map(|section| section.settings)
    }

    /// The variables of an environment file, such as that of a reference PDS; lines that are none are skipped.
    #[must_use]
    pub fn environment(text: &str) -> BTreeMap<String, String> {
        let (values, _) = envfile::parse(text);
        values.into_iter().map(|(name, (value, _))| (name, value)).collect()
    }

    /// Resolves the configuration for a process: like [`load`](Self::load), and from `.env` in the
    /// working directory.
    ///
    /// # Errors
    /// The first value or key that is wrong, by name and place.
    pub fn load_here(
        flags: BTreeMap<String, String>,
        env: BTreeMap<String, String>,
        file: Option<&Path>,
    ) -> Result<Loaded, ConfigError> {
        let mut layers = Layers::new(flags, env);
        layers.add_env_file(Some(Path::new(envfile::NAME)))?;
        Self::resolve(layers, file, Path::new(SYSTEM_FILE))
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
        layers.add_env_file(None)?;
        Self::resolve(layers, file, system_file)
    }

    fn resolve(mut layers: Layers, file: Option<&Path>, system_file: &Path) -> Result<Loaded, ConfigError> {
        layers.check_sets(Self::SECTIONS)?;
        let named = file.map(Path::to_owned).or_else(|| layers.env("P2PDS_CONFIG").map(PathBuf::from));
        if let Some(path) = named {
            layers.add_file(&path, Self::SECTIONS)?;
        }
        if system_file.exists() {
            layers.add_file(system_file, Self::SECTIONS)?;
        }
        let mut resolved = Vec::new();
        let mut config = Self {
            node: NodeSection::load(&layers, &mut resolved)?,
            http: HttpSection::load(&layers, &mut resolved)?,
            network: NetworkSection::load(&layers, &mut resolved)?,
            archive: ArchiveSection::load(&layers, &mut resolved)?,
            live: LiveSection::load(&layers, &mut resolved)?,
            serving: ServingSection::load(&layers, &mut resolved)?,
            hosting: HostingSection::load(&layers, &mut resolved)?,
            single_user: SingleUserSection::load(&layers, &mut resolved)?,
            invites: InvitesSection::load(&layers, &mut resolved)?,
            mail: MailSection::load(&layers, &mut resolved)?,
            blobstore: BlobstoreSection::load(&layers, &mut resolved)?,
            firehose: FirehoseSection::load(&layers, &mut resolved)?,
            services: ServicesSection::load(&layers, &mut resolved)?,
            limits: LimitsSection::load(&layers, &mut resolved)?,
            branding: BrandingSection::load(&layers, &mut resolved)?,
            watch: WatchSection::load(&layers, &mut resolved)?,
            metrics: MetricsSection::load(&layers, &mut resolved)?,
            alerts: AlertsSection::load(&layers, &mut resolved)?,
            log: LogSection::load(&layers, &mut resolved)?,
        };
        if config.http.hostname.is_none()
            && let Some(url) = &config.http.public_url
        {
            config.http.hostname = Some(url.host().to_owned());
            if let Some(shown) = resolved.iter_mut().find(|r| r.name == "http.hostname") {
                (shown.value, shown.origin) = (url.host().to_owned(), "setting http.public_url".to_owned());
            }
        }
        let warnings = sections::warnings(&layers, &config);
        Ok(Loaded { config, resolved, warnings })
    }

    /// The data directory as an absolute path, without touching the disk.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        std::path::absolute(&self.node.data_dir).unwrap_or_else(|_| self.node.data_dir.clone())
    }
}

#[cfg(test)]
mod tests;
