//! The offline archive in a real browser, from disk: `browser/offline.mjs` says what is done with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use p2pds_testkit::madeup::{Content, MadeUp};
use p2pds_testkit::need;
use p2pds_testkit::oracle::{dying_with_parent, node};
use p2pds_testkit::program::Program;
use p2pds_testkit::source::Source;
use serde_json::{Value, json};

const EVIL: &str =
    "</main><script>alert('evil')</script><img src=https://evil.example/x onerror=alert(1)> \u{202e}evilword";
/// One pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Archives an account and writes it out with pages; how long the export took and what it said.
fn archived(seed: u64, content: &Content, dir: &Path) -> (PathBuf, f64, Value) {
    let source = Source::start().unwrap();
    let account = MadeUp::new(seed, &source.url);
    source.serve(&account, &account.sign(0, content));
    let program = Program::new(&dir.join("data")).unwrap().with_env(source.environment());
    program.ok(&["archive", "add", &account.did]).unwrap();
    let out = dir.join("out");
    let begun = Instant::now();
    let report = program.json(&["export", &account.did, "--out", out.to_str().unwrap(), "--html"]).unwrap();
    (out, begun.elapsed().as_secs_f64(), report)
}

/// Somebody who tries what can be tried against those who read him.
fn hostile() -> Content {
    let mut content = Content::posts("plain", 230);
    let png = data_encoding::BASE64.decode(PNG.as_bytes()).unwrap();
    let picture = content.put_blob(&png);
    let page = content.put_blob(b"<!DOCTYPE html><script>alert('blob')</script>");
    let svg = content.put_blob(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>");
    let blob =
        |cid: &str, kind: &str| json!({"$type": "blob", "ref": {"$link": cid}, "mimeType": kind, "size": 68});
    let image = |cid: &str| json!({"alt": EVIL, "image": blob(cid, "image/png"), "aspectRatio": {"width": 1, "height": 1}});
    content.put(
        "3lhostile2222",
        &json!({
            "$type": "app.bsky.feed.post", "text": EVIL, "createdAt": "2031-01-01T00:00:00Z", "langs": ["ar\" onx=1"],
            "embed": {"$type": "app.bsky.embed.images", "images": [image(&picture), image(&page), image(&svg)]},
            "facets": [{"index": {"byteStart": 0, "byteEnd": 7},
                "features": [{"$type": "app.bsky.richtext.facet#link", "uri": "javascript:alert(1)"}]}],
        }),
    );
    content.put(
        "3lcardcard222",
        &json!({
            "$type": "app.bsky.feed.post", "text": "Grüße an alle, cardword", "createdAt": "2030-01-01T00:00:00Z", "langs": ["de"],
            "embed": {"$type": "app.bsky.embed.external", "external": {
                "uri": "https://example.com/<b>", "title": EVIL, "description": EVIL, "thumb": blob(&picture, "image/png")}},
        }),
    );
    content.put(
        "3llonglong222",
        &json!({"$type": "app.bsky.feed.post", "text": "longword ".repeat(100_000), "createdAt": "2029-01-01T00:00:00Z"}),
    );
    let profile = json!({"$type": "app.bsky.actor.profile", "displayName": EVIL, "description": EVIL,
        "avatar": blob(&picture, "image/png"), "banner": blob(&svg, "image/svg+xml")});
    content.put_at("app.bsky.actor.profile", "self", &profile);
    for n in 0..420 {
        let like = json!({"$type": "app.bsky.feed.like", "subject": {"uri": EVIL, "cid": picture}, "createdAt": EVIL});
        content.put_at(
            "app.bsky.feed.like",
            &format!("3l{n:03}key").replace(['0', '1', '8', '9'], "z"),
            &like,
        );
    }
    content.put_at(
        "com.example.thing",
        "a",
        &json!({"$type": "com.example.thing", "evil": EVIL, "file": blob(&page, "text/html"),
        "list": [1, 2], "url": "https://example.com/", "deep": {"a": {"b": EVIL}}}),
    );
    content
}

fn browse(dir: &Path, out: &Path, find: &Value) {
    let Some(npm) = need::npm() else { return };
    let chromium = ["chromium", "chromium-browser", "google-chrome"];
    let Some(chromium) = chromium.into_iter().find(|name| need::have(name, "--version")) else {
        need::skip("no Chromium is installed", true);
        return;
    };
    let oracle = std::env::var_os("P2PDS_ORACLE").map(PathBuf::from).unwrap_or_default();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/browser/offline.mjs");
    let done = dying_with_parent(&node(&oracle))
        .arg(script)
        .env("P2PDS_NPM", npm)
        .env("P2PDS_ARCHIVE", out)
        .env("P2PDS_FIND", find.to_string())
        .env("P2PDS_CHROMIUM", chromium)
        .env("HOME", dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    println!("{said}");
    let wrong = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("ok ") && !said.contains("FAILED"), "{said}{wrong}");
}

#[test]
fn a_hostile_account_is_read_in_peace() {
    let dir = tempfile::tempdir().unwrap();
    let content = hostile();
    let (out, _, report) = archived(900, &content, dir.path());
    assert_eq!(report["records"], content.records().len());
    assert!(report["pages"] == true && report["blobs"] == 3, "{report}");
    let likes = content.records().keys().filter(|key| key.starts_with("app.bsky.feed.like/")).count();
    let find = json!({
        "cardword": 1, "GRUßE": 1, "longword": 1, "number": 230,
        "evilword": 4 + likes, "nobody wrote this": 0,
    });
    browse(dir.path(), &out, &find);
}

/// Seconds and bytes; in the browser only that it can be searched.
#[test]
fn twenty_thousand_records() {
    let dir = tempfile::tempdir().unwrap();
    let mut content = Content::posts("many", 8_000);
    for n in 0..12_000_u64 {
        let like = json!({"$type": "app.bsky.feed.like", "createdAt": "2024-01-01T00:00:00Z",
            "subject": {"uri": format!("at://did:plc:abcdefghijklmnopqrstuvwx/app.bsky.feed.post/{n}"), "cid": "x"}});
        content.put_at("app.bsky.feed.like", &format!("like{n}"), &like);
    }
    let (out, took, report) = archived(901, &content, dir.path());
    let (files, bytes) = weigh(&out.join("pages"));
    println!(
        "{} records: export with pages {took:.1} s, pages/ {files} files, {bytes} bytes",
        report["records"]
    );
    assert_eq!(report["records"], 20_000);
    assert!(files > 8_000 / 100 + 12_000 / 200 && bytes < 40_000_000, "{files} files, {bytes} bytes");
}

fn weigh(dir: &Path) -> (u64, u64) {
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let (f, b) = if entry.file_type().unwrap().is_dir() {
            weigh(&entry.path())
        } else {
            (1, entry.metadata().unwrap().len())
        };
        (files, bytes) = (files + f, bytes + b);
    }
    (files, bytes)
}
