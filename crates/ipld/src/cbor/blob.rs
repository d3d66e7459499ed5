//! Blob references inside records.

use super::Limits;
use super::read::Reader;
use crate::cid::Cid;

/// A reference to a blob, as a record holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobRef<'a> {
    /// What the blob hashes to.
    pub cid: Cid,
    /// The MIME type that the record claims.
    pub mime: &'a str,
    /// Size in bytes that the record claims; the legacy form has none.
    pub size: Option<u64>,
}

/// Reads a map that passed the walk and has a `mimeType`: `{$type: "blob", ref, mimeType, size}` or the legacy
/// `{cid, mimeType}`. Anything else is a map like any other.
pub(super) fn read(map: &[u8]) -> Option<BlobRef<'_>> {
    let mut reader = Reader::new(map);
    let entries = reader.map().ok()?;
    let (mut kind, mut link, mut text, mut mime, mut size) = (None, None, None, None, None);
    for _ in 0..entries {
        match reader.text().ok()? {
            "$type" => kind = Some(reader.text().ok()?),
            "ref" => link = Cid::from_bytes(reader.link_bytes(&Limits::RECORD).ok()?).ok(),
            "cid" => text = reader.text().ok()?.parse::<Cid>().ok(),
            "mimeType" => mime = Some(reader.text().ok()?),
            "size" => size = u64::try_from(reader.int().ok()?).ok(),
            _ => reader.skip(&Limits::RECORD).ok()?,
        }
    }
    match (kind, link, text, mime, size) {
        (Some("blob"), Some(cid), _, Some(mime), Some(size)) => Some(BlobRef { cid, mime, size: Some(size) }),
        (None, None, Some(cid), Some(mime), None) if entries == 2 => Some(BlobRef { cid, mime, size: None }),
        _ => None,
    }
}
