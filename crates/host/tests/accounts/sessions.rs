use p2pds_crypto::jwt;
use p2pds_host::accounts::{By, Credentials, Subject};
use p2pds_host::sessions::{ACCESS_SECONDS, GRACE, REFRESH_SECONDS, Tokens};
use p2pds_host::{HostError, Refresh, Scope};
use serde_json::json;

use crate::shared::Node;
use crate::{DAY, HOUR, MINUTE, PASSWORD, add, later, log_in, with_account};

async fn refresh_of(node: &Node, tokens: &Tokens) -> Refresh {
    node.host.verify_refresh(&tokens.refresh, true).await.unwrap()
}

async fn renew(node: &Node, tokens: &Tokens) -> Result<Tokens, HostError> {
    let refresh = node.host.verify_refresh(&tokens.refresh, false).await?;
    Ok(node.host.refresh(&refresh).await?.tokens)
}

async fn access(node: &Node, tokens: &Tokens) -> Result<Scope, &'static str> {
    node.host.verify_access(&tokens.access).await.map(|access| access.scope).map_err(|error| error.name)
}

#[tokio::test]
async fn an_access_token_lives_a_quarter_of_an_hour_and_is_refreshed() {
    let (node, did) = with_account().await;
    let first = log_in(&node, did.as_str(), PASSWORD).await.unwrap().tokens;
    let checked = node.host.verify_access(&first.access).await.unwrap();
    assert_eq!((&checked.did, checked.scope, checked.app_password), (&did, Scope::Full, None));
    let lives = i64::try_from(ACCESS_SECONDS).unwrap() * 1_000_000;
    assert!(lives <= 15 * MINUTE);
    later(&node, lives - MINUTE);
    assert_eq!(access(&node, &first).await, Ok(Scope::Full));
    later(&node, 2 * MINUTE);
    assert_eq!(access(&node, &first).await, Err("ExpiredToken"));
    let second = renew(&node, &first).await.unwrap();
    assert_eq!(access(&node, &second).await, Ok(Scope::Full));
    assert_ne!(*first.refresh, *second.refresh);
}

#[tokio::test]
async fn within_the_grace_a_refresh_token_gives_the_same_successor() {
    let (node, did) = with_account().await;
    let first = log_in(&node, did.as_str(), PASSWORD).await.unwrap().tokens;
    let second = renew(&node, &first).await.unwrap();
    later(&node, HOUR);
    let again = renew(&node, &first).await.unwrap();
    assert_eq!(refresh_of(&node, &second).await.id, refresh_of(&node, &again).await.id);
    // Two steps back, as a client does that slept while another one refreshed.
    let third = renew(&node, &second).await.unwrap();
    let from_first = renew(&node, &first).await.unwrap();
    let caught_up = renew(&node, &from_first).await.unwrap();
    assert_eq!(refresh_of(&node, &third).await.id, refresh_of(&node, &caught_up).await.id);
    assert_eq!(access(&node, &caught_up).await, Ok(Scope::Full));
}

#[tokio::test]
async fn a_refresh_token_shown_after_its_grace_ends_the_session() {
    let (node, did) = with_account().await;
    let first = log_in(&node, did.as_str(), PASSWORD).await.unwrap().tokens;
    let other = log_in(&node, did.as_str(), PASSWORD).await.unwrap().tokens;
    let second = renew(&node, &first).await.unwrap();
    later(&node, GRACE - MINUTE);
    let third = renew(&node, &second).await.unwrap();
    later(&node, 2 * MINUTE);
    assert_eq!(access(&node, &third).await, Ok(Scope::Full));
    assert_eq!(renew(&node, &first).await.unwrap_err().name, "ExpiredToken");
    assert_eq!(renew(&node, &third).await.unwrap_err().name, "ExpiredToken", "the thief's, or the owner's");
    assert_eq!(access(&node, &third).await, Err("ExpiredToken"), "access ends at once");
    assert!(renew(&node, &other).await.is_ok(), "other sessions go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_who_race_with_one_refresh_token_come_to_the_same() {
    let (node, did) = with_account().await;
    let first = log_in(&node, did.as_str(), PASSWORD).await.unwrap().tokens;
    let refresh = refresh_of(&node, &first).await;
    let racers: Vec<_> = (0..16)
        .map(|_| {
            let (host, refresh) = (node.host.clone(), refresh.clone());
            tokio::spawn(async move { host.refresh(&refresh).await.unwrap().tokens })
        })
        .collect();
    let mut ids = std::collections::BTreeSet::new();
    for racer in racers {
        ids.insert(refresh_of(&node, &racer.await.unwrap()).await.id);
    }
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn logging_out_ends_one_session_even_with_a_token_past_its_end() {
    let (node, did) = with_account().await;
    let first = log_in(&node, did.as_str(), PASSWORD).await.unwrap().tokens;
    let other = log_in(&node, did.as_str(), PASSWORD).await.unwrap().tokens;
    assert_eq!(access(&node, &first).await, Ok(Scope::Full));
    node.host.end_session(&refresh_of(&node, &first).await).await.unwrap();
    assert_eq!(access(&node, &first).await, Err("ExpiredToken"));
    assert_eq!(renew(&node, &first).await.unwrap_err().name, "ExpiredToken");
    assert_eq!(access(&node, &other).await, Ok(Scope::Full));
    later(&node, i64::try_from(REFRESH_SECONDS).unwrap() * 1_000_000 + DAY);
    assert_eq!(node.host.verify_refresh(&other.refresh, false).await.unwrap_err().name, "ExpiredToken");
    let over = node.host.verify_refresh(&other.refresh, true).await.unwrap();
    assert!(over.expired);
    node.host.end_session(&over).await.unwrap();
}

#[tokio::test]
async fn a_new_password_ends_all_sessions_and_a_new_address_all_but_one() {
    let (node, did) = with_account().await;
    let here = log_in(&node, did.as_str(), PASSWORD).await.unwrap().tokens;
    let there = log_in(&node, did.as_str(), PASSWORD).await.unwrap().tokens;
    let session = node.host.verify_access(&here.access).await.unwrap().session;
    node.host.update_email(&did, "other@mail.example", None, None, &session).await.unwrap();
    assert_eq!(access(&node, &here).await, Ok(Scope::Full));
    assert_eq!(access(&node, &there).await, Err("ExpiredToken"));
    assert!(renew(&node, &there).await.is_err());
    node.host.admin_set_password(&By::Operator, &did, "another password").await.unwrap();
    assert_eq!(access(&node, &here).await, Err("ExpiredToken"));
    assert!(renew(&node, &here).await.is_err());
    assert!(log_in(&node, did.as_str(), PASSWORD).await.is_err());
    assert!(log_in(&node, did.as_str(), "another password").await.is_ok());
}

#[tokio::test]
async fn app_passwords_have_their_own_scopes_and_end_with_their_sessions() {
    let (node, did) = with_account().await;
    let full = log_in(&node, did.as_str(), PASSWORD).await.unwrap().tokens;
    let (_, plain) = node.host.create_app_password(&did, "plain", false).await.unwrap();
    let (_, chats) = node.host.create_app_password(&did, "chats", true).await.unwrap();
    assert!(node.host.create_app_password(&did, "plain", true).await.is_err(), "the name is taken");
    let by_plain = log_in(&node, did.as_str(), &plain).await.unwrap().tokens;
    let by_chats = log_in(&node, did.as_str(), &chats).await.unwrap().tokens;
    assert_eq!(access(&node, &by_plain).await, Ok(Scope::AppPassword));
    assert_eq!(access(&node, &by_chats).await, Ok(Scope::Privileged));
    assert_eq!(access(&node, &renew(&node, &by_chats).await.unwrap()).await, Ok(Scope::Privileged));
    assert_eq!(
        node.host.verify_access(&by_plain.access).await.unwrap().app_password.as_deref(),
        Some("plain")
    );
    node.host.revoke_app_password(&did, "plain").await.unwrap();
    assert_eq!(access(&node, &by_plain).await, Err("ExpiredToken"));
    assert!(renew(&node, &by_plain).await.is_err() && log_in(&node, did.as_str(), &plain).await.is_err());
    assert_eq!(access(&node, &by_chats).await, Ok(Scope::Privileged));
    assert_eq!(access(&node, &full).await, Ok(Scope::Full));
    let names: Vec<_> =
        node.host.app_passwords(&did).await.unwrap().into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["chats"]);
    let other = add(&node, 2).await;
    assert!(log_in(&node, other.as_str(), &chats).await.is_err(), "of one account only");
}

#[tokio::test]
async fn a_takedown_ends_sessions_and_leaves_a_narrow_one_to_those_who_ask_for_it() {
    let (node, did) = with_account().await;
    let before = log_in(&node, did.as_str(), PASSWORD).await.unwrap().tokens;
    let (_, app) = node.host.create_app_password(&did, "app", false).await.unwrap();
    let subject = Subject::Account(did.clone());
    node.host.take_down(&By::Operator, &subject, Some("case 1")).await.unwrap();
    assert_eq!(access(&node, &before).await, Err("ExpiredToken"));
    assert!(renew(&node, &before).await.is_err());
    assert_eq!(log_in(&node, did.as_str(), PASSWORD).await.unwrap_err().name, "AccountTakedown");
    assert_eq!(log_in(&node, did.as_str(), &app).await.unwrap_err().name, "AuthenticationRequired");
    let asked = Credentials {
        identifier: did.as_str(),
        password: PASSWORD,
        auth_factor_token: None,
        allow_takendown: true,
        address: "192.0.2.1",
    };
    let narrow = node.host.log_in(asked).await.unwrap();
    assert_eq!(narrow.account.status, Some("takendown"));
    assert_eq!(access(&node, &narrow.tokens).await, Ok(Scope::Takendown));
    assert!(renew(&node, &narrow.tokens).await.is_err());
    node.host.restore(&By::Operator, &subject).await.unwrap();
    assert!(renew(&node, &narrow.tokens).await.is_err(), "a narrow session never grows");
    assert!(log_in(&node, did.as_str(), PASSWORD).await.unwrap().account.active);
}

#[tokio::test]
async fn tokens_of_others_open_nothing() {
    let (node, did) = with_account().await;
    let good = log_in(&node, did.as_str(), PASSWORD).await.unwrap().tokens;
    let now = node.host.now() / 1_000_000;
    let session = node.host.verify_access(&good.access).await.unwrap().session;
    let service = node.host.config().service_did.to_string();
    let made = |secret: &[u8], typ: &str, change: serde_json::Value| {
        let mut claims = json!({ "scope": "com.atproto.access", "aud": service, "sub": did.as_str(), "iat": now, "exp": now + 60, "sid": session });
        for (name, value) in change.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        jwt::sign_secret(secret, typ, claims.as_object().unwrap()).unwrap()
    };
    let key = node.host.keys().jwt();
    assert!(
        node.host.verify_access(&made(key, "at+jwt", json!({}))).await.is_ok(),
        "the others differ in one thing"
    );
    for (what, token, name) in [
        ("another secret", made(b"another secret of 32 bytes......", "at+jwt", json!({})), "InvalidToken"),
        ("a refresh token", good.refresh.to_string(), "InvalidToken"),
        ("a service token's type", made(key, "JWT", json!({})), "InvalidToken"),
        ("another audience", made(key, "at+jwt", json!({ "aud": "did:web:other.test" })), "InvalidToken"),
        ("audiences", made(key, "at+jwt", json!({ "aud": [service] })), "InvalidToken"),
        ("an unknown scope", made(key, "at+jwt", json!({ "scope": "com.atproto.root" })), "InvalidToken"),
        (
            "the scope of a refresh",
            made(key, "at+jwt", json!({ "scope": "com.atproto.refresh" })),
            "InvalidToken",
        ),
        ("a method", made(key, "at+jwt", json!({ "lxm": "com.atproto.repo.createRecord" })), "InvalidToken"),
        ("a proof of possession", made(key, "at+jwt", json!({ "cnf": {} })), "InvalidToken"),
        ("nobody", made(key, "at+jwt", json!({ "sub": null })), "InvalidToken"),
        ("no end", made(key, "at+jwt", json!({ "exp": null })), "InvalidToken"),
        ("over", made(key, "at+jwt", json!({ "iat": now - 99, "exp": now - 60 })), "ExpiredToken"),
        ("another session", made(key, "at+jwt", json!({ "sid": "another" })), "ExpiredToken"),
        ("no session", made(key, "at+jwt", json!({ "sid": null })), "ExpiredToken"),
    ] {
        assert_eq!(node.host.verify_access(&token).await.unwrap_err().name, name, "{what}");
    }
    assert_eq!(node.host.verify_refresh(&good.access, true).await.unwrap_err().name, "InvalidToken");
}

#[tokio::test]
async fn the_store_holds_no_token_and_no_password() {
    let (node, did) = with_account().await;
    let tokens = log_in(&node, did.as_str(), PASSWORD).await.unwrap().tokens;
    let (_, app) = node.host.create_app_password(&did, "app", false).await.unwrap();
    crate::forgot(&node, "user1@mail.example").await;
    let code = crate::code(&node, "reset-password").await;
    let id = node.host.verify_refresh(&tokens.refresh, false).await.unwrap().id;
    let secret = id.split_once('.').unwrap().1.to_owned();
    for entry in std::fs::read_dir(node.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for canary in [PASSWORD, &app, &code, &secret, &tokens.access, &tokens.refresh] {
            let found = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
            assert!(!found, "{} holds {canary}", path.display());
        }
    }
}

#[tokio::test]
async fn what_is_over_is_forgotten() {
    use p2pds_host::accounts::UnfinishedJob;
    use p2pds_host::jobs::Job as _;
    let (node, did) = with_account().await;
    log_in(&node, did.as_str(), PASSWORD).await.unwrap();
    node.host.request_account_delete(&did).await.unwrap();
    UnfinishedJob.round(&node.host).await.unwrap();
    assert_eq!(node.store.sessions(&did, 9).await.unwrap().len(), 1, "not before its end");
    later(&node, i64::try_from(REFRESH_SECONDS).unwrap() * 1_000_000 + DAY);
    log_in(&node, did.as_str(), PASSWORD).await.unwrap();
    UnfinishedJob.round(&node.host).await.unwrap();
    assert_eq!(node.store.sessions(&did, 9).await.unwrap().len(), 1, "the new one");
}
