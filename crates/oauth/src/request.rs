//! What an application asks for, and pushing that here before anybody is sent to the pages.
//!
//! Spec: RFC 9126 (pushed requests), RFC 9101 (request objects), RFC 7636, <https://atproto.com/specs/oauth>.

use std::sync::atomic::Ordering;

use p2pds_crypto::dpop::{Expected, Proof};
use p2pds_crypto::pkce;
use p2pds_store::hosting::{OAuthApplied, OAuthRequestRow, OAuthUnit};
use p2pds_syntax::AtIdentifier;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::client::Client;
use crate::error::OAuthError;
use crate::form::Form;
use crate::scope::{ATPROTO, Scopes};
use crate::secrets::{Kind, digest, random};
use crate::server::{OAuth, REQUEST_LASTS};

/// What a `request_uri` begins with (RFC 9126 2.2).
pub(crate) const PREFIX: &str = "urn:ietf:params:oauth:request_uri:req-";
/// How far a proof's `iat` may be from this server's time, seconds. Its nonce says more exactly how old it is.
const PROOF_AGE: u64 = 180;
/// Longest `state`.
const LONGEST_STATE: usize = 2_048;

/// How the answer gets back to the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// In the query of its address.
    Query,
    /// In the fragment of its address, which no server sees.
    Fragment,
    /// In a form that the browser posts.
    FormPost,
}

/// What the application wants the person to be asked (OpenID Connect Core 3.1.2.1, Prompt Create).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Nothing at all.
    None,
    /// The password again.
    Login,
    /// Whether he agrees, even if he did before.
    Consent,
    /// Which account.
    SelectAccount,
    /// To make an account first.
    Create,
}

/// What an application asked for, as it was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// Where the person is sent back to.
    pub redirect_uri: String,
    /// What the application gets back as it is.
    pub state: Option<String>,
    /// Scopes, as text.
    pub scope: String,
    /// How the answer gets back.
    pub response_mode: Mode,
    /// PKCE challenge.
    pub code_challenge: String,
    /// Key of the proofs that will come.
    pub dpop_jkt: String,
    /// What to ask.
    pub prompt: Option<Prompt>,
    /// Who it probably is: a handle or DID.
    pub login_hint: Option<String>,
    /// Languages, the preferred first.
    pub ui_locales: Option<String>,
    /// How long ago he may have shown his password, seconds.
    pub max_age: Option<u64>,
}

/// A request that was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// What the browser brings.
    pub request_uri: String,
    /// How many seconds it is good.
    pub expires_in: u64,
}

/// What is kept of a `request_uri`; `None` for a text that is none.
pub(crate) fn request_id(uri: &str) -> Option<[u8; 32]> {
    let secret = uri.strip_prefix(PREFIX).filter(|secret| secret.len() <= 128)?;
    Some(digest(Kind::Request, secret))
}

impl OAuth {
    /// `POST /oauth/par`. `proofs`: the values of all `DPoP` headers.
    ///
    /// # Errors
    /// See [`OAuthError`].
    pub async fn par(&self, form: &Form, proofs: &[&str]) -> Result<Pushed, OAuthError> {
        let id = form.need("client_id")?;
        let client = self.client(id).await?;
        // The proof first: clients try again with the same assertion when its nonce is missing or old.
        let proof = match proofs {
            [] => None,
            _ => Some(self.proof(proofs, "POST", "/oauth/par")?),
        };
        let proven = client.authenticate(form, &self.statement_check())?;
        if proof.as_ref().is_some_and(|proof| proof.jkt == proven.key) {
            return Err(OAuthError::DpopClientKey);
        }
        if form.get("request_uri").is_some() {
            return Err(OAuthError::RequestUriPushed);
        }
        let object = match form.get("request") {
            None => None,
            Some(text) => Some(self.request_object(&client, text)?),
        };
        let parameters =
            check(&client, object.as_ref().unwrap_or(form), proof.as_ref().map(|p| p.jkt.as_str()))?;
        // Sets that cannot be had now would not be had when the person agrees either.
        let scopes = Scopes::parse(&parameters.scope)?;
        self.sets(&scopes).await?;
        let now = self.now();
        self.make_room(now).await?;
        let secret = random(32)?;
        let row = OAuthRequestRow {
            id: digest(Kind::Request, &secret),
            client: client.id.clone(),
            auth: proven.key,
            parameters: serde_json::to_string(&parameters)
                .map_err(|error| OAuthError::Unavailable(error.to_string()))?,
            device: None,
            did: None,
            code: None,
            scope: String::new(),
            created_at: now,
            expires_at: now.saturating_add(REQUEST_LASTS),
        };
        self.apply(OAuthUnit::PutRequest(row)).await?;
        metrics::counter!("p2pds_oauth_requests_total").increment(1);
        Ok(Pushed { request_uri: format!("{PREFIX}{}", *secret), expires_in: 300 })
    }

    /// Whoever fills the room with requests makes the oldest go that nobody has opened, which are his: people open theirs at
    /// once. So nobody is refused as long as there are such.
    async fn make_room(&self, now: i64) -> Result<(), OAuthError> {
        let most = self.0.most_requests.load(Ordering::Relaxed);
        if self.0.store.oauth_requests(now).await? < most {
            return Ok(());
        }
        let count = usize::try_from(most / 1_000).unwrap_or(0).max(1);
        match self.apply(OAuthUnit::DropOldestRequests { count }).await? {
            OAuthApplied::Gone(gone @ 1..) => {
                tracing::warn!(
                    event = "oauth.requests-full",
                    gone,
                    "as many requests of applications wait as may: the oldest that nobody opened were forgotten"
                );
                Ok(())
            }
            _ => Err(OAuthError::Busy),
        }
    }

    pub(crate) fn statement_check(&self) -> crate::client::Check<'_> {
        crate::client::Check { issuer: self.issuer(), now: self.seconds(), used: &self.0.statements }
    }

    /// The one proof that came with a request to this server itself.
    pub(crate) fn proof(&self, proofs: &[&str], htm: &str, path: &str) -> Result<Proof, OAuthError> {
        let text = match proofs {
            [] => return Err(OAuthError::DpopMissing),
            [one] => one,
            _ => return Err(OAuthError::DpopRepeated),
        };
        let htu = format!("{}{path}", self.issuer());
        self.checked_proof(text, htm, &htu, None)
    }

    /// Checks a proof in full: form, signature, request, nonce, and that it was not used before.
    pub(crate) fn checked_proof(
        &self,
        text: &str,
        htm: &str,
        htu: &str,
        token: Option<&str>,
    ) -> Result<Proof, OAuthError> {
        let now = self.seconds();
        let proof = Proof::parse(text)?;
        proof.check(&Expected { htm, htu, token, now, max_age: PROOF_AGE })?;
        let minute = proof.nonce.as_deref().and_then(|nonce| self.0.nonces.minute(nonce, now));
        let minute = minute.ok_or(OAuthError::DpopNonce)?;
        let until = minute.saturating_add(3).saturating_mul(crate::nonce::ROTATION);
        self.0.proofs.once(&[&proof.jkt], &proof.jti, until, now, OAuthError::DpopReplayed)?;
        Ok(proof)
    }

    /// The parameters in a request object take the place of all others (RFC 9101 6.3).
    fn request_object(&self, client: &Client, text: &str) -> Result<Form, OAuthError> {
        let claims = client.request_object(text, &self.statement_check())?;
        let mut pairs: Vec<(&str, String)> = Vec::new();
        for name in NAMES {
            match claims.get(name) {
                None => {}
                Some(Value::String(text)) => pairs.push((name, text.clone())),
                Some(Value::Number(number)) => pairs.push((name, number.to_string())),
                Some(_) => return Err(OAuthError::RequestObject("a parameter in it is not a text")),
            }
        }
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Form::of_pairs(&pairs)
    }

    /// The permission sets that scopes include.
    pub(crate) async fn sets(
        &self,
        scopes: &Scopes,
    ) -> Result<Vec<(p2pds_syntax::Nsid, crate::scope::PermissionSet)>, OAuthError> {
        let mut sets = Vec::new();
        for include in scopes.includes() {
            if sets.len() >= MOST_SETS {
                return Err(OAuthError::PermissionSet("and others: there are too many".to_owned()));
            }
            let set = self.0.accounts.permission_set(&include.nsid).await.map_err(|why| {
                tracing::debug!(event = "oauth.permission-set", nsid = %include.nsid, why, "it could not be had");
                OAuthError::PermissionSet(include.nsid.to_string())
            })?;
            sets.push((include.nsid.clone(), set));
        }
        Ok(sets)
    }
}

/// Most permission sets of one request.
const MOST_SETS: usize = 16;

/// Parameters that are read.
const NAMES: [&str; 14] = [
    "client_id",
    "response_type",
    "response_mode",
    "redirect_uri",
    "state",
    "scope",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "prompt",
    "login_hint",
    "ui_locales",
    "max_age",
    "authorization_details",
];

/// Checks what is asked for. `jkt`: the key of the proof that came with it.
fn check(client: &Client, form: &Form, jkt: Option<&str>) -> Result<Parameters, OAuthError> {
    if form.need("client_id")? != client.id {
        return Err(OAuthError::RequestClient);
    }
    if form.need("response_type")? != "code" {
        return Err(OAuthError::ResponseType);
    }
    if form.get("authorization_details").is_some() {
        return Err(OAuthError::AuthorizationDetails);
    }
    let redirect_uri = client.redirect_uri(form.get("redirect_uri"))?;
    let response_mode = match form.get("response_mode") {
        None | Some("query") => Mode::Query,
        Some("fragment") => Mode::Fragment,
        Some("form_post") => Mode::FormPost,
        Some(_) => return Err(parameter("response_mode", "it is none of query, fragment and form_post")),
    };
    // A page of this server could not post to an app, and no browser sends a fragment to one.
    if response_mode == Mode::FormPost && !redirect_uri.starts_with("http") {
        return Err(parameter("response_mode", "form_post goes to web pages only"));
    }
    let scope = scopes(client, form)?;
    let code_challenge = challenge(form)?;
    let dpop_jkt = match (form.get("dpop_jkt"), jkt) {
        (Some(named), Some(proved)) if named != proved => return Err(OAuthError::DpopJkt),
        (_, Some(proved)) => proved.to_owned(),
        // RFC 9449 10.1: the proof may be left out when its key is named.
        (Some(named), None) if pkce::is_challenge(named) => named.to_owned(),
        (Some(_), None) => return Err(OAuthError::DpopJkt),
        (None, None) => return Err(OAuthError::DpopMissing),
    };
    let state = form.get("state").map(str::to_owned);
    if state.as_ref().is_some_and(|state| state.len() > LONGEST_STATE) {
        return Err(parameter("state", "it is too long"));
    }
    let max_age = match form.get("max_age").map(str::parse) {
        None => None,
        Some(Ok(seconds)) => Some(seconds),
        Some(Err(_)) => return Err(parameter("max_age", "it is no number of seconds")),
    };
    Ok(Parameters {
        redirect_uri,
        state,
        scope,
        response_mode,
        code_challenge,
        dpop_jkt,
        prompt: prompt(client, form)?,
        login_hint: hint(form)?,
        ui_locales: form.get("ui_locales").filter(|text| text.len() <= 256).map(str::to_owned),
        max_age,
    })
}

const fn parameter(name: &'static str, why: &'static str) -> OAuthError {
    OAuthError::Parameter { name, why }
}

/// What is asked for, word for word among what is declared. What is not known here is left out: it could not be explained
/// to the person, and the answer says what was granted.
fn scopes(client: &Client, form: &Form) -> Result<String, OAuthError> {
    let text = form.get("scope").ok_or(OAuthError::ScopeAtproto)?;
    let (scopes, unknown) = Scopes::known(text)?;
    let declared: Vec<&str> = client.scope.split(' ').collect();
    if text.split(' ').any(|word| word == "openid") {
        return Err(OAuthError::ScopeOpenid);
    }
    if let Some(word) = scopes.undeclared(&client.scope) {
        return Err(OAuthError::ScopeUndeclared(word.chars().take(200).collect()));
    }
    if let Some(word) = unknown.iter().find(|word| !declared.contains(&word.as_str())) {
        return Err(OAuthError::ScopeUndeclared(word.chars().take(200).collect()));
    }
    if !scopes.contains(ATPROTO) {
        return Err(OAuthError::ScopeAtproto);
    }
    Ok(scopes.to_string())
}

fn challenge(form: &Form) -> Result<String, OAuthError> {
    let challenge = form.get("code_challenge").ok_or(OAuthError::PkceMissing)?;
    // RFC 7636 4.3: left out it would be "plain".
    if form.get("code_challenge_method") != Some("S256") {
        return Err(OAuthError::PkceMethod);
    }
    if !pkce::is_challenge(challenge) {
        return Err(OAuthError::PkceForm);
    }
    Ok(challenge.to_owned())
}

/// A public client proves nothing, so whoever pretends to be it could sign people in without a word: they are always
/// asked.
fn prompt(client: &Client, form: &Form) -> Result<Option<Prompt>, OAuthError> {
    let prompt = match form.get("prompt") {
        None => None,
        Some("none") => Some(Prompt::None),
        Some("login") => Some(Prompt::Login),
        Some("consent") => Some(Prompt::Consent),
        Some("select_account") => Some(Prompt::SelectAccount),
        Some("create") => Some(Prompt::Create),
        Some(_) => {
            return Err(parameter("prompt", "it is none of none, login, consent, select_account and create"));
        }
    };
    if prompt == Some(Prompt::None) && !client.confidential {
        return Err(parameter("prompt", "\"none\" is for confidential clients: people must agree first"));
    }
    Ok(prompt)
}

fn hint(form: &Form) -> Result<Option<String>, OAuthError> {
    let Some(hint) = form.get("login_hint") else { return Ok(None) };
    let hint = hint.trim_start_matches('@').to_lowercase();
    match AtIdentifier::parse(&hint) {
        Ok(_) => Ok(Some(hint)),
        Err(_) => Err(parameter("login_hint", "it is neither a handle nor a DID")),
    }
}

/// A code, and what is kept of it.
pub(crate) fn new_code() -> Result<(Zeroizing<String>, [u8; 32]), OAuthError> {
    let code = Zeroizing::new(format!("cod-{}", *random(32)?));
    let kept = digest(Kind::Code, &code);
    Ok((code, kept))
}
