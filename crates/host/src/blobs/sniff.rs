//! What the first bytes of a blob say that it is. Nothing is parsed: fixed bytes at fixed places.

/// Bytes that are looked at.
pub(super) const WANTED: usize = 4_096;

/// The media type that the bytes speak for, by the reference server's names; `None` when they say nothing.
pub(super) fn sniffed(first: &[u8]) -> Option<&'static str> {
    if first.starts_with(b"<?xml ") {
        return Some("application/xml");
    }
    if let Some(media) = iso_media(first) {
        return Some(media);
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

/// Films, sounds and pictures in the ISO base media format: the brand that stands behind `ftyp`.
fn iso_media(first: &[u8]) -> Option<&'static str> {
    let brand = first.get(8..12).filter(|_| first.get(4..8) == Some(b"ftyp"))?;
    // A brand begins with a printable character.
    if brand.first().is_none_or(|byte| byte & 0x60 == 0) {
        return None;
    }
    Some(match brand {
        b"avif" | b"avis" => "image/avif",
        b"mif1" => "image/heif",
        b"msf1" => "image/heif-sequence",
        b"heic" | b"heix" => "image/heic",
        b"hevc" | b"hevx" => "image/heic-sequence",
        b"crx " => "image/x-canon-cr3",
        b"qt  " => "video/quicktime",
        b"M4V " | b"M4VH" | b"M4VP" => "video/x-m4v",
        b"M4A " => "audio/x-m4a",
        b"M4B " | b"F4A " | b"F4B " => "audio/mp4",
        _ if brand.starts_with(b"3g2") => "video/3gpp2",
        _ if brand.starts_with(b"3g") => "video/3gpp",
        _ => "video/mp4",
    })
}

#[cfg(test)]
mod tests {
    use super::sniffed;

    #[test]
    fn brands() {
        for (brand, wanted) in [
            (b"heic", Some("image/heic")),
            (b"avif", Some("image/avif")),
            (b"qt  ", Some("video/quicktime")),
            (b"3gp4", Some("video/3gpp")),
            (b"3g2a", Some("video/3gpp2")),
            (b"isom", Some("video/mp4")),
            (b"\0\0\0\0", None),
        ] {
            let bytes = [b"\0\0\0\x18ftyp", brand.as_slice(), b"\0\0\0\0"].concat();
            assert_eq!(sniffed(&bytes), wanted, "{}", String::from_utf8_lossy(brand));
        }
        assert_eq!(sniffed(b"\0\0\0\x18fty"), None);
        assert_eq!(sniffed(b""), None);
    }
}
