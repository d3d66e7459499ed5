//! `com.atproto.server`: accounts and sessions.

use axum::routing::{get, post};

use super::entry::{Body, Credentials, FULL, Method, Permission, STANDARD, procedure, query};
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
    procedure("com.atproto.server.confirmEmail", SESSION, || post(server::confirm_email::handle))
        .needs(Permission::AccountEmail),
    procedure("com.atproto.server.createAccount", Credentials::ServiceOrNone, || {
        post(server::create_account::handle)
    })
    .rules(SIGN_UPS),
    procedure("com.atproto.server.createAppPassword", OWNER, || post(server::create_app_password::handle))
        .needs(Permission::Never),
    procedure("com.atproto.server.createInviteCode", Credentials::Admin, || {
        post(server::create_invite_code::handle)
    }),
    procedure("com.atproto.server.createInviteCodes", Credentials::Admin, || {
        post(server::create_invite_codes::handle)
    }),
    // Its handler takes the points: it knows the identifier.
    procedure("com.atproto.server.createSession", Credentials::Public, || {
        post(server::create_session::handle)
    }),
    procedure("com.atproto.server.deactivateAccount", Credentials::Session(FULL.or_takendown()), || {
        post(server::deactivate_account::handle)
    })
    .needs(Permission::AccountStatus),
    procedure("com.atproto.server.deleteAccount", Credentials::Public, || {
        post(server::delete_account::handle)
    })
    .rules(DELETIONS),
    procedure("com.atproto.server.deleteSession", Credentials::Refresh { expired: true }, || {
        post(server::delete_session::handle)
    })
    .body(Body::None),
    query("com.atproto.server.describeServer", Credentials::Public, || get(server::describe_server::handle)),
    query("com.atproto.server.getAccountInviteCodes", OWNER, || {
        get(server::get_account_invite_codes::handle)
    })
    .needs(Permission::Never),
    query("com.atproto.server.getServiceAuth", Credentials::Session(STANDARD.or_takendown()), || {
        get(server::get_service_auth::handle)
    })
    .needs(Permission::RpcAsked),
    query("com.atproto.server.getSession", Credentials::Session(STANDARD.or_queued()), || {
        get(server::get_session::handle)
    })
    .needs(Permission::Any),
    query("com.atproto.server.listAppPasswords", SESSION, || get(server::list_app_passwords::handle))
        .needs(Permission::Never),
    procedure("com.atproto.server.refreshSession", Credentials::Refresh { expired: false }, || {
        post(server::refresh_session::handle)
    })
    .body(Body::None),
    procedure("com.atproto.server.requestAccountDelete", OWNER, || {
        post(server::request_account_delete::handle)
    })
    .body(Body::None)
    .rules(MAILS)
    .needs(Permission::Never),
    procedure("com.atproto.server.requestEmailConfirmation", SESSION, || {
        post(server::request_email_confirmation::handle)
    })
    .body(Body::None)
    .rules(MAILS)
    .needs(Permission::AccountEmail),
    procedure("com.atproto.server.requestEmailUpdate", OWNER, || post(server::request_email_update::handle))
        .body(Body::None)
        .rules(MAILS)
        .needs(Permission::Never),
    procedure("com.atproto.server.requestPasswordReset", Credentials::Public, || {
        post(server::request_password_reset::handle)
    })
    .rules(FORGETTING),
    procedure("com.atproto.server.reserveSigningKey", Credentials::Public, || {
        post(server::reserve_signing_key::handle)
    })
    .rules(RESERVED_KEYS),
    procedure("com.atproto.server.resetPassword", Credentials::Public, || {
        post(server::reset_password::handle)
    })
    .rules(PASSWORDS),
    procedure("com.atproto.server.revokeAppPassword", SESSION, || post(server::revoke_app_password::handle))
        .needs(Permission::Never),
    procedure("com.atproto.server.updateEmail", OWNER, || post(server::update_email::handle))
        .needs(Permission::Never),
];
