//! Taking a copy away: the repo as a CAR, or a whole folder (with pictures, readable records, pages that a browser opens
//! from disk, and the text on how to restore) that is written first and then sent as a tar.

use std::path::{Path as FilePath, PathBuf};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use maud::{Markup, html};
use p2pds_archive::AccountLine;
use p2pds_recovery::ExportOptions;
use tokio::sync::mpsc;

use crate::archived::{Subject, Tab, head};
use crate::args;
use crate::ask::{Ask, Refused, answer, refused};
use crate::form::Fields;
use crate::jobs::{End, Job, Kind};
use crate::layout::Page;
use crate::node_side::Trouble;
use crate::pages::Sample;
use crate::pages::act::{begin, failed};
use crate::pages::job::brief;
use crate::parts::{self, Tone};
use crate::web::Web;
use crate::words::Words;

/// A reader that takes nothing for so long has gone.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

/// A folder that was written and can be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copy {
    /// When it was finished, microseconds since 1970.
    pub at: i64,
    /// It has pages for a browser.
    pub pages: bool,
}

/// What is shown.
#[derive(Debug)]
pub struct View {
    /// Whose page it is.
    pub subject: Subject,
    /// The token of forms.
    pub csrf: String,
    /// How much there is.
    pub line: AccountLine,
    /// What was written out.
    pub copy: Option<Copy>,
    /// What is being written out.
    pub jobs: Vec<Job>,
    /// Accounts can be hosted here.
    pub hosting: bool,
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    let line = &view.line;
    html! {
        (head(w, &view.subject, Tab::Away, &html! { (w.t("away-title")) }))
        p { (w.t("away-words")) }
        @for job in &view.jobs { (brief(w, job)) }
        @if line.verified == "nothing" { p.empty { (w.t("away-nothing")) } }
        @else {
            h2 { (w.t("away-folder-title")) }
            p { (w.t("away-folder-words")) }
            ul {
                li { (w.t("away-folder-repo")) }
                li { (w.t("away-folder-media")) }
                li { (w.t("away-folder-pages")) }
                li { (w.t("away-folder-text")) }
            }
            @if line.blobs_missing > 0 { (parts::notice(Tone::Warn, html! { p { (w.f("away-missing", args!(count = line.blobs_missing))) } })) }
            @if let Some(copy) = view.copy { (ready(w, view, copy)) }
            form method="post" action=(view.subject.path("/export")) {
                (parts::csrf(&view.csrf))
                label.choice { input type="checkbox" name="pages" value="1" checked; span { (w.t("away-pages")) } }
                p.soft { (w.f("away-room", args!(size = w.size(line.car_bytes.saturating_add(line.blob_bytes))))) }
                button type="submit" class=[view.copy.map(|_| "second")] { (w.t(if view.copy.is_some() { "away-again" } else { "away-prepare" })) }
            }
            h2 { (w.t("away-car-title")) }
            p { (w.f("away-car-words", args!(size = w.size(line.car_bytes)))) }
            p { a.button.second href=(view.subject.path("/repo.car")) download { (w.t("away-car")) } }
        }
        h2 { (w.t("away-promote-title")) }
        p { (w.t(if view.hosting { "away-promote-words" } else { "away-promote-not" })) }
        p { a.button.second href=(view.subject.path("/promote")) { (w.t("away-promote")) } }
    }
}

fn ready(w: &Words, view: &View, copy: Copy) -> Markup {
    parts::notice(
        Tone::Good,
        html! {
            p { strong { (w.t("away-ready")) } " " (w.time(copy.at)) }
            @if copy.pages { p { (w.t("away-open")) } }
            div.row {
                a.button href=(view.subject.path("/copy.tar")) download { (w.t("away-download")) }
                (parts::button(&view.csrf, &view.subject.path("/copy/delete"), "second", &w.t("away-delete")))
            }
            p.soft { (w.t("away-delete-words")) }
        },
    )
}

/// What was written out for an account. The manifest is what is written last.
fn look(dir: &FilePath) -> Option<Copy> {
    let about = std::fs::metadata(dir.join(p2pds_recovery::MANIFEST)).ok()?;
    let at = about.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Copy { at: i64::try_from(at.as_micros()).ok()?, pages: dir.join("index.html").exists() })
}

async fn copy(web: &Web, subject: &Subject) -> Option<(PathBuf, Copy)> {
    let dir = web.archive().copy_dir(&subject.did);
    let looked = dir.clone();
    let found = tokio::task::spawn_blocking(move || look(&looked)).await.ok().flatten()?;
    Some((dir, found))
}

/// `GET /archive/{did}/export`
pub async fn show(State(web): State<Web>, ask: Ask, Path(did): Path<String>) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let mut jobs = web.jobs().running(subject.name());
        jobs.retain(|job| job.kind == Kind::Export);
        let view = View {
            csrf: ask.frame.csrf.clone(),
            line: web.archive().line(&subject.did).await?,
            copy: copy(&web, &subject).await.map(|(_, copy)| copy),
            jobs,
            hosting: web.host().is_some(),
            subject,
        };
        Ok(ask.show(&Page::new(ask.w.t("away-title"), body(&ask.w, &view))))
    })
    .await
}

/// `POST /archive/{did}/export`: the folder is written.
pub async fn prepare(State(web): State<Web>, ask: Ask, Path(did): Path<String>, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let options = ExportOptions { readable: true, html: fields.ticked("pages") };
        let (recovery, did, next) = (web.recovery().clone(), subject.did.clone(), subject.path("/export"));
        let dir = web.archive().copy_dir(&did);
        begin(&web, &subject, Kind::Export, move |progress| async move {
            if let Some(parent) = dir.parent()
                && let Err(error) = tokio::fs::create_dir_all(parent).await
            {
                let message = format!("cannot create {}: {error}", parent.display());
                return failed(Trouble::said(message, None));
            }
            match recovery.export_with(&did, &dir, options, &progress).await {
                Ok(report) => End::Done { next, words: report.to_string() },
                Err(error) => failed(error),
            }
        })
    })
    .await
}

/// `POST /archive/{did}/copy/delete`
pub async fn delete(State(web): State<Web>, ask: Ask, Path(did): Path<String>, _: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let dir = web.archive().copy_dir(&subject.did);
        match tokio::fs::remove_dir_all(&dir).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let message = format!("cannot remove {}: {error}", dir.display());
                Err(Refused::Trouble(Trouble::said(message, None)))
            }
            _ => Ok(Ask::go(&subject.path("/export"))),
        }
    })
    .await
}

/// What a file is called that people save.
fn file_name(subject: &Subject, end: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '-' };
    format!("{}.{end}", subject.name().chars().take(200).map(plain).collect::<String>())
}

fn saved(body: Body, kind: &'static str, file: &str) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{file}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// `GET /archive/{did}/copy.tar`. Whoever read it to its end has a copy.
pub async fn tar(State(web): State<Web>, ask: Ask, Path(did): Path<String>) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let (dir, _) = copy(&web, &subject).await.ok_or(Refused::NotFound)?;
        let top = file_name(&subject, "p2pds");
        let (recovery, did) = (web.recovery().clone(), subject.did.clone());
        let all_sent = futures::stream::once(async move {
            recovery.note_taken(&did).await;
            Ok(bytes::Bytes::new())
        });
        let body = Body::from_stream(crate::tar::tar(dir, top).chain(all_sent));
        Ok(saved(body, "application/x-tar", &file_name(&subject, "tar")))
    })
    .await
}

/// `GET /archive/{did}/repo.car`: the current repo.
pub async fn car(State(web): State<Web>, ask: Ask, Path(did): Path<String>) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        // Held until the last byte, so that no sync moves the head meanwhile.
        let held = web.archive().hold(&subject.did).await;
        let pieces = web.recovery().export_car(&subject.did).await.map_err(refused)?;
        let (to, from) = mpsc::channel(8);
        tokio::spawn(async move {
            let _held = held;
            let mut pieces = std::pin::pin!(pieces);
            while let Some(piece) = pieces.next().await {
                // A reader that sleeps keeps nobody from the account for ever.
                if !matches!(tokio::time::timeout(PATIENCE, to.send(piece)).await, Ok(Ok(()))) {
                    break;
                }
            }
        });
        let stream =
            futures::stream::unfold(
                from,
                |mut from| async move { from.recv().await.map(|piece| (piece, from)) },
            );
        Ok(saved(Body::from_stream(stream), "application/vnd.ipld.car", &file_name(&subject, "car")))
    })
    .await
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    use crate::samples::{NOW, line};
    let view = |line, copy| View {
        subject: crate::archived::made_up(),
        csrf: "t".to_owned(),
        line,
        copy,
        jobs: Vec::new(),
        hosting: true,
    };
    let nothing = AccountLine { verified: "nothing".to_owned(), ..line("alice.example.com") };
    let missing = AccountLine { blobs_missing: 3, ..line("alice.example.com") };
    let mut loading = view(line("alice.example.com"), None);
    (loading.jobs, loading.hosting) = (vec![crate::pages::job::made_up(false)], false);
    [
        ("empty", view(nothing, None)),
        ("loading", loading),
        ("partial", view(missing, None)),
        ("success", view(line("alice.example.com"), Some(Copy { at: NOW, pages: true }))),
    ]
    .map(|(state, view)| Sample { page: "export", state, body: body(w, &view) })
    .into()
}
