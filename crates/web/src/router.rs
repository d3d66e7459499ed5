//! All pages.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};

use crate::assets;
use crate::door::guard;
use crate::pages::{
    about, account, accounts, act, add, authorize, claim, consent, drills, export, home, hosted, identity,
    job, lexicons, media, nowhere, operator, own, promote, public, record, removal, remove, sessions,
    sign_in, time,
};
use crate::web::Web;

/// Paths that are answered here, each with `GET`, for the list of routes.
pub const PATHS: &[&str] = &[
    "/",
    "/about",
    "/account",
    "/account/forgot",
    "/account/sign-up",
    "/account/{did}",
    "/account/{did}/repo.car",
    "/accounts",
    "/add",
    "/add/plan/{id}",
    "/archive/{did}",
    "/archive/{did}/blob/{cid}",
    "/archive/{did}/compare",
    "/archive/{did}/copy.tar",
    "/archive/{did}/drills",
    "/archive/{did}/export",
    "/archive/{did}/identity",
    "/archive/{did}/identity/key",
    "/archive/{did}/media",
    "/archive/{did}/promote",
    "/archive/{did}/proof",
    "/archive/{did}/record",
    "/archive/{did}/remove",
    "/archive/{did}/repo.car",
    "/archive/{did}/time",
    "/assets/{name}",
    "/claim",
    "/jobs/{id}",
    "/jobs/{id}/events",
    "/lexicons",
    "/oauth-client-metadata.json",
    "/oauth/authorize",
    "/oauth/callback",
    "/operator",
    "/operator/{tab}",
    "/privacy",
    "/remove-me",
    "/sessions",
    "/sign-in",
    "/sign-in/leave",
];

/// No code and no style but ours, nothing from elsewhere, shown in no frame.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data: blob:; media-src 'self' \
                      blob:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The pages, and one for every address where nothing is.
pub fn router(web: Web) -> Router {
    Router::new()
        .route("/", get(home::show))
        .route("/about", get(about::show))
        .route("/account", get(hosted::show).post(hosted::post))
        .route("/account/forgot", get(hosted::forgot).post(hosted::forgot_post))
        .route("/account/reset", post(hosted::reset_post))
        .route("/account/sign-up", get(hosted::sign_up).post(hosted::sign_up_post))
        .route("/account/{did}", get(own::show).post(own::post))
        .route("/account/{did}/repo.car", get(own::car))
        .route("/oauth/authorize", get(authorize::show).post(authorize::post))
        .route("/operator", get(operator::first))
        .route("/operator/{tab}", get(operator::show).post(operator::post))
        .route("/privacy", get(public::privacy))
        .route("/remove-me", get(removal::show).post(removal::post))
        .route("/accounts", get(accounts::show).post(accounts::act::post))
        .route("/add", get(add::show).post(add::post))
        .route("/add/plan", post(add::plan::post))
        .route("/add/plan/{id}", get(add::plan::show).post(add::plan::start))
        .route("/assets/{name}", get(assets::serve))
        .route("/claim", get(claim::show).post(claim::post))
        .route("/jobs/{id}", get(job::show))
        .route("/jobs/{id}/events", get(job::events))
        .route("/jobs/{id}/stop", post(job::stop))
        .route("/oauth-client-metadata.json", get(sign_in::metadata))
        .route("/oauth/callback", get(sign_in::callback))
        .route("/sessions", get(sessions::show))
        .route("/sessions/end", post(sessions::end))
        .route("/sessions/everywhere", post(sessions::everywhere))
        .route("/sessions/host", post(sessions::host))
        .route("/sign-in", get(sign_in::show).post(sign_in::post))
        .route("/sign-in/leave", get(sign_in::go))
        .route("/sign-out", post(sign_in::sign_out))
        .merge(archived())
        .fallback(nowhere::show)
        .method_not_allowed_fallback(nowhere::form_only)
        .layer(middleware::from_fn_with_state(web.clone(), guard))
        .with_state(web)
        .layer(middleware::map_response(guarded))
}

/// The pages of archived accounts.
fn archived() -> Router<Web> {
    Router::new()
        .route("/archive/{did}", get(account::show))
        .route("/archive/{did}/blob/{cid}", get(media::bytes))
        .route("/archive/{did}/compare", get(time::compare::show))
        .route("/archive/{did}/consent", post(consent::post))
        .route("/archive/{did}/copy.tar", get(export::tar))
        .route("/archive/{did}/copy/delete", post(export::delete))
        .route("/archive/{did}/drill", post(act::drill))
        .route("/archive/{did}/drills", get(drills::show))
        .route("/archive/{did}/export", get(export::show).post(export::prepare))
        .route("/archive/{did}/identity", get(identity::show))
        .route("/archive/{did}/identity/acknowledge", post(identity::acknowledged))
        .route("/archive/{did}/identity/announce", post(identity::announce))
        .route("/archive/{did}/identity/key", get(identity::key::show).post(identity::key::post))
        .route("/archive/{did}/identity/key/ask", post(identity::key::request))
        .route("/archive/{did}/identity/key/sign", post(identity::key::sign))
        .route("/archive/{did}/identity/key/submit", post(identity::key::submit))
        .route("/archive/{did}/identity/key/written", post(identity::key::written))
        .route("/archive/{did}/identity/own", post(identity::own))
        .route("/archive/{did}/identity/withdraw", post(identity::withdraw))
        .route("/archive/{did}/keep", post(act::keep))
        .route("/archive/{did}/limits", post(act::limits))
        .route("/archive/{did}/media", get(media::show))
        .route("/archive/{did}/pause", post(act::pause))
        .route("/archive/{did}/promote", get(promote::show).post(promote::post))
        .route("/archive/{did}/promote/cancel", post(promote::cancel))
        .route("/archive/{did}/proof", get(record::download))
        .route("/archive/{did}/record", get(record::show))
        .route("/archive/{did}/remove", get(remove::show).post(remove::post))
        .route("/archive/{did}/repo.car", get(export::car))
        .route("/archive/{did}/restore", post(record::restore::post))
        .route("/archive/{did}/resume", post(act::resume))
        .route("/archive/{did}/serve", post(act::serve))
        .route("/archive/{did}/sync", post(act::sync))
        .route("/archive/{did}/time", get(time::show))
        .route("/archive/{did}/verify", post(act::verify))
        .route("/lexicons", get(lexicons::show))
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
