//! Tokens: a code is redeemed, a refresh token exchanged, a session ended.
//!
//! A refresh token names its session and carries this server's mark, so that one which is not the session's current one is
//! known to have been used: the whole line ends then, whoever shows it, for either he or somebody before him stole it. One
//! without the mark was made up by somebody who knows the name of the session, and ends nothing. There is no time in which a used
//! one may be shown again: proofs of possession make lost answers rare, and a thief would have that time as well.
//!
//! Spec: RFC 6749 4.1.3, 5 and 6; RFC 7009; RFC 9449 5; RFC 9700 4.14.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use p2pds_crypto::jwt;
use p2pds_crypto::pkce;
use p2pds_store::hosting::{OAuthApplied, OAuthRequestRow, OAuthSessionRow, OAuthUnit};
use p2pds_syntax::Did;
use serde_json::{Map, Value, json};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::authorize::parameters;
use crate::client::{Client, Proven};
use crate::error::OAuthError;
use crate::form::Form;
use crate::scope::Scopes;
use crate::secrets::{Kind, digest, random};
use crate::server::{
    ACCESS_SECONDS, CHALLENGE_LASTS, CONFIDENTIAL_LASTS, CONFIDENTIAL_REFRESH, MICROS, OAuth, PUBLIC_LASTS,
};

/// `typ` of an access token (RFC 9068).
pub const ACCESS_TYP: &str = "at+jwt";
/// What a refresh token begins with; its session, a secret and the mark of this server follow, with dots between them.
const REFRESH: &str = "ref-";
/// Bytes of the mark at its end.
const MARK: usize = 16;

/// What the token endpoint answers (RFC 6749 5.1).
#[derive(Clone)]
pub struct Tokens {
    /// The access token.
    pub access_token: Zeroizing<String>,
    /// The refresh token, if the client wants one.
    pub refresh_token: Option<Zeroizing<String>>,
    /// Seconds for which the access token is good.
    pub expires_in: u64,
    /// What was granted, with the content of permission sets in their place.
    pub scope: String,
    /// The account.
    pub sub: Did,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    /// As the answer's body.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut body = json!({
            "access_token": self.access_token.as_str(),
            "token_type": "DPoP",
            "expires_in": self.expires_in,
            "scope": self.scope,
            "sub": self.sub.as_str(),
        });
        if let (Some(map), Some(token)) = (body.as_object_mut(), &self.refresh_token) {
            map.insert("refresh_token".to_owned(), token.as_str().into());
        }
        body
    }
}

/// The session of a refresh token, and what the store keeps of it.
fn session_of(token: &str) -> Option<(&str, [u8; 32])> {
    let (session, secret) = token.strip_prefix(REFRESH)?.split_once('.')?;
    (session.len() <= 64 && secret.len() <= 128).then(|| (session, digest(Kind::Refresh, token)))
}

/// When a session ends unless it is refreshed before.
fn ends_at(client: &Client, began: i64, now: i64) -> i64 {
    let (session, refresh) = if client.confidential {
        (CONFIDENTIAL_LASTS, CONFIDENTIAL_REFRESH)
    } else {
        (PUBLIC_LASTS, PUBLIC_LASTS)
    };
    // One that cannot be refreshed is over with its only token.
    let refresh = if client.refreshes { refresh } else { micros(ACCESS_SECONDS) };
    began.saturating_add(session).min(now.saturating_add(refresh))
}

/// Goes on with the code of a refresh token without its mark.
fn mark<T>(key: &[u8], unmarked: &str, goes_on: impl FnOnce(Hmac<Sha256>) -> T) -> Option<T> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(b"p2pds oauth refresh token\0");
    mac.update(unmarked.as_bytes());
    Some(goes_on(mac))
}

fn micros(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(MICROS)
}

impl OAuth {
    /// `POST /oauth/token`. `proofs`: the values of all `DPoP` headers.
    ///
    /// # Errors
    /// See [`OAuthError`].
    pub async fn token(&self, form: &Form, proofs: &[&str]) -> Result<Tokens, OAuthError> {
        let grant = form.need("grant_type")?;
        if !matches!(grant, "authorization_code" | "refresh_token") {
            return Err(OAuthError::GrantType);
        }
        let client = self.client(form.need("client_id")?).await?;
        // The proof first: a nonce that is missing must not use up an assertion.
        let proof = self.proof(proofs, "POST", "/oauth/token")?;
        let proven = client.authenticate(form, &self.statement_check())?;
        if proof.jkt == proven.key {
            return Err(OAuthError::DpopClientKey);
        }
        match grant {
            "authorization_code" => self.redeem(&client, &proven, &proof.jkt, form).await,
            _ if !client.refreshes => Err(OAuthError::Unauthorized),
            _ => self.refresh(&client, &proven, &proof.jkt, form).await,
        }
    }

    async fn redeem(
        &self,
        client: &Client,
        proven: &Proven,
        jkt: &str,
        form: &Form,
    ) -> Result<Tokens, OAuthError> {
        let code = digest(Kind::Code, form.need("code")?);
        let Some(row) = self.0.store.oauth_request_by_code(code).await? else {
            return self.code_again(code).await;
        };
        let id = row.id;
        let begun = match self.may_redeem(client, proven, jkt, form, &row) {
            Ok((did, scopes)) => self.begin_session(client, proven, jkt, row, did, scopes, code).await,
            Err(error) => Err(error),
        };
        match begun {
            // A code is tried once, well or badly. What has to do with this server and not with the code leaves it good.
            Err(error @ OAuthError::Unavailable(_)) => Err(error),
            Err(error) => {
                self.apply(OAuthUnit::DropRequest { id }).await?;
                Err(error)
            }
            tokens => tokens,
        }
    }

    /// A code that is not there any more: if it began a session, somebody has it who should not.
    async fn code_again(&self, code: [u8; 32]) -> Result<Tokens, OAuthError> {
        if let OAuthApplied::Gone(1..) = self.apply(OAuthUnit::DropByCode { code }).await? {
            metrics::counter!("p2pds_oauth_replays_total", "what" => "code").increment(1);
            tracing::warn!(
                event = "oauth.code-replayed",
                "a code was shown twice: the session that it began was ended"
            );
        }
        Err(OAuthError::Code)
    }

    fn may_redeem(
        &self,
        client: &Client,
        proven: &Proven,
        jkt: &str,
        form: &Form,
        row: &OAuthRequestRow,
    ) -> Result<(Did, Scopes), OAuthError> {
        let asked = parameters(row)?;
        if row.client != client.id || row.auth != proven.key {
            return Err(OAuthError::CodeClient);
        }
        if row.expires_at <= self.now() {
            return Err(OAuthError::Code);
        }
        if asked.dpop_jkt != jkt {
            return Err(OAuthError::CodeKey);
        }
        if form.get("redirect_uri") != Some(asked.redirect_uri.as_str()) {
            return Err(OAuthError::CodeRedirect);
        }
        let verifier = form.need("code_verifier")?;
        let fits = pkce::challenge_s256(verifier).as_bytes().ct_eq(asked.code_challenge.as_bytes());
        if !pkce::is_verifier(verifier) || !bool::from(fits) {
            return Err(OAuthError::PkceVerifier);
        }
        let did = row.did.clone().ok_or(OAuthError::Code)?;
        Ok((did, Scopes::parse(&row.scope)?))
    }

    fn new_refresh(&self, session: &str) -> Result<Zeroizing<String>, OAuthError> {
        let unmarked = Zeroizing::new(format!("{REFRESH}{session}.{}", *random(32)?));
        let mark = mark(&self.0.token_key, &unmarked, |mac| mac.finalize().into_bytes())
            .ok_or_else(|| OAuthError::Unavailable("the key of tokens is none".to_owned()))?;
        let mark = BASE64URL_NOPAD.encode(mark.get(..MARK).unwrap_or_default());
        Ok(Zeroizing::new(format!("{}.{mark}", *unmarked)))
    }

    /// Whether a refresh token was handed out by this server at some time.
    fn was_ours(&self, token: &str) -> bool {
        let Some((unmarked, mark_shown)) = token.rsplit_once('.') else { return false };
        let Ok(shown) = BASE64URL_NOPAD.decode(mark_shown.as_bytes()) else { return false };
        shown.len() == MARK
            && mark(&self.0.token_key, unmarked, |mac| mac.verify_truncated_left(&shown).is_ok())
                .unwrap_or(false)
    }

    #[expect(clippy::too_many_arguments, reason = "what was checked one by one comes together here")]
    async fn begin_session(
        &self,
        client: &Client,
        proven: &Proven,
        jkt: &str,
        request: OAuthRequestRow,
        did: Did,
        scopes: Scopes,
        code: [u8; 32],
    ) -> Result<Tokens, OAuthError> {
        if !self.account(&did).await?.is_some_and(|account| account.is_active()) {
            return Err(OAuthError::AccountInactive);
        }
        let expanded = self.expanded(&scopes).await?;
        let id = random(18)?.to_string();
        let refresh = self.new_refresh(&id)?;
        let (now, challenge) = (self.now(), parameters(&request)?.code_challenge);
        let row = OAuthSessionRow {
            id,
            did,
            client: client.id.clone(),
            name: client.name.clone().unwrap_or_default(),
            auth: proven.key.clone(),
            jkt: jkt.to_owned(),
            scope: scopes.to_string(),
            expanded: expanded.to_string(),
            code,
            refresh: digest(Kind::Refresh, &refresh),
            device: request.device,
            created_at: now,
            used_at: now,
            expires_at: ends_at(client, now, now),
        };
        let tokens = self.tokens(client, &row, expanded.to_string(), refresh)?;
        let unit = OAuthUnit::BeginSession {
            row,
            challenge: digest(Kind::Challenge, &challenge),
            challenge_ends: now.saturating_add(CHALLENGE_LASTS),
            at: now,
        };
        match self.apply(unit).await? {
            OAuthApplied::Yes => {
                metrics::counter!("p2pds_oauth_sessions_total").increment(1);
                Ok(tokens)
            }
            OAuthApplied::Used => Err(OAuthError::PkceReused),
            // Somebody else was faster with the same code.
            _ => self.code_again(code).await,
        }
    }

    /// What is granted, with permission sets as they are now.
    async fn expanded(&self, scopes: &Scopes) -> Result<Scopes, OAuthError> {
        let sets = self.sets(scopes).await?;
        let set_of = |include: &crate::scope::Include| {
            sets.iter().find(|(nsid, _)| *nsid == include.nsid).map(|(_, set)| set)
        };
        scopes.expanded(set_of).ok_or_else(|| OAuthError::PermissionSet("of this grant".to_owned()))
    }

    async fn refresh(
        &self,
        client: &Client,
        proven: &Proven,
        jkt: &str,
        form: &Form,
    ) -> Result<Tokens, OAuthError> {
        let shown = form.need("refresh_token")?;
        let (id, kept) = session_of(shown).ok_or(OAuthError::Refresh)?;
        let Some(mut row) = self.0.store.oauth_session(id).await? else { return Err(OAuthError::Refresh) };
        if let Err(error) = self.may_refresh(client, proven, jkt, form, &row, &kept) {
            // Asking for too much is a mistake, and anybody can make a token up; all else means that one is in wrong hands.
            let current = bool::from(row.refresh.ct_eq(&kept));
            let in_wrong_hands = current || self.was_ours(shown);
            if in_wrong_hands && !current {
                metrics::counter!("p2pds_oauth_replays_total", "what" => "refresh").increment(1);
            }
            if error != OAuthError::RefreshScope && in_wrong_hands {
                self.end(&row, "a refresh token was shown by somebody who may not, or after its use").await?;
            }
            return Err(error);
        }
        match self.account(&row.did).await? {
            Some(account) if account.is_active() => {}
            // Deactivated, it may come back; its sessions may too.
            Some(_) => return Err(OAuthError::AccountInactive),
            None => {
                self.end(&row, "its account is gone").await?;
                return Err(OAuthError::Refresh);
            }
        }
        // A set that cannot be had now stays as it was.
        if let Ok(expanded) = self.expanded(&Scopes::parse(&row.scope)?).await {
            row.expanded = expanded.to_string();
        }
        let next = self.new_refresh(&row.id)?;
        let now = self.now();
        let unit = OAuthUnit::RotateOAuth {
            id: row.id.clone(),
            from: kept,
            to: digest(Kind::Refresh, &next),
            at: now,
            expires_at: ends_at(client, row.created_at, now),
            expanded: row.expanded.clone(),
        };
        if self.apply(unit).await? != OAuthApplied::Yes {
            // It was used between the look and now: the store has ended the session.
            return Err(OAuthError::Refresh);
        }
        let scope = row.expanded.clone();
        self.tokens(client, &row, scope, next)
    }

    fn may_refresh(
        &self,
        client: &Client,
        proven: &Proven,
        jkt: &str,
        form: &Form,
        row: &OAuthSessionRow,
        kept: &[u8; 32],
    ) -> Result<(), OAuthError> {
        let current: bool = row.refresh.ct_eq(kept).into();
        if !current {
            return Err(OAuthError::Refresh);
        }
        if row.expires_at <= self.now() {
            return Err(OAuthError::Refresh);
        }
        if row.client != client.id || row.auth != proven.key {
            return Err(OAuthError::RefreshClient);
        }
        if row.jkt != jkt {
            return Err(OAuthError::RefreshKey);
        }
        // RFC 6749 6: less may be asked for; it is granted all the same, for the answer says what was.
        match form.get("scope").map(Scopes::parse) {
            None => Ok(()),
            Some(Ok(asked)) if asked.subset_of(&row.scope) || asked.subset_of(&row.expanded) => Ok(()),
            Some(_) => Err(OAuthError::RefreshScope),
        }
    }

    async fn end(&self, row: &OAuthSessionRow, why: &str) -> Result<(), OAuthError> {
        tracing::warn!(event = "oauth.session-ended", did = %row.did, client = row.client, why, "a session was ended");
        self.apply(OAuthUnit::DropOAuthSession { id: row.id.clone() }).await.map(|_| ())
    }

    fn tokens(
        &self,
        client: &Client,
        row: &OAuthSessionRow,
        scope: String,
        refresh: Zeroizing<String>,
    ) -> Result<Tokens, OAuthError> {
        let now = self.seconds();
        let claims = json!({
            "iss": self.issuer(),
            "aud": self.0.config.service_did.as_str(),
            "sub": row.did.as_str(),
            "client_id": row.client,
            "sid": row.id,
            "jti": random(16)?.as_str(),
            "iat": now,
            "exp": now.saturating_add(ACCESS_SECONDS),
            "cnf": { "jkt": row.jkt },
        });
        let empty = Map::new();
        let claims = claims.as_object().unwrap_or(&empty);
        let access = jwt::sign_secret(&self.0.token_key, ACCESS_TYP, claims)
            .map_err(|error| OAuthError::Unavailable(error.to_string()))?;
        Ok(Tokens {
            access_token: Zeroizing::new(access),
            refresh_token: client.refreshes.then_some(refresh),
            expires_in: ACCESS_SECONDS,
            scope,
            sub: row.did.clone(),
        })
    }

    /// `POST /oauth/revoke`: ends the session of a token. A token that is none is no error (RFC 7009 2.2).
    ///
    /// # Errors
    /// The client did not prove itself; a proof came that is not good.
    pub async fn revoke(&self, form: &Form, proofs: &[&str]) -> Result<(), OAuthError> {
        let client = self.client(form.need("client_id")?).await?;
        let token = form.need("token")?;
        let jkt = match proofs {
            [] => None,
            _ => Some(self.proof(proofs, "POST", "/oauth/revoke")?.jkt),
        };
        let proven = client.authenticate(form, &self.statement_check())?;
        let (id, kept) = match session_of(token) {
            Some((id, kept)) => (id.to_owned(), Some(kept)),
            None => match self.session_of_access(token) {
                Some(id) => (id, None),
                None => return Ok(()),
            },
        };
        let Some(row) = self.0.store.oauth_session(&id).await? else { return Ok(()) };
        let is_its = kept.is_none_or(|kept| row.refresh.ct_eq(&kept).into())
            && row.client == client.id
            && row.auth == proven.key
            && jkt.is_none_or(|jkt| jkt == row.jkt);
        if is_its {
            self.apply(OAuthUnit::DropOAuthSession { id: row.id }).await?;
        }
        Ok(())
    }
}
