//! What works.

use futures::StreamExt as _;
use p2pds_crypto::pkce;
use p2pds_host::accounts::{By, EraseJob};
use p2pds_host::jobs::Job as _;
use p2pds_oauth::scope::Scopes;
use p2pds_oauth::{Begun, LogIn, LoginRefused, Mode, OAuthError};
use p2pds_store::hosting::{OAuthApplied, OAuthRequestRow, OAuthSessionRow, OAuthUnit};
use p2pds_store::{Applied, CHUNK_ROWS, HostingUnit, LoginPatch, Unit};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::app::{App, Ask, DAY, ISSUER, MINUTE, PASSWORD, Proof, World, told};
use crate::site::Page;

/// A request with these changes.
fn asked<'w>(app: &'w App, world: &'w World, changes: &[(&str, &str)]) -> Ask<'w> {
    changes.iter().fold(app.ask(world), |ask, (name, value)| ask.with(name, value))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_signs_in_refreshes_and_ends() {
    let world = World::new().await;
    for app in [App::local(), App::confidential(&world)] {
        let verifier = world.verifier();
        let ask = app.ask(&world).with("code_challenge", &pkce::challenge_s256(&verifier));
        let pushed = ask.push().await.unwrap();
        let device = world.browser(&world.alice()).await;
        let page = world.open(&app, &pushed, &device).await;
        assert_eq!(page.client.id, app.id);
        assert_eq!(page.accounts.len(), 1);
        assert!(!page.accounts[0].login_required && page.accounts[0].consent_required);
        let redirect = world.oauth.accept(&page, &device, &world.alice(), &page.scopes).await.unwrap();
        assert_eq!((redirect.param("iss"), redirect.param("state")), (Some(ISSUER), Some("a state")));
        assert!(redirect.location().starts_with(&format!("{}?iss=http%3A%2F%2Fpds.test&", app.redirect_uri)));
        let code = redirect.param("code").unwrap();
        let tokens = app.redeem(&world, code, &verifier).send().await.unwrap();
        assert_eq!((tokens.sub.clone(), tokens.expires_in), (world.alice(), 900));
        assert_eq!(tokens.scope, "atproto repo:com.example.thing");
        assert_eq!(tokens.to_json()["token_type"], "DPoP");
        assert!(world.works(&app, &tokens.access_token).await);
        let grants = world.oauth.grants(&world.alice()).await.unwrap();
        assert_eq!((grants.len(), grants[0].client_id.as_str()), (1, app.id.as_str()));
        let first = tokens.refresh_token.unwrap();
        let second = app.refresh(&world, &first).send().await.unwrap();
        assert_eq!((&second.sub, second.scope.as_str()), (&world.alice(), "atproto repo:com.example.thing"));
        assert!(world.works(&app, &second.access_token).await);
        assert!(world.works(&app, &tokens.access_token).await, "the one before lasts its quarter of an hour");
        app.revoke(&world, second.refresh_token.as_ref().unwrap()).end().await.unwrap();
        assert!(!world.works(&app, &second.access_token).await, "ended at once");
        assert_eq!(world.oauth.grants(&world.alice()).await.unwrap(), []);
        // What is no token is no error.
        app.revoke(&world, "nothing").end().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_may_be_refused_and_all_of_it() {
    let world = World::new().await;
    let app = App::local();
    let device = world.browser(&world.alice()).await;
    let ask = || asked(&app, &world, &[("scope", "atproto account:email repo:com.example.thing")]);
    let pushed = ask().push().await.unwrap();
    let page = world.open(&app, &pushed, &device).await;
    let less = Scopes::parse("atproto repo:com.example.thing repo:*").unwrap();
    world.oauth.accept(&page, &device, &world.alice(), &less).await.unwrap();
    let consent = world.node.store.oauth_consent(&world.alice(), &app.id).await.unwrap().unwrap();
    assert_eq!(
        consent.scope, "atproto repo:com.example.thing",
        "no more than was asked, no more than was granted"
    );
    let pushed = ask().push().await.unwrap();
    let page = world.open(&app, &pushed, &device).await;
    let none = Scopes::parse("repo:com.example.thing").unwrap();
    let refused = world.oauth.accept(&page, &device, &world.alice(), &none).await;
    assert_eq!(refused, Err(OAuthError::ScopeAtproto));
    let redirect = world.oauth.refuse(&page).await.unwrap();
    assert_eq!((told(&redirect), redirect.param("iss")), ("access_denied", Some(ISSUER)));
    let again = world.oauth.begin(&app.id, &pushed, &device).await;
    assert_eq!(again.unwrap_err(), OAuthError::RequestOver);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_the_answer_gets_back() {
    let world = World::new().await;
    let app = App::web(&world, "/c.json");
    let mut document = App::document(&world, "/c.json");
    document["redirect_uris"] = json!(["https://app.example.com/cb?a=b"]);
    world.site.put("/c.json", Page::json(&document));
    let app = App { redirect_uri: "https://app.example.com/cb?a=b".to_owned(), ..app };
    for (mode, begins) in [
        ("query", "https://app.example.com/cb?a=b&iss="),
        ("fragment", "https://app.example.com/cb?a=b#iss="),
        ("form_post", "https://app.example.com/cb?a=b"),
    ] {
        let pushed = asked(&app, &world, &[("response_mode", mode)]).push().await.unwrap();
        let device = world.browser(&world.alice()).await;
        let page = world.open(&app, &pushed, &device).await;
        let redirect = world.oauth.refuse(&page).await.unwrap();
        assert!(redirect.location().starts_with(begins), "{}", redirect.location());
        assert_eq!(redirect.mode == Mode::FormPost, mode == "form_post");
        assert_eq!(redirect.params.len(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_asked_what() {
    let world = World::new().await;
    let app = App::confidential(&world);
    let (alice, bob) = (world.alice(), world.bob());
    let device = world.browser(&alice).await;
    let begin = |changes: Vec<(&'static str, String)>| {
        let (world, app, device) = (&world, &app, &device);
        async move {
            let changes: Vec<(&str, &str)> = changes.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let pushed = asked(app, world, &changes).push().await.unwrap();
            world.oauth.begin(&app.id, &pushed, device).await.unwrap()
        }
    };
    let error = |begun: Begun| match begun {
        Begun::Redirect(redirect) => told(&redirect).to_owned(),
        Begun::Show(page) => panic!("{page:?}"),
    };
    let none = || vec![("prompt", "none".to_owned())];
    assert_eq!(error(begin(none()).await), "consent_required");
    let Begun::Show(page) = begin(Vec::new()).await else { panic!() };
    world.oauth.accept(&page, &device, &alice, &page.scopes).await.unwrap();
    assert_eq!(error(begin(none()).await), "", "he agreed before");
    let hint = |did: &p2pds_syntax::Did| vec![("login_hint", did.to_string())];
    let Begun::Redirect(redirect) = begin(hint(&alice)).await else { panic!() };
    assert!(redirect.param("code").is_some(), "one account, which agreed, is meant");
    let Begun::Show(page) = begin(hint(&bob)).await else { panic!() };
    assert_eq!((page.selected.clone(), page.hint.clone()), (None, Some(bob.to_string())));
    let Begun::Show(page) = begin(Vec::new()).await else { panic!() };
    assert!(!page.accounts[0].consent_required, "asked all the same: nobody said who is meant");
    let more = vec![("prompt", "none".to_owned()), ("scope", "atproto account:email".to_owned())];
    assert_eq!(error(begin(more).await), "consent_required", "for something new");
    let Begun::Show(page) = begin(vec![("prompt", "consent".to_owned())]).await else { panic!() };
    assert!(page.accounts[0].consent_required);
    let Begun::Show(page) = begin(vec![("prompt", "login".to_owned())]).await else { panic!() };
    assert!(page.accounts[0].login_required);
    let refused = world.oauth.accept(&page, &device, &alice, &page.scopes).await;
    assert_eq!(refused, Err(OAuthError::LoginRequired));
    world.sign_in(&device, &alice, true).await;
    world.oauth.accept(&page, &device, &alice, &page.scopes).await.unwrap();
    let Begun::Show(page) = begin(vec![("max_age", "0".to_owned())]).await else { panic!() };
    assert!(page.accounts[0].login_required);
    let Begun::Show(page) = begin(vec![("prompt", "select_account".to_owned())]).await else { panic!() };
    assert_eq!(page.selected, None);
    let Begun::Show(page) = begin(vec![("prompt", "create".to_owned())]).await else { panic!() };
    assert_eq!(page.parameters.prompt, Some(p2pds_oauth::Prompt::Create));
    world.sign_in(&device, &bob, true).await;
    assert_eq!(error(begin(none()).await), "account_selection_required");
    world.oauth.sign_out(&device, &alice).await.unwrap();
    world.oauth.sign_out(&device, &bob).await.unwrap();
    assert_eq!(error(begin(none()).await), "login_required");
    world.sign_in(&device, &alice, true).await;
    world.pass(8 * DAY);
    assert_eq!(error(begin(none()).await), "login_required", "a week later");
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_in_browsers() {
    let world = World::new().await;
    let (alice, bob) = (world.alice(), world.bob());
    let (device, cookie) = world.oauth.new_device("a browser", "192.0.2.1").await.unwrap();
    assert_eq!(world.oauth.device(&cookie, "192.0.2.2").await.unwrap(), Some(device.clone()));
    assert_eq!(world.oauth.device("another", "192.0.2.2").await.unwrap(), None);
    let signed_in = world.sign_in(&device, &alice, true).await;
    assert_eq!(world.oauth.device(&cookie, "192.0.2.2").await.unwrap(), None, "nobody planted it and waits");
    assert_eq!(world.oauth.device(&signed_in.cookie, "192.0.2.2").await.unwrap(), Some(device.clone()));
    world.sign_in(&device, &bob, false).await;
    let there = || async {
        let accounts = world.oauth.device_accounts(&device).await.unwrap();
        accounts.into_iter().map(|account| account.did).collect::<Vec<_>>()
    };
    assert_eq!(there().await, [bob.clone(), alice.clone()]);
    world.pass(16 * MINUTE);
    assert_eq!(there().await, std::slice::from_ref(&alice), "bob did not want to stay");
    assert_eq!(world.oauth.devices(&alice).await.unwrap().len(), 1);
    let wrong = LogIn {
        identifier: alice.to_string(),
        password: Zeroizing::new("wrong".to_owned()),
        factor: None,
        address: "192.0.2.1".to_owned(),
    };
    let refused = world.oauth.sign_in(&device, wrong.clone(), true).await.unwrap_err();
    assert_eq!(refused, LoginRefused::Wrong);
    let unknown = LogIn { identifier: "nobody.example".to_owned(), ..wrong };
    assert_eq!(world.oauth.sign_in(&device, unknown, true).await.unwrap_err(), refused, "all the same");
    let (_, app_password) = world.node.host.create_app_password(&alice, "phone", false).await.unwrap();
    let ask = LogIn {
        identifier: alice.to_string(),
        password: app_password,
        factor: None,
        address: "192.0.2.1".to_owned(),
    };
    assert_eq!(world.oauth.sign_in(&device, ask, true).await.unwrap_err(), LoginRefused::Wrong);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_everything() {
    let world = World::new().await;
    let (app, alice) = (App::local(), world.alice());
    let tokens = world.tokens(&app).await;
    let device = world.browser(&alice).await;
    let verifier = world.verifier();
    let waiting = app.ask(&world).with("code_challenge", &pkce::challenge_s256(&verifier));
    let code = world.code(&app, waiting, &alice).await;
    world.node.host.admin_set_password(&By::Operator, &alice, "another password").await.unwrap();
    assert!(!world.works(&app, &tokens.access_token).await);
    let refreshed = app.refresh(&world, &tokens.refresh_token.unwrap()).send().await;
    assert_eq!(refreshed.unwrap_err(), OAuthError::Refresh);
    assert_eq!(app.redeem(&world, &code, &verifier).send().await.unwrap_err(), OAuthError::Code);
    assert!(world.oauth.device_accounts(&device).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_client_withdraws_ends_its_sessions() {
    let document =
        |world: &World, keys: &[(u8, &str)]| App::with_keys(App::document(world, "/confidential.json"), keys);
    type Withdraw<'d> = &'d dyn Fn(&World) -> Value;
    let ways: [(&str, Withdraw<'_>, &str); 4] = [
        ("it is not there any more", &|world| document(world, &[(10, "two")]), "invalid_client"),
        ("another key has its name", &|world| document(world, &[(10, "one")]), "invalid_client"),
        (
            "it is marked as revoked",
            &|world| {
                let mut document = document(world, &[(9, "one"), (10, "two")]);
                document["jwks"]["keys"][0]["revoked"] = json!({ "revoked_at": 1 });
                document
            },
            "invalid_client",
        ),
        ("no key is left", &|world| document(world, &[]), "invalid_client_metadata"),
    ];
    for (way, withdraw, refusal) in ways {
        let world = World::new().await;
        let app = App::confidential(&world);
        let tokens = world.tokens(&app).await;
        assert!(world.works(&app, &tokens.access_token).await);
        world.site.put("/confidential.json", Page::json(&withdraw(&world)));
        world.oauth.look_for_keys().await.unwrap();
        let works = async || world.works(&app, &tokens.access_token).await;
        assert!(works().await, "{way}: its document is a few minutes old and believed");
        world.pass(6 * MINUTE);
        world.oauth.look_for_keys().await.unwrap();
        assert!(!works().await, "{way}");
        let refreshed = app.refresh(&world, &tokens.refresh_token.unwrap()).send().await;
        assert_eq!(refreshed.unwrap_err().error(), refusal, "{way}");
        assert_eq!(world.oauth.grants(&world.alice()).await.unwrap(), [], "{way}");
    }
}

/// One that does not answer keeps neither the others' keys from being looked for nor anything from being forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_answer_hold_nobody_up() {
    let world = World::new().await;
    // Its names come before that of the other: those ports are below all that the system gives out.
    let silent =
        (10_000..32_000).find_map(|port| std::net::TcpListener::bind(("127.0.0.1", port)).ok()).unwrap();
    silent.set_nonblocking(true).unwrap();
    let app = App::confidential(&world);
    let tokens = world.tokens(&app).await;
    let template = world.oauth.grants(&world.alice()).await.unwrap().remove(0).session;
    let row = world.node.store.oauth_session(&template).await.unwrap().unwrap();
    for n in 0..3_u8 {
        let client = format!("http://{}/{n}.json", silent.local_addr().unwrap());
        assert!(client < app.id);
        let session = OAuthSessionRow { id: format!("silent{n}"), client, ..row.clone() };
        put_session(&world, session, n).await;
    }
    let document = App::with_keys(App::document(&world, "/confidential.json"), &[(10, "two")]);
    world.site.put("/confidential.json", Page::json(&document));
    world.pass(6 * MINUTE);
    let looking = world.oauth.look_for_keys();
    tokio::pin!(looking);
    let ended = async {
        while world.works(&app, &tokens.access_token).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = ended => {}
        done = &mut looking => panic!("{done:?}: nobody was silent"),
    }
    // And it has not given a silent one up.
    while let Ok((mut stream, _)) = silent.accept() {
        stream.set_nonblocking(true).unwrap();
        let mut read = Vec::new();
        let waits = std::io::Read::read_to_end(&mut stream, &mut read).unwrap_err();
        assert_eq!(waits.kind(), std::io::ErrorKind::WouldBlock);
    }
}

/// Puts a session there without an application.
async fn put_session(world: &World, session: OAuthSessionRow, n: u8) {
    let (code, at) = ([0xf0 | n; 32], session.created_at);
    let apply = async |unit| {
        let unit = Unit::Hosting(Box::new(HostingUnit::OAuth(unit)));
        assert_eq!(world.node.store.apply(unit).await.unwrap(), Applied::OAuth(OAuthApplied::Yes));
    };
    apply(OAuthUnit::PutRequest(OAuthRequestRow {
        id: code,
        client: session.client.clone(),
        auth: session.auth.clone(),
        parameters: "{}".to_owned(),
        device: Some("a browser".to_owned()),
        did: Some(session.did.clone()),
        code: Some(code),
        scope: session.scope.clone(),
        created_at: at,
        expires_at: at + MINUTE,
    }))
    .await;
    let row = OAuthSessionRow { code, refresh: code, ..session };
    apply(OAuthUnit::BeginSession { row, challenge: code, challenge_ends: at + MINUTE, at }).await;
}

/// More than one unit forgets, and browsers in which nobody signed in.
#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_over_is_forgotten() {
    let world = World::new().await;
    let at = world.node.clock.load(std::sync::atomic::Ordering::Relaxed);
    let rows = (0..2_u32 * u32::try_from(CHUNK_ROWS).unwrap() + 1).map(|n| {
        let mut id = [7; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let row = OAuthRequestRow {
            id,
            client: String::new(),
            auth: String::new(),
            parameters: String::new(),
            device: None,
            did: None,
            code: None,
            scope: String::new(),
            created_at: at,
            expires_at: at + MINUTE,
        };
        world.node.store.apply(Unit::Hosting(Box::new(HostingUnit::OAuth(OAuthUnit::PutRequest(row)))))
    });
    let mut rows = futures::stream::iter(rows).buffer_unordered(16);
    while let Some(done) = rows.next().await {
        done.unwrap();
    }
    let (_, cookie) = world.oauth.new_device("nobody's", "192.0.2.1").await.unwrap();
    let device = world.browser(&world.alice()).await;
    world.oauth.forget().await.unwrap();
    assert_eq!(world.node.store.oauth_requests(at).await.unwrap(), 2 * CHUNK_ROWS as u64 + 1);
    world.pass(61 * MINUTE);
    world.oauth.forget().await.unwrap();
    assert_eq!(world.node.store.oauth_requests(at).await.unwrap(), 0);
    assert_eq!(world.oauth.device(&cookie, "192.0.2.1").await.unwrap(), None);
    assert_eq!(world.oauth.device_accounts(&device).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_cannot_be_asked_loses_nothing() {
    let world = World::new().await;
    let app = App::confidential(&world);
    let tokens = world.tokens(&app).await;
    let page = Page { status: 503, headers: Vec::new(), body: Vec::new() };
    world.site.put("/confidential.json", page);
    world.pass(6 * MINUTE);
    world.oauth.look_for_keys().await.unwrap();
    assert!(world.works(&app, &tokens.access_token).await);
    let refresh = tokens.refresh_token.unwrap();
    let refused = app.refresh(&world, &refresh).send().await.unwrap_err();
    assert!(matches!(refused, OAuthError::ClientUnreachable(_)), "{refused:?}");
    App::confidential(&world);
    assert!(app.refresh(&world, &refresh).send().await.is_ok(), "when it is there again");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_asked_for_once_in_five_minutes() {
    let world = World::new().await;
    let app = App::confidential(&world);
    for _ in 0..3 {
        app.ask(&world).push().await.unwrap();
    }
    assert_eq!(world.site.asked("/confidential.json"), 1);
    world.pass(6 * MINUTE);
    app.ask(&world).push().await.unwrap();
    assert_eq!(world.site.asked("/confidential.json"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn request_objects() {
    let world = World::new().await;
    let app = App::confidential(&world);
    let mut claims = app.claims(&world);
    claims.as_object_mut().unwrap().remove("sub");
    for (name, value) in app.ask(&world).pairs {
        if !name.starts_with("client_assertion") {
            claims[name] = json!(value);
        }
    }
    let whole = app.ask(&world);
    let names: Vec<String> = whole.pairs.iter().map(|(name, _)| name.clone()).collect();
    let mut ask = whole;
    for name in names.iter().filter(|name| !name.starts_with("client_")) {
        ask = ask.without(name);
    }
    // What stands beside it counts for nothing.
    let ask = ask.with("request", &app.signed(&claims)).with("scope", "atproto transition:generic");
    let pushed = ask.push().await.unwrap();
    let device = world.browser(&world.alice()).await;
    let page = world.open(&app, &pushed, &device).await;
    assert_eq!(page.scopes.to_string(), "atproto repo:com.example.thing");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_by_themselves() {
    let world = World::new().await;
    let app = App::local();
    let mut refresh = world.tokens(&app).await.refresh_token.unwrap();
    for _ in 0..2 {
        world.pass(6 * DAY);
        refresh = app.refresh(&world, &refresh).send().await.unwrap().refresh_token.unwrap();
    }
    world.pass(3 * DAY);
    let refused = app.refresh(&world, &refresh).send().await;
    assert_eq!(refused.unwrap_err(), OAuthError::Refresh, "two weeks in all for a public client");
    let refresh = world.tokens(&app).await.refresh_token.unwrap();
    world.pass(14 * DAY - 5 * MINUTE);
    let last = app.refresh(&world, &refresh).send().await.unwrap();
    assert!(world.works(&app, &last.access_token).await);
    world.pass(6 * MINUTE);
    assert!(!world.works(&app, &last.access_token).await, "its token is good for longer than its session");
    let app = App::confidential(&world);
    let refresh = world.tokens(&app).await.refresh_token.unwrap();
    world.pass(89 * DAY);
    let refresh = app.refresh(&world, &refresh).send().await.unwrap().refresh_token.unwrap();
    world.pass(91 * DAY);
    assert!(app.refresh(&world, &refresh).send().await.is_err(), "three months without a refresh");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_are_not_active() {
    let world = World::new().await;
    let (app, alice) = (App::local(), world.alice());
    let verifier = world.verifier();
    let ask = app.ask(&world).with("code_challenge", &pkce::challenge_s256(&verifier));
    let code = world.code(&app, ask, &alice).await;
    let tokens = world.tokens(&app).await;
    let device = world.browser(&alice).await;
    let pushed = app.ask(&world).push().await.unwrap();
    let page = world.open(&app, &pushed, &device).await;
    let patch = LoginPatch { deactivated_at: Some(Some(1)), ..LoginPatch::default() };
    world.node.store.apply(Unit::PatchLogin { did: alice.clone(), patch: Box::new(patch) }).await.unwrap();
    let refused = world.oauth.accept(&page, &device, &alice, &page.scopes).await;
    assert_eq!(refused, Err(OAuthError::AccountInactive));
    assert_eq!(app.redeem(&world, &code, &verifier).send().await.unwrap_err(), OAuthError::AccountInactive);
    let refresh = tokens.refresh_token.unwrap();
    assert_eq!(app.refresh(&world, &refresh).send().await.unwrap_err(), OAuthError::AccountInactive);
    let patch = LoginPatch { deactivated_at: Some(None), ..LoginPatch::default() };
    world.node.store.apply(Unit::PatchLogin { did: alice, patch: Box::new(patch) }).await.unwrap();
    assert!(app.refresh(&world, &refresh).send().await.is_ok(), "it came back");
}

/// Two at the same time with the same token: one of them was not the first, so the line ends for both.
#[tokio::test(flavor = "multi_thread")]
async fn two_refreshes_at_once() {
    let world = World::new().await;
    let app = App::local();
    let refresh = world.tokens(&app).await.refresh_token.unwrap();
    let (one, two) = tokio::join!(app.refresh(&world, &refresh).send(), app.refresh(&world, &refresh).send());
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let winner = one.or(two).unwrap();
    assert!(!world.works(&app, &winner.access_token).await);
    let next = app.refresh(&world, &winner.refresh_token.unwrap()).send().await;
    assert_eq!(next.unwrap_err(), OAuthError::Refresh);
}

/// Two at the same time with the same code: the code was shown twice, so the session that it began ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_redeemed_twice_at_once() {
    let world = World::new().await;
    let app = App::local();
    let verifier = world.verifier();
    let ask = app.ask(&world).with("code_challenge", &pkce::challenge_s256(&verifier));
    let code = world.code(&app, ask, &world.alice()).await;
    let (one, two) = tokio::join!(
        app.redeem(&world, &code, &verifier).send(),
        app.redeem(&world, &code, &verifier).send()
    );
    assert!(one.is_ok() != two.is_ok());
    assert!(!world.works(&app, &one.or(two).unwrap().access_token).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_opens_something_is_in_the_database() {
    let world = World::new().await;
    let app = App::local();
    let verifier = world.verifier();
    let ask = app.ask(&world).with("code_challenge", &pkce::challenge_s256(&verifier));
    let pushed = ask.push().await.unwrap();
    let (device, first) = world.oauth.new_device("a browser", "192.0.2.1").await.unwrap();
    let cookie = world.sign_in(&device, &world.alice(), true).await.cookie;
    let page = world.open(&app, &pushed, &device).await;
    let redirect = world.oauth.accept(&page, &device, &world.alice(), &page.scopes).await.unwrap();
    let code = redirect.param("code").unwrap().to_owned();
    let other = app.ask(&world).push().await.unwrap();
    let tokens = app.redeem(&world, &code, &verifier).send().await.unwrap();
    let refresh = tokens.refresh_token.unwrap();
    world.node.store.close().await.unwrap();
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(world.node.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            bytes.extend(std::fs::read(path).unwrap());
        }
    }
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("com.example.thing"), "the search finds what is there");
    let uri = |uri: &str| uri.rsplit("req-").next().unwrap().to_owned();
    let secret = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    for (what, text) in [
        ("a request_uri", uri(&pushed)),
        ("a request_uri that waits", uri(&other)),
        ("the code", code),
        ("the verifier", verifier),
        ("a cookie", first.to_string()),
        ("the cookie after the sign-in", cookie.to_string()),
        ("the refresh token", secret(&refresh)),
        ("the access token", secret(&tokens.access_token)),
        ("the password", PASSWORD.to_owned()),
    ] {
        assert!(!holds(&text), "{what} is in the database");
    }
}

/// Deleting an account leaves no byte of what it granted, to whom, and where it was signed in.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_deleted_account() {
    let world = World::new().await;
    let alice = world.alice();
    let path = "/canary-client-xyzzy.json";
    world.site.put(path, Page::json(&App::document(&world, path)));
    let app = App::web(&world, path);
    let tokens = world.tokens(&app).await;
    let ask = app.ask(&world);
    world.code(&app, ask, &alice).await;
    let device = world.browser(&alice).await;
    world.node.host.admin_delete_account(&By::Operator, &alice).await.unwrap();
    EraseJob.round(&world.node.host).await.unwrap();
    assert!(!world.works(&app, &tokens.access_token).await);
    assert_eq!(world.oauth.grants(&alice).await.unwrap(), []);
    assert!(world.oauth.device_accounts(&device).await.unwrap().is_empty());
    world.node.store.close().await.unwrap();
    let holds = |text: &str| {
        let entries = std::fs::read_dir(world.node.dir.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut files = entries.filter(|path| path.is_file()).map(|path| std::fs::read(path).unwrap());
        files.any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    };
    assert!(holds(world.bob().as_str()), "the search finds what is there");
    assert!(!holds("canary-client-xyzzy"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_and_the_nonce() {
    let world = World::new().await;
    let app = App::local();
    // A clock that is two minutes off signs in all the same: the nonce tells the age.
    for later in [-120, 120] {
        app.ask(&world).proof(Proof { later, ..Proof::default() }).push().await.unwrap();
    }
    let nonce = world.oauth.nonce();
    world.pass(100 * 1_000_000);
    app.ask(&world).proof(Proof { nonce: Some(Some(&nonce)), ..Proof::default() }).push().await.unwrap();
    assert_ne!(world.oauth.nonce(), nonce);
    let again = world.node.host.authorization_server().unwrap();
    assert_ne!(again.nonce(), world.oauth.nonce(), "new at each start");
}
