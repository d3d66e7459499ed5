//! One node whose bytes are not the one form that it has.

use p2pds_ipld::{Cid, Codec, cbor};

use super::{Keys, MstCase, Node, case, entry, link_or_null, record, root_case};

/// Adds the cases.
pub fn add(cases: &mut Vec<MstCase>) {
    let keys = Keys::new();
    let bottom = keys.bottom(3);
    let good = {
        let mut nodes = Vec::new();
        Node::of(&bottom).store(&mut nodes);
        nodes.remove(0).1
    };
    whole(cases, &good);
    parts(cases, bottom[0]);
    links(cases, bottom[0]);
    text_of_keys(cases, &keys);
    compression(cases, &keys);
}

/// The node as a whole.
fn whole(cases: &mut Vec<MstCase>, good: &[u8]) {
    let mut with = |name: &str, bytes: Vec<u8>, refusal| root_case(cases, name, bytes, refusal);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = byte;
        bytes
    };
    with("no bytes", Vec::new(), "form");
    with("cut in the middle", good[..good.len() / 2].to_vec(), "form");
    with("without its last byte", good[..good.len() - 1].to_vec(), "form");
    with("a byte too many", [good, &[0]].concat(), "follow");
    with("two nodes in one block", [good, good].concat(), "follow");
    with("an array", vec![0x80], "form");
    with("null", vec![0xf6], "form");
    with("a map of one field", changed(0, 0xa1), "form");
    with("a map of three fields", changed(0, 0xa3), "form");
    with("a map of indefinite length", changed(0, 0xbf), "form");
    with("entries of indefinite length", changed(3, 0x9f), "form");
    with("more entries announced than there are", changed(3, 0x84), "form");
    with("fewer entries announced than there are", changed(3, 0x82), "form");
    with("a field of another name", changed(2, b'f'), "form");
    with("the number of entries in two bytes", [&good[..3], &[0x98, 3], &good[4..]].concat(), "form");
    with(
        "the number of entries in nine bytes",
        [&good[..3], &[0x9b, 0, 0, 0, 0, 0, 0, 0, 3], &good[4..]].concat(),
        "form",
    );
    with(
        "four billion entries announced",
        [&good[..3], &[0x9a, 255, 255, 255, 255], &good[4..]].concat(),
        "entries",
    );
    with(
        "2^63 entries announced",
        [&good[..3], &[0x9b, 0x80, 0, 0, 0, 0, 0, 0, 0], &good[4..]].concat(),
        "form",
    );
    let entries = &good[3..good.len() - 3];
    with("l before e", [&[0xa2, 0x61, b'l', 0xf6, 0x61, b'e'], entries].concat(), "form");
    with("without l", [&[0xa1, 0x61, b'e'], entries].concat(), "form");
    with("e twice", [&[0xa2, 0x61, b'e'], entries, &[0x61, b'e'], entries].concat(), "form");
}

/// One entry, put together by hand.
fn parts(cases: &mut Vec<MstCase>, key: &[u8]) {
    let value = record(key).0;
    let good = entry(0, key, None, &value);
    let mut with = |name: &str, entry: Vec<u8>| {
        let bytes = [&[0xa2, 0x61, b'e', 0x81], entry.as_slice(), &[0x61, b'l', 0xf6]].concat();
        root_case(cases, name, bytes, "form");
    };
    let mut k = vec![0x61, b'k'];
    cbor::write_bytes(&mut k, key);
    let p = [0x61, b'p', 0];
    let t = [0x61, b't', 0xf6];
    let mut v = vec![0x61, b'v'];
    cbor::write_link(&mut v, &value);
    assert_eq!(good, [&[0xa4][..], &k, &p, &t, &v].concat());
    with("an entry without t", [&[0xa3][..], &k, &p, &v].concat());
    with("an entry with a fifth field", [&[0xa5][..], &k, &p, &t, &v, &[0x61, b'w', 0xf6]].concat());
    with("an entry with its fields in another order", [&[0xa4][..], &p, &k, &t, &v].concat());
    with("an entry with a repeated field", [&[0xa5][..], &k, &p, &p, &t, &v].concat());
    with("an entry that is an array", [&[0x84][..], &k[2..], &p[2..], &t[2..], &v[2..]].concat());
    let mut text = vec![0x61, b'k'];
    cbor::write_text(&mut text, std::str::from_utf8(key).expect("a key"));
    with("a key that is text", [&[0xa4][..], &text, &p, &t, &v].concat());
    let long = [&[0x61, b'k', 0x59, 0], &k[3..]].concat();
    with("a key with its length in three bytes", [&[0xa4][..], &long, &p, &t, &v].concat());
    with(
        "a key of indefinite length",
        [&[0xa4, 0x61, b'k', 0x5f][..], &k[2..], &[0xff], &p, &t, &v].concat(),
    );
    with(
        "a key longer than the block",
        [&[0xa4, 0x61, b'k', 0x5a, 0, 0xff, 0xff, 0xff][..], key, &p, &t, &v].concat(),
    );
    for (name, number) in [
        ("two bytes", &[0x18, 0][..]),
        ("nine bytes", &[0x1b, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("a negative number", &[0x20]),
        ("a float", &[0xf9, 0, 0]),
        ("null", &[0xf6]),
    ] {
        with(&format!("a prefix in {name}"), [&[0xa4][..], &k, &[0x61, b'p'], number, &t, &v].concat());
    }
    for (name, byte) in [("undefined", 0xf7), ("false", 0xf4), ("zero", 0), ("an empty map", 0xa0)] {
        with(&format!("a subtree that is {name}"), [&[0xa4][..], &k, &p, &[0x61, b't', byte], &v].concat());
    }
    with("a record that is null", [&[0xa4][..], &k, &p, &t, &[0x61, b'v', 0xf6]].concat());
}

/// Links that are none, or none that a tree may have.
fn links(cases: &mut Vec<MstCase>, key: &[u8]) {
    let cid = record(key).0;
    let good = cid.to_bytes();
    let tagged = |tag: &[u8], zero: &[u8], cid: &[u8]| {
        let mut out = tag.to_vec();
        cbor::write_bytes(&mut out, &[zero, cid].concat());
        out
    };
    let changed = |at: usize, byte: u8| {
        let mut bytes = good;
        bytes[at] = byte;
        tagged(&[0xd8, 0x2a], &[0], &bytes)
    };
    let sha512 = [&[1, 0x71, 0x13, 0x40], [7; 64].as_slice()].concat();
    let identity = [&[1, 0x71, 0, 4], b"tree".as_slice()].concat();
    let odd: Vec<(&str, Vec<u8>)> = vec![
        ("CIDv0", tagged(&[0xd8, 0x2a], &[0], &[&[0x12, 0x20], good[4..].as_ref()].concat())),
        ("with the codec dag-pb", changed(1, 0x70)),
        ("with the codec raw", changed(1, 0x55)),
        ("with SHA-512", tagged(&[0xd8, 0x2a], &[0], &sha512)),
        ("with the identity hash", tagged(&[0xd8, 0x2a], &[0], &identity)),
        ("with half a hash", changed(3, 0x10)),
        ("without the zero byte", tagged(&[0xd8, 0x2a], &[], &good)),
        ("with another multibase", tagged(&[0xd8, 0x2a], b"b", &good)),
        ("under tag 43", tagged(&[0xd8, 0x2b], &[0], &good)),
        ("under tag 42 in three bytes", tagged(&[0xd9, 0, 0x2a], &[0], &good)),
        ("as text", {
            let mut out = Vec::new();
            cbor::write_text(&mut out, &cid.to_string());
            out
        }),
        ("as bytes without a tag", tagged(&[], &[0], &good)),
    ];
    let value = record(key).0;
    for (name, link) in &odd {
        let start = [&[0xa2, 0x61, b'e', 0x80, 0x61, b'l'], link.as_slice()].concat();
        root_case(cases, &format!("a subtree link {name}"), start, "form");
    }
    let mut k = vec![0x61, b'k'];
    cbor::write_bytes(&mut k, key);
    for (at, (name, link)) in odd.iter().enumerate() {
        let entry = [&[0xa4][..], &k, &[0x61, b'p', 0, 0x61, b't', 0xf6, 0x61, b'v'], link].concat();
        let bytes = [&[0xa2, 0x61, b'e', 0x81], entry.as_slice(), &[0x61, b'l', 0xf6]].concat();
        root_case(cases, &format!("a record link {name}"), bytes, if at < 6 { "unusual" } else { "form" });
    }
    // The CID itself is good, what it names is not a node.
    let mut bytes = vec![0xa2, 0x61, b'e', 0x81];
    bytes.extend(entry(0, key, None, &Cid::new(Codec::Raw, *value.digest())));
    bytes.extend([0x61, b'l']);
    link_or_null(&mut bytes, None);
    root_case(cases, "a record that is a blob", bytes, "unusual");
}

/// Keys that are no record paths.
fn text_of_keys(cases: &mut Vec<MstCase>, keys: &Keys) {
    let long = [b"com.example.a/".as_slice(), &[b'x'; 1011]].concat();
    let bad: Vec<(&str, &[u8])> = vec![
        ("empty", b""),
        ("without a slash", b"com.example.a"),
        ("with two slashes", b"com.example.a/b/c"),
        ("with a slash at the start", b"/abc"),
        ("with a slash at the end", b"com.example.a/"),
        ("of a slash alone", b"/"),
        ("with a space", b"com.example.a/b c"),
        ("with a percent sign", b"com.example.a/%2e"),
        ("with a NUL", b"com.example.a/b\0"),
        ("with a line break", b"com.example.a/b\n"),
        ("that is not UTF-8", b"com.example.a/\xff"),
        ("with a letter beyond ASCII", "com.example.a/ä".as_bytes()),
        ("of 1,025 bytes", &long),
    ];
    for (name, key) in bad {
        case(cases, &format!("a key {name}"), &Node::of(&[key]), "record path");
    }
    let first = keys.at(0, 0);
    let second = [first, b"/x"].concat();
    case(cases, "a second slash behind a shared prefix", &Node::of(&[first, &second]), "record path");
}

/// Prefix compression and order.
fn compression(cases: &mut Vec<MstCase>, keys: &Keys) {
    let three = keys.bottom(3);
    let shared = |a: &[u8], b: &[u8]| a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (s1, s2) = (shared(three[0], three[1]), shared(three[1], three[2]));
    let node = || Node::of(&three);
    case(cases, "a first entry with a prefix", &node().prefixes(&[1, s1, s2]), "shares more");
    case(cases, "a prefix longer than the key before", &node().prefixes(&[0, 200, s2]), "shares more");
    case(cases, "a prefix of 2^32", &node().prefixes(&[0, 1 << 32, s2]), "form");
    case(cases, "keys without compression", &node().prefixes(&[0, 0, 0]), "compressed less");
    case(cases, "one byte less compressed", &node().prefixes(&[0, s1 - 1, s2]), "compressed less");
    case(
        cases,
        "the last key one byte less compressed",
        &node().prefixes(&[0, s1, s2 - 1]),
        "compressed less",
    );
    case(cases, "keys in falling order", &Node::of(&[three[2], three[1], three[0]]), "come after");
    case(cases, "the same key twice", &Node::of(&[three[0], three[0]]), "come after");
    case(
        cases,
        "a key that is the start of the one before",
        &Node::of(&[three[0], &three[0][..three[0].len() - 1]]),
        "come after",
    );
}
