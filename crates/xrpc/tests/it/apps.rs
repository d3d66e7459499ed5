//! Applications with OAuth sessions: made by the authorization server itself, as its pages and the application make them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::Method as Http;
use data_encoding::BASE64URL_NOPAD;
use p2pds_crypto::dpop::ath;
use p2pds_crypto::jwk::Jwk;
use p2pds_crypto::{Curve, PrivateKey, Signer as _, pkce};
use p2pds_oauth::{Account, AccountStatus, Begun, Form, OAuth};
use p2pds_syntax::Did;
use p2pds_xrpc::{Xrpc, XrpcConfig, router};
use serde_json::{Map, Value, json};

use crate::hosting::{Node, did};
use crate::house::{Door, Reply};

/// The host's address.
pub const ORIGIN: &str = "http://pds.test";

/// A host with an authorization server, and people.
pub struct Apps {
    pub node: Node,
    pub oauth: OAuth,
    pub door: Door,
    count: AtomicU64,
}

/// An application with a session.
pub struct App {
    pub did: Did,
    pub client: String,
    pub key: PrivateKey,
    pub token: String,
    pub refresh: String,
}

/// A proof, before it is signed.
#[derive(Clone)]
pub struct Proof {
    pub header: Map<String, Value>,
    pub claims: Map<String, Value>,
}

pub fn part(value: &Map<String, Value>) -> String {
    BASE64URL_NOPAD.encode(Value::Object(value.clone()).to_string().as_bytes())
}

impl Proof {
    pub fn set(mut self, claim: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(claim.to_owned(), value.into());
        self
    }

    pub fn without(mut self, claim: &str) -> Self {
        self.claims.remove(claim);
        self
    }

    pub fn head(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.header.insert(field.to_owned(), value.into());
        self
    }

    pub fn headless(mut self, field: &str) -> Self {
        self.header.remove(field);
        self
    }

    pub fn signed(&self, key: &PrivateKey) -> String {
        let signed = format!("{}.{}", part(&self.header), part(&self.claims));
        let signature = key.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}

pub fn key(number: u64) -> PrivateKey {
    let mut entropy = [7; 32];
    entropy[..8].copy_from_slice(&number.to_be_bytes());
    PrivateKey::from_entropy(Curve::P256, entropy)
}

impl Apps {
    /// A host with so many accounts.
    pub async fn new(accounts: u32, config: XrpcConfig) -> Self {
        let node = Node::new();
        for number in 1..=accounts {
            node.account(&did(number)).await;
        }
        let oauth = node.host.authorization_server().unwrap();
        let config = XrpcConfig { rate_limits: false, ..config };
        let door = Xrpc::new(node.host.reading().clone(), config)
            .with_host(Some(node.host.clone()))
            .with_oauth(Some(oauth.clone()));
        let door = Door::over(router(Arc::new(door)));
        Self { node, oauth, door, count: AtomicU64::new(1) }
    }

    pub fn number(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    pub fn now(&self) -> u64 {
        u64::try_from(self.node.clock.load(Ordering::Relaxed) / 1_000_000).unwrap()
    }

    /// Time goes by.
    pub fn wait(&self, seconds: i64) {
        self.node.clock.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }

    /// A good proof for a request of an application.
    pub fn proof(&self, key: &PrivateKey, token: Option<&str>, http: &str, address: &str) -> Proof {
        let header = json!({
            "typ": "dpop+jwt", "alg": "ES256", "jwk": Jwk::from_public(key.public_key()).to_bare_json(),
        });
        let claims = json!({
            "jti": format!("proof-{}", self.number()), "htm": http, "htu": address, "iat": self.now(),
            "nonce": self.oauth.nonce(),
        });
        let (Value::Object(header), Value::Object(claims)) = (header, claims) else { unreachable!() };
        let proof = Proof { header, claims };
        match token {
            Some(token) => proof.set("ath", ath(token)),
            None => proof,
        }
    }

    /// An application signs an account in, and is granted what it asks for.
    pub async fn sign_in(&self, number: u32, scope: &str) -> App {
        let (did, key) = (did(number), key(self.number()));
        let encoded =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("scope", scope).finish();
        let client = format!("http://localhost?{encoded}");
        let verifier = format!("{:064}", self.number());
        let challenge = pkce::challenge_s256(&verifier);
        let form = Form::of_pairs(&[
            ("client_id", &client),
            ("response_type", "code"),
            ("redirect_uri", "http://127.0.0.1/"),
            ("scope", scope),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let proof = |path: &str| self.proof(&key, None, "POST", &format!("{ORIGIN}{path}")).signed(&key);
        let pushed = self.oauth.par(&form.unwrap(), &[&proof("/oauth/par")]).await.unwrap();
        let (device, _) = self.oauth.new_device("test", "192.0.2.1").await.unwrap();
        let account = Account {
            did: did.clone(),
            handle: "handle.invalid".to_owned(),
            email: None,
            email_confirmed: false,
            status: AccountStatus::Active,
            display_name: None,
        };
        self.oauth.signed_in(&device, account, true).await.unwrap();
        let asked = match self.oauth.begin(&client, &pushed.request_uri, &device).await.unwrap() {
            Begun::Show(asked) => asked,
            Begun::Redirect(redirect) => panic!("{redirect:?}"),
        };
        let redirect = self.oauth.accept(&asked, &device, &did, &asked.scopes).await.unwrap();
        let form = Form::of_pairs(&[
            ("client_id", &client),
            ("grant_type", "authorization_code"),
            ("code", redirect.param("code").unwrap()),
            ("redirect_uri", "http://127.0.0.1/"),
            ("code_verifier", &verifier),
        ]);
        let tokens = self.oauth.token(&form.unwrap(), &[&proof("/oauth/token")]).await.unwrap();
        assert_eq!(tokens.scope, scope);
        let refresh = tokens.refresh_token.as_ref().unwrap().to_string();
        App { did, client, key, token: tokens.access_token.to_string(), refresh }
    }

    /// What an application asks, with a good proof.
    pub async fn call(
        &self,
        app: &App,
        http: &Http,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let proof = self.proof(&app.key, Some(&app.token), http.as_str(), &format!("{ORIGIN}{path}"));
        // The query is none of the address that is proved.
        let proof = proof.set("htu", format!("{ORIGIN}{}", path.split('?').next().unwrap())).signed(&app.key);
        let token = format!("DPoP {}", app.token);
        let mut all = vec![("authorization", token.as_str()), ("dpop", proof.as_str())];
        all.extend_from_slice(headers);
        self.door.send_body(http.clone(), path, &all, body.into()).await
    }

    pub async fn get(&self, app: &App, path: &str) -> Reply {
        self.call(app, &Http::GET, path, &[], Body::empty()).await
    }

    pub async fn post(&self, app: &App, path: &str, body: Value) -> Reply {
        self.call(app, &Http::POST, path, &[("content-type", "application/json")], body.to_string()).await
    }
}
