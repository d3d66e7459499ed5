//! What the forms of that page do: what the owner says about keys and operations.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use p2pds_archive::ArchiveError;
use p2pds_store::hosting::OwnerUnit;
use p2pds_store::{HostingUnit, Unit};

use super::view::WITHDRAWN;
use super::{LONGEST_HOURS, LONGEST_REASON, page};
use crate::archived::Subject;
use crate::ask::{Ask, Refused, Shown, answer};
use crate::form::Fields;
use crate::web::Web;

/// What is kept as the reason when an announcement is taken back.
const WITHDRAWAL: &str = "taken back on the pages of this node";

/// Back to the page, with what did not work.
async fn back(web: &Web, ask: &Ask, subject: Subject, done: Result<(), ArchiveError>) -> Shown {
    web.identities().forget(&subject.did);
    match done {
        Ok(()) => Ok(Ask::go(&subject.path("/identity"))),
        Err(error) => page(web, ask, subject, None, Some(error.into())).await,
    }
}

/// A reason that says something.
fn reason(fields: &Fields) -> Result<String, ArchiveError> {
    let reason = fields.text("reason");
    if reason.is_empty() || reason.len() > LONGEST_REASON { Err(ArchiveError::NoReason) } else { Ok(reason) }
}

/// `POST /archive/{did}/identity/acknowledge`
pub async fn acknowledged(
    State(web): State<Web>,
    ask: Ask,
    Path(did): Path<String>,
    fields: Fields,
) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let done = match reason(&fields) {
            Ok(reason) => web.archive().acknowledge(&subject.did, &fields.text("operation"), &reason).await,
            Err(error) => Err(error),
        };
        back(&web, &ask, subject, done).await
    })
    .await
}

/// `POST /archive/{did}/identity/announce`
pub async fn announce(State(web): State<Web>, ask: Ask, Path(did): Path<String>, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let hours = fields.text("hours").parse::<u64>().unwrap_or(24).clamp(1, LONGEST_HOURS);
        let within = Duration::from_secs(hours.saturating_mul(3_600));
        let done = match reason(&fields) {
            Ok(reason) => web.archive().announce(&subject.did, within, &reason).await.map(|_| ()),
            Err(error) => Err(error),
        };
        back(&web, &ask, subject, done).await
    })
    .await
}

/// `POST /archive/{did}/identity/withdraw`: what was announced will not be done, or is done.
pub async fn withdraw(State(web): State<Web>, ask: Ask, Path(did): Path<String>, _: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let done = web.archive().announce(&subject.did, Duration::ZERO, WITHDRAWAL).await;
        web.identities().forget(&subject.did);
        match done {
            Ok(_) => Ok(Ask::go(&subject.path(&format!("/identity?done={WITHDRAWN}")))),
            Err(error) => page(&web, &ask, subject, None, Some(error.into())).await,
        }
    })
    .await
}

/// `POST /archive/{did}/identity/own`: this key is mine, or is not.
pub async fn own(State(web): State<Web>, ask: Ask, Path(did): Path<String>, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let key = fields.text("key");
        let keys = web.archive().show(&subject.did).await?.keys.rotation_keys;
        if !keys.iter().any(|note| note.key == key) {
            return Err(Refused::NotFound);
        }
        note_own(&web, &subject, key, fields.ticked("mine")).await?;
        back(&web, &ask, subject, Ok(())).await
    })
    .await
}

/// Notes whose a key is.
pub(super) async fn note_own(web: &Web, subject: &Subject, key: String, mine: bool) -> Result<(), Refused> {
    let did = subject.did.clone();
    let unit = match mine {
        true => OwnerUnit::PutOwnKey { did, key, at: web.now() },
        false => OwnerUnit::DropOwnKey { did, key },
    };
    web.archive().store().apply(Unit::Hosting(Box::new(HostingUnit::Owner(unit)))).await?;
    Ok(())
}
