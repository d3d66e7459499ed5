//! The methods of the application that this host answers itself, or answers in part.

use std::sync::Arc;

use axum::routing::{MethodRouter, get, post};

use super::entry::{Credentials, Kind, Method, Permission, STANDARD, passed_on, procedure, query};
use crate::app_bsky::actor;
use crate::door::Xrpc;
use crate::proxy::handle;

/// A query that is passed on, and whose answer is completed here.
const fn completed(nsid: &'static str, route: fn() -> MethodRouter<Arc<Xrpc>>) -> Method {
    Method { route, ..passed_on(nsid, Kind::Query) }
}

pub(super) const METHODS: &[Method] = &[
    query("app.bsky.actor.getPreferences", Credentials::SessionOrModerator(STANDARD), || {
        get(actor::get_preferences::handle)
    })
    .needs(Permission::Rpc),
    completed("app.bsky.actor.getProfile", || get(handle::profile)),
    completed("app.bsky.actor.getProfiles", || get(handle::profiles)),
    procedure("app.bsky.actor.putPreferences", Credentials::Session(STANDARD), || {
        post(actor::put_preferences::handle)
    })
    .needs(Permission::Rpc),
    completed("app.bsky.feed.getActorLikes", || get(handle::likes)),
    completed("app.bsky.feed.getAuthorFeed", || get(handle::author_feed)),
    completed("app.bsky.feed.getFeed", || get(handle::feed)),
    completed("app.bsky.feed.getPostThread", || get(handle::thread)),
    completed("app.bsky.feed.getTimeline", || get(handle::timeline)),
    Method {
        route: || post(handle::push),
        permission: Permission::RpcNamed,
        ..passed_on("app.bsky.notification.registerPush", Kind::Procedure)
    },
    Method {
        route: || post(handle::push),
        permission: Permission::RpcNamed,
        ..passed_on("app.bsky.notification.unregisterPush", Kind::Procedure)
    },
];
