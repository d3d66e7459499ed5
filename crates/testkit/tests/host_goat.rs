//! `goat`, as it comes, against a hosting node: an account's whole life from the command line of the protocol's authors,
//! its own verification of every event, and moves in and out with the reference PDS at the other end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeSet;

use p2pds_testkit::goat::Goat;
use p2pds_testkit::hosted::Hosted;
use p2pds_testkit::oracle::{Account, Network, Options, POST, Pds, car_blocks, image, post_record};
use serde_json::{Value, json};

const PASSWORD: &str = "a password for goat";

/// The code in the newest mail of a kind, as the operator reads it.
fn code(hosted: &Hosted, kind: &str) -> String {
    let mails = hosted.program.json(&["mail", "list"]).unwrap();
    let row = mails.as_array().unwrap().iter().find(|row| row["kind"] == kind).unwrap();
    let mail = hosted.program.json(&["mail", "show", &row["id"].to_string()]).unwrap();
    let text = mail["text"].as_str().unwrap();
    text.lines().find_map(|line| line.strip_prefix("    ")).unwrap().to_owned()
}

/// The code that the reference PDS has mailed: without a mail server it is in its database alone.
fn their_code(pds: &Pds, did: &str) -> String {
    let database = rusqlite::Connection::open(pds.data_dir().join("account.sqlite")).unwrap();
    let sql = "SELECT token FROM email_token WHERE purpose = 'plc_operation' AND did = ?1";
    database.query_row(sql, [did], |row| row.get(0)).unwrap()
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What `goat account status` says after its two lines of text.
fn status(goat: &Goat) -> Value {
    let text = goat.ok(&["account", "status"]).unwrap();
    parse(&text[text.find('{').unwrap()..])
}

/// The URI and CID that a write prints.
fn written(text: &str) -> (String, String) {
    let (uri, cid) = text.trim().split_once('\t').unwrap_or_else(|| panic!("{text}"));
    (uri.to_owned(), cid.to_owned())
}

fn rkey(uri: &str) -> &str {
    uri.rsplit('/').next().unwrap()
}

/// A new account, made and entered by goat: its DID.
fn join(goat: &Goat, network: &Network, host: &str, name: &str) -> String {
    let (handle, email) = (format!("{name}.test"), format!("{name}@mail.test"));
    let made = goat
        .ok(&[
            "account",
            "create",
            "--pds-host",
            host,
            "--handle",
            &handle,
            "--email",
            &email,
            "--password",
            PASSWORD,
        ])
        .unwrap();
    assert!(made.starts_with("Success!") && made.contains(&handle), "{made}");
    let did = made.lines().find_map(|line| line.strip_prefix("DID: ")).unwrap().to_owned();
    network.names.set_txt(&format!("_atproto.{handle}"), &[&format!("did={did}")]);
    did
}

#[test]
fn an_account_lives_by_goat_alone() {
    let Some(network) = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap() else { return };
    let Some(goat) = Goat::new(&network, &network.plc).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let hosted = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let described = parse(&goat.ok(&["pds", "describe", &hosted.url]).unwrap());
    assert_eq!(described["availableUserDomains"], json!([".test"]));

    let did = join(&goat, &network, &hosted.url, "goat-alone");
    // Without a host: by the handle's TXT record, the directory, and the document.
    let wrong = goat.fails(&["account", "login", "-u", "goat-alone.test", "-p", "not it"]).unwrap();
    assert!(wrong.contains("AuthenticationRequired") && wrong.contains("401"), "{wrong}");
    goat.ok(&["account", "login", "-u", "goat-alone.test", "-p", PASSWORD]).unwrap();
    let document = parse(&goat.ok(&["resolve", "goat-alone.test"]).unwrap());
    assert_eq!(document["service"][0]["serviceEndpoint"], hosted.url.as_str());
    let lookup = goat.ok(&["account", "lookup", &did]).unwrap();
    assert!(lookup.contains(&did) && lookup.contains("Active: true"), "{lookup}");
    let begun = status(&goat);
    assert_eq!((&begun["activated"], &begun["validDid"]), (&json!(true), &json!(true)));

    records(&goat, &did);
    blobs(&goat, &did);
    lexicons(&goat, &network, &did);
    repo(&goat, &hosted, &did);
    preferences(&goat);
    services(&goat, &hosted, &did);
    identity(&goat, &hosted, &network, &did);
    switched_off_and_on(&goat, &did);
    firehose(&goat, &hosted, &did);
    goat.ok(&["account", "logout"]).unwrap();
    assert!(goat.fails(&["account", "status"]).unwrap().contains("not logged in"));
}

fn records(goat: &Goat, did: &str) {
    let file = |name, record: &Value| goat.file(name, record.to_string()).to_owned();
    let first = file("first.json", &post_record("first words"));
    let (uri, cid) = written(&goat.ok(&["record", "create", &first]).unwrap());
    assert_eq!(parse(&goat.ok(&["record", "get", &uri]).unwrap())["text"], "first words");
    let better = file("better.json", &post_record("better words"));
    let (same, newer) = written(&goat.ok(&["record", "update", "--rkey", rkey(&uri), &better]).unwrap());
    assert_eq!(same, uri);
    assert_ne!(newer, cid);
    assert_eq!(parse(&goat.ok(&["get", &uri]).unwrap())["text"], "better words");

    // A key of one's own; the same key twice; a record that its schema refuses; one whose schema nobody has.
    let profile = json!({ "$type": "app.bsky.actor.profile", "displayName": "Goat" });
    let profile = file("profile.json", &profile);
    let (uri_profile, _) = written(&goat.ok(&["record", "create", "--rkey", "self", &profile]).unwrap());
    assert_eq!(uri_profile, format!("at://{did}/app.bsky.actor.profile/self"));
    let twice = goat.fails(&["record", "create", "--rkey", "self", &profile]).unwrap();
    assert!(twice.contains("400"), "{twice}");
    let bad = file("bad.json", &json!({ "$type": POST, "text": 5, "createdAt": "2026-11-21T00:00:00Z" }));
    assert!(goat.fails(&["record", "create", &bad]).unwrap().contains("InvalidRequest"));
    let own = file("own.json", &json!({ "$type": "com.example.nobody", "words": "mine" }));
    assert!(goat.fails(&["record", "create", &own]).is_ok(), "its schema cannot be checked");
    goat.ok(&["record", "create", "--no-validate", &own]).unwrap();

    let (said, _) = written(goat.ok(&["bsky", "post", "by goat"]).unwrap().lines().next().unwrap());
    let listed = goat.ok(&["record", "ls", "--collections", "goat-alone.test"]).unwrap();
    assert_eq!(
        listed.lines().collect::<BTreeSet<_>>(),
        ["app.bsky.actor.profile", POST, "com.example.nobody"].into()
    );
    assert_eq!(goat.ok(&["record", "ls", did]).unwrap().lines().count(), 4);
    goat.ok(&["record", "delete", "--collection", POST, "--rkey", rkey(&said)]).unwrap();
    let posts = goat.ok(&["ls", "--collection", POST, did]).unwrap();
    assert_eq!(posts.lines().collect::<Vec<_>>(), [format!("{POST}\t{}\t{newer}", rkey(&uri))]);
    assert!(goat.fails(&["record", "get", &said]).unwrap().contains("RecordNotFound"));
}

fn blobs(goat: &Goat, did: &str) {
    let picture = image(3, 70_000);
    let uploaded = parse(&goat.ok(&["blob", "upload", goat.file("picture.png", &picture)]).unwrap());
    let mut post = post_record("with a picture");
    post["embed"] =
        json!({ "$type": "app.bsky.embed.images", "images": [{ "alt": "none", "image": uploaded }] });
    goat.ok(&["record", "create", goat.file("picture.json", post.to_string())]).unwrap();
    assert_eq!(goat.ok(&["account", "missing-blobs"]).unwrap(), "");
    let cid = uploaded["ref"]["$link"].as_str().unwrap();
    assert_eq!(goat.ok(&["blob", "ls", did]).unwrap().trim(), cid);
    goat.ok(&["blob", "download", "-o", "again.png", did, cid]).unwrap();
    assert_eq!(std::fs::read(goat.dir().join("again.png")).unwrap(), picture);
    goat.ok(&["blob", "export", "-o", "blobs", did]).unwrap();
    assert_eq!(std::fs::read(goat.dir().join("blobs").join(cid)).unwrap(), picture);
}

/// A schema is published, and from then on records are checked against it.
fn lexicons(goat: &Goat, network: &Network, did: &str) {
    network.names.set_txt("_lexicon.goat.test", &[&format!("did={did}")]);
    let schema = json!({
        "lexicon": 1, "id": "test.goat.note",
        "defs": { "main": { "type": "record", "key": "tid", "record": {
            "type": "object", "required": ["text"], "properties": { "text": { "type": "string", "maxLength": 20 } },
        } } },
    });
    let file = goat.file("schema.json", schema.to_string());
    assert_eq!(goat.ok(&["lex", "parse", file]).unwrap().trim(), "schema.json: success");
    goat.ok(&["lex", "publish", file]).unwrap();
    assert_eq!(parse(&goat.ok(&["lex", "resolve", "test.goat.note"]).unwrap())["id"], "test.goat.note");
    assert_eq!(goat.ok(&["lex", "ls", "test.goat.note"]).unwrap().trim(), "test.goat.note");
    let note = |text: &str| json!({ "$type": "test.goat.note", "text": text }).to_string();
    let long = goat.file("long.json", note("longer than twenty bytes"));
    // The node may still be reading the schema: then the record cannot be checked yet, which is a refusal as well.
    assert!(goat.fails(&["record", "create", long]).is_ok());
    let good = goat.file("good.json", note("short"));
    let mut tries = (0..50).map(|_| goat.ok(&["record", "create", good]));
    let (uri, _) = written(&tries.find_map(Result::ok).unwrap());
    let refused = goat.fails(&["record", "create", long]).unwrap();
    assert!(refused.contains("InvalidRequest") && refused.contains("text"), "{refused}");
    goat.ok(&["lex", "validate", &uri]).unwrap();
}

/// The repository is exported, read by goat's own library, and brought back.
fn repo(goat: &Goat, hosted: &Hosted, did: &str) {
    let before = status(goat);
    goat.ok(&["repo", "export", "-o", "repo.car", did]).unwrap();
    let listed = goat.ok(&["repo", "ls", "repo.car"]).unwrap();
    let records = goat.ok(&["record", "ls", did]).unwrap();
    let theirs: BTreeSet<String> = records.lines().map(|line| line.replacen('\t', "/", 1)).collect();
    assert_eq!(listed.lines().map(str::to_owned).collect::<BTreeSet<_>>(), theirs);
    let inspected = goat.ok(&["repo", "inspect", "repo.car"]).unwrap();
    assert!(
        inspected.contains(did) && inspected.contains(before["repoRev"].as_str().unwrap()),
        "{inspected}"
    );
    assert!(!goat.ok(&["repo", "mst", "repo.car"]).unwrap().is_empty());
    let unpacked = goat.ok(&["repo", "unpack", "-o", "unpacked", "repo.car"]).unwrap();
    assert_eq!(unpacked.lines().filter(|line| line.ends_with(".json")).count(), theirs.len());

    // Back to where it was: what came after the export is gone, and the revision is newer all the same.
    let later = goat.file("later.json", post_record("after the export").to_string());
    let (later, _) = written(&goat.ok(&["record", "create", later]).unwrap());
    goat.ok(&["repo", "import", "repo.car"]).unwrap();
    assert!(goat.fails(&["record", "get", &later]).unwrap().contains("RecordNotFound"));
    let after = status(goat);
    assert_eq!(after["indexedRecords"], before["indexedRecords"]);
    assert!(after["repoRev"].as_str() > before["repoRev"].as_str());
    goat.ok(&["repo", "export", "-o", "again.car", did]).unwrap();
    let blocks = |name: &str| car_blocks(&std::fs::read(goat.dir().join(name)).unwrap()).unwrap();
    let ((first, mut old), (second, mut new)) = (blocks("repo.car"), blocks("again.car"));
    old.remove(&first);
    new.remove(&second);
    assert_eq!(old, new, "all but the commit");
    let repos = goat.ok(&["relay", "--relay-host", &hosted.url, "account", "list"]).unwrap();
    assert!(repos.contains(did), "{repos}");
}

fn preferences(goat: &Goat) {
    let wanted = json!([{ "$type": "app.bsky.actor.defs#adultContentPref", "enabled": false }]);
    goat.ok(&["bsky", "prefs", "import", goat.file("prefs.json", wanted.to_string())]).unwrap();
    assert_eq!(parse(&goat.ok(&["bsky", "prefs", "export"]).unwrap()), wanted);
}

/// Service tokens: this node's own, taken by itself for what it is for, and nothing else.
fn services(goat: &Goat, hosted: &Hosted, did: &str) {
    let audience =
        parse(&goat.ok(&["pds", "describe", &hosted.url]).unwrap())["did"].as_str().unwrap().to_owned();
    let token = |lxm: &str| {
        let said = goat.ok(&["account", "service-auth", "--aud", &audience, "--lxm", lxm]).unwrap();
        said.trim().to_owned()
    };
    let upload = |token: &str| {
        let url = format!("{}/xrpc/com.atproto.repo.uploadBlob", hosted.url);
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "text/plain")];
        p2pds_testkit::http::request("POST", &url, &headers, Some(b"by a service")).unwrap().status
    };
    let fit = token("com.atproto.repo.uploadBlob");
    assert_eq!((upload(&fit), upload(&fit)), (200, 401), "once");
    assert_eq!(upload(&token("app.bsky.feed.getTimeline")), 401, "for something else");
    let again = goat.fails(&[
        "account",
        "create",
        "--pds-host",
        &hosted.url,
        "--handle",
        "again.test",
        "--password",
        PASSWORD,
        "--email",
        "again@mail.test",
        "--existing-did",
        did,
        "--service-auth",
        &token("com.atproto.server.createAccount"),
    ]);
    assert!(again.unwrap().contains("400"), "it is here already");
    let key = goat.ok(&["key", "generate"]).unwrap();
    let secret = key.split_whitespace().find(|word| word.starts_with('z')).unwrap();
    let offline = goat.ok(&[
        "account",
        "service-auth-offline",
        "--atproto-signing-key",
        secret,
        "--iss",
        did,
        "--aud",
        &audience,
        "--lxm",
        "com.atproto.repo.uploadBlob",
    ]);
    assert_eq!(upload(offline.unwrap().trim()), 401, "not the account's key");
}

/// The identity: a new handle, and a rotation key that the user holds, by the code that is mailed.
fn identity(goat: &Goat, hosted: &Hosted, network: &Network, did: &str) {
    network.names.set_txt("_atproto.goat-renamed.test", &[&format!("did={did}")]);
    goat.ok(&["account", "update-handle", "goat-renamed.test"]).unwrap();
    let current = parse(&goat.ok(&["account", "plc", "current"]).unwrap());
    assert_eq!(current["alsoKnownAs"], json!(["at://goat-renamed.test"]));
    let recommended = parse(&goat.ok(&["account", "plc", "recommended"]).unwrap());
    for part in ["alsoKnownAs", "rotationKeys", "services", "verificationMethods"] {
        assert_eq!(recommended[part], current[part], "{part}");
    }

    let generated = goat.ok(&["key", "generate"]).unwrap();
    let key = generated.split_whitespace().find(|word| word.starts_with("did:key:")).unwrap();
    let secret = generated.split_whitespace().find(|word| word.starts_with('z')).unwrap();
    let asked = goat.fails(&["account", "plc", "add-rotation-key", "--first", "--token", "AAAAA-AAAAA", key]);
    assert!(asked.unwrap().contains("InvalidToken"));
    goat.ok(&["account", "plc", "request-token"]).unwrap();
    let token = code(hosted, "plc-operation");
    goat.ok(&["account", "plc", "add-rotation-key", "--first", "--token", &token, key]).unwrap();
    let keys = |of: &Value| of["rotationKeys"].as_array().unwrap().clone();
    let now = parse(&goat.ok(&["plc", "data", did]).unwrap());
    assert_eq!(keys(&now), [vec![json!(key)], keys(&current)].concat());

    // In two steps: signed here by a new code, looked at, and submitted through the node.
    let mut wanted = now.clone();
    wanted["alsoKnownAs"] = json!(["at://goat-renamed.test", "at://goat-too.test"]);
    goat.ok(&["account", "plc", "request-token"]).unwrap();
    let token = code(hosted, "plc-operation");
    let file = goat.file("wanted.json", wanted.to_string());
    let signed = goat.ok(&["account", "plc", "sign", "--token", &token, file]).unwrap();
    let mut spoilt = parse(&signed);
    spoilt["rotationKeys"] = json!([key]);
    let refused = goat.fails(&["account", "plc", "submit", goat.file("spoilt.json", spoilt.to_string())]);
    assert!(refused.unwrap().contains("400"));
    goat.ok(&["account", "plc", "submit", goat.file("signed.json", signed)]).unwrap();
    assert_eq!(parse(&goat.ok(&["plc", "data", did]).unwrap())["alsoKnownAs"], wanted["alsoKnownAs"]);
    // And past the node, by the user's own key: what the node hosts works on.
    let update = goat.ok(&["plc", "update", did]).unwrap();
    let mut update = parse(&update);
    update["alsoKnownAs"] = json!(["at://goat-renamed.test"]);
    let file = goat.file("update.json", update.to_string());
    let signed = goat.ok(&["plc", "sign", "--plc-signing-key", secret, file]).unwrap();
    goat.ok(&["plc", "submit", "--did", did, goat.file("own.signed.json", signed)]).unwrap();
    let history = goat.ok(&["plc", "history", did]).unwrap();
    assert_eq!(history.matches("\"plc_operation\"").count(), 5, "{history}");
    goat.ok(&["bsky", "post", "under the new name"]).unwrap();
}

fn switched_off_and_on(goat: &Goat, did: &str) {
    goat.ok(&["account", "deactivate"]).unwrap();
    let lookup = goat.ok(&["account", "lookup", did]).unwrap();
    assert!(lookup.contains("Active: false") && lookup.contains("Status: deactivated"), "{lookup}");
    let refused = goat.fails(&["repo", "export", "-o", "off.car", did]).unwrap();
    assert!(refused.contains("RepoDeactivated"), "{refused}");
    assert!(goat.fails(&["bsky", "post", "while away"]).unwrap().contains("AccountDeactivated"));
    assert_eq!(status(goat)["activated"], false);
    goat.ok(&["account", "activate"]).unwrap();
    assert!(goat.ok(&["account", "lookup", did]).unwrap().contains("Active: true"));
}

/// All that happened, as goat verifies it: structure, signature, and every operation turned back.
fn firehose(goat: &Goat, hosted: &Hosted, did: &str) {
    let (_, cid) = written(goat.ok(&["bsky", "post", "the last one"]).unwrap().lines().next().unwrap());
    let args = [
        "firehose",
        "--relay-host",
        &hosted.url,
        "--cursor",
        "0",
        "--verify-basic",
        "--verify-sig",
        "--verify-mst",
    ];
    let (lines, said) = goat.lines(&args, |line| line.contains(&cid)).unwrap();
    let problems: Vec<&str> = said.lines().filter(|line| !line.contains("\"level\":\"INFO\"")).collect();
    // An account's first commit has none before it.
    assert!(matches!(problems[..], [first] if first.contains("prevData is nil")), "{said}");
    let kinds: BTreeSet<String> =
        lines.iter().map(|line| parse(line)["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["account", "commit", "identity", "sync"].map(str::to_owned).into());
    assert!(lines.iter().all(|line| line.contains(did)));
    let args = ["firehose", "--relay-host", &hosted.url, "--cursor", "0", "--ops"];
    let (lines, said) = goat.lines(&args, |line| line.contains(&cid)).unwrap();
    assert!(!said.contains("\"ERROR\"") && !said.contains("\"WARN\""), "{said}");
    let actions: BTreeSet<String> =
        lines.iter().map(|line| parse(line)["action"].as_str().unwrap().to_owned()).collect();
    assert_eq!(actions, ["create", "delete", "update"].map(str::to_owned).into());
}

fn busy(account: &Account) {
    account.bulk("goat", 150).unwrap();
    for seed in 0..3 {
        account.post_image(&image(seed, 20_000)).unwrap();
    }
    let preferences = json!({"preferences": [
        {"$type": "app.bsky.actor.defs#adultContentPref", "enabled": true},
    ]});
    account.call("app.bsky.actor.putPreferences", &preferences).unwrap();
}

#[test]
fn goat_moves_accounts_here_and_away() {
    let Some(network) = Network::start(&Options { pdses: 2, ..Options::default() }).unwrap() else { return };
    let Some(goat) = Goat::new(&network, &network.plc).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let hosted = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let reference = &network.pdses[0];
    let account = network.account(0, "goat-moves", None).unwrap();
    busy(&account);
    let did = account.did.as_str();
    let paths = || -> BTreeSet<String> {
        goat.ok(&["record", "ls", did]).unwrap().lines().map(str::to_owned).collect()
    };
    let before = paths();
    let endpoint = || {
        let now = parse(&goat.ok(&["plc", "data", did]).unwrap());
        now["services"]["atproto_pds"]["endpoint"].as_str().unwrap().to_owned()
    };
    let migrate = |to: &str, token: &str| {
        goat.ok(&[
            "account",
            "migrate",
            "--pds-host",
            to,
            "--new-handle",
            "goat-moves.test",
            "--new-password",
            PASSWORD,
            "--new-email",
            "goat-moves@mail.test",
            "--plc-token",
            token,
        ])
    };

    goat.ok(&["account", "login", "-u", did, "-p", "hunter22"]).unwrap();
    goat.ok(&["account", "plc", "request-token"]).unwrap();
    migrate(&hosted.url, &their_code(reference, did)).unwrap();
    assert_eq!(endpoint(), hosted.url);
    goat.ok(&["account", "login", "-u", did, "-p", PASSWORD]).unwrap();
    let here = status(&goat);
    assert_eq!((&here["activated"], &here["importedBlobs"]), (&json!(true), &json!(3)));
    assert_eq!(paths(), before);
    let wanted = json!([{ "$type": "app.bsky.actor.defs#adultContentPref", "enabled": true }]);
    assert_eq!(parse(&goat.ok(&["bsky", "prefs", "export"]).unwrap()), wanted);
    goat.ok(&["blob", "export", "-o", "here", did]).unwrap();
    assert_eq!(std::fs::read_dir(goat.dir().join("here")).unwrap().count(), 3);
    goat.ok(&["bsky", "post", "written here"]).unwrap();
    let written_here = paths();
    assert_eq!(written_here.len(), before.len() + 1);

    // And away, to where nobody knows it.
    let elsewhere = &network.pdses[1];
    goat.ok(&["account", "plc", "request-token"]).unwrap();
    migrate(&elsewhere.url, &code(&hosted, "plc-operation")).unwrap();
    assert_eq!(endpoint(), elsewhere.url);
    assert_eq!(paths(), written_here);
    let here = hosted.program.json(&["account", "show", did]).unwrap().to_string();
    assert!(here.contains("deactivated"), "{here}");
}
