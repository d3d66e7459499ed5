//! Exit statuses, and errors as people read them.

use std::process::ExitCode;

use crate::operator::Failure;

/// How a command ended. The numbers are documented and stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// It did not work; the message says why.
    Error,
    /// The command line or the configuration is wrong.
    Usage,
    /// It worked, and found damage or drift.
    Damage,
    /// There is no archive in the data directory yet.
    NotInitialised,
    /// Ctrl-C.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Error => 1,
            Exit::Usage => 2,
            Exit::Damage => 3,
            Exit::NotInitialised => 10,
            Exit::Interrupted => 130,
        })
    }
}

/// A command that did not work: what to print and with what status to end.
#[derive(Debug)]
pub struct Stopped {
    /// The status.
    pub exit: Exit,
    /// What to say. Nothing for an interrupt that was announced already.
    pub failure: Option<Failure>,
}

impl Stopped {
    /// Wrong usage, found after parsing.
    #[must_use]
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, failure: Some(Failure::new("usage", message).hint(hint)) }
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        let exit = match failure.kind.as_str() {
            "not-initialised" => Exit::NotInitialised,
            "usage" => Exit::Usage,
            _ => Exit::Error,
        };
        Self { exit, failure: Some(failure) }
    }
}

impl From<anyhow::Error> for Stopped {
    fn from(error: anyhow::Error) -> Self {
        Failure::from(error).into()
    }
}

impl From<std::io::Error> for Stopped {
    /// A reader that has seen enough (`p2pds ... | head`) is not an error.
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self { exit: Exit::Ok, failure: None };
        }
        anyhow::Error::from(error).into()
    }
}
