//! Every route × every credential, generated from the table of methods: what is not allowed there is refused.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::{HeaderMap, HeaderValue, Method as Http, header};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use p2pds_crypto::jwt::{Algorithm, Unverified, sign, sign_secret};
use p2pds_crypto::{PublicKey, Signer};
use p2pds_host::sessions::AppPassword;
use p2pds_host::{HostConfig, SingleUser};
use p2pds_store::Unit;
use p2pds_store::hosting::LoginPatch;
use p2pds_syntax::Handle;
use p2pds_xrpc::{
    Auth, Credentials, Kind, Method, ROUTES, Secret, Served, Sessions, UNLISTED, Xrpc, XrpcConfig,
    authenticate, methods, router,
};
use serde_json::{Map, Value, json};

use crate::hosting::{Node, config, did};
use crate::house::{Door, TOKEN, called};

const PASSWORD: &str = "correct horse battery staple";

/// What a caller shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nothing,
    Peer,
    Full,
    AppPassword,
    Privileged,
    Queued,
    /// A session that was opened while the account was taken down.
    Takendown,
    /// One that was opened before.
    FullOfTakendown,
    FullOfDeactivated,
    Refresh,
    RefreshExpired,
    Admin,
    Moderator,
    Service,
    /// Its audience says which entry of the DID document it is for.
    ServiceOfEntry,
    /// Of an account that was taken down: it may move away.
    ServiceOfTakendown,
    /// All of these are good for nothing, anywhere.
    Bad(&'static str),
}

const GOOD: [Shown; 16] = [
    Shown::Nothing,
    Shown::Peer,
    Shown::Full,
    Shown::AppPassword,
    Shown::Privileged,
    Shown::Queued,
    Shown::Takendown,
    Shown::FullOfTakendown,
    Shown::FullOfDeactivated,
    Shown::Refresh,
    Shown::RefreshExpired,
    Shown::Admin,
    Shown::Moderator,
    Shown::Service,
    Shown::ServiceOfEntry,
    Shown::ServiceOfTakendown,
];

const BAD: [&str; 38] = [
    "access expired",
    "access of another secret",
    "access of another service",
    "access of an account that is not here",
    "access whose session ended",
    "access without a session",
    "access with a key that it is bound to",
    "access with a method",
    "access of an unknown scope",
    "access that says it is a refresh token",
    "access signed with a public key",
    "access with alg none",
    "access without signature",
    "access with another's payload",
    "access twice",
    "access as DPoP",
    "access as Basic",
    "access without a scheme",
    "access in two headers",
    "access and a comma",
    "refresh that says it is an access token",
    "peer with one letter more",
    "peer as Basic",
    "admin with a wrong password",
    "admin with no password",
    "admin under another name",
    "admin password as bearer",
    "service for another method",
    "service for no method",
    "service for another service",
    "service for another entry",
    "service expired",
    "service for a day",
    "service replayed",
    "service of another type",
    "service of another key",
    "service by another's word",
    "garbage",
];

/// What the credentials of the table mean, said once more, for the test.
fn admitted(credentials: Credentials, shown: Shown) -> bool {
    use Credentials as C;
    let sessions = match credentials {
        C::Public => Some(Sessions { app_passwords: true, takendown: true, queued: true, deactivated: true }),
        C::Optional(s) | C::Session(s) | C::SessionOrService(s) | C::SessionOrModerator(s) => Some(s),
        C::ServiceOrNone | C::Refresh { .. } | C::Admin | C::Moderator => None,
    };
    let open = matches!(credentials, C::Public | C::Optional(_));
    match shown {
        Shown::Nothing => open || credentials == C::ServiceOrNone,
        Shown::Peer => open,
        Shown::Full => sessions.is_some(),
        Shown::AppPassword | Shown::Privileged => sessions.is_some_and(|s| s.app_passwords),
        Shown::Queued => sessions.is_some_and(|s| s.queued),
        Shown::Takendown | Shown::FullOfTakendown => sessions.is_some_and(|s| s.takendown),
        Shown::FullOfDeactivated => sessions.is_some_and(|s| s.deactivated),
        Shown::Refresh => matches!(credentials, C::Refresh { .. }),
        Shown::RefreshExpired => credentials == C::Refresh { expired: true },
        Shown::Admin => open || matches!(credentials, C::Admin | C::Moderator),
        // The moderation service of this world has an account here, in whose name it may speak as well.
        Shown::Moderator => {
            !matches!(credentials, C::Public | C::Optional(_) | C::Session(_) | C::Refresh { .. } | C::Admin)
        }
        Shown::ServiceOfTakendown => credentials == C::ServiceOrNone,
        Shown::Service | Shown::ServiceOfEntry => {
            matches!(credentials, C::SessionOrService(_) | C::ServiceOrNone)
        }
        Shown::Bad(_) => false,
    }
}

/// A host with people, and their tokens.
struct World {
    node: Node,
    door: Arc<Xrpc>,
    routes: Door,
    tokens: Vec<(Shown, String)>,
    ended: String,
}

const ALICE: u32 = 1;
const TARA: u32 = 2;
const DORA: u32 = 3;
const MODERATOR: u32 = 4;
const BOB: u32 = 5;

fn claims_of(token: &str) -> Map<String, Value> {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap()).unwrap()
}

impl World {
    async fn new() -> Self {
        let node = Node::new();
        for number in [ALICE, TARA, DORA, MODERATOR, BOB] {
            node.account(&did(number)).await;
        }
        let config = XrpcConfig {
            peer_tokens: vec![TOKEN.to_owned()],
            rate_limits: false,
            admin_password: Some(Secret::new(PASSWORD)),
            moderation_service: Some(did(MODERATOR)),
            ..XrpcConfig::default()
        };
        let reading = node.host.reading().clone();
        let door = Arc::new(Xrpc::new(reading, config).with_host(Some(node.host.clone())));
        let routes = Door::over(router(Arc::clone(&door)));
        let mut world = Self { node, door, routes, tokens: Vec::new(), ended: String::new() };
        world.open().await;
        world
    }

    async fn session(&self, number: u32, app: Option<bool>, takendown: bool) -> (String, String) {
        let app = app.map(|privileged| AppPassword { name: "phone".to_owned(), privileged });
        let session = self.node.host.new_session(&did(number), app, takendown).unwrap();
        self.node.store.apply(session.unit).await.unwrap();
        (session.tokens.access.to_string(), session.tokens.refresh.to_string())
    }

    async fn open(&mut self) {
        let (full, refresh) = self.session(ALICE, None, false).await;
        self.tokens = vec![
            (Shown::Full, full.clone()),
            (Shown::Refresh, refresh),
            (Shown::AppPassword, self.session(ALICE, Some(false), false).await.0),
            (Shown::Privileged, self.session(ALICE, Some(true), false).await.0),
            (Shown::FullOfTakendown, self.session(TARA, None, false).await.0),
            (Shown::Takendown, self.session(TARA, None, true).await.0),
            (Shown::FullOfDeactivated, self.session(DORA, None, false).await.0),
            (
                Shown::Queued,
                self.resigned(&full, "at+jwt", |claims| {
                    claims.insert("scope".to_owned(), "com.atproto.signupQueued".into());
                }),
            ),
        ];
        let patch = |number, patch| Unit::PatchLogin { did: did(number), patch: Box::new(patch) };
        let taken = LoginPatch { takedown: Some(Some("spam".to_owned())), ..LoginPatch::default() };
        let resting = LoginPatch { deactivated_at: Some(Some(1)), ..LoginPatch::default() };
        self.node.store.apply(patch(TARA, taken)).await.unwrap();
        self.node.store.apply(patch(DORA, resting)).await.unwrap();
        let (gone, refresh) = self.session(ALICE, None, false).await;
        let refresh = self.node.host.verify_refresh(&refresh, false).await.unwrap();
        self.node.host.end_session(&refresh).await.unwrap();
        self.ended = gone;
    }

    fn token(&self, shown: Shown) -> &str {
        &self.tokens.iter().find(|(of, _)| *of == shown).unwrap().1
    }

    fn now(&self) -> u64 {
        u64::try_from(self.node.clock.load(Ordering::Relaxed) / 1_000_000).unwrap()
    }

    /// The same claims, changed, signed with the host's own secret.
    fn resigned(&self, token: &str, typ: &str, change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut claims = claims_of(token);
        change(&mut claims);
        sign_secret(self.node.host.keys().jwt(), typ, &claims).unwrap()
    }

    async fn signer(&self, number: u32) -> Arc<dyn Signer> {
        let login = self.node.store.login(&did(number)).await.unwrap().unwrap();
        self.node.host.keys().unwrap(&login.signing_key, &did(number)).unwrap()
    }

    /// A service token of an account for a method, with some claims changed; each has an identifier of its own.
    async fn service(
        &self,
        by: u32,
        typ: &str,
        lxm: &str,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> String {
        let now = self.now();
        let service = self.node.host.config().service_did.as_str();
        let id = self.node.clock.fetch_add(1, Ordering::Relaxed).to_string();
        let mut claims = json!({
            "iss": did(by), "aud": service, "iat": now, "exp": now + 60, "lxm": lxm, "jti": id,
        });
        change(claims.as_object_mut().unwrap());
        sign(self.signer(by).await.as_ref(), typ, None, claims.as_object().unwrap()).unwrap()
    }

    async fn headers(&self, method: &Method, shown: Shown) -> HeaderMap {
        let set = |claims: &mut Map<String, Value>, name: &str, value: Value| {
            claims.insert(name.to_owned(), value);
        };
        let bearer = match shown {
            Shown::Nothing => return HeaderMap::new(),
            Shown::Peer => TOKEN.to_owned(),
            Shown::RefreshExpired => {
                let end = self.now() - 100;
                self.resigned(self.token(Shown::Refresh), "refresh+jwt", |claims| {
                    set(claims, "exp", end.into())
                })
            }
            Shown::Admin => {
                return headers(&[format!(
                    "Basic {}",
                    BASE64.encode(format!("admin:{PASSWORD}").as_bytes())
                )]);
            }
            Shown::Moderator => self.service(MODERATOR, "JWT", method.nsid, |_| {}).await,
            Shown::Service => self.service(ALICE, "JWT", method.nsid, |_| {}).await,
            Shown::ServiceOfEntry => {
                self.service(ALICE, "JWT", method.nsid, |claims| {
                    set(claims, "aud", "did:web:pds.test#atproto_pds".into())
                })
                .await
            }
            Shown::ServiceOfTakendown => self.service(TARA, "JWT", method.nsid, |_| {}).await,
            Shown::Bad(how) => return headers(&self.bad(method, how).await),
            session => self.token(session).to_owned(),
        };
        headers(&[format!("Bearer {bearer}")])
    }

    async fn bad(&self, method: &Method, how: &str) -> Vec<String> {
        let full = self.token(Shown::Full);
        let set = |name: &'static str, value: Value| {
            move |claims: &mut Map<String, Value>| {
                claims.insert(name.to_owned(), value);
            }
        };
        let remove = |name: &'static str| {
            move |claims: &mut Map<String, Value>| {
                claims.remove(name);
            }
        };
        let basic = |text: &str| vec![format!("Basic {}", BASE64.encode(text.as_bytes()))];
        let now = self.now();
        let lxm = method.nsid;
        let signed = |header: &str| {
            let payload = full.split('.').nth(1).unwrap();
            format!("{}.{payload}", BASE64URL_NOPAD.encode(header.as_bytes()))
        };
        let token = match how {
            "access expired" => self.resigned(full, "at+jwt", set("exp", (now - 10).into())),
            "access of another secret" => {
                sign_secret(b"another secret of some length", "at+jwt", &claims_of(full)).unwrap()
            }
            "access of another service" => {
                self.resigned(full, "at+jwt", set("aud", "did:web:other.test".into()))
            }
            "access of an account that is not here" => {
                self.resigned(full, "at+jwt", set("sub", did(99).as_str().into()))
            }
            "access whose session ended" => self.ended.clone(),
            "access without a session" => self.resigned(full, "at+jwt", remove("sid")),
            "access with a key that it is bound to" => {
                self.resigned(full, "at+jwt", set("cnf", json!({ "jkt": "x" })))
            }
            "access with a method" => self.resigned(full, "at+jwt", set("lxm", lxm.into())),
            "access of an unknown scope" => {
                self.resigned(full, "at+jwt", set("scope", "com.atproto.everything".into()))
            }
            "access that says it is a refresh token" => self.resigned(full, "refresh+jwt", |_| {}),
            "access signed with a public key" => {
                let key: PublicKey = self.signer(ALICE).await.public_key();
                sign_secret(&key.to_sec1(), "at+jwt", &claims_of(full)).unwrap()
            }
            "access with alg none" => format!("{}.", signed(r#"{"typ":"at+jwt","alg":"none"}"#)),
            "access without signature" => full.rsplit_once('.').unwrap().0.to_owned() + ".",
            "access with another's payload" => {
                let mut parts: Vec<String> = full.split('.').map(str::to_owned).collect();
                let mut claims = claims_of(full);
                claims.insert("sub".to_owned(), did(BOB).as_str().into());
                parts[1] = BASE64URL_NOPAD.encode(Value::Object(claims).to_string().as_bytes());
                parts.join(".")
            }
            "access twice" => format!("{full} {full}"),
            "access as DPoP" => return vec![format!("DPoP {full}")],
            "access as Basic" => return vec![format!("Basic {full}")],
            "access without a scheme" => return vec![full.to_owned()],
            "access in two headers" => return vec![format!("Bearer {full}"), format!("Bearer {full}")],
            "access and a comma" => return vec![format!("Bearer {full}, Bearer {full}")],
            "refresh that says it is an access token" => {
                self.resigned(self.token(Shown::Refresh), "at+jwt", |_| {})
            }
            "peer with one letter more" => format!("{TOKEN}x"),
            "peer as Basic" => return basic(&format!("admin:{TOKEN}")),
            "admin with a wrong password" => return basic("admin:wrong"),
            "admin with no password" => return basic("admin:"),
            "admin under another name" => return basic(&format!("root:{PASSWORD}")),
            "admin password as bearer" => PASSWORD.replace(' ', "-"),
            "service for another method" => self.service(ALICE, "JWT", "com.example.other", |_| {}).await,
            "service for no method" => self.service(ALICE, "JWT", lxm, remove("lxm")).await,
            "service for another service" => {
                self.service(ALICE, "JWT", lxm, set("aud", "did:web:other.test".into())).await
            }
            "service for another entry" => {
                self.service(ALICE, "JWT", lxm, set("aud", "did:web:pds.test#bsky_appview".into())).await
            }
            "service expired" => self.service(ALICE, "JWT", lxm, set("exp", (now - 1).into())).await,
            "service for a day" => self.service(ALICE, "JWT", lxm, set("exp", (now + 86_400).into())).await,
            "service replayed" => {
                let token = self.service(ALICE, "JWT", lxm, |_| {}).await;
                let _ =
                    authenticate(&self.door, method, called(&headers(&[format!("Bearer {token}")]))).await;
                token
            }
            "service of another type" => self.service(ALICE, "at+jwt", lxm, |_| {}).await,
            "service of another key" => {
                self.service(BOB, "JWT", lxm, set("iss", did(ALICE).as_str().into())).await
            }
            "service by another's word" => {
                self.service(ALICE, "JWT", lxm, set("iss", format!("{}#atproto_labeler", did(ALICE)).into()))
                    .await
            }
            "garbage" => "garbage".to_owned(),
            other => panic!("{other}"),
        };
        vec![format!("Bearer {token}")]
    }
}

fn headers(values: &[String]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for value in values {
        map.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn is_whom(shown: Shown) -> fn(&Auth) -> bool {
    match shown {
        Shown::Nothing => |auth| *auth == Auth::Anonymous,
        Shown::Peer => |auth| *auth == Auth::Peer,
        Shown::Admin => |auth| *auth == Auth::Admin,
        Shown::Moderator => |auth| {
            *auth == Auth::Moderator(did(MODERATOR))
                || matches!(auth, Auth::Service(t) if t.issuer == did(MODERATOR))
        },
        Shown::Service | Shown::ServiceOfEntry => {
            |auth| matches!(auth, Auth::Service(t) if t.issuer == did(ALICE))
        }
        Shown::Refresh | Shown::RefreshExpired => {
            |auth| matches!(auth, Auth::Refresh(r) if r.did == did(ALICE))
        }
        Shown::Takendown | Shown::FullOfTakendown | Shown::ServiceOfTakendown => {
            |auth| auth.did() == Some(&did(TARA))
        }
        Shown::FullOfDeactivated => |auth| auth.did() == Some(&did(DORA)),
        _ => |auth| matches!(auth, Auth::Access(a, _) if a.did == did(ALICE)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_and_every_credential() {
    let world = World::new().await;
    let (mut yes, mut no) = (0, 0);
    for method in methods().chain([&UNLISTED]) {
        for shown in GOOD.into_iter().chain(BAD.map(Shown::Bad)) {
            let headers = world.headers(method, shown).await;
            let got = authenticate(&world.door, method, called(&headers)).await;
            let wanted = admitted(method.credentials, shown);
            assert_eq!(got.is_ok(), wanted, "{} {shown:?}: {got:?}", method.nsid);
            match got {
                Ok(auth) => {
                    assert!(is_whom(shown)(&auth), "{} {shown:?}: {auth:?}", method.nsid);
                    yes += 1;
                }
                Err(error) => {
                    assert!(
                        [400, 401, 403].contains(&error.status.as_u16()),
                        "{} {shown:?}: {error:?}",
                        method.nsid
                    );
                    no += 1;
                }
            }
        }
    }
    assert!(yes > 500 && no > 4_000, "{yes} let in, {no} refused");
}

/// What is refused is refused by the route itself, before its handler, whatever else the request is.
#[tokio::test(flavor = "multi_thread")]
async fn the_guard_stands_before_every_route() {
    let world = World::new().await;
    let (mut asked, mut told) = (0, BTreeSet::new());
    for method in methods().filter(|method| !matches!(method.served, Served::Absent(_))) {
        let path = format!("/xrpc/{}", method.nsid);
        let verb = if method.kind == Kind::Procedure { Http::POST } else { Http::GET };
        for shown in GOOD.into_iter().chain(BAD.map(Shown::Bad)) {
            if admitted(method.credentials, shown) {
                continue;
            }
            let given = world.headers(method, shown).await;
            // A token works once, so the question is put with one of its own.
            let twin = world.headers(method, shown).await;
            let expected = authenticate(&world.door, method, called(&twin)).await.unwrap_err();
            let given: Vec<(&str, &str)> =
                given.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
            let reply = world.routes.send(verb.clone(), &path, &given).await;
            let got = (reply.status, reply.error());
            assert_eq!(got, (expected.status.as_u16(), expected.name.to_owned()), "{path} {shown:?}");
            assert_eq!(reply.header("cache-control"), "private", "{path}");
            asked += 1;
            told.insert(expected.name);
        }
    }
    assert!(asked > 4_000, "{asked}");
    for name in [
        "AuthMissing",
        "AuthenticationRequired",
        "InvalidToken",
        "ExpiredToken",
        "AccountTakedown",
        "AccountDeactivated",
        "UntrustedIss",
        "BadJwt",
    ] {
        assert!(told.contains(name), "{name} was told to nobody: {told:?}");
    }
}

/// On an archive nothing of this is reached, whatever is shown.
#[tokio::test]
async fn an_archive_opens_none_of_it() {
    let world = World::new().await;
    let config = XrpcConfig {
        peer_tokens: vec![TOKEN.to_owned()],
        rate_limits: false,
        admin_password: Some(Secret::new(PASSWORD)),
        ..XrpcConfig::default()
    };
    let door = Door::over(router(Arc::new(Xrpc::new(world.node.host.reading().clone(), config))));
    for method in methods() {
        for shown in GOOD {
            let given = world.headers(method, shown).await;
            let given: Vec<(&str, &str)> =
                given.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
            let verb = if method.kind == Kind::Procedure { Http::POST } else { Http::GET };
            let reply = door.send(verb, &format!("/xrpc/{}", method.nsid), &given).await;
            if method.served != Served::Always {
                assert_eq!(reply.status, 501, "{} {shown:?}", method.nsid);
            } else if !matches!(shown, Shown::Nothing | Shown::Peer) {
                assert_eq!(
                    (reply.status, reply.error().as_str()),
                    (401, "AuthenticationRequired"),
                    "{} {shown:?}",
                    method.nsid
                );
            }
        }
    }
}

/// Without an operator's password there is no such door, not even for an empty one.
#[tokio::test]
async fn no_password_no_admin() {
    let world = World::new().await;
    let door = Xrpc::new(world.node.host.reading().clone(), XrpcConfig::default())
        .with_host(Some(world.node.host.clone()));
    let admin = methods().find(|method| method.credentials == Credentials::Admin).unwrap();
    for text in ["admin:", "admin:admin", ":", ""] {
        let given = headers(&[format!("Basic {}", BASE64.encode(text.as_bytes()))]);
        assert!(authenticate(&door, admin, called(&given)).await.is_err(), "{text}");
    }
    let given = headers(&[format!("Basic {}", BASE64.encode(format!("admin:{PASSWORD}").as_bytes()))]);
    assert!(authenticate(&door, admin, called(&given)).await.is_err());
    assert!(authenticate(&world.door, admin, called(&given)).await.is_ok());
}

/// A token that was good stops being so at once when its session ends.
#[tokio::test]
async fn sessions_end_at_once() {
    let world = World::new().await;
    let (access, refresh) = world.session(ALICE, None, false).await;
    let method = methods().find(|method| method.nsid == "com.atproto.server.getSession").unwrap();
    let given = headers(&[format!("Bearer {access}")]);
    assert!(authenticate(&world.door, method, called(&given)).await.is_ok());
    let refresh = world.node.host.verify_refresh(&refresh, false).await.unwrap();
    world.node.host.end_session(&refresh).await.unwrap();
    assert_eq!(authenticate(&world.door, method, called(&given)).await.unwrap_err().name, "ExpiredToken");
}

/// The one account of a host may be called with the token of its settings, which opens nobody else's.
#[tokio::test]
async fn the_single_users_token() {
    let node = Node::new();
    let config = HostConfig {
        single_user: Some(SingleUser {
            did: did(ALICE),
            handle: Handle::parse("alice.test").unwrap(),
            signing_key: None,
            auth_token: Some("a-token-of-the-settings".to_owned().into()),
            password_hash: None,
        }),
        ..config()
    };
    let node = Node::with(node.dir, node.store, config);
    node.account(&did(ALICE)).await;
    let door =
        Xrpc::new(node.host.reading().clone(), XrpcConfig::default()).with_host(Some(node.host.clone()));
    for method in methods() {
        let sessions = matches!(
            method.credentials,
            Credentials::Public
                | Credentials::Optional(_)
                | Credentials::Session(_)
                | Credentials::SessionOrService(_)
                | Credentials::SessionOrModerator(_)
        );
        let given = headers(&["Bearer a-token-of-the-settings".to_owned()]);
        let got = authenticate(&door, method, called(&given)).await;
        let whose = got.as_ref().ok().and_then(Auth::did);
        assert_eq!(whose == Some(&did(ALICE)), sessions, "{} {got:?}", method.nsid);
        for wrong in ["a-token-of-the-setting", "a-token-of-the-settings2", "A-token-of-the-settings"] {
            assert!(
                authenticate(&door, method, called(&headers(&[format!("Bearer {wrong}")]))).await.is_err()
            );
        }
    }
}

/// Routes are made from the table and the list of other routes, and nowhere else.
#[test]
fn no_route_without_an_entry() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = BTreeSet::new();
    for dir in ["xrpc/src", "node/src"] {
        routes_below(&root.join(dir), &mut found);
    }
    let listed: BTreeSet<&str> = ROUTES.iter().map(|route| route.path).collect();
    // The operator's socket and the page of metrics are other doors, with their own lists.
    let other = |path: &str| path == "/metrics" || path.starts_with("/v1/") || path == "/xrpc/{*method}";
    for path in found.iter().filter(|path| !other(path)) {
        assert!(listed.contains(path.as_str()), "{path} is in no list: add it to xrpc/src/table/routes.rs");
    }
    assert!(found.contains("/xrpc/_health") && found.contains("/ipfs/{cid}"), "{found:?}");
}

fn routes_below(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            routes_below(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for part in text.split(".route(").skip(1) {
                if let Some(rest) = part.trim_start().strip_prefix('"') {
                    found.insert(rest.split('"').next().unwrap().to_owned());
                }
            }
        }
    }
}

/// The forger of this file is not a fool: with nothing changed its tokens are good.
#[tokio::test]
async fn the_forger_can_make_good_ones() {
    let world = World::new().await;
    let again = world.resigned(world.token(Shown::Full), "at+jwt", |_| {});
    assert!(world.node.host.verify_access(&again).await.is_ok());
    let service = world.service(ALICE, "JWT", "com.example.method", |_| {}).await;
    assert!(Unverified::parse(&service, &[Algorithm::Es256k]).is_ok());
    assert!(world.node.host.verify_service(&service, "com.example.method", None).await.is_ok());
}
