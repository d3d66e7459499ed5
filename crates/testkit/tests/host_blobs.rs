//! Blobs of hosted accounts over HTTP: named as the reference server names them, given out so that no browser runs them,
//! on this disk and in a bucket; and the doctor of a hosting node.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use p2pds_testkit::bucket::S3Server;
use p2pds_testkit::hosted::Hosted;
use p2pds_testkit::http::{Reply, request};
use p2pds_testkit::oracle::{Account, Network, Options};
use serde_json::{Value, json};

/// Bytes that say what they are, and bytes that only their sender can name: his words, the bytes.
const BLOBS: &[(&str, &[u8])] = &[
    (
        "text/plain",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\x0aIDAT0123456789\0\0\0\0",
    ),
    ("image/png", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"),
    ("image/png", b"GIF89a\x01\0\x01\0\0\0\0;"),
    ("image/png", b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0"),
    ("video/mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\0\x08free"),
    ("video/mp4", b"\0\0\0\x14ftypqt  \0\0\0\0qt  \0\0\0\x08free"),
    ("x/y", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf\0\0\0\x08free"),
    ("x/y", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\x08free"),
    ("x/y", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"),
    ("x/y", b"ID3\x04\0\0\0\0\0\0\xff\xfb\x90\0"),
    ("x/y", b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x1e\x01vorbis\0\0\0\0"),
    ("x/y", b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0"),
    ("x/y", b"fLaC\0\0\0\x22\x10\0\x10\0"),
    ("x/y", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"),
    ("x/y", b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"),
    (
        "image/svg+xml",
        b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>",
    ),
    ("image/svg+xml", b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>"),
    ("text/html", b"<!DOCTYPE html><html><script>alert(1)</script></html>"),
    ("application/javascript", b"alert(1)"),
    ("text/html; charset=utf-8", b"<script>alert(2)</script>"),
    ("application/octet-stream", b"nothing in particular"),
];

fn upload(account: &Account, mime: &str, bytes: &[u8]) -> Value {
    let answer = account.upload("com.atproto.repo.uploadBlob", mime, bytes).unwrap();
    serde_json::from_slice::<Value>(&answer).unwrap()["blob"].clone()
}

/// Names blobs in one record, so that they are given out.
fn name(account: &Account, blobs: &[Value]) {
    let record = json!({ "$type": "com.example.files", "files": blobs });
    account.create("com.example.files", &record).unwrap();
}

fn cid(blob: &Value) -> &str {
    blob["ref"]["$link"].as_str().unwrap()
}

fn get(account: &Account, cid: &str, headers: &[(&str, &str)]) -> Reply {
    let url = format!("{}/xrpc/com.atproto.sync.getBlob?did={}&cid={cid}", account.pds, account.did);
    request("GET", &url, headers, None).unwrap()
}

#[test]
fn types_are_those_of_the_reference_and_no_browser_runs_them() {
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let hosted = Hosted::start(&network, &dir.path().join("data"), &[("P2PDS_GATEWAY", "true")]).unwrap();
    let theirs = network.account(0, "blobs-theirs", None).unwrap();
    let ours = hosted.sign_up(&network, "blobs-ours").unwrap();
    let (mut blobs, mut differ) = (Vec::new(), Vec::new());
    for (mime, bytes) in BLOBS {
        let (want, found) = (upload(&theirs, mime, bytes), upload(&ours, mime, bytes));
        if found != want {
            let start = String::from_utf8_lossy(bytes).escape_debug().to_string();
            differ.push(format!("{start}: the reference {}, we {}", want["mimeType"], found["mimeType"]));
        }
        blobs.push(found);
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert_eq!(get(&ours, cid(&blobs[0]), &[]).status, 400, "no record names it yet");
    name(&ours, &blobs);
    for ((_, bytes), blob) in BLOBS.iter().zip(&blobs) {
        let by_cid = format!("{}/ipfs/{}?format=raw", hosted.url, cid(blob));
        let rasl = format!("{}/.well-known/rasl/{}", hosted.url, cid(blob));
        let whole = get(&ours, cid(blob), &[]);
        assert_eq!(whole.body, *bytes);
        assert_eq!(whole.header("content-type"), blob["mimeType"].as_str());
        let mut replies = vec![whole, get(&ours, cid(blob), &[("Range", "bytes=1-3")])];
        for url in [by_cid, rasl] {
            let reply = request("GET", &url, &[], None).unwrap();
            // The index of CIDs is a moment behind.
            if reply.status == 200 {
                replies.push(reply);
            }
        }
        for reply in replies {
            assert!(matches!(reply.status, 200 | 206), "{}", reply.status);
            for (field, want) in [
                ("x-content-type-options", "nosniff"),
                ("content-security-policy", "default-src 'none'; sandbox"),
            ] {
                assert_eq!(reply.header(field), Some(want), "{field}");
            }
            let saved = reply.header("content-disposition").unwrap_or_default().to_owned();
            assert!(saved.starts_with("attachment"), "{saved}");
        }
    }
    ranges(&ours, cid(&blobs[0]), BLOBS[0].1);
    states(&ours, cid(&blobs[0]), BLOBS[0].1);
    refusals(&hosted, &ours);
    doctor(&hosted);
    hosted_ends(hosted);
}

fn ranges(account: &Account, cid: &str, bytes: &[u8]) {
    let size = bytes.len();
    for (range, want) in
        [("bytes=0-0", &bytes[..1]), ("bytes=4-", &bytes[4..]), ("bytes=-2", &bytes[size - 2..])]
    {
        let reply = get(account, cid, &[("Range", range)]);
        assert_eq!((reply.status, reply.body.as_slice()), (206, want), "{range}");
        assert!(reply.header("content-range").unwrap().ends_with(&format!("/{size}")));
    }
    let beyond = get(account, cid, &[("Range", "bytes=1000000-")]);
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, Some(format!("bytes */{size}").as_str()))
    );
}

/// A deactivated account's blobs are its owner's alone.
fn states(account: &Account, cid: &str, bytes: &[u8]) {
    let bearer = format!("Bearer {}", account.token());
    account.call("com.atproto.server.deactivateAccount", &json!({})).unwrap();
    let refused = get(account, cid, &[]);
    assert_eq!((refused.status, refused.json().unwrap()["error"].as_str()), (400, Some("RepoDeactivated")));
    assert_eq!(get(account, cid, &[("Authorization", &bearer)]).body, bytes);
    let url = format!("{}/xrpc/com.atproto.server.activateAccount", account.pds);
    assert_eq!(request("POST", &url, &[("Authorization", &bearer)], None).unwrap().status, 200);
    assert_eq!(get(account, cid, &[]).body, bytes);
}

fn refusals(hosted: &Hosted, account: &Account) {
    let url = format!("{}/xrpc/com.atproto.repo.uploadBlob", hosted.url);
    let bearer = format!("Bearer {}", account.token());
    let post = |headers: &[(&str, &str)], body: &[u8]| request("POST", &url, headers, Some(body)).unwrap();
    let auth = ("Authorization", bearer.as_str());
    assert_eq!(post(&[("Content-Type", "image/png")], b"x").status, 401);
    for mime in ["", "nothing", "image/png, text/html"] {
        assert_eq!(post(&[auth, ("Content-Type", mime)], b"x").status, 400, "{mime}");
    }
    let packed = post(&[auth, ("Content-Type", "image/png"), ("Content-Encoding", "gzip")], b"x");
    assert_eq!(packed.status, 400);
}

/// What the doctor of a development host says: nothing that fails, and mail that has no server.
fn doctor(hosted: &Hosted) {
    let checks = hosted.program.run(&["doctor", "--json"]).unwrap().json().unwrap();
    let verdict = |name: &str| {
        let check = checks.as_array().unwrap().iter().find(|check| check["name"] == name);
        check.unwrap_or_else(|| panic!("no check {name}: {checks}"))["verdict"].as_str().unwrap().to_owned()
    };
    for (name, wanted) in [
        ("hosting", "warning"),
        ("public-url", "ok"),
        ("websocket", "ok"),
        ("handles", "ok"),
        ("identities", "ok"),
        ("mail", "warning"),
        ("relays", "ok"),
    ] {
        assert_eq!(verdict(name), wanted, "{name}: {checks}");
    }
}

/// Whatever others have asked from the same address: what the doctor asks is not counted.
#[test]
fn the_doctor_is_not_refused_by_its_own_node() {
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let limits = [("PDS_RATE_LIMITS_ENABLED", "true"), ("P2PDS_REQUESTS", "40")];
    let hosted = Hosted::start(&network, &dir.path().join("data"), &limits).unwrap();
    let mut refused = false;
    for _ in 0..60 {
        let url = format!("{}/xrpc/com.atproto.server.describeServer", hosted.url);
        refused |= request("GET", &url, &[], None).unwrap().status == 429;
    }
    assert!(refused, "the limit is in force");
    let checks = hosted.program.run(&["doctor", "--json"]).unwrap().json().unwrap();
    for name in ["public-url", "websocket", "uploads"] {
        let check = checks.as_array().unwrap().iter().find(|check| check["name"] == name).unwrap();
        assert_eq!(check["verdict"], "ok", "{check}");
    }
}

/// What an operator types wrong is not taken for done, and what he makes for somebody else is nobody's session.
#[test]
fn an_operator_is_told_what_is_not_here() {
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let hosted = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let made = hosted.program.json(&["account", "create", "made-p2pds.test"]).unwrap();
    let did = made["did"].as_str().unwrap();
    let shown = hosted.program.json(&["account", "show", did]).unwrap();
    assert_eq!(shown["sessions"], 0, "{shown}");

    let record = format!("at://{did}/app.bsky.feed.post/none");
    let blob = "bafkreiccldh766hwcnuxnf2wh6jgzepf2nlu2lvcllt63eww5p6chi4ity";
    for command in [&["admin", "takedown", record.as_str()][..], &["admin", "takedown", did, "--blob", blob]]
    {
        let refused = hosted.program.run(command).unwrap();
        assert!(refused.code != Some(0) && refused.stderr.contains("is not here"), "{refused}");
    }
    let refused = hosted.program.run(&["admin", "restore", record.as_str()]).unwrap();
    assert!(refused.code != Some(0) && refused.stderr.contains("is not taken down"), "{refused}");
    let audit = hosted.program.json(&["admin", "audit"]).unwrap().to_string();
    assert!(!audit.contains("takedown") && !audit.contains("restore"), "{audit}");
    let refused = hosted.program.run(&["invite", "create", "--uses", "-1"]).unwrap();
    assert!(refused.stderr.contains("invalid value '-1' for '--uses"), "{refused}");
    let said = hosted.program.run(&["promote", did, "--dry-run"]).unwrap();
    assert!(said.code == Some(0) && said.to_string().contains("hosted here already"), "{said}");
}

/// SIGTERM ends it in order, and nothing of it went wrong.
fn hosted_ends(mut hosted: Hosted) {
    let ended = hosted.stop().unwrap();
    assert_eq!(ended.code, Some(0), "{ended}");
    let stdout = String::from_utf8_lossy(&ended.stdout);
    assert!(stdout.contains("hosts AT Protocol accounts") && stdout.contains("account create"), "{stdout}");
    assert!(!ended.stderr.contains("\"ERROR\""), "{ended}");
}

#[test]
fn in_a_bucket_it_is_the_same() {
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let Some(mut server) = S3Server::start().unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let settings = server.settings();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut hosted = Hosted::start(&network, &dir.path().join("data"), &settings).unwrap();
    let account = hosted.sign_up(&network, "bucket").unwrap();
    let large: Vec<u8> = (0..10_000_000_u32).flat_map(|n| n.to_le_bytes()).take(9 << 20).collect();
    let blobs = [upload(&account, "text/plain", b"small"), upload(&account, "video/x", &large)];
    name(&account, &blobs);
    assert!(server.files().join(format!("blocks/{}/{}", account.did, cid(&blobs[1]))).is_file());
    hosted.stop().unwrap();
    hosted.begin().unwrap();
    assert_eq!(get(&account, cid(&blobs[0]), &[]).body, b"small");
    let part = get(&account, cid(&blobs[1]), &[("Range", "bytes=8388600-8388615")]);
    assert_eq!((part.status, part.body.as_slice()), (206, &large[8_388_600..8_388_616]));
    // Without the bucket uploads are refused with a name, and everything else goes on.
    server.stop();
    let url = format!("{}/xrpc/com.atproto.repo.uploadBlob", hosted.url);
    let account = hosted.sign_in(&account.did).unwrap();
    let bearer = format!("Bearer {}", account.token());
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "text/plain")];
    let refused = request("POST", &url, &headers, Some(b"new")).unwrap();
    assert_eq!((refused.status, refused.json().unwrap()["error"].as_str()), (503, Some("NotAvailable")));
    account
        .create("com.example.note", &json!({ "$type": "com.example.note", "text": "without blobs" }))
        .unwrap();
}
