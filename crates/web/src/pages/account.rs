//! One archived account: how it stands, what is kept of it, what is wrong, and what its owner chose.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use p2pds_archive::{CollectionLine, Details, EvidenceNote, FindingNote};

use crate::archived::{Subject, Tab, head};
use crate::args;
use crate::ask::{Ask, Shown, answer};
use crate::jobs::Job;
use crate::layout::Page;
use crate::node_side::Trouble;
use crate::pages::Sample;
use crate::pages::home::{is_hosted, lights, one_light};
use crate::pages::job::brief;
use crate::parts::{self, Tone, code, name, said};
use crate::safety::Light;
use crate::web::Web;
use crate::words::Words;

mod settings;

/// What is shown.
#[derive(Debug)]
pub struct View {
    /// Whose page it is.
    pub subject: Subject,
    /// The token of forms.
    pub csrf: String,
    /// All that is known of it.
    pub details: Details,
    /// Its lights.
    pub lights: [Light; 3],
    /// It lives on this node: there is no server to ask.
    pub hosted: bool,
    /// What runs for it now.
    pub jobs: Vec<Job>,
    /// Why something that was asked for was not done.
    pub trouble: Option<Trouble>,
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    let (details, line) = (&view.details, &view.details.line);
    html! {
        (head(w, &view.subject, Tab::Overview, &name(view.subject.name())))
        @if let Some(trouble) = &view.trouble { (parts::trouble(w, trouble)) }
        @if line.removing { (parts::notice(Tone::Bad, html! { p { (w.t("account-removing")) } })) }
        @for job in &view.jobs { (brief(w, job)) }
        ul.lights { @for light in &view.lights { (one_light(w, &view.csrf, light)) } }
        @if let Some(withdrawal) = &line.withdrawal {
            (parts::notice(Tone::Warn, html! { p { (w.t("account-withdrawn")) } p { (said(&withdrawal.words)) } }))
        }
        h2 { (w.t("account-do-title")) }
        (actions(w, view))
        h2 { (w.t("account-facts-title")) }
        (facts(w, view))
        (included(w))
        h2 { (w.t("account-records-title")) }
        (collections(w, &view.subject, &details.collections))
        (findings(w, &details.findings))
        (evidence(w, &details.evidence))
        (settings::all(w, view))
        h2 { (w.t("account-remove-title")) }
        p { (w.t("account-remove-words")) }
        p { a.button.second href=(view.subject.path("/remove")) { (w.t("account-remove-look")) } }
    }
}

fn actions(w: &Words, view: &View) -> Markup {
    let subject = &view.subject;
    let pause = if view.details.line.paused { ("/resume", "act-resume") } else { ("/pause", "act-pause") };
    let all = [("/sync", "act-sync"), ("/verify", "act-verify"), ("/drill", "act-drill"), pause];
    // Of what lives here, nothing is fetched.
    let fetches = |rest: &str| !["/verify", "/drill"].contains(&rest);
    html! {
        @if view.hosted { p { (w.t("account-hosted")) } }
        div.row {
            @for (rest, words) in all.into_iter().filter(|(rest, _)| !view.hosted || !fetches(rest)) { (parts::button(&view.csrf, &subject.path(rest), "second", &w.t(words))) }
        }
        p.soft { (w.t("act-hint")) }
    }
}

fn facts(w: &Words, view: &View) -> Markup {
    let line = &view.details.line;
    html! {
        dl.facts {
            dt { "DID" } dd { (code(line.did.as_str())) }
            dt { (w.t("fact-host")) } dd { @match &line.host { Some(host) => (name(host)), None => (w.t("none")) } }
            dt { (w.t("fact-status")) } dd { (name(&w.word("status", &line.status))) }
            @if !view.hosted {
                dt { (w.t("fact-live")) } dd { (live(w, view)) }
                dt { (w.t("fact-sync")) } dd {
                    @match line.last_sync_at { Some(at) => (w.time(at)), None => (w.t("never")) }
                    @if let Some(error) = &line.last_error { br; (w.t("fact-sync-error")) " " (said(error)) }
                }
            }
            dt { (w.t("fact-verified")) } dd {
                (name(&w.word("verified", &line.verified)))
                @if let Some(at) = line.last_verified_at {
                    br; (w.t("fact-checked")) " " (w.time(at)) ": "
                    (w.t(if line.last_verify_ok == Some(false) { "fact-damaged" } else { "fact-in-order" }))
                }
            }
            dt { (w.t("fact-records")) } dd {
                (w.f("fact-records-in", args!(count = w.number(line.records), size = w.size(line.record_bytes))))
            }
            dt { (w.t("fact-media")) } dd {
                (w.f("fact-media-in", args!(count = w.number(line.blobs_held), size = w.size(line.blob_bytes))))
                @if line.blobs_missing > 0 {
                    ", " a href=(view.subject.path("/media")) { (w.f("fact-media-missing", args!(count = line.blobs_missing))) }
                }
            }
            @if let Some(rev) = &line.rev {
                dt { (w.t("fact-rev")) } dd { (code(rev)) @if let Some(at) = line.rev_at { ", " (w.exact(at)) } }
            }
            dt { (w.t("fact-added")) } dd { (w.exact(line.added_at)) }
            @if let Some(full) = &line.full { dt { (w.t("fact-full")) } dd { (said(full)) } }
        }
        @if let Some(head) = &view.details.head {
            details {
                summary { (w.t("account-head-title")) }
                p { (w.t("account-head-words")) }
                dl.facts {
                    dt { (w.t("head-commit")) } dd { (code(&head.commit)) }
                    dt { (w.t("head-root")) } dd { (code(&head.data)) }
                    dt { (w.t("head-key")) } dd { @if head.key.is_empty() { (w.t("none")) } @else { (code(&head.key)) } }
                }
            }
        }
    }
}

fn live(w: &Words, view: &View) -> Markup {
    let line = &view.details.line;
    html! {
        @if line.paused { (w.t("live-paused")) }
        @else if let Some(live) = &line.live {
            (name(&w.word("live", &live.state))) " " (name(&live.from))
            // A relay is heard, whatever became of the account's own server.
            @if let Some(at) = if line.last_error.is_some() { line.last_sync_at } else { live.heard_at } { br; (w.t("live-heard")) " " (w.time(at)) }
        }
        @else { (w.t("live-no")) }
    }
}

fn included(w: &Words) -> Markup {
    const YES: [&str; 4] = ["kept-records", "kept-history", "kept-media", "kept-identity"];
    const NO: [&str; 4] =
        ["not-kept-preferences", "not-kept-messages", "not-kept-spaces", "not-kept-secrets"];
    html! {
        h2 { (w.t("account-kept-title")) }
        ul { @for key in YES { li { (w.t(key)) } } }
        h3 { (w.t("account-not-kept-title")) }
        ul { @for key in NO { li { (w.t(key)) } } }
    }
}

fn collections(w: &Words, subject: &Subject, lines: &[CollectionLine]) -> Markup {
    html! {
        @if lines.is_empty() { p.empty { (w.t("account-records-empty")) } }
        @else {
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { (w.t("collection")) } th.number scope="col" { (w.t("collection-records")) } } }
                tbody { @for line in lines {
                    tr {
                        th scope="row" {
                            a href={ (subject.path("/time")) "?collection=" (parts::segment(&line.collection)) } { (code(&line.collection)) }
                        }
                        td.number { (w.number(line.records)) }
                    }
                } }
            } }
        }
    }
}

fn findings(w: &Words, notes: &[FindingNote]) -> Markup {
    html! {
        @if !notes.is_empty() {
            h2 { (w.t("account-findings-title")) }
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { (w.t("finding")) } th scope="col" { (w.t("finding-since")) } } }
                tbody { @for note in notes {
                    tr {
                        td { (said(&note.detail)) @if !note.subject.is_empty() { br; (code(&note.subject)) } }
                        td { (w.time(note.since)) }
                    }
                } }
            } }
        }
    }
}

fn evidence(w: &Words, notes: &[EvidenceNote]) -> Markup {
    html! {
        @if !notes.is_empty() {
            h2 { (w.t("account-evidence-title")) }
            p { (w.t("account-evidence-words")) }
            @for note in notes {
                details {
                    summary {
                        (w.exact(note.last_at)) " · " (name(&w.word("evidence", &note.kind)))
                        @if note.times > 1 { " · " (w.f("evidence-times", args!(count = note.times))) }
                    }
                    @if let Some(words) = note.detail.get("words").and_then(serde_json::Value::as_str) { p { (said(words)) } }
                    pre dir="ltr" translate="no" { (crate::shown::json(&note.detail)) }
                    @if note.proof_bytes > 0 { p.soft { (w.f("evidence-proof", args!(size = w.size(note.proof_bytes)))) } }
                }
            }
        }
    }
}

/// `GET /archive/{did}`
pub async fn show(State(web): State<Web>, ask: Ask, Path(did): Path<String>) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        page(&web, &ask, subject, None).await
    })
    .await
}

/// The page, also as the answer to a form that did not work.
///
/// # Errors
/// It cannot be read.
pub async fn page(web: &Web, ask: &Ask, subject: Subject, trouble: Option<Trouble>) -> Shown {
    let details = web.archive().show(&subject.did).await?;
    let lights = lights(web, &details.line).await;
    let hosted = is_hosted(web, &subject.did).await;
    let jobs = web.jobs().running(subject.name());
    let title = subject.name().to_owned();
    let status = if trouble.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let view = View { csrf: ask.frame.csrf.clone(), subject, details, lights, hosted, jobs, trouble };
    Ok(ask.show_as(status, &Page::new(title, body(&ask.w, &view))))
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let views = [
        ("empty", settings::made_up("nothing", false)),
        (
            "loading",
            View { jobs: vec![crate::pages::job::made_up(false)], ..settings::made_up("nothing", false) },
        ),
        ("partial", settings::made_up("verified", true)),
        (
            "error",
            View { trouble: Some(crate::pages::made_up_trouble()), ..settings::made_up("unverified", true) },
        ),
        ("success", settings::made_up("verified", false)),
    ];
    views.map(|(state, view)| Sample { page: "account", state, body: body(w, &view) }).into()
}
