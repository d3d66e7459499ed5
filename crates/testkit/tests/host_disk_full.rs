//! The disk of a node that hosts accounts fills up: whoever writes is told so in words, reading goes on, accounts can be
//! switched off and deleted, and with space again everything goes on without a restart. Nothing that was acknowledged is
//! lost, and what was refused did not happen. `P2PDS_HOST_DISK_STEPS` is how often (3).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod authors;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use p2pds_testkit::disk::SmallDisk;
use p2pds_testkit::hosted::{ADMIN, Hosted, PASSWORD};
use p2pds_testkit::http::{self, Reply};
use p2pds_testkit::need;
use p2pds_testkit::oracle::{Account, Network, Options, cid_text, image};
use p2pds_testkit::random::Random;
use p2pds_testkit::subscriber::Subscriber;
use serde_json::{Value, json};

use authors::history::History;
use authors::lives::Lives;
use authors::{Author, Gate, Said};

/// Enough for everything, in KiB.
const ROOM: u64 = 384 << 10;
/// What every kind of write is refused with.
const REFUSED: [&str; 7] = [
    "repo.createRecord",
    "repo.putRecord",
    "repo.deleteRecord",
    "repo.applyWrites",
    "repo.uploadBlob",
    "repo.importRepo",
    "server.createAccount",
];

struct Scene {
    network: Network,
    // It ends before its disk is taken away.
    host: Hosted,
    disk: SmallDisk,
    authors: Vec<Author>,
    /// How often each method was refused.
    refused: BTreeMap<&'static str, u64>,
}

/// The refusal says what is the matter and when to come back, and nothing that only the operator may know.
fn clear(scene: &Scene, nsid: &str, reply: &Reply) {
    let said = String::from_utf8_lossy(&reply.body).into_owned();
    assert_eq!(reply.status, 503, "{nsid}: {said}");
    let body = reply.json().unwrap();
    assert_eq!(body["error"], "NotEnoughResources", "{nsid}: {said}");
    assert!(body["message"].as_str().unwrap().contains("disk is full"), "{nsid}: {said}");
    assert!(reply.header("retry-after").is_some(), "{nsid}: {said}");
    assert!(!said.contains(scene.disk.path().to_str().unwrap()), "{nsid} names a directory: {said}");
}

impl Scene {
    fn new() -> Option<Self> {
        let disk = SmallDisk::new(ROOM).unwrap()?;
        let network = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap()?;
        let host = Hosted::start(&network, &disk.path().join("data"), &[]).unwrap();
        let author = |n: usize| {
            let account = host.sign_up(&network, &format!("author{n}-p2pds")).unwrap();
            Author::new(account, &network)
        };
        let authors = (0..2).map(author).collect();
        Some(Self { network, host, disk, authors, refused: BTreeMap::new() })
    }

    /// Everybody writes until everything is refused, or for so many turns.
    fn write(&mut self, lives: &mut Lives, turns: u64) {
        let on = Gate::open();
        for _ in 0..turns {
            let mut said: Vec<Said> = self.authors.iter_mut().map(|author| author.step(&on)).collect();
            said.push(lives.step(&on, &self.network));
            self.count(said);
        }
    }

    /// Looks at what was refused, and counts it.
    fn count(&mut self, said: Vec<Said>) {
        for said in said {
            if let Said::Refused(nsid, reply) = said {
                clear(self, nsid, &reply);
                *self.refused.entry(nsid).or_default() += 1;
            }
        }
    }

    /// Leaves so many KiB, and fills them: with blobs, and what is left then with records.
    fn fill(&mut self, lives: &mut Lives, uploader: &Account, kib: u64) {
        let on = Gate::open();
        for author in &mut self.authors {
            author.keep(&on);
            author.put(&on);
        }
        self.disk.resize(self.disk.used().unwrap() + kib).unwrap();
        let begun = Instant::now();
        let count = |scene: &Self, nsid| scene.refused.get(nsid).copied().unwrap_or_default();
        let before = self.refused.clone();
        let refused = |scene: &Self, nsid| count(scene, nsid) > before.get(nsid).copied().unwrap_or_default();
        while !refused(self, "repo.uploadBlob") {
            assert!(begun.elapsed() < Duration::from_secs(120), "the disk is never full");
            self.large(uploader);
        }
        self.disk.resize(self.disk.used().unwrap() + kib % 512).unwrap();
        while !refused(self, "repo.createRecord") && !refused(self, "repo.putRecord") {
            assert!(begun.elapsed() < Duration::from_secs(120), "the disk is never full");
            self.write(lives, 1);
        }
        self.write(lives, 12);
        let said = self.authors.iter_mut().flat_map(|author| author.each_kind(&on)).collect();
        self.count(said);
        // One that is not there yet; its handle stays free.
        let mut new = Lives::new(&self.host.url, "new");
        let said = new.step(&on, &self.network);
        assert!(matches!(said, Said::Refused(..)), "an account was made on a full disk");
        self.count(vec![said]);
    }

    /// A blob of a megabyte, so that it does not take all day; of an account that is deleted in the end.
    fn large(&mut self, account: &Account) {
        let bytes = image(self.disk.used().unwrap(), 1_000_000);
        let bearer = format!("Bearer {}", account.token());
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "image/png")];
        let url = format!("{}/xrpc/com.atproto.repo.uploadBlob", self.host.url);
        let reply = http::request("POST", &url, &headers, Some(&bytes)).unwrap();
        if reply.status == 200 {
            return;
        }
        clear(self, "repo.uploadBlob", &reply);
        *self.refused.entry("repo.uploadBlob").or_default() += 1;
        // Nothing of it is left: what is reserved for deleting must not be eaten up by what is refused.
        let blob = format!(
            "{}/xrpc/com.atproto.sync.getBlob?did={}&cid={}",
            self.host.url,
            account.did,
            cid_text(0x55, &bytes)
        );
        assert_eq!(http::request("GET", &blob, &[], None).unwrap().status, 400);
    }

    /// What can be done on a full disk.
    fn reads(&mut self) {
        for author in &mut self.authors {
            author.settle();
            let account = &author.account;
            account.query("com.atproto.server.getSession", &[]).unwrap();
            account.query("com.atproto.repo.describeRepo", &[("repo", &account.did)]).unwrap();
            // Whoever is not logged in gets in.
            self.host.sign_in(&account.handle).unwrap();
        }
        let mut stream = Subscriber::open(&self.host.url, Some("0")).unwrap();
        stream.next().unwrap().expect("events");
    }

    /// Accounts are switched off and on, and deleted, by their owners and by the operator.
    fn leaves(&mut self, leaving: &Account, taken: &Account) {
        leaving.call("com.atproto.server.deactivateAccount", &json!({})).unwrap();
        let status = |account: &Account| {
            let url = format!("{}/xrpc/com.atproto.sync.getRepoStatus?did={}", self.host.url, account.did);
            http::request("GET", &url, &[], None).unwrap()
        };
        assert_eq!(status(leaving).json().unwrap()["status"], "deactivated");
        let admin = data_encoding::BASE64.encode(format!("admin:{ADMIN}").as_bytes());
        let admin = format!("Basic {admin}");
        let headers = [("Authorization", admin.as_str()), ("Content-Type", "application/json")];
        let ask = |nsid: &str, body: &Value| {
            let url = format!("{}/xrpc/com.atproto.admin.{nsid}", self.host.url);
            let reply = http::request("POST", &url, &headers, Some(body.to_string().as_bytes())).unwrap();
            assert_eq!(reply.status, 200, "{nsid}: {}", String::from_utf8_lossy(&reply.body));
        };
        let subject = json!({"$type": "com.atproto.admin.defs#repoRef", "did": taken.did});
        ask("updateSubjectStatus", &json!({"subject": subject, "takedown": {"applied": true, "ref": "7"}}));
        assert_eq!(status(taken).json().unwrap()["status"], "takendown");
        for account in [leaving, taken] {
            ask("deleteAccount", &json!({"did": account.did}));
            assert_eq!(status(account).status, 400);
        }
    }
}

#[test]
fn a_full_disk_is_said_and_nothing_is_lost() {
    let Some(mut scene) = Scene::new() else { return };
    let steps = need::count("P2PDS_HOST_DISK_STEPS", 3);
    let (mut random, mut history) = (Random::from_environment(), History::default());
    let mut lives = Lives::new(&scene.host.url, "full");
    let mut signed_in = Instant::now();
    for step in 0..steps {
        // Sessions are short-lived.
        if signed_in.elapsed() > Duration::from_secs(600) {
            for author in &mut scene.authors {
                author.account = scene.host.sign_in(&author.account.handle).unwrap();
            }
            signed_in = Instant::now();
        }
        let leaving = scene.host.sign_up(&scene.network, &format!("leaving{step}-p2pds")).unwrap();
        let taken = scene.host.sign_up(&scene.network, &format!("taken{step}-p2pds")).unwrap();
        taken.bulk("taken", 200).unwrap();
        scene.fill(&mut lives, &taken, random.below(20_000));
        if step % 3 == 2 {
            // It starts on a full disk as well.
            scene.host.kill().unwrap();
            scene.host.begin().unwrap();
        }
        scene.reads();
        lives.settle(&scene.network);
        scene.leaves(&leaving, &taken);

        // With space again it goes on without a restart, at once.
        scene.disk.resize(ROOM).unwrap();
        let on = Gate::open();
        for author in &mut scene.authors {
            if let Said::Refused(nsid, reply) = author.put(&on) {
                panic!("{nsid} with space again: {}", String::from_utf8_lossy(&reply.body));
            }
            author.name_uploads(&on);
        }
        let refused = scene.refused.clone();
        scene.write(&mut lives, 24);
        assert_eq!(refused, scene.refused, "refused with space again");
        let Said::Done(answer) = scene.authors[0].put(&on) else { panic!("refused") };
        let rev = answer["commit"]["rev"].as_str().unwrap();
        history.read(&scene.host, &scene.network, &scene.authors[0].account.did, rev);
        for author in &mut scene.authors {
            author.settle();
            history.ends_at(&author.account.did, &author.account.latest_commit().unwrap().1, &author.revs);
        }
        lives.settle(&scene.network);
        lives.told(&history);
        for account in [&leaving, &taken] {
            assert_eq!(history.standing(&account.did), Some((false, Some("deleted"))));
            let body = json!({"identifier": account.handle, "password": PASSWORD});
            let reply = http::request(
                "POST",
                &format!("{}/xrpc/com.atproto.server.createSession", scene.host.url),
                &[("Content-Type", "application/json")],
                Some(body.to_string().as_bytes()),
            );
            assert_eq!(reply.unwrap().status, 401);
        }
    }
    scene.host.sign_up(&scene.network, "new0-p2pds").unwrap();
    scene.host.program.ok(&["verify", "--read-data", "--no-repair"]).unwrap();
    let events = history.reread(&scene.host);
    println!("{steps} full disks; refused: {:?}; {} lives, {events} events", scene.refused, lives.begun);
    for nsid in REFUSED {
        assert!(scene.refused.contains_key(nsid), "{nsid} was never refused: {:?}", scene.refused);
    }
    let ended = scene.host.stop().unwrap();
    assert!(ended.code == Some(0) && !ended.stderr.contains("panicked"), "{ended}");
}
