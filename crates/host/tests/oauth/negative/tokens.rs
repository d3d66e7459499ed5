//! What must not work with codes, tokens and the keys that they are bound to.

use p2pds_crypto::jwk::Jwk;
use p2pds_crypto::{Signer as _, pkce};
use p2pds_oauth::{OAuthError, Tokens};

use crate::app::{App, Ask, DAY, DECLARED, ISSUER, MINUTE, Proof, SECOND, World, key};
use crate::negative::{ASSERTION, Row};

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
