//! Which rule a refusal is about, more finely than the protocol's names say it.
//!
//! The message of an error is English, and looked for by clients; the names are the lexicons', and `InvalidRequest` is most
//! of them. Whoever says it in another language goes by this.

/// What somebody who fills in a form can be refused for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// No password was given.
    PasswordMissing,
    /// A new password is too short.
    PasswordShort {
        /// Characters that it needs.
        least: u64,
    },
    /// A new password is too long.
    PasswordLong {
        /// Characters that it may have.
        most: u64,
    },
    /// The password is not the account's.
    PasswordWrong,
    /// Too many wrong passwords; `retry_after` says for how long.
    PasswordTries,
    /// The code of a mail is not the one that was sent.
    CodeWrong,
    /// The code of a mail is too old.
    CodeExpired,
    /// What is asked for needs a code from a mail.
    CodeNeeded,
    /// Too many wrong codes; `retry_after` says for how long.
    CodeTries,
    /// The authenticator app that is being set up shows another code.
    AppCodeWrong,
    /// A page was open for too long, or is of another server.
    PageExpired,
    /// No address was given.
    EmailMissing,
    /// It is no address, or one of a domain that is refused here.
    EmailUnfit,
    /// The address is another account's.
    EmailTaken,
    /// The account has no address.
    EmailNone,
    /// It is not the account's address.
    EmailOther,
    /// The account's address has to be confirmed first.
    EmailUnconfirmed,
    /// An invite code is needed.
    InviteMissing,
    /// The invite code is not good (any more).
    InviteUnfit,
    /// It is no handle.
    HandleUnfit,
    /// Nothing under this top-level domain can be resolved by others.
    HandleEnding {
        /// The last label.
        ending: String,
    },
    /// Before the domain of this host stands more than one label.
    HandleDots,
    /// Too little stands before the domain.
    HandleShort {
        /// Characters that it needs.
        least: u64,
    },
    /// Too much stands before the domain.
    HandleLong {
        /// Characters that it may have.
        most: u64,
    },
    /// The name is kept free.
    HandleReserved,
    /// The handle is another account's.
    HandleTaken,
    /// A sign-up with a handle that is not under a domain of this host.
    HandleDomain {
        /// Domains under which handles are given out.
        domains: String,
    },
    /// A domain of one's own does not lead to the account.
    HandleElsewhere {
        /// The domain.
        handle: String,
    },
    /// The document of a did:web does not name the handle.
    HandleDocument {
        /// The handle.
        handle: String,
    },
    /// The recovery key is no public key that can be used.
    RecoveryKeyUnfit,
    /// The passkey is not known here.
    PasskeyUnknown,
    /// The passkey is refused; the message says why.
    PasskeyRefused,
    /// The counter of the passkey went back.
    PasskeyCopied,
    /// The passkey is there already.
    PasskeyThere,
    /// A passkey needs a name.
    PasskeyName {
        /// Characters that it may have.
        most: u64,
    },
    /// There are too many passkeys.
    PasskeyMany {
        /// How many there may be.
        most: u64,
    },
    /// The passkey was removed meanwhile.
    PasskeyGone,
    /// Backup codes stand in for something, and there is nothing.
    BackupForNothing,
    /// An app password needs a name.
    AppName,
    /// There is an app password of this name.
    AppNameTaken,
    /// There are too many app passwords.
    AppMany {
        /// How many there may be.
        most: u64,
    },
    /// The account was taken down.
    Takendown,
    /// The account is not hosted here (any more).
    NotHere,
    /// The identity names another host, or another key.
    IdentityElsewhere,
    /// This host may not change the identity: it has no rotation key of it.
    IdentityLocked,
    /// Something else happened to the account meanwhile.
    ChangedMeanwhile,
    /// Something outside (the directory, another host) did not answer; the message says what.
    Outside,
    /// Too much was asked for; `retry_after` says for how long.
    TooMuch,
    /// The disk is full.
    DiskFull,
    /// It cannot be done now; trying again later may help.
    NotNow,
}

#[cfg(test)]
mod tests {
    /// The rooms that the forms of hosted accounts lead to.
    const ROOMS: &[(&str, &str)] = &[
        ("handles.rs", include_str!("handles.rs")),
        ("passwords.rs", include_str!("passwords.rs")),
        ("accounts/app_passwords.rs", include_str!("accounts/app_passwords.rs")),
        ("accounts/email.rs", include_str!("accounts/email.rs")),
        ("accounts/guesses.rs", include_str!("accounts/guesses.rs")),
        ("accounts/sign_up.rs", include_str!("accounts/sign_up.rs")),
        ("accounts/tokens.rs", include_str!("accounts/tokens.rs")),
        ("accounts/factors.rs", include_str!("accounts/factors.rs")),
        ("accounts/factors/challenge.rs", include_str!("accounts/factors/challenge.rs")),
        ("accounts/factors/set_up.rs", include_str!("accounts/factors/set_up.rs")),
        ("accounts/factors/sign_in.rs", include_str!("accounts/factors/sign_in.rs")),
    ];
    /// What only programs and operators meet, or a defect of ours.
    const OTHERS: &[&str] = &[
        "Missing auth to create account with did",
        "Account already exists:",
        "is archived on this node: its owner moves it here",
        "Unable to resolve handle: no account of this host",
        "HostError::named(\"InvalidHandle\", error.to_string())",
        "AuthFactorTokenRequired",
        "Account not found:",
        "ErrorKind::Bug",
        "use a backup code or a passkey, or ask the operator",
    ];

    #[test]
    fn whoever_fills_in_a_form_hears_which_rule_it_is() {
        let mut seen = 0;
        for (name, text) in ROOMS {
            let text = text.split("#[cfg(test)]").next().unwrap();
            let makes = [
                "HostError::invalid(",
                "HostError::named(",
                "HostError::unauthenticated(",
                "HostError::new(",
            ];
            let mut places: Vec<usize> =
                makes.iter().flat_map(|make| text.match_indices(make).map(|(at, _)| at)).collect();
            places.sort_unstable();
            for (number, at) in places.iter().enumerate() {
                let end = places.get(number + 1).copied().unwrap_or(text.len()).min(at + 700);
                let part = text.get(*at..end).unwrap_or_else(|| &text[*at..]);
                // Also where what is made is completed: `HostError { reason: …, ..HostError::new(…) }`.
                let before = text.get(at.saturating_sub(120)..*at).unwrap_or_default();
                let said = part.contains(".because(") || before.contains("reason: Some(");
                let other = OTHERS.iter().any(|other| part.contains(other));
                assert!(said || other, "{name}: no reason is given by {part}");
                seen += 1;
            }
        }
        assert!(seen > 40, "{seen}");
    }
}
