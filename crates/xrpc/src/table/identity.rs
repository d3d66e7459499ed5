//! `com.atproto.identity`: handles, DIDs, and the operations on them.

use axum::routing::{get, post};

use super::entry::{Body, Credentials, FULL, Method, Permission, STANDARD, procedure, query};
use super::not_yet;
use crate::meter::HANDLES;

pub(super) const METHODS: &[Method] = &[
    query("com.atproto.identity.getRecommendedDidCredentials", Credentials::Session(STANDARD), || {
        get(not_yet)
    })
    .needs(Permission::Any),
    procedure("com.atproto.identity.refreshIdentity", Credentials::Session(STANDARD.or_takendown()), || {
        post(not_yet)
    })
    .needs(Permission::Any),
    procedure(
        "com.atproto.identity.requestPlcOperationSignature",
        Credentials::Session(FULL.or_takendown()),
        || post(not_yet),
    )
    .body(Body::None)
    .needs(Permission::Identity),
    query("com.atproto.identity.resolveDid", Credentials::Public, || get(not_yet)),
    query("com.atproto.identity.resolveHandle", Credentials::Public, || get(not_yet)),
    query("com.atproto.identity.resolveIdentity", Credentials::Public, || get(not_yet)),
    procedure("com.atproto.identity.signPlcOperation", Credentials::Session(FULL.or_takendown()), || {
        post(not_yet)
    })
    .needs(Permission::Identity),
    procedure("com.atproto.identity.submitPlcOperation", Credentials::Session(STANDARD), || post(not_yet))
        .needs(Permission::Identity),
    // The password only: with an app password one could take the account's name away.
    procedure("com.atproto.identity.updateHandle", Credentials::Session(FULL), || post(not_yet))
        .rules(HANDLES)
        .needs(Permission::IdentityHandle),
];
