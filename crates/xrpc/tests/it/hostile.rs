//! Readers who want too much, too long, or something else.

use std::time::Instant;

use axum::http::Method;
use http_body_util::BodyExt as _;
use p2pds_ipld::Cid;
use p2pds_store::{AccountPatch, AccountStatus, Serve};
use p2pds_testkit::madeup::{Content, MadeUp};
use p2pds_testkit::oracle::{POST, car_blocks, post_record};
use p2pds_xrpc::{Net, XrpcConfig, methods};

use crate::house::{House, TOKEN};

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_ends_streams_that_have_begun() {
    let (house, account) = (House::new(), MadeUp::new(40, "http://localhost:1"));
    let mut content = Content::posts("stream", 12_000);
    content.put_image("3kpic22222222", 5, 2_000_000);
    let state = account.sign(0, &content);
    let did = house.public(&account, &state).await;
    let door = house.door();
    let blob = state.blobs.keys().next().unwrap();
    for (path, length) in [
        (format!("/xrpc/com.atproto.sync.getRepo?did={did}"), state.car.len()),
        (format!("/ipfs/{}?format=car", state.data), state.car.len()),
        (format!("/xrpc/com.atproto.sync.getBlob?did={did}&cid={blob}"), 2_000_000),
        (format!("/.well-known/rasl/{blob}"), 2_000_000),
    ] {
        for how in [
            AccountPatch { status: Some(AccountStatus::Takendown), ..AccountPatch::default() },
            AccountPatch { serve: Some(Serve::Peers), ..AccountPatch::default() },
        ] {
            let mut body = door.open(&path).await;
            let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(!first.is_empty() && first.len() < length / 2, "{path}: {} of {length}", first.len());
            house.patch(&did, how).await;
            let (mut got, mut cut) = (first.len(), false);
            while let Some(frame) = body.frame().await {
                match frame {
                    Ok(frame) => got += frame.data_ref().map_or(0, |data| data.len()),
                    Err(_) => cut = true,
                }
            }
            assert!(cut && got < length, "{path}: {got} of {length} after the withdrawal");
            let back = AccountPatch {
                status: Some(AccountStatus::Active),
                serve: Some(Serve::Public),
                ..AccountPatch::default()
            };
            house.patch(&did, back).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_one_state_while_others_write() {
    let (house, account) = (House::new(), MadeUp::new(41, "http://localhost:1"));
    let mut content = Content::posts("slow", 12_000);
    let first = account.sign(0, &content);
    let did = house.public(&account, &first).await;
    let door = house.door();
    let mut body = door.open(&format!("/xrpc/com.atproto.sync.getRepo?did={did}")).await;
    let mut car = body.frame().await.unwrap().unwrap().into_data().unwrap().to_vec();
    // Writers go on as if nobody read.
    let mut before = first.clone();
    for n in 0..20 {
        if let Some(key) = content.records().keys().nth(n * 500).cloned() {
            content.delete(key.rsplit('/').next().unwrap());
        }
        content.put(
            &format!("3lwrite22222{}", char::from(b'a' + u8::try_from(n).unwrap())),
            &post_record("meanwhile"),
        );
        let next = account.sign(n as u64 + 1, &content);
        house.commit(&account, &before, &next).await;
        before = next;
    }
    while let Some(frame) = body.frame().await {
        car.extend_from_slice(frame.unwrap().data_ref().unwrap());
    }
    assert_eq!(car_blocks(&car).unwrap(), (first.commit, first.blocks), "the state that it began with");
    let now = door.xrpc("com.atproto.sync.getRepo", &format!("did={did}")).await;
    assert_eq!(car_blocks(&now.body).unwrap(), (before.commit, before.blocks));
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_cids_cost_little_and_are_limited() {
    let (house, account) = (House::new(), MadeUp::new(42, "http://localhost:1"));
    let state = account.sign(0, &Content::posts("flood", 3_000));
    let did = house.public(&account, &state).await;
    let door = house.door_with(XrpcConfig { requests: u32::MAX, unknown_cids: 50, ..XrpcConfig::default() });
    let unknown = |n: u32| Cid::of_cbor(&n.to_le_bytes());
    let mut answers = Vec::new();
    for n in 0..80 {
        answers.push(door.get(&format!("/.well-known/rasl/{}", unknown(n))).await.status);
    }
    assert_eq!(answers.iter().filter(|status| **status == 404).count(), 50);
    let refused = door.get(&format!("/ipfs/{}?format=raw", unknown(99))).await;
    assert_eq!((refused.status, refused.error().as_str()), (429, "RateLimitExceeded"));
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    // Those who name an account, those who come from elsewhere, and peers go on.
    assert_eq!(door.xrpc("com.atproto.sync.getLatestCommit", &format!("did={did}")).await.status, 200);
    let bearer = format!("Bearer {TOKEN}");
    let path = format!("/.well-known/rasl/{}", state.commit);
    assert_eq!(door.get(&path).await.status, 429);
    assert_eq!(door.send(Method::GET, &path, &[("authorization", &bearer)]).await.status, 200);

    // What an unknown CID costs with many accounts; the figure is printed, its bound is the number of accounts tried.
    let accounts = p2pds_testkit::need::count("P2PDS_SERVED_ACCOUNTS", 200);
    for n in 0..accounts {
        let other = MadeUp::new(1_000 + n, "http://localhost:1");
        let did = house.put(&other, &other.sign(0, &Content::posts(&format!("many{n}"), 100))).await;
        house.serve(&did, Serve::Public).await;
    }
    house.index().await;
    let (begun, count) = (Instant::now(), 100_000_u32);
    let cids: Vec<Cid> = (0..count).map(unknown).collect();
    let hashing = begun.elapsed();
    let tried: usize = cids.iter().map(|cid| house.reading.candidates(cid).len()).sum();
    println!(
        "unknown CIDs: {:?} each among {} accounts, {tried} of {count} led to a database read",
        (begun.elapsed() - hashing) / count,
        accounts + 1
    );
    assert!(tried < 20, "{tried} of {count} unknown CIDs would have been looked for in the database");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_batches_a_hundred_at_a_time() {
    let (house, account) = (House::new(), MadeUp::new(43, "http://localhost:1"));
    let state = account.sign(0, &Content::posts("batch", 2_000));
    let did = house.public(&account, &state).await;
    let door =
        std::sync::Arc::new(house.door_with(XrpcConfig { requests: u32::MAX, ..XrpcConfig::default() }));
    let cids: Vec<String> = state.blocks.keys().take(201).map(|cid| format!("&cids={cid}")).collect();
    let over = door.xrpc("com.atproto.sync.getBlocks", &format!("did={did}{}", cids.concat())).await;
    assert_eq!((over.status, over.error().as_str()), (400, "InvalidRequest"));
    let path = format!("/xrpc/com.atproto.sync.getBlocks?did={did}{}", cids[..200].concat());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (door, path) = (door.clone(), path.clone());
        tasks.spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..3 {
                answers.push(door.get(&path).await.status);
                tokio::task::yield_now().await;
            }
            answers
        });
    }
    // Another caller is answered meanwhile.
    let other = door.seen_from("198.51.100.1");
    let quick = format!("did={did}");
    let slow = format!("did={did}&cids={}", state.commit);
    let ask = async || {
        let mut times = Vec::new();
        for _ in 0..50 {
            let begun = Instant::now();
            assert_eq!(other.xrpc("com.atproto.sync.getLatestCommit", &quick).await.status, 200);
            assert_eq!(other.xrpc("com.atproto.sync.getBlocks", &slow).await.status, 200);
            times.push(begun.elapsed());
        }
        times.sort();
        (times[25], times[49])
    };
    let busy = ask().await;
    let mut answers = std::collections::BTreeMap::<u16, usize>::new();
    while let Some(several) = tasks.join_next().await {
        several.unwrap().into_iter().for_each(|status| *answers.entry(status).or_default() += 1);
    }
    let (calm, asked) = (ask().await, answers.values().sum::<usize>());
    println!(
        "two requests of another caller: {busy:?} (median, longest) beside {asked} of the largest, {calm:?} alone"
    );
    assert!(answers.keys().all(|status| [200, 429].contains(status)) && answers[&200] >= 8, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_parameters_that_lead_elsewhere() {
    let (house, account) = (House::new(), MadeUp::new(44, "http://localhost:1"));
    let mut content = Content::posts("paths", 3);
    content.put_image("3kpic22222222", 5, 100);
    let did = house.public(&account, &account.sign(0, &content)).await;
    let door = house.door_with(XrpcConfig { requests: u32::MAX, ..XrpcConfig::default() });
    let nasty = [
        "../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2f%2e%2e%2fp2pds.db",
        "....//....//etc/passwd",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "..\\..\\windows",
        "%00",
        "bafkrei%00",
        "bafkreie7q3iidccmpvszul7kudcvvuavuo7u6gzlbobczuk5nqk3b4akba/../../x",
        "file:///etc/passwd",
        "tmp",
        ".",
        "..",
        "%c0%ae%c0%ae/",
        "bafkreie7q3iidccmpvszul7kudcvvuavuo7u6gzlbobczuk5nqk3b4akb%2e",
        "did:web:..%2f..%2fetc",
        "did:plc:../../../etc",
        "did:web:a%00b",
    ];
    for name in nasty {
        for path in [
            format!("/.well-known/rasl/{name}"),
            format!("/ipfs/{name}?format=raw"),
            format!("/xrpc/com.atproto.sync.getBlob?did={did}&cid={name}"),
            format!(
                "/xrpc/com.atproto.sync.getBlob?did={name}&cid=bafkreie7q3iidccmpvszul7kudcvvuavuo7u6gzlbobczuk5nqk3b4akba"
            ),
            format!("/xrpc/com.atproto.repo.getRecord?repo={name}&collection={POST}&rkey={name}"),
            format!("/xrpc/com.atproto.repo.listRecords?repo={did}&collection={name}&cursor={name}"),
            format!("/xrpc/com.atproto.sync.listRepos?cursor={name}&limit=5"),
            format!("/xrpc/{name}"),
        ] {
            let Ok(uri) = path.parse::<axum::http::Uri>() else { continue };
            let reply = door.get(&uri.to_string()).await;
            assert!([400, 404, 501].contains(&reply.status), "{path}: {reply:?}");
            assert!(!String::from_utf8_lossy(&reply.body).contains("root:"), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_inert_in_a_browser() {
    let (house, account) = (House::new(), MadeUp::new(45, "http://localhost:1"));
    let mut content = Content::default();
    // A blob that says it is a page, and a record that would like to be one.
    let evil = b"<html><script>alert(1)</script></html>".to_vec();
    let cid = Cid::of_raw(&evil).to_string();
    let mut record = post_record("<script>alert(1)</script>");
    record["embed"] = serde_json::json!({"$type": "app.bsky.embed.images", "images": [{"alt": "", "image":
        {"$type": "blob", "ref": {"$link": cid}, "mimeType": "text/html", "size": evil.len()}}]});
    content.put("3kevil2222222", &record);
    let mut state = account.sign(0, &content);
    state.blobs.insert(cid.clone(), evil.clone());
    let did = house.public(&account, &state).await;
    let door = house.door_with(XrpcConfig { requests: u32::MAX, ..XrpcConfig::default() });
    let mut paths: Vec<String> = methods()
        .flat_map(|method| {
            let all = format!(
                "did={did}&repo={did}&collection={POST}&rkey=3kevil2222222&cid={cid}&cids={}&query=x",
                state.commit
            );
            [format!("/xrpc/{}", method.nsid), format!("/xrpc/{}?{all}", method.nsid)]
        })
        .collect();
    for cid in [&cid, &state.commit] {
        paths.extend([
            format!("/.well-known/rasl/{cid}"),
            format!("/ipfs/{cid}?format=raw"),
            format!("/ipfs/{cid}?format=car"),
        ]);
    }
    paths.extend([
        "/ipfs/x".to_owned(),
        "/xrpc/com.example.none".to_owned(),
        format!("/.well-known/rasl/{}", Cid::of_raw(b"no")),
    ]);
    for path in paths {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS] {
            let reply = door.send(method.clone(), &path, &[]).await;
            assert_eq!(reply.header("x-content-type-options"), "nosniff", "{method} {path}");
            assert_eq!(
                reply.header("content-security-policy"),
                "default-src 'none'; sandbox",
                "{method} {path}"
            );
            assert_eq!(reply.header("access-control-allow-origin"), "*", "{method} {path}");
            assert!(reply.header("set-cookie").is_empty());
            let kind = reply.header("content-type");
            let text =
                kind.starts_with("application/json") || kind.starts_with("text/plain") || kind.is_empty();
            let saved = reply.header("content-disposition").starts_with("attachment; filename=\"");
            assert!(text || saved, "{method} {path}: {kind} is not saved but shown");
            assert!(
                !text
                    || !kind.starts_with("text/plain")
                    || !reply.body.windows(4).any(|part| part == b"<scr")
            );
        }
    }
    let blob = door.xrpc("com.atproto.sync.getBlob", &format!("did={did}&cid={cid}")).await;
    assert_eq!(
        (blob.header("content-type"), &blob.body),
        ("text/html", &evil),
        "as its record says, and inert"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_address_does_not_change_who_is_counted() {
    let house = House::new();
    let config = |proxies: &[&str]| XrpcConfig {
        requests: 3,
        trusted_proxies: proxies.iter().map(|net| Net::parse(net).unwrap()).collect(),
        ..XrpcConfig::default()
    };
    let ask = async |door: &crate::house::Door, said: &str| {
        door.send(Method::GET, "/xrpc/com.atproto.sync.listRepos", &[("x-forwarded-for", said)]).await.status
    };
    let door = house.door_with(config(&[]));
    let mut answers = Vec::new();
    for n in 0..5 {
        answers.push(ask(&door, &format!("203.0.113.{n}")).await);
    }
    assert_eq!(answers, [200, 200, 200, 429, 429], "nobody's word counts by default");
    // Behind a proxy that is trusted: its own word counts, what the caller wrote before it does not.
    let door = house.door_with(config(&["192.0.2.0/24"]));
    let mut answers = Vec::new();
    for n in 0..5 {
        answers.push(ask(&door, &format!("10.9.9.{n}, 198.51.100.5")).await);
    }
    assert_eq!(answers, [200, 200, 200, 429, 429]);
    assert_eq!(ask(&door, "198.51.100.6").await, 200);
    assert_eq!(ask(&door, "198.51.100.5, 192.0.2.99").await, 429, "through two trusted proxies");
    assert_eq!(ask(&door, "nonsense").await, 200, "the proxy itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_said() {
    let house = House::new();
    let door = house.door_with(XrpcConfig { requests: 2, ..XrpcConfig::default() });
    let first = door.xrpc("com.atproto.sync.listRepos", "").await;
    assert_eq!((first.header("ratelimit-limit"), first.header("ratelimit-remaining")), ("2", "1"));
    assert_eq!(first.header("ratelimit-policy"), "2;w=300");
    door.xrpc("com.atproto.sync.listRepos", "").await;
    let third = door.xrpc("com.atproto.sync.listRepos", "").await;
    assert_eq!((third.status, third.error().as_str()), (429, "RateLimitExceeded"));
    assert!(third.header("retry-after").parse::<u64>().unwrap() <= 301);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_given_under_the_name_of_the_mirror() {
    let (house, account) = (House::new(), MadeUp::new(46, "http://localhost:1"));
    house.public(&account, &account.sign(0, &Content::posts("mirror", 3))).await;
    let config = XrpcConfig {
        archive_only: false,
        mirror_hostname: Some("mirror.example.com".to_owned()),
        ..XrpcConfig::default()
    };
    let door = house.door_with(config);
    for path in [
        "/xrpc/com.atproto.sync.listRepos",
        &format!("/xrpc/com.atproto.sync.listReposByCollection?collection={POST}"),
    ] {
        assert_eq!(door.get(path).await.error(), "MethodNotImplemented");
        let named = format!("http://MIRROR.example.com:3000{path}");
        let reply = door.send(Method::GET, &named, &[]).await;
        assert_eq!((reply.status, reply.json()["repos"].as_array().unwrap().len()), (200, 1));
    }
}
