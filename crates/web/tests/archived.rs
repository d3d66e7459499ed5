//! The pages of archived accounts over real connections: an account that was fetched from a scripted host, edited there,
//! and full of what nobody should be able to do with a record.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

#[path = "archived/acting.rs"]
mod acting;
#[path = "../../archive/tests/it/fake/mod.rs"]
mod fake;
#[path = "archived/many.rs"]
mod many;
mod shared;
#[path = "archived/strangers.rs"]
mod strangers;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fake::{Fake, Node, Person};
use p2pds_agent::{Agents, AgentsDeps, Seal, Us};
use p2pds_directory::{Directory, DirectoryConfig};
use p2pds_ipld::Cid;
use p2pds_ipld::cbor::Value;
use p2pds_net::{Client, NetConfig};
use p2pds_recovery::Recovery;
use p2pds_store::{AccountPatch, Unit};
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_web::{Door, DoorConfig, DoorDeps, Locale, PATHS, Web, WebConfig, WebDeps, Words, router};
use shared::{Browser, Quiet};
use tokio::net::TcpListener;

struct World {
    node: Node,
    person: Person,
    net: Fake,
    port: u16,
    door: Door,
}

const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\nnot much of a picture";
const HTML: &[u8] = b"<!doctype html><script>alert(1)</script>";

fn text(path: &str, said: &str, person: &mut Person) {
    let value = [("$type", Value::Text("app.bsky.feed.post".into())), ("text", Value::Text(said.into()))];
    person.put(path, Value::map(value));
}

impl World {
    /// An account with an odd past: first one state, then another.
    async fn start() -> Self {
        let net = Fake::start().await;
        let mut person = Person::new(7, &net.url);
        person.picture("3kpica2222222", PICTURE);
        person.picture("3kpicb2222222", HTML);
        text("app.bsky.feed.post/3kgonea222222", "this was taken back", &mut person);
        text("app.bsky.feed.post/3keditx222222", "a first thought", &mut person);
        text("app.bsky.feed.post/3kevila222222", "<script>alert('x')</script>\u{202e}gpj.exe", &mut person);
        let link = Value::map([
            ("uri", Value::Text("javascript:alert(1)".into())),
            ("title", Value::Text("\"><img src=x onerror=alert(1)>".into())),
        ]);
        person.put(
            "com.example.thing/self",
            Value::map([
                ("$type", Value::Text("com.example.thing".into())),
                ("link", link),
                ("<b>key", Value::Text("y".repeat(50_000))),
            ]),
        );
        net.publish(&person, &person.sign(0));
        let node = Node::new(&net.url);
        node.add(&person).await;
        person.records.remove("app.bsky.feed.post/3kgonea222222");
        text("app.bsky.feed.post/3keditx222222", "a second thought", &mut person);
        net.publish(&person, &person.sign(5));
        node.sync(&person).await;
        let (port, door) = Self::serve(&node, &net.url).await;
        Self { node, person, net, port, door }
    }

    async fn serve(node: &Node, plc: &str) -> (u16, Door) {
        Self::serve_as(node, plc, None).await
    }

    /// The same with a public address.
    async fn serve_as(node: &Node, plc: &str, public_url: Option<&str>) -> (u16, Door) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = Client::new(NetConfig::development()).unwrap();
        let config = DirectoryConfig { plc_url: plc.to_owned(), ..DirectoryConfig::default() };
        let directory = Arc::new(Directory::new(client.clone(), Arc::clone(&node.store), config));
        let archive = node.archive.clone();
        let clock: Arc<dyn Fn() -> i64 + Send + Sync> = Arc::new(move || archive.now());
        let agents = Agents::new(AgentsDeps {
            net: client,
            directory,
            store: Arc::clone(&node.store),
            clock: Arc::clone(&clock),
            seal: Seal::in_memory(),
            us: Us::of(public_url, port),
        });
        let config = DoorConfig { hostname: None, public_url: public_url.map(str::to_owned), port };
        let door = Door::new(DoorDeps { store: Arc::clone(&node.store), agents, clock, config });
        let scratch: p2pds_recovery::ScratchStore = Arc::new(|dir| {
            let options = Options { ballast: 0, ..Options::default() };
            Ok(Arc::new(SqliteStore::open(dir, options)?))
        });
        let web = Web::new(WebDeps {
            archive: node.archive.clone(),
            recovery: Recovery::new(node.archive.clone()).with_scratch(scratch),
            host: None,
            oauth: None,
            door: door.clone(),
            node: Arc::new(Quiet),
            config: WebConfig::default(),
        });
        tokio::spawn(async move { axum::serve(listener, router(web)).await });
        (port, door)
    }

    fn stranger(&self) -> Browser {
        Browser::at(self.port)
    }

    /// Somebody who has claimed the node.
    async fn operator(&self) -> Browser {
        let address = self.door.claim_address(true).await.unwrap().unwrap();
        let code = address.split_once("code=").unwrap().1.to_owned();
        let mut browser = self.stranger();
        let went = browser.press(&format!("/claim?code={code}"), "/claim", &[("code", &code)]).await;
        assert_eq!(went.status, 303, "{}", went.text());
        browser
    }

    fn path(&self, rest: &str) -> String {
        format!("/archive/{}{rest}", self.person.did)
    }
}

/// The paths that need an account, filled in.
fn paths(world: &World) -> Vec<String> {
    let cid = Cid::of_raw(PICTURE).to_string();
    let mine = PATHS.iter().filter(|path| path.starts_with("/archive/") || **path == "/lexicons");
    mine.filter(|path| !path.ends_with("copy.tar"))
        .map(|path| {
            let path = path.replace("{did}", world.person.did.as_str()).replace("{cid}", &cid);
            match path.rsplit_once('/').unwrap().1 {
                "record" | "proof" => format!("{path}?path=app.bsky.feed.post/3keditx222222"),
                "compare" => format!("{path}?from=2026-11-14T09:00&to=now"),
                _ => path,
            }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_sees_every_page_and_strangers_none() {
    let world = World::start().await;
    let (mut operator, mut stranger) = (world.operator().await, world.stranger());
    let all = paths(&world);
    assert!(all.len() >= 15, "{all:?}");
    for path in &all {
        let shown = operator.get(path).await;
        assert_eq!(shown.status, 200, "{path}: {}", shown.text());
        let refused = stranger.get(path).await;
        assert_eq!(refused.status, 303, "{path}");
        assert!(refused.location().starts_with("/sign-in?to="), "{path}: {}", refused.location());
        assert!(!refused.text().contains("second thought"), "{path}");
    }
    for path in ["/archive/did:web:nobody.example", "/archive/x", "/archive/did:web:nobody.example/time"] {
        assert_eq!(operator.get(path).await.status, 404, "{path}");
    }
    // What is posted without the token of one's own page changes nothing.
    for action in
        ["/pause", "/remove", "/serve", "/drill", "/identity/own", "/promote", "/restore", "/copy/delete"]
    {
        let refused =
            operator.post(&world.path(action), "other", &[("confirm", world.person.did.as_str())]).await;
        assert_eq!(refused.status, 403, "{action}");
    }
    let line = world.node.archive.line(&world.person.did).await.unwrap();
    assert!(!line.paused && !line.removing);
}

#[tokio::test(flavor = "multi_thread")]
async fn german_pages_are_german() {
    let world = World::start().await;
    let mut operator = world.operator().await;
    for path in paths(&world) {
        let joint = if path.contains('?') { '&' } else { '?' };
        let shown = operator.get(&format!("{path}{joint}lang=de")).await;
        if !shown.headers["content-type"].starts_with("text/html") {
            continue;
        }
        let html = shown.text();
        assert!(html.contains("<html lang=\"de\""), "{path}");
        let mut foreign = Vec::new();
        let mut stack: Vec<bool> = Vec::new();
        for part in html.split('<').skip(1) {
            let (tag, text) = part.split_once('>').unwrap();
            let name = tag.split([' ', '/']).find(|name| !name.is_empty()).unwrap_or_default();
            if tag.starts_with('/') {
                stack.pop();
            } else if !["meta", "link", "input", "br", "hr", "img", "!DOCTYPE"].contains(&name) {
                let own = tag.contains("translate=\"no\"") || ["code", "pre", "script"].contains(&name);
                stack.push(own || stack.last() == Some(&true));
            }
            if stack.last() != Some(&true)
                && [" the ", " is ", " of ", " and "].iter().any(|word| text.contains(word))
            {
                foreign.push(text.to_owned());
            }
        }
        assert_eq!(foreign, Vec::<String>::new(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_edited_and_removed_is_found_again() {
    let world = World::start().await;
    let mut operator = world.operator().await;
    let now = operator.get(&world.path("/time")).await.text();
    assert!(now.contains("a second thought") && !now.contains("this was taken back"));
    let first =
        operator.get(&world.path("/time?at=2026-11-14T09:00&collection=app.bsky.feed.post")).await.text();
    assert!(first.contains("a first thought") && first.contains("this was taken back"), "{first}");
    let compared = operator.get(&world.path("/compare?from=2026-11-14T09:00&to=now")).await.text();
    for said in
        ["a first thought", "a second thought", "this was taken back", "record gone", "record changed"]
    {
        assert!(compared.contains(said), "{said}");
    }
    // Paged to the end, each record once.
    let (mut seen, mut next) = (0, Some(world.path("/time?collection=app.bsky.feed.post")));
    while let Some(path) = next {
        let page = operator.get(&path).await.text();
        seen += page.matches("<article").count();
        let older =
            page.split("class=\"button second\" href=\"").skip(1).find(|link| link.contains("before="));
        next = older.map(|link| link.split_once('"').unwrap().0.replace("&amp;", "&"));
    }
    assert_eq!(seen, world.person.records.len() - 1);
    let gone = operator.get(&world.path("/record?path=app.bsky.feed.post/3kgonea222222")).await.text();
    assert!(gone.contains("this was taken back") && gone.contains("/restore\""), "{gone}");
    let edited = world.path("/record?path=app.bsky.feed.post/3keditx222222&prove=1");
    let edited = operator.get(&edited).await.text();
    assert!(edited.contains("notice good") && edited.contains("a second thought"), "{edited}");
    assert!(edited.contains("&amp;at="), "the version before is linked");
    let proof = operator.get(&world.path("/proof?path=app.bsky.feed.post/3keditx222222")).await;
    assert_eq!(proof.headers["content-type"], "application/vnd.ipld.car");
    for (path, wrong) in [("/time?at=yesterday", 200), ("/compare?from=1999-01-01&to=now", 400)] {
        let shown = operator.get(&world.path(path)).await;
        assert_eq!(shown.status, wrong, "{path}");
        assert!(shown.text().contains("role=\"alert\""), "{path}");
    }
    // Without dates, or with wrong ones, the form asks.
    for (path, status) in [("/compare", 200), ("/compare?from=&to=", 200), ("/compare?from=gestern", 400)] {
        let shown = operator.get(&world.path(path)).await;
        assert_eq!(shown.status, status, "{path}");
        assert!(shown.text().contains("id=\"from\"") && shown.text().contains("value=\"now\""), "{path}");
    }
    // Without a password nothing is written anywhere.
    let form = world.path("/record?path=app.bsky.feed.post/3kgonea222222");
    let rev = gone.split("name=\"at\" value=\"").nth(1).unwrap().split_once('"').unwrap().0.to_owned();
    let fields = [("path", "app.bsky.feed.post/3kgonea222222"), ("at", rev.as_str())];
    assert_eq!(operator.press(&form, &world.path("/restore"), &fields).await.status, 400);
    assert_eq!(world.net.hits("com.atproto.repo.putRecord"), 0);
}

/// What is followed live changes without being fetched whole: sizes are those of now.
#[tokio::test(flavor = "multi_thread")]
async fn sizes_are_those_of_now() {
    let world = World::start().await;
    let (mut operator, did) = (world.operator().await, &world.person.did);
    let fetched = AccountPatch { car_bytes: Some(9_000_000_000), ..AccountPatch::default() };
    let unit = Unit::PatchAccount { did: did.clone(), patch: Box::new(fetched) };
    world.node.store.apply(unit).await.unwrap();
    let line = world.node.archive.line(did).await.unwrap();
    assert!(line.record_bytes > 50_000 && line.record_bytes < 60_000, "{}", line.record_bytes);
    let words = Words::new(Locale::En, 0);
    let (records, all) = (words.size(line.record_bytes), words.size(line.record_bytes + line.blob_bytes));
    for (path, size) in [(world.path(""), &records), ("/".to_owned(), &all), ("/accounts".to_owned(), &all)] {
        let shown = operator.get(&path).await.text();
        assert!(shown.contains(size.as_str()) && !shown.contains("9.0 GB"), "{path}: {size} {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_does_nothing() {
    let world = World::start().await;
    let mut operator = world.operator().await;
    let paths = [
        "/time?collection=app.bsky.feed.post",
        "/time?collection=com.example.thing",
        "/record?path=com.example.thing/self",
        "/record?path=app.bsky.feed.post/3kevila222222",
        "/compare?from=2026-11-14T09:00&to=now",
        "/time?at=%3Cscript%3Ealert(1)%3C/script%3E",
        "/time?collection=%22%3E%3Cscript%3E",
        "/media",
    ];
    for path in paths {
        let shown = operator.get(&world.path(path)).await;
        let html = shown.text();
        assert!(html.len() < 150_000, "{path}: {}", html.len());
        assert_eq!(html.matches("<script").count(), 1, "{path}: only ours");
        assert!(!html.contains('\u{202e}') && !html.contains("<img src=x"), "{path}");
        assert!(!html.contains("href=\"javascript:"), "{path}");
        let policy = &shown.headers["content-security-policy"];
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
    let evil = operator.get(&world.path("/record?path=app.bsky.feed.post/3kevila222222")).await.text();
    assert!(evil.contains("&lt;script&gt;"), "{evil}");
    // A file that says that it is a picture and is a page is saved, never shown.
    let blob = |bytes: &[u8]| world.path(&format!("/blob/{}", Cid::of_raw(bytes)));
    let page = operator.get(&blob(HTML)).await;
    assert_eq!(page.headers["content-type"], "application/octet-stream");
    assert_eq!(page.headers["content-disposition"], "attachment");
    assert!(page.headers["content-security-policy"].contains("sandbox"));
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    assert_eq!(page.body, HTML);
    let picture = operator.get(&blob(PICTURE)).await;
    assert_eq!((picture.headers["content-type"].as_str(), picture.body.as_slice()), ("image/png", PICTURE));
    let part = operator.send("GET", &blob(PICTURE), &[("Range", "bytes=1-3")], "").await;
    assert_eq!((part.status, part.body.as_slice()), (206, b"PNG".as_slice()));
    assert_eq!(part.headers["content-range"], format!("bytes 1-3/{}", PICTURE.len()));
    assert_eq!(operator.get(&blob(b"unknown")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_owner_chooses_is_kept() {
    let world = World::start().await;
    let (mut operator, home) = (world.operator().await, world.path(""));
    let archive = &world.node.archive;
    let did = &world.person.did;
    assert_eq!(operator.press(&home, &world.path("/pause"), &[]).await.status, 303);
    assert!(archive.line(did).await.unwrap().paused);
    assert_eq!(operator.press(&home, &world.path("/resume"), &[]).await.status, 303);
    assert!(!archive.line(did).await.unwrap().paused);
    let refused = operator.press(&home, &world.path("/serve"), &[("to", "public"), ("basis", "")]).await;
    assert_eq!(refused.status, 400, "serving needs a basis");
    assert!(refused.text().contains("role=\"alert\""));
    let served =
        operator.press(&home, &world.path("/serve"), &[("to", "peers"), ("basis", "she asked me")]).await;
    assert_eq!(served.status, 303);
    let serving = archive.show(did).await.unwrap().serving;
    assert_eq!((serving.serve.as_str(), serving.basis.as_deref()), ("peers", Some("she asked me")));
    let kept = operator.press(&home, &world.path("/keep"), &[("keep", "all"), ("basis", "history")]).await;
    assert_eq!(kept.status, 303);
    let line = archive.line(did).await.unwrap();
    assert_eq!((line.keep.as_str(), line.keep_basis.as_deref()), ("all", Some("history")));
    let limited = operator.press(&home, &world.path("/limits"), &[("quota", "250"), ("priority", "3")]).await;
    assert_eq!(limited.status, 303);
    let line = archive.line(did).await.unwrap();
    assert_eq!((line.quota, line.priority), (Some(250_000_000), 3));
    let wrong = operator.press(&home, &world.path("/limits"), &[("quota", "much"), ("priority", "3")]).await;
    assert_eq!(wrong.status, 400);
    // Whose key it is.
    let keys = archive.show(did).await.unwrap().keys.rotation_keys;
    let mine = &keys[0].key;
    let identity = world.path("/identity");
    let said = operator.press(&identity, &world.path("/identity/own"), &[("key", mine), ("mine", "1")]).await;
    assert_eq!(said.status, 303);
    assert_eq!(world.node.store.own_keys(did).await.unwrap(), std::slice::from_ref(mine));
    let other = operator
        .press(&identity, &world.path("/identity/own"), &[("key", "did:key:zother"), ("mine", "1")])
        .await;
    assert_eq!(other.status, 404);
    let announced = [("hours", "5"), ("reason", "moving soon")];
    assert_eq!(operator.press(&identity, &world.path("/identity/announce"), &announced).await.status, 303);
    let shown = operator.get(&identity).await.text();
    let (withdraw, open) =
        (world.path("/identity/withdraw"), format!("action=\"{}\"", world.path("/identity/withdraw")));
    assert!(shown.contains("moving soon") && shown.contains(&open), "{shown}");
    // It is taken back by a form of one's own page, and by no other.
    assert_eq!(operator.post(&withdraw, "other", &[]).await.status, 403);
    assert!(archive.identity_history(did).await.unwrap().announced.is_some());
    world.node.clock.0.fetch_add(60_000_000, Ordering::SeqCst);
    let went = operator.press(&identity, &withdraw, &[]).await;
    assert_eq!(went.status, 303, "{}", went.text());
    assert_eq!(archive.identity_history(did).await.unwrap().announced, None);
    let shown = operator.get(went.location()).await.text();
    assert!(shown.contains("The announcement was withdrawn") && !shown.contains("moving soon"), "{shown}");
    assert!(!shown.contains(&open), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_a_copy_and_an_erasure() {
    let world = World::start().await;
    let mut operator = world.operator().await;
    let began = operator.press(&world.path("/drills"), &world.path("/drill"), &[]).await;
    let ended = operator.finish(&began).await;
    assert!(ended.contains("notice good"), "{ended}");
    let drills = operator.get(&world.path("/drills")).await.text();
    assert!(drills.contains("<svg class=\"chart\"") && drills.contains("class=\"done\""), "{drills}");
    // A copy of everything.
    let page = world.path("/export");
    assert_eq!(operator.get(&world.path("/copy.tar")).await.status, 404, "nothing was written yet");
    let began = operator.press(&page, &world.path("/export"), &[("pages", "1")]).await;
    let ended = operator.finish(&began).await;
    assert!(ended.contains("notice good"), "{ended}");
    assert!(operator.get(&page).await.text().contains("/copy.tar\""));
    let tar = operator.get(&world.path("/copy.tar")).await;
    assert_eq!(tar.headers["content-type"], "application/x-tar");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("copy.tar"), &tar.body).unwrap();
    let unpacked =
        std::process::Command::new("tar").args(["-xf", "copy.tar"]).current_dir(dir.path()).status();
    assert!(unpacked.unwrap().success());
    let top = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.is_dir())
        .unwrap();
    for file in ["repo.car", "manifest.json", "RESTORE.txt", "index.html"] {
        assert!(top.join(file).exists(), "{file}");
    }
    let car = operator.get(&world.path("/repo.car")).await;
    assert_eq!(car.body, std::fs::read(top.join("repo.car")).unwrap());
    // Erasing it takes the copy with it, and only when the name was typed.
    let copies = world.node.archive.copy_dir(&world.person.did);
    assert!(copies.exists());
    let page = world.path("/remove");
    let refused = operator.press(&page, &page, &[("confirm", "somebody else")]).await;
    assert_eq!(refused.status, 400);
    assert!(world.node.archive.line(&world.person.did).await.is_ok());
    let began = operator.press(&page, &page, &[("confirm", world.person.did.as_str())]).await;
    operator.finish(&began).await;
    assert!(world.node.archive.line(&world.person.did).await.is_err());
    assert!(!copies.exists());
    assert_eq!(operator.get(&world.path("")).await.status, 404);
}
