//! Why a request failed. One enum; retry and reporting read only [`NetError::kind`].

use p2pds_syntax::ErrorKind;

/// A failed request, lookup or body.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NetError {
    /// The URL cannot be used at all.
    #[error("the URL {url:?} cannot be used: {why}")]
    BadUrl {
        /// As given, shortened.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The URL or the address behind it is one that requests may not go to.
    #[error("{host} was not contacted: {why}")]
    Refused {
        /// Host name or address.
        host: String,
        /// Which rule refused it.
        why: String,
    },
    /// The name does not exist or has no address.
    #[error("the name {host} has no address in DNS; it may be misspelt or the host may be gone")]
    NoSuchHost {
        /// The name asked for.
        host: String,
    },
    /// DNS itself failed.
    #[error("looking up {host} in DNS failed: {detail}; check this machine's DNS settings and try again")]
    Dns {
        /// The name asked for.
        host: String,
        /// What the resolver said.
        detail: String,
    },
    /// No connection.
    #[error("could not connect to {host}: {detail}")]
    Connect {
        /// Host name or address.
        host: String,
        /// What failed: refused, TLS, reset.
        detail: String,
    },
    /// A deadline passed.
    #[error("{host} did not {phase} in time")]
    Timeout {
        /// Host name or address.
        host: String,
        /// `answer`, `finish its answer`, `become free`.
        phase: &'static str,
    },
    /// The body arrives too slowly.
    #[error(
        "{host} sends fewer than {min_rate} bytes a second; the transfer was given up after {received} bytes"
    )]
    TooSlow {
        /// Host name or address.
        host: String,
        /// The rate that is required.
        min_rate: u64,
        /// Bytes received until then.
        received: u64,
    },
    /// The body is larger than allowed (after decompression).
    #[error("the answer of {host} is larger than the {limit} bytes allowed here")]
    TooLarge {
        /// Host name or address.
        host: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The body broke off or could not be decompressed.
    #[error("the answer of {host} broke off after {received} bytes: {detail}")]
    Body {
        /// Host name or address.
        host: String,
        /// Bytes received until then.
        received: u64,
        /// What the connection said.
        detail: String,
    },
    /// An answer other than success, from something that is not XRPC.
    #[error("{host} answered with HTTP status {status}")]
    Status {
        /// Host name or address.
        host: String,
        /// The status code.
        status: u16,
    },
    /// An XRPC error answer: `{"error": ..., "message": ...}`.
    #[error("{host} answered {status} {error}: {message}")]
    Xrpc {
        /// Host name or address.
        host: String,
        /// HTTP status code.
        status: u16,
        /// The error name of the lexicon, or `Unknown`.
        error: String,
        /// The server's words, shortened and without control characters.
        message: String,
    },
    /// The host asks for a pause that is longer than this request may wait.
    #[error("{host} asks to be left alone for another {seconds} seconds; the work goes on after that", seconds = wait_ms.div_ceil(1000))]
    RateLimited {
        /// Host name or address.
        host: String,
        /// When it may be asked again, in milliseconds since 1970.
        until_ms: u64,
        /// The same, from now, in milliseconds.
        wait_ms: u64,
    },
    /// Too many redirects, or one without a target.
    #[error("{host} redirects {why}")]
    Redirect {
        /// Host name or address.
        host: String,
        /// Too often, or to nowhere.
        why: String,
    },
    /// The body is not the JSON that was expected.
    #[error("the answer of {host} is not the JSON expected: {detail}")]
    Json {
        /// Host name or address.
        host: String,
        /// Where and why parsing failed.
        detail: String,
    },
    /// The client could not be built.
    #[error("the HTTP client could not be set up: {detail}")]
    Setup {
        /// What failed.
        detail: String,
    },
}

impl NetError {
    /// The same, said of the host that was asked for instead of its address.
    pub(crate) fn about(self, name: &str) -> Self {
        match self {
            Self::RateLimited { until_ms, wait_ms, .. } => {
                Self::RateLimited { host: name.to_owned(), until_ms, wait_ms }
            }
            other => other,
        }
    }

    /// The kind that retry and HTTP mapping go by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::BadUrl { .. } | Self::Json { .. } | Self::Redirect { .. } => ErrorKind::Invalid,
            Self::Refused { .. } => ErrorKind::Denied,
            Self::NoSuchHost { .. } => ErrorKind::NotFound,
            Self::TooLarge { .. } | Self::RateLimited { .. } => ErrorKind::Limited,
            Self::Dns { .. }
            | Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::TooSlow { .. }
            | Self::Body { .. } => ErrorKind::Unavailable,
            Self::Status { status, .. } | Self::Xrpc { status, .. } => kind_of_status(*status),
            Self::Setup { .. } => ErrorKind::Bug,
        }
    }

    /// Whether another try of the same request may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.kind(), ErrorKind::Unavailable)
    }

    /// The XRPC error name, if the host sent one.
    #[must_use]
    pub fn xrpc_error(&self) -> Option<&str> {
        match self {
            Self::Xrpc { error, .. } => Some(error),
            _ => None,
        }
    }
}

fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        401 | 403 => ErrorKind::Denied,
        404 | 410 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        408 | 425 | 500..=599 => ErrorKind::Unavailable,
        413 | 429 => ErrorKind::Limited,
        _ => ErrorKind::Invalid,
    }
}

/// Text from elsewhere, fit for one line of a report: no control characters, at most `max` characters.
pub(crate) fn plain(text: &str, max: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(max).collect()
}
