//! Where a request that this host does not answer itself goes: what the caller names, or the default for the method.

use axum::http::HeaderMap;
use p2pds_syntax::Did;

use super::ProxyConfig;
use crate::error::XrpcError;

/// A service that requests are passed on to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its DID.
    pub did: Did,
    /// Its origin.
    pub url: String,
}

/// A service as a caller names it: `did:web:api.example.com#bsky_appview`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The service's DID.
    pub did: Did,
    /// The entry of its DID document, without the `#`.
    pub service: String,
}

impl Named {
    /// Reads the header `atproto-proxy`.
    ///
    /// # Errors
    /// `InvalidRequest`, with what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, XrpcError> {
        let wrong = |what: &str| XrpcError::invalid(format!("the header atproto-proxy {what}"));
        if text.contains(' ') {
            return Err(wrong("cannot contain spaces"));
        }
        let Some((did, service)) = text.split_once('#') else {
            return Err(wrong("names no service: write did:web:api.example.com#service_id"));
        };
        match (did, service) {
            ("", _) => Err(wrong("names no DID before the #")),
            (_, "") => Err(wrong("names no service after the #")),
            (_, service) if service.contains('#') => Err(wrong("has more than one #")),
            (did, service) => {
                let did = Did::parse(did).map_err(|_| wrong("does not begin with a valid DID"))?;
                Ok(Self { did, service: service.to_owned() })
            }
        }
    }
}

/// Which service a caller wants.
pub(crate) const PROXY: &str = "atproto-proxy";

/// The service that a call is for, as scopes name it: `did:web:api.example.com#bsky_appview`. Where the caller names none
/// and none is set here, `*`, so that nothing less than any service covers it.
///
/// # Errors
/// `InvalidRequest`: the caller's name for it is no text.
pub(crate) fn audience(config: &ProxyConfig, headers: &HeaderMap, nsid: &str) -> Result<String, XrpcError> {
    match headers.get(PROXY) {
        Some(named) => named
            .to_str()
            .map(str::to_owned)
            .map_err(|_| XrpcError::invalid(format!("the header {PROXY} is not plain text"))),
        None => Ok(config
            .default_for(nsid)
            .map_or_else(|| "*".to_owned(), |(service, entry)| format!("{}#{entry}", service.did))),
    }
}

/// What a method is for when the caller names no service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// The AppView.
    AppView,
    /// The moderation service.
    Moderation,
    /// The service that takes reports.
    Reports,
}

impl Default {
    /// For a method, whose name is compared without regard to case.
    #[must_use]
    pub fn of(nsid: &str) -> Self {
        let nsid = nsid.to_ascii_lowercase();
        if nsid.starts_with("tools.ozone.") {
            Self::Moderation
        } else if nsid == "com.atproto.moderation.createreport" {
            Self::Reports
        } else {
            Self::AppView
        }
    }

    /// The entry of the service's DID document.
    #[must_use]
    pub fn service(self) -> &'static str {
        match self {
            Self::AppView => "bsky_appview",
            Self::Moderation | Self::Reports => "atproto_labeler",
        }
    }
}

/// Methods about the account itself: never passed on, and no token is given out for them.
const PROTECTED: [&str; 16] = [
    "com.atproto.admin.sendEmail",
    "com.atproto.identity.requestPlcOperationSignature",
    "com.atproto.identity.signPlcOperation",
    "com.atproto.identity.updateHandle",
    "com.atproto.server.activateAccount",
    "com.atproto.server.confirmEmail",
    "com.atproto.server.createAppPassword",
    "com.atproto.server.deactivateAccount",
    "com.atproto.server.getAccountInviteCodes",
    "com.atproto.server.getSession",
    "com.atproto.server.listAppPasswords",
    "com.atproto.server.requestAccountDelete",
    "com.atproto.server.requestEmailConfirmation",
    "com.atproto.server.requestEmailUpdate",
    "com.atproto.server.revokeAppPassword",
    "com.atproto.server.updateEmail",
];

/// Whether a method is never passed on.
#[must_use]
pub fn protected(nsid: &str) -> bool {
    PROTECTED.iter().any(|known| known.eq_ignore_ascii_case(nsid))
}

/// Whether an app password needs the privilege for it: direct messages, and making accounts elsewhere.
#[must_use]
pub fn privileged(nsid: &str) -> bool {
    let nsid = nsid.to_ascii_lowercase();
    nsid.starts_with("chat.bsky.") || nsid == "com.atproto.server.createaccount"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_services() {
        let named = Named::parse("did:web:api.example.com#bsky_appview").unwrap();
        assert_eq!((named.did.as_str(), named.service.as_str()), ("did:web:api.example.com", "bsky_appview"));
        for wrong in [
            "",
            "#",
            "#bsky_appview",
            "did:web:api.example.com",
            "did:web:api.example.com#",
            "did:web:a#b#c",
            "did:web:a b#c",
            "did:web:a.example#b c",
            "api.example.com#bsky_appview",
            "DID:web:x#y",
        ] {
            let error = Named::parse(wrong).unwrap_err();
            assert_eq!((error.status.as_u16(), error.name), (400, "InvalidRequest"), "{wrong}");
        }
    }

    #[test]
    fn names_of_methods_have_no_case() {
        assert!(
            protected("com.atproto.SERVER.createapppassword")
                && !protected("com.atproto.server.createAccount")
        );
        assert!(privileged("Chat.bsky.convo.sendMessage") && privileged("com.atproto.server.createAccount"));
        assert!(!privileged("app.bsky.feed.getTimeline"));
        assert_eq!(Default::of("tools.Ozone.team.listMembers"), Default::Moderation);
        assert_eq!(Default::of("com.atproto.moderation.createReport"), Default::Reports);
        assert_eq!(Default::of("app.bsky.feed.getTimeline").service(), "bsky_appview");
    }
}
