//! `com.atproto.server`: accounts and sessions.

use axum::routing::{get, post};

use super::entry::{Body, Credentials, FULL, Method, Permission, STANDARD, procedure, query};
use super::not_yet;
use crate::com_atproto::server;
use crate::meter::{DELETION, FORGETTING, MAILS, PASSWORD, RESERVED_KEY, Rule, SIGN_UP};

const OWNER: Credentials = Credentials::Session(FULL);
const SESSION: Credentials = Credentials::Session(STANDARD);
const SIGN_UPS: &[&Rule] = &[&SIGN_UP];
const DELETIONS: &[&Rule] = &[&DELETION];
const RESERVED_KEYS: &[&Rule] = &[&RESERVED_KEY];
const PASSWORDS: &[&Rule] = &[&PASSWORD];

pub(super) const METHODS: &[Method] = &[
    procedure("com.atproto.server.activateAccount", OWNER, || post(server::activate_account::handle))
        .body(Body::None)
        .needs(Permission::Never),
    query("com.atproto.server.checkAccountStatus", SESSION, || get(server::check_account_status::handle))
        .needs(Permission::Any),
    procedure("com.atproto.server.confirmEmail", SESSION, || post(not_yet)).needs(Permission::AccountEmail),
    procedure("com.atproto.server.createAccount", Credentials::ServiceOrNone, || post(not_yet))
        .rules(SIGN_UPS),
    procedure("com.atproto.server.createAppPassword", OWNER, || post(not_yet)).needs(Permission::Never),
    procedure("com.atproto.server.createInviteCode", Credentials::Admin, || post(not_yet)),
    procedure("com.atproto.server.createInviteCodes", Credentials::Admin, || post(not_yet)),
    // Its handler takes the points: it knows the identifier.
    procedure("com.atproto.server.createSession", Credentials::Public, || post(not_yet)),
    procedure("com.atproto.server.deactivateAccount", Credentials::Session(FULL.or_takendown()), || {
        post(not_yet)
    })
    .needs(Permission::AccountStatus),
    procedure("com.atproto.server.deleteAccount", Credentials::Public, || post(not_yet)).rules(DELETIONS),
    procedure("com.atproto.server.deleteSession", Credentials::Refresh { expired: true }, || post(not_yet))
        .body(Body::None),
    query("com.atproto.server.describeServer", Credentials::Public, || get(not_yet)),
    query("com.atproto.server.getAccountInviteCodes", OWNER, || get(not_yet)).needs(Permission::Never),
    query("com.atproto.server.getServiceAuth", Credentials::Session(STANDARD.or_takendown()), || {
        get(server::get_service_auth::handle)
    })
    .needs(Permission::Rpc),
    query("com.atproto.server.getSession", Credentials::Session(STANDARD.or_queued()), || get(not_yet))
        .needs(Permission::Any),
    query("com.atproto.server.listAppPasswords", SESSION, || get(not_yet)).needs(Permission::Never),
    procedure("com.atproto.server.refreshSession", Credentials::Refresh { expired: false }, || post(not_yet))
        .body(Body::None),
    procedure("com.atproto.server.requestAccountDelete", OWNER, || post(not_yet))
        .body(Body::None)
        .rules(MAILS)
        .needs(Permission::Never),
    procedure("com.atproto.server.requestEmailConfirmation", SESSION, || post(not_yet))
        .body(Body::None)
        .rules(MAILS)
        .needs(Permission::AccountEmail),
    procedure("com.atproto.server.requestEmailUpdate", OWNER, || post(not_yet))
        .body(Body::None)
        .rules(MAILS)
        .needs(Permission::Never),
    procedure("com.atproto.server.requestPasswordReset", Credentials::Public, || post(not_yet))
        .rules(FORGETTING),
    procedure("com.atproto.server.reserveSigningKey", Credentials::Public, || {
        post(server::reserve_signing_key::handle)
    })
    .rules(RESERVED_KEYS),
    procedure("com.atproto.server.resetPassword", Credentials::Public, || post(not_yet)).rules(PASSWORDS),
    procedure("com.atproto.server.revokeAppPassword", SESSION, || post(not_yet)).needs(Permission::Never),
    procedure("com.atproto.server.updateEmail", OWNER, || post(not_yet)).needs(Permission::Never),
];
