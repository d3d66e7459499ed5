//! Clients' documents, from a server that means no good.

use p2pds_crypto::Signer as _;
use p2pds_crypto::jwk::Jwk;
use serde_json::{Value, json};

use crate::app::{App, World, key};
use crate::site::Page;

/// What comes of a client whose document is this page.
async fn with(world: &World, page: Page) -> Result<(), &'static str> {
    let path = format!("/{}.json", world.unique());
    world.site.put(&path, rename(page, world, &path));
    App::web(world, &path).ask(world).push().await.map(|_| ()).map_err(|refused| refused.error())
}

/// Documents name the address at which they stand.
fn rename(mut page: Page, world: &World, path: &str) -> Page {
    if let Ok(text) = String::from_utf8(page.body.clone()) {
        page.body = text.replace("SELF", &format!("{}{path}", world.site.url)).into_bytes();
    }
    page
}

fn document() -> Value {
    json!({
        "client_id": "SELF",
        "redirect_uris": ["https://app.example.com/callback"],
        "scope": "atproto repo:com.example.thing",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "dpop_bound_access_tokens": true,
    })
}

fn changed(name: &str, value: Value) -> Page {
    let mut document = document();
    document[name] = value;
    Page::json(&document)
}

const REFUSED: Result<(), &str> = Err("invalid_client_metadata");

/// draft-ietf-oauth-client-id-metadata-document 4.
#[tokio::test(flavor = "multi_thread")]
async fn how_a_document_is_served() {
    let world = World::new().await;
    let right = || Page::json(&document());
    assert_eq!(with(&world, right()).await, Ok(()));
    for status in [201, 204, 301, 302, 307, 400, 403, 404, 410, 500, 503] {
        let elsewhere = ("location".to_owned(), format!("{}/elsewhere.json", world.site.url));
        world.site.put("/elsewhere.json", right());
        let mut page = Page { status, ..right() };
        page.headers.push(elsewhere);
        assert_eq!(with(&world, page).await, REFUSED, "{status}");
    }
    assert_eq!(world.site.asked("/elsewhere.json"), 0, "no redirect is followed");
    for kind in ["text/html", "text/plain", "application/javascript", "application/jsonp", ""] {
        let page = Page { headers: vec![("content-type".to_owned(), kind.to_owned())], ..right() };
        assert_eq!(with(&world, page).await, REFUSED, "{kind}");
    }
    let kind = vec![("content-type".to_owned(), "Application/JSON; charset=utf-8".to_owned())];
    assert_eq!(with(&world, Page { headers: kind, ..right() }).await, Ok(()));
    for body in [&b""[..], b"[]", b"{", b"null", b"\xff", br#"{"client_id":"SELF","client_id":"SELF"}"#] {
        assert_eq!(with(&world, Page { body: body.to_vec(), ..right() }).await, REFUSED);
    }
    let long = changed("client_name", json!("x".repeat(600_000)));
    assert_eq!(with(&world, long).await, REFUSED, "longer than any honest one");
}

/// RFC 7591 2, atproto OAuth "Client Metadata": the rules are tested one by one where they stand; here, that they are asked.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_document_says() {
    let world = World::new().await;
    for (name, value) in [
        ("client_id", json!("https://other.example.com/client.json")),
        ("client_id", json!("SELF?x=y")),
        ("dpop_bound_access_tokens", json!(false)),
        ("scope", json!("transition:generic")),
        ("redirect_uris", json!([])),
        ("redirect_uris", json!(["javascript:alert(1)"])),
        ("grant_types", json!(["implicit"])),
        ("response_types", json!(["token"])),
        ("token_endpoint_auth_method", json!("client_secret_post")),
        ("token_endpoint_auth_method", json!("private_key_jwt")),
        ("application_type", json!("service")),
        ("logo_uri", json!("javascript:alert(1)")),
        ("client_uri", json!("https://bank.example.com")),
    ] {
        assert_eq!(with(&world, changed(name, value.clone())).await, REFUSED, "{name} {value}");
    }
    // RFC 6749 5.2: a client that declares no refresh tokens gets none, and may not refresh.
    let path = "/once.json";
    let page = rename(changed("grant_types", json!(["authorization_code"])), &world, path);
    world.site.put(path, page);
    let app = App::web(&world, path);
    let tokens = world.tokens(&app).await;
    assert!(tokens.refresh_token.is_none());
    assert_eq!(app.refresh(&world, "ref-x.y").send().await.unwrap_err().error(), "unauthorized_client");
}

/// RFC 7517 5, RFC 7591 2.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_stand_elsewhere() {
    let world = World::new().await;
    let keys = json!({ "keys": [Jwk::from_public(key(9).public_key()).named("one").to_json()] });
    let ask = async |path: &str, jwks_uri: String| {
        let mut document = App::document(&world, path);
        document["token_endpoint_auth_method"] = json!("private_key_jwt");
        document["token_endpoint_auth_signing_alg"] = json!("ES256");
        document["jwks_uri"] = json!(jwks_uri);
        world.site.put(path, Page::json(&document));
        let app = App { own: Some((key(9), "one".to_owned())), ..App::web(&world, path) };
        app.ask(&world).push().await.map(|_| ()).map_err(|refused| refused.error())
    };
    let at = |path: &str| format!("{}{path}", world.site.url);
    world.site.put("/keys", Page::json(&keys));
    assert_eq!(ask("/a.json", at("/keys")).await, Ok(()));
    assert_eq!(ask("/b.json", at("/nothing")).await, REFUSED);
    world.site.put("/empty", Page::json(&json!({ "keys": [] })));
    assert_eq!(ask("/c.json", at("/empty")).await, REFUSED);
    let mut private = keys.clone();
    private["keys"][0]["d"] = json!("AA");
    world.site.put("/private", Page::json(&private));
    assert_eq!(ask("/d.json", at("/private")).await, REFUSED, "everybody knows its private key");
    world.site.put(
        "/other",
        Page::json(&json!({ "keys": [Jwk::from_public(key(10).public_key()).named("one").to_json()] })),
    );
    assert_eq!(ask("/e.json", at("/other")).await, Err("invalid_client"), "another key");
    // RFC 9700 4.11: inside of the network of this server.
    for inside in [
        "https://10.0.0.1/keys",
        "https://169.254.169.254/latest",
        "https://[fe80::1]/keys",
        "file:///etc/passwd",
    ] {
        assert_eq!(ask(&format!("/{}.json", inside.len()), inside.to_owned()).await, REFUSED, "{inside}");
    }
}
