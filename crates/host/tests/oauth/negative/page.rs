//! What must not work with a request that waits for somebody to agree to it.

use p2pds_oauth::{Begun, OAuthError, Redirect};

use crate::app::{App, MINUTE, SECOND, World};

/// Redirects never go out for these: whoever brought the request may be anybody.
#[tokio::test(flavor = "multi_thread")]
async fn at_the_authorization_page() {
    let world = World::new().await;
    let app = App::local();
    let (alice, bob) = (world.alice(), world.bob());
    let device = world.browser(&alice).await;
    let begin = async |uri: &str| world.oauth.begin(&app.id, uri, &device).await.map(|_| ()).unwrap_err();
    assert_eq!(begin("").await, OAuthError::NotPushed, "RFC 9126 4");
    assert_eq!(begin("https://evil.example.com/request.jwt").await, OAuthError::NotPushed, "RFC 9101 10.4");
    let unknown = "urn:ietf:params:oauth:request_uri:req-unknown";
    assert_eq!(begin(unknown).await, OAuthError::RequestOver, "RFC 9126 7.1");
    let pushed = app.ask(&world).push().await.unwrap();
    world.pass(301 * SECOND);
    assert_eq!(begin(&pushed).await, OAuthError::RequestOver, "RFC 9126 2.2: five minutes");
    // RFC 9126 2.2: another client's; and then it is good for nobody.
    let pushed = app.ask(&world).push().await.unwrap();
    let other = world.oauth.begin("http://localhost", &pushed, &device).await;
    assert_eq!(other.unwrap_err(), OAuthError::RequestClient);
    assert_eq!(begin(&pushed).await, OAuthError::RequestOver);
    // Another browser's: nobody is led to agree to what somebody else began.
    let pushed = app.ask(&world).push().await.unwrap();
    let page = world.open(&app, &pushed, &device).await;
    let elsewhere = world.browser(&bob).await;
    let refused = world.oauth.begin(&app.id, &pushed, &elsewhere).await;
    assert_eq!(refused.unwrap_err(), OAuthError::RequestDevice);
    let refused = world.oauth.accept(&page, &elsewhere, &bob, &page.scopes).await;
    assert_eq!(refused, Err(OAuthError::RequestOver));
    // Somebody who is not signed in there.
    let refused = world.oauth.accept(&page, &device, &bob, &page.scopes).await;
    assert_eq!(refused, Err(OAuthError::LoginRequired));
    // Granted twice.
    world.oauth.accept(&page, &device, &alice, &page.scopes).await.unwrap();
    let again = world.oauth.accept(&page, &device, &alice, &page.scopes).await;
    assert_eq!(again, Err(OAuthError::RequestOver));
    assert_eq!(begin(&pushed).await, OAuthError::RequestOver);
    // Looked at too long.
    let pushed = app.ask(&world).push().await.unwrap();
    let page = world.open(&app, &pushed, &device).await;
    world.pass(301 * SECOND);
    let late = world.oauth.accept(&page, &device, &alice, &page.scopes).await;
    assert_eq!(late, Err(OAuthError::RequestOver));
}

/// However often it is looked at, a request lasts an hour.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_looked_at_for_ever() {
    let world = World::new().await;
    let app = App::local();
    let device = world.browser(&world.alice()).await;
    let pushed = app.ask(&world).push().await.unwrap();
    for _ in 0..14 {
        world.open(&app, &pushed, &device).await;
        world.pass(4 * MINUTE);
    }
    world.open(&app, &pushed, &device).await;
    world.pass(4 * MINUTE - SECOND);
    let page = world.open(&app, &pushed, &device).await;
    world.pass(2 * SECOND);
    let over = world.oauth.begin(&app.id, &pushed, &device).await.map(|_| ()).unwrap_err();
    assert_eq!(over, OAuthError::RequestOver);
    let late = world.oauth.accept(&page, &device, &world.alice(), &page.scopes).await;
    assert_eq!(late, Err(OAuthError::RequestOver));
}

/// RFC 9126 7.4: whoever pushes as many requests as may wait keeps nobody else out.
#[tokio::test(flavor = "multi_thread")]
async fn requests_without_end() {
    let world = World::new().await;
    world.oauth.set_most_requests(3);
    let app = App::local();
    let device = world.browser(&world.alice()).await;
    let opened = app.ask(&world).push().await.unwrap();
    world.open(&app, &opened, &device).await;
    let mut flood = Vec::new();
    for _ in 0..4 {
        world.pass(SECOND);
        flood.push(app.ask(&world).push().await.unwrap());
    }
    let begin = async |uri: &str| world.oauth.begin(&app.id, uri, &device).await.map(|_| ());
    for old in &flood[..2] {
        assert_eq!(begin(old).await, Err(OAuthError::RequestOver), "they made room");
    }
    for kept in [&opened, &flood[2], &flood[3]] {
        assert_eq!(begin(kept).await, Ok(()), "somebody looks at it, or it is new");
    }
    assert_eq!(app.ask(&world).push().await.unwrap_err(), OAuthError::Busy, "all of them are looked at");
    world.pass(301 * SECOND);
    assert!(app.ask(&world).push().await.is_ok(), "those that are over take no room");
}

/// RFC 9207: the answer says which server it is from, with every error too.
#[tokio::test(flavor = "multi_thread")]
async fn every_answer_names_its_server() {
    let world = World::new().await;
    let app = App::confidential(&world);
    let device = world.oauth.new_device("a browser", "192.0.2.1").await.unwrap().0;
    let pushed = app.ask(&world).with("prompt", "none").push().await.unwrap();
    let Begun::Redirect(Redirect { params, .. }) =
        world.oauth.begin(&app.id, &pushed, &device).await.unwrap()
    else {
        panic!()
    };
    let names: Vec<&str> = params.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["iss", "state", "error", "error_description"]);
}
