//! What the host is told at its start. The node's `[hosting]` sections say what each setting is for.

use std::time::Duration;

use p2pds_syntax::Did;

use crate::accounts::AccountsConfig;
use crate::blobs::BlobsConfig;
use crate::firehose::FirehoseConfig;
use crate::relay::RelayConfig;
use crate::single_user::SingleUser;

/// Settings of the host. Parts keep theirs in their own struct, so that they may grow.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Name under which this host is reached, lower case, without port.
    pub hostname: String,
    /// Origin under which it is reached: `https://hostname`, with the port in development.
    pub public_url: String,
    /// DID of this service: `did:web:hostname` unless set.
    pub service_did: Did,
    /// Development on loopback: plain HTTP, handles under `.test`.
    pub dev_mode: bool,
    /// Handle domains that are offered, each with its leading dot.
    pub handle_domains: Vec<String>,
    /// Key that stands before this host's own in the identities made here, as did:key.
    pub recovery_key: Option<String>,
    /// Origin of the PLC directory.
    pub plc_url: String,
    /// Whether sign-up needs an invite.
    pub invite_required: bool,
    /// Largest blob, bytes.
    pub blob_limit: u64,
    /// Blobs.
    pub blobs: BlobsConfig,
    /// Largest repo that may be imported, bytes.
    pub import_limit: u64,
    /// Largest schema, with its proof, that is fetched to check a record, bytes.
    pub fetch_limit: u64,
    /// Whether repos may be imported.
    pub imports: bool,
    /// Where what is uploaded lies while it is read.
    pub spool: std::path::PathBuf,
    /// How long events are kept for those who come back.
    pub event_window: Duration,
    /// The stream of events.
    pub firehose: FirehoseConfig,
    /// Relays.
    pub relay: RelayConfig,
    /// Accounts and their mail.
    pub accounts: AccountsConfig,
    /// The one account of a single-user host.
    pub single_user: Option<SingleUser>,
}
