//! Properties of the codecs: what is written is read back, what is read has one form.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use p2pds_ipld::car::{CarLimits, Decoder, SectionCid, SliceReader, write_header, write_section};
use p2pds_ipld::cbor::{BlobRef, Item, Limits, Value, decode, encode, scan, validate};
use p2pds_ipld::json::{MAX_SAFE_INTEGER, from_json, to_json, write_json};
use p2pds_ipld::{CborFault, Cid, Codec};
use proptest::prelude::*;

fn cid() -> impl Strategy<Value = Cid> {
    (any::<bool>(), any::<[u8; 32]>())
        .prop_map(|(raw, digest)| Cid::new(if raw { Codec::Raw } else { Codec::DagCbor }, digest))
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (0u32..64, any::<i64>()).prop_map(|(shift, n)| Value::Int(n >> shift)),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
        any::<String>().prop_map(Value::Text),
        "[a-z]{0,40}".prop_map(Value::Text),
        cid().prop_map(Value::Link),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            proptest::collection::vec(("[a-d]{0,3}", inner.clone()), 0..8).prop_map(Value::map),
            proptest::collection::vec((any::<String>(), inner), 0..8).prop_map(Value::map),
        ]
    })
}

/// The links of a value, in the order in which they are encoded.
fn links(value: &Value, out: &mut Vec<Vec<u8>>) {
    match value {
        Value::Link(cid) => out.push(cid.to_bytes().to_vec()),
        Value::OddLink(bytes) => out.push(bytes.clone()),
        Value::Array(items) => items.iter().for_each(|item| links(item, out)),
        Value::Map(entries) => entries.iter().for_each(|(_, item)| links(item, out)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn values_round_trip(value in value()) {
        let bytes = encode(&value);
        prop_assert_eq!(validate(&bytes, &Limits::STRICT), Ok(()));
        prop_assert_eq!(decode(&bytes, &Limits::STRICT), Ok(value.clone()));
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        scan(&bytes, &Limits::STRICT, &mut |item| if let Item::Link(link) = item { found.push(link.to_vec()) }).unwrap();
        links(&value, &mut expected);
        prop_assert_eq!(found, expected);
    }

    /// Whatever the bytes: accepted means that they are the one form of what they say.
    #[test]
    fn what_is_accepted_is_canonical(
        value in value(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        do_cut in any::<bool>(),
    ) {
        let mut bytes = encode(&value);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if do_cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        for limits in [Limits::STRICT, Limits::RECORD] {
            let outcome = validate(&bytes, &limits);
            prop_assert_eq!(scan(&bytes, &limits, &mut |_| {}), outcome);
            match decode(&bytes, &limits) {
                Ok(value) => {
                    prop_assert_eq!(outcome, Ok(()));
                    prop_assert_eq!(encode(&value), bytes.clone());
                }
                Err(error) => prop_assert_eq!(outcome, Err(error)),
            }
        }
    }

    #[test]
    fn every_cut_is_refused(value in value()) {
        let bytes = encode(&value);
        for cut in 0..bytes.len() {
            prop_assert!(validate(&bytes[..cut], &Limits::STRICT).is_err());
        }
        let mut longer = bytes;
        longer.push(0);
        prop_assert!(validate(&longer, &Limits::STRICT).is_err());
    }

    #[test]
    fn json_round_trips(value in value()) {
        let json = to_json(&value);
        let mut written = b"before".to_vec();
        write_json(&encode(&value), &Limits::RECORD, &mut written).unwrap();
        prop_assert_eq!(String::from_utf8(written).unwrap(), format!("before{json}"));
        match from_json(&json) {
            Ok(again) => prop_assert_eq!(again, value),
            // Only what JSON has no room for: wide integers, and maps that look like something else.
            Err(error) => {
                let text = json.to_string();
                let wide = value_has(&value, &|v| matches!(v, Value::Int(n) if n.unsigned_abs() > MAX_SAFE_INTEGER as u64));
                prop_assert!(wide || text.contains('$'), "{}: {}", error, text);
            }
        }
    }

    #[test]
    fn cids_round_trip(cid in cid(), other in cid()) {
        prop_assert_eq!(cid.to_string().parse::<Cid>(), Ok(cid));
        prop_assert_eq!(Cid::from_bytes(&cid.to_bytes()), Ok(cid));
        prop_assert_eq!(cid.cmp(&other), cid.to_bytes().cmp(&other.to_bytes()));
    }

    #[test]
    fn readers_agree(
        roots in proptest::collection::vec(cid(), 0..4),
        blocks in proptest::collection::vec((cid(), proptest::collection::vec(any::<u8>(), 0..500)), 0..20),
        chunk in 1usize..700,
        cut in any::<prop::sample::Index>(),
        do_cut in any::<bool>(),
    ) {
        let mut car = Vec::new();
        write_header(&mut car, &roots);
        for (cid, bytes) in &blocks {
            write_section(&mut car, cid, bytes);
        }
        if do_cut {
            car.truncate(cut.index(car.len() + 1));
        }
        let mut expected = Vec::new();
        let sliced = (|| {
            let reader = SliceReader::new(&car, CarLimits::DEFAULT)?;
            assert_eq!(&reader.header().roots, &roots);
            for section in reader {
                let section = section?;
                let SectionCid::Plain(cid) = section.cid else { panic!("odd") };
                expected.push((cid, section.bytes.to_vec(), section.offset));
            }
            Ok(())
        })();
        prop_assert!(expected.iter().map(|(cid, bytes, _)| (cid, bytes)).eq(blocks.iter().map(|(c, b)| (c, b)).take(expected.len())));
        let mut found = Vec::new();
        let mut decoder = Decoder::new(CarLimits::DEFAULT);
        let decoded = (|| {
            for chunk in car.chunks(chunk) {
                decoder.feed(chunk)?;
                while let Some(section) = decoder.section()? {
                    let SectionCid::Plain(cid) = section.cid else { panic!("odd") };
                    found.push((cid, section.bytes.to_vec(), section.offset));
                }
            }
            decoder.finish()
        })();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(decoded, sliced);
    }
}

fn value_has(value: &Value, is: &dyn Fn(&Value) -> bool) -> bool {
    is(value)
        || match value {
            Value::Array(items) => items.iter().any(|item| value_has(item, is)),
            Value::Map(entries) => entries.iter().any(|(_, item)| value_has(item, is)),
            _ => false,
        }
}

#[test]
fn maps_keep_the_last_of_equal_keys_in_canonical_order() {
    let map = Value::map([("bb", 1), ("a", 2), ("bb", 3), ("", 4)].map(|(key, n)| (key, Value::Int(n))));
    let expected = [("", 4), ("a", 2), ("bb", 3)].map(|(key, n)| (key.to_owned(), Value::Int(n)));
    assert_eq!(map, Value::Map(expected.to_vec()));
    // Put together by hand, it is repaired when it is written.
    let by_hand = Value::Map(
        [("bb", 1), ("a", 2), ("bb", 3), ("", 4)].map(|(k, n)| (k.to_owned(), Value::Int(n))).to_vec(),
    );
    assert_eq!(encode(&by_hand), encode(&map));
}

#[test]
fn limits_at_their_edges() {
    let text = |length: usize| encode(&Value::Text("a".repeat(length)));
    // 1 MiB with its head of five bytes.
    assert!(validate(&text((1 << 20) - 5), &Limits::RECORD).is_ok());
    assert_eq!(
        validate(&text((1 << 20) - 4), &Limits::RECORD).unwrap_err().fault,
        CborFault::TooLong(1 << 20)
    );
    let key = |length: usize| encode(&Value::map([("k".repeat(length), Value::Null)]));
    assert!(validate(&key(8_192), &Limits::RECORD).is_ok());
    assert_eq!(validate(&key(8_193), &Limits::RECORD).unwrap_err().fault, CborFault::KeyTooLong(8_192));
    let list = |length: usize| encode(&Value::Array(vec![Value::Null; length]));
    assert!(validate(&list(131_072), &Limits::RECORD).is_ok());
    assert_eq!(validate(&list(131_073), &Limits::RECORD).unwrap_err().fault, CborFault::TooMany(131_072));
    let deep = |levels: usize| encode(&(0..levels).fold(Value::Null, |inner, _| Value::Array(vec![inner])));
    assert!(decode(&deep(32), &Limits::RECORD).is_ok());
    assert_eq!(validate(&deep(33), &Limits::RECORD).unwrap_err().fault, CborFault::TooDeep(32));
    for (n, fits) in [(i64::MAX, true), (i64::MIN, true), (0, true), (-1, true)] {
        assert_eq!(validate(&encode(&Value::Int(n)), &Limits::STRICT).is_ok(), fits);
    }
}

#[test]
fn blobs_are_found_in_both_forms() {
    let cid = Cid::of_raw(b"image");
    let text = |text: &str| Value::Text(text.to_owned());
    let blob = Value::map([
        ("$type", text("blob")),
        ("ref", Value::Link(cid)),
        ("mimeType", text("image/png")),
        ("size", Value::Int(5)),
    ]);
    let legacy = Value::map([("cid", text(&cid.to_string())), ("mimeType", text("image/gif"))]);
    let Value::Map(fields) = &blob else { panic!() };
    let without = |name: &str| Value::Map(fields.iter().filter(|(key, _)| key != name).cloned().collect());
    let with =
        |name: &str, value: Value| Value::map(fields.iter().cloned().chain([(name.to_owned(), value)]));
    let record = Value::map([
        ("image", blob.clone()),
        ("list", Value::Array(vec![legacy.clone(), Value::map([("deep", blob.clone())])])),
        (
            "none",
            Value::Array(vec![
                without("size"),
                without("ref"),
                without("$type"),
                without("mimeType"),
                with("$type", text("other")),
                with("size", Value::Int(-1)),
                with("size", text("5")),
                with("ref", text(&cid.to_string())),
                with("mimeType", Value::Null),
                Value::map([("cid", text("not a cid")), ("mimeType", text("image/gif"))]),
                Value::map([
                    ("cid", text(&cid.to_string())),
                    ("mimeType", text("image/gif")),
                    ("more", Value::Null),
                ]),
            ]),
        ),
    ]);
    let bytes = encode(&record);
    let (mut blobs, mut links) = (Vec::new(), 0);
    scan(&bytes, &Limits::RECORD, &mut |item| match item {
        Item::Blob(blob) => blobs.push(blob),
        Item::Link(link) => {
            assert_eq!(link, cid.to_bytes());
            links += 1;
        }
    })
    .unwrap();
    let now = BlobRef { cid, mime: "image/png", size: Some(5) };
    let then = BlobRef { cid, mime: "image/gif", size: None };
    // In the order of the keys: `list`, `none`, `image`.
    assert_eq!(blobs, [then, now, now]);
    assert_eq!(links, 9);
}

#[test]
fn streams_are_read_in_any_pieces() {
    /// Gives a few bytes at a time, and is interrupted in between.
    struct Slow<'a>(&'a [u8], usize);
    impl std::io::Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(3) {
                return Err(std::io::ErrorKind::Interrupted.into());
            }
            let count = (self.1 % 50).min(buffer.len()).min(self.0.len());
            let (now, rest) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = rest;
            // Zero is the end; a slow source never says it early.
            if count == 0 && !rest.is_empty() { self.read(buffer) } else { Ok(count) }
        }
    }
    let mut car = Vec::new();
    let root = Cid::of_cbor(b"root");
    write_header(&mut car, &[root]);
    let blocks: Vec<Vec<u8>> = (0..50u8).map(|i| vec![i; usize::from(i) * 100]).collect();
    for block in &blocks {
        write_section(&mut car, &Cid::of_raw(block), block);
    }
    let mut decoder = Decoder::new(CarLimits::DEFAULT);
    let mut source = Slow(&car, 0);
    let mut found = Vec::new();
    while decoder.fill_from(&mut source).unwrap() > 0 {
        while let Some(section) = decoder.section().unwrap() {
            found.push(section.bytes.to_vec());
        }
    }
    decoder.finish().unwrap();
    assert_eq!(found, blocks);
    let mut short = Decoder::new(CarLimits::DEFAULT.with_total(car.len() as u64 - 1));
    let error = loop {
        match short.fill_from(&mut &car[..]) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}
