//! A host for one drill: its own store, blobs and keys, a directory in memory, and no way out.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use p2pds_archive::{Archive, ArchiveConfig, ArchiveDeps, Clock};
use p2pds_blobs::Blobs;
use p2pds_crypto::{Curve, PrivateKey, Signer as _};
use p2pds_directory::{Directory, DirectoryConfig};
use p2pds_host::keys::Keys;
use p2pds_host::{Host, HostConfig, HostDeps};
use p2pds_identity::plc::{Data, Log, LogEntry, Operation, Unsigned, validate_log};
use p2pds_net::{Client, NetConfig};
use p2pds_reading::Reading;
use p2pds_syntax::{Datetime, Did};

use crate::error::{RecoveryError, RecoveryResult};
use crate::promote::Registry;
use crate::{Recovery, ScratchStore};

/// The name of the host. Nobody can own it.
const NAME: &str = "drill.invalid";

/// The time of somebody else.
struct Same(Arc<dyn p2pds_host::Clock>);

impl Clock for Same {
    fn now_micros(&self) -> u64 {
        u64::try_from(self.0.now_micros()).unwrap_or(0)
    }
}

/// What a drill promotes into.
pub(crate) struct Scratch {
    pub(crate) host: Host,
    pub(crate) archive: Archive,
    pub(crate) recovery: Recovery,
}

impl Scratch {
    /// Opens one in a directory that does not exist yet, with the time and the limits of the archive that is drilled.
    pub(super) fn open(open: &ScratchStore, of: &Archive, dir: &Path) -> RecoveryResult<Self> {
        let time = of.clone();
        let config = ArchiveConfig {
            keep_free: of.config().keep_free,
            tool: of.config().tool.clone(),
            ..ArchiveConfig::default()
        };
        Self::with(open, Arc::new(move || time.now()), config, dir)
    }

    /// The same at any time.
    #[cfg(test)]
    pub(crate) fn open_at(
        open: &ScratchStore,
        clock: impl p2pds_host::Clock,
        dir: &Path,
    ) -> RecoveryResult<Self> {
        Self::with(open, Arc::new(clock), ArchiveConfig { keep_free: 0, ..ArchiveConfig::default() }, dir)
    }

    fn with(
        open: &ScratchStore,
        clock: Arc<dyn p2pds_host::Clock>,
        config: ArchiveConfig,
        dir: &Path,
    ) -> RecoveryResult<Self> {
        std::fs::create_dir_all(dir).map_err(RecoveryError::io("create", dir))?;
        let store = open(dir)?;
        let said = |kind, words: String| RecoveryError::Said { kind, words };
        let blobs = Blobs::open(&dir.join("blobs")).map_err(|error| said(error.kind(), error.to_string()))?;
        let net = Client::new(NetConfig::closed()).map_err(|error| said(error.kind(), error.to_string()))?;
        let directory =
            DirectoryConfig { plc_url: "https://plc.invalid".to_owned(), ..DirectoryConfig::default() };
        let directory = Arc::new(Directory::new(net.clone(), Arc::clone(&store), directory));
        let deps = ArchiveDeps {
            store: Arc::clone(&store),
            blobs: blobs.clone(),
            net: net.clone(),
            directory: Arc::clone(&directory),
            data_dir: dir.to_owned(),
            clock: Arc::new(Same(Arc::clone(&clock))),
        };
        let archive = Archive::new(deps, config);
        let keys = Keys::in_memory().map_err(|error| said(error.kind(), error.to_string()))?;
        let reading = Reading::new(Arc::clone(&store), blobs.clone());
        let deps = HostDeps { store, blobs, net, directory, reading, clock, keys: Arc::new(keys) };
        let host = Host::new(deps, config_of(dir)?);
        let recovery = Recovery::new(archive.clone());
        Ok(Self { host, archive, recovery })
    }
}

fn config_of(dir: &Path) -> RecoveryResult<HostConfig> {
    let service_did =
        Did::parse(&format!("did:web:{NAME}")).map_err(|error| RecoveryError::Bug(error.to_string()))?;
    Ok(HostConfig {
        hostname: NAME.to_owned(),
        public_url: format!("https://{NAME}"),
        service_did,
        dev_mode: false,
        handle_domains: vec![format!(".{NAME}")],
        recovery_key: None,
        plc_url: "https://plc.invalid".to_owned(),
        invite_required: true,
        blob_limit: u64::MAX,
        blobs: p2pds_host::blobs::BlobsConfig::default(),
        import_limit: u64::MAX,
        fetch_limit: 512 << 10,
        imports: false,
        spool: dir.join("spool"),
        event_window: Duration::from_secs(3_600),
        firehose: p2pds_host::firehose::FirehoseConfig::default(),
        relay: p2pds_host::relay::RelayConfig::default(),
        accounts: p2pds_host::accounts::AccountsConfig::default(),
        single_user: None,
    })
}

/// A PLC directory in memory, with the rules of the real one. The key that stands in for the user's own cannot continue
/// the real log; so it begins one with the same content, the stand-in in the place of the first rotation key.
pub(crate) struct Pretended(Mutex<Arc<Log>>);

impl Pretended {
    /// The directory, and the key that stands in.
    pub(crate) fn new(data: &Data, now: i64) -> Result<(Self, PrivateKey), String> {
        let mut secret = [0_u8; 32];
        getrandom::fill(&mut secret).map_err(|error| error.to_string())?;
        let key = PrivateKey::from_entropy(Curve::K256, secret);
        let mut data = data.clone();
        match data.rotation_keys.first_mut() {
            Some(first) => *first = key.public_key().to_did_key(),
            None => return Err("the identity has no rotation keys: nobody can ever change it".to_owned()),
        }
        let operation = Unsigned::genesis(data).sign(&key).map_err(|error| error.to_string())?;
        let did = operation.created_did().ok_or("no identity came out of it")?;
        let at =
            Datetime::from_unix_micros(now.saturating_sub(1_000_000)).ok_or("the clock is out of range")?;
        let cid = operation.cid();
        let entry = LogEntry { did: did.clone(), operation, cid, nullified: false, created_at: at };
        let log = validate_log(&did, &[entry]).map_err(|error| error.to_string())?;
        Ok((Self(Mutex::new(Arc::new(log))), key))
    }

    /// The log as it is now.
    pub(crate) fn now(&self) -> Arc<Log> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Registry for Pretended {
    async fn log(&self, _: &Did) -> RecoveryResult<Arc<Log>> {
        Ok(self.now())
    }

    async fn submit(&self, _: &Did, operation: &Operation) -> RecoveryResult<()> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = log.entries().last().map_or(0, |entry| entry.created_at.unix_micros());
        let at = Datetime::from_unix_micros(last.saturating_add(1_000_000))
            .ok_or_else(|| RecoveryError::Bug("the clock is out of range".to_owned()))?;
        let next = log.append(operation.clone(), at);
        let next =
            next.map_err(|error| RecoveryError::Said { kind: error.kind(), words: error.to_string() })?;
        *log = Arc::new(next);
        Ok(())
    }
}
