//! What is asked for beside the password, over HTTP and the command line, and how long a refusal takes.
//!
//! `P2PDS_TIMING_HTTP`: so many refusals of each kind are timed (the nightly tier); none without it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

#[path = "../../host/tests/shared/welch.rs"]
mod welch;

use std::time::Instant;

use p2pds_testkit::hosted::{Hosted, PASSWORD};
use p2pds_testkit::http::request;
use p2pds_testkit::oracle::{Network, Options};
use serde_json::{Value, json};
use welch::{LIMIT, Samples};

fn call(hosted: &Hosted, nsid: &str, token: Option<&str>, body: Option<&Value>) -> (u16, Value) {
    call_from(hosted, nsid, token, body, None)
}

fn call_from(
    hosted: &Hosted,
    nsid: &str,
    token: Option<&str>,
    body: Option<&Value>,
    from: Option<&str>,
) -> (u16, Value) {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers: Vec<(&str, &str)> =
        bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    headers.extend(from.map(|from| ("x-forwarded-for", from)));
    headers.extend(body.map(|_| ("content-type", "application/json")));
    let bytes = body.map(|body| body.to_string().into_bytes());
    let url = format!("{}/xrpc/com.atproto.server.{nsid}", hosted.url);
    let reply = request("POST", &url, &headers, bytes.as_deref()).unwrap();
    (reply.status, reply.json().unwrap_or(Value::Null))
}

/// The code in the newest mail of this kind, as an operator without a mail server reads it.
fn mailed(hosted: &Hosted, kind: &str) -> String {
    let list = hosted.program.json(&["mail", "list"]).unwrap();
    let id = list
        .as_array()
        .or_else(|| list["mails"].as_array())
        .unwrap_or_else(|| panic!("{list:#}"))
        .iter()
        .find(|mail| mail["kind"] == kind)
        .unwrap_or_else(|| panic!("no mail of kind {kind}: {list:#}"))["id"]
        .to_string();
    let text = hosted.program.ok(&["mail", "show", &id]).unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    text.lines()
        .find_map(|line| line.strip_prefix("    "))
        .unwrap_or_else(|| panic!("{text}"))
        .trim()
        .to_owned()
}

#[test]
fn a_code_by_e_mail_is_asked_for_and_the_operator_ends_it() {
    let options = Options { pdses: 0, ..Options::default() };
    let Some(network) = Network::start(&options).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let hosted = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    hosted.sign_up(&network, "frank").unwrap();
    let log_in = |factor: Option<&str>| {
        let mut given = json!({ "identifier": "frank.test", "password": PASSWORD });
        if let Some(factor) = factor {
            given["authFactorToken"] = factor.into();
        }
        call(&hosted, "createSession", None, Some(&given))
    };
    let (status, session) = log_in(Some("000000"));
    assert_eq!(status, 200, "nothing is asked for: {session}");
    assert_eq!(session.get("emailAuthFactor"), None);
    let token = session["accessJwt"].as_str().unwrap().to_owned();
    let mine = json!({ "email": "frank@mail.test", "emailAuthFactor": true });
    assert_eq!(call(&hosted, "updateEmail", Some(&token), Some(&mine)).0, 400, "not confirmed yet");
    assert_eq!(call(&hosted, "requestEmailConfirmation", Some(&token), None).0, 200);
    let confirm = json!({ "email": "frank@mail.test", "token": mailed(&hosted, "confirm-email") });
    assert_eq!(call(&hosted, "confirmEmail", Some(&token), Some(&confirm)).0, 200);
    assert_eq!(call(&hosted, "updateEmail", Some(&token), Some(&mine)).0, 200);

    let (status, refused) = log_in(None);
    assert_eq!((status, refused["error"].as_str()), (401, Some("AuthFactorTokenRequired")), "{refused}");
    let (status, refused) = log_in(Some("AAAAA-AAAAA"));
    assert_eq!((status, refused["error"].as_str()), (400, Some("InvalidToken")));
    assert!(refused["message"].as_str().unwrap().contains("Token is invalid"), "what the apps look for");
    let (status, session) = log_in(Some(&mailed(&hosted, "sign-in")));
    assert_eq!((status, session["emailAuthFactor"].as_bool()), (200, Some(true)), "{session}");
    let token = session["accessJwt"].as_str().unwrap();
    let app = call(&hosted, "createAppPassword", Some(token), Some(&json!({ "name": "old app" }))).1;
    let given = json!({ "identifier": "frank.test", "password": app["password"] });
    assert_eq!(
        call(&hosted, "createSession", None, Some(&given)).0,
        200,
        "app passwords are for those that cannot ask"
    );
    let given = json!({ "identifier": "frank.test", "password": "wrong password" });
    assert_eq!(call(&hosted, "createSession", None, Some(&given)).1["error"], "AuthenticationRequired");

    let shown = hosted.program.ok(&["account", "show", "frank.test"]).unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("codes by e-mail"), "{shown}");
    hosted.program.ok(&["account", "reset-factors", "frank.test", "--yes"]).unwrap();
    assert_eq!(log_in(None).0, 200);
    let audit = String::from_utf8(hosted.program.ok(&["admin", "audit"]).unwrap().stdout).unwrap();
    assert!(audit.contains("resetFactors"), "{audit}");
}

/// Refusals over HTTP take as long whether there is such an account, and whether it asks for more than its password.
#[test]
fn refusals_take_as_long_whoever_is_meant() {
    let count =
        std::env::var("P2PDS_TIMING_HTTP").ok().and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    if count == 0 {
        welch::is_right();
        return;
    }
    let options = Options { pdses: 0, ..Options::default() };
    let Some(network) = Network::start(&options).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let hosted = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    // So many wrong passwords of one name are too many.
    let names = count / 50 + 1;
    for n in 0..names {
        hosted.sign_up(&network, &format!("known{n}")).unwrap();
    }
    let mut samples: [Samples; 2] = Default::default();
    let mut dice = welch::Dice(46);
    for round in 0..count + 5 {
        for kind in dice.order::<2>() {
            let name = [format!("known{}.test", round % names), format!("nobody{}.test", round % names)]
                [kind]
                .clone();
            let given = json!({ "identifier": name, "password": "wrong password" });
            let from = format!("198.51.{}.{}", round / 200, round % 200);
            let began = Instant::now();
            let (status, refused) = call_from(&hosted, "createSession", None, Some(&given), Some(&from));
            let took = began.elapsed();
            assert_eq!(
                (status, refused["error"].as_str()),
                (401, Some("AuthenticationRequired")),
                "{refused}"
            );
            if round >= 5 {
                samples[kind].push(took);
            }
        }
    }
    let t = welch::t(&samples[0], &samples[1]);
    println!("an account beside nobody, over HTTP: t = {t:.2}, {count} samples each");
    assert!(t.abs() < LIMIT, "accounts and names without one can be told apart in time: t = {t:.2}");
}
