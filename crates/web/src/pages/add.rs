//! Add accounts: one at once, several after a look at how much that is (`add/plan.rs`), and how far they have come
//! (`add/many.rs`).

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use p2pds_archive::{MOST_AT_ONCE, Source};

use crate::args;
use crate::ask::{Ask, Refused, Shown, answer};
use crate::door::Who;
use crate::form::Fields;
use crate::jobs::{End, Kind};
use crate::layout::Page;
use crate::node_side::{CapacityNote, Trouble};
use crate::pages::Sample;
use crate::pages::act::failed;
use crate::parts::{self, account_path};
use crate::web::Web;
use crate::words::Words;

pub mod many;
pub mod plan;

/// What is shown.
#[derive(Debug, Default)]
pub struct View {
    /// The token of forms.
    pub csrf: String,
    /// What was typed in.
    pub typed: String,
    /// Whose follows are offered.
    pub follows: String,
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
                    span.hint { (w.f("add-hint", args!(most = MOST_AT_ONCE))) }
                }
                textarea #accounts name="accounts" rows="3" required autocapitalize="none" spellcheck="false" dir="ltr"
                    placeholder="alice.example.com" aria-invalid=[view.trouble.is_some().then_some("true")] { (view.typed) }
            }
            div.row {
                button type="submit" { (w.t("add-button")) }
                button.second type="submit" formaction="/add/plan" { (w.t("add-look")) }
            }
        }
        h2 { (w.t("add-many-title")) }
        p { (w.t("add-many-words")) }
        (source(w, view, "follows", "add-follows", &view.follows))
        (source(w, view, "list", "add-list", ""))
        (file(w, view))
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

/// A form that names where names are read.
fn source(w: &Words, view: &View, field: &str, words: &str, value: &str) -> Markup {
    html! {
        form method="post" action="/add/plan" {
            (parts::csrf(&view.csrf))
            div.field {
                label for=(field) { (w.t(words)) span.hint { (w.t(&format!("{words}-hint"))) } }
                input id=(field) name=(field) required autocapitalize="none" spellcheck="false" dir="ltr" value=(value);
            }
            button.second type="submit" { (w.t("add-look")) }
        }
    }
}

/// A form for a file with names.
fn file(w: &Words, view: &View) -> Markup {
    html! {
        form method="post" action="/add/plan" enctype="multipart/form-data" {
            (parts::csrf(&view.csrf))
            div.field {
                label for="file" { (w.t("add-file")) span.hint { (w.t("add-file-hint")) } }
                input #file type="file" name="accounts" accept="text/*,.csv" required;
            }
            button.second type="submit" { (w.t("add-look")) }
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
    let follows = match (&ask.visitor.who, &ask.visitor.name) {
        (Who::Owner(_), Some(name)) => name.clone(),
        (Who::Owner(did), None) => did.to_string(),
        _ => String::new(),
    };
    View {
        csrf: ask.frame.csrf.clone(),
        follows,
        capacity: web.node().capacity().await.ok(),
        first: web.archive().is_empty().await.unwrap_or(false),
        ..View::default()
    }
}

/// The page once more, with why it went no further.
async fn again(web: &Web, ask: &Ask, typed: String, trouble: Trouble) -> Shown {
    let view = View { typed, trouble: Some(trouble), ..view(web, ask).await };
    Ok(ask.show_as(axum::http::StatusCode::BAD_REQUEST, &page(ask, &view)))
}

/// `POST /add`: one account is begun; of several it is shown first what they would be.
pub async fn post(State(web): State<Web>, ask: Ask, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let typed = fields.text("accounts");
        let names = match Source::names_in(&typed) {
            Source::Names(names) => names,
            _ => Vec::new(),
        };
        match names.as_slice() {
            [name] => Ok(Ask::go(&format!("/jobs/{}", begin(&web, name, false)?))),
            _ => plan::look(&web, &ask, &fields).await,
        }
    })
    .await
}

/// Begins to archive one account. Unless somebody wants it `anyway`, it is not begun when it might not fit.
fn begin(web: &Web, name: &str, anyway: bool) -> Result<String, Refused> {
    let (shared, wanted) = (web.clone(), name.to_owned());
    let work = move |progress| async move {
        let archive = shared.archive();
        if !anyway {
            // A look that does not work is no reason not to begin: what is wrong, beginning will say.
            let looked = archive.look_at(&Source::Names(vec![wanted.clone()]), &progress).await;
            let tight = looked.ok().filter(|plan| plan.room.fit.asks());
            if let Some(id) = tight.and_then(|plan| shared.plans().put(plan)) {
                return End::Asks { next: plan::path(&id) };
            }
        }
        match archive.add(&wanted, &progress).await {
            Ok(summary) => End::Done { next: account_path(summary.did.as_str()), words: summary.to_string() },
            Err(error) => failed(error),
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
    let known = View { capacity: Some(room), follows: "alice.example.com".to_owned(), ..View::default() };
    let first = View { first: true, capacity: Some(room), ..View::default() };
    let error =
        View { typed: "a b".to_owned(), trouble: Some(crate::pages::made_up_trouble()), ..View::default() };
    [("empty", first), ("partial", View::default()), ("error", error), ("success", known)]
        .map(|(state, view)| Sample { page: "add", state, body: body(w, &view) })
        .into()
}
