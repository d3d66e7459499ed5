//! Where the owner is signed in, and what this node may do at hosts of accounts.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::Response;
use data_encoding::HEXLOWER;
use maud::{Markup, html};
use p2pds_store::hosting::{DropSessions, WebSessionRow};
use p2pds_syntax::Did;

use crate::ask::{Ask, Refused, answer};
use crate::door::Seen;
use crate::form::Fields;
use crate::layout::Page;
use crate::node_side::Trouble;
use crate::pages::Sample;
use crate::pages::sign_in::with_cookies;
use crate::parts::{self, code, name};
use crate::web::Web;
use crate::words::Words;

/// A browser that is signed in.
#[derive(Debug, Clone)]
pub struct Browser {
    /// By what it is named in forms.
    pub id: String,
    /// As it calls itself.
    pub agent: String,
    /// Where it was last used from.
    pub address: String,
    /// When, microseconds since 1970.
    pub used_at: i64,
    /// It is the one that asks.
    pub own: bool,
}

/// A session of this node at a host.
#[derive(Debug, Clone)]
pub struct AtHost {
    /// The account.
    pub did: String,
    /// What it is called.
    pub called: String,
    /// Its host.
    pub host: String,
    /// What was granted; empty with a password.
    pub scopes: Vec<String>,
}

/// What is shown.
#[derive(Debug, Default)]
pub struct View {
    /// The token of forms.
    pub csrf: String,
    /// Browsers, the last used first.
    pub browsers: Vec<Browser>,
    /// Sessions at hosts.
    pub at_hosts: Vec<AtHost>,
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        h1 { (w.t("sessions-title")) }
        h2 { (w.t("sessions-browsers")) }
        ul.plain {
            @for browser in &view.browsers {
                li {
                    p {
                        (name(if browser.agent.is_empty() { "?" } else { &browser.agent })) " · " (name(&browser.address)) " · "
                        (w.ago(browser.used_at))
                        @if browser.own { " · " strong { (w.t("sessions-this")) } }
                    }
                    form method="post" action="/sessions/end" {
                        (parts::csrf(&view.csrf))
                        input type="hidden" name="id" value=(browser.id);
                        button.quiet type="submit" { (w.t("sessions-end")) }
                    }
                }
            }
        }
        (parts::button(&view.csrf, "/sessions/everywhere", "danger", &w.t("sessions-everywhere")))
        h2 { (w.t("sessions-hosts")) }
        p { (w.t("sessions-hosts-lead")) }
        @if view.at_hosts.is_empty() { p { (w.t("none")) } }
        ul.plain {
            @for session in &view.at_hosts {
                li {
                    p { (name(&session.called)) " · " (name(&session.host)) }
                    p {
                        @if session.scopes.is_empty() { (w.t("sessions-password")) }
                        @for scope in &session.scopes { (code(scope)) " " }
                    }
                    form method="post" action="/sessions/host" {
                        (parts::csrf(&view.csrf))
                        input type="hidden" name="did" value=(session.did);
                        button.quiet type="submit" { (w.t("sessions-host-end")) }
                    }
                }
            }
        }
    }
}

fn id(session: &WebSessionRow) -> String {
    HEXLOWER.encode(session.token.get(..8).unwrap_or_default())
}

/// `GET /sessions`
pub async fn show(State(web): State<Web>, Extension(seen): Extension<Arc<Seen>>, ask: Ask) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let door = web.door();
        let own = seen.session.as_ref().map(|session| session.token);
        let browsers = door.sessions().await?.into_iter().map(|session| Browser {
            id: id(&session),
            own: Some(session.token) == own,
            agent: session.agent,
            address: session.address,
            used_at: session.used_at,
        });
        let mut at_hosts = Vec::new();
        for row in door.agents().sessions().await.map_err(trouble)? {
            at_hosts.push(AtHost {
                called: door.name_of(&row.did).await,
                did: row.did.to_string(),
                host: row.host,
                scopes: row.scope.split_ascii_whitespace().map(str::to_owned).collect(),
            });
        }
        let view = View { csrf: ask.frame.csrf.clone(), browsers: browsers.collect(), at_hosts };
        Ok(ask.show(&Page::new(ask.w.t("sessions-title"), body(&ask.w, &view))))
    })
    .await
}

fn trouble(error: p2pds_agent::SignInError) -> Refused {
    Refused::Trouble(Trouble::said(error.to_string(), None))
}

/// `POST /sessions/end`
pub async fn end(
    State(web): State<Web>,
    Extension(seen): Extension<Arc<Seen>>,
    ask: Ask,
    fields: Fields,
) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let wanted = fields.text("id");
        let found = web.door().sessions().await?.into_iter().find(|session| id(session) == wanted);
        let Some(session) = found else { return Ok(Ask::go("/sessions")) };
        web.door().sign_out(DropSessions::One(session.token)).await?;
        let own = seen.session.as_ref().is_some_and(|own| own.token == session.token);
        Ok(if own { with_cookies(Ask::go("/"), seen.forget()) } else { Ask::go("/sessions") })
    })
    .await
}

/// `POST /sessions/everywhere`
pub async fn everywhere(
    State(web): State<Web>,
    Extension(seen): Extension<Arc<Seen>>,
    ask: Ask,
    _: Fields,
) -> Response {
    answer(&ask, async {
        ask.operator()?;
        web.door().sign_out(DropSessions::All).await?;
        Ok(with_cookies(Ask::go("/"), seen.forget()))
    })
    .await
}

/// `POST /sessions/host`
pub async fn host(State(web): State<Web>, ask: Ask, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let did = Did::parse(&fields.text("did")).map_err(|_| Refused::NotFound)?;
        web.door().agents().sign_out(&did).await.map_err(trouble)?;
        Ok(Ask::go("/sessions"))
    })
    .await
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let browser = |n: i64| Browser {
        id: format!("{n:016x}"),
        agent: "Mozilla/5.0 (X11; Linux x86_64)".to_owned(),
        address: "192.0.2.1".to_owned(),
        used_at: crate::samples::NOW.saturating_sub(n.saturating_mul(3_600_000_000)),
        own: n == 0,
    };
    let at_host = |scopes: &[&str]| AtHost {
        did: crate::samples::did().to_string(),
        called: "alice.example.com".to_owned(),
        host: "https://pds.example.com".to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
    };
    let full = View {
        browsers: vec![browser(0), browser(1)],
        at_hosts: vec![at_host(&["atproto", "repo:app.bsky.feed.post"]), at_host(&[])],
        ..View::default()
    };
    let alone = View { browsers: vec![browser(0)], ..View::default() };
    [("empty", alone), ("success", full)]
        .map(|(state, view)| Sample { page: "sessions", state, body: body(w, &view) })
        .into()
}
