//! The kinds of records that are kept here: how many, of how many accounts, since when.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};
use p2pds_reading::Viewer;
use p2pds_store::LexiconRow;
use p2pds_syntax::{Nsid, Tid};

use crate::args;
use crate::ask::{Ask, answer, refused};
use crate::layout::Page;
use crate::pages::Sample;
use crate::parts::{code, name};
use crate::web::Web;
use crate::words::Words;

/// Rows on one page.
const PAGE: usize = 100;

/// What is shown.
#[derive(Debug, Default)]
pub struct View {
    /// What names begin with.
    pub prefix: String,
    /// The rows of this page.
    pub rows: Vec<LexiconRow>,
    /// How many there are with this beginning.
    pub found: usize,
    /// Different kinds, and records, of all.
    pub totals: (u64, u64),
    /// The page, from 1.
    pub page: usize,
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        h1 { (w.t("lexicons-title")) }
        p { (w.f("lexicons-totals", args!(kinds = w.number(view.totals.0), records = w.number(view.totals.1)))) }
        form method="get" action="/lexicons" role="search" {
            div.field {
                label for="prefix" { (w.t("lexicons-search")) span.hint { (w.t("lexicons-search-hint")) } }
                input #prefix name="prefix" type="search" translate="no" value=(view.prefix) autocapitalize="none" spellcheck="false" dir="ltr"
                    placeholder="app.bsky.feed";
            }
            button type="submit" { (w.t("search")) }
        }
        @if view.rows.is_empty() { p.empty { (w.t(if view.prefix.is_empty() { "lexicons-empty" } else { "lexicons-none" })) } }
        @else {
            div.scroll tabindex="0" { table.stack {
                thead { tr {
                    th scope="col" { (w.t("collection")) }
                    th.number scope="col" { (w.t("collection-records")) }
                    th.number scope="col" { (w.t("lexicons-repos")) }
                    th scope="col" { (w.t("lexicons-first")) }
                    th scope="col" { (w.t("lexicons-last")) }
                    th scope="col" { (w.t("lexicons-authority")) }
                } }
                tbody { @for row in &view.rows { (line(w, row)) } }
            } }
            (pager(w, view))
        }
    }
}

fn line(w: &Words, row: &LexiconRow) -> Markup {
    let authority = Nsid::parse(&row.collection).ok().map(|nsid| nsid.authority());
    html! {
        tr {
            th scope="row" { (code(&row.collection)) }
            td.number data-label=(w.t("collection-records")) { (w.number(row.records)) }
            td.number data-label=(w.t("lexicons-repos")) { (w.number(row.repos)) }
            td data-label=(w.t("lexicons-first")) { (w.exact(micros(row.first))) }
            td data-label=(w.t("lexicons-last")) { (w.time(micros(row.last))) }
            td data-label=(w.t("lexicons-authority")) {
                @match &authority {
                    Some(authority) => (name(authority)),
                    None => (w.t("none")),
                }
            }
        }
    }
}

fn micros(rev: Tid) -> i64 {
    i64::try_from(rev.micros()).unwrap_or(i64::MAX)
}

fn pager(w: &Words, view: &View) -> Markup {
    let pages = view.found.div_ceil(PAGE).max(1);
    let to = |page: usize| {
        let prefix: String = url::form_urlencoded::byte_serialize(view.prefix.as_bytes()).collect();
        format!("/lexicons?prefix={prefix}&page={page}")
    };
    html! {
        @if pages > 1 {
            nav.row aria-label=(w.t("home-pages")) {
                @if view.page > 1 { a.button.second href=(to(view.page.saturating_sub(1))) { (w.t("back")) } }
                span { (w.f("home-page", args!(page = view.page, pages = pages))) }
                @if view.page < pages { a.button.second href=(to(view.page.saturating_add(1))) { (w.t("more")) } }
            }
        }
    }
}

/// `GET /lexicons`
pub async fn show(State(web): State<Web>, ask: Ask, query: RawQuery) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let prefix = crate::query::text(query.0.as_deref(), "prefix").unwrap_or_default();
        let page = crate::query::number(query.0.as_deref(), "page").unwrap_or(1).max(1);
        let index = web.reading().lexicons(Viewer::Operator).await.map_err(refused)?;
        let rows: Vec<&LexiconRow> =
            if prefix.is_empty() { index.by_records() } else { index.search(prefix.trim()).collect() };
        let skip = page.saturating_sub(1).saturating_mul(PAGE);
        let stats = index.stats();
        let view = View {
            found: rows.len(),
            rows: rows.into_iter().skip(skip).take(PAGE).cloned().collect(),
            totals: (stats.lexicons, stats.records),
            prefix,
            page,
        };
        Ok(ask.show(&Page::new(ask.w.t("lexicons-title"), body(&ask.w, &view))))
    })
    .await
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let rev = Tid::from_micros(u64::try_from(crate::samples::NOW).unwrap_or(0), 0);
    let row = |name: &str| LexiconRow {
        collection: name.to_owned(),
        repos: 3,
        records: 12_000,
        first: rev,
        last: rev,
    };
    let full = View {
        prefix: "app.bsky".to_owned(),
        rows: vec![row("app.bsky.feed.post"), row("app.bsky.feed.like")],
        found: 240,
        totals: (412, 5_000_000),
        page: 2,
    };
    let partial =
        View { prefix: "com.example".to_owned(), totals: (412, 5_000_000), page: 1, ..View::default() };
    [("empty", View::default()), ("partial", partial), ("success", full)]
        .map(|(state, view)| Sample { page: "lexicons", state, body: body(w, &view) })
        .into()
}
