//! Why the host did not do what it was asked.

use p2pds_store::StoreError;
use p2pds_syntax::ErrorKind;

use crate::reason::Reason;

/// An answer that is no.
///
/// The kind decides the HTTP status, the name is the lexicon's (or `InvalidRequest` and its like), the message is for
/// the person who asked: what happened, and what to do. Nothing that only the operator may know stands in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HostError {
    /// What kind of trouble it is.
    pub kind: ErrorKind,
    /// The protocol's name for it.
    pub name: &'static str,
    /// For the person who asked.
    pub message: String,
    /// Seconds after which another try may help.
    pub retry_after: Option<u64>,
    /// The rule that it is about, where somebody may want to say it in other words.
    pub reason: Option<Reason>,
}

/// What the host's functions answer.
pub type HostResult<T> = Result<T, HostError>;

impl HostError {
    /// An error of this kind with the name that the lexicon gives it.
    #[must_use]
    pub fn new(kind: ErrorKind, name: &'static str, message: impl Into<String>) -> Self {
        Self { kind, name, message: message.into(), retry_after: None, reason: None }
    }

    /// The same, and which rule it is about.
    #[must_use]
    pub fn because(self, reason: Reason) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// The request breaks a rule: status 400, `InvalidRequest`.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, "InvalidRequest", message)
    }

    /// The request breaks a rule that has a name: status 400.
    #[must_use]
    pub fn named(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, name, message)
    }

    /// Who asks is not known: status 401.
    #[must_use]
    pub fn unauthenticated(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, name, message)
    }

    /// Too much was asked: status 429.
    #[must_use]
    pub fn limited(seconds: u64, message: impl Into<String>) -> Self {
        let error = Self::new(ErrorKind::Limited, "RateLimitExceeded", message).because(Reason::TooMuch);
        Self { retry_after: Some(seconds), ..error }
    }

    /// Something outside did not answer: status 502.
    #[must_use]
    pub fn upstream(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, "UpstreamFailure", message).because(Reason::Outside)
    }

    /// Nothing new can be stored: status 503. The operator is told by the store.
    #[must_use]
    pub fn disk_full() -> Self {
        Self {
            retry_after: Some(60),
            reason: Some(Reason::DiskFull),
            ..Self::new(
                ErrorKind::Unavailable,
                "NotEnoughResources",
                "this host's disk is full: nothing new can be stored, and this request changed nothing. Reading goes on, \
                 and accounts can be deactivated and deleted. Try again later: it works again as soon as the operator has \
                 made room",
            )
        }
    }

    /// Nothing can be stored for a reason that only the operator can mend: status 503.
    fn cannot_store(error: &StoreError) -> Self {
        tracing::error!(event = "host.store", kind = %error.kind(), %error, "the store refused");
        Self {
            retry_after: Some(60),
            reason: Some(Reason::NotNow),
            ..Self::new(
                ErrorKind::Unavailable,
                "NotAvailable",
                "nothing can be stored here now; try again later. The operator's log says why",
            )
        }
    }

    /// Kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<StoreError> for HostError {
    fn from(error: StoreError) -> Self {
        let kind = error.kind();
        match &error {
            StoreError::DiskFull { .. } => return Self::disk_full(),
            // Their words are the database's, and name files of this machine.
            StoreError::Stopped(_) | StoreError::LogFull { .. } | StoreError::Backend { .. } => {
                return Self::cannot_store(&error);
            }
            _ => {}
        }
        match kind {
            // The caller may try again; the rest is the operator's to see.
            ErrorKind::Conflict | ErrorKind::Limited | ErrorKind::Unavailable => Self {
                retry_after: Some(1),
                reason: Some(Reason::NotNow),
                ..Self::new(ErrorKind::Unavailable, "NotAvailable", error.to_string())
            },
            _ => {
                tracing::error!(event = "host.store", %kind, %error, "the store refused");
                Self::new(
                    kind,
                    "InternalServerError",
                    "this could not be done now; the operator's log says why",
                )
                .because(Reason::NotNow)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_says_of_its_files_stays_here() {
        let path = "/srv/p2pds/data".to_owned();
        let cases = [
            (StoreError::DiskFull { path: path.clone() }, "NotEnoughResources", "disk is full"),
            (StoreError::Stopped(path.clone()), "NotAvailable", "try again later"),
            (StoreError::Backend { doing: "open", cause: path }, "NotAvailable", "try again later"),
            (StoreError::LogFull { bytes: 7, limit: 5 }, "NotAvailable", "try again later"),
        ];
        for (error, name, words) in cases {
            let told = HostError::from(error);
            assert_eq!((told.kind, told.name, told.retry_after), (ErrorKind::Unavailable, name, Some(60)));
            assert!(told.message.contains(words) && !told.message.contains("/srv"), "{told}");
        }
    }
}
