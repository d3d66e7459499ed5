//! What is chosen for several accounts at once.

use axum::extract::State;
use axum::response::Response;
use p2pds_archive::{ArchiveError, Choice, ListQuery};
use p2pds_syntax::Did;

use super::{View, Wanted, dids, shown};
use crate::ask::{Ask, Shown, answer};
use crate::form::Fields;
use crate::node_side::Trouble;
use crate::web::Web;
use crate::words::Sentence;

/// What is to be done.
enum Do {
    Choose(Choice),
    Serve { to: String, basis: String },
}

/// `POST /accounts`
pub async fn post(State(web): State<Web>, ask: Ask, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let wanted = Wanted::of(Some(&fields.text("back")));
        act(&web, &ask, wanted, &fields).await
    })
    .await
}

async fn act(web: &Web, ask: &Ask, wanted: Wanted, fields: &Fields) -> Shown {
    let whom = whom(web, &wanted, fields).await?;
    let what = match what(fields) {
        _ if whom.is_empty() => Err("accounts-nobody"),
        other => other,
    };
    let what = match what {
        Ok(what) => what,
        Err(key) => {
            let trouble = Some(Trouble::of(Sentence::of(key)));
            return shown(web, ask, wanted, View { trouble, ..View::default() }).await;
        }
    };
    let failed = match what {
        Do::Choose(choice) => web.archive().choose(&whom, choice).await,
        Do::Serve { to, basis } => serve(web, &whom, &to, &basis).await,
    };
    if failed.is_empty() {
        return Ok(Ask::go(&format!("{}&done={}", wanted.path(), whom.len())));
    }
    let mut named = Vec::new();
    for (did, error) in failed {
        let account = web.archive().store().account(&did).await.ok().flatten();
        let called = account.and_then(|account| account.handle).unwrap_or_else(|| did.to_string());
        named.push((called, error.to_string()));
    }
    shown(web, ask, wanted, View { failed: named, ..View::default() }).await
}

/// Whom it is for.
async fn whom(web: &Web, wanted: &Wanted, fields: &Fields) -> Result<Vec<Did>, ArchiveError> {
    match fields.text("whom").as_str() {
        "shown" => Ok(dids(fields.all("shown"))),
        "matching" => {
            let query = ListQuery { skip: 0, most: usize::MAX, ..wanted.list() };
            Ok(web.archive().page(&query).await?.lines.into_iter().map(|line| line.did).collect())
        }
        _ => Ok(dids(fields.all("did"))),
    }
}

/// What a form says is to be done, or the key of what is wrong with it.
fn what(fields: &Fields) -> Result<Do, &'static str> {
    let choice = match fields.text("do").as_str() {
        "pause" => Choice { paused: Some(true), ..Choice::default() },
        "resume" => Choice { paused: Some(false), ..Choice::default() },
        "priority" => {
            let priority = fields.text("priority").parse::<i32>().map_err(|_| "limits-wrong")?;
            Choice { priority: Some(priority), ..Choice::default() }
        }
        "quota" => {
            let text = fields.text("quota");
            let quota = match text.as_str() {
                "" => None,
                text => Some(text.parse::<u64>().map_err(|_| "limits-wrong")?.saturating_mul(1_000_000)),
            };
            Choice { quota: Some(quota), ..Choice::default() }
        }
        "serve" => return Ok(Do::Serve { to: fields.text("to"), basis: fields.text("basis") }),
        _ => return Err("accounts-nothing"),
    };
    Ok(Do::Choose(choice))
}

async fn serve(web: &Web, whom: &[Did], to: &str, basis: &str) -> Vec<(Did, ArchiveError)> {
    let mut failed = Vec::new();
    for did in whom {
        if let Err(error) = web.archive().serve(did, to, Some(basis)).await {
            failed.push((did.clone(), error));
        }
    }
    failed
}
