//! Writing an account out: a folder that restores elsewhere, the same bytes on every run.
//!
//! Order: repo, blobs, identity, readable records, text, pages if wanted, manifest, hashes. The folder stands at its place only when all of
//! it is on the disk. What is damaged in the archive never goes out as if it were good: it is left out, and said.

mod blobs;
mod records;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use p2pds_archive::{Archive, ArchiveError, HandleSituation, Phase, Progress, Unit};
use p2pds_identity::DidDocument;
use p2pds_identity::plc::{Log, LogEntry, Operation, validate_log, write_audit};
use p2pds_reading::{LeftOut, Reading, Refusal, Viewer};
use p2pds_store::{Account, Head, Repo, VerifiedState};
use p2pds_syntax::{Datetime, Did, DidMethod};

use crate::Recovery;
use crate::error::{RecoveryError, RecoveryResult};
use crate::folder::{Folder, HashedFile, Written, blocking};
use crate::manifest::{
    FORMAT, MANIFEST, Manifest, ManifestBlob, ManifestCollection, ManifestFile, ManifestHead, MissingBlob,
    Readable, SUMS,
};
use crate::offline::Beside;
use crate::report::ExportReport;
use crate::restore_text::{RestoreFacts, restore_text};

/// File names of an export.
pub(crate) const REPO: &str = "repo.car";
pub(crate) const PLC: &str = "plc.json";
pub(crate) const DOC: &str = "did.json";
pub(crate) const TEXT: &str = "RESTORE.txt";
pub(crate) const TYPES: &str = "blobs.tsv";

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportOptions {
    /// Write each record as a JSON file too. They are for reading; restoring does not need them.
    pub readable: bool,
    /// Write pages that a browser opens from disk, with the records as JSON beside them whatever `readable` says. Blobs
    /// have endings then, and those that no current record names are left out.
    pub html: bool,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { readable: true, html: false }
    }
}

/// What was written, for the report and for the drill.
pub(crate) struct Exported {
    pub(crate) report: ExportReport,
    /// What is damaged in the archive and was left out: record paths, blob CIDs.
    pub(crate) damaged: Vec<String>,
}

/// One export under way.
pub(crate) struct Export<'a> {
    pub(crate) archive: &'a Archive,
    pub(crate) door: Reading,
    pub(crate) account: Account,
    pub(crate) repo: Repo,
    pub(crate) head: Head,
    pub(crate) folder: Folder,
    pub(crate) progress: Progress,
    pub(crate) sums: Vec<u8>,
    files: Vec<ManifestFile>,
    /// Directory of each collection in `records/`.
    pub(crate) record_dirs: HashMap<String, String>,
    options: ExportOptions,
    damaged: Vec<String>,
    notes: Vec<String>,
}

/// The blobs of an export.
#[derive(Default)]
pub(crate) struct BlobLists {
    pub(crate) held: Vec<ManifestBlob>,
    pub(crate) missing: Vec<MissingBlob>,
    pub(crate) bytes: u64,
    reused: u64,
    /// Held, and left out because no current record names them.
    unnamed: u64,
}

impl Recovery {
    /// Writes an account into a directory: `repo.car`, `blobs/`, `plc.json`, readable records, the manifest, and the
    /// text on how to restore. An interrupted export goes on; an earlier one of the same account is replaced; any other
    /// directory with something in it is refused.
    ///
    /// # Errors
    /// [`RecoveryError`]; what stood at the place before is still there then.
    pub async fn export(&self, did: &Did, out: &Path, progress: &Progress) -> RecoveryResult<ExportReport> {
        self.export_with(did, out, ExportOptions::default(), progress).await
    }

    /// As [`Recovery::export`], with options.
    ///
    /// # Errors
    /// As [`Recovery::export`].
    pub async fn export_with(
        &self,
        did: &Did,
        out: &Path,
        options: ExportOptions,
        progress: &Progress,
    ) -> RecoveryResult<ExportReport> {
        // The head stays as it is while it is written out.
        let _guard = self.archive().hold(did).await;
        let report = self.export_held(did, out, options, progress).await?.report;
        // What lies beside the archive is lost with it.
        let outside = std::path::absolute(out).is_ok_and(|out| !out.starts_with(self.archive().data_dir()));
        if outside {
            self.note_taken(did).await;
        }
        Ok(report)
    }

    /// The export itself; the caller holds the account.
    pub(crate) async fn export_held(
        &self,
        did: &Did,
        out: &Path,
        options: ExportOptions,
        progress: &Progress,
    ) -> RecoveryResult<Exported> {
        let begun = tokio::time::Instant::now();
        let archive = self.archive();
        let account = archive.store().account(did).await?;
        let account = account.ok_or_else(|| ArchiveError::NotArchived(did.to_string()))?;
        let door = Reading::new(Arc::clone(archive.store()), archive.blobs().clone());
        let (repo, head) = match door.repo(Viewer::Operator, did).await {
            Err(Refusal::Nothing(did)) => {
                let kept = archive.verbatim_files(&did)?;
                return Err(match kept.last() {
                    Some(file) => RecoveryError::Verbatim { did, file: file.display().to_string() },
                    None => RecoveryError::Nothing(did),
                });
            }
            other => other?,
        };
        let (target, whose) = (out.to_owned(), did.clone());
        let need = room_needed(&account, options);
        let folder = blocking(move || {
            room_for(&target, need)?;
            Folder::open(&target, &whose)
        })
        .await?;
        let export = Export {
            archive,
            door,
            account,
            repo,
            head,
            folder,
            progress: progress.about(did),
            sums: Vec::new(),
            files: Vec::new(),
            record_dirs: HashMap::new(),
            options,
            damaged: Vec::new(),
            notes: Vec::new(),
        };
        let mut exported = export.run().await?;
        exported.report.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(exported)
    }

    /// The current repo as a CAR, for standard output. Hold the account meanwhile ([`Archive::hold`]), or be ready for
    /// [`Refusal::Moved`].
    ///
    /// # Errors
    /// [`Refusal`] before the first byte.
    pub async fn export_car(
        &self,
        did: &Did,
    ) -> Result<impl futures::Stream<Item = Result<bytes::Bytes, Refusal>> + Send + use<>, Refusal> {
        let archive = self.archive();
        let door = Reading::new(Arc::clone(archive.store()), archive.blobs().clone());
        door.repo_car(Viewer::Operator, did).await
    }
}

impl Export<'_> {
    async fn run(mut self) -> RecoveryResult<Exported> {
        let options = self.options;
        let left_out = self.write_repo().await?;
        let car_bytes = self.files.first().map_or(0, |file| file.size);
        let blobs = self.write_blobs().await?;
        let log = self.write_identity().await?;
        let mut missing_records = left_out;
        let readable = match options.readable || options.html {
            true => Some(self.write_records(&mut missing_records).await?),
            false => {
                self.lost_records(&mut missing_records).await?;
                None
            }
        };
        missing_records.sort();
        missing_records.dedup();
        let did = self.account.did.clone();
        let facts = self.facts(&blobs, log.as_ref());
        self.write_small(TYPES, types_table(&blobs.held).as_bytes()).await?;
        let text = restore_text(&facts);
        self.write_small(TEXT, text.as_bytes()).await?;
        let beside = Beside { blobs: &blobs, missing_records: missing_records.len() as u64, text: &text };
        let pages = match options.html {
            true => Some(self.write_pages(&beside).await?),
            false => None,
        };
        let manifest = self.manifest(&blobs, missing_records, (readable, pages)).await?;
        let mut bytes =
            serde_json::to_vec_pretty(&manifest).map_err(|e| RecoveryError::Bug(e.to_string()))?;
        bytes.push(b'\n');
        let written = self.write_small(MANIFEST, &bytes).await?;
        let sums = std::mem::take(&mut self.sums);
        let folder = self.folder.clone();
        blocking(move || folder.write(SUMS, &sums)).await?;
        let folder = self.folder;
        let dir = blocking(move || folder.finish()).await?;
        if !self.damaged.is_empty() {
            self.notes.push(format!(
                "{} damaged in the archive and left out: {}. Run `p2pds verify {did} --read-data`, then export again",
                p2pds_archive::plural(self.damaged.len() as u64, "thing is", "things are"),
                self.damaged.iter().take(5).cloned().collect::<Vec<_>>().join(", ")
            ));
        }
        let report = ExportReport {
            did,
            handle: self.account.handle.clone(),
            dir: dir.display().to_string(),
            rev: self.head.rev.to_string(),
            commit: self.head.commit.to_string(),
            records: self.repo.records,
            car_bytes,
            blobs: blobs.held.len() as u64,
            blob_bytes: blobs.bytes,
            missing_blobs: blobs.missing.len() as u64,
            reused_blobs: blobs.reused,
            pages: options.html,
            manifest_sha256: written.hex(),
            notes: self.notes,
            took_ms: 0,
        };
        Ok(Exported { report, damaged: self.damaged })
    }

    /// `repo.car`; the records that were left out because their stored bytes are damaged.
    async fn write_repo(&mut self) -> RecoveryResult<Vec<String>> {
        let did = &self.account.did;
        let path = self.folder.dir().join(REPO);
        let left_out: LeftOut = Arc::new(Mutex::new(Vec::new()));
        let stream = self.door.repo_car_without_damaged(did, Arc::clone(&left_out)).await?;
        let mut stream = std::pin::pin!(stream);
        let total = Some(self.account.car_bytes).filter(|&bytes| bytes > 0);
        let counter = self.progress.begin(Phase::Export, Unit::Bytes, total, "writing the repo");
        let mut file = blocking(move || HashedFile::create(&path)).await?;
        while let Some(piece) = stream.next().await {
            let piece = piece?;
            counter.add(piece.len() as u64);
            file = blocking(move || file.write(&piece).map(|()| file)).await?;
        }
        let written = blocking(move || file.finish()).await?;
        counter.finish(format!("repo.car: {}", p2pds_archive::size(written.size)));
        self.note_file(REPO, &written, true);
        let left_out = left_out.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let left_out: Vec<String> = left_out.iter().map(ToString::to_string).collect();
        self.damaged.extend(left_out.iter().map(|path| format!("record {path}")));
        Ok(left_out)
    }

    /// `plc.json` and `did.json`.
    async fn write_identity(&mut self) -> RecoveryResult<Option<Log>> {
        let did = self.account.did.clone();
        let rows = self.archive.store().plc_log(&did).await?;
        let mut log = None;
        if !rows.is_empty() {
            let entries: Result<Vec<LogEntry>, String> = rows.iter().map(|row| entry(&did, row)).collect();
            match entries.and_then(|entries| validate_log(&did, &entries).map_err(|e| e.to_string())) {
                Ok(valid) => {
                    self.write_small(PLC, &write_audit(valid.entries())).await?;
                    log = Some(valid);
                }
                Err(why) => {
                    self.damaged.push("plc log".to_owned());
                    self.notes.push(format!("the stored identity log is damaged and was left out: {why}"));
                }
            }
        } else if did.method() == DidMethod::Plc {
            self.notes.push(format!(
                "no identity log is stored, so plc.json is missing; `p2pds archive sync {did}` fetches it"
            ));
        }
        let doc = match self.archive.store().identity(&did).await? {
            Some(row) => Some(row.doc),
            None => log
                .as_ref()
                .and_then(Log::document)
                .map(|doc: DidDocument| doc.to_json().to_string().into_bytes()),
        };
        if let Some(doc) = doc {
            let pretty = serde_json::from_slice::<serde_json::Value>(&doc)
                .and_then(|doc| serde_json::to_vec_pretty(&doc))
                .unwrap_or(doc);
            self.write_small(DOC, &pretty).await?;
        }
        Ok(log)
    }

    fn facts(&self, blobs: &BlobLists, log: Option<&Log>) -> RestoreFacts {
        let account = &self.account;
        let handle_is_own = account.handle.as_deref().and_then(|handle| {
            match p2pds_archive::given_by_host(handle, account.pds.as_deref(), None) {
                HandleSituation::HostProvided => Some(false),
                _ if well_known_host_handle(handle) => Some(false),
                _ => None,
            }
        });
        RestoreFacts {
            did: account.did.to_string(),
            handle: account.handle.clone(),
            handle_is_own,
            host: account.pds.clone(),
            rev: self.head.rev.to_string(),
            commit: self.head.commit.to_string(),
            records: self.repo.records,
            blobs: blobs.held.len() as u64,
            missing_blobs: blobs.missing.len() as u64,
            rotation_keys: log.and_then(Log::data).map(|data| data.rotation_keys).unwrap_or_default(),
            last_operation: log.map(|log| log.head().to_string()),
            operations: log.map_or(0, |log| log.entries().len() as u64),
            web: account.did.method() == DidMethod::Web,
            verified: account.verified == VerifiedState::Verified,
            tool: self.archive.config().tool.clone(),
        }
    }

    async fn manifest(
        &self,
        blobs: &BlobLists,
        missing_records: Vec<String>,
        (readable, pages): (Option<Readable>, Option<Readable>),
    ) -> RecoveryResult<Manifest> {
        let collections = self.archive.store().collections(self.repo.id).await?;
        let mut files = self.files.clone();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Manifest {
            format: FORMAT.to_owned(),
            tool: self.archive.config().tool.clone(),
            did: self.account.did.clone(),
            handle: self.account.handle.clone(),
            host: self.account.pds.clone(),
            status: self.account.status.as_str().to_owned(),
            verified: match self.account.verified {
                VerifiedState::Verified => "verified".to_owned(),
                _ => "unverified".to_owned(),
            },
            head: ManifestHead {
                rev: self.head.rev.to_string(),
                commit: self.head.commit.to_string(),
                data: self.head.data.to_string(),
                key: self.head.key.clone(),
            },
            records: self.repo.records,
            collections: collections
                .into_iter()
                .map(|row| ManifestCollection { collection: row.collection, records: row.records })
                .collect(),
            files,
            blobs: blobs.held.clone(),
            missing_blobs: blobs.missing.clone(),
            missing_records,
            readable,
            pages,
        })
    }

    async fn write_small(&mut self, path: &'static str, bytes: &[u8]) -> RecoveryResult<Written> {
        let (folder, bytes) = (self.folder.clone(), bytes.to_vec());
        let written = blocking(move || folder.write(path, &bytes)).await?;
        self.note_file(path, &written, path != MANIFEST);
        Ok(written)
    }

    /// A line of `SHA256SUMS`, and the manifest's entry for the file.
    fn note_file(&mut self, path: &str, written: &Written, in_manifest: bool) {
        self.sums.extend_from_slice(sum_line(path, &written.sha256).as_bytes());
        if in_manifest {
            self.files.push(ManifestFile {
                path: path.to_owned(),
                size: written.size,
                sha256: written.hex(),
            });
        }
    }
}

/// A line as `sha256sum -c` reads it.
pub(crate) fn sum_line(path: &str, sha256: &[u8; 32]) -> String {
    format!("{}  {path}\n", data_encoding::HEXLOWER.encode(sha256))
}

/// `cid`, tab, MIME type, tab, size: what uploading needs, one blob a line.
fn types_table(blobs: &[ManifestBlob]) -> String {
    let mut out = String::new();
    for blob in blobs {
        // A record can claim anything as a type; a line must stay a line.
        let mime: String = blob.mime_type.chars().filter(|c| !c.is_control()).collect();
        let mime = if mime.is_empty() { "application/octet-stream" } else { &mime };
        out.push_str(&format!("{}\t{mime}\t{}\n", blob.cid, blob.size));
    }
    out
}

fn entry(did: &Did, row: &p2pds_store::PlcRow) -> Result<LogEntry, String> {
    let json: serde_json::Value = serde_json::from_slice(&row.operation).map_err(|e| e.to_string())?;
    Ok(LogEntry {
        did: did.clone(),
        operation: Operation::from_json(&json).map_err(|e| e.to_string())?,
        cid: row.cid.parse().map_err(|e: p2pds_ipld::CidError| e.to_string())?,
        nullified: row.nullified,
        created_at: Datetime::parse(&row.created_at).map_err(|e| e.to_string())?,
    })
}

/// Handle domains of the largest host, whose servers have other names.
fn well_known_host_handle(handle: &str) -> bool {
    handle.ends_with(".bsky.social")
}

/// Bytes that an export takes, about.
fn room_needed(account: &Account, options: ExportOptions) -> (u64, u64) {
    /// What the smallest file takes on most disks.
    const SMALLEST: u64 = 4_096;
    let repo = account.car_bytes.max(account.record_bytes);
    let files = account.records.saturating_mul(SMALLEST).max(account.record_bytes);
    let readable = if options.readable || options.html { files } else { 0 };
    // Measured: pages and the index of the search take 420 to 600 bytes for each record.
    let pages =
        if options.html { account.records.saturating_mul(1_000).max(account.record_bytes) } else { 0 };
    (repo.saturating_add(readable).saturating_add(pages), account.blob_bytes)
}

/// Refuses when an export does not fit. `need` is for the repo and what is written anew, and for the blobs, which an
/// earlier or interrupted export may have brought already.
fn room_for(target: &Path, (anew, blobs): (u64, u64)) -> RecoveryResult<()> {
    /// What a disk should keep free at the least.
    const SPARE: u64 = 16 << 20;
    let there = target.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    let need = if there { anew } else { anew.saturating_add(blobs) };
    let place = target.ancestors().find(|dir| dir.is_dir()).unwrap_or_else(|| Path::new("."));
    let free = p2pds_blobs::space(place).map_err(ArchiveError::from)?.free;
    if need.saturating_add(SPARE) > free {
        return Err(RecoveryError::NoRoom { dir: place.to_owned(), need, free });
    }
    Ok(())
}
