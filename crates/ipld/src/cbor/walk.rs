//! The validating walk: one pass, an explicit stack, no allocation.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "hot loop: `at` never passes `bytes.len()`, counts only go down from a value that was checked above zero"
)]

use super::blob::{self, BlobRef};
use super::major;
use crate::cid::{CID_LEN, Cid, CidError};
use crate::error::{CborError, CborFault};

/// Deepest nesting that any limit can allow: the walk's stack is an array of this size.
pub(crate) const DEPTH: usize = 32;

/// Bounds for one block. See `Limits::RECORD` and `Limits::STRICT`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest block in bytes.
    pub max_len: usize,
    /// Deepest nesting of arrays and maps; values above 32 mean 32.
    pub max_depth: usize,
    /// Most items in one array, or entries in one map.
    pub max_container: usize,
    /// Longest map key in bytes.
    pub max_key: usize,
    /// Whether a link may hold a well-formed CID that is not a DASL CID. Others wrote such records and their hash
    /// is right, so a reader keeps them; a writer does not make them.
    pub odd_links: bool,
}

impl Limits {
    /// A record as others may have written it: 1 MiB, odd links tolerated.
    pub const RECORD: Self =
        Self { max_len: 1 << 20, max_depth: DEPTH, max_container: 131_072, max_key: 8_192, odd_links: true };
    /// Commits, tree nodes and everything that is written here: 2 MiB, DASL CIDs only.
    pub const STRICT: Self =
        Self { max_len: 2 << 20, max_depth: DEPTH, max_container: 131_072, max_key: 8_192, odd_links: false };
}

/// What [`scan`] reports, in the order in which it stands in the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A link: the CID in binary form, without the zero byte. Blob references contain a link as well, which is
    /// reported before the blob itself.
    Link(&'a [u8]),
    /// A blob reference, in its present or its legacy form.
    Blob(BlobRef<'a>),
}

/// Checks that `bytes` is one item of strict DRISL/DAG-CBOR within `limits`.
///
/// # Errors
/// The first broken rule with its offset.
pub fn validate(bytes: &[u8], limits: &Limits) -> Result<(), CborError> {
    whole(bytes, limits, &mut Nothing)
}

/// [`validate`], and reports each link and each blob reference on the way.
///
/// What was reported before an error is worth nothing: the block as a whole is refused.
///
/// # Errors
/// The first broken rule with its offset.
pub fn scan<'a>(bytes: &'a [u8], limits: &Limits, report: &mut dyn FnMut(Item<'a>)) -> Result<(), CborError> {
    whole(bytes, limits, &mut Report(report))
}

/// What the walk tells its caller. Both implementations are known at compile time, so that the silent one costs
/// nothing.
trait Visit<'a> {
    /// Whether maps with a `mimeType` are looked at.
    const BLOBS: bool;
    fn link(&mut self, cid: &'a [u8]);
    fn blob(&mut self, blob: BlobRef<'a>);
}

struct Nothing;

impl<'a> Visit<'a> for Nothing {
    const BLOBS: bool = false;
    #[inline(always)]
    fn link(&mut self, _: &'a [u8]) {}
    #[inline(always)]
    fn blob(&mut self, _: BlobRef<'a>) {}
}

struct Report<'r, 'a>(&'r mut dyn FnMut(Item<'a>));

impl<'a> Visit<'a> for Report<'_, 'a> {
    const BLOBS: bool = true;
    fn link(&mut self, cid: &'a [u8]) {
        (self.0)(Item::Link(cid));
    }
    fn blob(&mut self, blob: BlobRef<'a>) {
        (self.0)(Item::Blob(blob));
    }
}

fn whole<'a, V: Visit<'a>>(bytes: &'a [u8], limits: &Limits, visit: &mut V) -> Result<(), CborError> {
    let end = walk(bytes, 0, limits, visit)?;
    if end == bytes.len() { Ok(()) } else { fail(end, CborFault::Trailing) }
}

/// Checks the one item that begins at `at`; returns the offset behind it.
pub(crate) fn skip(bytes: &[u8], at: usize, limits: &Limits) -> Result<usize, CborError> {
    walk(bytes, at, limits, &mut Nothing)
}

#[cold]
#[inline(never)]
pub(crate) fn fail<T>(offset: usize, fault: CborFault) -> Result<T, CborError> {
    Err(CborError { offset, fault })
}

/// An open array or map.
#[derive(Clone, Copy, Default)]
struct Frame {
    /// Items or entries that are still to come.
    left: u32,
    /// Where the container begins.
    start: u32,
    /// The last key, as offset and length, when this is a map that has had one.
    key: u32,
    key_len: u16,
    kind: Kind,
    /// Whether the map has a `mimeType`.
    mime: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    List,
    FreshMap,
    Map,
}

/// Reads one head: major type, argument, offset behind it.
#[inline(always)]
pub(crate) fn head(bytes: &[u8], at: usize) -> Result<(u8, u64, usize), CborError> {
    let Some(&first) = bytes.get(at) else {
        return fail(at, CborFault::Truncated);
    };
    let info = first & 0x1f;
    if info < 24 {
        return Ok((first >> 5, u64::from(info), at + 1));
    }
    long_head(bytes, at, first)
}

#[inline]
fn long_head(bytes: &[u8], at: usize, first: u8) -> Result<(u8, u64, usize), CborError> {
    let rest = bytes.get(at + 1..).unwrap_or_default();
    let (value, length, least) = match first & 0x1f {
        24 => match rest.first() {
            Some(&byte) => (u64::from(byte), 1, 24),
            None => return fail(at, CborFault::Truncated),
        },
        25 => match rest.first_chunk() {
            Some(&two) => (u64::from(u16::from_be_bytes(two)), 2, 1 << 8),
            None => return fail(at, CborFault::Truncated),
        },
        26 => match rest.first_chunk() {
            Some(&four) => (u64::from(u32::from_be_bytes(four)), 4, 1 << 16),
            None => return fail(at, CborFault::Truncated),
        },
        27 => match rest.first_chunk() {
            Some(&eight) => (u64::from_be_bytes(eight), 8, 1 << 32),
            None => return fail(at, CborFault::Truncated),
        },
        31 => {
            return fail(
                at,
                if first == 0xff || first >> 5 > 1 {
                    CborFault::Indefinite
                } else {
                    CborFault::Reserved(first)
                },
            );
        }
        _ => return fail(at, CborFault::Reserved(first)),
    };
    // In major type 7 these are floats and two-byte simple values, which are told apart by the caller.
    if value < least && first >> 5 != major::SIMPLE {
        return fail(at, CborFault::NotShortest);
    }
    Ok((first >> 5, value, at + 1 + length))
}

/// The string of `length` bytes at `at`, when so many are left.
#[inline(always)]
pub(crate) fn string(bytes: &[u8], item: usize, at: usize, length: u64) -> Result<(&[u8], usize), CborError> {
    let rest = bytes.get(at..).unwrap_or_default();
    match usize::try_from(length) {
        Ok(length) => match rest.get(..length) {
            Some(found) => Ok((found, at + length)),
            None => fail(item, CborFault::Truncated),
        },
        Err(_) => fail(item, CborFault::Truncated),
    }
}

/// UTF-8 check that is quick for the short ASCII strings of which records consist.
#[inline(always)]
fn is_utf8(text: &[u8]) -> bool {
    is_ascii(text) || std::str::from_utf8(text).is_ok()
}

#[inline(always)]
fn is_ascii(text: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    if let Some(last) = text.last_chunk::<8>() {
        let (words, _) = text.as_chunks::<8>();
        let seen =
            words.iter().fold(u64::from_ne_bytes(*last), |seen, word| seen | u64::from_ne_bytes(*word));
        seen & HIGH == 0
    } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (u32::from_ne_bytes(*first) | u32::from_ne_bytes(*last)) & 0x8080_8080 == 0
    } else {
        text.iter().fold(0, |seen, byte| seen | byte) < 0x80
    }
}

/// Whether these are the bytes of a CID that is well formed and yet no DASL CID: version 0, another codec, another
/// hash, at most 100 bytes.
#[must_use]
pub fn is_odd_cid(bytes: &[u8]) -> bool {
    odd_cid_len(bytes) == Some(bytes.len()) && Cid::from_bytes(bytes).is_err()
}

/// Length of the well-formed CID at the start of `bytes`; 100 bytes at most.
pub(crate) fn odd_cid_len(bytes: &[u8]) -> Option<usize> {
    const LONGEST: usize = 100;
    if bytes.starts_with(&[0x12, 0x20]) {
        return (bytes.len() >= 34).then_some(34);
    }
    let mut at = 0usize;
    let mut number = || -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..63).step_by(7) {
            let byte = *bytes.get(at)?;
            at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return (byte != 0 || shift == 0).then_some(value);
            }
        }
        None
    };
    if number()? != 1 {
        return None;
    }
    let (_codec, _hash, digest) = (number()?, number()?, number()?);
    let length = usize::try_from(digest).ok()?.checked_add(at)?;
    (length <= LONGEST && length <= bytes.len()).then_some(length)
}

#[cold]
#[inline(never)]
fn check_odd_link(item: usize, bytes: &[u8], limits: &Limits) -> Result<(), CborError> {
    let Some((0, cid)) = bytes.split_first() else {
        return fail(item, CborFault::LinkShape);
    };
    match Cid::from_bytes(cid) {
        Ok(_) => Ok(()),
        Err(_) if limits.odd_links && is_odd_cid(cid) => Ok(()),
        Err(error) => fail(item, CborFault::Link(error)),
    }
}

/// Reads the bytes of a link whose tag was just read; checks them; returns the CID without its zero byte.
#[inline(always)]
pub(crate) fn link<'a>(
    bytes: &'a [u8],
    item: usize,
    at: usize,
    limits: &Limits,
) -> Result<(&'a [u8], usize), CborError> {
    let (kind, length, body) = head(bytes, at)?;
    if kind != major::BYTES {
        return fail(item, CborFault::LinkShape);
    }
    let (bytes, end) = string(bytes, item, body, length)?;
    match bytes.first_chunk::<5>() {
        Some([0, 1, 0x71 | 0x55, 0x12, 0x20]) if bytes.len() == CID_LEN + 1 => {}
        _ => check_odd_link(item, bytes, limits)?,
    }
    match bytes.split_first() {
        Some((_, cid)) => Ok((cid, end)),
        None => fail(item, CborFault::Link(CidError::Length(0))),
    }
}

fn walk<'a, V: Visit<'a>>(
    bytes: &'a [u8],
    from: usize,
    limits: &Limits,
    visit: &mut V,
) -> Result<usize, CborError> {
    if bytes.len() > limits.max_len || bytes.len() > u32::MAX as usize {
        return fail(from, CborFault::TooLong(limits.max_len));
    }
    let max_depth = limits.max_depth.min(DEPTH);
    let mut stack = [Frame::default(); DEPTH];
    let mut depth = 0usize;
    let mut open = Frame { left: 1, ..Frame::default() };
    let mut at = from;
    loop {
        while open.left == 0 {
            if V::BLOBS
                && open.mime
                && let Some(found) = bytes.get(open.start as usize..at).and_then(blob::read)
            {
                visit.blob(found);
            }
            if depth == 0 {
                return Ok(at);
            }
            depth -= 1;
            open = stack.get(depth).copied().unwrap_or_default();
        }
        open.left -= 1;
        if open.kind != Kind::List {
            at = key(bytes, at, limits, &mut open, V::BLOBS)?;
        }
        let item = at;
        let (kind, value, next) = head(bytes, at)?;
        at = next;
        match kind {
            major::TEXT => {
                let (text, end) = string(bytes, item, at, value)?;
                if !is_utf8(text) {
                    return fail(item, CborFault::Utf8);
                }
                at = end;
            }
            major::MAP | major::ARRAY => {
                if depth >= max_depth {
                    return fail(item, CborFault::TooDeep(max_depth));
                }
                let left = count(bytes, item, at, kind, value, limits)?;
                if let Some(slot) = stack.get_mut(depth) {
                    *slot = open;
                }
                depth += 1;
                open = Frame {
                    left,
                    start: item as u32,
                    kind: if kind == major::MAP { Kind::FreshMap } else { Kind::List },
                    ..Frame::default()
                };
            }
            major::UINT | major::NINT => {
                if value > i64::MAX as u64 {
                    return fail(item, CborFault::IntegerRange);
                }
            }
            major::BYTES => at = string(bytes, item, at, value)?.1,
            major::TAG => {
                if value != 42 {
                    return fail(item, CborFault::Tag(value));
                }
                let (cid, end) = link(bytes, item, at, limits)?;
                visit.link(cid);
                at = end;
            }
            _ => simple(bytes, item)?,
        }
    }
}

/// Reads and checks the key that begins at `at`; returns the offset of its value.
#[inline(always)]
fn key(bytes: &[u8], at: usize, limits: &Limits, open: &mut Frame, blobs: bool) -> Result<usize, CborError> {
    let (kind, length, start) = head(bytes, at)?;
    if kind != major::TEXT {
        return fail(at, CborFault::KeyType);
    }
    let (text, end) = string(bytes, at, start, length)?;
    let longest = limits.max_key.min(u16::MAX as usize);
    if text.len() > longest {
        return fail(at, CborFault::KeyTooLong(longest));
    }
    if !is_utf8(text) {
        return fail(at, CborFault::Utf8);
    }
    if open.kind == Kind::Map && text.len() <= usize::from(open.key_len) {
        let from = open.key as usize;
        let before = bytes.get(from..from + usize::from(open.key_len)).unwrap_or_default();
        match before.len().cmp(&text.len()).then_with(|| before.cmp(text)) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => return fail(at, CborFault::KeyTwice),
            std::cmp::Ordering::Greater => return fail(at, CborFault::KeyOrder),
        }
    }
    open.kind = Kind::Map;
    open.key = start as u32;
    open.key_len = text.len() as u16;
    if blobs && text == b"mimeType" {
        open.mime = true;
    }
    Ok(end)
}

/// Checks the number of items of a container against the limit and the bytes that are left.
#[inline(always)]
pub(crate) fn count(
    bytes: &[u8],
    item: usize,
    at: usize,
    kind: u8,
    value: u64,
    limits: &Limits,
) -> Result<u32, CborError> {
    if value > limits.max_container as u64 {
        return fail(item, CborFault::TooMany(limits.max_container));
    }
    // Every item takes a byte at least: a length that lies is caught before anything relies on it.
    let least = if kind == major::MAP { value * 2 } else { value };
    if least > (bytes.len() - at.min(bytes.len())) as u64 {
        return fail(item, CborFault::Truncated);
    }
    u32::try_from(value).or_else(|_| fail(item, CborFault::TooMany(limits.max_container)))
}

/// Checks an item of major type 7.
#[inline]
pub(crate) fn simple(bytes: &[u8], item: usize) -> Result<(), CborError> {
    match bytes.get(item) {
        Some(0xf4..=0xf6) => Ok(()),
        Some(0xf9..=0xfb) => fail(item, CborFault::Float),
        Some(0xf8) => fail(item, CborFault::Simple(bytes.get(item + 1).copied().unwrap_or_default())),
        Some(&byte) => fail(item, CborFault::Simple(byte & 0x1f)),
        None => fail(item, CborFault::Truncated),
    }
}
