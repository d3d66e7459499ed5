//! The time machine: an account as it was, and all its revisions that were seen.

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};
use p2pds_archive::{AsOf, At, Browse, Browsed, Glance, HistoryQuery, HistoryReport, Kept, Progress};
use p2pds_store::LexiconRow;
use p2pds_syntax::{Nsid, Rkey, Tid};

use crate::archived::{Subject, Tab, head};
use crate::args;
use crate::ask::{Ask, Refused, answer};
use crate::layout::Page;
use crate::node_side::Trouble;
use crate::pages::Sample;
use crate::parts::{self, Tone, code, said};
use crate::web::Web;
use crate::words::Words;

pub mod compare;

/// Records on one page.
const PAGE: usize = 25;
/// Revisions on one page.
const REVISIONS: usize = 20;

/// What is shown.
#[derive(Debug)]
pub struct View {
    /// Whose page it is.
    pub subject: Subject,
    /// The point in time as it was asked for; empty for the present.
    pub at: String,
    /// The collections that were ever seen.
    pub collections: Vec<String>,
    /// The one that is shown.
    pub collection: Option<String>,
    /// Its records then.
    pub browsed: Option<Browsed>,
    /// Revisions that were seen.
    pub history: Option<HistoryReport>,
    /// Why the records are not shown.
    pub trouble: Option<Trouble>,
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        (head(w, &view.subject, Tab::Time, &html! { (w.t("time-title")) }))
        p { (w.t("time-words")) }
        (chooser(w, view))
        @if let Some(trouble) = &view.trouble { (parts::trouble(w, trouble)) }
        @if let Some(browsed) = &view.browsed { (records(w, view, browsed)) }
        @else if view.trouble.is_none() { p.empty { (w.t("time-empty")) } }
        @if let Some(history) = &view.history { (revisions(w, view, history)) }
        h2 { (w.t("compare-title")) }
        (comparer(w, &view.subject, ("", "now")))
    }
}

fn chooser(w: &Words, view: &View) -> Markup {
    html! {
        form.row.end method="get" action=(view.subject.path("/time")) {
            div {
                label for="at" { (w.t("time-at")) span.hint { (w.t("time-at-hint")) } }
                input #at name="at" value=(view.at) placeholder="2026-11-20" dir="ltr" autocapitalize="none" spellcheck="false";
            }
            div {
                label for="collection" { (w.t("collection")) }
                select #collection name="collection" dir="ltr" translate="no" {
                    @for each in &view.collections { option value=(each) selected[view.collection.as_ref() == Some(each)] { (each) } }
                }
            }
            button type="submit" { (w.t("time-show")) }
        }
    }
}

/// The state that is shown.
pub(crate) fn as_of(w: &Words, state: &AsOf) -> Markup {
    html! {
        p { (w.t("time-as-of")) " " (w.exact(state.at)) " (" (code(&state.rev)) ")" }
        @if let Some(note) = &state.note { (parts::notice(Tone::Warn, html! { p { (said(note)) } })) }
    }
}

fn records(w: &Words, view: &View, browsed: &Browsed) -> Markup {
    let collection = view.collection.as_deref().unwrap_or_default();
    let did = view.subject.did.as_str();
    html! {
        h2 { (code(collection)) }
        (as_of(w, &browsed.as_of))
        @if browsed.records.is_empty() { p.empty { (w.t("time-none-then")) } }
        @for glance in &browsed.records {
            article.record {
                header {
                    @match written(glance) { Some(at) => (w.exact(at)), None => (code(&glance.rkey)) }
                    a href=(record_path(&view.subject, collection, &glance.rkey, &view.at)) { (w.t("time-look")) }
                }
                @match &glance.value {
                    Some(value) => (crate::shown::record(w, did, value)),
                    None => p { (w.t(if glance.damaged { "record-damaged" } else { "record-unreadable" })) },
                }
            }
        }
        @if let Some(next) = &browsed.next {
            p { a.button.second href={
                (view.subject.path("/time")) "?at=" (parts::segment(&view.at)) "&collection=" (parts::segment(collection))
                "&before=" (parts::segment(next))
            } { (w.t("older")) } }
        }
    }
}

/// The address of the page of a record, at a point in time (empty: now).
pub(crate) fn record_path(subject: &Subject, collection: &str, rkey: &str, at: &str) -> String {
    let path = parts::segment(&format!("{collection}/{rkey}"));
    let at = if at.is_empty() { String::new() } else { format!("&at={}", parts::segment(at)) };
    format!("{}?path={path}{at}", subject.path("/record"))
}

/// When a record was written, by its own word.
fn written(glance: &Glance) -> Option<i64> {
    let at = glance.value.as_ref()?.get("createdAt")?.as_str()?;
    Some(p2pds_syntax::Datetime::parse(at).ok()?.unix_micros())
}

fn revisions(w: &Words, view: &View, history: &HistoryReport) -> Markup {
    let browse = |rev: &str| {
        let collection = view.collection.as_deref().unwrap_or_default();
        format!("{}?at={rev}&collection={}", view.subject.path("/time"), parts::segment(collection))
    };
    html! {
        h2 { (w.t("revisions-title")) }
        p { (w.t(if history.keep == "all" { "revisions-all" } else { "revisions-window" })) }
        @if history.revisions.is_empty() { p.empty { (w.t("revisions-empty")) } }
        @else {
            div.scroll tabindex="0" { table.stack {
                thead { tr {
                    th scope="col" { (w.t("revisions-when")) }
                    th scope="col" { (w.t("revisions-changes")) }
                    th scope="col" { (w.t("revisions-kept")) }
                    th scope="col" { (w.t("revisions-see")) }
                } }
                tbody { @for revision in &history.revisions {
                    tr {
                        th scope="row" {
                            (w.exact(revision.at)) br; (code(&revision.rev))
                            @if let Some(seen) = revision.seen_at { br; span.soft { (w.t("revisions-seen")) " " (w.time(seen)) } }
                        }
                        td data-label=(w.t("revisions-changes")) {
                            @match &revision.counts {
                                Some(counts) => (w.f("revisions-counts", args!(
                                    created = w.number(counts.created),
                                    updated = w.number(counts.updated),
                                    deleted = w.number(counts.deleted),
                                ))),
                                None => (w.t("revisions-not-counted")),
                            }
                            @if let Some(gap) = &revision.gap { br; span.soft { (said(gap)) } }
                        }
                        td data-label=(w.t("revisions-kept")) { (w.t(&format!("kept-{}", revision.kept.as_str()))) }
                        td data-label=(w.t("revisions-see")) {
                            @if revision.kept != Kept::Pruned {
                                a href=(browse(&revision.rev)) { (w.t("revisions-browse")) }
                                @if let Some(before) = &revision.before {
                                    " · " a href={ (view.subject.path("/compare")) "?from=" (before) "&to=" (revision.rev) } { (w.t("revisions-compare")) }
                                }
                            }
                        }
                    }
                } }
            } }
            @if let Some(next) = &history.next {
                p { a.button.second href={ (browse(&view.at)) "&revisions=" (next) } { (w.t("older")) } }
            }
        }
    }
}

/// The form that asks which two states are compared.
fn comparer(w: &Words, subject: &Subject, (from, to): (&str, &str)) -> Markup {
    html! {
        form.row.end method="get" action=(subject.path("/compare")) {
            div {
                label for="from" { (w.t("compare-from")) }
                input #from name="from" value=(from) required placeholder="2026-11-01" dir="ltr" autocapitalize="none" spellcheck="false";
            }
            div {
                label for="to" { (w.t("compare-to")) }
                input #to name="to" value=(to) required dir="ltr" autocapitalize="none" spellcheck="false";
            }
            button.second type="submit" { (w.t("compare-button")) }
        }
    }
}

/// `GET /archive/{did}/time`
pub async fn show(State(web): State<Web>, ask: Ask, Path(did): Path<String>, query: RawQuery) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let view = view(&web, subject, query.0.as_deref()).await?;
        Ok(ask.show(&Page::new(ask.w.t("time-title"), body(&ask.w, &view))))
    })
    .await
}

async fn view(web: &Web, subject: Subject, query: Option<&str>) -> Result<View, Refused> {
    let asked = |name: &str| crate::query::text(query, name);
    let at = asked("at").map(|at| at.trim().to_owned()).unwrap_or_default();
    let rows: Vec<LexiconRow> = web
        .archive()
        .store()
        .lexicons(std::slice::from_ref(&subject.did))
        .await
        .map_err(p2pds_archive::ArchiveError::from)?;
    let mut collections: Vec<String> = rows.into_iter().map(|row| row.collection).collect();
    collections.sort();
    let usual = ["app.bsky.feed.post"].into_iter().find(|usual| collections.iter().any(|each| each == usual));
    let collection = asked("collection")
        .filter(|asked| Nsid::parse(asked).is_ok())
        .or_else(|| usual.map(str::to_owned))
        .or_else(|| collections.first().cloned());
    let before = asked("before");
    let (browsed, trouble) = match &collection {
        None => (None, None),
        Some(collection) => match browse(web, &subject, &at, collection, before.as_deref()).await {
            Ok(browsed) => (Some(browsed), None),
            Err(error) => (None, Some(error.into())),
        },
    };
    let before = asked("revisions").and_then(|rev| Tid::parse(&rev).ok());
    let query = HistoryQuery { before, limit: REVISIONS, quick: true, ..HistoryQuery::default() };
    let history = web.archive().history(&subject.did, query, &Progress::none()).await?;
    Ok(View { subject, at, collections, collection, browsed, history: Some(history), trouble })
}

async fn browse(
    web: &Web,
    subject: &Subject,
    at: &str,
    collection: &str,
    before: Option<&str>,
) -> Result<Browsed, p2pds_archive::ArchiveError> {
    let at = if at.is_empty() { At::Now } else { At::parse(at)? };
    let collection =
        Nsid::parse(collection).map_err(|_| p2pds_archive::ArchiveError::NoRecord(collection.to_owned()))?;
    let before = before.and_then(|before| Rkey::parse(before).ok());
    web.archive().browse(&subject.did, at, &Browse { collection, before, limit: PAGE }).await
}

/// A made-up record of a page.
pub(crate) fn made_up_glance(rkey: &str, text: &str) -> Glance {
    Glance {
        rkey: rkey.to_owned(),
        cid: "bafyreirecord".to_owned(),
        since: "3mbk2ozmcss2w".to_owned(),
        value: Some(
            serde_json::json!({ "$type": "app.bsky.feed.post", "text": text, "createdAt": "2026-11-20T18:30:00Z" }),
        ),
        damaged: false,
    }
}

/// A made-up state.
pub(crate) fn made_up_state(note: Option<&str>) -> AsOf {
    AsOf { rev: "3mbk2ozmcss2w".to_owned(), at: crate::samples::NOW, line: 0, note: note.map(str::to_owned) }
}

fn made_up_revision(kept: Kept, counted: bool) -> p2pds_archive::Revision {
    use crate::samples::NOW;
    p2pds_archive::Revision {
        rev: "3mbk2ozmcss2w".to_owned(),
        at: NOW,
        seen_at: Some(NOW),
        commit: "bafyreicommit".to_owned(),
        root: "bafyreiroot".to_owned(),
        key: "did:key:zQ3shsigning".to_owned(),
        line: 0,
        before: counted.then(|| "3mbk2ozmcsr2w".to_owned()),
        follows: counted,
        gap: (!counted).then(|| "nothing before it was seen".to_owned()),
        counts: counted.then_some(p2pds_archive::Counts { created: 3, updated: 1, deleted: 2 }),
        kept,
        proof: None,
    }
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let history = |revisions| HistoryReport {
        did: crate::samples::did(),
        handle: None,
        keep: "window".to_owned(),
        window: 604_800,
        revisions,
        next: Some("3mbk2ozmcss2w".to_owned()),
        proved: 0,
        failed: 0,
    };
    let empty = View {
        subject: crate::archived::made_up(),
        at: String::new(),
        collections: Vec::new(),
        collection: None,
        browsed: None,
        history: Some(HistoryReport { next: None, ..history(Vec::new()) }),
        trouble: None,
    };
    let known = |browsed, trouble| View {
        at: "2026-11-20".to_owned(),
        collections: vec!["app.bsky.feed.post".to_owned(), "app.bsky.feed.like".to_owned()],
        collection: Some("app.bsky.feed.post".to_owned()),
        browsed,
        history: Some(history(vec![
            made_up_revision(Kept::Current, true),
            made_up_revision(Kept::Pruned, false),
        ])),
        trouble,
        subject: crate::archived::made_up(),
    };
    let unread = Glance { value: None, damaged: true, ..made_up_glance("3mbk2ozmcss2w", "") };
    let partial = Browsed {
        as_of: made_up_state(Some("what stood between is not known")),
        records: vec![unread],
        next: None,
    };
    let records = vec![made_up_glance("3mbk2ozmcss2w", "hello"), made_up_glance("self", "again")];
    let full = Browsed { as_of: made_up_state(None), records, next: Some("3mbk2ozmcss2w".to_owned()) };
    [
        ("empty", empty),
        ("partial", known(Some(partial), None)),
        ("error", known(None, Some(crate::pages::made_up_trouble()))),
        ("success", known(Some(full), None)),
    ]
    .map(|(state, view)| Sample { page: "time", state, body: body(w, &view) })
    .into()
}
