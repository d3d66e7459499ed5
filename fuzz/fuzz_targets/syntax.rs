//! Every identifier: what parses prints itself again, and parses to the same.
#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use p2pds_syntax::{
    AtIdentifier, AtUri, CidText, Datetime, Did, Handle, Language, Nsid, RecordPath, Rkey, Tid, Uri,
};

fn stable<T: FromStr + Display + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let printed = value.to_string();
        let again = printed.parse::<T>().ok();
        assert!(again.is_some_and(|again| again == value), "{text:?} printed as {printed:?}");
    }
}

fuzz_target!(|text: &str| {
    stable::<AtIdentifier>(text);
    stable::<AtUri>(text);
    stable::<CidText>(text);
    stable::<Datetime>(text);
    stable::<Did>(text);
    stable::<Handle>(text);
    stable::<Language>(text);
    stable::<Nsid>(text);
    stable::<RecordPath>(text);
    stable::<Rkey>(text);
    stable::<Tid>(text);
    stable::<Uri>(text);
});
