//! What a reference PDS says an account holds, read without any code of the project.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use data_encoding::BASE32_NOPAD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::account::Account;

/// An account's public state at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// CID of the commit.
    pub commit: String,
    /// Rev of the commit.
    pub rev: String,
    /// `collection/rkey` to the record's CID.
    pub records: BTreeMap<String, String>,
    /// Every block of the CAR by CID: commit, nodes, records.
    pub blocks: BTreeMap<String, Vec<u8>>,
    /// Every blob by CID.
    pub blobs: BTreeMap<String, Vec<u8>>,
}

impl Truth {
    /// Reads commit, records (`listRecords` over all collections), CAR and blobs.
    pub(super) fn read(account: &Account) -> Result<Self> {
        let (commit, rev) = account.latest_commit()?;
        let (root, blocks) = car_blocks(&account.repo_car(None)?)?;
        ensure!(root == commit, "CAR root {root} is not the head {commit}: read while it was being written?");
        let records = records(account)?;
        for (path, cid) in &records {
            ensure!(blocks.contains_key(cid), "record {path} {cid} is not in the CAR");
        }
        let mut blobs = BTreeMap::new();
        for cid in blob_cids(account)? {
            let bytes = account.blob(&cid)?;
            ensure!(cid_text(0x55, &bytes) == cid, "blob {cid} has other bytes");
            blobs.insert(cid, bytes);
        }
        Ok(Self { commit, rev, records, blocks, blobs })
    }
}

fn records(account: &Account) -> Result<BTreeMap<String, String>> {
    let about = account.query("com.atproto.repo.describeRepo", &[("repo", &account.did)])?;
    let mut records = BTreeMap::new();
    for collection in about["collections"].as_array().context("collections")? {
        let collection = collection.as_str().context("collection")?;
        let mut cursor: Option<String> = None;
        loop {
            let mut params =
                vec![("repo", account.did.as_str()), ("collection", collection), ("limit", "100")];
            params.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = account.query("com.atproto.repo.listRecords", &params)?;
            for record in page["records"].as_array().context("records")? {
                let text = |key: &str| record[key].as_str().context("record");
                let rkey = text("uri")?.rsplit('/').next().context("rkey")?;
                records.insert(format!("{collection}/{rkey}"), text("cid")?.to_owned());
            }
            cursor = page["cursor"].as_str().map(ToOwned::to_owned);
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok(records)
}

fn blob_cids(account: &Account) -> Result<Vec<String>> {
    let mut cids = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut params = vec![("did", account.did.as_str()), ("limit", "500")];
        params.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = account.query("com.atproto.sync.listBlobs", &params)?;
        let part = page["cids"].as_array().context("cids")?;
        cids.extend(part.iter().filter_map(Value::as_str).map(ToOwned::to_owned));
        cursor = page["cursor"].as_str().map(ToOwned::to_owned).filter(|_| !part.is_empty());
        if cursor.is_none() {
            return Ok(cids);
        }
    }
}

/// The CID (base32, version 1, SHA-256) of bytes under a codec: 0x71 DAG-CBOR, 0x55 raw.
#[must_use]
pub fn cid_text(codec: u8, bytes: &[u8]) -> String {
    let mut cid = vec![1, codec, 0x12, 0x20];
    cid.extend_from_slice(&Sha256::digest(bytes));
    format!("b{}", BASE32_NOPAD.encode(&cid).to_ascii_lowercase())
}

/// The root and all blocks of a CAR by CID; every block's hash is checked.
///
/// # Errors
/// Not a CAR v1 with one root and 36-byte CIDs, or a block with other bytes than its CID says.
pub fn car_blocks(car: &[u8]) -> Result<(String, BTreeMap<String, Vec<u8>>)> {
    let (header, mut rest) = section(car)?;
    // {"roots": [tag 42 (0x00 + CID)], "version": 1}: the root's 36 bytes follow the one 0x582500.
    let at = header.windows(3).position(|w| w == [0x58, 0x25, 0]).context("no root")?;
    let root = text(header.get(at + 3..at + 39).context("short root")?);
    let mut blocks = BTreeMap::new();
    while !rest.is_empty() {
        let (block, next) = section(rest)?;
        let (cid, bytes) = block.split_at_checked(36).context("short section")?;
        let name = text(cid);
        ensure!(cid_text(cid[1], bytes) == name, "block {name} has other bytes");
        blocks.insert(name, bytes.to_vec());
        rest = next;
    }
    Ok((root, blocks))
}

fn text(cid: &[u8]) -> String {
    format!("b{}", BASE32_NOPAD.encode(cid).to_ascii_lowercase())
}

fn section(car: &[u8]) -> Result<(&[u8], &[u8])> {
    let (mut len, mut at) = (0_usize, 0);
    loop {
        let byte = *car.get(at).context("cut CAR")?;
        len |= usize::from(byte & 0x7f) << (7 * at);
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
        ensure!(at < 9, "long varint");
    }
    car[at..].split_at_checked(len).context("cut CAR")
}
