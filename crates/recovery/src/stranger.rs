//! Reading an export as a stranger would: the files alone, no database, no archive. Everything is hashed and computed anew.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;
use std::path::Path;

use p2pds_archive::{CarFile, plural, size};
use p2pds_crypto::PublicKey;
use p2pds_identity::plc::{Log, parse_audit, validate_log};
use p2pds_ipld::Cid;
use p2pds_ipld::cbor::{Item, Limits, scan};
use p2pds_repo::car_in::{ReadOptions, Sink, Spool, Summary};
use p2pds_repo::mst::Builder;
use p2pds_syntax::{Did, DidMethod};

use crate::error::{RecoveryError, RecoveryResult};
use crate::export::{DOC, PLC, REPO, TEXT};
use crate::folder::hash_file;
use crate::manifest::{FORMAT, MANIFEST, Manifest, SUMS};
use crate::report::DrillStep;

/// Things listed by name in one step.
const LISTED: usize = 1_000;

/// What a stranger finds in an export.
#[derive(Debug, Default)]
pub struct Inspection {
    /// What was compared.
    pub steps: Vec<DrillStep>,
    /// The manifest, if it can be read.
    pub manifest: Option<Manifest>,
    /// CID of the commit in the CAR file.
    pub commit: Option<String>,
    /// Root that the commit names.
    pub root: Option<String>,
    /// Root built from the records alone.
    pub rebuilt_root: Option<String>,
    /// Records in the CAR file.
    pub records: u64,
    /// Blobs whose bytes were hashed.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
}

impl Inspection {
    fn step(&mut self, name: &str, ok: bool, detail: impl Into<String>, damaged: Vec<String>) {
        self.steps.push(DrillStep { name: name.to_owned(), ok, detail: detail.into(), damaged });
    }

    /// Whether everything holds.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.steps.iter().all(|step| step.ok)
    }
}

/// Reads an exported folder and checks all of it: hashes, tree, blobs, identity log, signature. Blocks its thread.
///
/// # Errors
/// A file that is there cannot be read at all. What is wrong or missing is a failed step, not an error.
pub fn inspect(dir: &Path) -> RecoveryResult<Inspection> {
    let mut found = Inspection::default();
    let Some(manifest) = read_manifest(dir, &mut found)? else { return Ok(found) };
    check_sums(dir, &manifest, &mut found)?;
    let repo = read_repo(dir, &manifest, &mut found)?;
    check_blobs(dir, &manifest, repo.as_ref(), &mut found)?;
    let log = check_log(dir, &manifest, &mut found)?;
    check_signature(dir, &manifest, log.as_ref(), repo.as_ref(), &mut found)?;
    check_text(dir, &manifest, &mut found)?;
    found.manifest = Some(manifest);
    Ok(found)
}

fn read_manifest(dir: &Path, found: &mut Inspection) -> RecoveryResult<Option<Manifest>> {
    let path = dir.join(MANIFEST);
    let bytes = match read(&path)? {
        Some(bytes) => bytes,
        None => {
            found.step("manifest", false, "manifest.json is missing", vec![MANIFEST.to_owned()]);
            return Ok(None);
        }
    };
    match serde_json::from_slice::<Manifest>(&bytes) {
        Ok(manifest) if manifest.format == FORMAT => Ok(Some(manifest)),
        Ok(manifest) => {
            let detail = format!("its format is {:?}, this program reads {FORMAT:?}", manifest.format);
            found.step("manifest", false, detail, vec![MANIFEST.to_owned()]);
            Ok(None)
        }
        Err(error) => {
            let detail = format!("manifest.json cannot be read: {error}");
            found.step("manifest", false, detail, vec![MANIFEST.to_owned()]);
            Ok(None)
        }
    }
}

/// Every line of `SHA256SUMS` but the blobs, which have a step of their own; and every file that the manifest names.
fn check_sums(dir: &Path, manifest: &Manifest, found: &mut Inspection) -> RecoveryResult<()> {
    let path = dir.join(SUMS);
    let file = match fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            found.step("manifest", false, "SHA256SUMS is missing", vec![SUMS.to_owned()]);
            return Ok(());
        }
        Err(error) => return Err(RecoveryError::io("open", &path)(error)),
    };
    let (mut damaged, mut files) = (Vec::new(), 0_u64);
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(RecoveryError::io("read", &path))?;
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.is_empty() {
            continue;
        }
        let Some((sum, name)) = line.split_once("  ").filter(|(_, name)| is_inside(name)) else {
            damaged.push(format!("a line of {SUMS}"));
            continue;
        };
        if name.starts_with("blobs/") {
            continue;
        }
        files = files.saturating_add(1);
        if hash_file(&dir.join(name))?.is_none_or(|written| written.hex() != sum) && damaged.len() < LISTED {
            damaged.push(name.to_owned());
        }
    }
    for file in &manifest.files {
        let fits = is_inside(&file.path)
            && hash_file(&dir.join(&file.path))?
                .is_some_and(|written| written.hex() == file.sha256 && written.size == file.size);
        if !fits && !damaged.contains(&file.path) {
            damaged.push(file.path.clone());
        }
    }
    let detail = match damaged.len() {
        0 => format!("{files} files have the hashes that the manifest and {SUMS} name"),
        bad => format!("{bad} of {files} files are missing or have other hashes"),
    };
    found.step("manifest", damaged.is_empty(), detail, damaged);
    Ok(())
}

/// A path that stays in the folder.
fn is_inside(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| !matches!(part, "" | "." | "..")) && !path.contains('\\')
}

/// What a CAR file holds, as far as comparing needs it.
struct RepoRead {
    summary: Summary,
    rebuilt: Cid,
    collections: BTreeMap<String, u64>,
    /// Blobs that records name, with the first record that does.
    blobs: HashMap<Cid, String>,
}

struct Collect<B> {
    builder: B,
    error: Option<String>,
    collections: BTreeMap<String, u64>,
    blobs: HashMap<Cid, String>,
    missing: Vec<String>,
}

impl<F: FnMut(&Cid, &[u8])> Sink for Collect<Builder<F>> {
    fn record(&mut self, key: &[u8], cid: &Cid, body: Option<&[u8]>) -> ControlFlow<()> {
        if let Err(error) = self.builder.push(key, cid) {
            self.error = Some(error.to_string());
            return ControlFlow::Break(());
        }
        let path = String::from_utf8_lossy(key).into_owned();
        let collection = path.split('/').next().unwrap_or_default().to_owned();
        let count = self.collections.entry(collection).or_default();
        *count = count.saturating_add(1);
        let Some(body) = body else {
            self.missing.push(path);
            return ControlFlow::Continue(());
        };
        let blobs = &mut self.blobs;
        // What is not strict is kept byte for byte, and names no blobs that anybody could find.
        let _ = scan(body, &Limits::RECORD, &mut |item| {
            if let Item::Blob(blob) = item {
                blobs.entry(blob.cid).or_insert_with(|| path.clone());
            }
        });
        ControlFlow::Continue(())
    }
}

/// The steps `repo`, `root` and `records`.
fn read_repo(dir: &Path, manifest: &Manifest, found: &mut Inspection) -> RecoveryResult<Option<RepoRead>> {
    let path = dir.join(REPO);
    if !path.is_file() {
        found.step("repo", false, "repo.car is missing", vec![REPO.to_owned()]);
        return Ok(None);
    }
    let mut sink = Collect {
        builder: Builder::new(|_: &Cid, _: &[u8]| {}),
        error: None,
        collections: BTreeMap::new(),
        blobs: HashMap::new(),
        missing: Vec::new(),
    };
    let outcome = Spool::read(
        CarFile::open(&path).map_err(RecoveryError::io("open", &path))?,
        ReadOptions::DEFAULT,
        &mut sink,
    );
    let summary = match (outcome, sink.error.take()) {
        (Ok((summary, _)), None) => summary,
        (Err(error), None) => {
            found.step("repo", false, error.to_string(), vec![REPO.to_owned()]);
            return Ok(None);
        }
        (_, Some(why)) => {
            found.step("repo", false, why, vec![REPO.to_owned()]);
            return Ok(None);
        }
    };
    let rebuilt = sink.builder.finish();
    let read = RepoRead { summary, rebuilt, collections: sink.collections, blobs: sink.blobs };
    note_repo(manifest, &read, sink.missing, found);
    Ok(Some(read))
}

fn note_repo(manifest: &Manifest, read: &RepoRead, missing: Vec<String>, found: &mut Inspection) {
    let commit = &read.summary.commit;
    found.commit = Some(read.summary.cid.to_string());
    found.root = Some(commit.data.to_string());
    found.rebuilt_root = Some(read.rebuilt.to_string());
    found.records = read.summary.records;
    let same = manifest.head.commit == read.summary.cid.to_string()
        && manifest.head.data == commit.data.to_string()
        && manifest.head.rev == commit.rev.to_string()
        && manifest.did == commit.did;
    let order = if read.summary.preorder { "in streamable order" } else { "in another order" };
    let detail = if same {
        format!(
            "repo.car holds commit {} of {} ({}, {order})",
            read.summary.cid,
            commit.did,
            size(read.summary.bytes)
        )
    } else {
        format!("repo.car holds commit {}, the manifest names {}", read.summary.cid, manifest.head.commit)
    };
    found.step("repo", same, detail, if same { Vec::new() } else { vec![REPO.to_owned()] });
    let fits = read.rebuilt == commit.data;
    let detail = if fits {
        format!("the records alone build {}, the root that the commit names", read.rebuilt)
    } else {
        format!("the records build {}, the commit names {}", read.rebuilt, commit.data)
    };
    found.step("root", fits, detail, if fits { Vec::new() } else { vec![REPO.to_owned()] });
    let mut wanted = manifest.collections.iter().map(|row| (row.collection.clone(), row.records));
    let counts = read.summary.records == manifest.records
        && wanted.len() == read.collections.len()
        && wanted.all(|(collection, records)| read.collections.get(&collection) == Some(&records));
    let unexpected: Vec<String> = missing
        .iter()
        .filter(|path| !manifest.missing_records.contains(path))
        .map(|path| format!("record {path}"))
        .collect();
    let ok = counts && unexpected.is_empty();
    let mut detail = match counts {
        true => {
            let collections = plural(read.collections.len() as u64, "collection", "collections");
            let records = plural(read.summary.records, "record", "records");
            format!("{records} in {collections}, as counted")
        }
        false => format!("{} records, the manifest counts {}", read.summary.records, manifest.records),
    };
    if !missing.is_empty() {
        detail = format!("{detail}; {} have no bytes", missing.len());
    }
    found.step("records", ok, detail, unexpected);
}

/// The step `blobs`: every file hashes to its name, and every blob that a record names is here or listed as missing.
fn check_blobs(
    dir: &Path,
    manifest: &Manifest,
    repo: Option<&RepoRead>,
    found: &mut Inspection,
) -> RecoveryResult<()> {
    let mut damaged = Vec::new();
    let mut known: HashMap<Cid, ()> = HashMap::new();
    for blob in &manifest.blobs {
        let Ok(cid) = blob.cid.parse::<Cid>() else {
            damaged.push(format!("blob {}", blob.cid));
            continue;
        };
        known.insert(cid, ());
        let name = cid.to_string();
        let file = blob.file.as_deref().filter(|file| is_inside(file) && file.starts_with(&name));
        let fits = hash_file(&dir.join("blobs").join(file.unwrap_or(&name)))?
            .filter(|written| written.sha256 == *cid.digest() && written.size == blob.size);
        match fits {
            Some(written) => {
                found.blobs = found.blobs.saturating_add(1);
                found.blob_bytes = found.blob_bytes.saturating_add(written.size);
            }
            None if damaged.len() < LISTED => damaged.push(format!("blob {cid}")),
            None => {}
        }
    }
    known.extend(
        manifest.missing_blobs.iter().filter_map(|blob| blob.cid.parse().ok()).map(|cid: Cid| (cid, ())),
    );
    for (cid, record) in repo.iter().flat_map(|repo| &repo.blobs) {
        if !known.contains_key(cid) && damaged.len() < LISTED {
            damaged.push(format!("blob {cid} (named by {record}, in neither list)"));
        }
    }
    damaged.sort();
    let missing = manifest.missing_blobs.len();
    let detail = match (damaged.len(), missing) {
        (0, 0) => {
            let blobs = plural(found.blobs, "blob", "blobs");
            format!(
                "{blobs} ({}), hashed and compared with their names; none is missing",
                size(found.blob_bytes)
            )
        }
        (0, _) => format!(
            "{} hashed and compared with their names; {missing} listed as missing",
            plural(found.blobs, "blob", "blobs")
        ),
        (bad, _) => format!("{bad} of {} blobs are lost, damaged or not listed", manifest.blobs.len()),
    };
    found.step("blobs", damaged.is_empty(), detail, damaged);
    Ok(())
}

/// The step `plc-log`.
fn check_log(dir: &Path, manifest: &Manifest, found: &mut Inspection) -> RecoveryResult<Option<Log>> {
    let did: &Did = &manifest.did;
    if did.method() != DidMethod::Plc {
        found.step("plc-log", true, "a did:web has no log", Vec::new());
        return Ok(None);
    }
    let Some(bytes) = read(&dir.join(PLC))? else {
        // Without a log nobody can restore the identity; an account that never had one here says so itself.
        let ok = manifest.verified != "verified";
        let damaged = if ok { Vec::new() } else { vec![PLC.to_owned()] };
        found.step("plc-log", ok, "plc.json is missing: the archive has no identity log", damaged);
        return Ok(None);
    };
    let log = parse_audit(&bytes).and_then(|entries| validate_log(did, &entries));
    match log {
        Ok(log) => {
            let operations = plural(log.entries().len() as u64, "operation", "operations");
            let detail = format!("{operations}, valid from the first, which gives the DID");
            found.step("plc-log", true, detail, Vec::new());
            Ok(Some(log))
        }
        Err(error) => {
            found.step("plc-log", false, error.to_string(), vec![PLC.to_owned()]);
            Ok(None)
        }
    }
}

/// The step `signature`: by a key that the exported log (or, for a did:web, the exported document) names.
fn check_signature(
    dir: &Path,
    manifest: &Manifest,
    log: Option<&Log>,
    repo: Option<&RepoRead>,
    found: &mut Inspection,
) -> RecoveryResult<()> {
    let Some(repo) = repo else {
        found.step("signature", false, "there is no commit to check", vec![REPO.to_owned()]);
        return Ok(());
    };
    let mut keys: Vec<PublicKey> = log
        .map(Log::signing_keys)
        .unwrap_or_default()
        .iter()
        .rev()
        .filter_map(|period| PublicKey::from_did_key(&period.key).ok())
        .collect();
    if log.is_none()
        && let Some(doc) = read(&dir.join(DOC))?
        && let Ok(doc) = p2pds_identity::DidDocument::parse(&doc, &manifest.did)
    {
        keys.extend(doc.signing_key().and_then(Result::ok));
    }
    match keys.iter().find(|key| repo.summary.commit.verify(key).is_ok()) {
        Some(key) => {
            found.step("signature", true, format!("the commit is signed by {}", key.to_did_key()), Vec::new())
        }
        None if manifest.verified == "unverified" && keys.is_empty() => {
            found.step(
                "signature",
                true,
                "nothing vouches for the signing key, and the export says so",
                Vec::new(),
            );
        }
        None => {
            let detail = "the commit is signed by none of the keys that the exported identity names";
            found.step("signature", false, detail, vec![REPO.to_owned()]);
        }
    }
    Ok(())
}

/// The step `text`: the page is there and is about this account and state.
fn check_text(dir: &Path, manifest: &Manifest, found: &mut Inspection) -> RecoveryResult<()> {
    let text =
        read(&dir.join(TEXT))?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let ok = [manifest.did.as_str(), &manifest.head.rev, &manifest.head.commit]
        .iter()
        .all(|part| text.contains(part));
    let detail = if ok {
        "RESTORE.txt names this account and revision"
    } else {
        "RESTORE.txt is missing or about something else"
    };
    found.step("text", ok, detail, if ok { Vec::new() } else { vec![TEXT.to_owned()] });
    Ok(())
}

fn read(path: &Path) -> RecoveryResult<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(RecoveryError::io("read", path)(error)),
    }
}
