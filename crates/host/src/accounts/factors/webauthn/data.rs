//! What an authenticator signs: its own data, and that of the browser.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::Refused;
use super::cbor;

/// Longest client data, bytes.
const LONGEST_CLIENT: usize = 16 * 1024;
/// Longest authenticator data, bytes.
const LONGEST_DATA: usize = 16 * 1024;
/// Longest credential id, bytes (section 7.1).
pub(super) const LONGEST_ID: usize = 1_023;

/// What the browser says (section 5.8.1).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClientData {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) challenge: String,
    pub(super) origin: String,
    #[serde(default)]
    pub(super) cross_origin: bool,
    pub(super) top_origin: Option<serde_json::Value>,
}

impl ClientData {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() > LONGEST_CLIENT {
            return Err(Refused::Unreadable("the browser's data is too long"));
        }
        serde_json::from_slice(bytes)
            .map_err(|_| Refused::Unreadable("the browser's data is not JSON of its kind"))
    }

    /// The challenge that was answered.
    pub(super) fn challenge(&self) -> Result<Vec<u8>, Refused> {
        BASE64URL_NOPAD.decode(self.challenge.as_bytes()).map_err(|_| Refused::Challenge)
    }
}

/// What the authenticator says (section 6.1).
#[derive(Debug)]
pub(super) struct AuthData<'a> {
    pub(super) rp_id_hash: [u8; 32],
    flags: u8,
    pub(super) count: u32,
    pub(super) credential: Option<Credential<'a>>,
}

/// A credential that was made (section 6.5.1).
#[derive(Debug)]
pub(super) struct Credential<'a> {
    pub(super) id: &'a [u8],
    /// Its COSE key, as it was written.
    pub(super) key: &'a [u8],
}

impl<'a> AuthData<'a> {
    /// Reads it to its end.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Refused> {
        let short = || Refused::Unreadable("the authenticator's data is cut short or damaged");
        if bytes.len() > LONGEST_DATA {
            return Err(short());
        }
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>().ok_or_else(short)?;
        let (flags, rest) = rest.split_first().ok_or_else(short)?;
        let (count, mut rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let mut credential = None;
        if flags & 0x40 != 0 {
            let (_aaguid, after) = rest.split_first_chunk::<16>().ok_or_else(short)?;
            let (length, after) = after.split_first_chunk::<2>().ok_or_else(short)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (id, after) = after.split_at_checked(length).ok_or_else(short)?;
            let (_, end) = cbor::first(after).ok_or_else(short)?;
            let key = after.get(..after.len().saturating_sub(end.len())).ok_or_else(short)?;
            credential = Some(Credential { id, key });
            rest = end;
        }
        if flags & 0x80 != 0 {
            (_, rest) = cbor::first(rest).ok_or_else(short)?;
        }
        if !rest.is_empty() {
            return Err(Refused::Unreadable("something follows the authenticator's data"));
        }
        let data =
            Self { rp_id_hash: *rp_id_hash, flags: *flags, count: u32::from_be_bytes(*count), credential };
        // Section 6.1.3: what may not be copied is not copied.
        if data.copied() && !data.copyable() {
            return Err(Refused::Unreadable("the passkey says that it is copied and may not be"));
        }
        Ok(data)
    }

    /// Somebody touched it.
    pub(super) fn present(&self) -> bool {
        self.flags & 0x01 != 0
    }

    /// It knows who: by finger, face or number.
    pub(super) fn verified(&self) -> bool {
        self.flags & 0x04 != 0
    }

    /// It may be copied to other devices.
    pub(super) fn copyable(&self) -> bool {
        self.flags & 0x08 != 0
    }

    /// It is.
    pub(super) fn copied(&self) -> bool {
        self.flags & 0x10 != 0
    }
}
