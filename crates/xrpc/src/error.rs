//! What a caller is told when a method does not answer.
//!
//! The protocol's names, its status codes, and sentences for strangers: nothing that only the operator may know. An
//! account that is not served and one that is not here are told apart by nobody.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use p2pds_host::HostError;
use p2pds_oauth::Refused;
use p2pds_oauth::scope::Need;
use p2pds_reading::Refusal;
use p2pds_syntax::ErrorKind;
use serde_json::json;

/// What proofs of possession may be signed with.
const ALGORITHMS: &str = "ES256 ES256K";

/// An error as XRPC sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XrpcError {
    /// HTTP status.
    pub status: StatusCode,
    /// The protocol's name for it.
    pub name: &'static str,
    /// For a person.
    pub message: String,
    /// Seconds after which another try may help.
    pub retry_after: Option<u64>,
    /// What is asked for instead of what was shown: the header `WWW-Authenticate`.
    pub challenge: Option<String>,
}

impl XrpcError {
    /// An error with this status.
    #[must_use]
    pub fn new(status: StatusCode, name: &'static str, message: impl Into<String>) -> Self {
        Self { status, name, message: message.into(), retry_after: None, challenge: None }
    }

    /// A parameter is missing or wrong.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidRequest", message)
    }

    /// The named thing is not served here.
    #[must_use]
    pub fn absent(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, name, message)
    }

    /// Too much was asked; another try may help after so many seconds.
    #[must_use]
    pub fn too_many(seconds: u64, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "RateLimitExceeded", message);
        Self { retry_after: Some(seconds), ..error }
    }

    /// The method is not served under this name, or not at all.
    #[must_use]
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "MethodNotImplemented", message)
    }

    /// Who asks is not known, or may not do this: status 401.
    #[must_use]
    pub fn unauthenticated(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, name, message)
    }

    /// A token that is not good: status 400, as clients know it, which then ask for a new one.
    #[must_use]
    pub fn bad_token(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, name, message)
    }

    /// An access token of OAuth, or the proof that goes with it, that is not good. `error` is OAuth's name for it.
    #[must_use]
    pub fn bad_grant(error: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        let challenge = format!(
            "DPoP algs=\"{ALGORITHMS}\", error=\"{error}\", error_description=\"{}\"",
            quotable(&message)
        );
        Self { challenge: Some(challenge), ..Self::unauthenticated(error, message) }
    }

    /// An OAuth session was not granted what it would need for this.
    #[must_use]
    pub fn missing_scope(need: &Need<'_>) -> Self {
        let challenge = format!(
            "DPoP algs=\"{ALGORITHMS}\", error=\"insufficient_scope\", scope=\"{}\"",
            quotable(&need.to_string())
        );
        let message = format!("Missing required scope \"{need}\"");
        Self { challenge: Some(challenge), ..Self::new(StatusCode::FORBIDDEN, "ScopeMissingError", message) }
    }

    /// A body of more bytes than this.
    #[must_use]
    pub fn too_large(most: u64) -> Self {
        let message = format!("request entity too large: at most {most} bytes are taken here");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", message)
    }

    fn trouble(message: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", message)
    }
}

/// Text that may stand between quotes in a header.
fn quotable(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') && !matches!(c, '"' | '\\') { c } else { '_' }).collect()
}

/// The status of a host's refusal. Its kind decides, save for names that clients know under another status.
fn status(error: &HostError) -> StatusCode {
    match (error.name, error.kind) {
        ("ExpiredToken" | "InvalidToken", _) => StatusCode::BAD_REQUEST,
        ("AccountNotFound" | "Forbidden", ErrorKind::Denied) => StatusCode::FORBIDDEN,
        ("UpstreamFailure", _) => StatusCode::BAD_GATEWAY,
        ("UpstreamTimeout", _) => StatusCode::GATEWAY_TIMEOUT,
        ("PayloadTooLarge" | "BlobTooLarge", _) => StatusCode::PAYLOAD_TOO_LARGE,
        ("MethodNotImplemented", _) => StatusCode::NOT_IMPLEMENTED,
        // Absent things and broken preconditions have names in the lexicon; the status of all of those is 400.
        (_, ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Conflict) => StatusCode::BAD_REQUEST,
        (_, ErrorKind::Denied) => StatusCode::UNAUTHORIZED,
        (_, ErrorKind::Limited) => StatusCode::TOO_MANY_REQUESTS,
        (_, ErrorKind::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
        (_, ErrorKind::Corrupt | ErrorKind::Bug) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<HostError> for XrpcError {
    fn from(error: HostError) -> Self {
        Self { retry_after: error.retry_after, ..Self::new(status(&error), error.name, error.message) }
    }
}

impl From<Refused> for XrpcError {
    fn from(refused: Refused) -> Self {
        let status = match refused.error.kind() {
            ErrorKind::Unavailable => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorKind::Limited => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        };
        let challenge = (status == StatusCode::UNAUTHORIZED).then(|| refused.challenge());
        Self { challenge, ..Self::new(status, refused.name(), refused.to_string()) }
    }
}

impl From<Refusal> for XrpcError {
    fn from(refusal: Refusal) -> Self {
        match &refusal {
            Refusal::Withdrawn { did, status } => match *status {
                "takendown" => Self::absent("RepoTakendown", format!("Repo has been taken down: {did}")),
                "suspended" => Self::absent("RepoSuspended", format!("Repo has been suspended: {did}")),
                "deactivated" => Self::absent("RepoDeactivated", format!("Repo has been deactivated: {did}")),
                _ => no_repo(did),
            },
            Refusal::NoAccount(did)
            | Refusal::Nothing(did)
            | Refusal::NotServed(did)
            | Refusal::OwnerRefuses(did)
            | Refusal::NotVerified(did) => no_repo(did),
            Refusal::NoRecord { did, path } => {
                Self::absent("RecordNotFound", format!("Could not locate record: at://{did}/{path}"))
            }
            Refusal::NoBlock { cid, .. } => {
                Self::absent("BlockNotFound", format!("Could not find block: {cid}"))
            }
            Refusal::NoBlob { cid, .. } | Refusal::BlobNotHeld { cid, .. } => {
                Self::absent("BlobNotFound", format!("Blob not found: {cid}"))
            }
            Refusal::Blocked(cid) => Self::absent("BlockNotFound", format!("Could not find block: {cid}")),
            other => match other.kind() {
                ErrorKind::Conflict => Self {
                    retry_after: Some(1),
                    ..Self::new(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "NotAvailable",
                        "the repo changed while it was read; try again",
                    )
                },
                kind => {
                    tracing::error!(event = "serving.failed", %kind, error = %other, "a public request failed");
                    Self::trouble(
                        "what is stored cannot be read now; the operator of this mirror has been told",
                    )
                }
            },
        }
    }
}

fn no_repo(did: &p2pds_syntax::Did) -> XrpcError {
    XrpcError::absent("RepoNotFound", format!("Could not find repo for DID: {did}"))
}

impl IntoResponse for XrpcError {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.name, "message": self.message }));
        let mut response = (self.status, body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let challenge = self.challenge.and_then(|challenge| HeaderValue::try_from(challenge).ok());
        let usual = (self.status == StatusCode::UNAUTHORIZED).then_some(HeaderValue::from_static("Bearer"));
        if let Some(challenge) = challenge.or(usual) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
