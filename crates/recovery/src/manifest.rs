//! What an export contains, with hashes. The file is written last: an export without it is not finished.

use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};

/// The format's name and version.
pub const FORMAT: &str = "org.p2pds.export/1";
/// Its file name.
pub const MANIFEST: &str = "manifest.json";
/// One line per other file, as `sha256sum -c` reads it.
pub const SUMS: &str = "SHA256SUMS";

/// `manifest.json`. The same archive state gives the same bytes on every run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// Name and version of the program.
    pub tool: String,
    /// The account.
    pub did: Did,
    /// Its handle when it was last resolved.
    pub handle: Option<String>,
    /// Its host when it was last resolved.
    pub host: Option<String>,
    /// Its state at the host.
    pub status: String,
    /// `verified` or `unverified` (no log vouches for the signing key).
    pub verified: String,
    /// The signed head.
    pub head: ManifestHead,
    /// Records in all.
    pub records: u64,
    /// Records by collection, in name order.
    pub collections: Vec<ManifestCollection>,
    /// The files that restoring needs, and the text, in name order. `blobs/` and `records/` are not among them.
    pub files: Vec<ManifestFile>,
    /// Blobs in `blobs/`, in CID order.
    pub blobs: Vec<ManifestBlob>,
    /// Blobs that records name and that the archive does not have, in CID order.
    pub missing_blobs: Vec<MissingBlob>,
    /// Records whose bytes the source had lost, in path order. Their CIDs are in the tree all the same.
    pub missing_records: Vec<String>,
    /// The readable copies in `records/`; `None` when they were left out.
    pub readable: Option<Readable>,
    /// The pages for a browser, `index.html` and those in `pages/`, when they were wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<Readable>,
}

/// The signed head of the repo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestHead {
    /// Revision.
    pub rev: String,
    /// CID of the commit.
    pub commit: String,
    /// Root of the tree.
    pub data: String,
    /// The key that signed it, as did:key; empty when nothing vouches for one.
    pub key: String,
}

/// One collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestCollection {
    /// NSID.
    pub collection: String,
    /// Records.
    pub records: u64,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Path from the export's directory, with `/`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 in hex.
    pub sha256: String,
}

/// One blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestBlob {
    /// CID, which is the file's name and (decoded) the SHA-256 of its bytes.
    pub cid: String,
    /// Bytes.
    pub size: u64,
    /// MIME type by the record that names it: uploading needs it.
    pub mime_type: String,
    /// The file's name when it is not the CID alone: it has an ending where a browser is to open it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// A blob that is not in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MissingBlob {
    /// CID.
    pub cid: String,
    /// MIME type by the record that names it.
    pub mime_type: String,
    /// Why it is not here.
    pub reason: String,
}

/// Files that are made for reading: copies of the records, or pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readable {
    /// How many there are.
    pub files: u64,
    /// SHA-256 over their lines in `SHA256SUMS`.
    pub sha256: String,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A manifest of nothing.
    pub(crate) fn sample(did: &Did) -> Manifest {
        let text = String::new;
        Manifest {
            format: FORMAT.to_owned(),
            tool: text(),
            did: did.clone(),
            handle: None,
            host: None,
            status: text(),
            verified: text(),
            head: ManifestHead { rev: text(), commit: text(), data: text(), key: text() },
            records: 0,
            collections: Vec::new(),
            files: Vec::new(),
            blobs: Vec::new(),
            missing_blobs: Vec::new(),
            missing_records: Vec::new(),
            readable: None,
            pages: None,
        }
    }

    #[test]
    fn names_as_other_programs_read_them() {
        let did = Did::parse("did:web:a.example").unwrap();
        let json = serde_json::to_value(sample(&did)).unwrap();
        for name in ["format", "did", "head", "missingBlobs", "missingRecords", "readable"] {
            assert!(json.get(name).is_some(), "{name}");
        }
    }
}
