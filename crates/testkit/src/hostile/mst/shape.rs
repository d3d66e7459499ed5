//! Trees whose nodes are well formed and stand in the wrong place.

use p2pds_ipld::Cid;

use super::{Keys, MstCase, Node, case, finish, record, tower};

/// Adds the cases.
pub fn add(cases: &mut Vec<MstCase>) {
    let keys = Keys::new();
    layers(cases, &keys);
    chains(cases, &keys);
    ranges(cases, &keys);
    blocks(cases, &keys);
    wide(cases);
}

fn layers(cases: &mut Vec<MstCase>, keys: &Keys) {
    let two = keys.at(2, 3);
    let (below, above) = (keys.at(0, 0), keys.0[0].last().expect("a key").as_slice());
    case(cases, "a key of layer 2 among keys of layer 0", &Node::of(&[below, two]), "layer");
    case(cases, "a key of layer 0 among keys of layer 2", &Node::of(&[two, above]), "layer");
    case(cases, "a child one layer too deep", &Node::of(&[two]).left(Node::of(&[below])), "layer");
    case(
        cases,
        "a child on its parent's layer",
        &Node::of(&[keys.at(2, 3)]).left(Node::of(&[keys.at(2, 1)])),
        "layer",
    );
    case(cases, "a child above its parent", &Node::of(&[above]).left(Node::of(&[two])), "layer");
    case(cases, "a bridge too many", &Node::of(&[two]).left(Node::of(&[below]).under().under()), "layer");
    let one = keys.at(1, 2);
    let bottom = keys.0[0].iter().rfind(|key| key.as_slice() < one).expect("below");
    let zero = Node::of(&[bottom]).left(Node::of(&[below]));
    case(cases, "a node below layer 0", &Node::of(&[one]).left(zero), "layer 0");
    case(
        cases,
        "a subtree behind a key of layer 0",
        &Node::of(&[below]).right(0, Node::of(&[above])),
        "layer 0",
    );
}

fn chains(cases: &mut Vec<MstCase>, keys: &Keys) {
    let mut whole = Vec::new();
    case(cases, "a root without entries", &tower(keys).under(), "trimmed");
    for (name, length) in [("40", 40), ("1,000", 1000), ("10,000", 10_000)] {
        // Built by hand: recursion of this depth would be the bug that this is about.
        whole.clear();
        let mut link: Option<Cid> = None;
        for _ in 0..length {
            let mut bytes = vec![0xa2, 0x61, b'e', 0x80, 0x61, b'l'];
            super::link_or_null(&mut bytes, link);
            let cid = Cid::of_cbor(&bytes);
            whole.push((cid, bytes));
            link = Some(cid);
        }
        whole.reverse();
        let root = link.expect("a chain");
        cases.push(finish(&format!("a chain of {name} empty nodes"), root, whole.clone(), "trimmed"));
    }
    let two = keys.at(2, 3);
    case(cases, "an empty node as a child", &Node::of(&[two]).left(Node::default()), "empty node");
    case(
        cases,
        "an empty node below a bridge",
        &Node::of(&[two]).left(Node::default().under()),
        "empty node",
    );
    case(cases, "an empty node behind a key", &Node::of(&[two]).right(0, Node::default()), "empty node");
}

fn ranges(cases: &mut Vec<MstCase>, keys: &Keys) {
    let one = keys.at(1, 3);
    let (low, high) = (keys.at(0, 0), keys.0[0].last().expect("a key").as_slice());
    case(cases, "a left subtree with greater keys", &Node::of(&[one]).left(Node::of(&[high])), "");
    case(cases, "a right subtree with smaller keys", &Node::of(&[one]).right(0, Node::of(&[low])), "");
    let two = keys.at(1, 5);
    case(
        cases,
        "a middle subtree with keys of the last",
        &Node::of(&[one, two]).right(0, Node::of(&[high])),
        "",
    );
    let pair = Node::of(&[low, high]);
    case(cases, "a subtree that reaches over its neighbour", &Node::of(&[one]).left(pair), "");
    let same = Node::of(&[low]);
    case(cases, "one subtree linked twice", &Node::of(&[one]).left(same.clone()).right(0, same), "");
    let deep = keys.at(2, 4);
    let crossing = Node::of(&[keys.0[1].iter().rfind(|k| k.as_slice() < deep).expect("below")])
        .right(0, Node::of(&[high]));
    case(cases, "a key beyond its grandparent's", &Node::of(&[deep]).left(crossing), "");
    bomb(cases, keys);
}

/// Each level links the one below twice: few blocks, 2^k paths.
fn bomb(cases: &mut Vec<MstCase>, keys: &Keys) {
    let top = keys.at(3, 2);
    let level = |layer: usize, below: Node| {
        let key = keys.between(layer, b"", top);
        Node::of(&[key]).left(below.clone()).right(0, below)
    };
    let bottom = Node::of(&[keys.at(0, 0)]);
    let tree = Node::of(&[top]).left(level(2, level(1, bottom.clone()))).right(0, level(2, level(1, bottom)));
    case(cases, "a tree that doubles at each level", &tree, "");
}

/// Nodes with their CIDs, children first.
type Stored = Vec<(Cid, Vec<u8>)>;

/// What the blocks are, not what the tree says.
fn blocks(cases: &mut Vec<MstCase>, keys: &Keys) {
    let sound = |change: &dyn Fn(&mut Stored)| {
        let mut nodes = Vec::new();
        let root = tower(keys).store(&mut nodes);
        change(&mut nodes);
        (root, nodes)
    };
    let (root, nodes) = sound(&|nodes| drop(nodes.pop()));
    cases.push(finish("a missing node", root, nodes, ""));
    let (root, nodes) = sound(&|nodes| drop(nodes.remove(0)));
    cases.push(finish("a missing root", root, nodes, ""));
    let (root, nodes) = sound(&|nodes| {
        let other = nodes[2].1.clone();
        nodes[1].1 = other;
    });
    cases.push(finish("a node under the CID of another", root, nodes, ""));
    let (root, nodes) = sound(&|nodes| *nodes[1].1.last_mut().expect("bytes") ^= 1);
    cases.push(finish("a node with one changed bit", root, nodes, ""));
    let (root, nodes) = sound(&|nodes| nodes[0].1 = nodes[1].1.clone());
    cases.push(finish("a root under the CID of another", root, nodes, ""));
    let (cid, bytes) = record(keys.at(0, 0));
    cases.push(finish("a record as the root", cid, vec![(cid, bytes)], "form"));
}

/// One node with more keys than anybody has by chance.
fn wide(cases: &mut Vec<MstCase>) {
    let mut keys = Vec::new();
    for n in 0_u32.. {
        let key = format!("com.example.a/{n:06}").into_bytes();
        if p2pds_repo::mst::height(&key) == 0 {
            keys.push(key);
        }
        if keys.len() > 8192 {
            break;
        }
    }
    let list: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    case(cases, "8,193 keys in one node", &Node::of(&list), "entries");
}
