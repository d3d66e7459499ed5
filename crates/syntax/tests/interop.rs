//! The published syntax vectors: everything valid parses and is kept, everything invalid is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod shared;

use p2pds_syntax::{
    AtIdentifier, AtUri, CidText, Datetime, Did, Handle, Language, Nsid, Rkey, SyntaxError, Tid, Uri,
};

fn lines(file: &str) -> Option<Vec<String>> {
    let dir = shared::shared("vectors/atproto-interop/syntax")?;
    let text = std::fs::read_to_string(dir.join(file)).unwrap();
    Some(text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned).collect())
}

fn check<T: ToString>(name: &str, parse: impl Fn(&str) -> Result<T, SyntaxError>, counts: (usize, usize)) {
    let (Some(valid), Some(invalid)) =
        (lines(&format!("{name}_syntax_valid.txt")), lines(&format!("{name}_syntax_invalid.txt")))
    else {
        return;
    };
    for text in &valid {
        match parse(text) {
            Ok(value) => assert!(value.to_string().eq_ignore_ascii_case(text), "{name} {text:?} was changed"),
            Err(error) => panic!("{name}: {error}"),
        }
    }
    for text in &invalid {
        assert!(parse(text).is_err(), "invalid {name} was accepted: {text:?}");
    }
    assert!(
        valid.len() >= counts.0 && invalid.len() >= counts.1,
        "{name}: {} and {}",
        valid.len(),
        invalid.len()
    );
}

#[test]
fn at_identifier() {
    check("atidentifier", AtIdentifier::parse, (11, 22));
}

#[test]
fn at_uri() {
    check("aturi", AtUri::parse, (23, 71));
}

#[test]
fn cid() {
    check("cid", CidText::parse, (8, 10));
}

#[test]
fn datetime() {
    check("datetime", Datetime::parse, (35, 45));
    for text in lines("datetime_parse_invalid.txt").unwrap_or_default() {
        assert!(Datetime::parse(&text).is_err(), "accepted {text:?}");
    }
}

#[test]
fn did() {
    check("did", Did::parse, (24, 18));
}

#[test]
fn handle() {
    check("handle", Handle::parse, (71, 48));
}

#[test]
fn language() {
    check("language", Language::parse, (18, 7));
    for text in lines("language_parse_invalid.txt").unwrap_or_default() {
        assert!(Language::parse(&text).is_err(), "accepted {text:?}");
    }
}

#[test]
fn nsid() {
    check("nsid", Nsid::parse, (25, 27));
}

#[test]
fn record_key() {
    check("recordkey", Rkey::parse, (16, 11));
}

#[test]
fn tid() {
    check("tid", Tid::parse, (4, 9));
}

#[test]
fn uri() {
    check("uri", Uri::parse, (9, 12));
}
