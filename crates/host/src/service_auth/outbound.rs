//! Tokens that an account gives out.

use p2pds_crypto::jwt;
use p2pds_syntax::{Did, ErrorKind};
use serde_json::Map;

use super::{LONGEST, SHORTEST};
use crate::error::{HostError, HostResult};
use crate::host::Host;

/// Longest audience.
const MOST_AUDIENCE: usize = 2_048;

/// Checks that an audience is a DID, or a DID and the name of a service in its document.
///
/// # Errors
/// It is not.
pub fn check_audience(audience: &str) -> HostResult<()> {
    let (did, service) = audience.split_once('#').map_or((audience, None), |(did, part)| (did, Some(part)));
    let fragment = |part: &str| {
        !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._~".contains(&c))
    };
    let atproto = ["did:plc:", "did:web:"].iter().any(|method| did.starts_with(method));
    if audience.len() <= MOST_AUDIENCE && atproto && Did::parse(did).is_ok() && service.is_none_or(fragment) {
        return Ok(());
    }
    Err(HostError::invalid("aud must be a valid atproto DID or did#serviceId reference"))
}

impl Host {
    /// A token by which the account lets its bearer call `lxm` (or, for a minute, anything) at `audience`.
    ///
    /// `expires` is in seconds since 1970; a minute from now without it.
    ///
    /// # Errors
    /// `BadExpiration`; no such account here; its key cannot be read.
    pub async fn service_token(
        &self,
        did: &Did,
        audience: &str,
        lxm: Option<&str>,
        expires: Option<u64>,
    ) -> HostResult<String> {
        let now = self.seconds();
        let end = end(now, lxm, expires)?;
        let gone = || HostError::new(ErrorKind::Denied, "AccountNotFound", "Account not found");
        let login = self.store().login(did).await?.ok_or_else(gone)?;
        let trouble = |error: &dyn std::fmt::Display| {
            tracing::error!(event = "host.key", %did, %error, "a signing key cannot be used");
            HostError::new(
                ErrorKind::Bug,
                "InternalServerError",
                "this could not be signed now; the operator's log says why",
            )
        };
        let signer = self.keys().unwrap(&login.signing_key, did).map_err(|error| trouble(&error))?;
        let mut id = [0_u8; 16];
        getrandom::fill(&mut id).map_err(|error| trouble(&error))?;
        let mut claims = Map::new();
        claims.insert("iat".to_owned(), now.into());
        claims.insert("iss".to_owned(), did.as_str().into());
        claims.insert("aud".to_owned(), audience.into());
        claims.insert("exp".to_owned(), end.into());
        if let Some(lxm) = lxm {
            claims.insert("lxm".to_owned(), lxm.into());
        }
        claims.insert("jti".to_owned(), data_encoding::HEXLOWER.encode(&id).into());
        jwt::sign(signer.as_ref(), "JWT", None, &claims).map_err(|error| trouble(&error))
    }
}

fn end(now: u64, lxm: Option<&str>, expires: Option<u64>) -> HostResult<u64> {
    let bad = |message: &str| HostError::named("BadExpiration", message);
    let Some(end) = expires else { return Ok(now.saturating_add(SHORTEST)) };
    if end < now {
        return Err(bad("expiration is in past"));
    }
    if end > now.saturating_add(LONGEST) {
        return Err(bad("cannot request a token with an expiration more than an hour in the future"));
    }
    if lxm.is_none() && end > now.saturating_add(SHORTEST) {
        return Err(bad(
            "cannot request a method-less token with an expiration more than a minute in the future",
        ));
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        let (now, lxm) = (1_000_000, Some("com.example.method"));
        assert_eq!(end(now, None, None), Ok(now + 60));
        for (lxm, expires, ok) in [
            (lxm, now - 1, false),
            (lxm, now, true),
            (lxm, now + 3_600, true),
            (lxm, now + 3_601, false),
            (None, now + 60, true),
            (None, now + 61, false),
            (lxm, u64::MAX, false),
        ] {
            let got = end(now, lxm, Some(expires));
            assert_eq!(got.is_ok(), ok, "{lxm:?} {expires}");
            assert!(got.is_ok_and(|end| end == expires) == ok);
        }
    }

    #[test]
    fn audiences() {
        for good in [
            "did:web:api.example.com",
            "did:web:api.example.com#bsky_appview",
            "did:plc:ewvi7nxzyoun6zhxrhs64oiz#x",
        ] {
            assert!(check_audience(good).is_ok(), "{good}");
        }
        let long = format!("did:web:example.com#{}", "a".repeat(2_048));
        for bad in [
            "",
            "#x",
            "did:web:a.example#",
            "did:web:a.example#b#c",
            "did:web:a.example#b c",
            "did:key:z6Mk",
            "a.example",
            &long,
        ] {
            assert!(check_audience(bad).is_err(), "{bad}");
        }
    }
}
