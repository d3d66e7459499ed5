//! Work that goes on: how far it is, and how it ended.

use std::convert::Infallible;

use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use maud::{Markup, html};
use p2pds_archive::{ProgressEvent, Stage, Unit};
use tokio::sync::watch;

use crate::args;
use crate::ask::{Ask, Refused, answer};
use crate::form::Fields;
use crate::jobs::{End, Job, Kind, Stop};
use crate::layout::Page;
use crate::node_side::Trouble;
use crate::pages::Sample;
use crate::parts::{self, Tone, name, said};
use crate::web::Web;
use crate::words::Words;

/// Between two pieces that are sent.
const PACE: std::time::Duration = std::time::Duration::from_millis(200);

fn path(job: &Job) -> String {
    format!("/jobs/{}", job.id)
}

/// A line about a job for other pages.
#[must_use]
pub fn brief(w: &Words, job: &Job) -> Markup {
    parts::notice(
        Tone::Unknown,
        html! {
            p {
                strong { (w.t(&format!("job-{}", job.kind.word()))) } " " (name(&job.subject)) " · "
                @if let Some((phase, done, total)) = job.now() {
                    (w.word("phase", phase.as_str()))
                    @if let Some(total) = total.filter(|total| *total > 0) { " " (w.percent(done, total)) }
                }
            }
            p { a href=(path(job)) { (w.t("job-watch")) } }
        },
    )
}

/// The page.
#[must_use]
pub fn body(w: &Words, csrf: &str, job: &Job) -> Markup {
    html! {
        h1 { (w.t(&format!("job-{}", job.kind.word()))) " " (name(&job.subject)) }
        @if job.end.is_none() {
            div data-live={ (path(job)) "/events" } aria-live="polite" { (piece(w, job)) }
            p.soft { (w.t("job-may-leave")) }
            @if job.stop.is_some() { (parts::button(csrf, &format!("{}/stop", path(job)), "second", &w.t("job-stop"))) }
        } @else { (piece(w, job)) }
    }
}

/// The part that moves.
fn piece(w: &Words, job: &Job) -> Markup {
    html! {
        @if let Some(found) = &job.found { (found_note(w, found)) }
        ol.steps { @for phase in &job.phases { (step(w, job, phase)) } }
        @if job.phases.is_empty() && job.end.is_none() { p { (w.t("loading")) } }
        @if !job.notes.is_empty() {
            details { summary { (w.t("job-notes")) } ul { @for note in &job.notes { li { (said(note)) } } } }
        }
        @match &job.end {
            Some(End::Failed(trouble)) => {
                (parts::trouble(w, trouble))
                p { (w.t("job-nothing-lost")) }
            }
            Some(End::Done { next, words }) => {
                (parts::notice(Tone::Good, html! {
                    p { strong { (w.t(&format!("job-{}-done", job.kind.word()))) } }
                    @if !words.is_empty() { details { summary { (w.t("job-words")) } pre lang="en" dir="ltr" translate="no" { (words) } } }
                    p { a.button href=(next) { (w.t("job-next")) } }
                }))
            }
            Some(End::Asks { next }) => {
                (parts::notice(Tone::Warn, html! {
                    p { strong { (w.t("job-asks")) } }
                    p { a.button href=(next) { (w.t("job-asks-next")) } }
                }))
            }
            None => {}
        }
    }
}

fn found_note(w: &Words, found: &p2pds_archive::Found) -> Markup {
    html! {
        dl.facts {
            dt { (w.t("found-account")) } dd { (name(found.handle.handle.as_deref().unwrap_or(found.did.as_str()))) }
            dt { "DID" } dd { (parts::code(found.did.as_str())) }
            dt { (w.t("found-host")) } dd { @match &found.host { Some(host) => (name(host)), None => (w.t("none")) } }
            @if let Some(bytes) = found.repo_bytes { dt { (w.t("found-size")) } dd { (w.size(bytes)) } }
            @if let Some(blobs) = found.blobs { dt { (w.t("found-media")) } dd { (w.number(blobs)) } }
            dt { (w.t("found-disk")) } dd { (w.size(found.disk_available)) }
        }
    }
}

fn step(w: &Words, job: &Job, phase: &ProgressEvent) -> Markup {
    let finished = phase.stage == Stage::Finished;
    let failed = !finished && matches!(job.end, Some(End::Failed(_)));
    let class = if finished || job.end.is_some() && !failed {
        "done"
    } else if failed {
        "failed"
    } else {
        "now"
    };
    let said_of = |n: u64| if phase.unit == Unit::Bytes { w.size(n) } else { w.number(n) };
    html! {
        li class=(class) {
            (w.word("phase", phase.phase.as_str()))
            @if phase.done > 0 {
                ": " @match phase.total.filter(|_| !finished) {
                    Some(total) => (w.f("job-of", args!(done = said_of(phase.done), total = said_of(total)))),
                    None => (said_of(phase.done)),
                }
            }
            @if let (false, Some(total)) = (finished || failed, phase.total) {
                br; progress max=(total.max(1)) value=(phase.done.min(total)) aria-label=(w.word("phase", phase.phase.as_str())) {}
            }
        }
    }
}

/// `GET /jobs/{id}`
pub async fn show(State(web): State<Web>, ask: Ask, Path(id): Path<String>) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let job = web.jobs().find(&id).ok_or(Refused::NotFound)?.borrow().clone();
        let title = format!("{} {}", ask.w.t(&format!("job-{}", job.kind.word())), job.subject);
        // What was found out is shown on a page of its own.
        if let (Kind::Plan, Some(End::Done { next, .. })) = (job.kind, &job.end) {
            return Ok(Ask::go(next));
        }
        let refresh = job.end.is_none().then_some(3);
        Ok(ask.show(&Page { refresh, ..Page::new(title, body(&ask.w, &ask.frame.csrf, &job)) }))
    })
    .await
}

/// `POST /jobs/{id}/stop`
pub async fn stop(State(web): State<Web>, ask: Ask, Path(id): Path<String>, _: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let job = web.jobs().find(&id).ok_or(Refused::NotFound)?.borrow().clone();
        if let Some(stop) = &job.stop {
            stop.stop();
        }
        Ok(Ask::go(&path(&job)))
    })
    .await
}

/// `GET /jobs/{id}/events`: a piece of the page whenever it has changed, and where to go at the end.
pub async fn events(State(web): State<Web>, ask: Ask, Path(id): Path<String>) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let job = web.jobs().find(&id).ok_or(Refused::NotFound)?;
        let w = ask.w.clone();
        let stream = futures::stream::unfold((job, w, false), next).boxed();
        Ok(Sse::new(stream).keep_alive(KeepAlive::default()).into_response())
    })
    .await
}

type Watching = (watch::Receiver<Job>, Words, bool);

async fn next((mut job, w, over): Watching) -> Option<(Result<Event, Infallible>, Watching)> {
    if over {
        return None;
    }
    tokio::time::sleep(PACE).await;
    let seen = job.borrow_and_update().clone();
    if seen.end.is_some() {
        // Browsers drop an event without data.
        return Some((Ok(Event::default().event("end").data(path(&seen))), (job, w, true)));
    }
    let piece = Event::default().event("piece").data(piece(&w, &seen).into_string());
    // When the job is gone, so is its sender; the next look finds its end.
    let _ = job.changed().await;
    Some((Ok(piece), (job, w, false)))
}

/// A made-up job.
pub(crate) fn made_up(ended: bool) -> Job {
    use crate::samples::NOW;
    use p2pds_archive::Phase;
    let phase = |phase, stage, done, total| ProgressEvent {
        did: None,
        phase,
        stage,
        done,
        total,
        unit: Unit::Bytes,
        message: String::new(),
        found: None,
    };
    Job {
        id: "k5xw".to_owned(),
        kind: Kind::Add,
        subject: "alice.example.com".to_owned(),
        began: NOW,
        phases: vec![
            phase(Phase::Resolve, Stage::Finished, 0, None),
            phase(
                Phase::Fetch,
                if ended { Stage::Finished } else { Stage::Running },
                4_200_000,
                Some(8_400_000),
            ),
        ],
        notes: vec!["the host lists 321 blobs".to_owned()],
        found: None,
        stop: None,
        end: ended.then(|| End::Done { next: "/".to_owned(), words: String::new() }),
    }
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let empty = Job { phases: Vec::new(), notes: Vec::new(), ..made_up(false) };
    let end = End::Failed(Trouble::said("the host does not answer", Some("try again".to_owned())));
    let failed = Job { end: Some(end), ..made_up(false) };
    let asks = Job { end: Some(End::Asks { next: "/add/plan/k5xw".to_owned() }), ..made_up(false) };
    let many = Job { kind: Kind::TakeIn, stop: Some(Stop::default()), ..made_up(false) };
    [
        ("empty", empty.clone()),
        ("loading", empty),
        ("partial", made_up(false)),
        ("partial", many),
        ("error", failed),
        ("error", asks),
        ("success", made_up(true)),
    ]
    .map(|(state, job)| Sample { page: "job", state, body: body(w, "t", &job) })
    .into()
}
