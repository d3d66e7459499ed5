//! How a client proves that it is itself: by a token that it signed for this server a moment ago, or, for public clients,
//! not at all.

use p2pds_crypto::jwk::Jwk;
use p2pds_crypto::jwt::{Algorithm, Claims, Unverified};
use serde_json::Value;

use super::Client;
use crate::error::OAuthError;
use crate::form::Form;
use crate::nonce::Used;

/// RFC 7523 2.2.
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion or request object is good, seconds.
const LASTS: u64 = 60;
/// For clocks that differ, seconds.
const LEEWAY: u64 = 15;
/// Kinds of tokens that are something else.
const OTHERS: [&str; 4] = ["at+jwt", "refresh+jwt", "dpop+jwt", "secevent+jwt"];

/// A client that proved itself as far as it must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proven {
    /// Thumbprint of its key; empty for public clients.
    pub(crate) key: String,
}

/// What a signed statement of a client is checked against.
pub(crate) struct Check<'c> {
    /// This server.
    pub(crate) issuer: &'c str,
    /// Seconds since 1970.
    pub(crate) now: u64,
    /// Statements that were used.
    pub(crate) used: &'c Used,
}

impl Client {
    /// Checks how it proves itself (RFC 7523 3).
    pub(crate) fn authenticate(&self, form: &Form, check: &Check<'_>) -> Result<Proven, OAuthError> {
        if form.get("client_secret").is_some() {
            return Err(OAuthError::ClientAuth("no client has a secret here"));
        }
        let (assertion, kind) = (form.get("client_assertion"), form.get("client_assertion_type"));
        if !self.confidential {
            // RFC 6749 2.3: one method, the declared one.
            return match (assertion, kind) {
                (None, None) => Ok(Proven { key: String::new() }),
                _ => Err(OAuthError::ClientAuth("its metadata say that it proves itself with \"none\"")),
            };
        }
        let assertion = assertion.ok_or(OAuthError::ClientAuth("a client_assertion is needed"))?;
        if kind != Some(TYPE) {
            return Err(OAuthError::ClientAuth("the client_assertion_type is not known"));
        }
        let (key, claims) = self.signed(assertion, check, OAuthError::ClientAuth)?;
        if claims.text("sub").ok().flatten() != Some(self.id.as_str()) {
            return Err(OAuthError::ClientAuth("\"sub\" is not its client_id"));
        }
        self.once(&claims, "assertion", check, OAuthError::ClientAuth, OAuthError::AssertionReplayed)?;
        Ok(Proven { key: key.thumbprint() })
    }

    /// Takes a request object apart (RFC 9101 6, 10.8).
    pub(crate) fn request_object(&self, text: &str, check: &Check<'_>) -> Result<Claims, OAuthError> {
        let (key, claims) = self.signed(text, check, OAuthError::RequestObject)?;
        if self.request_object_alg.as_deref().is_some_and(|alg| alg != key.algorithm().name()) {
            return Err(OAuthError::RequestObject("its algorithm is not the declared one"));
        }
        // RFC 9101 10.8: one of the two would be taken for the other.
        if claims.has("sub") || claims.has("request") || claims.has("request_uri") {
            return Err(OAuthError::RequestObject("it has \"sub\", \"request\" or \"request_uri\""));
        }
        self.once(&claims, "request", check, OAuthError::RequestObject, OAuthError::RequestObjectReplayed)?;
        Ok(claims)
    }

    /// Something that it signed for this server a moment ago.
    fn signed(
        &self,
        text: &str,
        check: &Check<'_>,
        refused: impl Fn(&'static str) -> OAuthError,
    ) -> Result<(&Jwk, Claims), OAuthError> {
        let token = Unverified::parse(text, &[Algorithm::Es256, Algorithm::Es256k])
            .map_err(|_| refused("it is no token that was signed with ES256 or ES256K"))?;
        if token.typ().is_some_and(|typ| OTHERS.contains(&typ.as_str())) {
            return Err(refused("it is a token of another kind"));
        }
        let kid = token.kid().ok_or_else(|| refused("its header has no \"kid\""))?;
        let key = self.keys.iter().find(|key| key.kid() == Some(kid));
        let key = key.ok_or_else(|| refused("its key is not among those that the client publishes"))?;
        let claims = token.verify_key(key.public_key()).map_err(|_| refused("its signature is not right"))?.0;
        if claims.text("iss").ok().flatten() != Some(self.id.as_str()) {
            return Err(refused("\"iss\" is not its client_id"));
        }
        if !is_for(claims.get("aud"), check.issuer) {
            return Err(refused("\"aud\" is not this server"));
        }
        let at = claims.seconds("iat").ok().flatten().ok_or_else(|| refused("\"iat\" is missing"))?;
        if at > check.now.saturating_add(LEEWAY)
            || at.saturating_add(LASTS).saturating_add(LEEWAY) <= check.now
        {
            return Err(refused("it was made too long ago, or in the future"));
        }
        if claims.has("exp") && claims.check_times(check.now, LEEWAY).is_err() {
            return Err(refused("it has expired"));
        }
        if claims.seconds("nbf").ok().flatten().is_some_and(|at| at > check.now.saturating_add(LEEWAY)) {
            return Err(refused("it is not valid yet"));
        }
        Ok((key, claims))
    }

    fn once(
        &self,
        claims: &Claims,
        what: &str,
        check: &Check<'_>,
        refused: impl Fn(&'static str) -> OAuthError,
        replayed: OAuthError,
    ) -> Result<(), OAuthError> {
        let jti = claims.need("jti").map_err(|_| refused("\"jti\" is missing"))?;
        if jti.len() > 256 {
            return Err(refused("\"jti\" is too long"));
        }
        let until = check.now.saturating_add(LASTS).saturating_add(LEEWAY).saturating_add(LEEWAY);
        check.used.once(&[what, &self.id], jti, until, check.now, replayed)
    }
}

/// `aud` is this server, or a list of which it is one.
fn is_for(aud: Option<&Value>, issuer: &str) -> bool {
    match aud {
        Some(Value::String(aud)) => aud == issuer,
        Some(Value::Array(all)) => all.iter().any(|aud| aud == issuer),
        _ => false,
    }
}
