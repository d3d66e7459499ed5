//! Blocks that are not strict DRISL, by the rule they break.

use std::iter::repeat_n;

use data_encoding::HEXLOWER;

/// A block that must not be read.
pub struct CborCase {
    /// Which rule is broken, and how.
    pub name: String,
    /// The block.
    pub bytes: Vec<u8>,
    /// What the refusal has to say.
    pub refusal: &'static str,
    /// Refused where we write and in tree and commit, tolerated in other people's records: links to CIDs of another
    /// kind, and blocks between the limits of the two.
    pub only_strict: bool,
}

/// All cases.
pub fn cbor_cases() -> Vec<CborCase> {
    let mut cases = Vec::new();
    for (rule, refusal, table) in TABLES {
        for (name, hex) in table {
            add(&mut cases, &format!("{rule}: {name}"), unhex(hex), refusal);
        }
    }
    for (name, hex) in NO_CID {
        add(&mut cases, &format!("link to no CID: {name}"), link(&unhex(hex)), "CID");
    }
    for (name, hex) in ODD_CID {
        let bytes = link(&unhex(hex));
        let name = format!("link to another kind of CID: {name}");
        cases.push(CborCase { name, bytes, refusal: "CID", only_strict: true });
    }
    deep(&mut cases);
    large(&mut cases);
    cases
}

fn add(cases: &mut Vec<CborCase>, name: &str, bytes: Vec<u8>, refusal: &'static str) {
    cases.push(CborCase { name: name.to_owned(), bytes, refusal, only_strict: false });
}

fn unhex(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.replace(' ', "").as_bytes()).unwrap()
}

/// Tag 42 on a byte string.
fn link(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0xd8, 0x2a];
    head(&mut out, 2, bytes.len());
    out.extend(bytes);
    out
}

/// A head in its shortest form.
pub(super) fn head(out: &mut Vec<u8>, major: u8, value: usize) {
    let kind = major << 5;
    match value {
        0..24 => out.push(kind | value as u8),
        24..0x100 => out.extend([kind | 24, value as u8]),
        0x100..0x1_0000 => {
            out.push(kind | 25);
            out.extend((value as u16).to_be_bytes());
        }
        _ => {
            out.push(kind | 26);
            out.extend((value as u32).to_be_bytes());
        }
    }
}

type Table = &'static [(&'static str, &'static str)];

const TABLES: [(&str, &str, Table); 15] = [
    ("long integer", "shortest", LONG_INTEGERS),
    ("long length", "shortest", LONG_LENGTHS),
    ("integer beyond 64 bits with a sign", "64 bits", WIDE_INTEGERS),
    ("indefinite length", "indefinite", INDEFINITE),
    ("reserved head", "reserved", RESERVED),
    ("float", "floating point", FLOATS),
    ("simple value", "simple value", SIMPLE),
    ("tag", "tag", TAGS),
    ("tag 42 on something else", "byte string", TAG_42),
    ("bad UTF-8", "UTF-8", UTF8),
    ("map key of another type", "not text", KEY_TYPES),
    ("map keys twice", "twice", KEY_TWICE),
    ("map keys out of order", "order", KEY_ORDER),
    ("more than one item", "follow", TRAILING),
    ("ends in the middle", "ends in the middle", TRUNCATED),
];

const LONG_INTEGERS: Table = &[
    ("0 in two bytes", "1800"),
    ("23 in two bytes", "1817"),
    ("255 in three bytes", "1900ff"),
    ("65535 in five bytes", "1a0000ffff"),
    ("2^32 - 1 in nine bytes", "1b00000000ffffffff"),
    ("-1 in two bytes", "3800"),
    ("-24 in two bytes", "3817"),
    ("-256 in three bytes", "3900ff"),
    ("-65536 in five bytes", "3a0000ffff"),
    ("-(2^32) in nine bytes", "3b00000000ffffffff"),
    ("inside a map", "a1 6161 1801"),
    ("inside a list", "82 01 190001"),
];

const LONG_LENGTHS: Table = &[
    ("bytes in two", "5801 00"),
    ("bytes in three", "590001 00"),
    ("bytes in five", "5a00000001 00"),
    ("bytes in nine", "5b0000000000000001 00"),
    ("text in two", "7801 61"),
    ("text in three", "790001 61"),
    ("text in five", "7a00000001 61"),
    ("text in nine", "7b0000000000000001 61"),
    ("list in two", "9801 00"),
    ("list in three", "990001 00"),
    ("list in five", "9a00000001 00"),
    ("list in nine", "9b0000000000000001 00"),
    ("map in two", "b801 6161 00"),
    ("map in three", "b90001 6161 00"),
    ("map in five", "ba00000001 6161 00"),
    ("map in nine", "bb0000000000000001 6161 00"),
    ("key in two", "a1 780161 00"),
    (
        "tag 42 in three",
        "d9002a 5825 0001711220 0000000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "tag 42 in five",
        "da0000002a 5825 0001711220 0000000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "length of a link in three",
        "d82a 590025 0001711220 0000000000000000000000000000000000000000000000000000000000000000",
    ),
];

const WIDE_INTEGERS: Table = &[
    ("2^63", "1b8000000000000000"),
    ("2^64 - 1", "1bffffffffffffffff"),
    ("-(2^63) - 1", "3b8000000000000000"),
    ("-(2^64)", "3bffffffffffffffff"),
];

const INDEFINITE: Table = &[
    ("bytes", "5f 4101 ff"),
    ("text", "7f 6161 ff"),
    ("list", "9f 01 ff"),
    ("map", "bf 6161 01 ff"),
    ("empty list", "9fff"),
    ("empty map", "bfff"),
    ("break alone", "ff"),
    ("break inside a list", "81 ff"),
    ("inside a map", "a1 6161 9fff"),
    ("tag", "df"),
];

const RESERVED: Table = &[
    ("integer, 28", "1c"),
    ("integer, 29", "1d"),
    ("integer, 30", "1e"),
    ("integer, 31", "1f"),
    ("negative, 28", "3c"),
    ("negative, 31", "3f"),
    ("bytes, 28", "5c"),
    ("text, 29", "7d"),
    ("list, 30", "9e"),
    ("map, 28", "bc"),
    ("tag, 29", "dd"),
    ("simple, 30", "fe"),
];

const FLOATS: Table = &[
    ("1.0, half", "f93c00"),
    ("1.5, single", "fa3fc00000"),
    ("1.5, double", "fb3ff8000000000000"),
    ("0.0", "fb0000000000000000"),
    ("-0.0", "fb8000000000000000"),
    ("infinity", "fb7ff0000000000000"),
    ("-infinity, half", "f9fc00"),
    ("NaN", "fb7ff8000000000000"),
    ("NaN, half", "f97e00"),
    ("NaN with payload", "fb7ff8000000000001"),
    ("inside a map", "a1 6161 fb3ff8000000000000"),
];

const SIMPLE: Table = &[
    ("undefined", "f7"),
    ("0", "e0"),
    ("16", "f0"),
    ("19", "f3"),
    ("false in two bytes", "f814"),
    ("null in two bytes", "f816"),
    ("32 in two bytes", "f820"),
    ("255", "f8ff"),
];

const TAGS: Table = &[
    ("0, date", "c0 74 323032352d30312d30315430303a30303a30305a"),
    ("1, epoch", "c1 00"),
    ("2, bignum", "c2 41 01"),
    ("3, negative bignum", "c3 41 01"),
    ("24, embedded", "d818 41 00"),
    ("41", "d829 5825 0001711220 0000000000000000000000000000000000000000000000000000000000000000"),
    ("43", "d82b 5825 0001711220 0000000000000000000000000000000000000000000000000000000000000000"),
    ("55799, this is CBOR", "d9d9f7 00"),
    ("2^64 - 1", "dbffffffffffffffff 00"),
];

const TAG_42: Table = &[
    ("text", "d82a 6161"),
    ("a list", "d82a 80"),
    ("a number", "d82a 01"),
    ("itself", "d82a d82a 5825 0001711220 0000000000000000000000000000000000000000000000000000000000000000"),
    ("null", "d82a f6"),
    ("no bytes", "d82a 40"),
    (
        "a CID without its zero",
        "d82a 5824 01711220 0000000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "a CID with a one before it",
        "d82a 5825 0101711220 0000000000000000000000000000000000000000000000000000000000000000",
    ),
];

const UTF8: Table = &[
    ("slash in two bytes", "62 c0af"),
    ("cut off", "62 e282"),
    ("no second byte", "62 c328"),
    ("surrogate", "63 eda080"),
    ("above U+10FFFF", "64 f4908080"),
    ("continuation alone", "61 80"),
    ("0xff", "61 ff"),
    ("behind eight plain bytes", "69 6161616161616161 ff"),
    ("in a key", "a1 61ff 00"),
];

const KEY_TYPES: Table = &[
    ("number", "a1 01 00"),
    ("bytes", "a1 4161 00"),
    ("null", "a1 f6 00"),
    ("list", "a1 80 00"),
    ("map", "a1 a0 00"),
    ("second key", "a2 6161 00 01 00"),
];

const KEY_TWICE: Table = &[
    ("next to each other", "a2 6161 00 6161 01"),
    ("empty", "a2 60 00 60 01"),
    ("in an inner map", "81 a1 6161 a2 626262 00 626262 00"),
];

const KEY_ORDER: Table = &[
    ("by bytes", "a2 6162 00 6161 00"),
    ("longer first", "a2 626161 00 6162 00"),
    ("dictionary order", "a3 6161 00 626161 00 6162 00"),
    ("the same twice with one between", "a3 6161 00 6162 00 6161 00"),
    ("behind an inner map", "a2 6162 a1 617a 00 6161 00"),
];

const TRAILING: Table =
    &[("two numbers", "00 00"), ("two maps", "a0 a0"), ("a zero byte", "a0 00"), ("a break", "80 ff")];

const TRUNCATED: Table = &[
    ("nothing", ""),
    ("number", "18"),
    ("wide number", "1b 00000000000000"),
    ("bytes", "42 00"),
    ("text", "62 61"),
    ("list", "82 00"),
    ("map without value", "a1 6161"),
    ("map without key", "a1"),
    ("tag", "d8"),
    ("tag without content", "d82a"),
    ("link", "d82a 5825 00017112"),
    ("float", "fb 00"),
    ("bytes of 2^64 - 1", "5bffffffffffffffff"),
    ("text of 2^64 - 1", "7bffffffffffffffff"),
    ("bytes of 2^63", "5b8000000000000000"),
    ("bytes of 2^32", "5b0000000100000000"),
    ("text of 4 GB", "7affffffff"),
    ("list of 100,000", "9a000186a0 00"),
    ("map of 100,000", "ba000186a0 60 00"),
    ("map of two in three bytes", "a2 60 00"),
];

/// What stands in a link and is no CID of any kind.
const NO_CID: Table = &[
    ("only the zero", "00"),
    ("version 2", "00 02711220 0000000000000000000000000000000000000000000000000000000000000000"),
    (
        "version in a long form",
        "00 8100711220 0000000000000000000000000000000000000000000000000000000000000000",
    ),
    ("hash cut off", "00 01711220 00000000000000000000000000000000000000000000000000000000000000"),
    ("hash too long", "00 01711220 000000000000000000000000000000000000000000000000000000000000000000"),
    ("text instead of binary", "00 6261667972656961"),
    ("CIDv0 cut off", "00 1220 00000000000000000000000000000000000000000000000000000000000000"),
    (
        "120 bytes of identity",
        "00 01550078 \
         000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000 \
         000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    ),
];

/// CIDs, but not ours.
const ODD_CID: Table = &[
    ("CIDv0", "00 1220 0000000000000000000000000000000000000000000000000000000000000000"),
    ("dag-pb", "00 01701220 0000000000000000000000000000000000000000000000000000000000000000"),
    ("dag-json", "00 01a9021220 0000000000000000000000000000000000000000000000000000000000000000"),
    ("identity hash", "00 01550003 616263"),
    ("SHA-1", "00 01551114 0000000000000000000000000000000000000000"),
    ("SHA-512, cut to 32", "00 01551320 0000000000000000000000000000000000000000000000000000000000000000"),
    ("BLAKE3", "00 01551e20 0000000000000000000000000000000000000000000000000000000000000000"),
    ("SHA-256 of 31 bytes", "00 0171121f 00000000000000000000000000000000000000000000000000000000000000"),
    ("SHA-256 of 0 bytes", "00 01711200"),
];

fn deep(cases: &mut Vec<CborCase>) {
    let too_deep = "nested deeper";
    let nested = |open: &[u8], levels: usize, inner: &[u8]| {
        let mut bytes = open.repeat(levels);
        bytes.extend(inner);
        bytes
    };
    add(cases, "33 lists", nested(&[0x81], 33, &[0]), too_deep);
    add(cases, "33 maps", nested(&[0xa1, 0x61, 0x61], 33, &[0]), too_deep);
    add(cases, "33 levels of both", nested(&[0xa1, 0x61, 0x61, 0x81], 17, &[0]), too_deep);
    add(cases, "a million lists", vec![0x81; 1_000_000], too_deep);
    add(cases, "300,000 maps", nested(&[0xa1, 0x61, 0x61], 300_000, &[]), too_deep);
    add(cases, "300,000 links in links", nested(&[0xd8, 0x2a], 300_000, &[]), "byte string");
}

fn large(cases: &mut Vec<CborCase>) {
    // Above the limit of records and below that of tree nodes is what only a node may have.
    let text = |length: usize| {
        let mut bytes = Vec::new();
        head(&mut bytes, 3, length);
        bytes.extend(repeat_n(b'a', length));
        bytes
    };
    add(cases, "2 MiB and a few bytes", text(2 << 20), "longer than");
    let mut key = vec![0xa1];
    key.extend(text(8_193));
    key.push(0);
    add(cases, "a key of 8,193 bytes", key, "key is longer");
    let mut list = Vec::new();
    head(&mut list, 4, 131_073);
    list.extend(repeat_n(0, 131_073));
    add(cases, "a list of 131,073", list, "more than 131072");
    let mut map = Vec::new();
    head(&mut map, 5, 131_073);
    for i in 0..131_073_u32 {
        map.extend([0x65]);
        map.extend(format!("{i:05x}").as_bytes());
        map.push(0);
    }
    add(cases, "a map of 131,073", map, "more than 131072");
    add(cases, "a list that claims 2^32 - 1", vec![0x9a, 0xff, 0xff, 0xff, 0xff, 0], "more than 131072");
    add(cases, "a map that claims 2^64 - 1", unhex("bbffffffffffffffff"), "more than 131072");
    // Small items, each of which costs a decoder an allocation or a large value, and an error at the very end.
    let mut zeros = Vec::new();
    head(&mut zeros, 4, 100_001);
    zeros.extend(repeat_n(0, 100_000));
    zeros.extend([0xf9, 0, 0]);
    add(cases, "100,000 numbers and a float", zeros, "floating point");
    let mut texts = Vec::new();
    head(&mut texts, 4, 100_001);
    texts.extend(repeat_n([0x61, b'a'], 100_000).flatten());
    texts.extend([0x61, 0xff]);
    add(cases, "100,000 texts, the last one broken", texts, "UTF-8");
    let mut lists = Vec::new();
    head(&mut lists, 4, 100_001);
    lists.extend(repeat_n(0x80, 100_000));
    add(cases, "100,000 lists and the end", lists, "ends in the middle");
}
