//! Canonical heads and items, appended to a buffer.

#![expect(clippy::cast_possible_truncation, reason = "each cast stands behind the comparison that bounds it")]

use super::major;
use crate::cid::Cid;

/// Appends a head: major type (0 to 7) and argument, in the shortest form.
#[inline]
pub fn write_head(out: &mut Vec<u8>, major: u8, value: u64) {
    let kind = (major & 7) << 5;
    match value {
        0..=23 => out.push(kind | value as u8),
        24..=0xff => out.extend_from_slice(&[kind | 24, value as u8]),
        0x100..=0xffff => {
            out.push(kind | 25);
            out.extend_from_slice(&(value as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(kind | 26);
            out.extend_from_slice(&(value as u32).to_be_bytes());
        }
        _ => {
            out.push(kind | 27);
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

/// Appends the head of a map with so many entries. The caller writes them in canonical order.
pub fn write_map(out: &mut Vec<u8>, entries: usize) {
    write_head(out, major::MAP, entries as u64);
}

/// Appends the head of an array with so many items.
pub fn write_array(out: &mut Vec<u8>, items: usize) {
    write_head(out, major::ARRAY, items as u64);
}

/// Appends a text or a map key.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    write_head(out, major::TEXT, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a byte string.
pub fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_head(out, major::BYTES, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends an integer.
pub fn write_int(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        write_head(out, major::NINT, !value as u64);
    } else {
        write_head(out, major::UINT, value as u64);
    }
}

/// Appends an unsigned integer. Values above `i64::MAX` are outside of the data model; no reader here takes them.
pub fn write_uint(out: &mut Vec<u8>, value: u64) {
    write_head(out, major::UINT, value);
}

/// Appends true or false.
pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xf5 } else { 0xf4 });
}

/// Appends null.
pub fn write_null(out: &mut Vec<u8>) {
    out.push(0xf6);
}

/// Appends a link: tag 42, 37 bytes.
#[inline]
pub fn write_link(out: &mut Vec<u8>, cid: &Cid) {
    out.extend_from_slice(&[0xd8, 0x2a, 0x58, 0x25, 0x00]);
    out.extend_from_slice(&cid.to_bytes());
}
