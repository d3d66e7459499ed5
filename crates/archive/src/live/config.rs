//! How live following behaves. Every limit has a name.

use std::time::Duration;

/// Settings of live following. [`Default`] is right for a home machine.
#[derive(Debug, Clone)]
pub struct LiveConfig {
    /// Whether accounts are followed live at all. Default yes.
    pub enabled: bool,
    /// A relay (`https://relay.example`) to follow instead of each host, when there are many accounts.
    pub relay: Option<String>,
    /// From how many followed accounts on the relay is used. Default 500.
    pub relay_from: usize,
    /// Events per second above which a host's own stream costs too much and its accounts are polled. Default 20.
    pub host_rate: u32,
    /// Hosts listened to at a time; accounts on further hosts are polled. Default 200.
    pub max_streams: usize,
    /// Shortest time between two questions for the head of a polled account. Default 30 s.
    pub poll_least: Duration,
    /// Longest such time. Default 1 h.
    pub poll_most: Duration,
    /// How often the heads that a stream led to are compared with what the hosts themselves say. Default 1 h.
    pub compare_every: Duration,
    /// First pause before a broken stream is opened again; doubles, jittered. Default 500 ms.
    pub reconnect_least: Duration,
    /// Longest such pause. Default 2 min.
    pub reconnect_most: Duration,
    /// A stream that is silent for longer is taken for dead. Default 90 s (hosts without users send pings only).
    pub silence: Duration,
    /// Time between two notes of a stream's position. Default 2 s.
    pub cursor_every: Duration,
    /// Bytes of events that wait to be proved and stored, over all accounts. Default 32 MiB.
    pub waiting_bytes: usize,
    /// Bytes of events that wait for one account while it is fetched anew; what comes after is fetched too. Default 2 MiB.
    pub account_bytes: usize,
    /// Threads' worth of proofs and signatures at a time. Default: the machine's cores.
    pub provers: usize,
    /// Accounts fetched anew at a time, over all hosts. Default 8.
    pub resyncs: usize,
    /// Accounts fetched anew at a time from one host. Default 2.
    pub resyncs_per_host: usize,
    /// The time after the last event of an account after which its tree is recomputed in the background. Default 3 s.
    pub refresh_after: Duration,
    /// How long a refusal stays listed as a fault after it was seen last. Default 7 days.
    pub refusals_for: Duration,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            relay: None,
            relay_from: 500,
            host_rate: 20,
            max_streams: 200,
            poll_least: Duration::from_secs(30),
            poll_most: Duration::from_secs(3_600),
            compare_every: Duration::from_secs(3_600),
            reconnect_least: Duration::from_millis(500),
            reconnect_most: Duration::from_secs(120),
            silence: Duration::from_secs(90),
            cursor_every: Duration::from_secs(2),
            waiting_bytes: 32 << 20,
            account_bytes: 2 << 20,
            provers: std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
            resyncs: 8,
            resyncs_per_host: 2,
            refresh_after: Duration::from_secs(3),
            refusals_for: Duration::from_secs(7 * 24 * 3_600),
        }
    }
}
