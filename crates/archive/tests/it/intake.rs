//! Taking in many accounts: who is meant, how much it is, whether it fits, and that a restart loses nobody.

use std::collections::BTreeSet;

use p2pds_archive::{
    ArchiveConfig, ArchiveError, Choice, Fit, ListQuery, Progress, Show, Sort, Source, Span,
};
use p2pds_syntax::Did;

use crate::fake::{Fake, Node, Person, test_config};

/// People of one host, each with a picture.
async fn people(seeds: std::ops::Range<u8>) -> (Fake, Vec<Person>) {
    let net = Fake::start().await;
    let mut all = Vec::new();
    for seed in seeds {
        let mut person = Person::new(seed, &net.url);
        person.picture("3kpica2222222", &[seed; 5_000]);
        net.publish(&person, &person.sign(0));
        all.push(person);
    }
    (net, all)
}

async fn look(node: &Node, source: Source) -> p2pds_archive::Intake {
    node.archive.look_at(&source, &Progress::none()).await.unwrap()
}

fn names(people: &[Person]) -> Source {
    Source::Names(people.iter().map(|person| person.did.to_string()).collect())
}

/// Bytes of what a host would send of an account.
fn truth(net: &Fake, person: &Person) -> u64 {
    let blobs: usize = person.blobs.values().map(Vec::len).sum();
    (net.newest(person).car(None).len() + blobs) as u64
}

fn contains(span: Span, bytes: u64) -> bool {
    span.low <= bytes && span.high.is_some_and(|high| bytes <= high)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_found_who_is_here_and_who_is_not() {
    let (net, people) = people(70..73).await;
    let node = Node::new(&net.url);
    node.add(&people[0]).await;
    let nobody = Person::new(79, &net.url);
    let mut typed: Vec<String> = people.iter().map(|person| person.did.to_string()).collect();
    typed.extend([nobody.did.to_string(), "no name".to_owned(), people[1].did.to_string()]);
    let stored = node.store.accounts(None, 100).await.unwrap().len();
    let fetched = net.hits("com.atproto.sync.getRepo");
    let plan = look(&node, Source::Names(typed)).await;
    let dids = |all: &[p2pds_archive::Candidate]| all.iter().map(|one| one.did.clone()).collect::<Vec<_>>();
    assert_eq!(dids(&plan.found), [people[1].did.clone(), people[2].did.clone()], "each once");
    assert_eq!(plan.found[0].host.as_deref(), Some(net.url.as_str()));
    assert_eq!(dids(&plan.here), [people[0].did.clone()]);
    let lost: BTreeSet<&str> = plan.not_found.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(lost, BTreeSet::from(["no name", nobody.did.as_str()]));
    assert!(plan.not_found.iter().all(|one| !one.why.is_empty() && !one.later));
    assert_eq!(node.store.accounts(None, 100).await.unwrap().len(), stored, "looking adds nobody");
    assert_eq!(net.hits("com.atproto.sync.getRepo"), fetched, "looking downloads no repo");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_estimate_contains_the_truth_and_says_what_it_rests_on() {
    let (net, mut people) = people(73..75).await;
    // Too large to be read whole from the top.
    for n in 0..3_000_u64 {
        let rkey = format!("3l{:011}", n * 7)
            .replace('0', "a")
            .replace('1', "b")
            .replace('8', "c")
            .replace('9', "d");
        people[1].post(&rkey, n * n);
    }
    net.publish(&people[1], &people[1].sign(1));
    let node = Node::new(&net.url);
    let plan = look(&node, names(&people)).await;
    let estimate = plan.estimate;
    let sum = truth(&net, &people[0]) + truth(&net, &people[1]);
    assert!(contains(estimate.size, sum), "{sum} in {estimate:?}");
    assert!(estimate.size.high.unwrap() < 2 * sum, "{sum} in {estimate:?}");
    assert_eq!((estimate.accounts, estimate.looked_at, estimate.known_here), (2, 2, 0));
    assert_eq!((estimate.blobs, estimate.blobs_measured), (2, 2));
    for (one, person) in plan.found.iter().zip(&people) {
        let size = one.size.unwrap();
        assert!(contains(size, truth(&net, person)), "{} in {size:?}", truth(&net, person));
    }
    assert!(plan.to_string().contains("from the tops of the trees"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_says_nothing_leaves_it_open_until_something_is_here() {
    let (net, people) = people(75..77).await;
    let node = Node::new(&net.url);
    net.script(&people[1], |served| served.refusal = Some("RepoDeactivated"));
    let plan = look(&node, names(&people[1..])).await;
    assert_eq!(plan.estimate.size, Span { low: 0, high: None });
    assert_eq!((plan.estimate.looked_at, plan.room.fit), (0, Fit::Unknown));
    assert!(plan.found[0].remark.as_deref().is_some_and(|remark| remark.contains("switched")), "{plan}");
    // What is here stands for it.
    node.add(&people[0]).await;
    let plan = look(&node, names(&people[1..])).await;
    let known = node.store.account(&people[0].did).await.unwrap().unwrap();
    assert_eq!(plan.estimate.size, Span::exactly(known.car_bytes + known.blob_bytes));
    assert_eq!(plan.estimate.known_here, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_said() {
    let (net, people) = people(77..78).await;
    let node = Node::with(&net.url, ArchiveConfig { quota_total: Some(4_000), ..test_config() });
    let plan = look(&node, names(&people)).await;
    assert_eq!((plan.room.fit, plan.room.usable), (Fit::Not, 4_000));
    assert!(plan.to_string().contains("does not fit"), "{plan}");
    let roomy = Node::new(&net.url);
    let plan = look(&roomy, names(&people)).await;
    assert_eq!(plan.room.fit, Fit::Fits);
    assert!(plan.room.after.low < plan.room.usable && plan.room.after.low > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_are_read_at_the_host_and_from_the_archive_alike() {
    let (net, mut people) = people(80..84).await;
    let others: Vec<Did> = people[1..].iter().map(|person| person.did.clone()).collect();
    for (n, did) in others.iter().enumerate() {
        people[0].follow(&format!("3kfollow{n}2222").replace('0', "z").replace('1', "y"), did);
    }
    // More than one page, most of them of one account.
    for n in 0..150 {
        let rkey =
            format!("3m{n:011}").replace('0', "a").replace('1', "b").replace('8', "c").replace('9', "d");
        people[0].follow(&rkey, &others[0]);
    }
    people[0].list("3klist2222222", "3kitema222222", &others[1]);
    people[0].list("3kother222222", "3kitemb222222", &others[2]);
    net.publish(&people[0], &people[0].sign(1));
    let node = Node::new(&net.url);
    let who = people[0].did.to_string();
    let found =
        |plan: &p2pds_archive::Intake| plan.found.iter().map(|one| one.did.clone()).collect::<BTreeSet<_>>();
    let all: BTreeSet<Did> = others.iter().cloned().collect();

    let there = look(&node, Source::FollowsOf(who.clone())).await;
    assert_eq!((found(&there), there.read_at.as_deref()), (all.clone(), Some(net.url.as_str())));
    assert!(net.hits("com.atproto.repo.listRecords") >= 2);
    let list = format!("at://{who}/app.bsky.graph.list/3klist2222222");
    let listed = look(&node, Source::List(list.clone())).await;
    assert_eq!(found(&listed), BTreeSet::from([others[1].clone()]), "not who is on another list");

    node.add(&people[0]).await;
    let asked = net.hits("com.atproto.repo.listRecords");
    let here = look(&node, Source::FollowsOf(who)).await;
    assert_eq!((found(&here), here.read_at), (all, None));
    assert_eq!(found(&look(&node, Source::List(list)).await), BTreeSet::from([others[1].clone()]));
    assert_eq!(net.hits("com.atproto.repo.listRecords"), asked, "nobody was asked for what is here");

    let error = node.archive.look_at(&Source::List("at://x".into()), &Progress::none()).await.unwrap_err();
    assert!(matches!(error, ArchiveError::NotAList(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_some_are_looked_at_and_the_rest_waits() {
    let (net, people) = people(90..95).await;
    let node = Node::new(&net.url);
    let mut typed: Vec<String> = people.iter().map(|person| person.did.to_string()).collect();
    typed.extend((0..200).map(|n| format!("did:web:nobody{n}.invalid")));
    typed.sort();
    let plan = look(&node, Source::Names(typed)).await;
    assert_eq!(plan.found.len() + plan.not_found.len(), 205);
    assert!(plan.not_found.len() <= 25, "only some were looked up");
    assert!(plan.found.iter().filter(|one| one.host.is_none()).count() >= 175, "the rest is looked up later");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_taken_in_is_there_after_a_restart_and_is_fetched() {
    let (net, people) = people(100..104).await;
    let node = Node::new(&net.url);
    node.add(&people[0]).await;
    let plan = look(&node, names(&people)).await;
    assert_eq!(plan.found.len(), 3);
    let taken = node.archive.take_in(&plan.found).await.unwrap();
    assert_eq!((taken.new, taken.known), (3, 0));
    assert!(node.archive.wakes().take("sync").all, "the schedule hears of it");
    assert_eq!(net.hits("com.atproto.sync.getRepo"), 1, "nothing was fetched yet");

    let node = node.reopen().await;
    node.archive.resume(&Progress::none()).await.unwrap();
    let dids: Vec<Did> = plan.found.iter().map(|one| one.did.clone()).collect();
    assert_eq!(node.archive.arrivals(&dids).await.unwrap(), p2pds_archive::Arrivals::default());
    let waiting = ListQuery { show: Show::Waiting, most: 10, ..ListQuery::default() };
    let page = node.archive.page(&waiting).await.unwrap();
    assert_eq!((page.matching, page.all, page.counts), (3, 4, [4, 0, 0, 3, 0]));
    // As the schedule does it: one fails, one is stopped, one arrives.
    net.script(&people[2], |served| served.refusal = Some("RepoNotFound"));
    let _ = node.archive.sync_quietly(&people[1].did, &Progress::none()).await.unwrap();
    let _ = node.archive.sync_quietly(&people[2].did, &Progress::none()).await;
    let failed = node.archive.choose(&dids[2..], Choice { paused: Some(true), ..Choice::default() }).await;
    assert!(failed.is_empty());
    let news = node.archive.arrivals(&dids).await.unwrap();
    assert_eq!(news.arrived, [people[1].did.clone()]);
    assert_eq!(news.failed.iter().map(|(did, ..)| did).collect::<Vec<_>>(), [&people[2].did]);
    assert_eq!(news.stopped, [people[3].did.clone()]);
    // Again is no harm.
    let taken = node.archive.take_in(&plan.found).await.unwrap();
    assert_eq!((taken.new, taken.known), (0, 3));
    assert!(node.store.account(&people[3].did).await.unwrap().unwrap().paused, "who is here stays as he is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_choice_for_several_and_the_list_in_pages() {
    let (net, people) = people(110..114).await;
    let node = Node::new(&net.url);
    assert!(node.archive.is_empty().await.unwrap());
    for person in &people {
        node.add(person).await;
    }
    assert!(!node.archive.is_empty().await.unwrap());
    let dids: Vec<Did> = people.iter().map(|person| person.did.clone()).collect();
    let choice = Choice { priority: Some(5_000), quota: Some(Some(1)), paused: None };
    let nobody = Did::parse("did:web:nobody.example").unwrap();
    let failed = node.archive.choose(&[dids[1].clone(), nobody.clone()], choice).await;
    assert_eq!(failed.iter().map(|(did, _)| did).collect::<Vec<_>>(), [&nobody]);
    let account = node.store.account(&dids[1]).await.unwrap().unwrap();
    assert_eq!((account.priority, account.quota), (1_000, Some(1)));
    assert!(node.archive.may_grow(&dids[1]).is_err(), "the limit counts at once");

    let query = ListQuery { sort: Sort::Priority, most: 1, ..ListQuery::default() };
    assert_eq!(node.archive.page(&query).await.unwrap().lines[0].did, dids[1]);
    let mut met = BTreeSet::new();
    for skip in 0..4 {
        let page = node.archive.page(&ListQuery { skip, most: 1, ..ListQuery::default() }).await.unwrap();
        met.extend(page.lines.into_iter().map(|line| line.did));
    }
    assert_eq!(met.len(), 4);
    let search = Some(dids[2].as_str().trim_start_matches("did:plc:").to_uppercase());
    let page = node.archive.page(&ListQuery { search, most: 9, ..ListQuery::default() }).await.unwrap();
    assert_eq!((page.lines.len(), page.matching, page.all), (1, 1, 4));
}
