//! Access tokens, where something is done with them: is the token ours, is the caller its owner, does its session go on.
//!
//! The session is looked up each time, so ending it ends its tokens at once, and what it may do is what the store says.
//!
//! Spec: RFC 9449 7.1, RFC 6750 3.

use std::sync::Arc;

use p2pds_crypto::jwt::{Algorithm, JwtError, Unverified};
use p2pds_syntax::Did;

use crate::error::OAuthError;
use crate::scope::Scopes;
use crate::server::OAuth;
use crate::token::ACCESS_TYP;

/// Our own tokens, by our own clock: a second is for rounding.
const LEEWAY: u64 = 1;

/// Who calls, and what he may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The account.
    pub did: Did,
    /// The application.
    pub client_id: String,
    /// Its session.
    pub session: String,
    /// What was granted, with permission sets in their place.
    pub scopes: Arc<Scopes>,
    /// When the session began, microseconds since 1970.
    pub created_at: i64,
}

/// Why a call is not made. Goes out with status 401, but for what has to do with this server (500, 503).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Refused {
    /// Why.
    pub error: OAuthError,
    /// A nonce for the next try: the header `DPoP-Nonce`.
    pub nonce: String,
}

impl Refused {
    /// The name of the error (RFC 6750 3.1, RFC 9449 7.1).
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.error.error()
    }

    /// The header `WWW-Authenticate`.
    #[must_use]
    pub fn challenge(&self) -> String {
        let said: String = self
            .error
            .to_string()
            .chars()
            .map(|c| if matches!(c, ' '..='~') && !matches!(c, '"' | '\\') { c } else { '\'' })
            .collect();
        format!("DPoP algs=\"ES256 ES256K\", error=\"{}\", error_description=\"{said}\"", self.name())
    }
}

/// What an access token says, once its signature is checked.
struct Access {
    did: Did,
    session: String,
    client_id: String,
    jkt: String,
}

impl OAuth {
    /// Checks an access token and the proof that came with it. `htm` is the request's method in capitals, `htu` its address
    /// as the caller knows it.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn check(
        &self,
        token: &str,
        proof: Option<&str>,
        htm: &str,
        htu: &str,
    ) -> Result<Granted, Refused> {
        self.checked(token, proof, htm, htu).await.map_err(|error| Refused { error, nonce: self.nonce() })
    }

    async fn checked(
        &self,
        token: &str,
        proof: Option<&str>,
        htm: &str,
        htu: &str,
    ) -> Result<Granted, OAuthError> {
        let access = self.read_access(token, false)?;
        let proof = proof.filter(|text| !text.is_empty()).ok_or(OAuthError::DpopMissing)?;
        let proof = self.checked_proof(proof, htm, htu, Some(token))?;
        if proof.jkt != access.jkt {
            return Err(OAuthError::TokenKey);
        }
        let row = self.0.store.oauth_session(&access.session).await?.ok_or(OAuthError::TokenEnded)?;
        let is_its = row.did == access.did && row.jkt == access.jkt && row.client == access.client_id;
        if !is_its || row.expires_at <= self.now() {
            return Err(OAuthError::TokenEnded);
        }
        Ok(Granted {
            did: row.did,
            client_id: row.client,
            session: row.id,
            scopes: Arc::new(Scopes::parse(&row.expanded).map_err(|_| OAuthError::TokenEnded)?),
            created_at: row.created_at,
        })
    }

    /// The session of an access token, past its end or not.
    pub(crate) fn session_of_access(&self, token: &str) -> Option<String> {
        self.read_access(token, true).ok().map(|access| access.session)
    }

    fn read_access(&self, token: &str, expired: bool) -> Result<Access, OAuthError> {
        let unverified = Unverified::parse(token, &[Algorithm::Hs256])?;
        if unverified.typ().as_deref() != Some(ACCESS_TYP) {
            return Err(OAuthError::Token);
        }
        let claims = unverified.verify_secret(&self.0.token_key)?.0;
        if claims.text("aud")? != Some(self.0.config.service_did.as_str())
            || claims.text("iss")? != Some(self.issuer())
        {
            return Err(OAuthError::Token);
        }
        match claims.check_times(self.seconds(), LEEWAY) {
            Err(JwtError::Expired) if expired => {}
            checked => checked?,
        }
        let jkt = claims.get("cnf").and_then(|cnf| cnf.get("jkt")).and_then(|jkt| jkt.as_str());
        Ok(Access {
            did: Did::parse(claims.need("sub")?).map_err(|_| OAuthError::Token)?,
            session: claims.need("sid")?.to_owned(),
            client_id: claims.need("client_id")?.to_owned(),
            // Without a key it is a token of a session with a password, which is nobody's proof here.
            jkt: jkt.ok_or(OAuthError::Token)?.to_owned(),
        })
    }
}
