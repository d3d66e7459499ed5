//! The sections themselves. Their doc comments are the reference page.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use p2pds_syntax::AtIdentifier;
use p2pds_xrpc::Net;

use super::layers::Layers;
use super::section::section;
use super::setting::{AlarmFor, CaFile, LogFormat, MailAddress, Millis, Secret, Size, WebUrl};
use super::{Config, names};

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
        /// URL under which others reach this node, such as https://archive.example.com. Its host
        /// name is the public host name when none is set.
        public_url: Option<WebUrl> = "", flag "public-url", env ["P2PDS_PUBLIC_URL", "PUBLIC_URL"];
    }
}

section! {
    /// Outbound requests: directories, name servers and other people's servers.
    pub struct NetworkSection in "network" {
        /// The did:plc directory.
        plc_url: String = "https://plc.directory", flag "plc-url", env ["P2PDS_PLC_URL", "PDS_DID_PLC_URL"];
        /// Name servers to ask instead of the system's, such as 1.1.1.1 or 127.0.0.1:5353.
        nameservers: Vec<SocketAddr> = "", flag "nameservers", env ["P2PDS_NAMESERVERS", "PDS_HANDLE_BACKUP_NAMESERVERS"];
        /// File of root certificates (PEM) that are believed beside the public ones, for a network with a certificate
        /// authority of its own. It is read at the start, and counts for every connection: to other servers, to the
        /// mail server, to a bucket.
        ca_file: Option<CaFile> = "", flag "ca-file", env ["P2PDS_CA_FILE"];
        /// Requests at a time to one host.
        per_host: u32 = "6", env ["P2PDS_PER_HOST"];
        /// How long a connection may take to open.
        connect_timeout: Duration = "3s", env ["P2PDS_CONNECT_TIMEOUT"];
        /// How long a server may take to begin its answer.
        header_timeout: Duration = "10s", env ["P2PDS_HEADER_TIMEOUT"];
        /// A server that sends less than a kilobyte a second over this time is given up.
        rate_window: Duration = "20s", env ["P2PDS_RATE_WINDOW"];
        /// DEVELOPMENT ONLY: allow requests to this machine (127.0.0.1, ::1), over plain http and
        /// on any port. Anyone whose DID or handle this node resolves could then reach services
        /// that run beside it.
        dev_allow_loopback: bool = "false", flag "dev-allow-loopback", env ["P2PDS_DEV_ALLOW_LOOPBACK", "PDS_DISABLE_SSRF_PROTECTION"];
        /// How long what is known of an identity is used without asking again; a number alone counts
        /// milliseconds.
        identity_fresh: Millis = "1h", env ["P2PDS_IDENTITY_FRESH", "PDS_DID_CACHE_STALE_TTL"];
        /// How long it is used when asking again fails; a number alone counts milliseconds.
        identity_usable: Millis = "1d", env ["P2PDS_IDENTITY_USABLE", "PDS_DID_CACHE_MAX_TTL"];
        /// How long one question to a name server may take; a number alone counts milliseconds.
        dns_timeout: Millis = "3s", env ["P2PDS_DNS_TIMEOUT", "PDS_ID_RESOLVER_TIMEOUT"];
    }
}

impl NetworkSection {
    /// Root certificates (DER) that are believed beside the public ones.
    #[must_use]
    pub fn extra_roots(&self) -> &[Vec<u8>] {
        self.ca_file.as_ref().map_or(&[], CaFile::certificates)
    }
}

section! {
    /// Archived accounts: how often and how much.
    pub struct ArchiveSection in "archive" {
        /// Accounts (handles or DIDs) that the node archives from its start, besides those added
        /// with `p2pds archive add`. Taking one out of the list does not remove its archive.
        accounts: Vec<AtIdentifier> = "", env ["P2PDS_ARCHIVE_ACCOUNTS", "REPLICATE_DIDS"];
        /// How often a running node fetches what is new.
        sync_interval: Duration = "1h", env ["P2PDS_SYNC_INTERVAL"];
        /// How often a running node tries missing blobs again.
        blob_retry_interval: Duration = "15m", env ["P2PDS_BLOB_RETRY_INTERVAL"];
        /// How often a running node begins to read and check everything that is stored. It goes on
        /// until all is done, so it may take longer.
        verify_interval: Duration = "7d", env ["P2PDS_VERIFY_INTERVAL"];
        /// Share of one processor core that this may take, in percent. When it would not end in
        /// verify_deadline, it takes up to four times as much.
        verify_share: u32 = "5", env ["P2PDS_VERIFY_SHARE"];
        /// Time within which everything is to be checked once; an alert says when that cannot be.
        verify_deadline: Duration = "30d", env ["P2PDS_VERIFY_DEADLINE"];
        /// Blobs fetched at a time for one account.
        blob_concurrency: u32 = "6", env ["P2PDS_BLOB_CONCURRENCY"];
        /// Most bytes of blobs kept for one account; 0 is no limit. Blobs past it are listed as
        /// missing, with the reason.
        blob_quota: Size = "0", env ["P2PDS_BLOB_QUOTA"];
        /// Most bytes (records and blobs) kept for one account; 0 is no limit. At nine tenths of it
        /// no new blobs are fetched, at the whole nothing new at all; what is held stays. An
        /// account's own limit, set with `p2pds archive quota`, goes before it.
        quota_per_account: Size = "0", env ["P2PDS_QUOTA_PER_ACCOUNT"];
        /// Most bytes (records and blobs) kept of all accounts together; 0 is no limit.
        quota_total: Size = "0", env ["P2PDS_QUOTA_TOTAL"];
        /// How long what was superseded or deleted is kept of accounts that do not keep everything
        /// (`p2pds archive keep`). It is for you alone and is never served.
        undo_window: Duration = "7d", env ["P2PDS_UNDO_WINDOW"];
        /// How long after its deletion at the source an account is erased here, unless a basis for
        /// keeping it is recorded (`p2pds archive keep --basis`). It is announced until then.
        erase_after: Duration = "30d", env ["P2PDS_ERASE_AFTER"];
        /// How often a running node looks for what is past these times.
        retention_interval: Duration = "6h", env ["P2PDS_RETENTION_INTERVAL"];
        /// Disk space that archives leave free.
        keep_free: Size = "1GB", env ["P2PDS_KEEP_FREE"];
    }
}

section! {
    /// Live following: archived accounts are kept current as they change.
    pub struct LiveSection in "live" {
        /// Follow accounts as they change. Without it they are fetched every `archive.sync_interval`.
        enabled: bool = "true", env ["P2PDS_LIVE_ENABLED", "FIREHOSE_ENABLED"];
        /// A relay, such as wss://relay.example, to follow when there are many accounts. Without one,
        /// each account is heard from its own host.
        relay: Option<String> = "", env ["P2PDS_LIVE_RELAY", "FIREHOSE_URL"];
        /// How many accounts are many. A relay sends the events of the whole network, whoever is
        /// followed: expect a terabyte a month and more (`p2pds workers` shows what it is).
        relay_from: u32 = "500", env ["P2PDS_LIVE_RELAY_FROM"];
        /// A host's own stream has the events of all its accounts. When it brings more than so many
        /// a second, the accounts there are polled instead.
        host_rate: u32 = "20", env ["P2PDS_LIVE_HOST_RATE"];
        /// Hosts listened to at a time; accounts on further hosts are polled.
        max_streams: u32 = "200", env ["P2PDS_LIVE_MAX_STREAMS"];
        /// Shortest time between two questions for the head of a polled account; it grows while
        /// nothing changes.
        poll_least: Duration = "30s", env ["P2PDS_LIVE_POLL_LEAST"];
        /// Longest such time.
        poll_most: Duration = "1h", env ["P2PDS_LIVE_POLL_MOST"];
        /// How often the heads that a stream led to are compared with what the accounts' hosts say, so
        /// that a stream that leaves events out is noticed.
        compare_every: Duration = "30m", env ["P2PDS_LIVE_COMPARE_EVERY"];
    }
}

section! {
    /// Serving archived accounts to others. Nothing is served until `p2pds archive serve` says so,
    /// account by account.
    pub struct ServingSection in "serving" {
        /// Tokens of the peers to whom you serve what is set to `peers`: they send one as
        /// `Authorization: Bearer TOKEN`. Give each peer its own, of 24 random characters or more.
        peer_tokens: Vec<Secret> = "", env ["P2PDS_PEER_TOKENS"];
        /// A second host name, under which this node is asked as a mirror.
        mirror_hostname: Option<String> = "", env ["P2PDS_MIRROR_HOSTNAME"];
        /// Give blocks and blobs of served accounts to those who know only a CID:
        /// `/.well-known/rasl/` and `/ipfs/`.
        gateway: bool = "true", env ["P2PDS_GATEWAY"];
        /// Limit how much one address may ask.
        rate_limits: bool = "true", env ["P2PDS_RATE_LIMITS", "RATE_LIMIT_ENABLED", "PDS_RATE_LIMITS_ENABLED"];
        /// Requests of one address in five minutes.
        requests: u32 = "3000", env ["P2PDS_REQUESTS"];
        /// CIDs that nobody served here has, asked for by one address in five minutes.
        unknown_cids: u32 = "600", env ["P2PDS_UNKNOWN_CIDS"];
        /// Reverse proxies (addresses or ranges such as 10.0.0.0/8) whose X-Forwarded-For header
        /// is believed. Behind a proxy that is not named here, all callers count as one.
        trusted_proxies: Vec<Net> = "", env ["P2PDS_TRUSTED_PROXIES"];
        /// Blocks and blobs of served accounts that can be found by CID alone. Each takes eight bytes
        /// of memory; accounts past it are served by their DID only.
        index_blocks: u32 = "20000000", env ["P2PDS_INDEX_BLOCKS"];
    }
}

section! {
    /// Watching identities: PLC operations that nobody announced, and directories that disagree.
    pub struct WatchSection in "watch" {
        /// How often the PLC log (or did:web document) of each archived account is fetched again,
        /// spread over the time.
        plc_refresh: Duration = "6h", env ["P2PDS_PLC_REFRESH"];
        /// Follow the directory's export as well, so that an operation is known within seconds
        /// instead of hours. Costs what all operations of the network weigh: about 1 kB each,
        /// a few a second.
        plc_stream: bool = "true", env ["P2PDS_PLC_STREAM"];
        /// Whose changes raise an alarm when nobody announced them: all archived accounts, or your
        /// own, which are those that keep everything (`p2pds archive keep ACCOUNT all`). Changes of
        /// the others are noted with the account.
        plc_alarm: AlarmFor = "all", env ["P2PDS_PLC_ALARM"];
        /// Origins of further did:plc directories or mirrors of it. Their answers are compared
        /// with the directory's: what differs is shown, and nothing is taken over from them.
        plc_mirrors: Vec<String> = "", env ["P2PDS_PLC_MIRRORS"];
    }
}

section! {
    /// The page of metrics for Prometheus. The operator socket serves it in any case.
    pub struct MetricsSection in "metrics" {
        /// Address to serve /metrics on, when a port is set. It has no password: leave it on an
        /// address that only your Prometheus reaches.
        bind: IpAddr = "127.0.0.1", env ["P2PDS_METRICS_BIND"];
        /// Port to serve /metrics on; not served over TCP without one.
        port: Option<u16> = "", env ["P2PDS_METRICS_PORT"];
    }
}

section! {
    /// Alerts: one for each fault, one when it is over. They go to the log, to `p2pds alerts`, to the
    /// metric p2pds_faults, and to a webhook and by e-mail if those are set.
    pub struct AlertsSection in "alerts" {
        /// URL that is sent a JSON document for each alert; it may carry a token. It must be reachable
        /// at a public address, as everything that the node asks for.
        webhook_url: Option<Secret> = "", env ["P2PDS_ALERTS_WEBHOOK_URL"];
        /// Shared secret that the webhook's requests are signed with (header p2pds-signature).
        webhook_secret: Option<Secret> = "", env ["P2PDS_ALERTS_WEBHOOK_SECRET"];
        /// An account that could not be fetched for so long is a fault; its host's accounts are told
        /// together.
        unreachable_after: Duration = "1d", env ["P2PDS_ALERTS_UNREACHABLE_AFTER"];
        /// Less free disk space than this is a fault.
        disk_low: Size = "5GB", env ["P2PDS_ALERTS_DISK_LOW"];
        /// Address that gets one e-mail for each fault and one when it is over, through the mail server of
        /// the section [mail].
        email_to: Option<MailAddress> = "", env ["P2PDS_ALERTS_EMAIL_TO"];
        /// URL that is asked (GET) regularly while the node is ready, so that a monitor elsewhere notices
        /// when it is not; while it is not, `/fail` is added to the path. It may carry a token.
        heartbeat_url: Option<Secret> = "", env ["P2PDS_ALERTS_HEARTBEAT_URL"];
        /// Time between two such requests.
        heartbeat_every: Duration = "5m", env ["P2PDS_ALERTS_HEARTBEAT_EVERY"];
        /// The monitor is your own: its host may have a private address and be asked over http, on any
        /// port. Nothing else is reached that way.
        heartbeat_private: bool = "false", env ["P2PDS_ALERTS_HEARTBEAT_PRIVATE"];
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

/// What deserves a line at the start, though the configuration is valid.
pub(super) fn warnings(layers: &Layers, config: &Config) -> Vec<String> {
    let mut warnings = layers.warnings().to_vec();
    warnings.extend(names::warnings(layers));
    if config.network.dev_allow_loopback {
        warnings.push(
            "development setting dev_allow_loopback is on: requests to this machine are allowed".to_owned(),
        );
    }
    if config.hosting.dev_mode {
        warnings.push(
            "development mode (hosting.dev_mode) is on: plain HTTP, and requests to this machine are allowed"
                .to_owned(),
        );
    }
    let directory = config.network.plc_url.as_str();
    if !config.network.dev_allow_loopback && !config.hosting.dev_mode && names_this_machine(directory) {
        warnings.push(format!(
            "network.plc_url (PDS_DID_PLC_URL) is {directory}: this machine is asked in development only, so no identity \
             can be made or looked up. For a test network set PDS_DEV_MODE=true; else name a directory that others reach"
        ));
    }
    if !config.http.bind.is_loopback() && config.http.hostname.is_none() {
        warnings.push(format!(
            "listening on {} without a host name: set http.hostname to the name that others use",
            config.http.bind
        ));
    }
    let mail_server = config.mail.smtp_url.is_some() || config.mail.smtp_host.is_some();
    if config.alerts.email_to.is_some() && !mail_server {
        warnings.push(
            "alerts are to be mailed (alerts.email_to), and no mail server is set: set mail.smtp_url (PDS_EMAIL_SMTP_URL) or \
             mail.smtp_host (P2PDS_SMTP_HOST)"
                .to_owned(),
        );
    }
    if config.serving.peer_tokens.iter().any(|token| token.expose().len() < 24) {
        warnings.push(
            "a token in serving.peer_tokens is shorter than 24 characters: it may be guessed".to_owned(),
        );
    }
    warnings
}

fn names_this_machine(address: &str) -> bool {
    url::Url::parse(address).is_ok_and(|url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    })
}
