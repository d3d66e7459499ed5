//! Tree nodes: no panic, ascending keys, and entries that can be read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use p2pds_repo::mst::NodeView;

fuzz_target!(|bytes: &[u8]| {
    let _ = NodeView::parse_any(bytes);
    let _ = NodeView::parse_child(bytes, 3);
    if let Ok(node) = NodeView::parse_root(bytes) {
        assert_eq!(node.entries().count(), node.len());
    }
});
