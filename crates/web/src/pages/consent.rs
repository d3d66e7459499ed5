//! Asking an account's host to let this node do one more thing.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use p2pds_agent::Need;
use p2pds_syntax::Nsid;

use crate::archived::Subject;
use crate::ask::{Ask, Refused, answer};
use crate::door::Seen;
use crate::form::Fields;
use crate::pages::sign_in;
use crate::web::Web;

/// `POST /archive/{did}/consent`
pub async fn post(
    State(web): State<Web>,
    Extension(seen): Extension<Arc<Seen>>,
    ask: Ask,
    Path(did): Path<String>,
    fields: Fields,
) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let need = match fields.text("need").as_str() {
            "identity" => Need::Identity,
            "restore" => {
                let collection = fields.text("collection");
                let nsid = Nsid::parse(&collection).map_err(|_| Refused::NotFound)?;
                Need::Restore { collection: nsid.to_string(), blobs: fields.ticked("blobs") }
            }
            _ => return Err(Refused::NotFound),
        };
        sign_in::consent(&web, &seen, &subject.did, need, &fields.text("to")).await
    })
    .await
}
