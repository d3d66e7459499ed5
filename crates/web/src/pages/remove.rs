//! Erasing an archived account: what would go, and then, typed out, that it shall.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use p2pds_archive::{Progress, RemoveReport};

use crate::archived::{Subject, Tab, head};
use crate::args;
use crate::ask::{Ask, Shown, answer};
use crate::form::Fields;
use crate::jobs::{End, Kind};
use crate::layout::Page;
use crate::pages::Sample;
use crate::pages::act::{begin, failed};
use crate::parts::{self, Tone, code, name, said};
use crate::web::Web;
use crate::words::Words;

/// What is shown.
#[derive(Debug)]
pub struct View {
    /// Whose page it is.
    pub subject: Subject,
    /// The token of forms.
    pub csrf: String,
    /// What would be erased.
    pub report: RemoveReport,
    /// Something else was typed than the account's name.
    pub mistyped: bool,
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    let report = &view.report;
    html! {
        (head(w, &view.subject, Tab::Overview, &html! { (w.t("erase-title")) }))
        p { (w.t("erase-lead")) " " (name(view.subject.name())) }
        ul {
            li { (w.f("erase-records", args!(count = w.number(report.records), size = w.size(report.car_bytes)))) }
            li { (w.f("erase-blobs", args!(count = w.number(report.blobs), size = w.size(report.blob_bytes)))) }
            @for file in &report.files { li { (code(file)) } }
            @for also in &report.also { li { (said(also)) } }
        }
        h2 { (w.t("erase-outside-title")) }
        ul { @for outside in &report.outside { li { (said(outside)) } } }
        (parts::notice(Tone::Bad, html! { p { strong { (w.t("danger")) } } p { (w.t("erase-danger")) } }))
        form method="post" action=(view.subject.path("/remove")) {
            (parts::csrf(&view.csrf))
            div.field {
                label for="confirm" {
                    (w.t("erase-confirm")) " " (name(view.subject.name()))
                    span.hint { (w.t("erase-confirm-hint")) }
                }
                input #confirm name="confirm" dir="ltr" required autocomplete="off" autocapitalize="none" spellcheck="false"
                    aria-invalid=[view.mistyped.then_some("true")];
                @if view.mistyped { p.wrong role="alert" { (w.t("erase-mistyped")) } }
            }
            div.row {
                button.danger type="submit" { (w.t("erase-button")) }
                a.button.second href=(view.subject.path("")) { (w.t("cancel")) }
            }
        }
    }
}

async fn page(web: &Web, ask: &Ask, subject: Subject, mistyped: bool) -> Shown {
    let report = web.archive().remove(&subject.did, true, &Progress::none()).await?;
    let status = if mistyped { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let view = View { subject, csrf: ask.frame.csrf.clone(), report, mistyped };
    Ok(ask.show_as(status, &Page::new(ask.w.t("erase-title"), body(&ask.w, &view))))
}

/// `GET /archive/{did}/remove`
pub async fn show(State(web): State<Web>, ask: Ask, Path(did): Path<String>) -> Response {
    answer(&ask, async {
        ask.operator()?;
        page(&web, &ask, Subject::find(&web, &did).await?, false).await
    })
    .await
}

/// `POST /archive/{did}/remove`
pub async fn post(State(web): State<Web>, ask: Ask, Path(did): Path<String>, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        if !subject.is_typed(&fields.text("confirm")) {
            return page(&web, &ask, subject, true).await;
        }
        let (archive, did, pages) = (web.archive().clone(), subject.did.clone(), web.clone());
        begin(&web, &subject, Kind::Remove, move |progress| async move {
            match archive.remove(&did, false, &progress).await {
                Ok(report) => {
                    pages.identities().forget(&did);
                    End::Done { next: "/".to_owned(), words: report.to_string() }
                }
                Err(error) => failed(error),
            }
        })
    })
    .await
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let view = |mistyped, files: usize| View {
        subject: crate::archived::made_up(),
        csrf: "t".to_owned(),
        report: RemoveReport {
            did: crate::samples::did(),
            handle: None,
            dry_run: true,
            records: 12_345,
            car_bytes: 8_400_000,
            blobs: 321,
            blob_bytes: 412_000_000,
            files: vec!["verbatim/x/y.car".to_owned(); files],
            also: vec!["findings and evidence".to_owned()],
            rows_deleted: 0,
            traces: None,
            outside: vec!["exports that you wrote to other directories".to_owned()],
        },
        mistyped,
    };
    [("empty", view(false, 0)), ("error", view(true, 1)), ("success", view(false, 2))]
        .map(|(state, view)| Sample { page: "remove", state, body: body(w, &view) })
        .into()
}
