use p2pds_host::accounts::{By, Credentials};
use p2pds_store::hosting::{AccountsUnit, AppPasswordRow, HostingUnit};
use p2pds_store::{LoginPatch, Unit};

use crate::shared::did;
use crate::{DAY, PASSWORD, log_in, with_account};

#[tokio::test]
async fn who_is_not_known_and_who_mistypes_hear_the_same() {
    let (node, known) = with_account().await;
    let wrong = log_in(&node, known.as_str(), "wrong password").await.unwrap_err();
    for name in [did(99).as_str(), "nobody.pds.test", "nobody@mail.example", "no identifier at all", ""] {
        assert_eq!(log_in(&node, name, PASSWORD).await.unwrap_err(), wrong, "{name}");
    }
    assert_eq!(
        (wrong.name, wrong.message.as_str()),
        ("AuthenticationRequired", "Invalid identifier or password")
    );
    for name in [known.as_str(), "USER1@mail.example", " user1@mail.example "] {
        assert_eq!(log_in(&node, name, PASSWORD).await.unwrap().account.did, known, "{name}");
    }
}

#[tokio::test]
async fn guessing_ends_and_sessions_go_on() {
    let (node, did) = with_account().await;
    let tokens = log_in(&node, did.as_str(), PASSWORD).await.unwrap().tokens;
    let given = |address| Credentials {
        identifier: did.as_str(),
        password: PASSWORD,
        auth_factor_token: None,
        allow_takendown: false,
        address,
    };
    let mut limited = false;
    for _ in 0..4 {
        let tries: Vec<_> = (0..50)
            .map(|n| {
                let (host, did) = (node.host.clone(), did.clone());
                tokio::spawn(async move {
                    let address = format!("198.51.100.{n}");
                    let (identifier, password) = (did.as_str(), "guess");
                    let given = Credentials {
                        identifier,
                        password,
                        auth_factor_token: None,
                        allow_takendown: false,
                        address: &address,
                    };
                    host.log_in(given).await.unwrap_err().name
                })
            })
            .collect();
        for one in tries {
            limited |= one.await.unwrap() == "RateLimitExceeded";
        }
    }
    assert!(limited, "guessing goes on and on");
    assert_eq!(node.host.log_in(given("203.0.113.8")).await.unwrap_err().name, "RateLimitExceeded");
    assert!(node.host.log_in(given("192.0.2.1")).await.is_ok(), "the owner, from where he was before");
    assert!(node.host.verify_access(&tokens.access).await.is_ok(), "and where he is logged in");
    crate::later(&node, DAY + 1);
    assert!(node.host.log_in(given("203.0.113.8")).await.is_ok());
}

#[tokio::test]
async fn passwords_of_another_server_are_taken_and_kept_anew() {
    let (node, did) = with_account().await;
    // Made by Node: scryptSync("alice-pass", "0011…eeff", 64).
    let foreign = concat!(
        "00112233445566778899aabbccddeeff:",
        "85d2944c78528b864a1453e080b5aada995b6b80634f60d8ed988002620c5d00",
        "490ec117aae7791a80ceed9db9f17e403e78bed870a1385c90be3a390b13cb18"
    );
    let patch = Box::new(LoginPatch { password: Some(foreign.into()), ..LoginPatch::default() });
    node.store.apply(Unit::PatchLogin { did: did.clone(), patch }).await.unwrap();
    assert!(log_in(&node, did.as_str(), "alice-pasS").await.is_err());
    assert_eq!(node.store.login(&did).await.unwrap().unwrap().password, foreign);
    assert!(log_in(&node, did.as_str(), "alice-pass").await.is_ok());
    let kept = node.store.login(&did).await.unwrap().unwrap().password;
    assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert!(log_in(&node, did.as_str(), "alice-pass").await.is_ok());
}

#[tokio::test]
async fn app_passwords_of_another_server_are_taken_and_kept_anew() {
    let (node, did) = with_account().await;
    // Made by Node for did:web:user1.example: its salt is the beginning of the DID's digest.
    let row = AppPasswordRow {
        did: did.clone(),
        name: "old app".into(),
        password: include_str!("app_password.txt").trim().into(),
        privileged: true,
        created_at: 1,
    };
    let unit = HostingUnit::Accounts(AccountsUnit::PutAppPassword(row));
    node.store.apply(Unit::Hosting(Box::new(unit))).await.unwrap();
    assert!(log_in(&node, did.as_str(), "abcd-efgh-ijkl-mnoq").await.is_err());
    for _ in 0..2 {
        let session = log_in(&node, did.as_str(), "abcd-efgh-ijkl-mnop").await.unwrap().tokens;
        let access = node.host.verify_access(&session.access).await.unwrap();
        assert_eq!(access.app_password.as_deref(), Some("old app"));
        let kept = node.store.app_passwords(&did).await.unwrap();
        assert!(kept[0].password.starts_with("sha256:"));
    }
    assert!(log_in(&node, did.as_str(), PASSWORD).await.is_ok());
}

#[tokio::test]
async fn preferences_stay_in_their_namespace_and_personal_ones_to_full_sessions() {
    use serde_json::json;
    let (node, did) = with_account().await;
    let put = |full, values: Vec<serde_json::Value>| {
        let (host, did) = (node.host.clone(), did.clone());
        async move { host.put_preferences(&did, "app.bsky", full, &values).await }
    };
    let adult = json!({ "$type": "app.bsky.actor.defs#adultContentPref", "enabled": true });
    let personal = json!({ "$type": "app.bsky.actor.defs#personalDetailsPref", "birthDate": "1990-01-01" });
    put(true, vec![adult.clone(), personal.clone()]).await.unwrap();
    let all = node.host.preferences(&did, "app.bsky", true).await.unwrap();
    assert_eq!(&all[..2], [adult.clone(), personal.clone()]);
    assert_eq!(all[2]["$type"], "app.bsky.actor.defs#declaredAgePref");
    assert_eq!(all[2]["isOverAge18"], true);
    let seen = node.host.preferences(&did, "app.bsky", false).await.unwrap();
    assert_eq!((seen.len(), &seen[0]), (2, &adult), "without the birth date");
    assert!(put(false, vec![personal.clone()]).await.is_err());
    assert!(put(true, vec![json!({ "$type": "com.example.pref" })]).await.is_err());
    assert!(put(true, vec![json!({ "enabled": true })]).await.is_err());
    put(false, vec![]).await.unwrap();
    let left = node.host.preferences(&did, "app.bsky", true).await.unwrap();
    assert_eq!(left[0], personal, "what an app password does not see it does not delete");
    put(true, vec![all[2].clone()]).await.unwrap();
    assert!(
        node.host.preferences(&did, "app.bsky", true).await.unwrap().is_empty(),
        "computed, never stored"
    );
}

#[tokio::test]
async fn what_operators_do_is_noted_without_secrets() {
    let (node, did) = with_account().await;
    node.host.admin_set_password(&By::Admin, &did, "a secret password").await.unwrap();
    let moderator = By::Moderator(crate::shared::did(7));
    node.host.set_invites_disabled(&moderator, &did, true).await.unwrap();
    let acts = node.host.audits(Some(&did), None, 10).await.unwrap();
    let said: Vec<_> = acts.iter().map(|act| (act.who.as_str(), act.what.as_str())).collect();
    assert_eq!(
        said[..2],
        [("did:web:user7.example", "disableAccountInvites"), ("admin", "updateAccountPassword")]
    );
    assert!(acts.iter().all(|act| !format!("{act:?}").contains("secret")));
}
