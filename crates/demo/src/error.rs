//! Why the demo does not start.

use p2pds_host::HostError;
use p2pds_store::StoreError;
use p2pds_syntax::ErrorKind;

/// What a demo can meet.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The machine does not give what is needed: a port, a directory.
    #[error("the demo cannot {what}: {source}; it needs free ports on 127.0.0.1 and a temporary directory")]
    Machine {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A part of the network refused something that the demo does at its start.
    #[error("the demo could not {what}: {why}; this is a defect, please report it")]
    Part {
        /// What was tried.
        what: &'static str,
        /// What was said.
        why: String,
    },
}

impl DemoError {
    /// The kind that reporting goes by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Machine { .. } => ErrorKind::Unavailable,
            Self::Part { .. } => ErrorKind::Bug,
        }
    }

    pub(crate) fn machine(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Machine { what, source }
    }

    pub(crate) fn part<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Part { what, why: error.to_string() }
    }
}

impl From<HostError> for DemoError {
    fn from(error: HostError) -> Self {
        Self::part("write to one of its hosts")(error)
    }
}

impl From<StoreError> for DemoError {
    fn from(error: StoreError) -> Self {
        Self::part("open a store")(error)
    }
}
