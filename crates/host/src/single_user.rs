//! The one account of a single-user host: given by settings, there from the first start.

use p2pds_crypto::{Curve, PrivateKey, Signer as _};
use p2pds_store::hosting::{Login, LoginPatch};
use p2pds_store::{Account, AccountPatch, AccountStatus, Origin, Unit, VerifiedState};
use p2pds_syntax::{Did, Handle};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::access::{Access, Scope};
use crate::error::{HostError, HostResult};
use crate::events::{self, Said};
use crate::host::Host;
use crate::passwords;

/// Fewest characters of `AUTH_TOKEN`.
const SHORTEST_TOKEN: usize = 16;

/// What the settings `DID`, `HANDLE`, `SIGNING_KEY`, `AUTH_TOKEN` and `PASSWORD_HASH` say.
#[derive(Clone)]
pub struct SingleUser {
    /// `DID`: did:web or did:plc.
    pub did: Did,
    /// `HANDLE`.
    pub handle: Handle,
    /// `SIGNING_KEY`: 32 bytes of a K-256 key, hex or base64. Without it one is made at the first start.
    pub signing_key: Option<Zeroizing<String>>,
    /// `AUTH_TOKEN`: a bearer token with all rights over the account, 16 characters at least. Without it only sessions
    /// count.
    pub auth_token: Option<Zeroizing<String>>,
    /// `PASSWORD_HASH`: for `createSession`, in a form that password checks understand. Without it nobody can open a
    /// session.
    pub password_hash: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for SingleUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SingleUser")
            .field("did", &self.did)
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

impl SingleUser {
    /// Reads `SIGNING_KEY`: hexadecimal, or base64 with or without padding, of either alphabet.
    ///
    /// # Errors
    /// What is wrong with it; nothing of the key is in the text.
    pub fn parse_signing_key(text: &str) -> Result<PrivateKey, String> {
        let text = text.trim();
        let bytes = Zeroizing::new(decode(text).ok_or_else(|| {
            format!(
                "SIGNING_KEY has {} characters and is not 32 bytes in hexadecimal or base64; \
                 `openssl rand -hex 32` makes one",
                text.len()
            )
        })?);
        let secret: Zeroizing<[u8; 32]> = Zeroizing::new(
            bytes
                .as_slice()
                .try_into()
                .map_err(|_| format!("SIGNING_KEY has {} bytes, 32 are wanted", bytes.len()))?,
        );
        PrivateKey::from_bytes(Curve::K256, &secret).map_err(|e| format!("SIGNING_KEY is not usable: {e}"))
    }
}

impl SingleUser {
    /// Checks that `SIGNING_KEY_PUBLIC` (did:key, multibase or hexadecimal) is the public half of `SIGNING_KEY`.
    ///
    /// # Errors
    /// One cannot be read, or they do not belong together: the text names the right public half.
    pub fn check_pair(signing_key: &str, public: &str) -> Result<(), String> {
        let own = Self::parse_signing_key(signing_key)?.public_key();
        let (given, hex) = (public.trim(), data_encoding::HEXLOWER.encode(&own.to_sec1()));
        if given == own.to_did_key() || given == own.to_multibase() || given.eq_ignore_ascii_case(&hex) {
            return Ok(());
        }
        let own = own.to_did_key();
        Err(format!("SIGNING_KEY and SIGNING_KEY_PUBLIC do not belong together: the public half is {own}"))
    }
}

impl Host {
    /// Whether a bearer token is the single user's `AUTH_TOKEN`: then it may do everything that his password may. Takes
    /// as long whether it is or not.
    #[must_use]
    pub fn single_user_access(&self, token: &str) -> Option<Access> {
        let single = self.config().single_user.as_ref()?;
        let known = single.auth_token.as_ref()?;
        let digest = |text: &str| <[u8; 32]>::from(Sha256::digest(text.as_bytes()));
        let same: bool = digest(token).ct_eq(&digest(known)).into();
        same.then(|| Access {
            did: single.did.clone(),
            scope: Scope::Full,
            app_password: None,
            session: String::new(),
        })
    }

    /// The account that the settings name is there, as they say: made at the first start, its handle and password kept
    /// to what they say at each. To be called before anything is served.
    ///
    /// # Errors
    /// Settings that cannot be followed, and what to do about them.
    pub async fn ensure_single_user(&self) -> HostResult<()> {
        let Some(single) = self.config().single_user.clone() else { return Ok(()) };
        if single.auth_token.as_ref().is_some_and(|token| token.len() < SHORTEST_TOKEN) {
            return Err(HostError::invalid(format!(
                "AUTH_TOKEN has fewer than {SHORTEST_TOKEN} characters and can be guessed: `openssl rand -hex 32` makes \
                 one"
            )));
        }
        if let Some(hash) = &single.password_hash
            && !passwords::readable(hash)
        {
            return Err(HostError::invalid(
                "PASSWORD_HASH is in no form that passwords are kept in here: $argon2id$..., or $2b$... (bcrypt)",
            ));
        }
        match self.store().login(&single.did).await? {
            Some(login) => self.keep_single_user(&single, &login).await,
            None => self.make_single_user(&single).await,
        }
    }

    async fn keep_single_user(&self, single: &SingleUser, login: &Login) -> HostResult<()> {
        if let Some(text) = &single.signing_key {
            let key =
                SingleUser::parse_signing_key(text).map_err(HostError::invalid)?.public_key().to_did_key();
            if key != login.signing_did_key {
                return Err(HostError::invalid(format!(
                    "SIGNING_KEY is another key than the one that {} signs with here, {}. Put that one back, or leave \
                     SIGNING_KEY out; `p2pds account rotate-key` changes keys",
                    single.did, login.signing_did_key
                )));
            }
        }
        let mut units = Vec::new();
        if let Some(hash) = single.password_hash.as_ref().filter(|hash| hash.as_str() != login.password) {
            let patch = LoginPatch { password: Some(hash.to_string()), ..LoginPatch::default() };
            units.push(Unit::PatchLogin { did: single.did.clone(), patch: Box::new(patch) });
        }
        if self.handle_of(&single.did).await?.as_ref() != Some(&single.handle) {
            let patch =
                AccountPatch { handle: Some(Some(single.handle.to_string())), ..AccountPatch::default() };
            units.push(Unit::PatchAccount { did: single.did.clone(), patch: Box::new(patch) });
            units.push(events::identity(&single.did, Some(&single.handle), self.now())?);
        }
        if !units.is_empty() {
            self.store().apply(Unit::Batch { did: single.did.clone(), units }).await?;
        }
        Ok(())
    }

    async fn make_single_user(&self, single: &SingleUser) -> HostResult<()> {
        let did = &single.did;
        if self.store().live_repo(did).await?.is_some() {
            return Err(HostError::invalid(format!(
                "{did} is archived on this node: `p2pds promote {did}` makes it a hosted account with all it has"
            )));
        }
        let key = match &single.signing_key {
            Some(text) => SingleUser::parse_signing_key(text).map_err(HostError::invalid)?,
            None => self.keys().new_signing_key()?,
        };
        let now = self.now();
        let login = Login {
            did: did.clone(),
            email: String::new(),
            email_confirmed_at: None,
            password: single.password_hash.as_ref().map(|hash| hash.to_string()).unwrap_or_default(),
            created_at: now,
            deactivated_at: Some(now),
            delete_after: None,
            takedown: None,
            invites_disabled: false,
            invited_by: None,
            signing_key: self.keys().wrap(&key, did)?,
            signing_did_key: key.public_key().to_did_key(),
        };
        let points_here = self.check_points_here(&login).await;
        let active = points_here.is_ok();
        let opened = self.open_repo(did, &key)?;
        let account = Account {
            handle: Some(single.handle.to_string()),
            pds: Some(self.config().public_url.clone()),
            status: if active { AccountStatus::Active } else { AccountStatus::Deactivated },
            verified: VerifiedState::Verified,
            ..Account::new(did.clone(), Origin::Network, now)
        };
        let login = Login { deactivated_at: (!active).then_some(now), ..login };
        let mut units =
            vec![Unit::AddAccount(Box::new(account)), opened.repo, Unit::PutLogin(Box::new(login.clone()))];
        if active {
            units.push(events::identity(did, Some(&single.handle), now)?);
            units.push(events::account(did, Said::Active, now)?);
            units.extend([opened.commit, opened.sync]);
        }
        self.store().apply(Unit::Batch { did: did.clone(), units }).await?;
        match points_here {
            Ok(()) => {
                tracing::info!(event = "host.single-user", %did, handle = %single.handle, "the account is here");
            }
            Err(error) => tracing::warn!(
                event = "host.single-user-away", %did, handle = %single.handle, key = login.signing_did_key, %error,
                "the account is here and not active, because its document does not point here yet: put this key and \
                 this host's address into it, then call com.atproto.server.activateAccount with AUTH_TOKEN",
            ),
        }
        Ok(())
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
    if text.len() == 64 {
        return HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    }
    let bare = text.trim_end_matches('=').as_bytes();
    BASE64_NOPAD.decode(bare).or_else(|_| BASE64URL_NOPAD.decode(bare)).ok()
}

#[cfg(test)]
mod tests {
    use super::SingleUser;
    use p2pds_crypto::Signer as _;

    #[test]
    fn signing_keys_in_all_their_clothes() {
        let secret = [0xfb_u8; 32];
        let hex = data_encoding::HEXUPPER.encode(&secret);
        let key = SingleUser::parse_signing_key(&hex).unwrap().public_key();
        for text in [
            data_encoding::HEXLOWER.encode(&secret),
            data_encoding::BASE64.encode(&secret),
            data_encoding::BASE64URL_NOPAD.encode(&secret),
            format!(" {hex}\n"),
        ] {
            assert_eq!(SingleUser::parse_signing_key(&text).unwrap().public_key(), key, "{text:?}");
        }
        for public in [key.to_did_key(), key.to_multibase(), data_encoding::HEXUPPER.encode(&key.to_sec1())] {
            assert_eq!(SingleUser::check_pair(&hex, &public), Ok(()), "{public}");
        }
        assert!(SingleUser::check_pair(&hex, "did:key:zother").unwrap_err().contains(&key.to_did_key()));
        for text in ["", "abc", &"0".repeat(64), &hex[..62], &hex.replace('F', "x"), &format!("{hex}00")] {
            let error = SingleUser::parse_signing_key(text).unwrap_err();
            assert!(text.is_empty() || text.len() < 10 || !error.contains(text), "{error}");
        }
    }
}
