//! `com.atproto.sync`: whole repos, proofs, blobs, lists, events.

use axum::routing::get;

use super::entry::{Credentials, Kind, Method, Permission, Reason, STANDARD, absent, public, query};
use crate::com_atproto::sync;
use crate::meter::{GET_REPO, Rule};

const REPOS: &[&Rule] = &[&GET_REPO];
const PUBLIC: Credentials = Credentials::Public;
const OPTIONAL: Credentials = Credentials::Optional(STANDARD);
/// Who was taken down may still leave with his data.
const LEAVING: Credentials = Credentials::Optional(STANDARD.or_takendown());

pub(super) const METHODS: &[Method] = &[
    public("com.atproto.sync.getBlob", LEAVING, || get(sync::get_blob::handle)).needs(Permission::Any),
    public("com.atproto.sync.getBlocks", OPTIONAL, || get(sync::get_blocks::handle)).needs(Permission::Any),
    query("com.atproto.sync.getCheckout", OPTIONAL, || get(sync::get_checkout::handle))
        .rules(REPOS)
        .needs(Permission::Any),
    query("com.atproto.sync.getHead", OPTIONAL, || get(sync::get_head::handle)).needs(Permission::Any),
    absent("com.atproto.sync.getHostStatus", Kind::Query, Reason::OtherService),
    public("com.atproto.sync.getLatestCommit", OPTIONAL, || get(sync::get_latest_commit::handle))
        .needs(Permission::Any),
    public("com.atproto.sync.getRecord", OPTIONAL, || get(sync::get_record::handle)).needs(Permission::Any),
    public("com.atproto.sync.getRepo", LEAVING, || get(sync::get_repo::handle))
        .rules(REPOS)
        .needs(Permission::Any),
    public("com.atproto.sync.getRepoStatus", PUBLIC, || get(sync::get_repo_status::handle)),
    public("com.atproto.sync.listBlobs", LEAVING, || get(sync::list_blobs::handle)).needs(Permission::Any),
    absent("com.atproto.sync.listHosts", Kind::Query, Reason::OtherService),
    public("com.atproto.sync.listRepos", PUBLIC, || get(sync::list_repos::handle)),
    public("com.atproto.sync.listReposByCollection", PUBLIC, || get(sync::list_repos_by_collection::handle)),
    absent("com.atproto.sync.notifyOfUpdate", Kind::Procedure, Reason::Replaced),
    absent("com.atproto.sync.requestCrawl", Kind::Procedure, Reason::OtherService),
    Method {
        kind: Kind::Subscription,
        ..query("com.atproto.sync.subscribeRepos", PUBLIC, || get(sync::subscribe_repos::handle))
    },
];
