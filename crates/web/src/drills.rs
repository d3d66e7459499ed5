//! The reports that drills left: files in the data directory, read when a page shows them.

use p2pds_archive::Archive;
use p2pds_recovery::DrillReport;
use p2pds_syntax::Did;

/// Largest report that is read, bytes.
const MOST: u64 = 4 << 20;

/// All reports of an account, the newest first. What cannot be read is left out.
pub async fn drills(archive: &Archive, did: &Did, most: usize) -> Vec<DrillReport> {
    let dir = archive.drill_dir(did);
    let read = move || {
        let entries = std::fs::read_dir(dir).ok()?;
        let mut files: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect();
        files.sort();
        let reports = files.into_iter().rev().take(most).filter_map(|path| {
            let small = std::fs::metadata(&path).is_ok_and(|about| about.len() <= MOST);
            serde_json::from_slice(&std::fs::read(path).ok().filter(|_| small)?).ok()
        });
        Some(reports.collect())
    };
    tokio::task::spawn_blocking(read).await.ok().flatten().unwrap_or_default()
}

/// The newest report of an account.
pub async fn last_drill(archive: &Archive, did: &Did) -> Option<DrillReport> {
    drills(archive, did, 1).await.pop()
}
