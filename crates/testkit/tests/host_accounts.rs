//! Owners of hosted accounts: what they do with the ordinary client, by mail, and through the command line; and that
//! nothing is left of them when they go.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use p2pds_testkit::hosted::{ADMIN, Hosted, PASSWORD};
use p2pds_testkit::http::request;
use p2pds_testkit::need;
use p2pds_testkit::oracle::{Network, Options, POST, image, node, post_record};
use p2pds_testkit::visit::Visit;
use serde_json::{Value, json};

/// A K-256 key that nobody here has.
const RECOVERY: &str = "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme";

fn run(dir: &Path, given: &Value) -> Value {
    let oracle = need::oracle().unwrap();
    std::os::unix::fs::symlink(oracle.join("node_modules"), dir.join("node_modules")).unwrap();
    let script = dir.join("accounts.mjs");
    std::fs::write(&script, include_str!("accounts/accounts.mjs")).unwrap();
    let output = Command::new(node(&oracle)).arg(&script).arg(given.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_ordinary_client_signs_up_and_lives_here() {
    let Some(lexicons) = need::shared("lexicons") else { return };
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let hosted = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let given = json!({
        "service": hosted.url, "admin": ADMIN, "lexicons": lexicons, "name": "alice-client", "recoveryKey": RECOVERY,
    });
    let seen = run(dir.path(), &given);
    let is = |path: &str, want: Value| assert_eq!(seen.pointer(path).unwrap(), &want, "{path}: {seen:#}");
    is("/domains", json!([".test"]));
    for (what, want) in [
        ("handleTaken", "HandleNotAvailable"),
        ("emailTaken", "InvalidRequest"),
        ("noEmail", "InvalidRequest"),
        ("notAnAddress", "InvalidRequest"),
        ("noPassword", "InvalidPassword"),
        ("reserved", "HandleNotAvailable"),
        ("elsewhere", "UnsupportedDomain"),
        ("tooShort", "InvalidHandle"),
        ("anothersDid", "AuthenticationRequired"),
        ("badKey", "InvalidRequest"),
        ("wrongPassword", "AuthenticationRequired"),
        ("unknown", "AuthenticationRequired"),
        ("secondFactor", "accepted"),
        ("refreshAsAccess", "InvalidToken"),
        ("accessAsRefresh", "InvalidToken"),
        ("appPosts", "accepted"),
        ("revoked", "AuthenticationRequired"),
        ("revokedSession", "ExpiredToken"),
        ("adminCodes", "InvalidRequest"),
        ("noSubject", "NotFound"),
        ("both", "InvalidRequest"),
    ] {
        is(&format!("/{what}"), want.into());
    }
    is("/session/email", "alice-client@mail.test".into());
    is("/session/emailConfirmed", false.into());
    is("/session/active", true.into());
    is("/race", json!({ "statuses": [200], "successors": 1 }));
    assert!(seen["accessSeconds"].as_u64().unwrap() <= 900);
    is("/afterLogout", json!(["ExpiredToken", "ExpiredToken"]));
    for refused in seen["app"].as_object().unwrap().values() {
        assert_ne!(refused, "accepted", "{}", seen["app"]);
    }
    is("/appPasswords", json!([["chats", true], ["plain", false]]));
    is("/preferences", json!(["adultContentPref", "personalDetailsPref", "declaredAgePref"]));
    is("/limitedPreferences", json!(["adultContentPref", "declaredAgePref"]));
    is("/queue", json!({ "activated": true }));
    is("/noAdmin", 401.into());
    is("/wrongAdmin", 401.into());
    is("/info", json!({ "handle": "alice-client.test", "email": "alice-client@mail.test" }));
    is("/infos", 1.into());
    is("/found", json!([seen["did"]]));
    is("/codes", json!([true, 2]));
    is("/ownCodes", 2.into());
    is("/ownCodesThen", 1.into());
    is("/allCodes", true.into());
    is("/invitesDisabled", true.into());
    is("/visible", json!(["shown", "RecordNotFound", "shown"]));
    is("/listed", false.into());
    is("/recordStatus", json!({ "applied": true, "ref": "case 1" }));
    is("/status/takedown", json!({ "applied": true, "ref": "case 2" }));
    is("/status/deactivated", json!({ "applied": false }));
    is("/takendown/login", "AccountTakedown".into());
    is("/takendown/appPassword", "AuthenticationRequired".into());
    assert_ne!(seen["takendown"]["session"], Value::Null);
    is("/takendown/repo/status", "takendown".into());
    is("/takendown/head", "RepoTakendown".into());
    is("/narrow/status", "takendown".into());
    assert_ne!(seen["narrow"]["write"], Value::Null);
    assert_ne!(seen["narrow"]["refresh"], Value::Null);
    is("/sent", json!({ "sent": true }));
    is("/deactivated/session", "deactivated".into());
    assert_ne!(seen["deactivated"]["write"], "accepted");
    is("/deactivated/repo", "deactivated".into());
    is("/activated", true.into());
    assert!(
        seen["checked"].as_u64().unwrap() > 40,
        "answers checked with their lexicons: {}",
        seen["checked"]
    );
    // The owner's key stands before the host's.
    let log: Value =
        serde_json::from_slice(&network.audit_log(seen["did"].as_str().unwrap()).unwrap()).unwrap();
    let keys = log[0]["operation"]["rotationKeys"].as_array().unwrap();
    assert_eq!((keys.len(), &keys[0]), (2, &json!(RECOVERY)));
    let acts = hosted.program.json(&["admin", "audit", "alice-client.test"]).unwrap();
    let whats: Vec<_> = acts.as_array().unwrap().iter().map(|act| act["what"].as_str().unwrap()).collect();
    for what in ["takedown", "restore", "updateAccountPassword", "updateAccountEmail", "sendEmail"] {
        assert!(whats.contains(&what), "{whats:?}");
    }
}

/// The code in the newest mail of a kind, as the operator reads it.
fn code(hosted: &Hosted, kind: &str) -> String {
    // Who forgot a password is looked up after the answer.
    let deadline = Instant::now() + Duration::from_secs(60);
    let row = loop {
        let mails = hosted.program.json(&["mail", "list"]).unwrap();
        if let Some(row) = mails.as_array().unwrap().iter().find(|row| row["kind"] == kind) {
            break row.clone();
        }
        assert!(Instant::now() < deadline, "no mail of the kind {kind} in {mails}");
        std::thread::sleep(Duration::from_millis(100));
    };
    let mail = hosted.program.json(&["mail", "show", &row["id"].to_string()]).unwrap();
    let text = mail["text"].as_str().unwrap();
    text.lines().find_map(|line| line.strip_prefix("    ")).unwrap().to_owned()
}

fn call(hosted: &Hosted, nsid: &str, token: Option<&str>, body: Option<&Value>) -> (u16, Value) {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers: Vec<(&str, &str)> =
        bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    if body.is_some() {
        headers.push(("content-type", "application/json"));
    }
    let body = body.map(|body| body.to_string().into_bytes());
    let url = format!("{}/xrpc/com.atproto.server.{nsid}", hosted.url);
    let reply = request("POST", &url, &headers, body.as_deref()).unwrap();
    (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
}

/// Files under a directory that hold a text.
fn holding(dir: &Path, text: &[u8], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            holding(&path, text, found);
        } else if std::fs::read(&path).is_ok_and(|bytes| bytes.windows(text.len()).any(|at| at == text)) {
            found.push(format!("{} in {}", String::from_utf8_lossy(text), path.display()));
        }
    }
}

#[test]
fn mail_is_read_by_the_operator_and_a_deleted_account_leaves_nothing() {
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut hosted = Hosted::start(&network, &data, &[]).unwrap();
    let account = hosted.sign_up(&network, "leaving").unwrap();
    let stays = hosted.sign_up(&network, "staying").unwrap();
    let canary = "canary-of-a-post-0123456789-abcdefghij";
    account.create(POST, &post_record(canary)).unwrap();
    stays.create(POST, &post_record("this one stays")).unwrap();
    let blob = image(1, 20_000);
    account.post_image(&blob).unwrap();
    let preferences =
        json!({ "preferences": [{ "$type": "app.bsky.actor.defs#x", "canary": "canary-of-a-preference" }] });
    account.call("app.bsky.actor.putPreferences", &preferences).unwrap();

    // What it reports is the operator's to read, who is told that it waits; what is about it is too.
    let report = |by: &str, about: &str, words: &str| {
        let body = json!({
            "reasonType": "com.atproto.moderation.defs#reasonRude", "reason": words,
            "subject": { "$type": "com.atproto.admin.defs#repoRef", "did": about },
        });
        let bearer = format!("Bearer {by}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let url = format!("{}/xrpc/com.atproto.moderation.createReport", hosted.url);
        let reply = request("POST", &url, &headers, Some(body.to_string().as_bytes())).unwrap();
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    };
    report(account.token(), &stays.did, "canary-of-a-report-it-sent");
    report(stays.token(), &account.did, "canary-of-a-report-about-it");
    let reports = hosted.program.json(&["admin", "reports"]).unwrap();
    assert_eq!(
        (&reports[0]["id"], &reports[0]["by"], &reports[0]["subject"], &reports[0]["words"]),
        (&json!(1), &json!(account.did), &json!(stays.did), &json!("canary-of-a-report-it-sent"))
    );
    let read = hosted.program.ok(&["admin", "reports"]).unwrap();
    assert!(String::from_utf8_lossy(&read.stdout).contains("| canary-of-a-report-about-it"));
    let told = Instant::now() + Duration::from_secs(60);
    let waits = || {
        let alerts = hosted.program.run(&["alerts", "--json"]).unwrap();
        String::from_utf8_lossy(&alerts.stdout).contains("2 reports wait; the oldest since")
    };
    while !waits() {
        assert!(Instant::now() < told, "no alert says that reports wait");
        std::thread::sleep(Duration::from_millis(200));
    }
    hosted.program.ok(&["admin", "report", "close", "1", "--note", "canary-of-a-note"]).unwrap();
    let gone = hosted.program.run(&["admin", "report", "close", "1", "--note", "again"]).unwrap();
    assert!(gone.code != Some(0) && gone.stderr.contains("no open report 1"), "{gone}");
    assert_eq!(hosted.program.json(&["admin", "reports"]).unwrap().as_array().unwrap().len(), 1);
    let all = hosted.program.json(&["admin", "reports", "--closed"]).unwrap();
    assert_eq!(all[1]["note"], "canary-of-a-note");
    let acts = hosted.program.json(&["admin", "audit"]).unwrap();
    assert_eq!((&acts[0]["what"], &acts[0]["subject"]), (&json!("closeReport"), &json!("report 1")));

    let token = Some(account.token());
    assert_eq!(call(&hosted, "requestEmailConfirmation", token, None).0, 200);
    let confirm = json!({ "email": "leaving@mail.test", "token": code(&hosted, "confirm-email") });
    assert_eq!(call(&hosted, "confirmEmail", token, Some(&confirm)).0, 200);
    assert_eq!(call(&hosted, "confirmEmail", token, Some(&confirm)).1["error"], "InvalidToken");
    assert_eq!(call(&hosted, "requestEmailUpdate", token, None).1, json!({ "tokenRequired": true }));
    let update = json!({ "email": "canary-address@mail.test" });
    assert_eq!(call(&hosted, "updateEmail", token, Some(&update)).1["error"], "TokenRequired");
    let update = json!({ "email": "canary-address@mail.test", "token": code(&hosted, "update-email") });
    assert_eq!(call(&hosted, "updateEmail", token, Some(&update)).0, 200);

    assert_eq!(
        call(&hosted, "requestPasswordReset", None, Some(&json!({ "email": "nobody@mail.test" }))).0,
        200
    );
    let reset = json!({ "email": "canary-address@mail.test" });
    assert_eq!(call(&hosted, "requestPasswordReset", None, Some(&reset)).0, 200);
    let reset = json!({ "token": code(&hosted, "reset-password"), "password": "a password after the reset" });
    assert_eq!(call(&hosted, "resetPassword", None, Some(&reset)).0, 200);
    assert_ne!(call(&hosted, "requestAccountDelete", token, None).0, 200, "everybody was logged out");
    let login = json!({ "identifier": account.did, "password": "a password after the reset" });
    let (_, session) = call(&hosted, "createSession", None, Some(&login));
    let token = session["accessJwt"].as_str();

    assert_eq!(call(&hosted, "requestAccountDelete", token, None).0, 200);
    let delete =
        |password: &str, token: &str| json!({ "did": account.did, "password": password, "token": token });
    let code = code(&hosted, "delete-account");
    let wrong = delete(PASSWORD, &code);
    assert_eq!(call(&hosted, "deleteAccount", None, Some(&wrong)).1["error"], "AuthenticationRequired");
    let right = delete("a password after the reset", &code);
    assert_eq!(call(&hosted, "deleteAccount", None, Some(&right)).0, 200);
    assert_eq!(call(&hosted, "getSession", token, None).0 / 100, 4);
    let url = format!("{}/xrpc/com.atproto.sync.getRepoStatus?did={}", hosted.url, account.did);
    assert_eq!(request("GET", &url, &[], None).unwrap().status, 400);

    // It is erased in the background; what was stored of it is in no file then.
    let deadline = Instant::now() + Duration::from_secs(120);
    let canaries: [&[u8]; 9] = [
        b"canary-of-a-report-it-sent",
        b"canary-of-a-report-about-it",
        b"canary-of-a-note",
        canary.as_bytes(),
        b"canary-of-a-preference",
        b"canary-address@mail.test",
        b"leaving@mail.test",
        &blob[..64],
        b"leaving.test",
    ];
    loop {
        let mut found = Vec::new();
        canaries.iter().for_each(|text| holding(&data, text, &mut found));
        if found.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{found:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let listed = hosted.program.json(&["account", "list"]).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["handle"], "staying.test");
    hosted.stop().unwrap();
    hosted.begin().unwrap();
    assert!(stays.latest_commit().is_ok(), "others go on");
    let again = hosted.sign_up(&network, "leaving").unwrap();
    assert_ne!(again.did, account.did, "the handle is free again");
}

#[test]
fn the_command_line_makes_and_keeps_accounts() {
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let settings = [("PDS_INVITE_REQUIRED", "true")];
    let hosted = Hosted::start(&network, &dir.path().join("data"), &settings).unwrap();
    let run = |args: &[&str]| hosted.program.json(args).unwrap();
    let made = run(&["account", "create", "carol.test", "--email", "carol@mail.test"]);
    let (did, password) = (made["did"].as_str().unwrap(), made["password"].as_str().unwrap());
    let log_in = |identifier: &str, password: &str| {
        let body = json!({ "identifier": identifier, "password": password });
        call(&hosted, "createSession", None, Some(&body))
    };
    assert_eq!(log_in("carol.test", password).0, 200);
    let file = dir.path().join("password");
    std::fs::write(&file, "from a file of mine\n").unwrap();
    let reset =
        run(&["account", "reset-password", "carol@mail.test", "--password-file", file.to_str().unwrap()]);
    assert_eq!(reset["password"], Value::Null, "what was given is not repeated");
    assert_eq!(log_in("carol.test", password).0, 401);
    assert_eq!(log_in(did, "from a file of mine").0, 200);

    let codes = run(&["invite", "create", "--count", "2"]);
    let sign_up = |code: &str| {
        let body = json!({ "handle": "dave.test", "email": "dave@mail.test", "password": PASSWORD, "inviteCode": code });
        call(&hosted, "createAccount", None, Some(&body))
    };
    assert_eq!(sign_up("localhost-aaaaa-bbbbb").1["error"], "InvalidInviteCode");
    run(&["invite", "disable", codes[0].as_str().unwrap()]);
    assert_eq!(sign_up(codes[0].as_str().unwrap()).1["error"], "InvalidInviteCode");
    assert_eq!(sign_up(codes[1].as_str().unwrap()).0, 200);
    let listed = run(&["invite", "list"]);
    let used: u64 = listed.as_array().unwrap().iter().map(|row| row["used"].as_u64().unwrap()).sum();
    assert_eq!((listed.as_array().unwrap().len(), used), (2, 1));

    run(&["account", "disable", "carol.test", "--reason", "case 3"]);
    assert_eq!(run(&["account", "show", did])["takedown"], "case 3");
    assert_eq!(log_in(did, "from a file of mine").1["error"], "AccountTakedown");
    run(&["account", "enable", did]);
    assert_eq!(log_in(did, "from a file of mine").0, 200);
    let refused = hosted.program.run(&["mail", "test", "operator@mail.test"]).unwrap();
    assert!(refused.code != Some(0) && refused.stderr.contains("mail.smtp_url"), "{refused}");
    let unsure = hosted.program.run(&["account", "delete", "carol.test"]).unwrap();
    assert_eq!(unsure.code, Some(2), "{unsure}");
    hosted.program.ok(&["account", "delete", "carol.test", "--yes"]).unwrap();
    assert_eq!(run(&["account", "list"]).as_array().unwrap().len(), 1);
    assert_eq!(log_in(did, "from a file of mine").0, 401);
    let acts = run(&["admin", "audit", did]);
    assert_eq!(
        (acts[0]["what"].as_str(), acts[0]["who"].as_str()),
        (Some("deleteAccount"), Some("operator"))
    );
}

#[test]
fn a_service_token_works_once_also_after_a_kill() {
    let Some(network) = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut hosted = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let account = hosted.sign_up(&network, "uploading").unwrap();
    let login = json!({ "identifier": account.handle, "password": PASSWORD });
    let access =
        call(&hosted, "createSession", None, Some(&login)).1["accessJwt"].as_str().unwrap().to_owned();
    let own = request("GET", &format!("{}/xrpc/com.atproto.server.describeServer", hosted.url), &[], None);
    let own =
        serde_json::from_slice::<Value>(&own.unwrap().body).unwrap()["did"].as_str().unwrap().to_owned();
    // For a quarter of an hour: what an app gives a video service.
    let end = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() + 900;
    let query = format!("aud={own}&lxm=com.atproto.repo.uploadBlob&exp={end}");
    let token = |hosted: &Hosted| {
        let url = format!("{}/xrpc/com.atproto.server.getServiceAuth?{query}", hosted.url);
        let reply = request("GET", &url, &[("authorization", &format!("Bearer {access}"))], None).unwrap();
        serde_json::from_slice::<Value>(&reply.body).unwrap()["token"].as_str().unwrap().to_owned()
    };
    let upload = |hosted: &Hosted, token: &str| {
        let url = format!("{}/xrpc/com.atproto.repo.uploadBlob", hosted.url);
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "image/png")];
        let reply = request("POST", &url, &headers, Some(&image(7, 2_000))).unwrap();
        (reply.status, serde_json::from_slice::<Value>(&reply.body).unwrap()["error"].clone())
    };
    let (used, other) = (token(&hosted), token(&hosted));
    assert_eq!(upload(&hosted, &used), (200, Value::Null));
    assert_eq!(upload(&hosted, &used), (401, json!("BadJwt")), "twice");
    hosted.kill().unwrap();
    hosted.begin().unwrap();
    assert_eq!(upload(&hosted, &used), (401, json!("BadJwt")), "twice, with a restart in between");
    assert_eq!(upload(&hosted, &other), (200, Value::Null), "made before the restart, not used yet");
}

#[test]
fn a_browser_that_is_signed_in_is_not_enough_for_what_lasts() {
    let Some(network) = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let hosted = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let account = hosted.sign_up(&network, "robbed").unwrap();
    let mut visit = Visit::default();
    visit.open(&format!("{}/account", hosted.url)).unwrap();
    let form = visit.form("identifier", "").unwrap();
    visit.send(&form.with("identifier", &account.handle).with("password", PASSWORD)).unwrap();
    assert!(visit.page.contains(&account.did), "{}", visit.page);
    let own = visit.url.clone();
    let mut act = |what: &str, fields: &[(&str, &str)]| {
        visit.open(&own).unwrap();
        let form = visit.form("do", what).unwrap();
        let form = fields.iter().fold(form, |form, (name, value)| form.with(name, value));
        visit.send(&form).unwrap();
        visit.page.clone()
    };
    let new: [(&str, &[(&str, &str)]); 4] = [
        ("app-add", &[("name", "thief")]),
        ("email-change", &[("email", "thief@mail.test")]),
        ("handle", &[("handle", "thief.test")]),
        ("deactivate", &[]),
    ];
    for (what, fields) in new {
        for password in ["", "wrong password"] {
            let page = act(what, &[fields, &[("password", password)]].concat());
            assert!(page.contains("not the password of the account"), "{what}: {page}");
        }
    }
    assert!(act("app-add", &[("name", "mine"), ("password", PASSWORD)]).contains("mine"));
    let mails = hosted.program.json(&["mail", "list"]).unwrap();
    assert!(mails.as_array().unwrap().iter().any(|row| row["kind"] == "app-password-made"), "{mails}");
    assert!(act("deactivate", &[("password", PASSWORD)]).contains("activate"));
}

#[test]
fn forms_that_send_mail_and_make_accounts_are_counted() {
    let Some(network) = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let hosted = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let account = hosted.sign_up(&network, "counted").unwrap();
    let mut visit = Visit::default();
    let mut sent = 0;
    let too_many = loop {
        assert_eq!(visit.open(&format!("{}/account/forgot", hosted.url)).unwrap(), None);
        let form = visit.form("email", "").unwrap().with("email", "counted@mail.test");
        assert_eq!(visit.send(&form).unwrap(), None);
        if !visit.url.ends_with("?sent=1") {
            break visit.page.clone();
        }
        sent += 1;
    };
    assert_eq!(sent, 20, "{too_many}");
    assert!(too_many.contains("Too many tries. Wait for 5 minutes."), "{too_many}");
    // Another thing is counted by itself; and what is refused for what it says is counted too.
    visit.open(&format!("{}/account/sign-up", hosted.url)).unwrap();
    let form = visit.form("email", "").unwrap().with("handle", "counted").with("email", "other@mail.test");
    let form = form.with("password", PASSWORD).with("domain", ".test");
    let mut refused = 0;
    loop {
        visit.send(&form).unwrap();
        if visit.page.contains("Too many tries") {
            break;
        }
        assert!(visit.page.contains("This name is taken"), "{}", visit.page);
        refused += 1;
    }
    assert_eq!(refused, 30);
    assert_eq!(hosted.sign_in(&account.handle).unwrap().did, account.did, "who lives here is not kept out");
}
