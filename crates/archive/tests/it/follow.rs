//! The directory's export, followed: as it should be, with gaps, of an older kind, and of a lying directory.

use std::time::{Duration, Instant};

use p2pds_archive::{Archive, Following};
use p2pds_testkit::directory::{Directory, export_lies};
use tokio::task::JoinHandle;

use super::fake::person::By;
use super::fake::{Fake, Node, Person};

/// The hour of [`Person::sign`] at which tests begin.
const BEGIN: i64 = 100;
const LIMIT: Duration = Duration::from_secs(120);

struct World {
    directory: Directory,
    node: Node,
    person: Person,
    hour: i64,
    _host: Fake,
    following: Option<(JoinHandle<()>, JoinHandle<()>)>,
}

/// Waits for something that will be true.
async fn until(what: &str, mut wanted: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !wanted().await {
        assert!(begun.elapsed() < LIMIT, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn quickly() -> Following {
    Following {
        page_every: Duration::from_millis(20),
        first_pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(20),
        store_every: Duration::from_millis(10),
        accounts_every: Duration::from_millis(10),
        again_after: Duration::from_millis(20),
        look_every: Duration::ZERO,
        catch_up_pages: 5,
        ..Following::default()
    }
}

/// What the node's worker does when it is woken.
async fn look(archive: Archive) {
    let bell = archive.wakes().bell("plc");
    loop {
        for did in archive.wakes().take("plc").accounts {
            let _ = archive.watch(&did, &[]).await;
        }
        bell.notified().await;
    }
}

impl World {
    async fn new(directory: Directory) -> Self {
        let host = Fake::start().await;
        let person = Person::new(1, &host.url);
        host.publish(&person, &person.sign(0));
        directory.publish(&person.audit());
        let node = Node::new(&directory.url);
        node.add(&person).await;
        Self { directory, node, person, hour: BEGIN - 50, _host: host, following: None }
    }

    fn follow(&mut self, how: Following) {
        let (archive, worker) = (self.node.archive.clone(), self.node.archive.clone());
        let following = tokio::spawn(async move { archive.follow_directory(&how).await.unwrap() });
        let looking = tokio::spawn(look(worker));
        self.following = Some((following, looking));
    }

    /// Ends the following; what is published from then on, nobody sees.
    async fn stop(&mut self) {
        for task in self.following.take().into_iter().flat_map(|(following, looking)| [following, looking]) {
            task.abort();
            let _ = task.await;
        }
    }

    /// Waits until the stream is open: what is published from then on comes by it.
    async fn open(&self, streams: u64) {
        until("stream", async || self.directory.asked("/export/stream") >= streams).await;
    }

    /// One more operation, at the directory.
    fn operate(&mut self) -> String {
        self.hour += 1;
        let last = self.person.log.entries().len() - 1;
        let place = format!("https://h{}.example.com", self.hour);
        let cid = self.person.operate(last, self.hour, By::Host, |data| data.set_pds(&place));
        self.directory.publish(&self.person.audit());
        cid.to_string()
    }

    async fn noticed(&self, cid: &str) {
        until("alarm", async || {
            let found = self.node.store.findings(&self.person.did, 100).await.unwrap();
            found.iter().any(|finding| finding.kind == "plc-unexpected" && finding.subject == cid)
        })
        .await;
    }

    fn logs_asked(&self) -> u64 {
        self.directory.asked(&format!("/{}/log/audit", self.person.did))
    }

    async fn place(&self) -> Option<u64> {
        let text = self.node.store.setting("plc.export").await.unwrap()?;
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["seq"].as_u64()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_in_the_stream_raises_the_alarm_and_others_cost_nothing() {
    let mut world = World::new(Directory::start().unwrap()).await;
    let asked = world.logs_asked();
    world.follow(quickly());
    world.open(1).await;
    let stranger = Person::new(9, "https://pds.example.com");
    world.directory.publish(&stranger.audit());
    let cid = world.operate();
    world.noticed(&cid).await;
    assert_eq!(world.directory.asked(&format!("/{}/log/audit", stranger.did)), 0);
    assert_eq!(world.directory.asked("/export"), 0, "no pages where there is a stream");
    until("place", async || world.place().await == Some(3)).await;
    assert!(world.logs_asked() > asked);

    // What comes while nobody follows is found where it was left.
    world.stop().await;
    let cid = world.operate();
    world.follow(quickly());
    world.noticed(&cid).await;
    assert_eq!(world.directory.asked("/export"), 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_stream_does_not_go_back_to_is_read_in_pages() {
    let mut world = World::new(Directory::start().unwrap()).await;
    world.follow(quickly());
    world.open(1).await;
    let first = world.operate();
    world.noticed(&first).await;
    until("place", async || world.place().await == Some(2)).await;
    world.stop().await;
    world.directory.make_up("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", 2_500);
    let missed = world.operate();
    world.directory.keep_from(2_400);
    world.follow(quickly());
    world.noticed(&missed).await;
    assert!(world.directory.asked("/export") >= 3, "three pages");
    until("place", async || world.place().await == Some(2_503)).await;

    // More than it will read: every account is looked at instead, and the stream goes on from its end.
    world.stop().await;
    world.directory.make_up("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", 9_000);
    let missed = world.operate();
    world.directory.keep_from(12_000);
    let pages = world.directory.asked("/export");
    world.follow(quickly());
    world.noticed(&missed).await;
    let streams = world.directory.asked("/export/stream");
    assert_eq!(world.directory.asked("/export") - pages, 5, "and no more");
    world.open(streams).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_was_set_back_is_followed_from_its_new_end() {
    let mut world = World::new(Directory::start().unwrap()).await;
    world.follow(quickly());
    world.open(1).await;
    let first = world.operate();
    world.noticed(&first).await;
    let streams = world.directory.asked("/export/stream");
    world.directory.set_back();
    // Its numbers begin anew, so the stored place is from the future.
    until("set back", async || world.place().await.is_none()).await;
    world.open(streams + 2).await;
    let second = world.operate();
    world.noticed(&second).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_directory_is_followed_in_pages_by_time() {
    let mut world = World::new(Directory::start().unwrap().of_old()).await;
    world.hour = BEGIN;
    world.follow(quickly());
    until("pages", async || world.directory.asked("/export") > 1).await;
    let cid = world.operate();
    world.noticed(&cid).await;
    assert_eq!(world.directory.asked("/export/stream"), 1, "not asked for again and again");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lying_export_changes_nothing_costs_little_and_is_outlived() {
    let mut world = World::new(Directory::start().unwrap()).await;
    let how = Following {
        again_after: Duration::from_secs(3_600),
        look_every: Duration::from_secs(3_600),
        offer_every: Duration::from_millis(30),
        ..quickly()
    };
    world.follow(how.clone());
    world.open(1).await;
    let first = world.operate();
    world.noticed(&first).await;
    for (name, lie) in export_lies(world.person.did.as_str()) {
        if name.contains("page") {
            // Pages are read from a place that is known; the lies before may have cost it. The first operation is
            // seen whether it comes before the stream is open or after it; the second gives the place.
            world.stop().await;
            world.follow(quickly());
            for _ in 0..2 {
                let operation = world.operate();
                world.noticed(&operation).await;
            }
            let end = world.person.log.entries().len() as u64;
            until("place", async || world.place().await == Some(end)).await;
            world.stop().await;
            world.follow(how.clone());
        }
        let told = world.directory.told();
        let (logs, known) = (world.logs_asked(), world.node.store.plc_log(&world.person.did).await.unwrap());
        world.directory.lie(Some(lie));
        until(name, async || world.directory.told() > told).await;
        assert_eq!(world.node.store.plc_log(&world.person.did).await.unwrap(), known, "{name}");
        // One for what is announced, one because the place was lost, and one that was under way.
        assert!(world.logs_asked() <= logs + 3, "{name}: {}", world.logs_asked() - logs);
        world.directory.lie(None);
    }
    world.stop().await;
    // Its place is from the lies, so the first stream ends at once, and the next begins at the end.
    world.follow(quickly());
    let last = world.operate();
    world.noticed(&last).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_a_stream_that_begins_at_its_end_is_seen() {
    let mut world = World::new(Directory::start().unwrap()).await;
    // Nothing was followed yet, so the stream begins after this.
    let before = world.operate();
    world.follow(quickly());
    world.noticed(&before).await;
    // The same where the stream broke off before it brought anything, and where pages by time begin.
    assert_eq!(world.place().await, None);
    world.stop().await;
    let between = world.operate();
    world.follow(quickly());
    world.noticed(&between).await;
    world.stop().await;

    let mut world = World::new(Directory::start().unwrap().of_old()).await;
    let before = world.operate();
    world.follow(quickly());
    world.noticed(&before).await;
    world.stop().await;
}
