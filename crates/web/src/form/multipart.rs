//! `multipart/form-data` (RFC 7578), as browsers send forms with files: read from bytes whose number is bounded already.
//! Files are taken as text; one that was not chosen is no field.

use p2pds_syntax::ErrorKind;

/// Most parts of a form.
const MOST: usize = 100;
/// Longest headers of a part, bytes.
const LONGEST_HEAD: usize = 4 * 1024;
/// Longest boundary (RFC 2046, 5.1.1), bytes.
const LONGEST_BOUNDARY: usize = 70;

/// What cannot be read as such a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this form cannot be read: {0}")]
pub(crate) struct Unreadable(&'static str);

impl Unreadable {
    /// The class of the failure.
    #[must_use]
    pub(crate) fn kind(self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// The boundary that a `Content-Type` names; `None` for another type.
pub(crate) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let found = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    let fits =
        (1..=LONGEST_BOUNDARY).contains(&found.len()) && found.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(found)
}

/// The fields of a form.
///
/// # Errors
/// It is cut, has too many parts, or a part without a name.
pub(crate) fn fields(body: &[u8], boundary: &str) -> Result<Vec<(String, String)>, Unreadable> {
    let (first, next) = (format!("--{boundary}"), format!("\r\n--{boundary}"));
    let mut rest =
        body.strip_prefix(first.as_bytes()).ok_or(Unreadable("it does not begin with its boundary"))?;
    let mut fields = Vec::new();
    while !rest.starts_with(b"--") {
        if fields.len() >= MOST {
            return Err(Unreadable("it has too many fields"));
        }
        rest = rest.strip_prefix(b"\r\n").ok_or(Unreadable("a boundary is followed by something else"))?;
        let (head, after) =
            split(rest, b"\r\n\r\n").ok_or(Unreadable("a field has no end of its headers"))?;
        if head.len() > LONGEST_HEAD {
            return Err(Unreadable("a field has too long headers"));
        }
        let (value, after) = split(after, next.as_bytes()).ok_or(Unreadable("it is cut"))?;
        let head = String::from_utf8_lossy(head);
        let name = parameter(&head, "name").ok_or(Unreadable("a field has no name"))?;
        let chosen = parameter(&head, "filename").is_none_or(|file| !file.is_empty() || !value.is_empty());
        if chosen {
            fields.push((name, String::from_utf8_lossy(value).into_owned()));
        }
        rest = after;
    }
    Ok(fields)
}

/// What stands before a mark, and what after it.
fn split<'b>(bytes: &'b [u8], mark: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = bytes.windows(mark.len()).position(|window| window == mark)?;
    Some((bytes.get(..at)?, bytes.get(at.saturating_add(mark.len())..)?))
}

/// A parameter of `Content-Disposition: form-data`, in quotes as browsers write it.
fn parameter(head: &str, wanted: &str) -> Option<String> {
    let line = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let rest = line.trim().strip_prefix("form-data")?;
    let opens = format!("; {wanted}=\"");
    let (_, value) = rest.split_once(&opens)?;
    let (value, _) = value.split_once('"')?;
    Some(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";

    /// As Chromium writes it.
    fn form(parts: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, file, value) in parts {
            body.extend_from_slice(
                format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"").as_bytes(),
            );
            if let Some(file) = file {
                body.extend_from_slice(
                    format!("; filename=\"{file}\"\r\nContent-Type: application/octet-stream").as_bytes(),
                );
            }
            body.extend_from_slice(b"\r\n\r\n");
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        body
    }

    fn read(body: &[u8]) -> Result<Vec<(String, String)>, Unreadable> {
        fields(body, BOUNDARY)
    }

    #[test]
    fn fields_and_files() {
        let body = form(&[
            ("csrf", None, b"a token"),
            ("key", None, b""),
            ("key-file", Some("my key.txt"), b"two\r\nlines\n--not the boundary"),
            ("other-file", Some(""), b""),
            ("empty-file", Some("empty.txt"), b""),
        ]);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read(&body).unwrap(),
            [
                pair("csrf", "a token"),
                pair("key", ""),
                pair("key-file", "two\r\nlines\n--not the boundary"),
                pair("empty-file", ""),
            ]
        );
        assert_eq!(read(&form(&[])), Ok(Vec::new()));
        // A file that is no text is no text.
        let binary = read(&form(&[("f", Some("x"), &[0xff, 0xfe])])).unwrap();
        assert!(binary[0].1.contains(char::REPLACEMENT_CHARACTER));
    }

    #[test]
    fn boundaries() {
        for (text, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data; charset=utf-8; Boundary=\"abc\"", Some("abc")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=\"\"", None),
            ("multipart/form-data; boundary=a b", None),
            ("multipart/mixed; boundary=abc", None),
            ("application/x-www-form-urlencoded", None),
            ("", None),
        ] {
            assert_eq!(boundary(text), expected, "{text}");
        }
        assert_eq!(boundary(&format!("multipart/form-data; boundary={}", "x".repeat(71))), None);
    }

    #[test]
    fn what_is_cut_or_odd_is_refused_and_nothing_panics() {
        let whole = form(&[("csrf", None, b"a token"), ("file", Some("x"), b"\r\n--\r\n----")]);
        let end = whole.len() - 4;
        for length in 0..end {
            assert!(read(&whole[..length]).is_err(), "{length} bytes");
        }
        for place in 0..whole.len() {
            for byte in [0, b'-', b'\r', b'\n', b'"', 0xff] {
                let mut odd = whole.clone();
                odd[place] = byte;
                let _ = read(&odd);
            }
        }
        let unnamed = format!("--{BOUNDARY}\r\nContent-Type: text/plain\r\n\r\nx\r\n--{BOUNDARY}--");
        assert_eq!(read(unnamed.as_bytes()), Err(Unreadable("a field has no name")));
        let many: Vec<(&str, Option<&str>, &[u8])> = vec![("x", None, b"y"); MOST + 1];
        assert_eq!(read(&form(&many)), Err(Unreadable("it has too many fields")));
        let long = format!("--{BOUNDARY}\r\nX: {}\r\n\r\nx\r\n--{BOUNDARY}--", "y".repeat(LONGEST_HEAD));
        assert_eq!(read(long.as_bytes()), Err(Unreadable("a field has too long headers")));
    }
}
