//! Passkeys: what browsers hand over when one is made or used, judged by Web Authentication Level 3, sections 7.1 and
//! 7.2. No clock, no store: challenges and counters are the caller's to judge.
//!
//! Which make of authenticator it is, is neither asked for ("attestation": "none") nor believed when it is said: the
//! statement is read over and not kept. ADR 0008 says why this is not a crate.

mod cbor;
mod data;
mod key;
#[cfg(test)]
mod tests;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use data::{AuthData, ClientData, LONGEST_ID};
use key::Key;

pub(super) use key::ALGORITHMS;

/// Longest attestation object, bytes.
const LONGEST_OBJECT: usize = 64 * 1024;

/// Why a passkey is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// What the browser handed over cannot be read.
    #[error("what the browser handed over cannot be read: {0}")]
    Unreadable(&'static str),
    /// It is the answer to another question.
    #[error("this is not the answer to what was asked: a passkey is made and used in two different ways")]
    Kind,
    /// The challenge is none of ours, for another purpose or account, over, or answered already.
    #[error(
        "the question that it answers was not asked here, is for something else, or took too long; try again"
    )]
    Challenge,
    /// Section 13.4.9.
    #[error("it was used at another address than this server's; open this server's own page")]
    Origin,
    /// In a frame of a page of another origin.
    #[error("it was used inside a page of another server; open this server's own page")]
    Embedded,
    /// The hash of the host name is another one.
    #[error("it is a passkey of another server")]
    RpId,
    /// The flag UP is not set.
    #[error("nobody touched the passkey")]
    NotPresent,
    /// The flag UV is not set.
    #[error(
        "the passkey did not ask for a finger, a face or a number, which a sign-in without a password needs"
    )]
    NotVerified,
    /// Of another algorithm, or damaged.
    #[error("its key is of a kind that this server does not check (ES256, EdDSA and RS256 are)")]
    Key,
    /// Its credential id has more than 1,023 bytes.
    #[error("its name is too long")]
    IdLength,
    /// The flag BE never changes.
    #[error("it says another thing about whether it can be copied than when it was made")]
    Copyable,
    /// It is not by this key over these bytes.
    #[error("its signature is wrong")]
    Signature,
}

/// Who asks: the name that passkeys are bound to, and the addresses of its pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    /// Its host name.
    pub id: String,
    /// Its origins.
    pub origins: Vec<String>,
}

/// Whether the passkey has to know who uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verification {
    /// It stands for password and factor at once.
    Required,
    /// Touching it is enough.
    Welcome,
}

/// A passkey that was made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) challenge: Vec<u8>,
    pub(super) id: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) count: u32,
    pub(super) copyable: bool,
    pub(super) copied: bool,
}

/// What is kept of a passkey, as far as its use is judged by it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) key: &'a [u8],
    pub(super) copyable: bool,
}

/// What a browser hands over when a passkey is used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Assertion<'a> {
    pub(super) client_data: &'a [u8],
    pub(super) auth_data: &'a [u8],
    pub(super) signature: &'a [u8],
}

/// A passkey that was used. The caller judges the challenge and the counter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) challenge: Vec<u8>,
    pub(super) count: u32,
    pub(super) copied: bool,
}

/// Judges a registration (section 7.1) but for its challenge.
pub(super) fn made(party: &RelyingParty, client_data: &[u8], object: &[u8]) -> Result<Made, Refused> {
    let challenge = client(party, client_data, "webauthn.create")?;
    let unreadable = Refused::Unreadable("the passkey's description is cut short or damaged");
    if object.len() > LONGEST_OBJECT {
        return Err(unreadable);
    }
    let object = cbor::whole(object).ok_or(unreadable)?;
    let (Some(cbor::Item::Text(_)), Some(cbor::Item::Map(_))) =
        (object.text_key("fmt"), object.text_key("attStmt"))
    else {
        return Err(unreadable);
    };
    let bytes = object.text_key("authData").and_then(cbor::Item::bytes).ok_or(unreadable)?;
    let data = authenticator(party, bytes, Verification::Welcome)?;
    let credential =
        data.credential.as_ref().ok_or(Refused::Unreadable("it describes no passkey that was made"))?;
    if !(1..=LONGEST_ID).contains(&credential.id.len()) {
        return Err(Refused::IdLength);
    }
    Key::read(credential.key).ok_or(Refused::Key)?;
    Ok(Made {
        challenge,
        id: credential.id.to_vec(),
        key: credential.key.to_vec(),
        count: data.count,
        copyable: data.copyable(),
        copied: data.copied(),
    })
}

/// Judges a use (section 7.2) but for its challenge and counter.
pub(super) fn used(
    party: &RelyingParty,
    known: Known<'_>,
    given: Assertion<'_>,
    verification: Verification,
) -> Result<Used, Refused> {
    let challenge = client(party, given.client_data, "webauthn.get")?;
    let data = authenticator(party, given.auth_data, verification)?;
    if data.copyable() != known.copyable {
        return Err(Refused::Copyable);
    }
    let key = Key::read(known.key).ok_or(Refused::Key)?;
    let signed = [given.auth_data, Sha256::digest(given.client_data).as_slice()].concat();
    if !key.verifies(&signed, given.signature) {
        return Err(Refused::Signature);
    }
    Ok(Used { challenge, count: data.count, copied: data.copied() })
}

/// Judges what the browser says; the challenge that was answered.
fn client(party: &RelyingParty, bytes: &[u8], kind: &str) -> Result<Vec<u8>, Refused> {
    let client = ClientData::read(bytes)?;
    if client.kind != kind {
        return Err(Refused::Kind);
    }
    if !party.origins.contains(&client.origin) {
        return Err(Refused::Origin);
    }
    if client.cross_origin || client.top_origin.is_some() {
        return Err(Refused::Embedded);
    }
    client.challenge()
}

/// Judges what the authenticator says.
fn authenticator<'a>(
    party: &RelyingParty,
    bytes: &'a [u8],
    verification: Verification,
) -> Result<AuthData<'a>, Refused> {
    let data = AuthData::read(bytes)?;
    if !bool::from(Sha256::digest(party.id.as_bytes()).as_slice().ct_eq(&data.rp_id_hash)) {
        return Err(Refused::RpId);
    }
    if !data.present() {
        return Err(Refused::NotPresent);
    }
    if verification == Verification::Required && !data.verified() {
        return Err(Refused::NotVerified);
    }
    Ok(data)
}
