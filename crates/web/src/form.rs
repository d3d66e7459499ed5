//! Forms that were sent: bounded, checked against their sender's token, and read without refusing what is not known.

mod multipart;

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;

use crate::ask::Ask;
use crate::door::Visitor;
use crate::node_side::Trouble;
use crate::web::Web;
use crate::words::Sentence;

/// Time for the whole of a form to arrive.
const TIME: Duration = Duration::from_secs(30);
/// Largest form with its files, bytes.
const MOST: usize = 256 * 1024;

/// The fields of a form whose token was the visitor's. A file is a field like any other: its text.
#[derive(Clone, Default)]
pub struct Fields(Vec<(String, String)>);

impl std::fmt::Debug for Fields {
    /// Without what was typed: it may be a password or a key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Fields {
    /// The first value of a field; empty without.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        self.first(name).unwrap_or_default().trim().to_owned()
    }

    /// The first value of a field as it was typed, for passwords.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a field.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a box was ticked.
    #[must_use]
    pub fn ticked(&self, name: &str) -> bool {
        self.first(name).is_some()
    }
}

impl FromRequest<Web> for Fields {
    type Rejection = Response;

    async fn from_request(request: Request, web: &Web) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let Ok(visitor) = Visitor::from_request_parts(&mut parts, web).await;
        let body = http_body_util::Limited::new(body, MOST);
        let bytes = match tokio::time::timeout(TIME, http_body_util::BodyExt::collect(body)).await {
            Ok(Ok(collected)) => collected.to_bytes(),
            Err(_) => {
                let words = "this form has not arrived within 30 seconds: send it again\n";
                return Err((StatusCode::REQUEST_TIMEOUT, words).into_response());
            }
            Ok(Err(_)) => {
                return Err((StatusCode::PAYLOAD_TOO_LARGE, "this form is too large\n").into_response());
            }
        };
        let kind =
            parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let fields = match multipart::boundary(kind) {
            Some(boundary) => multipart::fields(&bytes, boundary).map_err(|error| {
                tracing::debug!(event = "web.form", %error, kind = %error.kind(), "a form was not taken");
                (StatusCode::BAD_REQUEST, format!("{error}: go back, and send it again\n")).into_response()
            })?,
            None => url::form_urlencoded::parse(&bytes)
                .map(|(key, value)| (key.into_owned(), value.into_owned()))
                .collect(),
        };
        let fields = Self(fields);
        let shown = fields.first("csrf").unwrap_or_default();
        if visitor.csrf.is_empty() || !bool::from(shown.as_bytes().ct_eq(visitor.csrf.as_bytes())) {
            let Ok(ask) = Ask::from_request_parts(&mut parts, web).await;
            return Err(ask.trouble(StatusCode::FORBIDDEN, &Trouble::of(Sentence::of("form-stale"))));
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_not_printed() {
        let fields = Fields(vec![("password".to_owned(), "correct horse".to_owned())]);
        let printed = format!("{fields:?} {fields:#?}");
        assert!(printed.contains("password") && !printed.contains("correct"), "{printed}");
    }
}
