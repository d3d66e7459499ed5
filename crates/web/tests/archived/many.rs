//! Adding many accounts, and the list of those that are here.

use p2pds_archive::ArchiveConfig;

use super::fake::{Fake, Node, Person, test_config};
use super::shared::{Answer, Browser};
use super::{PICTURE, World};

/// Nobody is archived yet; so many people are there to be, the first of whom follows the others.
async fn world(config: ArchiveConfig, seeds: std::ops::Range<u8>) -> (World, Vec<Person>) {
    let net = Fake::start().await;
    let mut people: Vec<Person> = seeds.map(|seed| Person::new(seed, &net.url)).collect();
    let others: Vec<_> = people.iter().skip(1).map(|person| person.did.clone()).collect();
    for (n, did) in others.iter().enumerate() {
        people[0].follow(&format!("3kfollow{}2222", ["a", "b", "c", "d"][n]), did);
    }
    for person in &mut people {
        person.picture("3kpica2222222", PICTURE);
        net.publish(person, &person.sign(0));
    }
    let node = Node::with(&net.url, config);
    let (port, door) = World::serve(&node, &net.url).await;
    let person = Person::new(199, &net.url);
    (World { node, person, net, port, door }, people)
}

fn typed(people: &[Person]) -> String {
    people.iter().map(|person| person.did.to_string()).collect::<Vec<_>>().join(",\r\n ")
}

/// The plan that a form led to.
async fn plan(browser: &mut Browser, went: &Answer) -> (String, String) {
    assert_eq!(went.status, 303, "{}", went.text());
    let path = went.location().to_owned();
    assert!(path.starts_with("/add/plan/"), "{path}");
    let page = browser.get(&path).await;
    assert_eq!(page.status, 200);
    (path, page.text())
}

/// As a running node's schedule does it.
async fn fetch(world: &World, people: &[Person]) {
    for person in people {
        let none = p2pds_archive::Progress::none();
        // Who is not noted yet is waited for by the test, not here.
        let _ = world.node.archive.sync_quietly(&person.did, &none).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_are_begun_after_a_look_and_are_noted_before_anything_is_fetched() {
    let (world, people) = world(test_config(), 120..124).await;
    let mut operator = world.operator().await;
    let nobody = Person::new(198, &world.net.url).did;
    let text = format!("{} {nobody} no_name", typed(&people));
    let went = operator.press("/add", "/add", &[("accounts", &text)]).await;
    let (path, page) = plan(&mut operator, &went).await;
    for person in &people {
        assert!(page.contains(person.did.as_str()), "{page}");
    }
    assert!(
        page.contains(nobody.as_str()) && page.contains("no_name") && page.contains("It fits."),
        "{page}"
    );
    assert!(page.contains("Add these 4 accounts"), "{page}");
    assert!(world.node.archive.is_empty().await.unwrap(), "looking adds nobody");

    let began = operator.press(&path, &path, &[]).await;
    assert!(began.location().starts_with("/jobs/"), "{}", began.text());
    let noted = world.node.store.accounts(None, 100).await.unwrap();
    assert_eq!(noted.len(), 4, "they are noted when the form is answered");
    assert_eq!(world.net.hits("com.atproto.sync.getRepo"), 0);
    let ((), shown) = tokio::join!(fetch(&world, &people), operator.finish(&began));
    assert!(shown.contains("Each of them has had its turn.") && shown.contains("4 here now"), "{shown}");
    let list = operator.get("/accounts").await.text();
    assert_eq!(list.matches("name=\"did\"").count(), 4, "{list}");
    // Those who are here are left out of the next plan.
    let went = operator.press("/add", "/add/plan", &[("follows", people[0].did.as_str())]).await;
    let (_, page) = plan(&mut operator, &went).await;
    assert!(page.contains("Nobody new was found.") && page.contains("3 accounts are here already"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_whom_somebody_follows_a_file_and_what_is_no_source() {
    let (world, people) = world(test_config(), 125..128).await;
    let mut operator = world.operator().await;
    let went = operator.press("/add", "/add/plan", &[("follows", people[0].did.as_str())]).await;
    let (_, page) = plan(&mut operator, &went).await;
    assert!(page.contains("Add these 2 accounts") && !page.contains(&format!(">{}<", "no_name")), "{page}");
    assert!(page.contains(&world.net.url), "it says where they were read");
    let csrf = operator.get("/add").await.csrf();
    let file = typed(&people[1..]);
    let went = operator.post_files("/add/plan", &csrf, &[], &[("accounts", "names.txt", &file)]).await;
    let (_, page) = plan(&mut operator, &went).await;
    assert!(page.contains("Add these 2 accounts"), "{page}");
    for (field, value) in [("list", "at://nowhere"), ("follows", "not a name"), ("accounts", " ,; ")] {
        let refused = operator.press("/add", "/add/plan", &[(field, value)]).await;
        assert_eq!(refused.status, 400, "{field}: {}", refused.text());
        assert!(refused.text().contains("role=\"alert\""), "{field}");
    }
    assert_eq!(operator.get("/add/plan/gone").await.status, 404);
    let mut stranger = world.stranger();
    for path in ["/accounts", "/add/plan/gone"] {
        assert!(stranger.get(path).await.location().starts_with("/sign-in?to="), "{path}");
    }
    assert_eq!(operator.post("/add/plan", "other", &[("follows", "x")]).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_begun_only_when_somebody_says_so() {
    let config = ArchiveConfig { quota_total: Some(3_000), ..test_config() };
    let (world, people) = world(config, 130..132).await;
    let mut operator = world.operator().await;
    // One account: it begins with a look of its own, and stops there.
    let began = operator.press("/add", "/add", &[("accounts", people[0].did.as_str())]).await;
    let shown = operator.finish(&began).await;
    assert!(shown.contains("href=\"/add/plan/"), "{shown}");
    assert!(world.node.archive.is_empty().await.unwrap());
    let went = operator.press("/add", "/add", &[("accounts", &typed(&people))]).await;
    let (path, page) = plan(&mut operator, &went).await;
    assert!(page.contains("It does not fit.") && page.contains("name=\"anyway\""), "{page}");
    let refused = operator.press(&path, &path, &[]).await;
    assert_eq!(refused.status, 400);
    assert!(world.node.archive.is_empty().await.unwrap(), "not without the tick");
    let began = operator.press(&path, &path, &[("anyway", "yes")]).await;
    assert!(began.location().starts_with("/jobs/"), "{}", began.text());
    assert_eq!(world.node.store.accounts(None, 100).await.unwrap().len(), 2);
    // Stopped: those that are not here yet are paused, and stay in the list.
    let stop = format!("{}/stop", began.location());
    let told = operator.press(began.location(), &stop, &[]).await;
    assert_eq!(told.status, 303, "{}", told.text());
    operator.finish(&began).await;
    let list = operator.get("/accounts?show=paused").await.text();
    assert_eq!(list.matches("name=\"did\"").count(), 2, "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn choices_for_several_accounts_at_once() {
    let (world, people) = world(test_config(), 135..138).await;
    for person in &people {
        world.node.add(person).await;
    }
    let mut operator = world.operator().await;
    let dids: Vec<&str> = people.iter().map(|person| person.did.as_str()).collect();
    let account = async |n: usize| world.node.store.account(&people[n].did).await.unwrap().unwrap();
    let ticked = [("whom", "ticked"), ("do", "pause"), ("did", dids[0]), ("did", dids[2])];
    let done = operator.press("/accounts", "/accounts", &ticked).await;
    assert_eq!(done.status, 303, "{}", done.text());
    assert_eq!(
        (account(0).await.paused, account(1).await.paused, account(2).await.paused),
        (true, false, true)
    );
    assert!(operator.get(done.location()).await.text().contains("Done for 2 accounts."));

    // All that the filter found, whether they are on the page or not.
    let found = [("back", "show=paused"), ("whom", "matching"), ("do", "priority"), ("priority", "7")];
    operator.press("/accounts", "/accounts", &found).await;
    assert_eq!((account(0).await.priority, account(1).await.priority), (7, 0));
    let limit = [("whom", "shown"), ("shown", dids[1]), ("do", "quota"), ("quota", "5")];
    operator.press("/accounts", "/accounts", &limit).await;
    assert_eq!(account(1).await.quota, Some(5_000_000));
    let none = [("whom", "shown"), ("shown", dids[1]), ("do", "quota"), ("quota", "")];
    operator.press("/accounts", "/accounts", &none).await;
    assert_eq!(account(1).await.quota, None);

    // Served only with a reason, which stands in the list.
    let all: Vec<(&str, &str)> = dids.iter().map(|did| ("did", *did)).collect();
    let serve = |basis: &'static str| {
        let fixed = [("whom", "ticked"), ("do", "serve"), ("to", "public"), ("basis", basis)];
        fixed.into_iter().chain(all.clone()).collect::<Vec<_>>()
    };
    let refused = operator.press("/accounts", "/accounts", &serve("")).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("For 3 accounts this was not done:"), "{}", refused.text());
    operator.press("/accounts", "/accounts", &serve("they asked me to")).await;
    let list = operator.get("/accounts?show=served&sort=size").await.text();
    assert_eq!(list.matches("they asked me to").count(), 3, "{list}");

    for wrong in [[("whom", "ticked"), ("do", "pause")], [("whom", "shown"), ("do", "")]] {
        let refused = operator.press("/accounts", "/accounts", &wrong).await;
        assert_eq!(refused.status, 400, "{wrong:?}");
    }
    let search = operator.get(&format!("/accounts?search={}", &dids[1][8..])).await.text();
    assert_eq!(search.matches("name=\"did\"").count(), 1, "{search}");
    let nothing = operator.get("/accounts?search=zzzz").await.text();
    assert!(nothing.contains("No account is like that."), "{nothing}");
    assert_eq!(operator.post("/accounts", "other", &ticked).await.status, 403);
}
