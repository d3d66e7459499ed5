//! What is asked of a passkey, and what a page hands back between two steps. Neither is stored while it waits: a challenge
//! names its purpose, account and end under a MAC, a state is sealed. So asking costs nothing, however often it is done,
//! and only answers that were right leave a trace: their challenges are spent.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use p2pds_syntax::Did;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::webauthn::Refused;
use crate::error::{HostError, HostResult};
use crate::host::Host;
use crate::keys::Purpose;
use crate::passwords::no_entropy;
use crate::reason::Reason;

/// How long an answer is waited for, microseconds.
pub(super) const WAITS: i64 = 5 * 60 * 1_000_000;

/// What a challenge is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Making a passkey.
    Register,
    /// Signing in with a passkey alone.
    SignIn,
    /// The second step after the password.
    SecondFactor,
}

impl Question {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::SignIn => "sign-in",
            Self::SecondFactor => "second-factor",
        }
    }
}

/// A challenge of ours that was answered in time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    pub(super) digest: [u8; 32],
    pub(super) ends_at: i64,
}

/// What a page hands back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The secret of an app that is being set up.
    Totp,
    /// That the password was right.
    Ticket,
}

impl State {
    fn bound_to(self, did: Option<&Did>) -> Vec<u8> {
        let name = match self {
            Self::Totp => "totp ",
            Self::Ticket => "ticket ",
        };
        [name.as_bytes(), did.map_or("", Did::as_str).as_bytes()].concat()
    }
}

impl Host {
    fn mac(&self, question: Question, did: Option<&Did>, asked: &[u8]) -> [u8; 32] {
        let key = self.keys().derived(Purpose::Challenges);
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&*key) else { return [0; 32] };
        for part in [question.as_str(), did.map_or("", Did::as_str)] {
            mac.update(part.as_bytes());
            mac.update(b"\0");
        }
        mac.update(asked);
        mac.finalize().into_bytes().into()
    }

    /// A new challenge: `random (16) || end (8) || mac (32)`.
    pub(super) fn challenge(&self, question: Question, did: Option<&Did>) -> HostResult<Vec<u8>> {
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random).map_err(|e| no_entropy(&e))?;
        let ends_at = self.now().saturating_add(WAITS);
        let asked = [random.as_slice(), &ends_at.to_be_bytes()].concat();
        Ok([asked.as_slice(), &self.mac(question, did, &asked)].concat())
    }

    /// Whether a challenge is one of ours, for this and this account, and not over. That it was not answered before is the
    /// store's to say.
    pub(super) fn answered(
        &self,
        question: Question,
        did: Option<&Did>,
        challenge: &[u8],
    ) -> Result<Answered, Refused> {
        let (asked, mac) = challenge.split_last_chunk::<32>().ok_or(Refused::Challenge)?;
        let (_, end) = asked.split_last_chunk::<8>().ok_or(Refused::Challenge)?;
        let right = self.mac(question, did, asked).as_slice().ct_eq(mac);
        let ends_at = i64::from_be_bytes(*end);
        if !bool::from(right) || ends_at <= self.now() {
            return Err(Refused::Challenge);
        }
        Ok(Answered { digest: Sha256::digest(challenge).into(), ends_at })
    }

    /// Something for a page to hand back.
    pub(super) fn hand_out(
        &self,
        state: State,
        did: Option<&Did>,
        what: &[u8],
    ) -> HostResult<Zeroizing<String>> {
        let ends_at = self.now().saturating_add(WAITS);
        let what = Zeroizing::new([ends_at.to_be_bytes().as_slice(), what].concat());
        let sealed = self.keys().seal(Purpose::Challenges, &what, &state.bound_to(did)).map_err(|error| {
            tracing::error!(event = "host.entropy", %error, "nothing can be sealed");
            HostError::upstream("this cannot be done now; try again in a minute").because(Reason::NotNow)
        })?;
        Ok(Zeroizing::new(BASE64URL_NOPAD.encode(&sealed)))
    }

    /// What a page handed back, if it is ours and not over.
    pub(super) fn handed_back(
        &self,
        state: State,
        did: Option<&Did>,
        text: &str,
    ) -> HostResult<Zeroizing<Vec<u8>>> {
        let over = || {
            HostError::named(
                "ExpiredToken",
                "this took too long, or the page is not one of this server's: begin again",
            )
            .because(Reason::PageExpired)
        };
        let sealed = BASE64URL_NOPAD.decode(text.trim().as_bytes()).map_err(|_| over())?;
        let open = self.keys().unseal(Purpose::Challenges, &sealed, &state.bound_to(did)).ok_or_else(over)?;
        let (end, what) = open.split_first_chunk::<8>().ok_or_else(over)?;
        if i64::from_be_bytes(*end) <= self.now() {
            return Err(over());
        }
        Ok(Zeroizing::new(what.to_vec()))
    }
}
