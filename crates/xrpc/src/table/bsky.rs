//! The methods of the application that this host answers itself, or answers in part.

use axum::routing::{get, post};

use super::entry::{Credentials, Kind, Method, Permission, STANDARD, passed_on, procedure, query};
use super::not_yet;

pub(super) const METHODS: &[Method] = &[
    query("app.bsky.actor.getPreferences", Credentials::SessionOrModerator(STANDARD), || get(not_yet))
        .needs(Permission::Rpc),
    passed_on("app.bsky.actor.getProfile", Kind::Query),
    passed_on("app.bsky.actor.getProfiles", Kind::Query),
    procedure("app.bsky.actor.putPreferences", Credentials::Session(STANDARD), || post(not_yet))
        .needs(Permission::Rpc),
    passed_on("app.bsky.feed.getActorLikes", Kind::Query),
    passed_on("app.bsky.feed.getAuthorFeed", Kind::Query),
    passed_on("app.bsky.feed.getFeed", Kind::Query),
    passed_on("app.bsky.feed.getPostThread", Kind::Query),
    passed_on("app.bsky.feed.getTimeline", Kind::Query),
    passed_on("app.bsky.notification.registerPush", Kind::Procedure),
    passed_on("app.bsky.notification.unregisterPush", Kind::Procedure),
];
