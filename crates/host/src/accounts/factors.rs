//! What an owner proves himself with beside the password: codes of an app, codes by e-mail, passkeys, backup codes.
//!
//! As soon as one of the first three is set up the password alone opens no session any more; app passwords do, for
//! applications that know nothing of this. A passkey that knows its owner (by finger, face or number) signs in without a
//! password too. Adding or removing anything takes the password and is told by mail; who has lost everything asks the
//! operator (`p2pds account reset-factors`).
//!
//! `factors/set_up.rs` adds and removes, `factors/sign_in.rs` asks and checks; the others are rules without a store.

mod browser;
mod challenge;
mod codes;
mod set_up;
mod sign_in;
pub mod totp;
mod webauthn;

use p2pds_store::Unit;
use p2pds_store::hosting::{FactorRow, FactorsUnit, HostingUnit, PasskeyRow};
use p2pds_syntax::Did;

use crate::error::{HostError, HostResult};
use crate::host::Host;
use crate::reason::Reason;

pub use codes::BackupCodes;
pub use set_up::{Added, NewPasskey, NewTotp};
pub(crate) use sign_in::Proved;
pub use sign_in::{Factor, FactorNeeded, SignIn, SignedIn};
pub use webauthn::{Refused as PasskeyRefused, RelyingParty};

/// Passkeys of one account.
pub const MOST_PASSKEYS: u32 = 20;

/// What is set up for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factors {
    /// Since when codes of an app are asked for.
    pub app_since: Option<i64>,
    /// Whether codes by e-mail are sent. They are only while the address is confirmed.
    pub email: bool,
    /// Passkeys, oldest first.
    pub passkeys: Vec<Passkey>,
    /// When backup codes were made, and how many are left.
    pub backup_codes: Option<(i64, u32)>,
}

impl Factors {
    /// Whether the password alone is not enough.
    #[must_use]
    pub fn any(&self) -> bool {
        self.app_since.is_some() || self.email || !self.passkeys.is_empty()
    }
}

/// A passkey, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// Its credential id.
    pub id: Vec<u8>,
    /// Its name.
    pub name: String,
    /// Whether it is copied to other devices of its owner.
    pub copied: bool,
    /// Whether it signs in without anybody typing a name.
    pub discoverable: bool,
    /// When it was made, microseconds since 1970.
    pub created_at: i64,
    /// When it was used last.
    pub used_at: Option<i64>,
}

impl From<PasskeyRow> for Passkey {
    fn from(row: PasskeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            copied: row.copied,
            discoverable: row.discoverable,
            created_at: row.created_at,
            used_at: row.used_at,
        }
    }
}

pub(crate) fn unit(unit: FactorsUnit) -> Unit {
    Unit::Hosting(Box::new(HostingUnit::Factors(unit)))
}

/// What is set, and the passkeys.
pub(crate) struct Stored {
    row: FactorRow,
    passkeys: Vec<PasskeyRow>,
}

impl Stored {
    fn email(&self, login: &p2pds_store::Login) -> bool {
        self.row.email && login.email_confirmed_at.is_some() && !login.email.is_empty()
    }

    fn any(&self, login: &p2pds_store::Login) -> bool {
        self.row.totp.is_some() || !self.passkeys.is_empty() || self.email(login)
    }
}

impl Host {
    /// What is set up for an account.
    ///
    /// # Errors
    /// The account is not hosted here; the store.
    pub async fn factors(&self, did: &Did) -> HostResult<Factors> {
        let login = self.own_login(did).await?;
        let stored = self.stored_factors(did).await?;
        let left = self.store().backup_codes(did).await?;
        Ok(Factors {
            app_since: stored.row.totp_at.filter(|_| stored.row.totp.is_some()),
            email: stored.email(&login),
            backup_codes: stored.row.codes_at.map(|at| (at, left)),
            passkeys: stored.passkeys.into_iter().map(Passkey::from).collect(),
        })
    }

    pub(crate) async fn stored_factors(&self, did: &Did) -> HostResult<Stored> {
        Ok(Stored {
            row: self.store().factor(did).await?.unwrap_or_default(),
            passkeys: self.store().passkeys(did).await?,
        })
    }

    /// Who passkeys are made for. On a development host with a bare address it is `localhost`, since browsers bind none
    /// to an address.
    #[must_use]
    pub fn relying_party(&self) -> RelyingParty {
        let config = self.config();
        let url = url::Url::parse(&config.public_url).ok();
        let name = match url.as_ref().and_then(url::Url::host) {
            Some(url::Host::Domain(name)) => name.to_owned(),
            Some(_) if config.dev_mode => "localhost".to_owned(),
            _ => config.hostname.clone(),
        };
        let mut origins = vec![config.public_url.trim_end_matches('/').to_owned()];
        if config.dev_mode && name == "localhost" {
            let port =
                url.as_ref().and_then(url::Url::port).map(|port| format!(":{port}")).unwrap_or_default();
            origins.push(format!("http://localhost{port}"));
        }
        RelyingParty { id: name, origins }
    }
}

impl From<PasskeyRefused> for HostError {
    fn from(refused: PasskeyRefused) -> Self {
        Self::unauthenticated("InvalidPasskey", format!("The passkey was not accepted: {refused}"))
            .because(Reason::PasskeyRefused)
    }
}
