//! Blobs as the pages show them. What a file is, its bytes say: a record can claim anything, and a page that lies in
//! the folder under the name of a picture would run with the rights of the folder.

use std::collections::HashMap;

use p2pds_ipld::Cid;
use p2pds_ipld::cbor::Value;

/// Bytes that are looked at.
pub(crate) const LOOKED_AT: usize = 512;
/// Every ending that is given.
pub(crate) const ENDINGS: [&str; 10] =
    ["jpg", "png", "gif", "webp", "avif", "mp4", "webm", "mov", "vtt", "bin"];

/// The ending of a file whose first bytes these are; `bin` for all that a browser should not open.
pub(crate) fn ending(first: &[u8]) -> &'static str {
    let kind = infer::get(first).map(|kind| kind.mime_type());
    match kind {
        Some("image/jpeg") => "jpg",
        Some("image/png") => "png",
        Some("image/gif") => "gif",
        Some("image/webp") => "webp",
        Some("image/avif") => "avif",
        Some("video/mp4" | "video/x-m4v") => "mp4",
        Some("video/webm") => "webm",
        Some("video/quicktime") => "mov",
        _ if first.starts_with(b"WEBVTT") => "vtt",
        _ => "bin",
    }
}

/// How a file is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Picture,
    Video,
    Other,
}

/// A blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Blob {
    /// It is here, with this ending.
    Held(&'static str),
    /// It is not, for this reason.
    Missing(String),
}

/// The blobs of an account.
#[derive(Debug, Default)]
pub(super) struct Media(HashMap<Cid, Blob>);

impl Media {
    pub(super) fn insert(&mut self, cid: Cid, blob: Blob) {
        self.0.insert(cid, blob);
    }

    /// Where the file is in the folder and how to show it, or why it is not there.
    pub(super) fn find(&self, cid: &Cid) -> Result<(String, Shape), &str> {
        match self.0.get(cid) {
            Some(Blob::Held(ending)) => {
                let shape = match *ending {
                    "jpg" | "png" | "gif" | "webp" | "avif" => Shape::Picture,
                    "mp4" | "webm" | "mov" => Shape::Video,
                    _ => Shape::Other,
                };
                Ok((format!("blobs/{cid}.{ending}"), shape))
            }
            Some(Blob::Missing(why)) => Err(why),
            None => Err("nothing is known of it"),
        }
    }
}

/// The CID of a blob reference, of today's form or the old one.
pub(super) fn blob_cid(value: &Value) -> Option<Cid> {
    if value.get("$type").and_then(Value::as_text) == Some("blob") {
        return value.get("ref")?.as_link().copied();
    }
    value.get("mimeType")?;
    value.get("cid")?.as_text()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_decide() {
        for (bytes, is) in [
            (&b"\x89PNG\r\n\x1a\nrest"[..], "png"),
            (b"\xff\xd8\xff\xe0rest", "jpg"),
            (b"GIF89a rest", "gif"),
            (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "webp"),
            (b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2", "mp4"),
            (b"WEBVTT\n", "vtt"),
            (b"<!DOCTYPE html><script>alert(1)</script>", "bin"),
            (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "bin"),
            (b"<?xml version='1.0'?><svg/>", "bin"),
            (b"%PDF-1.7", "bin"),
            (b"", "bin"),
        ] {
            assert_eq!(ending(bytes), is, "{:?}", String::from_utf8_lossy(bytes));
            assert!(ENDINGS.contains(&ending(bytes)));
        }
    }
}
