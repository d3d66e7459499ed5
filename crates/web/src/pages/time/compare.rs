//! Two states of an account side by side: what was written, edited, removed between them. For the operator alone: what
//! was removed may have been taken back.

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use p2pds_archive::{ArchiveError, At, DiffReport, Difference};
use p2pds_syntax::{AtUri, Tid};
use serde_json::Value;

use super::{as_of, comparer, record_path};
use crate::archived::{Subject, Tab, head};
use crate::args;
use crate::ask::{Ask, answer};
use crate::layout::Page;
use crate::node_side::Trouble;
use crate::pages::Sample;
use crate::parts::{self, code};
use crate::web::Web;
use crate::words::Words;

/// Differences on one page.
const PAGE: usize = 20;

/// One difference with what stood there.
#[derive(Debug)]
pub struct Changed {
    /// Where, and how.
    pub difference: Difference,
    /// The record before.
    pub old: Option<Value>,
    /// The record after.
    pub new: Option<Value>,
}

/// What is shown.
#[derive(Debug)]
pub struct View {
    /// Whose page it is.
    pub subject: Subject,
    /// The points as they were asked for; the first is empty when none was.
    pub asked: (String, String),
    /// What differs.
    pub report: Option<DiffReport>,
    /// The differences of this page.
    pub shown: Vec<Changed>,
    /// How many come before this page.
    pub skip: usize,
    /// Why they could not be compared.
    pub trouble: Option<Trouble>,
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        (head(w, &view.subject, Tab::Time, &html! { (w.t("compare-title")) }))
        p { a href=(view.subject.path("/time")) { (w.t("compare-back")) } }
        @if let Some(trouble) = &view.trouble { (parts::trouble(w, trouble)) }
        (comparer(w, &view.subject, (&view.asked.0, &view.asked.1)))
        @if let Some(report) = &view.report {
            div { h2 { (w.t("compare-earlier")) } (as_of(w, &report.from)) h2 { (w.t("compare-later")) } (as_of(w, &report.to)) }
            p { strong { (w.f("revisions-counts", args!(
                created = w.number(report.counts.created),
                updated = w.number(report.counts.updated),
                deleted = w.number(report.counts.deleted),
            ))) } }
            @if report.differences.is_empty() { p.empty { (w.t("compare-same")) } }
            @for changed in &view.shown { (one(w, view, report, changed)) }
            (pager(w, view, report))
        }
    }
}

fn one(w: &Words, view: &View, report: &DiffReport, changed: &Changed) -> Markup {
    let did = view.subject.did.as_str();
    let Difference { path, change, old, new } = &changed.difference;
    let (collection, rkey) = path.split_once('/').unwrap_or((path, ""));
    let class = match change.as_str() {
        "deleted" => "record gone",
        "edited" => "record changed",
        _ => "record",
    };
    let side = |words: &str, cid: &Option<String>, value: &Option<Value>, rev: &str| {
        html! {
            @if let Some(cid) = cid {
                section {
                    p.soft { (w.t(words)) " · " a href=(record_path(&view.subject, collection, rkey, rev)) { (w.t("time-look")) } }
                    @match value {
                        Some(value) => (crate::shown::record(w, did, value)),
                        None => p { (w.t("record-unreadable")) " " (code(cid)) },
                    }
                }
            }
        }
    };
    html! {
        article class=(class) {
            header { strong { (w.t(&format!("change-{change}"))) } (code(path)) }
            (side("compare-before", old, &changed.old, &report.from.rev))
            (side("compare-after", new, &changed.new, &report.to.rev))
        }
    }
}

fn pager(w: &Words, view: &View, report: &DiffReport) -> Markup {
    let (from, to) = (parts::segment(&view.asked.0), parts::segment(&view.asked.1));
    let at = |skip: usize| format!("{}?from={from}&to={to}&skip={skip}", view.subject.path("/compare"));
    let after = view.skip.saturating_add(PAGE);
    html! {
        nav.row aria-label=(w.t("home-pages")) {
            @if view.skip > 0 { a.button.second href=(at(view.skip.saturating_sub(PAGE))) { (w.t("back")) } }
            @if report.differences.len() > after { a.button.second href=(at(after)) { (w.t("more")) } }
        }
        @if report.more { p.soft { (w.f("compare-only", args!(count = w.number(DiffReport::MAX_LISTED as u64)))) } }
    }
}

/// `GET /archive/{did}/compare`
pub async fn show(State(web): State<Web>, ask: Ask, Path(did): Path<String>, query: RawQuery) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let query = query.0.as_deref();
        let asked = |name| crate::query::text(query, name).map(|at| at.trim().to_owned());
        let skip = crate::query::number(query, "skip").unwrap_or(0);
        let to = asked("to").filter(|to| !to.is_empty()).unwrap_or_else(|| "now".to_owned());
        let view = match asked("from").filter(|from| !from.is_empty()) {
            Some(from) => compared(&web, subject, (from, to), skip).await,
            // Nothing was asked for yet: the form asks.
            None => View {
                subject,
                asked: (String::new(), to),
                report: None,
                shown: Vec::new(),
                skip: 0,
                trouble: None,
            },
        };
        let status = if view.trouble.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        Ok(ask.show_as(status, &Page::new(ask.w.t("compare-title"), body(&ask.w, &view))))
    })
    .await
}

async fn compared(web: &Web, subject: Subject, asked: (String, String), skip: usize) -> View {
    let found = differences(web, &subject, &asked, skip).await;
    let (report, shown, trouble) = match found {
        Ok((report, shown)) => (Some(report), shown, None),
        Err(error) => (None, Vec::new(), Some(error.into())),
    };
    View { subject, asked, report, shown, skip, trouble }
}

async fn differences(
    web: &Web,
    subject: &Subject,
    asked: &(String, String),
    skip: usize,
) -> Result<(DiffReport, Vec<Changed>), ArchiveError> {
    let report = web.archive().diff(&subject.did, At::parse(&asked.0)?, At::parse(&asked.1)?).await?;
    let mut shown = Vec::new();
    for difference in report.differences.iter().skip(skip).take(PAGE) {
        let old = value(web, subject, &difference.path, difference.old.as_ref(), &report.from.rev).await;
        let new = value(web, subject, &difference.path, difference.new.as_ref(), &report.to.rev).await;
        shown.push(Changed { difference: difference.clone(), old, new });
    }
    Ok((report, shown))
}

/// What stood there; `None` when nothing did or it cannot be read.
async fn value(web: &Web, subject: &Subject, path: &str, cid: Option<&String>, rev: &str) -> Option<Value> {
    cid?;
    let uri = AtUri::parse(&format!("at://{}/{path}", subject.did)).ok()?;
    web.archive().record_at(&uri, At::Rev(Tid::parse(rev).ok()?)).await.ok()?.value
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let difference = |change: &str, old: Option<&str>, new: Option<&str>| Difference {
        path: "app.bsky.feed.post/3mbk2ozmcss2w".to_owned(),
        change: change.to_owned(),
        old: old.map(str::to_owned),
        new: new.map(str::to_owned),
    };
    let value = |text: &str| super::made_up_glance("3mbk2ozmcss2w", text).value;
    let view = |differences: Vec<Difference>| View {
        subject: crate::archived::made_up(),
        asked: ("2026-11-01".to_owned(), "now".to_owned()),
        shown: differences
            .iter()
            .map(|difference| Changed {
                old: difference.old.as_ref().and_then(|_| value("before")),
                new: difference.new.as_ref().and_then(|_| value("after")),
                difference: difference.clone(),
            })
            .collect(),
        report: Some(DiffReport {
            did: crate::samples::did(),
            handle: None,
            from: super::made_up_state(None),
            to: super::made_up_state(None),
            counts: p2pds_archive::Counts::default(),
            more: differences.len() > 2,
            differences,
        }),
        skip: 0,
        trouble: None,
    };
    let all = vec![
        difference("created", None, Some("bafyreinew")),
        difference("edited", Some("bafyreiold"), Some("bafyreinew")),
        difference("deleted", Some("bafyreiold"), None),
    ];
    let mut error = view(Vec::new());
    (error.report, error.trouble) = (None, Some(crate::pages::made_up_trouble()));
    let mut asking = view(Vec::new());
    (asking.report, asking.asked.0) = (None, String::new());
    let mut partial = view(vec![difference("deleted", Some("bafyreiold"), None)]);
    partial.shown.iter_mut().for_each(|changed| changed.old = None);
    [
        ("empty", view(Vec::new())),
        ("asking", asking),
        ("partial", partial),
        ("error", error),
        ("success", view(all)),
    ]
    .map(|(state, view)| Sample { page: "compare", state, body: body(w, &view) })
    .into()
}
