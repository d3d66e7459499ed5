//! `com.atproto.identity`: handles, DIDs, and the operations on them.

use axum::routing::{get, post};

use super::entry::{Body, Credentials, FULL, Method, Permission, STANDARD, procedure, query};
use crate::com_atproto::identity;
use crate::meter::{HANDLES, MAILS};

pub(super) const METHODS: &[Method] = &[
    query("com.atproto.identity.getRecommendedDidCredentials", Credentials::Session(STANDARD), || {
        get(identity::get_recommended_did_credentials::handle)
    })
    .needs(Permission::Any),
    procedure("com.atproto.identity.refreshIdentity", Credentials::Session(STANDARD.or_takendown()), || {
        post(identity::refresh_identity::handle)
    })
    .needs(Permission::Any),
    procedure(
        "com.atproto.identity.requestPlcOperationSignature",
        Credentials::Session(FULL.or_takendown()),
        || post(identity::request_plc_operation_signature::handle),
    )
    .body(Body::None)
    .rules(MAILS)
    .needs(Permission::Identity),
    query("com.atproto.identity.resolveDid", Credentials::Public, || get(identity::resolve_did::handle)),
    query("com.atproto.identity.resolveHandle", Credentials::Public, || {
        get(identity::resolve_handle::handle)
    }),
    query("com.atproto.identity.resolveIdentity", Credentials::Public, || {
        get(identity::resolve_identity::handle)
    }),
    procedure("com.atproto.identity.signPlcOperation", Credentials::Session(FULL.or_takendown()), || {
        post(identity::sign_plc_operation::handle)
    })
    .needs(Permission::Identity),
    procedure("com.atproto.identity.submitPlcOperation", Credentials::Session(STANDARD), || {
        post(identity::submit_plc_operation::handle)
    })
    .needs(Permission::Identity),
    // The password only: with an app password one could take the account's name away.
    procedure("com.atproto.identity.updateHandle", Credentials::Session(FULL), || {
        post(identity::update_handle::handle)
    })
    .rules(HANDLES)
    .needs(Permission::IdentityHandle),
];
