//! What an account's owner proves himself with beside the password: codes of an app (TOTP), codes by e-mail, passkeys,
//! backup codes.
//!
//! What counts (a code that is taken once, a counter that only rises, a challenge that is answered once, tries that are
//! counted) is decided inside the unit, so that two requests at the same moment cannot both be right. The secret of TOTP
//! is sealed by the caller, backup codes and challenges are digests, passkeys are public keys. Times are microseconds
//! since 1970.

use std::fmt;

use async_trait::async_trait;
use p2pds_syntax::Did;

use crate::StoreResult;

/// What is set for an account. Accounts that never had a factor have no row.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct FactorRow {
    /// Whether a sign-in with the password asks for a code that is sent by e-mail.
    pub email: bool,
    /// Secret of TOTP, sealed.
    pub totp: Option<Vec<u8>>,
    /// When that was set up.
    pub totp_at: Option<i64>,
    /// Newest time step whose code was taken.
    pub totp_step: i64,
    /// When backup codes were made.
    pub codes_at: Option<i64>,
    /// Tries since `tries_since` that were not right.
    pub tries: u32,
    /// When they began.
    pub tries_since: i64,
}

impl fmt::Debug for FactorRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FactorRow")
            .field("email", &self.email)
            .field("totp_at", &self.totp_at)
            .field("codes_at", &self.codes_at)
            .finish_non_exhaustive()
    }
}

/// A passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyRow {
    /// Its credential id.
    pub id: Vec<u8>,
    /// The account.
    pub did: Did,
    /// Its public key, as COSE writes it.
    pub key: Vec<u8>,
    /// Its signature counter; 0 when it has none.
    pub count: u32,
    /// Name that its owner gave it.
    pub name: String,
    /// How it is reached, as the browser said: words separated by spaces.
    pub transports: String,
    /// Whether it may be copied to other devices.
    pub copyable: bool,
    /// Whether it is.
    pub copied: bool,
    /// Whether it names its account by itself, so that it can sign in without a name.
    pub discoverable: bool,
    /// When it was made.
    pub created_at: i64,
    /// When it was used last.
    pub used_at: Option<i64>,
}

/// One use of a passkey, whose signature the caller has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyUse {
    /// The account.
    pub did: Did,
    /// The passkey.
    pub id: Vec<u8>,
    /// Its counter as signed.
    pub count: u32,
    /// Whether it is copied, as signed.
    pub copied: bool,
    /// Digest of the challenge that was answered.
    pub challenge: [u8; 32],
    /// When that ends by itself.
    pub ends_at: i64,
    /// Now.
    pub at: i64,
}

/// A change of factors.
#[derive(Clone, PartialEq, Eq)]
pub enum FactorsUnit {
    /// Sets the secret of TOTP in place of the one before.
    SetTotp {
        /// The account.
        did: Did,
        /// The secret, sealed.
        sealed: Vec<u8>,
        /// Time step of the code that proved it.
        step: i64,
        /// Now.
        at: i64,
    },
    /// Removes it.
    DropTotp {
        /// The account.
        did: Did,
    },
    /// Asks for a code by e-mail from now on, or no more.
    SetEmail {
        /// The account.
        did: Did,
        /// Whether.
        on: bool,
    },
    /// Adds a passkey; refuses one that is known already, and more than `most`.
    PutPasskey {
        /// The passkey.
        row: PasskeyRow,
        /// Most of one account.
        most: u32,
    },
    /// Names a passkey.
    NamePasskey {
        /// The account.
        did: Did,
        /// The passkey.
        id: Vec<u8>,
        /// Its name.
        name: String,
    },
    /// Removes a passkey.
    DropPasskey {
        /// The account.
        did: Did,
        /// The passkey.
        id: Vec<u8>,
    },
    /// Replaces the backup codes.
    PutBackupCodes {
        /// The account.
        did: Did,
        /// Their digests.
        codes: Vec<[u8; 32]>,
        /// Now.
        at: i64,
    },
    /// Counts a try of a code before it is looked at. Answers [`FactorsApplied::Yes`], or [`FactorsApplied::Later`] when
    /// there were too many.
    Try {
        /// The account.
        did: Did,
        /// Most tries that are not right.
        most: u32,
        /// In so long.
        within: i64,
        /// Now.
        at: i64,
    },
    /// Takes a code of an app, and forgets the tries. Answers [`FactorsApplied::No`] when a code of that time step or a
    /// later one was taken already.
    TakeTotp {
        /// The account.
        did: Did,
        /// Its time step.
        step: i64,
    },
    /// Takes a backup code, once, and forgets the tries. Answers [`FactorsApplied::No`] when it is none.
    TakeBackupCode {
        /// The account.
        did: Did,
        /// Its digest.
        code: [u8; 32],
    },
    /// Notes the use of a passkey. Answers [`FactorsApplied::Yes`]; [`FactorsApplied::No`] when the challenge was answered
    /// before or the passkey is gone; [`FactorsApplied::CountBack`] when its counter did not rise.
    UsePasskey(PasskeyUse),
    /// Answers a challenge, once: [`FactorsApplied::Yes`], or [`FactorsApplied::No`].
    SpendChallenge {
        /// Its digest.
        challenge: [u8; 32],
        /// When it ends by itself.
        ends_at: i64,
        /// Now.
        at: i64,
    },
    /// Forgets the tries: a code that was sent by e-mail was right, or the password is another one.
    ForgetTries {
        /// The account.
        did: Did,
    },
    /// Removes all factors of an account.
    DropFactors {
        /// The account.
        did: Did,
    },
}

impl fmt::Debug for FactorsUnit {
    /// Its kind and whose it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::SetTotp { .. } => "SetTotp",
            Self::DropTotp { .. } => "DropTotp",
            Self::SetEmail { .. } => "SetEmail",
            Self::PutPasskey { .. } => "PutPasskey",
            Self::NamePasskey { .. } => "NamePasskey",
            Self::DropPasskey { .. } => "DropPasskey",
            Self::PutBackupCodes { .. } => "PutBackupCodes",
            Self::Try { .. } => "Try",
            Self::TakeTotp { .. } => "TakeTotp",
            Self::TakeBackupCode { .. } => "TakeBackupCode",
            Self::UsePasskey(_) => "UsePasskey",
            Self::SpendChallenge { .. } => "SpendChallenge",
            Self::ForgetTries { .. } => "ForgetTries",
            Self::DropFactors { .. } => "DropFactors",
        };
        f.debug_struct(name).field("did", &self.did()).finish_non_exhaustive()
    }
}

impl FactorsUnit {
    /// The account whose queue the unit waits in; `None` for the node's own.
    #[must_use]
    pub fn did(&self) -> Option<&Did> {
        match self {
            Self::PutPasskey { row, .. } => Some(&row.did),
            Self::UsePasskey(used) => Some(&used.did),
            Self::SetTotp { did, .. }
            | Self::DropTotp { did }
            | Self::SetEmail { did, .. }
            | Self::NamePasskey { did, .. }
            | Self::DropPasskey { did, .. }
            | Self::PutBackupCodes { did, .. }
            | Self::Try { did, .. }
            | Self::TakeTotp { did, .. }
            | Self::TakeBackupCode { did, .. }
            | Self::ForgetTries { did }
            | Self::DropFactors { did } => Some(did),
            Self::SpendChallenge { .. } => None,
        }
    }

    /// Whether it is tried on a full disk: signing in is, setting something up is not.
    #[must_use]
    pub fn frees(&self) -> bool {
        !matches!(
            self,
            Self::SetTotp { .. }
                | Self::PutPasskey { .. }
                | Self::NamePasskey { .. }
                | Self::PutBackupCodes { .. }
        )
    }
}

/// What such a unit answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactorsApplied {
    /// It is done, or it may.
    Yes,
    /// It was not right, or is not there any more; nothing was done.
    No,
    /// Not before this time.
    Later(i64),
    /// The counter of a passkey did not rise: there may be two of it. Nothing was noted but that its challenge is answered.
    CountBack,
}

/// Reads of factors.
#[async_trait]
pub trait FactorsStore: Send + Sync + 'static {
    /// What is set for an account.
    async fn factor(&self, did: &Did) -> StoreResult<Option<FactorRow>>;
    /// Passkeys of an account, oldest first.
    async fn passkeys(&self, did: &Did) -> StoreResult<Vec<PasskeyRow>>;
    /// The passkey with this credential id.
    async fn passkey(&self, id: &[u8]) -> StoreResult<Option<PasskeyRow>>;
    /// How many backup codes of an account are left.
    async fn backup_codes(&self, did: &Did) -> StoreResult<u32>;
}
