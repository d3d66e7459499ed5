//! `records/`: every record as a JSON file, for people and for programs that know nothing of CAR.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use p2pds_archive::{Phase, Unit};
use p2pds_ipld::cbor::{Limits, decode};
use p2pds_ipld::json::to_json;
use p2pds_reading::Viewer;
use p2pds_store::RecordRow;
use p2pds_syntax::{Did, RecordPath};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Export, sum_line};
use crate::error::RecoveryResult;
use crate::folder::{blocking, write_file};
use crate::manifest::Readable;
use crate::names::{collection_dir, rkey_file};

/// Records read and written at a time.
const PAGE: usize = 500;

/// Directory names given so far, one for each collection.
#[derive(Default)]
struct Dirs {
    taken: HashSet<String>,
    current: Option<(String, String)>,
    /// All of them, by collection.
    by_collection: HashMap<String, String>,
}

impl Dirs {
    /// The directory of a collection. Records come in tree order, so a collection comes once.
    fn of(&mut self, collection: &str) -> String {
        if let Some((known, dir)) = &self.current
            && known == collection
        {
            return dir.clone();
        }
        let dir = collection_dir(collection, |name| self.taken.contains(name));
        self.taken.insert(dir.to_ascii_lowercase());
        self.by_collection.insert(collection.to_owned(), dir.clone());
        self.current = Some((collection.to_owned(), dir.clone()));
        dir
    }
}

impl Export<'_> {
    /// Writes them all; records without bytes are added to `missing`.
    pub(super) async fn write_records(&mut self, missing: &mut Vec<String>) -> RecoveryResult<Readable> {
        let words = "writing the records as JSON";
        let counter = self.progress.begin(Phase::Export, Unit::Records, Some(self.repo.records), words);
        let mut readable = Readable { files: 0, sha256: String::new() };
        let mut lines = Sha256::new();
        let mut dirs = Dirs::default();
        let mut after: Option<RecordPath> = None;
        loop {
            let did = &self.account.did;
            let page = self.door.records(Viewer::Operator, did, after.as_ref(), PAGE).await?;
            let Some(next) = page.next else { break };
            after = Some(next);
            let count = page.records.len() as u64;
            let mut batch = Vec::with_capacity(page.records.len());
            for row in page.records {
                if row.body.is_none() {
                    missing.push(row.key.to_string());
                    continue;
                }
                batch.push((
                    format!("records/{}/{}.json", dirs.of(row.key.collection()), rkey_file(row.key.rkey())),
                    row,
                ));
            }
            readable.files = readable.files.saturating_add(batch.len() as u64);
            let (dir, did) = (self.folder.dir().to_owned(), did.clone());
            let sums = blocking(move || write_batch(&dir, &did, &batch)).await?;
            lines.update(&sums);
            self.sums.extend_from_slice(&sums);
            counter.add(count);
        }
        self.record_dirs = dirs.by_collection;
        readable.sha256 = data_encoding::HEXLOWER.encode(&lines.finalize());
        counter.finish(format!("{} records as JSON", readable.files));
        Ok(readable)
    }

    /// Without readable copies, the records that have no bytes are still to be named.
    pub(super) async fn lost_records(&self, missing: &mut Vec<String>) -> RecoveryResult<()> {
        let findings = self.archive.store().findings(&self.account.did, 10_000).await?;
        missing.extend(findings.into_iter().filter(|f| f.kind == "record-missing").map(|f| f.subject));
        Ok(())
    }
}

fn write_batch(dir: &Path, did: &Did, batch: &[(String, RecordRow)]) -> RecoveryResult<Vec<u8>> {
    let mut sums = Vec::new();
    for (name, row) in batch {
        let place: PathBuf = dir.join(name);
        let written = write_file(&place, &json_of(did, row))?;
        sums.extend_from_slice(sum_line(name, &written.sha256).as_bytes());
    }
    Ok(sums)
}

/// The record as `com.atproto.repo.getRecord` answers it. Bytes that are not strict enough to be read as a record are
/// given as they are, in hex.
fn json_of(did: &Did, row: &RecordRow) -> Vec<u8> {
    let body = row.body.as_deref().unwrap_or_default();
    let uri = format!("at://{did}/{}", row.key);
    let value = match decode(body, &Limits::RECORD) {
        Ok(value) => json!({"uri": uri, "cid": row.cid.to_string(), "value": to_json(&value)}),
        Err(error) => json!({
            "uri": uri, "cid": row.cid.to_string(), "notStrict": error.to_string(),
            "bytesHex": data_encoding::HEXLOWER.encode(body),
        }),
    };
    let mut out = serde_json::to_vec_pretty(&value).unwrap_or_default();
    out.push(b'\n');
    out
}
