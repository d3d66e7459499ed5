//! What a token says.

use serde_json::{Map, Value};

use super::{JwtError, read_json};

/// Times beyond this (the year 2286) are nobody's honest intention.
const LAST_TIME: u64 = 9_999_999_999;

/// The payload of a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Claims(Map<String, Value>);

impl std::fmt::Debug for Claims {
    /// The names only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// A JSON object from bytes.
pub(super) fn object(bytes: &[u8], name: &'static str) -> Result<Map<String, Value>, JwtError> {
    match read_json(bytes, name)? {
        Value::Object(map) => Ok(map),
        _ => Err(JwtError::Json(name)),
    }
}

impl Claims {
    /// Reads a payload. `exp`, `iat` and `nbf` must be whole numbers of seconds if they are there.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, JwtError> {
        let claims = Self(object(bytes, "payload")?);
        for name in ["exp", "iat", "nbf"] {
            claims.seconds(name)?;
        }
        Ok(claims)
    }

    /// A claim as it stands.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Whether it is there, in whatever form.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A claim that is text.
    ///
    /// # Errors
    /// It is there and no text.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, JwtError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(JwtError::Claim(name)),
        }
    }

    /// A claim that must be text, and not empty.
    ///
    /// # Errors
    /// It is not.
    pub fn need(&self, name: &'static str) -> Result<&str, JwtError> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or(JwtError::Claim(name))
    }

    /// A claim that is a time: whole seconds since 1970.
    ///
    /// # Errors
    /// It is there and no such number.
    pub fn seconds(&self, name: &'static str) -> Result<Option<u64>, JwtError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => {
                value.as_u64().filter(|at| *at <= LAST_TIME).map(Some).ok_or(JwtError::Claim(name))
            }
        }
    }

    /// Checks `exp` (which must be there) and `nbf` against the time, with so many seconds for clocks that differ.
    ///
    /// # Errors
    /// Missing, past, or not yet.
    pub fn check_times(&self, now: u64, leeway: u64) -> Result<(), JwtError> {
        let end = self.seconds("exp")?.ok_or(JwtError::Claim("exp"))?;
        if now >= end.saturating_add(leeway) {
            return Err(JwtError::Expired);
        }
        for name in ["nbf", "iat"] {
            if self.seconds(name)?.is_some_and(|begin| begin > now.saturating_add(leeway)) {
                return Err(JwtError::Early);
            }
        }
        Ok(())
    }
}
