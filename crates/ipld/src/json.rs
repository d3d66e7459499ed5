//! The JSON form of the data model: `{"$link": …}` and `{"$bytes": …}`.
//!
//! Reading is for values that somebody wants to write: what cannot come back unchanged is refused, with its place.
//! Numbers stay within ±(2^53 − 1), the range that every JSON reader keeps exact.

use data_encoding::{BASE64, BASE64_NOPAD};
use p2pds_syntax::ErrorKind;
use serde_json::{Map, Number, Value as Json};

use crate::cbor::{Limits, Value, head, major, string, validate};
use crate::cid::Cid;
use crate::error::CborError;

/// Largest integer that every JSON reader keeps exact.
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 32;

/// Why JSON is not a value of the data model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a value of the data model at {path}: {fault}")]
pub struct JsonError {
    /// Where, as a JSON pointer; `/` alone is written for the top.
    pub path: String,
    /// What is wrong there.
    pub fault: JsonFault,
}

impl JsonError {
    /// Always `Invalid`.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// One broken rule of the JSON form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonFault {
    /// A number with a fraction.
    #[error("floating point numbers are not part of the data model; write it as an integer or as text")]
    Float,
    /// Outside of ±(2^53 − 1).
    #[error("the number is outside of ±9007199254740991, which not every reader keeps exact")]
    Range,
    /// Nested too deeply.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// `$link` with a wrong value or beside other keys.
    #[error("`$link` stands alone and holds the text of a CID")]
    Link,
    /// `$bytes` with a wrong value or beside other keys.
    #[error("`$bytes` stands alone and holds base64")]
    Bytes,
    /// `$type` that is not text, or empty.
    #[error("`$type` is text and not empty")]
    Type,
    /// A blob without one of its fields, or with a wrong one.
    #[error("a blob has `ref` (a link), `mimeType` (text) and `size` (an integer, not negative)")]
    Blob,
    /// A record that is not an object.
    #[error("a record is an object")]
    NotAnObject,
}

/// The JSON form of a value.
///
/// Odd links come out as text too; [`from_json`] refuses them, as nothing new is written with them.
#[must_use]
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::Number(Number::from(*value)),
        Value::Bytes(bytes) => single("$bytes", BASE64_NOPAD.encode(bytes)),
        Value::Text(text) => Json::String(text.clone()),
        Value::Array(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|(key, value)| (key.clone(), to_json(value))).collect())
        }
        Value::Link(cid) => single("$link", cid.to_string()),
        Value::OddLink(bytes) => single("$link", odd_cid_text(bytes)),
    }
}

fn single(key: &str, text: String) -> Json {
    let mut map = Map::with_capacity(1);
    map.insert(key.to_owned(), Json::String(text));
    Json::Object(map)
}

/// Writes the JSON form of one block behind what is in `out`: the text of [`to_json`] of what
/// [`decode`](crate::cbor::decode) gives, without making either.
///
/// # Errors
/// As [`validate`]; nothing is written then.
pub fn write_json(block: &[u8], limits: &Limits, out: &mut Vec<u8>) -> Result<(), CborError> {
    validate(block, limits)?;
    let begun = out.len();
    out.reserve(block.len().saturating_mul(2));
    let written = item(block, 0, out);
    if written.is_err() {
        out.truncate(begun);
    }
    written.map(drop)
}

/// Writes the item at `at` of a block that was validated, which bounds the depth too; gives the offset behind it.
fn item(block: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, CborError> {
    let (kind, value, next) = head(block, at)?;
    match kind {
        major::UINT => number(i64::try_from(value).unwrap_or(i64::MAX), out),
        major::NINT => number(!i64::try_from(value).unwrap_or(i64::MAX), out),
        major::TEXT => return text(block, at, (next, value), out),
        major::BYTES => {
            let (bytes, end) = string(block, at, next, value)?;
            out.extend_from_slice(b"{\"$bytes\":\"");
            out.extend_from_slice(BASE64_NOPAD.encode(bytes).as_bytes());
            out.extend_from_slice(b"\"}");
            return Ok(end);
        }
        major::TAG => {
            let (_, length, body) = head(block, next)?;
            let (bytes, end) = string(block, at, body, length)?;
            let cid = bytes.get(1..).unwrap_or_default();
            out.extend_from_slice(b"{\"$link\":\"");
            match Cid::from_bytes(cid) {
                Ok(cid) => out.extend_from_slice(cid.to_string().as_bytes()),
                Err(_) => out.extend_from_slice(odd_cid_text(cid).as_bytes()),
            }
            out.extend_from_slice(b"\"}");
            return Ok(end);
        }
        major::ARRAY => return container(block, next, value, (b'[', b']'), out),
        major::MAP => return container(block, next, value, (b'{', b'}'), out),
        _ => out.extend_from_slice(match block.get(at) {
            Some(0xf4) => b"false",
            Some(0xf5) => b"true",
            _ => b"null",
        }),
    }
    Ok(next)
}

fn container(
    block: &[u8],
    mut at: usize,
    count: u64,
    (open, close): (u8, u8),
    out: &mut Vec<u8>,
) -> Result<usize, CborError> {
    out.push(open);
    for n in 0..count {
        if n > 0 {
            out.push(b',');
        }
        if open == b'{' {
            let (_, length, next) = head(block, at)?;
            at = text(block, at, (next, length), out)?;
            out.push(b':');
        }
        at = item(block, at, out)?;
    }
    out.push(close);
    Ok(at)
}

fn text(
    block: &[u8],
    at: usize,
    (from, length): (usize, u64),
    out: &mut Vec<u8>,
) -> Result<usize, CborError> {
    let (bytes, end) = string(block, at, from, length)?;
    write_text(bytes, out);
    Ok(end)
}

/// Writes UTF-8 as a JSON string.
pub fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut from = 0_usize;
    for (at, byte) in text.iter().enumerate().filter(|(_, byte)| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        out.extend_from_slice(text.get(from..at).unwrap_or_default());
        from = at.saturating_add(1);
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0c => b'f',
            0x0d => b'r',
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(data_encoding::HEXLOWER.encode(&[*byte]).as_bytes());
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
    out.extend_from_slice(text.get(from..).unwrap_or_default());
    out.push(b'"');
}

fn number(value: i64, out: &mut Vec<u8>) {
    // As serde_json writes it.
    out.extend_from_slice(Number::from(value).to_string().as_bytes());
}

/// Text of a CID that is not a DASL CID: base58 for version 0, base32 otherwise.
fn odd_cid_text(bytes: &[u8]) -> String {
    if bytes.starts_with(&[0x12, 0x20]) {
        return base58(bytes);
    }
    let mut text = data_encoding::BASE32_NOPAD.encode(bytes);
    text.make_ascii_lowercase();
    text.insert(0, 'b');
    text
}

fn base58(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    // Little-endian digits; each byte multiplies them by 256.
    let mut digits: Vec<u8> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry = carry.saturating_add(u32::from(*digit) << 8);
            *digit = u8::try_from(carry % 58).unwrap_or_default();
            carry /= 58;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 58).unwrap_or_default());
            carry /= 58;
        }
    }
    let digits = std::iter::repeat_n(&0u8, zeros).chain(digits.iter().rev());
    digits.map(|digit| char::from(ALPHABET.get(usize::from(*digit)).copied().unwrap_or(b'1'))).collect()
}

/// Reads the JSON form of any value.
///
/// # Errors
/// Anything that would not come back unchanged, with its path.
pub fn from_json(json: &Json) -> Result<Value, JsonError> {
    into_value(json.clone())
}

/// As [`from_json`], without copying texts.
///
/// # Errors
/// As [`from_json`].
pub fn into_value(json: Json) -> Result<Value, JsonError> {
    read(json, 0).map_err(Fault::at)
}

/// Reads the JSON form of a record: an object.
///
/// # Errors
/// As [`from_json`]; and when it is no object.
pub fn record_from_json(json: &Json) -> Result<Value, JsonError> {
    into_record(json.clone())
}

/// As [`record_from_json`], without copying texts.
///
/// # Errors
/// As [`record_from_json`].
pub fn into_record(json: Json) -> Result<Value, JsonError> {
    match into_value(json)? {
        value @ Value::Map(_) => Ok(value),
        _ => Err(Fault::from(JsonFault::NotAnObject).at()),
    }
}

/// A fault and the way to it, from the inside out.
struct Fault {
    fault: JsonFault,
    way: Vec<String>,
}

impl From<JsonFault> for Fault {
    fn from(fault: JsonFault) -> Self {
        Self { fault, way: Vec::new() }
    }
}

impl Fault {
    fn inside(mut self, part: String) -> Self {
        self.way.push(part);
        self
    }

    fn at(self) -> JsonError {
        let mut path = String::new();
        for part in self.way.iter().rev() {
            path.push('/');
            path.push_str(&part.replace('~', "~0").replace('/', "~1"));
        }
        if path.is_empty() {
            path.push('/');
        }
        JsonError { path, fault: self.fault }
    }
}

fn read(json: Json, depth: usize) -> Result<Value, Fault> {
    match json {
        Json::Null => Ok(Value::Null),
        Json::Bool(value) => Ok(Value::Bool(value)),
        Json::Number(number) => Ok(Value::Int(integer(&number)?)),
        Json::String(text) => Ok(Value::Text(text)),
        Json::Array(items) => {
            let depth = deeper(depth)?;
            let mut values = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                values.push(read(item, depth).map_err(|fault| fault.inside(index.to_string()))?);
            }
            Ok(Value::Array(values))
        }
        Json::Object(map) => object(map, depth),
    }
}

fn deeper(depth: usize) -> Result<usize, JsonFault> {
    if depth >= MAX_DEPTH { Err(JsonFault::TooDeep) } else { Ok(depth.saturating_add(1)) }
}

/// An integer, also when it is written with a fraction of zero (`123.0`), as the reference accepts.
fn integer(number: &Number) -> Result<i64, JsonFault> {
    const SAFE: f64 = MAX_SAFE_INTEGER as f64;
    if let Some(value) = number.as_i64() {
        return if value.unsigned_abs() <= MAX_SAFE_INTEGER.unsigned_abs() {
            Ok(value)
        } else {
            Err(JsonFault::Range)
        };
    }
    match number.as_f64() {
        Some(value) if !value.is_finite() || value.fract() != 0.0 => Err(JsonFault::Float),
        Some(value) if value.abs() <= SAFE => Ok(value as i64),
        _ => Err(JsonFault::Range),
    }
}

fn object(map: Map<String, Json>, depth: usize) -> Result<Value, Fault> {
    if let Some(link) = map.get("$link") {
        return match (link.as_str().map(str::parse::<Cid>), map.len()) {
            (Some(Ok(cid)), 1) => Ok(Value::Link(cid)),
            _ => Err(JsonFault::Link.into()),
        };
    }
    if let Some(bytes) = map.get("$bytes") {
        return match (bytes.as_str().and_then(base64), map.len()) {
            (Some(bytes), 1) => Ok(Value::Bytes(bytes)),
            _ => Err(JsonFault::Bytes.into()),
        };
    }
    let depth = deeper(depth)?;
    let mut entries = Vec::with_capacity(map.len());
    for (key, item) in map {
        match read(item, depth) {
            Ok(value) => entries.push((key, value)),
            Err(fault) => return Err(fault.inside(key)),
        }
    }
    let value = Value::map(entries);
    match value.get("$type") {
        None => Ok(value),
        Some(Value::Text(name)) if name == "blob" && !is_blob(&value) => Err(JsonFault::Blob.into()),
        Some(Value::Text(name)) if !name.is_empty() => Ok(value),
        Some(_) => Err(JsonFault::Type.into()),
    }
}

fn is_blob(value: &Value) -> bool {
    matches!(value.get("ref"), Some(Value::Link(_)))
        && matches!(value.get("mimeType"), Some(Value::Text(_)))
        && matches!(value.get("size"), Some(Value::Int(0..)))
}

/// Standard base64 with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let encoding = if text.ends_with('=') { BASE64 } else { BASE64_NOPAD };
    encoding.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers() {
        for (number, want) in [
            (json!(0), Ok(0)),
            (json!(-0.0), Ok(0)),
            (json!(123.0), Ok(123)),
            (json!(9_007_199_254_740_991_i64), Ok(9_007_199_254_740_991)),
            (json!(-9_007_199_254_740_991_i64), Ok(-9_007_199_254_740_991)),
            (json!(9_007_199_254_740_992_i64), Err(JsonFault::Range)),
            (json!(9_007_199_254_740_992.0), Err(JsonFault::Range)),
            (json!(u64::MAX), Err(JsonFault::Range)),
            (json!(i64::MIN), Err(JsonFault::Range)),
            (json!(1e300), Err(JsonFault::Range)),
            (json!(0.5), Err(JsonFault::Float)),
        ] {
            let got = from_json(&json!({ "a": [number] })).map_err(|error| {
                assert_eq!(error.path, "/a/0");
                error.fault
            });
            assert_eq!(got, want.map(|n| Value::map([("a", Value::Array(vec![Value::Int(n)]))])), "{number}");
        }
    }

    #[test]
    fn wrong_shapes_are_named_with_their_place() {
        for (value, path, fault) in [
            (json!({"a": {"$link": 1}}), "/a", JsonFault::Link),
            (
                json!({"a": {"$link": "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"}}),
                "/a",
                JsonFault::Link,
            ),
            (json!({"a": {"$bytes": "A"}}), "/a", JsonFault::Bytes),
            (json!({"a": {"$bytes": "AA=="}, "b": {"$bytes": "_w"}}), "/b", JsonFault::Bytes),
            (json!({"$type": ""}), "/", JsonFault::Type),
            (json!({"x/y": {"$type": null}}), "/x~1y", JsonFault::Type),
            (json!({"$type": "blob", "size": 1}), "/", JsonFault::Blob),
            (json!([]), "/", JsonFault::NotAnObject),
        ] {
            assert_eq!(record_from_json(&value), Err(JsonError { path: path.to_owned(), fault }), "{value}");
        }
        let mut deep = json!(1);
        for _ in 0..MAX_DEPTH {
            deep = json!([deep]);
        }
        assert!(from_json(&deep).is_ok());
        assert_eq!(from_json(&json!([deep])).map_err(|e| e.fault), Err(JsonFault::TooDeep));
    }

    #[test]
    fn unknown_dollar_keys_are_kept() {
        let json = json!({"$type": "a.b.c", "$other": 1, "b": {"$bytes": "AQI"}});
        assert_eq!(
            to_json(&from_json(&json).unwrap()),
            json!({"b": {"$bytes": "AQI"}, "$type": "a.b.c", "$other": 1})
        );
    }

    #[test]
    fn texts_are_escaped_as_serde_json_does() {
        let odd: String = (0..0x300_u32).filter_map(char::from_u32).collect();
        for text in [odd.as_str(), "", "plain", "\"", "a\\", "\u{1f600}\n"] {
            let mut out = Vec::new();
            write_text(text.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(text).unwrap());
        }
    }

    #[test]
    fn version_0_text() {
        let bytes = data_encoding::HEXLOWER
            .decode(b"1220c3c4733ec8affd06cf9e9ff50ffc6bcd2ec85a6170004bb709669c31de94391a")
            .unwrap();
        assert_eq!(odd_cid_text(&bytes), "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR");
    }
}
