//! Writing CAR files.

use crate::cbor::{write_array, write_link, write_map, write_text, write_uint};
use crate::cid::{CID_LEN, Cid};
use crate::varint;

/// Appends the header with its length.
pub fn write_header(out: &mut Vec<u8>, roots: &[Cid]) {
    let mut header = Vec::with_capacity(roots.len().saturating_mul(41).saturating_add(24));
    write_map(&mut header, 2);
    write_text(&mut header, "roots");
    write_array(&mut header, roots.len());
    for root in roots {
        write_link(&mut header, root);
    }
    write_text(&mut header, "version");
    write_uint(&mut header, 1);
    varint::write(out, header.len() as u64);
    out.extend_from_slice(&header);
}

/// How many bytes [`write_header`] writes for one root.
#[must_use]
pub const fn header_len() -> usize {
    // Length, map head, "roots", array head, link, "version", 1.
    1 + 1 + 6 + 1 + 41 + 8 + 1
}

/// Appends a section.
pub fn write_section(out: &mut Vec<u8>, cid: &Cid, bytes: &[u8]) {
    write_section_head(out, cid, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends length and CID of a section whose block of `length` bytes the caller appends next.
pub fn write_section_head(out: &mut Vec<u8>, cid: &Cid, length: usize) {
    varint::write(out, (length as u64).saturating_add(CID_LEN as u64));
    out.extend_from_slice(&cid.to_bytes());
}
