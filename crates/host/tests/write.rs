//! The write path over a real store: what is stored, signed and told agrees after any writes, whoever writes at the
//! same time, whatever the clock says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod shared;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use futures::future::join_all;
use p2pds_crypto::PublicKey;
use p2pds_host::HostError;
use p2pds_host::write::{
    Announce, EmptyCommit, MAX_WRITES, Status, Swap, Validate, Write, WriteOptions, Written,
};
use p2pds_ipld::Cid;
use p2pds_ipld::cbor::Value;
use p2pds_replica::Frame;
use p2pds_replica::frame::decode;
use p2pds_repo::event::prove;
use p2pds_repo::mst::root_of;
use p2pds_store::{BlobState, EventRow, LoginPatch, RecordsQuery, Unit};
use p2pds_syntax::{Did, RecordPath, Tid};
use proptest::prelude::*;
use shared::{Node, did, nsid, post, rkey};

/// What stands in a repo, as the model has it.
type Model = BTreeMap<String, Cid>;

const POST: &str = "app.bsky.feed.post";

fn create(collection: &str, key: Option<&str>, record: Value) -> Write {
    Write::Create { collection: nsid(collection), rkey: key.map(rkey), record }
}

fn put(key: &str, record: Value, swap: Swap) -> Write {
    Write::Put { collection: nsid(POST), rkey: rkey(key), record, swap }
}

fn delete(key: &str, swap: Swap) -> Write {
    Write::Delete { collection: nsid(POST), rkey: rkey(key), swap, missing_ok: true }
}

/// Schemas are another's matter: `lexicons.rs` of the host has its own tests.
fn options() -> WriteOptions {
    WriteOptions { validate: Validate::Skip, ..WriteOptions::default() }
}

fn name(result: Result<Written, HostError>) -> &'static str {
    result.expect_err("this must be refused").name
}

/// All events of the store.
async fn events(node: &Node) -> Vec<EventRow> {
    node.store.events_after(0, 100_000, usize::MAX).await.unwrap()
}

/// Proves every event of an account from its own blocks, checks that each follows the one before, and gives what the
/// repo holds if one goes by the events alone, with the last head.
fn replay(events: &[EventRow], did: &Did, key: &PublicKey) -> (Model, Option<(Tid, Cid)>) {
    let mut model = Model::new();
    let mut head: Option<(Tid, Cid)> = None;
    for row in events.iter().filter(|row| row.did == *did) {
        let Frame::Commit(frame) = decode(&row.frame).unwrap() else { continue };
        assert_eq!(frame.seq, u64::try_from(row.seq).unwrap());
        assert_eq!(frame.event.since, head.map(|(rev, _)| rev), "the event follows the one before");
        assert_eq!(frame.event.prev_data, head.map(|(_, data)| data));
        let verified = prove(frame.event).unwrap().signed_by(key).unwrap();
        let commit = verified.commit();
        assert!(head.is_none_or(|(rev, _)| commit.rev > rev), "revisions rise");
        for change in verified.changes() {
            let path = change.path.to_string();
            assert_eq!(change.old, model.get(&path).copied(), "{path} before");
            match change.new {
                Some((cid, bytes)) => {
                    assert!(cid.matches(bytes));
                    model.insert(path, cid);
                }
                None => {
                    model.remove(&path);
                }
            }
        }
        head = Some((commit.rev, commit.data));
    }
    (model, head)
}

/// What is stored of a repo, and its head.
async fn stored(node: &Node, did: &Did) -> (Model, (Tid, Cid)) {
    let repo = node.store.live_repo(did).await.unwrap().unwrap();
    let mut query = RecordsQuery::all(repo.id);
    (query.max_rows, query.max_bytes) = (usize::MAX, usize::MAX);
    let rows = node.store.records(query).await.unwrap();
    for row in &rows {
        assert!(row.cid.matches(row.body.as_ref().unwrap()));
    }
    let head = repo.head.unwrap();
    (rows.into_iter().map(|row| (row.key.to_string(), row.cid)).collect(), (head.rev, head.data))
}

/// The three views of a repo agree: the store, the events, the tree built anew.
async fn agree(node: &Node, did: &Did, key: &PublicKey) -> Model {
    let (told, told_head) = replay(&events(node).await, did, key);
    let (held, head) = stored(node, did).await;
    assert_eq!(told, held, "events and store");
    assert_eq!(told_head, Some(head));
    let root = root_of(held.iter().map(|(key, cid)| (key.as_bytes(), *cid))).unwrap();
    assert_eq!(root, head.1, "the tree is the one of the records");
    held
}

#[tokio::test]
async fn one_record_lives_and_dies() {
    let node = Node::new();
    let did = did(1);
    let key = node.account(&did).await;
    let written = node.host.write(&did, vec![create(POST, None, post("one"))], options()).await.unwrap();
    assert!(written.changed);
    let result = &written.results[0];
    assert_eq!(result.path.collection(), POST);
    assert!(Tid::parse(result.path.rkey()).is_ok(), "a key is made from the time");
    let held = agree(&node, &did, &key).await;
    assert_eq!(held.get(result.path.as_str()).copied(), result.cid);
    let repo = node.store.live_repo(&did).await.unwrap().unwrap();
    assert_eq!(repo.head.as_ref().unwrap().commit, written.commit);
    let row = node.store.record(repo.id, &result.path).await.unwrap().unwrap();
    let record = p2pds_ipld::cbor::decode(&row.body.unwrap(), &p2pds_ipld::cbor::Limits::STRICT).unwrap();
    assert_eq!(record.get("$type").and_then(Value::as_text), Some(POST), "the type is filled in");

    let at = result.path.rkey().to_owned();
    let again = node.host.write(&did, vec![put(&at, post("two"), Swap::Any)], options()).await.unwrap();
    let same = node.host.write(&did, vec![put(&at, post("two"), Swap::Any)], options()).await.unwrap();
    assert!(!same.changed && same.rev == again.rev, "a record that stands there is not written again");
    node.host.write(&did, vec![delete(&at, Swap::Any)], options()).await.unwrap();
    let nothing = node.host.write(&did, vec![delete(&at, Swap::Any)], options()).await.unwrap();
    assert!(!nothing.changed, "nothing is deleted twice");
    assert!(agree(&node, &did, &key).await.is_empty());
    assert_eq!(events(&node).await.len(), 4, "one event for the account, one for each change");
}

#[tokio::test]
async fn refusals_have_names_and_change_nothing() {
    let node = Node::new();
    let (one, nobody) = (did(1), did(2));
    let key = node.account(&one).await;
    let first = node.host.write(&one, vec![create(POST, Some("a"), post("a"))], options()).await.unwrap();
    let a = first.results[0].cid.unwrap();
    let other = Cid::of_cbor(b"other");
    let write = async |writes: Vec<Write>| name(node.host.write(&one, writes, options()).await);

    assert_eq!(write(vec![create(POST, Some("a"), post("b"))]).await, "RecordAlreadyExists");
    let update = Write::Update { collection: nsid(POST), rkey: rkey("b"), record: post("b") };
    assert_eq!(write(vec![update]).await, "RecordNotFound");
    let gone = Write::Delete { collection: nsid(POST), rkey: rkey("b"), swap: Swap::Any, missing_ok: false };
    assert_eq!(write(vec![gone]).await, "RecordNotFound");
    assert_eq!(write(vec![put("a", post("b"), Swap::Is(other))]).await, "InvalidSwap");
    assert_eq!(write(vec![put("a", post("b"), Swap::Absent)]).await, "InvalidSwap");
    assert_eq!(write(vec![put("b", post("b"), Swap::Is(a))]).await, "InvalidSwap");
    assert_eq!(write(vec![delete("a", Swap::Is(other))]).await, "InvalidSwap");
    let twice = vec![put("x", post("1"), Swap::Any), delete("x", Swap::Any)];
    assert_eq!(write(twice).await, "InvalidRequest", "one key, two writes");
    let many = (0..=MAX_WRITES).map(|n| create(POST, Some(&format!("n{n}")), post("x"))).collect();
    assert_eq!(write(many).await, "InvalidRequest");
    let large = "x".repeat(1_000_001);
    assert_eq!(write(vec![create(POST, None, post(&large))]).await, "InvalidRequest");
    let halves = "x".repeat(700_000);
    let event = (0..3).map(|_| create(POST, None, post(&halves))).collect();
    assert_eq!(write(event).await, "InvalidRequest", "more than an event holds");
    let typed = Value::map([("$type", Value::Text("app.bsky.feed.like".to_owned()))]);
    assert_eq!(write(vec![create(POST, None, typed)]).await, "InvalidRequest");
    assert_eq!(write(vec![create(POST, None, Value::Array(vec![]))]).await, "InvalidRequest");
    let legacy = Value::map([
        ("cid", Value::Text(Cid::of_raw(b"blob").to_string())),
        ("mimeType", Value::Text("image/png".to_owned())),
    ]);
    let legacy = Value::map([("avatar", legacy)]);
    assert_eq!(write(vec![create(POST, None, legacy)]).await, "InvalidRequest");

    let swap = WriteOptions { swap_commit: Some(other), ..options() };
    assert_eq!(name(node.host.write(&one, vec![put("c", post("c"), Swap::Any)], swap).await), "InvalidSwap");
    let strict = WriteOptions { validate: Validate::Required, ..options() };
    let unknown = vec![create("com.example.thing", None, Value::map([("a", Value::Int(1))]))];
    assert_eq!(name(node.host.write(&one, unknown, strict).await), "InvalidRequest");
    assert_eq!(name(node.host.write(&nobody, vec![delete("a", Swap::Any)], options()).await), "RepoNotFound");

    let held = agree(&node, &one, &key).await;
    assert_eq!(held.len(), 1, "nothing of it was written");
    assert_eq!(held[&format!("{POST}/a")], a);
    let (_, head) = stored(&node, &one).await;
    assert_eq!(head.0, first.rev);
}

#[tokio::test]
async fn what_a_schema_says_is_told_unless_nobody_asked() {
    let node = Node::new();
    let did = did(1);
    node.account(&did).await;
    let thing = || vec![create("com.example.thing", None, Value::map([("a", Value::Int(1))]))];
    let when = |validate| WriteOptions { validate, ..WriteOptions::default() };
    let unknown = node.host.write(&did, thing(), when(Validate::Known)).await.unwrap();
    assert_eq!(unknown.results[0].status, Some(Status::Unknown));
    let skipped = node.host.write(&did, thing(), when(Validate::Skip)).await.unwrap();
    assert_eq!(skipped.results[0].status, None);
    let posted = node.host.write(&did, vec![create(POST, None, post("x"))], when(Validate::Required)).await;
    assert_eq!(posted.unwrap().results[0].status, Some(Status::Valid));
    let wrong = || vec![create(POST, None, Value::map([("text", Value::Int(1))]))];
    assert_eq!(name(node.host.write(&did, wrong(), when(Validate::Known)).await), "InvalidRequest");
    assert!(node.host.write(&did, wrong(), when(Validate::Skip)).await.unwrap().changed);
    let key = vec![create(POST, Some("no-tid"), post("x"))];
    assert_eq!(name(node.host.write(&did, key, when(Validate::Known)).await), "InvalidRequest");
}

#[tokio::test]
async fn an_account_at_rest_is_not_written_to() {
    let node = Node::new();
    let did = did(1);
    let key = node.account(&did).await;
    node.host.write(&did, vec![create(POST, None, post("a"))], options()).await.unwrap();
    for (patch, want) in [
        (LoginPatch { deactivated_at: Some(Some(1)), ..LoginPatch::default() }, Some("AccountDeactivated")),
        (
            LoginPatch { takedown: Some(Some("t".to_owned())), ..LoginPatch::default() },
            Some("AccountTakedown"),
        ),
        (LoginPatch { deactivated_at: Some(None), takedown: Some(None), ..LoginPatch::default() }, None),
    ] {
        node.store.apply(Unit::PatchLogin { did: did.clone(), patch: Box::new(patch) }).await.unwrap();
        node.host.forget_account(&did).await;
        let result = node.host.write(&did, vec![create(POST, None, post("b"))], options()).await;
        match want {
            Some(want) => assert_eq!(name(result), want),
            None => assert!(result.unwrap().changed),
        }
    }
    agree(&node, &did, &key).await;
}

#[tokio::test]
async fn the_newest_of_the_same_subject_stays() {
    let node = Node::new();
    let did = did(1);
    let key = node.account(&did).await;
    let like = |of: &str| {
        let uri = format!("at://did:plc:ewvi7nxzyoun6zhxrhs64oiz/app.bsky.feed.post/{of}");
        let subject = Value::map([("uri", Value::Text(uri)), ("cid", Value::Text("x".to_owned()))]);
        vec![create("app.bsky.feed.like", None, Value::map([("subject", subject)]))]
    };
    let replace = || WriteOptions { replace_duplicates: true, ..options() };
    node.host.write(&did, like("a"), replace()).await.unwrap();
    node.host.write(&did, like("b"), replace()).await.unwrap();
    let newest = node.host.write(&did, like("a"), replace()).await.unwrap();
    assert_eq!(newest.results.len(), 1, "only what was asked for is answered");
    let held = agree(&node, &did, &key).await;
    assert_eq!(held.len(), 2);
    assert!(held.contains_key(newest.results[0].path.as_str()));
    // Without looking, a second one stands beside the first; then both give way.
    node.host.write(&did, like("a"), options()).await.unwrap();
    assert_eq!(agree(&node, &did, &key).await.len(), 3);
    node.host.write(&did, like("a"), replace()).await.unwrap();
    assert_eq!(agree(&node, &did, &key).await.len(), 2);
    // Of a deleted one nothing is left to give way.
    let gone = newest.results[0].path.clone();
    let delete = Write::Delete {
        collection: nsid("app.bsky.feed.like"),
        rkey: rkey(gone.rkey()),
        swap: Swap::Any,
        missing_ok: true,
    };
    node.host.write(&did, vec![delete], replace()).await.unwrap();
    node.host.write(&did, like("b"), replace()).await.unwrap();
    assert_eq!(agree(&node, &did, &key).await.len(), 2);
}

#[tokio::test]
async fn blobs_must_be_here_and_are_kept_from_then_on() {
    let node = Node::new();
    let did = did(1);
    let key = node.account(&did).await;
    let cid = Cid::of_raw(b"a picture");
    let blob = |size: i64, mime: &str| {
        Value::map([
            ("$type", Value::Text("blob".to_owned())),
            ("ref", Value::Link(cid)),
            ("mimeType", Value::Text(mime.to_owned())),
            ("size", Value::Int(size)),
        ])
    };
    let with = |blob: Value| vec![create(POST, None, Value::map([("image", blob)]))];
    let write = async |blob: Value| node.host.write(&did, with(blob), options()).await;
    assert_eq!(name(write(blob(9, "image/png")).await), "BlobNotFound");
    let state = async |state: BlobState| {
        let mime = Some("image/png".to_owned());
        let unit = Unit::PutBlob { did: did.clone(), cid, size: Some(9), mime, state };
        node.store.apply(unit).await.unwrap();
    };
    state(BlobState::Temporary { at: 1 }).await;
    assert_eq!(name(write(blob(8, "image/png")).await), "InvalidSize");
    assert_eq!(name(write(blob(9, "image/gif")).await), "InvalidMimeType");
    write(blob(9, "image/png")).await.unwrap();
    let held = async || node.store.blob(&did, &cid).await.unwrap().unwrap().state;
    assert_eq!(held().await, BlobState::Held, "named by a record, it stays");
    write(blob(9, "image/png")).await.unwrap();
    assert_eq!(name(write(blob(8, "image/png")).await), "InvalidSize");
    state(BlobState::Quarantined { reference: "t".to_owned() }).await;
    assert_eq!(name(write(blob(9, "image/png")).await), "BlobNotFound", "taken down");
    assert_eq!(agree(&node, &did, &key).await.len(), 2);
}

/// 64 clients that all insist on the commit they saw: every write is on top of another, none is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_clients_write_one_history() {
    let node = Node::new();
    let did = did(1);
    let key = node.account(&did).await;
    let client = async |number: usize| {
        let mut swaps = 0;
        loop {
            let head = node.store.live_repo(&did).await.unwrap().unwrap().head.unwrap().commit;
            let options = WriteOptions { swap_commit: Some(head), ..options() };
            let writes = vec![create(POST, Some(&format!("c{number}")), post("x"))];
            match node.host.write(&did, writes, options).await {
                Ok(written) => return (written.rev, swaps),
                Err(error) if error.name == "InvalidSwap" => swaps += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    let done = join_all((0..64).map(client)).await;
    let mut revs: Vec<Tid> = done.iter().map(|(rev, _)| *rev).collect();
    revs.sort_unstable();
    revs.dedup();
    assert_eq!(revs.len(), 64, "every write has a revision of its own");
    assert!(done.iter().any(|(_, swaps)| *swaps > 0), "they did get in each other's way");
    assert_eq!(agree(&node, &did, &key).await.len(), 64);
}

/// The same without swaps, over several accounts; some callers hang up.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_who_hang_up_leave_the_repo_whole() {
    let node = Node::new();
    let accounts: Vec<Did> = (0..4).map(did).collect();
    let mut keys = Vec::new();
    for did in &accounts {
        keys.push(node.account(did).await);
    }
    let writes = (0..200_usize).map(|n| {
        let (node, did) = (&node, &accounts[n % 4]);
        async move {
            let write =
                node.host.write(did, vec![create(POST, Some(&format!("w{n}")), post("x"))], options());
            if n % 5 == 0 {
                // Polled a few times and dropped, wherever it was.
                let mut write = Box::pin(write);
                for _ in 0..n % 7 {
                    if let std::task::Poll::Ready(done) = futures::poll!(write.as_mut()) {
                        return done.is_ok();
                    }
                    tokio::task::yield_now().await;
                }
                false
            } else {
                write.await.unwrap();
                true
            }
        }
    });
    let answered = join_all(writes).await.into_iter().filter(|done| *done).count();
    let mut held = 0;
    for (did, key) in accounts.iter().zip(&keys) {
        node.host.write(did, vec![create(POST, None, post("last"))], options()).await.unwrap();
        held += agree(&node, did, key).await.len() - 1;
    }
    assert!(held >= answered && answered >= 160, "{held} are held, {answered} were answered");
}

#[tokio::test]
async fn a_clock_that_goes_back_stops_nothing() {
    let node = Node::new();
    let did = did(1);
    let key = node.account(&did).await;
    let mut last: Option<Tid> = None;
    for step in [1_000_000, -3_600_000_000, 0, -86_400_000_000 * 400, 7, 86_400_000_000 * 400] {
        node.clock.fetch_add(step, Ordering::Relaxed);
        let written = node.host.write(&did, vec![create(POST, None, post("x"))], options()).await.unwrap();
        assert!(last.is_none_or(|last| written.rev > last));
        last = Some(written.rev);
        // Also for a process that does not remember.
        node.host.forget_account(&did).await;
    }
    assert_eq!(agree(&node, &did, &key).await.len(), 6, "no record key is used twice");
}

#[tokio::test]
async fn a_commit_without_changes_rises_and_may_change_the_key() {
    let node = Node::new();
    let did = did(1);
    let old = node.account(&did).await;
    node.host.write(&did, vec![create(POST, Some("a"), post("a"))], options()).await.unwrap();
    let announce = EmptyCommit { announce: Announce::Both, ..EmptyCommit::default() };
    let one = node.host.empty_commit(&did, announce).await.unwrap();
    agree(&node, &did, &old).await;
    let rows = events(&node).await;
    assert!(matches!(decode(&rows.last().unwrap().frame).unwrap(), Frame::Sync(sync) if sync.rev == one.rev));

    let key = node.host.keys().new_signing_key().unwrap();
    let did_key = p2pds_crypto::Signer::public_key(&key).to_did_key();
    let wrapped = node.host.keys().wrap(&key, &did).unwrap();
    let signer = node.host.keys().unwrap(&wrapped, &did).unwrap();
    let patch = LoginPatch { signing_key: Some((wrapped, did_key.clone())), ..LoginPatch::default() };
    let change = EmptyCommit {
        signer: Some(signer),
        before: vec![Unit::PatchLogin { did: did.clone(), patch: Box::new(patch) }],
        ..EmptyCommit::default()
    };
    let two = node.host.empty_commit(&did, change).await.unwrap();
    assert!(two.rev > one.rev);
    let three = node.host.write(&did, vec![create(POST, Some("b"), post("b"))], options()).await.unwrap();
    let head = node.store.live_repo(&did).await.unwrap().unwrap().head.unwrap();
    assert_eq!(
        (head.rev, head.key.as_str()),
        (three.rev, did_key.as_str()),
        "the new key signs from then on"
    );
    assert_eq!(stored(&node, &did).await.0.len(), 2);
}

#[tokio::test]
async fn idle_accounts_are_forgotten() {
    let node = Node::new();
    for number in 0..1_500 {
        let did = did(number);
        if number < 3 {
            node.account(&did).await;
            node.host.write(&did, vec![create(POST, None, post("x"))], options()).await.unwrap();
        } else {
            assert_eq!(
                name(node.host.write(&did, vec![delete("a", Swap::Any)], options()).await),
                "RepoNotFound"
            );
        }
    }
    assert!(node.host.hot_accounts() <= 1_024, "{} are remembered", node.host.hot_accounts());
    let again = node.host.write(&did(0), vec![create(POST, None, post("y"))], options()).await.unwrap();
    assert!(again.changed, "and found again");
}

/// What a random write does.
#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Batch(Vec<(u8, Option<u8>)>),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<u8>(), any::<u8>()).prop_map(|(key, text)| Step::Put(key, text)),
        2 => any::<u8>().prop_map(Step::Delete),
        2 => prop::collection::btree_map(any::<u8>(), any::<Option<u8>>(), 1..40)
            .prop_map(|writes| Step::Batch(writes.into_iter().collect())),
        1 => Just(Step::Restart),
    ]
}

fn path(key: u8) -> RecordPath {
    RecordPath::parse(&format!("{POST}/k{key}")).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_writes_give_what_the_model_has(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let node = Node::new();
            let did = did(1);
            let key = node.account(&did).await;
            let mut model: BTreeMap<String, u8> = BTreeMap::new();
            let at = |key: u8| format!("k{key}");
            for step in steps {
                let writes: Vec<(u8, Option<u8>)> = match step {
                    Step::Put(key, text) => vec![(key, Some(text))],
                    Step::Delete(key) => vec![(key, None)],
                    Step::Batch(writes) => writes,
                    Step::Restart => {
                        node.host.forget_account(&did).await;
                        continue;
                    }
                };
                let mut changes = false;
                let mut asked = Vec::new();
                for (key, text) in writes {
                    let before = model.get(path(key).as_str()).copied();
                    changes |= before != text;
                    asked.push(match text {
                        Some(text) => put(&at(key), post(&text.to_string()), Swap::Any),
                        None => delete(&at(key), Swap::Any),
                    });
                    match text {
                        Some(text) => model.insert(path(key).to_string(), text),
                        None => model.remove(path(key).as_str()),
                    };
                }
                let written = node.host.write(&did, asked, options()).await.unwrap();
                assert_eq!(written.changed, changes);
            }
            let held = agree(&node, &did, &key).await;
            assert!(held.keys().eq(model.keys()), "the same keys");
        });
    }
}
