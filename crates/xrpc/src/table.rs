//! Every lexicon method: served, with which credentials; or absent, and why (invariant 11).

use std::sync::Arc;

use axum::routing::{MethodRouter, get};

use crate::com_atproto::sync;
use crate::door::Xrpc;
use crate::org_p2pds::{lexicon, plc};

/// What a caller may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing, or a peer's token, which opens what is served to peers.
    NoneOrPeer,
}

/// A served method.
pub struct Method {
    /// Its name.
    pub nsid: &'static str,
    /// Who may call it.
    pub credentials: Credentials,
    /// Its handler.
    pub(crate) route: fn() -> MethodRouter<Arc<Xrpc>>,
}

impl std::fmt::Debug for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Method").field("nsid", &self.nsid).field("credentials", &self.credentials).finish()
    }
}

const fn query(nsid: &'static str, route: fn() -> MethodRouter<Arc<Xrpc>>) -> Method {
    Method { nsid, credentials: Credentials::NoneOrPeer, route }
}

/// What is served.
pub const METHODS: &[Method] = &[
    query("com.atproto.sync.getLatestCommit", || get(sync::get_latest_commit::handle)),
    query("org.p2pds.lexicon.list", || get(lexicon::list::handle)),
    query("org.p2pds.lexicon.search", || get(lexicon::search::handle)),
    query("org.p2pds.lexicon.stats", || get(lexicon::stats::handle)),
    query("org.p2pds.plc.getLog", || get(plc::get_log::handle)),
];

/// What is not, and why.
pub const ABSENT: &[(&str, &str)] = &[];
