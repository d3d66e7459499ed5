//! What the client may do and how long it may take. Every limit has a name.

use std::net::SocketAddr;
use std::time::Duration;

/// Settings of the outbound client. [`Default`] is right for the public network.
#[derive(Debug, Clone)]
pub struct NetConfig {
    /// The one development setting: this machine (127.0.0.0/8, ::1) may be reached,
    /// over http and on any port. Other private ranges stay refused.
    pub allow_loopback: bool,
    /// A service that the operator named as one of his own, such as a monitor in his network, by scheme, host and port
    /// (`http://10.0.0.5:8000`): a request to precisely this origin may go to any address, over http and on any port.
    /// Nothing else may, and no redirect leads there.
    pub own_service: Option<String>,
    /// DNS servers to ask. Empty: those of the operating system, its hosts file included.
    pub nameservers: Vec<SocketAddr>,
    /// Root certificates (DER) that are believed beside the public ones, for networks with a certificate authority of
    /// their own.
    pub extra_roots: Vec<Vec<u8>>,
    /// The `User-Agent` of every request.
    pub user_agent: String,
    /// DNS, TCP and TLS together. Default 3 s.
    pub connect_timeout: Duration,
    /// From the start of a try until the response head. Default 10 s.
    pub header_timeout: Duration,
    /// A body slower than this (bytes per second, over [`Self::rate_window`]) is given up. Default 1 KiB/s.
    pub min_rate: u64,
    /// The time over which the rate is measured; also the longest silence. Default 20 s.
    pub rate_window: Duration,
    /// Requests and open bodies to one host at a time. Default 6.
    pub per_host_concurrency: usize,
    /// Requests per second to one host, in the long run. Default 10 (the reference PDS allows 3,000 in 5 minutes).
    pub per_host_rate: f64,
    /// Requests to one host that may go at once before the rate counts. Default 60.
    pub per_host_burst: f64,
    /// Requests and open bodies to one address at a time, whatever names lead there: a thousand names of one machine are
    /// one machine. IPv6 addresses count by their /64. Default 24.
    pub per_address_concurrency: usize,
    /// Requests per second to one address, in the long run. Default 40.
    pub per_address_rate: f64,
    /// Requests to one address that may go at once before the rate counts. Default 240.
    pub per_address_burst: f64,
    /// Hosts remembered at a time, and addresses; idle ones are forgotten first. Default 4,096.
    pub max_hosts: usize,
    /// The longest wait that a request takes upon itself when a host says "later". Default 60 s.
    pub max_rate_wait: Duration,
    /// The longest pause that a host can impose on requests to it. Default 1 h.
    pub max_host_pause: Duration,
    /// First pause before a retry; doubles, jittered. Default 250 ms.
    pub backoff_base: Duration,
    /// Longest pause before a retry. Default 10 s.
    pub backoff_cap: Duration,
    /// One DNS question. Default 3 s.
    pub dns_timeout: Duration,
    /// Contacts nobody: every request and every DNS question is refused before a socket is opened. For drills.
    pub closed: bool,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            allow_loopback: false,
            own_service: None,
            nameservers: Vec::new(),
            extra_roots: Vec::new(),
            user_agent: concat!("p2pds/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(3),
            header_timeout: Duration::from_secs(10),
            min_rate: 1024,
            rate_window: Duration::from_secs(20),
            per_host_concurrency: 6,
            per_host_rate: 10.0,
            per_host_burst: 60.0,
            per_address_concurrency: 24,
            per_address_rate: 40.0,
            per_address_burst: 240.0,
            max_hosts: 4096,
            max_rate_wait: Duration::from_secs(60),
            max_host_pause: Duration::from_secs(3600),
            backoff_base: Duration::from_millis(250),
            backoff_cap: Duration::from_secs(10),
            dns_timeout: Duration::from_secs(3),
            closed: false,
        }
    }
}

impl NetConfig {
    /// Contacts nobody, see [`Self::closed`].
    #[must_use]
    pub fn closed() -> Self {
        Self { closed: true, ..Self::default() }
    }

    /// The default with loopback allowed and a request rate that does not slow a local network down.
    #[must_use]
    pub fn development() -> Self {
        Self {
            allow_loopback: true,
            per_host_rate: 1000.0,
            per_host_burst: 1000.0,
            // A local network is one address with all of its hosts.
            per_address_concurrency: 1024,
            per_address_rate: 100_000.0,
            per_address_burst: 100_000.0,
            ..Self::default()
        }
    }
}

/// What one request wants. Start from [`GetOptions::metadata`], [`GetOptions::json`] or [`GetOptions::stream`].
#[derive(Debug, Clone)]
pub struct GetOptions {
    /// The `Accept` header, if any.
    pub accept: Option<String>,
    /// Further headers; dropped when a redirect leaves the origin.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Bytes of the body after decompression.
    pub max_bytes: u64,
    /// Redirects followed; each is checked anew. At most [`GetOptions::MAX_REDIRECTS`].
    pub redirects: u8,
    /// Further tries after the first, on connection errors and 5xx. GET only.
    pub retries: u8,
    /// Everything together: waiting, retries, body.
    pub deadline: Duration,
}

impl GetOptions {
    /// The most redirects that are ever followed.
    pub const MAX_REDIRECTS: u8 = 3;

    /// Small documents: 64 KiB, 15 s, up to 3 redirects, one retry.
    #[must_use]
    pub fn metadata() -> Self {
        Self {
            accept: None,
            headers: Vec::new(),
            max_bytes: 64 * 1024,
            redirects: Self::MAX_REDIRECTS,
            retries: 1,
            deadline: Duration::from_secs(15),
        }
    }

    /// A JSON answer of at most `max_bytes`: 60 s, three retries.
    #[must_use]
    pub fn json(max_bytes: u64) -> Self {
        Self {
            accept: Some("application/json".to_owned()),
            max_bytes,
            retries: 3,
            deadline: Duration::from_secs(60),
            ..Self::metadata()
        }
    }

    /// A body to be streamed (a repo, a blob): at most `max_bytes` within `deadline`, three retries of the head.
    #[must_use]
    pub fn stream(max_bytes: u64, deadline: Duration) -> Self {
        Self { max_bytes, retries: 3, deadline, ..Self::metadata() }
    }

    /// The same with another `Accept` header.
    #[must_use]
    pub fn accept(mut self, accept: &str) -> Self {
        self.accept = Some(accept.to_owned());
        self
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: http::HeaderName, value: http::HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same without following redirects.
    #[must_use]
    pub fn no_redirects(mut self) -> Self {
        self.redirects = 0;
        self
    }
}

impl Default for GetOptions {
    fn default() -> Self {
        Self::metadata()
    }
}
