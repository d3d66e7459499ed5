//! Foreign text made fit to be shown: bounded, without what rearranges a page; addresses that are safe to follow.
//!
//! Escaping is the markup's business. What is replaced here is whole in the record's JSON file.

use p2pds_ipld::cbor::Value;
use url::Url;

/// Longest address that becomes a link.
const LONGEST_ADDRESS: usize = 2_048;

/// Text as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) text: String,
    /// More was there than is shown.
    pub(super) cut: bool,
}

/// At most `most` bytes of a text, without control characters and without what reverses the direction of all that
/// follows. Line breaks stay.
pub(super) fn shown(text: &str, most: usize) -> Shown {
    let end = text.floor_char_boundary(most);
    let kept = text.get(..end).unwrap_or_default();
    Shown { text: kept.chars().map(harmless).collect(), cut: end < text.len() }
}

/// As [`shown`], in one line, with an ellipsis where it was cut: for names, cells and titles.
pub(super) fn line(text: &str, most: usize) -> String {
    let shown = shown(text, most);
    let mut line = shown.text.split_whitespace().collect::<Vec<_>>().join(" ");
    if shown.cut {
        line.push('…');
    }
    line
}

fn harmless(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        // Overrides: no honest text needs them, and they hide what a name or an address is.
        '\u{202d}' | '\u{202e}' => char::REPLACEMENT_CHARACTER,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// An address that a reader may follow, and its host: only `http:` and `https:`.
pub(super) fn web_address(text: &str) -> Option<(String, String)> {
    if text.len() > LONGEST_ADDRESS {
        return None;
    }
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let host = url.host_str()?.to_owned();
    Some((url.into(), host))
}

/// A language tag that may stand in `lang`.
pub(super) fn language(value: &Value) -> Option<&str> {
    let tag = value.get("langs")?.as_array()?.first()?.as_text()?;
    let fits = (2..=35).contains(&tag.len())
        && tag.split('-').all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
        && tag.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    fits.then_some(tag)
}

/// A piece of a post's text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Plain(&'a str),
    /// Text that leads to an address.
    Link {
        text: &'a str,
        uri: &'a str,
    },
    /// Text that names an account.
    Mention {
        text: &'a str,
        did: &'a str,
    },
    Tag(&'a str),
}

/// A text in pieces by its facets. Facets that lie outside of it, cut a character or overlap an earlier one count for
/// nothing.
pub(super) fn pieces<'a>(text: &'a str, facets: Option<&'a Value>) -> Vec<Piece<'a>> {
    let facets = facets.and_then(Value::as_array).unwrap_or_default();
    let mut marks: Vec<(usize, usize, &Value)> = facets.iter().filter_map(mark).collect();
    marks.sort_by_key(|(start, _, _)| *start);
    let (mut pieces, mut at) = (Vec::new(), 0);
    for (start, end, feature) in marks {
        if start < at {
            continue;
        }
        let Some(marked) = text.get(start..end).filter(|marked| !marked.is_empty()) else { continue };
        let Some(piece) = piece_of(marked, feature) else { continue };
        if let Some(before) = text.get(at..start).filter(|before| !before.is_empty()) {
            pieces.push(Piece::Plain(before));
        }
        pieces.push(piece);
        at = end;
    }
    if let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        pieces.push(Piece::Plain(rest));
    }
    pieces
}

/// Start, end and the first feature that is known.
fn mark(facet: &Value) -> Option<(usize, usize, &Value)> {
    let index = facet.get("index")?;
    let offset = |name: &str| index.get(name)?.as_int().and_then(|n| usize::try_from(n).ok());
    let feature = facet.get("features")?.as_array()?.iter().find(|feature| kind(feature).is_some())?;
    Some((offset("byteStart")?, offset("byteEnd")?, feature))
}

fn kind(feature: &Value) -> Option<&str> {
    let name = feature.get("$type")?.as_text()?.strip_prefix("app.bsky.richtext.facet#")?;
    matches!(name, "link" | "mention" | "tag").then_some(name)
}

fn piece_of<'a>(text: &'a str, feature: &'a Value) -> Option<Piece<'a>> {
    match kind(feature)? {
        "link" => Some(Piece::Link { text, uri: feature.get("uri")?.as_text()? }),
        "mention" => Some(Piece::Mention { text, did: feature.get("did")?.as_text()? }),
        _ => Some(Piece::Tag(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_rearranges_a_page_is_shown() {
        let evil = "a\u{202e}gpj.exe\u{0}\u{7f}\r\nb\tc";
        assert_eq!(shown(evil, 100).text, "a\u{fffd}gpj.exe\u{fffd}\u{fffd}\u{fffd}\nb\tc");
        let cut = shown("äöü", 3);
        assert_eq!((cut.text.as_str(), cut.cut), ("ä", true), "no character is halved");
        assert_eq!(line(" a \n b ", 100), "a b");
        assert_eq!(shown(&"x".repeat(10 << 20), 1_000).text.len(), 1_000);
    }

    #[test]
    fn only_web_addresses_are_links() {
        for bad in [
            "javascript:alert(1)",
            " java\nscript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "vbscript:x",
            "at://did:web:a.example",
            "//a.example",
            "",
            "https://",
        ] {
            assert_eq!(web_address(bad), None, "{bad}");
        }
        let (address, host) = web_address("HTTPS://A.example/\"><script>").unwrap();
        assert_eq!((address.as_str(), host.as_str()), ("https://a.example/%22%3E%3Cscript%3E", "a.example"));
        assert_eq!(web_address(&format!("https://a.example/{}", "x".repeat(3_000))), None);
    }

    #[test]
    fn facets_that_do_not_fit_count_for_nothing() {
        let facet = |from: i64, to: i64, uri: &str| {
            Value::map([
                ("index", Value::map([("byteStart", Value::Int(from)), ("byteEnd", Value::Int(to))])),
                (
                    "features",
                    Value::Array(vec![Value::map([
                        ("$type", Value::Text("app.bsky.richtext.facet#link".into())),
                        ("uri", Value::Text(uri.into())),
                    ])]),
                ),
            ])
        };
        let facets = Value::Array(vec![
            facet(4, 8, "u"),
            facet(5, 9, "overlaps"),
            facet(-1, 3, "negative"),
            facet(0, 1, "halves"),
            facet(8, 8, "empty"),
            facet(3, 2, "backwards"),
            facet(0, i64::MAX, "beyond"),
        ]);
        assert_eq!(
            pieces("äö link more", Some(&facets)),
            [Piece::Plain("äö"), Piece::Link { text: " lin", uri: "u" }, Piece::Plain("k more")]
        );
        assert_eq!(pieces("", Some(&facets)), []);
        assert_eq!(pieces("x", None), [Piece::Plain("x")]);
    }

    #[test]
    fn languages_are_tags() {
        let of = |tag: &str| Value::map([("langs", Value::Array(vec![Value::Text(tag.into())]))]);
        assert_eq!(language(&of("pt-BR")), Some("pt-BR"));
        for bad in ["", "x", "\"><b>", "de--AT", "123", "languages-that-are-long"] {
            assert_eq!(language(&of(bad)), None, "{bad}");
        }
    }
}
