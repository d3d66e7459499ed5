//! What a client's document says, and whether it may.

use serde_json::{Map, Value};
use url::Url;

use super::redirect::{self, Kind};
use super::{Client, keys};
use crate::error::OAuthError;
use crate::scope::ATPROTO;

/// Most addresses to send people back to.
const MOST_REDIRECTS: usize = 32;
/// Longest name that is shown.
const LONGEST_NAME: usize = 64;

/// What is still to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    /// The client, without the keys that stand elsewhere.
    pub(super) client: Client,
    /// Where they stand.
    pub(super) jwks_uri: Option<String>,
}

fn wrong(field: &'static str, why: &'static str) -> OAuthError {
    OAuthError::ClientMetadata { field, why }
}

fn text<'m>(map: &'m Map<String, Value>, field: &'static str) -> Result<Option<&'m str>, OAuthError> {
    match map.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(field, "must be a text")),
    }
}

fn texts<'m>(map: &'m Map<String, Value>, field: &'static str) -> Result<Option<Vec<&'m str>>, OAuthError> {
    let Some(value) = map.get(field) else { return Ok(None) };
    let listed = value.as_array().ok_or(wrong(field, "must be a list of texts"))?;
    let mut found: Vec<&str> = Vec::new();
    for value in listed {
        let text = value.as_str().ok_or(wrong(field, "must be a list of texts"))?;
        if found.contains(&text) {
            return Err(wrong(field, "has something twice"));
        }
        found.push(text);
    }
    Ok(Some(found))
}

/// Features of OpenID Connect and others that would change what an answer is.
const REFUSED: [&str; 6] = [
    "default_max_age",
    "userinfo_signed_response_alg",
    "id_token_signed_response_alg",
    "userinfo_encrypted_response_alg",
    "authorization_encrypted_response_alg",
    "authorization_encrypted_response_enc",
];

/// Reads the document of `id`, which is an address.
pub(super) fn read(map: &Map<String, Value>, id: &Url) -> Result<Read, OAuthError> {
    if text(map, "client_id")? != Some(id.as_str()) {
        return Err(wrong("client_id", "must be the address of the document"));
    }
    if let Some(field) = REFUSED.into_iter().find(|field| map.contains_key(*field)) {
        return Err(wrong(field, "is not known here"));
    }
    if map.get("tls_client_certificate_bound_access_tokens") == Some(&Value::Bool(true)) {
        return Err(wrong("tls_client_certificate_bound_access_tokens", "is not known here"));
    }
    if text(map, "subject_type")?.is_some_and(|kind| kind != "public") {
        return Err(wrong("subject_type", "must be public"));
    }
    if map.get("dpop_bound_access_tokens") != Some(&Value::Bool(true)) {
        return Err(wrong("dpop_bound_access_tokens", "must be true"));
    }
    let native = match text(map, "application_type")? {
        None | Some("web") => false,
        Some("native") => true,
        Some(_) => return Err(wrong("application_type", "must be web or native")),
    };
    let scope = scope(map)?;
    let refreshes = grants(map)?;
    let redirect_uris = redirects(map, native, id)?;
    let confidential = authentication(map, native)?;
    let (keys, jwks_uri) = published(map, confidential)?;
    let client = Client {
        id: id.as_str().to_owned(),
        host: host(id),
        name: text(map, "client_name")?.and_then(shown),
        uri: page_of(map, id)?,
        logo_uri: link(map, "logo_uri")?,
        tos_uri: link(map, "tos_uri")?,
        policy_uri: link(map, "policy_uri")?,
        scope,
        redirect_uris,
        native,
        refreshes,
        confidential,
        request_object_alg: text(map, "request_object_signing_alg")?.map(str::to_owned),
        keys,
    };
    Ok(Read { client, jwks_uri })
}

/// The host that speaks for it, with its port if that is no usual one.
fn host(id: &Url) -> String {
    let host = id.host_str().unwrap_or_default();
    id.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// A client that is its own document.
pub(super) fn localhost(id: &str, redirect_uris: Vec<String>, scope: String) -> Client {
    Client {
        id: id.to_owned(),
        host: String::new(),
        name: None,
        uri: None,
        logo_uri: None,
        tos_uri: None,
        policy_uri: None,
        scope,
        redirect_uris,
        native: true,
        refreshes: true,
        confidential: false,
        request_object_alg: None,
        keys: Vec::new(),
    }
}

fn scope(map: &Map<String, Value>) -> Result<String, OAuthError> {
    let scope = text(map, "scope")?.ok_or(wrong("scope", "is missing"))?;
    let mut seen: Vec<&str> = Vec::new();
    for word in scope.split(' ') {
        if word.is_empty() || seen.contains(&word) {
            return Err(wrong("scope", "has two spaces, or something twice"));
        }
        seen.push(word);
    }
    if !seen.contains(&ATPROTO) {
        return Err(wrong("scope", "must have atproto in it"));
    }
    Ok(scope.to_owned())
}

/// Whether it wants refresh tokens.
fn grants(map: &Map<String, Value>) -> Result<bool, OAuthError> {
    let responses = texts(map, "response_types")?.unwrap_or_else(|| vec!["code"]);
    if !responses.contains(&"code") {
        return Err(wrong("response_types", "must have code in it"));
    }
    let grants = texts(map, "grant_types")?.unwrap_or_else(|| vec!["authorization_code"]);
    if !grants.contains(&"authorization_code") {
        return Err(wrong("grant_types", "must have authorization_code in it"));
    }
    if grants.iter().any(|grant| !matches!(*grant, "authorization_code" | "refresh_token")) {
        return Err(wrong("grant_types", "has something else than authorization_code and refresh_token"));
    }
    Ok(grants.contains(&"refresh_token"))
}

fn redirects(map: &Map<String, Value>, native: bool, id: &Url) -> Result<Vec<String>, OAuthError> {
    const FIELD: &str = "redirect_uris";
    let listed = texts(map, FIELD)?.filter(|listed| !listed.is_empty()).ok_or(wrong(FIELD, "is missing"))?;
    if listed.len() > MOST_REDIRECTS {
        return Err(wrong(FIELD, "has more than 32"));
    }
    let reversed: Vec<&str> = id.host_str().unwrap_or_default().rsplit('.').collect();
    let scheme = format!("{}:/", reversed.join("."));
    for uri in &listed {
        match redirect::kind(uri) {
            Some(Kind::Https) => {}
            Some(Kind::Loopback | Kind::Private) if !native => {
                return Err(wrong(FIELD, "may have this machine and apps only for application_type native"));
            }
            Some(Kind::Loopback) => {}
            Some(Kind::Private) if uri.starts_with(&scheme) => {}
            Some(Kind::Private) => {
                return Err(wrong(FIELD, "may have only the host of the client_id in reverse as a scheme"));
            }
            None => return Err(wrong(FIELD, "has something that nobody may be sent to")),
        }
    }
    Ok(listed.into_iter().map(str::to_owned).collect())
}

/// Whether it proves itself with keys.
fn authentication(map: &Map<String, Value>, native: bool) -> Result<bool, OAuthError> {
    let alg = text(map, "token_endpoint_auth_signing_alg")?;
    match text(map, "token_endpoint_auth_method")? {
        Some("none") if alg.is_some() => {
            Err(wrong("token_endpoint_auth_signing_alg", "does not go together with the method none"))
        }
        Some("none") => Ok(false),
        // RFC 8252 8.4: what is on people's own machines can keep no secret.
        Some("private_key_jwt") if native => {
            Err(wrong("token_endpoint_auth_method", "must be none for application_type native"))
        }
        Some("private_key_jwt") if !matches!(alg, Some("ES256" | "ES256K")) => {
            Err(wrong("token_endpoint_auth_signing_alg", "must be ES256 or ES256K"))
        }
        Some("private_key_jwt") => Ok(true),
        _ => Err(wrong("token_endpoint_auth_method", "must be none or private_key_jwt")),
    }
}

type Published = (Vec<p2pds_crypto::jwk::Jwk>, Option<String>);

fn published(map: &Map<String, Value>, confidential: bool) -> Result<Published, OAuthError> {
    match (map.get("jwks"), text(map, "jwks_uri")?) {
        (Some(_), Some(_)) => Err(wrong("jwks_uri", "does not go together with jwks")),
        (None, None) if confidential => Err(wrong("jwks", "is missing, and so is jwks_uri")),
        (Some(set), None) => Ok((keys::read(set)?, None)),
        (None, Some(uri)) => {
            let https = Url::parse(uri).is_ok_and(|url| url.scheme() == "https" || url.scheme() == "http");
            if https {
                Ok((Vec::new(), Some(uri.to_owned())))
            } else {
                Err(wrong("jwks_uri", "is no address"))
            }
        }
        (None, None) => Ok((Vec::new(), None)),
    }
}

/// A link that is only shown.
fn link(map: &Map<String, Value>, field: &'static str) -> Result<Option<String>, OAuthError> {
    let Some(uri) = text(map, field)? else { return Ok(None) };
    match Url::parse(uri) {
        Ok(url) if url.scheme() == "https" && url.username().is_empty() && url.password().is_none() => {
            Ok(Some(url.into()))
        }
        Ok(url) if url.scheme() == "http" => Ok(None),
        _ => Err(wrong(field, "is no address of a page")),
    }
}

/// The page of a client must be above its document, so that nobody shows another's.
fn page_of(map: &Map<String, Value>, id: &Url) -> Result<Option<String>, OAuthError> {
    let Some(uri) = text(map, "client_uri")? else { return Ok(None) };
    let url = Url::parse(uri).map_err(|_| wrong("client_uri", "is no address of a page"))?;
    let above = url.path().strip_suffix('/').unwrap_or(url.path());
    let rest = id.path().strip_prefix(above);
    if url.origin() != id.origin() || !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return Err(wrong("client_uri", "must be above the client_id, on the same host"));
    }
    Ok(Some(url.into()))
}

/// A name as it may be shown: without control characters and those that turn the direction of what follows.
fn shown(name: &str) -> Option<String> {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
    };
    let name: String = name.chars().filter(|c| !hidden(*c)).take(LONGEST_NAME).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

impl Client {
    /// The declared address that is asked for; the only one when none is (RFC 6749 3.1.2.3).
    pub(crate) fn redirect_uri(&self, asked: Option<&str>) -> Result<String, OAuthError> {
        match (asked, self.redirect_uris.as_slice()) {
            (Some(asked), declared) => {
                let known = declared.iter().any(|declared| redirect::is_declared(declared, asked));
                if known { Ok(asked.to_owned()) } else { Err(OAuthError::RedirectUri) }
            }
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(OAuthError::Missing("redirect_uri")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pds_crypto::jwk::Jwk;
    use p2pds_crypto::{Curve, PrivateKey, Signer as _};
    use serde_json::json;

    const ID: &str = "https://app.example.com/oauth/client.json";

    fn document() -> Value {
        json!({
            "client_id": ID,
            "client_name": "An app",
            "client_uri": "https://app.example.com",
            "redirect_uris": ["https://app.example.com/callback"],
            "scope": "atproto transition:generic",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "application_type": "web",
            "dpop_bound_access_tokens": true,
        })
    }

    fn keys() -> Value {
        let key = PrivateKey::from_entropy(Curve::P256, [1; 32]).public_key();
        json!({ "keys": [Jwk::from_public(key).named("one").to_json()] })
    }

    fn with(changes: &[(&str, Value)]) -> Result<Read, OAuthError> {
        let mut document = document();
        for (name, value) in changes {
            let map = document.as_object_mut().unwrap();
            map.insert((*name).to_owned(), value.clone());
            if value.is_null() {
                map.remove(*name);
            }
        }
        read(document.as_object().unwrap(), &Url::parse(ID).unwrap())
    }

    #[test]
    fn good_ones() {
        let client = with(&[]).unwrap().client;
        assert_eq!(
            (client.host.as_str(), client.refreshes, client.confidential),
            ("app.example.com", true, false)
        );
        let confidential: &[(&str, Value)] = &[
            ("token_endpoint_auth_method", json!("private_key_jwt")),
            ("token_endpoint_auth_signing_alg", json!("ES256")),
            ("jwks", keys()),
        ];
        assert_eq!(with(confidential).unwrap().client.keys.len(), 1);
        let native: &[(&str, Value)] = &[
            ("application_type", json!("native")),
            (
                "redirect_uris",
                json!(["com.example.app:/callback", "http://127.0.0.1/cb", "https://app.example.com/c"]),
            ),
        ];
        assert_eq!(with(native).unwrap().client.redirect_uris.len(), 3);
        assert!(
            !with(&[("grant_types", json!(null)), ("response_types", json!(null))]).unwrap().client.refreshes
        );
        let name = with(&[("client_name", json!("\u{202e}knaB\u{0}\u{200b} "))]).unwrap().client.name;
        assert_eq!(name.as_deref(), Some("knaB"));
    }

    #[test]
    fn bad_ones() {
        let private = "private_key_jwt";
        let table: &[(&str, &[(&str, Value)])] = &[
            ("client_id", &[("client_id", json!(null))]),
            ("client_id", &[("client_id", json!("https://app.example.com/oauth/other.json"))]),
            ("dpop_bound_access_tokens", &[("dpop_bound_access_tokens", json!(null))]),
            ("dpop_bound_access_tokens", &[("dpop_bound_access_tokens", json!(false))]),
            ("dpop_bound_access_tokens", &[("dpop_bound_access_tokens", json!("true"))]),
            ("scope", &[("scope", json!(null))]),
            ("scope", &[("scope", json!("transition:generic"))]),
            ("scope", &[("scope", json!("atproto atproto"))]),
            ("scope", &[("scope", json!(["atproto"]))]),
            ("redirect_uris", &[("redirect_uris", json!(null))]),
            ("redirect_uris", &[("redirect_uris", json!([]))]),
            ("redirect_uris", &[("redirect_uris", json!("https://app.example.com/callback"))]),
            ("redirect_uris", &[("redirect_uris", json!(["http://app.example.com/callback"]))]),
            ("redirect_uris", &[("redirect_uris", json!(["https://localhost/callback"]))]),
            ("redirect_uris", &[("redirect_uris", json!(["javascript:alert(1)"]))]),
            ("redirect_uris", &[("redirect_uris", json!(["http://127.0.0.1/cb"]))]),
            ("redirect_uris", &[("redirect_uris", json!(["com.example.app:/cb"]))]),
            (
                "redirect_uris",
                &[("application_type", json!("native")), ("redirect_uris", json!(["com.evil.app:/cb"]))],
            ),
            ("application_type", &[("application_type", json!("desktop"))]),
            ("grant_types", &[("grant_types", json!(["refresh_token"]))]),
            ("grant_types", &[("grant_types", json!(["authorization_code", "implicit"]))]),
            ("grant_types", &[("grant_types", json!(["authorization_code", "password"]))]),
            ("grant_types", &[("grant_types", json!(["authorization_code", "authorization_code"]))]),
            ("response_types", &[("response_types", json!(["token"]))]),
            ("token_endpoint_auth_method", &[("token_endpoint_auth_method", json!(null))]),
            ("token_endpoint_auth_method", &[("token_endpoint_auth_method", json!("client_secret_basic"))]),
            ("token_endpoint_auth_signing_alg", &[("token_endpoint_auth_signing_alg", json!("ES256"))]),
            (
                "token_endpoint_auth_signing_alg",
                &[("token_endpoint_auth_method", json!(private)), ("jwks", keys())],
            ),
            (
                "token_endpoint_auth_signing_alg",
                &[
                    ("token_endpoint_auth_method", json!(private)),
                    ("jwks", keys()),
                    ("token_endpoint_auth_signing_alg", json!("none")),
                ],
            ),
            (
                "jwks",
                &[
                    ("token_endpoint_auth_method", json!(private)),
                    ("token_endpoint_auth_signing_alg", json!("ES256")),
                ],
            ),
            ("jwks_uri", &[("jwks", keys()), ("jwks_uri", json!("https://app.example.com/keys"))]),
            (
                "token_endpoint_auth_method",
                &[
                    ("application_type", json!("native")),
                    ("token_endpoint_auth_method", json!(private)),
                    ("token_endpoint_auth_signing_alg", json!("ES256")),
                    ("jwks", keys()),
                ],
            ),
            ("client_uri", &[("client_uri", json!("https://bank.example.com"))]),
            ("client_uri", &[("client_uri", json!("https://app.example.com/other"))]),
            ("client_uri", &[("client_uri", json!("https://app.example.com/oau"))]),
            ("logo_uri", &[("logo_uri", json!("javascript:alert(1)"))]),
            ("tos_uri", &[("tos_uri", json!("data:text/html,x"))]),
            ("subject_type", &[("subject_type", json!("pairwise"))]),
            ("default_max_age", &[("default_max_age", json!(5))]),
            (
                "tls_client_certificate_bound_access_tokens",
                &[("tls_client_certificate_bound_access_tokens", json!(true))],
            ),
            ("client_name", &[("client_name", json!(["a"]))]),
        ];
        for (expected, changes) in table {
            match with(changes) {
                Err(OAuthError::ClientMetadata { field, .. }) => assert_eq!(field, *expected, "{changes:?}"),
                other => panic!("{changes:?}: {other:?}"),
            }
        }
    }
}
