//! The sections themselves. Their doc comments are the reference page.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::layers::Layers;
use super::section::section;
use super::setting::{LogFormat, Size};
use super::{Config, unused_names};

section! {
    /// Where the node keeps its things.
    pub struct NodeSection in "node" {
        /// Directory of everything the node stores: the database, blobs, the operator socket.
        /// Created at the first use, readable by its owner only.
        data_dir: PathBuf = "./data", flag "data-dir", env ["P2PDS_DATA_DIR", "PDS_DATA_DIRECTORY", "DATA_DIR"];
    }
}

section! {
    /// The public door: what others reach over HTTP.
    pub struct HttpSection in "http" {
        /// Address to listen on. Keep 127.0.0.1 behind a reverse proxy; 0.0.0.0 or :: opens it
        /// to the network.
        bind: IpAddr = "127.0.0.1", flag "bind", env ["P2PDS_BIND"];
        /// Port to listen on; 0 picks a free one and prints it.
        port: u16 = "3000", flag "port", env ["P2PDS_PORT", "PDS_PORT", "PORT"];
        /// Public host name. Requests for other names are refused, except localhost and
        /// plain IP addresses.
        hostname: Option<String> = "", flag "hostname", env ["P2PDS_HOSTNAME", "PDS_HOSTNAME"];
    }
}

section! {
    /// Outbound requests: directories, name servers and other people's servers.
    pub struct NetworkSection in "network" {
        /// The did:plc directory.
        plc_url: String = "https://plc.directory", flag "plc-url", env ["P2PDS_PLC_URL", "PDS_DID_PLC_URL"];
        /// Name servers to ask instead of the system's, such as 1.1.1.1 or 127.0.0.1:5353.
        nameservers: Vec<SocketAddr> = "", flag "nameservers", env ["P2PDS_NAMESERVERS", "PDS_HANDLE_BACKUP_NAMESERVERS"];
        /// Requests at a time to one host.
        per_host: u32 = "6", env ["P2PDS_PER_HOST"];
        /// How long a connection may take to open.
        connect_timeout: Duration = "3s", env ["P2PDS_CONNECT_TIMEOUT"];
        /// How long a server may take to begin its answer.
        header_timeout: Duration = "10s", env ["P2PDS_HEADER_TIMEOUT"];
        /// DEVELOPMENT ONLY: allow requests to this machine (127.0.0.1, ::1), over plain http and
        /// on any port. Anyone whose DID or handle this node resolves could then reach services
        /// that run beside it.
        dev_allow_loopback: bool = "false", flag "dev-allow-loopback", env ["P2PDS_DEV_ALLOW_LOOPBACK"];
    }
}

section! {
    /// Archived accounts: how often and how much.
    pub struct ArchiveSection in "archive" {
        /// Accounts (handles or DIDs) that the node archives from its start, besides those added
        /// with `p2pds archive add`. Taking one out of the list does not remove its archive.
        accounts: Vec<String> = "", env ["P2PDS_ARCHIVE_ACCOUNTS", "REPLICATE_DIDS"];
        /// How often a running node fetches what is new.
        sync_interval: Duration = "1h", env ["P2PDS_SYNC_INTERVAL"];
        /// How often a running node tries missing blobs again.
        blob_retry_interval: Duration = "15m", env ["P2PDS_BLOB_RETRY_INTERVAL"];
        /// How often a running node verifies each archive from its stored bytes.
        verify_interval: Duration = "7d", env ["P2PDS_VERIFY_INTERVAL"];
        /// Blobs fetched at a time for one account.
        blob_concurrency: u32 = "6", env ["P2PDS_BLOB_CONCURRENCY"];
        /// Most bytes of blobs kept for one account; 0 is no limit. Blobs past it are listed as
        /// missing, with the reason.
        blob_quota: Size = "0", env ["P2PDS_BLOB_QUOTA"];
        /// Disk space that archives leave free.
        keep_free: Size = "1GB", env ["P2PDS_KEEP_FREE"];
    }
}

section! {
    /// Log lines, written to standard error.
    pub struct LogSection in "log" {
        /// Least level to write: error, warn, info, debug or trace; or a filter such as
        /// `info,p2pds_net=debug`.
        level: String = "info", flag "log-level", env ["P2PDS_LOG_LEVEL", "LOG_LEVEL"];
        /// How lines look: text or json; auto is text on a terminal and json elsewhere.
        format: LogFormat = "auto", flag "log-format", env ["P2PDS_LOG_FORMAT", "LOG_FORMAT"];
    }
}

/// Names of the reference server's configuration that belong to hosting, which comes later. They
/// are accepted so that its environment file can be used as it is, and said to be unused.
pub(super) const LATER_NAMES: &[&str] = &[
    "PDS_ACCEPTING_REPO_IMPORTS",
    "PDS_ACTOR_STORE_DIRECTORY",
    "PDS_ADMIN_PASSWORD",
    "PDS_BLOBSTORE_DISK_LOCATION",
    "PDS_BLOBSTORE_DISK_TMP_LOCATION",
    "PDS_BLOB_UPLOAD_LIMIT",
    "PDS_BSKY_APP_VIEW_DID",
    "PDS_BSKY_APP_VIEW_URL",
    "PDS_CRAWLERS",
    "PDS_DPOP_SECRET",
    "PDS_EMAIL_FROM_ADDRESS",
    "PDS_EMAIL_SMTP_URL",
    "PDS_INVITE_REQUIRED",
    "PDS_JWT_SECRET",
    "PDS_MAX_REPO_IMPORT_SIZE",
    "PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX",
    "PDS_RATE_LIMITS_ENABLED",
    "PDS_RECOVERY_DID_KEY",
    "PDS_REPORT_SERVICE_DID",
    "PDS_REPORT_SERVICE_URL",
    "PDS_SERVICE_DID",
    "PDS_SERVICE_HANDLE_DOMAINS",
    "PDS_SERVICE_NAME",
];

/// What deserves a line at the start, though the configuration is valid.
pub(super) fn warnings(layers: &Layers, config: &Config) -> Vec<String> {
    let mut warnings = unused_names(layers);
    if config.network.dev_allow_loopback {
        warnings.push(
            "development setting dev_allow_loopback is on: requests to this machine are allowed".to_owned(),
        );
    }
    if !config.http.bind.is_loopback() && config.http.hostname.is_none() {
        warnings.push(format!(
            "listening on {} without a host name: set http.hostname to the name that others use",
            config.http.bind
        ));
    }
    warnings
}
