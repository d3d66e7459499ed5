//! Everything that does the work, opened on one data directory: by a node, or by a command that
//! found no node running.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use p2pds_archive::live::LiveConfig;
use p2pds_archive::{Alarm, Archive, ArchiveConfig, ArchiveDeps, Progress, SystemClock};
use p2pds_directory::{Directory, DirectoryConfig};
use p2pds_host::Host;
use p2pds_host::keys::Fresh;
use p2pds_net::{Client, NetConfig};
use p2pds_oauth::OAuth;
use p2pds_reading::Reading;
use p2pds_recovery::Recovery;
use p2pds_store::{Store, StoreError, StoreResult};
use p2pds_store_sqlite::{FILE_NAME, Options, SqliteStore, Synchronous, salvage};
use p2pds_web::Door;
use p2pds_xrpc::OwnCalls;
use p2pds_xrpc::meter::Hits;

use crate::config::Config;
use crate::config::setting::AlarmFor;
use crate::door;
use crate::hosting::{self, Parts};
use crate::node::lock::make_private_dir;
use crate::operator::Failure;
use crate::words::now_micros;

/// Directory of the blobs in the data directory.
const BLOBS: &str = "blobs";
/// Directories whose files are of accounts, in the data directory.
const PRIVATE: [&str; 5] = [BLOBS, "spool", "verbatim", "drills", "copies"];

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
    /// What others may read.
    pub reading: Reading,
    /// The hosted accounts, if this node hosts any or is set up for it.
    pub host: Option<Host>,
    /// The authorization server of those accounts.
    pub oauth: Option<OAuth>,
    /// Whose node this is, and signing in at hosts.
    pub door: Door,
    /// What its own requests to its public name show.
    pub own_calls: OwnCalls,
    /// How often limits turned somebody away.
    pub hits: Hits,
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
        if p2pds_recovery::is_half_restored(&dir) {
            let words = format!("{} holds a restore that did not finish, and no node's data", dir.display());
            let hint = "remove that directory, and run `p2pds restore` again into a new one";
            return Err(Failure::new("conflict", words).hint(hint).into());
        }
        let store = open_store(dir.clone()).await?;
        p2pds_recovery::before_all(&dir, &*store).await.map_err(Failure::from)?;
        // A data directory that was there before may be open to others: what lies in it is not.
        for name in PRIVATE {
            if let Err(error) = make_private_dir(&dir.join(name)) {
                tracing::debug!(event = "node.directory", name, %error, "the directory could not be made now");
            }
        }
        let blobs = hosting::blobs(config, &dir)?;
        let net =
            Client::new(net_config(config)).map_err(|e| Failure::new(e.kind().as_str(), e.to_string()))?;
        let directory = Directory::new(net.clone(), Arc::clone(&store), directory_config(config));
        let directory = Arc::new(directory);
        let deps = ArchiveDeps {
            store: Arc::clone(&store),
            blobs: blobs.clone(),
            net: net.clone(),
            directory: Arc::clone(&directory),
            data_dir: dir.clone(),
            clock: Arc::new(SystemClock),
        };
        let archive = Archive::new(deps, archive_config(config));
        let recovery = Recovery::new(archive.clone()).with_scratch(Arc::new(scratch_store));
        let reading = Reading::new(Arc::clone(&store), archive.blobs().clone());
        let (door_net, door_directory) = (net.clone(), Arc::clone(&directory));
        let parts = Parts { store: Arc::clone(&store), blobs, net, directory, reading: reading.clone() };
        let host = hosting::open(config, &dir, parts).await?;
        // Accounts that are hosted, or were: their keys are wrapped by a key that must not be made anew.
        let fresh = if store.logins(None, 1).await?.is_empty() { Fresh::Make } else { Fresh::MustExist };
        let door = door::open(config, &dir, &store, door_net, door_directory, host.clone(), fresh);
        if let Some(host) = &host {
            host.set_archive(Arc::new(hosting::ArchiveBeside(archive.clone())));
        }
        let oauth = match &host {
            Some(host) => {
                let made = host.authorization_server();
                Some(made.map_err(|error| Failure::new(error.kind.as_str(), error.message))?)
            }
            None => None,
        };
        p2pds_recovery::after_restore(&dir, &*store, host.as_ref()).await.map_err(Failure::from)?;
        Ok(Self {
            config: config.clone(),
            dir,
            store,
            archive,
            recovery,
            reading,
            host,
            door,
            oauth,
            own_calls: OwnCalls::default(),
            hits: Hits::default(),
        })
    }

    /// Finishes what an earlier process left half done. What cannot be finished is logged and
    /// tried again next time: it must not keep anybody from the other accounts.
    ///
    /// # Errors
    /// The accounts cannot be listed.
    pub async fn resume(&self) -> anyhow::Result<()> {
        for left in self.archive.resume(&Progress::none()).await.map_err(Failure::from)? {
            tracing::warn!(event = "archive.left-over", "{left}");
        }
        for left in self.archive.rebuild_damaged(&Progress::none()).await.map_err(Failure::from)? {
            tracing::warn!(event = "store.rebuild", "{left}");
        }
        Ok(())
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

/// A new store for a drill: nothing in it is worth a flush, it is gone before the command ends.
fn scratch_store(dir: &Path) -> StoreResult<Arc<dyn Store>> {
    let options = Options { ballast: 0, synchronous: Synchronous::Off, ..Options::default() };
    Ok(Arc::new(SqliteStore::open(dir, options)?))
}

/// Opens the store; a file that was found damaged, before or just now, is mended first.
async fn open_store(dir: PathBuf) -> anyhow::Result<Arc<dyn Store>> {
    let open = move || {
        let options = Options::default();
        if let Some(why) = salvage::wanted(&dir) {
            mend(&dir, &options, &why)?;
        }
        match SqliteStore::open(&dir, options.clone()) {
            Err(StoreError::DamagedFile(why)) => {
                mend(&dir, &options, &why)?;
                SqliteStore::open(&dir, options)
            }
            opened => opened,
        }
    };
    let opened = tokio::task::spawn_blocking(open).await?;
    Ok(Arc::new(opened.map_err(Failure::from)?))
}

fn mend(dir: &Path, options: &Options, why: &str) -> StoreResult<()> {
    if !Engine::exists(dir) {
        return Ok(());
    }
    tracing::warn!(
        event = "store.mending",
        why,
        "the database file is damaged; what can be read of it is copied"
    );
    let now = now_micros();
    let stamp = p2pds_archive::when(now).replace([' ', ':'], "-");
    let mended = salvage::mend(dir, options, &stamp, now)?;
    tracing::warn!(
        event = "store.mended",
        rows = mended.rows,
        kept = %mended.kept.display(),
        "the database file is whole again; the damaged one is kept until you delete it"
    );
    for line in mended.lines() {
        tracing::warn!(event = "store.lost", "{line}");
    }
    Ok(())
}

fn archive_config(config: &Config) -> ArchiveConfig {
    let archive = &config.archive;
    ArchiveConfig {
        blob_concurrency: usize::try_from(archive.blob_concurrency.max(1)).unwrap_or(1),
        blob_quota: Some(archive.blob_quota.0).filter(|quota| *quota > 0),
        quota_per_account: Some(archive.quota_per_account.0).filter(|quota| *quota > 0),
        quota_total: Some(archive.quota_total.0).filter(|quota| *quota > 0),
        keep_free: archive.keep_free.0,
        undo_window: archive.undo_window,
        erase_after: archive.erase_after,
        alarm: match config.watch.plc_alarm {
            AlarmFor::All => Alarm::All,
            AlarmFor::Own => Alarm::Own,
        },
        tool: format!("p2pds {}", crate::cli::VERSION),
        ..ArchiveConfig::default()
    }
}

/// How accounts are followed live.
#[must_use]
pub fn live_config(config: &Config) -> LiveConfig {
    let live = &config.live;
    // Those who name a firehose often name its method too.
    let relay =
        live.relay.as_deref().map(|url| url.split("/xrpc/").next().unwrap_or(url).trim_end_matches('/'));
    LiveConfig {
        enabled: live.enabled,
        relay: relay.filter(|url| !url.is_empty()).map(str::to_owned),
        relay_from: usize::try_from(live.relay_from).unwrap_or(usize::MAX),
        host_rate: live.host_rate,
        max_streams: usize::try_from(live.max_streams).unwrap_or(usize::MAX),
        poll_least: live.poll_least,
        poll_most: live.poll_most,
        compare_every: live.compare_every,
        ..LiveConfig::default()
    }
}

/// How identities are looked up.
fn directory_config(config: &Config) -> DirectoryConfig {
    let network = &config.network;
    DirectoryConfig {
        plc_url: network.plc_url.clone(),
        fresh_for: network.identity_fresh.0,
        usable_for: network.identity_usable.0,
        // In development the hosts of handles and of did:web are this node, by plain HTTP.
        development_http_port: config.hosting.dev_mode.then_some(config.http.port),
        ..DirectoryConfig::default()
    }
}

/// The outbound client's settings.
#[must_use]
pub fn net_config(config: &Config) -> NetConfig {
    let network = &config.network;
    let loopback = network.dev_allow_loopback || config.hosting.dev_mode;
    let base = if loopback { NetConfig::development() } else { NetConfig::default() };
    NetConfig {
        nameservers: network.nameservers.clone(),
        extra_roots: network.extra_roots().to_vec(),
        connect_timeout: network.connect_timeout,
        header_timeout: network.header_timeout,
        rate_window: network.rate_window,
        dns_timeout: network.dns_timeout.0,
        per_host_concurrency: usize::try_from(network.per_host.max(1)).unwrap_or(1),
        per_address_concurrency: usize::try_from(network.per_host)
            .unwrap_or(1)
            .saturating_mul(4)
            .max(base.per_address_concurrency),
        ..base
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_kept_is_private_in_an_open_directory_too() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let flags = [("node.data_dir".to_owned(), dir.path().display().to_string())].into();
        let loaded = Config::load(flags, BTreeMap::new(), None, Path::new("/nonexistent")).unwrap();
        let engine = Engine::open(&loaded.config).await.unwrap();
        for name in PRIVATE {
            let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{name}");
        }
        let mode = std::fs::metadata(dir.path().join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        engine.close().await.unwrap();
    }
}
