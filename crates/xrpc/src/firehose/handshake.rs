//! From a GET request to a WebSocket (RFC 6455, section 4.2).

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use hyper::upgrade::OnUpgrade;
use sha1::{Digest as _, Sha1};

use crate::error::XrpcError;

/// What every answer to a key is made with.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The only subprotocol there is a name for; asked for by few.
const SUBPROTOCOL: &str = "xrpc.v0.cbor";

/// A request that becomes a socket.
pub(crate) struct Opened {
    /// The answer.
    pub(crate) response: Response,
    /// The connection, once the answer is out.
    pub(crate) upgrade: OnUpgrade,
}

/// Checks a request and makes the answer to it.
///
/// # Errors
/// It is no WebSocket request.
#[expect(clippy::result_large_err, reason = "made once for a connection")]
pub(crate) fn open(
    version: Version,
    headers: &HeaderMap,
    upgrade: Option<OnUpgrade>,
) -> Result<Opened, Response> {
    let says = |name, word: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|said| said.trim().eq_ignore_ascii_case(word))
    };
    let asks = version == Version::HTTP_11
        && says(header::CONNECTION, "upgrade")
        && says(header::UPGRADE, "websocket")
        && says(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).filter(|key| is_key(key));
    let (true, Some(key), Some(upgrade)) = (asks, key, upgrade) else { return Err(not_a_socket()) };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fields = response.headers_mut();
    fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&answer(key)) {
        fields.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if says(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        fields.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    Ok(Opened { response, upgrade })
}

fn is_key(key: &[u8]) -> bool {
    data_encoding::BASE64.decode(key).is_ok_and(|nonce| nonce.len() == 16)
}

fn answer(key: &[u8]) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    data_encoding::BASE64.encode(&digest)
}

fn not_a_socket() -> Response {
    let error = XrpcError::new(
        StatusCode::UPGRADE_REQUIRED,
        "InvalidRequest",
        "this is a stream: connect to it by WebSocket (version 13); behind a proxy, let it pass `Upgrade` and `Connection` on",
    );
    let mut response = error.into_response();
    let fields = response.headers_mut();
    fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_that_of_the_rfc() {
        assert_eq!(answer(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ==") && !is_key(b"dGhlIHNhbXBsZQ==") && !is_key(b"x"));
    }
}
