//! Any text at all: no panic, bounded messages, and what is accepted survives a round trip.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs
)]

use std::fmt::Display;

use p2pds_syntax::{
    AtIdentifier, AtUri, CidText, Datetime, Did, Handle, Language, Nsid, RecordPath, Rkey, SyntaxError, Tid,
    Uri,
};
use proptest::prelude::*;

/// Parses, and if that works writes and parses again.
fn stable<T: Display + PartialEq>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, SyntaxError>,
) -> Result<(), TestCaseError> {
    match parse(text) {
        Ok(value) => {
            let written = value.to_string();
            prop_assert!(written.eq_ignore_ascii_case(text), "{text:?} became {written:?}");
            prop_assert!(parse(&written).as_ref() == Ok(&value), "{written:?}");
        }
        Err(error) => {
            prop_assert!(error.offset().is_none_or(|at| at <= text.len()), "{error:?}");
            prop_assert!(error.to_string().len() < 1024);
        }
    }
    Ok(())
}

fn all_stable(text: &str) -> Result<(), TestCaseError> {
    stable(text, AtIdentifier::parse)?;
    stable(text, AtUri::parse)?;
    stable(text, CidText::parse)?;
    stable(text, Datetime::parse)?;
    stable(text, Did::parse)?;
    stable(text, Handle::parse)?;
    stable(text, Language::parse)?;
    stable(text, Nsid::parse)?;
    stable(text, RecordPath::parse)?;
    stable(text, Rkey::parse)?;
    stable(text, Tid::parse)?;
    stable(text, Uri::parse)?;
    prop_assert_eq!(RecordPath::from_bytes(text.as_bytes()).is_ok(), RecordPath::is_valid(text.as_bytes()));
    Ok(())
}

const HANDLE: &str = "[a-zA-Z0-9]([a-zA-Z0-9-]{0,8}[a-zA-Z0-9])?(\\.[a-z0-9]{1,8}){0,3}\\.[a-z][a-z0-9]{0,5}";
const DID: &str = "did:[a-z]{1,6}:[A-Za-z0-9._:%-]{0,20}[A-Za-z0-9._-]";
const NSID: &str =
    "[a-z][a-z0-9]{0,5}(\\.[a-z0-9]([a-z0-9-]{0,4}[a-z0-9])?){1,3}\\.[a-zA-Z][a-zA-Z0-9]{0,10}";
const RKEY: &str = "[A-Za-z0-9_~:.-]{3,40}";

proptest! {
    #[test]
    fn any_text(text in "\\PC{0,80}") {
        all_stable(&text)?;
    }

    #[test]
    fn text_that_is_almost_right(text in "(at://|did:|[0-9]{4}-|)[a-z0-9A-Z.:/%~_+T#-]{0,60}") {
        all_stable(&text)?;
    }

    #[test]
    fn generated_by_the_grammar(handle in HANDLE, did in DID, nsid in NSID, rkey in RKEY) {
        prop_assert!(Handle::parse(&handle).is_ok(), "{}", handle);
        prop_assert!(Did::parse(&did).is_ok(), "{}", did);
        prop_assert!(Nsid::parse(&nsid).is_ok(), "{}", nsid);
        let rkey_ok = Rkey::parse(&rkey).is_ok();
        prop_assert!(rkey_ok, "{}", rkey);
        for authority in [&handle, &did] {
            let uri = format!("at://{authority}/{nsid}/{rkey}");
            let parsed = AtUri::parse(&uri).unwrap();
            let path = parsed.record_path().unwrap();
            prop_assert_eq!(path.collection(), nsid.as_str());
            prop_assert_eq!(path.rkey(), rkey.as_str());
            all_stable(&uri)?;
        }
    }

    #[test]
    fn serde_is_the_text(did in DID, value in 0..=Tid::MAX.as_u64()) {
        let did = Did::parse(&did).unwrap();
        let json = serde_json::to_string(&did).unwrap();
        prop_assert_eq!(&json, &format!("{:?}", did.as_str()));
        prop_assert_eq!(serde_json::from_str::<Did>(&json).unwrap(), did);
        let tid = Tid::from_u64(value).unwrap();
        let json = serde_json::to_string(&tid).unwrap();
        prop_assert_eq!(serde_json::from_str::<Tid>(&json).unwrap(), tid);
        prop_assert!(serde_json::from_str::<Tid>("\"3jzfcijpj2z2\"").is_err());
    }

    #[test]
    fn paths_sort_as_bytes(a in "[a-c./-]{1,6}", b in "[a-c./-]{1,6}") {
        if let (Ok(x), Ok(y)) = (RecordPath::parse(&a), RecordPath::parse(&b)) {
            prop_assert_eq!(x.cmp(&y), a.as_bytes().cmp(b.as_bytes()));
        }
    }
}

/// Time is linear: megabytes of the worst text are refused at once.
#[test]
fn huge_text() {
    for unit in ["a", "a.", "did:a:", "at://", "-", "1", "é", "a-", "/", "0000-"] {
        let text = unit.repeat(1 << 20);
        let refused = |ok: bool| assert!(!ok, "accepted a megabyte of {unit:?}");
        refused(Did::parse(&text).is_ok());
        refused(Handle::parse(&text).is_ok());
        refused(Nsid::parse(&text).is_ok());
        refused(AtUri::parse(&text).is_ok());
        refused(Language::parse(&text).is_ok());
        refused(Datetime::parse(&text).is_ok());
        refused(Uri::parse(&text).is_ok());
        refused(RecordPath::parse(&text).is_ok());
    }
}

/// Boundaries of length: the longest is accepted, one more is not.
#[test]
fn boundaries() {
    let label = |n: usize| "a".repeat(n);
    let longest_handle = format!("{}.{}.{}.{}", label(63), label(63), label(63), label(61));
    assert_eq!(longest_handle.len(), Handle::MAX_LEN);
    assert!(Handle::parse(&longest_handle).is_ok() && Handle::parse(&format!("a{longest_handle}")).is_err());
    let longest_nsid = format!("{longest_handle}.{}", label(63));
    assert_eq!(longest_nsid.len(), Nsid::MAX_LEN);
    assert!(Nsid::parse(&longest_nsid).is_ok() && Nsid::parse(&format!("{longest_nsid}a")).is_err());
    assert!(Rkey::parse(&label(512)).is_ok() && Rkey::parse(&label(513)).is_err());
    let uri = |n: usize| format!("https:{}", label(n - 6));
    assert!(Uri::parse(&uri(8192)).is_ok() && Uri::parse(&uri(8193)).is_err());
    assert!(CidText::parse(&label(256)).is_ok() && CidText::parse(&label(257)).is_err());
}
