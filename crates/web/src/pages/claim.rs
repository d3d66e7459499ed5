//! A fresh node and whoever runs it: the one-time code.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};

use crate::args;
use crate::ask::{Ask, answer};
use crate::door::{Seen, Try};
use crate::form::Fields;
use crate::layout::Page;
use crate::pages::Sample;
use crate::pages::sign_in::with_cookies;
use crate::parts::{self, Tone, code};
use crate::web::Web;
use crate::words::Words;

/// Why there is no way in here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The code is not the one.
    Wrong,
    /// Too many codes were tried; seconds to wait.
    Limited(u64),
    /// No code is waiting to be used.
    Nothing,
    /// Browsers keep no cookies of this address.
    NoCookies,
}

/// What is shown.
#[derive(Debug, Default)]
pub struct View {
    /// The token of forms.
    pub csrf: String,
    /// The code of the address.
    pub code: String,
    /// Why not.
    pub closed: Option<Closed>,
    /// The port of this node, for words.
    pub port: u16,
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        h1 { (w.t("claim-title")) }
        @match view.closed {
            Some(Closed::Nothing) => {
                p { (w.t("claim-nothing")) }
                p { (code("p2pds claim")) " " (w.t("claim-nothing-new")) }
                p { (code("p2pds claim --again")) " " (w.t("claim-nothing-again")) }
                p { a href="/sign-in" { (w.t("nav-sign-in")) } }
            }
            Some(Closed::NoCookies) => {
                (parts::notice(Tone::Warn, html! { p { (w.t("sign-in-no-cookies")) } }))
                p { (code(&format!("ssh -L {0}:127.0.0.1:{0}", view.port))) }
            }
            _ => (form(w, view)),
        }
    }
}

fn form(w: &Words, view: &View) -> Markup {
    let wrong = matches!(view.closed, Some(Closed::Wrong));
    html! {
        @match view.closed {
            Some(Closed::Wrong) => (parts::notice(Tone::Bad, html! { p role="alert" { (w.t("claim-wrong")) } })),
            Some(Closed::Limited(seconds)) => (parts::notice(Tone::Warn, html! {
                p role="alert" { (w.f("sign-in-wait", args!(minutes = seconds.div_ceil(60)))) }
            })),
            _ => p { (w.t("claim-lead")) },
        }
        form method="post" action="/claim" {
            (parts::csrf(&view.csrf))
            div.field {
                label for="code" { (w.t("claim-label")) span.hint { (w.t("claim-hint")) } }
                input #code name="code" type="text" required value=(view.code) autocomplete="off" autocapitalize="characters"
                    spellcheck="false" dir="ltr" maxlength="40" aria-invalid=[wrong.then_some("true")];
            }
            button type="submit" { (w.t("claim-button")) }
        }
        p.soft { (w.t("claim-next")) }
    }
}

fn page(ask: &Ask, view: &View) -> Page {
    Page::new(ask.w.t("claim-title"), body(&ask.w, view))
}

/// `GET /claim?code=…`: the code is not used by looking.
pub async fn show(
    State(web): State<Web>,
    Extension(seen): Extension<Arc<Seen>>,
    uri: Uri,
    ask: Ask,
) -> Response {
    answer(&ask, async {
        let asked = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .find(|(name, _)| name == "code")
            .map(|(_, value)| value.chars().take(40).collect::<String>());
        let closed = match web.door().may_be_claimed().await? {
            false => Some(Closed::Nothing),
            true if !seen.keeps_cookies() => Some(Closed::NoCookies),
            true => None,
        };
        let view = View {
            csrf: ask.frame.csrf.clone(),
            code: asked.unwrap_or_default(),
            closed,
            port: web.door().port(),
        };
        Ok(ask.show(&page(&ask, &view)))
    })
    .await
}

/// `POST /claim`
pub async fn post(
    State(web): State<Web>,
    Extension(seen): Extension<Arc<Seen>>,
    ask: Ask,
    fields: Fields,
) -> Response {
    answer(&ask, async {
        let door = web.door();
        let view = |closed| View {
            csrf: ask.frame.csrf.clone(),
            code: String::new(),
            closed: Some(closed),
            port: door.port(),
        };
        if let Err(seconds) = door.may_try(Try::Claim, seen.address) {
            let shown = page(&ask, &view(Closed::Limited(seconds)));
            return Ok(ask.show_as(StatusCode::TOO_MANY_REQUESTS, &shown));
        }
        let (session, cookies) = seen.new_session(None, door.now())?;
        if door.take(&fields.text("code"), session).await? {
            tracing::info!(event = "web.claimed", from = %seen.address, "the node was claimed");
            return Ok(with_cookies(Redirect::to("/").into_response(), cookies));
        }
        tracing::warn!(event = "web.claim-refused", from = %seen.address, "a wrong code was tried");
        Ok(ask.show_as(StatusCode::FORBIDDEN, &page(&ask, &view(Closed::Wrong))))
    })
    .await
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let view = |closed| View {
        code: "ABCD-EFGH-JKMN-PQRS-TVWX-YZ01".to_owned(),
        closed,
        port: 3000,
        ..View::default()
    };
    [
        ("success", view(None)),
        ("error", view(Some(Closed::Wrong))),
        ("partial", view(Some(Closed::Limited(240)))),
        ("empty", view(Some(Closed::Nothing))),
        ("loading", view(Some(Closed::NoCookies))),
    ]
    .map(|(state, view)| Sample { page: "claim", state, body: body(w, &view) })
    .into()
}
