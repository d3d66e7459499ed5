//! RASL and the trustless gateway, and above all what they do not give out.

use axum::http::Method;
use p2pds_ipld::Cid;
use p2pds_reading::Viewer;
use p2pds_store::{AccountPatch, AccountStatus, Serve};
use p2pds_testkit::madeup::{Content, MadeUp, State};
use p2pds_testkit::oracle::{POST, bulk_key, car_blocks, post_record};
use p2pds_xrpc::XrpcConfig;

use crate::house::{Door, House};
use crate::methods::sections;

const RAW: &str = "application/vnd.ipld.raw";
const CAR: &str = "application/vnd.ipld.car; version=1; order=dfs; dups=y";

#[tokio::test(flavor = "multi_thread")]
async fn every_block_comes_raw() {
    let (house, account) = (House::new(), MadeUp::new(20, "http://localhost:1"));
    let mut content = Content::posts("raw", 1_500);
    content.put_image("3kpic22222222", 3, 4_000);
    let state = account.sign(0, &content);
    house.public(&account, &state).await;
    let door = house.door_with(XrpcConfig { requests: u32::MAX, ..XrpcConfig::default() });
    for (cid, bytes) in state
        .blocks
        .iter()
        .step_by(7)
        .chain(&state.blobs)
        .chain([(&state.commit, &state.blocks[&state.commit])])
    {
        let rasl = door.get(&format!("/.well-known/rasl/{cid}")).await;
        assert_eq!((rasl.status, rasl.header("content-type")), (200, "application/octet-stream"), "{cid}");
        assert_eq!(&rasl.body, bytes);
        let raw = door.get(&format!("/ipfs/{cid}?format=raw")).await;
        assert_eq!((raw.status, raw.header("content-type")), (200, RAW), "{cid}");
        assert_eq!(&raw.body, bytes);
        assert_eq!(raw.header("content-disposition"), format!("attachment; filename=\"{cid}.bin\""));
    }
    let head = door.send(Method::HEAD, &format!("/ipfs/{}?format=raw", state.commit), &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), state.blocks[&state.commit].len().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn cars_of_blocks_subtrees_and_repos() {
    let (house, account) = (House::new(), MadeUp::new(21, "http://localhost:1"));
    let state = account.sign(0, &Content::posts("cars", 2_000));
    house.public(&account, &state).await;
    let door = house.door_with(XrpcConfig { requests: u32::MAX, ..XrpcConfig::default() });
    let whole = door.get(&format!("/ipfs/{}?format=car", state.commit)).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, CAR));
    assert_eq!(car_blocks(&whole.body).unwrap(), (state.commit.clone(), state.blocks.clone()));
    let tree = door.get(&format!("/ipfs/{}?format=car&dag-scope=all", state.data)).await;
    let (root, mut blocks) = car_blocks(&tree.body).unwrap();
    assert_eq!(root, state.data);
    blocks.insert(state.commit.clone(), state.blocks[&state.commit].clone());
    assert_eq!(blocks, state.blocks, "everything but the commit is below the root node");

    // Any node: all of its subtree and nothing else, whatever layer it stands on.
    let mut sizes = std::collections::BTreeSet::new();
    let node = |bytes: &[u8]| {
        p2pds_repo::mst::NodeView::parse_any(bytes).ok().map(|view| {
            view.left()
                .into_iter()
                .chain(view.entries().flat_map(|entry| [Some(entry.value), entry.right]).flatten())
                .map(|cid| cid.to_string())
                .collect::<Vec<_>>()
        })
    };
    for (cid, _) in state.blocks.iter().filter(|(_, bytes)| node(bytes).is_some()).step_by(23) {
        let mut below = std::collections::BTreeMap::new();
        let mut left = vec![cid.clone()];
        while let Some(cid) = left.pop() {
            left.extend(node(&state.blocks[&cid]).unwrap_or_default());
            below.insert(cid.clone(), state.blocks[&cid].clone());
        }
        let car = door.get(&format!("/ipfs/{cid}?format=car")).await;
        assert!(car.whole);
        assert_eq!(car_blocks(&car.body).unwrap(), (cid.clone(), below.clone()));
        sizes.insert(below.len());
    }
    assert!(sizes.len() > 5, "subtrees of many sizes: {sizes:?}");
    let one = door.get(&format!("/ipfs/{}?format=car&dag-scope=block", state.data)).await;
    assert_eq!(sections(&one.body), vec![(state.data.clone(), state.blocks[&state.data].clone())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_keeps_to_its_specification() {
    let (house, account) = (House::new(), MadeUp::new(22, "http://localhost:1"));
    let state = account.sign(0, &Content::posts("spec", 5));
    house.public(&account, &state).await;
    let door = house.door();
    let cid = &state.commit;
    let get = async |path: &str, headers: &[(&str, &str)]| door.send(Method::GET, path, headers).await;
    let probe = get("/ipfs/bafkqaaa?format=raw", &[]).await;
    assert_eq!((probe.status, probe.body.len(), probe.header("content-type")), (200, 0, RAW));
    assert_eq!(get("/ipfs/bafkqaaa", &[("accept", RAW)]).await.status, 200);
    // Which form.
    assert_eq!(get(&format!("/ipfs/{cid}"), &[]).await.status, 400);
    assert_eq!(get(&format!("/ipfs/{cid}"), &[("accept", "text/html,*/*")]).await.status, 400);
    assert_eq!(get(&format!("/ipfs/{cid}?format=tar"), &[]).await.status, 400);
    let negotiated =
        get(&format!("/ipfs/{cid}"), &[("accept", "text/html, application/vnd.ipld.raw;q=0.9")]).await;
    assert_eq!((negotiated.status, negotiated.header("content-type")), (200, RAW));
    assert_eq!(negotiated.header("content-location"), format!("/ipfs/{cid}?format=raw"));
    let wins = get(&format!("/ipfs/{cid}?format=raw"), &[("accept", "application/vnd.ipld.car")]).await;
    assert_eq!(wins.header("content-type"), RAW);
    let car =
        get(&format!("/ipfs/{cid}"), &[("accept", "application/vnd.ipld.car; version=1; order=dfs; dups=n")])
            .await;
    assert_eq!((car.status, car.header("content-type")), (200, CAR), "says what it did, not what was asked");
    assert_ne!(car.header("etag"), wins.header("etag"));
    for wrong in ["dag-scope=some", "car-version=2"] {
        assert_eq!(get(&format!("/ipfs/{cid}?format=car&{wrong}"), &[]).await.status, 400, "{wrong}");
    }
    // What is not here.
    let absent = Cid::of_cbor(b"absent");
    assert_eq!(get(&format!("/ipfs/{absent}?format=raw"), &[]).await.status, 404);
    let cached = [("cache-control", "no-transform, only-if-cached")];
    assert_eq!(get(&format!("/ipfs/{absent}?format=raw"), &cached).await.status, 412);
    assert_eq!(get(&format!("/ipfs/{cid}?format=raw"), &cached).await.status, 200);
    for other in
        ["QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG", "k51qzi5uqu5d", "bafy", "..%2f..%2fetc%2fpasswd"]
    {
        assert_eq!(get(&format!("/ipfs/{other}?format=raw"), &[]).await.status, 400, "{other}");
    }
    assert_eq!(get(&format!("/ipfs/{cid}/path?format=raw"), &[]).await.status, 404);
    let off = house.door_with(XrpcConfig { gateway: false, ..XrpcConfig::default() });
    assert_eq!(off.get(&format!("/ipfs/{cid}?format=raw")).await.status, 404);
    assert_eq!(off.get(&format!("/.well-known/rasl/{cid}")).await.status, 404);
}

/// Every path by which a block could be had, and what each says.
async fn everywhere(door: &Door, did: &str, cid: &str) -> Vec<u16> {
    let mut all = Vec::new();
    for path in [
        format!("/.well-known/rasl/{cid}"),
        format!("/ipfs/{cid}?format=raw"),
        format!("/ipfs/{cid}?format=car"),
        format!("/ipfs/{cid}?format=car&dag-scope=block"),
        format!("/xrpc/com.atproto.sync.getBlocks?did={did}&cids={cid}"),
    ] {
        all.push(door.get(&path).await.status);
    }
    all
}

fn one_record(account: &MadeUp, text: &str, step: u64) -> (State, String) {
    let mut content = Content::default();
    content.put("3kshared22222", &post_record(text));
    let state = account.sign(step, &content);
    let cid = Cid::of_cbor(state.records.values().next().unwrap()).to_string();
    (state, cid)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_had_only_from_an_account_that_has_it_now_and_may_be_read() {
    let house = House::new();
    let (open, hidden) = (MadeUp::new(23, "http://localhost:1"), MadeUp::new(24, "http://localhost:1"));
    let (before, secret) = one_record(&open, "the same words", 0);
    let open_did = house.public(&open, &before).await;
    let (same, shared) = one_record(&hidden, "the same words", 0);
    let hidden_did = house.put(&hidden, &same).await;
    house.index().await;
    assert_eq!(secret, shared);
    let door = house.door();
    assert_eq!(everywhere(&door, open_did.as_str(), &secret).await, [200; 5]);
    let of_hidden = everywhere(&door, hidden_did.as_str(), &secret).await;
    assert_eq!(
        of_hidden[4], 400,
        "the hidden account gives nothing out, though another one has the same bytes"
    );
    assert_eq!(everywhere(&door, hidden_did.as_str(), &same.commit).await, [404, 404, 404, 404, 400]);

    // The open account deletes its record; the hidden one still has it. With the old index and with the new one.
    let (after, _) = one_record(&open, "other words", 1);
    house.commit(&open, &before, &after).await;
    for _ in 0..2 {
        assert_eq!(everywhere(&door, open_did.as_str(), &secret).await, [404, 404, 404, 404, 400]);
        for old in before.blocks.keys().filter(|cid| !after.blocks.contains_key(*cid)) {
            assert_eq!(everywhere(&door, open_did.as_str(), old).await, [404, 404, 404, 404, 400]);
        }
        house.index().await;
    }
    assert_eq!(everywhere(&door, open_did.as_str(), &after.commit).await, [200; 5]);

    // It is deleted at its host: nothing of it any more, at once.
    house
        .patch(&open_did, AccountPatch { status: Some(AccountStatus::Deleted), ..AccountPatch::default() })
        .await;
    for cid in after.blocks.keys() {
        assert_eq!(everywhere(&door, open_did.as_str(), cid).await, [404, 404, 404, 404, 400]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_cid_is_had_by_nobody() {
    let (house, account) = (House::new(), MadeUp::new(25, "http://localhost:1"));
    let mut content = Content::posts("blocked", 400);
    content.put_image("3kpic22222222", 5, 2_000);
    let state = account.sign(0, &content);
    let did = house.public(&account, &state).await;
    let door = house.door();
    let path = format!("{POST}/{}", bulk_key("blocked", 3));
    let record = Cid::of_cbor(&state.records[&path]);
    let blob: Cid = state.blobs.keys().next().unwrap().parse().unwrap();
    house.reading.block_cid(&record, "court order 17", 5).await.unwrap();
    house.reading.block_cid(&blob, "", 6).await.unwrap();

    assert_eq!(everywhere(&door, did.as_str(), &record.to_string()).await, [410, 410, 410, 410, 400]);
    assert_eq!(everywhere(&door, did.as_str(), &blob.to_string()).await[..4], [410; 4]);
    let rkey = path.rsplit('/').next().unwrap();
    let one = |nsid: &str, name: &str| format!("/xrpc/{nsid}?{name}={did}&collection={POST}&rkey={rkey}");
    assert_eq!(door.get(&one("com.atproto.repo.getRecord", "repo")).await.error(), "RecordNotFound");
    assert_eq!(door.get(&one("com.atproto.sync.getRecord", "did")).await.status, 400);
    assert_eq!(
        door.xrpc("com.atproto.sync.getBlob", &format!("did={did}&cid={blob}")).await.error(),
        "BlobNotFound"
    );
    assert_eq!(
        door.xrpc("com.atproto.sync.listBlobs", &format!("did={did}")).await.json()["cids"],
        serde_json::json!([])
    );
    let (mut listed, mut cursor) = (0, String::new());
    loop {
        let page = door
            .xrpc("com.atproto.repo.listRecords", &format!("repo={did}&collection={POST}&limit=100{cursor}"))
            .await
            .json();
        let records = page["records"].as_array().unwrap();
        assert!(records.iter().all(|one| one["cid"] != record.to_string().as_str()));
        listed += records.len();
        let Some(next) = page["cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(listed, state.records.len() - 1);
    for part in ["", &format!("&since={}", p2pds_testkit::madeup::rev(0))[..0]] {
        let car = door.xrpc("com.atproto.sync.getRepo", &format!("did={did}{part}")).await;
        let (_, blocks) = car_blocks(&car.body).unwrap();
        assert!(!blocks.contains_key(&record.to_string()));
        assert_eq!(blocks.len(), state.blocks.len() - 1, "all others are there");
    }
    let tree = door.get(&format!("/ipfs/{}?format=car", state.data)).await;
    assert!(!car_blocks(&tree.body).unwrap().1.contains_key(&record.to_string()));

    // The operator's own view is whole, and taking it off the list brings it back.
    assert!(house.reading.block(p2pds_reading::Viewer::Operator, &did, &record).await.is_ok());
    assert!(
        house.reading.unblock_cid(&record).await.unwrap()
            && !house.reading.unblock_cid(&record).await.unwrap()
    );
    assert_eq!(everywhere(&door, did.as_str(), &record.to_string()).await, [200; 5]);
    // Another door on the same store knows what is blocked.
    let again = p2pds_reading::Reading::new(house.store.clone(), house.blobs.clone());
    assert_eq!(again.blocked().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_wants_no_public_archive_is_heeded() {
    let (house, account) = (House::new(), MadeUp::new(26, "http://localhost:1"));
    let mut content = Content::posts("intent", 10);
    let first = account.sign(0, &content);
    let did = house.public(&account, &first).await;
    let door = house.door();
    let ask = async || door.xrpc("com.atproto.sync.getRepo", &format!("did={did}")).await.status;
    assert_eq!(ask().await, 200);
    let mut before = first;
    for (step, place, allow, wanted) in [
        (1, "org.user-intents.declaration", Some(false), 400),
        (2, "org.user-intents.declaration", Some(true), 200),
        (3, "org.user-intents.demo.declaration", Some(false), 400),
        (4, "org.user-intents.demo.declaration", None, 200),
    ] {
        let record = serde_json::json!({"$type": place, "publicAccessArchive": {"allow": allow, "updatedAt": "2026-11-20T00:00:00Z"}});
        match allow {
            Some(_) => content.put_at(place, "self", &record),
            None => content.delete_at(place, "self"),
        }
        let next = account.sign(step, &content);
        house.commit(&account, &before, &next).await;
        assert_eq!(ask().await, wanted, "{place} {allow:?}");
        assert_eq!(
            house.reading.plc_log(Viewer::Public, &did).await.is_ok(),
            wanted == 200,
            "{place} {allow:?}"
        );
        let counted = house.reading.lexicons(Viewer::Public).await.unwrap().stats().records;
        assert_eq!(counted > 0, wanted == 200, "{place} {allow:?}");
        house.index().await;
        let by_cid = door.get(&format!("/.well-known/rasl/{}", next.commit)).await.status;
        assert_eq!(by_cid, if wanted == 200 { 200 } else { 404 });
        before = next;
    }
    // Peers are no public.
    content.put_at(
        "org.user-intents.declaration",
        "self",
        &serde_json::json!({
        "$type": "org.user-intents.declaration", "publicAccessArchive": {"allow": false}}),
    );
    house.commit(&account, &before, &account.sign(9, &content)).await;
    house.serve(&did, Serve::Peers).await;
    let bearer = format!("Bearer {}", crate::house::TOKEN);
    let path = format!("/xrpc/com.atproto.sync.getRepo?did={did}");
    assert_eq!(door.send(Method::GET, &path, &[("authorization", &bearer)]).await.status, 200);
    assert_eq!(ask().await, 400);
}
