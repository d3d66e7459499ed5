//! What the methods answer, compared with the account itself and with their lexicons.

use std::collections::BTreeSet;
use std::path::Path;

use axum::http::Method;
use p2pds_ipld::{Cid, json};
use p2pds_lexicon::{Catalog, Document};
use p2pds_store::{AccountPatch, AccountStatus, PlcRow, Serve};
use p2pds_syntax::Nsid;
use p2pds_testkit::madeup::{Content, MadeUp, State};
use p2pds_testkit::oracle::{POST, bulk_key, car_blocks, post_record};
use serde_json::Value;

use crate::house::{Door, House};

/// The PLC log of an account as it is stored.
pub fn plc_rows(account: &MadeUp) -> Vec<PlcRow> {
    let log: Vec<Value> = serde_json::from_slice(&account.plc_log).unwrap();
    let row = |entry: &Value| PlcRow {
        operation: entry["operation"].to_string().into_bytes(),
        cid: entry["cid"].as_str().unwrap().to_owned(),
        nullified: false,
        created_at: entry["createdAt"].as_str().unwrap().to_owned(),
    };
    log.iter().map(row).collect()
}

fn collect(dir: &Path, catalog: &mut Catalog) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, catalog);
        } else if let Ok(document) = Document::parse(&std::fs::read(&path).unwrap()) {
            catalog.insert(document);
        }
    }
}

/// The published schemas, where they are.
pub fn catalog() -> Option<Catalog> {
    let mut catalog = Catalog::new();
    collect(&p2pds_testkit::shared("lexicons")?, &mut catalog);
    Some(catalog)
}

/// A JSON answer of a method, as its lexicon has it when the lexicons are at hand.
async fn checked(door: &Door, catalog: &Option<Catalog>, nsid: &str, query: &str) -> Value {
    let reply = door.xrpc(nsid, query).await;
    assert_eq!(reply.status, 200, "{nsid}?{query}: {reply:?}");
    let body = reply.json();
    if let Some(catalog) = catalog {
        let value = json::from_json(&body).unwrap();
        catalog
            .validate_output(&Nsid::parse(nsid).unwrap(), &value)
            .unwrap_or_else(|error| panic!("{nsid}: {error}"));
    }
    body
}

fn large(account: &MadeUp, count: usize) -> (Content, State) {
    let mut content = Content::posts("large", count);
    for n in 0..5 {
        content.put_image(&format!("3kpic2222222{n}"), n, 3_000);
    }
    let state = account.sign(0, &content);
    (content, state)
}

#[tokio::test(flavor = "multi_thread")]
async fn json_answers_are_those_of_the_lexicons() {
    let (house, account, catalog) = (House::new(), MadeUp::new(3, "http://localhost:1"), catalog());
    let (_, state) = large(&account, 1_200);
    let did = house.public(&account, &state).await;
    let door = house.door();
    let get = async |nsid: &str, query: String| checked(&door, &catalog, nsid, &query).await;

    let head = get("com.atproto.sync.getLatestCommit", format!("did={did}")).await;
    assert_eq!((head["cid"].as_str().unwrap(), head["rev"].as_str().unwrap()), (&*state.commit, &*state.rev));
    let status = get("com.atproto.sync.getRepoStatus", format!("did={did}")).await;
    assert_eq!((&status["active"], status["rev"].as_str().unwrap()), (&Value::Bool(true), &*state.rev));
    let about = get("com.atproto.repo.describeRepo", format!("repo={}", account.handle)).await;
    assert_eq!(
        (about["did"].as_str().unwrap(), about["handle"].as_str().unwrap()),
        (&*account.did, &*account.handle)
    );
    assert_eq!((&about["collections"], &about["didDoc"]), (&serde_json::json!([POST]), &account.document()));
    let (path, body) = state.records.iter().nth(700).unwrap();
    let rkey = path.rsplit('/').next().unwrap();
    let record = get("com.atproto.repo.getRecord", format!("repo={did}&collection={POST}&rkey={rkey}")).await;
    assert_eq!(record["cid"].as_str().unwrap(), Cid::of_cbor(body).to_string());
    assert_eq!(record["uri"].as_str().unwrap(), format!("at://{did}/{path}"));
    assert_eq!(
        json::from_json(&record["value"]).unwrap(),
        p2pds_ipld::cbor::decode(body, &p2pds_ipld::cbor::Limits::RECORD).unwrap()
    );
    let other = format!("repo={did}&collection={POST}&rkey={rkey}&cid={}", state.commit);
    assert_eq!(door.xrpc("com.atproto.repo.getRecord", &other).await.error(), "RecordNotFound");
    let repos = get("com.atproto.sync.listRepos", String::new()).await;
    assert_eq!(repos["repos"][0]["head"].as_str().unwrap(), state.commit);
    let having = get("com.atproto.sync.listReposByCollection", format!("collection={POST}")).await;
    assert_eq!(having["repos"][0]["did"].as_str().unwrap(), account.did);
    let none =
        get("com.atproto.sync.listReposByCollection", "collection=app.bsky.feed.like".to_owned()).await;
    assert_eq!(none["repos"], serde_json::json!([]));
    let blobs = get("com.atproto.sync.listBlobs", format!("did={did}")).await;
    let listed: BTreeSet<&str> =
        blobs["cids"].as_array().unwrap().iter().map(|cid| cid.as_str().unwrap()).collect();
    assert_eq!(listed, state.blobs.keys().map(String::as_str).collect());
    let reply = door.xrpc("com.atproto.sync.getLatestCommit", &format!("did={did}")).await;
    assert_eq!(reply.header("x-p2pds-mirror"), format!("pds.example.com; rev={}", state.rev));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_go_through_all_records_both_ways() {
    let (house, account, catalog) = (House::new(), MadeUp::new(4, "http://localhost:1"), catalog());
    let (_, state) = large(&account, 1_500);
    let did = house.public(&account, &state).await;
    let door = house.door();
    let keys: Vec<&str> = state.records.keys().map(|path| path.rsplit('/').next().unwrap()).collect();
    for (reverse, limit) in [(false, 100), (true, 100), (false, 7), (true, 33)] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let query = format!("repo={did}&collection={POST}&limit={limit}&reverse={reverse}{cursor}");
            let page = checked(&door, &catalog, "com.atproto.repo.listRecords", &query).await;
            for record in page["records"].as_array().unwrap() {
                let path = record["uri"].as_str().unwrap().trim_start_matches(&format!("at://{did}/"));
                assert_eq!(record["cid"].as_str().unwrap(), Cid::of_cbor(&state.records[path]).to_string());
                seen.push(path.rsplit('/').next().unwrap().to_owned());
            }
            match page["cursor"].as_str() {
                Some(next) if limit > 50 || seen.len() < 300 => cursor = format!("&cursor={next}"),
                _ => break,
            }
        }
        let wanted: Vec<&str> = if reverse { keys.clone() } else { keys.iter().rev().copied().collect() };
        assert_eq!(seen, wanted[..seen.len()], "reverse={reverse} limit={limit}");
        assert!(limit < 50 || seen.len() == keys.len());
    }
    for wrong in ["limit=0", "limit=101", "limit=x", "cursor=a%2Fb", "reverse=maybe"] {
        let reply =
            door.xrpc("com.atproto.repo.listRecords", &format!("repo={did}&collection={POST}&{wrong}")).await;
        assert_eq!((reply.status, reply.error().as_str()), (400, "InvalidRequest"), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repos_come_whole_and_in_part() {
    let (house, account) = (House::new(), MadeUp::new(5, "http://localhost:1"));
    let (mut content, first) = large(&account, 3_000);
    let did = house.public(&account, &first).await;
    let door = house.door();
    let whole = door.xrpc("com.atproto.sync.getRepo", &format!("did={did}")).await;
    assert!(whole.whole && whole.status == 200);
    assert_eq!(car_blocks(&whole.body).unwrap(), (first.commit.clone(), first.blocks.clone()));
    assert_eq!(whole.header("content-type"), "application/vnd.ipld.car");
    let tag = [("if-none-match", whole.header("etag"))];
    let same = door.send(Method::GET, &format!("/xrpc/com.atproto.sync.getRepo?did={did}"), &tag).await;
    assert_eq!((same.status, same.body.len()), (304, 0));

    // Two live commits: the tree is computed only now.
    content.put(&bulk_key("large", 17), &post_record("changed"));
    content.delete(&bulk_key("large", 2_000));
    let second = account.sign(1, &content);
    house.commit(&account, &first, &second).await;
    content.put("3lnew22222222", &post_record("new"));
    let third = account.sign(2, &content);
    house.commit(&account, &second, &third).await;
    let whole = door.xrpc("com.atproto.sync.getRepo", &format!("did={did}")).await;
    assert_eq!(car_blocks(&whole.body).unwrap(), (third.commit.clone(), third.blocks.clone()));
    for (since, sent_at_most) in [(&first, 400), (&second, 300), (&third, 1)] {
        let query = format!("did={did}&since={}", since.rev);
        let part = door.xrpc("com.atproto.sync.getRepo", &query).await;
        let (root, blocks) = car_blocks(&part.body).unwrap();
        assert_eq!(root, third.commit);
        assert!(
            blocks.iter().all(|(cid, bytes)| third.blocks.get(cid) == Some(bytes)),
            "only of the present repo"
        );
        let lacking: Vec<_> = third
            .blocks
            .keys()
            .filter(|cid| !since.blocks.contains_key(*cid) && !blocks.contains_key(*cid))
            .collect();
        assert!(lacking.is_empty(), "since {}: {} blocks lack", since.rev, lacking.len());
        assert!(blocks.len() <= sent_at_most, "since {}: {} blocks", since.rev, blocks.len());
    }
    let odd = door.xrpc("com.atproto.sync.getRepo", &format!("did={did}&since=yesterday")).await;
    assert_eq!(odd.error(), "InvalidRequest");
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_and_proofs() {
    let (house, account) = (House::new(), MadeUp::new(6, "http://localhost:1"));
    let (_, state) = large(&account, 2_000);
    let did = house.public(&account, &state).await;
    let door = house.door();
    let all: Vec<&String> = state.blocks.keys().collect();
    for some in all.chunks(150).step_by(3) {
        let cids: String = some.iter().map(|cid| format!("&cids={cid}")).collect();
        let reply = door.xrpc("com.atproto.sync.getBlocks", &format!("did={did}{cids}")).await;
        // A CAR without a root: its sections are those of one with a root, after another header.
        let sections = sections(&reply.body);
        assert_eq!(sections.len(), some.len());
        assert!(sections.iter().all(|(cid, bytes)| state.blocks[cid] == *bytes));
    }
    let absent = Cid::of_cbor(b"absent");
    let reply = door
        .xrpc("com.atproto.sync.getBlocks", &format!("did={did}&cids={}&cids={absent}", state.commit))
        .await;
    assert_eq!((reply.status, reply.error().as_str()), (400, "BlockNotFound"));
    assert!(reply.json()["message"].as_str().unwrap().contains(&absent.to_string()));

    let (path, body) = state.records.iter().nth(1_234).unwrap();
    for (rkey, there) in [(path.rsplit('/').next().unwrap(), true), ("3lzzzzzzzzzzz", false), ("222", false)]
    {
        let query = format!("did={did}&collection={POST}&rkey={rkey}");
        let reply = door.xrpc("com.atproto.sync.getRecord", &query).await;
        let (root, blocks) = car_blocks(&reply.body).unwrap();
        assert_eq!(root, state.commit);
        assert!(blocks.iter().all(|(cid, bytes)| state.blocks[cid] == *bytes));
        assert_eq!(blocks.contains_key(&Cid::of_cbor(body).to_string()), there, "{rkey}");
        let decoded: Vec<(Cid, Vec<u8>)> =
            blocks.into_iter().map(|(cid, bytes)| (cid.parse().unwrap(), bytes)).collect();
        let mut proof = p2pds_repo::mst::Blocks::with_capacity(decoded.len());
        assert!(decoded.iter().all(|(cid, bytes)| proof.add(*cid, bytes)));
        let key = format!("{POST}/{rkey}");
        let value =
            p2pds_repo::mst::check_proof(state.data.parse().unwrap(), &mut proof, key.as_bytes()).unwrap();
        assert_eq!(value, there.then(|| Cid::of_cbor(body)), "{rkey}");
    }
}

/// Sections of a CAR after its header.
pub fn sections(car: &[u8]) -> Vec<(String, Vec<u8>)> {
    let cars = p2pds_ipld::car::SliceReader::new(car, p2pds_ipld::car::CarLimits::default()).unwrap();
    let section = |section: p2pds_ipld::car::Section<'_>| match section.cid {
        p2pds_ipld::car::SectionCid::Plain(cid) => (cid.to_string(), section.bytes.to_vec()),
        odd => panic!("{odd:?}"),
    };
    cars.map(|one| section(one.unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_whole_in_part_and_not_at_all() {
    let (house, account) = (House::new(), MadeUp::new(7, "http://localhost:1"));
    let mut content = Content::posts("blobs", 10);
    content.put_image("3kpic22222222", 1, 700_000);
    let state = account.sign(0, &content);
    let did = house.public(&account, &state).await;
    let door = house.door();
    let (cid, bytes) = state.blobs.iter().next().unwrap();
    let path = format!("/xrpc/com.atproto.sync.getBlob?did={did}&cid={cid}");
    let whole = door.get(&path).await;
    assert!(whole.status == 200 && whole.body == *bytes && whole.header("content-type") == "image/png");
    assert!(whole.header("content-disposition").starts_with("attachment"));
    let head = door.send(Method::HEAD, &path, &[]).await;
    assert_eq!(
        (head.status, head.body.len(), head.header("content-length")),
        (200, 0, bytes.len().to_string().as_str())
    );
    let part = door.send(Method::GET, &path, &[("range", "bytes=300000-300009")]).await;
    assert_eq!((part.status, &part.body[..]), (206, &bytes[300_000..300_010]));
    assert_eq!(part.header("content-range"), format!("bytes 300000-300009/{}", bytes.len()));
    let beyond = door.send(Method::GET, &path, &[("range", "bytes=700000-")]).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */700000"));
    let same = door.send(Method::GET, &path, &[("if-none-match", whole.header("etag"))]).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    let other =
        door.xrpc("com.atproto.sync.getBlob", &format!("did={did}&cid={}", Cid::of_raw(b"other"))).await;
    assert_eq!((other.status, other.error().as_str()), (400, "BlobNotFound"));

    // One byte changes on the disk: none of it goes out any more, in part or whole.
    let file = house.blobs.path(&did, &cid.parse().unwrap());
    let mut damaged = bytes.clone();
    damaged[5] ^= 1;
    std::fs::write(&file, &damaged).unwrap();
    for headers in [&[][..], &[("range", "bytes=300000-300009")][..]] {
        let reply = door.send(Method::GET, &path, headers).await;
        assert_eq!((reply.status, reply.error().as_str()), (500, "InternalServerError"));
    }
    assert_eq!(door.get(&format!("/.well-known/rasl/{cid}")).await.status, 500);
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(door.get(&path).await.body, *bytes);

    // The record that named it goes: so does the blob, from every path, though its file is still here.
    let mut without = content.clone();
    without.delete("3kpic22222222");
    let next = account.sign(1, &without);
    house.commit(&account, &state, &next).await;
    assert_eq!(door.get(&path).await.error(), "BlobNotFound");
    assert_eq!(door.get(&format!("/.well-known/rasl/{cid}")).await.status, 404);
    assert_eq!(door.get(&format!("/ipfs/{cid}?format=raw")).await.status, 404);
    let listed = door.xrpc("com.atproto.sync.listBlobs", &format!("did={did}")).await.json();
    assert_eq!(listed["cids"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_that_are_new_since_a_rev() {
    let (house, account) = (House::new(), MadeUp::new(8, "http://localhost:1"));
    let mut content = Content::posts("since", 10);
    for n in 0..4 {
        content.put_image(&format!("3kpic2222222{n}"), n, 500);
    }
    let first = account.sign(0, &content);
    let did = house.public(&account, &first).await;
    content.put_image("3kpic22222229", 99, 500);
    let second = account.sign(1, &content);
    house.commit(&account, &first, &second).await;
    let door = house.door();
    let list = async |query: &str| {
        let body = door.xrpc("com.atproto.sync.listBlobs", &format!("did={did}{query}")).await.json();
        let cids = body["cids"].as_array().unwrap().iter().map(|cid| cid.as_str().unwrap().to_owned());
        (cids.collect::<Vec<_>>(), body["cursor"].as_str().map(ToOwned::to_owned))
    };
    let new: Vec<String> =
        second.blobs.keys().filter(|cid| !first.blobs.contains_key(*cid)).cloned().collect();
    assert_eq!(list(&format!("&since={}", first.rev)).await.0, new);
    assert!(list(&format!("&since={}", second.rev)).await.0.is_empty());
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let (page, next) = list(&format!("&limit=2{cursor}")).await;
        all.extend(page);
        let Some(next) = next else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(all.len(), second.blobs.len(), "each once");
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), second.blobs.keys().cloned().collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_names_of_the_protocol() {
    let (house, account) = (House::new(), MadeUp::new(9, "http://localhost:1"));
    let state = account.sign(0, &Content::posts("errors", 3));
    let did = house.public(&account, &state).await;
    let door = house.door();
    let status = async |status: AccountStatus| {
        house.patch(&did, AccountPatch { status: Some(status), ..AccountPatch::default() }).await;
        let error = door.xrpc("com.atproto.sync.getRepo", &format!("did={did}")).await.error();
        let told = door.xrpc("com.atproto.sync.getRepoStatus", &format!("did={did}")).await.json();
        (error, told["status"].as_str().unwrap_or_default().to_owned())
    };
    for (now, error) in [
        (AccountStatus::Takendown, "RepoTakendown"),
        (AccountStatus::Suspended, "RepoSuspended"),
        (AccountStatus::Deactivated, "RepoDeactivated"),
        (AccountStatus::Deleted, "RepoNotFound"),
    ] {
        assert_eq!(status(now).await, (error.to_owned(), now.as_str().to_owned()));
    }
    // What is not served and what is not here are told apart by nobody.
    house.serve(&did, Serve::Nobody).await;
    let hidden = door.xrpc("com.atproto.sync.getRepo", &format!("did={did}")).await;
    let nobody = door.xrpc("com.atproto.sync.getRepo", "did=did:plc:aaaaaaaaaaaaaaaaaaaaaaaa").await;
    assert_eq!((hidden.status, hidden.error().as_str()), (400, "RepoNotFound"));
    assert_eq!(nobody.error(), "RepoNotFound");
    let words = |reply: &crate::house::Reply| {
        reply.json()["message"].as_str().unwrap().split(": ").next().unwrap().to_owned()
    };
    assert_eq!(words(&hidden), words(&nobody));
    for (query, path) in [
        ("", "com.atproto.sync.getRepo"),
        ("did=alice", "com.atproto.sync.getRepo"),
        ("did=did:web:a.b&cid=x", "com.atproto.sync.getBlob"),
    ] {
        let reply = door.xrpc(path, query).await;
        assert_eq!((reply.status, reply.error().as_str()), (400, "InvalidRequest"), "{path}?{query}");
    }
    let wrong = [("authorization", "Bearer guess")];
    let reply = door.send(Method::GET, &format!("/xrpc/com.atproto.sync.getRepo?did={did}"), &wrong).await;
    assert_eq!(
        (reply.status, reply.error().as_str(), reply.header("www-authenticate")),
        (401, "AuthenticationRequired", "Bearer")
    );
}
