//! What strangers see: what this node is, and the way in for its owner.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use crate::ask::Ask;
use crate::layout::Page;
use crate::pages::Sample;
use crate::parts::name;
use crate::web::Web;
use crate::words::Words;

/// What is shown.
#[derive(Debug, Default)]
pub struct View {
    /// What the operator calls the node.
    pub name: Option<String>,
    /// How the operator is reached.
    pub contact: Option<String>,
    /// Accounts are hosted here.
    pub hosting: bool,
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        h1 { @match &view.name { Some(text) => (name(text)), None => (w.t("about-title")) } }
        p { (w.t("about-what")) }
        @if view.hosting { p { (w.t("about-hosting")) } p { a.button href="/account" { (w.t("nav-account")) } } }
        @if let Some(contact) = &view.contact { p { (w.t("about-contact")) " " (name(contact)) } }
        p { a href="/sign-in" { (w.t("about-owner")) } }
    }
}

/// What a stranger is shown instead of the owner's page.
#[must_use]
pub fn stranger(web: &Web, ask: &Ask) -> Response {
    let config = web.config();
    let view =
        View { name: config.name.clone(), contact: config.contact.clone(), hosting: web.host().is_some() };
    ask.show(&Page::new(ask.w.t("about-title"), body(&ask.w, &view)))
}

/// `GET /about`
pub async fn show(State(web): State<Web>, ask: Ask) -> Response {
    stranger(&web, &ask)
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let full =
        View { name: Some("Example".to_owned()), contact: Some("op@example.com".to_owned()), hosting: true };
    [("empty", View::default()), ("success", full)]
        .map(|(state, view)| Sample { page: "about", state, body: body(w, &view) })
        .into()
}
