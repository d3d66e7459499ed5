//! The corpus of hostile files: none is accepted, each is refused for its own reason, nothing panics or overflows a
//! small stack, and what is allocated on the way stays within 16 times the input and 64 KiB.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs
)]

use std::collections::HashSet;
use std::fmt::Display;
use std::ops::ControlFlow;

use allocation_counter::measure;
use p2pds_ipld::Cid;
use p2pds_ipld::cbor::{Limits, decode, scan, validate};
use p2pds_repo::car_in::{ReadError, ReadOptions, Spool, Summary, read_slice, read_stream};
use p2pds_testkit::hostile::car::{car_cases, unbroken};
use p2pds_testkit::hostile::cbor::cbor_cases;

/// Runs a reader over hostile input on a thread with 256 KiB of stack; checks that it refuses and what it allocates.
/// Gives what went wrong.
fn refused<T: 'static, E: Display + 'static>(
    name: &str,
    input: Vec<u8>,
    refusal: &'static str,
    read: impl FnOnce(&[u8]) -> Result<T, E> + Send + 'static,
) -> Option<String> {
    let allowed = 16 * input.len() as u64 + (64 << 10);
    let thread = std::thread::Builder::new().stack_size(256 << 10);
    let done = thread.spawn(move || {
        let mut outcome = None;
        let allocated = measure(|| outcome = Some(read(&input)));
        (outcome.unwrap().err().map(|error| error.to_string()), allocated.bytes_total)
    });
    match done.unwrap().join() {
        Err(_) => Some(format!("panic: {name}")),
        Ok((None, _)) => Some(format!("accepted: {name}")),
        Ok((Some(message), _)) if !message.contains(refusal) => {
            Some(format!("refused for another reason: {name}: {message}"))
        }
        Ok((_, allocated)) if allocated > allowed => {
            Some(format!("{allocated} bytes allocated, {allowed} allowed: {name}"))
        }
        Ok(_) => None,
    }
}

fn sink(_: &[u8], _: &Cid, _: Option<&[u8]>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn spooled(bytes: &[u8], chunk: usize) -> Result<Summary, ReadError> {
    let mut spool = Spool::new(Vec::with_capacity(bytes.len()), ReadOptions::DEFAULT);
    for chunk in bytes.chunks(chunk) {
        spool.feed(chunk, &mut sink)?;
    }
    spool.finish(&mut sink).map(|(summary, _)| summary)
}

fn report(failures: Vec<String>) {
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn cbor() {
    let mut failures = Vec::new();
    for case in cbor_cases() {
        let all = if case.only_strict { vec![Limits::STRICT] } else { vec![Limits::STRICT, Limits::RECORD] };
        for limits in all {
            let (name, refusal) = (&case.name, case.refusal);
            failures
                .extend(refused(name, case.bytes.clone(), refusal, move |bytes| validate(bytes, &limits)));
            failures.extend(refused(name, case.bytes.clone(), refusal, move |bytes| {
                scan(bytes, &limits, &mut |_| {})
            }));
            failures.extend(refused(name, case.bytes.clone(), refusal, move |bytes| decode(bytes, &limits)));
        }
        if case.only_strict {
            assert!(validate(&case.bytes, &Limits::RECORD).is_ok(), "{}", case.name);
        }
    }
    report(failures);
}

#[test]
fn car() {
    let mut failures = Vec::new();
    for case in car_cases() {
        let (name, refusal) = (&case.name, case.refusal);
        failures.extend(refused(name, case.bytes.clone(), refusal, |bytes| {
            read_slice(bytes, ReadOptions::DEFAULT, &mut sink)
        }));
        failures.extend(refused(name, case.bytes.clone(), refusal, |bytes| spooled(bytes, 4096)));
        // A stream may lose patience for another reason: it cannot go back.
        failures.extend(refused(name, case.bytes, "", |mut bytes| {
            read_stream(&mut bytes, ReadOptions::DEFAULT, &mut sink)
        }));
    }
    report(failures);
}

#[test]
fn the_repository_they_are_made_of_is_read() {
    let (car, records) = unbroken();
    let summary = read_slice(&car, ReadOptions::DEFAULT, &mut sink).unwrap();
    assert_eq!((summary.records, summary.extra, summary.preorder), (records, 0, true));
    assert_eq!(read_stream(&mut &car[..], ReadOptions::DEFAULT, &mut sink).unwrap(), summary);
    assert_eq!(spooled(&car, 100).unwrap(), summary);
}

#[test]
fn there_are_many_and_each_has_its_own_name() {
    let cbor: HashSet<String> = cbor_cases().into_iter().map(|case| case.name).collect();
    let car: HashSet<String> = car_cases().into_iter().map(|case| case.name).collect();
    assert_eq!((cbor.len(), car.len()), (cbor_cases().len(), car_cases().len()));
    assert!(cbor.len() >= 120 && car.len() >= 120, "{} and {}", cbor.len(), car.len());
}
