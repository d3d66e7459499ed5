//! `com.atproto.admin`: the operator's and the moderators' methods.

use axum::routing::{get, post};

use super::entry::{Credentials, Kind, Method, Reason, absent, procedure, query};
use crate::com_atproto::admin;

const ADMIN: Credentials = Credentials::Admin;
const MODERATOR: Credentials = Credentials::Moderator;

pub(super) const METHODS: &[Method] = &[
    procedure("com.atproto.admin.deleteAccount", ADMIN, || post(admin::delete_account::handle)),
    procedure("com.atproto.admin.disableAccountInvites", MODERATOR, || {
        post(admin::disable_account_invites::handle)
    }),
    procedure("com.atproto.admin.disableInviteCodes", MODERATOR, || {
        post(admin::disable_invite_codes::handle)
    }),
    procedure("com.atproto.admin.enableAccountInvites", MODERATOR, || {
        post(admin::enable_account_invites::handle)
    }),
    query("com.atproto.admin.getAccountInfo", MODERATOR, || get(admin::get_account_info::handle)),
    query("com.atproto.admin.getAccountInfos", MODERATOR, || get(admin::get_account_infos::handle)),
    query("com.atproto.admin.getInviteCodes", MODERATOR, || get(admin::get_invite_codes::handle)),
    query("com.atproto.admin.getSubjectStatus", MODERATOR, || get(admin::get_subject_status::handle)),
    query("com.atproto.admin.searchAccounts", MODERATOR, || get(admin::search_accounts::handle)),
    procedure("com.atproto.admin.sendEmail", MODERATOR, || post(admin::send_email::handle)),
    procedure("com.atproto.admin.updateAccountEmail", ADMIN, || post(admin::update_account_email::handle)),
    procedure("com.atproto.admin.updateAccountHandle", ADMIN, || post(admin::update_account_handle::handle)),
    procedure("com.atproto.admin.updateAccountPassword", ADMIN, || {
        post(admin::update_account_password::handle)
    }),
    absent("com.atproto.admin.updateAccountSigningKey", Kind::Procedure, Reason::Nowhere),
    procedure("com.atproto.admin.updateSubjectStatus", MODERATOR, || {
        post(admin::update_subject_status::handle)
    }),
];
