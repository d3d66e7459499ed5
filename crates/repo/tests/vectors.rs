//! Published vectors: key heights, prefixes, commit proofs, recorded commits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod model;
mod shared;

use std::collections::{BTreeSet, HashMap};

use model::Records;
use p2pds_ipld::Cid;
use p2pds_ipld::car::{CarLimits, SectionCid, SliceReader};
use p2pds_repo::bucket::{BucketBuilder, Spine, plan};
use p2pds_repo::event::{Action, CommitEvent, EventOp, prove};
use p2pds_repo::mst::{Op, Tree, apply, common_prefix, height, invert};
use p2pds_syntax::{Did, RecordPath, Tid};
use serde_json::Value;

fn json(sub: &str) -> Option<Vec<Value>> {
    let text = std::fs::read_to_string(shared::shared(sub)?).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

fn cid(value: &Value) -> Cid {
    value.as_str().unwrap().parse().unwrap()
}

fn link(value: &Value) -> Option<Cid> {
    value.get("$link").map(cid)
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|k| k.as_str().unwrap()).collect()
}

fn base64(text: &str) -> Vec<u8> {
    data_encoding::BASE64_NOPAD.decode(text.trim_end_matches('=').as_bytes()).unwrap()
}

#[test]
fn key_heights() {
    let Some(cases) = json("vectors/atproto-interop/mst/key_heights.json") else { return };
    assert_eq!(cases.len(), 9);
    for case in cases {
        assert_eq!(
            u64::from(height(case["key"].as_str().unwrap().as_bytes())),
            case["height"].as_u64().unwrap()
        );
    }
}

#[test]
fn common_prefixes() {
    let Some(cases) = json("vectors/atproto-interop/mst/common_prefix.json") else { return };
    assert_eq!(cases.len(), 13);
    for case in cases {
        let side = |name: &str| case[name].as_str().unwrap().as_bytes().to_vec();
        assert_eq!(common_prefix(&side("left"), &side("right")) as u64, case["len"].as_u64().unwrap());
    }
}

#[test]
fn example_keys_name_their_layer() {
    let Some(path) = shared::shared("vectors/atproto-interop/mst/example_keys.txt") else { return };
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text.lines().count(), 156);
    for key in text.lines() {
        assert_eq!(height(key.as_bytes()).to_string(), key[1..2], "{key}");
    }
}

#[test]
fn commit_proofs() {
    for file in [
        "vectors/atproto-interop/firehose/commit-proof-fixtures.json",
        "vectors/repo-proofs/commit-proof-fixtures.json",
    ] {
        let Some(cases) = json(file) else { return };
        assert_eq!(cases.len(), 6);
        for case in &cases {
            commit_proof(case);
        }
    }
}

type Loaded = Vec<(usize, Vec<(Vec<u8>, Cid)>)>;

fn commit_proof(case: &Value) {
    let comment = case["comment"].as_str().unwrap();
    let leaf = cid(&case["leafValue"]);
    let before: Records = keys(&case["keys"]).iter().map(|k| (k.as_bytes().to_vec(), leaf)).collect();
    let ops: Vec<Op> = keys(&case["adds"])
        .iter()
        .map(|k| Op::create(k.as_bytes(), leaf))
        .chain(keys(&case["dels"]).iter().map(|k| Op::delete(k.as_bytes(), leaf)))
        .collect();
    let (root, nodes) = model::tree(&before);
    assert_eq!(root, cid(&case["rootBeforeCommit"]), "{comment}");
    let mut src: HashMap<Cid, Vec<u8>> = nodes.into_iter().collect();
    let mut tree = Tree::open(root);
    apply(&mut tree, &mut src, &ops).unwrap();
    let after = tree.flush(|_, _| {}, |_| {});
    assert_eq!(after, cid(&case["rootAfterCommit"]), "{comment}");

    let want: BTreeSet<Cid> = case["blocksInProof"].as_array().unwrap().iter().map(cid).collect();
    let proof = tree.covering_proof(&mut src, ops.iter().map(|op| op.key.as_slice())).unwrap();
    assert_eq!(proof.iter().map(|(cid, _)| *cid).collect::<BTreeSet<_>>(), want, "{comment}");
    let mut blocks: HashMap<Cid, Vec<u8>> = proof.into_iter().collect();
    assert_eq!(invert(after, &mut blocks, &ops), Ok(root), "{comment}");
    for block in &want {
        let mut less = blocks.clone();
        less.remove(block);
        if let Ok(found) = invert(after, &mut less, &ops) {
            // The reference's proof may hold a block that this commit's inversion does not look at.
            assert_eq!(found, root, "{comment}");
        }
    }

    // The same through buckets.
    let mut rows = Vec::new();
    let mut builder = BucketBuilder::new(|row| rows.push(row));
    for (key, cid) in &before {
        builder.push(key, cid).unwrap();
    }
    builder.finish();
    let mut spine = Spine::from_buckets(rows).unwrap();
    let loaded: Loaded = (0..spine.buckets().len())
        .map(|index| {
            let (lo, end) = spine.range(index).unwrap();
            let inside =
                before.range(lo.to_vec()..).take_while(|(k, _)| end.is_none_or(|end| k.as_slice() < end));
            (index, inside.map(|(k, v)| (k.clone(), *v)).collect())
        })
        .collect();
    let planned = plan(&mut spine, &loaded, &ops).unwrap();
    assert_eq!((planned.prev_root, planned.root), (root, after), "{comment}");
    assert_eq!(planned.proof_blocks.iter().map(|(cid, _)| *cid).collect::<BTreeSet<_>>(), want, "{comment}");
}

#[test]
fn recorded_commits() {
    let Some(dir) = shared::shared("vectors/firehose") else { return };
    let (mut seen, mut odd) = (0, 0);
    for file in std::fs::read_dir(dir).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let message: Value = serde_json::from_str(&text).unwrap();
        let blocks = base64(message["blocks"]["$bytes"].as_str().unwrap());
        let event = event(&message, &blocks);
        let proved = prove(event.clone()).unwrap();
        assert_eq!(proved.commit().cid(), event.commit);
        odd += usize::from(proved.commit().raw.is_some());
        refuse_changed(&event, &blocks);
        seen += 1;
    }
    // Some hosts of that time still linked the commit before.
    assert_eq!((seen, odd > 0), (4, true));
}

fn event<'a>(message: &Value, blocks: &'a [u8]) -> CommitEvent<'a> {
    let text = |name: &str| message[name].as_str().unwrap();
    let op = |op: &Value| EventOp {
        path: RecordPath::parse(op["path"].as_str().unwrap()).unwrap(),
        action: match op["action"].as_str().unwrap() {
            "create" => Action::Create,
            "update" => Action::Update,
            _ => Action::Delete,
        },
        cid: link(&op["cid"]),
        prev: link(&op["prev"]),
    };
    CommitEvent {
        repo: Did::parse(text("repo")).unwrap(),
        rev: Tid::parse(text("rev")).unwrap(),
        since: message["since"].as_str().map(|rev| Tid::parse(rev).unwrap()),
        commit: link(&message["commit"]).unwrap(),
        blocks,
        ops: message["ops"].as_array().unwrap().iter().map(op).collect(),
        prev_data: link(&message["prevData"]),
    }
}

fn refuse_changed(event: &CommitEvent<'_>, blocks: &[u8]) {
    let refuse = |change: &dyn Fn(&mut CommitEvent<'_>)| {
        let mut other = event.clone();
        change(&mut other);
        prove(other).unwrap_err();
    };
    refuse(&|e| e.repo = Did::parse("did:plc:ewvi7nxzyoun6zhxrhs64oiz").unwrap());
    refuse(&|e| e.rev = Tid::parse("3lhhxizu5wr2e").unwrap());
    refuse(&|e| e.commit = Cid::of_cbor(b"other"));
    refuse(&|e| e.ops[0].cid = Some(Cid::of_cbor(b"other")));
    refuse(&|e| e.ops[0].cid = None);
    refuse(&|e| e.ops[0].action = Action::Delete);
    refuse(&|e| e.prev_data = Some(Cid::of_cbor(b"other")));
    for at in (0..blocks.len()).step_by(97) {
        let mut damaged = blocks.to_vec();
        damaged[at] ^= 0x10;
        let mut other = event.clone();
        other.blocks = &damaged;
        if prove(other).is_ok() {
            panic!("a changed byte at {at} of {} was not seen", blocks.len());
        }
    }
}

#[test]
fn car_fixture() {
    let Some(cases) = json("vectors/repo-proofs/car-file-fixtures.json") else { return };
    for case in cases {
        let car = base64(case["car"].as_str().unwrap());
        let reader = SliceReader::new(&car, CarLimits::DEFAULT).unwrap();
        assert_eq!(reader.header().roots, [cid(&case["root"])]);
        let blocks = case["blocks"].as_array().unwrap();
        let mut count = 0;
        for (section, want) in reader.zip(blocks) {
            let section = section.unwrap();
            assert_eq!(section.cid, SectionCid::Plain(cid(&want["cid"])));
            assert_eq!(section.bytes, base64(want["bytes"].as_str().unwrap()));
            count += 1;
        }
        assert_eq!(count, blocks.len());
    }
}
