//! The Authorization header, taken apart. There is one, or none; it has one scheme and one value.

use axum::http::{HeaderMap, header};
use data_encoding::BASE64;

use crate::error::XrpcError;

/// The header with the proof.
const DPOP: &str = "dpop";

/// What was shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown<'h> {
    /// No header.
    Nothing,
    /// A token.
    Bearer(&'h str),
    /// A name and a password, still encoded.
    Basic(&'h str),
    /// A token that is bound to a key.
    Dpop(&'h str),
}

fn malformed(what: &str) -> XrpcError {
    XrpcError::bad_token("InvalidToken", format!("Malformed authorization header: {what}"))
}

/// Reads it.
pub(super) fn shown(headers: &HeaderMap) -> Result<Shown<'_>, XrpcError> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = given.next() else { return Ok(Shown::Nothing) };
    if given.next().is_some() {
        return Err(malformed("there are two of them"));
    }
    let text = value.to_str().map_err(|_| malformed("it has characters that are not printable"))?;
    let Some((scheme, value)) = text.split_once(' ') else { return Err(malformed("a scheme and a value")) };
    if value.is_empty() || value.contains([' ', ',']) {
        return Err(malformed("exactly one value after the scheme"));
    }
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Ok(Shown::Bearer(value)),
        "basic" => Ok(Shown::Basic(value)),
        "dpop" => Ok(Shown::Dpop(value)),
        _ => Err(XrpcError::bad_token("InvalidToken", "Unsupported authorization type: use Bearer")),
    }
}

/// Whether a caller speaks OAuth, however badly.
pub(crate) fn is_dpop(headers: &HeaderMap) -> bool {
    let scheme = |value: &axum::http::HeaderValue| {
        value.as_bytes().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"dpop "))
    };
    headers.contains_key(DPOP) || headers.get_all(header::AUTHORIZATION).iter().any(scheme)
}

/// The proof that goes with a bound token: one, or none.
pub(super) fn proof(headers: &HeaderMap) -> Result<Option<&str>, XrpcError> {
    let wrong = |what: &str| Err(XrpcError::bad_grant("invalid_dpop_proof", format!("DPoP header: {what}")));
    let mut given = headers.get_all(DPOP).iter();
    let Some(value) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return wrong("there are two of them");
    }
    match value.to_str() {
        Ok("") => wrong("it is empty"),
        Ok(text) => Ok(Some(text)),
        Err(_) => wrong("it has characters that are not printable"),
    }
}

/// Name and password of Basic credentials.
pub(super) fn basic(value: &str) -> Option<(String, String)> {
    let text = String::from_utf8(BASE64.decode(value.as_bytes()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for value in values {
            map.append(header::AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        map
    }

    #[test]
    fn one_header_with_one_value() {
        assert!(shown(&headers(&[])) == Ok(Shown::Nothing));
        assert!(shown(&headers(&[b"Bearer abc"])) == Ok(Shown::Bearer("abc")));
        assert!(shown(&headers(&[b"bEARER abc"])) == Ok(Shown::Bearer("abc")));
        assert!(shown(&headers(&[b"Basic YTpi"])) == Ok(Shown::Basic("YTpi")));
        assert!(shown(&headers(&[b"DPoP abc"])) == Ok(Shown::Dpop("abc")));
        for bad in [
            &[b"Bearer a" as &[u8], b"Bearer a"] as &[&[u8]],
            &[b""],
            &[b"Bearer"],
            &[b"Bearer "],
            &[b"Bearer  a"],
            &[b"Bearer a b"],
            &[b"Bearer a,Bearer b"],
            &[b"Bearer\ta"],
            &[b"Bearer \xff"],
            &[b"Digest a"],
            &[b"abc"],
        ] {
            assert!(shown(&headers(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn passwords_may_have_colons() {
        let encoded = |text: &str| BASE64.encode(text.as_bytes());
        assert_eq!(basic(&encoded("admin:a:b")), Some(("admin".to_owned(), "a:b".to_owned())));
        for bad in ["", "###", &encoded("admin"), "YTpi="] {
            assert_eq!(basic(bad), None, "{bad}");
        }
    }
}
