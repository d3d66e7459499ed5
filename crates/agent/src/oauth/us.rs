//! Who this node is to authorization servers: a public client, on loopback without a document, elsewhere with one.
//!
//! Spec: <https://atproto.com/specs/oauth#clients>.

use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::SignInError;

/// Where the document about this client is served.
pub const METADATA_PATH: &str = "/oauth-client-metadata.json";
/// Where servers send people back to.
pub const CALLBACK_PATH: &str = "/oauth/callback";

/// What a session may be wanted for. Each asks for as little as does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Nothing but to know who it is.
    SignIn,
    /// Publishing what this node offers to keep, and consents.
    Publish,
    /// Putting a record back.
    Restore {
        /// Its collection.
        collection: String,
        /// Whether pictures and the like go with it.
        blobs: bool,
    },
    /// Changing the identity: rotation keys.
    Identity,
}

/// The collections that publishing writes to.
pub const PUBLISHED: [&str; 5] = [
    "org.p2pds.replication.offer",
    "org.p2pds.replication.consent",
    "org.p2pds.manifest",
    "org.p2pds.policy",
    "org.p2pds.policy.ack",
];

impl Need {
    /// The scopes that it takes, `atproto` first.
    #[must_use]
    pub fn scopes(&self) -> Vec<String> {
        let mut scopes = vec!["atproto".to_owned()];
        match self {
            Self::SignIn => {}
            Self::Publish => scopes.extend(PUBLISHED.map(|collection| format!("repo:{collection}"))),
            Self::Restore { collection, blobs } => {
                scopes.push(format!("repo:{collection}"));
                if *blobs {
                    scopes.push("blob:*/*".to_owned());
                }
            }
            Self::Identity => scopes.push("identity:*".to_owned()),
        }
        scopes
    }
}

/// This node as a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Us {
    /// Its public address, `https://node.example`, if it has one.
    origin: Option<String>,
    /// The port that it listens on, for words.
    port: u16,
}

impl Us {
    /// What the settings say: a public address counts if it is https with a name.
    #[must_use]
    pub fn of(public_url: Option<&str>, port: u16) -> Self {
        let named = |url: &str| {
            let url = url::Url::parse(url).ok()?;
            let name = matches!(url.host()?, url::Host::Domain(name) if name.contains('.'));
            (url.scheme() == "https" && name).then(|| url.origin().ascii_serialization())
        };
        Self { origin: public_url.and_then(named), port }
    }

    /// Where people come back to: the same way as they came. `local` is the port on this machine that their browser
    /// asks (which need not be the node's own behind `ssh -L`), `None` when it asks elsewhere.
    pub(crate) fn callback(&self, local: Option<u16>) -> Result<String, SignInError> {
        match (local, &self.origin) {
            // Not `localhost`, which may be another machine's name (RFC 8252, 8.3).
            (Some(port), _) => Ok(format!("http://127.0.0.1:{port}{CALLBACK_PATH}")),
            (None, Some(origin)) => Ok(format!("{origin}{CALLBACK_PATH}")),
            (None, None) => Err(SignInError::NoAddress { port: self.port }),
        }
    }

    /// The name under which it asks for these scopes.
    pub(crate) fn client_id(&self, local: Option<u16>, scope: &str) -> Result<String, SignInError> {
        let callback = self.callback(local)?;
        Ok(match (local, &self.origin) {
            (None, Some(origin)) => format!("{origin}{METADATA_PATH}"),
            _ => {
                let query = Serializer::new(String::new())
                    .append_pair("redirect_uri", &callback)
                    .append_pair("scope", scope)
                    .finish();
                format!("http://localhost?{query}")
            }
        })
    }

    /// The document that servers fetch; `None` where there is none. A server lets a client ask for what its document
    /// names, word by word: so `collections` are all that a record could be put back into.
    #[must_use]
    pub fn metadata(&self, collections: &[String]) -> Option<Value> {
        let origin = self.origin.as_deref()?;
        let mut scopes = vec!["atproto".to_owned()];
        let needs = [Need::Publish, Need::Identity].into_iter();
        let restores = collections
            .iter()
            .map(|collection| Need::Restore { collection: collection.clone(), blobs: true });
        for scope in needs.chain(restores).flat_map(|need| need.scopes()) {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        Some(json!({
            "client_id": format!("{origin}{METADATA_PATH}"),
            "client_name": "p2pds",
            "client_uri": origin,
            "application_type": "web",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "redirect_uris": [format!("{origin}{CALLBACK_PATH}")],
            "scope": scopes.join(" "),
            "token_endpoint_auth_method": "none",
            "dpop_bound_access_tokens": true,
        }))
    }
}

/// The scopes of two lists, each once, in order.
pub(crate) fn merged(granted: &str, wanted: &[String]) -> String {
    let mut all: Vec<&str> = Vec::new();
    for scope in wanted.iter().map(String::as_str).chain(granted.split_ascii_whitespace()) {
        if !all.contains(&scope) {
            all.push(scope);
        }
    }
    all.join(" ")
}

/// Whether everything that is wanted was granted, word by word.
pub(crate) fn covers(granted: &str, wanted: &str) -> bool {
    wanted.split_ascii_whitespace().all(|scope| granted.split_ascii_whitespace().any(|have| have == scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_we_are() {
        let public = Us::of(Some("https://node.example/"), 3000);
        let id = public.client_id(None, "atproto").unwrap();
        assert_eq!(id, "https://node.example/oauth-client-metadata.json");
        assert_eq!(public.metadata(&[]).unwrap()["client_id"], id);
        assert_eq!(public.callback(None).unwrap(), "https://node.example/oauth/callback");
        for no_name in
            [None, Some("http://node.example"), Some("https://192.0.2.1"), Some("https://localhost")]
        {
            let error = Us::of(no_name, 3000).callback(None).unwrap_err();
            assert!(error.to_string().contains("ssh -L 3000"), "{no_name:?}");
        }
        // Through a tunnel: back into the same browser.
        for us in [public, Us::of(None, 3000)] {
            assert_eq!(us.callback(Some(8080)).unwrap(), "http://127.0.0.1:8080/oauth/callback");
            assert_eq!(
                us.client_id(Some(3000), "atproto repo:a.b.c").unwrap(),
                "http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%3A3000%2Foauth%2Fcallback&scope=atproto+repo%3Aa.b.c"
            );
        }
    }

    #[test]
    fn every_scope_that_is_asked_for_stands_in_the_document() {
        let public = Us::of(Some("https://node.example"), 3000);
        let document = public.metadata(&["app.bsky.feed.post".to_owned()]).unwrap();
        let declared = document["scope"].as_str().unwrap();
        let restore = Need::Restore { collection: "app.bsky.feed.post".into(), blobs: true };
        for need in [Need::SignIn, Need::Publish, Need::Identity, restore] {
            assert!(covers(declared, &need.scopes().join(" ")), "{need:?}: {declared}");
        }
        assert!(declared.starts_with("atproto "));
        assert!(!declared.contains("transition:") && !declared.contains("repo:*"));
        assert_eq!(Us::of(None, 1).metadata(&[]), None);
    }

    #[test]
    fn further_consent_keeps_what_was_granted() {
        let wanted = Need::Identity.scopes();
        let both = merged("atproto repo:a.b.c", &wanted);
        assert_eq!(both, "atproto identity:* repo:a.b.c");
        assert!(covers(&both, "repo:a.b.c atproto") && !covers(&both, "repo:a.b"));
    }
}
