//! What the first bytes of a blob say that it is. Nothing is parsed: fixed bytes at fixed places.

/// Bytes that are looked at.
pub(super) const WANTED: usize = 4_096;

/// The media type that the bytes speak for, by the reference server's names; `None` when they say nothing.
pub(super) fn sniffed(first: &[u8]) -> Option<&'static str> {
    if first.starts_with(b"<?xml ") {
        return Some("application/xml");
    }
    let found = infer::get(first)?;
    // Text is what its sender says: the first bytes of a page prove nothing.
    if found.matcher_type() == infer::MatcherType::Text {
        return None;
    }
    Some(match found.mime_type() {
        "audio/m4a" => "audio/x-m4a",
        "audio/x-flac" => "audio/flac",
        "audio/x-wav" => "audio/wav",
        "audio/x-aiff" => "audio/aiff",
        "audio/x-ape" => "audio/ape",
        "video/x-matroska" => "video/matroska",
        "video/x-msvideo" => "video/vnd.avi",
        "application/vnd.rar" => "application/x-rar-compressed",
        "application/x-executable" => "application/x-elf",
        "application/vnd.microsoft.portable-executable" => "application/x-msdownload",
        "application/font-woff" => "font/woff",
        "application/font-sfnt" => "font/ttf",
        same => same,
    })
}
