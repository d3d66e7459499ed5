//! What owners prove themselves with beside the password.

use std::collections::BTreeSet;

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use p2pds_host::accounts::factors::{
    Added, BackupCodes, Factor, MOST_PASSKEYS, NewPasskey, SignIn, SignedIn, totp,
};
use p2pds_host::accounts::{By, Credentials, LoggedIn};
use p2pds_host::{HostError, HostResult};
use p2pds_store::{LoginPatch, Unit};
use p2pds_syntax::Did;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::shared::Node;
use crate::{DAY, MINUTE, PASSWORD, add, code, later, log_in, with_account};

const ADDRESS: &str = "192.0.2.1";

async fn log_in_with(node: &Node, did: &Did, token: &str) -> HostResult<LoggedIn> {
    let given = Credentials {
        identifier: did.as_str(),
        password: PASSWORD,
        auth_factor_token: Some(token),
        allow_takendown: false,
        address: ADDRESS,
    };
    node.host.log_in(given).await
}

fn name<T>(result: HostResult<T>) -> &'static str {
    result.err().map_or("", |error: HostError| error.name)
}

/// Sets an app up: its secret, and the backup codes.
async fn with_app(node: &Node, did: &Did) -> (Vec<u8>, Vec<String>) {
    let new = node.host.begin_totp(did).await.unwrap();
    let secret = BASE32_NOPAD.decode(new.secret.as_bytes()).unwrap();
    let first = app_code(node, &secret);
    let added = node.host.finish_totp(did, &new.state, &first, PASSWORD, ADDRESS).await.unwrap();
    (secret, codes_of(&added.backup_codes.unwrap()))
}

fn codes_of(codes: &BackupCodes) -> Vec<String> {
    codes.expose().map(str::to_owned).collect()
}

/// What the app shows now.
fn app_code(node: &Node, secret: &[u8]) -> String {
    String::from_utf8(totp::code(secret, totp::step(node.host.now())).to_vec()).unwrap()
}

async fn mails(node: &Node, kind: &str) -> usize {
    node.host.mail_list(200).await.unwrap().iter().filter(|row| row.kind == kind).count()
}

async fn confirm_email(node: &Node, did: &Did) {
    let patch = LoginPatch { email_confirmed_at: Some(Some(1)), ..LoginPatch::default() };
    node.store.apply(Unit::PatchLogin { did: did.clone(), patch: Box::new(patch) }).await.unwrap();
}

#[tokio::test]
async fn an_app_is_set_up_asked_for_and_removed() {
    let (node, did) = with_account().await;
    let new = node.host.begin_totp(&did).await.unwrap();
    assert!(new.uri.contains(new.secret.as_str()) && new.uri.starts_with("otpauth://totp/pds.test:"));
    let secret = BASE32_NOPAD.decode(new.secret.as_bytes()).unwrap();
    let right = app_code(&node, &secret);
    let wrong = if right == "000000" { "111111" } else { "000000" };
    let finish = |state: String, code: String, password: &'static str, did: Did| {
        let host = node.host.clone();
        async move { name(host.finish_totp(&did, &state, &code, password, ADDRESS).await) }
    };
    let state = new.state.to_string();
    assert_eq!(finish(state.clone(), wrong.into(), PASSWORD, did.clone()).await, "InvalidToken");
    assert_eq!(
        finish(state.clone(), right.clone(), "wrong password", did.clone()).await,
        "AuthenticationRequired"
    );
    let other = add(&node, 2).await;
    assert_eq!(finish(state.clone(), right.clone(), PASSWORD, other).await, "ExpiredToken", "another's");
    assert_eq!(finish("AAAA".into(), right.clone(), PASSWORD, did.clone()).await, "ExpiredToken");
    assert!(!node.host.factors(&did).await.unwrap().any(), "nothing is stored before");
    assert!(log_in(&node, did.as_str(), PASSWORD).await.is_ok());

    let spaced = format!("{} {}", &right[..3], &right[3..]);
    let added = node.host.finish_totp(&did, &state, &spaced, PASSWORD, ADDRESS).await.unwrap();
    assert_eq!(codes_of(&added.backup_codes.unwrap()).len(), 10);
    assert_eq!(mails(&node, "sign-in-changed").await, 1);
    let factors = node.host.factors(&did).await.unwrap();
    assert!(factors.any() && factors.app_since.is_some() && factors.backup_codes.unwrap().1 == 10);

    assert_eq!(name(log_in(&node, did.as_str(), PASSWORD).await), "AuthFactorTokenRequired");
    assert_eq!(name(log_in_with(&node, &did, " ").await), "AuthFactorTokenRequired");
    assert_eq!(name(log_in(&node, did.as_str(), "wrong password").await), "AuthenticationRequired");
    let refused = log_in_with(&node, &did, wrong).await.unwrap_err();
    assert!(refused.name == "InvalidToken" && refused.message.contains("Token is invalid"), "{refused}");
    assert_eq!(name(log_in_with(&node, &did, &right).await), "InvalidToken", "it proved the app");
    later(&node, MINUTE);
    let next = app_code(&node, &secret);
    assert!(log_in_with(&node, &did, &next).await.is_ok());
    assert_eq!(name(log_in_with(&node, &did, &next).await), "InvalidToken", "once");
    later(&node, 5 * MINUTE);
    assert_eq!(finish(state, app_code(&node, &secret), PASSWORD, did.clone()).await, "ExpiredToken");

    let (_, app) = node.host.create_app_password(&did, "old app", false).await.unwrap();
    assert!(log_in(&node, did.as_str(), &app).await.is_ok(), "made for applications that cannot ask");
    assert!(node.host.remove_totp(&did, "wrong password", ADDRESS).await.is_err());
    node.host.remove_totp(&did, PASSWORD, ADDRESS).await.unwrap();
    assert_eq!(mails(&node, "sign-in-changed").await, 2);
    let factors = node.host.factors(&did).await.unwrap();
    assert!(!factors.any() && factors.backup_codes.is_none(), "nothing is left that they stand in for");
    assert!(log_in(&node, did.as_str(), PASSWORD).await.is_ok());
}

#[tokio::test]
async fn the_secret_is_sealed_for_its_account_under_the_key_of_the_node() {
    let (node, did) = with_account().await;
    let (secret, _) = with_app(&node, &did).await;
    let stored = node.store.factor(&did).await.unwrap().unwrap().totp.unwrap();
    assert!(!stored.windows(secret.len()).any(|part| part == secret));
    use p2pds_host::keys::Purpose;
    let keys = node.host.keys();
    let of = |who: &str| format!("totp {who}").into_bytes();
    assert_eq!(*keys.unseal(Purpose::Factors, &stored, &of(did.as_str())).unwrap(), secret);
    assert!(keys.unseal(Purpose::Factors, &stored, &of("did:web:other.example")).is_none());
    assert!(keys.unseal(Purpose::Mail, &stored, &of(did.as_str())).is_none());
    for at in [0, 1, stored.len() / 2, stored.len() - 1] {
        let mut damaged = stored.clone();
        damaged[at] ^= 1;
        assert!(keys.unseal(Purpose::Factors, &damaged, &of(did.as_str())).is_none(), "{at}");
    }
    assert!(keys.unseal(Purpose::Factors, &stored[..20], &of(did.as_str())).is_none());
    let other = p2pds_host::keys::Keys::in_memory().unwrap();
    assert!(other.unseal(Purpose::Factors, &stored, &of(did.as_str())).is_none());
}

#[tokio::test]
async fn backup_codes_stand_in_and_are_used_up() {
    let (node, did) = with_account().await;
    assert!(node.host.renew_backup_codes(&did, PASSWORD, ADDRESS).await.is_err(), "for nothing");
    let (_, codes) = with_app(&node, &did).await;
    assert!(log_in_with(&node, &did, &codes[0].to_uppercase().replace('-', " ")).await.is_ok());
    assert_eq!(name(log_in_with(&node, &did, &codes[0]).await), "InvalidToken", "once");
    assert_eq!(mails(&node, "sign-in-changed").await, 2, "the owner hears of it");
    let other = add(&node, 2).await;
    with_app(&node, &other).await;
    assert_eq!(name(log_in_with(&node, &other, &codes[1]).await), "InvalidToken", "another account's");
    assert!(node.host.renew_backup_codes(&did, "wrong password", ADDRESS).await.is_err());
    let new = codes_of(&node.host.renew_backup_codes(&did, PASSWORD, ADDRESS).await.unwrap());
    assert_eq!(name(log_in_with(&node, &did, &codes[1]).await), "InvalidToken", "void");
    assert!(log_in_with(&node, &did, &new[9]).await.is_ok());
    assert_eq!(node.host.factors(&did).await.unwrap().backup_codes.unwrap().1, 9);
    // What is stored opens nothing.
    assert_eq!(new.iter().collect::<BTreeSet<_>>().len(), 10);
}

/// Attacks 45 and 48: however they come, so many wrong codes are tried and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn wrong_codes_end_and_a_password_of_the_operator_begins_anew() {
    let (node, did) = with_account().await;
    let (secret, codes) = with_app(&node, &did).await;
    let mut names = Vec::new();
    for round in 0..2 {
        let all: Vec<_> = (0..15)
            .map(|n| {
                let (host, did) = (node.host.clone(), did.clone());
                let wrong = format!("aaaa-aaaa-aaaa-{round}{n:03}").replace(['0', '1', '8', '9'], "a");
                tokio::spawn(async move {
                    let address = format!("198.51.100.{n}");
                    let given = Credentials {
                        identifier: did.as_str(),
                        password: PASSWORD,
                        auth_factor_token: Some(&wrong),
                        allow_takendown: false,
                        address: &address,
                    };
                    name(host.log_in(given).await)
                })
            })
            .collect();
        for one in all {
            names.push(one.await.unwrap());
        }
    }
    let count = |name| names.iter().filter(|seen| **seen == name).count();
    assert_eq!((count("InvalidToken"), count("RateLimitExceeded")), (20, 10), "{names:?}");
    later(&node, MINUTE);
    assert_eq!(name(log_in_with(&node, &did, &app_code(&node, &secret)).await), "RateLimitExceeded");
    assert_eq!(name(log_in_with(&node, &did, &codes[0]).await), "RateLimitExceeded");
    let refused = log_in_with(&node, &did, "123456").await.unwrap_err();
    assert!(
        refused.retry_after.is_some_and(|seconds| seconds > 80_000) && refused.message.contains("password")
    );
    // Who reads the mailbox guesses no more codes by it.
    crate::forgot(&node, "user1@mail.example").await;
    let token = code(&node, "reset-password").await;
    node.host.reset_password(crate::reset(&token, PASSWORD, false)).await.unwrap();
    assert_eq!(name(log_in_with(&node, &did, &codes[0]).await), "RateLimitExceeded");
    // The operator has seen who asks.
    node.host.admin_set_password(&By::Operator, &did, PASSWORD).await.unwrap();
    later(&node, MINUTE);
    assert!(log_in_with(&node, &did, &app_code(&node, &secret)).await.is_ok());
    assert_eq!(name(log_in_with(&node, &did, "000000").await), "InvalidToken", "counted anew");
    later(&node, DAY);
    assert!(log_in_with(&node, &did, &codes[0]).await.is_ok());
}

#[tokio::test]
async fn codes_by_e_mail_are_switched_by_update_email_as_the_reference_has_it() {
    let (node, did) = with_account().await;
    let update = |email: &'static str, token: Option<String>, factor: Option<bool>| {
        let (host, did) = (node.host.clone(), did.clone());
        async move { name(host.update_email(&did, email, token.as_deref(), factor, "none").await) }
    };
    let mine = "user1@mail.example";
    assert_eq!(update(mine, None, Some(true)).await, "InvalidRequest", "not confirmed");
    confirm_email(&node, &did).await;
    assert_eq!(
        update("new@mail.example", None, Some(true)).await,
        "InvalidRequest",
        "confirm that one first"
    );
    assert_eq!(update(mine, None, Some(true)).await, "");
    assert!(node.host.factors(&did).await.unwrap().email);
    assert!(node.host.account_view(&did).await.unwrap().email_auth_factor);

    let refused = log_in(&node, did.as_str(), PASSWORD).await.unwrap_err();
    assert_eq!(refused.name, "AuthFactorTokenRequired");
    assert!(refused.message.contains("sent to your email"), "{refused}");
    assert_eq!(mails(&node, "sign-in").await, 1);
    assert_eq!(name(log_in(&node, did.as_str(), PASSWORD).await), "AuthFactorTokenRequired");
    assert_eq!(mails(&node, "sign-in").await, 1, "one a minute");
    let sent = code(&node, "sign-in").await;
    assert_eq!(name(log_in_with(&node, &did, "AAAAA-AAAAA").await), "InvalidToken");
    assert!(log_in_with(&node, &did, &sent.to_lowercase()).await.is_ok());
    assert_eq!(name(log_in_with(&node, &did, &sent).await), "InvalidToken", "once");
    later(&node, MINUTE);
    assert_eq!(name(log_in(&node, did.as_str(), PASSWORD).await), "AuthFactorTokenRequired");
    assert_eq!(mails(&node, "sign-in").await, 2);
    let sent = code(&node, "sign-in").await;
    later(&node, 15 * MINUTE);
    assert_eq!(name(log_in_with(&node, &did, &sent).await), "ExpiredToken");
    // A code for another purpose is none.
    node.host.request_account_delete(&did).await.unwrap();
    let other = code(&node, "delete-account").await;
    assert_eq!(name(log_in_with(&node, &did, &other).await), "InvalidToken");

    assert_eq!(update(mine, None, Some(false)).await, "TokenRequired");
    assert!(node.host.request_email_update(&did).await.unwrap());
    let token = code(&node, "update-email").await;
    assert_eq!(update(mine, Some(token.clone()), Some(false)).await, "");
    assert_eq!(update(mine, Some(token), Some(false)).await, "InvalidToken", "once");
    assert!(log_in(&node, did.as_str(), PASSWORD).await.is_ok());
    let login = node.store.login(&did).await.unwrap().unwrap();
    assert!(login.email == mine && login.email_confirmed_at.is_some(), "the address stays as it was");

    let Added { backup_codes } = node.host.set_email_factor(&did, true, PASSWORD, ADDRESS).await.unwrap();
    assert!(backup_codes.is_some(), "an application could not have shown any");
    node.host.admin_set_email(&By::Operator, &did, "typo@mail.example").await.unwrap();
    assert!(log_in(&node, did.as_str(), PASSWORD).await.is_ok(), "a typo locks nobody out");
    assert!(!node.host.account_view(&did).await.unwrap().email_auth_factor);
}

/// An authenticator of software.
struct Device {
    pair: EcdsaKeyPair,
    id: Vec<u8>,
    flags: u8,
    count: u32,
    user: Option<String>,
}

const UP: u8 = 1;
const UV: u8 = 4;

impl Device {
    fn new(n: u8) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        Self { pair, id: vec![n; 20], flags: UP | UV, count: 0, user: None }
    }

    fn client(options: &Value, kind: &str) -> Vec<u8> {
        json!({ "type": kind, "challenge": options["challenge"], "origin": "http://pds.test", "crossOrigin": false })
            .to_string()
            .into_bytes()
    }

    fn head(&self, more: u8) -> Vec<u8> {
        let mut out = Sha256::digest(b"pds.test").to_vec();
        out.push(self.flags | more);
        out.extend(self.count.to_be_bytes());
        out
    }

    fn make(&mut self, options: &Value) -> String {
        self.user = options["user"]["id"].as_str().map(str::to_owned);
        let point = self.pair.public_key().as_ref();
        let mut data = self.head(0x40);
        data.extend([0; 16]);
        data.extend([0, 20]);
        data.extend(&self.id);
        data.extend([0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32]);
        data.extend(&point[1..33]);
        data.extend([0x22, 0x58, 32]);
        data.extend(&point[33..]);
        let object = [
            b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58",
            [u8::try_from(data.len()).unwrap()].as_slice(),
            data.as_slice(),
        ]
        .concat();
        json!({
            "id": BASE64URL_NOPAD.encode(&self.id), "rawId": BASE64URL_NOPAD.encode(&self.id), "type": "public-key",
            "response": {
                "clientDataJSON": BASE64URL_NOPAD.encode(&Self::client(options, "webauthn.create")),
                "attestationObject": BASE64URL_NOPAD.encode(&object),
                "transports": ["internal"],
            },
            "clientExtensionResults": { "credProps": { "rk": true } },
        })
        .to_string()
    }

    fn get(&self, options: &Value) -> String {
        let (client, data) = (Self::client(options, "webauthn.get"), self.head(0));
        let signed = [data.as_slice(), Sha256::digest(&client).as_slice()].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap();
        json!({
            "id": BASE64URL_NOPAD.encode(&self.id), "rawId": BASE64URL_NOPAD.encode(&self.id), "type": "public-key",
            "response": {
                "clientDataJSON": BASE64URL_NOPAD.encode(&client),
                "authenticatorData": BASE64URL_NOPAD.encode(&data),
                "signature": BASE64URL_NOPAD.encode(signature.as_ref()),
                "userHandle": self.user,
            },
            "clientExtensionResults": {},
        })
        .to_string()
    }
}

async fn enrol(node: &Node, did: &Did, device: &mut Device) -> HostResult<Added> {
    let options = node.host.begin_passkey(did).await?;
    let json = device.make(&options);
    node.host.finish_passkey(did, NewPasskey { json: &json, name: "my key" }, PASSWORD, ADDRESS).await
}

async fn asked(node: &Node, did: &Did) -> (String, Value) {
    let given = SignIn {
        identifier: did.as_str(),
        password: PASSWORD,
        factor: None,
        app_passwords: false,
        address: ADDRESS,
    };
    match node.host.sign_in(given).await.unwrap() {
        SignedIn::FactorNeeded(needed) => (needed.ticket.to_string(), needed.passkey.unwrap()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_passkey_signs_in_alone_and_beside_the_password() {
    let (node, did) = with_account().await;
    let mut device = Device::new(1);
    let options = node.host.begin_passkey(&did).await.unwrap();
    assert_eq!(options["rp"]["id"], "pds.test");
    assert_eq!(options["attestation"], "none");
    let json = device.make(&options);
    let finish = |json: String, password: &'static str| {
        let (host, did) = (node.host.clone(), did.clone());
        async move {
            name(
                host.finish_passkey(&did, NewPasskey { json: &json, name: "my key" }, password, ADDRESS)
                    .await,
            )
        }
    };
    assert_eq!(finish(json.clone(), "wrong password").await, "AuthenticationRequired");
    assert_eq!(finish(json.clone(), PASSWORD).await, "");
    assert_eq!(finish(json, PASSWORD).await, "InvalidPasskey", "its challenge is answered");
    assert_eq!(mails(&node, "sign-in-changed").await, 1);
    let factors = node.host.factors(&did).await.unwrap();
    assert!(factors.passkeys[0].name == "my key" && factors.passkeys[0].discoverable && factors.any());
    assert_eq!(factors.backup_codes.unwrap().1, 10);
    let options = node.host.begin_passkey(&did).await.unwrap();
    assert_eq!(options["excludeCredentials"][0]["id"], BASE64URL_NOPAD.encode(&device.id).as_str());

    // Alone.
    let options = node.host.begin_passkey_sign_in().unwrap();
    assert_eq!(
        (&options["userVerification"], &options["allowCredentials"]),
        (&json!("required"), &json!([]))
    );
    let answer = device.get(&options);
    assert_eq!(node.host.sign_in_with_passkey(&answer).await.unwrap(), did);
    assert_eq!(name(node.host.sign_in_with_passkey(&answer).await), "InvalidPasskey", "replayed");

    // Beside the password, with what an application can ask for, and with what a page can.
    let refused = log_in(&node, did.as_str(), PASSWORD).await.unwrap_err();
    assert!(refused.name == "AuthFactorTokenRequired" && refused.message.contains("passkey"), "{refused}");
    let (ticket, options) = asked(&node, &did).await;
    assert_eq!(options["allowCredentials"][0]["id"], BASE64URL_NOPAD.encode(&device.id).as_str());
    device.flags = UP;
    let factor = Factor::Passkey(device.get(&options));
    assert_eq!(node.host.sign_in_with_ticket(&ticket, &factor, ADDRESS).await.unwrap(), did);
    assert_eq!(
        name(node.host.sign_in_with_ticket(&ticket, &factor, ADDRESS).await),
        "InvalidPasskey",
        "replayed"
    );
    let (_, options) = asked(&node, &did).await;
    let factor = Factor::Passkey(device.get(&options));
    let given = SignIn {
        identifier: did.as_str(),
        password: PASSWORD,
        factor: Some(&factor),
        app_passwords: false,
        address: ADDRESS,
    };
    assert!(matches!(node.host.sign_in(given).await, Ok(SignedIn::Right { app_password: None, .. })));
    let given = SignIn { password: "wrong password", ..given };
    assert_eq!(name(node.host.sign_in(given).await), "AuthenticationRequired", "a factor alone is nothing");
    let (_, app) = node.host.create_app_password(&did, "old app", false).await.unwrap();
    let given = SignIn { password: &app, factor: None, ..given };
    assert_eq!(name(node.host.sign_in(given).await), "AuthenticationRequired", "not for pages");

    node.host.name_passkey(&did, &device.id, " the blue one ").await.unwrap();
    assert_eq!(node.host.factors(&did).await.unwrap().passkeys[0].name, "the blue one");
    assert!(node.host.name_passkey(&did, &device.id, "").await.is_err());
    assert!(node.host.name_passkey(&did, b"?", "x").await.is_err());
    assert!(node.host.remove_passkey(&did, &device.id, "wrong password", ADDRESS).await.is_err());
    node.host.remove_passkey(&did, &device.id, PASSWORD, ADDRESS).await.unwrap();
    device.flags = UP | UV;
    let options = node.host.begin_passkey_sign_in().unwrap();
    assert_eq!(name(node.host.sign_in_with_passkey(&device.get(&options)).await), "InvalidPasskey");
    assert!(log_in(&node, did.as_str(), PASSWORD).await.is_ok());
}

#[tokio::test]
async fn passkeys_that_are_refused() {
    let (node, did) = with_account().await;
    let other = add(&node, 2).await;
    let (mut device, mut others) = (Device::new(1), Device::new(2));
    device.count = 7;
    enrol(&node, &did, &mut device).await.unwrap();
    enrol(&node, &other, &mut others).await.unwrap();
    let alone = |json: String| {
        let host = node.host.clone();
        async move { name(host.sign_in_with_passkey(&json).await) }
    };
    let ask = || node.host.begin_passkey_sign_in().unwrap();
    device.count = 8;
    assert_eq!(alone(device.get(&ask())).await, "");
    // Whose counter went back.
    for count in [8, 7, 0] {
        device.count = count;
        assert_eq!(alone(device.get(&ask())).await, "InvalidPasskey", "counter {count}");
    }
    assert!(mails(&node, "sign-in-changed").await >= 3, "its owner hears of it");
    device.count = 20;
    // That does not know who uses it.
    device.flags = UP;
    assert_eq!(alone(device.get(&ask())).await, "InvalidPasskey");
    device.flags = UP | UV;
    // With an answer to another question: of another purpose, another account, none of ours, or too late.
    let (_, second) = asked(&node, &did).await;
    let register = node.host.begin_passkey(&did).await.unwrap();
    for question in [second.clone(), register, json!({ "challenge": "AAAA" }), json!({ "challenge": "" })] {
        assert_eq!(alone(device.get(&question)).await, "InvalidPasskey", "{question}");
    }
    let mut challenge = BASE64URL_NOPAD.decode(ask()["challenge"].as_str().unwrap().as_bytes()).unwrap();
    // Its end, moved.
    challenge[17] ^= 1;
    assert_eq!(
        alone(device.get(&json!({ "challenge": BASE64URL_NOPAD.encode(&challenge) }))).await,
        "InvalidPasskey"
    );
    let late = ask();
    later(&node, 5 * MINUTE);
    assert_eq!(alone(device.get(&late)).await, "InvalidPasskey", "too late");
    // That names another account than it was made for.
    let mine = device.user.replace(others.user.clone().unwrap());
    assert_eq!(alone(device.get(&ask())).await, "InvalidPasskey");
    device.user = mine;
    assert_eq!(alone(device.get(&ask())).await, "");
    // That is another account's.
    let (ticket, options) = asked(&node, &did).await;
    let with = |json: String| {
        let (host, ticket) = (node.host.clone(), ticket.clone());
        async move { name(host.sign_in_with_ticket(&ticket, &Factor::Passkey(json), ADDRESS).await) }
    };
    assert_eq!(with(others.get(&options)).await, "InvalidPasskey");
    let (_, theirs) = asked(&node, &other).await;
    device.count = 21;
    assert_eq!(with(device.get(&theirs)).await, "InvalidPasskey", "a question to another account");
    assert_eq!(with(device.get(&ask())).await, "InvalidPasskey", "a question to nobody");
    assert_eq!(with("{}".into()).await, "InvalidPasskey");
    device.count = 22;
    assert_eq!(with(device.get(&options)).await, "");
    // That is known already, here or at another account.
    assert_eq!(name(enrol(&node, &did, &mut device).await), "InvalidRequest");
    assert_eq!(name(enrol(&node, &other, &mut device).await), "InvalidRequest");
    // A question that was put to another account.
    let options = node.host.begin_passkey(&other).await.unwrap();
    let json = Device::new(3).make(&options);
    let new = NewPasskey { json: &json, name: "x" };
    assert_eq!(name(node.host.finish_passkey(&did, new, PASSWORD, ADDRESS).await), "InvalidPasskey");
    // Too many.
    for n in 1..MOST_PASSKEYS {
        enrol(&node, &did, &mut Device::new(u8::try_from(100 + n).unwrap())).await.unwrap();
    }
    assert!(node.host.begin_passkey(&did).await.is_err());
}

#[tokio::test]
async fn a_ticket_ends_by_itself_and_with_the_password() {
    let (node, did) = with_account().await;
    let (secret, codes) = with_app(&node, &did).await;
    let ticket = || async {
        let given = SignIn {
            identifier: did.as_str(),
            password: PASSWORD,
            factor: None,
            app_passwords: false,
            address: ADDRESS,
        };
        match node.host.sign_in(given).await.unwrap() {
            SignedIn::FactorNeeded(needed) => {
                assert!(needed.app && needed.backup_code && !needed.email && needed.passkey.is_none());
                let shown = format!("{needed:?}");
                assert!(!shown.contains(needed.ticket.as_str()), "{shown}");
                needed.ticket.to_string()
            }
            other => panic!("{other:?}"),
        }
    };
    let with = |ticket: String, code: String| {
        let host = node.host.clone();
        async move { name(host.sign_in_with_ticket(&ticket, &Factor::code(&code).unwrap(), ADDRESS).await) }
    };
    later(&node, MINUTE);
    let first = ticket().await;
    assert_eq!(with(first.clone(), "000000".into()).await, "InvalidToken");
    assert_eq!(with(first.clone(), app_code(&node, &secret)).await, "");
    assert_eq!(with("AAAA".into(), codes[0].clone()).await, "ExpiredToken");
    later(&node, 5 * MINUTE);
    assert_eq!(with(first, codes[0].clone()).await, "ExpiredToken");
    let second = ticket().await;
    node.host.admin_set_password(&By::Operator, &did, PASSWORD).await.unwrap();
    assert_eq!(with(second, codes[0].clone()).await, "ExpiredToken");
    assert_eq!(with(ticket().await, codes[0].clone()).await, "");
}

#[tokio::test]
async fn who_mistypes_learns_nothing_of_factors_and_the_operator_helps_who_lost_them() {
    let (node, did) = with_account().await;
    let plain = add(&node, 2).await;
    with_app(&node, &did).await;
    enrol(&node, &did, &mut Device::new(1)).await.unwrap();
    let wrong = log_in(&node, did.as_str(), "wrong password").await.unwrap_err();
    assert_eq!(log_in(&node, plain.as_str(), "wrong password").await.unwrap_err(), wrong);
    assert_eq!(log_in(&node, "did:web:nobody.example", "wrong password").await.unwrap_err(), wrong);
    // A wrong password beside a code says no more.
    let given = Credentials {
        identifier: did.as_str(),
        password: "wrong password",
        auth_factor_token: Some("123456"),
        allow_takendown: false,
        address: ADDRESS,
    };
    assert_eq!(node.host.log_in(given).await.unwrap_err(), wrong);

    node.host.reset_factors(&By::Operator, &did).await.unwrap();
    assert!(log_in(&node, did.as_str(), PASSWORD).await.is_ok());
    assert!(node.store.passkeys(&did).await.unwrap().is_empty());
    let acts = node.host.audits(Some(&did), None, 10).await.unwrap();
    assert!(acts.iter().any(|act| act.what == "resetFactors" && act.who == "operator"));
    assert!(
        node.host.reset_factors(&By::Operator, &Did::parse("did:web:nobody.example").unwrap()).await.is_err()
    );
}

#[tokio::test]
async fn nothing_of_them_is_left_of_a_deleted_account() {
    let (node, did) = with_account().await;
    with_app(&node, &did).await;
    enrol(&node, &did, &mut Device::new(1)).await.unwrap();
    node.host.admin_delete_account(&By::Operator, &did).await.unwrap();
    assert_eq!(node.store.factor(&did).await.unwrap(), None);
    assert!(node.store.passkeys(&did).await.unwrap().is_empty());
    assert_eq!(node.store.backup_codes(&did).await.unwrap(), 0);
}
