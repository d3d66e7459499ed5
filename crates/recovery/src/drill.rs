//! The drill: an export, read back as a stranger would, compared with what the archive believes to hold; then promoted
//! into a host of its own that nobody reaches and that reaches nobody.

pub(crate) mod host;
mod promotion;

use std::fs;
use std::path::{Path, PathBuf};

use p2pds_archive::{Phase, Progress, plural, when};
use p2pds_store::Head;
use p2pds_syntax::{Did, ErrorKind};

use crate::Recovery;
use crate::error::{RecoveryError, RecoveryResult};
use crate::export::{ExportOptions, Exported};
use crate::folder::{blocking, remove_dir, write_file};
use crate::report::{DrillReport, DrillStep};
use crate::stranger::{Inspection, inspect};

/// Reports kept for one account; older ones go.
const KEPT: usize = 20;

impl Recovery {
    /// Proves from the archive alone that an account restores, and writes the report beside it (`drills/` in the data
    /// directory, JSON and text).
    ///
    /// # Errors
    /// Only what keeps the drill from being run (no such account, no room). An account that does not restore is a report
    /// with `ok: false`, not an error.
    pub async fn drill(&self, did: &Did, progress: &Progress) -> RecoveryResult<DrillReport> {
        let begun = tokio::time::Instant::now();
        let progress = progress.about(did);
        let archive = self.archive();
        let _guard = archive.hold(did).await;
        let account = archive.store().account(did).await?;
        let account = account.ok_or_else(|| p2pds_archive::ArchiveError::NotArchived(did.to_string()))?;
        let dir = archive.drill_dir(did);
        let scratch = dir.join("scratch");
        remove_all(&scratch).await?;
        let options = ExportOptions { readable: false, html: false };
        let head = archive.store().live_repo(did).await?.and_then(|repo| repo.head);
        let exported = self.export_held(did, &scratch.join("export"), options, &progress).await;
        let mut steps = Vec::new();
        let mut inspection = Inspection::default();
        let mut promoted = false;
        match exported {
            Ok(exported) => {
                steps.push(export_step(&exported));
                progress.note(Phase::Drill, "reading the export back as a stranger would");
                let from = PathBuf::from(&exported.report.dir);
                inspection = blocking(move || inspect(&from)).await?;
                steps.append(&mut inspection.steps);
                steps.push(head_step(head.as_ref(), &inspection));
                // What does not read back as it should is not worth promoting.
                if let Some(open) = &self.scratch
                    && steps.iter().all(|step| step.ok)
                {
                    progress.note(Phase::Drill, "promoting it into a host of its own");
                    let from = PathBuf::from(&exported.report.dir);
                    let drill = promotion::Drill { recovery: self, open, from: &from, dir: &scratch, did };
                    steps.append(&mut drill.run(inspection.manifest.as_ref()).await?);
                    promoted = true;
                }
            }
            // What is damaged so that no export can be made is what a drill is there to find.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                steps.push(failed("export", error.to_string(), vec!["export".to_owned()]));
            }
            Err(error) => {
                remove_all(&scratch).await?;
                return Err(error);
            }
        }
        remove_all(&scratch).await?;
        let manifest = inspection.manifest.as_ref();
        let mut report = DrillReport {
            did: did.clone(),
            handle: account.handle,
            tool: archive.config().tool.clone(),
            at: archive.now(),
            ok: steps.iter().all(|step| step.ok),
            rev: manifest.map(|manifest| manifest.head.rev.clone()),
            root: head.map(|head| head.data.to_string()),
            rebuilt_root: inspection.rebuilt_root,
            records: inspection.records,
            blobs: inspection.blobs,
            blob_bytes: inspection.blob_bytes,
            missing_blobs: manifest.map_or(0, |manifest| manifest.missing_blobs.len() as u64),
            steps,
            not_proved: not_proved(promoted),
            files: Vec::new(),
            took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let data_dir = archive.data_dir().to_owned();
        report.files = blocking({
            let report = report.clone();
            move || write_report(&dir, &data_dir, report)
        })
        .await?;
        let words = if report.ok { "it restores" } else { "it does NOT restore completely" };
        progress.note(Phase::Drill, words);
        Ok(report)
    }
}

fn failed(name: &str, detail: String, damaged: Vec<String>) -> DrillStep {
    DrillStep { name: name.to_owned(), ok: false, detail, damaged }
}

fn export_step(exported: &Exported) -> DrillStep {
    let report = &exported.report;
    if !exported.damaged.is_empty() {
        let bad = plural(exported.damaged.len() as u64, "thing", "things");
        return failed(
            "export",
            format!("{bad} could not be exported: the stored bytes are damaged"),
            exported.damaged.clone(),
        );
    }
    let detail = format!(
        "{} and {} written from the archive alone",
        plural(report.records, "record", "records"),
        plural(report.blobs, "blob", "blobs")
    );
    DrillStep { name: "export".to_owned(), ok: true, detail, damaged: Vec::new() }
}

/// The export is of the head that the archive believes to hold.
fn head_step(head: Option<&Head>, inspection: &Inspection) -> DrillStep {
    let believed = head.map(|head| (head.commit.to_string(), head.data.to_string()));
    let found = inspection.commit.clone().zip(inspection.rebuilt_root.clone());
    let ok = believed.is_some() && believed == found;
    let detail = match (&believed, &found) {
        (Some((commit, _)), Some(_)) if ok => {
            format!("commit {commit} and its root are those of the archive")
        }
        _ => "what was read back is not the commit and root that the archive holds".to_owned(),
    };
    DrillStep {
        name: "head".to_owned(),
        ok,
        detail,
        damaged: if ok { Vec::new() } else { vec!["commit".to_owned()] },
    }
}

/// What even a green drill leaves open.
fn not_proved(promoted: bool) -> Vec<String> {
    let mut open = vec![
        "that you hold one of the rotation keys (without one, nobody can point the identity at a new server)"
            .to_owned(),
    ];
    if promoted {
        open.push(
            "that the real PLC directory takes the operation: a copy of its rules in memory did".to_owned(),
        );
    } else {
        open.push("that a server takes the account: it was not promoted in this drill".to_owned());
    }
    open.push("what no backup of public data has: preferences, direct messages, private spaces".to_owned());
    open
}

/// Writes the report as JSON and as text; their names in the data directory.
fn write_report(dir: &Path, data_dir: &Path, mut report: DrillReport) -> RecoveryResult<Vec<String>> {
    let stamp = when(report.at).replace([' ', ':'], "-");
    let name = format!("{}-{}", stamp.trim_end_matches("-UTC"), report.rev.as_deref().unwrap_or("none"));
    let (json, text) = (dir.join(format!("{name}.json")), dir.join(format!("{name}.txt")));
    let inside = |path: &Path| path.strip_prefix(data_dir).unwrap_or(path).display().to_string();
    report.files = vec![inside(&text), inside(&json)];
    let bytes = serde_json::to_vec_pretty(&report).map_err(|error| RecoveryError::Bug(error.to_string()))?;
    write_file(&json, &bytes)?;
    write_file(&text, format!("Drill of {} on {}\n\n{report}\n", report.did, when(report.at)).as_bytes())?;
    prune(dir)?;
    Ok(report.files)
}

/// Keeps the newest reports.
fn prune(dir: &Path) -> RecoveryResult<()> {
    let mut names: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(dir).map_err(RecoveryError::io("read", dir))? {
        let path = entry.map_err(RecoveryError::io("read", dir))?.path();
        if path.extension().is_some_and(|end| end == "json" || end == "txt") {
            names.push(path);
        }
    }
    names.sort();
    let extra = names.len().saturating_sub(KEPT.saturating_mul(2));
    for path in names.iter().take(extra) {
        fs::remove_file(path).map_err(RecoveryError::io("remove", path))?;
    }
    Ok(())
}

async fn remove_all(dir: &Path) -> RecoveryResult<()> {
    let dir = dir.to_owned();
    blocking(move || remove_dir(&dir)).await
}
