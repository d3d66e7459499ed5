//! The pages of archived accounts over real connections: an account that was fetched from a scripted host, edited there,
//! and full of what nobody should be able to do with a record.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

#[path = "../../archive/tests/it/fake/mod.rs"]
mod fake;
#[path = "archived/many.rs"]
mod many;
mod shared;

use std::sync::{Arc, Mutex};

use fake::{Fake, Node, Person};
use p2pds_agent::{Agents, AgentsDeps, Seal, Us};
use p2pds_crypto::{Curve, PrivateKey, Signer as _};
use p2pds_directory::{Directory, DirectoryConfig};
use p2pds_identity::plc::{Data, Operation};
use p2pds_ipld::Cid;
use p2pds_ipld::cbor::Value;
use p2pds_net::{Client, NetConfig};
use p2pds_recovery::Recovery;
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_syntax::Datetime;
use p2pds_web::{Door, DoorConfig, DoorDeps, PATHS, Web, WebConfig, WebDeps, router};
use serde_json::{Value as Json, json};
use shared::{Answer, Browser, Quiet};
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
    assert!(operator.get(&identity).await.text().contains("moving soon"));
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

/// The account's host, as far as it takes to act for an account there. What it signs is made of what was asked for, and
/// of `besides`.
fn host(world: &World, besides: impl Fn(&mut Data) + Send + Sync + 'static) -> Arc<Mutex<Vec<Operation>>> {
    let session = json!({ "did": world.person.did, "handle": "x.test", "accessJwt": "access", "refreshJwt": "refresh" });
    world.net.answer("com.atproto.server.createSession", move |asked| match asked["password"].as_str() {
        Some("correct horse") => (200, session.clone()),
        _ => (401, json!({ "error": "AuthenticationRequired", "message": "Invalid identifier or password" })),
    });
    world.net.answer("com.atproto.identity.requestPlcOperationSignature", |_| (200, json!({})));
    let log = world.person.log.clone();
    let key = PrivateKey::from_bytes(Curve::K256, &world.person.host_key.to_secret_bytes()).unwrap();
    world.net.answer("com.atproto.identity.signPlcOperation", move |asked| {
        if asked["token"] != "ABCDE-23456" {
            return (400, json!({ "error": "InvalidToken", "message": "Token is invalid" }));
        }
        let keys: Vec<String> = serde_json::from_value(asked["rotationKeys"].clone()).unwrap();
        let change = |data: &mut Data| {
            data.rotation_keys = keys;
            besides(data);
        };
        (200, json!({ "operation": log.update(change).unwrap().sign(&key).unwrap().to_json() }))
    });
    let submitted: Arc<Mutex<Vec<Operation>>> = Arc::default();
    let heard = Arc::clone(&submitted);
    world.net.answer("com.atproto.identity.submitPlcOperation", move |asked| {
        heard.lock().unwrap().push(Operation::from_json(&asked["operation"]).unwrap());
        (200, json!({}))
    });
    submitted
}

/// Follows an answer that leads elsewhere.
async fn follow(browser: &mut Browser, went: &Answer) -> String {
    assert_eq!(went.status, 303, "{}", went.text());
    browser.get(went.location()).await.text()
}

fn flow(page: &str) -> String {
    page.split("name=\"flow\" value=\"").nth(1).unwrap().split_once('"').unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_ones_own_is_added_step_by_step() {
    let mut world = World::start().await;
    let submitted = host(&world, |_| {});
    let mut operator = world.operator().await;
    let page = world.path("/identity/key");
    let to = |rest: &str| format!("{page}{rest}");
    // A key is made, shown until it was written down, and never again.
    let made = operator.press(&page, &page, &[("make", "1")]).await;
    let shown = follow(&mut operator, &made).await;
    let secret: String =
        shown.split("code-words").nth(1).unwrap().split(['>', '<']).nth(1).unwrap().split(' ').collect();
    let key = p2pds_recovery::RotationKey::read(&secret).unwrap();
    let other = shown.split("code-words").nth(2).unwrap().split(['>', '<']).nth(1).unwrap();
    let other_form = p2pds_recovery::RotationKey::read(other).unwrap();
    assert!(other.starts_with("z3vL") && key.did_keys().contains(&other_form.did_keys()[0]));
    let id = flow(&shown);
    let at = made.location().to_owned();
    let unread = operator.press(&at, &to("/written"), &[("flow", &id)]).await;
    assert!(
        follow(&mut operator, &unread).await.contains("code-words"),
        "nobody said that it was written down"
    );
    let written = operator.press(&at, &to("/written"), &[("flow", &id), ("written", "1")]).await;
    let asking = follow(&mut operator, &written).await;
    assert!(!asking.contains(&secret[..4]) && !asking.contains("code-words"));
    assert_eq!(operator.press(&at, &to("/written"), &[("flow", &id)]).await.status, 303);
    // The host asks for the right password, and for the token of its mail.
    let wrong = operator.press(&at, &to("/ask"), &[("flow", &id), ("password", "wrong")]).await;
    assert!(wrong.status == 400 && wrong.text().contains("role=\"alert\""));
    assert_eq!(world.net.hits("com.atproto.identity.requestPlcOperationSignature"), 0);
    let asked = operator.press(&at, &to("/ask"), &[("flow", &id), ("password", "correct horse")]).await;
    assert!(follow(&mut operator, &asked).await.contains("name=\"token\""));
    let wrong = operator.press(&at, &to("/sign"), &[("flow", &id), ("token", "AAAAA-AAAAA")]).await;
    assert!(wrong.status == 400 && wrong.text().contains("Token is invalid"), "{}", wrong.text());
    let signed = operator.press(&at, &to("/sign"), &[("flow", &id), ("token", "ABCDE-23456")]).await;
    let signed = follow(&mut operator, &signed).await;
    let public = key.did_keys().into_iter().find(|key| signed.contains(key)).expect("its key is shown");
    assert!(submitted.lock().unwrap().is_empty(), "nothing is submitted before it was looked at");
    // Another account's page, or another name, leads nowhere.
    let stray = operator.press(&at, &to("/submit"), &[("flow", "aaaa")]).await;
    assert_eq!(stray.status, 400);
    let net = world.net.clone();
    let went = operator.press(&at, &to("/submit"), &[("flow", &id)]).await;
    assert_eq!(
        (went.status, went.location()),
        (303, world.path("/identity?done=later").as_str()),
        "{}",
        went.text()
    );
    let later = follow(&mut operator, &went).await;
    assert!(later.contains("does not show it yet"), "the directory has the old log: {later}");
    let operation = submitted.lock().unwrap().pop().unwrap();
    let data = operation.data().unwrap();
    assert_eq!((data.rotation_keys[0].as_str(), data.rotation_keys.len()), (public.as_str(), 3));
    assert_eq!(world.node.store.own_keys(&world.person.did).await.unwrap(), std::slice::from_ref(&public));
    // The directory has it: it was announced, so that nobody is alarmed, and the light is green.
    let at = Datetime::from_unix_micros(fake::NOW as i64).unwrap();
    world.person.log = world.person.log.append(operation, at).unwrap();
    net.identity(&world.person);
    world.node.archive.watch(&world.person.did, &[]).await.unwrap();
    let page = operator.get(&world.path("/identity")).await.text();
    assert!(page.contains("notice good") && page.contains(&public) && !page.contains("notice bad"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_signs_something_else_gets_nothing_submitted() {
    let world = World::start().await;
    let submitted = host(&world, |data| data.set_pds("https://elsewhere.example"));
    let mut operator = world.operator().await;
    let page = world.path("/identity/key");
    let mine = PrivateKey::from_entropy(Curve::K256, [9; 32]).public_key().to_did_key();
    assert_eq!(operator.press(&page, &page, &[("key", "did:key:znonsense")]).await.status, 400);
    // In a file, as a browser sends one; the field beside it stays empty.
    let csrf = operator.get(&page).await.csrf();
    let file = format!("{mine}\r\n");
    let stray =
        operator.post_files(&page, "other", &[("key", "")], &[("key-file", "my key.txt", &file)]).await;
    assert_eq!(stray.status, 403, "the token counts here too");
    let nothing = operator.post_files(&page, &csrf, &[("key", "")], &[("key-file", "", "")]).await;
    assert_eq!(nothing.status, 400, "no file was chosen");
    let private = "5f".repeat(32);
    let wrong = operator.post_files(&page, &csrf, &[("key", "")], &[("key-file", "secret", &private)]).await;
    assert!(wrong.status == 400 && !wrong.text().contains(&private), "a secret key is not shown again");
    let chosen =
        operator.post_files(&page, &csrf, &[("key", "")], &[("key-file", "my key.txt", &file)]).await;
    let at = chosen.location().to_owned();
    let id = flow(&follow(&mut operator, &chosen).await);
    operator.press(&at, &format!("{page}/ask"), &[("flow", &id), ("password", "correct horse")]).await;
    let signed =
        operator.press(&at, &format!("{page}/sign"), &[("flow", &id), ("token", "ABCDE-23456")]).await;
    let shown = follow(&mut operator, &signed).await;
    assert!(shown.contains("https://elsewhere.example") && shown.contains("notice bad"), "{shown}");
    assert!(!shown.contains("/identity/key/submit"), "there is nothing to press");
    let csrf = operator.get(&world.path("")).await.csrf();
    let refused = operator.post(&format!("{page}/submit"), &csrf, &[("flow", &id)]).await;
    assert_eq!(refused.status, 400);
    assert!(submitted.lock().unwrap().is_empty());
    assert!(world.node.store.own_keys(&world.person.did).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_put_back_at_its_host() {
    let world = World::start().await;
    host(&world, |_| {});
    let absent = json!({ "error": "RecordNotFound", "message": "Could not locate record" });
    world.net.answer("com.atproto.repo.getRecord", move |_| (400, absent.clone()));
    let written: Arc<Mutex<Vec<Json>>> = Arc::default();
    let heard = Arc::clone(&written);
    world.net.answer("com.atproto.repo.putRecord", move |asked| {
        let cid = Cid::of_cbor(b"it").to_string();
        heard.lock().unwrap().push(asked);
        (200, json!({ "uri": "at://x/y/z", "cid": cid }))
    });
    let mut operator = world.operator().await;
    let page = world.path("/record?path=app.bsky.feed.post/3kgonea222222");
    let shown = operator.get(&page).await.text();
    let rev = shown.split("name=\"at\" value=\"").nth(1).unwrap().split_once('"').unwrap().0.to_owned();
    let fields = |password| {
        [("path", "app.bsky.feed.post/3kgonea222222"), ("at", rev.as_str()), ("password", password)]
    };
    let began = operator.press(&page, &world.path("/restore"), &fields("wrong")).await;
    assert!(operator.finish(&began).await.contains("notice bad"));
    assert!(written.lock().unwrap().is_empty());
    let began = operator.press(&page, &world.path("/restore"), &fields("correct horse")).await;
    let ended = operator.finish(&began).await;
    assert!(ended.contains("notice good") && !ended.contains("correct horse"), "{ended}");
    let written = written.lock().unwrap();
    assert_eq!(written.len(), 1);
    assert_eq!(written[0]["record"]["text"], "this was taken back");
    assert_eq!(written[0]["rkey"], "3kgonea222222");
    assert!(written[0]["swapRecord"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_removal_is_read_hidden_and_closed() {
    const DONE: &str = "/remove-me?done=1";
    let world = World::start().await;
    let (mut operator, mut stranger) = (world.operator().await, world.stranger());
    let store = &world.node.store;
    let did = &world.person.did;
    let handle = "person.example.com".to_owned();
    let patch = p2pds_store::AccountPatch { handle: Some(Some(handle.clone())), ..Default::default() };
    let unit = p2pds_store::Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) };
    store.apply(unit).await.unwrap();

    let page = stranger.get("/remove-me").await;
    assert!(page.status == 200 && page.text().contains("action=\"/remove-me\""), "{}", page.text());
    let csrf = page.csrf();
    let words = "<b>This is mine.</b>\r\nPlease remove it.";
    let (token, visitor) = (csrf.clone(), stranger.clone());
    let ask = |account: &str, words: &str| {
        let (csrf, mut browser) = (token.clone(), visitor.clone());
        let (account, words) = (account.to_owned(), words.to_owned());
        async move {
            let fields = [
                ("account", account.as_str()),
                ("about", "removal"),
                ("words", &words),
                ("answer", "me@mail.example"),
            ];
            browser.post("/remove-me", &csrf, &fields).await
        }
    };
    assert_eq!(stranger.clone().post("/remove-me", "other", &[("account", &handle)]).await.status, 403);
    // Nobody learns from the answer whether an account is here.
    let known = ask(&format!("@{handle}"), words).await;
    let unknown = ask("nobody.example.com", words).await;
    assert_eq!((known.status, known.location()), (303, DONE), "{}", known.text());
    assert_eq!((unknown.status, unknown.location(), &unknown.body), (303, DONE, &known.body));
    assert!(stranger.get(DONE).await.text().contains("The operator will read it"));
    let wrong = ask("nobody", words).await;
    assert!(wrong.status == 400 && wrong.text().contains("That is no account"), "{}", wrong.text());
    assert!(wrong.text().contains("&lt;b&gt;This is mine.&lt;/b&gt;"), "what was typed is still there");
    let long = ask(&handle, &"a".repeat(2_001)).await;
    assert!(long.status == 400 && long.text().contains("too long"), "{}", long.text());

    let open = store.open_reports(0, 9).await.unwrap();
    let [known, unknown] = open.as_slice() else { panic!("{open:?}") };
    assert_eq!(
        (known.did.as_ref(), known.subject.as_str(), known.kind.as_str()),
        (Some(did), handle.as_str(), "removal")
    );
    assert_eq!((&known.by, known.contact.as_str()), (&None, "me@mail.example"));
    assert_eq!(known.words, "<b>This is mine.</b>\nPlease remove it.");
    assert_eq!((&unknown.did, unknown.subject.as_str()), (&None, "nobody.example.com"));

    assert!(stranger.get("/operator/reports").await.location().starts_with("/sign-in"));
    let refused = stranger
        .clone()
        .post("/operator/reports", &csrf, &[("do", "report-close"), ("id", "1"), ("note", "x")])
        .await;
    assert!(refused.location().starts_with("/sign-in"), "{}", refused.text());
    let listed = operator.get("/operator/reports").await.text();
    assert!(listed.contains("2 reports wait") && !listed.contains("<b>"), "{listed}");
    for said in
        ["&lt;b&gt;This is mine.&lt;/b&gt;", "me@mail.example", &world.path("/remove"), "nobody.example.com"]
    {
        assert!(listed.contains(said), "{said}: {listed}");
    }
    assert!(!listed.contains("report-hide"), "it is shown to nobody already");
    world.node.archive.serve(did, "public", Some("a test")).await.unwrap();
    let hide = [("do", "report-hide"), ("id", "1")];
    assert_eq!(operator.press("/operator/reports", "/operator/reports", &hide).await.status, 303);
    assert_eq!(store.account(did).await.unwrap().unwrap().serve, p2pds_store::Serve::Nobody);

    let close = [("do", "report-close"), ("id", "1"), ("note", "told them")];
    let closed = operator.press("/operator/reports", "/operator/reports", &close).await;
    assert_eq!((closed.status, closed.location()), (303, "/operator/reports?done=1"), "{}", closed.text());
    let again = operator.press("/operator/reports", "/operator/reports", &close).await;
    assert!(again.status == 400 && again.text().contains("no such open report"), "{}", again.text());
    let listed = operator.get("/operator/reports").await.text();
    assert!(listed.contains("One report waits") && listed.contains("told them"), "{listed}");
    let acts = store.audits(None, None, 9).await.unwrap();
    let acts: Vec<_> =
        acts.iter().map(|act| (act.what.as_str(), act.subject.as_str(), act.did.as_ref())).collect();
    assert_eq!(acts, [("closeReport", "report 1", Some(did)), ("stopServing", "report 1", Some(did))]);
    assert!(
        operator.get("/operator/audit").await.text().contains("closeReport"),
        "also where nobody is hosted"
    );
    assert_eq!(operator.get("/operator/limits").await.status, 200);

    // So many from one place, and no more.
    let mut last = 0;
    for _ in 0..10 {
        last = ask("nobody.example.com", "").await.status;
    }
    assert_eq!(last, 429);
    // With the account go the reports about it.
    world.node.archive.remove(did, false, &p2pds_archive::Progress::none()).await.unwrap();
    assert!(store.closed_reports(9).await.unwrap().is_empty());
    assert!(store.open_reports(0, 99).await.unwrap().iter().all(|row| row.did.is_none()));
}

/// The document about this node as a client is public: it names what the owner may put back, and not whom else's records
/// are here; and it costs the store one look in a minute.
#[tokio::test(flavor = "multi_thread")]
async fn what_strangers_learn_of_the_archive_from_the_document_about_this_client() {
    let world = World::start().await;
    let ask = async |port: u16| {
        let document = Browser::at(port).get("/oauth-client-metadata.json").await;
        assert_eq!(document.status, 200, "{}", document.text());
        document.text()
    };
    let serve = async || World::serve_as(&world.node, &world.net.url, Some("https://node.example")).await.0;
    let port = serve().await;
    assert!(!ask(port).await.contains("app.bsky.feed.post"), "it is nobody's account");
    let session = p2pds_store::hosting::AgentSessionRow {
        did: world.person.did.clone(),
        version: 0,
        kind: "oauth".to_owned(),
        host: "https://pds.example".to_owned(),
        scope: "atproto".to_owned(),
        sealed: Vec::new(),
        created_at: 0,
        updated_at: 0,
    };
    let unit = p2pds_store::hosting::OwnerUnit::PutAgent(session);
    let unit = p2pds_store::Unit::Hosting(Box::new(p2pds_store::HostingUnit::Owner(unit)));
    world.node.store.apply(unit).await.unwrap();
    assert!(!ask(port).await.contains("app.bsky.feed.post"), "what was read a moment ago");
    let said = ask(serve().await).await;
    assert!(said.contains("app.bsky.feed.post") && said.contains("com.example.thing"), "{said}");
}
