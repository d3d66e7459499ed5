//! What a browser is shown at an address where nothing is.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};

use crate::ask::Ask;
use crate::layout::Page;
use crate::pages::Sample;
use crate::parts::code;
use crate::shown::text;
use crate::web::Web;
use crate::words::Words;

/// Longest address that is repeated, bytes.
const LONGEST: usize = 300;

/// Whether a request says that it wants a page, as browsers do and programs do not.
#[must_use]
pub fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

/// The page. `path`: what was asked for.
#[must_use]
pub fn body(w: &Words, path: &str) -> Markup {
    html! {
        h1 { (w.t("error-not-found-title")) }
        p { (w.t("error-not-found-address")) " " (code(&text(path, LONGEST))) }
        p { (w.t("error-not-found")) }
        p { a.button href="/" { (w.t("error-not-found-home")) } }
    }
}

/// The page as an answer.
#[must_use]
pub fn page(ask: &Ask, status: StatusCode) -> Response {
    ask.show_as(status, &Page::new(ask.w.t("error-not-found-title"), body(&ask.w, &ask.frame.path)))
}

/// At any address that leads nowhere.
pub async fn show(State(_): State<Web>, headers: HeaderMap, ask: Ask) -> Response {
    if wants_page(&headers) { page(&ask, StatusCode::NOT_FOUND) } else { plain() }
}

/// The same for programs.
#[must_use]
pub fn plain() -> Response {
    (StatusCode::NOT_FOUND, "nothing here\n").into_response()
}

/// At an address that takes forms and shows nothing: where a browser ends that loads the answer to a form anew.
pub async fn form_only(State(_): State<Web>, headers: HeaderMap, ask: Ask) -> Response {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    if wants_page(&headers) { page(&ask, status) } else { status.into_response() }
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let long = format!("/archive/{}/\u{202e}lmth.exe", "%F0%9F%90%A2".repeat(60));
    vec![
        Sample { page: "nowhere", state: "success", body: body(w, "/no-such-page") },
        Sample { page: "nowhere", state: "error", body: body(w, &long) },
    ]
}
