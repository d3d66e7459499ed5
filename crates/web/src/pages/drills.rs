//! What practised restores of an account showed: the newest in full, all of them as a chart.

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};
use p2pds_recovery::DrillReport;

use crate::archived::{Subject, Tab, head};
use crate::args;
use crate::ask::{Ask, answer};
use crate::drills::drills;
use crate::jobs::{Job, Kind};
use crate::layout::Page;
use crate::pages::Sample;
use crate::pages::job::brief;
use crate::parts::{self, Bar, Tone, code, said};
use crate::web::Web;
use crate::words::Words;

/// Reports that are read.
const MOST: usize = 30;
/// Damaged things of one step that are named.
const NAMED: usize = 20;

/// What is shown.
#[derive(Debug)]
pub struct View {
    /// Whose page it is.
    pub subject: Subject,
    /// The token of forms.
    pub csrf: String,
    /// The reports, the newest first.
    pub reports: Vec<DrillReport>,
    /// When it was last verified, and whether all was in order.
    pub verified: Option<(i64, bool)>,
    /// Drills and checks that run now.
    pub jobs: Vec<Job>,
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        (head(w, &view.subject, Tab::Drills, &html! { (w.t("drills-title")) }))
        p { (w.t("drills-words")) }
        @for job in &view.jobs { (brief(w, job)) }
        div.row {
            (parts::button(&view.csrf, &view.subject.path("/drill"), "", &w.t("drills-now")))
            (parts::button(&view.csrf, &view.subject.path("/verify"), "second", &w.t("act-verify")))
        }
        @match view.reports.first() {
            None => div.empty { h2 { (w.t("drills-empty-title")) } p { (w.t("drills-empty")) } },
            Some(newest) => {
                h2 { (w.t("drills-last")) }
                (report(w, newest))
                h2 { (w.t("drills-history")) }
                (parts::bars(&w.t("drills-chart"), (&w.t("drills-when"), &w.t("drills-seconds")), &bars(w, &view.reports)))
            }
        }
        @if let Some((at, ok)) = view.verified {
            p { (w.t("drills-verified")) " " (w.time(at)) ": " (w.t(if ok { "fact-in-order" } else { "fact-damaged" })) }
        }
        @for older in view.reports.iter().skip(1) {
            details {
                summary { (w.exact(older.at)) ": " (w.t(if older.ok { "drills-ok" } else { "drills-failed" })) }
                (report(w, older))
            }
        }
    }
}

fn bars(w: &Words, reports: &[DrillReport]) -> Vec<Bar> {
    let bar = |report: &DrillReport| Bar {
        label: w.date_time(report.at),
        value: report.took_ms.div_ceil(1_000),
        tone: if report.ok { Tone::Good } else { Tone::Bad },
    };
    reports.iter().rev().map(bar).collect()
}

fn report(w: &Words, report: &DrillReport) -> Markup {
    let (tone, words) =
        if report.ok { (Tone::Good, "drills-ok-long") } else { (Tone::Bad, "drills-failed-long") };
    html! {
        (parts::notice(tone, html! {
            p { strong { (w.t(words)) } }
            p {
                (w.exact(report.at)) ", " (w.span(i64::try_from(report.took_ms.saturating_mul(1_000)).unwrap_or(i64::MAX))) ". "
                (w.f("drills-counts", args!(records = w.number(report.records), blobs = w.number(report.blobs), size = w.size(report.blob_bytes))))
                @if report.missing_blobs > 0 { " " (w.f("drills-missing", args!(count = report.missing_blobs))) }
            }
        }))
        ol.steps {
            @for step in &report.steps {
                li class=(if step.ok { "done" } else { "failed" }) {
                    strong { (parts::name(&w.word("drill-step", &step.name))) } ": "
                    (w.t(if step.ok { "drills-holds" } else { "drills-does-not-hold" })) " "
                    (said(&step.detail))
                    @if !step.damaged.is_empty() {
                        ul {
                            @for item in step.damaged.iter().take(NAMED) { li { (code(item)) } }
                            @if step.damaged.len() > NAMED { li { (w.f("record-more", args!(count = step.damaged.len().saturating_sub(NAMED)))) } }
                        }
                    }
                }
            }
        }
        @if !report.not_proved.is_empty() {
            h3 { (w.t("drills-not-proved")) }
            ul { @for line in &report.not_proved { li { (said(line)) } } }
        }
    }
}

/// `GET /archive/{did}/drills`
pub async fn show(State(web): State<Web>, ask: Ask, Path(did): Path<String>) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let line = web.archive().line(&subject.did).await?;
        let mut jobs = web.jobs().running(subject.name());
        jobs.retain(|job| matches!(job.kind, Kind::Drill | Kind::Verify));
        let view = View {
            csrf: ask.frame.csrf.clone(),
            reports: drills(web.archive(), &subject.did, MOST).await,
            verified: line.last_verified_at.map(|at| (at, line.last_verify_ok != Some(false))),
            jobs,
            subject,
        };
        Ok(ask.show(&Page::new(ask.w.t("drills-title"), body(&ask.w, &view))))
    })
    .await
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    use crate::samples::{NOW, drill};
    let view = |reports, jobs| View {
        subject: crate::archived::made_up(),
        csrf: "t".to_owned(),
        reports,
        verified: Some((NOW, true)),
        jobs,
    };
    let day = |n: i64| NOW.saturating_sub(n.saturating_mul(86_400_000_000));
    [
        ("empty", view(Vec::new(), Vec::new())),
        ("loading", view(Vec::new(), vec![crate::pages::job::made_up(false)])),
        ("error", view(vec![drill(false, day(1)), drill(true, day(8))], Vec::new())),
        ("success", view(vec![drill(true, day(1)), drill(false, day(8)), drill(true, day(15))], Vec::new())),
    ]
    .map(|(state, view)| Sample { page: "drills", state, body: body(w, &view) })
    .into()
}
