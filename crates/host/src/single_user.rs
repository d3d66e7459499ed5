//! The one account of a single-user host: given by settings, there from the first start.

use p2pds_crypto::{Curve, PrivateKey, Signer as _};
use p2pds_syntax::{Did, Handle};
use zeroize::Zeroizing;

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
