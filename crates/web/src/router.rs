//! All pages.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};

use crate::assets;
use crate::door::guard;
use crate::pages::{about, add, claim, home, job, sessions, sign_in};
use crate::web::Web;

/// Paths that are answered here, each with `GET`, for the list of routes.
pub const PATHS: &[&str] = &[
    "/",
    "/about",
    "/add",
    "/assets/{name}",
    "/claim",
    "/jobs/{id}",
    "/jobs/{id}/events",
    "/oauth-client-metadata.json",
    "/oauth/callback",
    "/sessions",
    "/sign-in",
    "/sign-in/leave",
];

/// No code and no style but ours, nothing from elsewhere, shown in no frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data: blob:; media-src 'self' \
                      blob:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The pages.
pub fn router(web: Web) -> Router {
    Router::new()
        .route("/", get(home::show))
        .route("/about", get(about::show))
        .route("/add", get(add::show).post(add::post))
        .route("/assets/{name}", get(assets::serve))
        .route("/claim", get(claim::show).post(claim::post))
        .route("/jobs/{id}", get(job::show))
        .route("/jobs/{id}/events", get(job::events))
        .route("/oauth-client-metadata.json", get(sign_in::metadata))
        .route("/oauth/callback", get(sign_in::callback))
        .route("/sessions", get(sessions::show))
        .route("/sessions/end", post(sessions::end))
        .route("/sessions/everywhere", post(sessions::everywhere))
        .route("/sessions/host", post(sessions::host))
        .route("/sign-in", get(sign_in::show).post(sign_in::post))
        .route("/sign-in/leave", get(sign_in::go))
        .route("/sign-out", post(sign_in::sign_out))
        .layer(middleware::from_fn_with_state(web.clone(), guard))
        .with_state(web)
        .layer(middleware::map_response(guarded))
}

/// The headers of every page.
async fn guarded(mut response: Response) -> Response {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ];
    for (name, value) in fixed {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
