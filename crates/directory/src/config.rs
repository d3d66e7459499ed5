//! Where the directory asks and how long it believes what it heard.

use std::time::Duration;

/// Settings of the identity directory. [`Default`] is right for the public network.
#[derive(Debug, Clone)]
pub struct DirectoryConfig {
    /// Origin of the PLC directory. Default `https://plc.directory`.
    pub plc_url: String,
    /// Up to this age an answer is given without asking again. Default 1 h.
    pub fresh_for: Duration,
    /// Up to this age an answer is given when asking again fails. Default 24 h.
    pub usable_for: Duration,
    /// After a failure the same thing is not asked again for this long; doubled with each further failure. Default 30 s.
    pub failure_pause: Duration,
    /// The longest such pause. Default 1 h.
    pub max_failure_pause: Duration,
    /// [`crate::Directory::refresh`] asks at most once in this time for one DID. Default 1 min.
    pub refresh_pause: Duration,
    /// Identities remembered at most. Default 10,000.
    pub max_entries: usize,
    /// Bytes of documents and logs remembered at most. Default 32 MiB.
    pub max_bytes: usize,
    /// Resolutions under way at a time. Default 64.
    pub max_in_flight: usize,
    /// Largest PLC log that is read, in bytes of JSON. Default 8 MiB.
    pub max_log_bytes: u64,
    /// For development, with the client's loopback setting: handles and did:web hosts are
    /// asked by plain HTTP on this port instead of HTTPS.
    pub development_http_port: Option<u16>,
}

impl Default for DirectoryConfig {
    fn default() -> Self {
        Self {
            plc_url: "https://plc.directory".to_owned(),
            fresh_for: Duration::from_secs(3600),
            usable_for: Duration::from_secs(24 * 3600),
            failure_pause: Duration::from_secs(30),
            max_failure_pause: Duration::from_secs(3600),
            refresh_pause: Duration::from_secs(60),
            max_entries: 10_000,
            max_bytes: 32 << 20,
            max_in_flight: 64,
            max_log_bytes: 8 << 20,
            development_http_port: None,
        }
    }
}
