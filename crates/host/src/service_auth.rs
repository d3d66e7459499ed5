//! Service auth, both ways: tokens by which an account lets somebody call one method of one service.
//!
//! Inbound, [`Host::verify_service`] says whose word a token is. It is pinned to this host (`aud`), to the method
//! (`lxm`) and to the account's own key, may live for an hour at most, and works once, also across restarts. Outbound,
//! [`Host::service_token`] makes one with the account's signing key.
//!
//! Spec: <https://atproto.com/specs/xrpc#inter-service-authentication-jwt>. Stricter than the reference: `typ` is `JWT`
//! or absent, `kid` names the key that is used, and a token that was seen is refused.

mod outbound;
mod seen;

use std::time::Duration;

use data_encoding::HEXLOWER;
use p2pds_crypto::PublicKey;
use p2pds_crypto::jwt::{Algorithm, Claims, JwtError, Unverified};
use p2pds_directory::Identity;
use p2pds_identity::DidDocument;
use p2pds_store::Unit;
use p2pds_store::hosting::{HostingUnit, SpentUnit};
use p2pds_syntax::{AtIdentifier, Did, ErrorKind};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::error::{HostError, HostResult};
use crate::host::Host;
use seen::Seen;

pub use outbound::check_audience;

/// Longest life of a token that names its method.
pub const LONGEST: u64 = 3_600;
/// Longest life of a token that names none, and life of one that asks for nothing else.
pub const SHORTEST: u64 = 60;
/// Seconds by which clocks may differ.
const SKEW: u64 = 30;
/// Identities looked up at a time for tokens; more wait their turn or are turned away.
const LOOKUPS: usize = 16;
/// How long a lookup may take, the wait for its turn included.
const LOOKUP_TIME: Duration = Duration::from_secs(10);

/// A checked service token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceToken {
    /// The account (or service) whose word it is.
    pub issuer: Did,
    /// The method that it is good for.
    pub lxm: String,
}

/// What the host remembers of tokens.
pub(crate) struct ServiceAuth {
    seen: Seen,
    lookups: Semaphore,
}

impl Default for ServiceAuth {
    fn default() -> Self {
        Self { seen: Seen::default(), lookups: Semaphore::new(LOOKUPS) }
    }
}

fn denied(name: &'static str, message: &str) -> HostError {
    HostError::unauthenticated(name, message)
}

impl Host {
    /// Checks a token that somebody shows for the method `lxm`. With `moderator`, only that service's word counts.
    ///
    /// # Errors
    /// The reference's names: `BadJwt`, `BadJwtType`, `JwtExpired`, `BadJwtAudience`, `BadJwtLexiconMethod`, `BadJwtIss`,
    /// `UntrustedIss`, `BadJwtSignature`.
    pub async fn verify_service(
        &self,
        token: &str,
        lxm: &str,
        moderator: Option<&Did>,
    ) -> HostResult<ServiceToken> {
        let token = Unverified::parse(token, &[Algorithm::Es256k, Algorithm::Es256]).map_err(bad)?;
        if token.typ().is_some_and(|typ| typ != "jwt") {
            return Err(denied("BadJwtType", "Invalid jwt type: a service token's type is JWT"));
        }
        let now = self.seconds();
        let end = self.check_claims(token.claims(), lxm, now)?;
        let (issuer, fragment) = issuer(token.claims(), moderator)?;
        if token.kid().is_some_and(|kid| !names(kid, &issuer, fragment)) {
            return Err(denied("BadJwt", "the token's kid names another key than its issuer's"));
        }
        self.check_signature(&token, &issuer, fragment).await?;
        // What was signed tells two tokens apart; their signatures may be written in two ways.
        let claims = token.claims();
        let id = claims
            .text("jti")
            .map_err(bad)?
            .map_or_else(|| HEXLOWER.encode(&Sha256::digest(token.signed().as_bytes())), str::to_owned);
        self.spend(&issuer, &id, now, end.saturating_add(SKEW)).await?;
        Ok(ServiceToken { issuer, lxm: lxm.to_owned() })
    }

    /// Notes a token as used, so that it stays so when this process ends in the next moment.
    async fn spend(&self, issuer: &Did, id: &str, now: u64, end: u64) -> HostResult<()> {
        let seen = &self.service_auth().seen;
        let load = async || {
            let most = u32::try_from(seen::MOST).unwrap_or(u32::MAX);
            seen.load(&self.store().spent_tokens(self.now(), most).await?);
            Ok::<_, HostError>(())
        };
        seen.loaded.get_or_try_init(load).await?;
        let row = seen.first(issuer, id, now, end)?;
        let unit = HostingUnit::Spent(SpentUnit { row, now: self.now() });
        if let Err(error) = self.store().apply(Unit::Hosting(Box::new(unit))).await {
            seen.take_back(&row);
            return Err(error.into());
        }
        Ok(())
    }

    fn seconds(&self) -> u64 {
        u64::try_from(self.now().div_euclid(1_000_000)).unwrap_or(0)
    }

    /// Everything but who signed it. Answers when it ends.
    fn check_claims(&self, claims: &Claims, lxm: &str, now: u64) -> HostResult<u64> {
        let end = claims.seconds("exp").map_err(bad)?.ok_or_else(|| bad(JwtError::Claim("exp")))?;
        if now >= end {
            return Err(denied("JwtExpired", "jwt expired: ask for a new one"));
        }
        let begin = claims.seconds("iat").map_err(bad)?;
        let early = [begin, claims.seconds("nbf").map_err(bad)?];
        if early.into_iter().flatten().any(|at| at > now.saturating_add(SKEW)) {
            return Err(denied("BadJwt", "the token is not valid yet: is your clock right?"));
        }
        let life = end.saturating_sub(begin.unwrap_or(now).min(now));
        if life > LONGEST.saturating_add(SKEW) {
            return Err(denied("BadJwt", "the token lives longer than an hour"));
        }
        let audience = claims.text("aud").map_err(bad)?.unwrap_or_default();
        let own = self.config().service_did.as_str();
        let fits = audience.split_once('#').map_or((audience, None), |(did, part)| (did, Some(part)));
        if fits.0 != own || fits.1.is_some_and(|part| part != "atproto_pds") {
            return Err(denied("BadJwtAudience", "jwt audience does not match service did"));
        }
        match claims.text("lxm").map_err(bad)? {
            Some(given) if given == lxm => Ok(end),
            Some(_) => Err(named_wrong("bad jwt lexicon method (\"lxm\"). must match: ", lxm)),
            None => Err(named_wrong("missing jwt lexicon method (\"lxm\"). must match: ", lxm)),
        }
    }

    async fn check_signature(&self, token: &Unverified<'_>, issuer: &Did, fragment: &str) -> HostResult<()> {
        let known = self.key_of(issuer, fragment, Want::Known).await?;
        if let Some(key) = &known
            && token.verify_key(key).is_ok()
        {
            return Ok(());
        }
        // The key may have changed a moment ago. The directory asks at most once a minute.
        let fresh = self.key_of(issuer, fragment, Want::New).await?;
        let Some(key) = fresh.filter(|key| Some(key) != known.as_ref()) else {
            return Err(denied("BadJwtSignature", "jwt signature does not match jwt issuer"));
        };
        token
            .verify_key(&key)
            .map(|_| ())
            .map_err(|_| denied("BadJwtSignature", "jwt signature does not match jwt issuer"))
    }

    /// The key that an issuer signs with: what is used here if the account is active here, else what its DID says.
    async fn key_of(&self, issuer: &Did, fragment: &str, want: Want) -> HostResult<Option<PublicKey>> {
        if fragment == "atproto"
            && let Some(login) = self.store().login(issuer).await?
            && login.deactivated_at.is_none()
        {
            return Ok(PublicKey::from_did_key(&login.signing_did_key).ok());
        }
        let lookup = async {
            let _turn = self.service_auth().lookups.acquire().await;
            match want {
                Want::Known => self.directory().resolve(&AtIdentifier::Did(issuer.clone())).await,
                Want::New => self.directory().refresh(issuer).await,
            }
        };
        match tokio::time::timeout(LOOKUP_TIME, lookup).await {
            Ok(Ok(identity)) => Ok(key_in(&identity, fragment)),
            Ok(Err(error)) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Limited) => {
                Err(HostError::upstream("the issuer's DID could not be resolved now; try again later"))
            }
            Ok(Err(_)) => Err(denied("BadJwtIss", "could not resolve the issuer's DID")),
            Err(_) => Err(HostError::upstream("the issuer's DID did not resolve in time; try again later")),
        }
    }
}

#[derive(Clone, Copy)]
enum Want {
    Known,
    New,
}

fn key_in(identity: &Identity, fragment: &str) -> Option<PublicKey> {
    if fragment == "atproto" {
        return identity.signing_key.clone();
    }
    let document = DidDocument::parse(identity.doc_json.as_bytes(), &identity.did).ok()?;
    document.key(fragment)?.ok()
}

/// Who signed it, and the fragment of the key that he should have signed with.
fn issuer(claims: &Claims, moderator: Option<&Did>) -> HostResult<(Did, &'static str)> {
    let wrong = || denied("BadJwtIss", "jwt iss is not a valid did");
    let text = claims.text("iss").map_err(bad)?.ok_or_else(wrong)?;
    let (did, service) = text.split_once('#').map_or((text, None), |(did, part)| (did, Some(part)));
    let did = Did::parse(did).map_err(|_| wrong())?;
    match moderator {
        Some(moderator) if did != *moderator => {
            Err(denied("UntrustedIss", "Untrusted issuer: another moderation service is set"))
        }
        Some(_) if service == Some("atproto_labeler") => Ok((did, "atproto_label")),
        _ if service.is_none() => Ok((did, "atproto")),
        _ => Err(wrong()),
    }
}

fn names(kid: &str, issuer: &Did, fragment: &str) -> bool {
    kid.strip_prefix(issuer.as_str()).unwrap_or(kid).strip_prefix('#') == Some(fragment)
}

fn bad(error: JwtError) -> HostError {
    denied("BadJwt", &format!("poorly formatted jwt: {error}"))
}

fn named_wrong(what: &str, lxm: &str) -> HostError {
    denied("BadJwtLexiconMethod", &format!("{what}{lxm}"))
}
