//! Account status × serve setting × proof × viewer × route: one generated test over all routes.

use axum::http::Method;
use p2pds_ipld::Cid;
use p2pds_store::{AccountPatch, AccountStatus, Serve, VerifiedState};
use p2pds_testkit::madeup::{Content, MadeUp};
use p2pds_testkit::oracle::POST;
use p2pds_xrpc::{Served, methods};

use crate::house::{Door, House, Reply, TOKEN};

/// What is asked of each route, and whether the answer shows the account.
struct Probe {
    route: String,
    path: String,
    shows: fn(&Reply, &str) -> bool,
}

fn answered(reply: &Reply, _did: &str) -> bool {
    reply.status == 200 && reply.whole
}

fn names_it(reply: &Reply, did: &str) -> bool {
    assert_eq!(reply.status, 200, "{reply:?}");
    String::from_utf8_lossy(&reply.body).contains(did)
}

fn active(reply: &Reply, _did: &str) -> bool {
    reply.status == 200 && reply.json()["active"] == true
}

fn counts_it(reply: &Reply, _did: &str) -> bool {
    assert_eq!(reply.status, 200, "{reply:?}");
    String::from_utf8_lossy(&reply.body).contains(POST) || reply.json()["totalRecords"].as_u64() > Some(0)
}

fn probes(did: &str, commit: &str, record: &str, blob: &str, rkey: &str) -> Vec<Probe> {
    let all = methods().filter(|method| method.served == Served::Always).map(|method| {
        let (query, shows): (String, fn(&Reply, &str) -> bool) = match method.nsid {
            "com.atproto.repo.describeRepo" => (format!("repo={did}"), answered),
            "com.atproto.repo.getRecord" => (format!("repo={did}&collection={POST}&rkey={rkey}"), answered),
            "com.atproto.repo.listRecords" => (format!("repo={did}&collection={POST}"), answered),
            "com.atproto.sync.getBlob" => (format!("did={did}&cid={blob}"), answered),
            "com.atproto.sync.getBlocks" => (format!("did={did}&cids={commit}&cids={record}"), answered),
            "com.atproto.sync.getRecord" => (format!("did={did}&collection={POST}&rkey={rkey}"), answered),
            "com.atproto.sync.getRepoStatus" => (format!("did={did}"), active),
            "com.atproto.sync.getLatestCommit"
            | "com.atproto.sync.getRepo"
            | "com.atproto.sync.listBlobs" => (format!("did={did}"), answered),
            "com.atproto.sync.listRepos" => (String::new(), names_it),
            "com.atproto.sync.listReposByCollection" => (format!("collection={POST}"), names_it),
            "org.p2pds.lexicon.list" | "org.p2pds.lexicon.stats" => (String::new(), counts_it),
            "org.p2pds.lexicon.search" => ("query=feed.post".to_owned(), counts_it),
            "org.p2pds.plc.getLog" => (format!("did={did}"), answered),
            other => panic!("{other} is not in the matrix: say here what to ask it"),
        };
        Probe { route: method.nsid.to_owned(), path: format!("/xrpc/{}?{query}", method.nsid), shows }
    });
    let by_cid = [
        ("rasl block", format!("/.well-known/rasl/{record}")),
        ("rasl commit", format!("/.well-known/rasl/{commit}")),
        ("rasl blob", format!("/.well-known/rasl/{blob}")),
        ("gateway block", format!("/ipfs/{record}?format=raw")),
        ("gateway blob", format!("/ipfs/{blob}?format=raw")),
        ("gateway car", format!("/ipfs/{commit}?format=car")),
        ("gateway car of one", format!("/ipfs/{record}?format=car&dag-scope=block")),
        ("gateway blob car", format!("/ipfs/{blob}?format=car")),
    ];
    all.chain(by_cid.map(|(route, path)| Probe { route: route.to_owned(), path, shows: answered })).collect()
}

async fn ask(door: &Door, peer: bool, probe: &Probe, did: &str) -> (bool, Reply) {
    let bearer = format!("Bearer {TOKEN}");
    let headers: &[(&str, &str)] = if peer { &[("authorization", bearer.as_str())] } else { &[] };
    let reply = door.send(Method::GET, &probe.path, headers).await;
    ((probe.shows)(&reply, did), reply)
}

fn withdrawn(status: AccountStatus) -> bool {
    use AccountStatus::{Deactivated, Deleted, Suspended, Takendown};
    matches!(status, Deactivated | Deleted | Suspended | Takendown)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_to_whom() {
    let (house, account) = (House::new(), MadeUp::new(1, "http://localhost:1"));
    let mut content = Content::posts("matrix", 40);
    content.put_image("3kpic22222222", 7, 5_000);
    let state = account.sign(0, &content);
    let did = house.public(&account, &state).await;
    house
        .store
        .apply(p2pds_store::Unit::PutPlcLog {
            did: did.clone(),
            ops: crate::methods::plc_rows(&account),
            fetched_at: 1,
        })
        .await
        .unwrap();
    let (path, body) = state.records.iter().next().unwrap();
    let record = Cid::of_cbor(body).to_string();
    let blob = state.blobs.keys().next().unwrap();
    let probes = probes(did.as_str(), &state.commit, &record, blob, path.rsplit('/').next().unwrap());
    let (mut shown, mut hidden) = (0, 0);
    for serve in [Serve::Nobody, Serve::Peers, Serve::Public] {
        for status in AccountStatus::ALL {
            for verified in [VerifiedState::Verified, VerifiedState::Unverified, VerifiedState::Verbatim] {
                // The index still knows the account as it was: what was found a moment ago is judged anew.
                house.serve(&did, serve).await;
                let patch = AccountPatch {
                    status: Some(status),
                    verified: Some(verified),
                    ..AccountPatch::default()
                };
                house.patch(&did, patch).await;
                for peer in [false, true] {
                    let audience = if peer { serve != Serve::Nobody } else { serve == Serve::Public };
                    let wanted = audience && !withdrawn(status) && verified == VerifiedState::Verified;
                    if wanted {
                        house.index().await;
                    }
                    let door = house.door();
                    for probe in &probes {
                        let (seen, reply) = ask(&door, peer, probe, did.as_str()).await;
                        let at = || {
                            format!(
                                "{serve:?} {status:?} {verified:?} peer={peer} {}: {reply:?}",
                                probe.route
                            )
                        };
                        assert_eq!(seen, wanted, "{}", at());
                        (shown, hidden) = (shown + usize::from(seen), hidden + usize::from(!seen));
                        assert!(
                            wanted || !String::from_utf8_lossy(&reply.body).contains("number "),
                            "{}",
                            at()
                        );
                    }
                }
                // Back to where everything is found, so that the next state begins with a full index.
                house.serve(&did, Serve::Public).await;
                let patch = AccountPatch {
                    status: Some(AccountStatus::Active),
                    verified: Some(VerifiedState::Verified),
                    ..AccountPatch::default()
                };
                house.patch(&did, patch).await;
                house.index().await;
            }
        }
    }
    assert!(shown >= 12 * probes.len() && hidden > 50 * probes.len(), "{shown} shown, {hidden} hidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_without_a_basis_serves_nobody() {
    let (house, account) = (House::new(), MadeUp::new(2, "http://localhost:1"));
    let state = account.sign(0, &Content::posts("basis", 5));
    let did = house.public(&account, &state).await;
    let door = house.door();
    assert_eq!(door.xrpc("com.atproto.sync.getLatestCommit", &format!("did={did}")).await.status, 200);
    house.patch(&did, AccountPatch { serve_basis: Some(None), ..AccountPatch::default() }).await;
    let reply = door.xrpc("com.atproto.sync.getLatestCommit", &format!("did={did}")).await;
    assert_eq!((reply.status, reply.error().as_str()), (400, "RepoNotFound"));
}
