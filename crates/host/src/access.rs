//! What a session may do, and how its account stands.

use p2pds_syntax::Did;

/// What an access token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The password: everything.
    Full,
    /// An app password: everything but the account itself and direct messages.
    AppPassword,
    /// An app password that may read and write direct messages.
    Privileged,
    /// A sign-up that waits to be let in.
    SignupQueued,
    /// An account that was taken down: enough to leave with one's data.
    Takendown,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Full, Self::AppPassword, Self::Privileged, Self::SignupQueued, Self::Takendown];

    /// Its name in a token.
    #[must_use]
    pub const fn claim(self) -> &'static str {
        match self {
            Self::Full => "com.atproto.access",
            Self::AppPassword => "com.atproto.appPass",
            Self::Privileged => "com.atproto.appPassPrivileged",
            Self::SignupQueued => "com.atproto.signupQueued",
            Self::Takendown => "com.atproto.takendown",
        }
    }

    /// The scope of this name.
    #[must_use]
    pub fn of_claim(claim: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.claim() == claim)
    }

    /// Whether it may do what concerns direct messages and moving away.
    #[must_use]
    pub const fn is_privileged(self) -> bool {
        matches!(self, Self::Full | Self::Privileged)
    }
}

/// A checked access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Whose session it is.
    pub did: Did,
    /// What it may do.
    pub scope: Scope,
    /// Name of the app password that it was opened with.
    pub app_password: Option<String>,
    /// The session's own name.
    pub session: String,
}

/// A checked refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refresh {
    /// Whose session it is.
    pub did: Did,
    /// The token's own identifier (`jti`).
    pub id: String,
    /// It is past its end: good for ending the session, and for nothing else.
    pub expired: bool,
}

/// How a hosted account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may write.
    Active,
    /// Its owner put it to rest, or it is being moved here.
    Deactivated,
    /// Moderation took it down, whether or not it was deactivated before.
    Takendown,
}
