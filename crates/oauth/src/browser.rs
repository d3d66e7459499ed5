//! Browsers: which of them this server knows by a cookie, who is signed in in each, and what people can see and end.
//!
//! A browser never sees its own name. Its cookie is 256 random bits, changes with each sign-in (so nobody can plant one
//! and wait), and is kept as its digest only.

use p2pds_store::hosting::{OAuthApplied, OAuthDeviceAccountRow, OAuthDeviceRow, OAuthUnit};
use p2pds_syntax::Did;
use zeroize::Zeroizing;

use crate::error::OAuthError;
use crate::port::Account;
use crate::secrets::{Kind, digest, random};
use crate::server::{MICROS, OAuth};

/// A browser is noted as seen this often, microseconds.
const SEEN_EVERY: i64 = 60 * MICROS;
/// Longest text that is kept of what a browser calls itself.
const LONGEST_AGENT: usize = 256;
/// Most accounts in one browser.
const MOST_ACCOUNTS: usize = 32;
/// Most sessions that are listed.
const MOST_LISTED: usize = 1_000;

/// The name of a browser.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceId(String);

impl DeviceId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// A text by which pages and sessions can be told apart.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// From what a page was given by [`Self::name`].
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// Somebody who signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who.
    pub account: Account,
    /// The browser's new cookie.
    pub cookie: Zeroizing<String>,
}

/// A browser that an account is signed in in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub id: DeviceId,
    /// What it calls itself.
    pub agent: String,
    /// Where it was last seen.
    pub address: String,
    /// When it came last, microseconds since 1970.
    pub seen_at: i64,
    /// When the account signed in in it.
    pub signed_in_at: i64,
    /// Whether the account stays signed in in it.
    pub remembered: bool,
}

/// What an application was granted and still has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its session.
    pub session: String,
    /// The `client_id`.
    pub client_id: String,
    /// What the client called itself; anybody may call himself anything.
    pub client_name: String,
    /// Scopes, as text.
    pub scope: String,
    /// Since when, microseconds since 1970.
    pub since: i64,
    /// When it was last refreshed.
    pub used_at: i64,
    /// When it ends unless it is refreshed before.
    pub expires_at: i64,
    /// The browser in which it was granted.
    pub device: Option<DeviceId>,
}

fn shortened(agent: &str) -> String {
    agent.chars().filter(|c| !c.is_control()).take(LONGEST_AGENT).collect()
}

impl OAuth {
    /// The browser of a cookie.
    ///
    /// # Errors
    /// The store.
    pub async fn device(&self, cookie: &str, address: &str) -> Result<Option<DeviceId>, OAuthError> {
        let Some(row) = self.0.store.oauth_device(digest(Kind::Device, cookie)).await? else {
            return Ok(None);
        };
        let now = self.now();
        if now.saturating_sub(row.seen_at) >= SEEN_EVERY {
            let id = row.id.clone();
            self.apply(OAuthUnit::SeeDevice { id, at: now, address: shortened(address) }).await?;
        }
        Ok(Some(DeviceId(row.id)))
    }

    /// A new browser, and its cookie.
    ///
    /// # Errors
    /// The store.
    pub async fn new_device(
        &self,
        agent: &str,
        address: &str,
    ) -> Result<(DeviceId, Zeroizing<String>), OAuthError> {
        let (id, cookie, now) = (random(16)?, random(32)?, self.now());
        let row = OAuthDeviceRow {
            id: id.to_string(),
            token: digest(Kind::Device, &cookie),
            agent: shortened(agent),
            address: shortened(address),
            created_at: now,
            seen_at: now,
        };
        self.apply(OAuthUnit::PutDevice(row)).await?;
        Ok((DeviceId(id.to_string()), cookie))
    }

    /// Somebody proved who he is in some way (a passkey, a new account): he is signed in in this browser, which gets a new
    /// cookie.
    ///
    /// # Errors
    /// The browser is not known, the store.
    pub async fn signed_in(
        &self,
        device: &DeviceId,
        account: Account,
        remember: bool,
    ) -> Result<SignedIn, OAuthError> {
        let others = self.0.store.oauth_device_accounts(device.as_str()).await?;
        if others.len() >= MOST_ACCOUNTS && !others.iter().any(|row| row.did == account.did) {
            return Err(OAuthError::Parameter {
                name: "account",
                why: "too many are signed in in this browser",
            });
        }
        let cookie = random(32)?;
        let row = OAuthDeviceAccountRow {
            device: device.as_str().to_owned(),
            did: account.did.clone(),
            signed_in_at: self.now(),
            remembered: remember,
        };
        let unit = OAuthUnit::SignIn { row, token: digest(Kind::Device, &cookie) };
        match self.apply(unit).await? {
            OAuthApplied::Yes => Ok(SignedIn { account, cookie }),
            _ => Err(OAuthError::RequestDevice),
        }
    }

    /// Who is signed in in a browser and may use the pages of his account: those who did not want to stay are left out after
    /// a quarter of an hour.
    ///
    /// # Errors
    /// The store.
    pub async fn device_accounts(&self, device: &DeviceId) -> Result<Vec<Account>, OAuthError> {
        let mut accounts = Vec::new();
        for row in self.0.store.oauth_device_accounts(device.as_str()).await? {
            let age = self.now().saturating_sub(row.signed_in_at);
            if !row.remembered && age > 15 * 60 * MICROS {
                continue;
            }
            accounts.extend(self.account(&row.did).await?);
        }
        Ok(accounts)
    }

    /// Signs an account out of a browser.
    ///
    /// # Errors
    /// The store.
    pub async fn sign_out(&self, device: &DeviceId, did: &Did) -> Result<(), OAuthError> {
        let unit = OAuthUnit::SignOut { device: device.as_str().to_owned(), did: did.clone() };
        self.apply(unit).await.map(|_| ())
    }

    /// Browsers that an account is signed in in.
    ///
    /// # Errors
    /// The store.
    pub async fn devices(&self, did: &Did) -> Result<Vec<Device>, OAuthError> {
        let rows = self.0.store.oauth_devices(did).await?;
        let device = |(device, account): (OAuthDeviceRow, OAuthDeviceAccountRow)| Device {
            id: DeviceId(device.id),
            agent: device.agent,
            address: device.address,
            seen_at: device.seen_at,
            signed_in_at: account.signed_in_at,
            remembered: account.remembered,
        };
        Ok(rows.into_iter().map(device).collect())
    }

    /// What applications were granted by an account, newest first.
    ///
    /// # Errors
    /// The store.
    pub async fn grants(&self, did: &Did) -> Result<Vec<Grant>, OAuthError> {
        let now = self.now();
        let rows = self.0.store.oauth_sessions(did, MOST_LISTED).await?;
        let live = rows.into_iter().filter(|row| row.expires_at > now);
        let grant = |row: p2pds_store::hosting::OAuthSessionRow| Grant {
            session: row.id,
            client_id: row.client,
            client_name: row.name,
            scope: row.scope,
            since: row.created_at,
            used_at: row.used_at,
            expires_at: row.expires_at,
            device: row.device.map(DeviceId),
        };
        Ok(live.map(grant).collect())
    }

    /// Ends one session of an application. Whether there was one.
    ///
    /// # Errors
    /// The store.
    pub async fn revoke_grant(&self, did: &Did, session: &str) -> Result<bool, OAuthError> {
        let row = self.0.store.oauth_session(session).await?;
        if row.is_none_or(|row| row.did != *did) {
            return Ok(false);
        }
        let ended = self.apply(OAuthUnit::DropOAuthSession { id: session.to_owned() }).await?;
        Ok(ended != OAuthApplied::Gone(0))
    }

    /// Ends all sessions of an application, and forgets that it was ever granted anything.
    ///
    /// # Errors
    /// The store.
    pub async fn revoke_client(&self, did: &Did, client_id: &str) -> Result<(), OAuthError> {
        let unit = OAuthUnit::DropGrant { did: did.clone(), client: client_id.to_owned() };
        self.apply(unit).await.map(|_| ())
    }
}
