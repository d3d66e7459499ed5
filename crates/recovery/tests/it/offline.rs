//! The offline archive as files: what is in it, what is not, and that every link in it leads somewhere.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use p2pds_archive::Progress;
use p2pds_ipld::Cid;
use p2pds_ipld::cbor::Value;
use p2pds_recovery::{ExportOptions, ExportReport, Manifest, Recovery, inspect};
use p2pds_syntax::Tid;
use scraper::{Html, Selector};

use crate::export::files;
use crate::fake::{Fake, Node, Person};

const PAGES: ExportOptions = ExportOptions { readable: true, html: true };
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// A key of its own time for the post of a minute.
fn rkey(minute: u64) -> String {
    Tid::from_micros(1_700_000_000_000_000 + minute * 60_000_000, 3).to_string()
}

fn post(words: &str, more: &[(&str, Value)]) -> Value {
    let fixed = [("$type", text("app.bsky.feed.post")), ("text", text(words))];
    Value::map(fixed.into_iter().chain(more.iter().cloned()))
}

/// Somebody with 350 posts, likes, odd collections, pictures, and words that are markup.
fn busy(person: &mut Person) {
    for minute in 0..350 {
        person
            .put(&format!("app.bsky.feed.post/{}", rkey(minute)), post(&format!("unique{minute}word"), &[]));
    }
    let did = person.did.clone();
    let own = |minute: u64| text(&format!("at://{did}/app.bsky.feed.post/{}", rkey(minute)));
    let quote =
        Value::map([("$type", text("app.bsky.embed.record")), ("record", Value::map([("uri", own(1))]))]);
    let reply = Value::map([("parent", Value::map([("uri", own(2))]))]);
    let evil = "</main><script>alert('evil')</script>";
    let more = [
        post(evil, &[("embed", quote), ("reply", reply), ("createdAt", text("2031-05-06T07:08:09Z"))]),
        post("of old", &[("createdAt", text("1999-01-02T03:04:05Z"))]),
        post(&"long ".repeat(100_000), &[("createdAt", text("2020-01-01T00:00:00Z"))]),
    ];
    for (n, value) in more.into_iter().enumerate() {
        person.put(&format!("app.bsky.feed.post/odd:{n}"), value);
    }
    for n in 0..250_u64 {
        let like = Value::map([
            ("subject", Value::map([("uri", own(n))])),
            ("createdAt", text("2024-01-01T00:00:00Z")),
        ]);
        person.put(&format!("app.bsky.feed.like/{}", rkey(n)), like);
    }
    for path in ["com.example.fooBar/Self", "com.example.foobar/self", "com.example.fooBar/did:web:a.example"]
    {
        person.put(path, Value::map([("path", text(path)), ("evil", text(evil))]));
    }
    let profile = Value::map([("displayName", text("Evil <b>Name</b>")), ("description", text(evil))]);
    person.put("app.bsky.actor.profile/self", profile);
}

async fn export(recovery: &Recovery, person: &Person, out: &Path) -> ExportReport {
    recovery.export_with(&person.did, out, PAGES, &Progress::none()).await.unwrap()
}

/// Every page of a folder, parsed.
fn pages(found: &BTreeMap<String, Vec<u8>>) -> HashMap<String, Html> {
    let html = found.iter().filter(|(name, _)| name.ends_with(".html"));
    html.map(|(name, bytes)| (name.clone(), Html::parse_document(std::str::from_utf8(bytes).unwrap())))
        .collect()
}

fn all<'a>(html: &'a Html, selector: &str) -> Vec<scraper::ElementRef<'a>> {
    html.select(&Selector::parse(selector).unwrap()).collect()
}

/// The file that a link of a page names, and the part behind `#`.
fn target(page: &str, link: &str) -> (String, Option<String>) {
    let (path, part) =
        link.split_once('#').map_or((link, None), |(path, part)| (path, Some(part.to_owned())));
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    if path.is_empty() {
        return (page.to_owned(), part);
    }
    for step in path.split('/') {
        match step {
            ".." => assert!(parts.pop().is_some(), "{link} of {page} leads out of the folder"),
            step => parts.push(step),
        }
    }
    (parts.join("/").replace("%25", "%"), part)
}

/// Every link that is not to the web leads to a file, and to a place in it, that is there.
fn check_links(found: &BTreeMap<String, Vec<u8>>, pages: &HashMap<String, Html>) -> usize {
    let ids: HashMap<&String, BTreeSet<&str>> = pages
        .iter()
        .map(|(name, html)| (name, all(html, "[id]").iter().filter_map(|e| e.value().attr("id")).collect()))
        .collect();
    let mut links = 0;
    for (page, html) in pages {
        for element in all(html, "[href], [src]") {
            let link = element.value().attr("href").or(element.value().attr("src")).unwrap();
            if link.starts_with("https://") {
                continue;
            }
            let (file, part) = target(page, link);
            assert!(found.contains_key(&file), "{link} of {page}: there is no {file}");
            if let Some(part) = part {
                assert!(ids[&file].contains(part.as_str()), "{link} of {page}: no such place");
            }
            links += 1;
        }
    }
    links
}

/// The records of the search's files: page and key to words.
fn index(found: &BTreeMap<String, Vec<u8>>) -> Vec<(String, String, String)> {
    let mut records = Vec::new();
    for (name, bytes) in found.iter().filter(|(name, _)| name.starts_with("pages/search/")) {
        assert!(bytes.len() < 300 << 10, "{name} has {} bytes", bytes.len());
        let text = std::str::from_utf8(bytes).unwrap();
        let inner = text.strip_prefix("p2pdsPiece(").unwrap().strip_suffix(");\n").unwrap();
        let both: serde_json::Value = serde_json::from_str(&format!("[{inner}]")).unwrap();
        for entry in both[1].as_array().unwrap() {
            let page = match (entry[0].as_u64().unwrap(), both[0]["first"].as_str()) {
                (1, Some(first)) => first.to_owned(),
                (page, _) => format!("{}{page}.html", both[0]["folder"].as_str().unwrap()),
            };
            let (file, _) = target("pages/search.html", &page);
            records.push((
                file,
                entry[1].as_str().unwrap().to_owned(),
                entry[3].as_str().unwrap().to_owned(),
            ));
        }
    }
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_and_every_link_leads_somewhere() {
    let net = Fake::start().await;
    let mut person = Person::new(84, &net.url);
    busy(&mut person);
    let picture = person.picture("3kpica2222222", &[PNG, &[7; 3_000]].concat());
    let hostile = person.picture("3kpicb2222222", b"<html><script>alert(1)</script>");
    net.publish(&person, &person.sign(0));
    let node = Node::new(&net.url);
    node.add(&person).await;
    let recovery = Recovery::new(node.archive.clone());
    let (one, two) = (node.dir.path().join("one"), node.dir.path().join("two"));
    let report = export(&recovery, &person, &one).await;
    assert!(report.pages && report.to_string().contains("index.html"), "{report}");
    export(&recovery, &person, &two).await;
    let found = files(&one);
    assert!(found == files(&two), "byte for byte");
    let lower: BTreeSet<String> = found.keys().map(|name| name.to_ascii_lowercase()).collect();
    assert_eq!(lower.len(), found.len(), "no two files differ in case only");

    // A strict reader and standard tools agree, and a plain reader finds all of the ordinary export.
    assert!(inspect(&one).unwrap().ok());
    let mut sums = std::process::Command::new("sha256sum");
    assert!(sums.args(["-c", "--quiet", "SHA256SUMS"]).current_dir(&one).status().unwrap().success());
    let manifest: Manifest = serde_json::from_slice(&found["manifest.json"]).unwrap();
    let made = found.keys().filter(|name| name.starts_with("pages/") || *name == "index.html").count();
    assert_eq!(manifest.pages.unwrap().files, made as u64);
    assert_eq!(manifest.readable.unwrap().files, person.records.len() as u64);
    assert_eq!(found[&format!("blobs/{picture}.png")], person.blobs[&picture]);
    assert_eq!(
        found[&format!("blobs/{hostile}.bin")],
        person.blobs[&hostile],
        "what it claims to be counts nothing"
    );

    let pages = pages(&found);
    assert!(check_links(&found, &pages) > 1_000);
    let posts = person.records.keys().filter(|key| key.starts_with("app.bsky.feed.post/")).count();
    let articles: Vec<(&String, String)> = pages
        .iter()
        .flat_map(|(name, html)| {
            all(html, "article").into_iter().map(move |e| (name, e.value().attr("id").unwrap().to_owned()))
        })
        .collect();
    assert_eq!(articles.len(), posts, "each post once");
    let rows: usize = pages.values().map(|html| all(html, "tbody tr").len()).sum();
    assert_eq!(rows + posts, person.records.len(), "and every other record once");
    let front = &pages["index.html"];
    assert_eq!(all(front, "article").len(), 100);
    assert_eq!(all(front, "article")[0].value().attr("id"), Some("r-odd:0"), "the newest by its own word");
    let quote = all(front, "blockquote")[0].text().collect::<String>();
    assert!(quote.contains("unique1word"), "what it quotes is shown: {quote}");
    assert!(all(front, "h1")[0].text().collect::<String>().contains("Evil <b>Name</b>"));
    let last = format!("pages/posts/{}.html", posts.div_ceil(100));
    assert_eq!(
        all(&pages[&last], "article").last().unwrap().value().attr("id"),
        Some("r-odd:1"),
        "the oldest"
    );
    let months = all(&pages["pages/months.html"], "main li").len();
    assert!(months > 3, "{months}");

    // The search finds every record, at its place.
    let records = index(&found);
    assert_eq!(records.len(), person.records.len());
    for minute in [0, 1, 99, 100, 349] {
        let word = format!("unique{minute}word");
        let hits: Vec<_> = records.iter().filter(|(_, _, words)| words == &word).collect();
        assert_eq!(hits.len(), 1, "{word}");
        assert!(articles.iter().any(|(page, id)| **page == hits[0].0 && *id == format!("r-{}", hits[0].1)));
    }
    for (page, key, _) in &records {
        let ids: Vec<&str> = all(&pages[page], "[id]").iter().filter_map(|e| e.value().attr("id")).collect();
        assert!(ids.contains(&format!("r-{key}").as_str()), "{key} is not on {page}");
        if records.len() > 400 && key.starts_with("3k") {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_is_not_in_it() {
    let net = Fake::start().await;
    let mut person = Person::new(85, &net.url);
    let gone = person.picture("3kpica2222222", b"\x89PNG\r\n\x1a\nsecret picture");
    person.put("app.bsky.feed.post/3kgone2222222", post("a secret that was deleted", &[]));
    net.publish(&person, &person.sign(0));
    let node = Node::new(&net.url);
    node.add(&person).await;
    let recovery = Recovery::new(node.archive.clone());
    let out = node.dir.path().join("out");
    export(&recovery, &person, &out).await;
    assert!(files(&out).contains_key(&format!("blobs/{gone}.png")));

    for path in ["app.bsky.feed.post/3kgone2222222", "app.bsky.feed.post/3kpica2222222"] {
        person.records.remove(path);
    }
    net.publish(&person, &person.sign(1));
    node.sync(&person).await;
    // A killed run left the picture there under its other name.
    let part = node.dir.path().join("out.p2pds-part");
    std::fs::create_dir_all(part.join("blobs")).unwrap();
    std::fs::write(part.join(".p2pds-export"), person.did.as_str()).unwrap();
    std::fs::write(part.join(format!("blobs/{gone}")), &person.blobs[&gone]).unwrap();
    std::fs::create_dir_all(part.join("pages/posts")).unwrap();
    std::fs::write(part.join("pages/posts/9.html"), "a secret that was deleted").unwrap();
    let report = export(&recovery, &person, &out).await;
    let found = files(&out);
    for (name, bytes) in &found {
        assert!(!name.contains(&gone.to_string()), "{name}");
        for secret in ["secret that was deleted", "3kgone2222222"] {
            let there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!there, "{secret} is in {name}");
        }
    }
    assert!(
        report.notes.iter().any(|note| note.contains("only deleted records named")),
        "{:?}",
        report.notes
    );
    assert!(inspect(&out).unwrap().ok());
    // Without pages the same folder becomes an ordinary export again.
    recovery.export(&person.did, &out, &Progress::none()).await.unwrap();
    let plain = files(&out);
    assert!(!plain.keys().any(|name| name.starts_with("pages/") || name == "index.html"));
    assert!(inspect(&out).unwrap().ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_change_their_names_and_are_not_copied_again() {
    let net = Fake::start().await;
    let mut person = Person::new(86, &net.url);
    let cids: Vec<Cid> = (0..3_u8)
        .map(|n| person.picture(&format!("3kpic{}2222222", char::from(b'a' + n)), &[PNG, &[n; 100]].concat()))
        .collect();
    net.publish(&person, &person.sign(0));
    let node = Node::new(&net.url);
    node.add(&person).await;
    let recovery = Recovery::new(node.archive.clone());
    let out = node.dir.path().join("out");
    recovery.export(&person.did, &out, &Progress::none()).await.unwrap();
    let report = export(&recovery, &person, &out).await;
    assert_eq!((report.blobs, report.reused_blobs), (3, 3));
    let found = files(&out);
    assert!(cids.iter().all(|cid| found.contains_key(&format!("blobs/{cid}.png"))));
    let back = recovery.export(&person.did, &out, &Progress::none()).await.unwrap();
    assert_eq!((back.blobs, back.reused_blobs), (3, 3));
    assert_eq!(files(&out).keys().filter(|name| name.starts_with("blobs/")).count(), 3);
}
