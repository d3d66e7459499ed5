//! `com.atproto.admin.getInviteCodes`: all invite codes, newest or most used first.

use std::sync::Arc;

use axum::extract::State;
use p2pds_store::hosting::InviteOrder;
use serde_json::{Value, json};

use crate::asked::Asked;
use crate::com_atproto::server::view;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Output<Value>, XrpcError> {
    let limit = asked.params.limit(100, 500)?;
    let order = match asked.params.get("sort").unwrap_or("recent") {
        "recent" => InviteOrder::Recent,
        "usage" => InviteOrder::Usage,
        other => return Err(XrpcError::invalid(format!("unknown sort method: {other}"))),
    };
    let after = asked.params.get("cursor").map(|text| {
        let (place, code) = text.split_once("::")?;
        Some((place.parse::<i64>().ok()?, code.to_owned()))
    });
    let after = match after {
        Some(None) => return Err(XrpcError::invalid("Malformed cursor")),
        after => after.flatten(),
    };
    let rows = door.host()?.invites(order, after, limit).await?;
    let mut out = json!({ "codes": rows.iter().map(view::invite).collect::<Vec<_>>() });
    if let (Some(last), true, Some(out)) = (rows.last(), rows.len() == limit, out.as_object_mut()) {
        let place = match order {
            InviteOrder::Recent => last.created_at,
            InviteOrder::Usage => i64::from(last.used_up()),
        };
        out.insert("cursor".to_owned(), format!("{place}::{}", last.code).into());
    }
    Ok(Output(out))
}
