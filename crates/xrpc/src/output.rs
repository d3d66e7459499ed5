//! What a method answers: JSON of its own type.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A JSON answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output<T>(pub T);

impl<T: Serialize> IntoResponse for Output<T> {
    fn into_response(self) -> Response {
        Json(self.0).into_response()
    }
}
