//! The IPFS trustless gateway: `/ipfs/{cid}`, one block or a CAR, never rendered, never fetched from elsewhere.
//!
//! A CAR of `dag-scope=all` has what lies below the block *in the tree of the repo*; links inside records (to blobs, to
//! other people's records) are not followed. Blobs are single blocks.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use p2pds_ipld::Cid;
use p2pds_ipld::car::{write_header, write_section};
use p2pds_reading::View;

use super::{Found, find};
use crate::asked::{Asked, Params};
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::reply;

/// The empty block with the identity hash, by which clients probe a gateway.
const PROBE: &str = "bafkqaaa";
/// Largest blob that is put into a CAR; larger ones are had raw.
const CAR_BLOB: u64 = 8 << 20;

/// How the answer is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Raw,
    /// A CAR of one block, or of all below it.
    Car {
        all: bool,
    },
}

/// Answers GET and HEAD.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Path(name): Path<String>,
    method: Method,
    asked: Asked,
) -> Result<Response, XrpcError> {
    let format = format(&asked.params, &asked.headers)?;
    if name == PROBE {
        return Ok(probe(format));
    }
    let Ok(cid) = name.parse::<Cid>() else {
        return Err(XrpcError::invalid(
            "only CIDs of this protocol are served here: version 1, base32, SHA-256, dag-cbor or raw, without a path",
        ));
    };
    if !door.config.gateway {
        return Ok(absent(&asked.headers));
    }
    if door.reading.is_blocked(&cid).await? {
        return Ok((StatusCode::GONE, "blocked by the operator of this node\n").into_response());
    }
    let Some(found) = find(&door, &asked, &cid).await? else { return Ok(absent(&asked.headers)) };
    let mut response = match (found, format) {
        (Found::Block { seen, bytes }, Format::Raw) => reply::mirrored(raw(&asked, &cid, bytes), &seen),
        (Found::Block { seen, bytes }, Format::Car { all }) => {
            reply::mirrored(car(&door, &asked, &cid, &seen, bytes, all).await?, &seen)
        }
        (Found::Blob { account }, Format::Raw) => {
            let mut response = reply::raw_blob(&door, &asked, &method, &account.did, &cid).await?;
            typed(&mut response, RAW, &format!("{cid}.bin"));
            reply::mirrored_account(response, &account)
        }
        (Found::Blob { account }, Format::Car { .. }) => {
            let _held = door.limits.heavy(&asked).await?;
            let blob = door.reading.blob(asked.viewer, &account.did, &cid).await?;
            let bytes = blob.bytes.bytes(CAR_BLOB).await.map_err(|_| {
                XrpcError::invalid("this blob is too large for a CAR here; ask for it with format=raw")
            })?;
            reply::mirrored_account(single(&asked, &cid, &bytes), &account)
        }
    };
    if asked.params.get("format").is_none() {
        // The form was negotiated: where this very form is.
        let form = if format == Format::Raw { "raw" } else { "car" };
        if let Ok(value) = HeaderValue::from_str(&format!("/ipfs/{cid}?format={form}")) {
            response.headers_mut().insert(header::CONTENT_LOCATION, value);
        }
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    }
    Ok(response)
}

const RAW: &str = "application/vnd.ipld.raw";
const CAR: &str = "application/vnd.ipld.car; version=1; order=dfs; dups=y";

/// The form that is asked for; the parameter wins over the header.
fn format(params: &Params, headers: &HeaderMap) -> Result<Format, XrpcError> {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accepted = accept
        .flat_map(|list| list.split(','))
        .map(|one| one.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
        .find_map(|one| match one.as_str() {
            "application/vnd.ipld.raw" => Some("raw"),
            "application/vnd.ipld.car" => Some("car"),
            _ => None,
        });
    let wants_all = || match params.get("dag-scope") {
        None | Some("all") => Ok(true),
        Some("block" | "entity") => Ok(false),
        Some(_) => Err(XrpcError::invalid("dag-scope must be block, entity or all")),
    };
    match params.get("format").or(accepted) {
        Some("raw") => Ok(Format::Raw),
        Some("car") if params.get("car-version").is_some_and(|version| version != "1") => {
            Err(XrpcError::invalid("only CARs of version 1 are made here"))
        }
        Some("car") => Ok(Format::Car { all: wants_all()? }),
        _ => Err(XrpcError::invalid(
            "name the form: ?format=raw or ?format=car, or Accept: application/vnd.ipld.raw or .car",
        )),
    }
}

fn probe(format: Format) -> Response {
    let mut response = match format {
        Format::Raw => reply::bytes(RAW, "bafkqaaa.bin", Vec::new()),
        // Header of version 1 without roots: the identity block needs no section.
        Format::Car { .. } => {
            let mut out = Vec::new();
            write_header(&mut out, &[]);
            reply::bytes(CAR, "bafkqaaa.car", out)
        }
    };
    reply::tagged(response.headers_mut(), PROBE);
    response
}

fn typed(response: &mut Response, mime: &'static str, name: &str) {
    if response.headers().contains_key(header::CONTENT_TYPE) {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(mime));
        reply::attach(response.headers_mut(), name);
    }
}

fn raw(asked: &Asked, cid: &Cid, bytes: Vec<u8>) -> Response {
    let tag = cid.to_string();
    if let Some(same) = reply::not_modified(&asked.headers, &tag) {
        return same;
    }
    let mut response = reply::bytes(RAW, &format!("{cid}.bin"), bytes);
    reply::tagged(response.headers_mut(), &tag);
    response
}

fn single(asked: &Asked, cid: &Cid, bytes: &[u8]) -> Response {
    let tag = format!("{cid}.car.block");
    if let Some(same) = reply::not_modified(&asked.headers, &tag) {
        return same;
    }
    let mut out = Vec::new();
    write_header(&mut out, &[*cid]);
    write_section(&mut out, cid, bytes);
    let mut response = reply::bytes(CAR, &format!("{cid}.car"), out);
    reply::tagged(response.headers_mut(), &tag);
    response
}

async fn car(
    door: &Xrpc,
    asked: &Asked,
    cid: &Cid,
    seen: &View,
    bytes: Vec<u8>,
    all: bool,
) -> Result<Response, XrpcError> {
    if !all {
        return Ok(single(asked, cid, &bytes));
    }
    let tag = format!("{cid}.car.all");
    if let Some(same) = reply::not_modified(&asked.headers, &tag) {
        return Ok(same);
    }
    let held = door.limits.repo(asked)?;
    let car = door.reading.car_below(asked.viewer, seen.clone(), cid).await?;
    let mut response = reply::car(car, &tag, &format!("{cid}.car"), held);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CAR));
    Ok(response)
}

fn absent(headers: &HeaderMap) -> Response {
    let cached = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut only = cached.flat_map(|list| list.split(',')).map(str::trim);
    let status = if only.any(|one| one.eq_ignore_ascii_case("only-if-cached")) {
        StatusCode::PRECONDITION_FAILED
    } else {
        StatusCode::NOT_FOUND
    };
    (status, "no account that is served here has this CID, and nothing is fetched from elsewhere\n")
        .into_response()
}
