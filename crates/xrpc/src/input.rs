//! What a procedure is sent.
//!
//! [`Input`] is the JSON body as the method's own type: its media type, size, form and fields are checked here, and what
//! is wrong has a name before the handler sees it. Bodies of blobs and repos come through as streams, bounded.

mod bounded;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use p2pds_syntax::json;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::XrpcError;

pub(crate) use bounded::{Bounded, Pace, refused};

/// What some editors and libraries write before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The JSON body of a procedure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input<T>(pub T);

/// Whether the body may be JSON, by what the headers say.
pub(crate) fn may_be_json(headers: &HeaderMap) -> Result<(), XrpcError> {
    if !is_plain(headers) {
        return Err(XrpcError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "InvalidRequest",
            "unsupported content-encoding: send the body as it is",
        ));
    }
    let Some(kind) = headers.get(header::CONTENT_TYPE) else {
        return Err(XrpcError::invalid("Request encoding (Content-Type) required but not provided"));
    };
    let kind = kind.to_str().unwrap_or_default();
    let mut parts = kind.split(';').map(str::trim);
    let json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let plain = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    if json && plain {
        return Ok(());
    }
    Err(XrpcError::invalid("Wrong request encoding (Content-Type): expected application/json, in UTF-8"))
}

/// Whether the body is sent as it is, uncompressed.
pub(crate) fn is_plain(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().all(|value| {
        value
            .to_str()
            .is_ok_and(|text| text.trim().is_empty() || text.trim().eq_ignore_ascii_case("identity"))
    })
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = XrpcError;

    async fn from_request(request: Request, _: &S) -> Result<Self, XrpcError> {
        let value = read(request).await?;
        serde_json::from_value(value).map(Self).map_err(|error| {
            // Serde names the field; it quotes what was sent, which may be a password.
            let said = error.to_string();
            let field = said.split('`').nth(1).filter(|_| said.starts_with("missing field"));
            XrpcError::invalid(match field {
                Some(field) => format!("Input must have the property \"{field}\""),
                None => "Input has a property of the wrong type; see the method's lexicon".to_owned(),
            })
        })
    }
}

async fn read(request: Request) -> Result<Value, XrpcError> {
    let bytes = request.into_body().collect().await.map_err(|error| refused(&error))?.to_bytes();
    if bytes.is_empty() {
        return Err(XrpcError::invalid("A request body is expected but none was provided"));
    }
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
    let value = json::parse(text).map_err(|problem| XrpcError::invalid(problem.to_string()))?;
    if value.is_object() {
        return Ok(value);
    }
    Err(XrpcError::invalid("Input must be an object"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use axum::http::HeaderValue;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    #[serde(rename_all = "camelCase")]
    struct Given {
        identifier: String,
        #[serde(default)]
        allow_takendown: bool,
    }

    async fn given(body: &str) -> Result<Given, XrpcError> {
        let body = Body::new(Bounded::new(Body::from(body.to_owned()), 64, Pace::PerSecond(1)));
        Input::from_request(Request::new(body), &()).await.map(|Input(given)| given)
    }

    #[tokio::test]
    async fn fields_have_names() {
        let whole = given(r#"{"identifier":"a","allowTakendown":true,"more":1}"#).await.unwrap();
        assert_eq!(whole, Given { identifier: "a".to_owned(), allow_takendown: true });
        assert!(given("\u{feff}{\"identifier\":\"a\"}").await.is_ok(), "a byte order mark");
        for (body, said) in [
            ("\u{feff}\u{feff}{}", "not well-formed"),
            ("", "expected but none"),
            ("{}", "\"identifier\""),
            ("[]", "must be an object"),
            (r#"{"identifier":["hunter2"]}"#, "wrong type"),
            (r#"{"identifier":"a","identifier":"b"}"#, "twice"),
            (r#"{"identifier":"a"} {}"#, "not well-formed"),
            ("{\"identifier\":\"\u{0}\"}", "not well-formed"),
        ] {
            let error = given(body).await.unwrap_err();
            assert_eq!((error.status.as_u16(), error.name), (400, "InvalidRequest"), "{body}");
            assert!(error.message.contains(said) && !error.message.contains("hunter2"), "{}", error.message);
        }
        let error = given(&format!("{{\"identifier\":\"{}\"}}", "a".repeat(64))).await.unwrap_err();
        assert_eq!((error.status.as_u16(), error.name), (413, "PayloadTooLarge"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let body = Body::from_stream(futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
        let body = Body::new(Bounded::new(body, 64, Pace::Within(Duration::from_secs(30))));
        let error = Input::<Given>::from_request(Request::new(body), &()).await.unwrap_err();
        assert_eq!(error.status.as_u16(), 408);
    }

    #[test]
    fn media_types() {
        let of = |kind: &str, encoding: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_str(encoding).unwrap());
            may_be_json(&headers)
        };
        for good in
            ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""]
        {
            assert!(of(good, "identity").is_ok(), "{good}");
        }
        for bad in
            ["text/plain", "application/jsonx", "application/json; charset=utf-16", "multipart/form-data", ""]
        {
            assert!(of(bad, "identity").is_err(), "{bad}");
        }
        for bad in ["gzip", "br", "deflate", "gzip, identity", "x"] {
            assert_eq!(of("application/json", bad).unwrap_err().status.as_u16(), 415, "{bad}");
        }
        assert!(may_be_json(&HeaderMap::new()).is_err());
    }
}
