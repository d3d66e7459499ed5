//! The published vectors: DASL CBOR, the data model and CID syntax of AT Protocol interop, CAR fixtures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::collections::BTreeSet;

use data_encoding::{BASE64_NOPAD, HEXLOWER};
use p2pds_ipld::car::{CarLimits, Decoder, SectionCid, SliceReader, write_header, write_section};
use p2pds_ipld::cbor::{self, Limits, decode, encode, validate};
use p2pds_ipld::json::{record_from_json, to_json};
use p2pds_ipld::{CborFault, Cid};
use serde_json::Value as Json;

mod shared;

fn load(sub: &str) -> Option<Json> {
    let path = shared::shared(sub)?;
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

fn text<'a>(case: &'a Json, key: &str) -> &'a str {
    case[key].as_str().unwrap()
}

/// The specifications whose cases bind us. Others (dCBOR, CDE, CBOR-Core, plain RFC 8949) contradict DAG-CBOR.
const OURS: [&str; 3] = ["basic", "dag-cbor", "dasl-cid"];

/// Cases tagged for us that do not apply, with the reason:
/// - the AT Protocol data model has no floats at all, so what DAG-CBOR reads back is refused here;
/// - its integers have 64 bits with a sign, CBOR's have 65;
/// - DASL's big CIDs (BLAKE3) name large files; repositories use SHA-256 only.
const REFUSED_HERE: [(&str, &str, CborFault); 6] = [
    ("floats.json", "64-bit floats only", CborFault::Float),
    ("floats.json", "zero float64", CborFault::Float),
    ("floats.json", "64-bit subnormal number", CborFault::Float),
    ("integer_range.json", "largest CBOR integer, 2^64-1", CborFault::IntegerRange),
    ("integer_range.json", "smallest CBOR integer, -(2^64)", CborFault::IntegerRange),
    ("cid.json", "Big DASL CID", CborFault::Link(p2pds_ipld::CidError::Hash(0x1e, 0x20))),
];

#[test]
fn dasl_cbor() {
    let Some(dir) = shared::shared("vectors/dasl-cbor") else { return };
    let (mut ran, mut refused) = (0, BTreeSet::new());
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let cases: Vec<Json> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for case in cases {
            let (name, data) =
                (text(&case, "name"), HEXLOWER.decode(text(&case, "data").as_bytes()).unwrap());
            if !case["tags"].as_array().unwrap().iter().any(|tag| OURS.contains(&tag.as_str().unwrap())) {
                continue;
            }
            ran += 1;
            match text(&case, "type") {
                "roundtrip" => {
                    if let Some((_, _, fault)) =
                        REFUSED_HERE.iter().find(|(f, n, _)| (*f, *n) == (file.as_str(), name))
                    {
                        assert_eq!(
                            validate(&data, &Limits::STRICT).unwrap_err().fault,
                            *fault,
                            "{file}: {name}"
                        );
                        assert!(refused.insert((file.clone(), name.to_owned())));
                        continue;
                    }
                    let value =
                        decode(&data, &Limits::STRICT).unwrap_or_else(|e| panic!("{file}: {name}: {e}"));
                    assert_eq!(encode(&value), data, "{file}: {name}");
                }
                // What must not be read must not be written either. There is no way here to ask for it: a `Value`
                // cannot hold a float, another tag, a simple value or a key that is not text.
                "invalid_in" | "invalid_out" => {
                    assert!(validate(&data, &Limits::STRICT).is_err(), "{file}: {name}");
                    assert!(decode(&data, &Limits::STRICT).is_err(), "{file}: {name}");
                    let mut seen = 0;
                    assert!(
                        cbor::scan(&data, &Limits::STRICT, &mut |_| seen += 1).is_err(),
                        "{file}: {name}"
                    );
                }
                other => panic!("{file}: {name}: unknown type {other}"),
            }
        }
    }
    assert_eq!(refused.len(), REFUSED_HERE.len());
    assert!(ran >= 80, "only {ran} cases");
}

#[test]
fn odd_links_are_tolerated_in_records_only() {
    let Some(cases) = load("vectors/dasl-cbor/cid.json") else { return };
    // Well-formed CIDs of other kinds; the rest is no CID at all.
    let odd = [
        "CIDv0",
        "Big DASL CID",
        "short hash digest",
        "long hash digest",
        "CIDv1 that isn't raw or cbor",
        "disallowed hash type (SHA-1)",
        "empty CID",
    ];
    let mut tolerated = BTreeSet::new();
    for case in cases.as_array().unwrap() {
        let data = HEXLOWER.decode(text(case, "data").as_bytes()).unwrap();
        let strict = validate(&data, &Limits::STRICT).is_ok();
        let record = decode(&data, &Limits::RECORD);
        if let (false, Ok(value)) = (strict, &record) {
            assert!(matches!(value, cbor::Value::OddLink(_)));
            assert_eq!(encode(value), data);
            tolerated.insert(text(case, "name").to_owned());
        }
        assert!(!strict || record.is_ok());
    }
    assert_eq!(tolerated, odd.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn data_model_fixtures() {
    let Some(cases) = load("vectors/atproto-interop/data-model/data-model-fixtures.json") else { return };
    for case in cases.as_array().unwrap() {
        let bytes = BASE64_NOPAD.decode(text(case, "cbor_base64").trim_end_matches('=').as_bytes()).unwrap();
        let value = record_from_json(&case["json"]).unwrap();
        assert_eq!(encode(&value), bytes);
        assert_eq!(decode(&bytes, &Limits::STRICT).unwrap(), value);
        assert_eq!(Cid::of_cbor(&bytes).to_string(), text(case, "cid"));
        assert_eq!(to_json(&value), case["json"]);
    }
}

#[test]
fn data_model_valid_and_invalid() {
    let Some(valid) = load("vectors/atproto-interop/data-model/data-model-valid.json") else { return };
    for case in valid.as_array().unwrap() {
        let value = record_from_json(&case["json"]).unwrap_or_else(|e| panic!("{}: {e}", case["note"]));
        let bytes = encode(&value);
        assert_eq!(decode(&bytes, &Limits::STRICT), Ok(value), "{}", case["note"]);
    }
    let Some(invalid) = load("vectors/atproto-interop/data-model/data-model-invalid.json") else { return };
    for case in invalid.as_array().unwrap() {
        assert!(record_from_json(&case["json"]).is_err(), "{}", case["note"]);
    }
}

#[test]
fn cid_syntax() {
    let Some(dir) = shared::shared("vectors/atproto-interop/syntax") else { return };
    let lines = |file: &str| -> Vec<String> {
        let text = std::fs::read_to_string(dir.join(file)).unwrap();
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
    };
    for line in lines("cid_syntax_invalid.txt") {
        assert!(line.parse::<Cid>().is_err(), "{line}");
    }
    // The valid list is about the generic syntax of CIDs. Of its lines only DASL CIDs name something in a
    // repository: CIDv1 dag-pb (`bafybei…`), base58, base64, base10 and base16 are all somebody else's.
    let valid = lines("cid_syntax_valid.txt");
    assert!(!valid.is_empty());
    for line in valid {
        let dasl = line.starts_with("bafyrei") || line.starts_with("bafkrei");
        assert_eq!(line.parse::<Cid>().is_ok(), dasl, "{line}");
    }
}

#[test]
fn car_fixtures() {
    let Some(cases) = load("vectors/repo-proofs/car-file-fixtures.json") else { return };
    for case in cases.as_array().unwrap() {
        let root: Cid = text(case, "root").parse().unwrap();
        let car = BASE64_NOPAD.decode(text(case, "car").trim_end_matches('=').as_bytes()).unwrap();
        let mut reader = SliceReader::new(&car, CarLimits::DEFAULT).unwrap();
        assert_eq!(reader.header().roots, [root]);
        let mut written = Vec::new();
        write_header(&mut written, &[root]);
        for block in case["blocks"].as_array().unwrap() {
            let section = reader.next().unwrap().unwrap();
            let bytes = BASE64_NOPAD.decode(text(block, "bytes").trim_end_matches('=').as_bytes()).unwrap();
            let cid: Cid = text(block, "cid").parse().unwrap();
            assert_eq!((section.cid, section.bytes), (SectionCid::Plain(cid), &bytes[..]));
            assert!(cid.matches(&bytes));
            validate(&bytes, &Limits::STRICT).unwrap();
            write_section(&mut written, &cid, &bytes);
        }
        assert!(reader.next().is_none());
        assert_eq!(written, car);
    }
}

/// Every file of real repositories, by both readers, in chunks of awkward sizes; every block's hash is right and
/// every record is strict.
#[test]
fn real_cars() {
    let Some(dir) = shared::shared("vectors/cars") else { return };
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let car = std::fs::read(&path).unwrap();
        let reader = SliceReader::new(&car, CarLimits::DEFAULT).unwrap();
        let header = reader.header().clone();
        let sections: Vec<_> = reader.map(Result::unwrap).collect();
        for section in &sections {
            let SectionCid::Plain(cid) = section.cid else { panic!("odd CID in {}", path.display()) };
            assert!(cid.matches(section.bytes));
            validate(section.bytes, &Limits::RECORD).unwrap();
            let value = decode(section.bytes, &Limits::RECORD).unwrap();
            assert_eq!(encode(&value), section.bytes);
        }
        for size in [7, 1000, 65_537] {
            let mut decoder = Decoder::new(CarLimits::DEFAULT);
            let mut expected = sections.iter();
            for chunk in car.chunks(size) {
                decoder.feed(chunk).unwrap();
                while let Some(section) = decoder.section().unwrap() {
                    assert_eq!(Some(&section), expected.next());
                }
            }
            decoder.finish().unwrap();
            assert_eq!(decoder.header().unwrap(), Some(&header));
            assert!(expected.next().is_none());
        }
    }
}
