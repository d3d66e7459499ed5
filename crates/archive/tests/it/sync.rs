//! Keeping current: diffs, whole fetches, contradictions, states, keys, moves.

use p2pds_archive::{ArchiveError, CheckName, CheckResult, Outcome, Progress, VerifyOptions};
use p2pds_ipld::Cid;
use p2pds_ipld::cbor::Value;
use p2pds_store::{AccountStatus, VerifiedState};
use p2pds_syntax::{ErrorKind, Tid};

use crate::fake::{Fake, Getting, NOW, Node, Person, test_config};

/// What is stored is exactly this state, and every check agrees.
async fn same(node: &Node, person: &Person, state: &crate::fake::State) {
    assert_eq!(node.contents(person).await, state.records);
    let head = node.head(person).await.unwrap();
    assert_eq!((head.rev, head.commit, head.data), (state.rev, state.head, state.commit.data));
    let options = VerifyOptions { read_data: true, repair: false };
    let report = node.archive.verify(&person.did, options, &Progress::none()).await.unwrap();
    assert!(report.ok, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_is_fetched_as_a_diff() {
    let net = Fake::start().await;
    let mut person = Person::new(20, &net.url);
    net.publish(&person, &person.sign(0));
    let node = Node::new(&net.url);
    node.add(&person).await;

    let gone = person.records.keys().next().unwrap().clone();
    let changed = person.records.keys().nth(5).unwrap().clone();
    person.records.remove(&gone);
    person.put(&changed, Value::map([("text", Value::Text("edited".into()))]));
    person.post("3kznew2222222", 99);
    let cid = person.picture("3kzpic2222222", &[8; 700]);
    let state = person.sign(1);
    net.publish(&person, &state);
    let summary = node.sync(&person).await;
    assert_eq!(summary.outcome, Outcome::Updated { created: 2, updated: 1, deleted: 1 });
    assert!(summary.fetched_bytes < state.car(None).len() as u64, "a diff is smaller than the repo");
    assert_eq!(node.archive.blobs().size(&person.did, &cid).await.unwrap(), Some(700));
    same(&node, &person, &state).await;
    // What was replaced and deleted stays in the history.
    for path in [&gone, &changed] {
        let path = p2pds_syntax::RecordPath::parse(path).unwrap();
        let versions = node.store.versions(&person.did, &path).await.unwrap();
        assert!(versions.iter().any(|(_, until)| *until == Some(state.rev)), "{path}");
    }
    assert_eq!(node.sync(&person).await.outcome, Outcome::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_many_small_commits() {
    let net = Fake::start().await;
    let mut person = Person::new(21, &net.url);
    for n in 0..600 {
        person.post(
            &format!("3l{:011}", n).replace('0', "a").replace('1', "b").replace('8', "c").replace('9', "d"),
            n,
        );
    }
    net.publish(&person, &person.sign(0));
    let node = Node::new(&net.url);
    node.add(&person).await;
    let mut keys: Vec<String> = person.records.keys().cloned().collect();
    for step in 1..15 {
        let victim = keys.remove((step * 37) % keys.len());
        person.records.remove(&victim);
        person.post(
            &format!("3m{step:02}aaaaaaaaa")
                .replace('0', "a")
                .replace('1', "b")
                .replace('8', "c")
                .replace('9', "d"),
            step as u64,
        );
        let state = person.sign(step as i64);
        net.publish(&person, &state);
        let summary = node.sync(&person).await;
        assert_eq!(summary.outcome, Outcome::Updated { created: 1, updated: 0, deleted: 1 }, "step {step}");
        assert_eq!(node.head(&person).await.unwrap().data, state.commit.data);
    }
    same(&node, &person, &person.sign(14)).await;
    // An empty commit: nothing but the revision changes.
    let state = person.sign(15);
    net.publish(&person, &state);
    assert_eq!(node.sync(&person).await.outcome, Outcome::Updated { created: 0, updated: 0, deleted: 0 });
    same(&node, &person, &state).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_at_two_paths_are_not_sent_again() {
    let net = Fake::start().await;
    let mut person = Person::new(22, &net.url);
    net.publish(&person, &person.sign(0));
    let node = Node::new(&net.url);
    node.add(&person).await;
    let twin = person.records.values().nth(3).unwrap().clone();
    person.records.insert("app.bsky.feed.post/3kztwin222222".to_owned(), twin);
    let state = person.sign(1);
    net.publish(&person, &state);
    let summary = node.sync(&person).await;
    assert_eq!(summary.outcome, Outcome::Updated { created: 1, updated: 0, deleted: 0 });
    same(&node, &person, &state).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_cannot_do_diffs() {
    let net = Fake::start().await;
    let mut person = Person::new(23, &net.url);
    net.publish(&person, &person.sign(0));
    let node = Node::new(&net.url);
    node.add(&person).await;
    // Sends everything instead.
    net.script(&person, |served| served.getting = Getting::AlwaysWhole);
    person.post("3kznew2222222", 1);
    let state = person.sign(1);
    net.publish(&person, &state);
    assert!(matches!(node.sync(&person).await.outcome, Outcome::Updated { created: 1, .. }));
    same(&node, &person, &state).await;
    // More changes than fit one unit: the whole repo is fetched and flipped in.
    net.script(&person, |served| served.getting = Getting::Honest);
    for n in 0..1_100 {
        person.post(
            &format!("3n{:011}", n).replace('0', "a").replace('1', "b").replace('8', "c").replace('9', "d"),
            n,
        );
    }
    let state = person.sign(2);
    net.publish(&person, &state);
    assert_eq!(node.sync(&person).await.outcome, Outcome::Stored);
    same(&node, &person, &state).await;
    assert_eq!(
        node.store.repos(Some(&person.did)).await.unwrap().len(),
        1,
        "the replaced repo is folded away"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_never_move_back() {
    let net = Fake::start().await;
    let mut person = Person::new(24, &net.url);
    let first = person.sign(0);
    net.publish(&person, &first);
    person.post("3kznew2222222", 1);
    let second = person.sign(1);
    net.publish(&person, &second);
    let node = Node::new(&net.url);
    node.add(&person).await;

    // An old backup was restored at the host.
    net.script(&person, |served| served.history = vec![first.clone()]);
    let summary = node.sync(&person).await;
    assert!(matches!(&summary.outcome, Outcome::Refused { kind, .. } if kind == "older-head"), "{summary}");
    same(&node, &person, &second).await;
    let evidence = node.store.evidence(&person.did, 10).await.unwrap();
    assert_eq!(evidence[0].kind, "older-head");
    assert_eq!(
        evidence[0].data.as_deref(),
        Some(first.blocks[&first.head].as_slice()),
        "the signed commit is kept"
    );
    assert!(node.archive.list().await.unwrap()[0].last_error.as_ref().unwrap().contains("older"));
    // Met again, it is not kept again.
    node.sync(&person).await;
    assert_eq!(node.store.evidence(&person.did, 10).await.unwrap().len(), evidence.len());

    // Another commit under the same revision.
    let mut twin = Person::new(24, &net.url);
    twin.post("3kzother22222", 5);
    let other = twin.sign_at(second.rev, &person.did, &person.signing);
    net.script(&person, |served| served.history = vec![other.clone()]);
    let summary = node.sync(&person).await;
    assert!(matches!(&summary.outcome, Outcome::Refused { kind, .. } if kind == "equivocation"), "{summary}");
    same(&node, &person, &second).await;

    // A revision from the future, with and without a word before it.
    let future = Tid::from_micros(NOW + 600_000_000, 1);
    let ahead = twin.sign_at(future, &person.did, &person.signing);
    net.script(&person, |served| served.history = vec![ahead.clone()]);
    let summary = node.sync(&person).await;
    assert!(matches!(&summary.outcome, Outcome::Refused { kind, .. } if kind == "future-rev"), "{summary}");
    let latest = (Cid::of_cbor(b"lie").to_string(), Tid::from_micros(NOW, 1).to_string());
    net.script(&person, |served| served.latest = Some(latest));
    let summary = node.sync(&person).await;
    assert!(matches!(&summary.outcome, Outcome::Refused { kind, .. } if kind == "future-rev"), "{summary}");
    same(&node, &person, &second).await;

    // The host comes to its senses.
    let third = {
        person.post("3kzthird22222", 3);
        person.sign(2)
    };
    net.script(&person, |served| {
        served.latest = None;
        served.history = vec![second.clone(), third.clone()];
    });
    assert!(matches!(node.sync(&person).await.outcome, Outcome::Updated { created: 1, .. }));
    let details = node.archive.show(&person.did).await.unwrap();
    assert!(details.findings.is_empty(), "{:?}", details.findings);
    assert!(details.line.last_error.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_played_in_any_order_end_at_the_newest() {
    let net = Fake::start().await;
    let mut person = Person::new(25, &net.url);
    let mut states = Vec::new();
    for step in 0..6 {
        person.post(&format!("3kzs{}22222222", ["a", "b", "c", "d", "e", "f"][step]), step as u64);
        states.push(person.sign(step as i64));
    }
    for order in [[3, 0, 5, 1, 4, 2], [5, 4, 3, 2, 1, 0], [0, 2, 1, 5, 3, 4]] {
        let node = Node::new(&net.url);
        net.identity(&person);
        for at in order {
            net.script(&person, |served| served.history = vec![states[at].clone()]);
            let name = person.did.as_str();
            node.archive.add(name, &Progress::none()).await.unwrap();
        }
        same(&node, &person, &states[5]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_by_a_stranger_changes_nothing() {
    let net = Fake::start().await;
    let mut person = Person::new(26, &net.url);
    let state = person.sign(0);
    net.publish(&person, &state);
    let node = Node::new(&net.url);
    node.add(&person).await;
    let stranger = Person::new(27, &net.url);
    person.post("3kzevil222222", 6);
    let forged = person.sign_as(1, &person.did, &stranger.signing);
    net.script(&person, |served| served.history.push(forged.clone()));
    let error = node.archive.sync(&person.did, &Progress::none()).await.unwrap_err();
    assert!(matches!(error, ArchiveError::Rejected { .. }), "{error}");
    let evidence = node.store.evidence(&person.did, 10).await.unwrap();
    assert_eq!(evidence[0].kind, "forged-commit");
    assert_eq!(evidence[0].data.as_deref(), Some(forged.blocks[&forged.head].as_slice()));
    person.records.remove("app.bsky.feed.post/3kzevil222222");
    same(&node, &person, &state).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_between_syncs() {
    let net = Fake::start().await;
    let mut person = Person::new(28, &net.url);
    let old_key = person.sign(0);
    net.publish(&person, &old_key);
    let node = Node::new(&net.url);
    node.add(&person).await;
    // The key is rotated, and the host has not signed with it yet: the last commit is from before.
    let before = person.sign(1);
    let withdrawn = person.rotate_signing_key(2);
    net.publish(&person, &before);
    let summary = node.sync(&person).await;
    assert!(matches!(summary.outcome, Outcome::Updated { .. }), "{summary}");
    assert!(summary.notes.iter().any(|note| note.contains("earlier key")), "{:?}", summary.notes);
    let findings = node.archive.show(&person.did).await.unwrap().findings;
    assert!(findings.iter().any(|finding| finding.kind == "earlier-key"), "{findings:?}");
    // Whoever has the old key signs nothing new with it.
    person.post("3kzstolen2222", 1);
    let forged = person.sign_as(3, &person.did, &withdrawn);
    net.script(&person, |served| served.history.push(forged.clone()));
    let error = node.archive.sync(&person.did, &Progress::none()).await.unwrap_err();
    assert!(matches!(error, ArchiveError::Rejected { .. }), "{error}");
    assert_eq!(node.head(&person).await.unwrap().rev, before.rev);
    person.records.remove("app.bsky.feed.post/3kzstolen2222");
    // Then the new key signs.
    person.post("3kznew2222222", 1);
    let after = person.sign(2);
    net.publish(&person, &after);
    let summary = node.sync(&person).await;
    assert!(matches!(summary.outcome, Outcome::Updated { created: 1, .. }), "{summary}");
    // Nobody announced the new key: that is all that is still said.
    let findings = node.archive.show(&person.did).await.unwrap().findings;
    let kinds: Vec<_> = findings.iter().map(|finding| finding.kind.as_str()).collect();
    assert_eq!(kinds, ["plc-unexpected"], "{findings:?}");
    same(&node, &person, &after).await;
    assert_eq!(
        node.head(&person).await.unwrap().key,
        p2pds_crypto::Signer::public_key(&person.signing).to_did_key()
    );
    // Somebody who joins late finds old signatures good too.
    let late = Node::new(&net.url);
    net.script(&person, |served| served.history = vec![before.clone()]);
    assert_eq!(late.add(&person).await.outcome, Outcome::Stored);
    assert_eq!(late.store.account(&person.did).await.unwrap().unwrap().verified, VerifiedState::Verified);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_moves_to_another_host() {
    let (old, new) = (Fake::start().await, Fake::start().await);
    let mut person = Person::new(29, &old.url);
    let picture = person.picture("3kpic22222222", &[1; 300]);
    old.publish(&person, &person.sign(0));
    old.script(&person, |served| {
        served.blobs.clear();
    });
    let node = Node::new(&old.url);
    let summary = node.add(&person).await;
    assert_eq!(summary.blobs_missing, 0, "the host said that it is gone");
    assert_eq!(node.archive.show(&person.did).await.unwrap().missing_blobs[0].state, "gone");
    person.move_to(&new.url);
    person.rotate_signing_key(1);
    person.post("3kzmoved22222", 2);
    let state = person.sign(1);
    new.publish(&person, &state);
    old.identity(&person);
    old.script(&person, |served| served.refusal = Some("RepoDeactivated"));
    let summary = node.sync(&person).await;
    assert!(matches!(summary.outcome, Outcome::Updated { .. } | Outcome::Stored), "{summary}");
    assert!(summary.notes.iter().any(|note| note.contains("has moved from")), "{:?}", summary.notes);
    same(&node, &person, &state).await;
    assert_eq!(
        node.archive.blobs().size(&person.did, &picture).await.unwrap(),
        Some(300),
        "the new host has it"
    );
    let kinds: Vec<String> = node
        .store
        .evidence(&person.did, 10)
        .await
        .unwrap()
        .into_iter()
        .map(|evidence| evidence.kind)
        .collect();
    assert!(kinds.contains(&"host-move".to_owned()) && kinds.contains(&"key-change".to_owned()), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn states_of_the_account_are_recorded_and_nothing_is_lost() {
    let net = Fake::start().await;
    let mut person = Person::new(30, &net.url);
    person.picture("3kpic22222222", &[1; 300]);
    let state = person.sign(0);
    net.publish(&person, &state);
    let node = Node::new(&net.url);
    node.add(&person).await;
    let cases = [
        ("RepoDeactivated", Some("deactivated"), AccountStatus::Deactivated),
        ("RepoTakendown", Some("takendown"), AccountStatus::Takendown),
        ("RepoSuspended", None, AccountStatus::Suspended),
        ("RepoDeactivated", Some("deleted"), AccountStatus::Deleted),
        ("RepoNotFound", None, AccountStatus::Deleted),
    ];
    for (refusal, status, expected) in cases {
        net.script(&person, |served| (served.refusal, served.status) = (Some(refusal), status));
        let summary = node.sync(&person).await;
        assert!(
            matches!(&summary.outcome, Outcome::Withheld { status, .. } if status == expected.as_str()),
            "{summary}"
        );
        let account = node.store.account(&person.did).await.unwrap().unwrap();
        assert_eq!(account.status, expected, "{refusal}");
        assert!(account.last_sync_error.is_some());
        assert_eq!((account.records, account.blobs_held), (41, 1));
        assert!(node.archive.list().await.unwrap()[0].words.contains(expected.as_str()));
    }
    net.script(&person, |served| (served.refusal, served.status) = (None, None));
    let summary = node.sync(&person).await;
    assert_eq!(summary.outcome, Outcome::Current);
    assert!(summary.notes.iter().any(|note| note.contains("again")), "{:?}", summary.notes);
    assert_eq!(node.store.account(&person.did).await.unwrap().unwrap().status, AccountStatus::Active);
    same(&node, &person, &state).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_host_is_an_error_in_plain_words() {
    let net = Fake::start().await;
    let person = Person::new(31, &net.url);
    let state = person.sign(0);
    net.publish(&person, &state);
    let node = Node::new(&net.url);
    node.add(&person).await;
    net.set_down(true);
    let error = node.archive.sync(&person.did, &Progress::none()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let line = node.archive.list().await.unwrap().remove(0);
    assert!(line.last_error.is_some() && line.words.contains("the last sync failed"), "{}", line.words);
    assert_eq!(line.status, "active", "silence says nothing about the account");
    assert!(node.store.workers().await.unwrap().is_empty());
    net.set_down(false);
    assert_eq!(node.sync(&person).await.outcome, Outcome::Current);
    assert!(node.archive.list().await.unwrap()[0].last_error.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reproduced_is_kept_as_it_came() {
    let net = Fake::start().await;
    let person = Person::new(32, &net.url);
    let mut state = person.sign(0);
    // The same tree with one node that spells its keys out in full where it must not: hashes and signature are right.
    let root = state.blocks[&state.commit.data].clone();
    let loose = loosen(&root);
    let data = Cid::of_cbor(&loose);
    let commit = p2pds_repo::commit::Unsigned { did: person.did.clone(), rev: state.rev, data }
        .sign(&person.signing)
        .unwrap();
    state.blocks.remove(&state.head);
    state.head = commit.cid();
    state.blocks.insert(state.head, commit.encode());
    state.blocks.insert(data, loose);
    state.commit = commit;
    net.publish(&person, &state);
    let node = Node::with(&net.url, test_config());
    let summary = node.add(&person).await;
    let Outcome::KeptVerbatim { file, .. } = &summary.outcome else { panic!("{summary}") };
    assert_eq!(std::fs::read(node.dir.path().join(file)).unwrap(), state.car(None));
    let account = node.store.account(&person.did).await.unwrap().unwrap();
    assert_eq!(account.verified, VerifiedState::Verbatim);
    let details = node.archive.show(&person.did).await.unwrap();
    assert_eq!(details.verbatim, vec![file.clone()]);
    assert!(details.findings.iter().any(|finding| finding.kind == "irreproducible"));
    let report = node.archive.verify(&person.did, VerifyOptions::default(), &Progress::none()).await.unwrap();
    assert_eq!(report.check(CheckName::Tree).unwrap().result, CheckResult::Skipped);
    // It is not fetched again until there is something new, and a sound state replaces it.
    let before = net.hits("com.atproto.sync.getRepo");
    assert_eq!(node.sync(&person).await.outcome, Outcome::Current);
    assert_eq!(net.hits("com.atproto.sync.getRepo"), before);
    let sound = person.sign(1);
    net.publish(&person, &sound);
    assert_eq!(node.sync(&person).await.outcome, Outcome::Stored);
    same(&node, &person, &sound).await;
    assert_eq!(node.store.account(&person.did).await.unwrap().unwrap().verified, VerifiedState::Verified);
}

/// A node with the prefix of its last compressed entry one byte shorter than it has to be.
fn loosen(node: &[u8]) -> Vec<u8> {
    let Value::Map(mut fields) = p2pds_ipld::cbor::decode(node, &p2pds_ipld::cbor::Limits::STRICT).unwrap()
    else {
        panic!("a node is a map")
    };
    let entries = fields.iter_mut().find(|(name, _)| name == "e").map(|(_, value)| value).unwrap();
    let Value::Array(entries) = entries else { panic!("e is a list") };
    let mut previous = Vec::new();
    let mut loosened = false;
    for entry in entries.iter_mut() {
        let (prefix, suffix) =
            (entry.get("p").unwrap().as_int().unwrap(), entry.get("k").unwrap().as_bytes().unwrap().to_vec());
        let mut key: Vec<u8> = previous[..prefix as usize].to_vec();
        key.extend_from_slice(&suffix);
        if prefix > 0 && !loosened {
            let Value::Map(parts) = entry else { panic!("an entry is a map") };
            for (name, value) in parts.iter_mut() {
                match name.as_str() {
                    "p" => *value = Value::Int(prefix - 1),
                    "k" => *value = Value::Bytes(key[prefix as usize - 1..].to_vec()),
                    _ => {}
                }
            }
            loosened = true;
        }
        previous = key;
    }
    assert!(loosened, "the root has an entry with a prefix");
    p2pds_ipld::cbor::encode(&Value::Map(fields))
}
