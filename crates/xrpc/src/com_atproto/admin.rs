//! The methods under `com.atproto.admin`.

pub mod delete_account;
pub mod disable_account_invites;
pub mod disable_invite_codes;
pub mod enable_account_invites;
pub mod get_account_info;
pub mod get_account_infos;
pub mod get_invite_codes;
pub mod get_subject_status;
pub mod search_accounts;
pub mod send_email;
pub mod update_account_email;
pub mod update_account_handle;
pub mod update_account_password;
pub mod update_subject_status;
pub(crate) mod view;

use p2pds_host::accounts::By;

use crate::auth::Auth;

/// Who acts, for the log.
pub(crate) fn by(auth: &Auth) -> By {
    match auth {
        Auth::Moderator(did) => By::Moderator(did.clone()),
        _ => By::Admin,
    }
}
