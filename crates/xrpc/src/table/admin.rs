//! `com.atproto.admin`: the operator's and the moderators' methods.

use axum::routing::{get, post};

use super::entry::{Credentials, Kind, Method, Reason, absent, procedure, query};
use super::not_yet;
use crate::com_atproto::admin;

const ADMIN: Credentials = Credentials::Admin;
const MODERATOR: Credentials = Credentials::Moderator;

pub(super) const METHODS: &[Method] = &[
    procedure("com.atproto.admin.deleteAccount", ADMIN, || post(not_yet)),
    procedure("com.atproto.admin.disableAccountInvites", MODERATOR, || post(not_yet)),
    procedure("com.atproto.admin.disableInviteCodes", MODERATOR, || post(not_yet)),
    procedure("com.atproto.admin.enableAccountInvites", MODERATOR, || post(not_yet)),
    query("com.atproto.admin.getAccountInfo", MODERATOR, || get(not_yet)),
    query("com.atproto.admin.getAccountInfos", MODERATOR, || get(not_yet)),
    query("com.atproto.admin.getInviteCodes", MODERATOR, || get(not_yet)),
    query("com.atproto.admin.getSubjectStatus", MODERATOR, || get(not_yet)),
    query("com.atproto.admin.searchAccounts", MODERATOR, || get(not_yet)),
    procedure("com.atproto.admin.sendEmail", MODERATOR, || post(not_yet)),
    procedure("com.atproto.admin.updateAccountEmail", ADMIN, || post(not_yet)),
    procedure("com.atproto.admin.updateAccountHandle", ADMIN, || post(admin::update_account_handle::handle)),
    procedure("com.atproto.admin.updateAccountPassword", ADMIN, || post(not_yet)),
    absent("com.atproto.admin.updateAccountSigningKey", Kind::Procedure, Reason::Nowhere),
    procedure("com.atproto.admin.updateSubjectStatus", MODERATOR, || post(not_yet)),
];
