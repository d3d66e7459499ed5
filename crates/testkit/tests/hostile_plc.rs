//! No PLC log with a broken rule is believed, and the one without is. What is allocated on the way stays within 16 times
//! the log and 64 KiB.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs
)]

use std::collections::HashSet;

use allocation_counter::measure;
use p2pds_identity::plc::{Log, PlcError, parse_audit, validate_log};
use p2pds_syntax::Did;
use p2pds_testkit::hostile::plc::{plc_cases, plc_cases_with_refusals, unbroken};

fn validate(json: &[u8], did: &Did) -> Result<Log, PlcError> {
    validate_log(did, &parse_audit(json)?)
}

#[test]
fn the_unbroken_story_is_believed() {
    let (json, did) = unbroken();
    let log = validate(&json, &did).unwrap();
    let names: Vec<String> =
        log.canonical().map(|entry| entry.operation.data().unwrap().also_known_as.join(" ")).collect();
    let expected = ["alice", "bob", "dave", "erin"].map(|name| format!("at://{name}.example.com"));
    assert_eq!(names, expected);
}

#[test]
fn every_broken_rule_is_noticed_and_named() {
    let mut failures = Vec::new();
    for case in plc_cases_with_refusals() {
        let mut outcome = None;
        let allocated = measure(|| outcome = Some(validate(&case.json, &case.did))).bytes_total;
        let allowed = 16 * case.json.len() as u64 + (64 << 10);
        if allocated > allowed {
            failures.push(format!("{}: {allocated} bytes allocated, {allowed} allowed", case.name));
        }
        match outcome.unwrap() {
            Ok(_) => failures.push(format!("believed: {}", case.name)),
            Err(error) => {
                let message = error.to_string();
                if !message.contains(case.refusal) {
                    failures.push(format!("{}: refused for another reason: {message}", case.name));
                }
                assert!(message.len() < 2_000, "{}: {} bytes of message", case.name, message.len());
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn there_are_many_and_each_has_its_own_name() {
    let names: HashSet<String> = plc_cases().into_iter().map(|(name, _, _)| name).collect();
    assert_eq!(names.len(), plc_cases().len());
    assert!(names.len() >= 80, "{}", names.len());
}
