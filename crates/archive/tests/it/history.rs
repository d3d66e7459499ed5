//! The archive's memory: what was seen can be listed, looked at, compared, proved; and it is forgotten when it should be.

use std::sync::atomic::Ordering;

use p2pds_archive::{ArchiveError, At, HistoryQuery, Kept, Outcome, Progress};
use p2pds_ipld::Cid;
use p2pds_reading::{Reading, Refusal, Viewer};
use p2pds_store::{AccountPatch, AccountStatus, BlobState, Keep, Serve, Unit};
use p2pds_syntax::{AtUri, Tid};

use crate::fake::past::{Contents, Dice, cids, edit, history, view};
use crate::fake::{Fake, NOW, Node, Person};

/// The CAR of each revision, imported into an archive of its own, shows what looking back shows.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_equals_the_rebuild_from_the_car_of_its_time() {
    let net = Fake::start().await;
    let mut dice = Dice(77);
    let mut person = Person::new(91, &net.url);
    let node = Node::new(&net.url);
    let mut states = Vec::new();
    for step in 0..4 {
        edit(&mut person, &mut dice);
        let state = person.sign(step);
        net.publish(&person, &state);
        if step == 0 {
            node.add(&person).await
        } else {
            node.sync(&person).await
        };
        states.push(state);
    }
    for state in &states {
        let dir = tempfile::tempdir().unwrap();
        let (car, log) = (dir.path().join("repo.car"), dir.path().join("plc.json"));
        std::fs::write(&car, state.car(None)).unwrap();
        std::fs::write(&log, person.audit()).unwrap();
        let other = Node::new("http://localhost:9");
        other.archive.import(&car, Some(&log), &Progress::none()).await.unwrap();
        let rebuilt: Contents = other
            .contents(&person)
            .await
            .iter()
            .map(|(path, bytes)| (path.clone(), Cid::of_cbor(bytes)))
            .collect();
        assert_eq!(view(&node, &person, state.rev).await, rebuilt, "{}", state.rev);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn revisions_gaps_and_single_records() {
    let net = Fake::start().await;
    let mut person = Person::new(92, &net.url);
    person.post("3kedit2222222", 1);
    let first = person.sign(0);
    net.publish(&person, &first);
    let node = Node::new(&net.url);
    node.add(&person).await;
    person.post("3kedit2222222", 2);
    net.publish(&person, &person.sign(1)); // never seen
    person.post("3kedit2222222", 3);
    person.post("3knew22222222", 4);
    let third = person.sign(2);
    net.publish(&person, &third);
    node.pass(1);
    node.sync(&person).await;
    person.records.remove("app.bsky.feed.post/3kedit2222222");
    let fourth = person.sign(3);
    net.publish(&person, &fourth);
    node.sync(&person).await;

    let report = history(&node, &person, false).await;
    let revs: Vec<_> = report.revisions.iter().map(|r| r.rev.clone()).collect();
    assert_eq!(revs, [fourth.rev, third.rev, first.rev].map(|rev| rev.to_string()));
    assert_eq!(report.revisions[1].seen_at, Some(i64::try_from(NOW).unwrap() + 3_600_000_000));
    let counts = report.revisions[1].counts.unwrap();
    assert_eq!((counts.created, counts.updated, counts.deleted), (1, 1, 0));
    let gap = report.revisions[1].gap.as_deref().unwrap();
    assert!(gap.contains(&first.rev.to_string()) && gap.contains("may not have been seen"), "{gap}");
    assert_eq!(report.revisions[2].gap.as_deref(), Some("nothing before it was seen"));
    let page = HistoryQuery { limit: 1, ..HistoryQuery::default() };
    let page = node.archive.history(&person.did, page, &Progress::none()).await.unwrap();
    assert_eq!(page.next.as_deref(), Some(revs[0].as_str()));

    let uri = AtUri::parse(&format!("at://{}/app.bsky.feed.post/3kedit2222222", person.did)).unwrap();
    let text = async |at: At| {
        let view = node.archive.record_at(&uri, at).await?;
        Ok::<_, ArchiveError>((
            view.value.unwrap()["text"].as_str().unwrap().to_owned(),
            view.as_of.unwrap().note,
        ))
    };
    let number = |n| format!("post number {n} of 92");
    assert_eq!(text(At::Rev(first.rev)).await.unwrap(), (number(1), None));
    assert_eq!(text(At::Rev(third.rev)).await.unwrap(), (number(3), None));
    assert!(matches!(text(At::Now).await, Err(ArchiveError::NotThen { .. })));
    // By time: half an hour after the first; what stood then is not known for sure, and that is said.
    let then = i64::try_from(first.rev.micros()).unwrap() + 1_800_000_000;
    let (was, note) = text(At::Time(then)).await.unwrap();
    assert_eq!(was, number(1));
    assert!(note.unwrap().contains("what stood between the two is not known"));
    let early = text(At::Time(then - 3_600_000_000)).await.unwrap_err();
    assert!(matches!(&early, ArchiveError::NeverSeen { .. }), "{early}");
    assert!(early.to_string().contains(&first.rev.to_string()), "{early}");
    let unseen = node.archive.record_at(&uri, At::Rev(Tid::from_micros(1, 1))).await.unwrap_err();
    assert!(matches!(unseen, ArchiveError::NeverSeen { .. }), "{unseen}");

    let diff = node.archive.diff(&person.did, At::Rev(first.rev), At::Now).await.unwrap();
    let lines: Vec<_> = diff.differences.iter().map(|d| (d.change.as_str(), d.path.as_str())).collect();
    assert_eq!(
        lines,
        [("deleted", "app.bsky.feed.post/3kedit2222222"), ("created", "app.bsky.feed.post/3knew22222222")]
    );
    // What restoring it would take: the last version there was.
    let old = node.archive.old_record(&uri, None).await.unwrap();
    assert_eq!(old.value.unwrap()["text"], number(3));
    assert_eq!((old.as_of.rev, old.now), (third.rev.to_string(), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_in_the_history_is_found() {
    let net = Fake::start().await;
    let mut person = Person::new(93, &net.url);
    person.post("3kedit2222222", 1);
    let first = person.sign(0);
    net.publish(&person, &first);
    let node = Node::new(&net.url);
    node.add(&person).await;
    person.post("3kedit2222222", 2);
    net.publish(&person, &person.sign(1));
    node.sync(&person).await;
    let flip = |column: &'static str| {
        move |database: &rusqlite::Connection| {
            let sql = format!("SELECT {column} FROM past WHERE rkey = '3kedit2222222'");
            let mut bytes: Vec<u8> = database.query_row(&sql, [], |row| row.get(0)).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            let sql = format!("UPDATE past SET {column} = ?1 WHERE rkey = '3kedit2222222'");
            assert_eq!(database.execute(&sql, [bytes]).unwrap(), 1);
        }
    };
    let node = node.with_database(flip("body")).await;
    let report = history(&node, &person, true).await;
    assert_eq!((report.proved, report.failed), (2, 1), "{report}");
    let proof = report.revisions[1].proof.clone().unwrap();
    assert_eq!(proof.damaged, ["app.bsky.feed.post/3kedit2222222"]);
    let uri = AtUri::parse(&format!("at://{}/app.bsky.feed.post/3kedit2222222", person.did)).unwrap();
    assert!(node.archive.record_at(&uri, At::Rev(first.rev)).await.is_err(), "damaged bytes are not shown");
    let node = node.with_database(flip("body")).await;
    assert_eq!(history(&node, &person, true).await.failed, 0, "flipped back");
    let node = node.with_database(flip("cid")).await;
    let report = history(&node, &person, true).await;
    assert!(report.revisions[1].proof.as_ref().unwrap().words.contains("the commit names"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_past_the_window_is_forgotten_with_its_pictures() {
    let net = Fake::start().await;
    let mut person = Person::new(94, &net.url);
    let (old, both) =
        (person.picture("3kpic22222222", &[5; 60_000]), person.picture("3kpic32222222", &[6; 60_000]));
    let first = person.sign(0);
    net.publish(&person, &first);
    let node = Node::new(&net.url);
    node.add(&person).await;
    person.records.remove("app.bsky.feed.post/3kpic22222222");
    let second = person.sign(1);
    net.publish(&person, &second);
    node.pass(1);
    node.sync(&person).await;
    let held = async |cid| {
        let row = node.store.blob(&person.did, cid).await.unwrap();
        let file = node.archive.blobs().size(&person.did, cid).await.unwrap();
        assert_eq!(row.is_some(), file.is_some(), "row and file go together");
        row.is_some_and(|row| row.state == BlobState::Held)
    };
    let retain = async || node.archive.retain(&person.did, &Progress::none()).await.unwrap();
    node.pass(7 * 24 - 1);
    assert_eq!(retain().await.rows, 0, "within the window nothing is forgotten");
    assert!(held(&old).await);
    assert_eq!(view(&node, &person, first.rev).await, cids(&first));
    node.archive.keep(&person.did, Keep::All, None).await.unwrap();
    node.pass(2);
    assert_eq!(retain().await.rows, 0, "who keeps all forgets nothing");
    node.archive.keep(&person.did, Keep::Window, None).await.unwrap();
    let retained = retain().await;
    assert_eq!((retained.rows, retained.blobs), (2, 1), "a version, a head, a picture");
    assert!(!held(&old).await);
    assert!(held(&both).await);
    let report = history(&node, &person, true).await;
    assert_eq!(report.revisions.len(), 1);
    assert_eq!((report.proved, report.failed), (1, 0), "the current state stands");
    assert!(report.revisions[0].gap.as_deref().unwrap().contains("forgotten"), "{report}");
    assert_eq!(retain().await, p2pds_archive::Retained::default(), "once is enough");
    let early = node.archive.diff(&person.did, At::Rev(first.rev), At::Now).await.unwrap_err();
    assert!(early.to_string().contains("forgotten"), "{early}");
}

/// Whoever runs an account's old host could begin a move, and let it end, only to have the archived state forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_move_replaced_is_kept_for_the_whole_window_after_it_was_given_up() {
    let net = Fake::start().await;
    let mut person = Person::new(97, &net.url);
    person.post("3kpic22222222", 1);
    let first = person.sign(0);
    net.publish(&person, &first);
    let node = Node::new(&net.url);
    node.add(&person).await;
    person.post("3kpic22222222", 2);
    net.publish(&person, &person.sign(1));
    node.pass(1);
    node.sync(&person).await;
    let row = |what: &str, updated_at| {
        Unit::PutWorker(p2pds_store::WorkerRow {
            name: format!("{what}:{}", person.did),
            did: Some(person.did.clone()),
            state: String::new(),
            done: 0,
            total: 0,
            notes: String::new(),
            last_error: None,
            next_run: None,
            updated_at,
        })
    };
    let now = || i64::try_from(node.clock.0.load(Ordering::Relaxed)).unwrap();
    let retain = async || node.archive.retain(&person.did, &Progress::none()).await.unwrap().rows;
    node.store.apply(row(p2pds_store::MOVING_IN, now())).await.unwrap();
    node.pass(8 * 24);
    assert_eq!(retain().await, 0, "while it lasts");
    let name = format!("{}:{}", p2pds_store::MOVING_IN, person.did);
    node.store.apply(Unit::DropWorker { name }).await.unwrap();
    node.store.apply(row(p2pds_store::MOVED_BACK, now())).await.unwrap();
    node.pass(7 * 24 - 1);
    assert_eq!(retain().await, 0, "the window begins when it was given up");
    assert_eq!(view(&node, &person, first.rev).await, cids(&first));
    node.pass(2);
    assert_eq!(retain().await, 2, "then a version and a head are forgotten as ever");
    let left = node.store.worker(&format!("{}:{}", p2pds_store::MOVED_BACK, person.did)).await.unwrap();
    assert_eq!(left, None);
}

/// What a pass that was killed leaves is finished by the next one: rows half pruned, a file whose row is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_was_killed_is_finished_by_the_next() {
    let net = Fake::start().await;
    let mut person = Person::new(89, &net.url);
    let rkey = |n: u64| {
        let digits = format!("3l{n:011}");
        digits.replace('0', "a").replace('1', "b").replace('8', "c").replace('9', "d")
    };
    for n in 0..1_300 {
        person.post(&rkey(n), n);
    }
    let first = person.sign(0);
    net.publish(&person, &first);
    let node = Node::new(&net.url);
    node.add(&person).await;
    for n in 0..1_300 {
        person.post(&rkey(n), n + 1);
    }
    let second = person.sign(1);
    net.publish(&person, &second);
    node.sync(&person).await;
    node.pass(8 * 24);
    let step = Unit::Prune { did: person.did.clone(), line: 0, before: Some(second.rev) };
    let p2pds_store::Applied::Chunk { rows: gone, done: false } = node.store.apply(step).await.unwrap()
    else {
        panic!("one step is not enough")
    };
    let orphan = b"the row of this is gone";
    let options = p2pds_blobs::PutOptions { expect: None, max_bytes: 100, quota: None };
    let mut upload = node.archive.blobs().put(&person.did, options).await.unwrap();
    upload.write(bytes::Bytes::from_static(orphan)).await.unwrap();
    let orphan = upload.finish().await.unwrap().cid;
    // Half pruned is pruned for everybody who asks.
    let report = history(&node, &person, true).await;
    let kept: Vec<_> = report.revisions.iter().map(|r| r.kept).collect();
    assert_eq!((kept, report.failed), (vec![Kept::Current, Kept::Pruned], 0));
    let moved = node.clock.0.load(Ordering::Relaxed);
    let node = node.reopen().await;
    node.clock.0.store(moved, Ordering::Relaxed);
    let retained = node.archive.retain(&person.did, &Progress::none()).await.unwrap();
    assert_eq!(retained.rows, 1_300 - gone + 1, "the rest of the versions, and the old head");
    assert_eq!(node.archive.blobs().size(&person.did, &orphan).await.unwrap(), None);
    assert_eq!(history(&node, &person, true).await.revisions.len(), 1);
    assert_eq!(view(&node, &person, second.rev).await, cids(&second));
}

async fn serve(node: &Node, person: &Person) {
    let basis = Some(Some("its owner asked for it".to_owned()));
    let patch = AccountPatch { serve: Some(Serve::Public), serve_basis: basis, ..AccountPatch::default() };
    node.store.apply(Unit::PatchAccount { did: person.did.clone(), patch: Box::new(patch) }).await.unwrap();
}

async fn served(node: &Node, person: &Person) -> bool {
    let door = Reading::new(node.store.clone(), node.archive.blobs().clone());
    match door.repo(Viewer::Public, &person.did).await {
        Ok(_) => true,
        Err(Refusal::Withdrawn { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_stops_serving_at_once_and_erases_later() {
    let net = Fake::start().await;
    let mut person = Person::new(95, &net.url);
    let keeper = Person::new(96, &net.url);
    for person in [&person, &keeper] {
        net.publish(person, &person.sign(0));
    }
    let node = Node::new(&net.url);
    node.add(&person).await;
    serve(&node, &person).await;
    assert!(served(&node, &person).await);
    let line = async || {
        let lines = node.archive.list().await.unwrap();
        lines.into_iter().find(|line| line.did == person.did).map(|line| line.withdrawal)
    };
    // Given up, and not served from that moment on; given back within 72 hours, and served again.
    let mut given_up = Person::new(95, &net.url);
    given_up.tombstone(1);
    net.identity(&given_up);
    node.sync(&person).await;
    assert!(!served(&node, &person).await);
    let announced = line().await.unwrap().unwrap();
    let now = i64::try_from(node.clock.0.load(Ordering::Relaxed)).unwrap();
    assert_eq!((announced.since, announced.erased_at), (now, Some(now + 30 * 86_400_000_000)));
    assert!(announced.words.contains("archive keep"), "{}", announced.words);
    node.pass(71);
    let retain = async || node.archive.retain(&person.did, &Progress::none()).await.unwrap();
    assert!(!retain().await.erased);
    let findings = node.store.findings(&person.did, 9).await.unwrap();
    assert!(findings.iter().any(|finding| finding.kind == "withdrawn"), "{findings:?}");
    given_up.revive(50);
    net.identity(&given_up);
    node.sync(&person).await;
    assert!(served(&node, &person).await, "back within 72 hours");
    assert_eq!(line().await.unwrap(), None);
    retain().await;
    let findings = node.store.findings(&person.did, 9).await.unwrap();
    assert!(findings.iter().all(|finding| finding.kind != "withdrawn"), "{findings:?}");
    // Given up for good: the time begins anew.
    given_up.tombstone(60);
    net.identity(&given_up);
    node.sync(&person).await;
    node.pass(29 * 24);
    assert!(!retain().await.erased);
    assert!(!served(&node, &person).await);
    assert_eq!(node.head(&person).await.unwrap().rev, person.sign(0).rev, "everything is still here");
    // A basis for keeping stops the clock, taking it back starts it.
    let why = Some(Some("the owner asked for it by letter".to_owned()));
    node.archive.keep(&person.did, Keep::Window, why).await.unwrap();
    node.pass(2 * 24);
    assert!(!retain().await.erased);
    assert!(!served(&node, &person).await, "kept is not served");
    node.archive.keep(&person.did, Keep::Window, Some(None)).await.unwrap();
    assert!(retain().await.erased);
    assert_eq!(line().await, None);
    let purges = node.store.purges(9).await.unwrap();
    assert!(purges[0].basis.contains("gave the identity up"), "{purges:?}");
    assert!(purges[0].ended_at.is_some());
    person.records.clear();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_copy_is_not_given_up_because_a_host_lost_its_disk() {
    let net = Fake::start().await;
    let (person, other) = (Person::new(97, &net.url), Person::new(98, &net.url));
    for person in [&person, &other] {
        net.publish(person, &person.sign(0));
    }
    let node = Node::new(&net.url);
    node.add(&person).await;
    let refuse = |person: &Person, refusal| net.script(person, |served| served.refusal = refusal);
    refuse(&person, Some("RepoNotFound"));
    refuse(&other, Some("RepoNotFound"));
    node.sync(&person).await;
    node.pass(31 * 24);
    let retain = async || node.archive.retain(&person.did, &Progress::none()).await.unwrap();
    assert!(!retain().await.erased, "a host that knows nobody proves nothing");
    let findings = node.store.findings(&person.did, 9).await.unwrap();
    assert!(findings.iter().any(|f| f.detail.contains("may have lost its data")), "{findings:?}");
    net.set_down(true);
    assert!(!retain().await.erased, "nor does one that is down");
    net.set_down(false);
    refuse(&person, None);
    assert!(!retain().await.erased, "it is back");
    let account = node.store.account(&person.did).await.unwrap().unwrap();
    assert_eq!((account.status, account.withdrawn_at), (AccountStatus::Active, None));
    refuse(&person, Some("RepoNotFound"));
    refuse(&other, None);
    node.sync(&person).await;
    node.pass(31 * 24);
    assert!(retain().await.erased, "it knows the others and not this one");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_head_is_accepted_with_a_reason_and_nothing_is_lost() {
    let net = Fake::start().await;
    let mut person = Person::new(99, &net.url);
    let backup = person.sign(0);
    net.publish(&person, &backup);
    let node = Node::new(&net.url);
    node.add(&person).await;
    person.post("3klost2222222", 7);
    let lost = person.sign(5);
    net.publish(&person, &lost);
    node.sync(&person).await;
    // The host restored a backup and its owner wrote on.
    person.records.clone_from(&backup.records);
    person.post("3kafter222222", 8);
    let after = person.sign(2);
    net.publish(&person, &after);
    assert!(matches!(node.sync(&person).await.outcome, Outcome::Refused { .. }), "never by itself");
    let accept = async |reason: &str| node.archive.accept_head(&person.did, reason, &Progress::none()).await;
    assert!(matches!(accept("  ").await, Err(ArchiveError::NoReason)));
    let summary = accept("the host restored its backup of Monday").await.unwrap();
    assert_eq!((summary.outcome, summary.accepted_older), (Outcome::Stored, true));
    assert_eq!(node.head(&person).await.unwrap().rev, after.rev);
    assert!(matches!(accept("again").await, Err(ArchiveError::NothingToAccept { .. })));
    let evidence = node.store.evidence(&person.did, 9).await.unwrap();
    let accepted = evidence.iter().find(|e| e.kind == "accepted-head").unwrap();
    assert!(accepted.detail.contains("backup of Monday"), "{}", accepted.detail);
    assert_eq!(Cid::of_cbor(accepted.data.as_ref().unwrap()), lost.head, "the commit that was left is kept");
    let findings = node.store.findings(&person.did, 9).await.unwrap();
    assert!(findings.iter().all(|finding| finding.kind != "older-head"), "{findings:?}");
    // What was left can still be seen, proved and restored from.
    let report = history(&node, &person, true).await;
    let kept: Vec<_> = report.revisions.iter().map(|r| (r.rev.clone(), r.kept)).collect();
    let want = [(lost.rev, Kept::Left), (after.rev, Kept::Current), (backup.rev, Kept::Left)];
    assert_eq!(kept, want.map(|(rev, kept)| (rev.to_string(), kept)));
    assert_eq!((report.proved, report.failed), (3, 0), "{report}");
    assert_eq!(view(&node, &person, lost.rev).await, cids(&lost));
    assert_eq!(view(&node, &person, backup.rev).await, cids(&backup));
    let uri = AtUri::parse(&format!("at://{}/app.bsky.feed.post/3klost2222222", person.did)).unwrap();
    let old = node.archive.old_record(&uri, Some(At::Rev(lost.rev))).await.unwrap();
    assert_eq!(old.cid, Cid::of_cbor(&lost.records["app.bsky.feed.post/3klost2222222"]).to_string());
    // It goes on from there, and the line that was left goes with the window.
    person.post("3kafter222222", 9);
    let on = person.sign(6);
    net.publish(&person, &on);
    let ahead =
        node.archive.accept_head(&person.did, "by mistake: the host is ahead", &Progress::none()).await;
    assert!(!ahead.unwrap().accepted_older);
    assert_eq!(node.head(&person).await.unwrap().rev, on.rev);
    assert_eq!(history(&node, &person, true).await.failed, 0);
    node.pass(8 * 24);
    node.archive.retain(&person.did, &Progress::none()).await.unwrap();
    let report = history(&node, &person, true).await;
    let revs: Vec<_> = report.revisions.iter().map(|r| r.rev.clone()).collect();
    assert_eq!(revs, [on.rev.to_string()], "{report}");
    assert_eq!(node.store.repos(Some(&person.did)).await.unwrap().len(), 1);
}
