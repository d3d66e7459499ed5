//! An exported folder, read as a stranger would: files, hashes, blocks; no code of the exporter.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::oracle::{Truth, car_blocks, cid_text};

/// The folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Where it lies.
    pub dir: PathBuf,
    /// Every file by its path in the folder, with `/`.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Exported {
    /// Reads all of a folder.
    ///
    /// # Errors
    /// A file cannot be read, or its SHA-256 is not the one in `SHA256SUMS`.
    pub fn read(dir: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        collect(dir, "", &mut files)?;
        let exported = Self { dir: dir.to_owned(), files };
        exported.check_sums()?;
        Ok(exported)
    }

    /// One file.
    ///
    /// # Errors
    /// There is none.
    pub fn file(&self, path: &str) -> Result<&[u8]> {
        self.files.get(path).map(Vec::as_slice).with_context(|| format!("the export has no {path}"))
    }

    /// `manifest.json`.
    ///
    /// # Errors
    /// Missing or not JSON.
    pub fn manifest(&self) -> Result<Value> {
        Ok(serde_json::from_slice(self.file("manifest.json")?)?)
    }

    /// The blobs by CID.
    #[must_use]
    pub fn blobs(&self) -> BTreeMap<String, Vec<u8>> {
        let blob = |(path, bytes): (&String, &Vec<u8>)| {
            Some((path.strip_prefix("blobs/")?.to_owned(), bytes.clone()))
        };
        self.files.iter().filter_map(blob).collect()
    }

    fn check_sums(&self) -> Result<()> {
        let sums = std::str::from_utf8(self.file("SHA256SUMS")?)?;
        let mut named = 0;
        for line in sums.lines() {
            let (sum, path) = line.split_once("  ").with_context(|| format!("SHA256SUMS: {line}"))?;
            let found = data_encoding::HEXLOWER.encode(&Sha256::digest(self.file(path)?));
            ensure!(found == sum, "{path} has another hash than SHA256SUMS says");
            named += 1;
        }
        ensure!(named + 1 == self.files.len(), "SHA256SUMS names {named} of {} files", self.files.len() - 1);
        Ok(())
    }

    /// Compares with what a PDS says: same commit, same blocks (so same records and tree), same blobs, and as many
    /// readable records.
    ///
    /// # Errors
    /// The first differences, in words.
    pub fn compare(&self, truth: &Truth) -> Result<()> {
        let (root, blocks) = car_blocks(self.file("repo.car")?)?;
        ensure!(root == truth.commit, "exported commit {root}, the PDS has {}", truth.commit);
        same("blocks", &blocks, &truth.blocks)?;
        for (path, cid) in &truth.records {
            ensure!(blocks.contains_key(cid), "record {path} {cid} is missing");
        }
        let blobs = self.blobs();
        for (cid, bytes) in &blobs {
            ensure!(&cid_text(0x55, bytes) == cid, "blob {cid} has other bytes");
        }
        same("blobs", &blobs, &truth.blobs)?;
        let manifest = self.manifest()?;
        ensure!(
            manifest["records"] == truth.records.len(),
            "manifest counts {} records",
            manifest["records"]
        );
        ensure!(manifest["head"]["commit"] == truth.commit.as_str(), "manifest names {}", manifest["head"]);
        Ok(())
    }
}

fn same(what: &str, found: &BTreeMap<String, Vec<u8>>, wanted: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let missing: Vec<&String> = wanted.keys().filter(|cid| !found.contains_key(*cid)).take(5).collect();
    let extra: Vec<&String> = found.keys().filter(|cid| !wanted.contains_key(*cid)).take(5).collect();
    if found.len() != wanted.len() || !missing.is_empty() || !extra.is_empty() {
        bail!("{} {what} instead of {}: missing {missing:?}, too many {extra:?}", found.len(), wanted.len());
    }
    ensure!(found == wanted, "{what} differ in bytes");
    Ok(())
}

fn collect(dir: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name, std::fs::read(entry.path())?);
        }
    }
    Ok(())
}
