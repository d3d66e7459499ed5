//! Which server signs an account in, and whether it keeps the rules of AT Protocol.
//!
//! An account's host names its authorization server (RFC 9728), which describes itself (RFC 8414). Neither may redirect,
//! both must be JSON, and each must name itself exactly as it was asked.
//!
//! Spec: <https://atproto.com/specs/oauth#server-metadata>.

use p2pds_net::{Client, GetOptions, NetError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::error::{SignInError, plain};

/// Most bytes of such a document.
const MAX_DOCUMENT: u64 = 64 * 1024;

/// What is needed of a server's description of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) issuer: String,
    pub(crate) authorize: String,
    pub(crate) token: String,
    pub(crate) par: String,
    pub(crate) revoke: Option<String>,
}

#[derive(Deserialize)]
struct Resource {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
}

#[derive(Deserialize)]
struct Described {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    pushed_authorization_request_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    #[serde(default)]
    response_types_supported: Vec<String>,
    #[serde(default)]
    grant_types_supported: Vec<String>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
    #[serde(default)]
    dpop_signing_alg_values_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    require_pushed_authorization_requests: bool,
    #[serde(default)]
    client_id_metadata_document_supported: bool,
    protected_resources: Option<Vec<String>>,
}

/// An address without path, query and the rest, in its one form: `https://pds.example`.
pub(crate) fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "https" | "http")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    plain.then(|| url.origin().ascii_serialization())
}

/// The server that signs in the accounts of a host.
pub(crate) async fn of_host(net: &Client, host: &str) -> Result<Server, SignInError> {
    let issuer = issuer_of(net, host).await?;
    let server = described(net, &issuer, Some(host)).await?;
    Ok(server.0)
}

/// The server at an address that somebody typed: of a host, or the server itself.
pub(crate) async fn at_address(net: &Client, address: &str) -> Result<Server, SignInError> {
    match of_host(net, address).await {
        Err(SignInError::NoOAuth { .. }) => Ok(described(net, address, None).await?.0),
        found => found,
    }
}

/// Who signs in the accounts of a host.
pub(crate) async fn issuer_of(net: &Client, host: &str) -> Result<String, SignInError> {
    let resource: Resource = document(net, host, "/.well-known/oauth-protected-resource").await?;
    let broken = |what: &str| SignInError::Server { server: host.to_owned(), what: what.to_owned() };
    if origin(&resource.resource).as_deref() != Some(host) {
        return Err(broken("its resource description is of another address"));
    }
    let [issuer] = resource.authorization_servers.as_slice() else {
        return Err(broken("it must name exactly one authorization server"));
    };
    // The name of a server is compared as text from here on, so it must be in its one form.
    if origin(issuer).as_ref() != Some(issuer) {
        return Err(broken("the name of its authorization server is no plain address"));
    }
    Ok(issuer.clone())
}

async fn described(
    net: &Client,
    issuer: &str,
    host: Option<&str>,
) -> Result<(Server, Option<Vec<String>>), SignInError> {
    let found: Described = document(net, issuer, "/.well-known/oauth-authorization-server").await?;
    let server = check(issuer, host, &found, net.config().allow_loopback)
        .map_err(|what| SignInError::Server { server: issuer.to_owned(), what })?;
    Ok((server, found.protected_resources))
}

/// What a server has to offer, and what it may not leave to chance.
fn check(issuer: &str, host: Option<&str>, found: &Described, dev: bool) -> Result<Server, String> {
    if found.issuer != issuer {
        return Err(format!("it calls itself {:?}", plain(&found.issuer, 100)));
    }
    let lists = [
        ("response_types_supported", &found.response_types_supported, "code"),
        ("grant_types_supported", &found.grant_types_supported, "authorization_code"),
        ("grant_types_supported", &found.grant_types_supported, "refresh_token"),
        ("code_challenge_methods_supported", &found.code_challenge_methods_supported, "S256"),
        ("token_endpoint_auth_methods_supported", &found.token_endpoint_auth_methods_supported, "none"),
        ("scopes_supported", &found.scopes_supported, "atproto"),
        ("dpop_signing_alg_values_supported", &found.dpop_signing_alg_values_supported, "ES256"),
    ];
    for (name, list, needed) in lists {
        if !list.iter().any(|entry| entry == needed) {
            return Err(format!("its {name} has no {needed:?}"));
        }
    }
    let flags = [
        (
            "authorization_response_iss_parameter_supported",
            found.authorization_response_iss_parameter_supported,
        ),
        ("require_pushed_authorization_requests", found.require_pushed_authorization_requests),
        ("client_id_metadata_document_supported", found.client_id_metadata_document_supported),
    ];
    if let Some((name, _)) = flags.into_iter().find(|(_, set)| !set) {
        return Err(format!("its {name} is not true"));
    }
    if let (Some(host), Some(resources)) = (host, &found.protected_resources)
        && !resources.iter().any(|resource| origin(resource).as_deref() == Some(host))
    {
        return Err(format!("it does not speak for {host}"));
    }
    let par = found
        .pushed_authorization_request_endpoint
        .as_deref()
        .ok_or("it has no pushed_authorization_request_endpoint")?;
    let endpoint = |name: &str, text: &str| {
        let url = Url::parse(text).map_err(|_| format!("its {name} is no address"))?;
        let local = dev
            && url.host().is_some_and(|host| match host {
                url::Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
                url::Host::Ipv4(ip) => ip.is_loopback(),
                url::Host::Ipv6(ip) => ip.is_loopback(),
            });
        let safe = url.scheme() == "https" || (url.scheme() == "http" && local);
        let plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
        if safe && plain { Ok(text.to_owned()) } else { Err(format!("its {name} is no https address")) }
    };
    Ok(Server {
        issuer: issuer.to_owned(),
        authorize: endpoint("authorization_endpoint", &found.authorization_endpoint)?,
        token: endpoint("token_endpoint", &found.token_endpoint)?,
        par: endpoint("pushed_authorization_request_endpoint", par)?,
        revoke: match &found.revocation_endpoint {
            Some(text) => Some(endpoint("revocation_endpoint", text)?),
            None => None,
        },
    })
}

async fn document<T: DeserializeOwned>(net: &Client, at: &str, path: &str) -> Result<T, SignInError> {
    let options = GetOptions { retries: 1, ..GetOptions::json(MAX_DOCUMENT).no_redirects() };
    let doing = "asking how to sign in";
    let answer = net
        .get(&format!("{at}{path}"), &options)
        .await
        .map_err(|source| SignInError::Net { doing, source })?;
    let broken = |what: String| SignInError::Server { server: at.to_owned(), what };
    match answer.status().as_u16() {
        200 => {}
        404 => return Err(SignInError::NoOAuth { host: at.to_owned() }),
        status @ 300..400 => return Err(broken(format!("{path} is redirected ({status})"))),
        status @ 500.. => {
            let source = NetError::Status { host: at.to_owned(), status };
            return Err(SignInError::Net { doing, source });
        }
        status => return Err(broken(format!("{path} is answered with status {status}"))),
    }
    let kind = answer.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind != "application/json" {
        return Err(broken(format!("{path} is not application/json")));
    }
    answer.json(MAX_DOCUMENT).await.map_err(|error| match error {
        NetError::Json { detail, .. } => broken(format!("{path}: {detail}")),
        source => SignInError::Net { doing, source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ISSUER: &str = "https://pds.example";

    fn honest() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://pds.example/oauth/authorize",
            "token_endpoint": "https://pds.example/oauth/token",
            "pushed_authorization_request_endpoint": "https://pds.example/oauth/par",
            "revocation_endpoint": "https://pds.example/oauth/revoke",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
            "scopes_supported": ["atproto"],
            "dpop_signing_alg_values_supported": ["ES256"],
            "authorization_response_iss_parameter_supported": true,
            "require_pushed_authorization_requests": true,
            "client_id_metadata_document_supported": true,
            "protected_resources": ["https://pds.example"],
        })
    }

    fn judged(document: Value) -> Result<Server, String> {
        check(ISSUER, Some(ISSUER), &serde_json::from_value(document).unwrap(), false)
    }

    #[test]
    fn servers_that_keep_the_rules_and_those_that_do_not() {
        assert_eq!(judged(honest()).unwrap().par, "https://pds.example/oauth/par");
        let changes: [(&str, Value); 16] = [
            ("issuer", json!("https://pds.example/")),
            ("issuer", json!("https://evil.example")),
            ("response_types_supported", json!(["token"])),
            ("grant_types_supported", json!(["authorization_code"])),
            ("code_challenge_methods_supported", json!(["plain"])),
            ("token_endpoint_auth_methods_supported", json!(["client_secret_basic"])),
            ("scopes_supported", json!([])),
            ("dpop_signing_alg_values_supported", json!(["RS256"])),
            ("authorization_response_iss_parameter_supported", json!(false)),
            ("require_pushed_authorization_requests", json!(false)),
            ("client_id_metadata_document_supported", json!(false)),
            ("protected_resources", json!(["https://other.example"])),
            ("token_endpoint", json!("http://pds.example/oauth/token")),
            ("authorization_endpoint", json!("javascript:alert(1)")),
            ("authorization_endpoint", json!("http://127.0.0.1/oauth/authorize")),
            ("pushed_authorization_request_endpoint", json!(null)),
        ];
        for (name, value) in changes {
            let mut document = honest();
            document[name] = value.clone();
            assert!(judged(document).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn one_form_of_an_address() {
        for text in ["https://pds.example", "https://pds.example/", "https://PDS.example:443/"] {
            assert_eq!(origin(text).as_deref(), Some("https://pds.example"), "{text}");
        }
        for text in [
            "pds.example",
            "https://pds.example/x",
            "https://u@pds.example",
            "ftp://pds.example",
            "https://a/?b",
        ] {
            assert_eq!(origin(text), None, "{text}");
        }
    }
}
