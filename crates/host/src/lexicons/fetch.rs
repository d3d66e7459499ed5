//! Finding a schema where its authority publishes it, with proof.

use std::collections::BTreeSet;
use std::time::Duration;

use p2pds_ipld::Cid;
use p2pds_ipld::car::{CarLimits, SectionCid, SliceReader};
use p2pds_ipld::cbor::{Limits, decode};
use p2pds_ipld::json::to_json;
use p2pds_lexicon::{Catalog, Document};
use p2pds_net::GetOptions;
use p2pds_repo::commit::Commit;
use p2pds_repo::mst::{Blocks, check_proof};
use p2pds_syntax::{AtIdentifier, Did, Nsid};

use super::known;
use crate::Host;

/// Where schemas are published.
const COLLECTION: &str = "com.atproto.lexicon.schema";
/// Most schemas that one refers to, directly or not.
const MOST_PARTS: usize = 24;
/// The longest that all of it may take.
const LONGEST: Duration = Duration::from_secs(20);
/// The longest that one request may take.
const REQUEST: Duration = Duration::from_secs(8);

/// A schema and those that it refers to, as far as they can be had; or why it cannot be had.
pub(super) async fn schema(host: &Host, nsid: &Nsid) -> Result<Catalog, String> {
    let all = async {
        let mut catalog = Catalog::new();
        catalog.insert(document(host, nsid).await?);
        parts(host, &mut catalog).await;
        Ok(catalog)
    };
    tokio::time::timeout(LONGEST, all).await.unwrap_or_else(|_| Err("it took too long".into()))
}

/// Adds what the schemas refer to. A part that cannot be had is left out: what it describes is unknown.
async fn parts(host: &Host, catalog: &mut Catalog) {
    let mut tried = BTreeSet::new();
    loop {
        let wanted = catalog.dangling().into_iter().find_map(|(from, to)| {
            let id = to.split('#').next().unwrap_or_default();
            let id = if id.is_empty() { from } else { Nsid::parse(id).ok()? };
            (!tried.contains(&id) && catalog.get(&id).is_none()).then_some(id)
        });
        let Some(wanted) = wanted.filter(|_| tried.len() < MOST_PARTS) else { return };
        let found = match known().get(&wanted) {
            Some(document) => Some(document.clone()),
            None => document(host, &wanted).await.ok(),
        };
        if let Some(document) = found {
            catalog.insert(document);
        }
        tried.insert(wanted);
    }
}

/// One schema.
async fn document(host: &Host, nsid: &Nsid) -> Result<Document, String> {
    published(host, nsid).await.map(|(document, _)| document)
}

/// One schema, and the document in which it is published.
pub(crate) async fn published(host: &Host, nsid: &Nsid) -> Result<(Document, serde_json::Value), String> {
    let did = authority(host, nsid).await?;
    let identity = host
        .directory()
        .resolve(&AtIdentifier::Did(did.clone()))
        .await
        .map_err(|error| format!("{did}, which publishes it, is not found: {error}"))?;
    let pds = identity.pds.ok_or_else(|| format!("{did}, which publishes it, names no host"))?;
    let url = format!("{pds}/xrpc/com.atproto.sync.getRecord?did={did}&collection={COLLECTION}&rkey={nsid}");
    let options = GetOptions {
        max_bytes: host.config().fetch_limit,
        retries: 0,
        redirects: 0,
        deadline: REQUEST,
        ..GetOptions::metadata()
    };
    let answer = host.net().get(&url, &options).await.and_then(p2pds_net::Response::success);
    let car = match answer {
        Ok(response) => response.bytes(host.config().fetch_limit).await,
        Err(error) => Err(error),
    };
    let car = car.map_err(|error| format!("{pds} does not give it: {error}"))?;
    let key = identity.signing_key.ok_or_else(|| format!("{did} has no signing key"))?;
    match proved_json(&did, nsid, &key, &car) {
        // The key may have changed since it was looked up.
        Err(why) if why.starts_with(SIGNATURE) => {
            let fresh = host.directory().refresh(&did).await.ok().and_then(|identity| identity.signing_key);
            match fresh.filter(|fresh| *fresh != key) {
                Some(fresh) => proved_json(&did, nsid, &fresh, &car),
                None => Err(why),
            }
        }
        done => done,
    }
}

/// The account that the authority of a schema names.
async fn authority(host: &Host, nsid: &Nsid) -> Result<Did, String> {
    let name = format!("_lexicon.{}", nsid.authority());
    let records = host.net().txt(&name).await.map_err(|error| format!("{name}: {error}"))?;
    named(&name, &records)
}

fn named(name: &str, records: &[String]) -> Result<Did, String> {
    let mut dids = records.iter().filter_map(|record| record.trim().strip_prefix("did="));
    match (dids.next(), dids.next()) {
        (None, _) => Err(format!("{name} has no TXT record that names an account")),
        (Some(_), Some(_)) => Err(format!("{name} names more than one account")),
        (Some(did), None) => Did::parse(did).map_err(|error| format!("{name}: {error}")),
    }
}

const SIGNATURE: &str = "the signature";

/// Reads a schema out of its proof, the answer of `com.atproto.sync.getRecord`: the commit must be signed by the
/// account's key, and the record must be in its tree under the schema's name.
///
/// # Errors
/// What is wrong with it.
pub fn proved(did: &Did, nsid: &Nsid, key: &p2pds_crypto::PublicKey, car: &[u8]) -> Result<Document, String> {
    proved_json(did, nsid, key, car).map(|(document, _)| document)
}

/// The same with the document as it was published.
fn proved_json(
    did: &Did,
    nsid: &Nsid,
    key: &p2pds_crypto::PublicKey,
    car: &[u8],
) -> Result<(Document, serde_json::Value), String> {
    let broken = |error: &dyn std::fmt::Display| format!("the proof is broken: {error}");
    let limits = CarLimits::DEFAULT.with_total(u64::try_from(car.len()).unwrap_or(u64::MAX));
    let reader = SliceReader::new(car, limits).map_err(|e| broken(&e))?;
    let root: Cid = match reader.header().roots[..] {
        [root] => root,
        _ => return Err(broken(&"it has not one root")),
    };
    let mut blocks = Blocks::default();
    for section in reader {
        let section = section.map_err(|e| broken(&e))?;
        if let SectionCid::Plain(cid) = section.cid {
            blocks.add(cid, section.bytes);
        }
    }
    let commit = blocks.find(&root).ok_or_else(|| broken(&"its root is not in it"))?;
    let commit = Commit::decode(commit).map_err(|e| broken(&e))?;
    if commit.did != *did {
        return Err(broken(&format!("it is of {}", commit.did)));
    }
    commit.verify(key).map_err(|error| format!("{SIGNATURE} of its account is not right: {error}"))?;
    let path = format!("{COLLECTION}/{nsid}");
    let found = check_proof(commit.data, &mut blocks, path.as_bytes()).map_err(|e| broken(&e))?;
    let cid = found.ok_or("its account has no such schema")?;
    let record = blocks.find(&cid).ok_or_else(|| broken(&"the record is not in it"))?;
    let record = decode(record, &Limits::RECORD).map_err(|e| broken(&e))?;
    let json = to_json(&record);
    let document = Document::parse(json.to_string().as_bytes()).map_err(|e| e.to_string())?;
    if document.id() == nsid {
        Ok((document, json))
    } else {
        Err(format!("it is the schema of {}", document.id()))
    }
}
