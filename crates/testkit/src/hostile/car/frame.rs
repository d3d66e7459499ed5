//! Header, sections, hashes, and what is there or not.

use p2pds_ipld::Cid;
use p2pds_ipld::cbor::{Value, encode};

use super::build::{
    Block, Tree, cbor_cid, commit, file, framed, put_link, repo, signed, unbroken, usual, usual_keys, varint,
    with_commit,
};
use super::{CarCase, case};
use crate::hostile::cbor::head;

pub(super) fn add(cases: &mut Vec<CarCase>) {
    headers(cases);
    sections(cases);
    cuts(cases);
    hashes(cases);
    commits(cases);
}

/// A header of these bytes before the sections of the unbroken file.
fn with_header(header: &[u8]) -> Vec<u8> {
    [header, &sections_of(&unbroken().0)].concat()
}

/// The file without its header.
fn sections_of(car: &[u8]) -> Vec<u8> {
    car[1 + usize::from(car[0])..].to_vec()
}

fn header_map(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    head(&mut out, 5, fields.len());
    for (name, value) in fields {
        head(&mut out, 3, name.len());
        out.extend(name.as_bytes());
        out.extend(*value);
    }
    framed(&out)
}

fn headers(cases: &mut Vec<CarCase>) {
    let commit = cbor_cid(&commit(Some(&usual()[0].0)));
    let link = |cid: &[u8]| {
        let mut out = Vec::new();
        put_link(&mut out, Some(cid));
        out
    };
    let list = |cids: &[&[u8]]| {
        let mut out = Vec::new();
        head(&mut out, 4, cids.len());
        cids.iter().for_each(|cid| out.extend(link(cid)));
        out
    };
    let roots = list(&[&commit]);
    let good = header_map(&[("roots", &roots), ("version", &[1])]);
    let not = "header is not that of a CAR file";
    let mut add = |name: &str, header: &[u8], refusal| {
        case(cases, &format!("header: {name}"), with_header(header), refusal)
    };
    add("length of 2^63 - 1", &varint((1 << 63) - 1), "header claims");
    add(
        "length in ten bytes",
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        "length is not written",
    );
    add("length in a long form", &[&[good[0] | 0x80, 0], &good[1..]].concat(), "length is not written");
    add("length of nothing", &[0], not);
    add("length over 64 KiB", &varint((64 << 10) + 1), "header claims");
    add(
        "10,000 roots",
        &header_map(&[("roots", &list(&vec![commit.as_slice(); 10_000])), ("version", &[1])]),
        "header claims",
    );
    add(
        "1,000 roots",
        &header_map(&[("roots", &list(&vec![commit.as_slice(); 1_000])), ("version", &[1])]),
        "1000 roots",
    );
    add("no roots", &header_map(&[("roots", &[0x80]), ("version", &[1])]), "0 roots");
    add("two roots", &header_map(&[("roots", &list(&[&commit, &commit])), ("version", &[1])]), "2 roots");
    add(
        "a list that claims 2^32 - 1 roots",
        &header_map(&[("roots", &[0x9a, 0xff, 0xff, 0xff, 0xff]), ("version", &[1])]),
        not,
    );
    add(
        "a list that claims 1,000 roots",
        &header_map(&[("roots", &[0x99, 3, 0xe8]), ("version", &[1])]),
        not,
    );
    add("version 2", &header_map(&[("roots", &roots), ("version", &[2])]), not);
    add("version 0", &header_map(&[("roots", &roots), ("version", &[0])]), not);
    add("version 1 in two bytes", &header_map(&[("roots", &roots), ("version", &[0x18, 1])]), not);
    add("version 1.0", &header_map(&[("roots", &roots), ("version", &[0xf9, 0x3c, 0])]), not);
    add("version as text", &header_map(&[("roots", &roots), ("version", &[0x61, b'1'])]), not);
    add("no version", &header_map(&[("roots", &roots)]), not);
    add("the pragma of CAR v2", &header_map(&[("version", &[2])]), not);
    add("version only", &header_map(&[("version", &[1])]), not);
    add("another field", &header_map(&[("roots", &roots), ("version", &[1]), ("comments", &[0xf6])]), not);
    add("fields in the other order", &header_map(&[("version", &[1]), ("roots", &roots)]), not);
    add("roots twice", &header_map(&[("roots", &roots), ("roots", &roots)]), not);
    add(
        "roots of indefinite length",
        &header_map(&[("roots", &[&[0x9f], &roots[1..], &[0xff]].concat()), ("version", &[1])]),
        not,
    );
    add(
        "a root without its tag",
        &header_map(&[("roots", &[&[0x81], &roots[3..]].concat()), ("version", &[1])]),
        not,
    );
    add("a root of null", &header_map(&[("roots", &[0x81, 0xf6]), ("version", &[1])]), not);
    add("one root without a list", &header_map(&[("roots", &roots[1..]), ("version", &[1])]), not);
    add(
        "CIDv0 as root",
        &header_map(&[("roots", &list(&[&[&[0x12, 0x20][..], &[7; 32]].concat()])), ("version", &[1])]),
        not,
    );
    add(
        "identity as root",
        &header_map(&[("roots", &list(&[&[1, 0x55, 0, 3, 1, 2, 3]])), ("version", &[1])]),
        not,
    );
    add("a list instead of a map", &framed(&[0x82, 0x80, 1]), not);
    let mut longer = good[1..].to_vec();
    longer.push(0);
    add("a byte behind it", &framed(&longer), not);
    let root = Cid::of_raw(b"raw").to_bytes();
    let raw = file(&[&root], &[(root.to_vec(), b"raw".to_vec())]);
    case(cases, "header: a raw block as root", raw, "not a commit");
    let car = unbroken().0;
    let other = file(&[&Cid::of_cbor(b"other").to_bytes()], &[]);
    let other = [other, sections_of(&car)].concat();
    case(cases, "header: a root that is not there", other, "is not in the CAR file");
}

fn sections(cases: &mut Vec<CarCase>) {
    let car = unbroken().0;
    let mut add = |name: &str, tail: &[u8], refusal| {
        case(cases, &format!("section: {name}"), [car.as_slice(), tail].concat(), refusal);
    };
    let cid = Cid::of_cbor(b"\xa0").to_bytes();
    add("length of 2^63 - 1", &varint((1 << 63) - 1), "section claims");
    add("length of 2^64 - 1", &varint(u64::MAX), "length is not written");
    add("length that never ends", &[0x80; 64], "length is not written");
    add("length in a long form", &[&[0xa5, 0], &cid[..], &[0xa0]].concat(), "length is not written");
    add("over 2 MiB", &framed(&vec![0; (2 << 20) + 1]), "section claims");
    add("claims 2 MiB and has none", &varint(2 << 20), "ends in the middle");
    add("nothing", &[0], "empty section");
    add("zeros for padding", &[0; 512], "empty section");
    add("no CID", &framed(b"this is not a CID, it is some text"), "does not begin with a CID");
    add("half a CID", &framed(&cid[..20]), "does not begin with a CID");
    add("a CID of version 2", &framed(&[&[2], &cid[1..], &[0xa0]].concat()), "does not begin with a CID");
    add(
        "a CID of 200 bytes",
        &framed(&[&[1, 0x55, 0, 0xc8, 1][..], &[0; 200]].concat()),
        "does not begin with a CID",
    );
    add("garbage", b"garbage", "ends in the middle");
    add("half a length", &[0xa5], "ends in the middle");
    add("a whole second file", &car, "does not begin with a CID");
}

fn cuts(cases: &mut Vec<CarCase>) {
    let car = unbroken().0;
    let mut add =
        |name: &str, cut: usize, refusal| case(cases, &format!("cut: {name}"), car[..cut].to_vec(), refusal);
    add("to nothing", 0, "ends in the middle");
    add("in the header", 20, "ends in the middle");
    add("behind the header", 1 + usize::from(car[0]), "is not in the CAR file");
    add("in the length of the commit", 2 + usize::from(car[0]), "ends in the middle");
    add("in the commit", 120, "ends in the middle");
    add("in the middle", car.len() / 2, "ends in the middle");
    add("by one byte", car.len() - 1, "ends in the middle");
    let all = usual();
    for count in [0, 1, 5, 9] {
        let part = with_commit(commit(Some(&all[0].0)), all[..count].to_vec());
        case(cases, &format!("cut: behind {count} blocks"), part, "is missing");
    }
}

fn hashes(cases: &mut Vec<CarCase>) {
    let all = usual();
    let is_node = |block: &Block| block.1.starts_with(&[0xa2, 0x61, b'e']);
    let node = all.iter().skip(1).position(is_node).unwrap() + 1;
    let record = all.iter().position(|block| !is_node(block)).unwrap();
    let wrong = "does not hash to its CID";
    let mut add = |name: &str, at: usize, change: &dyn Fn(&mut Block)| {
        let mut blocks = all.clone();
        change(&mut blocks[at]);
        case(cases, &format!("hash: {name}"), with_commit(commit(Some(&all[0].0)), blocks), wrong);
    };
    let flip = |block: &mut Block| *block.1.last_mut().unwrap() ^= 1;
    add("a record with a changed byte", record, &flip);
    add("a record cut short", record, &|block| block.1.truncate(block.1.len() - 1));
    add("a record with a byte more", record, &|block| block.1.push(0));
    add("an empty record", record, &|block| block.1.clear());
    add("a node with a changed byte", node, &flip);
    add("the root with a changed byte", 0, &flip);
    add("another valid node under the CID of a node", node, &|block| {
        block.1 = Tree::over(&super::build::keys(0, 3)).blocks()[0].1.clone();
    });
    add("another record under the CID of a record", record, &|block| {
        block.1 = encode(&Value::map([("a", Value::Null)]))
    });
    // Links in a circle need a CID that is not the hash.
    let fake = Cid::of_cbor(b"fake").to_bytes().to_vec();
    let other = Cid::of_cbor(b"other fake").to_bytes().to_vec();
    let key = super::build::keys(1, 1).remove(0);
    let entry = |right: &[u8]| super::build::Entry {
        key: key.clone(),
        prefix: None,
        value: None,
        right: super::build::To::Cid(right.to_vec()),
    };
    let to = |right: &[u8], name: &[u8]| {
        let mut blocks = Tree { left: super::build::To::Null, entries: vec![entry(right)] }.blocks();
        blocks[0].0 = name.to_vec();
        blocks
    };
    case(
        cases,
        "hash: a node that links to itself",
        with_commit(commit(Some(&fake)), to(&fake, &fake)),
        wrong,
    );
    let circle = [to(&other, &fake), to(&fake, &other)].concat();
    case(cases, "hash: two nodes that link to each other", with_commit(commit(Some(&fake)), circle), wrong);
    let mut forged = commit(Some(&all[0].0));
    let root = cbor_cid(&forged);
    *forged.last_mut().unwrap() ^= 1;
    let mut blocks = vec![(root.clone(), forged)];
    blocks.extend(all.clone());
    case(cases, "hash: a commit with a changed byte", file(&[&root], &blocks), wrong);
    let mut blocks = all.clone();
    blocks
        .push((Cid::of_cbor(b"nobody needs this").to_bytes().to_vec(), b"and it is something else".to_vec()));
    case(cases, "hash: an extra block under a wrong CID", repo(blocks), wrong);
    let mut blocks = all.clone();
    let mut again = all[record].clone();
    again.1.push(0);
    blocks.push(again);
    case(cases, "hash: a block twice, the second time wrong", repo(blocks), wrong);
    let mut blocks = all.clone();
    let mut before = all[record].clone();
    before.1.push(0);
    blocks.insert(1, before);
    case(cases, "hash: a block twice, the first time wrong", repo(blocks), wrong);
    let mut blocks = all;
    for i in 0u32..3_000 {
        // The same ends of the digest, which is where an index would look.
        let mut digest = [7; 32];
        digest[12..16].copy_from_slice(&i.to_le_bytes());
        let mut cid = vec![1, 0x71, 0x12, 0x20];
        cid.extend(digest);
        blocks.insert(0, (cid, vec![0xa0]));
    }
    case(
        cases,
        "hash: 3,000 CIDs made to collide",
        with_commit(commit(Some(&usual()[0].0)), blocks),
        "made to slow",
    );
}

fn commits(cases: &mut Vec<CarCase>) {
    let blocks = usual();
    let root = Cid::from_bytes(&blocks[0].0).unwrap();
    let good = vec![
        ("did", Value::Text("did:plc:ewvi7nxzyoun6zhxrhs64oiz".to_owned())),
        ("rev", Value::Text("3lhhxizu5wr2d".to_owned())),
        ("prev", Value::Null),
        ("version", Value::Int(3)),
        ("data", Value::Link(root)),
    ];
    let mut add = |name: &str, block: Vec<u8>, refusal| {
        case(cases, &format!("commit: {name}"), with_commit(block, usual()), refusal);
    };
    let not = "not a commit";
    let with = |field: &'static str, value: Option<Value>| {
        let mut fields = good.clone();
        fields.retain(|(name, _)| *name != field);
        fields.extend(value.map(|value| (field, value)));
        signed(fields)
    };
    add("an empty map", vec![0xa0], not);
    add("no bytes", Vec::new(), not);
    add("a record", usual()[1].1.clone(), not);
    add("a tree node", usual()[0].1.clone(), not);
    add("version 2", with("version", Some(Value::Int(2))), not);
    add("no version", with("version", None), not);
    add("no data", with("data", None), not);
    add("data of null", with("data", Some(Value::Null)), not);
    add("data as text", with("data", Some(Value::Text(root.to_string()))), not);
    add("data that is raw", with("data", Some(Value::Link(Cid::of_raw(&usual()[0].1)))), not);
    add(
        "data that is CIDv0",
        with("data", Some(Value::OddLink([&[0x12, 0x20][..], root.digest()].concat()))),
        not,
    );
    add("no DID", with("did", None), not);
    add("a DID that is none", with("did", Some(Value::Text("alice.test".to_owned()))), not);
    add("no rev", with("rev", None), not);
    add("a rev that is no TID", with("rev", Some(Value::Text("1".to_owned()))), not);
    let mut unsorted = encode(&Value::map(good.clone()));
    unsorted[0] += 1;
    unsorted.extend([0x63, b's', b'i', b'g', 0x58, 64]);
    unsorted.extend([1; 64]);
    add("keys out of order", unsorted, not);
    let mut trailing = signed(good.clone());
    trailing.push(0);
    add("a byte behind it", trailing, not);
    let mut fields = good.clone();
    fields.push(("sig", Value::Bytes(vec![1; 63])));
    add("a signature of 63 bytes", encode(&Value::map(fields)), not);
    add("not signed", encode(&Value::map(good)), not);
    let record = usual().into_iter().find(|(_, bytes)| !bytes.starts_with(&[0xa2, 0x61, b'e'])).unwrap();
    let over_record = with_commit(commit(Some(&record.0)), vec![record]);
    case(cases, "commit: a record as root of the tree", over_record, "is not valid");
    let elsewhere = commit(Some(&Cid::of_cbor(b"elsewhere").to_bytes()));
    case(
        cases,
        "commit: a root of the tree that is not there",
        with_commit(elsewhere, usual()),
        "is missing",
    );
    let keys = usual_keys();
    let other = Tree::over(&keys[..keys.len() - 1]).blocks()[0].0.clone();
    case(
        cases,
        "commit: the root of another state",
        with_commit(commit(Some(&other)), usual()),
        "is missing",
    );
}
