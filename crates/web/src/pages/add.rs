//! Add accounts: one, a list, everyone whom somebody follows.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use crate::args;
use crate::ask::{Ask, Refused, answer};
use crate::form::Fields;
use crate::jobs::{End, Kind};
use crate::layout::Page;
use crate::node_side::{CapacityNote, Trouble};
use crate::pages::Sample;
use crate::parts::{self, account_path};
use crate::web::Web;
use crate::words::{Figure, Sentence, Words};

/// Accounts that are begun at once.
const MOST: usize = 16;

/// What is shown.
#[derive(Debug, Default)]
pub struct View {
    /// The token of forms.
    pub csrf: String,
    /// What was typed in.
    pub typed: String,
    /// How much room there is.
    pub capacity: Option<CapacityNote>,
    /// Why it was not begun.
    pub trouble: Option<Trouble>,
    /// Nothing is archived yet.
    pub first: bool,
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        h1 { (w.t(if view.first { "start-title" } else { "add-title" })) }
        @if view.first { p { (w.t("start-lead")) } }
        @if let Some(trouble) = &view.trouble { (parts::trouble(w, trouble)) }
        form method="post" action="/add" {
            (parts::csrf(&view.csrf))
            div.field {
                label for="accounts" {
                    (w.t("add-label"))
                    span.hint { (w.t("add-hint")) }
                }
                textarea #accounts name="accounts" rows="3" required autocapitalize="none" spellcheck="false" dir="ltr"
                    placeholder="alice.example.com" aria-invalid=[view.trouble.is_some().then_some("true")] { (view.typed) }
            }
            button type="submit" { (w.t("add-button")) }
        }
        h2 { (w.t("add-included-title")) }
        p { (w.t("add-included")) }
        p { (w.t("add-not-included")) }
        @if let Some(room) = view.capacity {
            h2 { (w.t("add-room-title")) }
            p {
                (w.f("add-room", args!(stored = w.size(room.stored), free = w.size(room.free.saturating_sub(room.keep_free)))))
                @if let Some(at) = room.full_at { " " (w.f("add-room-full", args!(date = w.date(at)))) }
            }
        }
    }
}

/// `GET /add`
pub async fn show(State(web): State<Web>, ask: Ask) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let view = view(&web, &ask).await;
        Ok(ask.show(&page(&ask, &view)))
    })
    .await
}

fn page(ask: &Ask, view: &View) -> Page {
    Page::new(ask.w.t(if view.first { "start-title" } else { "add-title" }), body(&ask.w, view))
}

async fn view(web: &Web, ask: &Ask) -> View {
    let first = web.archive().list().await.is_ok_and(|lines| lines.is_empty());
    View {
        csrf: ask.frame.csrf.clone(),
        capacity: web.node().capacity().await.ok(),
        first,
        ..View::default()
    }
}

/// `POST /add`
pub async fn post(State(web): State<Web>, ask: Ask, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let typed = fields.text("accounts");
        let names: Vec<String> = typed
            .split([' ', ',', '\n', '\r', '\t'])
            .map(|name| name.trim_start_matches('@').to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        if names.is_empty() || names.len() > MOST {
            let sentence = Sentence::of("add-wrong").with("most", Figure::Count(MOST as u64));
            let trouble = Some(Trouble::of(sentence));
            let view = View { typed, trouble, ..view(&web, &ask).await };
            return Ok(ask.show_as(axum::http::StatusCode::BAD_REQUEST, &page(&ask, &view)));
        }
        let mut first = None;
        for name in &names {
            let id = begin(&web, name)?;
            first.get_or_insert(id);
        }
        let to = match (names.len(), first) {
            (1, Some(id)) => format!("/jobs/{id}"),
            _ => "/".to_owned(),
        };
        Ok(Ask::go(&to))
    })
    .await
}

fn begin(web: &Web, name: &str) -> Result<String, Refused> {
    let (archive, wanted) = (web.archive().clone(), name.to_owned());
    let work = move |progress| async move {
        match archive.add(&wanted, &progress).await {
            Ok(summary) => End::Done { next: account_path(summary.did.as_str()), words: summary.to_string() },
            Err(error) => End::Failed(error.into()),
        }
    };
    web.jobs().begin(Kind::Add, name, web.now(), work).map_err(|busy| Refused::Trouble(busy.into()))
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let room = CapacityNote {
        stored: 420_000_000,
        free: 80_000_000_000,
        full_at: Some(crate::samples::NOW),
        ..CapacityNote::default()
    };
    let known = View { capacity: Some(room), ..View::default() };
    let first = View { first: true, capacity: Some(room), ..View::default() };
    let error =
        View { typed: "a b".to_owned(), trouble: Some(crate::pages::made_up_trouble()), ..View::default() };
    [("empty", first), ("partial", View::default()), ("error", error), ("success", known)]
        .map(|(state, view)| Sample { page: "add", state, body: body(w, &view) })
        .into()
}
