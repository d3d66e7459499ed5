//! A typed reader over one block, for codecs that are written by hand (tree nodes, commits, operations).

use super::major;
use super::walk::{self, Limits, fail};
use crate::cid::Cid;
use crate::error::{CborError, CborFault};

/// Reads item after item; every method refuses what is not canonical, as [`validate`](super::validate) does.
///
/// It does not check the order of map keys: a codec that knows its keys expects them in their order.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next item.
    #[must_use]
    #[inline]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// What is left.
    #[must_use]
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next byte, unread.
    #[must_use]
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When bytes are left.
    #[inline]
    pub fn finish(&self) -> Result<(), CborError> {
        if self.at == self.bytes.len() { Ok(()) } else { fail(self.at, CborFault::Trailing) }
    }

    /// An error at the next item.
    ///
    /// # Errors
    /// Always: "expected …".
    pub fn expected<T>(&self, what: &'static str) -> Result<T, CborError> {
        fail(self.at, CborFault::Expected(what))
    }

    #[inline(always)]
    fn take(&mut self, kind: u8, what: &'static str) -> Result<u64, CborError> {
        let (found, value, next) = walk::head(self.bytes, self.at)?;
        if found != kind {
            return fail(self.at, CborFault::Expected(what));
        }
        self.at = next;
        Ok(value)
    }

    #[inline(always)]
    fn container(&mut self, kind: u8, what: &'static str) -> Result<usize, CborError> {
        let item = self.at;
        let value = self.take(kind, what)?;
        Ok(walk::count(self.bytes, item, self.at, kind, value, &Limits::STRICT)? as usize)
    }

    /// The head of a map: number of entries, never more than half of the bytes that are left.
    ///
    /// # Errors
    /// Another type, a length that is not there.
    #[inline]
    pub fn map(&mut self) -> Result<usize, CborError> {
        self.container(major::MAP, "a map")
    }

    /// The head of an array: number of items, never more than the bytes that are left.
    ///
    /// # Errors
    /// Another type, a length that is not there.
    #[inline]
    pub fn array(&mut self) -> Result<usize, CborError> {
        self.container(major::ARRAY, "an array")
    }

    #[inline(always)]
    fn string(&mut self, kind: u8, what: &'static str) -> Result<&'a [u8], CborError> {
        let item = self.at;
        let length = self.take(kind, what)?;
        let (found, end) = walk::string(self.bytes, item, self.at, length)?;
        self.at = end;
        Ok(found)
    }

    /// A text, or a map key.
    ///
    /// # Errors
    /// Another type, bad UTF-8, a length that is not there.
    #[inline]
    pub fn text(&mut self) -> Result<&'a str, CborError> {
        let item = self.at;
        let text = self.string(major::TEXT, "text")?;
        std::str::from_utf8(text).or_else(|_| fail(item, CborFault::Utf8))
    }

    /// The map key `name` and nothing else.
    ///
    /// # Errors
    /// Any other key or type.
    #[inline]
    pub fn key(&mut self, name: &'static str) -> Result<(), CborError> {
        let item = self.at;
        if self.string(major::TEXT, name)? == name.as_bytes() {
            Ok(())
        } else {
            fail(item, CborFault::Expected(name))
        }
    }

    /// A byte string.
    ///
    /// # Errors
    /// Another type, a length that is not there.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        self.string(major::BYTES, "a byte string")
    }

    /// An integer.
    ///
    /// # Errors
    /// Another type, more than 64 bits with a sign.
    #[inline]
    pub fn int(&mut self) -> Result<i64, CborError> {
        let (kind, value, next) = walk::head(self.bytes, self.at)?;
        let Ok(value) = i64::try_from(value) else {
            return fail(
                self.at,
                if kind > major::NINT { CborFault::Expected("an integer") } else { CborFault::IntegerRange },
            );
        };
        let value = match kind {
            major::UINT => value,
            // -1 - n without overflow: the bits inverted.
            major::NINT => !value,
            _ => return self.expected("an integer"),
        };
        self.at = next;
        Ok(value)
    }

    /// An integer that is not negative.
    ///
    /// # Errors
    /// Another type, a negative integer, more than 63 bits.
    #[inline]
    pub fn uint(&mut self) -> Result<u64, CborError> {
        let item = self.at;
        let value = self.take(major::UINT, "an unsigned integer")?;
        if value > i64::MAX as u64 { fail(item, CborFault::IntegerRange) } else { Ok(value) }
    }

    /// True or false.
    ///
    /// # Errors
    /// Another type.
    pub fn bool(&mut self) -> Result<bool, CborError> {
        let value = match self.peek() {
            Some(0xf4) => false,
            Some(0xf5) => true,
            Some(_) => return self.expected("true or false"),
            None => return fail(self.at, CborFault::Truncated),
        };
        self.at = self.at.saturating_add(1);
        Ok(value)
    }

    /// Reads a null when one is next, and says whether it was.
    #[inline]
    pub fn null(&mut self) -> bool {
        let found = self.peek() == Some(0xf6);
        if found {
            self.at = self.at.saturating_add(1);
        }
        found
    }

    /// A link to a DASL CID.
    ///
    /// # Errors
    /// Another type, another kind of CID.
    #[inline]
    pub fn link(&mut self) -> Result<Cid, CborError> {
        let item = self.at;
        let cid = self.link_bytes(&Limits::STRICT)?;
        Cid::from_bytes(cid).or_else(|error| fail(item, CborFault::Link(error)))
    }

    /// A link to a DASL CID, or null.
    ///
    /// # Errors
    /// Another type, another kind of CID.
    #[inline]
    pub fn nullable_link(&mut self) -> Result<Option<Cid>, CborError> {
        if self.null() { Ok(None) } else { self.link().map(Some) }
    }

    /// A link as the bytes of its CID (without the zero byte); with [`Limits::odd_links`] any well-formed CID.
    ///
    /// # Errors
    /// Another type, a CID that the limits do not allow.
    #[inline]
    pub fn link_bytes(&mut self, limits: &Limits) -> Result<&'a [u8], CborError> {
        let item = self.at;
        if self.take(major::TAG, "a link")? != 42 {
            return fail(item, CborFault::Expected("a link"));
        }
        let (cid, end) = walk::link(self.bytes, item, self.at, limits)?;
        self.at = end;
        Ok(cid)
    }

    /// Checks one item of any type and passes over it.
    ///
    /// # Errors
    /// Whatever [`validate`](super::validate) finds in it.
    pub fn skip(&mut self, limits: &Limits) -> Result<(), CborError> {
        self.at = walk::skip(self.bytes, self.at, limits)?;
        Ok(())
    }
}
