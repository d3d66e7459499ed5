//! A blob as an answer: whole or in part.

use std::ops::Range;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Response as HttpResponse, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use p2pds_ipld::Cid;
use p2pds_syntax::Did;

use super::{attach, bounded, not_modified, tagged};
use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;

/// What a `Range` header wants of so many bytes.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// All.
    Whole,
    /// This range.
    Some(Range<u64>),
    /// Nothing that there is.
    Beyond,
}

/// One range of bytes; several at once, and what is not understood, are ignored as the standard allows.
fn part(headers: &HeaderMap, tag: &str, size: u64) -> Part {
    let Some(spec) = headers.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return Part::Whole;
    };
    // A range of something else than what is here is no range.
    if headers
        .get(header::IF_RANGE)
        .is_some_and(|have| have.to_str().ok().map(|have| have.trim_matches('"')) != Some(tag))
    {
        return Part::Whole;
    }
    let Some((first, last)) = spec.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Part::Whole;
    };
    let range = match (number(first), number(last)) {
        _ if first.trim().is_empty() => match number(last) {
            Some(0) => return Part::Beyond,
            Some(count) => size.saturating_sub(count)..size,
            None => return Part::Whole,
        },
        (Some(first), _) if last.trim().is_empty() => first..size,
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        _ => return Part::Whole,
    };
    if range.start >= range.end || range.start >= size { Part::Beyond } else { Part::Some(range) }
}

/// A position; one that no `u64` holds lies behind every blob.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// The blob with the type that its record names.
pub(crate) async fn blob(
    door: &Xrpc,
    asked: &Asked,
    method: &Method,
    did: &Did,
    cid: &Cid,
    mime: &str,
) -> Result<Response, XrpcError> {
    let mime = HeaderValue::from_str(mime).ok().filter(|mime| !mime.is_empty());
    let mime = mime.unwrap_or_else(|| HeaderValue::from_static("application/octet-stream"));
    let mut response = raw_blob(door, asked, method, did, cid).await?;
    if response.headers().contains_key(header::CONTENT_TYPE) {
        response.headers_mut().insert(header::CONTENT_TYPE, mime);
    }
    Ok(response)
}

/// The blob as bytes without a meaning.
pub(crate) async fn raw_blob(
    door: &Xrpc,
    asked: &Asked,
    method: &Method,
    did: &Did,
    cid: &Cid,
) -> Result<Response, XrpcError> {
    let tag = cid.to_string();
    if let Some(same) = not_modified(&asked.headers, &tag) {
        return Ok(same);
    }
    let held = door.limits.heavy(asked).await?;
    let blob = door.reading.blob(asked.viewer, did, cid).await?;
    let size = blob.bytes.size();
    let (status, range) = match part(&asked.headers, &tag, size) {
        Part::Whole => (StatusCode::OK, 0..size),
        Part::Some(range) => (StatusCode::PARTIAL_CONTENT, range),
        Part::Beyond => {
            let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                response.headers_mut().insert(header::CONTENT_RANGE, value);
            }
            return Ok(response);
        }
    };
    let (length, shown) = (
        range.end.saturating_sub(range.start),
        format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1)),
    );
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        Body::from_stream(bounded(door.reading.blob_stream(asked.viewer, did, cid, range).await?, held))
    };
    let mut response = HttpResponse::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = HeaderValue::from_str(&shown)
    {
        headers.insert(header::CONTENT_RANGE, value);
    }
    attach(headers, &tag);
    tagged(headers, &tag);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let part_of = |spec: &str, if_range: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_str(spec).unwrap());
            if let Some(have) = if_range {
                headers.insert(header::IF_RANGE, HeaderValue::from_str(have).unwrap());
            }
            part(&headers, "tag", 100)
        };
        for (spec, wanted) in [
            ("bytes=0-9", Part::Some(0..10)),
            ("bytes=90-", Part::Some(90..100)),
            ("bytes=-5", Part::Some(95..100)),
            ("bytes=-500", Part::Some(0..100)),
            ("bytes=99-200", Part::Some(99..100)),
            ("bytes=100-", Part::Beyond),
            ("bytes=100-200", Part::Beyond),
            ("bytes=-0", Part::Beyond),
            ("bytes=9-0", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=0-1,5-6", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("bytes=18446744073709551615-", Part::Beyond),
            ("bytes=0-18446744073709551615", Part::Some(0..100)),
            ("bytes=99999999999999999999-", Part::Beyond),
            ("bytes=0-99999999999999999999", Part::Some(0..100)),
            ("bytes=-99999999999999999999", Part::Some(0..100)),
            ("bytes=+1-2", Part::Whole),
            ("bytes=-", Part::Whole),
        ] {
            assert_eq!(part_of(spec, None), wanted, "{spec}");
        }
        assert_eq!(part_of("bytes=0-9", Some("\"tag\"")), Part::Some(0..10));
        assert_eq!(part_of("bytes=0-9", Some("\"other\"")), Part::Whole);
        assert_eq!(part(&HeaderMap::new(), "tag", 100), Part::Whole);
        assert_eq!(part_of("bytes=0-", None), Part::Some(0..100));
    }
}
