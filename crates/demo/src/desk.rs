//! The desk of the demo: who lives there, the mail that the hosts would have sent, and a switch that makes a host be
//! gone. A page without a script, at the directory's address.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};

use crate::people::Sample;
use crate::place::Place;

/// Mails of each host that are shown, the newest first.
const MAILS: usize = 20;

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse}td,th{text-align:start;padding:.2rem 1rem .2rem 0;vertical-align:top}\
pre{white-space:pre-wrap;border-inline-start:3px solid #767676;padding-inline-start:1rem}\
:root{color-scheme:light dark;background:#fff;color:#1b1b1b}\
button{font:inherit;padding:.4rem .8rem;min-height:24px;border:1px solid #767676;background:#eee;color:#1b1b1b}\
@media(prefers-color-scheme:dark){:root{background:#161616;color:#eee}button{background:#333;color:#eee}}\
.wide{overflow-x:auto}td{overflow-wrap:anywhere}";

/// What the desk shows.
pub(crate) struct Desk {
    places: Arc<Vec<Place>>,
    people: Mutex<Vec<Sample>>,
}

impl Desk {
    /// A desk of these hosts.
    pub(crate) fn new(places: Arc<Vec<Place>>) -> Self {
        Self { places, people: Mutex::default() }
    }

    /// Who lives here.
    pub(crate) fn knows(&self, people: Vec<Sample>) {
        *self.people.lock().unwrap_or_else(PoisonError::into_inner) = people;
    }
}

/// The routes of the desk.
pub(crate) fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/mail", get(mail))
        .route("/hosts/{name}/{how}", post(switch))
        .with_state(desk)
        .layer(middleware::from_fn(named))
}

/// Only under this machine's own names: a page whose name was made to lead here reads no mail and switches nothing.
async fn named(request: Request, next: Next) -> Response {
    if !is_ours(request.headers()) {
        return (StatusCode::MISDIRECTED_REQUEST, "the desk is at http://127.0.0.1 and http://localhost\n")
            .into_response();
    }
    next.run(request).await
}

fn is_ours(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}

async fn page(State(desk): State<Arc<Desk>>) -> Html<String> {
    let people = desk.people.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut body = String::from(
        "<h1>The demo's desk</h1><h2>People</h2><div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"People\"><table><tr><th>Handle</th><th>Password</th><th>Host</th><th>DID</th></tr>",
    );
    for one in &people {
        let _ = write!(
            body,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&one.handle),
            escape(&one.password),
            escape(&one.host),
            escape(one.did.as_str())
        );
    }
    body.push_str("</table></div><h2>Hosts</h2>");
    for place in desk.places.iter() {
        let (state, how, label) = match place.is_there() {
            true => ("answers", "gone", "Make it be gone"),
            false => ("is gone", "back", "Bring it back"),
        };
        let _ = write!(
            body,
            "<form method=\"post\" action=\"/hosts/{0}/{how}\"><p>{0} ({1}) {state}. <button>{label}: {0}</button></p></form>",
            place.name,
            escape(&place.url)
        );
    }
    body.push_str("<h2>Mail that the hosts would have sent</h2>");
    let letters = letters(&desk).await;
    if letters.is_empty() {
        body.push_str("<p>None yet.</p>");
    }
    for letter in letters {
        let _ = write!(
            body,
            "<h3>{} to {}</h3><pre>{}</pre>",
            escape(&letter.subject),
            escape(&letter.to),
            escape(&letter.text)
        );
    }
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>p2pds demo</title><link rel=\"icon\" href=\"data:,\"><style>{STYLE}</style><main>{body}</main></html>"
    ))
}

/// A mail as it is shown.
struct Letter {
    to: String,
    subject: String,
    text: String,
}

async fn letters(desk: &Desk) -> Vec<Letter> {
    let mut letters = Vec::new();
    for place in desk.places.iter() {
        for row in place.host.mail_list(MAILS).await.unwrap_or_default() {
            let Ok(Some(read)) = place.host.mail_show(row.id).await else { continue };
            let Some(words) = read.words else { continue };
            letters.push(Letter { to: row.to, subject: words.subject, text: words.text });
        }
    }
    letters
}

/// The mails as JSON, for scripts.
async fn mail(State(desk): State<Arc<Desk>>) -> axum::Json<serde_json::Value> {
    let letters = letters(&desk).await;
    let one = |letter: &Letter| serde_json::json!({ "to": letter.to, "subject": letter.subject, "text": letter.text });
    axum::Json(letters.iter().map(one).collect())
}

async fn switch(
    State(desk): State<Arc<Desk>>,
    Path((name, how)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if !is_own(&headers) {
        return (StatusCode::FORBIDDEN, "only from the demo's own page\n").into_response();
    }
    let Some(place) = desk.places.iter().find(|place| place.name == name) else {
        return (StatusCode::NOT_FOUND, "no such host\n").into_response();
    };
    match how.as_str() {
        "gone" => place.leave().await,
        "back" => {
            if let Err(error) = place.come_back().await {
                return (StatusCode::SERVICE_UNAVAILABLE, format!("its port is taken: {error}\n"))
                    .into_response();
            }
        }
        _ => return (StatusCode::NOT_FOUND, "gone or back\n").into_response(),
    }
    Redirect::to("/").into_response()
}

/// No page of another origin may press the button; a program that names no origin may.
fn is_own(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let own = text(header::HOST).map(|host| format!("http://{host}"));
    text(header::ORIGIN).is_none_or(|origin| own.as_deref() == Some(origin))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_others_press_no_buttons() {
        let headers = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "localhost:4000".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            headers
        };
        assert!(is_own(&headers(None)) && is_own(&headers(Some("http://localhost:4000"))));
        for foreign in ["http://localhost:4001", "https://evil.example", "null"] {
            assert!(!is_own(&headers(Some(foreign))), "{foreign}");
        }
    }

    #[test]
    fn the_desk_has_only_the_names_of_this_machine() {
        for (host, ours) in [
            ("127.0.0.1:4000", true),
            ("localhost:4000", true),
            ("[::1]:4000", true),
            ("evil.example:4000", false),
            ("localhost.evil.example", false),
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            assert_eq!(is_ours(&headers), ours, "{host}");
        }
    }
}
