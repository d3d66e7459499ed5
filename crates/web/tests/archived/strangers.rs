//! What strangers may ask of an archive, and what they learn of it.

use super::World;
use super::shared::Browser;

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
