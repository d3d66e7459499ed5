//! An application, a browser with somebody at it, and the host that they meet at.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use p2pds_crypto::dpop::{self, Make};
use p2pds_crypto::jwk::Jwk;
use p2pds_crypto::{Curve, PrivateKey, Signer as _, jwt, pkce};
use p2pds_host::accounts::By;
use p2pds_oauth::{
    Authorization, Begun, DeviceId, Form, LogIn, OAuth, OAuthError, Redirect, SignedIn, Tokens,
};
use p2pds_syntax::Did;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::shared::{Node, did};
use crate::site::{Page, Site};

/// The host.
pub const ISSUER: &str = "http://pds.test";
/// Alice's password.
pub const PASSWORD: &str = "correct horse battery";
/// Where the development client is sent back to.
pub const CALLBACK: &str = "http://127.0.0.1:5000/callback";
/// What it declares.
pub const DECLARED: &str = "atproto transition:generic repo:com.example.thing account:email";
pub const SECOND: i64 = 1_000_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const DAY: i64 = 24 * 60 * MINUTE;

/// A host with two accounts, and its authorization server.
pub struct World {
    pub node: Node,
    pub oauth: OAuth,
    pub site: Site,
    number: Cell<u64>,
}

impl World {
    pub async fn new() -> Self {
        let node = Node::new();
        for number in [1, 2] {
            let did = did(number);
            node.account(&did).await;
            node.host
                .admin_set_email(&By::Operator, &did, &format!("user{number}@mail.example"))
                .await
                .unwrap();
            node.host.admin_set_password(&By::Operator, &did, PASSWORD).await.unwrap();
        }
        let oauth = node.host.authorization_server().unwrap();
        Self { node, oauth, site: Site::start(), number: Cell::new(0) }
    }

    pub fn alice(&self) -> Did {
        did(1)
    }

    pub fn bob(&self) -> Did {
        did(2)
    }

    pub fn pass(&self, micros: i64) {
        self.node.clock.fetch_add(micros, Ordering::Relaxed);
    }

    pub fn seconds(&self) -> u64 {
        u64::try_from(self.node.clock.load(Ordering::Relaxed) / SECOND).unwrap()
    }

    /// Something that was not used before.
    pub fn unique(&self) -> String {
        self.number.set(self.number.get() + 1);
        format!("unique-{}", self.number.get())
    }

    /// A verifier that was not used before.
    pub fn verifier(&self) -> String {
        format!("{:0>50}", self.unique())
    }

    /// A browser in which somebody is signed in.
    pub async fn browser(&self, who: &Did) -> DeviceId {
        let device = self.oauth.new_device("a browser", "192.0.2.1").await.unwrap().0;
        self.sign_in(&device, who, true).await;
        device
    }

    pub async fn sign_in(&self, device: &DeviceId, who: &Did, remember: bool) -> SignedIn {
        let ask = LogIn {
            identifier: who.to_string(),
            password: Zeroizing::new(PASSWORD.to_owned()),
            factor: None,
            address: "192.0.2.1".to_owned(),
        };
        self.oauth.sign_in(device, ask, remember).await.unwrap()
    }

    /// Opens a request in a browser; it must be asked about.
    pub async fn open(&self, app: &App, request_uri: &str, device: &DeviceId) -> Authorization {
        match self.oauth.begin(&app.id, request_uri, device).await.unwrap() {
            Begun::Show(asked) => *asked,
            Begun::Redirect(redirect) => panic!("{redirect:?}"),
        }
    }

    /// From the pushed request to the code.
    pub async fn code(&self, app: &App, ask: Ask<'_>, who: &Did) -> String {
        let pushed = ask.push().await.unwrap();
        let device = self.browser(who).await;
        let asked = self.open(app, &pushed, &device).await;
        let scopes = asked.scopes.clone();
        let redirect = self.oauth.accept(&asked, &device, who, &scopes).await.unwrap();
        redirect.param("code").unwrap().to_owned()
    }

    /// All the way to the tokens.
    pub async fn tokens(&self, app: &App) -> Tokens {
        let verifier = self.verifier();
        let ask = app.ask(self).with("code_challenge", &pkce::challenge_s256(&verifier));
        let code = self.code(app, ask, &self.alice()).await;
        app.redeem(self, &code, &verifier).send().await.unwrap()
    }

    /// Whether a token opens anything.
    pub async fn works(&self, app: &App, token: &str) -> bool {
        let url = format!("{ISSUER}/xrpc/com.example.get");
        let proof = app.prove(self, &Proof { htm: "GET", htu: &url, token: Some(token), ..Proof::default() });
        self.oauth.check(token, Some(&proof), "GET", &url).await.is_ok()
    }
}

/// An application.
pub struct App {
    pub id: String,
    pub redirect_uri: String,
    pub key: PrivateKey,
    /// Its own key and that one's name, if it is a confidential client.
    pub own: Option<(PrivateKey, String)>,
}

/// What a proof is made of; what is `None` is as it should be.
#[derive(Clone, Copy, Default)]
pub struct Proof<'p> {
    pub htm: &'p str,
    pub htu: &'p str,
    pub token: Option<&'p str>,
    pub nonce: Option<Option<&'p str>>,
    pub jti: Option<&'p str>,
    /// Seconds after now.
    pub later: i64,
}

pub fn key(n: u8) -> PrivateKey {
    PrivateKey::from_entropy(Curve::P256, [n; 32])
}

impl App {
    /// One that is developed on somebody's own machine.
    pub fn local() -> Self {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("redirect_uri", CALLBACK)
            .append_pair("scope", DECLARED)
            .finish();
        Self {
            id: format!("http://localhost?{query}"),
            redirect_uri: CALLBACK.to_owned(),
            key: key(1),
            own: None,
        }
    }

    /// The document of a web application.
    pub fn document(world: &World, path: &str) -> Value {
        json!({
            "client_id": format!("{}{path}", world.site.url),
            "client_name": "An app",
            "redirect_uris": ["https://app.example.com/callback"],
            "scope": DECLARED,
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "application_type": "web",
            "dpop_bound_access_tokens": true,
        })
    }

    pub fn with_keys(mut document: Value, keys: &[(u8, &str)]) -> Value {
        let keys: Vec<Value> =
            keys.iter().map(|(n, kid)| Jwk::from_public(key(*n).public_key()).named(kid).to_json()).collect();
        document["token_endpoint_auth_method"] = json!("private_key_jwt");
        document["token_endpoint_auth_signing_alg"] = json!("ES256");
        document["jwks"] = json!({ "keys": keys });
        document
    }

    /// One that proves itself with keys 9 (`one`) and 10 (`two`), and uses the first.
    pub fn confidential(world: &World) -> Self {
        let document =
            Self::with_keys(Self::document(world, "/confidential.json"), &[(9, "one"), (10, "two")]);
        world.site.put("/confidential.json", Page::json(&document));
        Self { own: Some((key(9), "one".to_owned())), ..Self::web(world, "/confidential.json") }
    }

    pub fn web(world: &World, path: &str) -> Self {
        Self {
            id: format!("{}{path}", world.site.url),
            redirect_uri: "https://app.example.com/callback".to_owned(),
            key: key(2),
            own: None,
        }
    }

    pub fn prove(&self, world: &World, proof: &Proof<'_>) -> String {
        let (nonce, jti) = (world.oauth.nonce(), world.unique());
        let now = i64::try_from(world.seconds()).unwrap() + proof.later;
        let make = Make {
            htm: proof.htm,
            htu: proof.htu,
            token: proof.token,
            nonce: proof.nonce.unwrap_or(Some(&nonce)),
            jti: proof.jti.unwrap_or(&jti),
            iat: u64::try_from(now).unwrap(),
        };
        dpop::prove(&self.key, &make).unwrap()
    }

    /// Claims of an assertion by which it proves itself.
    pub fn claims(&self, world: &World) -> Value {
        let now = world.seconds();
        json!({ "iss": self.id, "sub": self.id, "aud": ISSUER, "jti": world.unique(), "iat": now, "exp": now + 60 })
    }

    pub fn signed(&self, claims: &Value) -> String {
        let (key, kid) = self.own.as_ref().unwrap();
        jwt::sign(key, "JWT", Some(kid), claims.as_object().unwrap()).unwrap()
    }

    fn start<'w>(&'w self, world: &'w World, path: &'static str) -> Ask<'w> {
        let mut ask = Ask { world, app: self, path, pairs: Vec::new(), proofs: None };
        ask.set("client_id", &self.id);
        if self.own.is_some() {
            ask.set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
            ask.set("client_assertion", &self.signed(&self.claims(world)));
        }
        ask
    }

    /// A request that is right in every way.
    pub fn ask<'w>(&'w self, world: &'w World) -> Ask<'w> {
        self.start(world, "/oauth/par")
            .with("response_type", "code")
            .with("redirect_uri", &self.redirect_uri)
            .with("scope", "atproto repo:com.example.thing")
            .with("state", "a state")
            .with("code_challenge", &pkce::challenge_s256(&world.verifier()))
            .with("code_challenge_method", "S256")
    }

    /// The exchange of a code that is right in every way.
    pub fn redeem<'w>(&'w self, world: &'w World, code: &str, verifier: &str) -> Ask<'w> {
        self.start(world, "/oauth/token")
            .with("grant_type", "authorization_code")
            .with("redirect_uri", &self.redirect_uri)
            .with("code", code)
            .with("code_verifier", verifier)
    }

    /// The exchange of a refresh token.
    pub fn refresh<'w>(&'w self, world: &'w World, token: &str) -> Ask<'w> {
        self.start(world, "/oauth/token").with("grant_type", "refresh_token").with("refresh_token", token)
    }

    pub fn revoke<'w>(&'w self, world: &'w World, token: &str) -> Ask<'w> {
        self.start(world, "/oauth/revoke").with("token", token)
    }
}

/// A request to one of the endpoints.
pub struct Ask<'w> {
    pub world: &'w World,
    pub app: &'w App,
    pub path: &'static str,
    pub pairs: Vec<(String, String)>,
    /// In the place of the one proof that is right.
    pub proofs: Option<Vec<String>>,
}

impl<'w> Ask<'w> {
    pub fn set(&mut self, name: &str, value: &str) {
        self.pairs.retain(|(known, _)| known != name);
        self.pairs.push((name.to_owned(), value.to_owned()));
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.pairs.retain(|(known, _)| known != name);
        self
    }

    pub fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap()
    }

    /// With this proof instead.
    pub fn proof(self, change: Proof<'_>) -> Self {
        let url = format!("{ISSUER}{}", self.path);
        let htm = if change.htm.is_empty() { "POST" } else { change.htm };
        let htu = if change.htu.is_empty() { &url } else { change.htu };
        let proof = self.app.prove(self.world, &Proof { htm, htu, ..change });
        self.proofs(&[proof])
    }

    pub fn proofs(mut self, proofs: &[String]) -> Self {
        self.proofs = Some(proofs.to_vec());
        self
    }

    fn ready(self) -> (&'w OAuth, Result<Form, OAuthError>, Vec<String>) {
        let ask = if self.proofs.is_none() { self.proof(Proof::default()) } else { self };
        let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&ask.pairs).finish();
        (&ask.world.oauth, Form::urlencoded(encoded.as_bytes()), ask.proofs.unwrap_or_default())
    }

    /// To the endpoint for pushed requests; its `request_uri`.
    pub async fn push(self) -> Result<String, OAuthError> {
        let (oauth, form, proofs) = self.ready();
        let proofs: Vec<&str> = proofs.iter().map(String::as_str).collect();
        oauth.par(&form?, &proofs).await.map(|pushed| pushed.request_uri)
    }

    /// To the token endpoint.
    pub async fn send(self) -> Result<Tokens, OAuthError> {
        let (oauth, form, proofs) = self.ready();
        let proofs: Vec<&str> = proofs.iter().map(String::as_str).collect();
        oauth.token(&form?, &proofs).await
    }

    /// To the revocation endpoint.
    pub async fn end(self) -> Result<(), OAuthError> {
        let (oauth, form, proofs) = self.ready();
        let proofs: Vec<&str> = proofs.iter().map(String::as_str).collect();
        oauth.revoke(&form?, &proofs).await
    }
}

/// The error that a client is told, in the address that it is told with.
pub fn told(redirect: &Redirect) -> &str {
    redirect.param("error").unwrap_or_default()
}
