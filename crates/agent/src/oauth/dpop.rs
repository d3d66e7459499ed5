//! Requests that prove the possession of a key, with the nonces that servers ask for.
//!
//! Spec: RFC 9449.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use p2pds_crypto::dpop::{self, Make};
use p2pds_crypto::{Curve, PrivateKey};
use p2pds_net::{Client, GetOptions, HeaderName, HeaderValue, Response};
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use super::Clock;
use super::error::{SignInError, plain};
use crate::seal::entropy;

/// Servers whose last nonce is remembered.
const MOST: usize = 4_096;
/// Longest nonce that is taken.
const LONGEST: usize = 256;
/// Most bytes of an answer.
const MAX_ANSWER: u64 = 64 * 1024;

/// The last nonce of each server.
#[derive(Debug, Default)]
pub(crate) struct Nonces(Mutex<HashMap<String, String>>);

impl Nonces {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<String, String>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn of(&self, url: &str) -> Option<String> {
        let origin = origin(url);
        self.with(|all| all.get(&origin).cloned())
    }

    /// Keeps the nonce of an answer; says whether it brought a new one.
    pub(crate) fn keep(&self, url: &str, answer: &Response) -> bool {
        let Some(nonce) = answer.header("dpop-nonce").filter(|nonce| is_nonce(nonce)) else { return false };
        let origin = origin(url);
        self.with(|all| {
            if all.len() >= MOST && !all.contains_key(&origin) {
                all.clear();
            }
            all.insert(origin, nonce.to_owned()).as_deref() != Some(nonce)
        })
    }
}

fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn origin(url: &str) -> String {
    Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

/// A new key for one session.
pub(crate) fn new_key() -> Result<PrivateKey, SignInError> {
    Ok(PrivateKey::from_entropy(Curve::P256, *entropy()?))
}

/// Random text: 256 bits.
pub(crate) fn random() -> Result<String, SignInError> {
    Ok(BASE64URL_NOPAD.encode(entropy()?.as_slice()))
}

/// The value of the `DPoP` header of one request.
pub(crate) fn proof(
    key: &PrivateKey,
    clock: &Clock,
    htm: &str,
    htu: &str,
    nonce: Option<&str>,
    token: Option<&str>,
) -> Result<HeaderValue, SignInError> {
    let jti = random()?;
    let iat = u64::try_from(clock() / 1_000_000).unwrap_or(0);
    let unfit = |what: String| SignInError::Answer { server: origin(htu), doing: "a proof", what };
    let proof = dpop::prove(key, &Make { htm, htu, nonce, token, jti: &jti, iat })
        .map_err(|error| unfit(error.to_string()))?;
    HeaderValue::try_from(proof).map_err(|error| unfit(error.to_string()))
}

/// Name of the header.
pub(crate) fn header_name() -> HeaderName {
    HeaderName::from_static("dpop")
}

/// What a server of sign-ins is asked, and with which key.
pub(crate) struct Form<'a> {
    pub(crate) net: &'a Client,
    pub(crate) nonces: &'a Nonces,
    pub(crate) clock: &'a Clock,
    pub(crate) server: &'a str,
    pub(crate) key: &'a PrivateKey,
}

impl Form<'_> {
    /// Posts a form with a proof; once more with the server's nonce if it asks for that. Anything but success is the
    /// server's refusal.
    pub(crate) async fn post(
        &self,
        doing: &'static str,
        url: &str,
        fields: &[(&str, &str)],
    ) -> Result<Value, SignInError> {
        let body = Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut again = true;
        loop {
            let nonce = self.nonces.of(url);
            let proof = proof(self.key, self.clock, "POST", url, nonce.as_deref(), None)?;
            let options = GetOptions::json(MAX_ANSWER).no_redirects().header(header_name(), proof);
            let answer = self
                .net
                .post(url, "application/x-www-form-urlencoded", body.clone().into(), &options)
                .await
                .map_err(|source| SignInError::Net { doing, source })?;
            let renewed = self.nonces.keep(url, &answer);
            let status = answer.status();
            let read = answer.bytes(MAX_ANSWER).await.map_err(|source| SignInError::Net { doing, source })?;
            let value: Value = serde_json::from_slice(&read).unwrap_or_default();
            if status.is_success() {
                return Ok(value);
            }
            let text = |name: &str| value.get(name).and_then(Value::as_str).map(|text| plain(text, 300));
            let error = text("error").unwrap_or_else(|| format!("status {}", status.as_u16()));
            if error == "use_dpop_nonce" && renewed && again {
                again = false;
                continue;
            }
            return Err(SignInError::Refused {
                server: self.server.to_owned(),
                doing,
                error,
                message: text("error_description").unwrap_or_default(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_that_are_taken() {
        assert!(is_nonce("abc-_.~") && is_nonce(&"a".repeat(LONGEST)));
        for bad in ["", "a b", "a\u{e9}", &"a".repeat(LONGEST + 1)] {
            assert!(!is_nonce(bad), "{bad:?}");
        }
        assert_eq!(origin("https://a.example:443/x?y"), "https://a.example");
    }
}
