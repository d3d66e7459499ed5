//! What the made-up servers answer with.

use serde_json::{Value, json};

/// Status, content type, body.
pub(crate) type Response = (u16, &'static str, Vec<u8>);

/// A JSON answer.
pub(crate) fn ok_json(value: &Value) -> Response {
    (200, "application/json", value.to_string().into_bytes())
}

/// An XRPC error.
pub(crate) fn fail(status: u16, error: &str) -> Response {
    (status, "application/json", json!({"error": error, "message": error}).to_string().into_bytes())
}

/// A query's value without its percent signs.
pub(crate) fn unescape(text: &str) -> String {
    let (mut out, mut bytes) = (Vec::new(), text.bytes());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = [bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')];
        out.push(
            std::str::from_utf8(&digits).ok().and_then(|d| u8::from_str_radix(d, 16).ok()).unwrap_or(b'?'),
        );
    }
    String::from_utf8_lossy(&out).into_owned()
}
