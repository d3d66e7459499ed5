//! PLC logs with exactly one rule broken each.
//!
//! Every case starts from operations that are built and signed as they should be, so that the broken rule is the only
//! reason to refuse it; [`PlcCase::refusal`] is a part of the message that has to name it. [`unbroken`] is the same story
//! without a fault.

mod chain;
mod forks;
mod shape;
mod signatures;
mod story;

use p2pds_syntax::Did;

pub use story::{Story, unbroken};

/// A log that must not be believed.
pub struct PlcCase {
    /// Which rule is broken.
    pub name: String,
    /// The audit log, as JSON.
    pub json: Vec<u8>,
    /// Whose log it pretends to be.
    pub did: Did,
    /// What the refusal has to say.
    pub refusal: &'static str,
}

/// All cases, as `(name, audit log, whose)`.
pub fn plc_cases() -> Vec<(String, Vec<u8>, Did)> {
    plc_cases_with_refusals().into_iter().map(|case| (case.name, case.json, case.did)).collect()
}

/// All cases, with the reason for which each has to be refused.
pub fn plc_cases_with_refusals() -> Vec<PlcCase> {
    let mut cases = Vec::new();
    signatures::add(&mut cases);
    chain::add(&mut cases);
    forks::add(&mut cases);
    shape::add(&mut cases);
    cases
}

/// Collects a case.
fn case(cases: &mut Vec<PlcCase>, name: &str, story: Story, refusal: &'static str) {
    cases.push(PlcCase { name: name.to_owned(), json: story.json(), did: story.did(), refusal });
}
