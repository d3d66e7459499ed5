//! What must not work: one row for each way, with the line of the specification that forbids it. Each row spoils one thing
//! in a request that is right in every other way, and the table is checked by sending that request unspoiled as well.

use p2pds_crypto::jwk::Jwk;
use p2pds_crypto::{PrivateKey, Signer as _, jwt, pkce};
use p2pds_oauth::{Begun, OAuthError, Redirect, Tokens};
use serde_json::{Map, Value, json};

use crate::app::{App, Ask, DAY, DECLARED, ISSUER, MINUTE, Proof, SECOND, World, key};
use crate::site::Page;

/// Specification, what is wrong, the error that it is told with, and how a right request is spoiled.
type Row = (&'static str, &'static str, &'static str, fn(Ask<'_>) -> Ask<'_>);

const PAR: &[Row] = &[
    // --- The form of a request.
    ("RFC 6749 3.1", "a parameter twice", "invalid_request", |mut ask| {
        ask.pairs.push(("state".to_owned(), "another".to_owned()));
        ask
    }),
    ("RFC 6749 3.1", "client_id twice", "invalid_request", |mut ask| {
        ask.pairs.push(("client_id".to_owned(), "http://localhost".to_owned()));
        ask
    }),
    ("RFC 6749 4.1.1", "no client_id", "invalid_request", |ask| ask.without("client_id")),
    ("RFC 6749 4.1.1", "no response_type", "invalid_request", |ask| ask.without("response_type")),
    ("RFC 6749 3.1.1", "an unknown response_type", "unsupported_response_type", |ask| {
        ask.with("response_type", "token")
    }),
    ("OIDC Core 3", "an id_token", "unsupported_response_type", |ask| {
        ask.with("response_type", "code id_token")
    }),
    ("OAuth 2.0 Multiple Response Types 2.1", "an unknown response_mode", "invalid_request", |ask| {
        ask.with("response_mode", "web_message")
    }),
    ("RFC 9126 2.1", "a request_uri in a pushed request", "invalid_request", |ask| {
        ask.with("request_uri", "urn:ietf:params:oauth:request_uri:req-x")
    }),
    ("RFC 9396 5", "authorization_details", "invalid_authorization_details", |ask| {
        ask.with("authorization_details", "[]")
    }),
    ("OIDC Core 3.1.2.1", "an unknown prompt", "invalid_request", |ask| ask.with("prompt", "sudo")),
    ("OIDC Core 3.1.2.1", "two prompts of which one is none", "invalid_request", |ask| {
        ask.with("prompt", "none login")
    }),
    ("OIDC Core 3.1.2.1", "a max_age that is no number", "invalid_request", |ask| ask.with("max_age", "-1")),
    ("atproto OAuth, Public Clients", "a public client that asks for silence", "invalid_request", |ask| {
        ask.with("prompt", "none")
    }),
    ("atproto OAuth, login_hint", "a hint that is neither handle nor DID", "invalid_request", |ask| {
        ask.with("login_hint", "<script>")
    }),
    ("limits", "a state without end", "invalid_request", |ask| ask.with("state", &"s".repeat(2_049))),
    // --- Where people are sent back to.
    ("RFC 6749 3.1.2.3", "another redirect_uri", "invalid_request", |ask| {
        ask.with("redirect_uri", "https://evil.example.com/callback")
    }),
    ("RFC 9700 4.1.3", "a redirect_uri with more behind it", "invalid_request", |ask| {
        ask.with("redirect_uri", "http://127.0.0.1:5000/callback/../evil")
    }),
    ("RFC 9700 4.1.3", "a redirect_uri with a query", "invalid_request", |ask| {
        ask.with("redirect_uri", "http://127.0.0.1:5000/callback?x=y")
    }),
    ("RFC 6749 3.1.2", "a redirect_uri with a fragment", "invalid_request", |ask| {
        ask.with("redirect_uri", "http://127.0.0.1:5000/callback#x")
    }),
    ("RFC 8252 7.3", "another port than the declared one", "invalid_request", |ask| {
        ask.with("redirect_uri", "http://127.0.0.1:5001/callback")
    }),
    ("RFC 8252 8.3", "loopback by its name", "invalid_request", |ask| {
        ask.with("redirect_uri", "http://localhost:5000/callback")
    }),
    ("RFC 8252 7.3", "another number of loopback", "invalid_request", |ask| {
        ask.with("redirect_uri", "http://[::1]:5000/callback")
    }),
    ("RFC 3986 3.2.1", "a name before the host", "invalid_request", |ask| {
        ask.with("redirect_uri", "http://127.0.0.1:5000@evil.example.com/callback")
    }),
    // --- Scopes.
    ("atproto OAuth, Scopes", "no scope", "invalid_scope", |ask| ask.without("scope")),
    ("atproto OAuth, Scopes", "no atproto", "invalid_scope", |ask| ask.with("scope", "transition:generic")),
    ("atproto OAuth, Scopes", "OpenID Connect", "invalid_scope", |ask| ask.with("scope", "atproto openid")),
    ("atproto OAuth, Scopes", "OpenID Connect, which is declared", "invalid_scope", |ask| {
        let id = format!("{}%20openid", ask.app.id);
        ask.with("client_id", &id).with("scope", "atproto openid")
    }),
    ("atproto OAuth, Client Metadata", "more than is declared", "invalid_scope", |ask| {
        ask.with("scope", "atproto transition:chat.bsky")
    }),
    ("atproto OAuth, Client Metadata", "what a declared scope would cover", "invalid_scope", |ask| {
        ask.with("scope", "atproto repo:com.example.thing?action=create")
    }),
    ("atproto OAuth, Client Metadata", "an unknown scope that is not declared", "invalid_scope", |ask| {
        ask.with("scope", "atproto super:everything")
    }),
    ("RFC 6749 3.3", "two spaces", "invalid_scope", |ask| ask.with("scope", "atproto  transition:generic")),
    ("RFC 6749 3.3", "a quote", "invalid_scope", |ask| ask.with("scope", "atproto \"")),
    // --- PKCE.
    ("RFC 7636 4.4.1", "no code_challenge", "invalid_request", |ask| ask.without("code_challenge")),
    ("RFC 7636 4.3", "no code_challenge_method, which would be plain", "invalid_request", |ask| {
        ask.without("code_challenge_method")
    }),
    ("atproto OAuth, PKCE", "plain", "invalid_request", |ask| ask.with("code_challenge_method", "plain")),
    ("RFC 7636 4.3", "an unknown method", "invalid_request", |ask| ask.with("code_challenge_method", "S512")),
    ("RFC 7636 4.2", "a challenge that is too short", "invalid_request", |ask| {
        ask.with("code_challenge", "abc")
    }),
    ("RFC 7636 4.2", "a challenge with padding", "invalid_request", |ask| {
        let padded = format!("{}=", pkce::challenge_s256("x"));
        ask.with("code_challenge", &padded)
    }),
    // --- Proofs of possession.
    ("RFC 9449 10", "no proof and no dpop_jkt", "invalid_dpop_proof", |ask| ask.proofs(&[])),
    ("RFC 9449 4.3 (1)", "two proofs", "invalid_dpop_proof", |ask| {
        let proof = |ask: &Ask<'_>| {
            let url = format!("{ISSUER}/oauth/par");
            ask.app.prove(ask.world, &Proof { htm: "POST", htu: &url, ..Proof::default() })
        };
        let both = [proof(&ask), proof(&ask)];
        ask.proofs(&both)
    }),
    ("RFC 9449 4.3 (2)", "no token", "invalid_dpop_proof", |ask| ask.proofs(&["proof".to_owned()])),
    ("RFC 9449 4.3 (8)", "another method", "invalid_dpop_proof", |ask| {
        ask.proof(Proof { htm: "GET", ..Proof::default() })
    }),
    ("RFC 9449 4.3 (9)", "another path", "invalid_dpop_proof", |ask| {
        ask.proof(Proof { htu: "http://pds.test/oauth/token", ..Proof::default() })
    }),
    ("RFC 9449 4.3 (9)", "another host", "invalid_dpop_proof", |ask| {
        ask.proof(Proof { htu: "http://pds2.test/oauth/par", ..Proof::default() })
    }),
    ("RFC 9449 4.3 (9)", "another scheme", "invalid_dpop_proof", |ask| {
        ask.proof(Proof { htu: "https://pds.test/oauth/par", ..Proof::default() })
    }),
    ("RFC 9449 4.3 (10)", "no nonce", "use_dpop_nonce", |ask| {
        ask.proof(Proof { nonce: Some(None), ..Proof::default() })
    }),
    ("RFC 9449 8", "a nonce of somebody else", "use_dpop_nonce", |ask| {
        ask.proof(Proof { nonce: Some(Some("AAAAAAAAAAAAAAAAAAAAAA")), ..Proof::default() })
    }),
    ("RFC 9449 8", "a nonce that is older than three minutes", "use_dpop_nonce", |ask| {
        let nonce = ask.world.oauth.nonce();
        ask.world.pass(181 * SECOND);
        ask.proof(Proof { nonce: Some(Some(&nonce)), ..Proof::default() })
    }),
    ("RFC 9449 4.3 (11)", "a proof of an hour ago", "invalid_dpop_proof", |ask| {
        ask.proof(Proof { later: -3_600, ..Proof::default() })
    }),
    ("RFC 9449 4.3 (11)", "a proof of the future", "invalid_dpop_proof", |ask| {
        ask.proof(Proof { later: 3_600, ..Proof::default() })
    }),
    ("RFC 9449 10", "dpop_jkt of another key", "invalid_dpop_proof", |ask| {
        let other = Jwk::from_public(key(77).public_key()).thumbprint();
        ask.with("dpop_jkt", &other)
    }),
    ("RFC 9449 4.2", "signed with a shared secret", "invalid_dpop_proof", |ask| {
        let proof = jwt::sign_secret(b"secret", "dpop+jwt", &claims_of(&ask)).unwrap();
        ask.proofs(&[proof])
    }),
    ("RFC 9449 4.3 (5)", "alg none", "invalid_dpop_proof", |ask| {
        let part = |value: &Value| data_encoding::BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let jwk = Jwk::from_public(ask.app.key.public_key()).to_bare_json();
        let header = json!({ "typ": "dpop+jwt", "alg": "none", "jwk": jwk });
        let proof = format!("{}.{}.AA", part(&header), part(&Value::Object(claims_of(&ask))));
        ask.proofs(&[proof])
    }),
    ("RFC 9449 4.3 (4)", "a token of another kind", "invalid_dpop_proof", |ask| {
        let proof = jwt::sign(&ask.app.key, "JWT", None, &claims_of(&ask)).unwrap();
        ask.proofs(&[proof])
    }),
    ("RFC 9449 4.3 (7)", "a signature that was changed", "invalid_dpop_proof", |ask| {
        let url = format!("{ISSUER}/oauth/par");
        let proof = ask.app.prove(ask.world, &Proof { htm: "POST", htu: &url, ..Proof::default() });
        let (signed, signature) = proof.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        let proof = format!("{signed}.{first}{}", &signature[1..]);
        ask.proofs(&[proof])
    }),
    // --- How public clients prove themselves.
    ("RFC 6749 2.3", "an assertion of a client that has no keys", "invalid_client", |ask| {
        ask.with("client_assertion_type", ASSERTION).with("client_assertion", "a.b.c")
    }),
    ("RFC 6749 2.3.1", "a client_secret", "invalid_client", |ask| ask.with("client_secret", "secret")),
    // --- Who the client is.
    ("atproto OAuth, Clients", "a client_id that is no address", "invalid_client", |ask| {
        ask.with("client_id", "my-app")
    }),
    ("draft client-id-metadata-document 3", "http", "invalid_client", |ask| {
        ask.with("client_id", "http://app.example.com/client.json")
    }),
    ("draft client-id-metadata-document 3", "a fragment", "invalid_client", |ask| {
        ask.with("client_id", "https://app.example.com/client.json#x")
    }),
    ("draft client-id-metadata-document 3", "no path", "invalid_client", |ask| {
        ask.with("client_id", "https://app.example.com/")
    }),
    ("draft client-id-metadata-document 3", "dots in the path", "invalid_client", |ask| {
        ask.with("client_id", "https://app.example.com/a/../client.json")
    }),
    ("draft client-id-metadata-document 3", "a name before the host", "invalid_client", |ask| {
        ask.with("client_id", "https://user@app.example.com/client.json")
    }),
    ("atproto OAuth, Clients", "the host is a number", "invalid_client", |ask| {
        ask.with("client_id", "https://192.0.2.1/client.json")
    }),
    ("RFC 9700 4.11", "the host is this machine", "invalid_client", |ask| {
        ask.with("client_id", "https://localhost/client.json")
    }),
    ("atproto OAuth, Localhost Client Development", "localhost with a port", "invalid_client", |ask| {
        ask.with("client_id", "http://localhost:3000")
    }),
    ("atproto OAuth, Localhost Client Development", "localhost with a name", "invalid_client", |ask| {
        ask.with("client_id", "http://localhost?client_name=Bank")
    }),
    (
        "atproto OAuth, Localhost Client Development",
        "localhost that leads elsewhere",
        "invalid_client",
        |ask| ask.with("client_id", "http://localhost?redirect_uri=https%3A%2F%2Fevil.example.com%2F"),
    ),
];

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Claims of a proof that is right.
fn claims_of(ask: &Ask<'_>) -> Map<String, Value> {
    let claims = json!({
        "jti": ask.world.unique(), "htm": "POST", "htu": format!("{ISSUER}{}", ask.path),
        "iat": ask.world.seconds(), "nonce": ask.world.oauth.nonce(),
    });
    claims.as_object().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn pushed_requests() {
    let world = World::new().await;
    let app = App::local();
    for (spec, what, error, spoil) in PAR {
        assert!(app.ask(&world).push().await.is_ok(), "before {what}");
        match spoil(app.ask(&world)).push().await {
            Ok(_) => panic!("{what} was accepted, against {spec}"),
            Err(refused) => assert_eq!(refused.error(), *error, "{what} ({spec}): {refused}"),
        }
    }
    assert!(PAR.len() >= 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_good_once() {
    let world = World::new().await;
    let app = App::local();
    let url = format!("{ISSUER}/oauth/par");
    let proof = app.prove(&world, &Proof { htm: "POST", htu: &url, ..Proof::default() });
    app.ask(&world).proofs(std::slice::from_ref(&proof)).push().await.unwrap();
    // RFC 9449 11.1, to the end of its nonce and beyond.
    for _ in 0..5 {
        let refused = app.ask(&world).proofs(std::slice::from_ref(&proof)).push().await.unwrap_err();
        assert!(matches!(refused.error(), "invalid_dpop_proof" | "use_dpop_nonce"));
        world.pass(59 * SECOND);
    }
    // The same jti in another proof of the same key.
    let jti = || app.ask(&world).proof(Proof { jti: Some("one"), ..Proof::default() });
    jti().push().await.unwrap();
    assert_eq!(jti().push().await.unwrap_err(), OAuthError::DpopReplayed);
}

/// A confidential client's assertion (RFC 7523 3, OpenID Connect Core 9).
#[tokio::test(flavor = "multi_thread")]
async fn assertions() {
    type Change = fn(&mut Value, &World);
    const ROWS: &[(&str, &str, Change)] = &[
        ("RFC 7523 3 (1)", "no iss", |c, _| drop(c.as_object_mut().unwrap().remove("iss"))),
        ("RFC 7523 3 (1)", "another iss", |c, _| c["iss"] = json!("https://other.example.com/client.json")),
        ("RFC 7523 3 (2)", "no sub", |c, _| drop(c.as_object_mut().unwrap().remove("sub"))),
        ("RFC 7523 3 (2)", "another sub", |c, _| c["sub"] = json!("https://other.example.com/client.json")),
        ("RFC 7523 3 (3)", "no aud", |c, _| drop(c.as_object_mut().unwrap().remove("aud"))),
        ("RFC 7523 3 (3)", "another aud", |c, _| c["aud"] = json!("https://other.example.com")),
        ("RFC 7523 3 (3)", "an aud that only begins so", |c, _| {
            c["aud"] = json!(format!("{ISSUER}.evil.example"))
        }),
        ("RFC 7523 3 (4)", "expired", |c, w| c["exp"] = json!(w.seconds() - 60)),
        ("RFC 7519 4.1.4", "exp as text", |c, w| c["exp"] = json!((w.seconds() + 60).to_string())),
        ("RFC 7523 3 (5)", "not valid yet", |c, w| c["nbf"] = json!(w.seconds() + 60)),
        ("RFC 7523 3 (5)", "not valid yet, and without an end", |c, w| {
            c.as_object_mut().unwrap().remove("exp");
            c["nbf"] = json!(w.seconds() + 60);
        }),
        ("RFC 7523 3 (6)", "no iat", |c, _| drop(c.as_object_mut().unwrap().remove("iat"))),
        ("RFC 7523 3 (6)", "made five minutes ago", |c, w| c["iat"] = json!(w.seconds() - 300)),
        ("RFC 7523 3 (6)", "made in the future", |c, w| c["iat"] = json!(w.seconds() + 300)),
        ("RFC 7523 3 (7)", "no jti", |c, _| drop(c.as_object_mut().unwrap().remove("jti"))),
    ];
    let world = World::new().await;
    let app = App::confidential(&world);
    for (spec, what, change) in ROWS {
        let mut claims = app.claims(&world);
        let right = app.ask(&world).with("client_assertion", &app.signed(&claims)).push().await;
        assert!(right.is_ok(), "before {what}: {right:?}");
        claims["jti"] = json!(world.unique());
        change(&mut claims, &world);
        match app.ask(&world).with("client_assertion", &app.signed(&claims)).push().await {
            Ok(_) => panic!("{what} was accepted, against {spec}"),
            Err(refused) => assert_eq!(refused.error(), "invalid_client", "{what} ({spec}): {refused}"),
        }
    }
    let send = async |assertion: String, kind: &str| {
        let ask = app.ask(&world).with("client_assertion", &assertion).with("client_assertion_type", kind);
        ask.push().await.map_err(|refused| refused.error())
    };
    let map = |claims: &Value| claims.as_object().unwrap().clone();
    let right = app.signed(&app.claims(&world));
    assert!(send(right.clone(), ASSERTION).await.is_ok());
    assert_eq!(send(right, ASSERTION).await, Err("invalid_client"), "RFC 7523 3 (7): it is good once");
    let other = |key: &PrivateKey, typ: &str, kid: Option<&str>| {
        jwt::sign(key, typ, kid, &map(&app.claims(&world))).unwrap()
    };
    for (what, assertion) in [
        ("RFC 7515 4.1.4: no kid", other(&key(9), "JWT", None)),
        ("RFC 7515 4.1.4: an unknown kid", other(&key(9), "JWT", Some("three"))),
        ("RFC 7515 5.2: the kid of another key", other(&key(9), "JWT", Some("two"))),
        ("RFC 7515 5.2: a key that is not published", other(&key(11), "JWT", Some("one"))),
        ("RFC 8725 3.11: a proof of possession", other(&key(9), "dpop+jwt", Some("one"))),
        ("RFC 8725 3.11: an access token", other(&key(9), "at+jwt", Some("one"))),
        (
            "RFC 8725 3.1: a shared secret",
            jwt::sign_secret(b"one", "JWT", &map(&app.claims(&world))).unwrap(),
        ),
        ("RFC 7519 7.2: no token", "nothing".to_owned()),
    ] {
        assert_eq!(send(assertion, ASSERTION).await, Err("invalid_client"), "{what}");
    }
    let right = || app.signed(&app.claims(&world));
    assert_eq!(send(right(), "urn:other").await, Err("invalid_client"), "RFC 7521 4.2");
    let without = app.ask(&world).without("client_assertion").push().await.unwrap_err();
    assert_eq!(without.error(), "invalid_client", "RFC 6749 3.2.1");
    // RFC 9449 8: who is asked for a nonce tries again with the same assertion.
    let assertion = right();
    let ask = app.ask(&world).with("client_assertion", &assertion);
    let asked = ask.proof(Proof { nonce: Some(None), ..Proof::default() }).push().await;
    assert_eq!(asked.unwrap_err(), OAuthError::DpopNonce);
    assert!(app.ask(&world).with("client_assertion", &assertion).push().await.is_ok());
    // atproto OAuth: the key of the proofs is another one than the client's own.
    let same = App { key: key(9), ..App::confidential(&world) };
    assert_eq!(same.ask(&world).push().await.unwrap_err(), OAuthError::DpopClientKey);
}

/// RFC 9101 6 and 10.
#[tokio::test(flavor = "multi_thread")]
async fn request_objects() {
    let world = World::new().await;
    let app = App::confidential(&world);
    let claims = || {
        let mut claims = app.claims(&world);
        claims.as_object_mut().unwrap().remove("sub");
        for (name, value) in app.ask(&world).pairs {
            if !name.starts_with("client_assertion") {
                claims[name] = json!(value);
            }
        }
        claims
    };
    let send =
        async |object: String| app.ask(&world).with("request", &object).push().await.map_err(|e| e.error());
    let right = app.signed(&claims());
    assert!(send(right.clone()).await.is_ok());
    assert_eq!(send(right).await, Err("invalid_request_object"), "10.8: it is good once");
    type Change = fn(&mut Value, &World);
    let rows: &[(&str, &str, Change)] = &[
        ("4: another client", "invalid_request_object", |c, _| {
            c["iss"] = json!("https://other.example.com/c")
        }),
        ("4: another server", "invalid_request_object", |c, _| c["aud"] = json!("https://other.example.com")),
        ("10.2: old", "invalid_request_object", |c, w| c["iat"] = json!(w.seconds() - 300)),
        ("10.8: with sub, like an assertion", "invalid_request_object", |c, _| c["sub"] = c["iss"].clone()),
        ("4: with a request in it", "invalid_request_object", |c, _| c["request"] = json!("a.b.c")),
        ("4: with a request_uri in it", "invalid_request_object", |c, _| c["request_uri"] = json!("urn:x")),
        ("RFC 6749 4.1.1: client_id of another", "invalid_request", |c, _| {
            c["client_id"] = json!("http://localhost")
        }),
        ("RFC 6749 3.1.2.3", "invalid_request", |c, _| {
            c["redirect_uri"] = json!("https://evil.example.com/")
        }),
        ("atproto OAuth, Scopes", "invalid_scope", |c, _| c["scope"] = json!("transition:generic")),
        ("4: a parameter that is a list", "invalid_request_object", |c, _| c["scope"] = json!(["atproto"])),
    ];
    for (what, error, change) in rows {
        let mut claims = claims();
        change(&mut claims, &world);
        assert_eq!(send(app.signed(&claims)).await, Err(*error), "{what}");
    }
    let unsigned = data_encoding::BASE64URL_NOPAD.encode(br#"{"alg":"none"}"#);
    let payload = data_encoding::BASE64URL_NOPAD.encode(claims().to_string().as_bytes());
    assert_eq!(
        send(format!("{unsigned}.{payload}.")).await,
        Err("invalid_request_object"),
        "10.1: not signed"
    );
    // An assertion is no request object.
    assert_eq!(send(app.signed(&app.claims(&world))).await, Err("invalid_request_object"), "10.8");
    // RFC 9101 10.5: a client that declares how it signs its request objects is held to that.
    let mut document = App::document(&world, "/other.json");
    document["request_object_signing_alg"] = json!("ES256K");
    world.site.put("/other.json", Page::json(&App::with_keys(document, &[(9, "one")])));
    let other = App { own: Some((key(9), "one".to_owned())), ..App::web(&world, "/other.json") };
    let mut claims = claims();
    (claims["iss"], claims["client_id"]) = (json!(other.id), json!(other.id));
    let refused = other.ask(&world).with("request", &other.signed(&claims)).push().await.unwrap_err();
    assert_eq!(refused.error(), "invalid_request_object", "declared ES256K, signed with ES256");
    // A public client has no keys that could sign one.
    let public = App::local();
    let refused = public.ask(&world).with("request", "a.b.c").push().await.unwrap_err();
    assert_eq!(refused.error(), "invalid_request_object");
}

/// A code, with everything to redeem it.
async fn granted(world: &World, app: &App) -> (String, String) {
    let verifier = world.verifier();
    let ask = app.ask(world).with("code_challenge", &pkce::challenge_s256(&verifier));
    (world.code(app, ask, &world.alice()).await, verifier)
}

#[tokio::test(flavor = "multi_thread")]
async fn codes() {
    const ROWS: &[Row] = &[
        ("RFC 6749 4.1.3", "no grant_type", "invalid_request", |ask| ask.without("grant_type")),
        ("RFC 6749 5.2", "the password", "unsupported_grant_type", |ask| ask.with("grant_type", "password")),
        ("RFC 6749 5.2", "the client alone", "unsupported_grant_type", |ask| {
            ask.with("grant_type", "client_credentials")
        }),
        ("RFC 6749 4.1.3", "no code", "invalid_request", |ask| ask.without("code")),
        ("RFC 6749 4.1.3", "another code", "invalid_grant", |ask| ask.with("code", "cod-x")),
        ("RFC 6749 4.1.3", "no client_id", "invalid_request", |ask| ask.without("client_id")),
        ("RFC 6749 4.1.3", "another client", "invalid_grant", |ask| {
            ask.with("client_id", "http://localhost")
        }),
        ("RFC 6749 4.1.3", "no redirect_uri", "invalid_grant", |ask| ask.without("redirect_uri")),
        ("RFC 6749 4.1.3", "another redirect_uri", "invalid_grant", |ask| {
            ask.with("redirect_uri", "http://127.0.0.1:5001/callback")
        }),
        ("RFC 7636 4.5", "no code_verifier", "invalid_request", |ask| ask.without("code_verifier")),
        ("RFC 7636 4.6", "another code_verifier", "invalid_grant", |ask| {
            ask.with("code_verifier", &"v".repeat(50))
        }),
        ("RFC 7636 4.6", "the challenge as its verifier", "invalid_grant", |ask| {
            let challenge = pkce::challenge_s256(ask.get("code_verifier"));
            ask.with("code_verifier", &challenge)
        }),
        ("RFC 9449 5", "no proof", "invalid_dpop_proof", |ask| ask.proofs(&[])),
        ("RFC 9449 4.3 (9)", "a proof for another endpoint", "invalid_dpop_proof", |ask| {
            ask.proof(Proof { htu: "http://pds.test/oauth/par", ..Proof::default() })
        }),
        ("RFC 9449 8", "no nonce", "use_dpop_nonce", |ask| {
            ask.proof(Proof { nonce: Some(None), ..Proof::default() })
        }),
        ("RFC 6749 4.1.2", "a code that is older than a minute", "invalid_grant", |ask| {
            ask.world.pass(61 * SECOND);
            ask
        }),
        ("RFC 6749 3.2.1", "an assertion of a public client", "invalid_client", |ask| {
            ask.with("client_assertion_type", ASSERTION).with("client_assertion", "a.b.c")
        }),
    ];
    let world = World::new().await;
    let app = App::local();
    for (spec, what, error, spoil) in ROWS {
        let (code, verifier) = granted(&world, &app).await;
        match spoil(app.redeem(&world, &code, &verifier)).send().await {
            Ok(_) => panic!("{what} was accepted, against {spec}"),
            Err(refused) => assert_eq!(refused.error(), *error, "{what} ({spec}): {refused}"),
        }
    }
    // RFC 9449 10: with the key of somebody else.
    let (code, verifier) = granted(&world, &app).await;
    let thief = App { key: key(66), ..App::local() };
    assert_eq!(thief.redeem(&world, &code, &verifier).send().await.unwrap_err(), OAuthError::CodeKey);
    // And it was tried once: RFC 6749 4.1.2.
    assert_eq!(app.redeem(&world, &code, &verifier).send().await.unwrap_err(), OAuthError::Code);
}

/// atproto OAuth, "Confidential Client Authentication": all of a session is proved with the key that it began with, and that
/// one is no key of proofs.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_confidential_clients() {
    let world = World::new().await;
    let app = App::confidential(&world);
    let (code, verifier) = granted(&world, &app).await;
    let second = App { own: Some((key(10), "two".to_owned())), ..App::confidential(&world) };
    let refused = second.redeem(&world, &code, &verifier).send().await.unwrap_err();
    assert_eq!(refused, OAuthError::CodeClient, "it was pushed with another of its keys");
    let tokens = world.tokens(&app).await;
    let refresh = tokens.refresh_token.as_ref().unwrap();
    second.revoke(&world, refresh).end().await.unwrap();
    assert!(world.works(&app, &tokens.access_token).await, "RFC 7009 2.1: ended by another of its keys");
    let refused = second.refresh(&world, refresh).send().await.unwrap_err();
    assert_eq!(refused, OAuthError::RefreshClient, "it began with another of its keys");
    assert!(!world.works(&app, &tokens.access_token).await, "and is over");
    // RFC 9449 10.1: named only, without a proof, when the request was pushed.
    let same = App { key: key(9), ..App::confidential(&world) };
    let (verifier, own) = (world.verifier(), Jwk::from_public(key(9).public_key()).thumbprint());
    let ask = same.ask(&world).with("code_challenge", &pkce::challenge_s256(&verifier));
    let code = world.code(&same, ask.with("dpop_jkt", &own).proofs(&[]), &world.alice()).await;
    let refused = same.redeem(&world, &code, &verifier).send().await.unwrap_err();
    assert_eq!(refused, OAuthError::DpopClientKey);
}

/// RFC 6749 10.2: a public client proves nothing, so nobody is let through who agreed to somebody of its name before.
#[tokio::test(flavor = "multi_thread")]
async fn public_clients_ask_each_time() {
    let world = World::new().await;
    let (app, alice) = (App::local(), world.alice());
    world.tokens(&app).await;
    let device = world.browser(&alice).await;
    let pushed = app.ask(&world).with("login_hint", alice.as_str()).push().await.unwrap();
    let asked = world.open(&app, &pushed, &device).await;
    assert_eq!(asked.selected, Some(alice));
    assert!(asked.accounts.iter().all(|found| found.consent_required));
}

/// RFC 6749 4.1.2 and 10.5, RFC 9700 4.5: shown again, a code ends what it began.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_shown_again() {
    let world = World::new().await;
    let app = App::local();
    let (code, verifier) = granted(&world, &app).await;
    let tokens = app.redeem(&world, &code, &verifier).send().await.unwrap();
    assert!(world.works(&app, &tokens.access_token).await);
    let again = app.redeem(&world, &code, &verifier).send().await;
    assert_eq!(again.unwrap_err(), OAuthError::Code);
    assert!(!world.works(&app, &tokens.access_token).await);
    let refreshed = app.refresh(&world, &tokens.refresh_token.unwrap()).send().await;
    assert_eq!(refreshed.unwrap_err(), OAuthError::Refresh);
}

/// atproto OAuth, PKCE: no challenge is good twice within a day.
#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_that_is_used_again() {
    let world = World::new().await;
    let app = App::local();
    let verifier = world.verifier();
    for (pause, good) in [(0, true), (0, false), (DAY - 10 * MINUTE, false), (DAY, true)] {
        world.pass(pause);
        let ask = app.ask(&world).with("code_challenge", &pkce::challenge_s256(&verifier));
        let code = world.code(&app, ask, &world.alice()).await;
        let redeemed = app.redeem(&world, &code, &verifier).send().await;
        match (redeemed, good) {
            (Ok(_), true) => {}
            (Err(refused), false) => assert_eq!(refused, OAuthError::PkceReused),
            (redeemed, _) => panic!("{redeemed:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_tokens() {
    /// Specification, what, error, whether the session ends by it.
    type Row = (&'static str, &'static str, &'static str, bool, fn(Ask<'_>) -> Ask<'_>);
    const ROWS: &[Row] = &[
        ("RFC 6749 6", "no refresh_token", "invalid_request", false, |ask| ask.without("refresh_token")),
        ("RFC 6749 6", "a token that is none", "invalid_grant", false, |ask| {
            ask.with("refresh_token", "ref-x.y")
        }),
        ("RFC 9700 4.14.2", "the name of the session only", "invalid_grant", false, |ask| {
            let forged = format!("{}.x", session_named_by(&ask));
            ask.with("refresh_token", &forged)
        }),
        (
            "RFC 9700 4.14.2",
            "the name of the session only, by another client",
            "invalid_grant",
            false,
            |ask| {
                let forged = format!("{}.x", session_named_by(&ask));
                ask.with("refresh_token", &forged).with("client_id", "http://localhost")
            },
        ),
        ("RFC 9700 4.14.2", "another secret with the mark of this one", "invalid_grant", false, |ask| {
            let (_, mark) = ask.get("refresh_token").rsplit_once('.').unwrap();
            let secret = "A".repeat(43);
            let forged = format!("{}.{secret}.{mark}", session_named_by(&ask));
            ask.with("refresh_token", &forged)
        }),
        ("RFC 9700 4.14.2", "without its mark", "invalid_grant", false, |ask| {
            let (unmarked, _) = ask.get("refresh_token").rsplit_once('.').unwrap();
            let forged = unmarked.to_owned();
            ask.with("refresh_token", &forged)
        }),
        ("RFC 9700 4.14.2", "with an empty mark", "invalid_grant", false, |ask| {
            let (unmarked, _) = ask.get("refresh_token").rsplit_once('.').unwrap();
            let forged = format!("{unmarked}.");
            ask.with("refresh_token", &forged)
        }),
        ("RFC 6749 6", "another client", "invalid_grant", true, |ask| {
            ask.with("client_id", "http://localhost")
        }),
        ("RFC 9449 5", "no proof", "invalid_dpop_proof", false, |ask| ask.proofs(&[])),
        ("RFC 9449 5", "another key", "invalid_grant", true, |ask| {
            let thief = App { key: key(66), ..App::local() };
            let url = format!("{ISSUER}/oauth/token");
            let proof = thief.prove(ask.world, &Proof { htm: "POST", htu: &url, ..Proof::default() });
            ask.proofs(&[proof])
        }),
        ("RFC 6749 6", "more than was granted", "invalid_scope", false, |ask| ask.with("scope", DECLARED)),
        ("RFC 9449 8", "no nonce", "use_dpop_nonce", false, |ask| {
            ask.proof(Proof { nonce: Some(None), ..Proof::default() })
        }),
    ];
    let world = World::new().await;
    let app = App::local();
    for (spec, what, error, ends, spoil) in ROWS {
        let tokens = world.tokens(&app).await;
        let refresh = tokens.refresh_token.as_ref().unwrap();
        match spoil(app.refresh(&world, refresh)).send().await {
            Ok(_) => panic!("{what} was accepted, against {spec}"),
            Err(refused) => assert_eq!(refused.error(), *error, "{what} ({spec}): {refused}"),
        }
        assert_eq!(world.works(&app, &tokens.access_token).await, !ends, "{what}");
    }
}

/// What is public of a refresh token: anybody may learn the name of a session.
fn session_named_by(ask: &Ask<'_>) -> String {
    ask.get("refresh_token").split_once('.').unwrap().0.to_owned()
}

/// RFC 9700 4.14.2: a token that was used ends the whole line, whichever it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_is_shown_again() {
    let world = World::new().await;
    let app = App::local();
    for back in 0..3_usize {
        let mut line = vec![world.tokens(&app).await];
        for _ in 0..3 {
            let last: &Tokens = line.last().unwrap();
            let next = app.refresh(&world, last.refresh_token.as_ref().unwrap()).send().await.unwrap();
            line.push(next);
        }
        let last = line.last().unwrap();
        assert!(world.works(&app, &last.access_token).await);
        let used = line[back].refresh_token.as_ref().unwrap();
        assert_eq!(app.refresh(&world, used).send().await.unwrap_err(), OAuthError::Refresh);
        for tokens in &line {
            assert!(!world.works(&app, &tokens.access_token).await);
        }
        let next = app.refresh(&world, last.refresh_token.as_ref().unwrap()).send().await;
        assert_eq!(next.unwrap_err(), OAuthError::Refresh);
    }
}

/// RFC 7009 2.1: only its own client ends a session.
#[tokio::test(flavor = "multi_thread")]
async fn revocation_by_others() {
    let world = World::new().await;
    let (app, other) = (App::local(), App { id: "http://localhost".to_owned(), ..App::local() });
    let tokens = world.tokens(&app).await;
    let refresh = tokens.refresh_token.as_ref().unwrap();
    other.revoke(&world, refresh).end().await.unwrap();
    assert!(world.works(&app, &tokens.access_token).await, "by another client");
    let thief = App { key: key(66), ..App::local() };
    thief.revoke(&world, refresh).end().await.unwrap();
    assert!(world.works(&app, &tokens.access_token).await, "with another key");
    let (session, _) = refresh.split_once('.').unwrap();
    app.revoke(&world, &format!("{session}.AAAA")).end().await.unwrap();
    assert!(world.works(&app, &tokens.access_token).await, "with a token that only names the session");
    let confidential = App::confidential(&world);
    let theirs = world.tokens(&confidential).await;
    let ask = confidential.revoke(&world, theirs.refresh_token.as_ref().unwrap()).without("client_assertion");
    assert_eq!(
        ask.end().await.unwrap_err().error(),
        "invalid_client",
        "RFC 7009 2.1: without proving itself"
    );
    assert!(world.works(&confidential, &theirs.access_token).await);
    app.revoke(&world, &tokens.access_token).end().await.unwrap();
    assert!(!world.works(&app, &tokens.access_token).await, "an access token ends its session as well");
}

/// Redirects never go out for these: whoever brought the request may be anybody.
#[tokio::test(flavor = "multi_thread")]
async fn at_the_authorization_page() {
    let world = World::new().await;
    let app = App::local();
    let (alice, bob) = (world.alice(), world.bob());
    let device = world.browser(&alice).await;
    let begin = async |uri: &str| world.oauth.begin(&app.id, uri, &device).await.map(|_| ()).unwrap_err();
    assert_eq!(begin("").await, OAuthError::NotPushed, "RFC 9126 4");
    assert_eq!(begin("https://evil.example.com/request.jwt").await, OAuthError::NotPushed, "RFC 9101 10.4");
    let unknown = "urn:ietf:params:oauth:request_uri:req-unknown";
    assert_eq!(begin(unknown).await, OAuthError::RequestOver, "RFC 9126 7.1");
    let pushed = app.ask(&world).push().await.unwrap();
    world.pass(301 * SECOND);
    assert_eq!(begin(&pushed).await, OAuthError::RequestOver, "RFC 9126 2.2: five minutes");
    // RFC 9126 2.2: another client's; and then it is good for nobody.
    let pushed = app.ask(&world).push().await.unwrap();
    let other = world.oauth.begin("http://localhost", &pushed, &device).await;
    assert_eq!(other.unwrap_err(), OAuthError::RequestClient);
    assert_eq!(begin(&pushed).await, OAuthError::RequestOver);
    // Another browser's: nobody is led to agree to what somebody else began.
    let pushed = app.ask(&world).push().await.unwrap();
    let page = world.open(&app, &pushed, &device).await;
    let elsewhere = world.browser(&bob).await;
    let refused = world.oauth.begin(&app.id, &pushed, &elsewhere).await;
    assert_eq!(refused.unwrap_err(), OAuthError::RequestDevice);
    let refused = world.oauth.accept(&page, &elsewhere, &bob, &page.scopes).await;
    assert_eq!(refused, Err(OAuthError::RequestOver));
    // Somebody who is not signed in there.
    let refused = world.oauth.accept(&page, &device, &bob, &page.scopes).await;
    assert_eq!(refused, Err(OAuthError::LoginRequired));
    // Granted twice.
    world.oauth.accept(&page, &device, &alice, &page.scopes).await.unwrap();
    let again = world.oauth.accept(&page, &device, &alice, &page.scopes).await;
    assert_eq!(again, Err(OAuthError::RequestOver));
    assert_eq!(begin(&pushed).await, OAuthError::RequestOver);
    // Looked at too long.
    let pushed = app.ask(&world).push().await.unwrap();
    let page = world.open(&app, &pushed, &device).await;
    world.pass(301 * SECOND);
    let late = world.oauth.accept(&page, &device, &alice, &page.scopes).await;
    assert_eq!(late, Err(OAuthError::RequestOver));
}

/// However often it is looked at, a request lasts an hour.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_looked_at_for_ever() {
    let world = World::new().await;
    let app = App::local();
    let device = world.browser(&world.alice()).await;
    let pushed = app.ask(&world).push().await.unwrap();
    for _ in 0..14 {
        world.open(&app, &pushed, &device).await;
        world.pass(4 * MINUTE);
    }
    world.open(&app, &pushed, &device).await;
    world.pass(4 * MINUTE - SECOND);
    let page = world.open(&app, &pushed, &device).await;
    world.pass(2 * SECOND);
    let over = world.oauth.begin(&app.id, &pushed, &device).await.map(|_| ()).unwrap_err();
    assert_eq!(over, OAuthError::RequestOver);
    let late = world.oauth.accept(&page, &device, &world.alice(), &page.scopes).await;
    assert_eq!(late, Err(OAuthError::RequestOver));
}

/// RFC 9126 7.4: whoever pushes as many requests as may wait keeps nobody else out.
#[tokio::test(flavor = "multi_thread")]
async fn requests_without_end() {
    let world = World::new().await;
    world.oauth.set_most_requests(3);
    let app = App::local();
    let device = world.browser(&world.alice()).await;
    let opened = app.ask(&world).push().await.unwrap();
    world.open(&app, &opened, &device).await;
    let mut flood = Vec::new();
    for _ in 0..4 {
        world.pass(SECOND);
        flood.push(app.ask(&world).push().await.unwrap());
    }
    let begin = async |uri: &str| world.oauth.begin(&app.id, uri, &device).await.map(|_| ());
    for old in &flood[..2] {
        assert_eq!(begin(old).await, Err(OAuthError::RequestOver), "they made room");
    }
    for kept in [&opened, &flood[2], &flood[3]] {
        assert_eq!(begin(kept).await, Ok(()), "somebody looks at it, or it is new");
    }
    assert_eq!(app.ask(&world).push().await.unwrap_err(), OAuthError::Busy, "all of them are looked at");
    world.pass(301 * SECOND);
    assert!(app.ask(&world).push().await.is_ok(), "those that are over take no room");
}

/// RFC 9207: the answer says which server it is from, with every error too.
#[tokio::test(flavor = "multi_thread")]
async fn every_answer_names_its_server() {
    let world = World::new().await;
    let app = App::confidential(&world);
    let device = world.oauth.new_device("a browser", "192.0.2.1").await.unwrap().0;
    let pushed = app.ask(&world).with("prompt", "none").push().await.unwrap();
    let Begun::Redirect(Redirect { params, .. }) =
        world.oauth.begin(&app.id, &pushed, &device).await.unwrap()
    else {
        panic!()
    };
    let names: Vec<&str> = params.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["iss", "state", "error", "error_description"]);
}
