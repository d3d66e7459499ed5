//! What must not work: one row for each way, with the line of the specification that forbids it. Each row spoils one thing
//! in a request that is right in every other way, and the table is checked by sending that request unspoiled as well.
//!
//! Here: requests and those who send them. `negative/tokens.rs`: codes and tokens. `negative/page.rs`: the page where
//! somebody agrees.

use p2pds_crypto::jwk::Jwk;
use p2pds_crypto::{PrivateKey, Signer as _, jwt, pkce};
use p2pds_oauth::OAuthError;
use serde_json::{Map, Value, json};

use crate::app::{App, Ask, ISSUER, Proof, SECOND, World, key};
use crate::site::Page;

/// Specification, what is wrong, the error that it is told with, and how a right request is spoiled.
pub(crate) type Row = (&'static str, &'static str, &'static str, fn(Ask<'_>) -> Ask<'_>);

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

pub(crate) const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

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
