//! Sessions as they are kept: sealed, with a version that counts up.

use data_encoding::HEXLOWER;
use p2pds_crypto::{Curve, PrivateKey};
use p2pds_store::hosting::{AgentSessionRow, OwnerApplied, OwnerUnit};
use p2pds_store::{Applied, HostingUnit, Unit};
use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::error::SignInError;
use super::{Agents, us};
use crate::session::renewed_by_token;
use crate::{AgentError, Secret};

/// `kind` of sessions by OAuth.
pub(super) const OAUTH: &str = "oauth";
/// `kind` of sessions by app password.
pub(super) const PASSWORD: &str = "password";
/// Most bytes of a token.
const MAX_TOKEN: usize = 16 * 1024;

/// What a session consists of. Serialized only to be sealed.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) did: Did,
    /// Who gave it: the server; the host with a password.
    pub(crate) issuer: String,
    pub(crate) token_endpoint: String,
    pub(crate) revocation_endpoint: Option<String>,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) access: Secret,
    pub(crate) refresh: Option<Secret>,
    /// When the access token ends, microseconds since 1970; 0: unknown.
    pub(crate) ends_at: i64,
    /// The key that it is bound to, hexadecimal; none with a password.
    key: Option<Secret>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("did", &self.did).field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Held {
    /// Reads the answer of a token endpoint.
    pub(crate) fn read(server: &str, answer: &Value, now: i64) -> Result<Self, SignInError> {
        let wrong = |what: &str| SignInError::Answer {
            server: server.to_owned(),
            doing: "the token",
            what: what.to_owned(),
        };
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let token = |name: &str| text(name).filter(|text| !text.is_empty() && text.len() <= MAX_TOKEN);
        // A token that needs no proof would be good for whoever finds it.
        if !text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("DPoP")) {
            return Err(wrong("the token is not bound to the key of this session"));
        }
        let did =
            text("sub").and_then(|sub| Did::parse(sub).ok()).ok_or_else(|| wrong("its sub is no DID"))?;
        let lasts = answer.get("expires_in").and_then(Value::as_i64).unwrap_or(0);
        Ok(Self {
            did,
            issuer: server.to_owned(),
            token_endpoint: String::new(),
            revocation_endpoint: None,
            client_id: String::new(),
            scope: text("scope").ok_or_else(|| wrong("it does not say what was granted"))?.to_owned(),
            access: Secret::new(token("access_token").ok_or_else(|| wrong("it has no access_token"))?),
            refresh: token("refresh_token").map(Secret::new),
            ends_at: if lasts > 0 { now.saturating_add(lasts.saturating_mul(1_000_000)) } else { 0 },
            key: None,
        })
    }

    /// The tokens of a session with an app password.
    pub(crate) fn of_password(did: &Did, host: &str, access: &Secret, refresh: &Secret) -> Self {
        Self {
            did: did.clone(),
            issuer: host.to_owned(),
            token_endpoint: String::new(),
            revocation_endpoint: None,
            client_id: String::new(),
            scope: String::new(),
            access: access.clone(),
            refresh: Some(refresh.clone()),
            ends_at: 0,
            key: None,
        }
    }

    pub(crate) fn is_oauth(&self) -> bool {
        self.key.is_some()
    }

    pub(crate) fn set_key(&mut self, key: &PrivateKey) {
        let digits = Zeroizing::new(HEXLOWER.encode(key.to_secret_bytes().as_slice()));
        self.key = Some(Secret::new(&digits));
    }

    pub(crate) fn key(&self) -> Option<PrivateKey> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        let digits = self.key.as_ref()?.expose().as_bytes();
        (digits.len() == 64).then_some(())?;
        HEXLOWER.decode_mut(digits, bytes.as_mut_slice()).ok()?;
        PrivateKey::from_bytes(Curve::P256, &bytes).ok()
    }
}

impl Agents {
    /// The row of a session and what is sealed in it.
    pub(crate) async fn stored(&self, did: &Did) -> Result<Option<(AgentSessionRow, Held)>, SignInError> {
        let Some(row) = self.0.deps.store.agent_session(did).await? else { return Ok(None) };
        let held = self.0.deps.seal.open(did, &row.sealed)?;
        Ok(Some((row, held)))
    }

    /// Stores a session; `false` when somebody else changed it meanwhile.
    pub(crate) async fn put(
        &self,
        did: &Did,
        host: &str,
        version: u32,
        held: &Held,
        created_at: i64,
    ) -> Result<bool, SignInError> {
        let row = AgentSessionRow {
            did: did.clone(),
            version,
            kind: if held.is_oauth() { OAUTH } else { PASSWORD }.to_owned(),
            host: host.to_owned(),
            scope: held.scope.clone(),
            sealed: self.0.deps.seal.seal(did, held)?,
            created_at,
            updated_at: self.now(),
        };
        let unit = Unit::Hosting(Box::new(HostingUnit::Owner(OwnerUnit::PutAgent(row))));
        Ok(self.0.deps.store.apply(unit).await? == Applied::Owner(OwnerApplied::Yes))
    }

    /// Renews a session whose tokens were read at `version`. Whoever comes second gets what the first got.
    pub(crate) async fn renewed(
        &self,
        did: &Did,
        version: u32,
    ) -> Result<(AgentSessionRow, Held), SignInError> {
        let lock = self.lock(did);
        let _alone = lock.lock().await;
        let gone = |server: &str| SignInError::Refused {
            server: server.to_owned(),
            doing: "to renew the session",
            error: "signed out".to_owned(),
            message: "the session was ended here".to_owned(),
        };
        let Some((mut row, old)) = self.stored(did).await? else { return Err(gone("this node")) };
        if row.version != version {
            return Ok((row, old));
        }
        let refresh = old.refresh.clone().ok_or_else(|| gone(&row.host))?;
        let next = version.saturating_add(1);
        if !old.is_oauth() {
            let (access, refresh) = match renewed_by_token(self.net(), &row.host, did, &refresh).await {
                Err(error @ AgentError::Expired { .. }) => {
                    self.apply(OwnerUnit::DropAgent { did: did.clone() }).await?;
                    return Err(error.into());
                }
                renewed => renewed?,
            };
            let new = Held::of_password(did, &row.host, &access, &refresh);
            self.put(did, &row.host, next, &new, row.created_at).await?;
            row.version = next;
            return Ok((row, new));
        }
        let key = old.key().ok_or_else(|| gone(&old.issuer))?;
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", old.client_id.as_str()),
            ("refresh_token", refresh.expose()),
        ];
        let form = self.form(&old.issuer, &key);
        let answer = match form.post("to renew the session", &old.token_endpoint, &fields).await {
            Ok(answer) => answer,
            Err(error) => {
                // The server has ended it: what is kept is good for nothing any more.
                if matches!(&error, SignInError::Refused { error, .. } if error == "invalid_grant") {
                    self.apply(OwnerUnit::DropAgent { did: did.clone() }).await?;
                }
                return Err(error);
            }
        };
        let mut new = Held::read(&old.issuer, &answer, self.now())?;
        let server = || old.issuer.clone();
        if new.did != *did {
            self.apply(OwnerUnit::DropAgent { did: did.clone() }).await?;
            return Err(SignInError::Subject { server: server(), wanted: did.clone(), got: new.did });
        }
        if !us::covers(&old.scope, &new.scope) {
            let what = "a renewal granted more than the session had".to_owned();
            return Err(SignInError::Answer { server: server(), doing: "to renew the session", what });
        }
        new.token_endpoint.clone_from(&old.token_endpoint);
        new.revocation_endpoint.clone_from(&old.revocation_endpoint);
        new.client_id.clone_from(&old.client_id);
        new.set_key(&key);
        if new.refresh.is_none() {
            new.refresh = Some(refresh);
        }
        self.put(did, &row.host, next, &new, row.created_at).await?;
        row.version = next;
        row.scope.clone_from(&new.scope);
        Ok((row, new))
    }
}
