//! A store with accounts in it, and the door on it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use p2pds_blobs::{Blobs, PutOptions};
use p2pds_ipld::Cid;
use p2pds_ipld::cbor::{Item, Limits, scan};
use p2pds_reading::Reading;
use p2pds_store::view::Stager;
use p2pds_store::{
    Account, AccountPatch, Applied, BlobRef, BlobState, BucketUpdate, Change, Head, IdentityRow, Origin,
    Role, Seen, Serve, StagedRow, Store, Unit, VerifiedState, Version,
};
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_syntax::{Did, RecordPath};
use p2pds_testkit::madeup::{MadeUp, State};
use p2pds_xrpc::{Called, PeerAddress, Xrpc, XrpcConfig, router};

/// The token of the house's one peer.
pub const TOKEN: &str = "a-token-that-nobody-guesses-77";
/// The host that the accounts say they are on.
pub const HOST: &str = "https://pds.example.com";

/// A request with these headers, where nothing else of it matters.
pub fn called(headers: &axum::http::HeaderMap) -> Called<'_> {
    Called { http: "GET", path: "/", headers }
}

/// Store, blobs and reading door.
pub struct House {
    _dir: tempfile::TempDir,
    pub store: Arc<dyn Store>,
    pub blobs: Blobs,
    pub reading: Reading,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: axum::http::HeaderMap,
    pub body: Vec<u8>,
    /// The body ended as it should.
    pub whole: bool,
}

impl Reply {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// The routes, and who asks.
pub struct Door {
    routes: TowerToHyperService<Router>,
    pub from: IpAddr,
}

impl Door {
    /// A door over these routes.
    pub fn over(routes: Router) -> Self {
        Self { routes: TowerToHyperService::new(routes), from: "192.0.2.7".parse().unwrap() }
    }

    /// The same door, for another caller.
    pub fn seen_from(&self, from: &str) -> Self {
        Self { routes: self.routes.clone(), from: from.parse().unwrap() }
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send_body(method, path, headers, Body::empty()).await
    }

    pub async fn send_body(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body).unwrap();
        request.extensions_mut().insert(PeerAddress(self.from));
        let response = self.routes.call(request).await.unwrap();
        let (head, mut body) = response.into_parts();
        let (mut bytes, mut whole) = (Vec::new(), true);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Err(_) => whole = false,
            }
        }
        Reply { status: head.status.as_u16(), headers: head.headers, body: bytes, whole }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[]).await
    }

    pub async fn xrpc(&self, nsid: &str, query: &str) -> Reply {
        self.get(&format!("/xrpc/{nsid}?{query}")).await
    }

    /// The body as it comes, for those who read only some of it.
    pub async fn open(&self, path: &str) -> Body {
        let mut request = Request::builder().uri(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(PeerAddress(self.from));
        self.routes.call(request).await.unwrap().into_body()
    }
}

fn blobs_of(body: &[u8]) -> Vec<BlobRef> {
    let mut found = Vec::new();
    let _ = scan(body, &Limits::RECORD, &mut |item| {
        if let Item::Blob(blob) = item {
            found.push(BlobRef { cid: blob.cid, size: blob.size.unwrap_or(0), mime: blob.mime.to_owned() });
        }
    });
    found
}

fn head_of(account: &MadeUp, state: &State) -> Head {
    Head {
        rev: state.rev.parse().unwrap(),
        data: state.data.parse().unwrap(),
        commit: state.commit.parse().unwrap(),
        sig: state.signature,
        key: account.signing_key(),
        raw: None,
    }
}

impl House {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(":memory:", Options::default()).unwrap());
        let blobs = Blobs::open(&dir.path().join("blobs")).unwrap();
        let reading = Reading::new(Arc::clone(&store), blobs.clone());
        Self { _dir: dir, store, blobs, reading }
    }

    pub fn door(&self) -> Door {
        self.door_with(XrpcConfig::default())
    }

    pub fn door_with(&self, config: XrpcConfig) -> Door {
        let config = XrpcConfig { peer_tokens: vec![TOKEN.to_owned()], ..config };
        let routes = router(Arc::new(Xrpc::new(self.reading.clone(), config)));
        Door { routes: TowerToHyperService::new(routes), from: "192.0.2.7".parse().unwrap() }
    }

    /// Stores an account in a state, verified, served to nobody.
    pub async fn put(&self, account: &MadeUp, state: &State) -> Did {
        let did = Did::parse(&account.did).unwrap();
        let (store, head) = (Arc::clone(&self.store), head_of(account, state));
        let mut row = Account::new(did.clone(), Origin::Network, 1);
        (row.handle, row.pds) = (Some(account.handle.clone()), Some(HOST.to_owned()));
        store.apply(Unit::AddAccount(Box::new(row))).await.unwrap();
        self.patch(&did, AccountPatch { verified: Some(VerifiedState::Verified), ..AccountPatch::default() })
            .await;
        let (doc, handle) = (account.document().to_string().into_bytes(), Some(account.handle.clone()));
        store
            .apply(Unit::PutIdentity(IdentityRow { did: did.clone(), doc, handle, fetched_at: 1 }))
            .await
            .unwrap();
        let (of, records) = (did.clone(), state.records.clone());
        let staged = tokio::task::spawn_blocking(move || {
            let mut stager = Stager::begin(store, of, head.rev).unwrap();
            for (path, body) in records {
                let (key, cid) = (RecordPath::parse(&path).unwrap(), Cid::of_cbor(&body));
                stager.push(StagedRow { key, cid, blobs: blobs_of(&body), body: Some(body) }).unwrap();
            }
            (stager.finish().unwrap(), head)
        });
        let (staged, head) = staged.await.unwrap();
        assert_eq!(staged.root, head.data);
        let expect = self.store.live_repo(&did).await.unwrap().map(|repo| repo.rev);
        let unit = Unit::Flip {
            did: did.clone(),
            repo: staged.repo,
            expect,
            head: Box::new(head),
            role: Role::Archived,
            accept_older: false,
            at: 1,
        };
        if let Applied::Flipped { replaced: Some(repo) } = self.store.apply(unit).await.unwrap() {
            p2pds_store::view::drop_repo(self.store.as_ref(), &did, repo).await.unwrap();
        }
        self.put_blobs(&did, state).await;
        did
    }

    async fn put_blobs(&self, did: &Did, state: &State) {
        for (name, bytes) in &state.blobs {
            let cid: Cid = name.parse().unwrap();
            let options = PutOptions { expect: Some(cid), max_bytes: 1 << 30, quota: None };
            let mut upload = self.blobs.put(did, options).await.unwrap();
            upload.write(Bytes::copy_from_slice(bytes)).await.unwrap();
            upload.finish().await.unwrap();
            let size = Some(u64::try_from(bytes.len()).unwrap());
            let unit = Unit::PutBlob { did: did.clone(), cid, size, mime: None, state: BlobState::Held };
            self.store.apply(unit).await.unwrap();
        }
    }

    /// Goes on to the next state as a live commit does: records and head now, the tree later.
    pub async fn commit(&self, account: &MadeUp, old: &State, new: &State) {
        let did = Did::parse(&account.did).unwrap();
        let keys: std::collections::BTreeSet<_> = old.records.keys().chain(new.records.keys()).collect();
        let version = |body: &Vec<u8>| Version {
            cid: Cid::of_cbor(body),
            body: Some(body.clone()),
            blobs: blobs_of(body),
        };
        let changes = keys
            .into_iter()
            .filter(|key| old.records.get(*key) != new.records.get(*key))
            .map(|key| Change {
                key: RecordPath::parse(key).unwrap(),
                old: old.records.get(key).map(|body| Cid::of_cbor(body)),
                new: new.records.get(key).map(version),
            })
            .collect();
        let unit = Unit::ApplyCommit {
            did: did.clone(),
            expect: old.rev.parse().unwrap(),
            head: Box::new(head_of(account, new)),
            changes,
            buckets: BucketUpdate::MarkDirty,
            seen: Seen { at: 1, since: None },
        };
        self.store.apply(unit).await.unwrap();
        self.put_blobs(&did, new).await;
    }

    pub async fn patch(&self, did: &Did, patch: AccountPatch) {
        self.store.apply(Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) }).await.unwrap();
    }

    pub async fn serve(&self, did: &Did, serve: Serve) {
        let serve_basis = Some(Some("its owner asked for it".to_owned()));
        self.patch(did, AccountPatch { serve: Some(serve), serve_basis, ..AccountPatch::default() }).await;
    }

    pub async fn index(&self) {
        self.reading.refresh_index(1_000_000).await.unwrap();
    }

    /// An account that is served to the public and indexed.
    pub async fn public(&self, account: &MadeUp, state: &State) -> Did {
        let did = self.put(account, state).await;
        self.serve(&did, Serve::Public).await;
        self.index().await;
        did
    }
}
