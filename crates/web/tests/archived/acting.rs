//! What is done for an account at its own host: a key of one's own, a record that is put back.

use std::sync::{Arc, Mutex};

use p2pds_crypto::{Curve, PrivateKey, Signer as _};
use p2pds_identity::plc::{Data, Operation};
use p2pds_ipld::Cid;
use p2pds_syntax::Datetime;
use serde_json::{Value as Json, json};

use super::shared::{Answer, Browser};
use super::{World, fake};

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
