//! The methods of this project's own namespace, and their schemas in `lexicons/`.

use std::path::{Path, PathBuf};

use p2pds_ipld::json;
use p2pds_lexicon::{Catalog, Definition, Document};
use p2pds_store::{AccountPatch, AccountStatus, Serve, Unit};
use p2pds_syntax::{Did, Nsid};
use p2pds_testkit::madeup::{Content, MadeUp, State};
use p2pds_testkit::oracle::{POST, post_record};
use serde_json::{Value, json};

use crate::house::{House, TOKEN};
use crate::methods::plc_rows;

fn schemas(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { schemas(&path, found) } else { found.push(path) }
    }
}

/// The project's schemas, each under its own name.
fn catalog() -> Catalog {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lexicons");
    let (mut paths, mut catalog) = (Vec::new(), Catalog::new());
    schemas(&root, &mut paths);
    for path in paths {
        let document = Document::parse(&std::fs::read(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name =
            path.strip_prefix(&root).unwrap().with_extension("").display().to_string().replace('/', ".");
        assert_eq!(document.id().as_str(), name, "{}", path.display());
        catalog.insert(document);
    }
    catalog
}

fn posts(label: &str, posts: usize, likes: usize) -> Content {
    let mut content = Content::posts(label, posts);
    for n in 0..likes {
        content.put_at("app.bsky.feed.like", &format!("3k{n:011}"), &post_record("a like"));
    }
    content.put_at("app.bsky.actor.profile", "self", &post_record("me"));
    content
}

fn counts(body: &Value) -> Vec<(&str, u64, u64)> {
    let line = |line: &'_ Value| (line["repoCount"].as_u64().unwrap(), line["recordCount"].as_u64().unwrap());
    let lines = body["lexicons"].as_array().unwrap();
    lines.iter().map(|l| (l["nsid"].as_str().unwrap(), line(l).0, line(l).1)).collect()
}

/// Every served method of the namespace has a schema, and every schema of a query is served.
#[test]
fn each_method_has_its_schema() {
    let catalog = catalog();
    assert_eq!(catalog.dangling(), []);
    for method in p2pds_xrpc::methods().filter(|method| method.nsid.starts_with("org.p2pds.")) {
        let document = catalog.get(&Nsid::parse(method.nsid).unwrap());
        let main = document.and_then(Document::main);
        assert!(matches!(main, Some(Definition::Query(_))), "{}: no schema of a query", method.nsid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_counts_what_is_served_and_nothing_else() {
    let (house, catalog) = (House::new(), catalog());
    let [alice, bob, carol, dora] = [11, 12, 13, 14].map(|seed| MadeUp::new(seed, "http://localhost:1"));
    let state = |account: &MadeUp, n: usize, likes: usize| account.sign(0, &posts(&account.handle, n, likes));
    house.public(&alice, &state(&alice, 30, 2)).await;
    let bobs = house.public(&bob, &state(&bob, 5, 70)).await;
    let carols = house.put(&carol, &state(&carol, 1_000, 1_000)).await;
    let doras = house.public(&dora, &state(&dora, 400, 0)).await;
    let patch = async |did: &Did, patch: AccountPatch| {
        let unit = Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) };
        house.store.apply(unit).await.unwrap();
    };
    patch(&doras, AccountPatch { status: Some(AccountStatus::Takendown), ..AccountPatch::default() }).await;
    let get = async |nsid: &str, query: &str| {
        let reply = house.door().xrpc(nsid, query).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let value = json::from_json(&reply.json()).unwrap();
        catalog.validate_output(&Nsid::parse(nsid).unwrap(), &value).unwrap();
        reply.json()
    };
    let all = get("org.p2pds.lexicon.list", "").await;
    let wanted = [("app.bsky.feed.like", 2, 72), (POST, 2, 35), ("app.bsky.actor.profile", 2, 2)];
    assert_eq!(counts(&all), wanted);
    assert_eq!(all["lexicons"][0]["firstSeen"], "2026-01-01T00:00:00.000Z");
    assert_eq!(counts(&get("org.p2pds.lexicon.list", "limit=1").await), wanted[..1]);
    let found = get("org.p2pds.lexicon.search", "q=app.bsky.feed").await;
    assert_eq!(counts(&found), wanted[..2], "by name");
    assert_eq!(counts(&get("org.p2pds.lexicon.search", "q=app.bsky.feed&limit=1").await), wanted[..1]);
    assert_eq!(counts(&get("org.p2pds.lexicon.search", "q=feed").await), [], "the beginning of a name");
    let stats = get("org.p2pds.lexicon.stats", "").await;
    assert_eq!(stats, json!({ "uniqueNsids": 3, "totalRecords": 109 }));
    for query in ["limit=0", "limit=1001", "limit=x"] {
        assert_eq!(
            house.door().xrpc("org.p2pds.lexicon.list", query).await.error(),
            "InvalidRequest",
            "{query}"
        );
    }

    // What is served to peers counts for peers.
    let basis = Some(Some("agreed".to_owned()));
    patch(&carols, AccountPatch { serve: Some(Serve::Peers), serve_basis: basis, ..AccountPatch::default() })
        .await;
    let bearer = format!("Bearer {TOKEN}");
    let as_peer = house
        .door()
        .send(axum::http::Method::GET, "/xrpc/org.p2pds.lexicon.stats", &[("authorization", &bearer)])
        .await;
    assert_eq!(as_peer.json(), json!({ "uniqueNsids": 3, "totalRecords": 109 + 2_001 }));
    assert_eq!(get("org.p2pds.lexicon.stats", "").await, stats);
    // And what is hidden again, for nobody.
    patch(&bobs, AccountPatch { serve: Some(Serve::Nobody), ..AccountPatch::default() }).await;
    assert_eq!(get("org.p2pds.lexicon.stats", "").await["totalRecords"], 33);
}

/// One door adds up once for all who ask at about the same time, and again soon.
#[tokio::test(flavor = "multi_thread")]
async fn sums_are_used_again_for_a_moment_only() {
    let (house, alice) = (House::new(), MadeUp::new(11, "http://localhost:1"));
    let did = house.public(&alice, &alice.sign(0, &Content::posts("a", 3))).await;
    let door = house.door();
    let total =
        async || door.xrpc("org.p2pds.lexicon.stats", "").await.json()["totalRecords"].as_u64().unwrap();
    assert_eq!(total().await, 3);
    let patch = Box::new(AccountPatch { serve: Some(Serve::Nobody), ..AccountPatch::default() });
    house.store.apply(Unit::PatchAccount { did, patch }).await.unwrap();
    let hidden = tokio::time::timeout(std::time::Duration::from_secs(120), async {
        while total().await > 0 {
            // Slower than the limit on questions.
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    });
    hidden.await.expect("a hidden account is not counted any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_logs_are_the_directorys() {
    let (house, catalog, alice) = (House::new(), catalog(), MadeUp::new(11, "http://localhost:1"));
    let nsid = "org.p2pds.plc.getLog";
    let state: State = alice.sign(0, &Content::posts("a", 3));
    let did = house.put(&alice, &state).await;
    let query = format!("did={did}");
    let unit = Unit::PutPlcLog { did: did.clone(), ops: plc_rows(&alice), fetched_at: 1_767_225_600_000_000 };
    house.store.apply(unit).await.unwrap();
    assert_eq!(house.door().xrpc(nsid, &query).await.error(), "RepoNotFound", "served to nobody");
    let basis = Some(Some("asked for".to_owned()));
    let patch = AccountPatch { serve: Some(Serve::Public), serve_basis: basis, ..AccountPatch::default() };
    house.store.apply(Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) }).await.unwrap();
    let reply = house.door().xrpc(nsid, &query).await.json();
    let value = json::from_json(&reply).unwrap();
    catalog.validate_output(&Nsid::parse(nsid).unwrap(), &value).unwrap();
    let log: Value = serde_json::from_slice(&alice.plc_log).unwrap();
    assert_eq!(reply["log"], log);
    assert_eq!(reply["fetchedAt"], "2026-01-01T00:00:00.000Z");
    let bob = MadeUp::new(12, "http://localhost:1");
    let bobs = house.public(&bob, &bob.sign(0, &Content::posts("b", 3))).await;
    assert_eq!(house.door().xrpc(nsid, &format!("did={bobs}")).await.error(), "LogNotFound");
    assert_eq!(house.door().xrpc(nsid, "did=nobody").await.error(), "InvalidRequest");
    assert_eq!(house.door().xrpc(nsid, "").await.error(), "InvalidRequest");
}
