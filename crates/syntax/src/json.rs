//! JSON whose every key stands once.
//!
//! Two readers of `{"a":1,"a":2}` may see two different things, so what is decided by JSON from others is read here:
//! a repeated key is refused, and so is anything after the value. Nesting ends where the parser's own limit is (128).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::ErrorKind;

/// Why bytes are not such JSON. The text names the place, not the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not well-formed JSON: {problem}")]
pub struct JsonProblem {
    problem: String,
}

impl JsonProblem {
    /// Always [`ErrorKind::Invalid`].
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// Reads one JSON value that fills all of `bytes`.
///
/// # Errors
/// Not JSON, nested too deeply, a repeated key, a number that no `f64` holds, or more behind the value.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonProblem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let told = |error: serde_json::Error| JsonProblem { problem: error.to_string() };
    let value = Once.deserialize(&mut reader).map_err(told)?;
    reader.end().map_err(told)?;
    Ok(value)
}

/// Builds a value whose keys stand once.
struct Once;

impl<'de> DeserializeSeed<'de> for Once {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is none"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Once)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Once)?;
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom("a key stands twice in one object"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_key_stands_once() {
        assert_eq!(
            parse(br#" {"a":[1,-2,0.5,"x",null,true],"b":{}} "#).unwrap(),
            json!({"a": [1, -2, 0.5, "x", null, true], "b": {}})
        );
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"x":{"a":1,"b":2,"a":3}}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"[{"a":1,"a":2}]"#,
            r#"{"a":1} {}"#,
            r#"{"a":1}x"#,
            r#"{"a":1,}"#,
            r#"{'a':1}"#,
            "NaN",
            "1e999",
            "01",
            "",
            "\u{feff}{}",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(100).as_bytes()).is_ok());
        for depth in [129, 10_000, 1_000_000] {
            assert!(parse(nested(depth).as_bytes()).is_err(), "{depth}");
            assert!(parse("{\"a\":".repeat(depth).as_bytes()).is_err(), "{depth}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_ordinary_reader(text in "[\\[\\]{}\":,a0-9.e -]{0,40}") {
            if let Ok(ours) = parse(text.as_bytes()) {
                prop_assert_eq!(Some(ours), serde_json::from_str::<Value>(&text).ok());
            }
        }
    }
}
