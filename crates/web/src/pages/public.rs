//! For everybody: whose data is here by which right, and what is kept of visitors.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use crate::ask::{Ask, answer};
use crate::layout::Page;
use crate::pages::Sample;
use crate::web::Web;
use crate::words::Words;

/// What is shown.
#[derive(Debug, Default, Clone)]
pub struct View {
    /// The operator's own privacy policy.
    pub policy: Option<String>,
    /// Accounts are hosted here.
    pub hosting: bool,
}

/// The page about privacy.
#[must_use]
pub fn privacy_body(w: &Words, view: &View) -> Markup {
    html! {
        h1 { (w.t("privacy-title")) }
        p { (w.t("privacy-what")) }
        p { (w.t("privacy-served")) }
        p { (w.t("privacy-visitors")) }
        @if view.hosting { p { (w.t("privacy-hosting")) } }
        @if let Some(url) = view.policy.as_deref().filter(|url| url.starts_with("https://") || url.starts_with("http://")) {
            p { a href=(url) { (w.t("privacy-policy")) } }
        }
    }
}

fn view(web: &Web) -> View {
    let config = web.config();
    View { policy: config.privacy_policy_url.clone(), hosting: web.host().is_some() }
}

/// `GET /privacy`
pub async fn privacy(State(web): State<Web>, ask: Ask) -> Response {
    answer(&ask, async {
        Ok(ask.show(&Page::new(ask.w.t("privacy-title"), privacy_body(&ask.w, &view(&web)))))
    })
    .await
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let full = View { policy: Some("https://example.com/p".into()), hosting: true };
    vec![
        Sample { page: "privacy", state: "empty", body: privacy_body(w, &View::default()) },
        Sample { page: "privacy", state: "success", body: privacy_body(w, &full) },
    ]
}
