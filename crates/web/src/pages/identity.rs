//! Who can move an account: the history of its identity in words, the keys in their order and whose they are, and what
//! the owner says about them.

mod act;
pub mod key;
mod view;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::archived::Subject;
use crate::ask::{Ask, Shown, answer};
use crate::layout::Page;
use crate::node_side::Trouble;
use crate::web::Web;

use act::note_own;
pub use act::{acknowledged, announce, own, withdraw};
use view::change;
pub use view::{DONE, Operation, View, body, is_safe, samples};

/// Longest reason, bytes.
const LONGEST_REASON: usize = 2_000;
/// Longest announcement, hours.
const LONGEST_HOURS: u64 = 720;

/// `GET /archive/{did}/identity`
pub async fn show(State(web): State<Web>, ask: Ask, Path(did): Path<String>, query: RawQuery) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let done = crate::query::text(query.0.as_deref(), "done");
        let done = DONE.into_iter().find(|known| done.as_deref() == Some(known));
        page(&web, &ask, Subject::find(&web, &did).await?, done, None).await
    })
    .await
}

async fn page(
    web: &Web,
    ask: &Ask,
    subject: Subject,
    done: Option<&'static str>,
    trouble: Option<Trouble>,
) -> Shown {
    let history = web.archive().identity_history(&subject.did).await?;
    let keys = web.archive().show(&subject.did).await?.keys;
    let steps = web.archive().stored_plc_log(&subject.did).await?.map(|log| log.steps()).unwrap_or_default();
    let differences = steps.into_iter().map(|step| step.differences);
    let mut operations: Vec<Operation> = history
        .operations
        .iter()
        .zip(differences)
        .map(|(line, differences)| Operation { line: line.clone(), differences })
        .collect();
    operations.reverse();
    let own = web.archive().store().own_keys(&subject.did).await?;
    let status = if trouble.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let view = View { csrf: ask.frame.csrf.clone(), subject, keys, own, operations, history, done, trouble };
    Ok(ask.show_as(status, &Page::new(ask.w.t("identity-title"), body(&ask.w, &view))))
}
