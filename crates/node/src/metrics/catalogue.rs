//! Every metric there is: name, kind, labels, meaning. A name that is not here fails a test, and so does a
//! label that could carry the name of a person or a host.

/// What a metric measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the node runs.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counted into buckets, with sum and count.
    Histogram,
}

impl Kind {
    /// The word of the exposition format.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name, `p2pds_...`; counters end in `_total`, units are base units and stand in the name.
    pub name: &'static str,
    /// What it measures.
    pub kind: Kind,
    /// Its labels. Never an account, a handle, a host or an address: their number is not bounded, and they are
    /// nobody's business.
    pub labels: &'static [&'static str],
    /// In one sentence.
    pub help: &'static str,
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, labels, help }
}

/// All metrics, by room. Keep each room in alphabetical order.
pub const CATALOGUE: &[Metric] = &[
    // The node.
    gauge("p2pds_disk_free_bytes", &[], "Bytes free on the file system of the data directory."),
    gauge("p2pds_info", &["version"], "Always 1; the label names the version that runs."),
    counter(
        "p2pds_log_lines_dropped_total",
        &["reason"],
        "Log lines left out: `flood` (too many of one event), `slow` (the reader of standard error did not keep up).",
    ),
    counter(
        "p2pds_alerts_total",
        &["sink", "outcome"],
        "Alerts and recoveries told, by way (`log`, `webhook`, `mail`) and outcome (`ok`, `failed`).",
    ),
    counter(
        "p2pds_heartbeats_total",
        &["outcome"],
        "Heartbeats sent to the monitor (`alerts.heartbeat_url`), by outcome (`ok`, `failed`).",
    ),
    gauge(
        "p2pds_faults",
        &["kind"],
        "Faults that last, one for each open alert, by kind; `p2pds alerts` lists them.",
    ),
    counter("p2pds_scrub_bytes_total", &[], "Bytes read and checked by the deep check."),
    gauge("p2pds_scrub_progress_ratio", &[], "How much of the running deep check is done, 0 to 1."),
    gauge("p2pds_start_time_seconds", &[], "When the node started, seconds since 1970."),
    gauge(
        "p2pds_worker_due",
        &["worker"],
        "Pieces of background work that are due and wait for a free place or for their host.",
    ),
    gauge(
        "p2pds_worker_failing",
        &["worker"],
        "1 when the last run of a worker failed; `p2pds workers` says why.",
    ),
    counter("p2pds_worker_failures_total", &["worker"], "Pieces of background work that failed, by worker."),
    gauge(
        "p2pds_worker_last_success_seconds",
        &["worker"],
        "When a worker last ended a piece of work well, seconds since 1970.",
    ),
    gauge(
        "p2pds_worker_waiting",
        &["worker"],
        "Accounts (and other things) that a worker leaves alone for a while after failures.",
    ),
    // The archive.
    gauge("p2pds_accounts", &["status"], "Archived accounts by their status at their host."),
    gauge("p2pds_accounts_paused", &[], "Archived accounts whose syncing the operator paused."),
    gauge(
        "p2pds_accounts_synced_within",
        &["age"],
        "Archived accounts from the network that were found current within the age (`1m`, `1h`, `1d`, `7d`, `ever`); each age counts the shorter ones too.",
    ),
    gauge("p2pds_blob_bytes", &[], "Bytes of the blobs held."),
    gauge("p2pds_blobs_held", &[], "Blobs held."),
    gauge("p2pds_blobs_missing", &[], "Blobs that records name and that are not here."),
    gauge(
        "p2pds_findings",
        &["kind"],
        "What is wrong now, by kind; `p2pds archive show` has the words. Alert on any that is not 0.",
    ),
    gauge("p2pds_records", &[], "Records in the current state of all accounts."),
    gauge(
        "p2pds_sync_age_seconds_max",
        &[],
        "Age of the stalest copy: the time since the account that was longest not found current. Paused and deleted accounts do not count.",
    ),
    gauge("p2pds_verify_failed_accounts", &[], "Accounts whose last verification found damage."),
    // The store.
    histogram("p2pds_store_commit_seconds", &[], "Time of one group commit, the flush to the disk included."),
    gauge(
        "p2pds_store_bytes",
        &["part"],
        "Bytes of the database: `database`, `wal` (not folded in yet), `free` (inside the file).",
    ),
    gauge("p2pds_store_disk_full", &[], "1 while the disk is full: only reading and deleting work."),
    counter("p2pds_store_groups_total", &[], "Groups of units committed."),
    gauge(
        "p2pds_store_stopped",
        &[],
        "1 when writing has stopped for good; the log says why, and a restart is needed.",
    ),
    counter("p2pds_store_units_total", &[], "Units of work applied."),
    gauge("p2pds_store_units_waiting", &[], "Units of work that wait for the writer."),
    // The live stream.
    gauge("p2pds_live_accounts", &[], "Accounts that are followed live, those that are polled included."),
    counter("p2pds_live_blobs_total", &[], "Blobs fetched as soon as a record named them."),
    counter(
        "p2pds_live_commits_total",
        &[],
        "Commits of live streams that passed every check and were stored.",
    ),
    counter("p2pds_live_connects_total", &[], "Live streams opened."),
    counter(
        "p2pds_live_events_total",
        &["kind"],
        "Events read from live streams: `commit`, `sync`, `identity`, `account`, `info`, `error`, `unknown`, `unreadable`.",
    ),
    counter("p2pds_live_heads_asked_total", &[], "Heads asked for at hosts, to poll or to compare."),
    counter(
        "p2pds_live_identity_lookups_total",
        &["why"],
        "Identities looked up again because of an event: `event`, `signature`, `host`, `inactive`.",
    ),
    counter(
        "p2pds_live_ignored_total",
        &["why"],
        "Events of followed accounts that needed nothing: `same`, `older`, `inactive`...",
    ),
    counter("p2pds_live_omissions_total", &[], "Events that a stream left out, found by comparing heads."),
    counter("p2pds_live_received_bytes_total", &[], "Bytes of events received, whoever they were of."),
    counter("p2pds_live_reconnects_total", &[], "Live streams that broke and were opened again."),
    counter(
        "p2pds_live_refused_total",
        &["why"],
        "Events that were not believed: `bad-signature`, `foreign-host`, `future-rev`, `equivocation`...",
    ),
    counter(
        "p2pds_live_resyncs_total",
        &["why"],
        "Accounts fetched anew because their stream had a gap or contradicted itself: `gap`, `sync`, `behind`...",
    ),
    gauge("p2pds_live_sources", &["state"], "Live streams by state: `open`, `waiting`."),
    counter(
        "p2pds_live_status_changes_total",
        &["status"],
        "Changes of accounts' statuses that live following heard of.",
    ),
    counter(
        "p2pds_live_trees_total",
        &["result"],
        "Trees recomputed after events and compared with the signed root: `good`, `drift`.",
    ),
    // Identity.
    counter(
        "p2pds_plc_operations_total",
        &["verdict"],
        "New PLC operations of archived accounts: `announced`, `unexpected`.",
    ),
    counter(
        "p2pds_plc_refreshes_total",
        &["outcome"],
        "PLC logs and did:web documents fetched by schedule or event: `same`, `changed`, `failed`.",
    ),
    counter(
        "p2pds_plc_stream_events_total",
        &["relevant"],
        "Operations read from the directory's export, and whether they are of an archived account (`yes`, `no`).",
    ),
    gauge(
        "p2pds_plc_stream_state",
        &["state"],
        "1 for how the directory is followed now: `stream`, `pages`, `refresh-only`, `waiting`.",
    ),
    // Outbound requests.
    counter(
        "p2pds_net_requests_total",
        &["outcome"],
        "Outbound requests: `ok`, `client-error`, `server-error`, `limited`, `refused`, `failed`.",
    ),
    counter(
        "p2pds_proxy_requests_total",
        &["outcome"],
        "Requests of hosted accounts that were passed on: `ok`, `client-error`, `server-error`, `failed`.",
    ),
    // The firehose.
    counter(
        "p2pds_firehose_bulk_refused_total",
        &[],
        "Writes refused because bulk writers had sent relays as much as they take.",
    ),
    counter("p2pds_firehose_bytes_total", &[], "Bytes sent to consumers of the firehose."),
    counter(
        "p2pds_firehose_closed_total",
        &["reason"],
        "Streams that ended: `gone`, `closed`, `stopping`, `trouble`, `protocol`, or the protocol's error, such as `ConsumerTooSlow`.",
    ),
    gauge("p2pds_firehose_consumers", &[], "Consumers of the firehose that listen now."),
    counter(
        "p2pds_firehose_forgotten_total",
        &[],
        "Events forgotten because their time was over, or for want of space.",
    ),
    counter("p2pds_firehose_frames_total", &[], "Events sent to consumers of the firehose."),
    gauge("p2pds_firehose_seq", &[], "Number of the newest event."),
    gauge("p2pds_firehose_stored_bytes", &[], "Bytes of the events that are kept."),
    gauge("p2pds_firehose_stored_events", &[], "Events that are kept."),
    gauge("p2pds_relays", &[], "Relays that are asked to follow this host."),
    gauge("p2pds_relays_following", &[], "Relays that follow, as far as they were looked at."),
    // Blobs of hosted accounts.
    counter("p2pds_blob_upload_bytes_total", &[], "Bytes of blobs that hosted accounts uploaded."),
    counter("p2pds_blob_uploads_total", &[], "Blobs that hosted accounts uploaded."),
    // Owners of hosted accounts.
    counter(
        "p2pds_host_logins_total",
        &["outcome"],
        "Logins to hosted accounts: `right`, `wrong`; `factor-needed` and `wrong-factor` after a password that was right; `passkey` without one.",
    ),
    counter(
        "p2pds_host_logins_turned_away_total",
        &[],
        "Logins turned away because too many passwords were being checked.",
    ),
    counter(
        "p2pds_host_mails_total",
        &["outcome"],
        "Mails to owners: `sent`, `failed` (and tried again, or given up).",
    ),
    counter(
        "p2pds_host_sessions_reused_total",
        &[],
        "Sessions ended because a refresh token was shown that had been used up long before.",
    ),
    // Applications that sign in.
    counter("p2pds_oauth_grants_total", &[], "Requests of applications that somebody granted."),
    counter(
        "p2pds_oauth_refusals_total",
        &["error"],
        "Requests of applications that were refused, by OAuth's name for why.",
    ),
    counter(
        "p2pds_oauth_replays_total",
        &["what"],
        "Codes and refresh tokens that were shown after their use: `code`, `refresh`. Their sessions were ended.",
    ),
    counter("p2pds_oauth_requests_total", &[], "Requests that applications pushed."),
    counter("p2pds_oauth_sessions_total", &[], "Sessions of applications that began."),
    // The public door.
    histogram("p2pds_http_request_seconds", &["route"], "Time until the head of the answer, by route."),
    counter(
        "p2pds_http_requests_total",
        &["method", "route", "status"],
        "Requests answered at the public door, by route (a pattern, never a path) and status.",
    ),
    counter(
        "p2pds_http_turned_away_total",
        &[],
        "Connections closed unanswered: their caller had too many, or all places were busy.",
    ),
    counter("p2pds_serving_bytes_total", &[], "Bytes of repos and blobs sent in streams."),
    gauge(
        "p2pds_serving_index_blocks",
        &[],
        "Blocks and blobs of served accounts that can be found by CID alone.",
    ),
    counter(
        "p2pds_serving_limited_total",
        &["limit"],
        "Requests refused for a limit: `requests`, `unknown` (CIDs), `repos`, `heavy` and `usual` (at a time), or a rule of single methods such as `login` or `writes`.",
    ),
];

/// The metric of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Metric> {
    CATALOGUE.iter().find(|metric| metric.name == name)
}
