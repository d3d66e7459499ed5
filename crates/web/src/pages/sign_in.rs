//! Signing in with the account that somebody has, at its own host.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use p2pds_agent::{Begin, Callback, Need, Proved, Secret, SignInError};
use p2pds_store::hosting::DropSessions;
use p2pds_syntax::Did;

use crate::args;
use crate::ask::{Ask, Refused, Shown, answer};
use crate::door::{Leaving, Purpose, Seen, Try, Who, own_path};
use crate::form::Fields;
use crate::layout::Page;
use crate::node_side::Trouble;
use crate::pages::Sample;
use crate::parts::{self, Tone, code, name, said};
use crate::web::Web;
use crate::words::Words;

/// Why nobody is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The node belongs to nobody: it must be claimed first.
    Unclaimed,
    /// It is somebody else's.
    NotYours(String),
    /// Too many tries; seconds to wait.
    Limited(u64),
    /// Browsers keep no cookies of this address.
    NoCookies,
    /// The host, or the way there: a stable word, and more in English.
    Host(&'static str, String),
}

/// What is shown.
#[derive(Debug, Default)]
pub struct View {
    /// The token of forms.
    pub csrf: String,
    /// What was typed.
    pub typed: String,
    /// Where to go afterwards.
    pub to: String,
    /// Whoever asks has claimed the node.
    pub claimant: bool,
    /// Why not.
    pub why: Option<Why>,
    /// The port of this node, for words.
    pub port: u16,
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        h1 { (w.t("sign-in-title")) }
        @if let Some(why) = &view.why { (reason(w, why, view.port)) }
        @if !matches!(view.why, Some(Why::Unclaimed | Why::NoCookies)) {
            p { (w.t(if view.claimant { "sign-in-lead-claimant" } else { "sign-in-lead" })) }
            form method="post" action="/sign-in" {
                (parts::csrf(&view.csrf))
                input type="hidden" name="to" value=(view.to);
                div.field {
                    label for="who" { (w.t("sign-in-label")) span.hint { (w.t("sign-in-hint")) } }
                    input #who name="who" type="text" required value=(view.typed) autocomplete="username" autocapitalize="none"
                        spellcheck="false" dir="ltr" maxlength="300" translate="no" placeholder="alice.example.com";
                }
                details open[matches!(view.why, Some(Why::Host("no-oauth" | "password", _)))] {
                    summary { (w.t("sign-in-password-title")) }
                    div.field {
                        label for="password" { (w.t("sign-in-password")) span.hint { (w.t("sign-in-password-hint")) } }
                        input #password name="password" type="password" autocomplete="current-password" dir="ltr" maxlength="512";
                    }
                }
                button type="submit" { (w.t("sign-in-button")) }
            }
            p.soft { (w.t("sign-in-least")) }
        }
    }
}

fn reason(w: &Words, why: &Why, port: u16) -> Markup {
    let tone = if matches!(why, Why::Host(..)) { Tone::Bad } else { Tone::Warn };
    parts::notice(
        tone,
        match why {
            Why::Unclaimed => html! {
                p role="alert" { (w.t("sign-in-unclaimed")) }
                p { (code("p2pds claim")) " " (w.t("claim-nothing-new")) }
            },
            Why::NotYours(handle) => {
                html! { p role="alert" { (w.t("sign-in-not-yours")) " " (name(handle)) } }
            }
            Why::Limited(seconds) => html! {
                p role="alert" { (w.f("sign-in-wait", args!(minutes = seconds.div_ceil(60)))) }
            },
            Why::NoCookies => html! {
                p role="alert" { (w.t("sign-in-no-cookies")) }
                p { (code(&format!("ssh -L {port}:127.0.0.1:{port}"))) }
            },
            Why::Host(word, more) => html! {
                p role="alert" { (w.word("sign-in-error", word)) }
                p { (said(more)) }
            },
        },
    )
}

/// The page between here and the host: a form's answer may not lead elsewhere, a page may.
#[must_use]
pub fn leaving(w: &Words, server: &str, url: &str) -> Markup {
    html! {
        h1 { (w.t("sign-in-leave-title")) }
        p { (w.t("sign-in-leave")) " " (name(server)) }
        p { a.button href=(url) rel="noreferrer" { (w.t("sign-in-leave-button")) } }
    }
}

fn why_of(error: &SignInError) -> Why {
    match error {
        SignInError::NoAddress { .. } => Why::NoCookies,
        error => Why::Host(error.code(), error.to_string()),
    }
}

fn show_view(web: &Web, ask: &Ask, status: StatusCode, view: View) -> Response {
    let claimant = ask.visitor.who == Who::Claimant;
    let view = View { csrf: ask.frame.csrf.clone(), claimant, port: web.door().port(), ..view };
    ask.show_as(status, &Page::new(ask.w.t("sign-in-title"), body(&ask.w, &view)))
}

/// Why somebody cannot even begin.
async fn closed(web: &Web, ask: &Ask, seen: &Seen) -> Result<Option<Why>, Refused> {
    if !seen.keeps_cookies() {
        return Ok(Some(Why::NoCookies));
    }
    let owned = web.door().owner().await?.is_some();
    Ok((!owned && ask.visitor.who == Who::Nobody).then_some(Why::Unclaimed))
}

/// `GET /sign-in?to=…`
pub async fn show(
    State(web): State<Web>,
    Extension(seen): Extension<Arc<Seen>>,
    uri: Uri,
    ask: Ask,
) -> Response {
    answer(&ask, async {
        let to = query(&uri, "to").map(|to| own_path(&to)).unwrap_or_default();
        let why = closed(&web, &ask, &seen).await?;
        Ok(show_view(&web, &ask, StatusCode::OK, View { to, why, ..View::default() }))
    })
    .await
}

fn query(uri: &Uri, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// `POST /sign-in`
pub async fn post(
    State(web): State<Web>,
    Extension(seen): Extension<Arc<Seen>>,
    ask: Ask,
    fields: Fields,
) -> Response {
    answer(&ask, async {
        let (typed, to) = (fields.text("who"), own_path(&fields.text("to")));
        let again = |status, why| {
            let view = View { typed: typed.clone(), to: to.clone(), why: Some(why), ..View::default() };
            Ok(show_view(&web, &ask, status, view))
        };
        if let Some(why) = closed(&web, &ask, &seen).await? {
            return again(StatusCode::FORBIDDEN, why);
        }
        let password = fields.first("password").unwrap_or_default();
        let what = if password.is_empty() { Try::SignIn } else { Try::Password };
        if let Err(seconds) = web.door().may_try(what, seen.address) {
            return again(StatusCode::TOO_MANY_REQUESTS, Why::Limited(seconds));
        }
        let outcome = if password.is_empty() {
            leave(&web, &seen, &typed, Need::SignIn, Purpose::SignIn, &to).await
        } else {
            with_password(&web, &ask, &seen, &typed, &Secret::new(password), &to).await
        };
        match outcome {
            Ok(shown) => shown,
            Err(error) => {
                tracing::info!(event = "web.sign-in", code = error.code(), from = %seen.address, "a sign-in did not begin");
                again(StatusCode::BAD_REQUEST, why_of(&error))
            }
        }
    })
    .await
}

/// Sends somebody to an account's host, through the page in between.
async fn leave(
    web: &Web,
    seen: &Seen,
    who: &str,
    need: Need,
    purpose: Purpose,
    to: &str,
) -> Result<Shown, SignInError> {
    let door = web.door();
    let browser = seen.browser().ok_or(SignInError::OtherBrowser)?;
    if let Purpose::Consent(did) = &purpose {
        door.declare(did);
    }
    let begun = door.agents().begin(&Begin { who, need, browser, local: seen.local_port() }).await?;
    let leaving = Leaving { url: begun.url, server: begun.server, purpose, to: own_path(to), at: door.now() };
    door.leavers().put(browser, leaving);
    Ok(Ok(Ask::go("/sign-in/leave")))
}

/// Asks the owner's account for a right that this node does not have yet, and comes back to `to`.
///
/// # Errors
/// What stands in the way.
pub(crate) async fn consent(web: &Web, seen: &Seen, did: &Did, need: Need, to: &str) -> Shown {
    match leave(web, seen, did.as_str(), need, Purpose::Consent(did.clone()), to).await {
        Ok(shown) => shown,
        Err(error) => Err(Refused::Trouble(Trouble::said(error.to_string(), None))),
    }
}

/// With an app password, where there is no OAuth. It is shown to the host of the owner's own account only.
async fn with_password(
    web: &Web,
    ask: &Ask,
    seen: &Seen,
    who: &str,
    password: &Secret,
    to: &str,
) -> Result<Shown, SignInError> {
    let agents = web.door().agents();
    let owner = web.door().owner().await?;
    let did = agents.did_of(who).await?;
    if owner.is_some_and(|owner| owner != did) {
        return Ok(Ok(not_yours(web, ask, who)));
    }
    let proved = agents.sign_in_with_password(did.as_str(), password).await?;
    Ok(arrived(web, ask, seen, proved, to).await)
}

fn not_yours(web: &Web, ask: &Ask, who: &str) -> Response {
    let view = View { why: Some(Why::NotYours(who.to_owned())), ..View::default() };
    show_view(web, ask, StatusCode::FORBIDDEN, view)
}

/// `GET /sign-in/leave`
pub async fn go(State(web): State<Web>, Extension(seen): Extension<Arc<Seen>>, ask: Ask) -> Response {
    let door = web.door();
    let Some(away) = seen.browser().and_then(|browser| door.leavers().get(browser, door.now())) else {
        return Ask::go("/sign-in");
    };
    let shown = leaving(&ask.w, &away.server, &away.url);
    let mut response = ask.show(&Page::new(ask.w.t("sign-in-leave-title"), shown));
    if let Ok(value) = HeaderValue::try_from(format!("0;url={}", away.url)) {
        response.headers_mut().insert(header::REFRESH, value);
    }
    response
}

/// `GET /oauth/callback`
pub async fn callback(
    State(web): State<Web>,
    Extension(seen): Extension<Arc<Seen>>,
    uri: Uri,
    ask: Ask,
) -> Response {
    answer(&ask, async {
        let door = web.door();
        let refused = |error: &SignInError, to: String| {
            tracing::info!(event = "web.sign-in", code = error.code(), from = %seen.address, "a sign-in did not end well");
            let view = View { to, why: Some(why_of(error)), ..View::default() };
            Ok(show_view(&web, &ask, StatusCode::FORBIDDEN, view))
        };
        let Some(browser) = seen.browser() else {
            return refused(&SignInError::OtherBrowser, String::new());
        };
        let away = door.leavers().take(browser, door.now());
        let to = away.as_ref().map(|away| away.to.clone()).unwrap_or_default();
        let field = |name| query(&uri, name);
        let (state, iss, code) = (field("state"), field("iss"), field("code"));
        let (error, more) = (field("error"), field("error_description"));
        let back = Callback {
            state: state.as_deref(),
            iss: iss.as_deref(),
            code: code.as_deref(),
            error: error.as_deref(),
            error_description: more.as_deref(),
        };
        let proved = match door.agents().finish(&back, browser).await {
            Ok(proved) => proved,
            Err(error) => return refused(&error, to),
        };
        match away.map(|away| away.purpose) {
            Some(Purpose::SignIn) => arrived(&web, &ask, &seen, proved, &to).await,
            Some(Purpose::Consent(did)) if did == proved.who.did && ask.visitor.who != Who::Nobody => {
                keep(&web, proved).await?;
                Ok(Ask::go(&own_path(&to)))
            }
            _ => {
                door.agents().discard(proved).await;
                refused(&SignInError::UnknownState, String::new())
            }
        }
    })
    .await
}

/// Lets in whoever proved who he is, if the node is his or has just become so.
async fn arrived(web: &Web, ask: &Ask, seen: &Seen, proved: Proved, to: &str) -> Shown {
    let door = web.door();
    let did = proved.who.did.clone();
    let (session, cookies) = seen.new_session(Some(did.clone()), door.now())?;
    let from = seen.session.as_ref().map(|session| session.token);
    if !door.sign_in(from, session).await? {
        let called = proved.who.handle.clone().unwrap_or_else(|| did.to_string());
        tracing::warn!(event = "web.sign-in-refused", %did, from = %seen.address, "somebody else than the owner signed in");
        door.agents().discard(proved).await;
        return Ok(not_yours(web, ask, &called));
    }
    tracing::info!(event = "web.signed-in", %did, from = %seen.address, "the owner signed in");
    keep(web, proved).await?;
    Ok(with_cookies(Redirect::to(&own_path(to)).into_response(), cookies))
}

async fn keep(web: &Web, proved: Proved) -> Result<(), Refused> {
    let kept = web.door().agents().keep(proved).await;
    kept.map_err(|error| Refused::Trouble(Trouble::said(error.to_string(), None)))
}

/// `POST /sign-out`
pub async fn sign_out(
    State(web): State<Web>,
    Extension(seen): Extension<Arc<Seen>>,
    ask: Ask,
    _: Fields,
) -> Response {
    answer(&ask, async {
        let door = web.door();
        if let Some(session) = &seen.session {
            door.sign_out(DropSessions::One(session.token)).await?;
            if let Some(did) = &session.did {
                // A session at the host that may do nothing has nothing left to do.
                let scope = door.agents().scope(did).await.ok().flatten();
                if scope.as_deref() == Some("atproto")
                    && let Err(error) = door.agents().sign_out(did).await
                {
                    tracing::info!(event = "web.sign-out", %error, "the session at the host was not ended");
                }
            }
        }
        Ok(with_cookies(Ask::go("/"), seen.forget()))
    })
    .await
}

/// `GET /oauth-client-metadata.json`
pub async fn metadata(State(web): State<Web>) -> Response {
    let collections = web.door().collections().await;
    match web.door().agents().metadata(&collections) {
        Some(document) => {
            ([(header::CACHE_CONTROL, "public, max-age=300")], axum::Json(document)).into_response()
        }
        None => (StatusCode::NOT_FOUND, "this node has no public address with https\n").into_response(),
    }
}

/// The answer with cookies.
pub(crate) fn with_cookies(mut response: Response, cookies: Vec<HeaderValue>) -> Response {
    for value in cookies {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let why =
        |why| View { typed: "alice.example.com".to_owned(), why: Some(why), port: 3000, ..View::default() };
    let views = [
        ("empty", View::default()),
        ("success", View { claimant: true, ..View::default() }),
        ("partial", why(Why::Unclaimed)),
        (
            "error",
            why(Why::Host("no-oauth", "https://pds.example.com does not offer sign-in by OAuth".to_owned())),
        ),
        ("error", why(Why::NotYours("bob.example.com".to_owned()))),
        ("error", why(Why::Limited(90))),
        ("error", why(Why::NoCookies)),
    ];
    let mut all: Vec<Sample> =
        views.map(|(state, view)| Sample { page: "sign-in", state, body: body(w, &view) }).into();
    let shown = leaving(w, "https://pds.example.com", "https://pds.example.com/oauth/authorize");
    all.push(Sample { page: "sign-in", state: "loading", body: shown });
    all
}
