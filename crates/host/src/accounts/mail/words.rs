//! What the mails say.

use crate::accounts::tokens::TokenPurpose;
use crate::config::HostConfig;

/// Kind of a message that an operator or moderator wrote.
pub const MODERATION: &str = "message";

/// Subject and text of a mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Words {
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
}

impl std::fmt::Debug for Words {
    /// Without the text: it may hold a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Words").finish_non_exhaustive()
    }
}

impl Words {
    /// A token, what it does, and what to do if nobody asked for it.
    pub(crate) fn token(config: &HostConfig, purpose: TokenPurpose, name: &str, token: &str) -> Self {
        let host = host_name(config);
        let (subject, what, else_) = match purpose {
            TokenPurpose::ConfirmEmail => (
                "Confirm your e-mail address",
                format!(
                    "To confirm that this address belongs to {name} on {host}, enter this code where you were asked for it:"
                ),
                "If you did not ask for this, somebody may have typed your address by mistake. You need not do anything: without the code nothing is confirmed.",
            ),
            TokenPurpose::UpdateEmail => (
                "Changing your e-mail address",
                format!(
                    "To change the e-mail address of {name} on {host}, enter this code where you were asked for it:"
                ),
                "If you did not ask for this, somebody is logged in to your account: change your password. Without the code the address stays as it is.",
            ),
            TokenPurpose::ResetPassword => (
                "A new password",
                format!(
                    "To set a new password for {name} on {host}, enter this code where you were asked for it:"
                ),
                "If you did not ask for this, you need not do anything: your password stays as it is. Give the code to nobody.",
            ),
            TokenPurpose::DeleteAccount => (
                "Deleting your account",
                format!(
                    "To DELETE the account {name} on {host}, with all its posts, pictures and settings, for good, enter this code where you were asked for it:"
                ),
                "If you did not ask for this, somebody is logged in to your account: change your password, and give the code to nobody. Without it nothing is deleted.",
            ),
            TokenPurpose::PlcOperation => (
                "Changing your account's identity",
                format!(
                    "A change of the identity of {name} was asked for at {host}: this is part of moving an account to another server. To allow it, enter this code where you were asked for it:"
                ),
                "If you did not ask for this, give the code to NOBODY: whoever has it can take your account away. Change your password.",
            ),
            TokenPurpose::SignIn => (
                "Your sign-in code",
                format!("To sign in as {name} on {host}, enter this code where you were asked for it:"),
                "If you did not sign in just now, somebody has your password: change it, and give the code to nobody. Without it nobody gets in.",
            ),
        };
        let text = format!(
            "{what}\n\n    {token}\n\nIt is good for 15 minutes, once.\n\n{else_}\n{}",
            signature(config)
        );
        Self { subject: subject.to_owned(), text }
    }

    /// The password was changed; so many app passwords go on.
    pub(crate) fn password_changed(config: &HostConfig, name: &str, app_passwords: usize) -> Self {
        let host = host_name(config);
        let apps = match app_passwords {
            0 => String::new(),
            1 => "\n\nOne app password goes on working. If you do not know it, end it on the page of your account.".to_owned(),
            many => format!("\n\n{many} app passwords go on working. End those that you do not know on the page of your account."),
        };
        let text = format!(
            "The password of {name} on {host} was changed just now, and every device was logged out.{apps}\n\nIf that was not you, ask for a new password at once (\"forgot password\" where you log in), and see to it that nobody else reads your mail.\n{}",
            signature(config)
        );
        Self { subject: "Your password was changed".to_owned(), text }
    }

    /// What is asked for beside the password was changed, or used up.
    pub(crate) fn sign_in_changed(config: &HostConfig, name: &str, what: &str) -> Self {
        let host = host_name(config);
        let text = format!(
            "{what}.\n\nThis concerns {name} on {host}, just now.\n\nIf that was not you, change your password at once, look through the ways to sign in that your account has, and write to the operator of {host} if you cannot get in any more.\n{}",
            signature(config)
        );
        Self { subject: "How you sign in".to_owned(), text }
    }

    /// An app password was made.
    pub(crate) fn app_password_made(config: &HostConfig, name: &str, called: &str) -> Self {
        let host = host_name(config);
        let text = format!(
            "An app password named \"{called}\" was made for {name} on {host} just now. Whoever has it can use the account in apps.\n\nIf that was not you, end it on the page of your account, and set a new password (\"forgot password\" where you log in).\n{}",
            signature(config)
        );
        Self { subject: "A new app password".to_owned(), text }
    }

    /// The address was changed; goes to the one before.
    pub(crate) fn address_changed(config: &HostConfig, name: &str) -> Self {
        let host = host_name(config);
        let text = format!(
            "{name} on {host} has another e-mail address now; this one gets no more mail about it.\n\nIf that was not you, write to the operator of {host}{}.\n{}",
            config.accounts.contact_email.as_ref().map(|to| format!(" ({to})")).unwrap_or_default(),
            signature(config)
        );
        Self { subject: "Your e-mail address was changed".to_owned(), text }
    }

    /// A test by the operator.
    pub(crate) fn test(config: &HostConfig) -> Self {
        let host = host_name(config);
        let text = format!(
            "This is a test: {host} can send mail to this address.\n\nIf you do not run {host}, its operator mistyped an address. You need not do anything.\n{}",
            signature(config)
        );
        Self { subject: format!("Test mail from {host}"), text }
    }
}

fn host_name(config: &HostConfig) -> &str {
    config.accounts.service_name.as_deref().unwrap_or(&config.hostname)
}

fn signature(config: &HostConfig) -> String {
    let contact =
        config.accounts.contact_email.as_ref().map(|to| format!("\nOperator: {to}")).unwrap_or_default();
    format!("\n-- \n{}{contact}\n", config.public_url)
}
