//! What the buttons and forms of an account's page do.

use axum::extract::{Path, State};
use axum::response::Response;
use p2pds_archive::{ArchiveError, Progress, VerifyOptions};
use p2pds_store::{AccountPatch, Keep, Unit};

use crate::archived::Subject;
use crate::ask::{Ask, Refused, Shown, answer};
use crate::form::Fields;
use crate::jobs::{End, Kind};
use crate::node_side::Trouble;
use crate::pages::account;
use crate::web::Web;
use crate::words::Sentence;

/// How a job that failed ends.
pub(crate) fn failed(error: impl Into<Trouble>) -> End {
    End::Failed(error.into())
}

/// Begins work for an account and shows it.
///
/// # Errors
/// Too much runs already.
pub(crate) fn begin<W, F>(web: &Web, subject: &Subject, kind: Kind, work: W) -> Shown
where
    W: FnOnce(Progress) -> F,
    F: Future<Output = End> + Send + 'static,
{
    let id = web
        .jobs()
        .begin(kind, subject.name(), web.now(), work)
        .map_err(|busy| Refused::Trouble(busy.into()))?;
    Ok(Ask::go(&format!("/jobs/{id}")))
}

/// `POST /archive/{did}/sync`
pub async fn sync(State(web): State<Web>, ask: Ask, Path(did): Path<String>, _: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let (archive, did, next) = (web.archive().clone(), subject.did.clone(), subject.path(""));
        begin(&web, &subject, Kind::Sync, move |progress| async move {
            match archive.sync(&did, &progress).await {
                Ok(summary) => End::Done { next, words: summary.to_string() },
                Err(error) => failed(error),
            }
        })
    })
    .await
}

/// `POST /archive/{did}/verify`: reads everything and mends what it can.
pub async fn verify(State(web): State<Web>, ask: Ask, Path(did): Path<String>, _: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let (archive, did, next) = (web.archive().clone(), subject.did.clone(), subject.path(""));
        begin(&web, &subject, Kind::Verify, move |progress| async move {
            match archive.verify(&did, VerifyOptions { read_data: true, repair: true }, &progress).await {
                Ok(report) if report.ok => End::Done { next, words: report.to_string() },
                Ok(report) => End::Failed(Trouble::said(report.to_string(), None)),
                Err(error) => failed(error),
            }
        })
    })
    .await
}

/// `POST /archive/{did}/drill`
pub async fn drill(State(web): State<Web>, ask: Ask, Path(did): Path<String>, _: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let (recovery, did, next) = (web.recovery().clone(), subject.did.clone(), subject.path("/drills"));
        begin(&web, &subject, Kind::Drill, move |progress| async move {
            match recovery.drill(&did, &progress).await {
                Ok(report) if report.ok => End::Done { next, words: report.to_string() },
                Ok(report) => End::Failed(Trouble::said(report.to_string(), None)),
                Err(error) => failed(error),
            }
        })
    })
    .await
}

/// `POST /archive/{did}/pause`
pub async fn pause(State(web): State<Web>, ask: Ask, Path(did): Path<String>, _: Fields) -> Response {
    answer(&ask, switch(&web, &ask, &did, true)).await
}

/// `POST /archive/{did}/resume`
pub async fn resume(State(web): State<Web>, ask: Ask, Path(did): Path<String>, _: Fields) -> Response {
    answer(&ask, switch(&web, &ask, &did, false)).await
}

async fn switch(web: &Web, ask: &Ask, did: &str, paused: bool) -> Shown {
    ask.operator()?;
    let subject = Subject::find(web, did).await?;
    let done = web.archive().pause(&subject.did, paused).await;
    back(web, ask, subject, done).await
}

/// Back to the account, with what did not work.
async fn back(web: &Web, ask: &Ask, subject: Subject, done: Result<(), ArchiveError>) -> Shown {
    match done {
        Ok(()) => Ok(Ask::go(&subject.path(""))),
        Err(error) => account::page(web, ask, subject, Some(error.into())).await,
    }
}

/// `POST /archive/{did}/serve`
pub async fn serve(State(web): State<Web>, ask: Ask, Path(did): Path<String>, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let (to, basis) = (fields.text("to"), fields.text("basis"));
        let done = web.archive().serve(&subject.did, &to, Some(&basis)).await;
        back(&web, &ask, subject, done.map(|_| ())).await
    })
    .await
}

/// `POST /archive/{did}/keep`
pub async fn keep(State(web): State<Web>, ask: Ask, Path(did): Path<String>, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let keep = if fields.text("keep") == "all" { Keep::All } else { Keep::Window };
        let basis = Some(fields.text("basis")).filter(|basis| !basis.is_empty());
        let done = web.archive().keep(&subject.did, keep, Some(basis)).await;
        back(&web, &ask, subject, done).await
    })
    .await
}

/// `POST /archive/{did}/limits`
pub async fn limits(State(web): State<Web>, ask: Ask, Path(did): Path<String>, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let (quota, priority) = (fields.text("quota"), fields.text("priority"));
        let megabytes = if quota.is_empty() { Ok(None) } else { quota.parse::<u64>().map(Some) };
        let (Ok(megabytes), Ok(priority)) = (megabytes, priority.parse::<i32>()) else {
            let trouble = Trouble::of(Sentence::of("limits-wrong"));
            return account::page(&web, &ask, subject, Some(trouble)).await;
        };
        let bytes = megabytes.map(|megabytes| megabytes.saturating_mul(1_000_000));
        let done = set_limits(&web, &subject, bytes, priority).await;
        back(&web, &ask, subject, done).await
    })
    .await
}

async fn set_limits(
    web: &Web,
    subject: &Subject,
    quota: Option<u64>,
    priority: i32,
) -> Result<(), ArchiveError> {
    web.archive().set_quota(&subject.did, quota).await?;
    let patch = AccountPatch { priority: Some(priority.clamp(-1_000, 1_000)), ..AccountPatch::default() };
    let unit = Unit::PatchAccount { did: subject.did.clone(), patch: Box::new(patch) };
    web.archive().store().apply(unit).await?;
    Ok(())
}
