//! Everything that does the work, opened on one data directory: by a node, or by a command that
//! found no node running.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use p2pds_archive::{Archive, ArchiveConfig, ArchiveDeps, Progress, SystemClock};
use p2pds_blobs::Blobs;
use p2pds_directory::{Directory, DirectoryConfig};
use p2pds_net::{Client, NetConfig};
use p2pds_recovery::Recovery;
use p2pds_store::Store;
use p2pds_store_sqlite::{FILE_NAME, Options, SqliteStore};

use crate::config::Config;
use crate::operator::Failure;

/// Directory of the blobs in the data directory.
const BLOBS: &str = "blobs";

/// The opened services.
pub struct Engine {
    /// The configuration they were opened with.
    pub config: Config,
    /// The data directory, absolute.
    pub dir: PathBuf,
    /// The store.
    pub store: Arc<dyn Store>,
    /// Archiving.
    pub archive: Archive,
    /// Exports and drills.
    pub recovery: Recovery,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Engine {
    /// Whether a data directory holds an archive.
    #[must_use]
    pub fn exists(dir: &Path) -> bool {
        dir.join(FILE_NAME).exists()
    }

    /// Opens the services. The caller holds the directory's lock.
    ///
    /// # Errors
    /// The database is damaged, newer than this program, or the disk fails.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let dir = config.data_dir();
        let store = open_store(dir.clone()).await?;
        let blobs =
            Blobs::open(&dir.join(BLOBS)).map_err(|e| Failure::new(e.kind().as_str(), e.to_string()))?;
        let net =
            Client::new(net_config(config)).map_err(|e| Failure::new(e.kind().as_str(), e.to_string()))?;
        let directory =
            DirectoryConfig { plc_url: config.network.plc_url.clone(), ..DirectoryConfig::default() };
        let directory = Arc::new(Directory::new(net.clone(), Arc::clone(&store), directory));
        let deps = ArchiveDeps {
            store: Arc::clone(&store),
            blobs,
            net,
            directory,
            data_dir: dir.clone(),
            clock: Arc::new(SystemClock),
        };
        let archive = Archive::new(deps, archive_config(config));
        let recovery = Recovery::new(archive.clone());
        Ok(Self { config: config.clone(), dir, store, archive, recovery })
    }

    /// Finishes what an earlier process left half done.
    ///
    /// # Errors
    /// Store and disk failures.
    pub async fn resume(&self) -> anyhow::Result<()> {
        Ok(self.archive.resume(&Progress::none()).await.map_err(Failure::from)?)
    }

    /// Finishes what is queued and lets go of the files.
    ///
    /// # Errors
    /// The last writes did not reach the disk.
    pub async fn close(&self) -> anyhow::Result<()> {
        self.store.close().await?;
        Ok(())
    }
}

async fn open_store(dir: PathBuf) -> anyhow::Result<Arc<dyn Store>> {
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&dir, Options::default())).await?;
    Ok(Arc::new(opened.map_err(Failure::from)?))
}

fn archive_config(config: &Config) -> ArchiveConfig {
    let archive = &config.archive;
    ArchiveConfig {
        blob_concurrency: usize::try_from(archive.blob_concurrency.max(1)).unwrap_or(1),
        blob_quota: Some(archive.blob_quota.0).filter(|quota| *quota > 0),
        keep_free: archive.keep_free.0,
        tool: format!("p2pds {}", crate::cli::VERSION),
        ..ArchiveConfig::default()
    }
}

/// The outbound client's settings.
#[must_use]
pub fn net_config(config: &Config) -> NetConfig {
    let network = &config.network;
    let base = if network.dev_allow_loopback { NetConfig::development() } else { NetConfig::default() };
    NetConfig {
        nameservers: network.nameservers.clone(),
        connect_timeout: network.connect_timeout,
        header_timeout: network.header_timeout,
        per_host_concurrency: usize::try_from(network.per_host.max(1)).unwrap_or(1),
        ..base
    }
}
