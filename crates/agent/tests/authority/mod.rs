//! A host of one account with its own authorization server and PLC directory, on one port; and what it does wrong.
#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(clippy::result_large_err, reason = "an answer instead of a result, in a server of tests")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use p2pds_crypto::dpop::Proof;
use p2pds_crypto::{Curve, PrivateKey, Signer as _, pkce};
use p2pds_identity::plc::{Data, LogEntry, Service, Unsigned, write_audit};
use p2pds_syntax::{Datetime, Did};
use serde_json::{Value, json};

/// What the server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// The description of the host is redirected.
    ResourceRedirected,
    /// The description of the server is redirected.
    ServerRedirected,
    /// The description of the host is of another one.
    OtherResource,
    /// Two servers are named.
    TwoServers,
    /// The server calls itself otherwise.
    OtherIssuer,
    /// It is no JSON.
    Html,
    /// Only the plain method of PKCE.
    PlainOnly,
    /// No proofs of possession.
    NoDpop,
    /// Requests need not be pushed.
    NoPushing,
    /// It wants another nonce each time.
    NonceLoop,
    /// It wants a nonce and gives none.
    NoNonce,
    /// The pushed request gets no name.
    NoRequestUri,
    /// The token needs no proof.
    Bearer,
    /// The token is somebody else's.
    OtherSub,
    /// It does not say whose the token is.
    NoSub,
    /// It does not say what was granted.
    NoScope,
    /// It grants more than was asked for.
    MoreScope,
    /// It grants other things only.
    NotAtproto,
    /// The token endpoint redirects.
    TokenRedirected,
    /// A renewal is somebody else's.
    OtherSubRenewed,
    /// A renewal grants more.
    MoreScopeRenewed,
}

pub struct Authority {
    pub url: String,
    pub did: Did,
    pub seen: Shared,
}

pub type Shared = Arc<Mutex<Seen>>;

/// What it knows, and what it was sent.
#[derive(Default)]
pub struct Seen {
    pub url: String,
    /// The host that the account's identity names; its own address without.
    log: Vec<u8>,
    /// Logs of other accounts.
    others: HashMap<String, Vec<u8>>,
    pub lie: Option<Lie>,
    pub pushed: HashMap<String, HashMap<String, String>>,
    /// Codes, and the pushed requests that they are of.
    codes: HashMap<String, String>,
    /// The refresh token that counts, its key and scopes.
    refresh: Option<(String, String, String)>,
    pub access: Option<String>,
    /// Tokens that were ended.
    pub revoked: Vec<String>,
    pub renewals: u32,
    pub nonces: u32,
    pub calls: u32,
    /// All tokens that were ever given out.
    pub tokens: Vec<String>,
    did: String,
    serial: u32,
}

fn hidden(shared: &Shared) -> std::sync::MutexGuard<'_, Seen> {
    shared.lock().unwrap()
}

impl Authority {
    /// A host whose account's identity names it, or `pds`.
    pub async fn start(pds: Option<&str>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let key = PrivateKey::from_entropy(Curve::K256, [7; 32]);
        let mut data = Data::default();
        data.put_rotation_key_first(&key.public_key());
        data.also_known_as = vec!["at://alice.test".to_owned()];
        let service = Service {
            kind: "AtprotoPersonalDataServer".to_owned(),
            endpoint: pds.unwrap_or(&url).to_owned(),
        };
        data.services.insert("atproto_pds".to_owned(), service);
        let operation = Unsigned::genesis(data).sign(&key).unwrap();
        let (did, cid) = (operation.created_did().unwrap(), operation.cid());
        let created_at = Datetime::parse("2026-01-01T00:00:00.000Z").unwrap();
        let entry = LogEntry { did: did.clone(), operation, cid, nullified: false, created_at };
        let log = write_audit(&[entry]);
        let seen = Seen { url: url.clone(), log, did: did.to_string(), ..Seen::default() };
        let seen: Shared = Arc::new(Mutex::new(seen));
        let app = Router::new()
            .route("/.well-known/oauth-protected-resource", get(resource))
            .route("/.well-known/oauth-authorization-server", get(server))
            .route("/oauth/par", post(par))
            .route("/oauth/token", post(token))
            .route("/oauth/revoke", post(revoke))
            .route("/xrpc/{nsid}", any(xrpc))
            .fallback(plc)
            .with_state(Arc::clone(&seen));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, did, seen }
    }

    pub fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        hidden(&self.seen)
    }

    pub fn lie(&self, lie: Option<Lie>) {
        self.seen().lie = lie;
    }

    /// What the person does at the host: says yes to what was pushed. Gives state and code.
    pub fn consent(&self, url: &str) -> (String, String) {
        let mut seen = self.seen();
        let url = url::Url::parse(url).unwrap();
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let pushed = seen.pushed.get(&query["request_uri"]).unwrap().clone();
        assert_eq!(pushed["client_id"], query["client_id"]);
        assert_eq!(query.len(), 2, "nothing of the request goes through the browser: {query:?}");
        seen.serial += 1;
        let code = format!("code-{}", seen.serial);
        seen.codes.insert(code.clone(), query["request_uri"].clone());
        (pushed["state"].clone(), code)
    }

    /// Its directory knows another account too.
    pub fn tell_of(&self, other: &Self) {
        let log = other.seen().log.clone();
        self.seen().others.insert(other.did.to_string(), log);
    }

    /// The access token stops working.
    pub fn expire(&self) {
        self.seen().access = None;
    }
}

fn reply(status: u16, value: &Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), axum::Json(value.clone())).into_response()
}

fn elsewhere(to: &str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, to.to_owned())]).into_response()
}

async fn resource(State(shared): State<Shared>) -> Response {
    let seen = hidden(&shared);
    let url = seen.url.clone();
    match seen.lie {
        Some(Lie::ResourceRedirected) => elsewhere(&format!("{url}/moved")),
        Some(Lie::Html) => ([(header::CONTENT_TYPE, "text/html")], "{}").into_response(),
        Some(Lie::OtherResource) => {
            reply(200, &json!({"resource": "https://other.example", "authorization_servers": [url]}))
        }
        Some(Lie::TwoServers) => {
            reply(200, &json!({"resource": url, "authorization_servers": [url, "https://other.example"]}))
        }
        _ => reply(200, &json!({"resource": url, "authorization_servers": [url]})),
    }
}

async fn server(State(shared): State<Shared>) -> Response {
    let seen = hidden(&shared);
    let url = seen.url.clone();
    let mut document = json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/oauth/authorize"),
        "token_endpoint": format!("{url}/oauth/token"),
        "pushed_authorization_request_endpoint": format!("{url}/oauth/par"),
        "revocation_endpoint": format!("{url}/oauth/revoke"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": ["atproto"],
        "dpop_signing_alg_values_supported": ["ES256"],
        "authorization_response_iss_parameter_supported": true,
        "require_pushed_authorization_requests": true,
        "client_id_metadata_document_supported": true,
    });
    match seen.lie {
        Some(Lie::ServerRedirected) => return elsewhere(&format!("{url}/moved")),
        Some(Lie::OtherIssuer) => document["issuer"] = json!("https://other.example"),
        Some(Lie::PlainOnly) => document["code_challenge_methods_supported"] = json!(["plain"]),
        Some(Lie::NoDpop) => document["dpop_signing_alg_values_supported"] = json!([]),
        Some(Lie::NoPushing) => document["require_pushed_authorization_requests"] = json!(false),
        _ => {}
    }
    reply(200, &document)
}

impl Seen {
    /// The key of a request, or the answer that wants a nonce.
    fn proved(
        &mut self,
        headers: &HeaderMap,
        htm: &str,
        htu: &str,
        token: Option<&str>,
    ) -> Result<String, Response> {
        let mut proofs = headers.get_all("dpop").iter();
        let proof = Proof::parse(proofs.next().expect("a proof").to_str().unwrap()).unwrap();
        assert!(proofs.next().is_none());
        let expected = p2pds_crypto::dpop::Expected { htm, htu, token, now: proof.iat, max_age: 0 };
        proof.check(&expected).unwrap();
        // Of each endpoint its own: what is remembered is of the host.
        let wanted = format!("nonce-{}", self.nonces);
        let looping = self.lie == Some(Lie::NonceLoop);
        if proof.nonce.as_deref() == Some(&wanted) && !looping {
            return Ok(proof.jkt);
        }
        if looping {
            self.nonces += 1;
        }
        let fresh = format!("nonce-{}", self.nonces);
        let body = json!({"error": "use_dpop_nonce", "error_description": "another nonce, please"});
        let mut answer = reply(if token.is_some() { 401 } else { 400 }, &body);
        if token.is_some() {
            let challenge = "DPoP error=\"use_dpop_nonce\"".parse().unwrap();
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if self.lie != Some(Lie::NoNonce) {
            answer.headers_mut().insert("dpop-nonce", fresh.parse().unwrap());
        }
        Err(answer)
    }

    fn give(&mut self, scope: &str, jkt: &str) -> Value {
        self.serial += 1;
        let (access, refresh) =
            (format!("canary-access-{}", self.serial), format!("canary-refresh-{}", self.serial));
        self.tokens.extend([access.clone(), refresh.clone()]);
        self.access = Some(access.clone());
        self.refresh = Some((refresh.clone(), jkt.to_owned(), scope.to_owned()));
        json!({
            "access_token": access, "refresh_token": refresh, "token_type": "DPoP", "expires_in": 900,
            "scope": scope, "sub": self.did,
        })
    }
}

fn form(body: &Bytes) -> HashMap<String, String> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

async fn par(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let mut seen = hidden(&shared);
    let htu = format!("{}/oauth/par", seen.url);
    if let Err(answer) = seen.proved(&headers, "POST", &htu, None) {
        return answer;
    }
    let fields = form(&body);
    assert_eq!(fields["code_challenge_method"], "S256");
    assert!(pkce::is_challenge(&fields["code_challenge"]) && fields["state"].len() == 43);
    seen.serial += 1;
    let name = format!("urn:request:{}", seen.serial);
    seen.pushed.insert(name.clone(), fields);
    if seen.lie == Some(Lie::NoRequestUri) {
        return reply(201, &json!({"expires_in": 300}));
    }
    reply(201, &json!({"request_uri": name, "expires_in": 300}))
}

async fn token(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let mut seen = hidden(&shared);
    let htu = format!("{}/oauth/token", seen.url);
    if seen.lie == Some(Lie::TokenRedirected) {
        return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, format!("{}/stolen", seen.url))])
            .into_response();
    }
    let jkt = match seen.proved(&headers, "POST", &htu, None) {
        Ok(jkt) => jkt,
        Err(answer) => return answer,
    };
    let fields = form(&body);
    let bad = |error: &str| reply(400, &json!({"error": error}));
    let mut answer = match fields["grant_type"].as_str() {
        "authorization_code" => {
            let Some(pushed) = seen.codes.remove(&fields["code"]) else { return bad("invalid_grant") };
            let pushed = seen.pushed[&pushed].clone();
            if pkce::challenge_s256(&fields["code_verifier"]) != pushed["code_challenge"]
                || fields["redirect_uri"] != pushed["redirect_uri"]
                || fields["client_id"] != pushed["client_id"]
            {
                return bad("invalid_grant");
            }
            seen.give(&pushed["scope"], &jkt)
        }
        "refresh_token" => {
            seen.renewals += 1;
            match seen.refresh.take() {
                Some((token, key, scope)) if token == fields["refresh_token"] && key == jkt => {
                    seen.give(&scope, &jkt)
                }
                // Used before: all of the family ends.
                _ => return bad("invalid_grant"),
            }
        }
        _ => return bad("unsupported_grant_type"),
    };
    let renewing = fields["grant_type"] == "refresh_token";
    match (seen.lie, renewing) {
        (Some(Lie::Bearer), _) => answer["token_type"] = json!("Bearer"),
        (Some(Lie::OtherSub), _) | (Some(Lie::OtherSubRenewed), true) => {
            answer["sub"] = json!("did:plc:ewvi7nxzyoun6zhxrhs64oiz");
        }
        (Some(Lie::NoSub), _) => answer["sub"] = Value::Null,
        (Some(Lie::NoScope), _) => answer["scope"] = Value::Null,
        (Some(Lie::MoreScope), _) | (Some(Lie::MoreScopeRenewed), true) => {
            answer["scope"] = json!("atproto transition:generic");
        }
        (Some(Lie::NotAtproto), _) => answer["scope"] = json!(""),
        _ => {}
    }
    reply(200, &answer)
}

async fn revoke(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let mut seen = hidden(&shared);
    let htu = format!("{}/oauth/revoke", seen.url);
    if let Err(answer) = seen.proved(&headers, "POST", &htu, None) {
        return answer;
    }
    seen.revoked.push(form(&body)["token"].clone());
    StatusCode::OK.into_response()
}

async fn xrpc(
    State(shared): State<Shared>,
    Path(nsid): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let mut seen = hidden(&shared);
    let shown = headers.get(header::AUTHORIZATION).unwrap().to_str().unwrap().to_owned();
    let token = shown.strip_prefix("DPoP ").expect("bound tokens only").to_owned();
    let htu = format!("{}{}", seen.url, uri.path());
    let jkt = match seen.proved(&headers, method.as_str(), &htu, Some(&token)) {
        Ok(jkt) => jkt,
        Err(answer) => return answer,
    };
    if seen.access.as_ref() != Some(&token) {
        return reply(401, &json!({"error": "invalid_token", "message": "it has expired"}));
    }
    assert_eq!(seen.refresh.as_ref().unwrap().1, jkt);
    seen.calls += 1;
    if nsid == "com.example.forbidden" {
        return reply(403, &json!({"error": "ScopeMissingError", "message": "repo:com.example is missing"}));
    }
    reply(200, &json!({"did": seen.did, "nsid": nsid, "query": uri.query()}))
}

async fn plc(State(shared): State<Shared>, uri: Uri) -> Response {
    let seen = hidden(&shared);
    let asked =
        uri.path().strip_prefix('/').and_then(|path| path.strip_suffix("/log/audit")).unwrap_or_default();
    let log = if asked == seen.did { Some(&seen.log) } else { seen.others.get(asked) };
    if let Some(log) = log {
        return ([(header::CONTENT_TYPE, "application/json")], log.clone()).into_response();
    }
    StatusCode::NOT_FOUND.into_response()
}

impl Seen {
    /// The refresh token that counts stops counting.
    pub fn refresh_is_gone(&mut self) {
        self.refresh = None;
    }
}
