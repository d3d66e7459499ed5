//! What adding several accounts would mean: who was found and who was not, how much it is, whether it fits. Nothing is
//! begun until somebody says so here.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use p2pds_archive::{Candidate, Estimate, Fit, Intake, NotFound, RoomNote, Source, Span};

use super::{again, begin, many};
use crate::args;
use crate::ask::{Ask, Refused, Shown, answer};
use crate::form::Fields;
use crate::jobs::{End, Kind};
use crate::layout::Page;
use crate::node_side::Trouble;
use crate::pages::Sample;
use crate::pages::act::failed;
use crate::parts::{self, Tone, account_path, code, name, said};
use crate::web::Web;
use crate::words::{Sentence, Words};

/// How long an answer waits for a look that is quick; a longer one is shown while it goes on.
const QUICK: Duration = Duration::from_secs(3);
/// Rows of one list that are shown.
const SHOWN: usize = 200;

/// What is shown.
#[derive(Debug)]
pub struct View {
    /// The token of forms.
    pub csrf: String,
    /// The plan's name in addresses.
    pub id: String,
    /// The plan; `None` when it is not known any more.
    pub plan: Option<Arc<Intake>>,
    /// The disk as it is now.
    pub room: Option<RoomNote>,
    /// Why it was not begun.
    pub trouble: Option<Trouble>,
}

/// The page of a plan.
#[must_use]
pub fn path(id: &str) -> String {
    format!("/add/plan/{id}")
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        h1 { (w.t("plan-title")) }
        @if let Some(trouble) = &view.trouble { (parts::trouble(w, trouble)) }
        @match &view.plan {
            None => {
                div.empty {
                    p { (w.t("plan-gone")) }
                    p { a.button href="/add" { (w.t("plan-again")) } }
                }
            }
            Some(plan) => {
                (read_from(w, plan))
                @if plan.cut { (parts::notice(Tone::Warn, html! { p { (w.f("plan-cut", args!(most = p2pds_archive::MOST_AT_ONCE))) } })) }
                @if plan.found.is_empty() { p.empty { (w.t("plan-nobody")) } }
                @else { (decision(w, view, plan)) (found(w, &plan.found)) }
                (not_found(w, view, &plan.not_found))
                (here(w, &plan.here))
            }
        }
    }
}

fn read_from(w: &Words, plan: &Intake) -> Markup {
    let key = match plan.source {
        Source::Names(_) => return html! {},
        Source::FollowsOf(_) => "plan-follows",
        Source::List(_) => "plan-list",
    };
    html! {
        p {
            (w.t(key)) " "
            @if let Some(did) = &plan.of { (code(did.as_str())) " " }
            @match &plan.read_at { Some(host) => { (w.t("plan-read-at")) " " (name(host)) }, None => (w.t("plan-read-here")) }
        }
    }
}

/// How much it is, whether it fits, and the button.
fn decision(w: &Words, view: &View, plan: &Intake) -> Markup {
    let room = view.room.unwrap_or(plan.room);
    let asks = room.fit.asks();
    let tone = match room.fit {
        Fit::Fits => Tone::Good,
        Fit::Unknown => Tone::Unknown,
        Fit::MayNot | Fit::Not => Tone::Bad,
    };
    html! {
        dl.facts {
            dt { (w.t("plan-new")) } dd { (w.f("plan-accounts", args!(count = plan.found.len()))) }
            dt { (w.t("plan-size")) } dd { (span(w, plan.estimate.size)) (basis(w, &plan.estimate)) }
            dt { (w.t("plan-room-now")) } dd { (w.size(room.usable)) span.hint { (w.f("plan-room-kept", args!(kept = w.size(room.keep_free)))) } }
            dt { (w.t("plan-room-after")) } dd { (after(w, room)) }
        }
        (parts::notice(tone, html! { p { strong { (w.t(&format!("plan-fit-{}", room.fit.as_str()))) } } }))
        form method="post" action=(path(&view.id)) {
            (parts::csrf(&view.csrf))
            @if asks {
                label.choice {
                    input type="checkbox" name="anyway" value="yes" required;
                    span { (w.t("plan-anyway")) }
                }
            }
            div.row {
                button type="submit" { (w.f("plan-start", args!(count = plan.found.len()))) }
                a.button.second href="/add" { (w.t("plan-other")) }
            }
            p.soft { (w.t("plan-order")) }
        }
    }
}

fn span(w: &Words, span: Span) -> Markup {
    html! {
        @match (span.low, span.high) {
            (low, Some(high)) if low == high => (w.size(low)),
            (low, Some(high)) => (w.f("plan-from-to", args!(low = w.size(low), high = w.size(high)))),
            (0, None) => (w.t("plan-unknown")),
            (low, None) => (w.f("plan-at-least", args!(low = w.size(low)))),
        }
    }
}

fn after(w: &Words, room: RoomNote) -> Markup {
    match room.fit {
        Fit::Fits => span(w, room.after),
        Fit::Unknown => {
            html! { (w.f("plan-at-most", args!(high = w.size(room.after.high.unwrap_or(room.usable))))) }
        }
        Fit::MayNot => {
            html! { span.bad-ink { (w.f("plan-at-most", args!(high = w.size(room.after.high.unwrap_or(0))))) } }
        }
        Fit::Not => html! { span.bad-ink { (w.t("plan-none-left")) } },
    }
}

/// What the estimate rests on.
fn basis(w: &Words, estimate: &Estimate) -> Markup {
    html! {
        span.hint {
            @if estimate.looked_at == 0 { (w.t("plan-looked-none")) }
            @else if estimate.looked_at == estimate.accounts { (w.t("plan-looked-all")) }
            @else { (w.f("plan-looked-some", args!(some = w.number(estimate.looked_at), all = w.number(estimate.accounts)))) }
            @if estimate.blobs > 0 {
                " " (w.f("plan-media", args!(listed = w.number(estimate.blobs), measured = w.number(estimate.blobs_measured))))
            }
            @if estimate.looked_at < estimate.accounts || estimate.size.high.is_none() {
                " " (w.f("plan-known-here", args!(count = estimate.known_here)))
            }
        }
    }
}

fn heads(w: &Words, keys: &[&str]) -> Markup {
    html! { thead { tr { @for key in keys { th scope="col" { (w.t(key)) } } } } }
}

fn more(w: &Words, all: usize) -> Markup {
    html! { @if all > SHOWN { p.soft { (w.f("plan-more", args!(count = all.saturating_sub(SHOWN)))) } } }
}

fn found(w: &Words, all: &[Candidate]) -> Markup {
    html! {
        h2 { (w.t("plan-found-title")) }
        @if all.iter().any(|one| one.host.is_none()) { p.soft { (w.t("plan-later")) } }
        div.scroll tabindex="0" { table.stack {
            (heads(w, &["found-account", "found-host", "plan-size"]))
            tbody { @for one in all.iter().take(SHOWN) { tr {
                th scope="row" {
                    @if let Some(handle) = &one.handle { (name(handle)) br; }
                    (code(one.did.as_str()))
                    @if let Some(remark) = &one.remark { br; span.warn-ink { (said(remark)) } }
                }
                td data-label=(w.t("found-host")) { @match &one.host { Some(host) => (name(host)), None => (w.t("plan-not-asked")) } }
                td data-label=(w.t("plan-size")) { @match one.size { Some(size) => (span(w, size)), None => (w.t("plan-not-asked")) } }
            } } }
        } }
        (more(w, all.len()))
    }
}

fn not_found(w: &Words, view: &View, all: &[NotFound]) -> Markup {
    let later: Vec<&str> = all.iter().filter(|one| one.later).map(|one| one.name.as_str()).collect();
    html! {
        @if !all.is_empty() {
            h2 { (w.t("plan-lost-title")) }
            div.scroll tabindex="0" { table.stack {
                (heads(w, &["plan-name", "plan-why"]))
                tbody { @for one in all.iter().take(SHOWN) { tr {
                    th scope="row" { (name(&one.name)) }
                    td data-label=(w.t("plan-why")) { (said(&one.why)) }
                } } }
            } }
            (more(w, all.len()))
            @if !later.is_empty() {
                form method="post" action="/add/plan" {
                    (parts::csrf(&view.csrf))
                    input type="hidden" name="accounts" value=(later.join(" "));
                    button.second type="submit" { (w.f("plan-look-again", args!(count = later.len()))) }
                }
            }
        }
    }
}

fn here(w: &Words, all: &[Candidate]) -> Markup {
    html! {
        @if !all.is_empty() {
            details {
                summary { (w.f("plan-here", args!(count = all.len()))) }
                ul { @for one in all.iter().take(SHOWN) {
                    li {
                        @let called = one.handle.as_deref().unwrap_or(one.did.as_str());
                        @match &one.remark {
                            Some(remark) => { (name(called)) ": " (said(remark)) },
                            None => a href=(account_path(one.did.as_str())) { (name(called)) },
                        }
                    }
                } }
                (more(w, all.len()))
            }
        }
    }
}

/// `POST /add/plan`
pub async fn post(State(web): State<Web>, ask: Ask, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        look(&web, &ask, &fields).await
    })
    .await
}

/// Who a form means.
fn source(fields: &Fields) -> Option<Source> {
    let text = |field: &str| Some(fields.text(field)).filter(|text| !text.is_empty());
    if let Some(name) = text("follows") {
        return Some(Source::FollowsOf(name));
    }
    if let Some(uri) = text("list") {
        return Some(Source::List(uri));
    }
    let names = Source::names_in(&text("accounts")?);
    (names != Source::Names(Vec::new())).then_some(names)
}

/// Looks at what a form means and shows it.
///
/// # Errors
/// Too much runs already.
pub async fn look(web: &Web, ask: &Ask, fields: &Fields) -> Shown {
    let typed = fields.text("accounts");
    let Some(source) = source(fields) else {
        return again(web, ask, typed, Trouble::of(Sentence::of("add-wrong"))).await;
    };
    let shared = web.clone();
    let wanted = source.clone();
    let work = move |progress| async move {
        match shared.archive().look_at(&wanted, &progress).await {
            Ok(plan) => match shared.plans().put(plan) {
                Some(id) => End::Done { next: path(&id), words: String::new() },
                None => failed(Trouble::said("this machine gives no random numbers", None)),
            },
            Err(error) => failed(error),
        }
    };
    let begun = web.jobs().begin(Kind::Plan, &subject(&source), web.now(), work);
    let id = begun.map_err(|busy| Refused::Trouble(busy.into()))?;
    if let Some(mut job) = web.jobs().find(&id) {
        // Whoever named two accounts need not look at a bar first.
        let ended = tokio::time::timeout(QUICK, job.wait_for(|job| job.end.is_some())).await;
        let end = ended.ok().and_then(Result::ok).and_then(|job| job.end.clone());
        match end {
            Some(End::Done { next, .. }) => return Ok(Ask::go(&next)),
            Some(End::Failed(trouble)) => return again(web, ask, typed, trouble).await,
            _ => {}
        }
    }
    Ok(Ask::go(&format!("/jobs/{id}")))
}

/// What a job about these accounts is about.
pub(super) fn subject(source: &Source) -> String {
    match source {
        Source::FollowsOf(name) => name.clone(),
        Source::List(uri) => uri.clone(),
        Source::Names(names) => match names.as_slice() {
            [] => String::new(),
            [only] => only.clone(),
            [first, rest @ ..] => format!("{first} + {}", rest.len()),
        },
    }
}

/// `GET /add/plan/{id}`
pub async fn show(State(web): State<Web>, ask: Ask, Path(id): Path<String>) -> Response {
    answer(&ask, async {
        ask.operator()?;
        shown(&web, &ask, id, None).await
    })
    .await
}

async fn shown(web: &Web, ask: &Ask, id: String, trouble: Option<Trouble>) -> Shown {
    let plan = web.plans().get(&id);
    let room = match &plan {
        Some(plan) => Some(web.archive().room_for(plan.estimate.size).await?),
        None => None,
    };
    let status = match (&plan, &trouble) {
        (None, _) => StatusCode::NOT_FOUND,
        (_, Some(_)) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    let view = View { csrf: ask.frame.csrf.clone(), id, plan, room, trouble };
    Ok(ask.show_as(status, &Page::new(ask.w.t("plan-title"), body(&ask.w, &view))))
}

/// `POST /add/plan/{id}`: begins it.
pub async fn start(State(web): State<Web>, ask: Ask, Path(id): Path<String>, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let Some(plan) = web.plans().get(&id) else { return shown(&web, &ask, id, None).await };
        let anyway = fields.ticked("anyway");
        let room = web.archive().room_for(plan.estimate.size).await?;
        if room.fit.asks() && !anyway {
            let trouble = Some(Trouble::of(Sentence::of("plan-not-begun")));
            return shown(&web, &ask, id, trouble).await;
        }
        match plan.found.as_slice() {
            [] => Ok(Ask::go("/accounts")),
            [only] => Ok(Ask::go(&format!("/jobs/{}", begin(&web, only.did.as_str(), true)?))),
            _ => many::start(&web, &plan).await,
        }
    })
    .await
}

fn made_up(size: Span, fit: Fit) -> Intake {
    let did = crate::samples::did();
    let one = |handle: Option<&str>| Candidate {
        did: did.clone(),
        handle: handle.map(str::to_owned),
        host: handle.map(|_| "https://pds.example.com".to_owned()),
        size: handle.map(|_| Span { low: 4_000_000, high: Some(9_000_000) }),
        remark: None,
    };
    let lost =
        |name: &str, later| NotFound { name: name.to_owned(), why: "no such handle".to_owned(), later };
    Intake {
        source: Source::FollowsOf("alice.example.com".to_owned()),
        of: Some(did.clone()),
        read_at: Some("https://pds.example.com".to_owned()),
        found: vec![one(Some("bob.example.com")), one(None)],
        here: vec![one(Some("carol.example.com"))],
        not_found: vec![lost("nobody.example.com", false)],
        cut: false,
        estimate: Estimate {
            accounts: 2,
            looked_at: 1,
            known_here: 3,
            size,
            records: size,
            blobs: 321,
            blobs_measured: 4,
        },
        room: RoomNote {
            usable: 79_000_000_000,
            keep_free: 1_000_000_000,
            after: Span { low: 78_000_000_000, high: Some(78_990_000_000) },
            fit,
        },
    }
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let known = Span { low: 8_000_000, high: Some(31_000_000) };
    let view = |plan: Option<Intake>, trouble| View {
        csrf: "t".to_owned(),
        id: "k5xw".to_owned(),
        plan: plan.map(Arc::new),
        room: None,
        trouble,
    };
    let nobody = Intake { found: Vec::new(), source: Source::Names(Vec::new()), ..made_up(known, Fit::Fits) };
    let waiting = NotFound { name: "dora.example.com".to_owned(), why: "no time".to_owned(), later: true };
    let partial = Intake {
        cut: true,
        read_at: None,
        not_found: vec![waiting],
        ..made_up(Span { low: 8_000_000, high: None }, Fit::Unknown)
    };
    let full = made_up(Span { low: 90_000_000_000, high: Some(150_000_000_000) }, Fit::Not);
    let tight = made_up(Span { low: 9_000_000_000, high: Some(150_000_000_000) }, Fit::MayNot);
    [
        ("empty", view(None, None)),
        ("empty", view(Some(nobody), None)),
        ("partial", view(Some(partial), None)),
        ("partial", view(Some(tight), None)),
        ("error", view(Some(full), Some(crate::pages::made_up_trouble()))),
        ("success", view(Some(made_up(known, Fit::Fits)), None)),
    ]
    .map(|(state, view)| Sample { page: "add/plan", state, body: body(w, &view) })
    .into()
}
