//! What is no good where something is done with an OAuth session, or with a service's token: one row for each thing that
//! can be wrong, with the line of the specification that it breaks. None is let in, and nothing comes of any.
//!
//! Where nothing is said, the request is `getSession` with a good token and a good proof, and one thing in it is wrong.

use axum::body::Body;
use axum::http::Method as Http;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use p2pds_crypto::dpop::ath;
use p2pds_crypto::jwk::Jwk;
use p2pds_crypto::jwt::{sign, sign_secret};
use p2pds_crypto::{PrivateKey, Signer as _};
use p2pds_host::sessions::AppPassword;
use p2pds_oauth::{ACCESS_SECONDS, Form};
use p2pds_store::Unit;
use p2pds_store::hosting::LoginPatch;
use p2pds_syntax::Did;
use p2pds_xrpc::XrpcConfig;
use p2pds_xrpc::proxy::{ProxyConfig, Service};
use serde_json::{Map, Value, json};

use crate::apps::{App, Apps, ORIGIN, Proof, key, part};
use crate::hosting::did;
use crate::house::Reply;

const SESSION: &str = "/xrpc/com.atproto.server.getSession";

/// Specification, what is wrong, status, name of the error.
type Row = (&'static str, &'static str, u16, &'static str);

const NOT_A_PROOF: &str = "invalid_dpop_proof";
const NOT_A_TOKEN: &str = "invalid_token";

const PROOFS: [Row; 50] = [
    ("RFC 9449 7.1", "no proof", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (1)", "an empty header", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (1)", "two headers", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (1)", "the same header twice", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (1)", "two proofs in one header", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (2)", "a word", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (2)", "the access token itself", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (3)", "no jti", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (3)", "a jti that is a number", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (3)", "no htm", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (3)", "no htu", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (3)", "no iat", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (4)", "no typ", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (4)", "typ JWT", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (4)", "typ at+jwt", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (5)", "alg none", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (5)", "alg none without signature", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (5)", "alg HS256 with the public key", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (5)", "alg RS256", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (5)", "alg ES256K with a key of P-256", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (6)", "no jwk", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (6)", "another's signature", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (6)", "changed after signing", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (6)", "half a signature", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (6)", "a key that is not on the curve", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (7)", "a jwk with its private part", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (7)", "a symmetric jwk", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (8)", "htm of another method", 401, NOT_A_PROOF),
    ("RFC 9110 9.1", "htm in small letters", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (9)", "htu of another XRPC method", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (9)", "htu of another host", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (9)", "htu of another scheme", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (9)", "htu of another port", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (9)", "htu with a name in it", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (9)", "htu without a host", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (9)", "htu with a slash more", 401, NOT_A_PROOF),
    ("RFC 9449 9", "no nonce", 401, "use_dpop_nonce"),
    ("RFC 9449 4.3 (10)", "an empty nonce", 401, "use_dpop_nonce"),
    ("RFC 9449 4.3 (10)", "another server's nonce", 401, "use_dpop_nonce"),
    ("RFC 9449 8.2", "a nonce of four minutes ago", 401, "use_dpop_nonce"),
    ("RFC 9449 4.2", "a nonce that is a number", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (11)", "made an hour ago", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (11)", "made in an hour", 401, NOT_A_PROOF),
    ("RFC 7519 2", "iat as text", 401, NOT_A_PROOF),
    ("RFC 9449 11.1", "shown before", 401, NOT_A_PROOF),
    ("RFC 9449 11.1", "the jti of another proof", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (12)", "no ath", 401, NOT_A_PROOF),
    ("RFC 9449 4.3 (12)", "ath of another token", 401, NOT_A_PROOF),
    ("RFC 9449 7.1", "another key than the token's", 401, NOT_A_TOKEN),
    ("RFC 7515 4.1.11", "a critical extension", 401, NOT_A_PROOF),
];

/// What is shown as `Authorization` and as `DPoP`.
struct Shown {
    authorization: Vec<String>,
    proofs: Vec<String>,
    path: String,
}

fn good(apps: &Apps, app: &App) -> Proof {
    apps.proof(&app.key, Some(&app.token), "GET", &format!("{ORIGIN}{SESSION}"))
}

async fn ask(apps: &Apps, shown: &Shown) -> Reply {
    let all = shown.authorization.iter().map(|value| ("authorization", value.as_str()));
    let all: Vec<(&str, &str)> =
        all.chain(shown.proofs.iter().map(|value| ("dpop", value.as_str()))).collect();
    apps.door.send_body(Http::GET, &shown.path, &all, Body::empty()).await
}

/// A proof with another header and signature.
fn forged(proof: &Proof, signature: impl FnOnce(&str) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", part(&proof.header), part(&proof.claims));
    let signature = BASE64URL_NOPAD.encode(&signature(&signed));
    format!("{signed}.{signature}")
}

fn hmac(secret: &[u8], proof: &Proof) -> String {
    // The crate signs claims with a header of its own; its signature over that is as wrong as any other over this one.
    let signed = sign_secret(secret, "dpop+jwt", &proof.claims).unwrap();
    let header = part(&proof.clone().head("alg", "HS256").header);
    let mut parts: Vec<&str> = signed.split('.').collect();
    parts[0] = &header;
    parts.join(".")
}

async fn bad_proofs(apps: &Apps, app: &App, how: &str) -> Vec<String> {
    let proof = good(apps, app);
    let address = |path: &str| format!("{ORIGIN}{path}");
    let jwk = Jwk::from_public(app.key.public_key()).to_bare_json();
    let with = |name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        jwk
    };
    let proof = match how {
        "no proof" => return Vec::new(),
        "an empty header" => return vec![String::new()],
        "two headers" => return vec![proof.signed(&app.key), good(apps, app).signed(&app.key)],
        "the same header twice" => return vec![proof.signed(&app.key), proof.signed(&app.key)],
        "two proofs in one header" => {
            return vec![format!("{}, {}", proof.signed(&app.key), good(apps, app).signed(&app.key))];
        }
        "a word" => return vec!["proof".to_owned()],
        "the access token itself" => return vec![app.token.clone()],
        "no jti" => proof.without("jti"),
        "a jti that is a number" => proof.set("jti", 7),
        "no htm" => proof.without("htm"),
        "no htu" => proof.without("htu"),
        "no iat" => proof.without("iat"),
        "no typ" => proof.headless("typ"),
        "typ JWT" => proof.head("typ", "JWT"),
        "typ at+jwt" => proof.head("typ", "at+jwt"),
        "alg none" => proof.head("alg", "none"),
        "alg none without signature" => {
            let proof = proof.head("alg", "none");
            return vec![format!("{}.{}.", part(&proof.header), part(&proof.claims))];
        }
        "alg HS256 with the public key" => return vec![hmac(&app.key.public_key().to_sec1(), &proof)],
        "alg RS256" => proof.head("alg", "RS256"),
        "alg ES256K with a key of P-256" => proof.head("alg", "ES256K"),
        "no jwk" => proof.headless("jwk"),
        "another's signature" => return vec![proof.signed(&key(9_999))],
        "changed after signing" => {
            let signed = proof.signed(&app.key);
            let signature = signed.rsplit('.').next().unwrap();
            let changed = proof.set("jti", "another");
            return vec![format!("{}.{}.{signature}", part(&changed.header), part(&changed.claims))];
        }
        "half a signature" => {
            return vec![forged(&proof, |signed| app.key.sign(signed.as_bytes()).unwrap()[..32].to_vec())];
        }
        "a key that is not on the curve" => {
            proof.head("jwk", with("x", BASE64URL_NOPAD.encode(&[1; 32]).into()))
        }
        "a jwk with its private part" => {
            proof.head("jwk", with("d", BASE64URL_NOPAD.encode(&[1; 32]).into()))
        }
        "a symmetric jwk" => proof.head("jwk", json!({ "kty": "oct", "k": "c2VjcmV0" })),
        "htm of another method" => proof.set("htm", "POST"),
        "htm in small letters" => proof.set("htm", "get"),
        "htu of another XRPC method" => proof.set("htu", address("/xrpc/com.atproto.server.getServiceAuth")),
        "htu of another host" => proof.set("htu", format!("http://other.test{SESSION}")),
        "htu of another scheme" => proof.set("htu", format!("https://pds.test{SESSION}")),
        "htu of another port" => proof.set("htu", format!("http://pds.test:8080{SESSION}")),
        "htu with a name in it" => proof.set("htu", format!("http://alice@pds.test{SESSION}")),
        "htu without a host" => proof.set("htu", SESSION),
        "htu with a slash more" => proof.set("htu", address(&format!("{SESSION}/"))),
        "no nonce" => proof.without("nonce"),
        "an empty nonce" => proof.set("nonce", ""),
        "another server's nonce" => {
            proof.set("nonce", apps.node.host.authorization_server().unwrap().nonce())
        }
        "a nonce of four minutes ago" => {
            let nonce = apps.oauth.nonce();
            apps.wait(240);
            good(apps, app).set("nonce", nonce)
        }
        "a nonce that is a number" => proof.set("nonce", 7),
        "made an hour ago" => proof.set("iat", apps.now() - 3_600),
        "made in an hour" => proof.set("iat", apps.now() + 3_600),
        "iat as text" => proof.set("iat", apps.now().to_string()),
        "shown before" => {
            let signed = proof.signed(&app.key);
            let first = shown(app, vec![signed.clone()]);
            assert_eq!(ask(apps, &first).await.status, 200);
            return vec![signed];
        }
        "the jti of another proof" => {
            assert_eq!(ask(apps, &shown(app, vec![proof.signed(&app.key)])).await.status, 200);
            let jti = proof.claims["jti"].clone();
            good(apps, app).set("jti", jti)
        }
        "no ath" => proof.without("ath"),
        "ath of another token" => proof.set("ath", ath("another")),
        "another key than the token's" => {
            let other = key(9_998);
            let proof = apps.proof(&other, Some(&app.token), "GET", &address(SESSION));
            return vec![proof.signed(&other)];
        }
        "a critical extension" => proof.head("crit", json!(["exp"])),
        other => panic!("{other}"),
    };
    vec![proof.signed(&app.key)]
}

fn shown(app: &App, proofs: Vec<String>) -> Shown {
    Shown { authorization: vec![format!("DPoP {}", app.token)], proofs, path: SESSION.to_owned() }
}

fn check(reply: &Reply, (specification, how, status, name): Row) {
    let at = || format!("{specification}: {how}: {reply:?}");
    assert_eq!((reply.status, reply.error().as_str()), (status, name), "{}", at());
    if status == 401 && !name.starts_with(|c: char| c.is_ascii_uppercase()) {
        let challenge = reply.header("www-authenticate");
        assert!(
            challenge.starts_with("DPoP ") && challenge.contains(&format!("error=\"{name}\"")),
            "{}",
            at()
        );
        assert!(!reply.header("dpop-nonce").is_empty(), "{}", at());
        assert_eq!(reply.header("access-control-expose-headers"), "*", "{}", at());
    }
    assert_eq!(reply.header("cache-control"), "private", "{}", at());
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_that_prove_nothing() {
    let apps = Apps::new(1, XrpcConfig::default()).await;
    for row in PROOFS {
        // Of a session of its own, so that what one row does is not what the next one sees.
        let app = apps.sign_in(1, "atproto").await;
        let proof = good(&apps, &app).signed(&app.key);
        assert_eq!(ask(&apps, &shown(&app, vec![proof])).await.status, 200, "{row:?}");
        let proofs = bad_proofs(&apps, &app, row.1).await;
        check(&ask(&apps, &shown(&app, proofs)).await, row);
        // What was refused spoils nothing.
        let proof = good(&apps, &app).signed(&app.key);
        assert_eq!(ask(&apps, &shown(&app, vec![proof])).await.status, 200, "{row:?}");
    }
}

const TOKENS: [Row; 27] = [
    ("RFC 9449 7.1", "as Bearer", 400, "InvalidToken"),
    ("RFC 9449 7.1", "as Bearer with its proof", 400, "InvalidToken"),
    ("RFC 9449 7.1", "as Basic", 401, "AuthenticationRequired"),
    ("RFC 6750 2.3", "in the query", 401, "AuthMissing"),
    ("RFC 9110 11.6.2", "two values after the scheme", 400, "InvalidToken"),
    ("RFC 9110 5.3", "in two headers", 400, "InvalidToken"),
    ("RFC 9449 7.1", "a session's token, of a password", 401, NOT_A_TOKEN),
    ("RFC 9449 7.1", "a session's token, of an app password", 401, NOT_A_TOKEN),
    ("RFC 9068 4", "a session's refresh token", 401, NOT_A_TOKEN),
    ("RFC 6749 1.5", "the application's refresh token", 401, NOT_A_TOKEN),
    ("RFC 9068 4", "typ JWT", 401, NOT_A_TOKEN),
    ("RFC 9068 4", "typ refresh+jwt", 401, NOT_A_TOKEN),
    ("RFC 8725 3.1", "alg none", 401, NOT_A_TOKEN),
    ("RFC 8725 3.1", "signed with the application's own key", 401, NOT_A_TOKEN),
    ("RFC 9068 4", "of another secret", 401, NOT_A_TOKEN),
    ("RFC 9068 4", "of another host", 401, NOT_A_TOKEN),
    ("RFC 9068 4", "for another audience", 401, NOT_A_TOKEN),
    ("RFC 9068 4", "by another issuer", 401, NOT_A_TOKEN),
    ("RFC 6750 3.1", "expired", 401, NOT_A_TOKEN),
    ("RFC 9449 6.1", "without its key", 401, NOT_A_TOKEN),
    ("RFC 9449 6.1", "with another key in it", 401, NOT_A_TOKEN),
    ("RFC 6750 3.1", "in another account's name", 401, NOT_A_TOKEN),
    ("RFC 6750 3.1", "of a session that there is not", 401, NOT_A_TOKEN),
    ("RFC 6750 3.1", "with another session's name", 401, NOT_A_TOKEN),
    ("RFC 7009 2", "after it was revoked", 401, NOT_A_TOKEN),
    ("RFC 6750 3.1", "after its owner ended the session", 401, NOT_A_TOKEN),
    ("RFC 7519 4.1.5", "not valid yet", 401, NOT_A_TOKEN),
];

fn claims_of(token: &str) -> Map<String, Value> {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap()).unwrap()
}

/// The proof that would go with any token of this key.
fn with_proof(apps: &Apps, key: &PrivateKey, token: &str) -> Shown {
    let proof = apps.proof(key, Some(token), "GET", &format!("{ORIGIN}{SESSION}")).signed(key);
    Shown { authorization: vec![format!("DPoP {token}")], proofs: vec![proof], path: SESSION.to_owned() }
}

async fn bad_token(apps: &Apps, app: &App, how: &str) -> Shown {
    let good = with_proof(apps, &app.key, &app.token);
    let secret = apps.node.host.keys().jwt();
    let resigned = |change: &dyn Fn(&mut Map<String, Value>)| {
        let mut claims = claims_of(&app.token);
        change(&mut claims);
        sign_secret(secret, "at+jwt", &claims).unwrap()
    };
    let set = |name: &'static str, value: Value| {
        resigned(&move |claims| {
            claims.insert(name.to_owned(), value.clone());
        })
    };
    let session = async |app: Option<AppPassword>| {
        let session = apps.node.host.new_session(&did(1), app, false).unwrap();
        apps.node.store.apply(session.unit).await.unwrap();
        (session.tokens.access.to_string(), session.tokens.refresh.to_string())
    };
    let token = match how {
        "as Bearer" => {
            return Shown {
                authorization: vec![format!("Bearer {}", app.token)],
                proofs: Vec::new(),
                ..good
            };
        }
        "as Bearer with its proof" => {
            return Shown { authorization: vec![format!("Bearer {}", app.token)], ..good };
        }
        "as Basic" => {
            let basic = BASE64.encode(format!("admin:{}", app.token).as_bytes());
            return Shown { authorization: vec![format!("Basic {basic}")], ..good };
        }
        "in the query" => {
            let path = format!("{SESSION}?access_token={}", app.token);
            return Shown { authorization: Vec::new(), path, ..good };
        }
        "two values after the scheme" => {
            return Shown { authorization: vec![format!("DPoP {0} {0}", app.token)], ..good };
        }
        "in two headers" => {
            return Shown { authorization: vec![format!("DPoP {}", app.token); 2], ..good };
        }
        "a session's token, of a password" => session(None).await.0,
        "a session's token, of an app password" => {
            session(Some(AppPassword { name: "phone".to_owned(), privileged: true })).await.0
        }
        "a session's refresh token" => session(None).await.1,
        "the application's refresh token" => app.refresh.clone(),
        "typ JWT" => sign_secret(secret, "JWT", &claims_of(&app.token)).unwrap(),
        "typ refresh+jwt" => sign_secret(secret, "refresh+jwt", &claims_of(&app.token)).unwrap(),
        "alg none" => {
            let header = BASE64URL_NOPAD.encode(br#"{"typ":"at+jwt","alg":"none"}"#);
            format!("{header}.{}.", part(&claims_of(&app.token)))
        }
        "signed with the application's own key" => {
            sign(&app.key, "at+jwt", None, &claims_of(&app.token)).unwrap()
        }
        "of another secret" => {
            sign_secret(b"another secret of some length", "at+jwt", &claims_of(&app.token)).unwrap()
        }
        "of another host" => {
            let other = Apps::new(1, XrpcConfig::default()).await;
            let there = other.sign_in(1, "atproto").await;
            return with_proof(apps, &there.key, &there.token);
        }
        "for another audience" => set("aud", "did:web:other.test".into()),
        "by another issuer" => set("iss", "https://other.test".into()),
        "expired" => {
            apps.wait(i64::try_from(ACCESS_SECONDS).unwrap() + 2);
            app.token.clone()
        }
        "without its key" => resigned(&|claims| {
            claims.remove("cnf");
        }),
        "with another key in it" => {
            let other = key(9_997);
            let jkt = Jwk::from_public(other.public_key()).thumbprint();
            return with_proof(apps, &other, &set("cnf", json!({ "jkt": jkt })));
        }
        "in another account's name" => set("sub", did(2).as_str().into()),
        "of a session that there is not" => set("sid", "none".into()),
        "with another session's name" => {
            let other = apps.sign_in(2, "atproto transition:generic").await;
            set("sid", claims_of(&other.token)["sid"].clone())
        }
        "after it was revoked" => {
            let form = Form::of_pairs(&[("client_id", &app.client), ("token", &app.token)]).unwrap();
            apps.oauth.revoke(&form, &[]).await.unwrap();
            app.token.clone()
        }
        "after its owner ended the session" => {
            let grants = apps.oauth.grants(&app.did).await.unwrap();
            let sid = claims_of(&app.token)["sid"].as_str().unwrap().to_owned();
            assert!(grants.iter().any(|grant| grant.session == sid));
            assert!(apps.oauth.revoke_grant(&app.did, &sid).await.unwrap());
            app.token.clone()
        }
        "not valid yet" => set("nbf", (apps.now() + 600).into()),
        other => panic!("{other}"),
    };
    with_proof(apps, &app.key, &token)
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_open_nothing() {
    let apps = Apps::new(2, XrpcConfig::default()).await;
    for row in TOKENS {
        let app = apps.sign_in(1, "atproto transition:generic").await;
        let before = with_proof(&apps, &app.key, &app.token);
        assert_eq!(ask(&apps, &before).await.status, 200, "{row:?}");
        let shown = bad_token(&apps, &app, row.1).await;
        check(&ask(&apps, &shown).await, row);
    }
    // The forger of this file is not a fool: with nothing changed his tokens are good.
    let app = apps.sign_in(1, "atproto").await;
    let again = sign_secret(apps.node.host.keys().jwt(), "at+jwt", &claims_of(&app.token)).unwrap();
    assert_eq!(ask(&apps, &with_proof(&apps, &app.key, &again)).await.status, 200);
}

/// The account decides as for other sessions: what is taken down does nothing, what is at rest does not write.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_may_not() {
    let apps = Apps::new(2, XrpcConfig::default()).await;
    let (tara, dora) = (apps.sign_in(1, "atproto repo:*").await, apps.sign_in(2, "atproto repo:*").await);
    let patch = |number, patch| Unit::PatchLogin { did: did(number), patch: Box::new(patch) };
    let taken = LoginPatch { takedown: Some(Some("spam".to_owned())), ..LoginPatch::default() };
    let resting = LoginPatch { deactivated_at: Some(Some(1)), ..LoginPatch::default() };
    apps.node.store.apply(patch(1, taken)).await.unwrap();
    apps.node.store.apply(patch(2, resting)).await.unwrap();
    let reply = apps.get(&tara, SESSION).await;
    assert!(
        reply.status == 401 && ["AccountTakedown", "invalid_token"].contains(&reply.error().as_str()),
        "{reply:?}"
    );
    let write = |app: &App| {
        let record = json!({ "$type": "com.example.thing", "text": "x" });
        json!({ "repo": app.did, "collection": "com.example.thing", "record": record })
    };
    assert_eq!(apps.get(&dora, SESSION).await.status, 200);
    let reply = apps.post(&dora, "/xrpc/com.atproto.repo.createRecord", write(&dora)).await;
    assert_eq!((reply.status, reply.error().as_str()), (401, "AccountDeactivated"));
}

const PERMISSION: &str = "https://atproto.com/specs/permission";

/// What is granted, and what is tried with it.
const SCOPES: [(&str, &str, u16, &str); 22] = [
    ("atproto", "create a post", 403, "ScopeMissingError"),
    ("atproto repo:app.bsky.feed.like", "create a post", 403, "ScopeMissingError"),
    ("atproto repo:app.bsky.feed.post?action=update", "create a post", 403, "ScopeMissingError"),
    ("atproto repo:app.bsky.feed.post?action=create", "delete a post", 403, "ScopeMissingError"),
    ("atproto repo:app.bsky.feed.post?action=create", "put a post", 403, "ScopeMissingError"),
    ("atproto repo:app.bsky.feed.post", "write a post and a like", 403, "ScopeMissingError"),
    ("atproto repo:*", "create in another's repo", 401, "AuthenticationRequired"),
    ("atproto transition:email transition:chat.bsky", "create a post", 403, "ScopeMissingError"),
    ("atproto blob:image/*", "upload a film", 403, "ScopeMissingError"),
    ("atproto blob:video/*", "upload a picture as a film", 403, "ScopeMissingError"),
    ("atproto blob:image/png", "upload anything", 403, "ScopeMissingError"),
    ("atproto transition:generic", "read direct messages", 403, "ScopeMissingError"),
    ("atproto transition:generic", "read direct messages in capitals", 403, "ScopeMissingError"),
    ("atproto transition:generic", "ask for a token for direct messages", 403, "ScopeMissingError"),
    ("atproto transition:generic", "change the handle", 403, "ScopeMissingError"),
    ("atproto transition:generic", "ask for a PLC operation", 403, "ScopeMissingError"),
    ("atproto transition:generic", "deactivate the account", 403, "ScopeMissingError"),
    (
        "atproto transition:generic identity:* account:status?action=manage",
        "make an app password",
        403,
        "Forbidden",
    ),
    ("atproto account:email?action=manage", "change the address", 403, "Forbidden"),
    (
        "atproto rpc:app.bsky.feed.getTimeline?aud=*",
        "ask for a token for every method",
        403,
        "ScopeMissingError",
    ),
    (
        "atproto rpc:*?aud=did:web:api.example.com%23bsky_appview",
        "call another service",
        403,
        "ScopeMissingError",
    ),
    ("atproto rpc:app.bsky.feed.getFeed?aud=*", "read a feed without its skeleton", 403, "ScopeMissingError"),
];

async fn tried(apps: &Apps, app: &App, what: &str) -> Reply {
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    const RKEY: &str = "3jzfcijpj2z2a";
    let record = |kind: &str| json!({ "$type": kind, "text": "x", "createdAt": "2026-01-01T00:00:00.000Z" });
    let repo = |method: &str| format!("/xrpc/com.atproto.repo.{method}");
    let server = |method: &str| format!("/xrpc/com.atproto.server.{method}");
    let post = "app.bsky.feed.post";
    let upload = async |kind: &str, bytes: &'static [u8]| {
        apps.call(app, &Http::POST, &repo("uploadBlob"), &[("content-type", kind)], bytes).await
    };
    let at = |did: &Did| json!({ "repo": did, "collection": post, "rkey": RKEY, "validate": false, "record": record(post) });
    match what {
        "create a post" => apps.post(app, &repo("createRecord"), at(&app.did)).await,
        "create in another's repo" => apps.post(app, &repo("createRecord"), at(&did(2))).await,
        "put a post" => apps.post(app, &repo("putRecord"), at(&app.did)).await,
        "delete a post" => {
            apps.post(
                app,
                &repo("deleteRecord"),
                json!({ "repo": app.did, "collection": post, "rkey": RKEY }),
            )
            .await
        }
        "write a post and a like" => {
            let item = |kind: &str| json!({ "$type": "com.atproto.repo.applyWrites#create", "collection": kind, "value": record(kind) });
            let writes = json!({ "repo": app.did, "validate": false, "writes": [item(post), item("app.bsky.feed.like")] });
            apps.post(app, &repo("applyWrites"), writes).await
        }
        "upload a film" => upload("video/mp4", b"nothing").await,
        "upload a picture as a film" => upload("video/mp4", PNG).await,
        "upload anything" => upload("*/*", PNG).await,
        "read direct messages" => apps.get(app, "/xrpc/chat.bsky.convo.getLog").await,
        "read direct messages in capitals" => apps.get(app, "/xrpc/CHAT.bsky.convo.getLog").await,
        "ask for a token for direct messages" => {
            let path = server("getServiceAuth?aud=did:web:chat.example&lxm=chat.bsky.convo.getLog");
            apps.get(app, &path).await
        }
        "ask for a token for every method" => {
            apps.get(app, &server("getServiceAuth?aud=did:web:api.example.com%23x")).await
        }
        "change the handle" => {
            apps.post(app, "/xrpc/com.atproto.identity.updateHandle", json!({ "handle": "thief.pds.test" }))
                .await
        }
        "ask for a PLC operation" => {
            let path = "/xrpc/com.atproto.identity.requestPlcOperationSignature";
            apps.call(app, &Http::POST, path, &[], Body::empty()).await
        }
        "deactivate the account" => apps.post(app, &server("deactivateAccount"), json!({})).await,
        "make an app password" => {
            apps.post(app, &server("createAppPassword"), json!({ "name": "mine" })).await
        }
        "change the address" => {
            apps.post(app, &server("updateEmail"), json!({ "email": "thief@other.example" })).await
        }
        "call another service" => {
            let other = [("atproto-proxy", "did:web:other.example#svc")];
            apps.call(app, &Http::GET, "/xrpc/app.bsky.feed.getTimeline", &other, Body::empty()).await
        }
        "read a feed without its skeleton" => {
            let path =
                "/xrpc/app.bsky.feed.getFeed?feed=at://did:web:user1.example/app.bsky.feed.generator/x";
            apps.get(app, path).await
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_granted_is_not_done() {
    let view =
        Service { did: Did::parse("did:web:api.example.com").unwrap(), url: "http://127.0.0.1:1".to_owned() };
    let proxy = ProxyConfig { app_view: Some(view), ..ProxyConfig::default() };
    let apps = Apps::new(2, XrpcConfig { proxy, ..XrpcConfig::default() }).await;
    let head = async || apps.node.store.live_repo(&did(1)).await.unwrap().unwrap().rev;
    let login = async || {
        let login = apps.node.store.login(&did(1)).await.unwrap().unwrap();
        (login.email, login.deactivated_at, login.password)
    };
    let (rev, before) = (head().await, login().await);
    for (scope, what, status, name) in SCOPES {
        let app = apps.sign_in(1, scope).await;
        let reply = tried(&apps, &app, what).await;
        check(&reply, (PERMISSION, what, status, name));
        if name == "ScopeMissingError" {
            let needed = reply.json()["message"].as_str().unwrap().to_owned();
            let scope =
                needed.strip_prefix("Missing required scope \"").unwrap().trim_end_matches('"').to_owned();
            assert!(reply.header("www-authenticate").contains(&format!("scope=\"{scope}\"")), "{reply:?}");
        }
        assert_eq!((head().await, login().await), (rev, before.clone()), "{scope}: {what}");
    }
    let totals = apps.node.store.blob_totals(&did(1)).await.unwrap();
    assert_eq!((totals.count, totals.bytes), (0, 0), "nothing was kept of the uploads");
}

const SERVICE: [Row; 22] = [
    ("xrpc, inter-service (lxm)", "no lxm", 401, "BadJwtLexiconMethod"),
    ("xrpc, inter-service (lxm)", "lxm of another method", 401, "BadJwtLexiconMethod"),
    ("xrpc, inter-service (lxm)", "lxm is a list", 401, "BadJwt"),
    ("xrpc, inter-service (aud)", "no aud", 401, "BadJwtAudience"),
    ("xrpc, inter-service (aud)", "aud of another host", 401, "BadJwtAudience"),
    ("xrpc, inter-service (aud)", "aud of another entry", 401, "BadJwtAudience"),
    ("xrpc, inter-service (aud)", "aud that begins with ours", 401, "BadJwtAudience"),
    ("xrpc, inter-service (exp)", "no exp", 401, "BadJwt"),
    ("xrpc, inter-service (exp)", "expired", 401, "JwtExpired"),
    ("xrpc, inter-service (exp)", "good for a day", 401, "BadJwt"),
    ("xrpc, inter-service (iat)", "issued in an hour", 401, "BadJwt"),
    ("xrpc, inter-service (iss)", "no iss", 401, "BadJwtIss"),
    ("xrpc, inter-service (iss)", "iss with a fragment", 401, "BadJwtIss"),
    ("xrpc, inter-service (iss)", "iss of another account", 401, "BadJwtSignature"),
    ("xrpc, inter-service (jti)", "shown before", 401, "BadJwt"),
    ("xrpc, inter-service (kid)", "kid of another key", 401, "BadJwt"),
    ("xrpc, inter-service (typ)", "typ at+jwt", 401, "BadJwtType"),
    ("xrpc, inter-service (typ)", "typ refresh+jwt", 401, "BadJwtType"),
    ("xrpc, inter-service (typ)", "typ dpop+jwt", 401, "BadJwtType"),
    ("RFC 8725 3.1", "alg none", 400, "InvalidToken"),
    ("RFC 8725 3.1", "alg HS256 with the public key", 400, "InvalidToken"),
    ("RFC 9449 7.1", "as DPoP with a proof", 401, NOT_A_TOKEN),
];

#[tokio::test(flavor = "multi_thread")]
async fn services_tokens_that_open_nothing() {
    const LXM: &str = "com.atproto.repo.uploadBlob";
    let apps = Apps::new(2, XrpcConfig::default()).await;
    let host = &apps.node.host;
    let login = apps.node.store.login(&did(1)).await.unwrap().unwrap();
    let signer = host.keys().unwrap(&login.signing_key, &did(1)).unwrap();
    let send = async |scheme: &str, token: &str, proof: Option<&str>| {
        let bearer = format!("{scheme} {token}");
        let mut all = vec![("authorization", bearer.as_str()), ("content-type", "text/plain")];
        all.extend(proof.map(|proof| ("dpop", proof)));
        apps.door.send_body(Http::POST, &format!("/xrpc/{LXM}"), &all, Body::from("x")).await
    };
    let mut refused = 0;
    for row in std::iter::once(("", "good", 200, "")).chain(SERVICE) {
        let now = apps.now();
        let mut claims = json!({
            "iss": did(1), "aud": "did:web:pds.test#atproto_pds", "iat": now, "exp": now + 60, "lxm": LXM,
            "jti": format!("service-{}", apps.number()),
        });
        let map = claims.as_object_mut().unwrap();
        let (mut typ, mut kid) = ("JWT", None);
        match row.1 {
            "no lxm" | "no aud" | "no exp" | "no iss" => {
                map.remove(row.1.trim_start_matches("no "));
            }
            "lxm of another method" => map["lxm"] = "com.atproto.repo.importRepo".into(),
            "lxm is a list" => map["lxm"] = json!([LXM]),
            "aud of another host" => map["aud"] = "did:web:other.test".into(),
            "aud of another entry" => map["aud"] = "did:web:pds.test#bsky_appview".into(),
            "aud that begins with ours" => map["aud"] = "did:web:pds.test.other.example".into(),
            "expired" => map["exp"] = (now - 1).into(),
            "good for a day" => map["exp"] = (now + 86_400).into(),
            "issued in an hour" => {
                map["iat"] = (now + 3_600).into();
                map["exp"] = (now + 3_660).into();
            }
            "iss with a fragment" => map["iss"] = format!("{}#atproto_labeler", did(1)).into(),
            "iss of another account" => map["iss"] = did(2).as_str().into(),
            "kid of another key" => kid = Some("#other"),
            "typ at+jwt" => typ = "at+jwt",
            "typ refresh+jwt" => typ = "refresh+jwt",
            "typ dpop+jwt" => typ = "dpop+jwt",
            _ => {}
        }
        let token = match row.1 {
            "alg none" => {
                let header = BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"none"}"#);
                format!("{header}.{}.", part(map))
            }
            "alg HS256 with the public key" => {
                sign_secret(&signer.public_key().to_sec1(), "JWT", map).unwrap()
            }
            _ => sign(signer.as_ref(), typ, kid, map).unwrap(),
        };
        let reply = match row.1 {
            "good" => {
                assert_eq!(send("Bearer", &token, None).await.status, 200, "the forger can make good ones");
                continue;
            }
            "shown before" => {
                assert_eq!(send("Bearer", &token, None).await.status, 200);
                send("Bearer", &token, None).await
            }
            "as DPoP with a proof" => {
                let own = key(9_996);
                let proof =
                    apps.proof(&own, Some(&token), "POST", &format!("{ORIGIN}/xrpc/{LXM}")).signed(&own);
                send("DPoP", &token, Some(&proof)).await
            }
            _ => send("Bearer", &token, None).await,
        };
        check(&reply, row);
        refused += 1;
    }
    assert_eq!(refused, SERVICE.len());
}

/// What goes well: proofs of which only the harmless differs.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_differ() {
    let apps = Apps::new(1, XrpcConfig::default()).await;
    let app = apps.sign_in(1, "atproto").await;
    let fine = async |proof: Proof| ask(&apps, &shown(&app, vec![proof.signed(&app.key)])).await.status;
    assert_eq!(fine(good(&apps, &app).set("htu", format!("http://PDS.test:80{SESSION}?x=y#z"))).await, 200);
    assert_eq!(fine(good(&apps, &app).set("iat", apps.now() - 100)).await, 200);
    assert_eq!(fine(good(&apps, &app).set("exp", apps.now() + 60)).await, 200);
    let nonce = apps.oauth.nonce();
    apps.wait(100);
    assert_eq!(fine(good(&apps, &app).set("nonce", nonce)).await, 200, "the one before is good for a while");
    // Small letters in the scheme, and a request to the end of the path.
    let path = format!("{SESSION}/");
    let proof = good(&apps, &app).set("htu", format!("{ORIGIN}{path}")).signed(&app.key);
    let authorization = vec![format!("dpop {}", app.token)];
    assert_eq!(ask(&apps, &Shown { authorization, proofs: vec![proof], path }).await.status, 200);
}
