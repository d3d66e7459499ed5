//! Every lexicon method: served, with which credentials; or absent, and why (invariant 11).

use std::sync::Arc;

use axum::routing::{MethodRouter, get};

use crate::com_atproto::{repo, sync};
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
    query("com.atproto.repo.describeRepo", || get(repo::describe_repo::handle)),
    query("com.atproto.repo.getRecord", || get(repo::get_record::handle)),
    query("com.atproto.repo.listRecords", || get(repo::list_records::handle)),
    query("com.atproto.sync.getBlob", || get(sync::get_blob::handle)),
    query("com.atproto.sync.getBlocks", || get(sync::get_blocks::handle)),
    query("com.atproto.sync.getLatestCommit", || get(sync::get_latest_commit::handle)),
    query("com.atproto.sync.getRecord", || get(sync::get_record::handle)),
    query("com.atproto.sync.getRepo", || get(sync::get_repo::handle)),
    query("com.atproto.sync.getRepoStatus", || get(sync::get_repo_status::handle)),
    query("com.atproto.sync.listBlobs", || get(sync::list_blobs::handle)),
    query("com.atproto.sync.listRepos", || get(sync::list_repos::handle)),
    query("com.atproto.sync.listReposByCollection", || get(sync::list_repos_by_collection::handle)),
    query("org.p2pds.lexicon.list", || get(lexicon::list::handle)),
    query("org.p2pds.lexicon.search", || get(lexicon::search::handle)),
    query("org.p2pds.lexicon.stats", || get(lexicon::stats::handle)),
    query("org.p2pds.plc.getLog", || get(plc::get_log::handle)),
];

/// Why a method is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It belongs to hosting accounts; this node archives them.
    Hosting,
    /// It is a service's of another kind: relay, labeler, lexicon resolver, moderation.
    OtherService,
    /// It was replaced; the method that does its work is served.
    Replaced,
}

/// What is not served of `com.atproto`, and why. A whole family ends with a dot.
pub const ABSENT: &[(&str, Reason)] = &[
    ("com.atproto.admin.", Reason::Hosting),
    ("com.atproto.identity.", Reason::Hosting),
    ("com.atproto.label.", Reason::OtherService),
    ("com.atproto.lexicon.resolveLexicon", Reason::OtherService),
    ("com.atproto.moderation.createReport", Reason::OtherService),
    ("com.atproto.repo.applyWrites", Reason::Hosting),
    ("com.atproto.repo.createRecord", Reason::Hosting),
    ("com.atproto.repo.deleteRecord", Reason::Hosting),
    ("com.atproto.repo.importRepo", Reason::Hosting),
    ("com.atproto.repo.listMissingBlobs", Reason::Hosting),
    ("com.atproto.repo.putRecord", Reason::Hosting),
    ("com.atproto.repo.uploadBlob", Reason::Hosting),
    ("com.atproto.server.", Reason::Hosting),
    ("com.atproto.sync.getCheckout", Reason::Replaced),
    ("com.atproto.sync.getHead", Reason::Replaced),
    ("com.atproto.sync.getHostStatus", Reason::OtherService),
    ("com.atproto.sync.listHosts", Reason::OtherService),
    ("com.atproto.sync.notifyOfUpdate", Reason::Replaced),
    ("com.atproto.sync.requestCrawl", Reason::OtherService),
    ("com.atproto.sync.subscribeRepos", Reason::Hosting),
    ("com.atproto.temp.", Reason::OtherService),
];

/// Why a method is not served, if that is known.
pub(crate) fn absent(nsid: &str) -> Option<Reason> {
    let fits = |name: &str| if name.ends_with('.') { nsid.starts_with(name) } else { nsid == name };
    ABSENT.iter().find(|(name, _)| fits(name)).map(|(_, reason)| *reason)
}
