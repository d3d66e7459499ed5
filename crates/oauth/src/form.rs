//! Parameters of a request: each once.

use std::collections::BTreeMap;

use p2pds_syntax::json;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::OAuthError;

/// Most parameters of a request.
const MOST: usize = 64;

/// Parameters by name. Never printed: there are tokens among them.
#[derive(Clone, Default)]
pub struct Form(BTreeMap<String, Zeroizing<String>>);

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// A name stands twice, or there are too many.
    pub fn urlencoded(bytes: &[u8]) -> Result<Self, OAuthError> {
        if std::str::from_utf8(bytes).is_err() {
            return Err(OAuthError::Body("it is not text"));
        }
        let pairs = url::form_urlencoded::parse(bytes);
        Self::of(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())))
    }

    /// Reads a JSON object of texts, as the clients of the network send it.
    ///
    /// # Errors
    /// It is not one, or a name stands twice.
    pub fn json(bytes: &[u8]) -> Result<Self, OAuthError> {
        let Ok(Value::Object(map)) = json::parse(bytes) else {
            return Err(OAuthError::Body("it is not a JSON object whose keys stand once"));
        };
        let mut pairs = Vec::with_capacity(map.len());
        for (name, value) in map {
            match value {
                Value::String(text) => pairs.push((name, text)),
                Value::Number(number) => pairs.push((name, number.to_string())),
                Value::Null => {}
                _ => return Err(OAuthError::Body("a value is neither a text nor a number")),
            }
        }
        Self::of(pairs.into_iter())
    }

    fn of(pairs: impl Iterator<Item = (String, String)>) -> Result<Self, OAuthError> {
        let mut form = Self::default();
        for (name, value) in pairs {
            if form.0.contains_key(&name) {
                return Err(OAuthError::Repeated(name.chars().take(64).collect()));
            }
            // RFC 6749 3.1: without a value it is as if it were not there.
            if !value.is_empty() {
                form.0.insert(name, Zeroizing::new(value));
            }
            if form.0.len() > MOST {
                return Err(OAuthError::Body("there are too many parameters"));
            }
        }
        Ok(form)
    }

    /// From pairs that were read already.
    ///
    /// # Errors
    /// As [`Self::urlencoded`].
    pub fn of_pairs(pairs: &[(&str, &str)]) -> Result<Self, OAuthError> {
        Self::of(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    /// A parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.as_str())
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    /// It is not.
    pub fn need(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.get(name).ok_or(OAuthError::Missing(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_once() {
        let form = Form::urlencoded(b"a=1&b=x%20y+z&c=").unwrap();
        assert_eq!((form.get("a"), form.get("b"), form.get("c")), (Some("1"), Some("x y z"), None));
        assert_eq!(Form::urlencoded(b"a=1&a=1").unwrap_err(), OAuthError::Repeated("a".into()));
        assert_eq!(Form::json(br#"{"a":"1","n":5,"z":null}"#).unwrap().get("n"), Some("5"));
        for bad in [&br#"{"a":"1","a":"2"}"#[..], b"[]", b"{", br#"{"a":{}}"#, br#"{"a":true}"#] {
            assert!(matches!(Form::json(bad), Err(OAuthError::Body(_))));
        }
        let many: String = (0..65).map(|n| format!("p{n}=1&")).collect();
        assert!(matches!(Form::urlencoded(many.as_bytes()), Err(OAuthError::Body(_))));
        assert!(Form::urlencoded(&[0xff]).is_err());
    }
}
