//! SIGKILL at random moments while an account with 20,000 records is archived from a reference PDS and followed.
//! `P2PDS_KILLS` is how many (50), `P2PDS_SEED` makes the moments the same again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::time::{Duration, Instant};

use p2pds_testkit::exported::Exported;
use p2pds_testkit::need;
use p2pds_testkit::oracle::{Account, Network, Options, POST, Write, bulk_key, image, post_record};
use p2pds_testkit::program::Program;
use p2pds_testkit::random::Random;

/// Records of the account, by `applyWrites`.
const RECORDS: usize = 20_000;

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
