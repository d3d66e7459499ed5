//! Blobs in a bucket of an S3 service. Uploads are received on this disk, hashed there, and put into the bucket whole;
//! the bucket's answer is what makes them durable.
//!
//! Keys are the reference server's: `blocks/<did>/<cid>`.

use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::future::Future;
use std::hash::{Hash as _, Hasher as _};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3Builder;
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::{
    ClientOptions, Error, GetOptions, ObjectStore, ObjectStoreExt as _, PutPayload, RetryConfig,
};
use p2pds_ipld::Cid;
use p2pds_syntax::Did;
use sha2::{Digest as _, Sha256};

use crate::error::BlobError;
use crate::layout::{DID_FILE, account_dir_name, did_of_name, is_hashed};
use crate::store::{Check, Entry, blocking};

/// First part of every key.
const PREFIX: &str = "blocks";
/// Bytes of one part of a large blob.
const PART: u64 = 8 << 20;
/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);

/// How a bucket is reached.
#[derive(Clone)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Its region; `us-east-1` unless set.
    pub region: Option<String>,
    /// URL of the service, when it is not Amazon's.
    pub endpoint: Option<String>,
    /// The bucket's name stands in the path of URLs.
    pub path_style: bool,
    /// Access key and its secret; those of the machine's role without.
    pub credentials: Option<(String, String)>,
    /// How long one part of an upload may take.
    pub upload_timeout: Duration,
    /// How long any other request may take, and how long one may be silent.
    pub request_timeout: Duration,
    /// Root certificates (DER) that are believed beside the public ones.
    pub extra_roots: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket")
            .field("name", &self.name)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// An open bucket.
#[derive(Debug)]
pub(crate) struct Remote {
    store: Arc<dyn ObjectStore>,
    bucket: Bucket,
}

/// Bytes of an object as they come.
pub(crate) type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, BlobError>> + Send>>;

/// Hands out a client with our TLS: ring, and the roots that ship with the binary.
#[derive(Debug)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

impl Remote {
    pub(crate) fn open(bucket: Bucket) -> Result<Self, BlobError> {
        let plain = bucket.endpoint.as_deref().is_some_and(|url| url.starts_with("http://"));
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&bucket.name)
            .with_region(bucket.region.as_deref().unwrap_or("us-east-1"))
            .with_virtual_hosted_style_request(!bucket.path_style)
            .with_allow_http(plain)
            .with_retry(RetryConfig {
                max_retries: 3,
                retry_timeout: bucket.upload_timeout,
                ..RetryConfig::default()
            })
            .with_http_connector(Connector(client(&bucket)?));
        if let Some(endpoint) = &bucket.endpoint {
            builder = builder.with_endpoint(endpoint_of(endpoint, &bucket));
        }
        if let Some((id, secret)) = &bucket.credentials {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret);
        }
        let store = builder.build().map_err(|error| said("open the bucket", &bucket.name, &error))?;
        Ok(Self { store: Arc::new(store), bucket })
    }

    fn key(did: &Did, name: &str) -> Path {
        Path::from_iter([PREFIX, &account_dir_name(did), name])
    }

    fn prefix(did: &Did) -> Path {
        Path::from_iter([PREFIX, &account_dir_name(did)])
    }

    /// What the bucket says to one request, within its time.
    async fn within<T>(
        &self,
        action: &'static str,
        time: Duration,
        work: impl Future<Output = object_store::Result<T>> + Send,
    ) -> Result<T, BlobError> {
        match tokio::time::timeout(time, work).await {
            Ok(result) => result.map_err(|error| said(action, &self.bucket.name, &error)),
            Err(_) => Err(BlobError::Remote {
                action,
                bucket: self.bucket.name.clone(),
                what: format!("no answer in {} s", time.as_secs()),
            }),
        }
    }

    /// Puts a received file under its key.
    pub(crate) async fn put(&self, did: &Did, cid: &Cid, file: File, size: u64) -> Result<(), BlobError> {
        if is_hashed(&account_dir_name(did)) {
            let text = PutPayload::from(did.as_str().to_owned());
            let key = Self::key(did, DID_FILE);
            self.within("write to", self.bucket.request_timeout, self.store.put(&key, text)).await?;
        }
        let (file, key, time) =
            (Arc::new(file), Self::key(did, &cid.to_string()), self.bucket.upload_timeout);
        if size <= PART {
            let whole = piece(&file, 0, size).await?;
            self.within("write to", time, self.store.put(&key, whole.into())).await?;
            return Ok(());
        }
        let mut upload = self.within("write to", time, self.store.put_multipart(&key)).await?;
        let sent = async {
            let mut at = 0_u64;
            while at < size {
                let length = size.saturating_sub(at).min(PART);
                let part = piece(&file, at, length).await?;
                self.within("write to", time, upload.put_part(part.into())).await?;
                at = at.saturating_add(length);
            }
            self.within("write to", time, upload.complete()).await
        }
        .await;
        if let Err(error) = sent {
            // What is left of it costs room, not truth; the bucket's own rule for unfinished uploads takes the rest.
            let _ = self.within("write to", time, upload.abort()).await;
            return Err(error);
        }
        Ok(())
    }

    /// Opens an object: its size, what changes when it is written anew, and its bytes in a range.
    pub(crate) async fn read(
        &self,
        did: &Did,
        cid: &Cid,
        range: Option<Range<u64>>,
    ) -> Result<Option<(u64, (u64, u64, i64), Range<u64>, Pieces)>, BlobError> {
        let key = Self::key(did, &cid.to_string());
        let time = self.bucket.request_timeout;
        let head = self.within("read from", time, absent(self.store.head(&key))).await?;
        let Some(meta) = head else { return Ok(None) };
        let Range { start, end } = range.clone().unwrap_or(0..meta.size);
        if start > end || end > meta.size {
            return Err(BlobError::Range { start, end, size: meta.size });
        }
        let mut hasher = DefaultHasher::new();
        meta.e_tag.hash(&mut hasher);
        let stamp = (hasher.finish(), meta.size, meta.last_modified.timestamp_micros());
        if start == end {
            return Ok(Some((meta.size, stamp, start..end, Box::pin(futures::stream::empty()))));
        }
        let options = GetOptions { range: range.map(|_| (start..end).into()), ..GetOptions::default() };
        let found = self.within("read from", time, absent(self.store.get_opts(&key, options))).await?;
        let Some(found) = found else { return Ok(None) };
        let bucket = self.bucket.name.clone();
        // Silence has an end by the client's own timeout.
        let pieces = found.into_stream().map_err(move |error| said("read from", &bucket, &error));
        Ok(Some((meta.size, stamp, start..end, Box::pin(pieces))))
    }

    pub(crate) async fn size(&self, did: &Did, cid: &Cid) -> Result<Option<u64>, BlobError> {
        let key = Self::key(did, &cid.to_string());
        let head =
            self.within("read from", self.bucket.request_timeout, absent(self.store.head(&key))).await?;
        Ok(head.map(|meta| meta.size))
    }

    pub(crate) async fn verify(&self, did: &Did, cid: &Cid) -> Result<Check, BlobError> {
        let Some((_, _, _, mut pieces)) = self.read(did, cid, None).await? else { return Ok(Check::Missing) };
        let (mut hasher, mut size) = (Sha256::new(), 0_u64);
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            size = size.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            hasher.update(&piece);
        }
        let actual = Cid::new(cid.codec(), hasher.finalize().into());
        Ok(if actual == *cid { Check::Good { size } } else { Check::Damaged { actual, size } })
    }

    pub(crate) async fn delete(&self, did: &Did, cid: &Cid) -> Result<bool, BlobError> {
        let there = self.size(did, cid).await?.is_some();
        if there {
            self.remove(&Self::key(did, &cid.to_string())).await?;
        }
        Ok(there)
    }

    async fn remove(&self, key: &Path) -> Result<(), BlobError> {
        self.within("delete from", self.bucket.request_timeout, absent(self.store.delete(key))).await?;
        Ok(())
    }

    pub(crate) async fn delete_account(&self, did: &Did) -> Result<u64, BlobError> {
        let mut count = 0_u64;
        for name in self.names(did).await? {
            self.remove(&Self::key(did, &name.0)).await?;
            count = count.saturating_add(1);
        }
        Ok(count)
    }

    /// Names and sizes of an account's objects.
    async fn names(&self, did: &Did) -> Result<Vec<(String, u64)>, BlobError> {
        let prefix = Self::prefix(did);
        let mut found = Vec::new();
        let mut listed = self.store.list(Some(&prefix));
        loop {
            let next = listed.try_next();
            match self.within("list", self.bucket.request_timeout, next).await? {
                None => return Ok(found),
                Some(meta) => {
                    let name = meta.location.filename().unwrap_or_default().to_owned();
                    found.push((name, meta.size));
                }
            }
        }
    }

    pub(crate) async fn list(&self, did: &Did) -> Result<Vec<Entry>, BlobError> {
        let names = self.names(did).await?.into_iter().filter(|(name, _)| name != DID_FILE);
        Ok(names
            .map(|(name, size)| match Cid::from_str(&name) {
                Ok(cid) if cid.to_string() == name => Entry::Blob { cid, size },
                _ => Entry::Foreign { name },
            })
            .collect())
    }

    pub(crate) async fn accounts(&self) -> Result<Vec<Did>, BlobError> {
        let prefix = Path::from(PREFIX);
        let time = self.bucket.request_timeout;
        let listed = self.within("list", time, self.store.list_with_delimiter(Some(&prefix))).await?;
        let mut found = Vec::new();
        for path in listed.common_prefixes {
            let name = path.filename().unwrap_or_default();
            if is_hashed(name) {
                let key = Path::from_iter([PREFIX, name, DID_FILE]);
                let text = async { self.store.get(&key).await?.bytes().await };
                if let Some(text) = self.within("read from", time, absent(text)).await? {
                    found.extend(std::str::from_utf8(&text).ok().and_then(|text| Did::parse(text).ok()));
                }
            } else {
                found.extend(did_of_name(name));
            }
        }
        found.sort();
        Ok(found)
    }
}

/// A service's URL with the bucket in front, as requests in the host style want it.
fn endpoint_of(endpoint: &str, bucket: &Bucket) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    match endpoint.split_once("://") {
        Some((scheme, rest)) if !bucket.path_style && !rest.starts_with(&format!("{}.", bucket.name)) => {
            format!("{scheme}://{}.{rest}", bucket.name)
        }
        _ => endpoint.to_owned(),
    }
}

/// The name of this machine in a URL when it is one under `localhost` (RFC 6761, section 6.3), which few resolvers
/// know: a service here that wants the bucket in the name.
fn local_name(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', ':']).next()?;
    host.ends_with(".localhost").then_some(host)
}

fn client(bucket: &Bucket) -> Result<reqwest::Client, BlobError> {
    let failed = |what: String| BlobError::Remote { action: "reach", bucket: bucket.name.clone(), what };
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in &bucket.extra_roots {
        roots.add(root.clone().into()).map_err(|error| failed(error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut builder = reqwest::Client::builder();
    let endpoint = bucket.endpoint.as_deref().map(|endpoint| endpoint_of(endpoint, bucket));
    if let Some(name) = endpoint.as_deref().and_then(local_name) {
        // The port is the URL's.
        builder = builder.resolve_to_addrs(name, &[(Ipv4Addr::LOCALHOST, 0).into()]);
    }
    builder
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .read_timeout(bucket.request_timeout)
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(|error| failed(error.to_string()))
}

/// `None` for what is not there.
async fn absent<T>(work: impl Future<Output = object_store::Result<T>>) -> object_store::Result<Option<T>> {
    match work.await {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The service's own words, shortened: they may repeat the request.
fn said(action: &'static str, bucket: &str, error: &Error) -> BlobError {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    let what: String = deepest.to_string().chars().filter(|c| !c.is_control()).take(300).collect();
    BlobError::Remote { action, bucket: bucket.to_owned(), what }
}

async fn piece(file: &Arc<File>, at: u64, length: u64) -> Result<Bytes, BlobError> {
    let file = Arc::clone(file);
    blocking(move || {
        let mut piece = vec![0_u8; usize::try_from(length).unwrap_or(0)];
        let path = std::path::Path::new("an upload");
        file.read_exact_at(&mut piece, at).map_err(BlobError::io("read", path))?;
        Ok(Bytes::from(piece))
    })
    .await
}
