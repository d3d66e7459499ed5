//! SIGKILL at random moments while an account with 20,000 records is archived from a reference PDS and followed, and of
//! a running node while many accounts are added. `P2PDS_KILLS` is how many of the former (50), `P2PDS_ADD_KILLS` of the
//! latter (12), `P2PDS_SEED` makes the moments the same again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use p2pds_testkit::exported::Exported;
use p2pds_testkit::madeup::{Content, MadeUp, State};
use p2pds_testkit::need;
use p2pds_testkit::oracle::{Account, Network, Options, POST, Write, bulk_key, image, post_record};
use p2pds_testkit::program::Program;
use p2pds_testkit::random::Random;
use p2pds_testkit::source::Source;
use serde_json::{Value, json};

/// Records of the account, by `applyWrites`.
const RECORDS: usize = 20_000;
/// Accounts that are added at once.
const MANY: usize = 20;

fn fill(account: &Account) {
    account.bulk("bulk", RECORDS).unwrap();
    for seed in 0..12 {
        account.post_image(&image(seed, 60_000)).unwrap();
    }
    let post = account.create(POST, &post_record("first words")).unwrap();
    account.put(POST, post.rkey(), &post_record("better words")).unwrap();
    account.delete(POST, &bulk_key("bulk", 3)).unwrap();
}

/// One round of changes: creates, updates, deletes, an image, so that a sync has something to do.
fn change(account: &Account, round: usize) {
    let key = |n: usize| bulk_key("bulk", 100 + 20 * round + n);
    let writes: Vec<Write> = (0..10)
        .map(|n| Write::Update(POST.into(), key(n), post_record(&format!("update {round} {n}"))))
        .chain((10..20).map(|n| Write::Delete(POST.into(), key(n))))
        .chain((0..20).map(|n| {
            Write::Create(
                POST.into(),
                bulk_key("later", 20 * round + n),
                post_record(&format!("{round} {n}")),
            )
        }))
        .collect();
    account.apply(&writes).unwrap();
    account.post_image(&image(1_000 + round as u64, 30_000)).unwrap();
}

/// Starts a command and kills it after `delay`; whether it had ended well by itself before.
fn kill_after(program: &Program, args: &[&str], delay: Duration) -> bool {
    let mut running = program.spawn(args).unwrap();
    let deadline = Instant::now() + delay;
    while Instant::now() < deadline {
        if !running.alive().unwrap() {
            running.wait(Duration::from_secs(60)).unwrap().expect(0).unwrap();
            return true;
        }
        std::thread::sleep(Duration::from_millis(2).min(deadline.saturating_duration_since(Instant::now())));
    }
    let outcome = running.kill().unwrap();
    outcome.signal.is_none()
}

/// The stored head's rev; `None` while nothing is stored yet.
fn rev(program: &Program, did: &str) -> Option<String> {
    let outcome = program.run(&["archive", "show", did, "--json"]).unwrap();
    assert!(!outcome.stderr.contains("panicked"), "{outcome}");
    if outcome.code != Some(0) {
        return None;
    }
    outcome.json().unwrap()["head"]["rev"].as_str().map(ToOwned::to_owned)
}

fn equal_to_the_pds(program: &Program, account: &Account) {
    program.ok(&["verify", &account.did, "--read-data"]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("export");
    program.ok(&["export", &account.did, "--out", out.to_str().unwrap()]).unwrap();
    Exported::read(&out).unwrap().compare(&account.truth().unwrap()).unwrap();
}

#[test]
fn killed_anywhere_the_archive_ends_equal_to_the_pds() {
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let kills = need::count("P2PDS_KILLS", 50);
    let mut random = Random::from_environment();
    let account = network.account(0, "gustav-p2pds", None).unwrap();
    let started = Instant::now();
    fill(&account);
    println!("{RECORDS} records written in {:.1} s", started.elapsed().as_secs_f64());

    let dir = tempfile::tempdir().unwrap();
    let did = account.did.as_str();
    let base = Program::new(&dir.path().join("measured")).unwrap().with_env(network.environment());
    let add = ["archive", "add", did];
    let whole = base.ok(&add).unwrap().took;
    println!("archived without a kill in {:.1} s", whole.as_secs_f64());

    // While it is archived: each archive is killed until it gets through, then the next one begins.
    let (mut done, mut archives) = (0, 0);
    let mut program = base.at(&dir.path().join("archive-0"));
    while done < kills / 2 {
        let moment = whole.mul_f64(random.fraction() * 0.75);
        if kill_after(&program, &add, moment) {
            archives += 1;
            program = base.at(&dir.path().join(format!("archive-{archives}")));
        } else {
            done += 1;
        }
    }
    println!("{done} kills while adding, {archives} archives got through");
    program.ok(&add).unwrap();
    equal_to_the_pds(&program, &account);

    // While it is followed.
    let sync = ["archive", "sync", did];
    change(&account, 0);
    let once = program.ok(&sync).unwrap().took;
    let (mut round, mut known) = (1, rev(&program, did));
    change(&account, round);
    while done < kills {
        if kill_after(&program, &sync, once.mul_f64(random.fraction() * 1.2)) {
            round += 1;
            // Every fourth round is too large for one diff in place.
            if round % 4 == 0 {
                account.bulk(&format!("burst{round}"), 1_200).unwrap();
            }
            change(&account, round);
        } else {
            done += 1;
        }
        if done % 5 == 0 {
            let now = rev(&program, did);
            assert!(now >= known, "the head went back from {known:?} to {now:?}");
            known = now;
            program.ok(&["verify", did, "--no-repair"]).unwrap();
        }
    }
    println!("{done} kills in all, {round} rounds of changes");
    program.ok(&sync).unwrap();
    equal_to_the_pds(&program, &account);
    program.ok(&["drill", did]).unwrap();
}

/// Many accounts on one host, the command that adds all of them, and those of its names that lead nowhere.
struct Crowd {
    people: Vec<(MadeUp, State)>,
    add: Vec<String>,
    nobody: BTreeSet<String>,
}

impl Crowd {
    fn new(source: &Source) -> Self {
        let people: Vec<(MadeUp, State)> = (0..MANY)
            .map(|n| {
                let person = MadeUp::new(4_200 + n as u64, &source.url);
                let mut content = Content::posts(&format!("crowd{n}"), 20 + 3 * n);
                content.put_image("3kaaaaaaaaaaa", n as u64, 5_000);
                let state = person.sign(0, &content);
                source.serve(&person, &state);
                (person, state)
            })
            .collect();
        let nobody = ["nobody.test", "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", "no-name-at-all"];
        let nobody: BTreeSet<String> = nobody.map(str::to_owned).into();
        let mut add = vec!["archive".to_owned(), "add".to_owned()];
        // By handle and by DID, and two of them by both.
        add.extend(people.iter().step_by(2).map(|(person, _)| person.handle.clone()));
        add.extend(nobody.iter().cloned());
        add.extend(people.iter().skip(1).step_by(2).map(|(person, _)| person.did.clone()));
        add.extend(people.iter().take(2).map(|(person, _)| person.did.clone()));
        Self { people, add, nobody }
    }

    fn dids(&self) -> BTreeSet<&str> {
        self.people.iter().map(|(person, _)| person.did.as_str()).collect()
    }

    /// What is archived, by DID. Nobody is there twice, and nobody who was not to be added.
    fn listed(&self, program: &Program) -> BTreeMap<String, Value> {
        let list = program.json(&["archive", "list"]).unwrap();
        let mut lines = BTreeMap::new();
        for line in list.as_array().unwrap() {
            let did = line["did"].as_str().unwrap();
            assert!(self.dids().contains(did), "{did} was not to be added: {line}");
            assert!(lines.insert(did.to_owned(), line.clone()).is_none(), "{did} is there twice: {list}");
        }
        lines
    }

    /// All of them are noted.
    fn all_noted(&self, program: &Program) -> BTreeMap<String, Value> {
        let lines = self.listed(program);
        let noted: BTreeSet<&str> = lines.keys().map(String::as_str).collect();
        let missing: Vec<_> = self.dids().difference(&noted).copied().collect();
        assert!(missing.is_empty(), "{missing:?} were said to be noted, and are not here");
        lines
    }
}

#[test]
fn killed_while_many_are_added_everyone_arrives_once_and_as_it_was_chosen() {
    let source = Source::start().unwrap();
    let kills = need::count("P2PDS_ADD_KILLS", 12);
    let mut random = Random::from_environment();
    let crowd = Crowd::new(&source);
    let dir = tempfile::tempdir().unwrap();
    let base = Program::new(&dir.path().join("measured")).unwrap().with_env(source.environment());

    let node = base.serve().unwrap();
    let plan: Vec<&str> = crowd.add.iter().map(String::as_str).chain(["--dry-run"]).collect();
    let plan = base.json(&plan).unwrap();
    let named = |list: &str, name: &str| -> BTreeSet<String> {
        let all = plan[list].as_array().unwrap().iter();
        all.map(|one| one[name].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(named("found", "did"), crowd.dids().into_iter().map(str::to_owned).collect());
    assert_eq!(named("not_found", "name"), crowd.nobody);
    assert!(crowd.listed(&base).is_empty(), "a plan begins nothing");
    let whole = base.ok(&crowd.add).unwrap().took;
    crowd.all_noted(&base);
    node.kill().unwrap();

    // While they are noted: what was acknowledged is there, however soon after it the node is killed.
    let (mut acknowledged, mut cut) = (0, 0);
    let mut program = base.clone();
    for round in 0..kills / 2 {
        program = base.at(&dir.path().join(format!("archive-{round}")));
        let node = program.serve().unwrap();
        // Every third of them as soon as it is acknowledged, the others whenever.
        let outcome = if round % 3 == 0 {
            let outcome = program.ok(&crowd.add).unwrap();
            node.kill().unwrap();
            outcome
        } else {
            let command = program.spawn(&crowd.add).unwrap();
            std::thread::sleep(whole.mul_f64(random.fraction() * 1.1));
            node.kill().unwrap();
            command.wait(Duration::from_secs(60)).unwrap()
        };
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        let node = program.serve().unwrap();
        if outcome.code == Some(0) {
            acknowledged += 1;
            crowd.all_noted(&program);
        } else {
            cut += 1;
            // Not acknowledged: the command goes on where it was.
            let noted = crowd.listed(&program).len();
            let again = program.json(&crowd.add.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
            assert_eq!(again["new"], MANY - noted, "{again}");
            crowd.all_noted(&program);
        }
        node.kill().unwrap();
    }
    println!("{acknowledged} kills after it was acknowledged, {cut} before");

    // While they are fetched, with what somebody chose for some of them meanwhile.
    let mut node = program.serve().unwrap();
    let did = |n: usize| crowd.people[n].0.did.as_str();
    program.ok(&["archive", "pause", did(5)]).unwrap();
    program.ok(&["archive", "priority", did(6), "7"]).unwrap();
    program.ok(&["archive", "quota", did(7), "5MB"]).unwrap();
    program.ok(&["archive", "keep", did(8), "all", "--basis", "her letter of 3 May"]).unwrap();
    program.ok(&["archive", "serve", did(9), "public", "--basis", "she asked for it"]).unwrap();
    let arrived = |lines: &BTreeMap<String, Value>| {
        lines.values().filter(|line| line["verified"] == "verified").count()
    };
    let (mut killed, mut meanwhile) = (0, 0);
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let lines = crowd.all_noted(&program);
        let here = arrived(&lines);
        if killed < kills - kills / 2 {
            std::thread::sleep(Duration::from_secs(1).mul_f64(random.fraction()));
            node.kill().unwrap();
            killed += 1;
            meanwhile += usize::from(here < MANY - 1);
            node = program.serve().unwrap();
            continue;
        }
        // The one that was paused is not fetched, unless it was here before.
        if lines.iter().all(|(one, line)| one == did(5) || line["verified"] == "verified") {
            break;
        }
        let late: Vec<_> = lines.values().filter(|line| line["verified"] != "verified").collect();
        assert!(Instant::now() < deadline, "{here} of {MANY} arrived, but not: {late:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("{killed} kills while they are fetched, {meanwhile} of them before all were here");
    assert!(meanwhile > 0, "all were here before the first kill");

    let lines = crowd.all_noted(&program);
    for (person, state) in &crowd.people {
        let line = &lines[&person.did];
        if line["verified"] == "verified" {
            assert_eq!((&line["rev"], &line["blobs_missing"]), (&json!(state.rev), &json!(0)), "{line}");
        }
        let chosen = |n: usize| person.did == did(n);
        assert_eq!(line["paused"], chosen(5), "{line}");
        assert_eq!(line["priority"], if chosen(6) { 7 } else { 0 }, "{line}");
        assert_eq!(line["quota"].as_u64(), chosen(7).then_some(5_000_000), "{line}");
        assert_eq!(line["keep"] == "all", chosen(8), "{line}");
        assert_eq!(line["keep_basis"].as_str(), chosen(8).then_some("her letter of 3 May"), "{line}");
        let serving = &program.json(&["archive", "show", &person.did]).unwrap()["serving"];
        assert_eq!(serving.to_string().contains("she asked for it"), chosen(9), "{serving}");
    }
    program.ok(&["archive", "resume", did(5)]).unwrap();
    while crowd.listed(&program)[did(5)]["verified"] != "verified" {
        assert!(Instant::now() < deadline, "who was paused is not fetched after it goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
    program.ok(&["verify", "--read-data", "--no-repair"]).unwrap();
    let ended = node.terminate(Duration::from_secs(60)).unwrap().expect(0).unwrap();
    assert!(!ended.stderr.contains("panicked"), "{ended}");
}
